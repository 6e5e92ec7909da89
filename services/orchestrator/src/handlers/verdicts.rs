//! A model's view of single messages, made beside everything else.
//!
//! [`judge`] asks for one, of any message, and does nothing with it: what comes of it is its caller's, by
//! what staff have set. At present that is a line below a report (`moderation.verdicts_on_reports`).
//! Nobody waits for it: a report is there already, and what is lost with a process is not made up for.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, MessageMarker, UserMarker},
};

use ery_ids::ChannelKey;
use ery_lifecycle::Tasks;

use crate::{
    adapters::ai::Bot,
    domain::{
        commands::reply::quoted,
        journal::Bill,
        message::Message,
        people::People,
        strategy,
        texts::Language,
        tool::CallOutcome,
        verdict::{self, Category, Verdict},
    },
    error::{CallError, with_causes},
    handlers::{
        holder::Holder,
        side_turns::{self, Payer, Question},
        thread_run::PROMPT_TOKENS,
    },
    metrics::VerdictEnd,
};

/// How many reports may wait for a verdict; what comes beyond has none.
const WAITING: usize = 64;

/// Of how many reports it is remembered that a verdict was asked for; past it all are forgotten.
const REMEMBERED: usize = 1_000;

/// How much of the model's sentence is shown.
const LONGEST_REASON: usize = 200;

/// How reports ask for verdicts.
#[derive(Debug)]
pub(crate) struct Verdicts {
    asked: mpsc::Sender<Reported>,
    /// Those that were asked for: a report that comes twice is judged once.
    names: Mutex<HashSet<String>>,
}

/// A report below which the model's view is to stand.
#[derive(Debug)]
pub(crate) struct Reported {
    /// Of the report: who reports what.
    pub(crate) name: String,
    /// Where the message stands that is reported.
    pub(crate) channel: ChannelKey,
    pub(crate) message: Id<MessageMarker>,
    pub(crate) trigger: String,
    /// The message that tells the staff of it, and what it says.
    pub(crate) told: (Id<ChannelMarker>, Id<MessageMarker>),
    pub(crate) content: String,
    pub(crate) bot: Id<UserMarker>,
    pub(crate) language: Language,
}

impl Verdicts {
    /// Returns it, and what is asked of it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Reported>) {
        let (asked, asks) = mpsc::channel(WAITING);
        (Self { asked, names: Mutex::default() }, asks)
    }

    /// Asks for a verdict on what is reported, where that is set.
    pub(crate) fn ask(&self, reported: Reported) {
        let name = reported.name.clone();
        let mut names = self.lock();
        if names.len() >= REMEMBERED {
            names.clear();
        }
        if names.insert(name.clone()) && self.asked.try_send(reported).is_err() {
            names.remove(&name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds views to reports, until the process drains.
pub(crate) async fn run(
    holder: Arc<Holder>,
    asks: mpsc::Receiver<Reported>,
    tasks: Tasks,
) -> Result<(), Infallible> {
    side_turns::work(
        holder,
        asks,
        tasks,
        "verdict",
        |holder: Arc<Holder>, reported: Reported| async move {
            match add_view(&holder, &reported).await {
                Ok(None) => {}
                Ok(Some(end)) => holder.metrics.verdict_ended(end),
                Err(error) => tracing::warn!(error = with_causes(&error),
                    channel.id = %reported.channel.channel, "a report is left without a verdict"),
            }
        },
    )
    .await;
    Ok(())
}

/// Adds the model's view to a report, where that is set; none: it is not.
#[tracing::instrument(
    name = "orchestrator.verdict.add",
    skip_all,
    fields(channel.id = %reported.channel.channel)
)]
async fn add_view(holder: &Holder, reported: &Reported) -> Result<Option<VerdictEnd>, CallError> {
    let Reported { channel, message, .. } = *reported;
    let effective = holder.config(channel, None).await?;
    if !effective.config.moderation.verdicts_on_reports {
        return Ok(None);
    }
    let Some(judged) = holder.store.message(channel, message).await? else {
        return Ok(Some(VerdictEnd::Void));
    };
    let verdict = match judge(holder, reported.bot, &judged).await? {
        Ok(verdict) => verdict,
        Err(end) => return Ok(Some(end)),
    };
    // Invariant FORGOTTEN: what was taken back meanwhile is not told of.
    let stands = holder.store.message(channel, message).await?;
    if !stands.is_some_and(|it| it.content == judged.content && it.edited_at == judged.edited_at) {
        return Ok(Some(VerdictEnd::Void));
    }
    let content = format!("{}\n{}", reported.content, said(&verdict, reported.language));
    let Reported { trigger, name, told, .. } = reported;
    let changed = holder.tools.change_told(channel, trigger, name, *told, &content).await?;
    if changed.outcome != CallOutcome::Done {
        tracing::info!(outcome = changed.outcome.as_word(), channel.id = %channel.channel,
            "a verdict could not be added to its report");
    }
    Ok(Some(VerdictEnd::Given))
}

/// Says a verdict to moderators. The model's own sentence is quoted as what somebody wrote.
fn said(verdict: &Verdict, language: Language) -> String {
    let confidence = usize::from(verdict.confidence);
    let mut said = match verdict.category {
        Category::None => language.say("report-verdict-none", &[("confidence", confidence.into())]),
        category => language.say(
            "report-verdict",
            &[
                ("category", category.as_word().into()),
                ("severity", verdict.severity.as_word().into()),
                ("confidence", confidence.into()),
            ],
        ),
    };
    if !verdict.reason.is_empty() {
        let reason = quoted(&verdict.reason, LONGEST_REASON);
        said.push(' ');
        said.push_str(&language.say("report-verdict-reason", &[("reason", (&reason).into())]));
    }
    said
}

/// Asks a model for its verdict on a message, which the server pays for. It acts on nobody and tells
/// nobody.
///
/// `Ok(Err(…))`: there is none, and why. What it cost counts in any case; but for what is lost with its
/// process.
///
/// # Errors
///
/// If it cannot be told now whether a model may be asked.
pub(crate) async fn judge(
    holder: &Holder,
    bot: Id<UserMarker>,
    message: &Message,
) -> Result<Result<Verdict, VerdictEnd>, CallError> {
    let channel = message.channel;
    holder.installation.known(holder.settings.store_timeout).await;
    let payer = Payer::of(holder, channel).await?;
    let effective = holder.config(channel, None).await?;
    if effective.config.paused || !payer.has_model(holder) {
        return Ok(Err(VerdictEnd::NotAsked));
    }
    let spending = holder.store.spending(channel, None).await?;
    if !payer.may_pay(holder, &effective, &spending) {
        return Ok(Err(VerdictEnd::NotAsked));
    }
    let before = holder.store.messages_before(channel, message.id, verdict::MOST_BEFORE).await?;
    let most = holder.settings.context_tokens;
    let packed = verdict::to_judge(message, &before, bot, PROMPT_TOKENS, most);
    let question = Question {
        channel,
        bot: Bot::named(bot, &People::default()),
        prompt: strategy::VERDICT.prompt,
        parts: packed.parts,
        tokens: packed.tokens,
        max_output_tokens: verdict::MOST_OUTPUT_TOKENS,
    };
    let (turn, bill) = side_turns::ask(holder, &payer, question).await;
    count(holder, channel, &bill).await;
    Ok(match turn {
        Some(turn) => verdict::written(&turn).ok_or(VerdictEnd::Malformed),
        None => Err(VerdictEnd::Failed),
    })
}

/// Counts what a verdict has cost; the verdict stands whether that works or not.
async fn count(holder: &Holder, channel: ChannelKey, bill: &Bill) {
    holder.installation.spent(bill);
    if bill.is_empty() {
        return;
    }
    let id = uuid::Uuid::new_v4().simple().to_string();
    if let Err(error) = holder.store.count_spent(channel, &id, bill).await {
        tracing::warn!(error = with_causes(&error), channel.id = %channel.channel,
            "what a verdict has cost could not be counted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::verdict::Severity;

    fn verdict(category: Category, reason: &str) -> Verdict {
        Verdict { category, severity: Severity::High, confidence: 90, reason: reason.to_owned() }
    }

    #[test]
    fn a_verdict_is_said_as_a_view_and_its_sentence_as_somebodys_words() {
        let told =
            said(&verdict(Category::Scam, "<@1> `ban` https://evil.example"), Language::English);
        assert_eq!(
            told,
            "A model's view, not a decision: a scam, of high severity, 90 % sure. It says: \
             `<@1> ˋbanˋ https://evil.example`"
        );
        let told = said(&verdict(Category::None, ""), Language::German);
        assert_eq!(
            told,
            "Die Ansicht eines Modells, keine Entscheidung: Daran ist nichts falsch, zu 90 % sicher."
        );
        for language in [Language::English, Language::German] {
            for category in Category::ALL {
                for severity in Severity::ALL {
                    let told = said(&Verdict { severity, ..verdict(category, "") }, language);
                    assert!(!told.contains(['{', '}', '_']), "{told}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_report_is_judged_once_and_what_waits_is_bounded() {
        let (verdicts, mut asks) = Verdicts::new();
        let reported = |name: String| Reported {
            name,
            channel: ChannelKey::from_raw(1, 2).unwrap(),
            message: Id::new(3),
            trigger: String::new(),
            told: (Id::new(4), Id::new(5)),
            content: String::new(),
            bot: Id::new(6),
            language: Language::English,
        };
        verdicts.ask(reported("a".into()));
        verdicts.ask(reported("a".into()));
        for number in 0..WAITING * 2 {
            verdicts.ask(reported(number.to_string()));
        }
        let mut waiting = 0;
        while asks.try_recv().is_ok() {
            waiting += 1;
        }
        assert_eq!(waiting, WAITING);
        // What found no room may be asked for again.
        verdicts.ask(reported((WAITING * 2 - 1).to_string()));
        assert!(asks.try_recv().is_ok());
        for number in 0..REMEMBERED * 2 {
            verdicts.ask(reported(format!("more {number}")));
            drop(asks.try_recv());
        }
        assert!(verdicts.lock().len() <= REMEMBERED);
    }
}

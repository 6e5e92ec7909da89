//! Summaries of channels, made beside everything else: a thread that has ended asks for one, and
//! nobody waits for it.
//!
//! Who makes it is decided in the store, by a claim: so it is made once, whichever replicas are asked,
//! and whatever is edited or deleted meanwhile voids it. What is lost with a process is asked for again
//! by the channel's next thread.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use ery_ids::ChannelKey;
use ery_lifecycle::Tasks;

use crate::{
    adapters::{
        ai::Bot,
        summaries::{SummaryMade, SummaryMaterial, SummaryWanted},
    },
    domain::{budgets::Spending, journal::Bill, strategy::SUMMARY, summary},
    error::{CallError, with_causes},
    handlers::{
        holder::Holder,
        side_turns::{self, Payer, Question},
        thread_run::PROMPT_TOKENS,
    },
    metrics::SummaryEnd,
};

/// How many channels may wait for their summaries; what comes beyond is asked for by the next thread.
const WAITING: usize = 256;

/// How long a claim holds beyond the time that its maker takes at the most.
const MARGIN: Duration = Duration::from_secs(10);

/// How threads that have ended ask for their channels' summaries.
#[derive(Debug)]
pub(crate) struct Summaries {
    asked: mpsc::Sender<Asked>,
    /// Those that wait or are made here.
    channels: Mutex<HashSet<ChannelKey>>,
}

/// A channel whose summary may be due.
#[derive(Debug)]
pub(crate) struct Asked {
    channel: ChannelKey,
    bot: Bot,
    /// What was spent there, as its holder knows.
    spending: Spending,
}

impl Summaries {
    /// Returns it, and what is asked of it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (asked, asks) = mpsc::channel(WAITING);
        (Self { asked, channels: Mutex::default() }, asks)
    }

    /// Asks for a channel's summary, where one is due.
    pub(crate) fn ask(&self, channel: ChannelKey, bot: Bot, spending: &Spending) {
        if !self.lock().insert(channel) {
            return;
        }
        // Nobody's own budget is touched.
        let spending = Spending {
            windows: spending.windows,
            home: spending.home,
            channel: spending.channel,
            ..Spending::default()
        };
        if self.asked.try_send(Asked { channel, bot, spending }).is_err() {
            self.lock().remove(&channel);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<ChannelKey>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes what is asked for, until the process drains.
pub(crate) async fn run(
    holder: Arc<Holder>,
    asks: mpsc::Receiver<Asked>,
    tasks: Tasks,
) -> Result<(), Infallible> {
    side_turns::work(
        holder,
        asks,
        tasks,
        "summary",
        |holder: Arc<Holder>, asked: Asked| async move {
            let channel = asked.channel;
            let made = make(&holder, asked).await;
            holder.summaries.lock().remove(&channel);
            match made {
                Ok(None) => {}
                Ok(Some(end)) => holder.metrics.summary_made(end),
                Err(error) => tracing::debug!(error = with_causes(&error),
                channel.id = %channel.channel, "a channel's summary is left to its next thread"),
            }
        },
    )
    .await;
    Ok(())
}

/// Makes a channel's summary, if one is due and may be paid for; none: no model was asked.
#[tracing::instrument(
    name = "orchestrator.summary.make",
    skip_all,
    fields(channel.id = %asked.channel.channel)
)]
async fn make(holder: &Holder, asked: Asked) -> Result<Option<SummaryEnd>, CallError> {
    let Asked { channel, bot, spending } = asked;
    let payer = Payer::of(holder, channel).await?;
    let effective = holder.config(channel, None).await?;
    let limits = &effective.config.context;
    let is_wanted = limits.summaries && limits.messages > 0 && !effective.config.paused;
    if !is_wanted || !payer.has_model(holder) || !payer.may_pay(holder, &effective, &spending) {
        return Ok(None);
    }
    let settings = &holder.settings;
    let wanted = SummaryWanted {
        channel,
        claim: uuid::Uuid::new_v4().simple().to_string(),
        newest: limits.messages,
        since: holder.now() - limits.window.0,
        least: summary::LEAST_MESSAGES,
        most: summary::MOST_MESSAGES,
        rest: settings.summary_rest,
        lasts: side_turns::within(holder) + settings.patience + settings.store_timeout * 2 + MARGIN,
    };
    let Some(material) = holder.store.claim_summary(&wanted).await? else { return Ok(None) };
    let (made, bill) = write(holder, channel, bot, &material, &payer).await;
    let kept = holder.store.keep_summary(channel, &wanted.claim, &made, &bill).await?;
    holder.installation.spent(&bill);
    Ok(Some(match (kept, made.text.is_empty()) {
        (true, _) => SummaryEnd::Kept,
        (false, false) => SummaryEnd::Void,
        (false, true) => SummaryEnd::Failed,
    }))
}

/// Has a model write a summary. Whatever comes of it, what it cost is told.
async fn write(
    holder: &Holder,
    channel: ChannelKey,
    bot: Bot,
    material: &SummaryMaterial,
    payer: &Payer,
) -> (SummaryMade, Bill) {
    let SummaryMaterial { earlier, messages } = material;
    let most = holder.settings.context_tokens;
    let packed = summary::to_sum_up(earlier.as_ref(), messages, bot.id, PROMPT_TOKENS, most);
    let Some(packed) = packed else { return (SummaryMade::default(), Bill::default()) };
    let question = Question {
        channel,
        bot,
        prompt: SUMMARY.prompt,
        parts: packed.parts,
        tokens: packed.tokens,
        max_output_tokens: summary::MOST_OUTPUT_TOKENS,
    };
    let (turn, bill) = side_turns::ask(holder, payer, question).await;
    let made = turn.map_or_else(SummaryMade::default, |turn| SummaryMade {
        text: summary::written(&turn).unwrap_or_default(),
        messages: packed.messages,
        model: turn.model,
        prompt_version: turn.prompt_version,
    });
    (made, bill)
}

//! What people type, choose and press: answered within Discord's three seconds, beside the channel's
//! thread and never behind it.
//!
//! An interaction's id is the key of all that is done for it (ONCE-VISIBLE): Discord takes one first
//! answer, a later one replaces it, and an act has an execution whose key is of that id. So an event
//! that comes twice, from the bus or from two sessions, is answered once and acts once.

mod cases;
mod config;
mod forms;
mod privacy;
mod report;
mod schedule;
mod usage;
mod warn;
mod why;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::timeout;

use ery_event_bus::Event;
use ery_ids::Home;

use crate::{
    adapters::{
        interactions::Answered,
        tools::{Called, Clicked},
    },
    domain::{
        commands::{
            asked::{Asked, Completed, Deed, Lacking, asked},
            interaction::Interaction,
            reply::{Choice, First, Message},
        },
        texts::{Language, refusals::Refusal},
    },
    error::{CallError, with_causes},
    handlers::{
        events::{self, EventHandler, Order},
        holder::Holder,
    },
    metrics::InteractionEnd,
};

const HANDLER: &str = "orchestrator-interactions";

const KINDS: [&str; 1] = ["interaction_create"];

/// How many interactions are remembered.
const REMEMBERED: usize = 500;

/// How long an interaction's token is good for, by Discord's clock, which may differ from ours.
const TOKEN_LIFE: Duration = Duration::from_mins(15);

/// How long what was asked is tried before whoever asked is told that it did not work.
const TRIED_FOR: Duration = Duration::from_mins(1);

/// How long choices may take to be found; after that none are shown, and typing goes on.
const CHOICES_WITHIN: Duration = Duration::from_millis(1_500);

/// Carries out what people ask for by commands, buttons and forms.
pub(crate) struct Interactions {
    holder: Arc<Holder>,
    /// Those that were taken last, by this process: one that comes again at once costs nothing.
    taken: LastTaken,
}

#[derive(Default)]
struct LastTaken(Mutex<VecDeque<u64>>);

impl LastTaken {
    /// Takes an interaction, unless it was taken before; it is given back unless it is kept.
    fn take(&self, interaction: u64) -> Option<Taken<'_>> {
        let mut taken = self.lock();
        if taken.contains(&interaction) {
            return None;
        }
        if taken.len() >= REMEMBERED {
            taken.pop_front();
        }
        taken.push_back(interaction);
        Some(Taken { of: self, interaction, is_kept: false })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Taken<'a> {
    of: &'a LastTaken,
    interaction: u64,
    is_kept: bool,
}

impl Taken<'_> {
    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.of.lock().retain(|it| *it != self.interaction);
        }
    }
}

#[async_trait]
impl EventHandler for Interactions {
    fn name(&self) -> &'static str {
        HANDLER
    }

    fn kinds(&self) -> &'static [&'static str] {
        &KINDS
    }

    /// One person's command waits for nobody else's.
    fn order(&self) -> Order {
        Order::None
    }

    async fn handle(&self, _: Home, events: &[Event]) -> Result<(), CallError> {
        for event in events {
            match Interaction::read(&event.payload) {
                Ok(interaction) => {
                    let Some(taken) = self.taken.take(interaction.id) else { continue };
                    self.respond(&interaction).await?;
                    taken.keep();
                }
                Err(error) => {
                    let Holder { store, metrics, .. } = &*self.holder;
                    events::refuse(store, metrics, HANDLER, event, &error).await?;
                }
            }
        }
        Ok(())
    }
}

impl Interactions {
    pub(crate) fn new(holder: Arc<Holder>) -> Self {
        Self { holder, taken: LastTaken::default() }
    }

    /// Answers an interaction. A repeat does nothing that the first time did.
    ///
    /// # Errors
    ///
    /// [`CallError::Unavailable`]: it is to be tried again.
    async fn respond(&self, it: &Interaction) -> Result<(), CallError> {
        if self.holder.now() > it.made_at() + TOKEN_LIFE {
            tracing::info!(interaction.id = it.id, channel.id = %it.channel.channel,
                "an interaction came too late to be answered");
            self.end(InteractionEnd::Expired);
            return Ok(());
        }
        match asked(it) {
            Asked::Decide { custom_id } => self.decide(it, &custom_id).await,
            Asked::Complete { of, typed } => {
                let found = timeout(CHOICES_WITHIN, self.choices(it, &of, &typed)).await;
                let choices = found.map_or_else(|_| Vec::new(), Result::unwrap_or_default);
                self.first(it, &First::Choices(choices)).await.map(drop)
            }
            Asked::Open(opened) => {
                let first = forms::opened(&self.holder, it, &opened).await;
                self.first(it, &first).await.map(drop)
            }
            Asked::Do(deed) => self.carry_out(it, &deed, &First::Later, 0).await,
            Asked::Change(deed) => self.carry_out(it, &deed, &First::Change, 0).await,
            Asked::Turn(turn) => self.carry_out(it, &turn.deed(), &First::Change, turn.index).await,
            Asked::Lacking(lacking) => {
                let message = Message::of(it.language.word(match lacking {
                    Lacking::Reason => "reason-missing",
                    Lacking::Value => "value-unusable",
                }));
                self.first(it, &First::Whisper(message)).await.map(drop)
            }
            Asked::Unknown => {
                let message = Message::of(it.language.word("unknown-command"));
                self.first(it, &First::Whisper(message)).await.map(drop)
            }
        }
    }

    /// Finds what may be meant by what is being typed.
    async fn choices(
        &self,
        it: &Interaction,
        of: &Completed,
        typed: &str,
    ) -> Result<Vec<Choice>, CallError> {
        match of {
            Completed::Plan => schedule::choices(&self.holder, it, typed).await,
            Completed::ConfigKey(key_for) => {
                config::completing::key_choices(&self.holder, it, *key_for, typed).await
            }
            Completed::ConfigValue { key, place } => {
                config::completing::value_choices(&self.holder, it, (key, *place), typed).await
            }
        }
    }

    /// Hands a click on that may decide an act that Ery proposed; it is answered there.
    async fn decide(&self, it: &Interaction, custom_id: &str) -> Result<(), CallError> {
        if it.channel.guild().is_none() {
            // Nothing is proposed in a direct message.
            let message = Message::of(it.language.word("unknown-command"));
            return self.first(it, &First::Whisper(message)).await.map(drop);
        }
        match self.holder.tools.click(it, custom_id).await {
            Ok(Clicked { refusal: Some(content), .. }) => {
                let message = Message::of(why_refused(it.language, &content));
                self.first(it, &First::Whisper(message)).await.map(drop)
            }
            Ok(Clicked { is_ours, refusal: None }) => {
                tracing::debug!(channel.id = %it.channel.channel, is_ours, "a click");
                self.end(InteractionEnd::Answered);
                Ok(())
            }
            Err(error @ (CallError::Unavailable { .. } | CallError::Fenced { .. })) => Err(error),
            Err(error) => {
                tracing::warn!(error = with_causes(&error), channel.id = %it.channel.channel,
                    "a click was refused");
                self.end(InteractionEnd::Refused);
                Ok(())
            }
        }
    }

    /// Does what a command asks for, between a first answer that says that Ery is at it and the one
    /// that says what came of it; of what takes several pages it shows one.
    async fn carry_out(
        &self,
        it: &Interaction,
        deed: &Deed,
        first: &First,
        page: usize,
    ) -> Result<(), CallError> {
        match self.first(it, first).await? {
            // Answered before: another process said so and was killed; this one goes on.
            Answered::Done | Answered::Before => {}
            // Nobody waits, and whoever asked was told by Discord that it failed: nothing is done.
            Answered::Expired | Answered::Refused => return Ok(()),
        }
        let done = match deed {
            Deed::ListPlans => schedule::list(&self.holder, it, page).await,
            Deed::ListCases { member, until } => {
                cases::list(&self.holder, it, *member, *until, page).await
            }
            Deed::ShowCase { number } => cases::show(&self.holder, it, *number).await,
            Deed::Config(deed) => config::carry_out(&self.holder, it, deed, page).await,
            Deed::Privacy(deed) => privacy::carry_out(&self.holder, it, *deed).await,
            Deed::Why(meant) => {
                // Whoever turns its pages has asked already.
                let is_turn = matches!(first, First::Change);
                why::why(&self.holder, it, meant, (page, is_turn)).await
            }
            Deed::Report { message, reason } => {
                report::report(&self.holder, it, *message, reason).await
            }
            Deed::Warn(warning) => warn::warn(&self.holder, it, deed, warning).await,
            Deed::CancelPlan { id } => schedule::cancel(&self.holder, it, deed, id).await,
        };
        let message = match done {
            // What is turned keeps the files that came with it.
            Ok(message) if *first == First::Change => Message { files: Vec::new(), ..message },
            Ok(message) => message,
            Err(error @ (CallError::Unavailable { .. } | CallError::Fenced { .. })) => {
                if self.holder.draining.is_cancelled()
                    || self.holder.now() < it.made_at() + TRIED_FOR
                {
                    return Err(error);
                }
                tracing::warn!(
                    error = with_causes(&error),
                    interaction.id = it.id,
                    command = deed.as_word(),
                    "a command could not be carried out in time"
                );
                Message::of(it.language.word("unavailable"))
            }
            Err(error) => {
                tracing::warn!(
                    error = with_causes(&error),
                    interaction.id = it.id,
                    command = deed.as_word(),
                    "a command was refused"
                );
                Message::of(it.language.word("failed"))
            }
        };
        let edited = self.holder.tools.edit_answer(it, &message).await?;
        self.end(InteractionEnd::of(edited));
        Ok(())
    }

    /// Gives the first answer.
    async fn first(&self, it: &Interaction, first: &First) -> Result<Answered, CallError> {
        let answered = self.holder.tools.answer_first(it, first).await?;
        match (answered, first) {
            (Answered::Expired, _) => {
                tracing::info!(interaction.id = it.id, channel.id = %it.channel.channel,
                    "an interaction was over before it was answered");
                self.end(InteractionEnd::Expired);
            }
            (Answered::Refused, _) => self.end(InteractionEnd::Refused),
            // It ends with what is said then.
            (_, First::Later | First::Change) => {}
            _ => self.end(InteractionEnd::Answered),
        }
        Ok(answered)
    }

    fn end(&self, end: InteractionEnd) {
        self.holder.metrics.interaction_ended(end);
    }
}

/// Says why an act was not done.
fn not_done(language: Language, called: &Called) -> String {
    let content: Value = serde_json::from_str(&called.content).unwrap_or_default();
    not_done_because(
        language,
        Refusal { sentence: &called.reason, ..Refusal::in_content(&content) },
    )
}

fn not_done_because(language: Language, refusal: Refusal<'_>) -> String {
    match refusal.said(language) {
        Some(reason) => language.say("not-done", &[("reason", (&reason).into())]),
        None => language.word("failed"),
    }
}

/// Says why a click was refused.
fn why_refused(language: Language, content: &str) -> String {
    let content: Value = serde_json::from_str(content).unwrap_or_default();
    Refusal::in_content(&content).said(language).unwrap_or_else(|| language.word("failed"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::tool::CallOutcome;

    #[test]
    fn a_refusal_is_said_in_the_language_of_whoever_asked() {
        let content =
            |code: &str| json!({ "ok": false, "reason": "Why.", "code": code }).to_string();
        let lacks = json!({ "code": "asker_lacks_permission", "permission": "BAN_MEMBERS" });
        for (content, english, german) in [
            (lacks.to_string(), "the right “Ban members”", "das Recht „Mitglieder bannen“"),
            (content("asker_rank_too_low"), "Your highest role", "Deine höchste Rolle"),
            (content("target_is_owner"), "the owner", "Inhaber"),
            (content("target_is_self"), "to themselves", "mit sich selbst"),
            (content("would_leak"), "Why.", "Nicht alle, die diesen Kanal lesen"),
            (content("unheard_of"), "Why.", "nur auf Englisch da: `Why.`"),
        ] {
            let said = |language| why_refused(language, &content);
            assert!(said(Language::English).contains(english), "{content}");
            assert!(said(Language::German).contains(german), "{content}");
        }
        for nothing in ["{}".to_owned(), "no json".into(), lacks_nothing()] {
            assert_eq!(why_refused(Language::German, &nothing), "Das konnte ich nicht tun.");
        }
    }

    #[test]
    fn what_was_not_done_is_said_whole_in_one_language() {
        let called = Called {
            outcome: CallOutcome::Failed,
            content: json!({ "ok": false, "error": "invalid", "reason": "Name one." }).to_string(),
            reason: "Name one.".into(),
            message: None,
            changes: Vec::new(),
            arguments: String::new(),
            tier: None,
        };
        assert_eq!(not_done(Language::English, &called), "I did not do that. Name one.");
        let german = not_done(Language::German, &called);
        assert!(german.starts_with("Das habe ich nicht getan. Der Grund steht nur"), "{german}");
    }

    fn lacks_nothing() -> String {
        json!({ "code": "asker_lacks_permission" }).to_string()
    }

    #[test]
    fn an_interaction_is_taken_once_unless_it_is_given_back() {
        let last = LastTaken::default();
        let taken = last.take(1).unwrap();
        assert!(last.take(1).is_none(), "while it is answered");
        drop(taken);
        last.take(1).unwrap().keep();
        assert!(last.take(1).is_none());
        for id in 2..=REMEMBERED as u64 + 1 {
            last.take(id).unwrap().keep();
        }
        last.take(1).unwrap().keep();
        assert_eq!(last.lock().len(), REMEMBERED);
    }
}

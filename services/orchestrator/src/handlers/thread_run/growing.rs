//! An answer that people see while it is written.
//!
//! Its first words are sent under the key that the whole answer would have, so there is one message of
//! it whatever happens. It is changed as the answer grows, and once it is whole; whoever goes on with
//! the thread finds in the records that what stands there grew, and ends it.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use ery_ids::{Fence, TaskThreadId, TriggerId};

use super::Run;
use crate::{
    adapters::tools::{Called, Caller, Saying},
    domain::{
        answer,
        journal::{Finished, Outcome},
        task_thread::Answer,
        tool::CallOutcome,
    },
    error::{CallError, ThreadError, with_causes},
    handlers::holder::Holder,
};

/// How many bytes must be written before they are shown: what is shorter is there in a moment, or
/// only leads to a tool call.
const FIRST_WORDS: usize = 120;

/// How many bytes more must be written before the message is changed.
const NEXT_WORDS: usize = 40;

/// How often the message is changed before the answer is whole: each is a record of the audit.
const MOST_CHANGES: u32 = 12;

/// What has become of an answer that is written.
#[derive(Debug, Default)]
pub(super) struct Growth {
    stage: Stage,
    /// The message that shows it.
    message: Option<Id<MessageMarker>>,
    changes: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Unseen,
    /// Something of it was shown, or may have been.
    Shown,
    /// Showing it did not work: the whole answer will tell.
    Stuck,
    /// The whole answer was said, or what stands in its place.
    Said,
}

/// For whom an answer is shown, apart from the thread that goes on meanwhile.
pub(super) struct Asker {
    fence: Fence,
    thread: TaskThreadId,
    principal: Id<UserMarker>,
    askers: Vec<Id<UserMarker>>,
    trigger: TriggerId,
    is_tainted: bool,
    model: String,
    prompt_version: String,
    reply_to: Option<Id<MessageMarker>>,
    covers: Vec<Id<MessageMarker>>,
}

impl Asker {
    fn caller(&self) -> Caller<'_> {
        Caller {
            fence: &self.fence,
            thread: self.thread,
            principal: self.principal,
            askers: &self.askers,
            trigger: &self.trigger,
            offered: &[],
            orders: &[],
            is_tainted: self.is_tainted,
            model: self.model.clone(),
            prompt_version: &self.prompt_version,
        }
    }

    fn answer(&self, text: String) -> Answer {
        Answer { text, reply_to: self.reply_to, covers: self.covers.clone() }
    }
}

/// Shows what is written until `stop`; a change that is under way then is waited for.
pub(super) async fn grow(
    holder: &Holder,
    asker: Asker,
    mut growth: Growth,
    mut written: watch::Receiver<String>,
    stop: CancellationToken,
) -> Growth {
    let mut shown = 0;
    loop {
        let pause = growth.pause(holder.settings.growing_every);
        tokio::select! {
            biased;
            () = stop.cancelled() => return growth,
            () = sleep(pause) => {}
        }
        if growth.stage == Stage::Stuck || growth.changes >= MOST_CHANGES {
            stop.cancelled().await;
            return growth;
        }
        let text = written.borrow_and_update().clone();
        // An attempt that broke off is followed by one that begins anew.
        shown = shown.min(text.len());
        let is_first = growth.stage == Stage::Unseen;
        let least = if is_first { FIRST_WORDS } else { shown + NEXT_WORDS };
        if text.len() >= least {
            shown = text.len();
            growth.show(holder, &asker, text).await;
        }
    }
}

impl Growth {
    /// Notes that the whole answer is said now.
    pub(super) fn is_said(&mut self) {
        self.stage = Stage::Said;
    }

    /// Returns how long to wait before the next change: longer each time.
    fn pause(&self, every: Duration) -> Duration {
        every * (1 + self.changes / 4)
    }

    async fn show(&mut self, holder: &Holder, asker: &Asker, text: String) {
        let saying = match self.message {
            None => Saying::Growing,
            Some(message) => Saying::Grown { message, time: self.changes },
        };
        self.stage = Stage::Shown;
        let shown = holder.tools.answer(&asker.caller(), &asker.answer(text), saying).await;
        match shown {
            Ok(Called { outcome: CallOutcome::Done, message, .. }) => {
                self.message = self.message.or(message);
                self.changes += 1;
                if self.message.is_none() {
                    self.stage = Stage::Stuck;
                }
            }
            Ok(called) => {
                tracing::debug!(
                    outcome = called.outcome.as_word(),
                    "an answer cannot be shown yet"
                );
                self.stage = Stage::Stuck;
            }
            Err(error) => {
                tracing::debug!(error = with_causes(&error), "an answer cannot be shown yet");
                self.stage = Stage::Stuck;
            }
        }
    }
}

impl Run<'_> {
    /// Returns for whom the next turn's answer is shown while it is written; none if it is not.
    ///
    /// Only by the holder that began the thread: another would have to know how far it was shown.
    pub(super) fn grower(&self) -> Option<Asker> {
        let may_grow = self.holder.settings.growing_answers && self.is_awaited && self.is_first;
        let trigger = self
            .thread
            .trigger()
            .filter(|_| may_grow && self.growth.stage != Stage::Stuck)?
            .clone();
        let covers: Vec<_> = self.thread.messages().map(|message| message.id).collect();
        Some(Asker {
            fence: self.fence.clone(),
            thread: self.id,
            principal: self.principal(),
            askers: self.askers(),
            trigger,
            is_tainted: self.thread.is_tainted(),
            model: self.thread.model(),
            prompt_version: self.thread.prompt_version().to_owned(),
            reply_to: covers.last().copied(),
            covers,
        })
    }

    /// Sends the whole answer, in as many messages as it takes. What stands of it already is changed.
    pub(super) async fn say(
        &self,
        caller: &Caller<'_>,
        answer: &Answer,
    ) -> Result<Called, CallError> {
        let tools = &self.holder.tools;
        let mut said = tools.answer(caller, answer, Saying::Part(0)).await?;
        if said.is_growing() {
            let first = said.message;
            said = match (said.outcome, first) {
                (CallOutcome::Done, Some(message)) => {
                    tools.answer(caller, answer, Saying::Whole { message }).await?
                }
                // Nothing of it stands.
                (CallOutcome::Denied | CallOutcome::Failed, _) => {
                    tools.answer(caller, answer, Saying::Afresh).await?
                }
                _ => said,
            };
        }
        let is_refused = matches!(said.outcome, CallOutcome::Denied | CallOutcome::Failed);
        if is_refused && let Some(text) = answer::first_message(&answer.text) {
            // A tool-service of an older version cuts nothing, and takes no more than one message.
            let short = Answer { text, ..answer.clone() };
            said = tools.answer(caller, &short, Saying::Afresh).await?;
        }
        let (first, parts) = (said.message, said.parts());
        for part in 1..parts {
            if said.outcome != CallOutcome::Done {
                break;
            }
            said = tools.answer(caller, answer, Saying::Part(part)).await?;
        }
        Ok(Called { message: first, ..said })
    }

    /// Ends what stands of an answer that was not said: no half one stays behind.
    pub(super) async fn settle_growth(&mut self, finished: &Finished) -> Result<(), ThreadError> {
        let stands = match self.growth.stage {
            Stage::Said => false,
            Stage::Shown | Stage::Stuck => true,
            Stage::Unseen => self.thread.has_grown(),
        };
        if !stands {
            return Ok(());
        }
        let Some(last) = self.turn.messages.last() else { return Ok(()) };
        let tools = &self.holder.tools;
        if finished.outcome != Outcome::Suspended {
            if !tools.take_back(self.fence, self.id, &last.trigger).await? {
                tracing::warn!(task_thread.id = %self.id, "a half answer could not be taken back");
            }
            return Ok(());
        }
        // It goes on after a click: what the model said before stands until then.
        let text = self.thread.steps().last().map_or("", |step| step.turn.text.trim());
        let text = if text.is_empty() { "…" } else { text }.to_owned();
        let answer =
            Answer { text, reply_to: Some(last.message.id), covers: vec![last.message.id] };
        let (principal, askers) = (self.principal(), self.askers());
        let caller = self.caller(principal, &askers, &last.trigger);
        let shown = tools.answer(&caller, &answer, Saying::Growing).await?;
        if let Some(message) = shown.message.filter(|_| shown.is_growing()) {
            tools.answer(&caller, &answer, Saying::Held { message }).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_more_and_more_seldom() {
        let pause = |changes| Growth { changes, ..Growth::default() }.pause(Duration::from_secs(2));
        assert_eq!((pause(0), pause(3)), (Duration::from_secs(2), Duration::from_secs(2)));
        assert_eq!((pause(4), pause(11)), (Duration::from_secs(4), Duration::from_secs(6)));
    }
}

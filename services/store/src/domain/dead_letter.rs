use std::{fmt, str::FromStr};

use twilight_model::id::{
    Id,
    marker::{ChannelMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{EventId, Home, StoreShard, TaskThreadId, TriggerId};

use super::Trigger;

/// Names a dead letter: its store shard, and a number that rises there. `12.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetterId {
    pub(crate) shard: StoreShard,
    pub(crate) row: i64,
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.shard.0, self.row)
    }
}

/// Says that a text names no dead letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no id of a dead letter")]
pub(crate) struct ParseDeadLetterIdError(String);

impl FromStr for DeadLetterId {
    type Err = ParseDeadLetterIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('.').and_then(|(shard, row)| {
            let row = row.parse().ok().filter(|row| *row > 0)?;
            Some(Self { shard: StoreShard(shard.parse().ok()?), row })
        });
        parsed.ok_or_else(|| ParseDeadLetterIdError(text.to_owned()))
    }
}

/// What was given up after its last try, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub(crate) id: DeadLetterId,
    pub(crate) dead: Dead,
    pub(crate) home: Home,
    /// None for an event of no channel.
    pub(crate) channel: Option<Id<ChannelMarker>>,
    pub(crate) bot: Option<Id<UserMarker>>,
    pub(crate) received_at: UnixMillis,
    pub(crate) reason: String,
    pub(crate) at: UnixMillis,
    /// As it came from Discord, where it was kept and is asked for.
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) has_payload: bool,
    pub(crate) payload_bytes: u64,
    pub(crate) is_message_deleted: bool,
    pub(crate) retried: Option<Retried>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dead {
    /// What started a thread, which failed for the last time.
    Task { trigger: Box<Trigger>, thread: TaskThreadId, attempts: u32 },
    /// An event that a handler could not take in.
    Event { id: EventId, kind: String, handler: String },
}

/// A dead letter that was tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retried {
    pub(crate) at: UnixMillis,
    pub(crate) by: String,
    /// When its task stood in the queue again.
    pub(crate) published_at: Option<UnixMillis>,
}

/// Why a dead letter is not tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it was tried again already, by {by}")]
    Retried { by: String },
    #[error("it is an event that `{handler}` could not take in, and starts no thread")]
    Event { handler: String },
    #[error("`{trigger}` is the wake-up of {what}, which begins no thread anew; ask for it again")]
    Wakeup { trigger: TriggerId, what: &'static str },
    #[error("its message was deleted")]
    MessageDeleted,
    #[error("its payload of {size_bytes} bytes was too large to be kept")]
    TooLarge { size_bytes: u64 },
    #[error("its payload was not kept")]
    NotKept,
    #[error("thread {by} has finished its trigger since")]
    FinishedSince { by: TaskThreadId },
}

impl DeadLetter {
    /// Returns why it cannot be tried again, as far as it can be told from itself.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        if let Some(retried) = &self.retried {
            return Some(Refusal::Retried { by: retried.by.clone() });
        }
        if let Dead::Event { handler, .. } = &self.dead {
            return Some(Refusal::Event { handler: handler.clone() });
        }
        if let Dead::Task { trigger, .. } = &self.dead
            && let Some(what) = wakeup_of(&trigger.id)
        {
            return Some(Refusal::Wakeup { trigger: trigger.id.clone(), what });
        }
        if self.is_message_deleted {
            return Some(Refusal::MessageDeleted);
        }
        if self.has_payload && self.bot.is_some() {
            return None;
        }
        Some(match self.payload_bytes {
            0 => Refusal::NotKept,
            size_bytes => Refusal::TooLarge { size_bytes },
        })
    }
}

/// Returns what a trigger wakes that cannot be woken again: its row says that it is over.
fn wakeup_of(trigger: &TriggerId) -> Option<&'static str> {
    match trigger {
        TriggerId::Message(_) | TriggerId::WebhookDelivery(_) => None,
        TriggerId::ScheduledAction { .. } => Some("a planned act"),
        TriggerId::Approval(_) => Some("a proposal"),
        TriggerId::Execution(_) => Some("an execution that was left open"),
    }
}

#[cfg(test)]
mod tests {
    use ery_ids::TriggerId;

    use super::*;

    fn letter() -> DeadLetter {
        let trigger = Trigger {
            id: TriggerId::Message(Id::new(3)),
            message: None,
            received_at: UnixMillis(1),
        };
        DeadLetter {
            id: DeadLetterId { shard: StoreShard(12), row: 7 },
            dead: Dead::Task {
                trigger: Box::new(trigger),
                thread: TaskThreadId::random(),
                attempts: 5,
            },
            home: Home::Guild(Id::new(1)),
            channel: Some(Id::new(2)),
            bot: Some(Id::new(9)),
            received_at: UnixMillis(1),
            reason: "why".to_owned(),
            at: UnixMillis(2),
            payload: None,
            has_payload: true,
            payload_bytes: 10,
            is_message_deleted: false,
            retried: None,
        }
    }

    #[test]
    fn an_id_reads_back_as_written() {
        let id = letter().id;
        assert_eq!(id.to_string(), "12.7");
        assert_eq!("12.7".parse(), Ok(id));
        for text in ["", "12", "12.", ".7", "12.0", "12.-7", "x.7", "1.2.3"] {
            assert!(text.parse::<DeadLetterId>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_woken_once_is_not_tried_again() {
        let due = TriggerId::ScheduledAction { action: "a1".to_owned(), due: 5 };
        for trigger in
            [due, TriggerId::Approval("a".into()), TriggerId::Execution("mcp/s/1".into())]
        {
            let woken = Trigger { id: trigger.clone(), message: None, received_at: UnixMillis(1) };
            let dead = Dead::Task {
                trigger: Box::new(woken),
                thread: TaskThreadId::random(),
                attempts: 1,
            };
            let refusal = DeadLetter { dead, ..letter() }.refusal().unwrap().to_string();
            assert!(refusal.starts_with(&format!("`{trigger}` is the wake-up of")), "{refusal}");
            assert!(refusal.ends_with("ask for it again"), "{refusal}");
        }
    }

    #[test]
    fn only_what_can_start_a_thread_again_is_tried_again() {
        assert_eq!(letter().refusal(), None);
        let by = "mara".to_owned();
        let retried = Retried { at: UnixMillis(3), by: by.clone(), published_at: None };
        let handler = "ingestion".to_owned();
        let id = EventId("s.1".to_owned());
        let event = Dead::Event { id, kind: "message_create".to_owned(), handler: handler.clone() };
        for (letter, refusal) in [
            (DeadLetter { retried: Some(retried), ..letter() }, Refusal::Retried { by }),
            (DeadLetter { dead: event, ..letter() }, Refusal::Event { handler }),
            (DeadLetter { is_message_deleted: true, ..letter() }, Refusal::MessageDeleted),
            (DeadLetter { has_payload: false, ..letter() }, Refusal::TooLarge { size_bytes: 10 }),
            (DeadLetter { has_payload: false, payload_bytes: 0, ..letter() }, Refusal::NotKept),
            (DeadLetter { bot: None, payload_bytes: 0, ..letter() }, Refusal::NotKept),
        ] {
            assert_eq!(letter.refusal(), Some(refusal));
        }
    }
}

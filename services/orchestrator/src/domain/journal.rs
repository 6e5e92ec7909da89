//! What a task thread writes down before it relies on it. The shapes are ours alone, with a version.

use serde::{Deserialize, Serialize};
use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::TriggerId;

/// The version of the payloads. An older one is read on; a newer one is refused.
const VERSION: u32 = 1;

/// One step of a journal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// Rises by one within a thread, from 0.
    pub(crate) index: u32,
    pub(crate) entry: Entry,
    pub(crate) at: UnixMillis,
    /// What was spent, and stands in no step before. The store counts it with the step.
    pub(crate) bill: Bill,
}

/// What was spent on models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bill {
    pub(crate) spent: Vec<Spent>,
    /// For whom: the one on whose authority the thread runs first.
    pub(crate) spenders: Vec<Id<UserMarker>>,
    /// Model turns of which nobody knows what they cost, since their process was lost.
    pub(crate) lost_turns: u32,
}

/// What one request to a model cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says another thing of a request")]
pub(crate) struct Spent {
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) usage: Usage,
    pub(crate) cost_micros: u64,
    /// The model's price is not known: an assumed one was taken.
    pub(crate) is_assumed: bool,
    /// It brought no answer.
    pub(crate) is_in_vain: bool,
    /// It was cut off, and is counted by its request's bound.
    pub(crate) is_estimate: bool,
    /// On a key of the guild's own: the operator pays nothing for it.
    pub(crate) is_on_guild_key: bool,
}

impl Bill {
    pub(crate) fn is_empty(&self) -> bool {
        self.spent.is_empty() && self.lost_turns == 0
    }
}

/// What a step says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    ContextLoaded(ContextLoaded),
    OrdersRead(OrdersRead),
    ModelAsked(ModelAsked),
    ModelAnswered(ModelTurn),
    /// The thread's end by code instead of the model: what is said, and how it ends.
    Closing(Closing),
    Finished(Finished),
    /// Work was left here, and this step tells only what it cost.
    Spent,
}

/// The kinds of steps, as the store names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ContextLoaded,
    OrdersRead,
    ModelAsked,
    ModelAnswered,
    ExecutionOpened,
    Finished,
    Spent,
}

/// Sizes and ids of the context, never its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContextLoaded {
    /// The channel's summary, if one was read. It stands first, where it is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) summary: Option<SummaryRead>,
    pub(crate) messages: Vec<Id<MessageMarker>>,
    /// What their authors might do, and then those of the triggers, for a replay. None by an older
    /// version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rights: Vec<String>,
    /// The triggers whose newest text counts, with the moment of the edit that made it.
    pub(crate) edited: Vec<EditedTrigger>,
    /// Whether anything by somebody else than the principal is in it.
    pub(crate) is_tainted: bool,
    /// Whether ingestion had reached the newest trigger.
    pub(crate) is_current: bool,
    /// What the thread may use: what is set later is for later threads. None by an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bounds: Option<Bounds>,
}

/// A summary that was read: of what, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SummaryRead {
    /// It was made of messages from the first to the last. The store looks them up when somebody is
    /// forgotten.
    pub(crate) first: Id<MessageMarker>,
    pub(crate) last: Id<MessageMarker>,
    pub(crate) messages: u32,
    pub(crate) tokens: u64,
}

/// What a thread may use, whoever holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    pub(crate) steps: u32,
    pub(crate) tool_calls: u32,
    pub(crate) tokens: u64,
}

/// A trigger that had been edited when the thread read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EditedTrigger {
    pub(crate) trigger: TriggerId,
    pub(crate) edited_at: UnixMillis,
}

/// What the triggers order, read from their own text alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrdersRead {
    pub(crate) orders: Vec<Order>,
    /// Who read them.
    pub(crate) read_by: String,
    /// Why others that were read cannot be carried out.
    pub(crate) problems: Vec<String>,
}

/// An act ordered by a person, with its targets and times in their one exact form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) tool: String,
    pub(crate) arguments: String,
}

/// A model turn begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelAsked {
    /// SHA-256 of the request, hex: a record, not a check.
    pub(crate) request_hash: String,
    /// The prompt that was asked for; which version of it was used stands in the answer.
    pub(crate) prompt_version: String,
    /// The tools that the model may call in answer (CLOSED-WORLD).
    pub(crate) offered: Vec<String>,
    /// The request's size, by our own bound.
    pub(crate) tokens: u64,
}

/// A model turn answered, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelTurn {
    pub(crate) text: String,
    pub(crate) tool_calls: Vec<ToolCall>,
    pub(crate) stop: Stop,
    pub(crate) usage: Usage,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) request_id: String,
    /// In millionths of the price table's currency; `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cost_micros: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) prompt_version: String,
    /// All that it cost, attempts that brought nothing among it. The store counts it.
    #[serde(skip)]
    pub(crate) spent: Vec<Spent>,
}

/// A call that the model wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToolCall {
    pub(crate) call_id: String,
    pub(crate) tool: String,
    pub(crate) arguments: String,
    /// The provider's own, which goes back to it with the call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) signature: String,
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stop {
    #[default]
    Done,
    ToolCalls,
    Length,
    Refused,
}

/// Tokens, as the provider counts them.
#[expect(clippy::struct_field_names, reason = "tokens are qualified everywhere, here too")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    pub(crate) cached_tokens: u64,
}

impl Usage {
    pub(crate) fn add(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
    }

    pub(crate) fn total(self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

/// The end that code decided on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closing {
    pub(crate) text: String,
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
}

/// How a thread ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
    /// The message that was sent in answer.
    pub(crate) answer: Option<Id<MessageMarker>>,
}

/// How a thread ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Done,
    OutOfBudget,
    Cancelled,
    Failed,
    TooBusy,
    /// It waits for a click, and goes on after it.
    Suspended,
}

impl Outcome {
    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::OutOfBudget => "out_of_budget",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::TooBusy => "too_busy",
            Self::Suspended => "suspended",
        }
    }
}

/// Why a journaled step cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadStepError {
    #[error("step {index} is no JSON of its kind")]
    Json {
        index: u32,
        #[source]
        source: serde_json::Error,
    },
    #[error("step {index} has version {version}, which is newer than this process")]
    Version { index: u32, version: u32 },
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    #[serde(flatten)]
    entry: T,
}

impl Entry {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::ContextLoaded(_) => Kind::ContextLoaded,
            Self::OrdersRead(_) => Kind::OrdersRead,
            Self::ModelAsked(_) => Kind::ModelAsked,
            Self::ModelAnswered(_) => Kind::ModelAnswered,
            Self::Closing(_) => Kind::ExecutionOpened,
            Self::Finished(_) => Kind::Finished,
            Self::Spent => Kind::Spent,
        }
    }

    /// Returns the JSON that is kept.
    pub(crate) fn payload(&self) -> String {
        fn write(entry: &impl Serialize) -> String {
            serde_json::to_string(&Versioned { v: VERSION, entry })
                .expect("structs of strings and numbers can be written as JSON")
        }
        match self {
            Self::ContextLoaded(entry) => write(entry),
            Self::OrdersRead(entry) => write(entry),
            Self::ModelAsked(entry) => write(entry),
            Self::ModelAnswered(entry) => write(entry),
            Self::Closing(entry) => write(entry),
            Self::Finished(entry) => write(entry),
            Self::Spent => write(&serde_json::json!({})),
        }
    }

    /// Reads what [`Self::payload`] wrote for a step of this kind.
    pub(crate) fn read(index: u32, kind: Kind, payload: &str) -> Result<Self, ReadStepError> {
        fn read<T: for<'de> Deserialize<'de>>(
            index: u32,
            payload: &str,
        ) -> Result<T, ReadStepError> {
            let json = |source| ReadStepError::Json { index, source };
            let Versioned { v: version, entry } =
                serde_json::from_str::<Versioned<serde_json::Value>>(payload).map_err(json)?;
            if version > VERSION {
                return Err(ReadStepError::Version { index, version });
            }
            serde_json::from_value(entry).map_err(json)
        }
        Ok(match kind {
            Kind::ContextLoaded => Self::ContextLoaded(read(index, payload)?),
            Kind::OrdersRead => Self::OrdersRead(read(index, payload)?),
            Kind::ModelAsked => Self::ModelAsked(read(index, payload)?),
            Kind::ModelAnswered => Self::ModelAnswered(read(index, payload)?),
            Kind::ExecutionOpened => Self::Closing(read(index, payload)?),
            Kind::Finished => Self::Finished(read(index, payload)?),
            Kind::Spent => Self::Spent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_reads_back_as_written() {
        for entry in [
            Entry::ContextLoaded(ContextLoaded {
                messages: vec![Id::new(5)],
                summary: Some(SummaryRead {
                    first: Id::new(1),
                    last: Id::new(4),
                    messages: 4,
                    tokens: 300,
                }),
                rights: vec!["member".into(), "moderator".into()],
                edited: vec![EditedTrigger {
                    trigger: TriggerId::Message(Id::new(7)),
                    edited_at: UnixMillis(9),
                }],
                is_tainted: true,
                is_current: false,
                bounds: Some(Bounds { steps: 8, tool_calls: 16, tokens: 200_000 }),
            }),
            Entry::OrdersRead(OrdersRead {
                orders: vec![Order { tool: "warn_member".into(), arguments: "{}".into() }],
                read_by: "builtin".into(),
                problems: vec!["who is meant?".into()],
            }),
            Entry::ModelAsked(ModelAsked {
                request_hash: "ab".into(),
                prompt_version: "1".into(),
                offered: vec!["send_dm".into()],
                tokens: 12,
            }),
            Entry::ModelAnswered(ModelTurn {
                text: "hi".into(),
                tool_calls: vec![ToolCall {
                    call_id: "c".into(),
                    tool: "t".into(),
                    arguments: "{".into(),
                    signature: "s".into(),
                }],
                stop: Stop::ToolCalls,
                usage: Usage { prompt_tokens: 1, completion_tokens: 2, cached_tokens: 3 },
                provider: "p".into(),
                model: "m".into(),
                request_id: "r".into(),
                cost_micros: Some(7),
                prompt_version: "conversation-1".into(),
                spent: Vec::new(),
            }),
            Entry::Closing(Closing {
                text: "sorry".into(),
                outcome: Outcome::OutOfBudget,
                detail: "steps".into(),
            }),
            Entry::Finished(Finished {
                outcome: Outcome::Done,
                detail: String::new(),
                answer: Some(Id::new(8)),
            }),
            Entry::Spent,
        ] {
            let payload = entry.payload();
            assert!(payload.contains(r#""v":1"#), "{payload}");
            assert_eq!(Entry::read(3, entry.kind(), &payload).unwrap(), entry);
        }
    }

    #[test]
    fn a_newer_or_broken_step_is_refused() {
        let newer = Entry::read(3, Kind::Finished, r#"{"v":2}"#).unwrap_err();
        assert_eq!(newer.to_string(), "step 3 has version 2, which is newer than this process");
        assert!(Entry::read(3, Kind::Finished, r#"{"v":1}"#).is_err());
        assert!(Entry::read(3, Kind::Finished, "").is_err());
    }

    #[test]
    fn usage_adds_up_without_overflow() {
        let mut usage = Usage { prompt_tokens: u64::MAX, completion_tokens: 1, cached_tokens: 0 };
        usage.add(Usage { prompt_tokens: 1, completion_tokens: 1, cached_tokens: 1 });
        assert_eq!(usage.completion_tokens, 2);
        assert_eq!(usage.total(), u64::MAX);
    }
}

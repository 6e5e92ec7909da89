//! A prompt that somebody had planned for a time, which a thread answers then.
//!
//! It is no message: nobody wrote it where it is answered, and a model that read others' words may have
//! planned it. So its thread is tainted from the start, nothing in it is anybody's order, and what its
//! planner may do is not told to the model.

use serde::Deserialize;
use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, TriggerId};

use crate::domain::{
    discord,
    message::Message,
    turn::{Turn, TurnMessage},
};

/// The tool by which prompts are planned. A plan that holds an act of its own holds a prompt.
pub(crate) const TOOL: &str = "schedule_action";

/// How many characters it has at most: the tool-service takes no more.
pub(crate) const LONGEST: usize = 1_000;

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum Act {
    Answer { prompt: String },
}

/// Returns the words of a prompt out of the act that holds them; none if they are not there, or not any
/// more.
pub(crate) fn words(act: &str) -> Option<String> {
    let Act::Answer { prompt } = serde_json::from_str(act).ok()?;
    Some(prompt)
}

/// A prompt whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) channel: ChannelKey,
    pub(crate) trigger: TriggerId,
    /// Who had it planned: on their authority its thread looks things up.
    pub(crate) planner: Id<UserMarker>,
    pub(crate) words: String,
    /// When its thread began, whoever holds it by now: what was said until then is its context.
    pub(crate) begun_at: UnixMillis,
}

impl Prompt {
    /// Makes the turn that answers it.
    pub(crate) fn turn(self) -> Turn {
        let due = match &self.trigger {
            TriggerId::ScheduledAction { due, .. } => UnixMillis(*due),
            _ => self.begun_at,
        };
        // No message has the id: it stands behind all that was said before.
        let id: Id<MessageMarker> = Id::new(discord::first_id_at(self.begun_at).max(1));
        let message = Message::of_words(self.channel, id, self.planner, self.words, due);
        Turn {
            principal: self.planner,
            askers: vec![self.planner],
            messages: vec![TurnMessage {
                trigger: self.trigger,
                message,
                received_at: self.begun_at,
            }],
            woken_by: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures::ANN;

    #[test]
    fn only_a_prompt_has_words() {
        assert_eq!(words(r#"{"action":"answer","prompt":"Hm?"}"#).as_deref(), Some("Hm?"));
        for other in ["", "{}", r#"{"action":"list","here":"1"}"#, r#"{"content":"Hm?"}"#] {
            assert_eq!(words(other), None, "{other}");
        }
    }

    #[test]
    fn its_turn_is_of_its_planner_alone_and_stands_behind_what_was_said() {
        let trigger = TriggerId::ScheduledAction { action: "a".into(), due: 1_700_000_000_000 };
        let begun_at = UnixMillis(1_700_000_000_500);
        let channel = ChannelKey::from_raw(10, 20).unwrap();
        let words = "What happened?".to_owned();
        let prompt = Prompt { channel, trigger: trigger.clone(), planner: ANN, words, begun_at };
        let turn = prompt.turn();
        assert!(turn.is_planned() && !turn.is_shared());
        assert_eq!((turn.principal, &turn.askers[..]), (ANN, &[ANN][..]));
        assert_eq!(turn.triggers(), [trigger]);
        let message = &turn.messages[0].message;
        assert_eq!(discord::made_at(message.id), begun_at);
        assert_eq!(message.created_at, UnixMillis(1_700_000_000_000));
    }
}

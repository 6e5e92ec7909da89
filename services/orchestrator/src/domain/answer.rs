//! What people read: the model's answer made to fit, and the sentences that code says itself.

use std::fmt::{self, Write};

use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use ery_ids::ChannelKey;

use crate::domain::tool::CallOutcome;

/// How long an answer may be: three of Discord's messages or a few more, which the tool-service cuts it into. Counted
/// in UTF-16 units, which are never fewer than Discord's characters.
const ANSWER_UNITS: usize = 6_000;

/// How long one of Discord's messages may be, counted likewise.
const MESSAGE_UNITS: usize = 2_000;

/// How many messages one answer names by links: the rest of a turn of 20. A link has up to 91
/// characters, so there is always room for a few sentences.
const LINKS: usize = 19;

/// Said when no provider answered.
pub(crate) const NO_MODEL: &str = "Sorry, my language model is not answering right now, so I have \
     to leave this without an answer. Please try again in a little while.";

/// A key of the guild's own that brought no answer, for a reason that is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedKey {
    /// As the operator's settings name it.
    pub(crate) provider: String,
    pub(crate) trouble: KeyTrouble,
}

/// What is wrong with a guild's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyTrouble {
    NotAccepted,
    NoCredit,
    NoModel,
    NoProvider,
}

impl KeyTrouble {
    fn said(self) -> &'static str {
        match self {
            Self::NotAccepted => "is not accepted by the provider",
            Self::NoCredit => "has no credit left",
            Self::NoModel => "has no access to the model that I use",
            Self::NoProvider => "is for a provider that I do not have",
        }
    }
}

/// Says it for our records.
impl fmt::Display for RefusedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server's own key for `{}` {}", self.provider, self.trouble.said())
    }
}

/// Returns what is said when a guild's own keys brought no answer: whoever runs the server can help.
pub(crate) fn keys_refused(refused: &[RefusedKey]) -> String {
    let said: Vec<_> = refused.iter().map(ToString::to_string).collect();
    format!(
        "Sorry, I have to leave this without an answer: {}. Whoever set up that key can give me \
         another one.",
        said.join(", and ")
    )
}

/// Said when the model would not answer and gave no words for it.
pub(crate) const REFUSED: &str = "Sorry, I can't help with that.";

/// Said when the thread's model turns are used up.
pub(crate) const OUT_OF_STEPS: &str = "Sorry, this took more steps than I may take for one \
     request, so I stopped here. Please ask for a smaller piece of it.";

/// Said when the thread's tool calls are used up.
pub(crate) const OUT_OF_TOOL_CALLS: &str = "Sorry, this would take more actions than I may take \
     for one request, so I stopped here. Please ask for a smaller piece of it.";

/// Said when the thread's tokens are used up.
pub(crate) const OUT_OF_TOKENS: &str = "Sorry, this became too long for one request, so I stopped \
     here. Please ask for a smaller piece of it.";

/// Said when the thread's time is over.
pub(crate) const OUT_OF_TIME: &str = "Sorry, this took longer than I may work on one request, so I \
     stopped here. Please try again.";

/// Said when a thread failed for good by an error of its own.
pub(crate) const FAILED: &str = "Sorry, something went wrong on my side and I could not finish \
     this. It has been noted for the people who run me.";

/// Returns what is said when more waits than the bound allows.
pub(crate) fn too_busy(left_out: usize) -> String {
    if left_out == 1 {
        "Sorry, more is waiting for me here than I can take on, so I have to leave this message \
         unanswered. Please ask again in a moment."
            .to_owned()
    } else {
        format!(
            "Sorry, more is waiting for me here than I can take on, so I have to leave the last \
             {left_out} messages unanswered. Please ask again in a moment."
        )
    }
}

/// Returns what is told of an act whose time has come, if people wait to hear of it: `said` is its
/// outcome in words, `planned_by` is none where it ends what was done for a while.
pub(crate) fn of_due(
    planned_by: Option<Id<UserMarker>>,
    tool: &str,
    outcome: CallOutcome,
    said: &str,
) -> Option<String> {
    match (planned_by, outcome) {
        // Its effect is its word.
        (None, CallOutcome::Done) => None,
        (Some(_), CallOutcome::Done) if matches!(tool, "send_message" | "send_dm") => None,
        (Some(person), CallOutcome::Done) => Some(format!("<@{person}>, as planned: {said}")),
        (Some(person), _) => {
            Some(format!("<@{person}>, what you had planned (`{tool}`) was not done. {said}"))
        }
        (None, _) => Some(format!("What was to end now (`{tool}`) could not be ended. {said}")),
    }
}

/// Returns what is told of an act that an MCP client asked for and somebody approved.
pub(crate) fn of_approved(
    asked_by: Option<Id<UserMarker>>,
    tool: &str,
    outcome: CallOutcome,
    said: &str,
) -> Option<String> {
    match (asked_by, outcome) {
        (_, CallOutcome::Done) if matches!(tool, "send_message" | "send_dm") => None,
        (Some(person), CallOutcome::Done) => Some(format!("<@{person}>, as approved: {said}")),
        (Some(person), _) => {
            Some(format!("<@{person}>, what was approved (`{tool}`) was not done. {said}"))
        }
        (None, _) => None,
    }
}

/// Makes the text of an answer to `others` too, beside the message that it replies to.
///
/// Code names them, by links in small print; the text is cut where both do not fit. An answer to several
/// is one message: which of them it answers stands together.
pub(crate) fn compose(text: &str, channel: ChannelKey, others: &[Id<MessageMarker>]) -> String {
    let footer = footer(channel, others);
    let most = if others.is_empty() { ANSWER_UNITS } else { MESSAGE_UNITS };
    let room = most.saturating_sub(units(&footer));
    let mut composed = shorten(text.trim(), room);
    composed.push_str(&footer);
    composed
}

/// Returns as much of an answer as one of Discord's messages takes; none if that is all of it.
pub(crate) fn first_message(text: &str) -> Option<String> {
    (units(text) > MESSAGE_UNITS).then(|| shorten(text, MESSAGE_UNITS))
}

/// Adds a line in small print, if it fits.
pub(crate) fn with_footnote(text: &str, line: &str) -> Option<String> {
    // It makes no second message of one.
    let is_one = units(text) <= MESSAGE_UNITS;
    let with = format!("{text}\n-# {line}");
    let most = if is_one { MESSAGE_UNITS } else { ANSWER_UNITS };
    (units(&with) <= most).then_some(with)
}

fn footer(channel: ChannelKey, others: &[Id<MessageMarker>]) -> String {
    if others.is_empty() {
        return String::new();
    }
    let mut footer = "\n-# answers".to_owned();
    for message in others.iter().take(LINKS) {
        let place = channel.guild().map_or_else(|| "@me".to_owned(), |guild| guild.to_string());
        let channel = channel.channel;
        write!(footer, " https://discord.com/channels/{place}/{channel}/{message}")
            .expect("writing to a string cannot fail");
    }
    if others.len() > LINKS {
        write!(footer, " and {} more", others.len() - LINKS)
            .expect("writing to a string cannot fail");
    }
    footer
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn shorten(text: &str, room: usize) -> String {
    if units(text) <= room {
        return text.to_owned();
    }
    let mut shortened = String::new();
    let reserve = if text.contains(FENCE) { FENCE_END.len() } else { 0 };
    let mut left = room.saturating_sub(1 + reserve);
    for character in text.chars() {
        if character.len_utf16() > left {
            break;
        }
        left -= character.len_utf16();
        shortened.push(character);
    }
    shortened.truncate(shortened.trim_end().len());
    shortened.push('…');
    // What follows is no part of the code.
    if shortened.matches(FENCE).count() % 2 == 1 {
        shortened.push_str(FENCE_END);
    }
    shortened
}

const FENCE: &str = "```";
const FENCE_END: &str = "\n```";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn channel() -> ChannelKey {
        ChannelKey::from_raw(10, 20).unwrap()
    }

    #[test]
    fn people_hear_of_what_they_planned_unless_they_see_it() {
        let ann = Some(Id::new(7));
        let done = CallOutcome::Done;
        assert_eq!(of_due(None, "ban_member", done, "Lifted."), None);
        assert_eq!(of_due(ann, "send_message", done, "Sent."), None);
        let told = of_due(ann, "kick_member", done, "Gone.").unwrap();
        assert_eq!(told, "<@7>, as planned: Gone.");
        let refused = of_due(ann, "kick_member", CallOutcome::Denied, "You may not.").unwrap();
        assert!(refused.contains("not done. You may not."), "{refused}");
        assert!(of_due(None, "ban_member", CallOutcome::Failed, "Why.").is_some());
    }

    #[test]
    fn a_single_answer_is_the_text_alone() {
        assert_eq!(compose(" hello \n", channel(), &[]), "hello");
    }

    #[test]
    fn the_others_are_named_by_links() {
        assert_eq!(
            compose("hello", channel(), &[Id::new(1), Id::new(2)]),
            "hello\n-# answers https://discord.com/channels/10/20/1 \
             https://discord.com/channels/10/20/2"
        );
        assert_eq!(
            compose("hello", ChannelKey::from_raw(0, 30).unwrap(), &[Id::new(1)]),
            "hello\n-# answers https://discord.com/channels/@me/30/1"
        );
    }

    #[test]
    fn a_line_in_small_print_is_added_where_it_fits() {
        assert_eq!(with_footnote("hello", "so").unwrap(), "hello\n-# so");
        for most in [MESSAGE_UNITS, ANSWER_UNITS] {
            assert_eq!(with_footnote(&"x".repeat(most - 5), "so"), None);
            assert!(with_footnote(&"x".repeat(most - 6), "so").is_some());
        }
    }

    #[test]
    fn one_message_of_an_answer_is_cut_where_it_must_be() {
        assert_eq!(first_message(&"x".repeat(2_000)), None);
        let cut = first_message(&"x".repeat(2_001)).unwrap();
        assert!(units(&cut) == 2_000 && cut.ends_with('…'));
    }

    #[test]
    fn of_very_many_others_the_rest_is_counted() {
        let others: Vec<_> = (1..=30).map(Id::new).collect();
        let composed = compose("hello", channel(), &others);
        assert!(composed.ends_with("/19 and 11 more"), "{composed}");
        assert!(units(&composed) <= MESSAGE_UNITS);
    }

    #[test]
    fn a_long_text_gives_way_to_the_links() {
        let text = "word ".repeat(2_000);
        let composed = compose(&text, channel(), &[Id::new(1)]);
        assert!(composed.ends_with("…\n-# answers https://discord.com/channels/10/20/1"));
        assert!(units(&composed) <= MESSAGE_UNITS);
        assert!(units(&composed) > MESSAGE_UNITS - 10);
    }

    #[test]
    fn a_block_of_code_that_is_cut_is_closed() {
        let text = format!("```rust\n{}\n```\nso", "let soup = 1;\n".repeat(300));
        let composed = compose(&text, channel(), &[Id::new(1)]);
        assert!(composed.contains("…\n```\n-# answers"), "{composed}");
        assert!(units(&composed) <= MESSAGE_UNITS);
        let first = first_message(&text).unwrap();
        assert!(first.ends_with("…\n```") && units(&first) <= MESSAGE_UNITS);
        let closed = format!("```a```{}", "x".repeat(3_000));
        assert!(first_message(&closed).unwrap().ends_with("x…"));
    }

    #[test]
    fn what_code_says_fits_one_message() {
        for text in
            [NO_MODEL, REFUSED, OUT_OF_STEPS, OUT_OF_TOOL_CALLS, OUT_OF_TOKENS, OUT_OF_TIME, FAILED]
        {
            assert!(units(text) < 400 && !text.contains("  "), "{text}");
        }
        assert!(too_busy(1).contains("this message"));
        assert!(too_busy(12).contains("12 messages"));
    }

    proptest! {
        #[test]
        fn an_answer_always_fits(text in "\\PC{0,9000}", others in 0_u64..300) {
            let others: Vec<_> = (1..=others).map(|id| Id::new(u64::MAX - id)).collect();
            prop_assert!(units(&compose(&text, channel(), &others)) <= ANSWER_UNITS);
        }
    }
}

//! What people read: the model's answer made to fit, and the sentences that code says itself.

use std::fmt::{self, Write};

use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use ery_ids::ChannelKey;

use crate::domain::{
    commands::reply::quoted,
    gate::Reason,
    texts::{Language, refusals::Refusal},
    tool::CallOutcome,
};

/// How long an answer may be: three of Discord's messages or a few more, which the tool-service cuts it into. Counted
/// in UTF-16 units, which are never fewer than Discord's characters.
const ANSWER_UNITS: usize = 6_000;

/// How long one of Discord's messages may be, counted likewise.
const MESSAGE_UNITS: usize = 2_000;

/// How many messages one answer names by links: the rest of a turn of 20. A link has up to 91
/// characters, so there is always room for a few sentences.
const LINKS: usize = 19;

/// How much of the name of a tool or a provider is said.
const LONGEST_NAME: usize = 64;

/// What code says in place of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sentence {
    /// No provider answered.
    NoModel,
    /// The model would not answer and gave no words for it.
    Refused,
    /// The thread's model turns are used up.
    OutOfSteps,
    /// The thread's tool calls are used up.
    OutOfToolCalls,
    /// The thread's tokens are used up.
    OutOfTokens,
    /// The thread's time is over.
    OutOfTime,
    /// The thread failed for good by an error of its own.
    Failed,
    /// Ery was paused while she worked on what somebody had planned.
    Paused,
}

impl Sentence {
    pub(crate) fn said(self, language: Language) -> String {
        language.word(match self {
            Self::NoModel => "answer-no-model",
            Self::Refused => "answer-refused",
            Self::OutOfSteps => "answer-out-of-steps",
            Self::OutOfToolCalls => "answer-out-of-tool-calls",
            Self::OutOfTokens => "answer-out-of-tokens",
            Self::OutOfTime => "answer-out-of-time",
            Self::Failed => "answer-failed",
            Self::Paused => "answer-prompt-paused",
        })
    }
}

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
pub(crate) fn keys_refused(language: Language, refused: &[RefusedKey]) -> String {
    let said = |key: &RefusedKey| {
        let provider = quoted(&key.provider, LONGEST_NAME);
        let trouble = match key.trouble {
            KeyTrouble::NotAccepted => "not-accepted",
            KeyTrouble::NoCredit => "no-credit",
            KeyTrouble::NoModel => "no-model",
            KeyTrouble::NoProvider => "no-provider",
        };
        let values = [("provider", (&provider).into()), ("trouble", trouble.into())];
        language.say("answer-key-trouble", &values)
    };
    let said: Vec<_> = refused.iter().map(said).collect();
    let keys = said.join(&language.word("answer-keys-and"));
    language.say("answer-keys-refused", &[("keys", (&keys).into())])
}

/// Returns what is said when more waits than the bound allows.
pub(crate) fn too_busy(language: Language, left_out: usize) -> String {
    language.say("answer-too-busy", &[("messages", left_out.into())])
}

/// An act that was done, or not, once nobody who wanted it was there any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done<'a> {
    pub(crate) tool: &'a str,
    pub(crate) outcome: CallOutcome,
    /// What the tool-service says that was done, in English.
    pub(crate) summary: &'a str,
    /// Why it was not.
    pub(crate) refusal: Refusal<'a>,
}

impl Done<'_> {
    /// Says the rest of a sentence about it: what was done, or why it was not.
    pub(crate) fn said(&self, language: Language) -> String {
        match (self.outcome, language) {
            (CallOutcome::Done, _) => self.summary.to_owned(),
            // As the tool-service says it: it names channels and people besides.
            (_, Language::English) => self.refusal.sentence.to_owned(),
            _ => self.refusal.said(language).unwrap_or_default(),
        }
    }

    fn says(
        &self,
        language: Language,
        key: &'static str,
        person: Option<Id<UserMarker>>,
    ) -> String {
        let person = person.map(|person| format!("<@{person}>")).unwrap_or_default();
        let (tool, what) = (quoted(self.tool, LONGEST_NAME), self.said(language));
        let values = [("person", (&person).into()), ("tool", (&tool).into())];
        let said = language.say(key, &values);
        // What may be of several lines is no part of a text.
        format!("{said} {what}").trim_end().to_owned()
    }
}

/// Returns what is told of an act whose time has come, if people wait to hear of it; `planned_by` is none
/// where it ends what was done for a while.
pub(crate) fn of_due(
    language: Language,
    planned_by: Option<Id<UserMarker>>,
    done: &Done<'_>,
) -> Option<String> {
    let key = match (planned_by, done.outcome) {
        // Its effect is its word.
        (None, CallOutcome::Done) => return None,
        (Some(_), CallOutcome::Done) if matches!(done.tool, "send_message" | "send_dm") => {
            return None;
        }
        (Some(_), CallOutcome::Done) => "answer-as-planned",
        (Some(_), _) => "answer-plan-not-done",
        (None, _) => "answer-end-not-done",
    };
    Some(done.says(language, key, planned_by))
}

/// Returns what is told of a planned prompt that is not answered: `why` is a sentence or two.
pub(crate) fn of_prompt(language: Language, planned_by: Id<UserMarker>, why: &str) -> String {
    let person = format!("<@{planned_by}>");
    let said = language.say("answer-prompt-not-answered", &[("person", (&person).into())]);
    format!("{said} {why}").trim_end().to_owned()
}

/// Says why nothing that was planned is answered.
pub(crate) fn not_engaged(language: Language, reason: Reason) -> String {
    language.word(match reason {
        Reason::Ignored => "answer-prompt-ignored",
        _ => "answer-prompt-off",
    })
}

/// Returns what is told of an act that an MCP client asked for and somebody approved.
pub(crate) fn of_approved(
    language: Language,
    asked_by: Option<Id<UserMarker>>,
    done: &Done<'_>,
) -> Option<String> {
    let key = match (asked_by, done.outcome) {
        (_, CallOutcome::Done) if matches!(done.tool, "send_message" | "send_dm") => return None,
        (Some(_), CallOutcome::Done) => "answer-as-approved",
        (Some(_), _) => "answer-approved-not-done",
        (None, _) => return None,
    };
    Some(done.says(language, key, asked_by))
}

/// Makes the text of an answer to `others` too, beside the message that it replies to.
///
/// Code names them, by links in small print; the text is cut where both do not fit. An answer to several
/// is one message: which of them it answers stands together.
pub(crate) fn compose(
    language: Language,
    text: &str,
    channel: ChannelKey,
    others: &[Id<MessageMarker>],
) -> String {
    let footer = footer(language, channel, others);
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

fn footer(language: Language, channel: ChannelKey, others: &[Id<MessageMarker>]) -> String {
    if others.is_empty() {
        return String::new();
    }
    let mut links = String::new();
    for message in others.iter().take(LINKS) {
        let place = channel.guild().map_or_else(|| "@me".to_owned(), |guild| guild.to_string());
        let channel = channel.channel;
        write!(links, " https://discord.com/channels/{place}/{channel}/{message}")
            .expect("writing to a string cannot fail");
    }
    let links = links.trim_start();
    let more = others.len().saturating_sub(LINKS);
    let said = if more > 0 {
        let values = [("links", links.into()), ("more", more.into())];
        language.say("answer-answers-and-more", &values)
    } else {
        language.say("answer-answers", &[("links", links.into())])
    };
    format!("\n-# {said}")
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

    fn done<'a>(tool: &'a str, outcome: CallOutcome, words: &'a str) -> Done<'a> {
        let refusal = Refusal { code: "needs_order", permission: "", sentence: words };
        Done { tool, outcome, summary: words, refusal }
    }

    #[test]
    fn people_hear_of_what_they_planned_unless_they_see_it() {
        let ann = Some(Id::new(7));
        let told = |language, by, done: &Done<'_>| of_due(language, by, done);
        let (english, german) = (Language::English, Language::German);
        let kicked = done("kick_member", CallOutcome::Done, "Gone.");
        assert_eq!(told(english, None, &kicked), None);
        assert_eq!(told(english, ann, &done("send_message", CallOutcome::Done, "Sent.")), None);
        assert_eq!(told(english, ann, &kicked).unwrap(), "<@7>, as planned: Gone.");
        assert_eq!(told(german, ann, &kicked).unwrap(), "<@7>, wie geplant: Gone.");
        let refused = done("kick_member", CallOutcome::Denied, "You may not.");
        assert_eq!(
            told(english, ann, &refused).unwrap(),
            "<@7>, what you had planned (`kick_member`) was not done. You may not."
        );
        let said = told(german, ann, &refused).unwrap();
        assert!(said.starts_with("<@7>, was du geplant hattest (`kick_member`), ist"), "{said}");
        assert!(!said.contains("You may not."), "{said}");
        assert!(told(english, None, &refused).unwrap().contains("could not be ended. You may"));
    }

    #[test]
    fn whoever_asked_hears_of_what_was_approved() {
        let ann = Some(Id::new(7));
        let kicked = done("kick_member", CallOutcome::Done, "Gone.");
        let said = of_approved(Language::English, ann, &kicked).unwrap();
        assert_eq!(said, "<@7>, as approved: Gone.");
        let failed = done("kick_member", CallOutcome::Failed, "Discord says no.");
        let said = of_approved(Language::English, ann, &failed).unwrap();
        assert_eq!(said, "<@7>, what was approved (`kick_member`) was not done. Discord says no.");
        assert_eq!(of_approved(Language::English, None, &failed), None);
    }

    #[test]
    fn of_a_prompt_without_an_answer_its_planner_hears_why() {
        let language = Language::English;
        let told = of_prompt(language, Id::new(7), &not_engaged(language, Reason::Off));
        assert_eq!(
            told,
            "<@7>, what you had planned for me to answer now was not answered. It is set that I \
             answer nobody here."
        );
        let said = not_engaged(language, Reason::Ignored);
        assert_ne!(said, not_engaged(language, Reason::Listening));
        assert_ne!(said, not_engaged(Language::German, Reason::Ignored));
    }

    #[test]
    fn a_single_answer_is_the_text_alone() {
        assert_eq!(compose(Language::English, " hello \n", channel(), &[]), "hello");
    }

    #[test]
    fn the_others_are_named_by_links() {
        assert_eq!(
            compose(Language::English, "hello", channel(), &[Id::new(1), Id::new(2)]),
            "hello\n-# answers https://discord.com/channels/10/20/1 \
             https://discord.com/channels/10/20/2"
        );
        assert_eq!(
            compose(
                Language::English,
                "hello",
                ChannelKey::from_raw(0, 30).unwrap(),
                &[Id::new(1)]
            ),
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
        let composed = compose(Language::English, "hello", channel(), &others);
        assert!(composed.ends_with("/19 and 11 more"), "{composed}");
        assert!(units(&composed) <= MESSAGE_UNITS);
    }

    #[test]
    fn a_long_text_gives_way_to_the_links() {
        let text = "word ".repeat(2_000);
        let composed = compose(Language::English, &text, channel(), &[Id::new(1)]);
        assert!(composed.ends_with("…\n-# answers https://discord.com/channels/10/20/1"));
        assert!(units(&composed) <= MESSAGE_UNITS);
        assert!(units(&composed) > MESSAGE_UNITS - 10);
    }

    #[test]
    fn a_block_of_code_that_is_cut_is_closed() {
        let text = format!("```rust\n{}\n```\nso", "let soup = 1;\n".repeat(300));
        let composed = compose(Language::English, &text, channel(), &[Id::new(1)]);
        assert!(composed.contains("…\n```\n-# answers"), "{composed}");
        assert!(units(&composed) <= MESSAGE_UNITS);
        let first = first_message(&text).unwrap();
        assert!(first.ends_with("…\n```") && units(&first) <= MESSAGE_UNITS);
        let closed = format!("```a```{}", "x".repeat(3_000));
        assert!(first_message(&closed).unwrap().ends_with("x…"));
    }

    #[test]
    fn what_code_says_fits_one_message() {
        use Sentence::{
            Failed, NoModel, OutOfSteps, OutOfTime, OutOfTokens, OutOfToolCalls, Refused,
        };
        for language in Language::ALL {
            for sentence in
                [NoModel, Refused, OutOfSteps, OutOfToolCalls, OutOfTokens, OutOfTime, Failed]
            {
                let text = sentence.said(language);
                assert!(units(&text) < 400 && !text.contains("  "), "{text}");
            }
        }
        assert!(too_busy(Language::English, 1).contains("this message"));
        assert!(too_busy(Language::English, 12).contains("the last 12 messages"));
        assert!(too_busy(Language::German, 12).contains("die letzten 12 Nachrichten"));
    }

    proptest! {
        #[test]
        fn an_answer_always_fits(text in "\\PC{0,9000}", others in 0_u64..300) {
            let others: Vec<_> = (1..=others).map(|id| Id::new(u64::MAX - id)).collect();
            for language in Language::ALL {
                let composed = compose(language, &text, channel(), &others);
                prop_assert!(units(&composed) <= ANSWER_UNITS);
            }
        }
    }
}

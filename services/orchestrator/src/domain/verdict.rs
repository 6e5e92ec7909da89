//! What a model makes of one message: a view in fixed words, by which nothing is done here.
//!
//! The model has no tools, and of what it writes code reads a category, a severity, a confidence and one
//! sentence. Whatever is not exactly that is no verdict. The sentence was made of people's words: data,
//! as they are.

use serde::Deserialize;
use twilight_model::id::{Id, marker::UserMarker};

use crate::domain::{
    context::{self, Part},
    journal::{ModelTurn, Stop},
    message::Message,
    people::{People, Rights},
    text,
};

/// What is asked at the end.
const ASKED: &str =
    "Write the verdict on the message with `\"answer\":true` now, as one JSON object.";

/// How many messages before it are read with it at most.
pub(crate) const MOST_BEFORE: u32 = 5;

/// How many tokens a model may write of it: the object, and room for models that think aloud before.
pub(crate) const MOST_OUTPUT_TOKENS: u32 = 600;

/// The longest sentence, in characters; what is longer is cut.
const LONGEST_REASON: usize = 200;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Category {
    /// Nothing is wrong with it.
    None,
    Spam,
    Scam,
    Harassment,
    Hate,
    Threat,
    Sexual,
    SelfHarm,
    PersonalData,
    Illegal,
    Other,
}

impl Category {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 11] = [
        Self::None,
        Self::Spam,
        Self::Scam,
        Self::Harassment,
        Self::Hate,
        Self::Threat,
        Self::Sexual,
        Self::SelfHarm,
        Self::PersonalData,
        Self::Illegal,
        Self::Other,
    ];

    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Spam => "spam",
            Self::Scam => "scam",
            Self::Harassment => "harassment",
            Self::Hate => "hate",
            Self::Threat => "threat",
            Self::Sexual => "sexual",
            Self::SelfHarm => "self_harm",
            Self::PersonalData => "personal_data",
            Self::Illegal => "illegal",
            Self::Other => "other",
        }
    }
}

/// How much harm it does if it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    Low,
    Medium,
    High,
}

impl Severity {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// A model's view of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) category: Category,
    pub(crate) severity: Severity,
    /// How sure it is, in percent.
    pub(crate) confidence: u8,
    /// Untrusted, as the messages that it was made of; one line, perhaps empty.
    pub(crate) reason: String,
}

/// A request for a verdict, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToJudge {
    pub(crate) parts: Vec<Part>,
    /// Never below what the provider counts for ordinary text.
    pub(crate) tokens: u64,
}

/// Packs what is to be judged: the message, and of those before it as many of the newest as fit.
pub(crate) fn to_judge(
    message: &Message,
    before: &[Message],
    bot: Id<UserMarker>,
    prompt_tokens: u64,
    max_tokens: u64,
) -> ToJudge {
    // What its author may do says nothing of it.
    let people = People::default();
    let member = |message: &Message, is_judged: bool| {
        let rights = match context::rights(message, &people, bot) {
            Rights::Stranger => Rights::Member,
            rights => rights,
        };
        context::member(message, rights, is_judged)
    };
    let judged = member(message, true);
    let mut tokens = prompt_tokens + text::tokens(ASKED) + context::message_tokens(&judged);
    let mut newest = Vec::new();
    let before = before.iter().rev().filter(|earlier| earlier.id < message.id);
    for earlier in before.take(MOST_BEFORE as usize) {
        let earlier = member(earlier, false);
        let more = context::message_tokens(&earlier);
        if tokens + more > max_tokens {
            break;
        }
        tokens += more;
        newest.push(earlier);
    }
    newest.reverse();
    newest.push(judged);
    ToJudge { parts: vec![Part::Members(newest), Part::Note(ASKED.to_owned())], tokens }
}

/// Reads what a model wrote; none if it is not exactly a verdict.
pub(crate) fn written(turn: &ModelTurn) -> Option<Verdict> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        category: Category,
        severity: Severity,
        confidence: u8,
        reason: String,
    }

    if turn.stop != Stop::Done || !turn.tool_calls.is_empty() {
        return None;
    }
    let Written { category, severity, confidence, reason } =
        serde_json::from_str(unfenced(&turn.text)).ok()?;
    if confidence > 100 {
        return None;
    }
    let words: Vec<String> = text::clean(&reason).split_whitespace().map(str::to_owned).collect();
    let reason = words.join(" ").chars().take(LONGEST_REASON).collect();
    Some(Verdict { category, severity, confidence, reason })
}

/// Returns what stands in a block of code, where the whole text is one: many models write JSON so.
fn unfenced(text: &str) -> &str {
    const FENCE: &str = "```";

    let text = text.trim();
    let inside = text.strip_prefix(FENCE).and_then(|text| text.strip_suffix(FENCE));
    inside.map_or(text, |inside| inside.strip_prefix("json").unwrap_or(inside).trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        fixtures::{ANN, BEN, BOT, message},
        journal::ToolCall,
    };

    fn turn(text: &str) -> ModelTurn {
        ModelTurn { text: text.to_owned(), ..ModelTurn::default() }
    }

    const WHOLE: &str =
        r#"{"category":"scam","severity":"high","confidence":90,"reason":"It asks for a login."}"#;

    #[test]
    fn a_verdict_is_read_in_its_fixed_words() {
        let read = written(&turn(WHOLE)).unwrap();
        assert_eq!(
            (read.category, read.severity, read.confidence),
            (Category::Scam, Severity::High, 90)
        );
        assert_eq!(read.reason, "It asks for a login.");
        for fenced in
            [format!("```json\n{WHOLE}\n```"), format!("```{WHOLE}```"), format!(" {WHOLE}\n")]
        {
            assert_eq!(written(&turn(&fenced)).as_ref(), Some(&read), "{fenced}");
        }
        for category in Category::ALL {
            for severity in Severity::ALL {
                let text = format!(
                    r#"{{"category":"{}","severity":"{}","confidence":0,"reason":""}}"#,
                    category.as_word(),
                    severity.as_word()
                );
                let read = written(&turn(&text)).unwrap();
                assert_eq!((read.category, read.severity), (category, severity));
            }
        }
    }

    #[test]
    fn whatever_is_not_exactly_a_verdict_is_none() {
        for text in [
            "",
            "It is a scam.",
            "{}",
            "null",
            &WHOLE.replace("scam", "ban_member"),
            &WHOLE.replace("high", "extreme"),
            &WHOLE.replace("90", "101"),
            &WHOLE.replace("90", "-1"),
            &WHOLE.replace("90", "0.9"),
            &WHOLE.replace("90", "\"90\""),
            &WHOLE.replace(r#""reason":"#, r#""act":"ban_member","reason":"#),
            &WHOLE.replace(r#","reason":"It asks for a login.""#, ""),
            &format!("{WHOLE}{WHOLE}"),
            &format!("Here it is: {WHOLE}"),
            &format!("[{WHOLE}]"),
        ] {
            assert_eq!(written(&turn(text)), None, "{text}");
        }
        for stop in [Stop::Length, Stop::Refused, Stop::ToolCalls] {
            assert_eq!(written(&ModelTurn { stop, ..turn(WHOLE) }), None, "{stop:?}");
        }
        let call = ToolCall {
            call_id: "c".into(),
            tool: "ban_member".into(),
            arguments: "{}".into(),
            signature: String::new(),
        };
        assert_eq!(written(&ModelTurn { tool_calls: vec![call], ..turn(WHOLE) }), None);
    }

    #[test]
    fn its_sentence_is_one_bounded_line_without_hidden_characters() {
        let long = "word ".repeat(100);
        let text = WHOLE.replace("It asks", &format!("a\\n\u{202e}b\u{200b} {long}"));
        let reason = written(&turn(&text)).unwrap().reason;
        assert!(reason.starts_with("a b word word"), "{reason}");
        assert_eq!(reason.chars().count(), LONGEST_REASON);
    }

    #[test]
    fn the_message_is_judged_and_those_before_it_are_context() {
        let before: Vec<_> = (1..=9).map(|id| message(id, BEN, "before")).collect();
        let judged = message(8, ANN, "look at this");
        let packed = to_judge(&judged, &before, BOT, 10, 100_000);
        let [Part::Members(members), Part::Note(_)] = &packed.parts[..] else {
            panic!("{packed:?}")
        };
        let ids: Vec<_> = members.iter().map(|member| member.message.id.get()).collect();
        assert_eq!(ids, [3, 4, 5, 6, 7, 8], "none behind it, and few before it");
        let judged_ones: Vec<_> = members.iter().map(|member| member.is_to_be_answered).collect();
        assert_eq!(judged_ones, [false, false, false, false, false, true]);
        assert!(members.iter().all(|member| member.rights == Rights::Member));
        let small = to_judge(&judged, &before, BOT, 10, 1);
        let [Part::Members(members), _] = &small.parts[..] else { panic!("{small:?}") };
        assert_eq!(members.len(), 1, "what is judged is never cut");
    }
}

//! A channel's summary: what was said before the messages that a thread reads.
//!
//! A model made it of people's messages. So it is data as they are, it taints whoever reads it as
//! they do, and nothing in it is anybody's order.

use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use crate::domain::{
    context::{self, Part},
    journal::{ModelTurn, Stop, SummaryRead},
    message::Message,
    people::{People, Rights},
    text,
};

/// What a summary costs beside its text: its frame, and the words by which the model is told what it is.
const FRAME_TOKENS: u64 = 192;

/// What is asked at the end.
const ASKED: &str = "Write the summary now that takes the place of the earlier one.";

/// The longest summary, in bytes: room for the words that are asked for, in any script.
const LONGEST: usize = 6_000;

/// How many tokens a model may write of it.
pub(crate) const MOST_OUTPUT_TOKENS: u32 = 1_000;

/// How many messages must have left the window since the last one before another is made.
pub(crate) const LEAST_MESSAGES: u32 = 20;

/// How many of them are read at most, the newest; what lies before is not in it.
pub(crate) const MOST_MESSAGES: u32 = 200;

/// What was said in a channel, summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) text: String,
    /// It is made of messages from the first to the last.
    pub(crate) first: Id<MessageMarker>,
    pub(crate) last: Id<MessageMarker>,
    /// Of how many.
    pub(crate) messages: u32,
}

/// A request for a summary, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToSumUp {
    pub(crate) parts: Vec<Part>,
    /// Never below what the provider counts for ordinary text.
    pub(crate) tokens: u64,
    /// How many messages the summary will be of, those of the earlier one among them.
    pub(crate) messages: u32,
}

impl Summary {
    pub(crate) fn tokens(&self) -> u64 {
        FRAME_TOKENS + text::tokens_in_json(&self.text)
    }

    /// Returns it as the model may see it.
    pub(crate) fn cleaned(&self) -> Self {
        Self { text: text::clean(&self.text), ..self.clone() }
    }

    /// Returns what the journal says of it: never its text.
    pub(crate) fn record(&self) -> SummaryRead {
        let Self { first, last, messages, .. } = *self;
        SummaryRead { first, last, messages, tokens: self.tokens() }
    }
}

/// Packs what is to be summed up: the earlier summary, and of the messages behind it as many of the newest
/// as fit. None: not one does.
pub(crate) fn to_sum_up(
    earlier: Option<&Summary>,
    messages: &[Message],
    bot: Id<UserMarker>,
    prompt_tokens: u64,
    max_tokens: u64,
) -> Option<ToSumUp> {
    // What they may do is nothing that a summary tells.
    let people = People::default();
    let rights = |message: &Message| match context::rights(message, &people, bot) {
        Rights::Stranger => Rights::Member,
        rights => rights,
    };
    let earlier = earlier.map(Summary::cleaned);
    let mut tokens =
        prompt_tokens + text::tokens(ASKED) + earlier.as_ref().map_or(0, Summary::tokens);
    let mut newest = Vec::new();
    for message in messages.iter().rev() {
        let member = context::member(message, rights(message), false);
        let more = context::message_tokens(&member);
        if tokens + more > max_tokens {
            break;
        }
        tokens += more;
        newest.push(member);
    }
    if newest.is_empty() {
        return None;
    }
    newest.reverse();
    let count = u32::try_from(newest.len()).unwrap_or(u32::MAX);
    let messages = earlier.as_ref().map_or(0, |it| it.messages).saturating_add(count);
    let mut parts: Vec<Part> = earlier.map(Part::Summary).into_iter().collect();
    parts.extend([Part::Members(newest), Part::Note(ASKED.to_owned())]);
    Some(ToSumUp { parts, tokens, messages })
}

/// Returns what a model wrote as a summary; none if it is no such text.
pub(crate) fn written(turn: &ModelTurn) -> Option<String> {
    let text = text::clean(&turn.text);
    let text = text.trim();
    let is_whole = text.len() <= LONGEST && turn.stop == Stop::Done;
    let text = match turn.stop {
        Stop::Refused | Stop::ToolCalls => return None,
        Stop::Done | Stop::Length if is_whole => text,
        Stop::Done | Stop::Length => {
            // Its last sentence may be half of one.
            let text = text::cut(text, LONGEST);
            let end = text
                .rfind(['.', '!', '?', '。', '\n'])
                .map_or(text.len(), |at| at + text[at..].chars().next().map_or(0, char::len_utf8));
            text[..end].trim_end()
        }
    };
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ery_clock::UnixMillis;
    use ery_ids::TriggerId;

    use super::*;
    use crate::domain::{
        attachments::Shown,
        context::{Material, Packed, pack, taints},
        fixtures::{ANN, BEN, BOT, message},
        strategy::CONVERSATION,
        task_thread::{Limits, TaskThread},
        texts::Language,
        turn::{Turn, TurnMessage},
    };

    const T0: UnixMillis = UnixMillis(0);

    /// A turn of one message.
    fn turn() -> Turn {
        let message = message(90, ANN, "ery?");
        let trigger = TriggerId::Message(message.id);
        Turn::of(vec![TurnMessage { trigger, message, received_at: T0 }]).unwrap()
    }

    fn packed(summary: Option<&Summary>, history: &[Message], max_tokens: u64) -> Packed {
        let limits = Limits {
            max_steps: 9,
            max_tool_calls: 9,
            max_tokens: u64::MAX,
            time: Duration::from_mins(1),
        };
        let turn = turn();
        pack(Material {
            strategy: &CONVERSATION,
            prompt_tokens: 3,
            tools: &[],
            history,
            summary,
            thread: &TaskThread::new(&turn, limits, Language::English, T0),
            people: &People::default(),
            bot: BOT,
            is_shared: false,
            shown: Shown::default(),
            is_withheld: false,
            max_tokens,
        })
    }

    #[test]
    fn it_stands_before_the_messages_and_is_cut_after_them() {
        let summary =
            Summary { text: format!("they talk\u{200b}{}", "x".repeat(600)), ..earlier() };
        let history = [message(15, BEN, &"y".repeat(600))];
        let with = |max_tokens| packed(Some(&summary), &history, max_tokens);
        let roomy = with(100_000);
        let Part::Summary(first) = &roomy.parts[0] else { panic!("{:?}", roomy.parts[0]) };
        assert!(first.text.starts_with("they talkx") && roomy.has_summary);
        assert!(matches!(&roomy.parts[1], Part::Members(of) if of[0].message.id.get() == 15));
        let without = packed(None, &history, 100_000);
        assert_eq!(roomy.tokens, without.tokens + summary.cleaned().tokens());
        let tight = with(roomy.tokens - 1);
        assert_eq!((tight.messages, tight.has_summary), (0, true), "the messages go first");
        let tiny = with(tight.tokens - 1);
        assert_eq!((tiny.messages, tiny.has_summary), (0, false));
        let says = |note: &str| note.contains("summary") && note.contains("lack of room");
        assert!(tiny.parts.iter().any(|part| matches!(part, Part::Note(note) if says(note))));
    }

    #[test]
    fn it_taints_whoever_reads_it() {
        let own = [message(15, ANN, "mine")];
        assert!(!taints(&turn(), &own, None));
        assert!(taints(&turn(), &own, Some(&earlier())));
    }

    fn earlier() -> Summary {
        Summary {
            text: "ann\u{202e} likes trains".into(),
            first: Id::new(1),
            last: Id::new(9),
            messages: 40,
        }
    }

    fn ids(request: &ToSumUp) -> Vec<u64> {
        let members = request.parts.iter().filter_map(|part| match part {
            Part::Members(members) => Some(members),
            _ => None,
        });
        members.flatten().map(|member| member.message.id.get()).collect()
    }

    #[test]
    fn the_earlier_summary_stands_first_and_the_newest_messages_fit() {
        let messages: Vec<Message> =
            (10..30).map(|id| message(id, BEN, &"soup ".repeat(80))).collect();
        let roomy = to_sum_up(Some(&earlier()), &messages, BOT, 500, 100_000).unwrap();
        assert_eq!((roomy.messages, ids(&roomy).len()), (60, 20));
        let Part::Summary(first) = &roomy.parts[0] else { panic!("{:?}", roomy.parts[0]) };
        assert_eq!(first.text, "ann likes trains");
        assert!(matches!(roomy.parts.last(), Some(Part::Note(asked)) if asked == ASKED));
        let tight = to_sum_up(Some(&earlier()), &messages, BOT, 500, 1_500).unwrap();
        assert!(tight.tokens <= 1_500);
        assert_eq!(ids(&tight).last(), Some(&29), "the oldest go first");
        assert_eq!(tight.messages as usize, 40 + ids(&tight).len());
        assert_eq!(to_sum_up(None, &messages, BOT, 500, 600), None);
    }

    #[test]
    fn nobody_but_ery_has_rights_in_it() {
        let messages = [message(10, ANN, "hi"), message(11, BOT, "hello")];
        let request = to_sum_up(None, &messages, BOT, 0, 10_000).unwrap();
        let Part::Members(members) = &request.parts[0] else { panic!() };
        let rights: Vec<_> = members.iter().map(|member| member.rights).collect();
        assert_eq!(rights, [Rights::Member, Rights::Ery]);
        assert!(members.iter().all(|member| !member.is_to_be_answered));
    }

    #[test]
    fn a_text_is_taken_to_its_last_whole_sentence_and_nothing_else_is_one() {
        let turn = |text: &str, stop| ModelTurn { text: text.into(), stop, ..ModelTurn::default() };
        assert_eq!(written(&turn("  They talk. ", Stop::Done)).as_deref(), Some("They talk."));
        let cut = written(&turn("They talk. Then Ann sa", Stop::Length));
        assert_eq!(cut.as_deref(), Some("They talk."));
        let long = written(&turn(&"Ännchen ruft。".repeat(1_000), Stop::Done)).unwrap();
        assert!(long.len() <= LONGEST && long.ends_with('。'));
        for (text, stop) in [
            (" \u{200b}\n", Stop::Done),
            ("I will not.", Stop::Refused),
            ("calling", Stop::ToolCalls),
        ] {
            assert_eq!(written(&turn(text, stop)), None);
        }
    }
}

use super::{
    super::{
        clause::Clause,
        request::{Problem, Request, Target},
        tokens::Kind,
    },
    One, problem,
};

/// Discord's bound for a message.
const LONGEST_MESSAGE: usize = 2_000;

pub(super) fn read_send(mut at: Clause<'_>) -> Option<One<'_>> {
    let begins = at.take_any(
        "send a message to this channel|send a message in this channel|send a message here|\
         send a message|send the message|send this message|send message|\
         post a message here|post a message|write a message|post the message|\
         post this message",
    );
    if !begins {
        return None;
    }
    let mut ahead = at;
    if ahead.take("in|to|into|on")
        && (matches!(ahead.kind(), Some(Kind::Channel(_) | Kind::Hash)) || !ahead.is_idle())
    {
        let is_here = ahead.take_any("here|this channel|the channel|the chat");
        if !is_here {
            return Some(problem(Problem::SendElsewhere, at));
        }
        at = ahead;
    }
    at.take_pauses();
    at.take_any(
        "saying that|saying|that says|which says|with the text|with|reading|to say|and say",
    );
    at.take_pauses();
    let content = cut(&words_to_say(at), LONGEST_MESSAGE);
    if content.is_empty() {
        return Some(problem(Problem::SendWhat, at));
    }
    if let [.., before, last] = at.tokens()
        && before.kind == Kind::Word
        && matches!(before.low.as_str(), "in" | "to")
        && matches!(last.kind, Kind::Channel(_) | Kind::Hash)
    {
        return Some(problem(Problem::SendElsewhere, at));
    }
    Some((Request::Send { content }, at.after(usize::MAX)))
}

pub(super) fn read_say(mut at: Clause<'_>) -> Option<One<'_>> {
    if !at.take_any("say|repeat after me|repeat|echo|post") {
        return None;
    }
    at.take_pauses();
    let mut ahead = at;
    if let Some(greeting) = ahead.word()
        && matches!(greeting, "hi" | "hello" | "hey" | "goodbye" | "bye" | "welcome" | "congrats")
    {
        ahead.skip(1);
        if ahead.take("to")
            && let Some(Ok(member)) = ahead.take_target()
            && ahead.is_idle()
        {
            let mut greeting = greeting.to_owned();
            greeting[..1].make_ascii_uppercase();
            let name = match member {
                Target::Id(id) => format!("<@{id}>"),
                Target::Name(name) => name,
            };
            return Some((Request::Say { text: format!("{greeting}, {name}!") }, ahead));
        }
    }
    let text = cut(&words_to_say(at), LONGEST_MESSAGE);
    if text.is_empty() {
        return Some(problem(Problem::SendWhat, at));
    }
    Some((Request::Say { text }, at.after(usize::MAX)))
}

/// Returns the quote, if that is all, else everything.
fn words_to_say(at: Clause<'_>) -> String {
    match at.kind() {
        Some(Kind::Quote(_)) if at.after(1).is_idle() => at.text_until(at.after(1)),
        _ => at.text(),
    }
}

fn cut(text: &str, longest: usize) -> String {
    text.trim().chars().take(longest).collect()
}

use twilight_model::id::Id;

use super::{
    super::{
        clause::Clause,
        emoji,
        request::{MessageRef, Problem, Request},
        tokens::Kind,
    },
    One, problem,
};

pub(super) fn read_react(mut at: Clause<'_>) -> Option<One<'_>> {
    let is_react = at.take("react");
    let is_add = !is_react && at.take("add|put|leave|drop|give");
    if !is_react && !is_add {
        return None;
    }
    let mut message = None;
    let mut found = None;
    let mut says_reaction = is_react;
    let mut ahead = at;
    if is_add && message.is_none() {
        // `give that message a 👍`
        if let Some(reference) = take_message(&mut ahead) {
            message = Some(reference);
            at = ahead;
        }
    }
    while !at.is_idle() {
        at.take_pauses();
        if at.take("with|a|an|the|emoji|using|by") {
            continue;
        }
        if at.take("reaction|reactions") {
            says_reaction = true;
            continue;
        }
        let mut ahead = at;
        if message.is_none()
            && ahead.take("to|on|under|at")
            && let Some(reference) = take_message(&mut ahead)
        {
            message = Some(reference);
            at = ahead;
            continue;
        }
        if message.is_none()
            && is_react
            && let Some(reference) = take_message(&mut ahead)
        {
            message = Some(reference);
            at = ahead;
            continue;
        }
        if found.is_none()
            && let Some(emoji) = take_emoji(&mut at)
        {
            found = Some(emoji);
            continue;
        }
        break;
    }
    let Some(emoji) = found else {
        return says_reaction.then(|| problem(Problem::WhichEmoji, at));
    };
    if is_add && !says_reaction && message.is_none() {
        return None;
    }
    let mut next = at;
    let goes_on = next.take_connectors() && next.begins_a_command();
    if !at.is_idle() && !goes_on {
        return Some(problem(Problem::NotUnderstood(at.text()), at));
    }
    let context = at.context();
    let message = message.unwrap_or(MessageRef::Id(context.reply_to.unwrap_or(context.message)));
    Some((Request::React { message, emoji }, at))
}

fn take_emoji(at: &mut Clause<'_>) -> Option<String> {
    if let Some(Kind::Emoji(emoji)) = at.kind() {
        at.skip(1);
        return Some(emoji.clone());
    }
    if let Some(Kind::Quote(index)) = at.kind() {
        let quote = at.context().quotes.get(*index)?.trim();
        let is_one = emoji::length(quote) == Some(quote.len());
        return is_one.then(|| {
            at.skip(1);
            quote.to_owned()
        });
    }
    for (phrase, emoji) in [("thumbs up", "👍"), ("thumbs down", "👎"), ("check mark", "✅")] {
        if at.take_phrase(phrase) {
            return Some(emoji.to_owned());
        }
    }
    let emoji = emoji::named(at.word()?)?;
    at.skip(1);
    Some(emoji.to_owned())
}

/// Takes words for a message: `this`, `the last message`, `@bob's message`, an id.
fn take_message(at: &mut Clause<'_>) -> Option<MessageRef> {
    let context = at.context();
    let replied = context.reply_to.map(MessageRef::Id);
    if at.take_any("my message|my last message|mine") {
        return Some(MessageRef::Id(context.message));
    }
    let mut ahead = *at;
    if ahead.take_any(
        "the last message|the latest message|the previous message|last message|\
         previous message|the last one|the message above|the message before",
    ) {
        if ahead.take("from|by|of")
            && let Some(Ok(author)) = ahead.take_target()
        {
            *at = ahead;
            return Some(MessageRef::LastBy(author));
        }
        at.take_any(
            "the last message|the latest message|the previous message|last message|\
             previous message|the last one|the message above|the message before",
        );
        return Some(MessageRef::Last);
    }
    if at.take_any("this message|this one|this") {
        return Some(replied.unwrap_or(MessageRef::Id(context.message)));
    }
    if at.take_any(
        "that message|that one|that|it|the message|his message|her message|their message|\
         above",
    ) {
        return Some(replied.unwrap_or(MessageRef::Last));
    }
    if let Some(word) = at.word()
        && (15..=20).contains(&word.len())
        && let Some(id) = word.parse().ok().and_then(Id::new_checked)
    {
        at.skip(1);
        return Some(MessageRef::Id(id));
    }
    let mut ahead = *at;
    ahead.take_any("what");
    let is_mention = ahead.begins_with_mention();
    if let Some(Ok(author)) = ahead.take_target() {
        ahead.take_possessive();
        if is_mention && (ahead.is_idle() || ahead.next_is("with")) {
            *at = ahead;
            return Some(MessageRef::LastBy(author));
        }
        if ahead.take_any("last message|latest message|message|post|said|wrote") {
            *at = ahead;
            return Some(MessageRef::LastBy(author));
        }
    }
    None
}

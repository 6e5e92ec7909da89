//! What people read in the end. Nothing here says that something happened without an OK result.

use std::{fmt::Write as _, time::Duration};

use serde_json::Value;
use twilight_model::id::{Id, marker::UserMarker};

use crate::domain::conversation::{ToolCall, ToolResult, TurnRequest};

use super::{
    digest,
    duration::in_words,
    plan::{Item, Past, Step},
    request::{Problem, Remembered, Request, Talk},
    timeouts::DEFAULT_SECONDS,
};

/// The longest text; Discord's bound is 2,000 characters.
const LONGEST_TEXT: usize = 1_900;

/// Writes the answer: for each author what became of each request.
pub(super) fn text(items: &[Item<'_>], past: &Past<'_>, request: &TurnRequest) -> String {
    let mut authors: Vec<(Id<UserMarker>, Vec<String>)> = Vec::new();
    for item in items {
        let line = line(item, past, request);
        let index = authors.iter().position(|(author, _)| *author == item.message.author);
        let index = index.unwrap_or_else(|| {
            authors.push((item.message.author, Vec::new()));
            authors.len() - 1
        });
        let lines = &mut authors[index].1;
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let planned: Vec<&ToolCall> = items
        .iter()
        .filter_map(|item| match &item.step {
            Step::Call(call) => Some(call),
            _ => None,
        })
        .collect();
    let mut text = String::new();
    for result in past.others(&planned) {
        let _ = writeln!(text, "{}", outcome(result, &result.tool));
    }
    let is_shared = authors.len() > 1;
    for (author, lines) in &authors {
        if is_shared {
            let _ = write!(text, "<@{author}>: ");
        }
        let _ = writeln!(text, "{}", lines.join("\n"));
    }
    if text.is_empty() {
        text.push_str(UNKNOWN);
    }
    cut(text.trim_end(), LONGEST_TEXT)
}

fn line(item: &Item<'_>, past: &Past<'_>, request: &TurnRequest) -> String {
    match (&item.step, &item.request) {
        (Step::Call(call), _) => match past.result(call) {
            Some(result) => said(item, result, request),
            None => format!(
                "I asked for {}, but have no result, so I can't say that it happened.",
                wish(&item.request)
            ),
        },
        (Step::NotOffered(tool), wanted) => format!(
            "I understood that you want {}, but the tool for it (`{tool}`) was not given to me \
             here, so I did nothing.",
            wish(wanted)
        ),
        (Step::Problem(found), _) => problem(found, request),
        (Step::Words, Request::Say { text }) => text.clone(),
        (Step::Words, Request::Talk(found)) => talk(*found, request),
        (Step::Words, _) => UNKNOWN.to_owned(),
    }
}

/// Says what a call brought.
fn said(item: &Item<'_>, result: &ToolResult, request: &TurnRequest) -> String {
    let wish = wish(&item.request);
    let Some(content) = ok_content(result) else { return outcome(result, &wish) };
    match &item.request {
        Request::CatchUp { channel, window_secs, .. } => digest::catch_up(
            &content,
            item.message,
            channel.as_ref(),
            window_secs.map(|secs| request.place.now - Duration::from_secs(secs)),
            request.place.now,
        )
        .unwrap_or_else(|| outcome(result, &wish)),
        Request::Search { .. } => {
            digest::found(&content, request.place.now).unwrap_or_else(|| outcome(result, &wish))
        }
        Request::Remind { whom, .. } => {
            reminded(*whom, &content).unwrap_or_else(|| outcome(result, &wish))
        }
        Request::TellThen { .. } => told_then(&content).unwrap_or_else(|| outcome(result, &wish)),
        _ => outcome(result, &wish),
    }
}

/// Returns when something is due that is planned, in seconds, and its id.
fn planned(content: &Value) -> Option<(i64, &str)> {
    let due = content.get("due_at_ms")?.as_i64()?.div_euclid(1_000);
    Some((due, content.get("id")?.as_str()?))
}

/// Says for when an answer is planned.
fn told_then(content: &Value) -> Option<String> {
    let (due, id) = planned(content)?;
    Some(format!(
        "I'll look that up and tell everybody here on <t:{due}:f> (<t:{due}:R>). To take it back: \
         `/schedule cancel`, id `{id}`."
    ))
}

/// Says for when a reminder is planned.
fn reminded(whom: Remembered, content: &Value) -> Option<String> {
    let (due, id) = planned(content)?;
    let whom = match whom {
        Remembered::Asker => "you".to_owned(),
        Remembered::Everybody => "everybody here".to_owned(),
        Remembered::Member(member) => format!("<@{member}>"),
    };
    Some(format!(
        "I'll remind {whom} on <t:{due}:f> (<t:{due}:R>). To take it back: `/schedule cancel`, \
         id `{id}`."
    ))
}

/// Returns the content of a result that says that the call was carried out.
fn ok_content(result: &ToolResult) -> Option<Value> {
    let content: Value = serde_json::from_str(&result.content).ok()?;
    (!result.is_error && content.get("ok") == Some(&Value::Bool(true))).then_some(content)
}

/// Says whether a call was carried out, in the words of its result.
fn outcome(result: &ToolResult, wish: &str) -> String {
    let sentence = |content: &Value, key: &str| {
        let sentence = content.get(key)?.as_str()?.trim();
        (!sentence.is_empty()).then(|| sentence.to_owned())
    };
    if let Some(content) = ok_content(result) {
        return sentence(&content, "summary").unwrap_or_else(|| format!("Done: {wish}."));
    }
    let content: Value = serde_json::from_str(&result.content).unwrap_or_default();
    let why = sentence(&content, "reason")
        .or_else(|| sentence(&content, "summary"))
        .or_else(|| sentence(&content, "error").map(|error| format!("the tool says “{error}”")));
    match why {
        Some(why) => format!("I have not done {wish}: {why}"),
        None => format!("I have not done {wish}; I was not told why."),
    }
}

/// Names what was wanted: `the timeout of <@1> for 10 minutes`.
fn wish(request: &Request) -> String {
    match request {
        Request::Timeout { member, seconds: 0, .. } => format!("the end of {member}'s timeout"),
        Request::Timeout { member, seconds, .. } => {
            format!("the timeout of {member} for {}", in_words(*seconds))
        }
        Request::Ban { member, seconds: 0, .. } => format!("the ban of {member}"),
        Request::Ban { member, seconds, .. } => {
            format!("the ban of {member} for {}", in_words(*seconds))
        }
        Request::BanMany { members, .. } => format!("the ban of {} people", members.len()),
        Request::Unban { member, .. } => format!("the end of {member}'s ban"),
        Request::Kick { member, .. } => format!("the kick of {member}"),
        Request::Warn { member, .. } => format!("the warning of {member}"),
        Request::Role { member, gives: true, .. } => format!("the role for {member}"),
        Request::Role { member, gives: false, .. } => format!("the end of {member}'s role"),
        Request::MoveRole { .. } => "the move of that role".into(),
        Request::Lock { locks: true, .. } => "the lock of that channel".into(),
        Request::Lock { locks: false, .. } => "the end of that channel's lock".into(),
        Request::Delete { .. } => "the deletion of that message".into(),
        Request::Purge { count: 1, .. } => "the deletion of a message".into(),
        Request::Purge { count, .. } => format!("the deletion of {count} messages"),
        Request::Pin { pins: true, .. } => "the pin".into(),
        Request::Pin { pins: false, .. } => "the end of that pin".into(),
        Request::MemberInfo { member } => format!("the look-up of {member}"),
        Request::CatchUp { channel: Some(channel), .. } => format!("the summary of {channel}"),
        Request::CatchUp { channel: None, .. } => "the summary of this channel".into(),
        Request::Search { query: Some(query), .. } => format!("the search for “{query}”"),
        Request::Search { .. } => "the search".into(),
        Request::React { .. } => "the reaction".into(),
        Request::Send { .. } => "the message".into(),
        Request::Poll { .. } => "the poll".into(),
        Request::Remind { .. } => "the reminder".into(),
        Request::TellThen { .. } => "to hear that later".into(),
        Request::Say { .. } | Request::Talk(_) | Request::Problem(_) => "that".into(),
    }
}

const UNKNOWN: &str = "I didn't understand that. I run in built-in command mode, without a \
    language model, and know only plain commands in English: write “help” to see them.";

fn talk(talk: Talk, request: &TurnRequest) -> String {
    match talk {
        Talk::Help => help(request),
        Talk::About => "I'm Ery, a community manager for this server. At the moment I run in \
            built-in command mode: no language model is behind me, I only follow plain commands in \
            English. Write “help” to see which."
            .into(),
        Talk::ExplainTimeout => format!(
            "A timeout keeps a member from writing, reacting and speaking for a while, at most 28 \
             days; it ends by itself or when it is lifted. Who may time members out can write \
             “timeout @name for 10 minutes because …”; without a length it is {}.",
            in_words(DEFAULT_SECONDS)
        ),
        Talk::Refrain => "All right, I'm doing nothing.".into(),
        Talk::NotAnOrder => "I didn't read that as an order, so I did nothing. An order begins \
            with what to do, as in “timeout @name for 10 minutes because …”. (This is built-in \
            command mode, without a language model.)"
            .into(),
        Talk::Ping => "Pong! I'm here, in built-in command mode.".into(),
        Talk::HowAreYou => "All well here, thanks! I'm in built-in command mode, without a \
            language model, so small talk is not my strength; “help” shows what I can do."
            .into(),
        Talk::Thanks => "You're welcome!".into(),
        Talk::Bye => "Bye!".into(),
        Talk::Nod => "Okay!".into(),
        Talk::Greeting => "Hello! I'm in built-in command mode, without a language model: write \
            “help” to see what I can do."
            .into(),
        Talk::Unknown => UNKNOWN.into(),
    }
}

/// What each tool is good for, as a command to copy.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "timeout_member",
        "“timeout @name for 10 minutes because …”, “untimeout @name” (if you may do that yourself)",
    ),
    ("ban_member", "“ban @name for 3 days because …”, “unban” with a mention or an id"),
    ("kick_member", "“kick @name because …”"),
    ("warn_member", "“warn @name for …”"),
    (
        "manage_roles",
        "“give @name the role Helper”, “remove the role Helper from @name”, “move the role Helper \
         above Member”",
    ),
    ("manage_permissions", "“lock #channel”, “unlock this channel”"),
    (
        "delete_message",
        "“delete this”, as a reply, “delete the last 20 messages”, “purge 5 messages by @name”",
    ),
    ("pin_message", "“pin this” or “unpin this”, as a reply"),
    ("get_member_info", "“who is @name”"),
    ("fetch_messages", "“what did I miss”, “summarise #channel”"),
    ("search_messages", "“search for pizza from @name in #channel”"),
    ("add_reaction", "“react with 👍”, as a reply or to the last message"),
    ("send_message", "“send a message saying …”, “poll: pizza or pasta?”"),
    (
        "schedule_action",
        "“remind me in 20 minutes to …”, “remind us tomorrow at 9 to …”, “tomorrow at 9 tell us what \
         we missed” (times of day are UTC)",
    ),
];

fn help(request: &TurnRequest) -> String {
    let mut text = String::from(
        "I'm in built-in command mode, without a language model. What I understand here:",
    );
    let mut is_any = false;
    for (tool, example) in EXAMPLES {
        if request.tools.iter().any(|offered| offered.name == *tool) {
            is_any = true;
            let _ = write!(text, "\n• {example}");
        }
    }
    if !is_any {
        return "I'm in built-in command mode, without a language model, and I was given no tools \
                here that I know, so all I can do is say what you tell me to: “say …”."
            .into();
    }
    text.push_str("\n• “say …”");
    text
}

#[expect(clippy::too_many_lines, reason = "a sentence for each")]
fn problem(problem: &Problem, request: &TurnRequest) -> String {
    match problem {
        Problem::PollWhat => {
            "I couldn't read that poll, so I made none. Write a question and 2 to \
            10 short answers, as in “poll: where do we meet? park, café, online”."
                .into()
        }
        Problem::RemindWhen => "I couldn't tell when, so I planned nothing. Write for example \
            “remind me in 20 minutes to …” or “remind us tomorrow at 9 to …” (times of day are \
            UTC)."
            .into(),
        Problem::Whom => "I couldn't tell whom you mean, so I did nothing. Name the member, as in \
            “timeout @name for 10 minutes”, or reply to one of their messages."
            .into(),
        Problem::Everyone => "I don't do that to everyone at once; I did nothing. Name the \
            members one by one."
            .into(),
        Problem::Role => "I can't do that to a whole role; I did nothing. Name the members one by \
            one."
            .into(),
        Problem::Myself => "I can't do that to myself, so I did nothing.".into(),
        Problem::TooLong => "Discord allows timeouts of at most 28 days, so I did nothing. Give a \
            shorter time."
            .into(),
        Problem::Endless => "A timeout can't last for ever: Discord allows at most 28 days. I did \
            nothing."
            .into(),
        Problem::Vague => {
            "I need a length of time for that, such as “10 minutes” or “2h”, so I did \
            nothing."
                .into()
        }
        Problem::Zero => "A timeout must be longer than zero, so I did nothing. To end one, write \
            “untimeout @name”."
            .into(),
        Problem::WhichUnit(number) => format!(
            "{number} of what? I did nothing. Write for example “{number} minutes” or “{number}h”."
        ),
        Problem::NoLength(part) => format!(
            "I couldn't read “{}” as a length of time, so I did nothing. Write for example “10 \
             minutes” or “2h”; a reason goes behind “because”.",
            cut(part, 60)
        ),
        Problem::NoLengthThere => "Kicks and warnings have no length of time, so I did nothing. \
            Leave it out; a reason goes behind “because”."
            .into(),
        Problem::BanTooLong => "A ban for a time may be ten years long at most, so I did nothing. \
            Leave the length out to ban for good."
            .into(),
        Problem::DeletesTooMuch => "Discord deletes with a ban what somebody wrote in the last 7 \
            days at most, so I did nothing. Give a shorter time."
            .into(),
        Problem::PurgesTooMany => "I delete 1 to 100 messages at once, so I did nothing. Give a \
            smaller number."
            .into(),
        Problem::WhichRole => "I couldn't tell which role you mean, so I did nothing. Write for \
            example “give @name the role Helper”."
            .into(),
        Problem::TwoDurations => {
            "I found two lengths of time in that, so I did nothing. Give one.".into()
        }
        Problem::Later => "In built-in command mode I can only act at once, not later and not on \
            a condition, so I did nothing."
            .into(),
        Problem::AskedOnly => "That was a question, so I did nothing. If you want it done, write \
            it without the question mark."
            .into(),
        Problem::PeopleOrReason(part) => format!(
            "I wasn't sure whether “{}” names people or is the reason, so I did nothing. Mention \
             people with @, or write “because …”.",
            cut(part, 100)
        ),
        Problem::ReasonOrAside(part) => format!(
            "I wasn't sure whether “{}” is the reason, so I did nothing. Write “because …” before a \
             reason.",
            cut(part, 100)
        ),
        Problem::NotUnderstood(part) if part.is_empty() => UNKNOWN.into(),
        Problem::NotUnderstood(part) => format!(
            "I didn't understand “{}”, so I did nothing about it. (I'm in built-in command mode, \
             without a language model.)",
            cut(part, 100)
        ),
        Problem::SearchWhat => "Search for what? Write for example “search for pizza”.".into(),
        Problem::WhichEmoji => {
            "I couldn't tell which emoji. Write for example “react with 👍”.".into()
        }
        Problem::WhichMessage => "I couldn't tell which message you mean, so I did nothing. Reply \
            to it, for example with “react with 👍”."
            .into(),
        Problem::SendWhat => "What should it say? Write for example “say hello”.".into(),
        Problem::SendElsewhere => {
            "I can only send messages in this channel, so I did nothing.".into()
        }
        Problem::NotCovered { verb, tool } => {
            if request.tools.iter().any(|offered| offered.name == *tool) {
                format!(
                    "I don't know “{verb}” in that form in built-in command mode, so I did \
                     nothing. With a language model behind me I could use the tool for it."
                )
            } else {
                format!(
                    "I understood “{verb}”, but the tool for it (`{tool}`) was not given to me \
                     here, so I did nothing."
                )
            }
        }
        Problem::LongText => "That is too long for built-in command mode, so I did nothing. Write \
            the command by itself."
            .into(),
        Problem::TooMany => "That was too much at once; I left out the rest. Ask for at most 10 \
            things in one go."
            .into(),
    }
}

/// Cuts a text to so many characters.
pub(super) fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(longest.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

use crate::domain::conversation::{
    Answer, MemberMessage, Order, Place, Stop, ToolCall, ToolResult, ToolSpec, Turn, TurnRequest,
    Usage,
};

use super::{
    report,
    request::{MessageRef, Place as Channel, Problem, Remembered, Request, Target, When},
    understand::understand,
};

/// How many calls a turn makes at most.
const MOST_CALLS: usize = 10;

/// The name by which this mode goes, as a provider and as a model.
pub(crate) const NAME: &str = "builtin";

/// Answers a turn: with the calls that are still to be made, else with a text about them.
pub(crate) fn answer(request: &TurnRequest) -> Answer {
    let items = plan(request);
    let past = Past::of(&request.turns);
    let calls: Vec<ToolCall> = items
        .iter()
        .filter_map(|item| match &item.step {
            Step::Call(call) if past.find(call).is_none() => Some(call.clone()),
            _ => None,
        })
        .collect();
    if !calls.is_empty() {
        return with(String::new(), calls, Stop::ToolCalls);
    }
    with(report::text(&items, &past, request), Vec::new(), Stop::Done)
}

/// Reads the acts that a message orders, for the tools that are given.
pub(crate) fn orders(message: &MemberMessage, place: &Place, tools: &[ToolSpec]) -> Vec<Order> {
    understand(message, place)
        .into_iter()
        .filter(Request::is_an_act)
        .filter_map(|request| call_of(&request, message, &[]).ok())
        .filter(|(tool, _)| tools.iter().any(|offered| offered.name == *tool))
        .map(|(tool, arguments)| Order { tool: tool.to_owned(), arguments: arguments.to_string() })
        .take(MOST_CALLS)
        .collect()
}

fn with(text: String, calls: Vec<ToolCall>, stop: Stop) -> Answer {
    Answer {
        text,
        calls,
        stop,
        usage: Usage::default(),
        model: NAME.to_owned(),
        provider_request_id: String::new(),
    }
}

/// A request of a message that is to be answered, and what is done for it.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) message: &'a MemberMessage,
    pub(super) request: Request,
    pub(super) step: Step,
}

#[derive(Debug)]
pub(super) enum Step {
    Call(ToolCall),
    /// The tool for it was not offered.
    NotOffered(&'static str),
    Problem(Problem),
    /// Words are enough.
    Words,
}

fn plan(request: &TurnRequest) -> Vec<Item<'_>> {
    let messages: Vec<&MemberMessage> = request
        .turns
        .iter()
        .filter_map(|turn| match turn {
            Turn::Members(messages) => Some(messages),
            _ => None,
        })
        .flatten()
        .collect();
    let mut items = Vec::new();
    let mut calls = 0;
    for message in messages.iter().filter(|message| message.is_to_be_answered) {
        for (index, wanted) in understand(message, &request.place).into_iter().enumerate() {
            let step = if wanted.is_for_a_tool() {
                match call_of(&wanted, message, &messages) {
                    Ok((tool, _)) if !request.tools.iter().any(|offered| offered.name == tool) => {
                        Step::NotOffered(tool)
                    }
                    Ok(_) if calls >= MOST_CALLS => Step::Problem(Problem::TooMany),
                    Ok((tool, arguments)) => {
                        calls += 1;
                        Step::Call(ToolCall {
                            id: format!("m{}-{index}", message.id),
                            tool: tool.to_owned(),
                            arguments: arguments.to_string(),
                            signature: String::new(),
                        })
                    }
                    Err(problem) => Step::Problem(problem),
                }
            } else if let Request::Problem(problem) = &wanted {
                Step::Problem(problem.clone())
            } else {
                Step::Words
            };
            items.push(Item { message, request: wanted, step });
        }
    }
    items
}

/// Returns the tool for a request, and its arguments.
fn call_of(
    request: &Request,
    message: &MemberMessage,
    messages: &[&MemberMessage],
) -> Result<(&'static str, Value), Problem> {
    let mut arguments = Map::new();
    if let Some(tool) = act_of(request, &mut arguments) {
        return Ok((tool, Value::Object(arguments)));
    }
    let tool = match request {
        Request::MemberInfo { member } => {
            set(&mut arguments, "member", member.argument().into());
            "get_member_info"
        }
        Request::CatchUp { channel, limit, .. } => {
            match channel {
                Some(channel) => set(&mut arguments, "channel", channel.argument().into()),
                // Not the request itself.
                None => set(&mut arguments, "before", message.id.to_string().into()),
            }
            set(&mut arguments, "limit", (*limit).into());
            "fetch_messages"
        }
        Request::Search { query, author, channel } => {
            if let Some(query) = query {
                set(&mut arguments, "query", query.clone().into());
            }
            if let Some(author) = author {
                set(&mut arguments, "author", author.argument().into());
            }
            if let Some(channel) = channel {
                set(&mut arguments, "channel", channel.argument().into());
            }
            "search_messages"
        }
        Request::React { message: reference, emoji } => {
            let id = match reference {
                MessageRef::Id(id) => Some(*id),
                MessageRef::Last => newest(message, messages, |_| true),
                MessageRef::LastBy(author) => newest(message, messages, |other| match author {
                    super::request::Target::Id(id) => other.author == *id,
                    super::request::Target::Name(name) => {
                        other.author_name.to_lowercase() == name.to_lowercase()
                    }
                }),
            };
            let Some(id) = id else {
                return Err(Problem::WhichMessage);
            };
            set(&mut arguments, "message", id.to_string().into());
            set(&mut arguments, "emoji", emoji.clone().into());
            "add_reaction"
        }
        Request::Send { content } => {
            set(&mut arguments, "content", content.clone().into());
            "send_message"
        }
        Request::Poll { question, answers, hours } => {
            let poll = json!({ "question": question, "answers": answers, "hours": hours });
            set(&mut arguments, "poll", poll);
            "send_message"
        }
        Request::Remind { whom, when, text } => {
            remind(&mut arguments, message, (*whom, text));
            set_when(&mut arguments, *when);
            "schedule_action"
        }
        Request::TellThen { when, words } => {
            set(&mut arguments, "prompt", words.clone().into());
            set_when(&mut arguments, *when);
            "schedule_action"
        }
        _ => return Err(Problem::NotUnderstood(String::new())),
    };
    Ok((tool, Value::Object(arguments)))
}

/// Writes the arguments of a plan that reminds somebody.
fn remind(
    arguments: &mut Map<String, Value>,
    message: &MemberMessage,
    (whom, text): (Remembered, &str),
) {
    let member = match whom {
        Remembered::Asker => Some(message.author),
        Remembered::Member(member) => Some(member),
        Remembered::Everybody => None,
    };
    let head = member.map_or_else(|| "Reminder".to_owned(), |member| format!("<@{member}>"));
    let text = if text.is_empty() { "it is time." } else { text };
    let content = format!("⏰ {head}: {text}");
    let notified: Vec<String> = member.iter().map(ToString::to_string).collect();
    set(arguments, "tool", "send_message".into());
    set(arguments, "arguments", json!({ "content": content, "mention_users": notified }));
}

/// Writes when something is due that is planned.
fn set_when(arguments: &mut Map<String, Value>, when: When) {
    match when {
        When::In(seconds) => set(arguments, "in_seconds", seconds.into()),
        When::At(at) => {
            let at = at.format(&Rfc3339).unwrap_or_default();
            set(arguments, "at", at.into());
        }
    }
}

/// Returns the tool for an act that moderates, and writes its arguments; none for what is no act.
fn act_of(request: &Request, arguments: &mut Map<String, Value>) -> Option<&'static str> {
    let (tool, reason) = match request {
        Request::Timeout { member, seconds, reason } => {
            set(arguments, "member", member.argument().into());
            set(arguments, "duration_seconds", (*seconds).into());
            ("timeout_member", reason)
        }
        Request::Ban { member, seconds, delete_seconds, reason } => {
            set(arguments, "member", member.argument().into());
            for (name, seconds) in
                [("duration_seconds", *seconds), ("delete_message_seconds", *delete_seconds)]
            {
                if seconds > 0 {
                    set(arguments, name, seconds.into());
                }
            }
            ("ban_member", reason)
        }
        Request::BanMany { members, delete_seconds, reason } => {
            let members: Vec<String> = members.iter().map(Target::argument).collect();
            set(arguments, "members", members.into());
            if *delete_seconds > 0 {
                set(arguments, "delete_message_seconds", (*delete_seconds).into());
            }
            ("ban_member", reason)
        }
        Request::Unban { member, reason } => {
            set(arguments, "member", member.argument().into());
            set(arguments, "action", "unban".into());
            ("ban_member", reason)
        }
        Request::Kick { member, reason } => {
            set(arguments, "member", member.argument().into());
            ("kick_member", reason)
        }
        Request::Warn { member, reason } => {
            set(arguments, "member", member.argument().into());
            ("warn_member", reason)
        }
        Request::Role { member, role, gives, reason } => {
            set(arguments, "action", if *gives { "give" } else { "take" }.into());
            set(arguments, "member", member.argument().into());
            set(arguments, "role", role.clone().into());
            ("manage_roles", reason)
        }
        Request::MoveRole { role, other, is_above, reason } => {
            set(arguments, "action", "move".into());
            set(arguments, "role", role.clone().into());
            set(arguments, if *is_above { "above" } else { "below" }, other.clone().into());
            ("manage_roles", reason)
        }
        Request::Lock { channel, locks, reason } => {
            let channel = channel.as_ref().map_or_else(|| "here".to_owned(), Channel::argument);
            set(arguments, "channel", channel.into());
            set(arguments, "role", "@everyone".into());
            set(
                arguments,
                if *locks { "deny" } else { "clear" },
                ["SEND_MESSAGES", "SEND_MESSAGES_IN_THREADS"].as_slice().into(),
            );
            ("manage_permissions", reason)
        }
        Request::Delete { message, reason } => {
            set(arguments, "message", message.to_string().into());
            ("delete_message", reason)
        }
        Request::Purge { count, by, channel, reason } => {
            set(arguments, "latest", u64::from(*count).into());
            if let Some(by) = by {
                set(arguments, "by", by.to_string().into());
            }
            if let Some(channel) = channel {
                set(arguments, "channel", Channel::argument(channel).into());
            }
            ("delete_message", reason)
        }
        Request::Pin { message, pins, reason } => {
            set(arguments, "action", if *pins { "pin" } else { "unpin" }.into());
            set(arguments, "message", message.to_string().into());
            ("pin_message", reason)
        }
        _ => return None,
    };
    if let Some(reason) = reason {
        set(arguments, "reason", reason.clone().into());
    }
    Some(tool)
}

fn set(arguments: &mut Map<String, Value>, name: &str, value: Value) {
    arguments.insert(name.to_owned(), value);
}

/// Returns the newest message before `message` that fits.
fn newest(
    message: &MemberMessage,
    messages: &[&MemberMessage],
    fits: impl Fn(&MemberMessage) -> bool,
) -> Option<twilight_model::id::Id<twilight_model::id::marker::MessageMarker>> {
    messages.iter().filter(|other| other.id < message.id && fits(other)).map(|other| other.id).max()
}

/// The calls that were made already, and their results.
#[derive(Debug, Default)]
pub(super) struct Past<'a> {
    calls: Vec<&'a ToolCall>,
    results: HashMap<&'a str, &'a ToolResult>,
}

impl<'a> Past<'a> {
    fn of(turns: &'a [Turn]) -> Self {
        let mut past = Self::default();
        for turn in turns {
            match turn {
                Turn::Assistant { calls, .. } => past.calls.extend(calls),
                Turn::Results(results) => {
                    past.results
                        .extend(results.iter().map(|result| (result.call_id.as_str(), result)));
                }
                Turn::Members(_)
                | Turn::Images(_)
                | Turn::Files(_)
                | Turn::Note(_)
                | Turn::Summary(_) => {}
            }
        }
        past
    }

    /// Finds a call that was made: by its id, or by what it does, for the journal may hold the
    /// same call under another id.
    pub(super) fn find(&self, call: &ToolCall) -> Option<&'a ToolCall> {
        let same = |other: &ToolCall| {
            other.tool == call.tool
                && serde_json::from_str::<Value>(&other.arguments).ok()
                    == serde_json::from_str(&call.arguments).ok()
        };
        let by_id = self.calls.iter().find(|other| other.id == call.id);
        by_id.or_else(|| self.calls.iter().find(|other| same(other))).copied()
    }

    pub(super) fn result(&self, call: &ToolCall) -> Option<&'a ToolResult> {
        self.results.get(self.find(call)?.id.as_str()).copied()
    }

    /// Returns the results of calls other than `planned`.
    pub(super) fn others(&self, planned: &[&ToolCall]) -> Vec<&'a ToolResult> {
        let found: Vec<&str> = planned
            .iter()
            .filter_map(|call| self.find(call))
            .map(|call| call.id.as_str())
            .collect();
        self.calls
            .iter()
            .filter(|call| !found.contains(&call.id.as_str()))
            .filter_map(|call| self.results.get(call.id.as_str()).copied())
            .collect()
    }
}

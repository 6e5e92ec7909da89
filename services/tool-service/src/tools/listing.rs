//! Messages as data for the model.

use serde_json::{Map, Value, json};

use super::Run;
use crate::{
    adapters::discord::wire::{RawMessage, time_stamp},
    domain::text,
};

/// How much of one message is shown.
const MAX_CONTENT: usize = 1_500;

/// How much is shown of each thing that a message shows beside its text.
const MAX_ENCLOSURE: usize = 1_500;

/// Messages, within the bound of a result.
pub(crate) struct Listed {
    pub(crate) messages: Vec<Value>,
    /// How many of the oldest did not fit.
    pub(crate) cut: usize,
}

impl Listed {
    /// Says what was cut, for the end of a summary.
    pub(crate) fn remark(&self) -> String {
        match self.cut {
            0 => String::new(),
            cut => format!("; {cut} more did not fit, ask for fewer at a time"),
        }
    }
}

/// Lists messages, which come with the oldest first; the newest are kept if not all fit.
pub(crate) fn list(messages: &[RawMessage], run: &Run<'_>) -> Listed {
    let count = messages.len();
    let mut room = run.max_result_bytes;
    let mut kept = Vec::with_capacity(count);
    for message in messages.iter().rev() {
        let shown = show(message, run);
        let size = shown.to_string().len() + 1;
        if size > room {
            break;
        }
        room -= size;
        kept.push(shown);
    }
    kept.reverse();
    Listed { cut: count - kept.len(), messages: kept }
}

fn show(message: &RawMessage, run: &Run<'_>) -> Value {
    let member = run.guild().and_then(|guild| run.guilds.known_member(guild, message.author.id));
    let name = member.as_ref().map_or_else(|| message.author.name(), |member| member.name());
    let mut shown = Map::new();
    shown.insert("id".into(), json!(message.id.to_string()));
    shown.insert("author_id".into(), json!(message.author.id.to_string()));
    shown.insert("author".into(), json!(text::name(name)));
    if let Some(at) = time_stamp(message.created_at()) {
        shown.insert("at".into(), json!(at));
    }
    let content = text::shortened(&text::visible(&message.content), MAX_CONTENT);
    shown.insert("content".into(), json!(content));
    if message.author.id == run.bot {
        shown.insert("is_mine".into(), json!(true));
    } else if message.author.bot || message.webhook_id.is_some() {
        shown.insert("is_bot".into(), json!(true));
    }
    if let Some(reply_to) = message.reply_to() {
        shown.insert("reply_to".into(), json!(reply_to.to_string()));
    }
    if !message.attachments.is_empty() {
        let names = message.attachments.iter().take(10);
        let names: Vec<_> = names.map(|file| text::name(&file.filename)).collect();
        shown.insert("attachments".into(), json!(names));
    }
    // Many a bot writes nothing but embeds.
    let enclosures = message.enclosures(true).into_iter().map(|enclosure| {
        let text = text::shortened(&text::visible(&enclosure.text), MAX_ENCLOSURE);
        json!({ "kind": enclosure.kind.as_word(), "text": text })
    });
    let enclosures: Vec<_> = enclosures.collect();
    if !enclosures.is_empty() {
        shown.insert("enclosures".into(), json!(enclosures));
    }
    Value::Object(shown)
}

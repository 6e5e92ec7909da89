//! Messages as data for the model.

use serde_json::{Map, Value, json};

use super::Run;
use crate::{
    adapters::discord::wire::{RawMessage, time_stamp},
    domain::text,
};

/// How much of one message is shown.
const MAX_CONTENT: usize = 1_500;

/// How much of one embed is shown, and of how many.
const MAX_EMBED: usize = 700;
const MAX_EMBEDS: usize = 4;

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
    beside_the_content(message, &mut shown);
    Value::Object(shown)
}

/// Adds what a message says elsewhere than in its content: many a bot writes nothing but embeds.
fn beside_the_content(message: &RawMessage, shown: &mut Map<String, Value>) {
    let line = |text: &str, most| text::shortened(&text::visible(text), most);
    let embeds = message.embeds.iter().take(MAX_EMBEDS).filter_map(|embed| {
        let heads = [&embed.title, &embed.description].into_iter().flatten().cloned();
        let fields = embed.fields.iter().map(|field| format!("{}: {}", field.name, field.value));
        let text = heads.chain(fields).collect::<Vec<_>>().join("\n");
        (!text.trim().is_empty()).then(|| line(&text, MAX_EMBED))
    });
    let embeds: Vec<_> = embeds.collect();
    if !embeds.is_empty() {
        shown.insert("embeds".into(), json!(embeds));
    }
    if let Some(poll) = &message.poll {
        let answers: Vec<_> = poll.answers().take(10).map(|answer| line(answer, 55)).collect();
        let poll = json!({ "question": line(poll.question(), 300), "answers": answers });
        shown.insert("poll".into(), poll);
    }
    if !message.sticker_items.is_empty() {
        let names = message.sticker_items.iter().take(3);
        let names: Vec<_> = names.map(|sticker| text::name(&sticker.name)).collect();
        shown.insert("stickers".into(), json!(names));
    }
}

//! Messages.

use serde_json::Value;

use super::{answer::Answer, call::Call, form::Form, multipart::Part, polls::poll_of};
use crate::{
    domain::{
        AllowedMentions, ChannelId, Draft, Edit, Forward, MessageId, NewAttachment, Nonce, Page,
        Refusal, ReplyTo,
    },
    wire,
};

/// The types of references.
const REPLY: i64 = 0;
const FORWARD: i64 = 1;

pub(super) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel = call.id("channel_id")?;
    let limit = call.query_number("limit", 1..=100, 50)?;
    let page = if let Some(around) = call.query_id("around")? {
        Page::Around(around)
    } else if let Some(before) = call.query_id("before")? {
        Page::Before(before)
    } else if let Some(after) = call.query_id("after")? {
        Page::After(after)
    } else {
        Page::Newest
    };
    let world = &call.state.world;
    let messages = world.list_messages(call.bot, channel, page, limit, call.now)?;
    let (viewer, sight) = (Some(call.bot), call.sight());
    let views = messages.into_iter();
    let views: Vec<_> =
        views.map(|message| wire::MessageView::rest(world, message, viewer, sight)).collect();
    Ok(Answer::json(&views))
}

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (channel, message) = (call.id("channel_id")?, call.id("message_id")?);
    call.state.world.get_message(call.bot, channel, message, call.now)?;
    shown(call, channel, message)
}

/// Answers with a message as the bot sees it.
pub(super) fn shown(
    call: &Call<'_>,
    channel: ChannelId,
    message: MessageId,
) -> Result<Answer, Refusal> {
    let world = &call.state.world;
    let message = world.channel(channel)?.message(message)?;
    Ok(Answer::json(&wire::MessageView::rest(world, message, Some(call.bot), call.sight())))
}

pub(super) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel = call.id("channel_id")?;
    let (mut form, files) = call.form_and_files()?;
    let draft = draft_of(&mut form, files);
    form.finish()?;
    let effect = call.state.world.create_message(call.bot, channel, draft, call.now)?;
    let created = call.apply(effect);
    shown(call, channel, created.message)
}

pub(super) fn draft_of(form: &mut Form, files: Vec<Part>) -> Draft {
    let described = form.list("attachments").unwrap_or_default();
    let (reply_to, forward) = reference_of(form);
    Draft {
        content: form.text("content").unwrap_or_default(),
        embeds: embeds_of(form).unwrap_or_default(),
        components: form.list("components").unwrap_or_default(),
        attachments: files.into_iter().map(|file| attachment_of(file, &described)).collect(),
        allowed_mentions: allowed_mentions_of(form),
        reply_to,
        forward,
        stickers: form.ids("sticker_ids").unwrap_or_default(),
        nonce: nonce_of(form),
        enforce_nonce: form.boolean("enforce_nonce").unwrap_or(false),
        tts: form.boolean("tts").unwrap_or(false),
        poll: poll_of(form),
        flags: flags_of(form).unwrap_or(0),
    }
}

fn embeds_of(form: &mut Form) -> Option<Vec<Value>> {
    match form.take("embed") {
        // One embed alone is the old form, which still works.
        Some(embed @ Value::Object(_)) => Some(vec![embed]),
        _ => form.list("embeds"),
    }
}

fn flags_of(form: &mut Form) -> Option<u64> {
    form.integer("flags").and_then(|flags| u64::try_from(flags).ok())
}

fn nonce_of(form: &mut Form) -> Option<Nonce> {
    match form.take("nonce")? {
        Value::Null => None,
        Value::String(text) => Some(Nonce::Text(text)),
        Value::Number(number) if number.is_i64() => number.as_i64().map(Nonce::Number),
        _ => {
            form.error("nonce", "NUMBER_TYPE_COERCE", "Value is not int or string.");
            None
        }
    }
}

/// Reads what a message answers, or what it forwards.
fn reference_of(form: &mut Form) -> (Option<ReplyTo>, Option<Forward>) {
    let reference = form.object("message_reference", |form| {
        let message = form.id("message_id");
        if message.is_none() {
            form.require("message_id");
        }
        let channel = form.id("channel_id");
        let forwards = form.choice("type", &[REPLY, FORWARD]) == Some(FORWARD);
        if forwards && channel.is_none() {
            form.require("channel_id");
        }
        let fail_if_not_exists = form.boolean("fail_if_not_exists").unwrap_or(true);
        let message = message?;
        Some(if forwards {
            (None, channel.map(|channel| Forward { channel, message }))
        } else {
            (Some(ReplyTo { message, channel, fail_if_not_exists }), None)
        })
    });
    reference.flatten().unwrap_or_default()
}

fn allowed_mentions_of(form: &mut Form) -> Option<AllowedMentions> {
    form.object("allowed_mentions", |form| {
        let mut allowed = AllowedMentions {
            parse_users: false,
            parse_roles: false,
            parse_everyone: false,
            users: form.ids("users").unwrap_or_default(),
            roles: form.ids("roles").unwrap_or_default(),
            replied_user: form.boolean("replied_user").unwrap_or(false),
        };
        for (index, kind) in form.list("parse").unwrap_or_default().iter().enumerate() {
            match kind.as_str() {
                Some("users") => allowed.parse_users = true,
                Some("roles") => allowed.parse_roles = true,
                Some("everyone") => allowed.parse_everyone = true,
                _ => {
                    let message = "Value must be one of ('users', 'roles', 'everyone').";
                    form.error(&format!("parse/{index}"), "BASE_TYPE_CHOICES", message);
                }
            }
        }
        allowed
    })
}

/// Joins a file with its description: `files[N]` goes with the attachment whose id is N.
fn attachment_of(file: Part, described: &[Value]) -> NewAttachment {
    let index = file.name.strip_prefix("files[").and_then(|rest| rest.strip_suffix(']'));
    let is_its = |attachment: &&Value| match (&attachment["id"], index) {
        (Value::String(id), Some(index)) => id == index,
        (Value::Number(id), Some(index)) => id.to_string() == index,
        _ => false,
    };
    let about = described.iter().find(is_its);
    let said = |key: &str| about.and_then(|about| about[key].as_str()).map(str::to_owned);
    NewAttachment {
        filename: said("filename").or(file.filename).unwrap_or_default(),
        description: said("description"),
        content_type: file.content_type,
        content: bytes::Bytes::copy_from_slice(&file.content),
    }
}

pub(super) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (channel, message) = (call.id("channel_id")?, call.id("message_id")?);
    let (mut form, files) = call.form_and_files()?;
    let edit = edit_of(&mut form, files);
    form.finish()?;
    let effect = call.state.world.edit_message(call.bot, channel, message, edit, call.now)?;
    call.apply(effect);
    shown(call, channel, message)
}

/// Reads an edit. What is null is taken away.
pub(super) fn edit_of(form: &mut Form, files: Vec<Part>) -> Edit {
    let attachments =
        if form.is_null("attachments") { Some(Vec::new()) } else { form.list("attachments") };
    let described = attachments.clone().unwrap_or_default();
    let components =
        if form.is_null("components") { Some(Vec::new()) } else { form.list("components") };
    let embeds = if form.is_null("embeds") { Some(Vec::new()) } else { embeds_of(form) };
    Edit {
        content: form.nullable_text("content").map(Option::unwrap_or_default),
        embeds,
        components,
        allowed_mentions: allowed_mentions_of(form),
        attachments: attachments.map(|kept| {
            let id = |attachment: &Value| match &attachment["id"] {
                Value::String(id) => id.parse().ok(),
                id => id.as_u64(),
            };
            kept.iter().filter_map(id).collect()
        }),
        files: files.into_iter().map(|file| attachment_of(file, &described)).collect(),
        flags: flags_of(form),
        poll: poll_of(form),
    }
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (channel, message) = (call.id("channel_id")?, call.id("message_id")?);
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.delete_message(call.bot, channel, message, reason.as_deref(), call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn crosspost(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (channel, message) = (call.id("channel_id")?, call.id("message_id")?);
    let effect = call.state.world.crosspost(call.bot, channel, message, call.now)?;
    call.apply(effect);
    shown(call, channel, message)
}

pub(super) fn bulk_delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel = call.id("channel_id")?;
    let mut form = call.form()?;
    let messages: Option<Vec<MessageId>> = form.ids("messages");
    if messages.is_none() {
        form.require("messages");
    }
    form.finish()?;
    let messages = messages.unwrap_or_default();
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.bulk_delete(call.bot, channel, &messages, reason.as_deref(), call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

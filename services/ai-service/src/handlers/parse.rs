//! Parses what the contracts carry, once, into what the domain knows.

use twilight_model::id::Id;

use ery_clock::UnixMillis;
use ery_enclosures::Enclosure;
use ery_proto::{
    ai::v1::{
        Image as ProtoImage, MemberMessage as ProtoMemberMessage, RunModelTurnRequest,
        TextFile as ProtoTextFile, ToolSpec as ProtoToolSpec, Turn as ProtoTurn, turn::Kind,
    },
    common::v1::{Message, ProviderKey},
};

use crate::{
    adapters::GuildKeys,
    domain::conversation::{
        Attachment, Image, MemberMessage, Mention, Place, Summary, TextFile, ToolCall, ToolResult,
        ToolSpec, Turn, TurnRequest,
    },
    error::CallError,
};

/// The shortest marker that nobody guesses.
const SHORTEST_MARKER: usize = 8;

/// `instructions` are the request's own, with the prompt before them.
pub(super) fn turn_request(
    request: RunModelTurnRequest,
    instructions: String,
) -> Result<TurnRequest, CallError> {
    let marker = request.marker;
    if marker.len() < SHORTEST_MARKER || !marker.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(CallError::Marker);
    }
    let mut turns = Vec::with_capacity(request.turns.len());
    for mut given in request.turns {
        let (images, files) = match &mut given.kind {
            Some(Kind::Members(members)) => (
                images(std::mem::take(&mut members.images))?,
                files(std::mem::take(&mut members.files))?,
            ),
            _ => (Vec::new(), Vec::new()),
        };
        let given = turn(given)?;
        // Pictures and files may come without a message of their own.
        if !matches!(&given, Turn::Members(messages) if messages.is_empty()) {
            turns.push(given);
        }
        if !images.is_empty() {
            turns.push(Turn::Images(images));
        }
        if !files.is_empty() {
            turns.push(Turn::Files(files));
        }
    }
    Ok(TurnRequest {
        instructions,
        turns,
        tools: tools(request.tools),
        max_output_tokens: (request.max_output_tokens > 0).then_some(request.max_output_tokens),
        marker,
        place: place(request.bot_id, request.bot_name, request.now_ms),
    })
}

/// Reads the keys that a guild brings; none: what is asked is asked on the operator's.
pub(super) fn guild_keys(
    guild_id: u64,
    keys: Vec<ProviderKey>,
) -> Result<Option<GuildKeys>, CallError> {
    if keys.is_empty() {
        return Ok(None);
    }
    let guild = Id::new_checked(guild_id).ok_or(CallError::Missing { field: "guild_id" })?;
    let is_sendable = |key: &ProviderKey| {
        !key.key.is_empty() && key.key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !keys.iter().all(is_sendable) {
        return Err(CallError::Key);
    }
    let keys = keys.into_iter().map(|key| (key.provider, key.key.into())).collect();
    Ok(Some(GuildKeys { guild, keys }))
}

pub(super) fn place(bot_id: u64, bot_name: String, now_ms: i64) -> Place {
    Place { bot: Id::new_checked(bot_id), bot_name, now: UnixMillis(now_ms) }
}

pub(super) fn tools(tools: Vec<ProtoToolSpec>) -> Vec<ToolSpec> {
    tools
        .into_iter()
        .map(|tool| ToolSpec {
            name: tool.name,
            description: tool.description,
            parameters: tool.parameters,
        })
        .collect()
}

/// The kinds of pictures that every provider takes.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

fn images(images: Vec<ProtoImage>) -> Result<Vec<Image>, CallError> {
    let image = |image: ProtoImage| {
        if !IMAGES.contains(&image.media_type.as_str())
            || image.data.is_empty() == image.url.is_empty()
        {
            return Err(CallError::Image);
        }
        let message = Id::new_checked(image.message_id)
            .ok_or(CallError::Missing { field: "turns.members.images.message_id" })?;
        let ProtoImage { media_type, data, url, .. } = image;
        Ok(Image { message, media_type, data: data.into(), url })
    };
    images.into_iter().map(image).collect()
}

fn files(files: Vec<ProtoTextFile>) -> Result<Vec<TextFile>, CallError> {
    let file = |file: ProtoTextFile| {
        let message = Id::new_checked(file.message_id)
            .ok_or(CallError::Missing { field: "turns.members.files.message_id" })?;
        Ok(TextFile {
            message,
            filename: file.filename,
            url: file.url,
            max_bytes: usize::try_from(file.max_bytes).unwrap_or(usize::MAX),
            text: String::new(),
            is_cut: false,
        })
    };
    files.into_iter().map(file).collect()
}

fn turn(turn: ProtoTurn) -> Result<Turn, CallError> {
    Ok(match turn.kind.ok_or(CallError::Missing { field: "turns.kind" })? {
        Kind::Members(members) => Turn::Members(
            members.messages.into_iter().map(member_message).collect::<Result<_, _>>()?,
        ),
        Kind::Assistant(assistant) => Turn::Assistant {
            text: assistant.text,
            calls: assistant
                .tool_calls
                .into_iter()
                .map(|call| ToolCall {
                    id: call.call_id,
                    tool: call.tool,
                    arguments: call.arguments,
                    signature: call.signature,
                })
                .collect(),
        },
        Kind::ToolResults(results) => Turn::Results(
            results
                .results
                .into_iter()
                .map(|result| ToolResult {
                    call_id: result.call_id,
                    tool: result.tool,
                    content: result.content,
                    is_error: result.is_error,
                })
                .collect(),
        ),
        Kind::Note(note) => Turn::Note(note),
        Kind::Summary(summary) => Turn::Summary(Summary {
            text: summary.text,
            from: UnixMillis(summary.from_ms),
            until: UnixMillis(summary.until_ms),
            messages: summary.messages,
        }),
    })
}

fn member_message(message: ProtoMemberMessage) -> Result<MemberMessage, CallError> {
    let inner = message.message.ok_or(CallError::Missing { field: "turns.members.message" })?;
    member_message_of(inner, message.rights, message.is_to_be_answered)
}

pub(super) fn member_message_of(
    message: Message,
    rights: String,
    is_to_be_answered: bool,
) -> Result<MemberMessage, CallError> {
    let mentions = message.mentions.into_iter().filter_map(|mention| {
        Some(Mention { user: Id::new_checked(mention.user_id)?, name: mention.name })
    });
    let attachments = message.attachments.into_iter().map(|attachment| Attachment {
        filename: attachment.filename,
        content_type: attachment.content_type,
        size_bytes: attachment.size_bytes,
    });
    Ok(MemberMessage {
        id: Id::new_checked(message.message_id)
            .ok_or(CallError::Missing { field: "message.message_id" })?,
        author: Id::new_checked(message.author_id)
            .ok_or(CallError::Missing { field: "message.author_id" })?,
        author_name: message.author_name,
        rights,
        text: message.content,
        at: UnixMillis(message.created_at_ms),
        reply_to: Id::new_checked(message.reply_to),
        reply_to_author: Id::new_checked(message.reply_to_author_id),
        mentions: mentions.collect(),
        attachments: attachments.collect(),
        enclosures: message.enclosures.into_iter().filter_map(Enclosure::from_proto).collect(),
        is_to_be_answered,
    })
}

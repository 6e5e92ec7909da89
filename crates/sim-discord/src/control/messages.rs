use std::sync::Arc;

use axum::extract::{Path, Query, State};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use ery_clock::UnixMillis;

use super::{ControlError, Reply, read};
use crate::{
    domain::{
        AllowedMentions, ChannelId, Draft, Edit, Emoji, Forward, MessageId, NewAttachment, NewPoll,
        Nonce, Page, Refusal, ReplyTo, StickerId, UserId, World, page_of,
    },
    form::Form,
    rest::poll_of,
    shared::Shared,
    wire,
};

/// The largest file that is made of nothing but its size.
const MAX_EMPTY_FILE: usize = 25 * 1024 * 1024;
/// How often one request may say the same.
const MAX_REPEATED: usize = 1_000_000;
/// After so many of them others have their turn.
const BREATH: usize = 64;

#[derive(Debug, Deserialize)]
pub(super) struct Speech {
    channel_id: ChannelId,
    author_id: UserId,
    #[serde(default)]
    content: String,
    #[serde(default)]
    reply_to: Option<MessageId>,
    /// Whether a reply mentions the author of what it answers; it does unless told otherwise.
    #[serde(default)]
    reply_mentions: Option<bool>,
    #[serde(default)]
    attachments: Vec<AttachedFile>,
    #[serde(default)]
    embeds: Vec<Value>,
    /// As Discord reads it.
    #[serde(default)]
    poll: Option<Value>,
    /// What is forwarded; a forward says nothing itself.
    #[serde(default)]
    forward: Option<Forwarded>,
    #[serde(default)]
    sticker_ids: Vec<StickerId>,
    #[serde(default)]
    nonce: Option<String>,
    /// Says it so many times; the answer is the last message.
    #[serde(default)]
    count: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Forwarded {
    channel_id: ChannelId,
    message_id: MessageId,
}

#[derive(Debug, Deserialize)]
pub(super) struct AttachedFile {
    filename: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
    /// The content as text.
    #[serde(default)]
    content: Option<String>,
    /// The content in base64.
    #[serde(default)]
    data: Option<String>,
    /// So many zeros, where the content does not matter.
    #[serde(default)]
    size: Option<usize>,
}

impl AttachedFile {
    pub(super) fn read(self) -> Result<NewAttachment, ControlError> {
        let content = match (self.content, self.data, self.size) {
            (Some(text), _, _) => Bytes::from(text),
            (None, Some(data), _) => STANDARD.decode(data).map(Bytes::from).map_err(|_| {
                ControlError::bad_request(format!("{}: data is no base64", self.filename))
            })?,
            (None, None, size) => Bytes::from(vec![0; size.unwrap_or(0).min(MAX_EMPTY_FILE)]),
        };
        Ok(NewAttachment {
            filename: self.filename,
            description: self.description,
            content_type: self.content_type,
            content,
        })
    }
}

/// Answers with a whole message, seen by nobody in particular.
pub(super) fn shown(
    world: &World,
    channel: ChannelId,
    message: MessageId,
) -> Result<Reply, ControlError> {
    let message = world.channel(channel)?.message(message)?;
    Ok(Reply::json(&wire::MessageView::rest(world, message, None, wire::Sight::Full)))
}

/// `POST /sim/v1/messages`: somebody speaks, as far as they may.
pub(super) async fn speak(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let speech: Speech = read(&body)?;
    let attachments: Result<_, _> =
        speech.attachments.into_iter().map(AttachedFile::read).collect();
    let reply_to =
        speech.reply_to.map(|message| ReplyTo { message, channel: None, fail_if_not_exists: true });
    let poll = speech.poll.map(read_poll).transpose()?.flatten();
    let draft = Draft {
        content: speech.content,
        embeds: speech.embeds,
        attachments: attachments?,
        poll,
        allowed_mentions: Some(AllowedMentions {
            replied_user: speech.reply_mentions.unwrap_or(true),
            ..AllowedMentions::all()
        }),
        reply_to,
        forward: speech
            .forward
            .map(|it| Forward { channel: it.channel_id, message: it.message_id }),
        stickers: speech.sticker_ids,
        nonce: speech.nonce.map(Nonce::Text),
        ..Draft::default()
    };
    let (channel, author) = (speech.channel_id, speech.author_id);
    let count = speech.count.unwrap_or(1);
    if !(1..=MAX_REPEATED).contains(&count) {
        let problem = format!("count must be between 1 and {MAX_REPEATED}");
        return Err(ControlError::bad_request(problem));
    }
    let mut said = None;
    for index in 1..=count {
        {
            let state = &mut *shared.lock();
            let now = shared.clock.now();
            let draft = with_mentions(&state.world, channel, draft.clone())?;
            let effect = state.world.create_message(author, channel, draft, now)?;
            said = Some(state.apply(effect, now).message);
        }
        if index % BREATH == 0 {
            shared.breathe().await;
        }
    }
    let said = said.ok_or(Refusal::EmptyMessage)?;
    shown(&shared.lock().world, channel, said)
}

/// Reads a poll as REST does, with the same errors.
fn read_poll(poll: Value) -> Result<Option<NewPoll>, Refusal> {
    let mut form = Form::new([("poll".to_owned(), poll)].into_iter().collect());
    let poll = poll_of(&mut form);
    form.finish().map(|()| poll)
}

fn with_mentions(world: &World, channel: ChannelId, draft: Draft) -> Result<Draft, Refusal> {
    let content = world.with_mentions_resolved(world.channel(channel)?, draft.content);
    Ok(Draft { content, ..draft })
}

#[derive(Debug, Deserialize)]
pub(super) struct Editing {
    content: String,
    /// Who edits; the author where it is not said.
    #[serde(default)]
    author_id: Option<UserId>,
}

/// `PATCH /sim/v1/messages/{channel}/{message}`
pub(super) async fn edit(
    State(shared): State<Arc<Shared>>,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let editing: Editing = read(&body)?;
    let state = &mut *shared.lock();
    let now = shared.clock.now();
    let place = state.world.channel(channel)?;
    let editor = editing.author_id.unwrap_or(place.message(message)?.author);
    let content = state.world.with_mentions_resolved(place, editing.content);
    let edit = Edit { content: Some(content), ..Edit::default() };
    let effect = state.world.edit_message(editor, channel, message, edit, now)?;
    state.apply(effect, now);
    shown(&state.world, channel, message)
}

#[derive(Debug, Deserialize)]
pub(super) struct Deleting {
    /// Who deletes; the author where it is not said.
    #[serde(default)]
    author_id: Option<UserId>,
}

/// `DELETE /sim/v1/messages/{channel}/{message}`
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
    Query(deleting): Query<Deleting>,
) -> Result<Reply, ControlError> {
    shared.act(|world, now| {
        let author = world.channel(channel)?.message(message)?.author;
        let actor = deleting.author_id.unwrap_or(author);
        world.delete_message(actor, channel, message, None, now)
    })?;
    Ok(Reply::no_content())
}

#[derive(Debug, Deserialize)]
pub(super) struct Reacting {
    channel_id: ChannelId,
    message_id: MessageId,
    user_id: UserId,
    emoji: String,
}

/// `POST /sim/v1/reactions`
pub(super) async fn react(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let reacting: Reacting = read(&body)?;
    let emoji = Emoji::parse(&reacting.emoji)?;
    let (channel, message) = (reacting.channel_id, reacting.message_id);
    shared.act(|world, now| world.add_reaction(reacting.user_id, channel, message, emoji, now))?;
    shown(&shared.lock().world, channel, message)
}

/// `DELETE /sim/v1/reactions`, with a body, or with the same in the query.
pub(super) async fn unreact(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Reacting>, axum::extract::rejection::QueryRejection>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let reacting = match query {
        Ok(Query(reacting)) => reacting,
        Err(_) => read(&body)?,
    };
    let emoji = Emoji::parse(&reacting.emoji)?;
    let (user, channel, message) = (reacting.user_id, reacting.channel_id, reacting.message_id);
    shared.act(|world, now| world.remove_reaction(user, channel, message, &emoji, user, now))?;
    Ok(Reply::no_content())
}

#[derive(Debug, Deserialize)]
pub(super) struct Typing {
    channel_id: ChannelId,
    user_id: UserId,
}

/// `POST /sim/v1/typing`
pub(super) async fn start_typing(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let typing: Typing = read(&body)?;
    shared.act(|world, now| world.start_typing(typing.user_id, typing.channel_id, now))?;
    Ok(Reply::no_content())
}

#[derive(Debug, Deserialize)]
pub(super) struct Conversation {
    user_id: UserId,
    /// The world's first bot where it is not said.
    #[serde(default)]
    other_id: Option<UserId>,
}

/// `POST /sim/v1/dms`: opens the direct message of two people.
pub(super) async fn open_dm(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let conversation: Conversation = read(&body)?;
    let user = conversation.user_id;
    let channel = shared.act(|world, now: UnixMillis| {
        world.user(user)?;
        let other = conversation.other_id.or(world.bots.first().map(|bot| bot.user));
        world.open_dm(user, other.ok_or(Refusal::InvalidRecipient)?, now)
    })?;
    let state = shared.lock();
    Ok(Reply::json(&wire::dm_channel(&state.world, state.world.channel(channel)?, user)))
}

#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    before: Option<MessageId>,
    #[serde(default)]
    after: Option<MessageId>,
}

/// `GET /sim/v1/channels/{channel}/messages`: the newest first, whatever anybody may see.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<ChannelId>,
    Query(listing): Query<Listing>,
) -> Result<Reply, ControlError> {
    let page = match (listing.before, listing.after) {
        (Some(before), _) => Page::Before(before),
        (None, Some(after)) => Page::After(after),
        (None, None) => Page::Newest,
    };
    let state = shared.lock();
    let world = &state.world;
    let messages = page_of(world.channel(channel)?, page, listing.limit.unwrap_or(50));
    let view = |message| wire::MessageView::rest(world, message, None, wire::Sight::Full);
    let views: Vec<_> = messages.into_iter().map(view).collect();
    Ok(Reply::json(&views))
}

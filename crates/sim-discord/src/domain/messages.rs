//! Messages: sending, editing, deleting, reading.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, AllowedMentions, Attachment, Audience, Channel, ChannelId, ChannelKind, Dispatch,
    Effect, FieldError, GuildId, Message, MessageId, MessageKind, NewPoll, Nonce, Outcome,
    Reference, Refusal, StickerId, UserId, World,
    audit::{Deed, Done, action},
    components::{self, IS_COMPONENTS_V2, ShownFile},
    created_at, embeds,
    forwards::{Forward, HAS_SNAPSHOT},
    mentions::Mentions,
};
use crate::wire;

const MAX_CONTENT: usize = 2_000;
const MAX_ATTACHMENTS: usize = 10;
const MAX_NONCE: usize = 25;
/// "A few minutes", says Discord.
const NONCE_WINDOW: Duration = Duration::from_mins(5);
/// The bound of the nonces kept; the oldest are forgotten first.
const MAX_NONCES: usize = 100_000;
const BULK_DELETE_AGE: Duration = Duration::from_hours(14 * 24);
/// What a sender may set: no embeds, no notification, components of the second version.
const SETTABLE_FLAGS: u64 = (1 << 2) | (1 << 12) | IS_COMPONENTS_V2;
pub(crate) const SUPPRESS_EMBEDS: u64 = 1 << 2;

/// A message that somebody wants to send.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) content: String,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    pub(crate) attachments: Vec<NewAttachment>,
    pub(crate) poll: Option<NewPoll>,
    pub(crate) allowed_mentions: Option<AllowedMentions>,
    pub(crate) reply_to: Option<ReplyTo>,
    pub(crate) forward: Option<Forward>,
    pub(crate) stickers: Vec<StickerId>,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) enforce_nonce: bool,
    pub(crate) tts: bool,
    pub(crate) flags: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct ReplyTo {
    pub(crate) message: MessageId,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) fail_if_not_exists: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct NewAttachment {
    pub(crate) filename: String,
    pub(crate) description: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) content: Bytes,
}

/// By whom a message is, beside what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub(super) author: UserId,
    pub(super) kind: MessageKind,
    pub(super) reference: Option<Reference>,
    /// What the sender may do in the channel.
    pub(super) rights: Permissions,
}

/// What came of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Created {
    pub(crate) message: MessageId,
    /// Whether an enforced nonce found the message that was sent before.
    pub(crate) is_repeat: bool,
}

/// A change of a message; what is none stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edit {
    pub(crate) content: Option<String>,
    pub(crate) embeds: Option<Vec<Value>>,
    pub(crate) components: Option<Vec<Value>>,
    pub(crate) allowed_mentions: Option<AllowedMentions>,
    /// The attachments that stay.
    pub(crate) attachments: Option<Vec<u64>>,
    /// New files, beside those that stay.
    pub(crate) files: Vec<NewAttachment>,
    pub(crate) flags: Option<u64>,
    /// Only what was waited for can still become a poll.
    pub(crate) poll: Option<NewPoll>,
}

impl Edit {
    fn changes_only_flags(&self) -> bool {
        self.content.is_none()
            && self.embeds.is_none()
            && self.components.is_none()
            && self.attachments.is_none()
            && self.files.is_empty()
            && self.poll.is_none()
    }
}

/// Which messages of a channel are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Newest,
    Before(MessageId),
    After(MessageId),
    Around(MessageId),
}

/// Which enforced nonces were used lately, and for what.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    messages: HashMap<(UserId, ChannelId, Nonce), MessageId>,
    order: VecDeque<(UnixMillis, (UserId, ChannelId, Nonce))>,
}

impl Nonces {
    fn find(&mut self, key: &(UserId, ChannelId, Nonce), now: UnixMillis) -> Option<MessageId> {
        while self.order.len() > MAX_NONCES
            || self.order.front().is_some_and(|(at, _)| now.since(*at) > NONCE_WINDOW)
        {
            let (_, key) = self.order.pop_front()?;
            self.messages.remove(&key);
        }
        self.messages.get(key).copied()
    }

    fn keep(&mut self, key: (UserId, ChannelId, Nonce), message: MessageId, now: UnixMillis) {
        self.order.push_back((now, key.clone()));
        self.messages.insert(key, message);
    }
}

impl World {
    /// Sends a message.
    pub(crate) fn create_message(
        &mut self,
        author: UserId,
        channel: ChannelId,
        draft: Draft,
        now: UnixMillis,
    ) -> Outcome<Created> {
        self.write_message(author, channel, draft, None, now)
    }

    /// Sends a message, or, with `id`, the first one of a forum's post, which has the post's id.
    pub(super) fn write_message(
        &mut self,
        author: UserId,
        channel: ChannelId,
        draft: Draft,
        id: Option<MessageId>,
        now: UnixMillis,
    ) -> Outcome<Created> {
        let place = self.channel(channel)?;
        let is_first = id.is_some();
        let rights = self.check_may_send(author, place, &draft, is_first, now)?;
        let nonce_key = match draft.nonce.clone().filter(|_| draft.enforce_nonce) {
            Some(nonce) => {
                let key = (author, channel, nonce);
                if let Some(first) = self.nonces.find(&key, now) {
                    self.channel(channel)?.message(first)?;
                    return Ok(Effect::none(Created { message: first, is_repeat: true }));
                }
                Some(key)
            }
            None => None,
        };

        let place = self.channel(channel)?;
        let reference = referenced(place, draft.reply_to.as_ref(), rights)?;
        let kind = if reference.is_some() { MessageKind::REPLY } else { MessageKind::DEFAULT };
        let sender = Sender { author, kind, reference, rights };
        let composed = self.compose(sender, channel, draft, now)?;
        let message = Message { id: id.unwrap_or(composed.id), ..composed };
        let id = message.id;
        let mentioned = message.mentions.clone();
        if let Some(key) = nonce_key {
            self.nonces.keep(key, id, now);
        }
        let mut dispatches = Vec::with_capacity(1);
        if !is_first {
            self.stir_thread(channel, Some(author), &mentioned, now, &mut dispatches);
        }
        self.insert_message(message, now, &mut dispatches);
        Ok(Effect::new(Created { message: id, is_repeat: false }, dispatches))
    }

    /// Makes a message of a draft, held to all limits of what a message may be.
    pub(super) fn compose(
        &mut self,
        sender: Sender,
        channel: ChannelId,
        draft: Draft,
        now: UnixMillis,
    ) -> Result<Message, Refusal> {
        check_draft(&draft)?;
        let embeds = embeds::accept(draft.embeds)?;
        let is_v2 = draft.flags & IS_COMPONENTS_V2 != 0;
        let files: Vec<String> =
            draft.attachments.iter().map(|file| safe_filename(&file.filename)).collect();
        let mut components = components::accept(draft.components, is_v2, &files)?;
        let place = self.channel(channel)?;
        let allowed = draft.allowed_mentions.unwrap_or_else(AllowedMentions::all);
        let text = text_of(&draft.content, &components);
        let mut mentions = self.mentions_in(place, &text, &allowed, sender.rights);
        self.mention_replied(place, sender.reference, sender.author, &allowed, &mut mentions);

        let forwarded = draft.forward.map(|forward| self.snapshot(sender.author, forward, now));
        let (forwarded, snapshot) = forwarded.transpose()?.unzip();
        let poll =
            draft.poll.map(|poll| self.new_poll(poll, sender.author, place, sender.rights, now));
        let poll = poll.transpose()?.map(Box::new);

        let guild = place.guild;
        let stickers = self.sticker_items(guild, &draft.stickers)?;
        let id: MessageId = self.mint.next(now);
        let attachments = self.keep_attachments(channel, draft.attachments, now);
        self.show_files(&mut components, &attachments, now);
        Ok(Message {
            content: draft.content,
            tts: draft.tts,
            mention_everyone: mentions.everyone,
            mentions: mentions.users,
            mention_roles: mentions.roles,
            attachments,
            embeds,
            components,
            stickers,
            poll,
            reference: forwarded.or(sender.reference),
            nonce: draft.nonce,
            flags: (draft.flags & SETTABLE_FLAGS)
                | if snapshot.is_some() { HAS_SNAPSHOT } else { 0 },
            snapshot: snapshot.map(Box::new),
            ..Message::new(id, channel, guild, sender.author, sender.kind)
        })
    }

    /// Gives the media of components their addresses.
    fn show_files(
        &mut self,
        components: &mut [Value],
        attachments: &[Attachment],
        now: UnixMillis,
    ) {
        if components.is_empty() {
            return;
        }
        let files: Vec<ShownFile<'_>> = attachments
            .iter()
            .map(|file| ShownFile {
                id: file.id,
                filename: &file.filename,
                url: &file.url,
                content_type: file.content_type.as_deref(),
                size: file.size,
            })
            .collect();
        components::complete_media(components, &files, &mut self.mint, now);
    }

    /// Puts a message into its channel and dispatches it.
    pub(super) fn insert_message(
        &mut self,
        mut message: Message,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let (id, author, kind) = (message.id, message.author, message.kind);
        self.watch_poll(&message);
        let most = self.messages_per_channel;
        let Some(channel) = self.channels.get_mut(&message.channel) else { return };
        let channel_id = channel.id;
        channel.last_message = Some(id);
        message.position = channel.thread.as_ref().map(|thread| thread.total_messages);
        channel.messages.insert(id, message);
        let forgotten =
            if channel.messages.len() > most { channel.messages.pop_first() } else { None };
        if channel.rate_limit_per_user > 0 && !kind.is_system() {
            channel.last_spoke.insert(author, now);
        }
        if let Some(thread) = &mut channel.thread {
            thread.last_active = now;
            if !begins_thread(channel_id, id, kind) {
                thread.message_count += 1;
                thread.total_messages += 1;
            }
        }
        if let Some((_, forgotten)) = forgotten {
            self.forget_poll(&forgotten);
        }
        dispatches.extend(self.message_dispatch("MESSAGE_CREATE", channel_id, id));
    }

    /// Returns the dispatch that shows a message as it is now.
    pub(super) fn message_dispatch(
        &self,
        name: &'static str,
        channel: ChannelId,
        message: MessageId,
    ) -> Option<Dispatch> {
        let found = self.channels.get(&channel)?.messages.get(&message)?;
        let full = wire::dispatched_message(self, found, name, wire::Sight::Full);
        Some(Dispatch {
            name,
            audience: Audience::of_channel(found.guild, channel),
            payload: super::Payload::Message { channel, message, full },
            about: Some(found.author),
        })
    }

    fn check_may_send(
        &self,
        author: UserId,
        channel: &Channel,
        draft: &Draft,
        is_first: bool,
        now: UnixMillis,
    ) -> Result<Permissions, Refusal> {
        // Who may begin a post need not have the right to speak in others.
        let parent = channel.parent.filter(|_| is_first);
        let decides = parent.and_then(|parent| self.channels.get(&parent)).unwrap_or(channel);
        let rights = self.require(author, decides, Permissions::SEND_MESSAGES, now)?;
        let is_locked = channel.thread.as_ref().is_some_and(|thread| thread.is_locked);
        if is_locked && !rights.contains(Permissions::MANAGE_THREADS) {
            return Err(Refusal::ThreadLocked);
        }
        if !channel.kind.holds_messages() {
            return Err(Refusal::NonTextChannel);
        }
        if channel.guild.is_none() {
            self.check_dm(author, channel)?;
        }
        let needed = [
            (!draft.embeds.is_empty(), Permissions::EMBED_LINKS),
            (!draft.attachments.is_empty(), Permissions::ATTACH_FILES),
            (draft.poll.is_some(), Permissions::SEND_POLLS),
            (draft.tts && channel.guild.is_some(), Permissions::SEND_TTS_MESSAGES),
        ];
        if needed.iter().any(|(wanted, right)| *wanted && !rights.contains(*right)) {
            return Err(Refusal::MissingPermissions);
        }
        if !spared_from_slowmode(channel.kind, rights)
            && let Some(last) = channel.last_spoke.get(&author)
        {
            check_slowmode(*last, channel.rate_limit_per_user, now)?;
        }
        Ok(rights)
    }

    fn mention_replied(
        &self,
        channel: &Channel,
        reference: Option<Reference>,
        author: UserId,
        allowed: &AllowedMentions,
        mentions: &mut Mentions,
    ) {
        let answered = reference
            .filter(|_| allowed.replied_user)
            .and_then(|reference| channel.messages.get(&reference.message?));
        if let Some(answered) = answered
            && answered.author != author
            && self.users.contains_key(&answered.author)
            && !mentions.users.contains(&answered.author)
        {
            mentions.users.push(answered.author);
        }
    }

    pub(super) fn keep_attachments(
        &mut self,
        channel: ChannelId,
        attachments: Vec<NewAttachment>,
        now: UnixMillis,
    ) -> Vec<Attachment> {
        let keep = |new: NewAttachment| {
            let id: super::AttachmentId = self.mint.next(now);
            let filename = safe_filename(&new.filename);
            let url = format!("{}/attachments/{channel}/{id}/{filename}", self.origin);
            let size = new.content.len() as u64;
            self.files.keep(id, new.content);
            Attachment {
                id,
                filename,
                description: new.description,
                content_type: new.content_type,
                size,
                url,
            }
        };
        attachments.into_iter().map(keep).collect()
    }

    /// Edits a message: one's own, or with `MANAGE_MESSAGES` the flags of another's.
    pub(crate) fn edit_message(
        &mut self,
        editor: UserId,
        channel: ChannelId,
        message: MessageId,
        edit: Edit,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        let rights = self.require(editor, place, Permissions::empty(), now)?;
        let found = place.message(message)?;
        if found.kind.is_system() {
            return Err(Refusal::SystemMessage);
        }
        Self::refuse_archived(place)?;
        if found.author != editor {
            let may = edit.changes_only_flags() && edit.flags.is_some();
            if !may {
                return Err(Refusal::NotOwnMessage);
            }
            if !rights.contains(Permissions::MANAGE_MESSAGES) {
                return Err(Refusal::MissingPermissions);
            }
        }
        let found = found.clone();
        let edit = Edit { poll: None, ..edit };
        let revised = self.revise(found, edit, rights, now)?;
        let place = self.channels.get_mut(&channel).ok_or(Refusal::UnknownChannel)?;
        place.messages.insert(message, revised);
        let dispatch = self.message_dispatch("MESSAGE_UPDATE", channel, message);
        Ok(Effect::new((), dispatch.into_iter().collect()))
    }

    /// Returns a message as an edit leaves it, held to all limits of what a message may be.
    pub(super) fn revise(
        &mut self,
        mut found: Message,
        edit: Edit,
        rights: Permissions,
        now: UnixMillis,
    ) -> Result<Message, Refusal> {
        let only_flags = edit.changes_only_flags();
        if found.poll.is_some() && !only_flags {
            return Err(Refusal::PollEdited);
        }
        let says_anew = edit.content.is_some() || edit.components.is_some();
        let is_v2 = (found.flags | edit.flags.unwrap_or(0)) & IS_COMPONENTS_V2 != 0;
        if let Some(kept) = &edit.attachments {
            found.attachments.retain(|attachment| kept.contains(&attachment.id.get()));
        }
        check_attachment_count(found.attachments.len() + edit.files.len())?;
        let new_files = edit.files.iter().map(|file| safe_filename(&file.filename));
        let files: Vec<String> =
            found.attachments.iter().map(|file| file.filename.clone()).chain(new_files).collect();
        if let Some(content) = edit.content {
            check_content(&content)?;
            found.content = content;
        }
        if let Some(embeds) = edit.embeds {
            found.embeds = embeds::accept(embeds)?;
        }
        if let Some(components) = edit.components {
            found.components = components::accept(components, is_v2, &files)?;
        }
        if let Some(poll) = edit.poll {
            let place = self.channel(found.channel)?;
            found.poll = Some(Box::new(self.new_poll(poll, found.author, place, rights, now)?));
            self.watch_poll(&found);
        }
        if is_v2 {
            components::check_alone(&[
                ("content", !found.content.is_empty()),
                ("embeds", !found.embeds.is_empty()),
                ("poll", found.poll.is_some()),
            ])?;
        }
        let is_empty = found.content.trim().is_empty()
            && found.embeds.is_empty()
            && found.components.is_empty()
            && found.stickers.is_empty()
            && found.poll.is_none()
            && found.snapshot.is_none()
            && files.is_empty();
        if is_empty {
            return Err(Refusal::EmptyMessage);
        }
        if says_anew {
            let allowed = edit.allowed_mentions.unwrap_or_else(AllowedMentions::all);
            allowed.check()?;
            let place = self.channel(found.channel)?;
            let text = text_of(&found.content, &found.components);
            let mut mentions = self.mentions_in(place, &text, &allowed, rights);
            let (reference, author) = (found.reference, found.author);
            self.mention_replied(place, reference, author, &allowed, &mut mentions);
            found.mentions = mentions.users;
            found.mention_roles = mentions.roles;
            found.mention_everyone = mentions.everyone;
        }
        if !only_flags {
            found.edited_at = Some(now);
        }
        if let Some(flags) = edit.flags {
            found.flags =
                (found.flags & !SUPPRESS_EMBEDS) | (flags & (SUPPRESS_EMBEDS | IS_COMPONENTS_V2));
        }
        let kept = self.keep_attachments(found.channel, edit.files, now);
        found.attachments.extend(kept);
        let mut components = std::mem::take(&mut found.components);
        self.show_files(&mut components, &found.attachments, now);
        found.components = components;
        Ok(found)
    }

    /// Deletes a message: one's own, or with `MANAGE_MESSAGES` another's.
    pub(crate) fn delete_message(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        message: MessageId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Done {
        let place = self.channel(channel)?;
        let rights = self.require(actor, place, Permissions::empty(), now)?;
        let author = place.message(message)?.author;
        if author != actor {
            if place.guild.is_none() {
                return Err(Refusal::DmChannel);
            }
            if !rights.contains(Permissions::MANAGE_MESSAGES) {
                return Err(Refusal::MissingPermissions);
            }
        }
        let guild = place.guild;
        self.remove_messages(channel, &[message]);
        let body = wire::message_delete(channel, guild, message);
        let audience = Audience::of_channel(guild, channel);
        let mut dispatches = vec![Dispatch::shared("MESSAGE_DELETE", audience, body)];
        if let Some(guild) = guild
            && author != actor
        {
            let options = json!({ "channel_id": channel, "count": "1" });
            let deed = Deed {
                action: action::MESSAGE_DELETE,
                target: Some(author.get()),
                changes: Vec::new(),
                options: Some(options),
                reason,
            };
            self.record(guild, Actor::User(actor), deed, now, &mut dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    /// Deletes two to a hundred messages at once, none of them older than two weeks.
    pub(crate) fn bulk_delete(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        messages: &[MessageId],
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Done {
        let place = self.channel(channel)?;
        let guild = place.guild.ok_or(Refusal::DmChannel)?;
        self.require(actor, place, Permissions::MANAGE_MESSAGES, now)?;
        if !(2..=100).contains(&messages.len()) {
            return Err(Refusal::BulkDeleteCount);
        }
        let mut ids = messages.to_vec();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            let message = "This list contains duplicate items";
            return Err(Refusal::field(&["messages"], "SET_TYPE_ALREADY_CONTAINS_VALUE", message));
        }
        if ids.iter().any(|id| now.since(created_at(*id)) > BULK_DELETE_AGE) {
            return Err(Refusal::TooOldToBulkDelete);
        }
        ids.retain(|id| place.messages.contains_key(id));
        let mut dispatches = Vec::new();
        if ids.is_empty() {
            return Ok(Effect::none(()));
        }
        self.dispatch_bulk_deletion(channel, guild, &ids, &mut dispatches);
        let deed = Deed {
            action: action::MESSAGE_BULK_DELETE,
            target: Some(channel.get()),
            changes: Vec::new(),
            options: Some(json!({ "count": ids.len().to_string() })),
            reason,
        };
        self.record(guild, Actor::User(actor), deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Removes messages and says so in one dispatch.
    pub(super) fn dispatch_bulk_deletion(
        &mut self,
        channel: ChannelId,
        guild: GuildId,
        ids: &[MessageId],
        dispatches: &mut Vec<Dispatch>,
    ) {
        self.remove_messages(channel, ids);
        dispatches.push(Dispatch::shared(
            "MESSAGE_DELETE_BULK",
            Audience::Channel(guild, channel),
            wire::message_delete_bulk(channel, guild, ids),
        ));
    }

    pub(super) fn remove_messages(&mut self, channel: ChannelId, ids: &[MessageId]) {
        let Some(place) = self.channels.get_mut(&channel) else { return };
        let mut gone = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(message) = place.messages.remove(id) else { continue };
            if let Some(thread) = &mut place.thread
                && !begins_thread(channel, message.id, message.kind)
            {
                thread.message_count = thread.message_count.saturating_sub(1);
            }
            gone.push(message);
        }
        for message in gone {
            self.forget_poll(&message);
        }
    }

    /// Returns one message, for somebody who may read it.
    pub(crate) fn get_message(
        &self,
        reader: UserId,
        channel: ChannelId,
        message: MessageId,
        now: UnixMillis,
    ) -> Result<&Message, Refusal> {
        let channel = self.channel(channel)?;
        self.require(reader, channel, Permissions::READ_MESSAGE_HISTORY, now)?;
        channel.message(message)
    }

    /// Returns messages of a channel, the newest first; none to those who may not read back.
    pub(crate) fn list_messages(
        &self,
        reader: UserId,
        channel: ChannelId,
        page: Page,
        limit: usize,
        now: UnixMillis,
    ) -> Result<Vec<&Message>, Refusal> {
        let channel = self.channel(channel)?;
        let rights = self.require(reader, channel, Permissions::empty(), now)?;
        if !channel.kind.holds_messages() {
            return Err(Refusal::NonTextChannel);
        }
        if !rights.contains(Permissions::READ_MESSAGE_HISTORY) {
            return Ok(Vec::new());
        }
        Ok(page_of(channel, page, limit))
    }

    /// Shows that somebody is typing.
    pub(crate) fn start_typing(
        &self,
        user: UserId,
        channel: ChannelId,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        self.require(user, place, Permissions::SEND_MESSAGES, now)?;
        if !place.kind.holds_messages() {
            return Err(Refusal::NonTextChannel);
        }
        let body = wire::typing_start(self, place, user, now);
        let audience = Audience::of_channel(place.guild, channel);
        Ok(Effect::new((), vec![Dispatch::shared("TYPING_START", audience, body)]))
    }
}

/// Returns a page of a channel's messages, the newest first.
pub(crate) fn page_of(channel: &Channel, page: Page, limit: usize) -> Vec<&Message> {
    let messages = &channel.messages;
    match page {
        Page::Newest => messages.values().rev().take(limit).collect(),
        Page::Before(id) => {
            messages.range(..id).rev().take(limit).map(|(_, found)| found).collect()
        }
        Page::After(id) => {
            let after = messages.range(id..).filter(|(found, _)| **found != id);
            let mut page: Vec<_> = after.take(limit).map(|(_, found)| found).collect();
            page.reverse();
            page
        }
        Page::Around(id) => {
            let older = limit / 2;
            let newer = messages.range(id..).take(limit - older);
            let mut page: Vec<_> = newer.map(|(_, found)| found).collect();
            page.reverse();
            page.extend(messages.range(..id).rev().take(older).map(|(_, found)| found));
            page
        }
    }
}

/// Tells whether a message is what its thread began with, which the thread does not count.
fn begins_thread(thread: ChannelId, message: MessageId, kind: MessageKind) -> bool {
    kind == MessageKind::THREAD_STARTER || message == thread.cast()
}

/// Tells whether slow mode does not hold for somebody with these rights.
pub(super) fn spared_from_slowmode(kind: ChannelKind, rights: Permissions) -> bool {
    let mut sparing =
        Permissions::BYPASS_SLOWMODE | Permissions::MANAGE_MESSAGES | Permissions::MANAGE_CHANNELS;
    sparing.set(Permissions::MANAGE_THREADS, kind.is_thread());
    rights.intersects(sparing)
}

/// Refuses what comes too soon after the last time.
pub(super) fn check_slowmode(
    last: UnixMillis,
    seconds: u32,
    now: UnixMillis,
) -> Result<(), Refusal> {
    let again = last + Duration::from_secs(seconds.into());
    if seconds == 0 || again <= now {
        return Ok(());
    }
    let retry_after_ms = u64::try_from(again.since(now).as_millis()).unwrap_or(u64::MAX);
    Err(Refusal::Slowmode { retry_after_ms })
}

/// Finds what a reply answers; a message that is not there is an error or nothing, as asked.
fn referenced(
    channel: &Channel,
    reply: Option<&ReplyTo>,
    rights: Permissions,
) -> Result<Option<Reference>, Refusal> {
    let Some(reply) = reply else { return Ok(None) };
    if !rights.contains(Permissions::READ_MESSAGE_HISTORY) {
        return Err(Refusal::CannotReply);
    }
    let elsewhere = reply.channel.is_some_and(|other| other != channel.id);
    match channel.messages.get(&reply.message) {
        Some(message) if message.kind.is_system() => Err(Refusal::field(
            &["message_reference"],
            "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE",
            "Cannot reply to a system message",
        )),
        Some(message) if !elsewhere => {
            let (message, channel, guild) = (Some(message.id), channel.id, channel.guild);
            Ok(Some(Reference { message, channel, guild }))
        }
        _ if reply.fail_if_not_exists => Err(Refusal::field(
            &["message_reference"],
            "REPLIES_UNKNOWN_MESSAGE",
            "Unknown message",
        )),
        _ => Ok(None),
    }
}

/// Leaves of a file's name what is safe in an address.
fn safe_filename(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .take(260)
        .collect();
    if safe.is_empty() { "unknown".to_owned() } else { safe }
}

fn check_draft(draft: &Draft) -> Result<(), Refusal> {
    check_content(&draft.content)?;
    check_attachment_count(draft.attachments.len())?;
    Forward::check_alone(draft)?;
    if let Some(Nonce::Text(nonce)) = &draft.nonce
        && nonce.chars().count() > MAX_NONCE
    {
        let message = "Must be 25 or fewer in length.";
        return Err(Refusal::field(&["nonce"], "BASE_TYPE_MAX_LENGTH", message));
    }
    if let Some(allowed) = &draft.allowed_mentions {
        allowed.check()?;
    }
    if draft.flags & IS_COMPONENTS_V2 != 0 {
        components::check_alone(&[
            ("content", !draft.content.is_empty()),
            ("embeds", !draft.embeds.is_empty()),
            ("sticker_ids", !draft.stickers.is_empty()),
            ("poll", draft.poll.is_some()),
        ])?;
    }
    let is_empty = draft.content.trim().is_empty()
        && draft.embeds.is_empty()
        && draft.attachments.is_empty()
        && draft.components.is_empty()
        && draft.stickers.is_empty()
        && draft.poll.is_none()
        && draft.forward.is_none();
    if is_empty { Err(Refusal::EmptyMessage) } else { Ok(()) }
}

fn check_attachment_count(count: usize) -> Result<(), Refusal> {
    if count > MAX_ATTACHMENTS {
        let message = "Must be 10 or fewer in length.";
        return Err(Refusal::field(&["attachments"], "BASE_TYPE_MAX_LENGTH", message));
    }
    Ok(())
}

/// Returns what people read: the content, and the texts among the components.
fn text_of<'a>(content: &'a str, components: &[Value]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(content);
    components::for_each(components, &mut |component| {
        if let Some(shown) = component["content"].as_str() {
            let text = text.to_mut();
            text.push('\n');
            text.push_str(shown);
        }
    });
    text
}

fn check_content(content: &str) -> Result<(), Refusal> {
    // No character is longer than four bytes, so that most contents need no counting.
    if content.len() <= MAX_CONTENT || content.chars().count() <= MAX_CONTENT {
        return Ok(());
    }
    Err(Refusal::InvalidForm(vec![FieldError::new(
        &["content"],
        "BASE_TYPE_MAX_LENGTH",
        "Must be 2000 or fewer in length.",
    )]))
}

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::{
    Iso, MemberView, ThreadView, UserView,
    interaction::{LegacyOriginView, OriginView},
    poll::PollView,
    render,
};
use crate::domain::{
    ApplicationId, Attachment, AttachmentId, Channel, ChannelId, EPHEMERAL, Emoji, EmojiId,
    GuildId, HAS_THREAD, Message, MessageId, MessageKind, Nonce, Reaction, RoleId, SUPPRESS_EMBEDS,
    StickerItem, UserId, WebhookId, World, created_at,
};

/// How much of messages is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight {
    /// All of them.
    Full,
    /// What remains for this person without the message content intent: their own messages, direct
    /// ones and those that mention them are still whole.
    WithoutContent(UserId),
}

impl Sight {
    /// Tells whether the content of `message` is hidden.
    pub(crate) fn hides(self, message: &Message) -> bool {
        match self {
            Self::Full => false,
            Self::WithoutContent(viewer) => {
                message.guild.is_some()
                    && message.author != viewer
                    && !message.mentions.contains(&viewer)
            }
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct MessageView<'a> {
    #[serde(rename = "type")]
    kind: u8,
    content: &'a str,
    mentions: Vec<MentionView<'a>>,
    mention_roles: &'a [RoleId],
    attachments: Vec<AttachmentView<'a>>,
    embeds: &'a [Value],
    timestamp: Iso,
    edited_timestamp: Option<Iso>,
    flags: u64,
    components: &'a [Value],
    #[serde(skip_serializing_if = "<[StickerItem]>::is_empty")]
    sticker_items: &'a [StickerItem],
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<PollView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_snapshots: Option<[SnapshotView<'a>; 1]>,
    /// In a thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    id: MessageId,
    channel_id: ChannelId,
    author: UserView<'a>,
    pinned: bool,
    mention_everyone: bool,
    tts: bool,
    /// Only dispatches tell the channel's kind, the guild and the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a Nonce>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_reference: Option<ReferenceView>,
    /// Left out where nothing is referenced; null where what was referenced is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    referenced_message: Option<Option<Box<MessageView<'a>>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<ReactionView<'a>>,
    /// The thread that was begun at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<Box<ThreadView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_id: Option<ApplicationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<WebhookId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interaction: Option<LegacyOriginView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interaction_metadata: Option<OriginView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hit: Option<bool>,
}

#[derive(Debug, Serialize)]
struct MentionView<'a> {
    #[serde(flatten)]
    user: UserView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberView<'a>>,
}

/// What a forward shows.
#[derive(Debug, Serialize)]
struct SnapshotView<'a> {
    message: ForwardedView<'a>,
}

#[derive(Debug, Serialize)]
struct ForwardedView<'a> {
    #[serde(rename = "type")]
    kind: u8,
    content: &'a str,
    mentions: Vec<UserView<'a>>,
    mention_roles: &'a [RoleId],
    attachments: Vec<AttachmentView<'a>>,
    embeds: &'a [Value],
    timestamp: Iso,
    edited_timestamp: Option<Iso>,
    flags: u64,
    components: &'a [Value],
    #[serde(skip_serializing_if = "<[StickerItem]>::is_empty")]
    sticker_items: &'a [StickerItem],
}

impl<'a> ForwardedView<'a> {
    fn new(world: &'a World, message: &'a Message) -> Self {
        Self {
            kind: message.kind.0,
            content: &message.content,
            mentions: message.mentions.iter().map(|user| UserView::of(world, *user)).collect(),
            mention_roles: &message.mention_roles,
            attachments: message.attachments.iter().map(AttachmentView::new).collect(),
            embeds: shown_embeds(message),
            timestamp: Iso(created_at(message.id)),
            edited_timestamp: message.edited_at.map(Iso),
            flags: message.flags,
            components: &message.components,
            sticker_items: &message.stickers,
        }
    }
}

#[derive(Debug, Serialize)]
struct ReferenceView {
    #[serde(rename = "type")]
    kind: u8,
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
}

#[derive(Debug, Serialize)]
pub(super) struct AttachmentView<'a> {
    id: AttachmentId,
    filename: &'a str,
    size: u64,
    url: &'a str,
    proxy_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

impl<'a> AttachmentView<'a> {
    pub(super) fn new(attachment: &'a Attachment) -> Self {
        Self {
            id: attachment.id,
            filename: &attachment.filename,
            size: attachment.size,
            url: &attachment.url,
            proxy_url: &attachment.url,
            content_type: attachment.content_type.as_deref(),
            description: attachment.description.as_deref(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct EmojiView<'a> {
    id: Option<EmojiId>,
    name: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    animated: bool,
}

impl<'a> EmojiView<'a> {
    pub(super) fn new(emoji: &'a Emoji) -> Self {
        let (id, animated) = match emoji {
            Emoji::Unicode(_) => (None, false),
            Emoji::Custom { id, is_animated, .. } => (Some(*id), *is_animated),
        };
        Self { id, name: emoji.name(), animated }
    }
}

#[derive(Debug, Serialize)]
struct ReactionView<'a> {
    emoji: EmojiView<'a>,
    count: usize,
    count_details: CountDetails,
    burst_colors: [(); 0],
    me: bool,
    me_burst: bool,
    burst_me: bool,
    burst_count: usize,
}

#[derive(Debug, Serialize)]
struct CountDetails {
    burst: usize,
    normal: usize,
}

impl<'a> ReactionView<'a> {
    fn new(reaction: &'a Reaction, viewer: Option<UserId>) -> Self {
        let count = reaction.users.len();
        Self {
            emoji: EmojiView::new(&reaction.emoji),
            count,
            count_details: CountDetails { burst: 0, normal: count },
            burst_colors: [],
            me: viewer.is_some_and(|viewer| reaction.users.contains(&viewer)),
            me_burst: false,
            burst_me: false,
            burst_count: 0,
        }
    }
}

impl<'a> MessageView<'a> {
    /// Returns the message as REST answers it to `viewer`.
    pub(crate) fn rest(
        world: &'a World,
        message: &'a Message,
        viewer: Option<UserId>,
        sight: Sight,
    ) -> Self {
        let reactions = &message.reactions;
        Self {
            reactions: reactions.iter().map(|found| ReactionView::new(found, viewer)).collect(),
            nonce: message.nonce.as_ref(),
            poll: shown_poll(message, viewer, sight),
            ..Self::with_reference(world, message, sight)
        }
    }

    /// Returns a hit of a search: it tells no reactions.
    pub(crate) fn hit(world: &'a World, message: &'a Message, sight: Sight) -> Self {
        Self { hit: Some(true), ..Self::with_reference(world, message, sight) }
    }

    fn with_reference(world: &'a World, message: &'a Message, sight: Sight) -> Self {
        let mut view = Self::plain(world, message, sight);
        if message.flags & HAS_THREAD != 0 {
            let thread = world.channels.get(&message.id.cast());
            view.thread = thread.and_then(|thread| ThreadView::new(thread, None)).map(Box::new);
        }
        if let Some(reference) = message.reference {
            let found = reference
                .message
                .and_then(|message| world.channels.get(&reference.channel)?.messages.get(&message));
            view.message_reference = Some(ReferenceView {
                kind: u8::from(message.snapshot.is_some()),
                channel_id: reference.channel,
                message_id: reference.message,
                guild_id: reference.guild,
            });
            let answers = !message.kind.is_system() && message.snapshot.is_none();
            if answers || message.kind == MessageKind::THREAD_STARTER {
                let found = found.map(|found| Box::new(Self::plain(world, found, sight)));
                view.referenced_message = Some(found);
            }
        }
        view
    }

    fn plain(world: &'a World, message: &'a Message, sight: Sight) -> Self {
        let full = !sight.hides(message);
        let origin = message.origin.as_deref();
        let attachments = if full { message.attachments.as_slice() } else { &[] };
        let mention =
            |user: &UserId| MentionView { user: UserView::of(world, *user), member: None };
        Self {
            kind: message.kind.0,
            content: if full { &message.content } else { "" },
            mentions: message.mentions.iter().map(mention).collect(),
            mention_roles: &message.mention_roles,
            attachments: attachments.iter().map(AttachmentView::new).collect(),
            embeds: if full { shown_embeds(message) } else { &[] },
            timestamp: Iso(created_at(message.id)),
            edited_timestamp: message.edited_at.map(Iso),
            flags: message.flags,
            components: if full { &message.components } else { &[] },
            sticker_items: &message.stickers,
            poll: shown_poll(message, None, sight),
            message_snapshots: message
                .snapshot
                .as_deref()
                .filter(|_| full)
                .map(|shown| [SnapshotView { message: ForwardedView::new(world, shown) }]),
            position: message.position,
            id: message.id,
            channel_id: message.channel,
            author: match &message.persona {
                Some(persona) => UserView::of_webhook(message.author, persona),
                None => UserView::of(world, message.author),
            },
            pinned: message.pinned_at.is_some(),
            mention_everyone: message.mention_everyone,
            tts: message.tts,
            channel_type: None,
            guild_id: None,
            member: None,
            nonce: None,
            message_reference: None,
            referenced_message: None,
            reactions: Vec::new(),
            thread: None,
            application_id: message.application,
            webhook_id: message.webhook,
            interaction: origin.and_then(|origin| LegacyOriginView::new(world, origin)),
            interaction_metadata: origin.map(|origin| OriginView::new(world, origin)),
            hit: None,
        }
    }
}

/// Returns a message's embeds, unless they are suppressed.
fn shown_embeds(message: &Message) -> &[Value] {
    if message.flags & SUPPRESS_EMBEDS == 0 { &message.embeds } else { &[] }
}

/// Returns a message's poll as `viewer` sees it, for whom it is hidden as its content is.
fn shown_poll(message: &Message, viewer: Option<UserId>, sight: Sight) -> Option<PollView<'_>> {
    let poll = message.poll.as_deref().filter(|_| !sight.hides(message));
    poll.map(|poll| PollView::new(poll, viewer))
}

/// Returns the `d` of `MESSAGE_CREATE` and `MESSAGE_UPDATE`: with guild and member.
pub(crate) fn dispatched_message(
    world: &World,
    message: &Message,
    name: &str,
    sight: Sight,
) -> Bytes {
    let mut view = MessageView::with_reference(world, message, sight);
    view.channel_type = world.channels.get(&message.channel).map(|channel| channel.kind.0);
    if name == "MESSAGE_CREATE" {
        view.nonce = message.nonce.as_ref();
    }
    // What one person alone sees goes past the guild.
    if let Some(guild) = message.guild.filter(|_| message.flags & EPHEMERAL == 0) {
        view.guild_id = Some(guild);
        view.member = world.member(guild, message.author).map(MemberView::partial);
        for (mention, user) in view.mentions.iter_mut().zip(&message.mentions) {
            mention.member = world.member(guild, *user).map(MemberView::partial);
        }
    }
    render(&view)
}

#[derive(Serialize)]
struct Deleted {
    id: MessageId,
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
}

#[derive(Serialize)]
struct DeletedInBulk<'a> {
    ids: &'a [MessageId],
    channel_id: ChannelId,
    guild_id: GuildId,
}

#[derive(Serialize)]
struct ReactionEvent<'a> {
    user_id: UserId,
    channel_id: ChannelId,
    message_id: MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberView<'a>>,
    emoji: EmojiView<'a>,
    message_author_id: UserId,
    burst: bool,
    #[serde(rename = "type")]
    kind: u8,
}

#[derive(Serialize)]
struct ReactionsCleared<'a> {
    channel_id: ChannelId,
    message_id: MessageId,
    guild_id: GuildId,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<EmojiView<'a>>,
}

pub(crate) fn message_delete(
    channel: ChannelId,
    guild: Option<GuildId>,
    message: MessageId,
) -> Bytes {
    render(&Deleted { id: message, channel_id: channel, guild_id: guild })
}

pub(crate) fn message_delete_bulk(channel: ChannelId, guild: GuildId, ids: &[MessageId]) -> Bytes {
    render(&DeletedInBulk { ids, channel_id: channel, guild_id: guild })
}

pub(crate) fn reaction_add(
    world: &World,
    channel: &Channel,
    message: MessageId,
    author: UserId,
    user: UserId,
    emoji: &Emoji,
) -> Bytes {
    let member = channel.guild.and_then(|guild| world.member(guild, user));
    let member = member.map(|member| MemberView::new(world, member));
    render(&ReactionEvent { member, ..reaction_event(channel, message, author, user, emoji) })
}

pub(crate) fn reaction_remove(
    channel: &Channel,
    message: MessageId,
    author: UserId,
    user: UserId,
    emoji: &Emoji,
) -> Bytes {
    render(&reaction_event(channel, message, author, user, emoji))
}

fn reaction_event<'a>(
    channel: &Channel,
    message: MessageId,
    author: UserId,
    user: UserId,
    emoji: &'a Emoji,
) -> ReactionEvent<'a> {
    ReactionEvent {
        user_id: user,
        channel_id: channel.id,
        message_id: message,
        guild_id: channel.guild,
        member: None,
        emoji: EmojiView::new(emoji),
        message_author_id: author,
        burst: false,
        kind: 0,
    }
}

pub(crate) fn reactions_cleared(
    channel: ChannelId,
    guild: GuildId,
    message: MessageId,
    emoji: Option<&Emoji>,
) -> Bytes {
    render(&ReactionsCleared {
        channel_id: channel,
        message_id: message,
        guild_id: guild,
        emoji: emoji.map(EmojiView::new),
    })
}

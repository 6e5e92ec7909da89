use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use super::{
    GuildEmojiView, Iso, MemberView, PresenceView, ScheduledEventView, StickerView, ThreadView,
    UserView, WebhookDetail, WebhookView, forum_tags, render,
};
use crate::domain::{
    AuditEntry, Channel, ChannelId, EmojiId, Forum, Guild, GuildId, MessageId, Overwrite,
    OverwriteTarget, Role, RoleId, UserId, World,
};

use ery_clock::UnixMillis;

type Null = Option<()>;

/// How many members a guild may have before Discord calls it large.
const LARGE: usize = 250;

/// A set of permissions: a decimal number in a string.
#[derive(Clone, Copy, Debug)]
struct Bits(Permissions);

impl Serialize for Bits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.bits())
    }
}

#[derive(Debug, Serialize)]
struct RoleTags {
    bot_id: UserId,
}

#[derive(Debug, Serialize)]
struct RoleColors {
    #[serde(rename = "primary_color")]
    primary: u32,
    #[serde(rename = "secondary_color")]
    secondary: Null,
    #[serde(rename = "tertiary_color")]
    tertiary: Null,
}

#[derive(Debug, Serialize)]
pub(crate) struct RoleView<'a> {
    id: RoleId,
    name: &'a str,
    description: Null,
    permissions: Bits,
    position: i64,
    color: u32,
    colors: RoleColors,
    hoist: bool,
    managed: bool,
    mentionable: bool,
    icon: Null,
    unicode_emoji: Null,
    flags: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<RoleTags>,
}

impl<'a> RoleView<'a> {
    pub(crate) fn new(role: &'a Role) -> Self {
        Self {
            id: role.id,
            name: &role.name,
            description: None,
            permissions: Bits(role.permissions),
            position: role.position,
            color: role.color,
            colors: RoleColors { primary: role.color, secondary: None, tertiary: None },
            hoist: role.hoist,
            managed: role.is_managed(),
            mentionable: role.mentionable,
            icon: None,
            unicode_emoji: None,
            flags: 0,
            tags: role.bot.map(|bot_id| RoleTags { bot_id }),
        }
    }
}

#[derive(Debug, Serialize)]
struct OverwriteView {
    id: AnyId,
    #[serde(rename = "type")]
    kind: u8,
    allow: Bits,
    deny: Bits,
}

/// An id of either kind.
#[derive(Clone, Copy, Debug)]
struct AnyId(u64);

impl Serialize for AnyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl OverwriteView {
    fn new(overwrite: &Overwrite) -> Self {
        let (id, kind) = match overwrite.target {
            OverwriteTarget::Role(role) => (role.get(), 0),
            OverwriteTarget::Member(member) => (member.get(), 1),
        };
        Self { id: AnyId(id), kind, allow: Bits(overwrite.allow), deny: Bits(overwrite.deny) }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ChannelView<'a> {
    id: ChannelId,
    #[serde(rename = "type")]
    kind: u8,
    guild_id: Option<GuildId>,
    name: &'a str,
    position: i64,
    permission_overwrites: Vec<OverwriteView>,
    parent_id: Option<ChannelId>,
    nsfw: bool,
    flags: u64,
    rate_limit_per_user: u32,
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_auto_archive_duration: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_thread_rate_limit_per_user: Option<u32>,
    last_message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_pin_timestamp: Option<Iso>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    voice: Option<VoiceFields<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    forum: Option<ForumFields<'a>>,
}

#[derive(Debug, Serialize)]
struct VoiceFields<'a> {
    bitrate: u32,
    user_limit: u32,
    rtc_region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    video_quality_mode: Option<u8>,
}

#[derive(Debug, Serialize)]
struct ForumFields<'a> {
    available_tags: Value,
    default_reaction_emoji: Option<DefaultReaction<'a>>,
    default_sort_order: Option<u8>,
    default_forum_layout: u8,
}

#[derive(Debug, Serialize)]
struct DefaultReaction<'a> {
    emoji_id: Option<EmojiId>,
    emoji_name: Option<&'a str>,
}

impl<'a> ForumFields<'a> {
    fn new(forum: &'a Forum) -> Self {
        let reaction = forum.default_reaction.as_ref();
        Self {
            available_tags: forum_tags(forum),
            default_reaction_emoji: reaction
                .map(|emoji| DefaultReaction { emoji_id: emoji.id(), emoji_name: emoji.name() }),
            default_sort_order: forum.default_sort_order,
            default_forum_layout: forum.default_layout,
        }
    }
}

impl<'a> ChannelView<'a> {
    pub(crate) fn new(channel: &'a Channel) -> Self {
        let settings = &channel.settings;
        let slow_threads = settings.default_thread_rate_limit_per_user;
        Self {
            id: channel.id,
            kind: channel.kind.0,
            guild_id: channel.guild,
            name: &channel.name,
            position: channel.position,
            permission_overwrites: channel.overwrites.iter().map(OverwriteView::new).collect(),
            parent_id: channel.parent,
            nsfw: channel.nsfw,
            flags: settings.flags,
            rate_limit_per_user: channel.rate_limit_per_user,
            topic: channel.topic.as_deref(),
            default_auto_archive_duration: settings.default_auto_archive,
            default_thread_rate_limit_per_user: (slow_threads > 0).then_some(slow_threads),
            last_message_id: channel.last_message,
            last_pin_timestamp: channel.last_pin.map(Iso),
            voice: channel.kind.is_voice().then_some(VoiceFields {
                bitrate: settings.bitrate,
                user_limit: settings.user_limit,
                rtc_region: settings.rtc_region.as_deref(),
                video_quality_mode: settings.video_quality_mode,
            }),
            forum: channel.forum.as_deref().map(ForumFields::new),
        }
    }
}

#[derive(Serialize)]
struct DmView<'a> {
    id: ChannelId,
    #[serde(rename = "type")]
    kind: u8,
    flags: u32,
    last_message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_pin_timestamp: Option<Iso>,
    recipients: Vec<UserView<'a>>,
}

/// Returns a direct message as `viewer` sees it: without themselves among the recipients.
pub(crate) fn dm_channel(world: &World, channel: &Channel, viewer: UserId) -> Value {
    let others = channel.recipients.iter().filter(|user| **user != viewer);
    json!(DmView {
        id: channel.id,
        kind: channel.kind.0,
        flags: 0,
        last_message_id: channel.last_message,
        last_pin_timestamp: channel.last_pin.map(Iso),
        recipients: others.map(|user| UserView::of(world, *user)).collect(),
    })
}

/// What a guild is shown with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GuildForm {
    /// What `GET /guilds/{id}` answers, with counts or without.
    Rest { with_counts: bool },
    /// What `GUILD_CREATE` tells `viewer`.
    Gateway { viewer: UserId, roster: Roster },
}

/// Which members `GUILD_CREATE` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roster {
    /// The viewer alone.
    Own,
    /// Those who are online, and the viewer, with their presences.
    Online,
    /// All, with the presences of those who are online.
    Everybody,
    /// All, without presences.
    EverybodyUnseen,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are Discord's own fields")]
pub(crate) struct GuildView<'a> {
    id: GuildId,
    name: &'a str,
    icon: Null,
    description: Option<&'a str>,
    home_header: Null,
    splash: Null,
    discovery_splash: Null,
    features: &'a BTreeSet<String>,
    banner: Null,
    owner_id: UserId,
    application_id: Null,
    region: &'static str,
    afk_channel_id: Option<ChannelId>,
    afk_timeout: u32,
    system_channel_id: Option<ChannelId>,
    system_channel_flags: u32,
    widget_enabled: bool,
    widget_channel_id: Null,
    verification_level: u8,
    roles: Vec<RoleView<'a>>,
    default_message_notifications: u8,
    mfa_level: u8,
    explicit_content_filter: u8,
    max_presences: Null,
    max_members: u32,
    max_stage_video_channel_users: u32,
    max_video_channel_users: u32,
    vanity_url_code: Null,
    premium_tier: u8,
    premium_subscription_count: u32,
    preferred_locale: &'a str,
    rules_channel_id: Option<ChannelId>,
    safety_alerts_channel_id: Option<ChannelId>,
    public_updates_channel_id: Option<ChannelId>,
    hub_type: Null,
    premium_progress_bar_enabled: bool,
    latest_onboarding_question_id: Null,
    nsfw: bool,
    nsfw_level: u8,
    emojis: Vec<GuildEmojiView<'a>>,
    stickers: Vec<StickerView<'a>>,
    incidents_data: Null,
    inventory_settings: Null,
    embed_enabled: bool,
    embed_channel_id: Null,
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_member_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_presence_count: Option<usize>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    live: Option<LiveFields<'a>>,
}

/// What only `GUILD_CREATE` tells.
#[derive(Debug, Serialize)]
struct LiveFields<'a> {
    joined_at: Iso,
    large: bool,
    unavailable: bool,
    member_count: usize,
    voice_states: [(); 0],
    members: Vec<MemberView<'a>>,
    channels: Vec<ChannelView<'a>>,
    threads: Vec<ThreadView<'a>>,
    presences: Vec<PresenceView<'a>>,
    stage_instances: [(); 0],
    guild_scheduled_events: Vec<ScheduledEventView<'a>>,
    soundboard_sounds: [(); 0],
    embedded_activities: [(); 0],
    activity_instances: [(); 0],
    application_command_counts: Empty,
    lazy: bool,
    version: u64,
}

/// An object without anything in it.
#[derive(Debug, Serialize)]
struct Empty {}

impl<'a> GuildView<'a> {
    pub(crate) fn new(world: &'a World, guild: &'a Guild, form: GuildForm) -> Self {
        let with_counts = matches!(form, GuildForm::Rest { with_counts: true });
        let count = with_counts.then_some(guild.members.len());
        let live = match form {
            GuildForm::Rest { .. } => None,
            GuildForm::Gateway { viewer, roster } => {
                Some(LiveFields::new(world, guild, viewer, roster))
            }
        };
        let settings = &guild.settings;
        Self {
            id: guild.id,
            name: &guild.name,
            icon: None,
            description: guild.description.as_deref(),
            home_header: None,
            splash: None,
            discovery_splash: None,
            features: &settings.features,
            banner: None,
            owner_id: guild.owner,
            application_id: None,
            region: "deprecated",
            afk_channel_id: settings.afk_channel,
            afk_timeout: settings.afk_timeout,
            system_channel_id: guild.system_channel,
            system_channel_flags: settings.system_channel_flags,
            widget_enabled: false,
            widget_channel_id: None,
            verification_level: settings.verification_level,
            roles: guild.roles.values().map(RoleView::new).collect(),
            default_message_notifications: settings.default_message_notifications,
            mfa_level: 0,
            explicit_content_filter: settings.explicit_content_filter,
            max_presences: None,
            max_members: 500_000,
            max_stage_video_channel_users: 50,
            max_video_channel_users: 25,
            vanity_url_code: None,
            premium_tier: 0,
            premium_subscription_count: 0,
            preferred_locale: &settings.preferred_locale,
            rules_channel_id: guild.rules_channel,
            safety_alerts_channel_id: settings.safety_alerts_channel,
            public_updates_channel_id: settings.public_updates_channel,
            hub_type: None,
            premium_progress_bar_enabled: settings.shows_boost_progress,
            latest_onboarding_question_id: None,
            nsfw: false,
            nsfw_level: 0,
            emojis: GuildEmojiView::all(guild),
            stickers: StickerView::all(guild),
            incidents_data: None,
            inventory_settings: None,
            embed_enabled: false,
            embed_channel_id: None,
            approximate_member_count: count,
            approximate_presence_count: with_counts.then(|| world.online_in(guild).len()),
            live,
        }
    }
}

impl<'a> LiveFields<'a> {
    fn new(world: &'a World, guild: &'a Guild, viewer: UserId, roster: Roster) -> Self {
        let own = guild.members.get(&viewer);
        let view = |member| MemberView::new(world, member);
        let online = match roster {
            Roster::Own | Roster::EverybodyUnseen => Vec::new(),
            Roster::Online | Roster::Everybody => world.online_in(guild),
        };
        let members = match roster {
            Roster::Own => own.map(view).into_iter().collect(),
            Roster::Online => {
                let unseen = own.filter(|own| !world.presence(own.user).is_visible());
                let online = online.iter().filter_map(|user| guild.members.get(user));
                online.chain(unseen).map(view).collect()
            }
            Roster::Everybody | Roster::EverybodyUnseen => {
                guild.members.values().map(view).collect()
            }
        };
        let channels = guild.channels.iter().filter_map(|id| world.channels.get(id));
        // Nobody's timeout keeps them from seeing, so the moment does not matter.
        let any_time = UnixMillis(i64::MAX);
        let threads = world.active_threads(viewer, guild.id, any_time).into_iter();
        let events = world.visible_events(viewer, guild.id, any_time).into_iter();
        Self {
            joined_at: Iso(own.map_or(UnixMillis(0), |member| member.joined_at)),
            large: guild.members.len() > LARGE,
            unavailable: false,
            member_count: guild.members.len(),
            voice_states: [],
            members,
            channels: channels.map(ChannelView::new).collect(),
            threads: threads.filter_map(|thread| ThreadView::new(thread, Some(viewer))).collect(),
            presences: online
                .into_iter()
                .map(|user| PresenceView::new(world, None, user))
                .collect(),
            stage_instances: [],
            guild_scheduled_events: events
                .map(|event| ScheduledEventView::new(world, event, true))
                .collect(),
            soundboard_sounds: [],
            embedded_activities: [],
            activity_instances: [],
            application_command_counts: Empty {},
            lazy: true,
            version: 0,
        }
    }
}

/// Returns the `d` of `GUILD_CREATE`.
pub(crate) fn guild_create(world: &World, guild: &Guild, viewer: UserId, roster: Roster) -> Bytes {
    render(&GuildView::new(world, guild, GuildForm::Gateway { viewer, roster }))
}

/// Returns the `d` of `GUILD_UPDATE`.
pub(crate) fn guild_update(world: &World, guild: &Guild) -> Bytes {
    render(&GuildView::new(world, guild, GuildForm::Rest { with_counts: false }))
}

/// A guild as `GET /guilds/{id}/preview` tells it.
#[derive(Debug, Serialize)]
pub(crate) struct GuildPreviewView<'a> {
    id: GuildId,
    name: &'a str,
    icon: Null,
    description: Option<&'a str>,
    home_header: Null,
    splash: Null,
    discovery_splash: Null,
    features: &'a BTreeSet<String>,
    approximate_member_count: usize,
    approximate_presence_count: usize,
    emojis: Vec<GuildEmojiView<'a>>,
    stickers: Vec<StickerView<'a>>,
}

impl<'a> GuildPreviewView<'a> {
    pub(crate) fn new(world: &World, guild: &'a Guild) -> Self {
        Self {
            id: guild.id,
            name: &guild.name,
            icon: None,
            description: guild.description.as_deref(),
            home_header: None,
            splash: None,
            discovery_splash: None,
            features: &guild.settings.features,
            approximate_member_count: guild.members.len(),
            approximate_presence_count: world.online_in(guild).len(),
            emojis: GuildEmojiView::all(guild),
            stickers: StickerView::all(guild),
        }
    }
}

/// One of the guilds of `GET /users/@me/guilds`.
#[derive(Debug, Serialize)]
pub(crate) struct MyGuildView<'a> {
    id: GuildId,
    name: &'a str,
    icon: Null,
    banner: Null,
    owner: bool,
    permissions: Bits,
    features: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_member_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_presence_count: Option<usize>,
}

impl<'a> MyGuildView<'a> {
    pub(crate) fn new(
        world: &World,
        guild: &'a Guild,
        viewer: UserId,
        permissions: Permissions,
        with_counts: bool,
    ) -> Self {
        Self {
            id: guild.id,
            name: &guild.name,
            icon: None,
            banner: None,
            owner: guild.owner == viewer,
            permissions: Bits(permissions),
            features: &guild.settings.features,
            approximate_member_count: with_counts.then_some(guild.members.len()),
            approximate_presence_count: with_counts.then(|| world.online_in(guild).len()),
        }
    }
}

#[derive(Debug, Serialize)]
struct AuditEntryView<'a> {
    id: AnyId,
    action_type: u16,
    user_id: UserId,
    target_id: Option<AnyId>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    changes: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
}

impl<'a> AuditEntryView<'a> {
    fn new(entry: &'a AuditEntry, guild_id: Option<GuildId>) -> Self {
        Self {
            id: AnyId(entry.id.get()),
            action_type: entry.action,
            user_id: entry.user,
            target_id: entry.target.map(AnyId),
            changes: &entry.changes,
            options: entry.options.as_ref(),
            reason: entry.reason.as_deref(),
            guild_id,
        }
    }
}

/// Returns the `d` of `GUILD_AUDIT_LOG_ENTRY_CREATE`.
pub(crate) fn audit_entry_create(entry: &AuditEntry, guild: GuildId) -> Bytes {
    render(&AuditEntryView::new(entry, Some(guild)))
}

#[derive(Debug, Serialize)]
pub(crate) struct AuditLogView<'a> {
    audit_log_entries: Vec<AuditEntryView<'a>>,
    users: Vec<UserView<'a>>,
    integrations: [(); 0],
    webhooks: Vec<WebhookView<'a>>,
    guild_scheduled_events: Vec<ScheduledEventView<'a>>,
    threads: Vec<ThreadView<'a>>,
    application_commands: [(); 0],
    auto_moderation_rules: [(); 0],
}

impl<'a> AuditLogView<'a> {
    pub(crate) fn new(world: &'a World, entries: &[&'a AuditEntry]) -> Self {
        let actors = entries.iter().map(|entry| entry.user);
        let targets = entries.iter().filter_map(|entry| UserId::new_checked(entry.target?));
        let named: BTreeSet<UserId> = actors.chain(targets).collect();
        let targets: BTreeSet<ChannelId> =
            entries.iter().filter_map(|entry| ChannelId::new_checked(entry.target?)).collect();
        let threads = targets.iter().filter_map(|id| world.channels.get(id));
        let webhooks = targets.iter().filter_map(|id| world.webhooks.get(&id.cast()));
        let events = targets.iter().filter_map(|id| world.event_anywhere(id.cast()));
        Self {
            audit_log_entries: entries
                .iter()
                .map(|entry| AuditEntryView::new(entry, None))
                .collect(),
            users: named.iter().filter_map(|id| world.users.get(id)).map(UserView::new).collect(),
            integrations: [],
            webhooks: webhooks
                .map(|webhook| WebhookView::new(world, webhook, WebhookDetail::WithoutToken))
                .collect(),
            guild_scheduled_events: events
                .map(|event| ScheduledEventView::new(world, event, false))
                .collect(),
            threads: threads.filter_map(|thread| ThreadView::new(thread, None)).collect(),
            application_commands: [],
            auto_moderation_rules: [],
        }
    }
}

#[derive(Serialize)]
struct RoleEvent<'a> {
    guild_id: GuildId,
    role: RoleView<'a>,
}

#[derive(Serialize)]
struct RoleDeleted {
    guild_id: GuildId,
    role_id: RoleId,
}

#[derive(Serialize)]
struct GuildLeft {
    id: GuildId,
}

#[derive(Serialize)]
struct GuildUnavailable {
    id: GuildId,
    unavailable: bool,
}

#[derive(Serialize)]
struct PinsUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
    channel_id: ChannelId,
    last_pin_timestamp: Option<Iso>,
}

pub(crate) fn role_event(guild: GuildId, role: &Role) -> Bytes {
    render(&RoleEvent { guild_id: guild, role: RoleView::new(role) })
}

pub(crate) fn role_deleted(guild: GuildId, role: RoleId) -> Bytes {
    render(&RoleDeleted { guild_id: guild, role_id: role })
}

pub(crate) fn channel_event(channel: &Channel) -> Bytes {
    render(&ChannelView::new(channel))
}

pub(crate) fn channel_pins_update(channel: &Channel) -> Bytes {
    render(&PinsUpdate {
        guild_id: channel.guild,
        channel_id: channel.id,
        last_pin_timestamp: channel.last_pin.map(Iso),
    })
}

/// Returns the `d` of a `GUILD_DELETE` that says that the guild has an outage.
pub(crate) fn guild_unavailable(guild: GuildId) -> Bytes {
    render(&GuildUnavailable { id: guild, unavailable: true })
}

/// Returns the `d` of a `GUILD_DELETE` that says that the bot is no member any more.
pub(crate) fn guild_left(guild: GuildId) -> Bytes {
    render(&GuildLeft { id: guild })
}

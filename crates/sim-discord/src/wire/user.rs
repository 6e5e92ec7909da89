use bytes::Bytes;
use serde::Serialize;

use super::{Iso, render};
use crate::domain::{
    ApplicationId, Bot, Channel, ChannelId, GuildId, Member, Persona, RoleId, User, UserId, World,
};

use ery_clock::UnixMillis;

/// Nothing, where Discord writes `null`.
type Null = Option<()>;

#[derive(Debug, Serialize)]
pub(crate) struct UserView<'a> {
    id: UserId,
    username: &'a str,
    discriminator: Discriminator,
    global_name: Option<&'a str>,
    avatar: Option<&'a str>,
    avatar_decoration_data: Null,
    collectibles: Null,
    banner: Null,
    accent_color: Null,
    public_flags: u32,
    flags: u32,
    primary_guild: Null,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bot: bool,
}

impl<'a> UserView<'a> {
    pub(crate) fn new(user: &'a User) -> Self {
        Self {
            id: user.id,
            username: &user.username,
            discriminator: if user.is_bot {
                Discriminator::Bot(user.id)
            } else {
                Discriminator::Person
            },
            global_name: user.global_name.as_deref(),
            avatar: None,
            avatar_decoration_data: None,
            collectibles: None,
            banner: None,
            accent_color: None,
            public_flags: 0,
            flags: 0,
            primary_guild: None,
            bot: user.is_bot,
        }
    }

    /// Stands for an account that the world does not know.
    pub(crate) fn deleted(id: UserId) -> UserView<'static> {
        UserView {
            id,
            username: "deleted_user",
            discriminator: Discriminator::Person,
            global_name: None,
            avatar: None,
            avatar_decoration_data: None,
            collectibles: None,
            banner: None,
            accent_color: None,
            public_flags: 0,
            flags: 0,
            primary_guild: None,
            bot: false,
        }
    }

    /// Stands for a webhook, which is no account but is shown as one.
    pub(crate) fn of_webhook(id: UserId, persona: &'a Persona) -> Self {
        Self {
            username: &persona.name,
            discriminator: Discriminator::Webhook,
            avatar: persona.avatar.as_deref(),
            bot: true,
            ..Self::deleted(id)
        }
    }

    pub(crate) fn of(world: &'a World, id: UserId) -> Self {
        world.users.get(&id).map_or_else(|| Self::deleted(id), Self::new)
    }
}

/// `0` for people; bots still have four digits, and webhooks have four that say nothing.
#[derive(Clone, Copy, Debug)]
enum Discriminator {
    Person,
    Bot(UserId),
    Webhook,
}

impl Serialize for Discriminator {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Person => serializer.serialize_str("0"),
            Self::Bot(bot) => {
                serializer.collect_str(&format_args!("{:04}", (bot.get() >> 22) % 9_999 + 1))
            }
            Self::Webhook => serializer.serialize_str("0000"),
        }
    }
}

/// The bot itself, as `GET /users/@me` and READY tell it.
#[derive(Debug, Serialize)]
pub(crate) struct MeView<'a> {
    #[serde(flatten)]
    user: UserView<'a>,
    mfa_enabled: bool,
    locale: &'static str,
    premium_type: u8,
    email: Null,
    verified: bool,
    bio: &'static str,
}

impl<'a> MeView<'a> {
    pub(crate) fn new(user: &'a User) -> Self {
        Self {
            user: UserView::new(user),
            mfa_enabled: true,
            locale: "en-US",
            premium_type: 0,
            email: None,
            verified: true,
            bio: "",
        }
    }
}

/// The privileged intents, as an application's flags tell them, for few guilds.
const LIMITED_INTENTS: u64 = (1 << 13) | (1 << 15) | (1 << 19);

#[derive(Debug, Serialize)]
pub(crate) struct ApplicationView<'a> {
    id: ApplicationId,
    name: &'a str,
    icon: Null,
    description: &'static str,
    summary: &'static str,
    #[serde(rename = "type")]
    kind: Null,
    bot: UserView<'a>,
    bot_public: bool,
    bot_require_code_grant: bool,
    verify_key: &'static str,
    flags: u64,
    flags_new: String,
    owner: UserView<'a>,
    team: Null,
    redirect_uris: [(); 0],
    rpc_origins: [(); 0],
    tags: [(); 0],
    interactions_endpoint_url: Null,
    role_connections_verification_url: Null,
    approximate_guild_count: usize,
    approximate_user_install_count: usize,
    approximate_user_authorization_count: usize,
    explicit_content_filter: u8,
    eligible_oauth2_scopes: [(); 0],
}

impl<'a> ApplicationView<'a> {
    pub(crate) fn new(world: &'a World, bot: &'a Bot) -> Self {
        let user = UserView::of(world, bot.user);
        let flags = Self::flags(bot);
        let guilds =
            world.guilds.values().filter(|guild| guild.members.contains_key(&bot.user)).count();
        Self {
            id: bot.application,
            name: user.username,
            icon: None,
            description: "",
            summary: "",
            kind: None,
            bot_public: true,
            bot_require_code_grant: false,
            verify_key: "0000000000000000000000000000000000000000000000000000000000000000",
            flags,
            flags_new: flags.to_string(),
            owner: UserView::of(world, bot.owner.unwrap_or(bot.user)),
            bot: user,
            team: None,
            redirect_uris: [],
            rpc_origins: [],
            tags: [],
            interactions_endpoint_url: None,
            role_connections_verification_url: None,
            approximate_guild_count: guilds,
            approximate_user_install_count: 0,
            approximate_user_authorization_count: 0,
            explicit_content_filter: 0,
            eligible_oauth2_scopes: [],
        }
    }

    pub(crate) fn flags(bot: &Bot) -> u64 {
        if bot.privileged_intents { LIMITED_INTENTS } else { 0 }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct MemberView<'a> {
    /// Left out inside a message, where the author says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserView<'a>>,
    nick: Option<&'a str>,
    avatar: Null,
    avatar_decoration_data: Null,
    collectibles: Null,
    banner: Null,
    roles: &'a [RoleId],
    joined_at: Iso,
    premium_since: Null,
    communication_disabled_until: Option<Iso>,
    deaf: bool,
    mute: bool,
    pending: bool,
    flags: u32,
}

impl<'a> MemberView<'a> {
    pub(crate) fn new(world: &'a World, member: &'a Member) -> Self {
        let user = Some(UserView::of(world, member.user));
        Self { user, ..Self::partial(member) }
    }

    /// Without the user.
    pub(crate) fn partial(member: &'a Member) -> Self {
        Self {
            user: None,
            nick: member.nick.as_deref(),
            avatar: None,
            avatar_decoration_data: None,
            collectibles: None,
            banner: None,
            roles: &member.roles,
            joined_at: Iso(member.joined_at),
            premium_since: None,
            communication_disabled_until: member.timed_out_until.map(Iso),
            deaf: false,
            mute: false,
            pending: false,
            flags: 0,
        }
    }
}

#[derive(Serialize)]
struct MemberEvent<'a> {
    guild_id: GuildId,
    #[serde(flatten)]
    member: MemberView<'a>,
}

#[derive(Serialize)]
struct UserEvent<'a> {
    guild_id: GuildId,
    user: UserView<'a>,
}

#[derive(Serialize)]
struct TypingStart<'a> {
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
    user_id: UserId,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberView<'a>>,
}

/// Returns the `d` of `GUILD_MEMBER_ADD` and `GUILD_MEMBER_UPDATE`; somebody who is no member any
/// more gives what a removal would.
pub(crate) fn member_event(world: &World, guild: GuildId, user: UserId) -> Bytes {
    match world.member(guild, user) {
        Some(member) => {
            render(&MemberEvent { guild_id: guild, member: MemberView::new(world, member) })
        }
        None => user_event(world, guild, user),
    }
}

/// Returns the `d` of `GUILD_MEMBER_REMOVE` and `GUILD_BAN_ADD` and so on.
pub(crate) fn user_event(world: &World, guild: GuildId, user: UserId) -> Bytes {
    render(&UserEvent { guild_id: guild, user: UserView::of(world, user) })
}

/// Returns the `d` of `TYPING_START`.
pub(crate) fn typing_start(
    world: &World,
    channel: &Channel,
    user: UserId,
    now: UnixMillis,
) -> Bytes {
    let member = channel.guild.and_then(|guild| world.member(guild, user));
    render(&TypingStart {
        channel_id: channel.id,
        guild_id: channel.guild,
        user_id: user,
        timestamp: now.as_secs(),
        member: member.map(|member| MemberView::new(world, member)),
    })
}

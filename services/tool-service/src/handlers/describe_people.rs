use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;
use ery_proto::tool::v1::{DescribePeopleRequest, DescribePeopleResponse, PersonInChannel};

use super::channel_key;
use crate::{
    domain::{
        guild::{ChannelKind, GuildState, Member},
        permissions,
    },
    error::CallError,
    patience::Question,
    service::Shared,
};

/// How many people are described at once.
const MAX_PEOPLE: usize = 200;

/// Tells what people may do in a channel.
pub(super) async fn handle(
    shared: &Shared,
    request: &DescribePeopleRequest,
) -> Result<DescribePeopleResponse, CallError> {
    let channel = channel_key(request.guild_id, request.channel_id)?;
    if request.user_ids.len() > MAX_PEOPLE {
        return Err(CallError::Invalid(format!("at most {MAX_PEOPLE} people at once")));
    }
    let users = request.user_ids.iter().map(|user| {
        Id::new_checked(*user).ok_or_else(|| CallError::Invalid("a user's id cannot be 0".into()))
    });
    let users = users.collect::<Result<Vec<_>, _>>()?;
    let people = match channel.guild() {
        Some(guild) => in_guild(shared, guild, channel.channel, &users).await?,
        None => in_dm(shared.guilds.bot().await?, &users),
    };
    Ok(DescribePeopleResponse { people })
}

async fn in_guild(
    shared: &Shared,
    guild: Id<GuildMarker>,
    channel: Id<ChannelMarker>,
    users: &[Id<UserMarker>],
) -> Result<Vec<PersonInChannel>, CallError> {
    let key = format!("people/{channel}");
    let question = Question { key: &key, place: format!("people/{guild}") };
    let now = shared.clock.now();
    let state = match shared.guilds.state(guild, users).await.map_err(CallError::from) {
        Ok(state) => {
            shared.patience.answered(&question);
            state
        }
        // Whoever cannot be looked up has no rights; the channel goes on.
        Err(error) if shared.gives_up(&question, &error) => {
            tracing::warn!(error = %error, guild.id = %guild, "people are taken for strangers");
            shared.guilds.state(guild, &[]).await?
        }
        Err(error) => return Err(error),
    };
    let state = with_channel(shared, guild, channel, users, state).await;
    Ok(users.iter().map(|user| describe(&state, channel, *user, now)).collect())
}

/// Looks up a thread that no event told of: what people may do there hangs on its channel. Where that
/// fails, they may do nothing there.
async fn with_channel(
    shared: &Shared,
    guild: Id<GuildMarker>,
    channel: Id<ChannelMarker>,
    users: &[Id<UserMarker>],
    state: GuildState,
) -> GuildState {
    if state.channel(channel).is_some() {
        return state;
    }
    match shared.guilds.channel(guild, channel).await {
        Ok(Some(_)) => shared.guilds.state(guild, users).await.unwrap_or(state),
        Ok(None) => state,
        Err(error) => {
            tracing::debug!(%error, channel.id = %channel, "a channel could not be looked up");
            state
        }
    }
}

/// Both sides of a direct message have the same rights there.
fn in_dm(bot: Id<UserMarker>, users: &[Id<UserMarker>]) -> Vec<PersonInChannel> {
    let rights = |user: &Id<UserMarker>| if *user == bot { "ery" } else { "member" };
    users
        .iter()
        .map(|user| PersonInChannel {
            user_id: user.get(),
            rights: rights(user).to_owned(),
            ..PersonInChannel::default()
        })
        .collect()
}

fn describe(
    state: &GuildState,
    channel: Id<ChannelMarker>,
    user: Id<UserMarker>,
    now: UnixMillis,
) -> PersonInChannel {
    let guild = &*state.guild;
    let Some(member) = state.member(user) else {
        return PersonInChannel {
            user_id: user.get(),
            rights: "stranger".into(),
            ..PersonInChannel::default()
        };
    };
    let of_guild = permissions::in_guild(guild, member, now);
    let of_channel = state.channel(channel).map_or(Permissions::empty(), |channel| {
        permissions::in_channel(guild, member, channel, now)
    });
    let is_private = state.channel(channel).is_some_and(|of| of.kind == ChannelKind::PrivateThread);
    PersonInChannel {
        is_perhaps_outside: is_private && !of_channel.contains(Permissions::MANAGE_THREADS),
        user_id: user.get(),
        name: member.name().to_owned(),
        rights: rights(state, member, of_guild | of_channel).to_owned(),
        channel_permissions: of_channel.bits(),
        guild_permissions: of_guild.bits(),
        role_ids: member.roles.iter().map(|role| role.get()).collect(),
    }
}

fn rights(state: &GuildState, member: &Member, has: Permissions) -> &'static str {
    if member.user == state.bot {
        "ery"
    } else if member.is_bot {
        "bot"
    } else if member.user == state.guild.owner {
        "owner"
    } else if has.contains(Permissions::ADMINISTRATOR) {
        "administrator"
    } else if has.intersects(permissions::MODERATION) {
        "moderator"
    } else {
        "member"
    }
}

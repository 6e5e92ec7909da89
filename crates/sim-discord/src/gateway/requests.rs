//! What a client asks for on the Gateway: members, sounds, what goes on in channels.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    frames::{OneOrMany, RequestChannelInfo, RequestMembers, RequestSounds},
    intents,
    session::{Session, Ways},
    sessions::shard_of,
};
use crate::{
    domain::{Guild, GuildId, Member, UserId, World},
    wire,
};

const MEMBERS_PER_CHUNK: usize = 1_000;
/// How many members can be asked for by a prefix or by their ids.
const MAX_WANTED: usize = 100;
/// A longer nonce is ignored.
const MAX_NONCE_BYTES: usize = 32;
/// All members of a guild may be asked for once in this time.
const ALL_MEMBERS_EVERY: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct MembersChunk<'a> {
    guild_id: GuildId,
    members: Vec<wire::MemberView<'a>>,
    chunk_index: usize,
    chunk_count: usize,
    not_found: &'a [UserId],
    #[serde(skip_serializing_if = "Option::is_none")]
    presences: Option<Vec<wire::PresenceView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

/// Which members a client asked for.
struct Wanted {
    query: String,
    limit: usize,
    users: Option<Vec<UserId>>,
    presences: bool,
    nonce: Option<String>,
}

impl Wanted {
    fn is_everybody(&self) -> bool {
        self.users.is_none() && self.query.is_empty() && self.limit == 0
    }
}

impl Session {
    /// Answers op 8: the members that were asked for, in chunks.
    ///
    /// Source: Discord Docs, Gateway Events, "Request Guild Members".
    pub(super) fn request_members(
        &mut self,
        world: &World,
        request: RequestMembers,
        enforce_limits: bool,
        ways: &mut Ways<'_>,
    ) {
        let wanted = Wanted {
            query: request.query.unwrap_or_default(),
            limit: request.limit.unwrap_or(0),
            users: request.user_ids.map(OneOrMany::into_vec),
            presences: request.presences == Some(true)
                && self.intents & intents::GUILD_PRESENCES != 0,
            nonce: request.nonce.filter(|nonce| nonce.len() <= MAX_NONCE_BYTES),
        };
        for guild in request.guild_id.into_vec() {
            let Some(place) = self.own_guild(world, guild) else { continue };
            if wanted.is_everybody()
                && enforce_limits
                && self.is_asked_too_often(guild, &wanted, ways)
            {
                continue;
            }
            self.send_members(world, place, &wanted, ways);
        }
    }

    /// Answers op 31: the sounds of guilds, of which there are none in this world.
    pub(super) fn request_sounds(
        &mut self,
        world: &World,
        request: &RequestSounds,
        ways: &mut Ways<'_>,
    ) {
        for guild in &request.guild_ids {
            if self.own_guild(world, *guild).is_some() {
                let body = json!({ "guild_id": guild, "soundboard_sounds": [] });
                self.dispatch("SOUNDBOARD_SOUNDS", wire::render(&body), ways);
            }
        }
    }

    /// Answers op 43: what goes on in voice channels, which is nothing in this world.
    pub(super) fn request_channel_info(
        &mut self,
        world: &World,
        request: &RequestChannelInfo,
        ways: &mut Ways<'_>,
    ) {
        if self.own_guild(world, request.guild_id).is_some() {
            let body = json!({ "guild_id": request.guild_id, "channels": [] });
            self.dispatch("CHANNEL_INFO", wire::render(&body), ways);
        }
    }

    /// Returns a guild that this session is in, and that has no outage.
    fn own_guild<'a>(&self, world: &'a World, guild: GuildId) -> Option<&'a Guild> {
        let place = world.guilds.get(&guild)?;
        let is_own = place.members.contains_key(&self.bot)
            && shard_of(guild, self.shard.1) == self.shard.0
            && !world.unavailable.contains(&guild);
        is_own.then_some(place)
    }

    fn send_members(&mut self, world: &World, place: &Guild, wanted: &Wanted, ways: &mut Ways<'_>) {
        let mut not_found = Vec::new();
        let members: Vec<&Member> = match &wanted.users {
            Some(users) => {
                let asked = users.iter().take(MAX_WANTED);
                let (found, missing): (Vec<_>, Vec<_>) =
                    asked.partition(|user| place.members.contains_key(user));
                not_found = missing.into_iter().copied().collect();
                found.into_iter().filter_map(|user| place.members.get(user)).collect()
            }
            // Who lacks the intent learns of nobody else this way.
            None if wanted.is_everybody() && self.intents & intents::GUILD_MEMBERS == 0 => {
                place.members.get(&self.bot).into_iter().collect()
            }
            None if wanted.is_everybody() => place.members.values().collect(),
            None => {
                let limit = if wanted.limit == 0 { MAX_WANTED } else { wanted.limit };
                let limit = limit.min(MAX_WANTED);
                world.search_members(place.id, &wanted.query, limit).unwrap_or_default()
            }
        };
        let count = members.len().div_ceil(MEMBERS_PER_CHUNK).max(1);
        for index in 0..count {
            let chunk = members.iter().skip(index * MEMBERS_PER_CHUNK).take(MEMBERS_PER_CHUNK);
            let online = chunk.clone().map(|member| member.user);
            let online = online.filter(|user| world.presence(*user).is_visible());
            let presences = online.map(|user| wire::PresenceView::new(world, None, user));
            let body = wire::render(&MembersChunk {
                guild_id: place.id,
                members: chunk.map(|member| wire::MemberView::new(world, member)).collect(),
                chunk_index: index,
                chunk_count: count,
                not_found: &not_found,
                presences: wanted.presences.then(|| presences.collect()),
                nonce: wanted.nonce.as_deref(),
            });
            self.dispatch("GUILD_MEMBERS_CHUNK", body, ways);
        }
    }

    /// Tells whether all members were asked for lately, and says so to the client.
    fn is_asked_too_often(&mut self, guild: GuildId, wanted: &Wanted, ways: &mut Ways<'_>) -> bool {
        let now = Instant::now();
        let last = self.asked_for_all.get(&guild).copied();
        let wait = last.map(|last| ALL_MEMBERS_EVERY.saturating_sub(now.duration_since(last)));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            let body = wire::render(&json!({
                "opcode": 8,
                "retry_after": wait.as_secs_f64(),
                "meta": { "guild_id": guild, "nonce": wanted.nonce },
            }));
            self.dispatch("RATE_LIMITED", body, ways);
            return true;
        }
        self.asked_for_all.insert(guild, now);
        false
    }
}

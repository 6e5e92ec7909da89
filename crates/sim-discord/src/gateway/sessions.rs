//! The sessions of bots: who hears what, in which order, and what is kept to be said again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use twilight_model::guild::Permissions;
use uuid::Uuid;

use ery_clock::UnixMillis;
use ery_ids::SHARD_FORMULA_SHIFT;

use super::{
    close::CloseReason,
    frames::{Identify, RequestMembers, Resume},
    intents,
};
use crate::{
    domain::{Audience, Bot, Dispatch, GuildId, Member, Payload, UserId, World},
    wire,
};

/// Discord allows a shard so many guilds.
const MAX_GUILDS_PER_SHARD: usize = 2_500;
/// Past so many sessions, those that have been without a connection for longest are forgotten.
const MAX_SESSIONS: usize = 1_000;
const MEMBERS_PER_CHUNK: usize = 1_000;
/// All members of a guild may be asked for once in this time.
const ALL_MEMBERS_EVERY: Duration = Duration::from_secs(30);
const IDENTIFY_EVERY: Duration = Duration::from_secs(5);

/// What can be set about sessions, also while they run.
#[derive(Clone, Debug)]
pub(crate) struct SessionSettings {
    /// How many dispatches are kept for a resume.
    pub(crate) replay_capacity: usize,
    /// How many dispatches may wait for a slow connection.
    pub(crate) queue_capacity: usize,
    /// How long a session can be resumed after its connection went.
    pub(crate) resume_window: Duration,
    /// Whether `GUILD_CREATE` has all members even without the presences intent.
    pub(crate) full_member_lists: bool,
    /// Whether IDENTIFYs are held to `max_concurrency` in five seconds.
    pub(crate) identify_limit: bool,
    pub(crate) max_concurrency: u64,
}

/// One dispatch of one session.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) name: &'static str,
    pub(super) body: Bytes,
}

/// What a connection is asked to send or to suffer.
#[derive(Debug)]
pub(super) enum Outgoing {
    Dispatch(Entry),
    Disturb(Disturbance),
}

/// What can be done to connections from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// Ask the client to hang up and resume.
    Reconnect,
    /// Cut the connection without a word.
    Drop,
    /// End the session, and say so.
    Invalidate,
    /// Say nothing any more, not even to heartbeats.
    Stall,
    /// Ask for a heartbeat.
    Heartbeat,
    /// Say the last dispatches once more, under their old numbers.
    Repeat { count: usize },
}

/// The way to one connection.
#[derive(Debug)]
pub(super) struct Link {
    id: u64,
    queue: mpsc::Sender<Outgoing>,
    kick: CancellationToken,
}

/// A connection's side of its [`Link`].
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) session: Arc<str>,
    pub(super) link: u64,
    pub(super) queue: mpsc::Receiver<Outgoing>,
    /// Cancelled when the session has another connection, or this one was too slow.
    pub(super) kick: CancellationToken,
    /// What is to be sent before anything from the queue.
    pub(super) first: Vec<Entry>,
}

/// Why a client did not get its session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    Close(CloseReason),
    InvalidSession,
}

#[derive(Debug)]
struct Session {
    id: Arc<str>,
    bot: UserId,
    shard: (u64, u64),
    intents: u64,
    large_threshold: usize,
    sequence: u64,
    replay: VecDeque<Entry>,
    link: Option<Link>,
    /// Since when it has no connection.
    alone_since: Option<Instant>,
    /// When all members of a guild were last asked for.
    asked_for_all: HashMap<GuildId, Instant>,
}

/// All sessions of all bots.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_id: HashMap<Arc<str>, Session>,
    pub(crate) settings: SessionSettings,
    next_link: u64,
    identifies: u64,
    last_identify: HashMap<(UserId, u64), Instant>,
}

#[derive(Serialize)]
struct Ready<'a> {
    v: u8,
    user_settings: Empty,
    user: wire::MeView<'a>,
    session_type: &'static str,
    session_id: &'a str,
    resume_gateway_url: &'a str,
    relationships: [(); 0],
    private_channels: [(); 0],
    presences: [(); 0],
    guilds: Vec<UnavailableGuild>,
    guild_join_requests: [(); 0],
    geo_ordered_rtc_regions: [(); 0],
    game_relationships: [(); 0],
    auth: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<[u64; 2]>,
    application: ReadyApplication,
    _trace: [&'static str; 1],
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct UnavailableGuild {
    id: GuildId,
    unavailable: bool,
}

#[derive(Serialize)]
struct ReadyApplication {
    id: crate::domain::ApplicationId,
    flags: u64,
}

#[derive(Serialize)]
struct MembersChunk<'a> {
    guild_id: GuildId,
    members: Vec<wire::MemberView<'a>>,
    chunk_index: usize,
    chunk_count: usize,
    not_found: &'a [UserId],
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl Sessions {
    pub(crate) fn new(settings: SessionSettings) -> Self {
        Self {
            by_id: HashMap::new(),
            settings,
            next_link: 0,
            identifies: 0,
            last_identify: HashMap::new(),
        }
    }

    /// Returns how many sessions were begun since the start.
    pub(crate) fn identifies(&self) -> u64 {
        self.identifies
    }

    /// Begins a session; its first dispatches are `READY` and one `GUILD_CREATE` for each guild.
    pub(super) fn identify(
        &mut self,
        world: &World,
        identify: &Identify,
        asks_shard: bool,
        own_url: &str,
    ) -> Result<Attachment, Rejected> {
        self.sweep();
        let token = identify.token.strip_prefix("Bot ").unwrap_or(&identify.token);
        let bot =
            world.bot_by_token(token).ok_or(Rejected::Close(CloseReason::AuthenticationFailed))?;
        let [shard, count] = identify.shard.unwrap_or([0, 1]);
        if shard >= count {
            return Err(Rejected::Close(CloseReason::InvalidShard));
        }
        if identify.intents & !intents::KNOWN != 0 {
            return Err(Rejected::Close(CloseReason::InvalidIntents));
        }
        if identify.intents & intents::PRIVILEGED != 0 && !bot.privileged_intents {
            return Err(Rejected::Close(CloseReason::DisallowedIntents));
        }
        let guilds: Vec<GuildId> = world
            .guilds
            .values()
            .filter(|guild| guild.members.contains_key(&bot.user))
            .map(|guild| guild.id)
            .filter(|guild| shard_of(*guild, count) == shard)
            .collect();
        if guilds.len() > MAX_GUILDS_PER_SHARD {
            return Err(Rejected::Close(CloseReason::ShardingRequired));
        }
        self.check_identify_limit(bot.user, shard)?;
        self.identifies += 1;

        let id: Arc<str> = Uuid::new_v4().simple().to_string().into();
        let mut session = Session {
            id: Arc::clone(&id),
            bot: bot.user,
            shard: (shard, count),
            intents: identify.intents,
            large_threshold: large_threshold(identify.large_threshold),
            sequence: 0,
            replay: VecDeque::new(),
            link: None,
            alone_since: None,
            asked_for_all: HashMap::new(),
        };
        let ready = ready(world, bot, &id, own_url, &guilds, asks_shard.then_some([shard, count]));
        session.push("READY", ready, &self.settings);
        let mut first: Vec<Entry> = session.replay.iter().cloned().collect();
        if identify.intents & intents::GUILDS != 0 {
            for guild in guilds {
                let body = session.guild_create(world, guild, &self.settings);
                first.push(session.push("GUILD_CREATE", body, &self.settings));
            }
        }
        let attachment = self.attach(&mut session, first);
        self.by_id.insert(id, session);
        Ok(attachment)
    }

    fn check_identify_limit(&mut self, bot: UserId, shard: u64) -> Result<(), Rejected> {
        if !self.settings.identify_limit {
            return Ok(());
        }
        let key = (bot, shard % self.settings.max_concurrency.max(1));
        let now = Instant::now();
        let is_early = self
            .last_identify
            .get(&key)
            .is_some_and(|last| now.duration_since(*last) < IDENTIFY_EVERY);
        if is_early {
            return Err(Rejected::InvalidSession);
        }
        self.last_identify.insert(key, now);
        Ok(())
    }

    /// Takes up a session again: everything after the client's sequence, then RESUMED.
    pub(super) fn resume(
        &mut self,
        world: &World,
        resume: &Resume,
    ) -> Result<Attachment, Rejected> {
        self.sweep();
        let token = resume.token.strip_prefix("Bot ").unwrap_or(&resume.token);
        let bot =
            world.bot_by_token(token).ok_or(Rejected::Close(CloseReason::AuthenticationFailed))?;
        let id = resume.session_id.as_str();
        if self.by_id.get(id).is_none_or(|session| session.bot != bot.user) {
            return Err(Rejected::InvalidSession);
        }
        // Taken out, because a resume that fails ends the session.
        let mut session = self.by_id.remove(id).ok_or(Rejected::InvalidSession)?;
        let seen = resume.seq.unwrap_or(0);
        if seen > session.sequence {
            return Err(Rejected::Close(CloseReason::InvalidSequence));
        }
        let oldest = session.replay.front().map_or(session.sequence + 1, |entry| entry.sequence);
        if seen + 1 < oldest {
            return Err(Rejected::InvalidSession);
        }
        if let Some(former) = session.link.take() {
            former.kick.cancel();
        }
        let missed = session.replay.iter().filter(|entry| entry.sequence > seen);
        let mut first: Vec<Entry> = missed.cloned().collect();
        let body = Bytes::from_static(br#"{"_trace":["[\"sim-discord\"]"]}"#);
        first.push(session.push("RESUMED", body, &self.settings));
        let attachment = self.attach(&mut session, first);
        self.by_id.insert(Arc::clone(&session.id), session);
        Ok(attachment)
    }

    fn attach(&mut self, session: &mut Session, first: Vec<Entry>) -> Attachment {
        let (queue, receiver) = mpsc::channel(self.settings.queue_capacity.max(1));
        let kick = CancellationToken::new();
        self.next_link += 1;
        let link = self.next_link;
        session.link = Some(Link { id: link, queue, kick: kick.clone() });
        session.alone_since = None;
        Attachment { session: Arc::clone(&session.id), link, queue: receiver, kick, first }
    }

    /// Notes that a connection is gone; the session stays for a while, or ends with it.
    pub(super) fn detach(&mut self, session: &str, link: u64, keep: bool) {
        let Some(found) = self.by_id.get_mut(session) else { return };
        if found.link.as_ref().is_none_or(|attached| attached.id != link) {
            return;
        }
        if keep {
            found.link = None;
            found.alone_since = Some(Instant::now());
        } else {
            self.by_id.remove(session);
        }
    }

    /// Forgets the sessions that nobody took up again in time.
    fn sweep(&mut self) {
        let window = self.settings.resume_window;
        let now = Instant::now();
        self.by_id.retain(|_, session| {
            session.alone_since.is_none_or(|since| now.duration_since(since) <= window)
        });
        while self.by_id.len() > MAX_SESSIONS {
            let alone = self
                .by_id
                .values()
                .filter_map(|session| Some((session.alone_since?, Arc::clone(&session.id))));
            let Some((_, longest_alone)) = alone.min() else { break };
            self.by_id.remove(&longest_alone);
        }
    }

    /// Passes a dispatch to every session that may hear it.
    pub(crate) fn deliver(&mut self, world: &World, dispatch: &Dispatch, now: UnixMillis) {
        for session in self.by_id.values_mut() {
            if let Some(body) = session.hears(world, dispatch, &self.settings, now) {
                session.push(dispatch.name, body, &self.settings);
            }
        }
        if self.by_id.values().any(|session| session.alone_since.is_some()) {
            self.sweep();
        }
    }

    /// Answers op 8: the members that were asked for, in chunks.
    pub(super) fn request_members(
        &mut self,
        world: &World,
        session: &str,
        request: RequestMembers,
        enforce_limits: bool,
    ) {
        let Some(session) = self.by_id.get_mut(session) else { return };
        let wanted = Wanted {
            query: request.query.unwrap_or_default(),
            limit: request.limit.unwrap_or(0),
            users: request.user_ids.map(super::frames::OneOrMany::into_vec),
            nonce: request.nonce,
        };
        for guild in request.guild_id.into_vec() {
            session.send_members(world, guild, &wanted, enforce_limits, &self.settings);
        }
    }

    /// Does something to the connections, of one shard or of all; returns how many there were.
    pub(crate) fn disturb(&mut self, what: Disturbance, shard: Option<u64>) -> usize {
        let mut disturbed = 0;
        let mut ended = Vec::new();
        for session in self.by_id.values_mut() {
            if shard.is_some_and(|shard| session.shard.0 != shard) {
                continue;
            }
            let Some(link) = &session.link else { continue };
            disturbed += 1;
            match what {
                Disturbance::Drop => {
                    link.kick.cancel();
                    session.link = None;
                    session.alone_since = Some(Instant::now());
                }
                Disturbance::Repeat { count } => session.repeat(count),
                _ => session.send(Outgoing::Disturb(what)),
            }
            if what == Disturbance::Invalidate {
                ended.push(Arc::clone(&session.id));
            }
        }
        for id in ended {
            self.by_id.remove(&id);
        }
        disturbed
    }

    /// Returns every session: its bot, shard, sequence, and whether it is connected.
    pub(crate) fn overview(&self) -> Vec<serde_json::Value> {
        let one = |session: &Session| {
            json!({
                "session_id": &*session.id,
                "bot_id": session.bot,
                "shard": [session.shard.0, session.shard.1],
                "intents": session.intents.to_string(),
                "sequence": session.sequence,
                "connected": session.link.is_some(),
            })
        };
        self.by_id.values().map(one).collect()
    }
}

/// Which members a client asked for.
struct Wanted {
    query: String,
    limit: usize,
    users: Option<Vec<UserId>>,
    nonce: Option<String>,
}

impl Session {
    /// Numbers a dispatch, keeps it, and sends it if anybody is connected.
    fn push(&mut self, name: &'static str, body: Bytes, settings: &SessionSettings) -> Entry {
        self.sequence += 1;
        let entry = Entry { sequence: self.sequence, name, body };
        self.replay.push_back(entry.clone());
        while self.replay.len() > settings.replay_capacity.max(1) {
            self.replay.pop_front();
        }
        self.send(Outgoing::Dispatch(entry.clone()));
        entry
    }

    fn repeat(&mut self, count: usize) {
        let skipped = self.replay.len().saturating_sub(count);
        let again: Vec<Entry> = self.replay.iter().skip(skipped).cloned().collect();
        for entry in again {
            self.send(Outgoing::Dispatch(entry));
        }
    }

    /// Hands something to the connection; one that does not keep up is cut, and may resume.
    fn send(&mut self, outgoing: Outgoing) {
        let Some(link) = &self.link else { return };
        if link.queue.try_send(outgoing).is_err() {
            link.kick.cancel();
            self.link = None;
            self.alone_since = Some(Instant::now());
        }
    }

    /// Returns what this session hears of a dispatch, if anything.
    fn hears(
        &self,
        world: &World,
        dispatch: &Dispatch,
        settings: &SessionSettings,
        now: UnixMillis,
    ) -> Option<Bytes> {
        let guild = dispatch.audience.guild();
        let shard = guild.map_or(0, |guild| shard_of(guild, self.shard.1));
        if shard != self.shard.0 {
            return None;
        }
        let about_itself = dispatch.about == Some(self.bot);
        let needed = intents::needed_for(dispatch.name, guild.is_some());
        let own_member = about_itself && dispatch.name == "GUILD_MEMBER_UPDATE";
        if needed != 0 && self.intents & needed == 0 && !own_member {
            return None;
        }
        if about_itself && dispatch.name == "GUILD_MEMBER_ADD" {
            return None; // it is told by GUILD_CREATE
        }
        if !self.is_in(world, dispatch.audience, now) {
            return None;
        }
        Some(match &dispatch.payload {
            Payload::Shared(body) => body.clone(),
            Payload::Guild(guild) => self.guild_create(world, *guild, settings),
            Payload::Message { channel, message, full } => {
                if self.intents & intents::MESSAGE_CONTENT != 0 {
                    return Some(full.clone());
                }
                let sight = wire::Sight::WithoutContent(self.bot);
                let found = world.channels.get(channel)?.messages.get(message)?;
                wire::dispatched_message(world, found, dispatch.name, sight)
            }
        })
    }

    fn is_in(&self, world: &World, audience: Audience, now: UnixMillis) -> bool {
        match audience {
            Audience::Guild(guild) => world.member(guild, self.bot).is_some(),
            Audience::Channel(_, channel) => world
                .channels
                .get(&channel)
                .and_then(|channel| world.permissions_in(channel, self.bot, now))
                .is_some_and(|rights| rights.contains(Permissions::VIEW_CHANNEL)),
            Audience::AuditLog(guild) => {
                world.require_in_guild(self.bot, guild, Permissions::VIEW_AUDIT_LOG, now).is_ok()
            }
            Audience::Dm(channel) => world
                .channels
                .get(&channel)
                .is_some_and(|channel| channel.recipients.contains(&self.bot)),
            Audience::User(user, _) => user == self.bot,
        }
    }

    /// Returns a whole guild. Without the presences intent, or in a large guild, Discord names the
    /// bot alone among the members.
    fn guild_create(&self, world: &World, guild: GuildId, settings: &SessionSettings) -> Bytes {
        let Some(guild) = world.guilds.get(&guild) else { return wire::guild_left(guild) };
        let is_small = guild.members.len() <= self.large_threshold;
        let knows_presences = self.intents & intents::GUILD_PRESENCES != 0;
        let with_members = is_small && (knows_presences || settings.full_member_lists);
        wire::guild_create(world, guild, self.bot, with_members)
    }

    fn send_members(
        &mut self,
        world: &World,
        guild: GuildId,
        wanted: &Wanted,
        enforce_limits: bool,
        settings: &SessionSettings,
    ) {
        let Some(place) = world.guilds.get(&guild).filter(|place| {
            place.members.contains_key(&self.bot) && shard_of(guild, self.shard.1) == self.shard.0
        }) else {
            return;
        };
        let wants_all = wanted.users.is_none() && wanted.query.is_empty() && wanted.limit == 0;
        if wants_all && enforce_limits && self.is_asked_too_often(guild, wanted, settings) {
            return;
        }
        let mut not_found = Vec::new();
        let members: Vec<&Member> = match &wanted.users {
            Some(users) => {
                let asked = users.iter().take(100);
                let (found, missing): (Vec<_>, Vec<_>) =
                    asked.partition(|user| place.members.contains_key(user));
                not_found = missing.into_iter().copied().collect();
                found.into_iter().filter_map(|user| place.members.get(user)).collect()
            }
            None if wants_all && self.intents & intents::GUILD_MEMBERS == 0 => {
                place.members.get(&self.bot).into_iter().collect()
            }
            None => {
                let most = if wants_all { usize::MAX } else { wanted.limit.clamp(1, 100) };
                world.search_members(guild, &wanted.query, most).unwrap_or_default()
            }
        };
        let count = members.len().div_ceil(MEMBERS_PER_CHUNK).max(1);
        for index in 0..count {
            let chunk = members.iter().skip(index * MEMBERS_PER_CHUNK).take(MEMBERS_PER_CHUNK);
            let body = wire::render(&MembersChunk {
                guild_id: guild,
                members: chunk.map(|member| wire::MemberView::new(world, member)).collect(),
                chunk_index: index,
                chunk_count: count,
                not_found: &not_found,
                nonce: wanted.nonce.as_deref(),
            });
            self.push("GUILD_MEMBERS_CHUNK", body, settings);
        }
    }

    /// Tells whether all members were asked for lately, and says so to the client.
    fn is_asked_too_often(
        &mut self,
        guild: GuildId,
        wanted: &Wanted,
        settings: &SessionSettings,
    ) -> bool {
        let now = Instant::now();
        let last = self.asked_for_all.get(&guild).copied();
        let wait = last.map(|last| ALL_MEMBERS_EVERY.saturating_sub(now.duration_since(last)));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            let body = wire::render(&json!({
                "opcode": 8,
                "retry_after": wait.as_secs_f64(),
                "meta": { "guild_id": guild, "nonce": wanted.nonce },
            }));
            self.push("RATE_LIMITED", body, settings);
            return true;
        }
        self.asked_for_all.insert(guild, now);
        false
    }
}

fn shard_of(guild: GuildId, count: u64) -> u64 {
    (guild.get() >> SHARD_FORMULA_SHIFT) % count.max(1)
}

fn large_threshold(asked: Option<u64>) -> usize {
    usize::try_from(asked.unwrap_or(50).clamp(50, 250)).unwrap_or(250)
}

fn ready(
    world: &World,
    bot: &Bot,
    session: &str,
    own_url: &str,
    guilds: &[GuildId],
    shard: Option<[u64; 2]>,
) -> Bytes {
    let Some(user) = world.users.get(&bot.user) else { return Bytes::from_static(b"{}") };
    wire::render(&Ready {
        v: 10,
        user_settings: Empty {},
        user: wire::MeView::new(user),
        session_type: "normal",
        session_id: session,
        resume_gateway_url: own_url,
        relationships: [],
        private_channels: [],
        presences: [],
        guilds: guilds.iter().map(|id| UnavailableGuild { id: *id, unavailable: true }).collect(),
        guild_join_requests: [],
        geo_ordered_rtc_regions: [],
        game_relationships: [],
        auth: Empty {},
        shard,
        application: ReadyApplication {
            id: bot.application,
            flags: wire::ApplicationView::flags(bot),
        },
        _trace: ["[\"sim-discord\"]"],
    })
}

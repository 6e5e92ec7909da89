//! The sessions of bots: who hears what, in which order, and what is kept to be said again.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::json;
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use ery_clock::UnixMillis;
use ery_ids::SHARD_FORMULA_SHIFT;

use super::{
    close::CloseReason,
    delayed::Delayed,
    frames::{Identify, Resume},
    intents, ready,
    session::{Session, Ways},
};
use crate::{
    domain::{Bot, Dispatch, GuildId, UserId, World},
    faults::Faults,
};

/// Discord allows a shard so many guilds.
const MAX_GUILDS_PER_SHARD: usize = 2_500;
/// Past so many sessions, those that have been without a connection for longest are forgotten.
const MAX_SESSIONS: usize = 1_000;
const IDENTIFY_EVERY: Duration = Duration::from_secs(5);
/// In such a time a bot may begin so many sessions as the settings say.
const STARTS_WINDOW: Duration = Duration::from_hours(24);

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
    /// Whether a bot that began all its sessions of the day is turned away.
    pub(crate) start_limit: bool,
    /// How many sessions a bot may begin in a day.
    pub(crate) starts: u64,
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
    /// Say that the session is invalid; it ends unless it may be resumed.
    Invalidate { resumable: bool },
    /// Close with a code.
    Close(u16),
    /// Say nothing any more, not even to heartbeats.
    Stall,
    /// Ask for a heartbeat.
    Heartbeat,
    /// Say the last dispatches once more, under their old numbers.
    Repeat { count: usize },
}

/// Which connections are disturbed; all where nothing is said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) shard: Option<u64>,
    pub(crate) bot: Option<UserId>,
    pub(crate) session: Option<String>,
}

impl Target {
    fn is(&self, session: &Session) -> bool {
        self.shard.is_none_or(|shard| session.shard.0 == shard)
            && self.bot.is_none_or(|bot| session.bot == bot)
            && self.session.as_ref().is_none_or(|id| **id == *session.id)
    }
}

/// The way to one connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: u64,
    pub(super) queue: mpsc::Sender<Outgoing>,
    pub(super) kick: CancellationToken,
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

/// Who may begin a session, and of what.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) bot: UserId,
    shard: (u64, u64),
    asks_shard: bool,
    intents: u64,
    large_threshold: usize,
    guilds: Vec<GuildId>,
}

/// How many sessions a bot began since a moment.
#[derive(Clone, Copy, Debug)]
struct Starts {
    began: Instant,
    used: u64,
}

/// How many sessions a bot may still begin, and when that is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartLimit {
    pub(crate) total: u64,
    pub(crate) remaining: u64,
    pub(crate) reset_after: Duration,
    pub(crate) max_concurrency: u64,
}

/// All sessions of all bots.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_id: HashMap<Arc<str>, Session>,
    pub(crate) settings: SessionSettings,
    faults: Arc<Faults>,
    delayed: Delayed,
    next_link: u64,
    identifies: u64,
    last_identify: HashMap<(UserId, u64), Instant>,
    starts: HashMap<UserId, Starts>,
    /// The bots of sessions that ended, until [`Sessions::take_gone`] asks.
    ended: Vec<UserId>,
}

impl Sessions {
    pub(crate) fn new(settings: SessionSettings, faults: Arc<Faults>) -> Self {
        Self {
            by_id: HashMap::new(),
            settings,
            faults,
            delayed: Delayed::default(),
            next_link: 0,
            identifies: 0,
            last_identify: HashMap::new(),
            starts: HashMap::new(),
            ended: Vec::new(),
        }
    }

    /// Returns how many sessions were begun since the start.
    pub(crate) fn identifies(&self) -> u64 {
        self.identifies
    }

    /// Returns whose session it is, if it is there.
    pub(super) fn bot(&self, session: &str) -> Option<UserId> {
        self.by_id.get(session).map(|session| session.bot)
    }

    /// Returns what the delayed dispatches are told by.
    pub(super) fn delayed_changed(&self) -> Arc<Notify> {
        self.delayed.changed()
    }

    /// Tells how many sessions a bot may still begin.
    pub(crate) fn start_limit(&self, bot: UserId) -> StartLimit {
        let now = Instant::now();
        let (used, reset_after) = self
            .starts
            .get(&bot)
            .map(|starts| (starts.used, (starts.began + STARTS_WINDOW).duration_since(now)))
            .filter(|(_, left)| !left.is_zero())
            .unwrap_or((0, STARTS_WINDOW));
        StartLimit {
            total: self.settings.starts,
            remaining: self.settings.starts.saturating_sub(used),
            reset_after,
            max_concurrency: self.settings.max_concurrency,
        }
    }

    /// Checks whether a session may begin.
    pub(super) fn admit(
        &mut self,
        world: &World,
        identify: &Identify,
    ) -> Result<Admitted, Rejected> {
        self.sweep();
        let bot = bot_of(world, &identify.token)?;
        let shard = identify.shard.as_ref().filter(|shard| !shard.is_null());
        let (index, count) = match shard {
            Some(shard) => two_numbers(shard).ok_or(Rejected::Close(CloseReason::InvalidShard))?,
            None => (0, 1),
        };
        if index >= count {
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
            .filter(|guild| shard_of(guild.id, count) == index)
            .filter(|guild| guild.members.contains_key(&bot.user))
            .map(|guild| guild.id)
            .collect();
        if guilds.len() > MAX_GUILDS_PER_SHARD {
            return Err(Rejected::Close(CloseReason::ShardingRequired));
        }
        if self.settings.start_limit && self.start_limit(bot.user).remaining == 0 {
            // Discord resets the token of a bot that goes on past its last session of the day.
            return Err(Rejected::Close(CloseReason::AuthenticationFailed));
        }
        self.check_identify_limit(bot.user, index)?;
        Ok(Admitted {
            bot: bot.user,
            shard: (index, count),
            asks_shard: shard.is_some(),
            intents: identify.intents,
            large_threshold: large_threshold(identify.large_threshold),
            guilds,
        })
    }

    /// Begins a session; its first dispatches are `READY` and one `GUILD_CREATE` for each guild.
    pub(super) fn begin(
        &mut self,
        world: &World,
        admitted: Admitted,
        own_url: &str,
    ) -> Result<Attachment, Rejected> {
        let bot = world.bot(admitted.bot);
        let bot = bot.ok_or(Rejected::Close(CloseReason::AuthenticationFailed))?;
        self.count_start(admitted.bot);
        let id: Arc<str> = Uuid::new_v4().simple().to_string().into();
        let mut session = Session::new(
            Arc::clone(&id),
            (admitted.bot, admitted.shard),
            admitted.intents,
            admitted.large_threshold,
        );
        let (index, count) = admitted.shard;
        let shard = admitted.asks_shard.then_some([index, count]);
        let ready = ready::body(world, bot, &id, own_url, &admitted.guilds, shard);
        let mut first = vec![session.push("READY", ready, &self.settings)];
        if admitted.intents & intents::GUILDS != 0 {
            for guild in admitted.guilds {
                let (name, body) = session.guild_now(world, guild, &self.settings);
                let mut ways = Ways::new(&self.settings, &self.faults, &mut self.delayed);
                session.first_dispatch(name, body, &mut ways, &mut first);
            }
        }
        let attachment = self.attach(&mut session, first);
        self.by_id.insert(id, session);
        Ok(attachment)
    }

    fn count_start(&mut self, bot: UserId) {
        self.identifies += 1;
        let now = Instant::now();
        let starts = self.starts.entry(bot).or_insert(Starts { began: now, used: 0 });
        if now.duration_since(starts.began) >= STARTS_WINDOW {
            *starts = Starts { began: now, used: 0 };
        }
        starts.used += 1;
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
        let bot = bot_of(world, &resume.token)?;
        let id = resume.session_id.as_str();
        if self.by_id.get(id).is_none_or(|session| session.bot != bot.user) {
            return Err(Rejected::InvalidSession);
        }
        // Taken out, because a resume that fails ends the session.
        let mut session = self.by_id.remove(id).ok_or(Rejected::InvalidSession)?;
        self.ended.push(session.bot);
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
            self.end(session);
        }
    }

    /// Ends a session, which nobody can resume then.
    pub(super) fn end(&mut self, session: &str) {
        if let Some(ended) = self.by_id.remove(session) {
            self.ended.push(ended.bot);
        }
    }

    /// Returns the bots that had a session and have none any more, each once.
    pub(super) fn take_gone(&mut self) -> Vec<UserId> {
        let mut gone = std::mem::take(&mut self.ended);
        gone.sort_unstable();
        gone.dedup();
        gone.retain(|bot| self.by_id.values().all(|session| session.bot != *bot));
        gone
    }

    /// Forgets the sessions that nobody took up again in time.
    fn sweep(&mut self) {
        let window = self.settings.resume_window;
        let now = Instant::now();
        let ended = &mut self.ended;
        self.by_id.retain(|_, session| {
            let stays = session.alone_since.is_none_or(|since| now.duration_since(since) <= window);
            if !stays {
                ended.push(session.bot);
            }
            stays
        });
        while self.by_id.len() > MAX_SESSIONS {
            let alone = self
                .by_id
                .values()
                .filter_map(|session| Some((session.alone_since?, Arc::clone(&session.id))));
            let Some((_, longest_alone)) = alone.min() else { break };
            self.end(&longest_alone);
        }
    }

    /// Passes a dispatch to every session that may hear it.
    pub(crate) fn deliver(&mut self, world: &World, dispatch: &Dispatch, now: UnixMillis) {
        let mut is_any_alone = false;
        let mut ways = Ways::new(&self.settings, &self.faults, &mut self.delayed);
        for session in self.by_id.values_mut() {
            is_any_alone |= session.alone_since.is_some();
            if let Some(body) = session.hears(world, dispatch, &self.settings, now) {
                session.dispatch(dispatch.name, body, &mut ways);
            }
        }
        if is_any_alone {
            self.sweep();
        }
    }

    /// Tells whether more waits for some connection than half of what may.
    pub(crate) fn is_any_behind(&self) -> bool {
        let links = self.by_id.values().filter_map(|session| session.link.as_ref());
        links.map(|link| &link.queue).any(|queue| queue.capacity() < queue.max_capacity() / 2)
    }

    /// Passes on the delayed dispatches whose time has come; returns when the next one's comes.
    pub(super) fn release_due(&mut self) -> Option<Instant> {
        for late in self.delayed.take_due(Instant::now()) {
            if let Some(session) = self.by_id.get_mut(&late.session) {
                session.push(late.name, late.body, &self.settings);
            }
        }
        self.delayed.next_due()
    }

    /// Lets a session say something in answer to what its client asked.
    pub(super) fn answer(&mut self, session: &str, ask: impl FnOnce(&mut Session, &mut Ways<'_>)) {
        let mut ways = Ways::new(&self.settings, &self.faults, &mut self.delayed);
        if let Some(session) = self.by_id.get_mut(session) {
            ask(session, &mut ways);
        }
    }

    /// Does something to connections; returns how many there were.
    pub(crate) fn disturb(&mut self, what: Disturbance, target: &Target) -> usize {
        let mut disturbed = 0;
        let mut ended = Vec::new();
        for session in self.by_id.values_mut().filter(|session| target.is(session)) {
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
            if what == (Disturbance::Invalidate { resumable: false }) {
                ended.push(Arc::clone(&session.id));
            }
        }
        for id in ended {
            self.end(&id);
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

pub(super) fn shard_of(guild: GuildId, count: u64) -> u64 {
    (guild.get() >> SHARD_FORMULA_SHIFT) % count.max(1)
}

fn large_threshold(asked: Option<u64>) -> usize {
    usize::try_from(asked.unwrap_or(50).clamp(50, 250)).unwrap_or(250)
}

fn bot_of<'a>(world: &'a World, token: &str) -> Result<&'a Bot, Rejected> {
    let token = token.strip_prefix("Bot ").unwrap_or(token);
    world.bot_by_token(token).ok_or(Rejected::Close(CloseReason::AuthenticationFailed))
}

fn two_numbers(value: &serde_json::Value) -> Option<(u64, u64)> {
    match value.as_array()?.as_slice() {
        [index, count] => Some((index.as_u64()?, count.as_u64()?)),
        _ => None,
    }
}

//! One session: what it hears, what it has said, and what goes wrong on the way.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use tokio::time::Instant;
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    delayed::{Delayed, Late},
    intents,
    sessions::{Disturbance, Entry, Link, Outgoing, SessionSettings, shard_of},
};
use crate::{
    domain::{Audience, ChannelId, Dispatch, GuildId, Payload, UserId, World},
    faults::{FaultKind, Faults},
    wire::{self, Roster},
};

/// In a guild with more members than this nobody's presence is told.
const MAX_MEMBERS_WITH_PRESENCES: usize = 75_000;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: Arc<str>,
    pub(super) bot: UserId,
    /// Its number, of how many.
    pub(super) shard: (u64, u64),
    pub(super) intents: u64,
    large_threshold: usize,
    pub(super) sequence: u64,
    pub(super) replay: VecDeque<Entry>,
    pub(super) link: Option<Link>,
    /// Since when it has no connection.
    pub(super) alone_since: Option<Instant>,
    /// When all members of a guild were last asked for.
    pub(super) asked_for_all: HashMap<GuildId, Instant>,
}

/// What lies between a dispatch and its client.
pub(super) struct Ways<'a> {
    pub(super) settings: &'a SessionSettings,
    faults: &'a Faults,
    delayed: &'a mut Delayed,
}

impl<'a> Ways<'a> {
    pub(super) fn new(
        settings: &'a SessionSettings,
        faults: &'a Faults,
        delayed: &'a mut Delayed,
    ) -> Self {
        Self { settings, faults, delayed }
    }
}

impl Session {
    pub(super) fn new(
        id: Arc<str>,
        (bot, shard): (UserId, (u64, u64)),
        intents: u64,
        large_threshold: usize,
    ) -> Self {
        Self {
            id,
            bot,
            shard,
            intents,
            large_threshold,
            sequence: 0,
            replay: VecDeque::new(),
            link: None,
            alone_since: None,
            asked_for_all: HashMap::new(),
        }
    }

    /// Says something, unless a fault is ordered for it.
    pub(super) fn dispatch(&mut self, name: &'static str, body: Bytes, ways: &mut Ways<'_>) {
        let mut is_twice = false;
        for fault in ways.faults.strike_gateway(name) {
            match fault.kind {
                FaultKind::Lose => return,
                FaultKind::Delay => {
                    let due = Instant::now() + fault.delay();
                    let late = Late { session: Arc::clone(&self.id), name, body };
                    // Where too many are late already, this one is in time.
                    let Some(late) = ways.delayed.hold(due, late) else { return };
                    self.push(late.name, late.body, ways.settings);
                    return;
                }
                FaultKind::Duplicate => is_twice = true,
                FaultKind::Cut => self.cut(),
                FaultKind::Stall => self.send(Outgoing::Disturb(Disturbance::Stall)),
                FaultKind::Reconnect => self.send(Outgoing::Disturb(Disturbance::Reconnect)),
                FaultKind::Error => {
                    let code = fault.status.unwrap_or(4_000);
                    self.send(Outgoing::Disturb(Disturbance::Close(code)));
                }
                FaultKind::RateLimit
                | FaultKind::LoseResponse
                | FaultKind::NotReady
                | FaultKind::Refuse => {
                    // They are never ordered for a dispatch.
                }
            }
        }
        let entry = self.push(name, body, ways.settings);
        if is_twice {
            self.send(Outgoing::Dispatch(entry));
        }
    }

    /// Says something before there is a connection; only losing and delaying can happen to it.
    pub(super) fn first_dispatch(
        &mut self,
        name: &'static str,
        body: Bytes,
        ways: &mut Ways<'_>,
        first: &mut Vec<Entry>,
    ) {
        for fault in ways.faults.strike_gateway(name) {
            match fault.kind {
                FaultKind::Lose => return,
                FaultKind::Delay => {
                    let due = Instant::now() + fault.delay();
                    let late = Late { session: Arc::clone(&self.id), name, body: body.clone() };
                    if ways.delayed.hold(due, late).is_none() {
                        return;
                    }
                }
                _ => {}
            }
        }
        first.push(self.push(name, body, ways.settings));
    }

    /// Numbers a dispatch, keeps it, and sends it if anybody is connected.
    pub(super) fn push(
        &mut self,
        name: &'static str,
        body: Bytes,
        settings: &SessionSettings,
    ) -> Entry {
        self.sequence += 1;
        let entry = Entry { sequence: self.sequence, name, body };
        self.replay.push_back(entry.clone());
        while self.replay.len() > settings.replay_capacity.max(1) {
            self.replay.pop_front();
        }
        if self.link.is_some() {
            self.send(Outgoing::Dispatch(entry.clone()));
        }
        entry
    }

    pub(super) fn repeat(&mut self, count: usize) {
        let skipped = self.replay.len().saturating_sub(count);
        let again: Vec<Entry> = self.replay.iter().skip(skipped).cloned().collect();
        for entry in again {
            self.send(Outgoing::Dispatch(entry));
        }
    }

    /// Hands something to the connection; one that does not keep up is cut, and may resume.
    pub(super) fn send(&mut self, outgoing: Outgoing) {
        let Some(link) = &self.link else { return };
        if link.queue.try_send(outgoing).is_err() {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if let Some(link) = self.link.take() {
            link.kick.cancel();
            self.alone_since = Some(Instant::now());
        }
    }

    /// Returns what this session hears of a dispatch, if anything.
    pub(super) fn hears(
        &self,
        world: &World,
        dispatch: &Dispatch,
        settings: &SessionSettings,
        now: UnixMillis,
    ) -> Option<Bytes> {
        let guild = dispatch.audience.guild();
        let is_of_shard = match dispatch.audience {
            Audience::Account(_) => true,
            _ => guild.map_or(0, |guild| shard_of(guild, self.shard.1)) == self.shard.0,
        };
        if !is_of_shard {
            return None;
        }
        let about_itself = dispatch.about == Some(self.bot);
        let mut needed = intents::needed_for(dispatch.name, guild.is_some());
        if dispatch.name == "THREAD_MEMBERS_UPDATE" && !about_itself {
            needed = intents::GUILD_MEMBERS;
        }
        let own_member = about_itself && dispatch.name == "GUILD_MEMBER_UPDATE";
        if needed != 0 && self.intents & needed == 0 && !own_member {
            return None;
        }
        // The one is told by GUILD_CREATE, and of the other a client knows itself.
        if about_itself && matches!(dispatch.name, "GUILD_MEMBER_ADD" | "PRESENCE_UPDATE") {
            return None;
        }
        // Nothing is heard of a guild that has an outage, but that it has one.
        if dispatch.name != "GUILD_DELETE"
            && guild.is_some_and(|guild| world.unavailable.contains(&guild))
        {
            return None;
        }
        if !self.is_in(world, &dispatch.audience, now) {
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

    fn is_in(&self, world: &World, audience: &Audience, now: UnixMillis) -> bool {
        let has = |channel: &ChannelId, needed: Permissions| {
            let channel = world.channels.get(channel);
            let rights = channel.and_then(|channel| world.permissions_in(channel, self.bot, now));
            rights.is_some_and(|rights| rights.contains(needed | Permissions::VIEW_CHANNEL))
        };
        match audience {
            Audience::Guild(guild) => world.member(*guild, self.bot).is_some(),
            Audience::Channel(_, channel) => has(channel, Permissions::VIEW_CHANNEL),
            Audience::Holders(_, channel, needed) => has(channel, *needed),
            Audience::Among(_, bots) => bots.contains(&self.bot),
            Audience::AuditLog(guild) => {
                world.require_in_guild(self.bot, *guild, Permissions::VIEW_AUDIT_LOG, now).is_ok()
            }
            Audience::Dm(channel) => world
                .channels
                .get(channel)
                .is_some_and(|channel| channel.recipients.contains(&self.bot)),
            Audience::User(user, _) | Audience::Account(user) | Audience::Bot(user) => {
                *user == self.bot
            }
        }
    }

    /// Returns what is said of a guild when a session begins: all of it, or that it has an outage.
    pub(super) fn guild_now(
        &self,
        world: &World,
        guild: GuildId,
        settings: &SessionSettings,
    ) -> (&'static str, Bytes) {
        if world.unavailable.contains(&guild) {
            return ("GUILD_DELETE", wire::guild_unavailable(guild));
        }
        ("GUILD_CREATE", self.guild_create(world, guild, settings))
    }

    /// Returns a whole guild.
    ///
    /// Source: Discord Docs, Gateway Events, "Guild Create": without the presences intent, or in a
    /// very large guild, the bot alone is named among the members; in a large one those who are
    /// online.
    fn guild_create(&self, world: &World, guild: GuildId, settings: &SessionSettings) -> Bytes {
        let Some(guild) = world.guilds.get(&guild) else { return wire::guild_left(guild) };
        let count = guild.members.len();
        let is_small = count <= self.large_threshold;
        let knows_presences = self.intents & intents::GUILD_PRESENCES != 0;
        let roster = if knows_presences && count <= MAX_MEMBERS_WITH_PRESENCES {
            if is_small { Roster::Everybody } else { Roster::Online }
        } else if is_small && settings.full_member_lists {
            Roster::EverybodyUnseen
        } else {
            Roster::Own
        };
        wire::guild_create(world, guild, self.bot, roster)
    }
}

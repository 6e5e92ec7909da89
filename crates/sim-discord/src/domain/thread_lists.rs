//! Which threads there are, for those who may know.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{Audience, Channel, ChannelId, ChannelKind, Dispatch, GuildId, Refusal, UserId, World};
use crate::wire;

/// Which archived threads of a channel are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Archived {
    Public,
    Private,
    /// The private ones that the reader is in, by id.
    Joined,
}

/// Threads, and whether there are more of them.
#[derive(Debug)]
pub(crate) struct ThreadList<'a> {
    pub(crate) threads: Vec<&'a Channel>,
    pub(crate) has_more: bool,
}

/// The channels with active threads that each bot of a guild sees.
pub(super) type SeenByBots = BTreeMap<UserId, BTreeSet<ChannelId>>;

impl World {
    /// Returns the threads of a guild that are not archived and that `reader` sees, the newest first.
    pub(crate) fn active_threads(
        &self,
        reader: UserId,
        guild: GuildId,
        now: UnixMillis,
    ) -> Vec<&Channel> {
        let Some(guild) = self.guilds.get(&guild) else { return Vec::new() };
        let threads = guild.threads.iter().rev().filter(|id| self.is_active_thread(**id));
        let threads = threads.filter_map(|id| self.channels.get(id));
        threads
            .filter(|thread| self.require(reader, thread, Permissions::empty(), now).is_ok())
            .collect()
    }

    /// Returns archived threads of a channel: the last archived first, or the newest first where
    /// they are the reader's own.
    pub(crate) fn archived_threads(
        &self,
        reader: UserId,
        channel: ChannelId,
        which: Archived,
        before: (Option<UnixMillis>, Option<ChannelId>),
        limit: usize,
        now: UnixMillis,
    ) -> Result<ThreadList<'_>, Refusal> {
        let parent = self.channel(channel)?;
        let guild = parent.guild.ok_or(Refusal::DmChannel)?;
        let mut needed = Permissions::READ_MESSAGE_HISTORY;
        if which == Archived::Private {
            needed |= Permissions::MANAGE_THREADS;
        }
        self.require(reader, parent, needed, now)?;
        if parent.kind.is_thread() || !(parent.kind.holds_messages() || parent.kind.is_forum()) {
            return Err(Refusal::WrongChannelType);
        }
        let (before_moment, before_id) = before;
        let threads = self.guild(guild)?.threads.iter().filter_map(|id| self.channels.get(id));
        let wanted = |channel: &&Channel| {
            let Some(thread) = channel.thread.as_deref() else { return false };
            let is_private = channel.kind == ChannelKind::PRIVATE_THREAD;
            let is_kind = match which {
                Archived::Public => !is_private,
                Archived::Private => is_private,
                Archived::Joined => is_private && thread.members.contains_key(&reader),
            };
            thread.is_archived
                && is_kind
                && before_moment.is_none_or(|before| thread.archive_changed < before)
                && before_id.is_none_or(|before| channel.id < before)
        };
        let mut threads: Vec<&Channel> =
            threads.filter(|thread| thread.parent == Some(channel)).filter(wanted).collect();
        if which == Archived::Joined {
            threads.reverse();
        } else {
            let archived =
                |channel: &Channel| channel.thread.as_ref().map(|thread| thread.archive_changed);
            threads.sort_by_key(|thread| std::cmp::Reverse((archived(thread), thread.id)));
        }
        let has_more = threads.len() > limit;
        threads.truncate(limit);
        Ok(ThreadList { threads, has_more })
    }

    /// Returns the bots that see a channel.
    pub(super) fn bots_who_see(&self, channel: ChannelId, now: UnixMillis) -> Arc<[UserId]> {
        let Some(channel) = self.channels.get(&channel) else { return Arc::from([]) };
        let bots = self.bots.iter().map(|bot| bot.user);
        bots.filter(|bot| self.require(*bot, channel, Permissions::empty(), now).is_ok()).collect()
    }

    /// Notes which channels with active threads the bots of a guild see, before that may change.
    pub(super) fn seen_by_bots(&self, guild: GuildId, now: UnixMillis) -> SeenByBots {
        let Some(place) = self.guilds.get(&guild) else { return SeenByBots::new() };
        let parents: BTreeSet<ChannelId> = place
            .threads
            .iter()
            .filter(|id| self.is_active_thread(**id))
            .filter_map(|id| self.channels.get(id)?.parent)
            .collect();
        if parents.is_empty() {
            return SeenByBots::new();
        }
        let bots = self.bots.iter().map(|bot| bot.user);
        let sees = |bot: UserId| {
            let seen = parents.iter().filter(|id| {
                let channel = self.channels.get(id);
                channel.is_some_and(|it| self.require(bot, it, Permissions::empty(), now).is_ok())
            });
            seen.copied().collect()
        };
        bots.filter(|bot| place.members.contains_key(bot)).map(|bot| (bot, sees(bot))).collect()
    }

    /// Tells each bot the threads of the channels that it sees now and did not see before.
    pub(super) fn sync_threads(
        &self,
        guild: GuildId,
        before: &SeenByBots,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        if before.is_empty() {
            return;
        }
        for (bot, seen) in self.seen_by_bots(guild, now) {
            let gained: BTreeSet<ChannelId> = match before.get(&bot) {
                Some(before) => seen.difference(before).copied().collect(),
                None => seen,
            };
            if gained.is_empty() {
                continue;
            }
            let mut threads = self.active_threads(bot, guild, now);
            threads.retain(|thread| thread.parent.is_some_and(|parent| gained.contains(&parent)));
            let body = wire::thread_list_sync(guild, &gained, &threads, bot);
            let audience = Audience::User(bot, guild);
            dispatches.push(Dispatch::shared("THREAD_LIST_SYNC", audience, body));
        }
    }
}

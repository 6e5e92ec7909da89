//! Who is in a thread.

use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Audience, ChannelId, ChannelKind, Dispatch, Effect, GuildId, MessageKind, Outcome, Refusal,
    ThreadMember, UserId, World, notices::Notice,
};
use crate::wire;

const MAX_MEMBERS: usize = 1_000;

impl World {
    /// Lets somebody join a thread that they see; who is in it already stays.
    pub(crate) fn join_thread(
        &mut self,
        user: UserId,
        id: ChannelId,
        now: UnixMillis,
    ) -> Outcome<()> {
        let (_, channel) = self.thread_with_guild(id).ok_or_else(|| self.no_thread(id))?;
        self.require(user, channel, Permissions::empty(), now)?;
        Self::refuse_archived(channel)?;
        self.check_room_in_thread(id, user)?;
        let mut dispatches = Vec::new();
        self.let_into_thread(id, user, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Adds somebody else to a thread, which a message of the system tells.
    pub(crate) fn add_to_thread(
        &mut self,
        actor: UserId,
        id: ChannelId,
        user: UserId,
        now: UnixMillis,
    ) -> Outcome<()> {
        if actor == user {
            return self.join_thread(user, id, now);
        }
        let (guild, channel) = self.thread_with_guild(id).ok_or_else(|| self.no_thread(id))?;
        let rights = self.require(actor, channel, Permissions::SEND_MESSAGES, now)?;
        Self::refuse_archived(channel)?;
        let manages = rights.contains(Permissions::MANAGE_THREADS);
        if channel.thread.as_ref().is_some_and(|thread| thread.is_locked) && !manages {
            return Err(Refusal::ThreadLocked);
        }
        if !self.may_invite_to_thread(actor, id, now) {
            return Err(Refusal::MissingPermissions);
        }
        self.member(guild, user).ok_or(Refusal::UnknownMember)?;
        if !self.may_see_parent(user, id, now) {
            return Err(Refusal::MissingAccess);
        }
        self.check_room_in_thread(id, user)?;
        let mut dispatches = Vec::new();
        if self.let_into_thread(id, user, now, &mut dispatches) {
            let notice = Notice { mentions: vec![user], ..Notice::default() };
            let kind = MessageKind::RECIPIENT_ADD;
            self.post_notice(id, actor, kind, notice, now, &mut dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    /// Lets somebody leave a thread.
    pub(crate) fn leave_thread(
        &mut self,
        user: UserId,
        id: ChannelId,
        now: UnixMillis,
    ) -> Outcome<()> {
        let (_, channel) = self.thread_with_guild(id).ok_or_else(|| self.no_thread(id))?;
        self.require(user, channel, Permissions::empty(), now)?;
        Self::refuse_archived(channel)?;
        let mut dispatches = Vec::new();
        self.let_out_of_thread(id, user, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Removes somebody else: by those who manage threads, or by the owner of a private one.
    pub(crate) fn remove_from_thread(
        &mut self,
        actor: UserId,
        id: ChannelId,
        user: UserId,
        now: UnixMillis,
    ) -> Outcome<()> {
        if actor == user {
            return self.leave_thread(user, id, now);
        }
        let (_, channel) = self.thread_with_guild(id).ok_or_else(|| self.no_thread(id))?;
        let rights = self.require(actor, channel, Permissions::empty(), now)?;
        let is_own = channel.kind == ChannelKind::PRIVATE_THREAD
            && channel.thread.as_ref().is_some_and(|thread| thread.owner == actor);
        if !is_own && !rights.contains(Permissions::MANAGE_THREADS) {
            return Err(Refusal::MissingPermissions);
        }
        Self::refuse_archived(channel)?;
        let mut dispatches = Vec::new();
        if self.let_out_of_thread(id, user, now, &mut dispatches) {
            let notice = Notice { mentions: vec![user], ..Notice::default() };
            let kind = MessageKind::RECIPIENT_REMOVE;
            self.post_notice(id, actor, kind, notice, now, &mut dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    /// Returns who is in a thread, by id, and whether the reader sees it at all.
    pub(crate) fn thread_members(
        &self,
        reader: UserId,
        id: ChannelId,
        now: UnixMillis,
    ) -> Result<Vec<(UserId, ThreadMember)>, Refusal> {
        let (_, channel) = self.thread_with_guild(id).ok_or_else(|| self.no_thread(id))?;
        self.require(reader, channel, Permissions::empty(), now)?;
        let members = channel.thread.iter().flat_map(|thread| &thread.members);
        Ok(members.map(|(user, member)| (*user, *member)).collect())
    }

    fn no_thread(&self, id: ChannelId) -> Refusal {
        if self.channels.contains_key(&id) {
            Refusal::WrongChannelType
        } else {
            Refusal::UnknownChannel
        }
    }

    fn check_room_in_thread(&self, id: ChannelId, user: UserId) -> Result<(), Refusal> {
        let thread = self.channels.get(&id).and_then(|channel| channel.thread.as_deref());
        match thread {
            Some(thread)
                if thread.members.len() >= MAX_MEMBERS && !thread.members.contains_key(&user) =>
            {
                Err(Refusal::TooManyThreadMembers)
            }
            _ => Ok(()),
        }
    }

    /// Tells whether somebody may add others to a thread.
    pub(super) fn may_invite_to_thread(
        &self,
        actor: UserId,
        id: ChannelId,
        now: UnixMillis,
    ) -> bool {
        let Some((_, channel)) = self.thread_with_guild(id) else { return false };
        let Some(thread) = channel.thread.as_deref() else { return false };
        channel.kind != ChannelKind::PRIVATE_THREAD
            || thread.is_invitable
            || thread.owner == actor
            || self.require(actor, channel, Permissions::MANAGE_THREADS, now).is_ok()
    }

    /// Tells whether somebody sees the channel that a thread belongs to.
    pub(super) fn may_see_parent(&self, user: UserId, id: ChannelId, now: UnixMillis) -> bool {
        let parent = self.channels.get(&id).and_then(|channel| channel.parent);
        let parent = parent.and_then(|parent| self.channels.get(&parent));
        parent.is_some_and(|parent| self.require(user, parent, Permissions::empty(), now).is_ok())
    }

    /// Puts somebody into a thread and says so; nothing if they are in it or it is full.
    pub(super) fn let_into_thread(
        &mut self,
        id: ChannelId,
        user: UserId,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let is_private = channel.kind == ChannelKind::PRIVATE_THREAD;
        let Some(thread) = channel.thread.as_deref_mut() else { return false };
        if thread.members.contains_key(&user) || thread.members.len() >= MAX_MEMBERS {
            return false;
        }
        thread.members.insert(user, ThreadMember { joined_at: now });
        if is_private && let Some((guild, channel)) = self.thread_with_guild(id) {
            // To whoever is let into a private thread it is new.
            let body = wire::thread_entered(channel, user);
            let audience = Audience::User(user, guild);
            dispatches.push(Dispatch::shared("THREAD_CREATE", audience, body));
        }
        self.welcome_to_thread(id, user, now, dispatches);
        true
    }

    /// Says that somebody is in a thread now.
    pub(super) fn welcome_to_thread(
        &self,
        id: ChannelId,
        user: UserId,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let Some((guild, channel)) = self.thread_with_guild(id) else { return };
        let body = wire::thread_members_update(self, channel, Some(user), None);
        let audience = Audience::Among(guild, self.bots_who_see(id, now));
        dispatches.push(Dispatch {
            about: Some(user),
            ..Dispatch::shared("THREAD_MEMBERS_UPDATE", audience, body)
        });
        if let Some(body) = wire::thread_member_update(channel, guild, user) {
            let audience = Audience::User(user, guild);
            dispatches.push(Dispatch::shared("THREAD_MEMBER_UPDATE", audience, body));
        }
    }

    /// Takes somebody out of a thread and says so; nothing if they are not in it.
    fn let_out_of_thread(
        &mut self,
        id: ChannelId,
        user: UserId,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) -> bool {
        // Found before, so that whoever goes hears it too.
        let bots = self.bots_who_see(id, now);
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let Some(thread) = channel.thread.as_deref_mut() else { return false };
        if thread.members.remove(&user).is_none() {
            return false;
        }
        let Some((guild, channel)) = self.thread_with_guild(id) else { return false };
        let body = wire::thread_members_update(self, channel, None, Some(user));
        dispatches.push(Dispatch {
            about: Some(user),
            ..Dispatch::shared("THREAD_MEMBERS_UPDATE", Audience::Among(guild, bots), body)
        });
        true
    }

    /// Takes somebody who leaves a guild out of its threads.
    pub(super) fn let_out_of_threads(
        &mut self,
        guild: GuildId,
        user: UserId,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let Some(place) = self.guilds.get(&guild) else { return };
        let theirs = |id: &&ChannelId| {
            let thread = self.channels.get(id).and_then(|channel| channel.thread.as_deref());
            thread.is_some_and(|thread| thread.members.contains_key(&user))
        };
        let threads: Vec<ChannelId> = place.threads.iter().filter(theirs).copied().collect();
        for id in threads {
            self.let_out_of_thread(id, user, now, dispatches);
        }
    }
}

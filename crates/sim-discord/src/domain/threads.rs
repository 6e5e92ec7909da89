//! Threads: how they begin and end, and what sending does to them.
//!
//! Source: Discord Docs, Threads.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, Channel, ChannelId, ChannelKind, Dispatch, Draft, Effect, GuildId, MessageId,
    MessageKind, Outcome, Reference, Refusal, TagId, UserId, World,
    audit::{Deed, action, change},
    guilds::check_name,
    notices::Notice,
};
use crate::wire;

/// After how many minutes without activity a thread may be archived.
const AUTO_ARCHIVE: [u16; 4] = [60, 1_440, 4_320, 10_080];
const DEFAULT_AUTO_ARCHIVE: u16 = 4_320;
const MAX_ACTIVE_THREADS: usize = 1_000;
const MAX_SLOWMODE: u32 = 21_600;
/// The flag of a message from which a thread was begun.
pub(crate) const HAS_THREAD: u64 = 1 << 5;
/// The flag of a forum in which every post needs a tag.
const REQUIRES_TAG: u64 = 1 << 4;

/// What makes a channel a thread.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub(crate) owner: UserId,
    pub(crate) created: UnixMillis,
    pub(crate) is_archived: bool,
    pub(crate) is_locked: bool,
    /// When it was last archived, brought back, or given another duration.
    pub(crate) archive_changed: UnixMillis,
    /// After how many minutes without activity it is archived.
    pub(crate) auto_archive: u16,
    /// Whether those who do not manage it may add others to it, if it is private.
    pub(crate) is_invitable: bool,
    /// Without the first one, and without those that were deleted.
    pub(crate) message_count: u32,
    pub(crate) total_messages: u32,
    pub(crate) members: BTreeMap<UserId, ThreadMember>,
    pub(crate) applied_tags: Vec<TagId>,
    pub(crate) last_active: UnixMillis,
}

impl Thread {
    /// Returns a thread that begins now.
    pub(crate) fn begun_by(owner: UserId, now: UnixMillis) -> Self {
        Self {
            owner,
            created: now,
            is_archived: false,
            is_locked: false,
            archive_changed: now,
            auto_archive: DEFAULT_AUTO_ARCHIVE,
            is_invitable: true,
            message_count: 0,
            total_messages: 0,
            members: BTreeMap::new(),
            applied_tags: Vec::new(),
            last_active: now,
        }
    }

    /// Tells whether nothing happened in it for too long.
    fn is_idle(&self, now: UnixMillis) -> bool {
        let after = Duration::from_mins(self.auto_archive.into());
        !self.is_archived && now.since(self.last_active.max(self.archive_changed)) >= after
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadMember {
    pub(crate) joined_at: UnixMillis,
}

/// A thread that somebody wants; what is none is as the channel says, or Discord.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewThread {
    pub(crate) name: String,
    pub(crate) kind: Option<ChannelKind>,
    pub(crate) auto_archive: Option<u16>,
    pub(crate) rate_limit_per_user: Option<u32>,
    pub(crate) is_invitable: Option<bool>,
    pub(crate) applied_tags: Vec<TagId>,
}

/// Where a thread is begun, and as what.
#[derive(Clone, Copy)]
struct Place {
    guild: GuildId,
    parent: ChannelId,
    id: ChannelId,
    kind: ChannelKind,
}

impl World {
    /// Begins a thread at a message, whose id it then has.
    pub(crate) fn create_thread_from_message(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        message: MessageId,
        new: NewThread,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<ChannelId> {
        let parent = self.channel(channel)?;
        let guild = parent.guild.ok_or(Refusal::DmChannel)?;
        let kind = match parent.kind {
            ChannelKind::TEXT => ChannelKind::PUBLIC_THREAD,
            ChannelKind::ANNOUNCEMENT => ChannelKind::ANNOUNCEMENT_THREAD,
            _ => return Err(Refusal::WrongChannelType),
        };
        let rights = self.require(actor, parent, Permissions::CREATE_PUBLIC_THREADS, now)?;
        let found = parent.message(message)?;
        if found.kind.is_system() {
            return Err(Refusal::SystemMessage);
        }
        let id: ChannelId = message.cast();
        if self.channels.contains_key(&id) {
            return Err(Refusal::ThreadExists);
        }
        self.check_new_thread(actor, parent, &new, rights, now)?;
        let mut dispatches = Vec::new();
        self.open_thread(actor, Place { guild, parent: channel, id, kind }, new, now);
        self.announce_thread(id, &mut dispatches);
        if let Ok(found) = self.message_mut(channel, message) {
            found.flags |= HAS_THREAD;
        }
        let reference = Some(Reference { message: Some(message), channel, guild: Some(guild) });
        let notice = Notice { reference, ..Notice::default() };
        let starter = MessageKind::THREAD_STARTER;
        self.post_notice(id, actor, starter, notice, now, &mut dispatches);
        dispatches.extend(self.message_dispatch("MESSAGE_UPDATE", channel, message));
        self.welcome_to_thread(id, actor, now, &mut dispatches);
        self.record_thread(guild, actor, id, reason, now, &mut dispatches);
        Ok(Effect::new(id, dispatches))
    }

    /// Begins a thread without a message, or, in a forum, a post with its first message.
    pub(crate) fn create_thread(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        new: NewThread,
        first: Option<Draft>,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<ChannelId> {
        let parent = self.channel(channel)?;
        let guild = parent.guild.ok_or(Refusal::DmChannel)?;
        let kind = kind_of_new(parent.kind, new.kind)?;
        let needed = match kind {
            _ if parent.kind.is_forum() => Permissions::SEND_MESSAGES,
            ChannelKind::PRIVATE_THREAD => Permissions::CREATE_PRIVATE_THREADS,
            _ => Permissions::CREATE_PUBLIC_THREADS,
        };
        let rights = self.require(actor, parent, needed, now)?;
        self.check_new_thread(actor, parent, &new, rights, now)?;
        let is_post = parent.kind.is_forum();
        if is_post && first.is_none() {
            let message = "This field is required";
            return Err(Refusal::field(&["message"], "BASE_TYPE_REQUIRED", message));
        }
        let id: ChannelId = self.mint.next(now);
        self.open_thread(actor, Place { guild, parent: channel, id, kind }, new, now);
        let mut dispatches = Vec::new();
        self.announce_thread(id, &mut dispatches);
        if let Some(first) = first.filter(|_| is_post) {
            // The first message has the post's own id. One that is refused takes the post with it.
            match self.write_message(actor, id, first, Some(id.cast()), now) {
                Ok(written) => dispatches.extend(written.dispatches),
                Err(refusal) => {
                    self.forget_thread(guild, id);
                    return Err(refusal);
                }
            }
            if let Some(forum) = self.channels.get_mut(&channel) {
                forum.last_message = Some(id.cast());
            }
        } else if kind != ChannelKind::PRIVATE_THREAD {
            self.tell_of_thread(actor, channel, id, now, &mut dispatches);
        }
        self.welcome_to_thread(id, actor, now, &mut dispatches);
        self.record_thread(guild, actor, id, reason, now, &mut dispatches);
        Ok(Effect::new(id, dispatches))
    }

    /// Begins a post for a webhook, which owns it and is no member of it; its message is to follow.
    pub(super) fn open_webhook_post(
        &mut self,
        webhook: UserId,
        forum: ChannelId,
        new: NewThread,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) -> Result<ChannelId, Refusal> {
        let parent = self.channel(forum)?;
        let guild = parent.guild.ok_or(Refusal::DmChannel)?;
        self.check_new_thread(webhook, parent, &new, Permissions::all(), now)?;
        let id: ChannelId = self.mint.next(now);
        let kind = ChannelKind::PUBLIC_THREAD;
        self.open_thread(webhook, Place { guild, parent: forum, id, kind }, new, now);
        if let Some(thread) = self.channels.get_mut(&id).and_then(|it| it.thread.as_deref_mut()) {
            thread.members.remove(&webhook);
        }
        self.announce_thread(id, dispatches);
        Ok(id)
    }

    fn check_new_thread(
        &self,
        actor: UserId,
        parent: &Channel,
        new: &NewThread,
        rights: Permissions,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        check_name(&new.name)?;
        check_auto_archive("auto_archive_duration", new.auto_archive)?;
        check_slowmode(new.rate_limit_per_user)?;
        if let Some(forum) = &parent.forum {
            let may_moderate = rights.contains(Permissions::MANAGE_THREADS);
            forum.check_applied(&new.applied_tags, &[], may_moderate)?;
            if new.applied_tags.is_empty() && parent.settings.flags & REQUIRES_TAG != 0 {
                return Err(Refusal::TagRequired);
            }
        }
        let guild = parent.guild.and_then(|guild| self.guilds.get(&guild));
        let threads = guild.into_iter().flat_map(|guild| &guild.threads);
        let active = threads.filter(|thread| self.is_active_thread(**thread)).count();
        if active >= MAX_ACTIVE_THREADS {
            return Err(Refusal::TooManyThreads);
        }
        let spared = super::messages::spared_from_slowmode(parent.kind, rights);
        let last = parent.last_thread.get(&actor);
        match last.filter(|_| !spared) {
            Some(last) => super::messages::check_slowmode(*last, parent.rate_limit_per_user, now),
            None => Ok(()),
        }
    }

    /// Tells whether there is such a thread and it is not archived.
    pub(super) fn is_active_thread(&self, id: ChannelId) -> bool {
        let thread = self.channels.get(&id).and_then(|channel| channel.thread.as_deref());
        thread.is_some_and(|thread| !thread.is_archived)
    }

    fn open_thread(&mut self, owner: UserId, place: Place, new: NewThread, now: UnixMillis) {
        let mut channel = Channel::new(place.id, Some(place.guild), place.kind, new.name);
        channel.parent = Some(place.parent);
        let mut thread = Thread::begun_by(owner, now);
        if let Some(parent) = self.channels.get_mut(&place.parent) {
            let inherited = parent.settings.default_thread_rate_limit_per_user;
            channel.rate_limit_per_user = new.rate_limit_per_user.unwrap_or(inherited);
            let default = parent.settings.default_auto_archive.unwrap_or(DEFAULT_AUTO_ARCHIVE);
            thread.auto_archive = new.auto_archive.unwrap_or(default);
            if parent.forum.is_some() {
                thread.applied_tags = new.applied_tags;
            }
            if parent.rate_limit_per_user > 0 {
                parent.last_thread.insert(owner, now);
            }
        }
        thread.is_invitable = new.is_invitable.unwrap_or(true);
        thread.members.insert(owner, ThreadMember { joined_at: now });
        channel.thread = Some(Box::new(thread));
        self.channels.insert(place.id, channel);
        if let Some(guild) = self.guilds.get_mut(&place.guild) {
            guild.threads.insert(place.id);
        }
    }

    fn announce_thread(&self, id: ChannelId, dispatches: &mut Vec<Dispatch>) {
        if let Some((guild, thread)) = self.thread_with_guild(id) {
            let body = wire::thread_create(thread);
            dispatches.push(Dispatch::shared("THREAD_CREATE", Audience::Channel(guild, id), body));
        }
    }

    /// Tells a channel that a thread without a message was begun in it.
    fn tell_of_thread(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        id: ChannelId,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let Some((guild, thread)) = self.thread_with_guild(id) else { return };
        let content = thread.name.clone();
        let reference = Some(Reference { message: None, channel: id, guild: Some(guild) });
        let notice = Notice { content, reference, ..Notice::default() };
        let kind = MessageKind::THREAD_CREATED;
        self.post_notice(channel, actor, kind, notice, now, dispatches);
    }

    pub(super) fn thread_with_guild(&self, id: ChannelId) -> Option<(GuildId, &Channel)> {
        let channel = self.channels.get(&id).filter(|channel| channel.thread.is_some())?;
        Some((channel.guild?, channel))
    }

    pub(super) fn dispatch_thread_update(&self, id: ChannelId, dispatches: &mut Vec<Dispatch>) {
        if let Some((guild, thread)) = self.thread_with_guild(id) {
            let body = wire::thread_event(thread);
            dispatches.push(Dispatch::shared("THREAD_UPDATE", Audience::Channel(guild, id), body));
        }
    }

    fn record_thread(
        &mut self,
        guild: GuildId,
        actor: UserId,
        id: ChannelId,
        reason: Option<&str>,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let Some((_, channel)) = self.thread_with_guild(id) else { return };
        let changes = properties(channel)
            .into_iter()
            .map(|(key, value)| change(key, Value::Null, value))
            .chain([change("type", Value::Null, json!(channel.kind.0))]);
        let deed = thread_deed(action::THREAD_CREATE, id, changes.collect(), reason);
        self.record(guild, Actor::User(actor), deed, now, dispatches);
    }

    /// Deletes a thread, for those who manage threads.
    pub(super) fn delete_thread(
        &mut self,
        actor: Actor,
        id: ChannelId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let (guild, thread) = self.thread_with_guild(id).ok_or(Refusal::UnknownChannel)?;
        if let Actor::User(actor) = actor {
            self.require(actor, thread, Permissions::MANAGE_THREADS, now)?;
        }
        let body = wire::thread_delete(thread);
        let name = thread.name.clone();
        let parent = thread.parent;
        let audience = Audience::Among(guild, self.bots_who_see(id, now));
        let mut dispatches = vec![Dispatch::shared("THREAD_DELETE", audience, body)];
        self.forget_thread(guild, id);
        if let Some(parent) = parent
            && let Ok(starter) = self.message_mut(parent, id.cast())
        {
            starter.flags &= !HAS_THREAD;
            dispatches.extend(self.message_dispatch("MESSAGE_UPDATE", parent, id.cast()));
        }
        let changes = vec![change("name", json!(name), Value::Null)];
        let deed = thread_deed(action::THREAD_DELETE, id, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    pub(super) fn forget_thread(&mut self, guild: GuildId, id: ChannelId) {
        self.channels.remove(&id);
        if let Some(guild) = self.guilds.get_mut(&guild) {
            guild.threads.remove(&id);
        }
    }

    /// Forgets the threads of a channel that is gone; clients conclude it from the channel's end.
    pub(super) fn forget_threads_of(&mut self, guild: GuildId, parent: ChannelId) {
        let Some(place) = self.guilds.get(&guild) else { return };
        let of_parent = |id: &&ChannelId| {
            self.channels.get(id).is_some_and(|channel| channel.parent == Some(parent))
        };
        let gone: Vec<ChannelId> = place.threads.iter().filter(of_parent).copied().collect();
        for id in gone {
            self.forget_thread(guild, id);
        }
    }

    /// Brings a thread back that somebody speaks in, and lets the speaker and whom they mention in.
    /// A webhook is nobody who could be let in.
    pub(super) fn stir_thread(
        &mut self,
        id: ChannelId,
        author: Option<UserId>,
        mentioned: &[UserId],
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let is_private = channel.kind == ChannelKind::PRIVATE_THREAD;
        let Some(thread) = channel.thread.as_deref_mut() else { return };
        let was_archived = std::mem::take(&mut thread.is_archived);
        if was_archived {
            thread.archive_changed = now;
            self.dispatch_thread_update(id, dispatches);
        }
        let may_invite =
            !is_private || author.is_some_and(|author| self.may_invite_to_thread(author, id, now));
        if let Some(author) = author {
            self.let_into_thread(id, author, now, dispatches);
        }
        for user in mentioned.iter().filter(|_| may_invite) {
            if self.may_see_parent(*user, id, now) {
                self.let_into_thread(id, *user, now, dispatches);
            }
        }
    }

    /// Refuses what cannot be done in a thread that is archived.
    pub(super) fn refuse_archived(channel: &Channel) -> Result<(), Refusal> {
        match &channel.thread {
            Some(thread) if thread.is_archived => Err(Refusal::ThreadArchived),
            _ => Ok(()),
        }
    }

    /// Archives the threads in which nothing happened for as long as each was given.
    pub(super) fn archive_idle_threads(&mut self, now: UnixMillis, dispatches: &mut Vec<Dispatch>) {
        let all = self.guilds.values().flat_map(|guild| &guild.threads).copied();
        let is_idle = |id: &ChannelId| {
            let thread = self.channels.get(id).and_then(|channel| channel.thread.as_deref());
            thread.is_some_and(|thread| thread.is_idle(now))
        };
        let idle: Vec<ChannelId> = all.filter(is_idle).collect();
        for id in idle {
            if let Some(thread) = self.channels.get_mut(&id).and_then(|it| it.thread.as_deref_mut())
            {
                thread.is_archived = true;
                thread.archive_changed = now;
            }
            self.dispatch_thread_update(id, dispatches);
        }
    }
}

/// Returns what a new thread becomes in a channel; without a word it is private, as in Discord.
fn kind_of_new(parent: ChannelKind, wanted: Option<ChannelKind>) -> Result<ChannelKind, Refusal> {
    let allowed: &[ChannelKind] = match parent {
        ChannelKind::TEXT => &[ChannelKind::PRIVATE_THREAD, ChannelKind::PUBLIC_THREAD],
        ChannelKind::ANNOUNCEMENT => &[ChannelKind::ANNOUNCEMENT_THREAD],
        ChannelKind::FORUM | ChannelKind::MEDIA => return Ok(ChannelKind::PUBLIC_THREAD),
        _ => return Err(Refusal::WrongChannelType),
    };
    let kind = wanted.unwrap_or(ChannelKind::PRIVATE_THREAD);
    if !kind.is_thread() {
        let message = "Value must be one of {10, 11, 12}.";
        return Err(Refusal::field(&["type"], "BASE_TYPE_CHOICES", message));
    }
    if allowed.contains(&kind) { Ok(kind) } else { Err(Refusal::WrongChannelType) }
}

pub(super) fn check_auto_archive(key: &str, minutes: Option<u16>) -> Result<(), Refusal> {
    if minutes.is_none_or(|minutes| AUTO_ARCHIVE.contains(&minutes)) {
        return Ok(());
    }
    let message = "Value must be one of {60, 1440, 4320, 10080}.";
    Err(Refusal::field(&[key], "BASE_TYPE_CHOICES", message))
}

pub(super) fn check_slowmode(seconds: Option<u32>) -> Result<(), Refusal> {
    if seconds.is_none_or(|seconds| seconds <= MAX_SLOWMODE) {
        return Ok(());
    }
    let message = "int value should be less than or equal to 21600.";
    Err(Refusal::field(&["rate_limit_per_user"], "NUMBER_TYPE_MAX", message))
}

/// Returns what the audit log compares.
pub(super) fn properties(channel: &Channel) -> Vec<(&'static str, Value)> {
    let Some(thread) = &channel.thread else { return Vec::new() };
    let mut properties = vec![
        ("name", json!(channel.name)),
        ("archived", json!(thread.is_archived)),
        ("locked", json!(thread.is_locked)),
        ("auto_archive_duration", json!(thread.auto_archive)),
        ("rate_limit_per_user", json!(channel.rate_limit_per_user)),
        ("flags", json!(channel.settings.flags)),
    ];
    if channel.kind == ChannelKind::PRIVATE_THREAD {
        properties.push(("invitable", json!(thread.is_invitable)));
    }
    properties
}

pub(super) fn thread_deed(
    action: u16,
    thread: ChannelId,
    changes: Vec<Value>,
    reason: Option<&str>,
) -> Deed<'_> {
    Deed { action, target: Some(thread.get()), changes, options: None, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

    #[test]
    fn a_channel_says_which_threads_can_begin_in_it() {
        use ChannelKind as Kind;
        let wrong = Err(Refusal::WrongChannelType);
        for (parent, wanted, kind) in [
            (Kind::TEXT, None, Ok(Kind::PRIVATE_THREAD)),
            (Kind::TEXT, Some(Kind::PUBLIC_THREAD), Ok(Kind::PUBLIC_THREAD)),
            (Kind::TEXT, Some(Kind::ANNOUNCEMENT_THREAD), wrong.clone()),
            (Kind::ANNOUNCEMENT, Some(Kind::ANNOUNCEMENT_THREAD), Ok(Kind::ANNOUNCEMENT_THREAD)),
            (Kind::ANNOUNCEMENT, None, wrong.clone()),
            (Kind::FORUM, Some(Kind::PRIVATE_THREAD), Ok(Kind::PUBLIC_THREAD)),
            (Kind::VOICE, Some(Kind::PUBLIC_THREAD), wrong.clone()),
            (Kind::PUBLIC_THREAD, Some(Kind::PUBLIC_THREAD), wrong),
        ] {
            assert_eq!(kind_of_new(parent, wanted), kind, "{parent:?} with {wanted:?}");
        }
    }

    #[test]
    fn a_thread_is_idle_once_its_time_without_activity_is_over() {
        let mut thread = Thread::begun_by(UserId::new(1), NOW);
        thread.auto_archive = 60;
        let hour = Duration::from_hours(1);
        assert!(!thread.is_idle(NOW + hour - Duration::from_millis(1)));
        assert!(thread.is_idle(NOW + hour));
        thread.archive_changed = NOW + hour;
        assert!(!thread.is_idle(NOW + hour));
        thread.is_archived = true;
        assert!(!thread.is_idle(NOW + hour * 9));
    }
}

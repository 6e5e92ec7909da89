//! Changing threads: names, archiving, locking.

use serde_json::Value;
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Channel, ChannelId, ChannelKind, Effect, Forum, MessageKind, Outcome, Refusal, TagId,
    Thread, World,
    audit::{action, change},
    guilds::check_name,
    notices::Notice,
    threads::{check_auto_archive, check_slowmode, properties, thread_deed},
};

/// The flag of a post that stays on top of its forum; the only one that can be set.
const PINNED: u64 = 1 << 1;

/// A change of a thread; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ThreadChange {
    pub(crate) name: Option<String>,
    pub(crate) archived: Option<bool>,
    pub(crate) locked: Option<bool>,
    pub(crate) invitable: Option<bool>,
    pub(crate) auto_archive: Option<u16>,
    pub(crate) rate_limit_per_user: Option<u32>,
    pub(crate) flags: Option<u64>,
    pub(crate) applied_tags: Option<Vec<TagId>>,
}

impl ThreadChange {
    /// Tells whether it does no more than bring the thread back.
    fn only_brings_back(&self) -> bool {
        *self == Self { archived: Some(false), ..Self::default() }
    }

    /// Tells whether it touches nothing but whether the thread is archived and locked.
    fn only_archives(&self) -> bool {
        let Self { archived, locked, .. } = *self;
        *self == Self { archived, locked, ..Self::default() }
    }

    /// Tells whether whoever began the thread may do it without managing threads.
    fn is_for_its_owner(&self) -> bool {
        self.locked.is_none() && self.rate_limit_per_user.is_none() && self.flags.is_none()
    }
}

impl World {
    /// Changes a thread: those who manage threads may, its owner may a little less, and who may
    /// write in it may bring it back unless it is locked.
    pub(crate) fn update_thread(
        &mut self,
        actor: Actor,
        id: ChannelId,
        mut edit: ThreadChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let (guild, channel) = self.thread_with_guild(id).ok_or(Refusal::UnknownChannel)?;
        if self.forum_of(channel).is_none() {
            edit.applied_tags = None; // only posts have tags
        }
        let thread = channel.thread.as_deref().ok_or(Refusal::UnknownChannel)?;
        self.check_thread_change(actor, channel, thread, &edit, now)?;
        let is_renamed = edit.name.as_ref().is_some_and(|name| *name != channel.name);
        let before = properties(channel);
        if let Some(channel) = self.channels.get_mut(&id) {
            apply(channel, edit, now);
        }
        let mut dispatches = Vec::new();
        self.dispatch_thread_update(id, &mut dispatches);
        let Some((_, channel)) = self.thread_with_guild(id) else {
            return Ok(Effect::new((), dispatches));
        };
        let changes: Vec<Value> = before
            .into_iter()
            .zip(properties(channel))
            .filter(|((_, old), (_, new))| old != new)
            .map(|((key, old), (_, new))| change(key, old, new))
            .collect();
        let name = channel.name.clone();
        if let Some(user) = actor.user().filter(|_| is_renamed) {
            let notice = Notice { content: name, ..Notice::default() };
            let kind = MessageKind::NAME_CHANGE;
            self.post_notice(id, user, kind, notice, now, &mut dispatches);
        }
        if !changes.is_empty() {
            let deed = thread_deed(action::THREAD_UPDATE, id, changes, reason);
            self.record(guild, actor, deed, now, &mut dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    fn forum_of(&self, post: &Channel) -> Option<&Forum> {
        self.channels.get(&post.parent?)?.forum.as_deref()
    }

    fn check_thread_change(
        &self,
        actor: Actor,
        channel: &Channel,
        thread: &Thread,
        edit: &ThreadChange,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let mut manages = true;
        if let Actor::User(actor) = actor {
            let rights = self.require(actor, channel, Permissions::empty(), now)?;
            manages = rights.contains(Permissions::MANAGE_THREADS);
            let brings_back =
                edit.only_brings_back() && rights.contains(Permissions::SEND_MESSAGES);
            let is_own = thread.owner == actor && edit.is_for_its_owner();
            if !manages && (thread.is_locked || !(brings_back || is_own)) {
                return Err(Refusal::MissingPermissions);
            }
        }
        if thread.is_archived && edit.archived != Some(false) && !edit.only_archives() {
            return Err(Refusal::ThreadArchived);
        }
        if let Some(name) = &edit.name {
            check_name(name)?;
        }
        check_auto_archive("auto_archive_duration", edit.auto_archive)?;
        check_slowmode(edit.rate_limit_per_user)?;
        match (&edit.applied_tags, self.forum_of(channel)) {
            (Some(tags), Some(forum)) => forum.check_applied(tags, &thread.applied_tags, manages),
            _ => Ok(()),
        }
    }
}

fn apply(channel: &mut Channel, edit: ThreadChange, now: UnixMillis) {
    let is_private = channel.kind == ChannelKind::PRIVATE_THREAD;
    let Some(thread) = channel.thread.as_deref_mut() else { return };
    if let Some(name) = edit.name {
        channel.name = name;
    }
    if let Some(seconds) = edit.rate_limit_per_user {
        channel.rate_limit_per_user = seconds;
        channel.last_spoke.clear();
    }
    if let Some(archived) = edit.archived.filter(|archived| *archived != thread.is_archived) {
        thread.is_archived = archived;
        thread.archive_changed = now;
    }
    if let Some(minutes) = edit.auto_archive.filter(|minutes| *minutes != thread.auto_archive) {
        thread.auto_archive = minutes;
        thread.archive_changed = now;
    }
    thread.is_locked = edit.locked.unwrap_or(thread.is_locked);
    if is_private {
        thread.is_invitable = edit.invitable.unwrap_or(thread.is_invitable);
    }
    if let Some(tags) = edit.applied_tags {
        thread.applied_tags = tags;
    }
    if let Some(flags) = edit.flags {
        channel.settings.flags = flags & PINNED;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_apart_by_who_may_make_them() {
        let back = ThreadChange { archived: Some(false), ..ThreadChange::default() };
        assert!(back.only_brings_back() && back.only_archives() && back.is_for_its_owner());
        let locked = ThreadChange { locked: Some(true), ..back.clone() };
        assert!(!locked.only_brings_back() && locked.only_archives());
        assert!(!locked.is_for_its_owner());
        let named = ThreadChange { name: Some("new".to_owned()), ..back };
        assert!(!named.only_brings_back() && !named.only_archives() && named.is_for_its_owner());
    }
}

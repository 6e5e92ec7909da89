//! The audit log of a guild.

use std::time::Duration;

use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, AuditLogEntryId, Dispatch, GuildId, Outcome, Refusal, UserId, World,
    created_at,
};
use crate::wire;

/// Discord keeps entries for 45 days.
const KEPT: Duration = Duration::from_hours(45 * 24);
/// The bound of a guild's log, of our own.
const MAX_ENTRIES: usize = 10_000;

/// Discord's numbers for what was done.
pub(crate) mod action {
    pub(crate) const GUILD_UPDATE: u16 = 1;
    pub(crate) const CHANNEL_CREATE: u16 = 10;
    pub(crate) const CHANNEL_UPDATE: u16 = 11;
    pub(crate) const CHANNEL_DELETE: u16 = 12;
    pub(crate) const OVERWRITE_CREATE: u16 = 13;
    pub(crate) const OVERWRITE_UPDATE: u16 = 14;
    pub(crate) const OVERWRITE_DELETE: u16 = 15;
    pub(crate) const MEMBER_KICK: u16 = 20;
    pub(crate) const MEMBER_BAN_ADD: u16 = 22;
    pub(crate) const MEMBER_BAN_REMOVE: u16 = 23;
    pub(crate) const MEMBER_UPDATE: u16 = 24;
    pub(crate) const MEMBER_ROLE_UPDATE: u16 = 25;
    pub(crate) const ROLE_CREATE: u16 = 30;
    pub(crate) const ROLE_UPDATE: u16 = 31;
    pub(crate) const ROLE_DELETE: u16 = 32;
    pub(crate) const INVITE_CREATE: u16 = 40;
    pub(crate) const INVITE_DELETE: u16 = 42;
    pub(crate) const WEBHOOK_CREATE: u16 = 50;
    pub(crate) const WEBHOOK_UPDATE: u16 = 51;
    pub(crate) const WEBHOOK_DELETE: u16 = 52;
    pub(crate) const EMOJI_CREATE: u16 = 60;
    pub(crate) const EMOJI_UPDATE: u16 = 61;
    pub(crate) const EMOJI_DELETE: u16 = 62;
    pub(crate) const STICKER_CREATE: u16 = 90;
    pub(crate) const STICKER_DELETE: u16 = 92;
    pub(crate) const MESSAGE_DELETE: u16 = 72;
    pub(crate) const MESSAGE_BULK_DELETE: u16 = 73;
    pub(crate) const MESSAGE_PIN: u16 = 74;
    pub(crate) const MESSAGE_UNPIN: u16 = 75;
    pub(crate) const EVENT_CREATE: u16 = 100;
    pub(crate) const EVENT_UPDATE: u16 = 101;
    pub(crate) const EVENT_DELETE: u16 = 102;
    pub(crate) const THREAD_CREATE: u16 = 110;
    pub(crate) const THREAD_UPDATE: u16 = 111;
    pub(crate) const THREAD_DELETE: u16 = 112;
    pub(crate) const APPLICATION_COMMAND_PERMISSION_UPDATE: u16 = 121;
}

#[derive(Clone, Debug)]
pub(crate) struct AuditEntry {
    pub(crate) id: AuditLogEntryId,
    pub(crate) action: u16,
    pub(crate) user: UserId,
    pub(crate) target: Option<u64>,
    pub(crate) changes: Vec<Value>,
    pub(crate) options: Option<Value>,
    pub(crate) reason: Option<String>,
}

/// What somebody did, to be written down.
#[derive(Debug)]
pub(super) struct Deed<'a> {
    pub(super) action: u16,
    pub(super) target: Option<u64>,
    pub(super) changes: Vec<Value>,
    pub(super) options: Option<Value>,
    pub(super) reason: Option<&'a str>,
}

/// Returns one change of an entry; a value that is null is left out, as Discord does.
pub(super) fn change(key: &str, old: Value, new: Value) -> Value {
    let mut change = json!({ "key": key });
    if !old.is_null() {
        change["old_value"] = old;
    }
    if !new.is_null() {
        change["new_value"] = new;
    }
    change
}

#[derive(Clone, Debug)]
pub(crate) struct AuditLogQuery {
    pub(crate) user: Option<UserId>,
    pub(crate) target: Option<u64>,
    pub(crate) action: Option<u16>,
    pub(crate) before: Option<u64>,
    pub(crate) after: Option<u64>,
    pub(crate) limit: usize,
}

impl World {
    /// Writes down what `actor` did; what the operator does leaves no trace.
    pub(super) fn record(
        &mut self,
        guild: GuildId,
        actor: Actor,
        deed: Deed<'_>,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let Some(user) = actor.user() else { return };
        let id = self.mint.next(now);
        let Some(log) = self.guilds.get_mut(&guild).map(|guild| &mut guild.audit_log) else {
            return;
        };
        let entry = AuditEntry {
            id,
            action: deed.action,
            user,
            target: deed.target,
            changes: deed.changes,
            options: deed.options,
            reason: deed.reason.map(str::to_owned),
        };
        let body = wire::audit_entry_create(&entry, guild);
        log.push_back(entry);
        while log.len() > MAX_ENTRIES
            || log.front().is_some_and(|oldest| now.since(created_at(oldest.id)) > KEPT)
        {
            log.pop_front();
        }
        dispatches.push(Dispatch::shared(
            "GUILD_AUDIT_LOG_ENTRY_CREATE",
            Audience::AuditLog(guild),
            body,
        ));
    }

    /// Returns entries of the log: the newest first, or with `after` the oldest first.
    pub(crate) fn audit_log(
        &self,
        actor: UserId,
        guild: GuildId,
        query: &AuditLogQuery,
        now: UnixMillis,
    ) -> Result<Vec<&AuditEntry>, Refusal> {
        let guild = self.require_in_guild(actor, guild, Permissions::VIEW_AUDIT_LOG, now)?;
        let wanted = |entry: &&AuditEntry| {
            query.user.is_none_or(|user| entry.user == user)
                && query.target.is_none_or(|target| entry.target == Some(target))
                && query.action.is_none_or(|action| entry.action == action)
                && query.before.is_none_or(|before| entry.id.get() < before)
                && query.after.is_none_or(|after| entry.id.get() > after)
        };
        let entries = guild.audit_log.iter();
        Ok(if query.after.is_some() && query.before.is_none() {
            entries.filter(wanted).take(query.limit).collect()
        } else {
            entries.rev().filter(wanted).take(query.limit).collect()
        })
    }
}

/// Checks a reason's length: 512 characters at most.
pub(crate) fn check_reason(reason: Option<&str>) -> Result<(), Refusal> {
    match reason {
        Some(reason) if reason.chars().count() > 512 => Err(Refusal::field(
            &["reason"],
            "BASE_TYPE_MAX_LENGTH",
            "Must be 512 or fewer in length.",
        )),
        _ => Ok(()),
    }
}

/// Shortens `Outcome` where nothing is returned.
pub(super) type Done = Outcome<()>;

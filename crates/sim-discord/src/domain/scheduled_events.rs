//! Events that a guild has planned.
//!
//! Source: Discord Docs, Guild Scheduled Event.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, ChannelId, ChannelKind, Dispatch, Effect, GuildId, Outcome, Refusal,
    ScheduledEventId, UserId, World,
    audit::{Deed, action, change},
};
use crate::wire;

const MAX_PLANNED: usize = 100;
/// How many events that are over a guild remembers.
const MAX_OVER: usize = 100;
const MAX_NAME: usize = 100;
const MAX_DESCRIPTION: usize = 1_000;
const MAX_LOCATION: usize = 100;
/// How far ahead an event can be planned.
const MAX_AHEAD: Duration = Duration::from_hours(5 * 366 * 24);

/// How far an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventStatus {
    Scheduled,
    Active,
    Completed,
    Canceled,
}

impl EventStatus {
    /// Returns Discord's number.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Scheduled => 1,
            Self::Active => 2,
            Self::Completed => 3,
            Self::Canceled => 4,
        }
    }

    pub(crate) fn of_number(number: u8) -> Option<Self> {
        let all = [Self::Scheduled, Self::Active, Self::Completed, Self::Canceled];
        all.into_iter().find(|status| status.number() == number)
    }

    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled)
    }

    /// Tells whether an event may go on from here to there.
    fn leads_to(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Scheduled, Self::Active | Self::Canceled) | (Self::Active, Self::Completed)
        )
    }
}

/// Where an event takes place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Venue {
    Stage(ChannelId),
    Voice(ChannelId),
    External { location: String },
}

impl Venue {
    /// Returns Discord's number for the kind.
    pub(crate) fn number(&self) -> u8 {
        match self {
            Self::Stage(_) => 1,
            Self::Voice(_) => 2,
            Self::External { .. } => 3,
        }
    }

    pub(crate) fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Stage(channel) | Self::Voice(channel) => Some(*channel),
            Self::External { .. } => None,
        }
    }

    pub(crate) fn location(&self) -> Option<&str> {
        match self {
            Self::Stage(_) | Self::Voice(_) => None,
            Self::External { location } => Some(location),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ScheduledEvent {
    pub(crate) id: ScheduledEventId,
    pub(crate) guild: GuildId,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) creator: Option<UserId>,
    pub(crate) start: UnixMillis,
    pub(crate) end: Option<UnixMillis>,
    pub(crate) status: EventStatus,
    pub(crate) venue: Venue,
    /// As it was sent: nothing repeats by itself here.
    pub(crate) recurrence: Option<Value>,
    /// Who is interested, and since when.
    pub(crate) users: BTreeMap<UserId, UnixMillis>,
}

/// An event's properties; what is none stays, or is not said of a new one.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventChange {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<Option<String>>,
    pub(crate) start: Option<UnixMillis>,
    pub(crate) end: Option<Option<UnixMillis>>,
    pub(crate) status: Option<u8>,
    pub(crate) entity_type: Option<u8>,
    pub(crate) channel: Option<Option<ChannelId>>,
    pub(crate) location: Option<String>,
    pub(crate) recurrence: Option<Option<Value>>,
}

impl World {
    /// Plans an event.
    pub(crate) fn create_event(
        &mut self,
        actor: Actor,
        guild: GuildId,
        new: EventChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<ScheduledEventId> {
        if let Actor::User(actor) = actor {
            self.require_in_guild(actor, guild, Permissions::empty(), now)?;
        }
        let place = self.guild(guild)?;
        let name = new.name.ok_or_else(|| required("name"))?;
        let start = new.start.ok_or_else(|| required("scheduled_start_time"))?;
        let number = new.entity_type.ok_or_else(|| required("entity_type"))?;
        let venue = self.venue_of(guild, number, new.channel.flatten(), new.location)?;
        self.check_may_plan(actor, guild, &venue, now)?;
        let planned = place.events.values().filter(|event| !event.status.is_over()).count();
        if planned >= MAX_PLANNED {
            return Err(Refusal::TooManyEvents);
        }
        let event = ScheduledEvent {
            id: self.mint.next(now),
            guild,
            name,
            description: new.description.flatten().filter(|text| !text.is_empty()),
            creator: actor.user(),
            start,
            end: new.end.flatten(),
            status: EventStatus::Scheduled,
            venue,
            recurrence: new.recurrence.flatten(),
            users: BTreeMap::new(),
        };
        check_event(&event, true, now)?;
        let id = event.id;
        let changes = properties(&event).into_iter().filter(|(_, value)| !value.is_null());
        let changes = changes.map(|(key, value)| change(key, Value::Null, value)).collect();
        if let Some(place) = self.guilds.get_mut(&guild) {
            place.events.insert(id, event);
        }
        let mut dispatches = Vec::new();
        self.dispatch_event("GUILD_SCHEDULED_EVENT_CREATE", guild, id, &mut dispatches);
        let deed = event_deed(action::EVENT_CREATE, id, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new(id, dispatches))
    }

    /// Changes an event: one's own, or with `MANAGE_EVENTS` another's.
    pub(crate) fn update_event(
        &mut self,
        actor: Actor,
        guild: GuildId,
        id: ScheduledEventId,
        edit: EventChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        self.check_may_change_event(actor, guild, id, now)?;
        let before = self.event(guild, id)?.clone();
        if before.status.is_over() {
            return Err(Refusal::EventIsOver);
        }
        let mut after = before.clone();
        self.apply_to_event(&mut after, edit)?;
        check_event(&after, after.start != before.start, now)?;
        if after.venue != before.venue {
            self.check_may_plan(actor, guild, &after.venue, now)?;
        }
        let changes: Vec<Value> = properties(&before)
            .into_iter()
            .zip(properties(&after))
            .filter(|((_, old), (_, new))| old != new)
            .map(|((key, old), (_, new))| change(key, old, new))
            .collect();
        let mut dispatches = Vec::new();
        self.put_event(guild, after, &mut dispatches);
        if !changes.is_empty() {
            let deed = event_deed(action::EVENT_UPDATE, id, changes, reason);
            self.record(guild, actor, deed, now, &mut dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    fn apply_to_event(&self, event: &mut ScheduledEvent, edit: EventChange) -> Result<(), Refusal> {
        if let Some(number) = edit.status {
            let status = EventStatus::of_number(number);
            let next = status.filter(|next| event.status.leads_to(*next));
            event.status = next.ok_or_else(|| {
                let message = "Cannot change the status of this event to that one.";
                Refusal::field(&["status"], "GUILD_SCHEDULED_EVENT_STATUS_INVALID", message)
            })?;
        }
        if edit.entity_type.is_some() || edit.channel.is_some() || edit.location.is_some() {
            let number = edit.entity_type.unwrap_or(event.venue.number());
            let stays_external = number == 3;
            let old_channel = event.venue.channel().filter(|_| !stays_external);
            let channel = edit.channel.unwrap_or(old_channel);
            let location = edit.location.or_else(|| event.venue.location().map(str::to_owned));
            let location = location.filter(|_| stays_external);
            event.venue = self.venue_of(event.guild, number, channel, location)?;
        }
        event.name = edit.name.unwrap_or_else(|| std::mem::take(&mut event.name));
        if let Some(description) = edit.description {
            event.description = description.filter(|text| !text.is_empty());
        }
        event.start = edit.start.unwrap_or(event.start);
        event.end = edit.end.unwrap_or(event.end);
        if let Some(recurrence) = edit.recurrence {
            event.recurrence = recurrence;
        }
        Ok(())
    }

    /// Deletes an event: one's own, or with `MANAGE_EVENTS` another's.
    pub(crate) fn delete_event(
        &mut self,
        actor: Actor,
        guild: GuildId,
        id: ScheduledEventId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        self.check_may_change_event(actor, guild, id, now)?;
        let event = self.event(guild, id)?;
        let body = wire::scheduled_event(self, event);
        let audience = audience_of(event);
        let name = event.name.clone();
        let mut dispatches = vec![Dispatch::shared("GUILD_SCHEDULED_EVENT_DELETE", audience, body)];
        if let Some(place) = self.guilds.get_mut(&guild) {
            place.events.remove(&id);
        }
        let changes = vec![change("name", json!(name), Value::Null)];
        let deed = event_deed(action::EVENT_DELETE, id, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Notes that somebody is interested in an event, or is no more.
    pub(crate) fn set_interested(
        &mut self,
        user: UserId,
        guild: GuildId,
        id: ScheduledEventId,
        is_interested: bool,
        now: UnixMillis,
    ) -> Outcome<()> {
        self.visible_event(user, guild, id, now)?;
        let place = self.guilds.get_mut(&guild).ok_or(Refusal::UnknownGuild)?;
        let event = place.events.get_mut(&id).ok_or(Refusal::UnknownEvent)?;
        if event.status.is_over() && is_interested {
            return Err(Refusal::EventIsOver);
        }
        let (changed, name) = if is_interested {
            (event.users.insert(user, now).is_none(), "GUILD_SCHEDULED_EVENT_USER_ADD")
        } else {
            (event.users.remove(&user).is_some(), "GUILD_SCHEDULED_EVENT_USER_REMOVE")
        };
        if !changed {
            return Ok(Effect::none(()));
        }
        let audience = audience_of(event);
        let body = wire::event_user(guild, id, user);
        Ok(Effect::new((), vec![Dispatch::shared(name, audience, body)]))
    }

    fn event(&self, guild: GuildId, id: ScheduledEventId) -> Result<&ScheduledEvent, Refusal> {
        self.guild(guild)?.events.get(&id).ok_or(Refusal::UnknownEvent)
    }

    /// Finds an event among all guilds.
    pub(crate) fn event_anywhere(&self, id: ScheduledEventId) -> Option<&ScheduledEvent> {
        self.guilds.values().find_map(|guild| guild.events.get(&id))
    }

    /// Returns an event that `reader` may know of.
    pub(crate) fn visible_event(
        &self,
        reader: UserId,
        guild: GuildId,
        id: ScheduledEventId,
        now: UnixMillis,
    ) -> Result<&ScheduledEvent, Refusal> {
        self.require_in_guild(reader, guild, Permissions::empty(), now)?;
        let event = self.event(guild, id)?;
        if self.sees_event(reader, event, now) { Ok(event) } else { Err(Refusal::UnknownEvent) }
    }

    /// Returns the events of a guild that are not over and that `reader` may know of.
    pub(crate) fn visible_events(
        &self,
        reader: UserId,
        guild: GuildId,
        now: UnixMillis,
    ) -> Vec<&ScheduledEvent> {
        let Some(place) = self.guilds.get(&guild) else { return Vec::new() };
        let events = place.events.values().filter(|event| !event.status.is_over());
        events.filter(|event| self.sees_event(reader, event, now)).collect()
    }

    fn sees_event(&self, reader: UserId, event: &ScheduledEvent, now: UnixMillis) -> bool {
        let Some(channel) = event.venue.channel() else { return true };
        let channel = self.channels.get(&channel);
        channel.is_some_and(|it| self.require(reader, it, Permissions::empty(), now).is_ok())
    }

    fn venue_of(
        &self,
        guild: GuildId,
        number: u8,
        channel: Option<ChannelId>,
        location: Option<String>,
    ) -> Result<Venue, Refusal> {
        let in_channel = |kind: ChannelKind| {
            let channel = channel.ok_or_else(|| required("channel_id"))?;
            let found = self.channels.get(&channel).filter(|it| it.guild == Some(guild));
            match found {
                None => Err(Refusal::UnknownChannel),
                Some(found) if found.kind == kind => Ok(channel),
                Some(_) => Err(Refusal::WrongChannelType),
            }
        };
        match number {
            1 => in_channel(ChannelKind::STAGE).map(Venue::Stage),
            2 => in_channel(ChannelKind::VOICE).map(Venue::Voice),
            3 if channel.is_some() => {
                let message = "An external event has no channel.";
                let code = "GUILD_SCHEDULED_EVENT_CHANNEL_INVALID";
                Err(Refusal::field(&["channel_id"], code, message))
            }
            3 => match location {
                None => {
                    let path = ["entity_metadata", "location"];
                    let message = "This field is required";
                    Err(Refusal::field(&path, "BASE_TYPE_REQUIRED", message))
                }
                Some(location) => Ok(Venue::External { location }),
            },
            _ => {
                let message = "Value must be one of {1, 2, 3}.";
                Err(Refusal::field(&["entity_type"], "BASE_TYPE_CHOICES", message))
            }
        }
    }

    fn check_may_plan(
        &self,
        actor: Actor,
        guild: GuildId,
        venue: &Venue,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let Actor::User(actor) = actor else { return Ok(()) };
        let needed = Permissions::CREATE_EVENTS;
        match venue.channel().and_then(|channel| self.channels.get(&channel)) {
            Some(channel) => self.require(actor, channel, needed, now).map(|_| ()),
            None => self.require_in_guild(actor, guild, needed, now).map(|_| ()),
        }
    }

    fn check_may_change_event(
        &self,
        actor: Actor,
        guild: GuildId,
        id: ScheduledEventId,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let Actor::User(actor) = actor else { return self.event(guild, id).map(|_| ()) };
        let event = self.visible_event(actor, guild, id, now)?;
        let channel = event.venue.channel().and_then(|channel| self.channels.get(&channel));
        let has = |needed| match channel {
            Some(channel) => self.require(actor, channel, needed, now).map(|_| ()),
            None => self.require_in_guild(actor, guild, needed, now).map(|_| ()),
        };
        if event.creator == Some(actor) && has(Permissions::CREATE_EVENTS).is_ok() {
            return Ok(());
        }
        has(Permissions::MANAGE_EVENTS)
    }

    /// Puts a changed event in the place of the old one and says so.
    fn put_event(&mut self, guild: GuildId, event: ScheduledEvent, dispatches: &mut Vec<Dispatch>) {
        let id = event.id;
        let Some(place) = self.guilds.get_mut(&guild) else { return };
        place.events.insert(id, event);
        let over = place.events.values().filter(|event| event.status.is_over());
        let over: Vec<ScheduledEventId> = over.map(|event| event.id).collect();
        self.dispatch_event("GUILD_SCHEDULED_EVENT_UPDATE", guild, id, dispatches);
        if let Some(place) = self.guilds.get_mut(&guild)
            && over.len() > MAX_OVER
        {
            place.events.remove(&over[0]);
        }
    }

    fn dispatch_event(
        &self,
        name: &'static str,
        guild: GuildId,
        id: ScheduledEventId,
        dispatches: &mut Vec<Dispatch>,
    ) {
        if let Ok(event) = self.event(guild, id) {
            let body = wire::scheduled_event(self, event);
            dispatches.push(Dispatch::shared(name, audience_of(event), body));
        }
    }

    /// Begins and ends the external events that are due, which Discord does by itself.
    pub(super) fn advance_events(&mut self, now: UnixMillis, dispatches: &mut Vec<Dispatch>) {
        let next = |event: &ScheduledEvent| match event.status {
            _ if !matches!(event.venue, Venue::External { .. }) => None,
            EventStatus::Scheduled if event.start <= now => Some(EventStatus::Active),
            EventStatus::Active if event.end.is_some_and(|end| end <= now) => {
                Some(EventStatus::Completed)
            }
            _ => None,
        };
        let all = self.guilds.values().flat_map(|guild| guild.events.values());
        let due: Vec<ScheduledEvent> = all
            .filter_map(|event| Some(ScheduledEvent { status: next(event)?, ..event.clone() }))
            .collect();
        for event in due {
            self.put_event(event.guild, event, dispatches);
        }
    }

    /// Deletes the events in a channel that is gone.
    pub(super) fn forget_events_of(
        &mut self,
        guild: GuildId,
        channel: ChannelId,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let Some(place) = self.guilds.get(&guild) else { return };
        let in_channel = |event: &&ScheduledEvent| event.venue.channel() == Some(channel);
        let gone: Vec<ScheduledEventId> =
            place.events.values().filter(in_channel).map(|event| event.id).collect();
        for id in gone {
            let Some(event) = self.guilds.get_mut(&guild).and_then(|it| it.events.remove(&id))
            else {
                continue;
            };
            let body = wire::scheduled_event(self, &event);
            let audience = Audience::Guild(guild);
            dispatches.push(Dispatch::shared("GUILD_SCHEDULED_EVENT_DELETE", audience, body));
        }
    }
}

/// Returns who hears of an event: those who see its channel, or all.
fn audience_of(event: &ScheduledEvent) -> Audience {
    match event.venue.channel() {
        Some(channel) => Audience::Channel(event.guild, channel),
        None => Audience::Guild(event.guild),
    }
}

fn required(key: &str) -> Refusal {
    Refusal::field(&[key], "BASE_TYPE_REQUIRED", "This field is required")
}

fn check_length(path: &[&str], text: &str, most: usize) -> Result<(), Refusal> {
    if (1..=most).contains(&text.chars().count()) {
        return Ok(());
    }
    let message = format!("Must be between 1 and {most} in length.");
    Err(Refusal::field(path, "BASE_TYPE_BAD_LENGTH", message))
}

fn check_event(event: &ScheduledEvent, starts_anew: bool, now: UnixMillis) -> Result<(), Refusal> {
    check_length(&["name"], &event.name, MAX_NAME)?;
    if let Some(description) = &event.description {
        check_length(&["description"], description, MAX_DESCRIPTION)?;
    }
    if let Some(location) = event.venue.location() {
        check_length(&["entity_metadata", "location"], location, MAX_LOCATION)?;
        if event.end.is_none() {
            return Err(required("scheduled_end_time"));
        }
    }
    if starts_anew && event.start <= now {
        let message = "Cannot schedule event in the past.";
        let code = "GUILD_SCHEDULED_EVENT_SCHEDULE_PAST";
        return Err(Refusal::field(&["scheduled_start_time"], code, message));
    }
    if starts_anew && event.start.since(now) > MAX_AHEAD {
        let message = "Cannot schedule event more than 5 years in the future.";
        let code = "GUILD_SCHEDULED_EVENT_SCHEDULE_TOO_FAR";
        return Err(Refusal::field(&["scheduled_start_time"], code, message));
    }
    if event.end.is_some_and(|end| end <= event.start) {
        let message = "Event cannot end before it starts.";
        let code = "GUILD_SCHEDULED_EVENT_END_BEFORE_START";
        return Err(Refusal::field(&["scheduled_end_time"], code, message));
    }
    Ok(())
}

/// Returns what the audit log compares.
fn properties(event: &ScheduledEvent) -> [(&'static str, Value); 8] {
    [
        ("name", json!(event.name)),
        ("description", json!(event.description)),
        ("scheduled_start_time", json!(wire::Iso(event.start))),
        ("scheduled_end_time", json!(event.end.map(wire::Iso))),
        ("status", json!(event.status.number())),
        ("entity_type", json!(event.venue.number())),
        ("channel_id", json!(event.venue.channel())),
        ("location", json!(event.venue.location())),
    ]
}

fn event_deed(
    action: u16,
    event: ScheduledEventId,
    changes: Vec<Value>,
    reason: Option<&str>,
) -> Deed<'_> {
    Deed { action, target: Some(event.get()), changes, options: None, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_goes_on_in_one_direction_only() {
        use EventStatus::{Active, Canceled, Completed, Scheduled};
        for (from, to, may) in [
            (Scheduled, Active, true),
            (Scheduled, Canceled, true),
            (Scheduled, Completed, false),
            (Active, Completed, true),
            (Active, Canceled, false),
            (Active, Scheduled, false),
            (Completed, Active, false),
            (Canceled, Scheduled, false),
        ] {
            assert_eq!(from.leads_to(to), may, "{from:?} to {to:?}");
        }
    }
}

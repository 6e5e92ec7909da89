use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::{Iso, MemberView, UserView, render};
use crate::domain::{ChannelId, GuildId, ScheduledEvent, ScheduledEventId, UserId, World};

type Null = Option<()>;

#[derive(Debug, Serialize)]
pub(crate) struct ScheduledEventView<'a> {
    id: ScheduledEventId,
    guild_id: GuildId,
    channel_id: Option<ChannelId>,
    creator_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator: Option<UserView<'a>>,
    name: &'a str,
    description: Option<&'a str>,
    image: Null,
    scheduled_start_time: Iso,
    scheduled_end_time: Option<Iso>,
    privacy_level: u8,
    status: u8,
    entity_type: u8,
    entity_id: Null,
    entity_metadata: Option<Metadata<'a>>,
    recurrence_rule: Option<&'a Value>,
    guild_scheduled_event_exceptions: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    user_count: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    location: &'a str,
}

impl<'a> ScheduledEventView<'a> {
    pub(crate) fn new(world: &'a World, event: &'a ScheduledEvent, with_user_count: bool) -> Self {
        Self {
            id: event.id,
            guild_id: event.guild,
            channel_id: event.venue.channel(),
            creator_id: event.creator,
            creator: event.creator.map(|creator| UserView::of(world, creator)),
            name: &event.name,
            description: event.description.as_deref(),
            image: None,
            scheduled_start_time: Iso(event.start),
            scheduled_end_time: event.end.map(Iso),
            privacy_level: 2,
            status: event.status.number(),
            entity_type: event.venue.number(),
            entity_id: None,
            entity_metadata: event.venue.location().map(|location| Metadata { location }),
            recurrence_rule: event.recurrence.as_ref(),
            guild_scheduled_event_exceptions: [],
            user_count: with_user_count.then_some(event.users.len()),
        }
    }
}

/// Somebody who is interested in an event.
#[derive(Debug, Serialize)]
pub(crate) struct EventUserView<'a> {
    guild_scheduled_event_id: ScheduledEventId,
    user_id: UserId,
    user: UserView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberView<'a>>,
    /// 1 is interested.
    response: u8,
}

impl<'a> EventUserView<'a> {
    pub(crate) fn new(
        world: &'a World,
        event: &ScheduledEvent,
        user: UserId,
        with_member: bool,
    ) -> Self {
        let member = world.member(event.guild, user).filter(|_| with_member);
        Self {
            guild_scheduled_event_id: event.id,
            user_id: user,
            user: UserView::of(world, user),
            member: member.map(|member| MemberView::new(world, member)),
            response: 1,
        }
    }
}

/// Returns the `d` of `GUILD_SCHEDULED_EVENT_CREATE` and so on.
pub(crate) fn scheduled_event(world: &World, event: &ScheduledEvent) -> Bytes {
    render(&ScheduledEventView::new(world, event, false))
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "they are Discord's own fields")]
struct EventUser {
    guild_scheduled_event_id: ScheduledEventId,
    user_id: UserId,
    guild_id: GuildId,
}

/// Returns the `d` of `GUILD_SCHEDULED_EVENT_USER_ADD` and `…_REMOVE`.
pub(crate) fn event_user(guild: GuildId, event: ScheduledEventId, user: UserId) -> Bytes {
    render(&EventUser { guild_scheduled_event_id: event, user_id: user, guild_id: guild })
}

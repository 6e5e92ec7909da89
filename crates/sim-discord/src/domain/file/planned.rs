//! Emojis and scheduled events in a world file.

use serde::{Deserialize, Serialize};

use ery_clock::UnixMillis;

use crate::{
    domain::{
        ChannelId, EmojiId, EventStatus, Guild, GuildEmoji, RoleId, ScheduledEvent,
        ScheduledEventId, UserId, Venue, World,
    },
    wire::{Iso, parse_iso},
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GuildEmojiFile {
    id: EmojiId,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    creator_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<RoleId>,
    #[serde(default)]
    animated: bool,
}

impl GuildEmojiFile {
    pub(super) fn new(emoji: &GuildEmoji) -> Self {
        Self {
            id: emoji.id,
            name: emoji.name.clone(),
            creator_id: emoji.creator,
            roles: emoji.roles.clone(),
            animated: emoji.is_animated,
        }
    }

    pub(super) fn read(self) -> GuildEmoji {
        GuildEmoji {
            id: self.id,
            name: self.name,
            creator: self.creator_id,
            roles: self.roles,
            is_animated: self.animated,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduledEventFile {
    id: ScheduledEventId,
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    creator_id: Option<UserId>,
    scheduled_start_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheduled_end_time: Option<String>,
    /// 1 scheduled, 2 active, 3 completed, 4 canceled.
    #[serde(default = "scheduled")]
    status: u8,
    /// 1 stage, 2 voice, 3 external.
    entity_type: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel_id: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recurrence_rule: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<UserId>,
}

fn scheduled() -> u8 {
    1
}

impl ScheduledEventFile {
    pub(super) fn new(event: &ScheduledEvent) -> Self {
        Self {
            id: event.id,
            name: event.name.clone(),
            description: event.description.clone(),
            creator_id: event.creator,
            scheduled_start_time: Iso(event.start).to_string(),
            scheduled_end_time: event.end.map(|end| Iso(end).to_string()),
            status: event.status.number(),
            entity_type: event.venue.number(),
            channel_id: event.venue.channel(),
            location: event.venue.location().map(str::to_owned),
            recurrence_rule: event.recurrence.clone(),
            users: event.users.keys().copied().collect(),
        }
    }

    pub(super) fn id(&self) -> ScheduledEventId {
        self.id
    }

    /// Reads an event of a guild whose channels are there already.
    pub(super) fn read(self, guild: &Guild, now: UnixMillis) -> Result<ScheduledEvent, String> {
        let moment = |text: &str| {
            parse_iso(text).ok_or_else(|| format!("`{text}` is no moment in ISO 8601"))
        };
        let channel = || {
            let channel = self.channel_id.filter(|channel| guild.channels.contains(channel));
            channel.ok_or_else(|| "its channel is none of its guild's".to_owned())
        };
        let venue = match self.entity_type {
            1 => Venue::Stage(channel()?),
            2 => Venue::Voice(channel()?),
            3 => Venue::External { location: self.location.unwrap_or_default() },
            other => return Err(format!("its entity_type {other} is none of 1, 2, 3")),
        };
        let status = EventStatus::of_number(self.status);
        Ok(ScheduledEvent {
            id: self.id,
            guild: guild.id,
            name: self.name,
            description: self.description,
            creator: self.creator_id,
            start: moment(&self.scheduled_start_time)?,
            end: self.scheduled_end_time.as_deref().map(moment).transpose()?,
            status: status
                .ok_or_else(|| format!("its status {} is none of 1 to 4", self.status))?,
            venue,
            recurrence: self.recurrence_rule,
            users: self.users.into_iter().map(|user| (user, now)).collect(),
        })
    }
}

impl World {
    /// Takes the emojis and events of a guild from a document.
    pub(super) fn load_planned(
        &mut self,
        guild: &mut Guild,
        (emojis, events): (Vec<GuildEmojiFile>, Vec<ScheduledEventFile>),
        now: UnixMillis,
    ) -> Result<(), String> {
        for emoji in emojis {
            self.mint.observe(emoji.id, now);
            guild.emojis.insert(emoji.id, emoji.read());
        }
        for event in events {
            let id = event.id();
            self.mint.observe(id, now);
            let event = event.read(guild, now);
            guild.events.insert(id, event.map_err(|problem| format!("event {id}: {problem}"))?);
        }
        Ok(())
    }
}

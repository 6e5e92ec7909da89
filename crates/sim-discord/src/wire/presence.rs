use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::render;
use crate::domain::{GuildId, Status, UserId, World};

#[derive(Debug, Serialize)]
struct Whose {
    id: UserId,
}

/// On which devices somebody is; here everybody is at a desktop, and bots are on the web.
#[derive(Debug, Serialize)]
struct ClientStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    desktop: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web: Option<Status>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PresenceView<'a> {
    user: Whose,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
    status: Status,
    activities: &'a [Map<String, Value>],
    client_status: ClientStatus,
}

impl<'a> PresenceView<'a> {
    pub(crate) fn new(world: &'a World, guild_id: Option<GuildId>, user: UserId) -> Self {
        let presence = world.presence(user);
        let is_bot = world.users.get(&user).is_some_and(|user| user.is_bot);
        let device = presence.is_visible().then_some(presence.status);
        Self {
            user: Whose { id: user },
            guild_id,
            status: presence.status,
            activities: &presence.activities,
            client_status: ClientStatus {
                desktop: device.filter(|_| !is_bot),
                web: device.filter(|_| is_bot),
            },
        }
    }
}

/// Returns the `d` of `PRESENCE_UPDATE`.
pub(crate) fn presence_update(world: &World, guild: GuildId, user: UserId) -> Bytes {
    render(&PresenceView::new(world, Some(guild), user))
}

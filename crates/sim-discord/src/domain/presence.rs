//! Who is online, and what they are doing.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use ery_clock::UnixMillis;

use super::{Audience, Dispatch, Effect, GuildId, Outcome, Payload, UserId, World};
use crate::wire;

/// How many activities are kept; the rest is left out.
const MAX_ACTIVITIES: usize = 16;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Online,
    Idle,
    Dnd,
    /// Online, and shown to everybody else as offline.
    Invisible,
    #[default]
    Offline,
}

impl Status {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub(crate) fn is_offline(&self) -> bool {
        *self == Self::Offline
    }
}

/// How somebody is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Presence {
    pub(crate) status: Status,
    pub(crate) activities: Vec<Map<String, Value>>,
}

impl Presence {
    /// Activities without a name are left out; one without a kind is a game.
    pub(crate) fn new(status: Status, activities: Vec<Map<String, Value>>) -> Self {
        let named = activities.into_iter().filter(|activity| {
            activity.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty())
        });
        let mut activities: Vec<Map<String, Value>> = named.take(MAX_ACTIVITIES).collect();
        for activity in &mut activities {
            if !activity.get("type").is_some_and(Value::is_u64) {
                activity.insert("type".to_owned(), json!(0));
            }
        }
        Self { status, activities }
    }

    pub(crate) fn online() -> Self {
        Self { status: Status::Online, activities: Vec::new() }
    }

    /// Tells whether others see them as online.
    pub(crate) fn is_visible(&self) -> bool {
        !matches!(self.status, Status::Invisible | Status::Offline)
    }

    /// Returns what others see.
    fn seen(self) -> Self {
        if self.is_visible() { self } else { Self::default() }
    }

    /// Gives each activity the moment of its beginning.
    fn begun(mut self, now: UnixMillis) -> Self {
        for activity in &mut self.activities {
            activity.entry("created_at").or_insert_with(|| json!(now.0));
        }
        self
    }
}

impl World {
    /// Shows somebody in another way; every guild that they are in is told.
    pub(crate) fn set_presence(
        &mut self,
        user: UserId,
        presence: Presence,
        now: UnixMillis,
    ) -> Outcome<()> {
        self.user(user)?;
        let presence = presence.seen().begun(now);
        if *self.presence(user) == presence {
            return Ok(Effect::none(()));
        }
        if presence.is_visible() {
            self.presences.insert(user, presence);
        } else {
            self.presences.remove(&user);
        }
        let guilds: Vec<GuildId> = self
            .guilds
            .values()
            .filter(|guild| guild.members.contains_key(&user))
            .map(|guild| guild.id)
            .collect();
        let dispatches = guilds.into_iter().map(|guild| Dispatch {
            name: "PRESENCE_UPDATE",
            audience: Audience::Guild(guild),
            payload: Payload::Shared(wire::presence_update(self, guild, user)),
            about: Some(user),
        });
        Ok(Effect::new((), dispatches.collect()))
    }

    /// Returns how somebody is shown: offline where nothing else was said.
    pub(crate) fn presence(&self, user: UserId) -> &Presence {
        static OFFLINE: Presence = Presence { status: Status::Offline, activities: Vec::new() };
        self.presences.get(&user).unwrap_or(&OFFLINE)
    }

    /// Returns the members of a guild who are shown as online.
    pub(crate) fn online_in(&self, guild: &super::Guild) -> Vec<UserId> {
        // Whichever is shorter is walked through; both orders end in that of the ids.
        if self.presences.len() < guild.members.len() {
            let online = self.presences.keys().filter(|user| guild.members.contains_key(user));
            return online.copied().collect();
        }
        let online = guild.members.keys().filter(|user| self.presences.contains_key(user));
        online.copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_activity_is_left_out() {
        let activity = |value: Value| value.as_object().cloned().unwrap();
        let given = vec![
            activity(json!({ "name": "chess", "type": 5 })),
            activity(json!({ "name": "go" })),
            activity(json!({ "type": 1 })),
        ];
        let presence = Presence::new(Status::Idle, given).begun(UnixMillis(7));
        let told: Vec<Value> = presence.activities.into_iter().map(Value::Object).collect();
        assert_eq!(
            told,
            [
                json!({ "name": "chess", "type": 5, "created_at": 7 }),
                json!({ "name": "go", "type": 0, "created_at": 7 }),
            ]
        );
    }

    #[test]
    fn nobody_sees_the_invisible() {
        let seen = Presence::new(Status::Invisible, Vec::new()).seen();
        assert_eq!(seen, Presence::default());
        assert!(Presence::online().seen().is_visible());
    }
}

//! What reading and changing a community's config takes, and how it is said to those who lack it.

use std::collections::BTreeSet;

use twilight_model::{
    guild::Permissions,
    id::{Id, marker::RoleMarker},
};

use ery_community_config::{Config, Layer, keys};

use super::{ACCESS, REPORTS};
use crate::domain::{
    commands::{
        choosing::Chosen,
        config::{ConfigDeed, Place},
        interaction::Interaction,
    },
    texts::{Language, right},
};

/// Any of these makes somebody a moderator, who may pause Ery. No channel's overwrites give them.
const MODERATES: Permissions =
    Permissions::MODERATE_MEMBERS.union(Permissions::KICK_MEMBERS).union(Permissions::BAN_MEMBERS);

/// What bounds Ery's acts: whoever could raise it could do more through her.
const HARD_LIMITS: [&str; 2] = ["tools.destructive_per_hour", "tools.acts_per_person_per_hour"];

/// What somebody must have to do something with the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Everybody may do it.
    Nothing,
    /// Discord's Manage server, or a role that is let change the config.
    Configuring,
    /// Discord's Manage server: no role is let do it.
    Managing,
    /// As for configuring, or a right or a role to moderate.
    Moderating,
    /// As for moderating, or the right to manage the channel's messages, which reaches no further.
    KeepingChannel,
}

impl Takes {
    pub(super) fn of(deed: &ConfigDeed) -> Self {
        match deed {
            // Of others, and of the server, those alone are told who configure.
            ConfigDeed::Status | ConfigDeed::Usage => Self::Nothing,
            ConfigDeed::Set { key, place, .. }
            | ConfigDeed::Offer { key, place }
            | ConfigDeed::Choose(Chosen { key, place, .. })
            | ConfigDeed::Reset { key, place } => Self::to_set(key, *place),
            // What was set before may be about access, too.
            ConfigDeed::Access { .. } | ConfigDeed::RollBack { .. } => Self::Managing,
            ConfigDeed::Pause { place: Place::Channel }
            | ConfigDeed::Resume { place: Place::Channel } => Self::KeepingChannel,
            ConfigDeed::Pause { .. } => Self::Moderating,
            ConfigDeed::Get { key: Some(key) } if is_for_members(key) => Self::Nothing,
            // What stops everything is not lifted by more than may set it for good.
            ConfigDeed::Resume { .. }
            | ConfigDeed::Get { .. }
            | ConfigDeed::History { .. }
            | ConfigDeed::Preset { .. }
            | ConfigDeed::OfferPresets
            | ConfigDeed::Consider { .. }
            | ConfigDeed::SetUp
            | ConfigDeed::ShowAccess => Self::Configuring,
        }
    }

    /// Returns what setting a key takes: nothing where somebody sets it for themselves.
    pub(super) fn to_set(key: &str, place: Place) -> Self {
        match place {
            Place::Me => Self::Nothing,
            Place::Server | Place::Channel if is_guarded(key) => Self::Managing,
            Place::Server | Place::Channel => Self::Configuring,
        }
    }

    pub(super) fn is_met(self, it: &Interaction, config: &Config) -> bool {
        let manages =
            it.permissions.intersects(Permissions::MANAGE_GUILD | Permissions::ADMINISTRATOR);
        let configures = manages || has_any(it, &config.access.config_admin);
        let moderates = configures
            || has_any(it, &config.access.moderator)
            || it.permissions.intersects(MODERATES);
        match self {
            Self::Nothing => true,
            Self::Configuring => configures,
            Self::Managing => manages,
            Self::Moderating => moderates,
            Self::KeepingChannel => {
                moderates || it.permissions.contains(Permissions::MANAGE_MESSAGES)
            }
        }
    }

    /// Says to whoever lacks it what it takes.
    pub(super) fn said(self, language: Language) -> String {
        let manage = right(language, "MANAGE_GUILD");
        let messages = right(language, "MANAGE_MESSAGES");
        let values = [("manage", (&manage).into())];
        match self {
            // Nobody lacks that.
            Self::Nothing => String::new(),
            Self::Configuring => language.say("ery-takes-configuring", &values),
            Self::Managing => language.say("ery-takes-managing", &values),
            Self::Moderating => language.say("ery-takes-moderating", &values),
            Self::KeepingChannel => {
                let values = [("manage", (&manage).into()), ("messages", (&messages).into())];
                language.say("ery-takes-keeping-channel", &values)
            }
        }
    }
}

/// Returns whether only those set it who may manage the server by Discord's own rights.
fn is_guarded(key: &str) -> bool {
    key.starts_with(ACCESS) || key == REPORTS || HARD_LIMITS.contains(&key)
}

/// Returns whether everybody may set a key for themselves, and so see what holds for them.
pub(super) fn is_for_members(key: &str) -> bool {
    keys().find(key).is_ok_and(|key| key.layers.contains(&Layer::User))
}

fn has_any(it: &Interaction, roles: &BTreeSet<Id<RoleMarker>>) -> bool {
    it.roles.iter().any(|role| roles.contains(role))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONFIGURES: u64 = 7;
    const MODERATOR: u64 = 8;

    fn config() -> Config {
        let mut config = Config::default();
        config.access.config_admin = [Id::new(CONFIGURES)].into();
        config.access.moderator = [Id::new(MODERATOR)].into();
        config
    }

    fn with(roles: &[u64], permissions: Permissions) -> Interaction {
        let roles: Vec<String> = roles.iter().map(u64::to_string).collect();
        let payload = json!({
            "id": "900", "application_id": "7", "type": 2, "token": "t", "guild_id": "1",
            "channel_id": "2", "data": {},
            "member": {
                "user": { "id": "5" }, "roles": roles, "permissions": permissions.bits().to_string(),
            },
        });
        Interaction::read(payload.to_string().as_bytes()).unwrap()
    }

    /// Returns what is said to somebody who may not do it.
    fn refused(deed: &ConfigDeed, it: &Interaction) -> Option<String> {
        let takes = Takes::of(deed);
        (!takes.is_met(it, &config())).then(|| takes.said(Language::English))
    }

    #[test]
    fn whoever_is_let_configure_is_told_that_some_of_it_takes_more() {
        let admin = with(&[CONFIGURES], Permissions::empty());
        let stranger = with(&[], Permissions::empty());
        let manager = with(&[], Permissions::MANAGE_GUILD);
        let set = |key: &str, place| ConfigDeed::Set {
            key: key.to_owned(),
            value: "x".to_owned(),
            place,
        };
        for deed in [
            ConfigDeed::RollBack { version: 1 },
            ConfigDeed::Access { capability: "moderator", role: Id::new(9), is_given: true },
            set(REPORTS, Place::Server),
            set("access.config_admin", Place::Server),
            set(HARD_LIMITS[0], Place::Server),
        ] {
            assert_eq!(refused(&deed, &manager), None, "{deed:?}");
            for it in [&admin, &stranger] {
                let said = refused(&deed, it).unwrap();
                assert_eq!(
                    said,
                    "That takes the right “Manage server” itself: no role is let do it."
                );
            }
        }
        let engage = set("gate.engage", Place::Channel);
        assert_eq!(refused(&engage, &admin), None);
        let said = refused(&engage, &stranger).unwrap();
        assert!(said.contains("or a role that is let change what I am set to"), "{said}");
        assert_eq!(refused(&set("gate.ignore_me", Place::Me), &stranger), None);
    }

    #[test]
    fn a_pause_is_for_those_who_moderate_and_in_a_channel_for_those_who_keep_it() {
        let stranger = with(&[], Permissions::empty());
        let keeper = with(&[], Permissions::MANAGE_MESSAGES);
        let moderators =
            [with(&[MODERATOR], Permissions::empty()), with(&[], Permissions::KICK_MEMBERS)];
        let (whole, here) = (Place::Server, Place::Channel);
        for place in [whole, here] {
            let pause = ConfigDeed::Pause { place };
            assert!(moderators.iter().all(|it| refused(&pause, it).is_none()));
            assert!(refused(&pause, &stranger).unwrap().contains("to moderate"));
        }
        assert_eq!(refused(&ConfigDeed::Pause { place: here }, &keeper), None);
        assert!(refused(&ConfigDeed::Pause { place: whole }, &keeper).is_some());
        let said = refused(&ConfigDeed::Pause { place: here }, &stranger).unwrap();
        assert!(said.contains("“Manage messages” in this channel"), "{said}");
        let said = refused(&ConfigDeed::Resume { place: whole }, &moderators[0]).unwrap();
        assert!(said.contains("change what I am set to"), "{said}");
    }
}

//! `/ery`: what a community is set to, as it is asked for.

use twilight_model::id::{Id, marker::RoleMarker};

use ery_community_config::keys;

use super::{choosing::Chosen, interaction::Invoked};

/// Where something is set, as people choose it.
pub(crate) const PLACES: [&str; 3] = ["server", "channel", "me"];

/// Where Ery is paused.
pub(crate) const PAUSED_PLACES: [&str; 2] = ["server", "channel"];

/// What roles can be let do, as the config names it.
pub(crate) const CAPABILITIES: [&str; 3] = ["moderator", "event_manager", "config_admin"];

/// The presets, as people choose them.
pub(crate) const PRESETS: [&str; 3] = ["quiet-helper", "strict-moderation", "busy-community"];

/// Where something is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Server,
    Channel,
    /// For whoever asks, in this server.
    Me,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigDeed {
    Get {
        key: Option<String>,
    },
    Set {
        key: String,
        value: String,
        place: Place,
    },
    /// To be shown what a key may be set to.
    Offer {
        key: String,
        place: Place,
    },
    Choose(Chosen),
    Reset {
        key: String,
        place: Place,
    },
    History {
        /// This one alone, whole.
        version: Option<u64>,
        /// The newest that is shown; none for all.
        until: Option<u64>,
    },
    RollBack {
        version: u64,
    },
    Preset {
        name: &'static str,
    },
    OfferPresets,
    /// To be shown what a preset would change.
    Consider {
        name: &'static str,
    },
    /// To be shown by what a server begins.
    SetUp,
    Status,
    Usage,
    Pause {
        place: Place,
    },
    Resume {
        place: Place,
    },
    ShowAccess,
    Access {
        capability: &'static str,
        role: Id<RoleMarker>,
        is_given: bool,
    },
}

impl ConfigDeed {
    /// Returns a word for metrics.
    pub(crate) fn as_word(&self) -> &'static str {
        match self {
            Self::Get { .. } => "config-get",
            Self::Set { .. } => "config-set",
            Self::Offer { .. } => "config-offer",
            Self::Choose(_) => "config-choose",
            Self::Reset { .. } => "config-reset",
            Self::History { .. } => "config-history",
            Self::RollBack { .. } => "config-rollback",
            Self::Preset { .. } => "config-preset",
            Self::OfferPresets | Self::Consider { .. } => "config-offer-preset",
            Self::SetUp => "setup",
            Self::Status => "status",
            Self::Usage => "usage",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::ShowAccess => "access-show",
            Self::Access { .. } => "access-set",
        }
    }
}

/// Reads which key is meant, and where.
pub(crate) fn key_and_place(invoked: &Invoked) -> Option<(String, Place)> {
    let key = key(invoked)?;
    Some((key, place(invoked)?))
}

fn key(invoked: &Invoked) -> Option<String> {
    let key = invoked.text("key").map(str::trim).filter(|key| !key.is_empty());
    key.map(|key| keys().plain_path(key).into_owned())
}

/// Returns where something is set: in the server unless something else is said.
pub(crate) fn place(invoked: &Invoked) -> Option<Place> {
    match invoked.text("where") {
        None | Some("server") => Some(Place::Server),
        Some("channel") => Some(Place::Channel),
        Some("me") => Some(Place::Me),
        Some(_) => None,
    }
}

/// Reads what stands behind `/ery`; none if something that it needs is missing.
pub(crate) fn read(path: &[&str], invoked: &Invoked) -> Option<ConfigDeed> {
    let place = || place(invoked);
    let one_of = |known: &[&'static str], name: &str| {
        let given = invoked.text(name)?;
        known.iter().copied().find(|known| *known == given)
    };
    Some(match path {
        ["config", "get"] => ConfigDeed::Get { key: key(invoked) },
        ["config", "set"] => {
            let (key, place) = key_and_place(invoked)?;
            match invoked.text("value") {
                Some(value) => ConfigDeed::Set { key, value: value.to_owned(), place },
                None => ConfigDeed::Offer { key, place },
            }
        }
        ["config", "reset"] => {
            let (key, place) = key_and_place(invoked)?;
            ConfigDeed::Reset { key, place }
        }
        ["config", "history"] => {
            let version = invoked.integer("version").map(u64::try_from).transpose().ok()?;
            ConfigDeed::History { version, until: None }
        }
        ["config", "rollback"] => {
            ConfigDeed::RollBack { version: u64::try_from(invoked.integer("version")?).ok()? }
        }
        ["config", "preset"] if invoked.text("name").is_none() => ConfigDeed::OfferPresets,
        ["config", "preset"] => ConfigDeed::Preset { name: one_of(&PRESETS, "name")? },
        ["setup"] => ConfigDeed::SetUp,
        ["status"] => ConfigDeed::Status,
        ["usage"] => ConfigDeed::Usage,
        ["pause"] => ConfigDeed::Pause { place: place()? },
        ["resume"] => ConfigDeed::Resume { place: place()? },
        ["access", "show"] => ConfigDeed::ShowAccess,
        ["access", does @ ("give" | "take")] => ConfigDeed::Access {
            capability: one_of(&CAPABILITIES, "what")?,
            role: invoked.role("role")?,
            is_given: *does == "give",
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::commands::interaction::Filled;

    fn with(options: &[(&str, Filled)]) -> Invoked {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Invoked { options: options.collect(), ..Invoked::default() }
    }

    fn text(text: &str) -> Filled {
        Filled::Text(text.to_owned())
    }

    #[test]
    fn what_is_set_has_a_key_a_value_and_a_place() {
        let given = with(&[("key", text(" gate.engage ")), ("value", text("off"))]);
        let set =
            |place| Some(ConfigDeed::Set { key: "gate.engage".into(), value: "off".into(), place });
        assert_eq!(read(&["config", "set"], &given), set(Place::Server));
        let mut here = given.clone();
        here.options.insert("where".into(), text("channel"));
        assert_eq!(read(&["config", "set"], &here), set(Place::Channel));
        here.options.insert("where".into(), text("moon"));
        assert_eq!(read(&["config", "set"], &here), None);
        let of_a_role = with(&[("key", text("gate.roles.<@&20> ")), ("value", text("off"))]);
        let key = match read(&["config", "set"], &of_a_role) {
            Some(ConfigDeed::Set { key, .. }) => key,
            other => panic!("{other:?}"),
        };
        assert_eq!(key, "gate.roles.20");
        let offered = ConfigDeed::Offer { key: "paused".into(), place: Place::Server };
        assert_eq!(read(&["config", "set"], &with(&[("key", text("paused"))])), Some(offered));
        assert_eq!(read(&["config", "set"], &with(&[("value", text("off"))])), None);
        assert_eq!(read(&["config", "get"], &with(&[])), Some(ConfigDeed::Get { key: None }));
    }

    #[test]
    fn versions_presets_and_capabilities_are_those_that_there_are() {
        let back =
            |number| read(&["config", "rollback"], &with(&[("version", Filled::Integer(number))]));
        assert_eq!(back(3), Some(ConfigDeed::RollBack { version: 3 }));
        assert_eq!(back(-1), None);
        let preset = |name: &str| read(&["config", "preset"], &with(&[("name", text(name))]));
        assert!(preset("quiet-helper").is_some() && preset("loud").is_none());
        assert_eq!(read(&["config", "preset"], &with(&[])), Some(ConfigDeed::OfferPresets));
        let role = ("role", Filled::Role(Id::new(7)));
        let give = with(&[("what", text("moderator")), role.clone()]);
        let given =
            ConfigDeed::Access { capability: "moderator", role: Id::new(7), is_given: true };
        assert_eq!(read(&["access", "give"], &give), Some(given));
        assert_eq!(read(&["access", "give"], &with(&[("what", text("owner")), role])), None);
        let names: Vec<_> =
            ery_community_config::PRESETS.iter().map(|preset| preset.name).collect();
        assert_eq!(names, PRESETS);
    }
}

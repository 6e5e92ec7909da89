//! What a server has, as far as ids in its config go: whether they name what they are to name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use ery_proto::tool::v1::DescribeGuildResponse;

use crate::{
    document::Subject,
    keys::{InvalidConfig, Keys, Named},
    layer::Layer,
};

/// The roles and channels of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// Without that of everyone.
    pub roles: BTreeSet<u64>,
    /// With threads, and whether messages are written in each.
    pub channels: BTreeMap<u64, bool>,
    /// Channels of which nobody can tell now whether they are there.
    pub untold: BTreeSet<u64>,
}

impl From<&DescribeGuildResponse> for Present {
    fn from(told: &DescribeGuildResponse) -> Self {
        Self {
            roles: told.roles.iter().map(|role| role.id).collect(),
            channels: told.channels.iter().map(|it| (it.id, it.holds_messages)).collect(),
            untold: told.untold_channel_ids.iter().copied().collect(),
        }
    }
}

impl Keys {
    /// Returns the ids that a change names: where it is made, in its key, and in its value.
    pub fn ids(&self, subject: Subject, path: &str, value: &Value) -> Vec<(Named, u64)> {
        let mut ids = Vec::new();
        if subject.layer == Layer::Channel {
            ids.push((Named::Channel, subject.id));
        }
        let Ok(key) = self.find(path) else { return ids };
        if key.is_of_a_role() {
            ids.extend(entry(path).map(|role| (Named::Role, role)));
        }
        if let Some(named) = key.names() {
            ids.extend(in_value(value).map(|id| (named, id)));
        }
        ids
    }

    /// Checks that all that a change names is there, and of a kind that fits; returns whether that could be
    /// told of everything.
    ///
    /// Only what is newly set is checked: what was set stands, whatever becomes of it in the server.
    ///
    /// # Errors
    ///
    /// Names the path and what it names.
    pub fn check_present(
        &self,
        subject: Subject,
        path: &str,
        value: &Value,
        present: &Present,
    ) -> Result<bool, InvalidConfig> {
        let of_subject = format!("channels.{}", subject.id);
        let mut is_told = true;
        for (index, (named, id)) in self.ids(subject, path, value).into_iter().enumerate() {
            let is_place = index == 0 && subject.layer == Layer::Channel;
            let path = if is_place { of_subject.as_str() } else { path }.to_owned();
            match (named, present.channels.get(&id)) {
                (Named::Role, _) if present.roles.contains(&id) => {}
                (Named::Role, _) => return Err(InvalidConfig::NoSuchRole { path, id }),
                (Named::Channel, Some(true)) => {}
                // What is set for a forum holds in its posts.
                (Named::Channel, Some(false)) if is_place => {}
                (Named::Channel, Some(false)) => {
                    return Err(InvalidConfig::HoldsNoMessages { path, id });
                }
                (Named::Channel, None) if present.untold.contains(&id) => is_told = false,
                (Named::Channel, None) => return Err(InvalidConfig::NoSuchChannel { path, id }),
            }
        }
        Ok(is_told)
    }
}

impl Present {
    /// Returns whether something is known not to be there any more.
    pub fn lacks(&self, named: Named, id: u64) -> bool {
        match named {
            Named::Role => !self.roles.contains(&id),
            Named::Channel => !self.channels.contains_key(&id) && !self.untold.contains(&id),
        }
    }
}

fn entry(path: &str) -> Option<u64> {
    path.rsplit('.').next()?.parse().ok()
}

fn in_value(value: &Value) -> impl Iterator<Item = u64> + '_ {
    let one = value.as_str().into_iter();
    let many = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    one.chain(many).filter_map(|id| id.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::keys::keys;

    const ROLE: u64 = 7;
    const CHANNEL: u64 = 9;
    const FORUM: u64 = 10;
    const UNTOLD: u64 = 11;
    const USER: u64 = 42;

    fn present() -> Present {
        Present {
            roles: [ROLE].into(),
            channels: [(CHANNEL, true), (FORUM, false)].into(),
            untold: [UNTOLD].into(),
        }
    }

    fn checked(subject: Subject, path: &str, value: &Value) -> Result<bool, String> {
        let checked = keys().check_present(subject, path, value, &present());
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_named_must_be_there_and_of_its_kind() {
        let reports = |id: u64| {
            checked(Subject::SERVER, "moderation.reports_channel", &json!(id.to_string()))
        };
        assert_eq!(reports(CHANNEL), Ok(true));
        assert_eq!(reports(UNTOLD), Ok(false));
        let none = "`moderation.reports_channel` is 42, but must be a channel of this server, which \
                    has none of that id that Ery can see";
        assert_eq!(reports(USER), Err(none.to_owned()));
        assert!(reports(ROLE).unwrap_err().contains("must be a channel"));
        let forum = "`moderation.reports_channel` is 10, but must be a channel in which messages are \
                     written, not a category or a forum";
        assert_eq!(reports(FORUM), Err(forum.to_owned()));

        let access = |ids: &[u64]| {
            let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
            checked(Subject::SERVER, "access.moderator", &json!(ids))
        };
        assert_eq!(access(&[ROLE]), Ok(true));
        let none = "`access.moderator` is 42, but must be a role of this server, which has none of \
                    that id";
        assert_eq!(access(&[ROLE, USER]), Err(none.to_owned()));
        assert!(access(&[CHANNEL]).is_err());
    }

    #[test]
    fn where_something_is_set_and_of_which_role_must_be_there_too() {
        let off = json!("off");
        let at = |channel| checked(Subject::channel(channel), "gate.engage", &off);
        assert_eq!((at(CHANNEL), at(FORUM), at(UNTOLD)), (Ok(true), Ok(true), Ok(false)));
        assert!(at(USER).unwrap_err().starts_with("`channels.42` is 42, but must be a channel"));
        assert_eq!(checked(Subject::SERVER, "gate.roles.7", &off), Ok(true));
        assert!(checked(Subject::SERVER, "gate.roles.42", &off).is_err());
        assert_eq!(checked(Subject::user(USER), "answers.language", &json!("de")), Ok(true));
        assert_eq!(checked(Subject::SERVER, "gate.engage", &off), Ok(true));
    }

    #[test]
    fn what_is_gone_is_known_to_be() {
        let present = present();
        assert!(present.lacks(Named::Role, USER) && !present.lacks(Named::Role, ROLE));
        assert!(present.lacks(Named::Channel, ROLE) && !present.lacks(Named::Channel, FORUM));
        assert!(!present.lacks(Named::Channel, UNTOLD));
    }
}

//! What is set by choosing from menus, which carry all that is needed to do it.

use serde_json::Value;

use ery_community_config::{InvalidConfig, Key};

use super::{OURS, config::Place, reply::MAX_CHOICES};

/// Which menus stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panel {
    /// That of one key.
    One,
    /// Those of `/ery access`.
    Access,
    /// Those by which a server begins.
    SetUp,
}

impl Panel {
    const ALL: [(Self, char); 3] = [(Self::One, 'o'), (Self::Access, 'a'), (Self::SetUp, 'u')];
}

/// What was chosen for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) panel: Panel,
    pub(crate) place: Place,
    /// What was set when the menu was shown, by [`mark`].
    pub(crate) seen: u64,
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

/// What is chosen to have something set no longer.
pub(crate) const NOTHING: &str = "_";

/// Returns whether what a key may be is chosen from a menu.
pub(crate) fn is_chosen(key: &Key) -> bool {
    let words = key.words().len();
    key.names().is_some() || (1..MAX_CHOICES).contains(&words)
}

/// Returns the id of a menu.
pub(crate) fn menu(panel: Panel, place: Place, key: &str, set: Option<&Value>) -> String {
    let panel = Panel::ALL.iter().find(|(known, _)| *known == panel).map_or('o', |(_, it)| *it);
    format!("{OURS}set.{panel}{}.{:x}.{key}", place.letter(), mark(set))
}

/// Returns by what it is noticed that something else is set than when a menu was shown.
pub(crate) fn mark(set: Option<&Value>) -> u64 {
    // FNV-1a: the same in every version of Ery that may show a menu or read it.
    let text = set.map(Value::to_string).unwrap_or_default();
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |mark, byte| {
        (mark ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

impl Chosen {
    /// Reads what stands behind `ery.set.` in a menu's id, with what was chosen.
    pub(crate) fn read(rest: &str, values: &[String]) -> Option<Self> {
        let (where_to, rest) = rest.split_once('.')?;
        let (seen, key) = rest.split_once('.')?;
        let mut letters = where_to.chars();
        let (panel, place) = (letters.next()?, Place::of_letter(letters.next()?)?);
        let panel = Panel::ALL.iter().find(|(_, known)| *known == panel)?.0;
        if letters.next().is_some() || key.is_empty() {
            return None;
        }
        let seen = u64::from_str_radix(seen, 16).ok()?;
        Some(Self { panel, place, seen, key: key.to_owned(), values: values.to_vec() })
    }

    /// Returns what is to be set; none for nothing.
    ///
    /// # Errors
    ///
    /// Names the path, the value and the bound.
    pub(crate) fn value(&self, key: &Key) -> Result<Option<Value>, InvalidConfig> {
        match self.values.as_slice() {
            [] => Ok(None),
            [nothing] if nothing == NOTHING => Ok(None),
            values => key.parse(&self.key, &values.join(",")).map(Some),
        }
    }
}

impl Place {
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Server => 's',
            Self::Channel => 'c',
            Self::Me => 'm',
        }
    }

    pub(crate) fn of_letter(letter: char) -> Option<Self> {
        [Self::Server, Self::Channel, Self::Me].into_iter().find(|it| it.letter() == letter)
    }
}

#[cfg(test)]
mod tests {
    use ery_community_config::keys;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_menu_reads_back_and_notices_what_was_set_meanwhile() {
        let set = json!(["7"]);
        let id = menu(Panel::Access, Place::Server, "access.config_admin", Some(&set));
        let values = ["7".to_owned(), "8".to_owned()];
        let chosen = Chosen::read(id.strip_prefix("ery.set.").unwrap(), &values).unwrap();
        assert_eq!((chosen.panel, chosen.place), (Panel::Access, Place::Server));
        assert_eq!(chosen.seen, mark(Some(&set)));
        assert_ne!(chosen.seen, mark(None));
        let key = keys().find(&chosen.key).unwrap();
        assert_eq!(chosen.value(key).unwrap(), Some(json!(["7", "8"])));
        for other in
            ["", "os", "os.1", "os.1.", "xs.1.paused", "ox.1.paused", "oss.1.paused", "os.g.paused"]
        {
            assert_eq!(Chosen::read(other, &values), None, "{other}");
        }
    }

    #[test]
    fn every_menu_has_an_id_that_discord_takes() {
        for key in keys().all().filter(|key| is_chosen(key)) {
            let longest = key.path.replace('*', &u64::MAX.to_string());
            let id = menu(Panel::One, Place::Me, &longest, Some(&json!("x".repeat(2_000))));
            assert!(id.len() <= 100, "{id}");
        }
        let is_one = |path: &str| is_chosen(keys().find(path).unwrap());
        assert!(is_one("gate.engage") && is_one("paused") && is_one("access.moderator"));
        assert!(is_one("moderation.reports_channel") && is_one("tools.policy.ban_member"));
        assert!(!is_one("context.messages") && !is_one("answers.instructions"));
    }

    #[test]
    fn nothing_chosen_is_nothing_set_and_what_is_no_value_is_refused() {
        let of = |values: &[&str], key: &str| {
            let values = values.iter().map(|it| (*it).to_owned()).collect();
            let (panel, place) = (Panel::One, Place::Server);
            Chosen { panel, place, seen: 0, key: key.to_owned(), values }
                .value(keys().find(key).unwrap())
        };
        assert_eq!(of(&[], "access.moderator").unwrap(), None);
        assert_eq!(of(&[NOTHING], "gate.engage").unwrap(), None);
        assert_eq!(of(&["true"], "paused").unwrap(), Some(json!(true)));
        assert!(of(&["loud"], "gate.engage").is_err());
        assert!(of(&["1", "2"], "moderation.reports_channel").is_err());
    }
}

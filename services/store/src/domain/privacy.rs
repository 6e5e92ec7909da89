//! Who is to be forgotten, how far, and who is not learnt from.

use twilight_model::id::{
    Id,
    marker::{GuildMarker, UserMarker},
};

use ery_clock::UnixMillis;

/// A person's data: in one guild, or everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) user: Id<UserMarker>,
    /// None: every guild, and the direct messages.
    pub(crate) guild: Option<Id<GuildMarker>>,
}

/// The keyed hash of a person's id: nobody finds the person from it without the key.
pub(crate) type UserHash = [u8; 32];

/// How a deletion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeletionState {
    /// Written down, and being carried out.
    Requested,
    /// Nothing is left in any shard; what is queued may not have aged out.
    Erased,
    /// Nothing is left but in backups, from which it does not come back.
    Confirmed,
}

/// An entry of the ledger of deletions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    pub(crate) id: String,
    /// Which key its hash was made under.
    pub(crate) key_id: String,
    pub(crate) user_hash: UserHash,
    pub(crate) guild: Option<Id<GuildMarker>>,
    /// What has an id up to this one is forgotten.
    pub(crate) before: u64,
    /// What came about until then is forgotten.
    pub(crate) requested_at: UnixMillis,
    /// None once it is confirmed.
    pub(crate) user: Option<Id<UserMarker>>,
    pub(crate) erased_at: Option<UnixMillis>,
    pub(crate) confirmed_by: Option<UnixMillis>,
    pub(crate) confirmed_at: Option<UnixMillis>,
}

impl Deletion {
    pub(crate) fn state(&self) -> DeletionState {
        match (self.erased_at, self.confirmed_at) {
            (_, Some(_)) => DeletionState::Confirmed,
            (Some(_), None) => DeletionState::Erased,
            (None, None) => DeletionState::Requested,
        }
    }

    /// Returns whether it is about what is in a guild; none is a direct message.
    pub(crate) fn covers(&self, guild: Option<Id<GuildMarker>>) -> bool {
        self.guild.is_none() || self.guild == guild
    }
}

/// A person as a shard's rows are searched for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forgotten {
    /// The deletion's id.
    pub(crate) deletion: String,
    pub(crate) person: Person,
    pub(crate) before: u64,
    pub(crate) until: UnixMillis,
    /// What stands for the person where a row must name somebody: the same in all of the store.
    pub(crate) pseudonym: String,
}

/// How every pseudonym begins.
pub(crate) const PSEUDONYM: &str = "forgotten-";

/// Whether something may be learnt from a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OptOut {
    /// Since when not in the guild that is asked for.
    pub(crate) here: Option<UnixMillis>,
    /// Since when not anywhere.
    pub(crate) everywhere: Option<UnixMillis>,
}

impl OptOut {
    /// Returns since when what counts is so: what is said for everywhere overrides.
    pub(crate) fn since(self) -> Option<UnixMillis> {
        self.everywhere.or(self.here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_covers_its_guild_or_everything() {
        let everything = Deletion {
            id: "d".to_owned(),
            key_id: "k".to_owned(),
            user_hash: [0; 32],
            guild: None,
            before: 5,
            requested_at: UnixMillis(1),
            user: None,
            erased_at: None,
            confirmed_by: None,
            confirmed_at: None,
        };
        let one = Deletion { guild: Some(Id::new(7)), ..everything.clone() };
        for (guild, is_ones) in [(Some(Id::new(7)), true), (Some(Id::new(8)), false), (None, false)]
        {
            assert!(everything.covers(guild));
            assert_eq!(one.covers(guild), is_ones);
        }
        assert_eq!(everything.state(), DeletionState::Requested);
        let erased = Deletion { erased_at: Some(UnixMillis(2)), ..everything };
        assert_eq!(erased.state(), DeletionState::Erased);
        let confirmed = Deletion { confirmed_at: Some(UnixMillis(3)), ..erased };
        assert_eq!(confirmed.state(), DeletionState::Confirmed);
    }

    #[test]
    fn a_persons_word_for_everywhere_overrides_one_guilds() {
        let (early, late) = (Some(UnixMillis(1)), Some(UnixMillis(2)));
        for (here, everywhere, since) in
            [(None, None, None), (early, None, early), (None, late, late), (early, late, late)]
        {
            assert_eq!(OptOut { here, everywhere }.since(), since);
        }
    }
}

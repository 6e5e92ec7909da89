use std::collections::HashMap;

use twilight_model::id::{
    Id,
    marker::{RoleMarker, UserMarker},
};

/// What a person may do in a channel, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rights {
    Member,
    Moderator,
    Administrator,
    Owner,
    Bot,
    Ery,
    /// No member of the guild.
    Stranger,
    /// Nobody's, whoever had it planned: of a prompt whose time has come.
    Planned,
}

impl Rights {
    /// Reads the word of the tool-service; an unknown one gives no right.
    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "member" => Self::Member,
            "moderator" => Self::Moderator,
            "administrator" => Self::Administrator,
            "owner" => Self::Owner,
            "bot" => Self::Bot,
            "ery" => Self::Ery,
            "planned" => Self::Planned,
            _ => Self::Stranger,
        }
    }

    /// Returns the word that the model reads.
    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Administrator => "administrator",
            Self::Owner => "owner",
            Self::Bot => "bot",
            Self::Ery => "ery",
            Self::Stranger => "stranger",
            Self::Planned => "planned",
        }
    }

    /// Returns whether a person has any right to moderate.
    pub(crate) fn can_moderate(self) -> bool {
        match self {
            Self::Moderator | Self::Administrator | Self::Owner => true,
            Self::Member | Self::Bot | Self::Ery | Self::Stranger | Self::Planned => false,
        }
    }
}

/// A person as the tool-service describes them in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) rights: Rights,
    pub(crate) roles: Vec<Id<RoleMarker>>,
    /// Whether they see the channel and may read what was said there before.
    pub(crate) reads_history: bool,
}

/// The people of a channel that are known so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct People(HashMap<Id<UserMarker>, Person>);

impl People {
    pub(crate) fn insert(&mut self, user: Id<UserMarker>, person: Person) {
        self.0.insert(user, person);
    }

    pub(crate) fn get(&self, user: Id<UserMarker>) -> Option<&Person> {
        self.0.get(&user)
    }

    /// Returns what a person may do, none if they are not known.
    pub(crate) fn rights(&self, user: Id<UserMarker>) -> Option<Rights> {
        self.0.get(&user).map(|person| person.rights)
    }

    /// Returns whether each of `users` may read what was said in the channel before. Whoever is not
    /// known may not.
    pub(crate) fn all_read_history(&self, users: &[Id<UserMarker>]) -> bool {
        users.iter().all(|user| self.0.get(user).is_some_and(|person| person.reads_history))
    }

    /// Returns those of `users` that are not known, each once.
    pub(crate) fn unknown(
        &self,
        users: impl IntoIterator<Item = Id<UserMarker>>,
    ) -> Vec<Id<UserMarker>> {
        let mut unknown: Vec<_> =
            users.into_iter().filter(|user| !self.0.contains_key(user)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_an_unknown_one_gives_no_right() {
        for rights in [
            Rights::Member,
            Rights::Moderator,
            Rights::Administrator,
            Rights::Owner,
            Rights::Bot,
            Rights::Ery,
            Rights::Stranger,
            Rights::Planned,
        ] {
            assert_eq!(Rights::from_word(rights.as_word()), rights);
        }
        assert!(!Rights::from_word("superuser").can_moderate());
        assert!(Rights::Moderator.can_moderate());
        assert!(Rights::Administrator.can_moderate());
        assert!(Rights::Owner.can_moderate());
        assert!(!Rights::Ery.can_moderate());
    }

    fn person(reads_history: bool) -> Person {
        Person { name: "a".into(), rights: Rights::Member, roles: Vec::new(), reads_history }
    }

    #[test]
    fn history_is_for_those_who_are_all_known_to_read_it() {
        let mut people = People::default();
        people.insert(Id::new(1), person(true));
        people.insert(Id::new(2), person(true));
        people.insert(Id::new(3), person(false));
        assert!(people.all_read_history(&[Id::new(1), Id::new(2)]));
        assert!(!people.all_read_history(&[Id::new(1), Id::new(3)]));
        assert!(!people.all_read_history(&[Id::new(1), Id::new(4)]));
    }

    #[test]
    fn only_people_who_are_not_known_are_asked_for() {
        let mut people = People::default();
        people.insert(Id::new(1), person(true));
        let asked = people.unknown([Id::new(2), Id::new(1), Id::new(2)]);
        assert_eq!(asked, [Id::new(2)]);
        people.clear();
        assert_eq!(people.rights(Id::new(1)), None);
    }
}

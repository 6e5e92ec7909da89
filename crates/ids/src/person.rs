use serde::{Deserialize, Serialize};
use twilight_model::id::{
    Id,
    marker::{GuildMarker, UserMarker},
};

use crate::Home;

/// A person who is to be forgotten: in one guild, or everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ForgottenPerson {
    pub user: Id<UserMarker>,
    /// None: in every guild, and in direct messages.
    pub guild: Option<Id<GuildMarker>>,
}

impl ForgottenPerson {
    /// Returns whether what is at home there is to be looked through.
    pub fn is_sought_in(&self, home: Home) -> bool {
        self.guild.is_none() || self.guild == home.guild()
    }

    /// Returns how the person's id stands in what Discord sends: a string of JSON.
    ///
    /// Source: Discord Docs, Reference, Snowflakes: ids are strings in all of the API.
    pub fn as_discord_has_it(&self) -> String {
        format!("\"{}\"", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_sought_in_one_guild_or_everywhere() {
        let everywhere = ForgottenPerson { user: Id::new(5), guild: None };
        let here = ForgottenPerson { user: Id::new(5), guild: Some(Id::new(7)) };
        for (home, is_here) in [
            (Home::Guild(Id::new(7)), true),
            (Home::Guild(Id::new(8)), false),
            (Home::Dm(Id::new(7)), false),
        ] {
            assert!(everywhere.is_sought_in(home));
            assert_eq!(here.is_sought_in(home), is_here);
        }
        assert_eq!(here.as_discord_has_it(), "\"5\"");
    }
}

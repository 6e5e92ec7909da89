//! How often people may ask for what costs others something: the staff's attention, a search.
//!
//! A guild's interactions are handled by one replica at a time, which counts them in its memory.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use twilight_model::id::{
    Id,
    marker::{GuildMarker, UserMarker},
};

use ery_clock::UnixMillis;

use crate::domain::allowance::{Allowance, Allowances};

/// Of one person's reports to one server's staff: some at once, since a raid has several messages.
const OF_PERSON: Allowance = Allowance { at_once: 3, every: Duration::from_mins(5) };

/// Of all reports to one server's staff: as many as people can read.
const OF_SERVER: Allowance = Allowance { at_once: 20, every: Duration::from_mins(1) };

/// Of one person's questions why.
const WHY: Allowance = Allowance { at_once: 5, every: Duration::from_secs(10) };

/// How many people and servers are remembered.
const MOST: usize = 10_000;

/// Which bound a report has reached, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    OfPerson(Duration),
    OfServer(Duration),
}

/// What is left to whom.
#[derive(Debug)]
pub(crate) struct Quotas {
    reports_of_people: Mutex<Allowances<(Id<GuildMarker>, Id<UserMarker>)>>,
    reports_of_servers: Mutex<Allowances<Id<GuildMarker>>>,
    whys: Mutex<Allowances<Id<UserMarker>>>,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            reports_of_people: Mutex::new(Allowances::new(OF_PERSON, MOST)),
            reports_of_servers: Mutex::new(Allowances::new(OF_SERVER, MOST)),
            whys: Mutex::new(Allowances::new(WHY, MOST)),
        }
    }
}

impl Quotas {
    /// Lets a person report something to a server's staff. A repeat of the interaction counts once.
    pub(crate) fn report(
        &self,
        guild: Id<GuildMarker>,
        person: Id<UserMarker>,
        interaction: u64,
        now: UnixMillis,
    ) -> Result<(), Limit> {
        let mut people = self.reports_of_people.lock().unwrap_or_else(PoisonError::into_inner);
        people.take((guild, person), interaction, now).map_err(Limit::OfPerson)?;
        let mut servers = self.reports_of_servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.take(guild, interaction, now).map_err(Limit::OfServer)
    }

    /// Lets a person ask why. A repeat of the interaction counts once.
    pub(crate) fn ask_why(
        &self,
        person: Id<UserMarker>,
        interaction: u64,
        now: UnixMillis,
    ) -> Result<(), Duration> {
        let mut whys = self.whys.lock().unwrap_or_else(PoisonError::into_inner);
        whys.take(person, interaction, now)
    }
}

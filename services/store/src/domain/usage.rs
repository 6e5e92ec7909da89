//! What model turns cost, and the windows in which it is summed up.

use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The largest count that is believed: no provider comes near, and sums of it do not overflow.
const MOST: u64 = 1 << 40;

/// What one request to a model cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) provider: String,
    pub(crate) model: String,
    /// On a key of the guild's own: the installation spends nothing.
    pub(crate) is_on_guild_key: bool,
    pub(crate) counts: Counts,
}

/// What was spent, as it is summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) turns: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) cached_tokens: u64,
    pub(crate) completion_tokens: u64,
    pub(crate) cost_micros: u64,
    pub(crate) assumed_micros: u64,
    pub(crate) turns_in_vain: u64,
    pub(crate) estimated_turns: u64,
    pub(crate) lost_turns: u64,
    pub(crate) summary_turns: u64,
    pub(crate) summary_tokens: u64,
    pub(crate) summary_micros: u64,
    /// Part of `cost_micros`: on keys of the guild's own.
    pub(crate) on_guild_key_micros: u64,
}

/// What a step of a journal tells of having been spent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bill {
    pub(crate) spent: Vec<Spent>,
    /// For whom; they share it. Nobody: it is kept without a person.
    pub(crate) spenders: Vec<Id<UserMarker>>,
    pub(crate) lost_turns: u32,
}

/// A sum that budgets go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) tokens: u64,
    pub(crate) cost_micros: u64,
}

/// What was spent in the two windows that are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InWindows {
    pub(crate) day: Sum,
    pub(crate) month: Sum,
}

/// Which windows are open at a moment, by the days of UTC on which they began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) day: i64,
    pub(crate) month: i64,
}

/// What was spent in a home, a channel and for some of its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spending {
    pub(crate) windows: Windows,
    pub(crate) home: InWindows,
    pub(crate) channel: InWindows,
    pub(crate) members: Vec<(Id<UserMarker>, InWindows)>,
}

impl Bill {
    pub(crate) fn is_empty(&self) -> bool {
        self.spent.is_empty() && self.lost_turns == 0
    }
}

impl Counts {
    /// Cuts counts that no provider comes near.
    #[must_use]
    pub(crate) fn bounded(mut self) -> Self {
        for count in self.each_mut() {
            *count = (*count).min(MOST);
        }
        self
    }

    /// Says that it was spent on a summary.
    #[must_use]
    pub(crate) fn on_summary(self) -> Self {
        let Sum { tokens, cost_micros } = self.sum();
        Self {
            summary_turns: self.turns,
            summary_tokens: tokens,
            summary_micros: cost_micros,
            ..self
        }
    }

    /// Returns what each of `people` shares: equal parts, of which the first takes the rest.
    pub(crate) fn shares(self, people: usize) -> Vec<Self> {
        let people = u64::try_from(people.max(1)).unwrap_or(u64::MAX);
        let mut each = self;
        for count in each.each_mut() {
            *count /= people;
        }
        let mut first = self;
        for (count, part) in first.each_mut().into_iter().zip(each.each()) {
            *count -= part * (people - 1);
        }
        let others = (1..people).map(|_| each);
        std::iter::once(first).chain(others).collect()
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (count, more) in self.each_mut().into_iter().zip(other.each()) {
            *count = count.saturating_add(more);
        }
    }

    /// Returns what budgets go by.
    pub(crate) fn sum(self) -> Sum {
        let tokens = self.prompt_tokens.saturating_add(self.completion_tokens);
        Sum { tokens, cost_micros: self.cost_micros }
    }

    /// Returns every count, in the order of the columns.
    pub(crate) fn each(self) -> [u64; 13] {
        let mut copy = self;
        copy.each_mut().map(|count| *count)
    }

    pub(crate) fn each_mut(&mut self) -> [&mut u64; 13] {
        [
            &mut self.turns,
            &mut self.prompt_tokens,
            &mut self.cached_tokens,
            &mut self.completion_tokens,
            &mut self.cost_micros,
            &mut self.assumed_micros,
            &mut self.turns_in_vain,
            &mut self.estimated_turns,
            &mut self.lost_turns,
            &mut self.summary_turns,
            &mut self.summary_tokens,
            &mut self.summary_micros,
            &mut self.on_guild_key_micros,
        ]
    }
}

impl Windows {
    /// Returns the windows that are open at a moment.
    pub(crate) fn at(at: UnixMillis) -> Self {
        let day = at.0.div_euclid(DAY_MS);
        Self { day, month: day - day_of_month(day) }
    }

    /// Returns when they began.
    pub(crate) fn began(self) -> (UnixMillis, UnixMillis) {
        (UnixMillis(self.day * DAY_MS), UnixMillis(self.month * DAY_MS))
    }

    /// Returns when they end.
    pub(crate) fn end(self) -> (UnixMillis, UnixMillis) {
        // No month has as many days, and the next one has more than that are left.
        let in_next = self.month + 32;
        let next = in_next - day_of_month(in_next);
        (UnixMillis((self.day + 1) * DAY_MS), UnixMillis(next * DAY_MS))
    }
}

/// Returns on which day of its month a day lies, from 0.
///
/// Source: Howard Hinnant, `chrono`-Compatible Low-Level Date Algorithms, `civil_from_days`: years
/// begin in March, so that a leap day ends one.
fn day_of_month(day: i64) -> i64 {
    let since_march_0000 = day + 719_468;
    let day_of_era = since_march_0000.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    day_of_year - (153 * month + 2) / 5
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn windows_are_days_and_months_of_utc() {
        let at = |date: time::Date| {
            let at = date.with_hms(23, 59, 59).unwrap().assume_utc();
            Windows::at(UnixMillis(at.unix_timestamp() * 1_000))
        };
        let mut date = time::Date::from_calendar_date(1968, time::Month::January, 1).unwrap();
        let epoch = time::Date::from_calendar_date(1970, time::Month::January, 1).unwrap();
        while date.year() < 2105 {
            let day = (date - epoch).whole_days();
            let month = (date.replace_day(1).unwrap() - epoch).whole_days();
            assert_eq!(at(date), Windows { day, month }, "{date}");
            let next = date.next_day().unwrap();
            let (day_end, month_end) = at(date).end();
            assert_eq!(Windows::at(day_end).day, day + 1);
            assert_eq!(Windows::at(UnixMillis(month_end.0 - 1)).month, month, "{date}");
            assert_eq!(Windows::at(month_end).month * DAY_MS, month_end.0, "{date}");
            date = next;
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_in_sharing(counts in prop::array::uniform13(0_u64..u64::MAX), people in 1_usize..50) {
            let mut whole = Counts::default();
            for (count, value) in whole.each_mut().into_iter().zip(counts) {
                *count = value;
            }
            let whole = whole.bounded();
            let shares = whole.shares(people);
            prop_assert_eq!(shares.len(), people);
            let mut sum = Counts::default();
            for share in shares {
                sum.add(share);
            }
            prop_assert_eq!(sum, whole);
        }
    }
}

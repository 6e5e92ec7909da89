use std::time::Duration;

use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;

/// How many members' exchanges and answers are remembered with a channel; the oldest go.
const REMEMBERED: usize = 64;

/// How many bots and webhooks are answered in a row, and after how long a pause they are answered anew.
const BOTS_IN_A_ROW: u32 = 10;
const BOTS_PAUSE: Duration = Duration::from_mins(10);

/// What the gate knows of a channel beyond the message itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelState {
    /// Members whom Ery just answered, and until when they need not address her.
    pub(crate) exchanges: Vec<(Id<UserMarker>, UnixMillis)>,
    /// When members were last answered.
    pub(crate) last_answers: Vec<(Id<UserMarker>, UnixMillis)>,
    /// How many bots and webhooks were answered since a person was, and when the last one.
    pub(crate) answers_to_bots: Option<(u32, UnixMillis)>,
}

impl ChannelState {
    /// Returns whether `user` need not address Ery.
    pub(crate) fn is_in_exchange(&self, user: Id<UserMarker>, now: UnixMillis) -> bool {
        self.exchanges.iter().any(|(other, until)| *other == user && now < *until)
    }

    /// Returns when `user` was last answered.
    pub(crate) fn last_answer(&self, user: Id<UserMarker>) -> Option<UnixMillis> {
        self.last_answers.iter().rev().find(|(other, _)| *other == user).map(|(_, at)| *at)
    }

    /// Returns when anybody was last answered.
    pub(crate) fn last_answer_to_anybody(&self) -> Option<UnixMillis> {
        self.last_answers.iter().map(|(_, at)| *at).max()
    }

    /// Returns whether bots have been answered so often that they may be answering Ery.
    pub(crate) fn is_looping(&self, now: UnixMillis) -> bool {
        self.answers_to_bots
            .is_some_and(|(count, at)| count >= BOTS_IN_A_ROW && now < at + BOTS_PAUSE)
    }

    /// Notes whether it was bots alone that were answered.
    pub(crate) fn answered_bots(&mut self, are_bots: bool, now: UnixMillis) {
        let before = self.answers_to_bots.filter(|(_, at)| now < *at + BOTS_PAUSE);
        let count = before.map_or(0, |(count, _)| count).saturating_add(1);
        self.answers_to_bots = are_bots.then_some((count, now));
    }

    /// Notes that `users` were answered, and opens an exchange with each.
    pub(crate) fn answered(&mut self, users: &[Id<UserMarker>], now: UnixMillis, window: Duration) {
        self.left_silent(users);
        self.last_answers.retain(|(user, _)| !users.contains(user));
        if !window.is_zero() {
            self.exchanges.extend(users.iter().map(|user| (*user, now + window)));
        }
        self.last_answers.extend(users.iter().map(|user| (*user, now)));
    }

    /// Ends the exchanges with `users`: Ery had nothing to say to them.
    pub(crate) fn left_silent(&mut self, users: &[Id<UserMarker>]) {
        self.exchanges.retain(|(user, _)| !users.contains(user));
    }

    /// Forgets what no longer matters, so that the state stays small.
    pub(crate) fn prune(&mut self, now: UnixMillis, cooldown: Duration) {
        self.exchanges.retain(|(_, until)| now < *until);
        self.last_answers.retain(|(_, at)| now < *at + cooldown);
        self.answers_to_bots = self.answers_to_bots.filter(|(_, at)| now < *at + BOTS_PAUSE);
        keep_newest(&mut self.exchanges);
        keep_newest(&mut self.last_answers);
    }

    /// Returns until when some exchange is open.
    pub(crate) fn active_until(&self) -> Option<UnixMillis> {
        self.exchanges.iter().map(|(_, until)| *until).max()
    }
}

fn keep_newest<T>(list: &mut Vec<T>) {
    let surplus = list.len().saturating_sub(REMEMBERED);
    list.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Id<UserMarker> = Id::new(1);
    const BEN: Id<UserMarker> = Id::new(2);
    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn an_answer_opens_an_exchange_that_ends() {
        let mut state = ChannelState::default();
        state.answered(&[ANN], UnixMillis(0), MINUTE);
        assert!(state.is_in_exchange(ANN, UnixMillis(59_999)));
        assert!(!state.is_in_exchange(ANN, UnixMillis(60_000)));
        assert!(!state.is_in_exchange(BEN, UnixMillis(0)));
        assert_eq!(state.last_answer(ANN), Some(UnixMillis(0)));
        assert_eq!(state.active_until(), Some(UnixMillis(60_000)));
    }

    #[test]
    fn a_second_answer_replaces_the_first() {
        let mut state = ChannelState::default();
        state.answered(&[ANN], UnixMillis(0), MINUTE);
        state.answered(&[ANN], UnixMillis(5), MINUTE);
        assert_eq!(state.exchanges.len(), 1);
        assert_eq!(state.last_answers, [(ANN, UnixMillis(5))]);
    }

    #[test]
    fn silence_ends_the_exchange_alone() {
        let mut state = ChannelState::default();
        state.answered(&[ANN, BEN], UnixMillis(0), MINUTE);
        state.left_silent(&[ANN]);
        assert!(!state.is_in_exchange(ANN, UnixMillis(1)));
        assert!(state.is_in_exchange(BEN, UnixMillis(1)));
        assert_eq!(state.last_answer(ANN), Some(UnixMillis(0)));
    }

    #[test]
    fn bots_are_answered_so_often_in_a_row_and_anew_after_a_pause_or_a_person() {
        let mut state = ChannelState::default();
        let answer_bots = |state: &mut ChannelState| {
            for at in 0..i64::from(BOTS_IN_A_ROW) {
                assert!(!state.is_looping(UnixMillis(at)));
                state.answered_bots(true, UnixMillis(at));
            }
        };
        answer_bots(&mut state);
        assert!(state.is_looping(UnixMillis(10)));
        assert!(!state.is_looping(UnixMillis(9) + BOTS_PAUSE));
        state.prune(UnixMillis(10), Duration::ZERO);
        assert!(state.is_looping(UnixMillis(10)));
        state.answered_bots(false, UnixMillis(10));
        assert!(!state.is_looping(UnixMillis(10)));
        answer_bots(&mut state);
        state.prune(UnixMillis(9) + BOTS_PAUSE, Duration::ZERO);
        assert_eq!(state, ChannelState::default());
    }

    #[test]
    fn no_window_opens_no_exchange() {
        let mut state = ChannelState::default();
        state.answered(&[ANN], UnixMillis(0), Duration::ZERO);
        assert_eq!(state.active_until(), None);
    }

    #[test]
    fn what_is_over_is_forgotten_and_the_rest_is_bounded() {
        let mut state = ChannelState::default();
        state.answered(&[ANN], UnixMillis(0), MINUTE);
        state.prune(UnixMillis(60_000), MINUTE * 2);
        assert_eq!(state.exchanges, []);
        assert_eq!(state.last_answers.len(), 1);
        state.prune(UnixMillis(120_000), MINUTE * 2);
        assert_eq!(state, ChannelState::default());

        let many: Vec<_> = (1..=100).map(Id::new).collect();
        state.answered(&many, UnixMillis(0), MINUTE);
        state.prune(UnixMillis(1), MINUTE);
        assert_eq!(state.exchanges.len(), REMEMBERED);
        assert_eq!(state.exchanges[0].0, Id::new(37));
    }
}

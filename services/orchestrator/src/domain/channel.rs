use std::time::Duration;

use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;

/// How many members' exchanges and answers are remembered with a channel; the oldest go.
const REMEMBERED: usize = 64;

/// What the gate knows of a channel beyond the message itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelState {
    /// Members whom Ery just answered, and until when they need not address her.
    pub(crate) exchanges: Vec<(Id<UserMarker>, UnixMillis)>,
    /// When members were last answered.
    pub(crate) last_answers: Vec<(Id<UserMarker>, UnixMillis)>,
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

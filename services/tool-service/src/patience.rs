//! How long one question may stay without an answer of Discord's.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ery_clock::UnixMillis;

/// How many questions without an answer are remembered; past it, the oldest is forgotten, and waits
/// anew.
const MAX_QUESTIONS: usize = 1_024;

/// Since when questions have been asked that Discord gives no usable answer to.
///
/// An outage is waited for: whoever asked asks again. But one route may fail for good while all
/// others work, and then waiting would hold up its channel for ever.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    /// When a question was last given up about a place, such as one tool in one guild.
    given_up: Mutex<HashMap<String, UnixMillis>>,
    since: Mutex<HashMap<String, UnixMillis>>,
    /// When the log last heard of it.
    said: Mutex<HashMap<String, UnixMillis>>,
}

/// What part of the limit is waited while Discord answers everything else.
const SHARE_OF_ONE_ROUTE: u32 = 8;

/// How often the log hears of one question that waits.
const SAID_EVERY: Duration = Duration::from_mins(1);

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        let (given_up, since, said) = <_>::default();
        Self { limit, given_up, since, said }
    }

    /// Notes that `question` about `place` has no answer, and returns whether that was waited for long
    /// enough. Where Discord has `answered_at` answered others since, its outage is not what is waited
    /// for; and where a question about the place was given up lately, others are at once.
    pub(crate) fn is_over(
        &self,
        question: &str,
        place: &str,
        answered_at: UnixMillis,
        now: UnixMillis,
    ) -> bool {
        let of_one_route = self.limit / SHARE_OF_ONE_ROUTE;
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let was_given_up = given_up
            .get(place)
            .is_some_and(|at| now < *at + self.limit / 2 && answered_at > *at - of_one_route);
        if was_given_up {
            since.remove(question);
            return true;
        }
        if let Some(first) = since.get(question) {
            let is_over =
                now >= *first + self.limit || answered_at > *first && now >= *first + of_one_route;
            if is_over {
                since.remove(question);
                if given_up.len() >= MAX_QUESTIONS {
                    given_up.clear();
                }
                given_up.insert(place.to_owned(), now);
            }
            return is_over;
        }
        if since.len() >= MAX_QUESTIONS
            && let Some(oldest) =
                since.iter().min_by_key(|(_, first)| **first).map(|(question, _)| question.clone())
        {
            since.remove(&oldest);
        }
        since.insert(question.to_owned(), now);
        self.limit.is_zero()
    }

    /// Returns whether the log is to hear that a question has no answer: the first time, and then now
    /// and again, however often it is asked.
    pub(crate) fn is_to_be_said(&self, question: &str, now: UnixMillis) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.get(question).is_some_and(|said_at| now < *said_at + SAID_EVERY) {
            return false;
        }
        if said.len() >= MAX_QUESTIONS {
            said.clear();
        }
        said.insert(question.to_owned(), now);
        true
    }

    /// Forgets how long a question waited: what it asked for is there, but it is not done yet.
    pub(crate) fn goes_on(&self, question: &str) {
        self.since.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
    }

    /// Forgets a question that has its answer.
    pub(crate) fn answered(&self, question: &str) {
        self.since.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
        self.said.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: UnixMillis = UnixMillis(i64::MIN);

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis(seconds * 1_000)
    }

    #[test]
    fn a_question_is_given_up_after_its_time() {
        let patience = Patience::new(Duration::from_mins(2));
        let is_over = |question: &str, now| patience.is_over(question, question, NEVER, at(now));
        assert!(!is_over("a", 0));
        assert!(!is_over("b", 60));
        assert!(!is_over("a", 119));
        assert!(is_over("a", 120));
        patience.answered("b");
        assert!(!is_over("b", 300));
    }

    #[test]
    fn where_discord_answers_everything_else_little_is_waited() {
        let patience = Patience::new(Duration::from_mins(2));
        let is_over = |question: &str, answered: i64, now: i64| {
            patience.is_over(question, "search", at(answered), at(now))
        };
        assert!(!is_over("a", 100, 100));
        assert!(!is_over("a", 100, 116), "nothing was answered since");
        assert!(!is_over("a", 110, 114));
        assert!(is_over("a", 114, 115));
        assert!(is_over("b", 116, 116), "the place was given up just now");
        assert!(!patience.is_over("c", "elsewhere", at(116), at(117)));
        assert!(!is_over("d", 176, 176), "that was a while ago");
    }

    #[test]
    fn the_log_hears_of_a_question_now_and_again() {
        let patience = Patience::new(Duration::from_mins(2));
        let said: Vec<i64> = (0..90).filter(|it| patience.is_to_be_said("a", at(*it))).collect();
        assert_eq!(said, [0, 60]);
        patience.answered("a");
        assert!(patience.is_to_be_said("a", at(90)));
    }

    #[test]
    fn past_its_bound_the_oldest_is_forgotten() {
        let patience = Patience::new(Duration::from_secs(1));
        for question in 0..=MAX_QUESTIONS {
            let now = UnixMillis(i64::try_from(question).unwrap());
            assert!(!patience.is_over(&question.to_string(), "", NEVER, now));
        }
        assert!(!patience.is_over("0", "", NEVER, UnixMillis(10_000)));
        assert!(patience.is_over("1024", "", NEVER, UnixMillis(10_000)));
    }
}

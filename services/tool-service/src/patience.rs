//! How long one question may stay without an answer of Discord's.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
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
    waiting: Mutex<Waiting>,
    /// When the log last heard of it.
    said: Mutex<HashMap<String, UnixMillis>>,
}

#[derive(Debug, Default)]
struct Waiting {
    since: HashMap<String, UnixMillis>,
    /// The places where one route failed while Discord answered everything else, and when a question was
    /// last given up there.
    given_up: HashMap<String, UnixMillis>,
}

/// A question, and what it is about, such as one tool in one guild.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) key: &'a str,
    pub(crate) place: String,
}

/// What part of the limit is waited while Discord answers everything else.
const SHARE_OF_ONE_ROUTE: u32 = 8;

/// How often the log hears of one question that waits.
const SAID_EVERY: Duration = Duration::from_mins(1);

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, waiting: Mutex::default(), said: Mutex::default() }
    }

    /// Notes that a question has no answer, and returns whether that was waited for long enough.
    ///
    /// `answered_at` is when Discord last answered anything, if it is one route that fails: where that
    /// was since, no outage is waited for, and others that ask there lately have nothing to wait for at
    /// all. It is none for what passes by itself, such as a rate limit.
    pub(crate) fn is_over(
        &self,
        question: &Question<'_>,
        answered_at: Option<UnixMillis>,
        now: UnixMillis,
    ) -> bool {
        let mut waiting = self.waiting();
        let Waiting { since, given_up } = &mut *waiting;
        let was_given_up =
            given_up.get(&question.place).is_some_and(|at| now < *at + self.limit / 2);
        if answered_at.is_some() && was_given_up {
            since.remove(question.key);
            return true;
        }
        if let Some(&first) = since.get(question.key) {
            let is_one_route = answered_at.is_some_and(|answered_at| answered_at > first)
                && now >= first + self.limit / SHARE_OF_ONE_ROUTE;
            let is_over = is_one_route || now >= first + self.limit;
            if is_over {
                since.remove(question.key);
            }
            if is_one_route {
                if given_up.len() >= MAX_QUESTIONS {
                    given_up.clear();
                }
                given_up.insert(question.place.clone(), now);
            }
            return is_over;
        }
        if since.len() >= MAX_QUESTIONS
            && let Some(oldest) =
                since.iter().min_by_key(|(_, first)| **first).map(|(question, _)| question.clone())
        {
            since.remove(&oldest);
        }
        since.insert(question.key.to_owned(), now);
        self.limit.is_zero()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(crate) fn goes_on(&self, question: &Question<'_>) {
        let mut waiting = self.waiting();
        waiting.since.remove(question.key);
        waiting.given_up.remove(&question.place);
    }

    /// Forgets a question that has its answer.
    pub(crate) fn answered(&self, question: &Question<'_>) {
        self.goes_on(question);
        self.said.lock().unwrap_or_else(PoisonError::into_inner).remove(question.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis(seconds * 1_000)
    }

    fn question(key: &str) -> Question<'_> {
        Question { key, place: "search".into() }
    }

    #[test]
    fn a_question_is_given_up_after_its_time_and_begins_anew() {
        let patience = Patience::new(Duration::from_mins(2));
        let is_over = |key: &str, now| patience.is_over(&question(key), None, at(now));
        assert!(!is_over("a", 0));
        assert!(!is_over("b", 60));
        assert!(!is_over("a", 119));
        assert!(is_over("a", 120));
        assert!(!is_over("a", 121), "it was told; whoever asks again waits again");
        patience.answered(&question("b"));
        assert!(!is_over("b", 300));
    }

    #[test]
    fn where_discord_answers_everything_else_little_is_waited() {
        let patience = Patience::new(Duration::from_mins(2));
        let is_over = |key: &str, answered: i64, now: i64| {
            patience.is_over(&question(key), Some(at(answered)), at(now))
        };
        assert!(!is_over("a", 100, 100));
        assert!(!is_over("a", 100, 116), "nothing was answered since");
        assert!(!is_over("a", 110, 114));
        assert!(is_over("a", 114, 115));
        assert!(is_over("b", 116, 116), "the place was given up just now");
        let elsewhere = Question { key: "c", place: "elsewhere".into() };
        assert!(!patience.is_over(&elsewhere, Some(at(116)), at(117)));
        assert!(!patience.is_over(&question("limited"), None, at(117)), "that passes by itself");
        assert!(!is_over("d", 176, 176), "that was a while ago");
    }

    #[test]
    fn a_place_that_answers_again_is_waited_for_again() {
        let patience = Patience::new(Duration::from_mins(2));
        let is_over =
            |key: &str, now: i64| patience.is_over(&question(key), Some(at(now)), at(now));
        assert!(!is_over("a", 0) && is_over("a", 20) && is_over("b", 21));
        patience.goes_on(&question("c"));
        assert!(!is_over("b", 22));
    }

    #[test]
    fn an_outage_gives_no_place_up() {
        let patience = Patience::new(Duration::from_mins(2));
        let is_over = |key: &str, now: i64| patience.is_over(&question(key), Some(at(-1)), at(now));
        assert!(!is_over("a", 0) && is_over("a", 120));
        assert!(!is_over("b", 121));
    }

    #[test]
    fn the_log_hears_of_a_question_now_and_again() {
        let patience = Patience::new(Duration::from_mins(2));
        let said: Vec<i64> = (0..90).filter(|it| patience.is_to_be_said("a", at(*it))).collect();
        assert_eq!(said, [0, 60]);
        patience.answered(&question("a"));
        assert!(patience.is_to_be_said("a", at(90)));
    }

    #[test]
    fn past_its_bound_the_oldest_is_forgotten() {
        let patience = Patience::new(Duration::from_secs(1));
        for key in 0..=MAX_QUESTIONS {
            let now = UnixMillis(i64::try_from(key).unwrap());
            assert!(!patience.is_over(&question(&key.to_string()), None, now));
        }
        assert!(!patience.is_over(&question("0"), None, UnixMillis(10_000)));
        assert!(patience.is_over(&question("1024"), None, UnixMillis(10_000)));
    }
}

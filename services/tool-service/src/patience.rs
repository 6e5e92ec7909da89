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
    since: Mutex<HashMap<String, UnixMillis>>,
    /// When the log last heard of it.
    said: Mutex<HashMap<String, UnixMillis>>,
}

/// How often the log hears of one question that waits.
const SAID_EVERY: Duration = Duration::from_mins(1);

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, since: Mutex::default(), said: Mutex::default() }
    }

    /// Notes that `question` has no answer, and returns whether that was waited for long enough.
    pub(crate) fn is_over(&self, question: &str, now: UnixMillis) -> bool {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = since.get(question) {
            let is_over = now >= *first + self.limit;
            if is_over {
                since.remove(question);
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

    #[test]
    fn a_question_is_given_up_after_its_time_and_begins_anew() {
        let patience = Patience::new(Duration::from_mins(2));
        let at = |seconds: i64| UnixMillis(seconds * 1_000);
        assert!(!patience.is_over("a", at(0)));
        assert!(!patience.is_over("b", at(60)));
        assert!(!patience.is_over("a", at(119)));
        assert!(patience.is_over("a", at(120)));
        assert!(!patience.is_over("a", at(121)), "it was told; whoever asks again waits again");
        patience.answered("b");
        assert!(!patience.is_over("b", at(300)));
    }

    #[test]
    fn the_log_hears_of_a_question_now_and_again() {
        let patience = Patience::new(Duration::from_mins(2));
        let at = |seconds: i64| UnixMillis(seconds * 1_000);
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
            assert!(!patience.is_over(&question.to_string(), now));
        }
        assert!(!patience.is_over("0", UnixMillis(10_000)));
        assert!(patience.is_over("1024", UnixMillis(10_000)));
    }
}

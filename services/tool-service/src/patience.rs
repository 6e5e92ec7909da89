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
    waiting: Mutex<HashMap<String, Waiting>>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    since: UnixMillis,
    /// When the log last heard of it.
    said_at: Option<UnixMillis>,
}

/// How often the log hears of one question that waits.
const SAID_EVERY: Duration = Duration::from_mins(1);

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, waiting: Mutex::default() }
    }

    /// Notes that `question` has no answer, and returns whether that was waited for long enough.
    pub(crate) fn is_over(&self, question: &str, now: UnixMillis) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = waiting.get(question) {
            let is_over = now >= found.since + self.limit;
            if is_over {
                waiting.remove(question);
            }
            return is_over;
        }
        if waiting.len() >= MAX_QUESTIONS
            && let Some(oldest) =
                waiting.iter().min_by_key(|(_, it)| it.since).map(|(question, _)| question.clone())
        {
            waiting.remove(&oldest);
        }
        waiting.insert(question.to_owned(), Waiting { since: now, said_at: None });
        self.limit.is_zero()
    }

    /// Returns whether the log is to hear that a question has no answer: of one that waits, the
    /// first time and then now and again; of any other always.
    pub(crate) fn is_to_be_said(&self, question: &str, now: UnixMillis) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = waiting.get_mut(question) else { return true };
        let is_due = found.said_at.is_none_or(|said_at| now >= said_at + SAID_EVERY);
        if is_due {
            found.said_at = Some(now);
        }
        is_due
    }

    /// Forgets a question that has its answer.
    pub(crate) fn answered(&self, question: &str) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
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
        assert!(patience.is_to_be_said("a", at(0)) && patience.is_to_be_said("a", at(0)));
        assert!(!patience.is_over("a", at(0)));
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

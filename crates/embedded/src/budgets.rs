use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use ery_budgets::{Budgets, BudgetsError, InvalidRequests, Priority, RequestPermit};

/// One identify of a bucket in five seconds, and half a second for the way to Discord.
///
/// Source: Discord Docs, Gateway, Rate Limiting.
const IDENTIFY_PERIOD: Duration = Duration::from_millis(5_500);

/// The span over which requests are counted.
const SECOND: Duration = Duration::from_secs(1);

/// Of how many requests one is kept for the foreground: a fifth.
const FOREGROUND_SHARE: u32 = 5;

/// The window of invalid requests, in seconds.
///
/// Source: Discord Docs, Rate Limits, Invalid Request Limit: 10,000 in 10 minutes.
const INVALID_WINDOW_SECONDS: u64 = 600;

/// The budgets of one process, in memory.
///
/// A restart forgets them: Discord's own answers then say what is left.
#[derive(Debug)]
pub struct EmbeddedBudgets {
    state: Mutex<State>,
    begun: Instant,
}

#[derive(Debug, Default)]
struct State {
    /// When each bucket's next identify may go.
    identifies: HashMap<u32, Instant>,
    /// The requests of the last second, oldest first; no more than are allowed in one.
    granted: VecDeque<Instant>,
    paused_until: Option<Instant>,
    /// Invalid requests by the second since `begun` in which they were counted, oldest first.
    invalid: VecDeque<(u64, u64)>,
}

impl Default for EmbeddedBudgets {
    fn default() -> Self {
        Self { state: Mutex::default(), begun: Instant::now() }
    }
}

impl EmbeddedBudgets {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is made whole before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, added: u64) -> InvalidRequests {
        let second = self.begun.elapsed().as_secs();
        let mut state = self.lock();
        while state.invalid.front().is_some_and(|(at, _)| at + INVALID_WINDOW_SECONDS < second) {
            state.invalid.pop_front();
        }
        if added > 0 {
            match state.invalid.back_mut() {
                Some((at, count)) if *at == second => *count += added,
                _ => state.invalid.push_back((second, added)),
            }
        }
        InvalidRequests { in_window: state.invalid.iter().map(|(_, count)| count).sum() }
    }
}

#[async_trait]
impl Budgets for EmbeddedBudgets {
    async fn identify_slot(&self, bucket: u32) -> Result<Option<Duration>, BudgetsError> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(next) = state.identifies.get(&bucket).filter(|next| **next > now) {
            return Ok(Some(*next - now));
        }
        // There are as many buckets as Discord lets shards identify at once, so few.
        state.identifies.retain(|_, next| *next > now);
        state.identifies.insert(bucket, now + IDENTIFY_PERIOD);
        Ok(None)
    }

    async fn request(
        &self,
        priority: Priority,
        per_second: u32,
    ) -> Result<RequestPermit, BudgetsError> {
        let now = Instant::now();
        let reserved = match priority {
            Priority::Foreground => 0,
            Priority::Background => per_second.div_ceil(FOREGROUND_SHARE),
        };
        // A budget of one would leave the background nothing, for ever.
        let allowed = usize::try_from(per_second.saturating_sub(reserved).max(1))
            .expect("a u32 fits a usize");
        let mut state = self.lock();
        if let Some(until) = state.paused_until.filter(|until| *until > now) {
            return Ok(RequestPermit::Wait(until - now));
        }
        while state.granted.front().is_some_and(|at| *at + SECOND <= now) {
            state.granted.pop_front();
        }
        let used = state.granted.len();
        if used < allowed {
            state.granted.push_back(now);
            return Ok(RequestPermit::Granted);
        }
        // Room comes when so many have left the second that fewer than `allowed` are in it.
        let leaves = state.granted[used - allowed] + SECOND;
        Ok(RequestPermit::Wait(leaves - now))
    }

    async fn pause(&self, how_long: Duration) -> Result<(), BudgetsError> {
        let until = Instant::now() + how_long;
        let mut state = self.lock();
        state.paused_until = state.paused_until.max(Some(until));
        Ok(())
    }

    async fn count_invalid(&self) -> Result<InvalidRequests, BudgetsError> {
        Ok(self.count(1))
    }

    async fn invalid(&self) -> Result<InvalidRequests, BudgetsError> {
        Ok(self.count(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_requests_than_are_allowed() {
        let budgets = EmbeddedBudgets::default();
        let mut granted: Vec<Instant> = Vec::new();
        while granted.len() < 200 {
            match budgets.request(Priority::Foreground, 10).await.unwrap() {
                RequestPermit::Granted => granted.push(Instant::now()),
                RequestPermit::Wait(wait) => tokio::time::sleep(wait).await,
            }
            tokio::time::advance(Duration::from_millis(7)).await;
        }
        assert!(granted.windows(11).all(|of| of[10] - of[0] >= SECOND));
        assert!(granted[199] - granted[0] < Duration::from_secs(21));
    }

    #[tokio::test(start_paused = true)]
    async fn the_background_leaves_a_fifth_to_the_foreground() {
        let budgets = EmbeddedBudgets::default();
        let mut counts = [0, 0];
        for (index, priority) in [Priority::Background, Priority::Foreground].iter().enumerate() {
            while budgets.request(*priority, 50).await.unwrap() == RequestPermit::Granted {
                counts[index] += 1;
            }
        }
        assert_eq!(counts, [40, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_of_one_is_given_to_whoever_asks() {
        let budgets = EmbeddedBudgets::default();
        for priority in [Priority::Background, Priority::Foreground] {
            assert_eq!(budgets.request(priority, 1).await.unwrap(), RequestPermit::Granted);
            let RequestPermit::Wait(wait) = budgets.request(priority, 1).await.unwrap() else {
                panic!("two requests in one second")
            };
            tokio::time::sleep(wait).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn invalid_requests_leave_the_window_after_ten_minutes() {
        let budgets = EmbeddedBudgets::default();
        for _ in 0..5 {
            budgets.count_invalid().await.unwrap();
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
        assert_eq!(budgets.invalid().await.unwrap().in_window, 5);
        tokio::time::sleep(Duration::from_secs(301)).await;
        assert_eq!(budgets.invalid().await.unwrap().in_window, 4);
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert_eq!(budgets.invalid().await.unwrap().in_window, 0);
    }
}

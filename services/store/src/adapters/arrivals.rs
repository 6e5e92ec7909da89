use std::{
    collections::HashMap,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use twilight_model::id::{Id, marker::MessageMarker};

use ery_ids::ChannelKey;

/// For how many channels of a shard the last arrival is remembered; past it, all are forgotten,
/// and the file is asked.
const REMEMBERED_CHANNELS: usize = 1_024;

/// How far ingestion has come in each channel of a shard.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reached: HashMap<ChannelKey, Id<MessageMarker>>,
    /// Only channels that somebody waits for.
    awaited: HashMap<ChannelKey, watch::Sender<Option<Id<MessageMarker>>>>,
}

impl Arrivals {
    /// Tells that ingestion has written `message`; those of a channel come in order.
    pub(crate) fn reached(&self, channel: ChannelKey, message: Id<MessageMarker>) {
        let mut state = self.lock();
        if let Some(awaited) = state.awaited.get(&channel) {
            awaited.send_modify(|reached| *reached = (*reached).max(Some(message)));
        }
        if state.reached.len() >= REMEMBERED_CHANNELS && !state.reached.contains_key(&channel) {
            state.reached.clear();
        }
        let reached = state.reached.entry(channel).or_insert(message);
        *reached = (*reached).max(message);
    }

    /// Waits until ingestion has reached `message`, for no longer than `limit`; `is_in_file` asks
    /// the file, for what was ingested before this process remembers.
    ///
    /// Returns whether it has.
    pub(crate) async fn wait<F>(
        &self,
        channel: ChannelKey,
        message: Id<MessageMarker>,
        limit: Duration,
        is_in_file: F,
    ) -> bool
    where
        F: Future<Output = bool>,
    {
        let mut waiting = {
            let mut state = self.lock();
            if state.reached.get(&channel).is_some_and(|reached| *reached >= message) {
                return true;
            }
            let awaited = state.awaited.entry(channel).or_insert_with(|| watch::Sender::new(None));
            Waiting { arrivals: self, channel, reached: Some(awaited.subscribe()) }
        };
        let arrived = async {
            match &mut waiting.reached {
                Some(reached) => reached.wait_for(|it| *it >= Some(message)).await.is_ok(),
                None => false,
            }
        };
        let known = async {
            if is_in_file.await {
                return true;
            }
            arrived.await
        };
        tokio::time::timeout(limit, known).await.unwrap_or(false)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the channel when its last waiter goes, however it goes.
struct Waiting<'a> {
    arrivals: &'a Arrivals,
    channel: ChannelKey,
    reached: Option<watch::Receiver<Option<Id<MessageMarker>>>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.arrivals.lock();
        drop(self.reached.take());
        let is_last =
            state.awaited.get(&self.channel).is_some_and(|awaited| awaited.receiver_count() == 0);
        if is_last {
            state.awaited.remove(&self.channel);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn channel(id: u64) -> ChannelKey {
        ChannelKey::from_raw(1, id).unwrap()
    }

    const LIMIT: Duration = Duration::from_millis(250);

    #[tokio::test(start_paused = true)]
    async fn a_waiter_goes_on_when_its_message_arrives() {
        let arrivals = Arc::new(Arrivals::default());
        let waits = arrivals.wait(channel(2), Id::new(7), LIMIT, async { false });
        let arrives = async {
            arrivals.reached(channel(2), Id::new(6));
            arrivals.reached(channel(3), Id::new(9));
            arrivals.reached(channel(2), Id::new(7));
        };
        let begun = tokio::time::Instant::now();
        let (is_current, ()) = tokio::join!(waits, arrives);
        assert!(is_current);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(arrivals.lock().awaited.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_does_not_wait_for_ever() {
        let arrivals = Arrivals::default();
        let begun = tokio::time::Instant::now();
        assert!(!arrivals.wait(channel(2), Id::new(7), LIMIT, async { false }).await);
        assert_eq!(begun.elapsed(), LIMIT);
        assert!(arrivals.lock().awaited.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_the_file_is_not_waited_for() {
        let arrivals = Arrivals::default();
        assert!(arrivals.wait(channel(2), Id::new(7), LIMIT, async { true }).await);
        arrivals.reached(channel(2), Id::new(8));
        assert!(arrivals.wait(channel(2), Id::new(7), LIMIT, async { false }).await);
    }

    #[test]
    fn idle_channels_are_forgotten() {
        let arrivals = Arrivals::default();
        for id in 1..=5_000 {
            arrivals.reached(channel(id), Id::new(1));
        }
        assert!(arrivals.lock().reached.len() <= REMEMBERED_CHANNELS);
    }
}

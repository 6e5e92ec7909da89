use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use futures::stream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use ery_event_bus::{Followed, FollowedEvents};

use super::state::Stored;

/// How many events, and of about how many bytes, wait for a follower before it gets a gap instead.
const FOLLOWER_EVENTS: usize = 4_096;
const FOLLOWER_BYTES: usize = 8 << 20;

/// Those who follow events as they are published.
#[derive(Default)]
pub(super) struct Followers {
    all: Mutex<Vec<Weak<Follower>>>,
}

struct Follower {
    kinds: Vec<String>,
    waiting: Mutex<Waiting>,
    notify: Notify,
}

#[derive(Default)]
struct Waiting {
    has_gap: bool,
    events: VecDeque<Arc<Stored>>,
    size_bytes: usize,
}

impl Followers {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Follower>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows these kinds, or all if there are none, from now on.
    pub(super) fn follow(&self, kinds: &[&str], closing: CancellationToken) -> FollowedEvents {
        let follower = Arc::new(Follower {
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            waiting: Mutex::default(),
            notify: Notify::new(),
        });
        self.lock().push(Arc::downgrade(&follower));
        Box::pin(stream::unfold((follower, closing), |(follower, closing)| async move {
            loop {
                if let Some(followed) = follower.next() {
                    return Some((followed, (follower, closing)));
                }
                tokio::select! {
                    () = closing.cancelled() => return None,
                    () = follower.notify.notified() => {}
                }
            }
        }))
    }

    /// Tells everyone who follows; forgets those who stopped.
    pub(super) fn tell(&self, events: &[Arc<Stored>]) {
        self.lock().retain(|follower| {
            let Some(follower) = follower.upgrade() else { return false };
            follower.tell(events);
            true
        });
    }
}

impl Follower {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, events: &[Arc<Stored>]) {
        let hears =
            |event: &&Arc<Stored>| self.kinds.is_empty() || self.kinds.contains(&event.event.kind);
        let mut waiting = self.lock();
        let mut has_news = false;
        for event in events.iter().filter(hears) {
            has_news = true;
            waiting.size_bytes += event.event.payload.len();
            waiting.events.push_back(Arc::clone(event));
            if waiting.events.len() > FOLLOWER_EVENTS || waiting.size_bytes > FOLLOWER_BYTES {
                *waiting = Waiting { has_gap: true, ..Waiting::default() };
            }
        }
        drop(waiting);
        if has_news {
            self.notify.notify_one();
        }
    }

    fn next(&self) -> Option<Followed> {
        let mut waiting = self.lock();
        if std::mem::take(&mut waiting.has_gap) {
            return Some(Followed::Gap);
        }
        let event = waiting.events.pop_front()?;
        waiting.size_bytes -= event.event.payload.len();
        Some(Followed::Event(event.event.clone()))
    }
}

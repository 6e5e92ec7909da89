use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use ery_clock::Clock;
use ery_event_bus::Event;
use ery_group_commit::{WriteError, Writer};
use ery_ids::PARTS;

use crate::folder::FolderLock;

use super::{
    BusOptions,
    follow::Followers,
    state::{BusState, Stored},
    table::{self, TrimPlan, Trimmed},
};

/// How many events are written as one request.
const BATCH: usize = 512;

/// After what time acknowledgements are saved again that the disk refused.
const RETRY: Duration = Duration::from_secs(1);

/// How often old events are deleted, while there are few.
const TRIM_EVERY: Duration = Duration::from_secs(30);

/// After how many events they are deleted sooner, and how long each bounded step waits for the
/// next then.
const TRIM_AFTER: usize = 4_096;
const TRIM_AFTER_BYTES: usize = 16 << 20;
const TRIM_STEP: Duration = Duration::from_millis(100);

pub(super) type WriteFailure = Arc<WriteError<rusqlite::Error>>;

/// An event that is to be published, and who waits for it.
pub(super) struct Publish {
    pub(super) event: Event,
    pub(super) answer: oneshot::Sender<Result<(), WriteFailure>>,
}

/// Writes events, cursors and deletions in order, and lets readers know after the commit.
///
/// One request is under way at a time; what comes meanwhile makes up the next.
pub(super) struct Pump {
    pub(super) state: Arc<BusState>,
    pub(super) followers: Arc<Followers>,
    pub(super) writer: Writer,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) publishes: mpsc::Receiver<Publish>,
    pub(super) last_seq: u64,
    pub(super) options: BusOptions,
    /// Held until everything is written.
    pub(super) lock: FolderLock,
}

/// What a pump does over time.
struct Schedule {
    /// When cursors are to be saved at the latest; none while none moved.
    flush_at: Option<Instant>,
    trim_at: Instant,
    trim_from: u64,
    /// Events since the last trim.
    published: usize,
    published_bytes: usize,
}

impl Pump {
    /// Runs until the bus is dropped and everything is written.
    pub(super) async fn run(mut self) {
        let mut publishes = Vec::with_capacity(BATCH);
        let mut schedule = Schedule {
            flush_at: None,
            trim_at: Instant::now() + TRIM_EVERY,
            trim_from: 0,
            published: 0,
            published_bytes: 0,
        };
        let mut is_open = true;
        while is_open {
            tokio::select! {
                biased;
                count = self.publishes.recv_many(&mut publishes, BATCH) => is_open = count > 0,
                () = until(schedule.flush_at) => {}
                () = sleep_until(schedule.trim_at) => {}
                () = self.state.dirty.notified(), if schedule.flush_at.is_none() => {
                    schedule.flush_at = Some(Instant::now() + self.options.ack_linger);
                    continue;
                }
            }
            self.write(&mut publishes, &mut schedule).await;
        }
        drop(self.lock);
    }

    async fn write(&mut self, publishes: &mut Vec<Publish>, schedule: &mut Schedule) {
        let now = Instant::now();
        let plan = (now >= schedule.trim_at).then(|| self.trim_plan(schedule.trim_from));
        let mut answers = Vec::with_capacity(publishes.len());
        let stored: Arc<[Arc<Stored>]> = publishes
            .drain(..)
            .map(|Publish { event, answer }| {
                self.last_seq += 1;
                answers.push(answer);
                Arc::new(Stored { seq: self.last_seq, event })
            })
            .collect();
        let cursors: Arc<[_]> = self.state.take_dirty().into();
        schedule.flush_at = None;
        schedule.published += stored.len();
        schedule.published_bytes +=
            stored.iter().map(|stored| stored.event.payload.len()).sum::<usize>();
        match self.commit(&stored, &cursors, plan).await {
            Ok((inserted, trimmed)) => {
                let new =
                    || stored.iter().zip(&inserted).filter(|(_, is_new)| **is_new).map(|(s, _)| s);
                self.state.add(new().cloned());
                self.followers.tell(&new().cloned().collect::<Vec<_>>());
                for answer in answers {
                    // Who asked may have gone; the event stands all the same.
                    drop(answer.send(Ok(())));
                }
                if let Some(trimmed) = trimmed {
                    self.note_trim(trimmed, schedule);
                } else if schedule.published >= TRIM_AFTER
                    || schedule.published_bytes >= TRIM_AFTER_BYTES
                {
                    schedule.trim_at = schedule.trim_at.min(now + TRIM_STEP);
                }
            }
            Err(error) => {
                // The writer has logged what the disk said; those who wait are told too.
                let error = Arc::new(error);
                self.state.put_back_dirty(&cursors);
                for answer in answers {
                    drop(answer.send(Err(Arc::clone(&error))));
                }
                schedule.flush_at = Some(now + RETRY);
                schedule.trim_at = now + TRIM_EVERY;
            }
        }
    }

    async fn commit(
        &self,
        stored: &Arc<[Arc<Stored>]>,
        cursors: &Arc<[table::Cursor]>,
        plan: Option<TrimPlan>,
    ) -> Result<(Vec<bool>, Option<Trimmed>), WriteError<rusqlite::Error>> {
        let (stored, cursors) = (Arc::clone(stored), Arc::clone(cursors));
        let published_at = self.clock.now();
        self.writer
            .write(move |connection| {
                let inserted = stored
                    .iter()
                    .map(|one| table::insert(connection, one.seq, &one.event, published_at))
                    .collect::<rusqlite::Result<Vec<bool>>>()?;
                for cursor in &*cursors {
                    table::save_cursor(connection, cursor)?;
                }
                let trimmed = match plan {
                    Some(plan) => Some(table::trim(connection, &plan)?),
                    None => None,
                };
                Ok((inserted, trimmed))
            })
            .await
    }

    fn trim_plan(&self, after: u64) -> TrimPlan {
        let now = self.clock.now();
        let acked_before = if self.state.is_full() { now } else { now - self.options.retention };
        let mut plan = TrimPlan {
            after,
            acked_before,
            any_before: now - self.options.retention_unacknowledged,
            floors: [0; PARTS as usize],
        };
        self.state.set_floors(&mut plan);
        plan
    }

    fn note_trim(&self, trimmed: Trimmed, schedule: &mut Schedule) {
        if trimmed.unacknowledged > 0 {
            tracing::warn!(
                events = trimmed.unacknowledged,
                "deleted events that a handler never acknowledged; they were too old to keep"
            );
        }
        self.state.forget(&trimmed.deleted);
        let was_full = self.state.is_full();
        let is_full = trimmed.used_bytes > self.options.max_bytes;
        self.state.set_full(is_full);
        if is_full && !was_full {
            tracing::error!(
                used_bytes = trimmed.used_bytes,
                max_bytes = self.options.max_bytes,
                "the event bus is full; deleting acknowledged events early"
            );
        }
        (schedule.published, schedule.published_bytes) = (0, 0);
        schedule.trim_from = trimmed.next.unwrap_or(0);
        let wait = if trimmed.next.is_some() || is_full { TRIM_STEP } else { TRIM_EVERY };
        schedule.trim_at = Instant::now() + wait;
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use ery_channel_queue::Task;
use ery_group_commit::{WriteError, Writer};

use crate::folder::FolderLock;

use super::{index::Index, table};

/// How many commands are written as one request.
const BATCH: usize = 512;

/// After what time a removal is tried again that the disk refused.
const RETRY: Duration = Duration::from_secs(1);

/// How often triggers are forgotten whose window is over, while there are few.
const TRIM_EVERY: Duration = Duration::from_secs(20);

/// After how many removals they are forgotten sooner, and how long each bounded step waits for the
/// next then.
const TRIM_AFTER: usize = 4_096;
const TRIM_STEP: Duration = Duration::from_millis(100);

pub(super) type WriteFailure = Arc<WriteError<rusqlite::Error>>;
pub(super) type Answer = oneshot::Sender<Result<(), WriteFailure>>;

/// What is to be written.
pub(super) enum Command {
    Publish {
        task: Arc<Task>,
        answer: Answer,
    },
    Remove(Vec<u64>),
    /// Makes epochs up to this one durable.
    RaiseEpochs {
        durable: u64,
        answer: Option<Answer>,
    },
}

/// Writes all that changes in the file, in order, and lets the index know after the commit.
///
/// One request is under way at a time; what comes meanwhile makes up the next. So a burst costs a
/// sync for each batch, and the index learns of tasks in the order of their positions.
pub(super) struct Pump {
    pub(super) index: Arc<Index>,
    pub(super) writer: Writer,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) last_position: u64,
    /// How long a removal waits for others, and for a publish to go with.
    pub(super) linger: Duration,
    /// Held until everything is written.
    pub(super) lock: FolderLock,
}

#[derive(Default)]
struct Batch {
    publishes: Vec<(u64, Arc<Task>)>,
    answers: Vec<Answer>,
    removals: Vec<u64>,
    durable_epoch: Option<u64>,
    epoch_answers: Vec<Answer>,
    trim_after: Option<u64>,
}

/// What was written.
struct Written {
    inserted: Vec<bool>,
    trimmed_to: Option<u64>,
}

impl Pump {
    /// Runs until the last sender of commands is gone and everything is written.
    pub(super) async fn run(mut self) {
        let mut batch = Batch::default();
        let mut commands = Vec::with_capacity(BATCH);
        let mut flush_at: Option<Instant> = None;
        let mut trim_at = Instant::now() + TRIM_EVERY;
        let mut trim_from = 0;
        let mut removed = 0;
        let mut is_open = true;
        while is_open {
            tokio::select! {
                biased;
                count = self.commands.recv_many(&mut commands, BATCH) => is_open = count > 0,
                () = until(flush_at) => {}
                () = sleep_until(trim_at) => {}
            }
            for command in commands.drain(..) {
                self.sort(command, &mut batch);
            }
            let now = Instant::now();
            if now >= trim_at {
                batch.trim_after = Some(trim_from);
            }
            if !batch.is_urgent() && is_open {
                if batch.removals.is_empty() {
                    continue;
                }
                let flush_at = *flush_at.get_or_insert(now + self.linger);
                if now < flush_at && batch.removals.len() < BATCH {
                    continue;
                }
            }
            flush_at = None;
            removed += batch.removals.len();
            let is_trim = batch.trim_after.is_some();
            match self.write(&mut batch).await {
                Ok(trimmed_to) if is_trim => {
                    trim_from = trimmed_to.unwrap_or(0);
                    removed = 0;
                    trim_at =
                        Instant::now() + if trimmed_to.is_some() { TRIM_STEP } else { TRIM_EVERY };
                }
                Ok(_) if removed >= TRIM_AFTER => trim_at = trim_at.min(now + TRIM_STEP),
                Ok(_) => {}
                Err(()) => {
                    flush_at = Some(now + RETRY);
                    trim_at = now + TRIM_EVERY;
                }
            }
        }
        drop(self.lock);
    }

    fn sort(&mut self, command: Command, batch: &mut Batch) {
        match command {
            Command::Publish { task, answer } => {
                self.last_position += 1;
                batch.publishes.push((self.last_position, task));
                batch.answers.push(answer);
            }
            Command::Remove(positions) => batch.removals.extend(positions),
            Command::RaiseEpochs { durable, answer } => {
                batch.durable_epoch = batch.durable_epoch.max(Some(durable));
                batch.epoch_answers.extend(answer);
            }
        }
    }

    /// Writes a batch and answers those who wait for it. On failure only the removals are kept,
    /// for the next try: the others are told.
    async fn write(&self, batch: &mut Batch) -> Result<Option<u64>, ()> {
        let publishes: Arc<[(u64, Arc<Task>)]> = std::mem::take(&mut batch.publishes).into();
        let removals: Arc<[u64]> = std::mem::take(&mut batch.removals).into();
        let (durable_epoch, trim_after) = (batch.durable_epoch.take(), batch.trim_after.take());
        let now = self.index.now();
        let cutoff = now - self.index.dedup_window();
        let written = {
            let (publishes, removals) = (Arc::clone(&publishes), Arc::clone(&removals));
            self.writer.write(move |connection| {
                let inserted = publishes
                    .iter()
                    .map(|(position, task)| table::insert(connection, *position, task))
                    .collect::<rusqlite::Result<Vec<bool>>>()?;
                for position in &*removals {
                    table::bury(connection, *position, now)?;
                }
                if let Some(durable) = durable_epoch {
                    table::raise_durable_epoch(connection, durable)?;
                }
                let trimmed_to = match trim_after {
                    Some(after) => table::trim(connection, after, cutoff)?,
                    None => None,
                };
                Ok(Written { inserted, trimmed_to })
            })
        };
        let answers = batch.answers.drain(..);
        match written.await {
            Ok(written) => {
                if let Some(durable) = durable_epoch {
                    self.index.epochs_are_durable(durable);
                }
                let tasks = publishes.iter().zip(written.inserted);
                self.index.add(tasks.map(|((position, task), is_new)| {
                    (is_new.then_some(*position), Arc::clone(task))
                }));
                for answer in answers.chain(batch.epoch_answers.drain(..)) {
                    // Who asked may have gone; what was written stands all the same.
                    drop(answer.send(Ok(())));
                }
                Ok(written.trimmed_to)
            }
            Err(error) => {
                // The writer has logged what the disk said; those who wait are told too.
                let error = Arc::new(error);
                self.index.add(publishes.iter().map(|(_, task)| (None, Arc::clone(task))));
                for answer in answers.chain(batch.epoch_answers.drain(..)) {
                    drop(answer.send(Err(Arc::clone(&error))));
                }
                batch.removals.extend(removals.iter());
                Err(())
            }
        }
    }
}

impl Batch {
    /// Whether somebody waits for it, or it was due.
    fn is_urgent(&self) -> bool {
        !self.publishes.is_empty() || self.durable_epoch.is_some() || self.trim_after.is_some()
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

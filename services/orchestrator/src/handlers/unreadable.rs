use std::{convert::Infallible, sync::Arc};

use futures::StreamExt;
use tokio::time::sleep;

use ery_channel_queue::{UnreadableTask, UnreadableTasks};

use crate::{
    adapters::{calls::Pauses, store::DeadEvent},
    error::{CallError, with_causes},
    handlers::holder::Holder,
};

/// The name under which dead letters of the channel queue stand, and their kind.
const HANDLER: &str = "orchestrator-channel-queue";
const KIND: &str = "task";

/// Ends what stands in the channel queue and cannot be read, until the drain.
pub(crate) async fn run(holder: Arc<Holder>) -> Result<(), Infallible> {
    let draining = holder.draining.clone();
    let mut pauses = Pauses::new();
    loop {
        if let Some(tasks) = subscribe(&holder).await {
            pauses = Pauses::new();
            tokio::select! {
                () = draining.cancelled() => return Ok(()),
                () = tasks.for_each(|task| bury(&holder, task)) => {}
            }
        }
        tokio::select! {
            () = draining.cancelled() => return Ok(()),
            () = sleep(pauses.next()) => {}
        }
    }
}

async fn subscribe(holder: &Holder) -> Option<UnreadableTasks> {
    match holder.queue.unreadable().await {
        Ok(tasks) => Some(tasks),
        Err(error) => {
            tracing::debug!(%error, "the channel queue cannot be reached");
            None
        }
    }
}

/// Makes a dead letter of it, where it is known of which guild it is; then it leaves the queue, so
/// that it neither comes again for ever nor is forgotten (NOTHING-LOST).
async fn bury(holder: &Holder, task: UnreadableTask) {
    let reason = with_causes(&*task.why);
    let size_bytes = task.payload.len();
    let Some(channel) = task.channel else {
        tracing::error!(
            error = reason,
            task = task.name,
            place = task.place,
            size_bytes,
            "something in the channel queue is of no channel; removed"
        );
        return discard(holder, task).await;
    };
    let event = DeadEvent {
        id: &task.name,
        kind: KIND,
        home: channel.home,
        channel: Some(channel.channel),
        bot: task.bot,
        received_at: task.received_at,
        payload: &task.payload,
    };
    match holder.store.record_dead_event(HANDLER, &event, &reason).await {
        Ok(()) => {
            tracing::error!(error = reason, task = task.name, size_bytes,
                channel.id = %channel.channel, "a task cannot be read; it is a dead letter");
        }
        // It comes again.
        Err(error @ (CallError::Unavailable { .. } | CallError::Fenced { .. })) => {
            tracing::debug!(error = with_causes(&error), "an unreadable task is left for later");
            return;
        }
        // Not even that can be written down: the log is all that is left.
        Err(refusal) => {
            tracing::error!(error = reason, refusal = with_causes(&refusal), task = task.name,
                size_bytes, channel.id = %channel.channel, "a task cannot be read; removed");
        }
    }
    discard(holder, task).await;
}

async fn discard(holder: &Holder, task: UnreadableTask) {
    holder.metrics.task_unreadable();
    if let Err(error) = holder.queue.discard(task).await {
        // It comes again, and is the same dead letter.
        tracing::debug!(%error, "an unreadable task could not be removed");
    }
}

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{sync::Semaphore, time::sleep};
use tracing::Instrument;

use ery_channel_queue::{BoxLease, Delivery, Hint, Task, Wakeups};
use ery_ids::{ChannelKey, TriggerId};
use ery_lifecycle::Tasks;

use crate::{
    adapters::calls::Pauses,
    domain::{
        discord,
        gate::{self, Call, First, Reason},
        message::Message,
    },
    error::{CallError, with_causes},
    handlers::{
        holder::{Holder, Judged},
        holding, traced, turned_away,
    },
};

/// What a task of the queue is, read once.
#[derive(Clone, Debug)]
pub(crate) enum Read {
    /// A message that may be for Ery.
    Message(Box<Message>, Call),
    /// A proposal that was decided, or has expired.
    Approval(String),
    /// An act whose time has come.
    Due(String),
    /// An execution that may stand open, and that nobody would make again.
    Unsettled(String),
    /// Nothing that can be carried out, and why.
    Odd(&'static str),
}

/// Takes channels as they are woken, no more at once than there are slots, until the drain; then
/// waits for those that are held.
pub(crate) async fn run(holder: Arc<Holder>, tasks: &Tasks) {
    let slots = Arc::new(Semaphore::new(holder.settings.task_threads));
    let draining = holder.draining.clone();
    let mut pauses = Pauses::new();
    while let Some(mut wakeups) = subscribe(&holder, &mut pauses).await {
        loop {
            let slot = tokio::select! {
                biased;
                () = draining.cancelled() => break,
                slot = Arc::clone(&slots).acquire_owned() => {
                    slot.expect("the slots are never closed")
                }
            };
            let delivery = tokio::select! {
                biased;
                () = draining.cancelled() => break,
                delivery = wakeups.next() => delivery,
            };
            let Some(delivery) = delivery else { break };
            pauses = Pauses::new();
            let holder = Arc::clone(&holder);
            // In the order of their coming: whoever comes later sees those before.
            let judged = holder.judging.begin(delivery.task.channel);
            tasks.spawn_work("channel", async move {
                // What a holder does in one go is large.
                Box::pin(wake(&holder, delivery, judged)).await;
                drop(slot);
            });
        }
        // Nothing new is taken while the held ones come to their ends.
        drop(wakeups);
        if draining.is_cancelled() {
            break;
        }
        tracing::warn!("the wake-ups of the channel queue ended; asking for them again");
        sleep(pauses.next()).await;
    }
    let all = u32::try_from(holder.settings.task_threads).unwrap_or(u32::MAX);
    drop(slots.acquire_many(all).await);
}

async fn subscribe(holder: &Holder, pauses: &mut Pauses) -> Option<Wakeups> {
    loop {
        if holder.draining.is_cancelled() {
            return None;
        }
        match holder.queue.wakeups(holder.settings.prefetch).await {
            Ok(wakeups) => return Some(wakeups),
            Err(error) => {
                tracing::warn!(%error, "the channel queue cannot be reached; trying again");
                tokio::select! {
                    () = sleep(pauses.next()) => {}
                    () = holder.draining.cancelled() => {}
                }
            }
        }
    }
}

/// Asks the gate, and takes the channel where it does not say no.
async fn wake(holder: &Holder, delivery: Delivery, judged: Judged) {
    let span = traced::wake(&delivery.task);
    let taken = judge_and_take(holder, delivery, judged).instrument(span).await;
    let Some((lease, known)) = taken else { return };
    // Beside the wake-up's trace: whatever waits there has its own.
    holding::hold(holder, lease, known).await;
}

async fn judge_and_take(
    holder: &Holder,
    delivery: Delivery,
    judged: Judged,
) -> Option<(BoxLease, (TriggerId, Read))> {
    let channel = delivery.task.channel;
    let read = match read(holder, &delivery.task).await {
        Ok(Ok(read)) => read,
        Ok(Err(reason)) => {
            turn_away(holder, delivery, reason).await;
            return None;
        }
        // It comes again.
        Err(error) => {
            tracing::debug!(error = with_causes(&error), channel.id = %channel.channel,
                "the gate could not judge a message");
            return None;
        }
    };
    // Whether an exchange is open, its holder knows. Where surely nobody holds it, there is none.
    let mut judged = Some(judged);
    if matches!(read, Read::Message(_, Call::OnlyInExchange)) {
        // It takes nothing that another one could wait for.
        judged = None;
        if is_quiet(holder, channel).await {
            turn_away(holder, delivery, Reason::NotAddressed).await;
            return None;
        }
    }
    let trigger = delivery.task.trigger.clone();
    let taken = holder.queue.take(delivery).await;
    drop(judged);
    match taken {
        Ok(Some(lease)) => Some((lease, (trigger, read))),
        // Its holder finds the message.
        Ok(None) => None,
        Err(error) => {
            tracing::debug!(%error, channel.id = %channel.channel, "a channel could not be taken");
            None
        }
    }
}

/// Returns whether surely nobody holds a channel, nor is about to: what was written at once is judged side
/// by side, and an addressed message may just be taking the channel.
async fn is_quiet(holder: &Holder, channel: ChannelKey) -> bool {
    const TAKEN_WITHIN: Duration = Duration::from_millis(100);
    /// How often that time is waited at the most, while another one of the channel is judged here.
    const WAITS: u32 = 20;

    for _ in 0..WAITS {
        if holder.queue.hint(channel).await != Hint::Quiet {
            return false;
        }
        sleep(TAKEN_WITHIN).await;
        if !holder.judging.is_any(channel) {
            break;
        }
    }
    holder.queue.hint(channel).await == Hint::Quiet
}

/// Reads a task, and asks the gate's first question.
///
/// # Errors
///
/// If it cannot be told now whether the message is for Ery.
pub(crate) async fn read(holder: &Holder, task: &Task) -> Result<Result<Read, Reason>, CallError> {
    if let TriggerId::Approval(approval) = &task.trigger {
        return Ok(Ok(Read::Approval(approval.clone())));
    }
    if let TriggerId::ScheduledAction { action, .. } = &task.trigger {
        return Ok(Ok(Read::Due(action.clone())));
    }
    if let TriggerId::Execution(key) = &task.trigger {
        return Ok(Ok(Read::Unsettled(key.clone())));
    }
    if task.trigger.message().is_none() {
        return Ok(Ok(Read::Odd("nothing in this version carries out such a trigger")));
    }
    let mut message = match discord::created(&task.payload, task.bot) {
        Ok(message) => message,
        Err(error) => {
            tracing::warn!(%error, trigger = %task.trigger, "a message cannot be read");
            return Ok(Ok(Read::Odd("the message cannot be read")));
        }
    };
    let is_of_task = message.channel.channel == task.channel.channel;
    if !is_of_task || Some(message.id) != task.trigger.message() {
        tracing::warn!(trigger = %task.trigger, "a message is not what its subject says");
        return Ok(Ok(Read::Odd("the message is not what its subject says")));
    }
    // What was read back by REST does not name its guild.
    message.channel = task.channel;
    let (bot_roles, rules) =
        tokio::try_join!(holder.roles_for(&message, task.bot), holder.rules_for(&message))?;
    Ok(match gate::first(&message, task.bot, &bot_roles, &rules) {
        First::No(reason) => {
            // Ingestion may have gone by what was set before.
            let was_called = gate::is_addressed(&message, task.bot, &bot_roles, &rules);
            if reason.is_by_config() && was_called {
                turned_away::note(holder, task.channel, vec![(message, reason)]).await;
            }
            Err(reason)
        }
        First::Perhaps(_) if task.retry > 0 => Ok(Read::Message(Box::new(message), Call::Retried)),
        First::Perhaps(call) => Ok(Read::Message(Box::new(message), call)),
    })
}

async fn turn_away(holder: &Holder, delivery: Delivery, reason: Reason) {
    holder.metrics.turned_away(reason);
    if let Err(error) = holder.queue.turn_away(delivery).await {
        // It comes again, and is turned away again.
        tracing::debug!(%error, "a message could not be turned away");
    }
}

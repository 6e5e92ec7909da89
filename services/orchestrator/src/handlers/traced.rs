//! The spans of what the orchestrator does: each goes on with the trace of what it is done for.

use tracing::{Span, field::Empty};

use ery_channel_queue::Task;
use ery_event_bus::Event;
use ery_ids::{Fence, TriggerId};
use ery_trace::TraceParent;

/// Makes the span of a wake-up, from the delivery until its channel is taken or left.
pub(crate) fn wake(task: &Task) -> Span {
    if task.traceparent.is_none() || is_later(task) {
        return Span::none();
    }
    let span = tracing::info_span!(
        parent: None,
        "orchestrator.channel.wake",
        otel.kind = "consumer",
        guild.id = task.channel.guild_raw(),
        channel.id = task.channel.channel.get(),
    );
    ery_trace::go_on(&span, task.traceparent);
    span
}

/// Makes the span of opening a channel for what waits there.
pub(crate) fn open<'a>(fence: &Fence, tasks: impl Iterator<Item = &'a Task>) -> Span {
    let traced: Vec<_> =
        tasks.filter(|task| !is_later(task)).filter_map(|task| task.traceparent).collect();
    if traced.is_empty() {
        return Span::none();
    }
    let span = tracing::info_span!(
        parent: None,
        "orchestrator.channel.open",
        guild.id = fence.channel.guild_raw(),
        channel.id = fence.channel.channel.get(),
        epoch = fence.epoch.0,
    );
    belong(&span, &traced);
    span
}

/// Makes the span of a task thread. It goes on with the trace of the first message that it answers,
/// and is linked to those of the others. What comes later, as after a click or at a moment that was
/// planned, begins a trace of its own, which is linked to the one that it comes from.
pub(crate) fn task_thread<'a>(fence: &Fence, tasks: impl Iterator<Item = &'a Task>) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "orchestrator.task_thread.run",
        otel.kind = "consumer",
        guild.id = fence.channel.guild_raw(),
        channel.id = fence.channel.channel.get(),
        epoch = fence.epoch.0,
        task_thread.id = Empty,
        task_thread.outcome = Empty,
    );
    let (later, at_once): (Vec<_>, Vec<_>) = tasks.partition(|task| is_later(task));
    let traced: Vec<_> = at_once.iter().filter_map(|task| task.traceparent).collect();
    belong(&span, &traced);
    for task in later {
        ery_trace::link(&span, task.traceparent);
    }
    span
}

/// Makes the span of events that a handler takes together.
pub(crate) fn events(handler: &'static str, events: &[Event]) -> Span {
    let traced: Vec<_> = events.iter().filter_map(|event| event.traceparent).collect();
    let Some(event) = events.first().filter(|_| !traced.is_empty()) else { return Span::none() };
    let span = tracing::info_span!(
        parent: None,
        "orchestrator.events.handle",
        otel.kind = "consumer",
        handler,
        events = events.len(),
        guild.id = event.home.guild().map(twilight_model::id::Id::get),
    );
    belong(&span, &traced);
    span
}

/// Whether a task comes of something that was done long before.
fn is_later(task: &Task) -> bool {
    match &task.trigger {
        TriggerId::Message(_) => task.retry > 0,
        TriggerId::ScheduledAction { .. }
        | TriggerId::Approval(_)
        | TriggerId::WebhookDelivery(_)
        | TriggerId::Execution(_) => true,
    }
}

fn belong(span: &Span, traced: &[TraceParent]) {
    let Some((first, others)) = traced.split_first() else { return };
    ery_trace::go_on(span, Some(*first));
    for other in others.iter().filter(|other| !other.is_of_trace_of(*first)) {
        ery_trace::link(span, Some(*other));
    }
}

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, UpDownCounter},
};

use ery_trace::{Timed, timed};

use crate::{
    adapters::interactions::Answered,
    domain::{
        budgets::{InWindows, Scope, Window},
        gate::Reason,
        journal::Outcome,
        tool::CallOutcome,
    },
};

/// Every metric of the orchestrator. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    threads_begun: Counter<u64>,
    threads_resumed: Counter<u64>,
    threads_finished: Counter<u64>,
    threads_abandoned: Counter<u64>,
    attempts_failed: Counter<u64>,
    channels_held: UpDownCounter<i64>,
    backlog: UpDownCounter<i64>,
    gate_decisions: Counter<u64>,
    tool_calls: Counter<u64>,
    stages: Timed,
    waits: Timed,
    events_ingested: Counter<u64>,
    events_refused: Counter<u64>,
    tasks_unreadable: Counter<u64>,
    messages_read_back: Counter<u64>,
    read_back_waits: Counter<u64>,
    broadcasts_dropped: Counter<u64>,
    interactions: Counter<u64>,
    budget_stops: Counter<u64>,
    spent_tokens: Gauge<u64>,
    spent_micros: Gauge<u64>,
    budget_used: Gauge<u64>,
    summaries: Counter<u64>,
    verdicts: Counter<u64>,
}

/// The parts of a thread's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    Begin,
    Orders,
    Model,
    Tool,
    Answer,
    Finish,
    Whole,
}

impl Stage {
    fn as_word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Begin => "begin",
            Self::Orders => "orders",
            Self::Model => "model",
            Self::Tool => "tool",
            Self::Answer => "answer",
            Self::Finish => "finish",
            Self::Whole => "whole",
        }
    }
}

/// How an interaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InteractionEnd {
    Answered,
    /// Nobody waited any more.
    Expired,
    Refused,
}

impl InteractionEnd {
    pub(crate) fn of(answered: Answered) -> Self {
        match answered {
            Answered::Done | Answered::Before => Self::Answered,
            Answered::Expired => Self::Expired,
            Answered::Refused => Self::Refused,
        }
    }

    fn as_word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }
}

/// Why a thread was left before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Fenced,
    LeaseLost,
    Unavailable,
    Draining,
}

impl Left {
    fn as_word(self) -> &'static str {
        match self {
            Self::Fenced => "fenced",
            Self::LeaseLost => "lease_lost",
            Self::Unavailable => "unavailable",
            Self::Draining => "draining",
        }
    }
}

/// What came of a summary that a model was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SummaryEnd {
    Kept,
    /// One of its messages was edited or deleted meanwhile.
    Void,
    /// No model wrote one.
    Failed,
}

impl SummaryEnd {
    fn as_word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Void => "void",
            Self::Failed => "failed",
        }
    }
}

/// What came of a verdict that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerdictEnd {
    Given,
    /// What the model wrote is none.
    Malformed,
    /// No model answered.
    Failed,
    /// The message was edited or deleted meanwhile.
    Void,
    /// No model may be asked: none is there, a budget is nearly used up, or Ery is paused.
    NotAsked,
}

impl VerdictEnd {
    fn as_word(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Malformed => "malformed",
            Self::Failed => "failed",
            Self::Void => "void",
            Self::NotAsked => "not_asked",
        }
    }
}

/// What waits in one channel, as long as it is held.
pub(crate) struct Backlog {
    gauge: UpDownCounter<i64>,
    count: i64,
}

impl Backlog {
    pub(crate) fn set(&mut self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if count != self.count {
            self.gauge.add(count - self.count, &[]);
            self.count = count;
        }
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Metrics {
    #[expect(clippy::too_many_lines, reason = "a list")]
    pub(crate) fn new() -> Self {
        let meter = global::meter("ery_orchestrator");
        let counter = |name, help| meter.u64_counter(name).with_description(help).build();
        let seconds = |name, help| {
            let bounds = vec![
                0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
                10.0, 30.0, 60.0,
            ];
            timed(&meter, name, help, bounds)
        };
        let metrics = Self {
            threads_begun: counter("ery_orchestrator_threads_begun", "Task threads that began"),
            threads_resumed: counter(
                "ery_orchestrator_threads_resumed",
                "Task threads that were taken over from an earlier holder",
            ),
            threads_finished: counter(
                "ery_orchestrator_threads_finished",
                "Task threads that ended, by outcome",
            ),
            threads_abandoned: counter(
                "ery_orchestrator_threads_abandoned",
                "Channels left before their work was done, by reason; another holder goes on",
            ),
            attempts_failed: counter(
                "ery_orchestrator_attempts_failed",
                "Attempts of task threads that ended with an error of their own",
            ),
            backlog: meter
                .i64_up_down_counter("ery_orchestrator_backlog")
                .with_description("What waits in the channels that are held, or is at work there.")
                .build(),
            channels_held: meter
                .i64_up_down_counter("ery_orchestrator_channels_held")
                .with_description("Channels that this process holds now")
                .build(),
            gate_decisions: counter(
                "ery_orchestrator_gate_decisions",
                "What the gate decided, by decision",
            ),
            tool_calls: counter(
                "ery_orchestrator_tool_calls",
                "Tool calls of task threads, by outcome",
            ),
            stages: seconds(
                "ery_orchestrator_stage_duration_seconds",
                "How long the stages of task threads took",
            ),
            waits: seconds(
                "ery_orchestrator_wait_duration_seconds",
                "How long messages waited between Discord and their task thread",
            ),
            events_ingested: counter(
                "ery_orchestrator_events_handled",
                "Events that a handler is done with, by handler",
            ),
            events_refused: counter(
                "ery_orchestrator_events_refused",
                "Events that could not be read or were refused by the store, by handler",
            ),
            tasks_unreadable: counter(
                "ery_orchestrator_tasks_unreadable",
                "Tasks that were given up because they could not be read",
            ),
            messages_read_back: counter(
                "ery_orchestrator_messages_read_back",
                "Messages that no session told of, read from Discord afterwards",
            ),
            read_back_waits: counter(
                "ery_orchestrator_read_back_waits",
                "Times that a channel waited for what was missed before Discord began a new session",
            ),
            budget_stops: counter(
                "ery_orchestrator_budget_stops",
                "Messages that were not answered because a budget was used up, by whose it was",
            ),
            spent_tokens: meter
                .u64_gauge("ery_orchestrator_installation_tokens")
                .with_description("Tokens that the installation has used, by window")
                .build(),
            spent_micros: meter
                .u64_gauge("ery_orchestrator_installation_cost_micros")
                .with_description("What the installation has spent, in millionths of the currency")
                .build(),
            budget_used: meter
                .u64_gauge("ery_orchestrator_installation_budget_percent")
                .with_description("How much of the installation's budget is used, by window")
                .build(),
            summaries: counter(
                "ery_orchestrator_summaries",
                "Summaries of channels that a model was asked for, by what came of them",
            ),
            verdicts: counter(
                "ery_orchestrator_verdicts",
                "Verdicts on messages that were wanted of a model, by what came of them",
            ),
            interactions: counter(
                "ery_orchestrator_interactions",
                "Commands, presses and forms of people, by how they ended",
            ),
            broadcasts_dropped: counter(
                "ery_orchestrator_broadcasts_dropped",
                "Broadcasts that were dropped because the bus did not keep up",
            ),
        };
        metrics.begin_at_zero();
        metrics
    }

    /// Shows what alerts and dashboards look for before it happens: of a counter that is first seen at
    /// one, Prometheus cannot tell that it rose.
    fn begin_at_zero(&self) {
        for counter in [
            &self.threads_begun,
            &self.threads_resumed,
            &self.attempts_failed,
            &self.tasks_unreadable,
            &self.messages_read_back,
            &self.read_back_waits,
            &self.broadcasts_dropped,
        ] {
            counter.add(0, &[]);
        }
        for left in [Left::Fenced, Left::LeaseLost, Left::Unavailable, Left::Draining] {
            self.threads_abandoned.add(0, &[KeyValue::new("reason", left.as_word())]);
        }
        for scope in [Scope::Member, Scope::Channel, Scope::Server, Scope::Installation] {
            self.budget_stops.add(0, &[KeyValue::new("scope", scope.as_word())]);
        }
        for outcome in [Outcome::Done, Outcome::OutOfBudget, Outcome::Failed, Outcome::TooBusy] {
            self.threads_finished.add(0, &[KeyValue::new("outcome", outcome.as_word())]);
        }
    }

    /// Shows a handler before it is done with anything.
    pub(crate) fn handler_begins(&self, handler: &'static str) {
        let handler = [KeyValue::new("handler", handler)];
        self.events_ingested.add(0, &handler);
        self.events_refused.add(0, &handler);
    }

    pub(crate) fn stopped_by_budget(&self, scope: Scope) {
        self.budget_stops.add(1, &[KeyValue::new("scope", scope.as_word())]);
    }

    pub(crate) fn summary_made(&self, end: SummaryEnd) {
        self.summaries.add(1, &[KeyValue::new("outcome", end.as_word())]);
    }

    pub(crate) fn verdict_ended(&self, end: VerdictEnd) {
        self.verdicts.add(1, &[KeyValue::new("outcome", end.as_word())]);
    }

    pub(crate) fn installation_spent(&self, spent: InWindows) {
        for (window, sum) in [("day", spent.day), ("month", spent.month)] {
            let window = [KeyValue::new("window", window)];
            self.spent_tokens.record(sum.tokens, &window);
            self.spent_micros.record(sum.cost_micros, &window);
        }
    }

    /// Shows how much of a budget of the installation is used, in percent.
    pub(crate) fn installation_used(&self, window: Window, percent: Option<u64>) {
        // Without a budget none of it can be used up.
        let window = [KeyValue::new("window", window.as_word())];
        self.budget_used.record(percent.unwrap_or(0), &window);
    }

    pub(crate) fn thread_begun(&self) {
        self.threads_begun.add(1, &[]);
    }

    pub(crate) fn thread_resumed(&self) {
        self.threads_resumed.add(1, &[]);
    }

    pub(crate) fn thread_finished(&self, outcome: Outcome) {
        self.threads_finished.add(1, &[KeyValue::new("outcome", outcome.as_word())]);
    }

    pub(crate) fn thread_abandoned(&self, left: Left) {
        self.threads_abandoned.add(1, &[KeyValue::new("reason", left.as_word())]);
    }

    pub(crate) fn attempt_failed(&self) {
        self.attempts_failed.add(1, &[]);
    }

    pub(crate) fn channel_taken(&self) {
        self.channels_held.add(1, &[]);
    }

    pub(crate) fn channel_left(&self) {
        self.channels_held.add(-1, &[]);
    }

    /// Begins to count what waits in one channel.
    pub(crate) fn backlog(&self) -> Backlog {
        Backlog { gauge: self.backlog.clone(), count: 0 }
    }

    pub(crate) fn turned_away(&self, reason: Reason) {
        self.gate_decisions.add(1, &[KeyValue::new("decision", reason.as_word())]);
    }

    pub(crate) fn let_through(&self) {
        self.gate_decisions.add(1, &[KeyValue::new("decision", "answer")]);
    }

    pub(crate) fn tool_called(&self, outcome: CallOutcome) {
        self.tool_calls.add(1, &[KeyValue::new("outcome", outcome.as_word())]);
    }

    pub(crate) fn stage(&self, stage: Stage, took: Duration) {
        self.stages.record(took.as_secs_f64(), &[KeyValue::new("stage", stage.as_word())]);
    }

    pub(crate) fn waited(&self, waited: Duration) {
        self.waits.record(waited.as_secs_f64(), &[]);
    }

    pub(crate) fn events_handled(&self, handler: &'static str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.events_ingested.add(count, &[KeyValue::new("handler", handler)]);
    }

    pub(crate) fn event_refused(&self, handler: &'static str) {
        self.events_refused.add(1, &[KeyValue::new("handler", handler)]);
    }

    pub(crate) fn task_unreadable(&self) {
        self.tasks_unreadable.add(1, &[]);
    }

    pub(crate) fn waited_for_read_back(&self) {
        self.read_back_waits.add(1, &[]);
    }

    pub(crate) fn read_back(&self, count: usize) {
        self.messages_read_back.add(u64::try_from(count).unwrap_or(u64::MAX), &[]);
    }

    pub(crate) fn interaction_ended(&self, end: InteractionEnd) {
        self.interactions.add(1, &[KeyValue::new("outcome", end.as_word())]);
    }

    pub(crate) fn broadcast_dropped(&self) {
        self.broadcasts_dropped.add(1, &[]);
    }
}

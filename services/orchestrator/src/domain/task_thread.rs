//! A task thread as a state machine: it takes what came back, and says what is to be done next.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use twilight_model::id::{Id, marker::MessageMarker};

use ery_clock::UnixMillis;
use ery_ids::TriggerId;

use crate::domain::{
    answer::{self, RefusedKey, Sentence},
    journal::{
        Bill, Bounds, Closing, ContextLoaded, EditedTrigger, Entry, Finished, Kind, ModelAsked,
        ModelTurn, Order, OrdersRead, Outcome, Spent, Step, Stop, ToolCall, Usage,
    },
    message::Message,
    texts::Language,
    tool::{CallOutcome, Tier},
    turn::Turn,
};

/// What one thread may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_steps: u32,
    pub(crate) max_tool_calls: u32,
    pub(crate) max_tokens: u64,
    /// For one holder.
    pub(crate) time: Duration,
}

impl From<&ery_community_config::Limits> for Limits {
    fn from(limits: &ery_community_config::Limits) -> Self {
        Self {
            max_steps: limits.steps,
            max_tool_calls: limits.tool_calls,
            max_tokens: limits.tokens,
            time: limits.time.0,
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    /// Context and orders were read.
    Loaded { context: ContextLoaded, orders: Option<OrdersRead> },
    /// The model answered.
    ModelAnswered(ModelTurn),
    /// No provider answered, after all their retries.
    ModelFailed(String),
    /// No provider answered, and keys of the guild's own are why.
    KeysRefused { keys: Vec<RefusedKey>, detail: String },
    /// The call that the last effect asked for ended.
    ToolReturned(ToolReturn),
    /// The answer was sent, or not.
    AnswerReturned { outcome: CallOutcome, reason: String, message: Option<Id<MessageMarker>> },
    /// The deadline passed while something was under way.
    TimeUp,
}

/// How a tool call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolReturn {
    pub(crate) outcome: CallOutcome,
    /// JSON for the model.
    pub(crate) content: String,
    /// Whether it brought in what somebody else may have written.
    pub(crate) taints: bool,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Read context and orders.
    Load,
    /// Ask the model; [`TaskThread::asked`] journals it.
    AskModel,
    /// Make a tool call under this key.
    CallTool(PlannedCall),
    /// Send the thread's one answer.
    Answer(Answer),
    /// Write the outcome.
    Finish(Finished),
}

/// A tool call under the key that makes it unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedCall {
    /// The journal's step that holds the model turn.
    pub(crate) step: u32,
    /// Its place among that turn's calls.
    pub(crate) call: u32,
    pub(crate) tool: String,
    pub(crate) arguments: String,
    /// The approval on which it stands, where it was proposed before.
    pub(crate) approval: Option<String>,
    /// Whether one before it waits for a click: then it is made only if it would wait, too.
    pub(crate) is_ahead: bool,
}

/// What the thread says to its triggers.
///
/// Invariant: its key is always step 0, which no model turn has, and its first message's call 0; so a
/// thread has one answer, whoever holds it and whatever they would say (ONCE-VISIBLE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// None where no message is answered: a planned prompt.
    pub(crate) reply_to: Option<Id<MessageMarker>>,
    /// Every message that it answers.
    pub(crate) covers: Vec<Id<MessageMarker>>,
}

/// A trigger deleted or edited since it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) trigger: TriggerId,
    pub(crate) is_deleted: bool,
    pub(crate) content: String,
    pub(crate) edited_at: UnixMillis,
}

/// A call's record, by which a new holder knows what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executed {
    pub(crate) outcome: CallOutcome,
    pub(crate) content: String,
    pub(crate) tier: Tier,
}

/// What became of an act that waited for a click.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// The approval by which it may be done.
    Approved(String),
    /// Why it is not done.
    Refused(String),
}

/// What became of a thread's calls before, by their place: step and call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) executed: HashMap<(u32, u32), Executed>,
    /// Those that were done after a click.
    pub(crate) approved: HashMap<(u32, u32), Executed>,
    pub(crate) rulings: HashMap<(u32, u32), Ruling>,
    /// Whether its answer was shown while it was written.
    pub(crate) has_grown: bool,
}

/// A model turn and what its calls brought.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelStep {
    /// The journal's step that holds it.
    pub(crate) step: u32,
    pub(crate) turn: ModelTurn,
    /// One for each call that has ended, in order.
    pub(crate) results: Vec<ToolReturn>,
}

/// A sentence by code for the model, behind so many model turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) after_steps: usize,
    pub(crate) text: String,
}

/// Why a journal cannot be gone on with.
#[derive(Debug, thiserror::Error)]
#[error("step {index} of the journal is a {kind:?} out of its order")]
pub(crate) struct ReplayError {
    pub(crate) index: u32,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Fresh,
    Asking,
    Calling,
    Answering(Answering),
    Finished(Finished),
}

#[derive(Clone, Debug, PartialEq)]
struct Answering {
    closing: Closing,
    /// Whether the journal tells of it already. A model's own words stand there as its turn.
    is_noted: bool,
}

#[derive(Clone, Debug)]
struct Live {
    trigger: TriggerId,
    message: Message,
    is_deleted: bool,
    /// The edit whose text counts.
    counts_since: Option<UnixMillis>,
    /// Whether that text has yet to be learnt: the journal holds no texts.
    lacks_text: bool,
    /// The newest edit that the model was told of.
    told_of: Option<UnixMillis>,
}

/// One task thread.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and none excludes another"
)]
pub(crate) struct TaskThread {
    messages: Vec<Live>,
    limits: Limits,
    /// In which code says what no model says.
    language: Language,
    deadline: UnixMillis,
    phase: Phase,
    /// Not journaled yet.
    journal: Vec<Step>,
    next_index: u32,
    /// While a journal is replayed, nothing is noted anew.
    is_replaying: bool,
    steps: Vec<ModelStep>,
    notes: Vec<Note>,
    orders: Option<OrdersRead>,
    offered: Vec<String>,
    is_tainted: bool,
    usage: Usage,
    tool_calls: u32,
    /// The calls of the last turn that wait for a click.
    waiting: BTreeSet<usize>,
    /// What those brought that were clicked before one in front of them.
    early: BTreeMap<usize, ToolReturn>,
    /// The calls behind them whose turn has not come.
    deferred: BTreeSet<usize>,
    rulings: HashMap<(u32, u32), Ruling>,
    /// What was spent, and stands in no step yet.
    bill: Bill,
    /// Whether the journal's last word is that the model is asked.
    is_in_flight: bool,
    /// Whether an earlier holder showed the answer while it was written.
    has_grown: bool,
}

impl TaskThread {
    /// Makes a thread that has done nothing yet.
    pub(crate) fn new(turn: &Turn, limits: Limits, language: Language, now: UnixMillis) -> Self {
        let live = |message: &crate::domain::turn::TurnMessage| Live {
            trigger: message.trigger.clone(),
            message: message.message.clone(),
            is_deleted: false,
            counts_since: message.message.edited_at,
            lacks_text: false,
            told_of: None,
        };
        Self {
            messages: turn.messages.iter().map(live).collect(),
            limits,
            language,
            deadline: now + limits.time,
            phase: Phase::Fresh,
            journal: Vec::new(),
            next_index: 0,
            is_replaying: false,
            steps: Vec::new(),
            notes: Vec::new(),
            orders: None,
            offered: Vec::new(),
            is_tainted: false,
            usage: Usage::default(),
            tool_calls: 0,
            waiting: BTreeSet::new(),
            early: BTreeMap::new(),
            deferred: BTreeSet::new(),
            rulings: HashMap::new(),
            bill: Bill::default(),
            is_in_flight: false,
            has_grown: false,
        }
    }

    /// Makes a thread whose journal has so many steps already, only to be closed.
    pub(crate) fn at_step(
        turn: &Turn,
        limits: Limits,
        language: Language,
        now: UnixMillis,
        steps: u32,
    ) -> Self {
        Self { next_index: steps, ..Self::new(turn, limits, language, now) }
    }

    /// Makes a thread that goes on where its journal and its executions end.
    ///
    /// A journaled model turn is never asked again, and a closed execution never repeated. What was
    /// under way is begun again, under the same key.
    ///
    /// # Errors
    ///
    /// If the steps could not have been written in that order.
    pub(crate) fn resume(
        turn: &Turn,
        limits: Limits,
        language: Language,
        now: UnixMillis,
        steps: Vec<Step>,
        past: &Past,
    ) -> Result<Self, ReplayError> {
        let mut thread = Self::new(turn, limits, language, now);
        thread.rulings.clone_from(&past.rulings);
        thread.has_grown = past.has_grown;
        thread.is_replaying = true;
        for step in steps {
            thread.replay(step, past, now)?;
        }
        thread.is_replaying = false;
        // The model was asked, and the process that asked is lost: nobody knows what that cost.
        thread.bill.lost_turns = u32::from(thread.is_in_flight);
        Ok(thread)
    }

    fn replay(&mut self, step: Step, past: &Past, now: UnixMillis) -> Result<(), ReplayError> {
        let Step { index, entry, .. } = step;
        let refused = ReplayError { index, kind: entry.kind() };
        self.is_in_flight = self.is_in_flight_after(entry.kind());
        if index < self.next_index {
            return Err(refused);
        }
        match (entry, &self.phase) {
            (Entry::ContextLoaded(context), Phase::Fresh) => {
                self.expect_edits(&context.edited);
                self.loaded(&context, None, now);
            }
            (Entry::OrdersRead(orders), Phase::Asking) if self.steps.is_empty() => {
                self.orders = Some(orders);
            }
            (Entry::ModelAsked(asked), Phase::Asking) => self.offered = asked.offered,
            (Entry::ModelAnswered(turn), Phase::Asking) => {
                let mut effect = self.model_answered(index, turn, now);
                while let Effect::CallTool(planned) = effect {
                    let PlannedCall { step, call, approval, is_ahead, .. } = planned;
                    let done = if approval.is_some() { &past.approved } else { &past.executed };
                    let returned = match done.get(&(step, call)).cloned() {
                        Some(Executed { outcome, content, tier }) => {
                            ToolReturn { outcome, content, taints: tier == Tier::Read }
                        }
                        // What was done behind it is known all the same.
                        None if is_ahead => ToolReturn {
                            outcome: CallOutcome::Later,
                            content: String::new(),
                            taints: false,
                        },
                        None => break,
                    };
                    effect = self.tool_returned(returned, now);
                }
                // Whether their turn has come is found out anew.
                if !self.deferred.is_empty() {
                    self.deferred.clear();
                    self.phase = Phase::Calling;
                }
            }
            (Entry::Closing(closing), phase) if !matches!(phase, Phase::Finished(_)) => {
                self.phase = Phase::Answering(Answering { closing, is_noted: true });
            }
            // It has gone on since, or is about to.
            (Entry::Finished(finished), _) if finished.outcome == Outcome::Suspended => {}
            (Entry::Finished(finished), _) => self.phase = Phase::Finished(finished),
            (Entry::Spent, _) => {}
            _ => return Err(refused),
        }
        self.next_index = index + 1;
        Ok(())
    }

    /// Returns whether the model is asked behind a step of this kind, and nothing tells yet what became
    /// of it.
    fn is_in_flight_after(&self, kind: Kind) -> bool {
        match kind {
            Kind::ModelAsked => true,
            Kind::ModelAnswered | Kind::ExecutionOpened | Kind::Finished | Kind::Spent => false,
            Kind::ContextLoaded | Kind::OrdersRead => self.is_in_flight,
        }
    }

    /// Returns what is to be done first.
    pub(crate) fn start(&mut self, now: UnixMillis) -> Effect {
        match self.phase.clone() {
            Phase::Fresh => Effect::Load,
            Phase::Asking => self.ask_model(now),
            Phase::Calling => self.next_call(now),
            Phase::Answering(answering) => self.answer(answering, now),
            Phase::Finished(finished) => Effect::Finish(finished),
        }
    }

    /// Takes what came back, and returns what is to be done next; does none of it itself.
    ///
    /// The caller journals [`Self::take_journal`] before it carries the effect out, so that a new
    /// holder can go on.
    pub(crate) fn step(&mut self, input: Input, now: UnixMillis) -> Effect {
        match (input, &self.phase) {
            (Input::Loaded { context, orders }, Phase::Fresh) => {
                self.note(Entry::ContextLoaded(context.clone()), now);
                if let Some(orders) = &orders {
                    self.note(Entry::OrdersRead(orders.clone()), now);
                }
                self.loaded(&context, orders, now)
            }
            (Input::ModelAnswered(turn), Phase::Asking) => {
                let index = self.note(Entry::ModelAnswered(turn.clone()), now);
                self.model_answered(index, turn, now)
            }
            (Input::ModelFailed(detail), Phase::Asking) => {
                self.close_with(Sentence::NoModel, Outcome::Failed, detail, now)
            }
            (Input::KeysRefused { keys, detail }, Phase::Asking) => {
                let text = answer::keys_refused(self.language, &keys);
                self.close(&text, Outcome::Failed, detail, now)
            }
            (Input::ToolReturned(result), Phase::Calling) => self.tool_returned(result, now),
            (Input::TimeUp, Phase::Fresh | Phase::Asking | Phase::Calling) => self.out_of_time(now),
            (Input::AnswerReturned { outcome, reason, message }, Phase::Answering(answering)) => {
                let closing = answering.closing.clone();
                self.finish(finished_by(closing, outcome, &reason, message))
            }
            // What comes back for a phase that is over changes nothing: the phase says what is next.
            _ => self.start(now),
        }
    }

    /// Takes in that triggers were deleted or edited, and returns what is to be done instead, if
    /// anything else than what is under way.
    pub(crate) fn changed(&mut self, changes: &[Change], now: UnixMillis) -> Option<Effect> {
        if matches!(self.phase, Phase::Finished(_)) {
            return None;
        }
        let mut is_one_gone = false;
        for change in changes {
            let after_steps = self.steps.len();
            let is_fresh = self.phase == Phase::Fresh;
            let Some(live) = self.messages.iter_mut().find(|live| live.trigger == change.trigger)
            else {
                continue;
            };
            if change.is_deleted {
                is_one_gone |= !live.is_deleted;
                live.is_deleted = true;
            } else if live.edit(change, is_fresh) {
                let text = format!(
                    "Message {} was edited after you began to work on it. The text that you were \
                     given counts.",
                    live.message.id
                );
                self.notes.push(Note { after_steps, text });
            }
        }
        if !is_one_gone {
            return None;
        }
        if self.messages.iter().all(|live| live.is_deleted) {
            return Some(self.finish(Finished {
                outcome: Outcome::Cancelled,
                detail: "every message that it answers was deleted".to_owned(),
                answer: None,
            }));
        }
        match self.phase.clone() {
            Phase::Asking => Some(self.ask_model(now)),
            Phase::Answering(answering) => Some(self.answer(answering, now)),
            Phase::Fresh | Phase::Calling | Phase::Finished(_) => None,
        }
    }

    /// Journals that the model is asked.
    pub(crate) fn asked(&mut self, asked: ModelAsked, now: UnixMillis) {
        self.offered.clone_from(&asked.offered);
        self.note(Entry::ModelAsked(asked), now);
    }

    /// Notes what was spent without an answer that is gone on with; the next step tells of it.
    pub(crate) fn spent(&mut self, spent: impl IntoIterator<Item = Spent>) {
        self.bill.spent.extend(spent);
    }

    /// Notes model turns of which nobody knows what they cost.
    pub(crate) fn lost(&mut self, turns: u32) {
        self.bill.lost_turns = self.bill.lost_turns.saturating_add(turns);
    }

    /// Returns the steps that are to be journaled where the thread is left before its end: those that
    /// are ready, and one that tells what else was spent, so that it counts whoever goes on.
    pub(crate) fn leave(&mut self, now: UnixMillis) -> Vec<Step> {
        if self.is_in_flight || !self.bill.is_empty() {
            self.note(Entry::Spent, now);
        }
        self.take_journal()
    }

    /// Ends the thread by code: `text` is said, and `outcome` written.
    pub(crate) fn close(
        &mut self,
        text: &str,
        outcome: Outcome,
        detail: String,
        now: UnixMillis,
    ) -> Effect {
        let closing = Closing { text: text.to_owned(), outcome, detail };
        self.answer(Answering { closing, is_noted: false }, now)
    }

    /// Ends the thread because Ery is paused; one that waits for clicks goes on waiting, so that its
    /// buttons still mean what they say once she goes on. Whoever had it planned hears of it.
    pub(crate) fn pause(&mut self, detail: &str, now: UnixMillis) -> Effect {
        if self.phase == Phase::Calling && !self.waiting.is_empty() {
            return self.suspend();
        }
        if self.is_planned() {
            return match self.phase.clone() {
                // It is what is said already.
                Phase::Answering(said) if said.closing.outcome == Outcome::Cancelled => {
                    self.answer(said, now)
                }
                _ => {
                    let detail = detail.to_owned();
                    self.close_with(Sentence::Paused, Outcome::Cancelled, detail, now)
                }
            };
        }
        let (outcome, detail) = (Outcome::Cancelled, detail.to_owned());
        self.finish(Finished { outcome, detail, answer: None })
    }

    /// Returns the journal's last step.
    pub(crate) fn last_step(&mut self, finished: Finished, now: UnixMillis) -> Step {
        let index = self.next_index;
        self.next_index += 1;
        Step { index, entry: Entry::Finished(finished), at: now, bill: self.take_bill() }
    }

    /// Returns the steps that are to be journaled before the next effect.
    pub(crate) fn take_journal(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.journal)
    }

    pub(crate) fn has_journal(&self) -> bool {
        !self.journal.is_empty()
    }

    /// Returns how many steps there are.
    pub(crate) fn step_count(&self) -> u32 {
        self.next_index
    }

    pub(crate) fn deadline(&self) -> UnixMillis {
        self.deadline
    }

    /// Returns the messages that are to be answered, without those deleted meanwhile.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|live| !live.is_deleted).map(|live| &live.message)
    }

    /// Returns the trigger on which calls are made: the last that still stands.
    pub(crate) fn trigger(&self) -> Option<&TriggerId> {
        self.messages.iter().rev().find(|live| !live.is_deleted).map(|live| &live.trigger)
    }

    /// Returns whether it answers a planned prompt, and no message.
    pub(crate) fn is_planned(&self) -> bool {
        self.messages.iter().any(|live| live.trigger.message().is_none())
    }

    /// Returns whether `message` was deleted since it was sent.
    pub(crate) fn is_deleted(&self, message: Id<MessageMarker>) -> bool {
        self.messages.iter().any(|live| live.is_deleted && live.message.id == message)
    }

    /// Returns the edits whose text counts, for the journal.
    pub(crate) fn edits(&self) -> Vec<EditedTrigger> {
        let edit = |live: &Live| {
            let edited_at = live.counts_since?;
            Some(EditedTrigger { trigger: live.trigger.clone(), edited_at })
        };
        self.messages.iter().filter_map(edit).collect()
    }

    pub(crate) fn steps(&self) -> &[ModelStep] {
        &self.steps
    }

    pub(crate) fn notes(&self) -> &[Note] {
        &self.notes
    }

    pub(crate) fn orders(&self) -> &[Order] {
        self.orders.as_ref().map_or(&[], |read| &read.orders)
    }

    /// Returns why orders of the triggers cannot be carried out.
    pub(crate) fn order_problems(&self) -> &[String] {
        self.orders.as_ref().map_or(&[], |read| &read.problems)
    }

    pub(crate) fn offered(&self) -> &[String] {
        &self.offered
    }

    pub(crate) fn is_tainted(&self) -> bool {
        self.is_tainted
    }

    /// Returns whether what is answered are the model's words, and it had to stop within them.
    pub(crate) fn is_answer_cut(&self) -> bool {
        let Phase::Answering(answering) = &self.phase else { return false };
        answering.closing.outcome == Outcome::Done
            && self.steps.last().is_some_and(|step| step.turn.stop == Stop::Length)
    }

    /// Returns whether what is answered are the model's own words.
    pub(crate) fn answers_itself(&self) -> bool {
        matches!(&self.phase, Phase::Answering(it) if it.closing.outcome == Outcome::Done)
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    /// Returns whether the context has been read in an earlier or in this holding.
    pub(crate) fn is_fresh(&self) -> bool {
        self.phase == Phase::Fresh
    }

    /// Returns the name of the model that answered last.
    pub(crate) fn model(&self) -> String {
        self.steps
            .last()
            .map_or_else(String::new, |step| format!("{}/{}", step.turn.provider, step.turn.model))
    }

    /// Returns whether an earlier holder showed the answer while it was written.
    pub(crate) fn has_grown(&self) -> bool {
        self.has_grown
    }

    /// Returns what it may use, for its journal.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            steps: self.limits.max_steps,
            tool_calls: self.limits.max_tool_calls,
            tokens: self.limits.max_tokens,
        }
    }

    /// Returns the version of the prompt that the model answered last.
    pub(crate) fn prompt_version(&self) -> &str {
        self.steps.last().map_or("", |step| &step.turn.prompt_version)
    }

    fn note(&mut self, entry: Entry, at: UnixMillis) -> u32 {
        let index = self.next_index;
        if self.is_replaying {
            return index;
        }
        self.next_index += 1;
        if let Entry::ModelAnswered(turn) = &entry {
            self.bill.spent.extend(turn.spent.iter().cloned());
        }
        self.is_in_flight = self.is_in_flight_after(entry.kind());
        let bill = self.take_bill();
        self.journal.push(Step { index, entry, at, bill });
        index
    }

    /// Returns what was spent and is to be counted with the next step.
    fn take_bill(&mut self) -> Bill {
        let bill = std::mem::take(&mut self.bill);
        if bill.is_empty() {
            return bill;
        }
        // Whoever deleted their message since has had it worked on all the same.
        let mut spenders = Vec::new();
        for live in self.messages.iter().rev() {
            if !spenders.contains(&live.message.author) {
                spenders.push(live.message.author);
            }
        }
        Bill { spenders, ..bill }
    }

    fn expect_edits(&mut self, edited: &[EditedTrigger]) {
        for edit in edited {
            if let Some(live) = self.messages.iter_mut().find(|live| live.trigger == edit.trigger) {
                live.lacks_text = live.counts_since != Some(edit.edited_at);
                live.counts_since = Some(edit.edited_at);
            }
        }
    }

    fn loaded(
        &mut self,
        context: &ContextLoaded,
        orders: Option<OrdersRead>,
        now: UnixMillis,
    ) -> Effect {
        self.is_tainted |= context.is_tainted;
        if let Some(bounds) = context.bounds {
            self.limits.max_steps = bounds.steps;
            self.limits.max_tool_calls = bounds.tool_calls;
            self.limits.max_tokens = bounds.tokens;
        }
        self.orders = orders;
        self.ask_model(now)
    }

    fn ask_model(&mut self, now: UnixMillis) -> Effect {
        let steps = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        if steps >= self.limits.max_steps {
            return self.out_of_budget(Sentence::OutOfSteps, "model turns", now);
        }
        if self.usage.total() >= self.limits.max_tokens {
            return self.out_of_budget(Sentence::OutOfTokens, "tokens", now);
        }
        if now >= self.deadline {
            return self.out_of_time(now);
        }
        self.phase = Phase::Asking;
        Effect::AskModel
    }

    fn model_answered(&mut self, index: u32, turn: ModelTurn, now: UnixMillis) -> Effect {
        self.usage.add(turn.usage);
        if !turn.tool_calls.is_empty() {
            let calls = u32::try_from(turn.tool_calls.len()).unwrap_or(u32::MAX);
            let wanted = self.tool_calls.saturating_add(calls);
            if wanted > self.limits.max_tool_calls {
                return self.out_of_budget(Sentence::OutOfToolCalls, "tool calls", now);
            }
            self.tool_calls = wanted;
            self.steps.push(ModelStep { step: index, turn, results: Vec::new() });
            self.waiting.clear();
            self.early.clear();
            self.deferred.clear();
            self.phase = Phase::Calling;
            return self.next_call(now);
        }
        let has_text = !turn.text.trim().is_empty();
        let (text, stop) = (turn.text.clone(), turn.stop);
        self.steps.push(ModelStep { step: index, turn, results: Vec::new() });
        let text = match stop {
            _ if has_text => text,
            Stop::Refused => Sentence::Refused.said(self.language),
            Stop::Done => {
                return self.finish(Finished {
                    outcome: Outcome::Done,
                    detail: SILENCE.to_owned(),
                    answer: None,
                });
            }
            Stop::Length | Stop::ToolCalls => {
                let detail = "the model stopped before its first word".to_owned();
                return self.close_with(Sentence::NoModel, Outcome::Failed, detail, now);
            }
        };
        let closing = Closing { text, outcome: Outcome::Done, detail: String::new() };
        self.answer(Answering { closing, is_noted: true }, now)
    }

    /// Returns the call of the last turn that is to be made now: those that wait for a click keep
    /// none behind them from being shown, too, or from being done where it was ordered or is clicked.
    fn current(&self) -> Option<usize> {
        let step = self.steps.last()?;
        (step.results.len()..step.turn.tool_calls.len()).find(|call| {
            !self.waiting.contains(call)
                && !self.early.contains_key(call)
                && !self.deferred.contains(call)
        })
    }

    fn next_call(&mut self, now: UnixMillis) -> Effect {
        let is_ahead = !self.waiting.is_empty();
        if now >= self.deadline {
            return self.out_of_time(now);
        }
        let current = self.current();
        let Some((index, step)) = current.zip(self.steps.last()) else {
            return if is_ahead { self.suspend() } else { self.ask_model(now) };
        };
        let ToolCall { tool, arguments, .. } = &step.turn.tool_calls[index];
        let planned = PlannedCall {
            step: step.step,
            call: u32::try_from(index).unwrap_or(u32::MAX),
            tool: tool.clone(),
            arguments: arguments.clone(),
            approval: None,
            is_ahead,
        };
        match self.rulings.get(&(planned.step, planned.call)).cloned() {
            None if self.waiting.len() >= MOST_TOGETHER => self.suspend(),
            None => Effect::CallTool(planned),
            Some(Ruling::Approved(approval)) => Effect::CallTool(PlannedCall {
                approval: Some(approval),
                is_ahead: false,
                ..planned
            }),
            Some(Ruling::Refused(reason)) => {
                let content = serde_json::json!({
                    "ok": false, "error": "not_approved", "reason": reason,
                });
                let outcome = CallOutcome::Denied;
                let content = content.to_string();
                self.tool_returned(ToolReturn { outcome, content, taints: false }, now)
            }
        }
    }

    fn tool_returned(&mut self, result: ToolReturn, now: UnixMillis) -> Effect {
        let Some(index) = self.current() else { return self.next_call(now) };
        match result.outcome {
            CallOutcome::NeedsApproval => {
                self.waiting.insert(index);
                return self.next_call(now);
            }
            // It has its turn once those before it are decided.
            CallOutcome::Later => {
                self.deferred.insert(index);
                return self.next_call(now);
            }
            CallOutcome::Done
            | CallOutcome::Denied
            | CallOutcome::Failed
            | CallOutcome::InDoubt => {}
        }
        self.is_tainted |= result.taints;
        self.early.insert(index, result);
        if let Some(step) = self.steps.last_mut() {
            while let Some(result) = self.early.remove(&step.results.len()) {
                step.results.push(result);
            }
        }
        self.next_call(now)
    }

    /// Lets the channel go on meanwhile; a click begins the thread again.
    fn suspend(&mut self) -> Effect {
        self.finish(Finished {
            outcome: Outcome::Suspended,
            detail: "waits for an approval".to_owned(),
            answer: None,
        })
    }

    fn out_of_time(&mut self, now: UnixMillis) -> Effect {
        if !self.waiting.is_empty() {
            // What is shown can be clicked still.
            return self.suspend();
        }
        self.out_of_budget(Sentence::OutOfTime, "time", now)
    }

    fn out_of_budget(&mut self, sentence: Sentence, budget: &str, now: UnixMillis) -> Effect {
        let detail = format!("the budget of {budget} ended");
        self.close_with(sentence, Outcome::OutOfBudget, detail, now)
    }

    fn close_with(
        &mut self,
        sentence: Sentence,
        outcome: Outcome,
        detail: String,
        now: UnixMillis,
    ) -> Effect {
        self.close(&sentence.said(self.language), outcome, detail, now)
    }

    fn answer(&mut self, mut answering: Answering, now: UnixMillis) -> Effect {
        if !answering.is_noted && !self.is_replaying {
            self.note(Entry::Closing(answering.closing.clone()), now);
            answering.is_noted = true;
        }
        let (raw, outcome) = (answering.closing.text.clone(), answering.closing.outcome);
        self.phase = Phase::Answering(answering);
        let channel = self.messages[0].message.channel;
        if self.is_planned() {
            let planner = self.messages[0].message.author;
            let raw = match outcome {
                Outcome::Done => raw,
                _ => answer::of_prompt(self.language, planner, &raw),
            };
            let text = answer::compose(self.language, &raw, channel, &[]);
            return Effect::Answer(Answer { text, reply_to: None, covers: Vec::new() });
        }
        let mut covers: Vec<_> = self.messages().map(|message| message.id).collect();
        let Some(reply_to) = covers.pop() else {
            return self.finish(Finished {
                outcome: Outcome::Cancelled,
                detail: "every message that it answers was deleted".to_owned(),
                answer: None,
            });
        };
        let text = answer::compose(self.language, &raw, channel, &covers);
        covers.push(reply_to);
        Effect::Answer(Answer { text, reply_to: Some(reply_to), covers })
    }

    fn finish(&mut self, finished: Finished) -> Effect {
        self.phase = Phase::Finished(finished.clone());
        Effect::Finish(finished)
    }
}

/// How many calls of one turn wait for clicks at once: more would bury what people talk about.
const MOST_TOGETHER: usize = 10;

/// The detail of a thread that said nothing because the model chose so.
pub(crate) const SILENCE: &str = "the model chose silence";

fn finished_by(
    closing: Closing,
    outcome: CallOutcome,
    reason: &str,
    message: Option<Id<MessageMarker>>,
) -> Finished {
    let Closing { outcome: planned, detail, .. } = closing;
    match outcome {
        CallOutcome::Done => Finished { outcome: planned, detail, answer: message },
        // Perhaps nobody saw it, so it must stand where an operator looks (NOTHING-LOST).
        CallOutcome::InDoubt => {
            let outcome = if planned == Outcome::Done { Outcome::Failed } else { planned };
            let doubt = "nothing could tell whether the answer was sent";
            Finished { outcome, detail: joined(&detail, doubt), answer: message }
        }
        CallOutcome::Denied
        | CallOutcome::Failed
        | CallOutcome::NeedsApproval
        | CallOutcome::Later => {
            let outcome = if planned == Outcome::Done { Outcome::Failed } else { planned };
            let unsent = format!("the answer was not sent: {reason}");
            Finished { outcome, detail: joined(&detail, &unsent), answer: None }
        }
    }
}

fn joined(detail: &str, more: &str) -> String {
    if detail.is_empty() { more.to_owned() } else { format!("{detail}; {more}") }
}

impl Live {
    /// Takes an edit in, and returns whether the model is to be told of it.
    fn edit(&mut self, change: &Change, is_fresh: bool) -> bool {
        let counted = self.counts_since.unwrap_or(UnixMillis(i64::MIN));
        if change.edited_at < counted {
            return false;
        }
        if is_fresh || self.lacks_text {
            self.message.content.clone_from(&change.content);
            self.message.edited_at = Some(change.edited_at);
            self.lacks_text = false;
        }
        if is_fresh {
            self.counts_since = Some(change.edited_at);
            return false;
        }
        let is_news = change.edited_at > counted && self.told_of < Some(change.edited_at);
        if is_news {
            self.told_of = Some(change.edited_at);
        }
        is_news
    }
}

#[cfg(test)]
mod tests;

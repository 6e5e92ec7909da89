//! One channel held: what waits is read in order, answered turn by turn, and given back.

mod mcp;

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures::FutureExt;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
#[cfg(feature = "mutants")]
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use ery_channel_queue::{BoxLease, QueueError, Released, Task, Waiting};
use ery_clock::UnixMillis;
use ery_community_config::Effective;
use ery_ids::{ChannelKey, Epoch, Fence, TaskThreadId, TriggerId};
use ery_proto::store::v1::ScheduledAction;

use crate::{
    adapters::{
        ai::Bot,
        calls::Pauses,
        convert,
        store::{Ending, OpenChannel, Opened, Unfinished},
    },
    domain::{
        answer::{self, Sentence},
        budgets::{Judged, Spending},
        channel::ChannelState,
        community, discord,
        gate::{self, Call, GateRules, Reason},
        journal::{Finished, Outcome, Usage},
        message::Message,
        people::{People, Person, Rights},
        planned::{self, Prompt},
        progress::{Progress, ProgressKind},
        task_thread::{Change, TaskThread},
        texts::{Language, refusals::Refusal},
        tool::CallOutcome,
        turn::{self, Situation, Turn, TurnMessage},
    },
    error::{CallError, ThreadError, with_causes},
    handlers::{
        holder::Holder,
        thread_run::{Ended, Run},
        traced, turned_away,
        wakeups::{self, Read},
    },
    metrics::{Backlog, Left, Stage},
};

/// How many tasks are read from the queue at a time.
const READ_AT_ONCE: usize = 64;

/// For how many tasks the channel is opened at a time: the store takes a thousand.
const OPENED_AT_ONCE: usize = 1_000;

/// How many messages one thread turns down.
const TURNED_DOWN_AT_ONCE: usize = 200;

/// Of how many of the first that wait the authors' rights are looked up for the next turn.
const LOOKED_AT: usize = 64;

/// How often a higher epoch is asked for where the store has seen a higher one still.
const RAISES: u32 = 5;

/// How long people's rights are taken for granted within one holding. Every tool call is judged
/// anew by the tool-service; here they only tell who shares a turn.
const PEOPLE_KNOWN: std::time::Duration = std::time::Duration::from_secs(30);

/// How long after a "too busy" the next one in the same channel is said in silence only.
const TOO_BUSY_SAID: std::time::Duration = std::time::Duration::from_mins(1);

/// What is said of an act that was planned for no server.
const NO_GUILD: &str = "a planned act belongs to no server";

/// How often in a row a channel may be kept for something that is then not there.
const FALSE_ALARMS: u32 = 5;

/// Something that waits, as this holding knows it.
struct Standing {
    waiting: Waiting,
    read: Read,
    /// Whether the store has told how it stands.
    is_open: bool,
}

impl Standing {
    /// Where it stands among what waits: messages stand in the order in which Discord made them,
    /// not in that of their coming. What was missed comes late.
    fn place(&self) -> u64 {
        let task = &self.waiting.task;
        task.trigger.message().map_or_else(|| discord::first_id_at(task.received_at), Id::get)
    }
}

struct Holding<'a> {
    holder: &'a Holder,
    fence: Fence,
    bot: Id<UserMarker>,
    backlog: Vec<Standing>,
    /// Counts it.
    counted: Backlog,
    /// What the wake-up read already, so that it is not read twice.
    known: Option<(TriggerId, Read)>,
    state: ChannelState,
    /// What holds in the channel, as of the last thing that was done.
    config: Arc<Effective>,
    people: People,
    /// What was spent here, as far as it is known.
    spending: Spending,
    people_since: Instant,
    /// Attempts of turns whose thread the store does not know, since it could not even begin; by
    /// the first trigger.
    attempts: HashMap<TriggerId, u32>,
    too_busy_said: Option<Instant>,
    has_read_any: bool,
    /// Sessions that nothing waits for any more: what was missed before them was read from the queue, or
    /// was not read back in time.
    caught_up: HashSet<String>,
}

/// How a holding stands when it stops working.
enum Stopped {
    /// Nothing that was read is left.
    Idle,
    LeaseLost,
    Left(ThreadError),
}

/// Holds a channel until nothing waits, the lease is lost, or this process drains.
pub(crate) async fn hold(holder: &Holder, lease: BoxLease, known: (TriggerId, Read)) {
    holder.metrics.channel_taken();
    hold_until_free(holder, lease, known).await;
    holder.metrics.channel_left();
}

async fn hold_until_free(holder: &Holder, mut lease: BoxLease, known: (TriggerId, Read)) {
    let fence = lease.fence();
    let channel = fence.channel;
    let mut holding = Holding::new(holder, fence, known);
    let mut false_alarms = 0;
    loop {
        let lost = lease.lost();
        #[cfg(feature = "mutants")]
        let lost = if crate::mutants::is_on("lease") { CancellationToken::new() } else { lost };
        holding.has_read_any = false;
        let stopped = tokio::select! {
            biased;
            // Nothing is written from here on: whoever has the channel now goes on.
            () = lost.cancelled() => Stopped::LeaseLost,
            result = holding.work(&mut lease) => match result {
                Ok(()) => Stopped::Idle,
                Err(error) => Stopped::Left(error),
            },
        };
        match stopped {
            Stopped::Idle => match lease.release().await {
                Ok(Released::Free) => return,
                Ok(Released::More(kept)) => lease = kept,
                Err(error) => {
                    tracing::debug!(%error, channel.id = %channel.channel,
                        "a channel was left to its lease's end");
                    return;
                }
            },
            Stopped::LeaseLost => {
                holder.metrics.thread_abandoned(Left::LeaseLost);
                tracing::info!(channel.id = %channel.channel, "the lease of a channel was lost");
                return;
            }
            Stopped::Left(error) => return leave(holder, lease, error).await,
        }
        false_alarms = if holding.has_read_any { 0 } else { false_alarms + 1 };
        if holder.draining.is_cancelled() || false_alarms >= FALSE_ALARMS {
            return hand_over(lease).await;
        }
    }
}

async fn leave(holder: &Holder, lease: BoxLease, error: ThreadError) {
    let channel = lease.fence().channel;
    match error {
        ThreadError::Draining => {
            holder.metrics.thread_abandoned(Left::Draining);
            hand_over(lease).await;
        }
        ThreadError::Fenced => {
            holder.metrics.thread_abandoned(Left::Fenced);
            tracing::info!(channel.id = %channel.channel, "a channel has moved on to another holder");
        }
        // The lease is left to expire: what waits comes again, and with it another try.
        ThreadError::Unavailable(cause) if holder.draining.is_cancelled() => {
            tracing::debug!(error = with_causes(&*cause), "left while draining");
            holder.metrics.thread_abandoned(Left::Draining);
            hand_over(lease).await;
        }
        ThreadError::Unavailable(cause) => {
            holder.metrics.thread_abandoned(Left::Unavailable);
            tracing::warn!(error = with_causes(&*cause), channel.id = %channel.channel,
                "a channel is left to redelivery");
        }
        ThreadError::Own(cause) => {
            holder.metrics.thread_abandoned(Left::Unavailable);
            tracing::error!(error = with_causes(&*cause), channel.id = %channel.channel,
                "a channel's work could not be recorded; it comes again");
        }
    }
}

async fn hand_over(lease: BoxLease) {
    let channel = lease.fence().channel;
    if let Err(error) = lease.hand_over().await {
        tracing::debug!(%error, channel.id = %channel.channel,
            "a channel was left to its lease's end");
    }
}

impl<'a> Holding<'a> {
    fn new(holder: &'a Holder, fence: Fence, known: (TriggerId, Read)) -> Self {
        Self {
            holder,
            fence,
            // Every task names her; this stands until the first is read.
            bot: Id::new(1),
            backlog: Vec::new(),
            counted: holder.metrics.backlog(),
            known: Some(known),
            state: ChannelState::default(),
            // It is asked for before anything is judged by it.
            config: Arc::default(),
            people: People::default(),
            spending: Spending::default(),
            people_since: Instant::now(),
            attempts: HashMap::new(),
            too_busy_said: None,
            has_read_any: false,
            caught_up: HashSet::new(),
        }
    }

    /// Works until nothing that was read is left.
    async fn work(&mut self, lease: &mut BoxLease) -> Result<(), ThreadError> {
        self.fence = lease.fence();
        loop {
            self.config = self.holder.config(self.fence.channel, None).await?;
            self.read(lease).await?;
            if self.backlog.is_empty() {
                return Ok(());
            }
            if self.holder.draining.is_cancelled() {
                return Err(ThreadError::Draining);
            }
            self.next(lease).await?;
            if self.backlog.is_empty() {
                // Whatever came meanwhile, the release tells.
                return Ok(());
            }
        }
    }

    /// Does the next thing that is to be done.
    async fn next(&mut self, lease: &mut BoxLease) -> Result<(), ThreadError> {
        let closed = self.backlog.iter().filter(|entry| !entry.is_open);
        let span = traced::open(&self.fence, closed.map(|entry| &entry.waiting.task));
        if let Some(unfinished) = self.open(lease).instrument(span).await? {
            let span = self.span(&unfinished.triggers);
            return self.resume(lease, unfinished).instrument(span).await;
        }
        match self.backlog.first() {
            // Nothing is left, or more was read than is opened at a time.
            None | Some(Standing { is_open: false, .. }) => return Ok(()),
            Some(Standing { read: Read::Odd(why), .. }) => return self.bury_odd(lease, why).await,
            Some(Standing { read: Read::Approval(approval), .. }) => {
                let approval = approval.clone();
                let span = self.span(&[TriggerId::Approval(approval.clone())]);
                return self.reopen(lease, &approval).instrument(span).await;
            }
            Some(Standing { read: Read::Due(action), waiting, .. }) => {
                let (action, trigger) = (action.clone(), waiting.task.trigger.clone());
                let span = self.span(std::slice::from_ref(&trigger));
                let id = TaskThreadId::random();
                return self.fire_or_bury(lease, id, &trigger, &action).instrument(span).await;
            }
            Some(Standing { read: Read::Unsettled(key), waiting, .. }) => {
                let (key, trigger) = (key.clone(), waiting.task.trigger.clone());
                return self.settle_or_bury(lease, &trigger, &key).await;
            }
            Some(Standing { read: Read::Message(..), .. }) => {}
        }
        let excess = self.excess();
        if !excess.is_empty() {
            let triggers: Vec<_> = excess
                .iter()
                .map(|index| self.backlog[*index].waiting.task.trigger.clone())
                .collect();
            let span = self.span(&triggers);
            return self.turn_down(lease, &excess).instrument(span).await;
        }
        let plan = self.plan();
        let turn: Vec<_> = plan.turn.iter().map(|index| self.turn_message(*index)).collect();
        for (_, reason) in &plan.skipped {
            self.holder.metrics.turned_away(*reason);
        }
        self.note_turned_away(&plan).await;
        self.remove(lease, |index, _| plan.skipped.iter().any(|(skipped, _)| *skipped == index));
        match Turn::of(turn.into_iter().flatten().collect()) {
            Some(turn) => {
                let span = self.span(&turn.triggers());
                self.answer(lease, turn).instrument(span).await
            }
            None => Ok(()),
        }
    }

    /// Reads what waits, and what was missed before it.
    async fn read(&mut self, lease: &mut BoxLease) -> Result<(), ThreadError> {
        let begun = Instant::now();
        self.read_on(lease).await?;
        while self.wait_for_read_back(begun).await? {
            // What was read back stands behind what waited for it.
            self.read_on(lease).await?;
        }
        self.backlog.sort_by_key(Standing::place);
        self.counted.set(self.backlog.len());
        Ok(())
    }

    /// Waits until everything older than what was read, since `begun`, stands in the queue: where Discord
    /// began a new session, what was missed before it is read back meanwhile. Returns whether some of it
    /// may have come to stand there since.
    async fn wait_for_read_back(&mut self, begun: Instant) -> Result<bool, ThreadError> {
        let holder = self.holder;
        let (mut has_waited, mut may_have_come) = (false, false);
        for Standing { waiting, .. } in &self.backlog {
            let Some(session) = &waiting.task.session else { continue };
            if self.caught_up.contains(session) {
                continue;
            }
            let mut pauses = Pauses::new();
            // That it is there says nothing of when it came, unless that was known before the queue was read.
            may_have_come |= !holder.was_read_back(&waiting.task, begun);
            while !holder.is_read_back(&waiting.task).await? {
                if !has_waited {
                    holder.metrics.waited_for_read_back();
                    has_waited = true;
                }
                if begun.elapsed() >= holder.settings.read_back_wait {
                    tracing::warn!(channel.id = %self.fence.channel.channel,
                        "what was missed is not read back in time; the channel goes on without it");
                    // The other channels of the guild need not wait for it, too.
                    holder.read_backs.set_known(self.fence.channel.home, session);
                    break;
                }
                tokio::select! {
                    () = sleep(pauses.next()) => {}
                    () = holder.draining.cancelled() => return Err(ThreadError::Draining),
                }
            }
            self.caught_up.insert(session.clone());
        }
        Ok(may_have_come)
    }

    /// Reads what waits behind what was read already.
    async fn read_on(&mut self, lease: &mut BoxLease) -> Result<(), ThreadError> {
        let bound = self.holder.settings.max_waiting.saturating_mul(2).saturating_add(READ_AT_ONCE);
        let mut pauses = Pauses::new();
        let begun = Instant::now();
        while self.backlog.len() < bound {
            let batch = match lease.read(READ_AT_ONCE).await {
                Ok(batch) => batch,
                Err(error @ QueueError::Unavailable(_)) => {
                    let is_over = begun.elapsed() > self.holder.settings.patience;
                    if is_over || self.holder.draining.is_cancelled() {
                        return Err(error.into());
                    }
                    sleep(pauses.next()).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let is_last = batch.len() < READ_AT_ONCE;
            self.has_read_any |= !batch.is_empty();
            let mut turned_away = Vec::new();
            for waiting in batch {
                self.bot = waiting.task.bot;
                match self.read_one(&waiting).await? {
                    Ok(read) => self.backlog.push(Standing { waiting, read, is_open: false }),
                    Err(reason) => {
                        self.holder.metrics.turned_away(reason);
                        turned_away.push(waiting);
                    }
                }
            }
            if !turned_away.is_empty() {
                lease.remove(&turned_away);
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }

    async fn read_one(
        &mut self,
        waiting: &Waiting,
    ) -> Result<Result<Read, gate::Reason>, ThreadError> {
        match self.known.take() {
            Some((trigger, read)) if trigger == waiting.task.trigger => Ok(Ok(read)),
            other => {
                self.known = other;
                Ok(wakeups::read(self.holder, &waiting.task).await?)
            }
        }
    }

    /// Opens the channel for what was read since it was last opened, and learns who wrote it.
    /// Returns the thread that an earlier holder left.
    async fn open(&mut self, lease: &mut BoxLease) -> Result<Option<Unfinished>, ThreadError> {
        let begun = Instant::now();
        if self.people_since.elapsed() > PEOPLE_KNOWN {
            self.people.clear();
            self.people_since = Instant::now();
        }
        let (opened, people) =
            tokio::try_join!(self.open_in_store(lease), self.unknown_people(self.bot))?;
        self.learn(people);
        let Some(channel) = opened else { return Ok(None) };
        self.holder.metrics.stage(Stage::Open, begun.elapsed());
        self.fence = lease.fence();
        self.state = channel.state;
        if let Some(spending) = channel.spending {
            self.spending.learn(spending);
        }
        let closed = self.backlog.iter_mut().filter(|entry| !entry.is_open);
        for entry in closed.take(OPENED_AT_ONCE) {
            entry.is_open = true;
        }
        let finished = channel.finished;
        self.remove(lease, |_, trigger| finished.contains(trigger));
        if channel.unfinished.is_none() {
            let is_deleted = |change: &Change| change.is_deleted;
            let deleted: Vec<_> = channel
                .changes
                .into_iter()
                .filter(is_deleted)
                .map(|change| change.trigger)
                .collect();
            self.remove(lease, |_, trigger| deleted.contains(trigger));
        }
        Ok(channel.unfinished)
    }

    async fn open_in_store(
        &self,
        lease: &mut BoxLease,
    ) -> Result<Option<Box<OpenChannel>>, ThreadError> {
        let closed = self.backlog.iter().filter(|entry| !entry.is_open).take(OPENED_AT_ONCE);
        let waiting: Vec<_> = closed.map(|entry| entry.waiting.task.trigger.clone()).collect();
        if waiting.is_empty() {
            return Ok(None);
        }
        let spenders = self.authors();
        let mut refused_by = Epoch(0);
        for _ in 0..RAISES {
            match self.holder.store.open_channel(&lease.fence(), &waiting, &spenders).await? {
                Opened::Channel(channel) => return Ok(Some(channel)),
                Opened::RefusedBy(epoch) => {
                    refused_by = epoch;
                    tracing::info!(epoch = %epoch, channel.id = %self.fence.channel.channel,
                        "the store has seen a higher epoch; raising ours");
                    lease.raise_epoch(epoch).await?;
                }
            }
        }
        tracing::warn!(epoch = %refused_by, channel.id = %self.fence.channel.channel,
            "the epoch could not be raised far enough");
        Err(ThreadError::Fenced)
    }

    /// Describes the authors of the first that wait, as far as they are not known, and Ery herself.
    async fn unknown_people(
        &self,
        bot: Id<UserMarker>,
    ) -> Result<Vec<(Id<UserMarker>, Person)>, ThreadError> {
        self.describe(self.authors().into_iter().chain([bot])).await
    }

    /// Returns the authors of the first that wait, each once.
    fn authors(&self) -> Vec<Id<UserMarker>> {
        let mut authors = Vec::new();
        for entry in self.backlog.iter().take(LOOKED_AT) {
            if let Read::Message(message, _) = &entry.read
                && !authors.contains(&message.author)
            {
                authors.push(message.author);
            }
        }
        authors
    }

    /// Returns those of who waits whose own budget is used up: none of them shares a turn.
    fn spent_members(&self) -> Vec<Id<UserMarker>> {
        let keys = self.holder.keys.known(self.fence.channel.home);
        let judged = Judged {
            budgets: &self.holder.budgets(&self.config),
            has_cheaper: self.holder.has_cheaper(&keys),
            pays_itself: !keys.is_empty(),
            spending: &self.spending,
            total: self.holder.installation.total(),
            now: self.holder.now(),
        };
        let mut authors = self.authors();
        authors.retain(|author| judged.is_member_stopped(*author));
        authors
    }

    async fn describe(
        &self,
        users: impl IntoIterator<Item = Id<UserMarker>>,
    ) -> Result<Vec<(Id<UserMarker>, Person)>, ThreadError> {
        let unknown = self.people.unknown(users);
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let channel = self.fence.channel;
        let mut people = match self.holder.tools.describe_people(channel, &unknown).await {
            Ok(people) => people,
            Err(error @ CallError::Unavailable { .. }) => return Err(error.into()),
            Err(error) => {
                // Each has a turn of their own then, and the tool-service judges what they may do.
                tracing::warn!(error = with_causes(&error), channel.id = %channel.channel,
                    "the rights of people are not known");
                return Ok(Vec::new());
            }
        };
        for user in unknown {
            if people.iter().all(|(known, _)| *known != user) {
                let stranger = Person {
                    name: String::new(),
                    rights: Rights::Stranger,
                    roles: Vec::new(),
                    reads_history: false,
                };
                people.push((user, stranger));
            }
        }
        Ok(people)
    }

    fn learn(&mut self, people: Vec<(Id<UserMarker>, Person)>) {
        for (user, person) in people {
            self.holder.learn_roles(self.fence.channel, user, self.bot, &person);
            self.people.insert(user, person);
        }
    }

    fn plan(&self) -> turn::Plan {
        let waiting = self.backlog.iter().map(|entry| match &entry.read {
            Read::Message(message, call) => Some((&**message, *call)),
            Read::Approval(_) | Read::Due(_) | Read::Unsettled(_) | Read::Odd(_) => None,
        });
        let situation = Situation {
            bot: self.bot,
            people: &self.people,
            state: &self.state,
            rules: &GateRules::of(&self.config.config, &[]),
            alone: &self.spent_members(),
            max_messages: self.holder.settings.shared_turn_messages,
            now: self.holder.now(),
        };
        turn::plan(waiting, situation)
    }

    /// Keeps in the rows of messages that they were turned away by what was answered before. What is not
    /// addressed stands there already.
    async fn note_turned_away(&self, plan: &turn::Plan) {
        let by_state = |reason: &Reason| matches!(reason, Reason::Cooldown | Reason::BotLoop);
        let noted = plan.skipped.iter().filter(|(_, reason)| by_state(reason));
        let noted = noted
            .filter_map(|(index, reason)| Some((self.turn_message(*index)?.message, *reason)))
            .collect();
        turned_away::note(self.holder, self.fence.channel, noted).await;
    }

    fn turn_message(&self, index: usize) -> Option<TurnMessage> {
        let entry = self.backlog.get(index)?;
        match &entry.read {
            Read::Message(message, _) => Some(TurnMessage {
                trigger: entry.waiting.task.trigger.clone(),
                message: (**message).clone(),
                received_at: entry.waiting.task.received_at,
            }),
            Read::Approval(_) | Read::Due(_) | Read::Unsettled(_) | Read::Odd(_) => None,
        }
    }

    /// Returns those that wait beyond the bound, by index. Only what the gate lets pass counts.
    fn excess(&self) -> Vec<usize> {
        let now = self.holder.now();
        let rules = GateRules::of(&self.config.config, &[]);
        let passes = |message: &Message, call: Call| {
            gate::second(message, call, self.bot, false, &self.state, &rules, now).is_ok()
        };
        let passing = self.backlog.iter().enumerate().filter(|(_, entry)| match &entry.read {
            Read::Message(message, call) => passes(message, *call),
            Read::Approval(_) | Read::Due(_) | Read::Unsettled(_) | Read::Odd(_) => false,
        });
        let beyond = passing.skip(self.holder.settings.max_waiting).map(|(index, _)| index);
        beyond.take(TURNED_DOWN_AT_ONCE).collect()
    }

    /// Records that Ery is too busy for what waits beyond the bound, and says so.
    async fn turn_down(
        &mut self,
        lease: &mut BoxLease,
        excess: &[usize],
    ) -> Result<(), ThreadError> {
        let messages: Vec<_> =
            excess.iter().filter_map(|index| self.turn_message(*index)).collect();
        let Some(turn) = Turn::of(messages) else { return Ok(()) };
        let count = turn.messages.len();
        tracing::warn!(channel.id = %self.fence.channel.channel, count,
            "more waits for a channel than its bound allows");
        let is_said = self.too_busy_said.is_some_and(|at| at.elapsed() < TOO_BUSY_SAID);
        let language = self.language(&turn).await?;
        let text = (!is_said).then(|| answer::too_busy(language, count));
        self.too_busy_said = Some(Instant::now());
        let detail = format!("{count} messages waited beyond the bound of the channel");
        let limits = (&self.config.config.limits).into();
        let thread = TaskThread::new(&turn, limits, language, self.holder.now());
        let id = TaskThreadId::random();
        let close = Closing { text: text.as_deref(), outcome: Outcome::TooBusy, detail };
        self.run(lease, id, &turn, thread, Work::Close(close)).await
    }

    /// Answers a turn.
    async fn answer(&mut self, lease: &mut BoxLease, turn: Turn) -> Result<(), ThreadError> {
        let now = self.holder.now();
        self.holder.metrics.thread_begun();
        for message in &turn.messages {
            self.holder.metrics.let_through();
            self.holder.metrics.waited(now.since(message.received_at));
        }
        let id = TaskThreadId::random();
        let triggers: Vec<_> =
            turn.messages.iter().map(|message| message.trigger.to_string()).collect();
        self.progress(id, ProgressKind::Begun, json!({"triggers": triggers, "resumed": false}));
        let (limits, language) = ((&self.config.config.limits).into(), self.language(&turn).await?);
        let thread = TaskThread::new(&turn, limits, language, now);
        self.run(lease, id, &turn, thread, Work::Answer(&[])).await
    }

    /// Returns the language in which code speaks to those who ask.
    async fn language(&self, turn: &Turn) -> Result<Language, ThreadError> {
        let asker = (!turn.is_shared()).then_some(turn.principal);
        let effective = self.holder.config(self.fence.channel, asker).await?;
        Ok(community::language(&effective.config))
    }

    /// Goes on with a thread that waited for a click.
    async fn reopen(&mut self, lease: &mut BoxLease, approval: &str) -> Result<(), ThreadError> {
        let (holder, channel) = (self.holder, self.fence.channel);
        let reopened = holder.store.reopen_thread(&self.fence, approval).await;
        let unfinished = match reopened {
            Ok(unfinished) => unfinished,
            Err(error @ (CallError::Unavailable { .. } | CallError::Fenced { .. })) => {
                return Err(error.into());
            }
            Err(error) => {
                let why = with_causes(&error);
                tracing::error!(error = why, channel.id = %channel.channel,
                    "a thread that waited for a click cannot be gone on with");
                let over = [TriggerId::Approval(approval.to_owned())];
                return self.bury_bare(lease, TaskThreadId::random(), &over, why).await;
            }
        };
        // Beside the work: whether its end can be shown is nothing that the act waits for.
        let shown = async {
            if let Err(status) = holder.tools.settle_approval(channel, approval).await {
                tracing::debug!(code = ?status.code(), "a proposal's end could not be shown");
            }
        };
        let gone_on = async {
            let Some(unfinished) = unfinished else {
                // Its thread is not there any more: nothing waits for it.
                let over = TriggerId::Approval(approval.to_owned());
                self.remove(lease, |_, trigger| *trigger == over);
                return Ok(());
            };
            self.resume(lease, unfinished).await
        };
        let (gone_on, ()) = tokio::join!(gone_on, shown);
        gone_on
    }

    /// Does an act whose time has come. What goes wrong by itself is a dead letter: it would go wrong
    /// again, and hold up everybody else.
    async fn fire_or_bury(
        &mut self,
        lease: &mut BoxLease,
        id: TaskThreadId,
        trigger: &TriggerId,
        action: &str,
    ) -> Result<(), ThreadError> {
        match self.fire(lease, id, trigger, action).await {
            Err(ThreadError::Own(error)) => {
                let why = with_causes(&*error);
                tracing::warn!(error = why, %trigger, "a planned act cannot be done");
                let triggers = std::slice::from_ref(trigger);
                self.bury_bare(lease, id, triggers, why).await
            }
            fired => fired,
        }
    }

    /// Does an act whose time has come, and tells what came of it where people wait for that.
    async fn fire(
        &mut self,
        lease: &mut BoxLease,
        id: TaskThreadId,
        trigger: &TriggerId,
        action: &str,
    ) -> Result<(), ThreadError> {
        let (holder, fence) = (self.holder, self.fence.clone());
        let Some(guild) = fence.channel.guild() else {
            return self.bury_bare(lease, id, std::slice::from_ref(trigger), NO_GUILD.into()).await;
        };
        let triggers = std::slice::from_ref(trigger);
        let Some(due) = holder.store.due_action(guild, action).await? else {
            let cancelled = ended(Outcome::Cancelled, "it is not planned any more".into(), None);
            return self.finish(lease, id, triggers, cancelled).await;
        };
        holder.metrics.thread_begun();
        let begun_at = holder.now();
        holder.store.begin_bare_thread(&fence, id, trigger, &due, begun_at).await?;
        if due.tool == planned::TOOL {
            return Box::pin(self.answer_planned(lease, id, trigger, due, begun_at)).await;
        }
        let done = holder.tools.fire(&fence, id, trigger, &due).await?;
        holder.metrics.tool_called(done.outcome);
        let planned_by = convert::person_of(due.principal.as_ref());
        let content: Value = serde_json::from_str(&done.content).unwrap_or_default();
        let text = answer::of_due(
            community::language(&self.config.config),
            planned_by,
            &answer::Done {
                tool: &due.tool,
                outcome: done.outcome,
                summary: content["summary"].as_str().unwrap_or_default(),
                refusal: Refusal { sentence: &done.reason, ..Refusal::in_content(&content) },
            },
        );
        let told = match &text {
            Some(text) => {
                Some(holder.tools.tell(&fence, id, trigger, due.principal.clone(), text).await?)
            }
            None => None,
        };
        let detail = format!("planned: {} {}", due.tool, done.outcome.as_word());
        let answer = told.and_then(|told| told.message);
        self.finish(lease, id, triggers, ended(Outcome::Done, detail, answer)).await
    }

    /// Answers a planned prompt whose time has come, if whoever planned it may have that here and now;
    /// else they are told why it is not answered.
    async fn answer_planned(
        &mut self,
        lease: &mut BoxLease,
        id: TaskThreadId,
        trigger: &TriggerId,
        due: ScheduledAction,
        begun_at: UnixMillis,
    ) -> Result<(), ThreadError> {
        let (holder, fence) = (self.holder, self.fence.clone());
        let triggers = std::slice::from_ref(trigger);
        let principal = convert::person_of(due.principal.as_ref());
        let Some((planner, words)) = principal.zip(planned::words(&due.arguments)) else {
            // It is nobody's any more, or what it said is forgotten.
            let cancelled = ended(Outcome::Cancelled, "what was planned is gone".into(), None);
            return self.finish(lease, id, triggers, cancelled).await;
        };
        let told: Vec<_> = triggers.iter().map(ToString::to_string).collect();
        self.progress(id, ProgressKind::Begun, json!({"triggers": told, "resumed": false}));
        let people = self.describe([planner, self.bot]).await?;
        self.learn(people);
        let effective = holder.config(fence.channel, Some(planner)).await?;
        let language = community::language(&effective.config);
        let why = if let Err(reason) = self.judge_planned(&effective, planner) {
            Some((reason.as_word(), answer::not_engaged(language, reason)))
        } else {
            let called = holder.tools.fire(&fence, id, trigger, &due).await?;
            holder.metrics.tool_called(called.outcome);
            let content: Value = serde_json::from_str(&called.content).unwrap_or_default();
            let done = answer::Done {
                tool: &due.tool,
                outcome: called.outcome,
                summary: "",
                refusal: Refusal { sentence: &called.reason, ..Refusal::in_content(&content) },
            };
            let is_refused = called.outcome != CallOutcome::Done;
            is_refused.then(|| (called.outcome.as_word(), done.said(language)))
        };
        if let Some((word, why)) = why {
            let text = answer::of_prompt(language, planner, &why);
            let told = holder.tools.tell(&fence, id, trigger, due.principal.clone(), &text).await?;
            let detail = format!("planned: prompt {word}");
            return self
                .finish(lease, id, triggers, ended(Outcome::Done, detail, told.message))
                .await;
        }
        let channel = fence.channel;
        let trigger = trigger.clone();
        let turn = Prompt { channel, trigger, planner, words, begun_at }.turn();
        let limits = (&self.config.config.limits).into();
        let thread = TaskThread::new(&turn, limits, language, holder.now());
        self.run(lease, id, &turn, thread, Work::Answer(&[])).await
    }

    /// Judges by what is set here for whoever planned a prompt.
    fn judge_planned(&self, effective: &Effective, planner: Id<UserMarker>) -> Result<(), Reason> {
        let roles = self.people.get(planner).map_or(&[][..], |person| &person.roles);
        gate::of_planned(&GateRules::of(&effective.config, roles))
    }

    /// Goes on with a thread that an earlier holder left, where its journal ends.
    async fn resume(
        &mut self,
        lease: &mut BoxLease,
        unfinished: Unfinished,
    ) -> Result<(), ThreadError> {
        let Unfinished { id, turn, triggers, journal, past, changes, is_withdrawn, .. } =
            unfinished;
        match &triggers[..] {
            // A prompt that may be answered is gone on with as a message.
            [trigger @ TriggerId::ScheduledAction { action, .. }] if turn.is_none() => {
                return self.fire_or_bury(lease, id, trigger, action).await;
            }
            // No message began it: an MCP client asked.
            [trigger @ TriggerId::Approval(approval)] => {
                return self.do_approved_or_bury(lease, id, trigger, approval).await;
            }
            _ => {}
        }
        if is_withdrawn {
            if past.has_grown
                && let Some(trigger) = triggers.first()
            {
                self.holder.tools.take_back(&self.fence, id, trigger).await?;
            }
            let detail = "every message that it answers was deleted".to_owned();
            let finished = Finished { outcome: Outcome::Cancelled, detail, answer: None };
            let ended = Ended { finished, usage: Usage::default(), step: None, askers: Vec::new() };
            return self.finish(lease, id, &triggers, ended).await;
        }
        let Some(turn) = turn else {
            let detail = "the trigger cannot be carried out".to_owned();
            return self.bury_bare(lease, id, &triggers, detail).await;
        };
        let now = self.holder.now();
        self.holder.metrics.thread_resumed();
        tracing::info!(task_thread.id = %id, channel.id = %self.fence.channel.channel,
            "taking over a task thread");
        let told: Vec<_> = triggers.iter().map(ToString::to_string).collect();
        self.progress(id, ProgressKind::Begun, json!({"triggers": told, "resumed": true}));
        let people = self.describe(turn.askers.iter().copied().chain([self.bot])).await?;
        self.learn(people);
        let (limits, language) = ((&self.config.config.limits).into(), self.language(&turn).await?);
        let thread = journal
            .map_err(ThreadError::from)
            .and_then(|steps| Ok(TaskThread::resume(&turn, limits, language, now, steps, &past)?));
        match thread {
            Ok(thread) => {
                // So many together never are a turn: they were being turned down.
                let is_turned_down = thread.is_fresh()
                    && turn.messages.len() > self.holder.settings.shared_turn_messages;
                if is_turned_down {
                    let text = answer::too_busy(language, turn.messages.len());
                    let detail = "waited beyond the bound of the channel".to_owned();
                    let outcome = Outcome::TooBusy;
                    let close = Closing { text: Some(&text), outcome, detail };
                    return self.run(lease, id, &turn, thread, Work::Close(close)).await;
                }
                self.run(lease, id, &turn, thread, Work::Answer(&changes)).await
            }
            Err(error) => self.attempted(lease, id, &turn, 0, &error).await,
        }
    }

    /// Runs a thread to its end, and writes that.
    async fn run(
        &mut self,
        lease: &mut BoxLease,
        id: TaskThreadId,
        turn: &Turn,
        thread: TaskThread,
        work: Work<'_>,
    ) -> Result<(), ThreadError> {
        #[cfg(feature = "mutants")]
        if crate::mutants::is_on("ack") {
            let is_of_turn =
                |trigger: &TriggerId| turn.messages.iter().any(|it| it.trigger == *trigger);
            self.remove(lease, |_, trigger| is_of_turn(trigger));
        }
        let begun = Instant::now();
        Span::current().record("task_thread.id", tracing::field::display(id));
        let steps = AtomicU32::new(thread.step_count());
        let fence = self.fence.clone();
        let mut run = Run::new(
            self.holder,
            &fence,
            id,
            self.bot,
            turn,
            (&mut self.people, &mut self.spending),
            thread,
            &steps,
        );
        run.is_awaited = matches!(work, Work::Answer(_)) && !turn.is_planned();
        let work = async {
            match work {
                Work::Answer(changes) => run.finish(changes).await,
                Work::Close(Closing { text, outcome, detail }) => {
                    run.close(text, outcome, detail).await
                }
            }
        };
        // A panic is the thread's own error: it must not take the other channels with it.
        let result = AssertUnwindSafe(work).catch_unwind().await;
        match result.unwrap_or_else(|_| Err(ThreadError::Own(Box::new(Panicked)))) {
            Ok(ended) => {
                let triggers = turn.triggers();
                let finishing = self.finish(lease, id, &triggers, ended).await;
                self.holder.metrics.stage(Stage::Whole, begun.elapsed());
                match finishing {
                    Err(error @ ThreadError::Own(_)) => {
                        let at_step = steps.load(Ordering::Relaxed);
                        self.attempted(lease, id, turn, at_step, &error).await
                    }
                    finished => finished,
                }
            }
            Err(error @ ThreadError::Own(_)) => {
                let at_step = steps.load(Ordering::Relaxed);
                self.attempted(lease, id, turn, at_step, &error).await
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the span in which something is done for triggers that wait here.
    fn span(&self, triggers: &[TriggerId]) -> Span {
        let tasks = self.backlog.iter().map(|entry| &entry.waiting.task);
        traced::task_thread(&self.fence, tasks.filter(|task| triggers.contains(&task.trigger)))
    }

    /// Returns whether bots or webhooks wrote all the messages among triggers; none if there is none.
    fn are_automated(&self, triggers: &[TriggerId]) -> Option<bool> {
        let mut authors = self.backlog.iter().filter_map(|entry| match &entry.read {
            Read::Message(message, _) if triggers.contains(&entry.waiting.task.trigger) => {
                Some(message.is_automated)
            }
            _ => None,
        });
        let first = authors.next()?;
        Some(first && authors.all(|is_automated| is_automated))
    }

    /// Writes how a thread ended; then its triggers leave the queue.
    #[tracing::instrument(name = "orchestrator.task_thread.finish", skip_all)]
    async fn finish(
        &mut self,
        lease: &mut BoxLease,
        id: TaskThreadId,
        triggers: &[TriggerId],
        ended: Ended,
    ) -> Result<(), ThreadError> {
        let begun = Instant::now();
        let Ended { finished, usage, step, askers } = ended;
        let (now, gate) = (self.holder.now(), &self.config.config.gate);
        let mut state = self.state.clone();
        if finished.answer.is_some() && finished.outcome != Outcome::TooBusy {
            state.answered(&askers, now, gate.exchange_window.0);
            if let Some(are_bots) = self.are_automated(triggers) {
                state.answered_bots(are_bots, now);
            }
        } else {
            state.left_silent(&askers);
        }
        state.prune(now, gate.member_cooldown.0.max(gate.channel_cooldown.0));
        let tasks = match finished.outcome {
            Outcome::Failed => self.tasks_of(triggers),
            _ => Vec::new(),
        };
        let ending = Ending {
            id,
            triggers,
            tasks: &tasks,
            state: &state,
            usage,
            step: step.as_ref(),
            outcome: finished.outcome,
            detail: &finished.detail,
            at: now,
        };
        self.holder.store.finish_thread(&self.fence, &ending).await?;
        self.state = state;
        self.attempts.retain(|trigger, _| !triggers.contains(trigger));
        self.remove(lease, |_, trigger| triggers.contains(trigger));
        lease.set_active_until(self.state.active_until()).await;
        self.holder.metrics.stage(Stage::Finish, begun.elapsed());
        self.holder.metrics.thread_finished(finished.outcome);
        self.ask_for_summary();
        self.progress(
            id,
            ProgressKind::Finished,
            json!({
                "outcome": finished.outcome.as_word(), "detail": finished.detail,
                "answer": finished.answer.map(|message| message.to_string()),
            }),
        );
        Ok(())
    }

    /// Asks for the channel's summary, which is made beside what follows.
    fn ask_for_summary(&self) {
        let context = &self.config.config.context;
        if context.summaries && context.messages > 0 {
            let bot = Bot::named(self.bot, &self.people);
            self.holder.summaries.ask(self.fence.channel, bot, &self.spending);
        }
    }

    /// Returns what the triggers came with, as far as they wait here still.
    fn tasks_of(&self, triggers: &[TriggerId]) -> Vec<Task> {
        let tasks = self.backlog.iter().map(|entry| &entry.waiting.task);
        tasks.filter(|task| triggers.contains(&task.trigger)).cloned().collect()
    }

    /// Counts an attempt that ended with an error of the thread's own. It is tried again from its
    /// journal, and after the last try it is a dead letter.
    async fn attempted(
        &mut self,
        lease: &mut BoxLease,
        id: TaskThreadId,
        turn: &Turn,
        at_step: u32,
        error: &ThreadError,
    ) -> Result<(), ThreadError> {
        let (holder, why) = (self.holder, with_causes(error));
        holder.metrics.attempt_failed();
        tracing::warn!(error = why, task_thread.id = %id, step = at_step,
            channel.id = %self.fence.channel.channel, "a task thread failed by an error of its own");
        let recorded =
            holder.store.record_attempt(&self.fence, id, &why, at_step, holder.now()).await;
        let attempts = match recorded {
            Ok(attempts) => attempts,
            // The store does not know the thread: it could not even begin.
            Err(CallError::Refused { .. } | CallError::Unreadable { .. }) => {
                let attempts = self.attempts.entry(turn.messages[0].trigger.clone()).or_default();
                *attempts += 1;
                *attempts
            }
            Err(error) => return Err(error.into()),
        };
        if attempts >= holder.settings.max_attempts {
            return self.bury(lease, id, turn, at_step, why).await;
        }
        let doublings = attempts.saturating_sub(1).min(6);
        tokio::select! {
            () = sleep(holder.settings.attempt_pause * 2_u32.pow(doublings)) => {}
            () = holder.draining.cancelled() => return Err(ThreadError::Draining),
        }
        // The store tells anew how the thread stands; where it does not, it begins anew.
        for entry in &mut self.backlog {
            entry.is_open = false;
        }
        Ok(())
    }

    /// Ends a thread that failed for good: one sentence, and a dead letter.
    async fn bury(
        &mut self,
        lease: &mut BoxLease,
        id: TaskThreadId,
        turn: &Turn,
        at_step: u32,
        detail: String,
    ) -> Result<(), ThreadError> {
        let (limits, language) = ((&self.config.config.limits).into(), self.language(turn).await?);
        let thread = TaskThread::at_step(turn, limits, language, self.holder.now(), at_step);
        let steps = AtomicU32::new(at_step);
        let fence = self.fence.clone();
        let triggers = turn.triggers();
        let run = Run::new(
            self.holder,
            &fence,
            id,
            self.bot,
            turn,
            (&mut self.people, &mut self.spending),
            thread,
            &steps,
        );
        let text = Sentence::Failed.said(language);
        let said = run.close(Some(&text), Outcome::Failed, detail.clone()).await;
        match said {
            Ok(ended) => match self.finish(lease, id, &triggers, ended).await {
                Err(ThreadError::Own(_)) => self.bury_bare(lease, id, &triggers, detail).await,
                finished => finished,
            },
            Err(ThreadError::Own(error)) => {
                tracing::warn!(error = with_causes(&*error), task_thread.id = %id,
                    "that a task thread failed could not be said");
                self.bury_bare(lease, id, &triggers, detail).await
            }
            Err(error) => Err(error),
        }
    }

    /// Makes dead letters of triggers about which nothing can be said.
    async fn bury_bare(
        &mut self,
        lease: &mut BoxLease,
        id: TaskThreadId,
        triggers: &[TriggerId],
        detail: String,
    ) -> Result<(), ThreadError> {
        let finished = Finished { outcome: Outcome::Failed, detail, answer: None };
        let ended = Ended { finished, usage: Usage::default(), step: None, askers: Vec::new() };
        self.finish(lease, id, triggers, ended).await
    }

    async fn bury_odd(
        &mut self,
        lease: &mut BoxLease,
        why: &'static str,
    ) -> Result<(), ThreadError> {
        let Some(trigger) = self.backlog.first().map(|entry| entry.waiting.task.trigger.clone())
        else {
            return Ok(());
        };
        tracing::warn!(%trigger, channel.id = %self.fence.channel.channel, why,
            "a trigger becomes a dead letter");
        self.bury_bare(lease, TaskThreadId::random(), &[trigger], why.to_owned()).await
    }

    /// Takes out of the queue, and of what waits here, what is done or was skipped.
    fn remove(&mut self, lease: &mut BoxLease, is_done: impl Fn(usize, &TriggerId) -> bool) {
        let mut done = Vec::new();
        let mut index = 0;
        self.backlog.retain(|entry| {
            let stays = !is_done(index, &entry.waiting.task.trigger);
            index += 1;
            if !stays {
                done.push(entry.waiting.clone());
            }
            stays
        });
        self.counted.set(self.backlog.len());
        if !done.is_empty() {
            lease.remove(&done);
        }
    }

    fn progress(&self, thread: TaskThreadId, kind: ProgressKind, detail: serde_json::Value) {
        let channel: ChannelKey = self.fence.channel;
        let at: UnixMillis = self.holder.now();
        self.holder.broadcaster.progress(&Progress { thread, channel, kind, at, detail });
    }
}

/// Returns the end of a thread without a model.
fn ended(outcome: Outcome, detail: String, answer: Option<Id<MessageMarker>>) -> Ended {
    Ended {
        finished: Finished { outcome, detail, answer },
        usage: Usage::default(),
        step: None,
        askers: Vec::new(),
    }
}

/// What a run is for.
enum Work<'a> {
    /// To answer; with the changes that are known already.
    Answer(&'a [Change]),
    Close(Closing<'a>),
}

/// An end by code.
struct Closing<'a> {
    text: Option<&'a str>,
    outcome: Outcome,
    detail: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the thread panicked")]
struct Panicked;

//! One task thread at work: the state machine says what is to be done, and this does it.

mod budget;
mod growing;

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, interval_at, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_community_config::Effective;
use ery_ids::{ChannelKey, EventId, ExecutionKey, Fence, TaskThreadId, TriggerId};
use ery_proto::ai::v1::ToolSpec;

use crate::{
    adapters::{
        ai::{Asking, Bot, ModelError, ModelRequest},
        calls::{Fate, fate},
        convert,
        costs::Costs,
        keys::GuildKeys,
        store::{Appended, Beginning, Begun, ContextWanted, Ingested, IngestedChange, Opened},
        tools::{Called, Caller, Resolved, Stands},
        usage::Models,
    },
    domain::{
        attachments::{self, Shown},
        budgets::Spending,
        community,
        context::{self, Material},
        journal::{
            ContextLoaded, Finished, ModelAsked, ModelTurn, OrdersRead, Outcome, Step, Usage,
        },
        message::Message,
        people::People,
        progress::{Progress, ProgressKind},
        strategy::{ORDERS, Strategy},
        summary::Summary,
        task_thread::{Answer, Change, Effect, Input, PlannedCall, TaskThread, ToolReturn},
        text,
        tool::{CallOutcome, Tier, Tool},
        turn::Turn,
    },
    error::{CallError, ThreadError, with_causes},
    handlers::{changes::Ear, holder::Holder, ingestion},
    metrics::Stage,
};

use self::growing::Growth;

/// How often people are shown that Ery still types: Discord forgets it after ten seconds.
const TYPING_EVERY: Duration = Duration::from_secs(8);

/// How often a thread that waits for a model looks whether Ery is paused: the broadcast that tells of
/// it can be missed.
const CONFIG_LOOKED_AT: Duration = Duration::from_secs(10);

/// Of how many authors in the context the rights are asked for.
const DESCRIBED: usize = 100;

/// Why a thread ends that runs while Ery is paused.
const PAUSED: &str = "Ery was paused here while the thread ran";

/// What the ai-service lets a prompt have at the most: 4,500 bytes, by our own bound.
pub(crate) const PROMPT_TOKENS: u64 = 1_500;

/// A task thread that runs.
#[expect(clippy::struct_excessive_bools, reason = "each is another matter")]
pub(crate) struct Run<'a> {
    pub(crate) holder: &'a Holder,
    pub(crate) fence: &'a Fence,
    pub(crate) id: TaskThreadId,
    pub(crate) bot: Id<UserMarker>,
    pub(crate) turn: &'a Turn,
    pub(crate) started_at: UnixMillis,
    pub(crate) people: &'a mut People,
    pub(crate) thread: TaskThread,
    /// How many steps stand in its journal, for whoever records that it failed.
    pub(crate) steps: &'a AtomicU32,
    /// Whether somebody expects an answer, and may see that she types.
    pub(crate) is_awaited: bool,
    /// What was spent here, as far as it is known.
    spending: &'a mut Spending,
    /// Whether this holder began it.
    is_first: bool,
    /// What people were shown of the answer before it was whole.
    growth: Growth,
    /// What calls of models cost that no answer told of.
    costs: Costs,
    /// Whether the cheaper model is asked: a budget is used up.
    is_cheaper: bool,
    /// The guild's own keys, as they were when budgets were looked at last.
    keys: Arc<GuildKeys>,
    desk: Option<Desk>,
    /// Whether the store knows it.
    is_begun: bool,
    /// How many messages of the channel the model did not read for lack of room.
    messages_left_out: usize,
    marker: String,
}

/// What lies before the model.
struct Desk {
    history: Vec<Message>,
    summary: Option<Summary>,
    /// Whether what was said before is kept back from those who ask.
    is_withheld: bool,
    tools: Vec<Tool>,
    specs: Vec<ToolSpec>,
    /// What the community's own config adds to the prompt.
    instructions: String,
    is_current: bool,
}

/// A thread that has come to its end, which is to be written.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) finished: Finished,
    pub(crate) usage: Usage,
    /// The journal's last step; none where the journal cannot be gone on with.
    pub(crate) step: Option<Step>,
    /// Those whose messages still stood.
    pub(crate) askers: Vec<Id<UserMarker>>,
}

impl<'a> Run<'a> {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a different thing that a run works with"
    )]
    pub(crate) fn new(
        holder: &'a Holder,
        fence: &'a Fence,
        id: TaskThreadId,
        bot: Id<UserMarker>,
        turn: &'a Turn,
        (people, spending): (&'a mut People, &'a mut Spending),
        thread: TaskThread,
        steps: &'a AtomicU32,
    ) -> Self {
        Self {
            holder,
            fence,
            id,
            bot,
            turn,
            started_at: holder.now(),
            people,
            is_first: thread.is_fresh(),
            is_begun: false,
            thread,
            steps,
            is_awaited: true,
            growth: Growth::default(),
            spending,
            costs: Costs::default(),
            is_cheaper: false,
            keys: Arc::default(),
            desk: None,
            messages_left_out: 0,
            marker: uuid::Uuid::new_v4().simple().to_string(),
        }
    }

    /// Runs to the end of the thread. `changes` are those that are known already.
    pub(crate) async fn finish(mut self, changes: &[Change]) -> Result<Ended, ThreadError> {
        let now = self.holder.now();
        let effect = match self.thread.changed(changes, now) {
            Some(effect) => effect,
            None => self.thread.start(now),
        };
        self.go_on(effect).await
    }

    /// Ends the thread by code: begins it in the store, says `text`, if any, and ends with
    /// `outcome`.
    pub(crate) async fn close(
        mut self,
        text: Option<&str>,
        outcome: Outcome,
        detail: String,
    ) -> Result<Ended, ThreadError> {
        self.begin().await?;
        let effect = match text {
            Some(text) => self.thread.close(text, outcome, detail, self.holder.now()),
            None => Effect::Finish(Finished { outcome, detail, answer: None }),
        };
        self.go_on(effect).await
    }

    async fn go_on(mut self, effect: Effect) -> Result<Ended, ThreadError> {
        let (holder, channel) = (self.holder, self.channel());
        let ear = holder.watched.listen(channel, self.turn.messages.iter().map(|it| it.message.id));
        let is_awaited = self.is_awaited;
        let ended = tokio::select! {
            ended = self.work(effect, &ear) => ended,
            never = show_typing(holder, channel), if is_awaited => match never {},
        };
        match &ended {
            // Nothing more may be written.
            Ok(_) | Err(ThreadError::Fenced) => {}
            Err(_) => self.leave().await,
        }
        ended
    }

    async fn work(&mut self, mut effect: Effect, ear: &Ear<'_>) -> Result<Ended, ThreadError> {
        // A call that a former holder may have made is settled in any case, and so is what was approved:
        // what was begun must end. What is new of it the tool-service refuses.
        let mut settles = !self.thread.is_fresh() && matches!(effect, Effect::CallTool(_));
        loop {
            let is_harmless = matches!(effect, Effect::Load | Effect::Finish(_));
            let is_approved = matches!(&effect, Effect::CallTool(call) if call.approval.is_some());
            let is_settling = std::mem::take(&mut settles) || is_approved;
            if !is_harmless
                && !is_settling
                && let Some(pause) = self.pause_if_set().await?
            {
                effect = pause;
            }
            // A model turn is asked while its thread is begun and its step journaled; nothing is
            // relied upon before.
            let is_to_be_known = !is_harmless || self.thread.has_journal();
            if !self.is_begun && is_to_be_known && effect != Effect::AskModel {
                let changes = self.begin().await?;
                if let Some(instead) = self.thread.changed(&changes, self.holder.now()) {
                    effect = instead;
                    continue;
                }
            }
            if self.thread.has_journal() && effect != Effect::AskModel {
                let changes = self.append().await?;
                if let Some(instead) = self.thread.changed(&changes, self.holder.now()) {
                    effect = instead;
                    continue;
                }
            }
            if let Effect::Finish(finished) = effect {
                self.settle_growth(&finished).await?;
                return Ok(self.ended(finished));
            }
            if self.holder.draining.is_cancelled() {
                return Err(ThreadError::Draining);
            }
            let begun = Instant::now();
            let (stage, next) = match effect {
                Effect::Load => (Stage::Begin, Box::pin(self.load()).await?),
                // It is large, and beside a model an allocation is nothing.
                Effect::AskModel => (Stage::Model, Box::pin(self.ask(ear)).await?),
                Effect::CallTool(call) => (Stage::Tool, self.call(call).await?),
                Effect::Answer(answer) => (Stage::Answer, self.answer(answer).await?),
                Effect::Finish(finished) => {
                    self.settle_growth(&finished).await?;
                    return Ok(self.ended(finished));
                }
            };
            self.holder.metrics.stage(stage, begun.elapsed());
            effect = next;
        }
    }

    fn ended(&mut self, finished: Finished) -> Ended {
        let step = self.thread.last_step(finished.clone(), self.holder.now());
        // Whoever had it planned did not ask just now: no exchange with them begins by it.
        let askers = if self.turn.is_planned() { Vec::new() } else { self.askers() };
        Ended { finished, usage: self.thread.usage(), step: Some(step), askers }
    }

    /// Reads the thread's context and its orders.
    #[tracing::instrument(name = "orchestrator.context.load", skip_all)]
    async fn load(&mut self) -> Result<Effect, ThreadError> {
        // By what was told when the channel was opened: whoever is past it costs next to nothing.
        if let Some(stop) = self.stop_if_spent().await? {
            return Ok(stop);
        }
        let changes = self.lay_out().await?;
        if let Some(instead) = self.thread.changed(&changes, self.holder.now()) {
            return Ok(instead);
        }
        let orders = self.read_orders().await?;
        let context =
            self.desk.as_ref().map_or_else(ContextLoaded::default, |desk| ContextLoaded {
                messages: desk.history.iter().map(|message| message.id).collect(),
                summary: desk.summary.as_ref().map(Summary::record),
                rights: self.rights_of(desk.history.iter().chain(self.written())),
                edited: self.thread.edits(),
                // What a picture or a file says is nobody's order, whoever shows it.
                is_tainted: context::taints(self.turn, &desk.history, desk.summary.as_ref())
                    || attachments::are_shown(self.shown(), self.thread.messages(), &desk.history),
                is_current: desk.is_current,
                bounds: Some(self.thread.bounds()),
            });
        let loaded = Input::Loaded { context, orders };
        Ok(self.thread.step(loaded, self.holder.now()))
    }

    /// Lays out what the model needs.
    ///
    /// A thread is begun by it, or found begun, if its orders are to be read, or it answers a prompt; else it
    /// is begun beside the model's first turn.
    async fn lay_out(&mut self) -> Result<Vec<Change>, ThreadError> {
        let effective = self.config().await?;
        let limits = &effective.config.context;
        let since = self.holder.now() - limits.window.0;
        // Invariant HISTORY: nobody is answered from what they may not read.
        let is_withheld = !self.people.all_read_history(&self.turn.askers);
        let messages = if is_withheld { 0 } else { limits.messages };
        // One that was taken over is told of a summary only if it was tainted before: what its journal
        // says of that stands.
        let may_be_tainted = self.thread.is_fresh() || self.thread.is_tainted();
        let wants_summary = limits.summaries && messages > 0 && may_be_tainted;
        let wait = self.holder.settings.ingestion_wait;
        let wanted = ContextWanted { messages, since, wait, wants_summary };
        let (holder, channel, askers) = (self.holder, self.channel(), self.askers());
        let tools = async {
            let tools = holder.tools.list_tools(channel, &askers).await;
            tools.map_err(ThreadError::from)
        };
        let context = async {
            let context = holder.store.read_context(channel, &self.turn.messages, wanted).await;
            context.map_err(ThreadError::from)
        };
        // What was spent for whoever planned a prompt is told when it is begun: nobody asked before.
        let is_at_once = self.may_order() || self.turn.is_planned();
        let is_begun_later = self.is_begun || self.thread.is_fresh() && !is_at_once;
        let begun = async {
            if is_begun_later {
                return Ok(Begun::default());
            }
            let begun = holder.store.begin_thread(self.fence, &self.beginning()).await;
            begun.map_err(ThreadError::from)
        };
        let (context, begun, tools) = tokio::try_join!(context, begun, tools)?;
        let changes = if is_begun_later { context.changes } else { self.stands(begun) };
        let history = context::before(self.turn, context.newest);
        let mut history = self.with_older(history, messages, since).await;
        history.extend(context.replied_to);
        if messages > 0 {
            let replied_to = self.unknown_reply(&history).await;
            history.extend(replied_to);
        }
        let history = context::before(self.turn, history);
        self.describe(&history).await?;
        let tools = self.strategy().offered(tools);
        let specs = tools.iter().map(convert::tool).collect();
        let instructions = community::instructions(&effective.config.answers);
        let (summary, is_current) = (context.summary, context.is_current);
        self.desk =
            Some(Desk { history, summary, is_withheld, tools, specs, instructions, is_current });
        Ok(changes)
    }

    /// Returns what holds here for whoever asks.
    async fn config(&self) -> Result<Arc<Effective>, ThreadError> {
        let asker = (!self.turn.is_shared()).then_some(self.turn.principal);
        Ok(self.holder.config(self.channel(), asker).await?)
    }

    /// Ends the thread if Ery is paused here.
    async fn pause_if_set(&mut self) -> Result<Option<Effect>, ThreadError> {
        let is_paused = self.config().await?.config.paused;
        Ok(is_paused.then(|| self.thread.pause(PAUSED, self.holder.now())))
    }

    /// Begins the thread in the store; a repeat tells how it stands.
    async fn begin(&mut self) -> Result<Vec<Change>, ThreadError> {
        let begun = self.holder.store.begin_thread(self.fence, &self.beginning()).await?;
        Ok(self.stands(begun))
    }

    fn beginning(&self) -> Beginning<'a> {
        Beginning {
            id: self.id,
            triggers: &self.turn.messages,
            principal: self.turn.principal,
            askers: if self.turn.is_shared() { &self.turn.askers } else { &[] },
            started_at: self.started_at,
        }
    }

    /// Takes note that the store knows the thread.
    fn stands(&mut self, begun: Begun) -> Vec<Change> {
        self.is_begun = true;
        if let Some(spending) = begun.spending {
            self.spending.learn(spending);
        }
        begun.changes
    }

    /// Returns whether orders are read of whoever asks.
    fn may_order(&self) -> bool {
        let rights = self.people.rights(self.turn.principal);
        !self.turn.is_shared()
            && !self.turn.is_planned()
            && self.channel().guild().is_some()
            && rights.is_some_and(crate::domain::people::Rights::can_moderate)
    }

    /// Fills up from Discord what the store does not hold of the channel yet; once for each channel.
    async fn with_older(
        &self,
        mut history: Vec<Message>,
        wanted: u32,
        since: UnixMillis,
    ) -> Vec<Message> {
        let (holder, channel) = (self.holder, self.channel());
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let missing = wanted.saturating_sub(history.len());
        // What a former holder filled up stands in the store by now.
        let is_resumed = !self.thread.is_fresh();
        if missing == 0 || is_resumed || holder.histories.is_read(channel) {
            return history;
        }
        let oldest = history.first().map(|message| message.id);
        let first = self.turn.messages.iter().map(|it| it.message.id).min();
        let Some(before) = oldest.or(first) else { return history };
        let limit = u32::try_from(missing.min(100)).unwrap_or(100);
        let older = match self.fetch(before, limit).await {
            Ok(older) => older,
            Err(fate) => {
                if fate == Fate::Refused {
                    holder.histories.set_read(channel);
                }
                return history;
            }
        };
        holder.histories.set_read(channel);
        let older = self.keep(older).await;
        history.extend(older.into_iter().filter(|message| message.created_at >= since));
        let mut history = context::before(self.turn, history);
        history.drain(..history.len().saturating_sub(wanted));
        history
    }

    /// Returns from Discord what is replied to, where neither the store nor the history holds it.
    async fn unknown_reply(&self, history: &[Message]) -> Option<Message> {
        if !self.thread.is_fresh() {
            return None;
        }
        let is_known = |id: &Id<MessageMarker>| {
            let here = self.turn.messages.iter().map(|it| &it.message);
            here.chain(history).any(|message| message.id == *id)
        };
        let replies = self.turn.messages.iter().filter_map(|it| it.message.reply_to);
        let reply = replies.filter(|id| !is_known(id)).max()?;
        let behind = Id::new_checked(reply.get().checked_add(1)?)?;
        let found = self.fetch(behind, 1).await.ok()?;
        // Where it is gone, the one before it comes.
        let found = found.into_iter().filter(|message| message.id == reply).collect();
        self.keep(found).await.pop()
    }

    async fn fetch(&self, before: Id<MessageMarker>, limit: u32) -> Result<Vec<Message>, Fate> {
        let channel = self.channel();
        let fetched = self.holder.tools.fetch_history(channel, before, limit).await;
        fetched.map_err(|status| {
            tracing::debug!(code = ?status.code(), channel.id = %channel.channel,
                "a channel's history could not be read; going on without it");
            fate(&status)
        })
    }

    /// Hands what was read from Discord to the store, and returns what may be read of it.
    async fn keep(&self, older: Vec<Message>) -> Vec<Message> {
        let (holder, channel) = (self.holder, self.channel());
        let ingested: Vec<_> = older
            .iter()
            .map(|message| Ingested {
                event: EventId::message_created(message.id),
                channel,
                change: IngestedChange::Created {
                    message: Box::new(message.clone()),
                    gate_reason: "",
                },
            })
            .collect();
        if ingested.is_empty() {
            return Vec::new();
        }
        let forgotten = match holder.store.ingest(ingestion::HANDLER, channel.home, &ingested).await
        {
            Ok(forgotten) => forgotten,
            Err(error) => {
                // Whose words may be read again is not known then.
                tracing::debug!(
                    error = with_causes(&error),
                    "a channel's history was not kept; going on without it"
                );
                return Vec::new();
            }
        };
        // Invariant FORGOTTEN: what stands on Discord yet of a person who is forgotten is not read.
        older.into_iter().filter(|message| !forgotten.contains(&message.id)).collect()
    }

    /// Returns as much as a request may hold; nothing is cut for what is built in.
    fn context_tokens(&self) -> u64 {
        if self.models().are_built_in(self.is_cheaper) {
            u64::MAX
        } else {
            self.holder.settings.context_tokens
        }
    }

    fn shown(&self) -> Shown {
        self.models().shown(self.is_cheaper)
    }

    /// Returns the models that are asked for this guild.
    fn models(&self) -> Arc<Models> {
        self.holder.installation.models().on(&self.keys)
    }

    /// Returns what the authors of messages may do, as the model is told it.
    fn rights_of<'b>(&self, messages: impl Iterator<Item = &'b Message>) -> Vec<String> {
        let rights = |message: &Message| {
            let rights = context::rights(message, self.people, self.bot);
            rights.as_word().to_owned()
        };
        messages.map(rights).collect()
    }

    /// Learns what the authors of the context may do. Where that is not told, they are strangers.
    async fn describe(&mut self, history: &[Message]) -> Result<(), ThreadError> {
        let authors = history
            .iter()
            .filter(|message| !message.is_own && !message.is_automated)
            .map(|message| message.author);
        let mut unknown = self.people.unknown(authors.chain([self.bot]));
        unknown.truncate(DESCRIBED);
        if unknown.is_empty() {
            return Ok(());
        }
        match self.holder.tools.describe_people(self.channel(), &unknown).await {
            Ok(people) => {
                for (user, person) in people {
                    self.people.insert(user, person);
                }
                Ok(())
            }
            Err(error @ CallError::Unavailable { .. }) => Err(error.into()),
            Err(error) => {
                tracing::warn!(error = with_causes(&error), task_thread.id = %self.id,
                    "the rights of people in the context are not known");
                Ok(())
            }
        }
    }

    /// Reads which acts a person with a right to moderate orders, from their own words alone, before
    /// anybody else's are looked at.
    async fn read_orders(&mut self) -> Result<Option<OrdersRead>, ThreadError> {
        if !self.may_order() {
            return Ok(None);
        }
        let tools = ORDERS.offered(self.desk.iter().flat_map(|desk| &desk.tools).cloned());
        if tools.is_empty() {
            return Ok(None);
        }
        let begun = Instant::now();
        let mut read = OrdersRead::default();
        let messages: Vec<Message> = self.thread.messages().cloned().collect();
        for message in &messages {
            self.read_orders_of(message, &tools, &mut read).await?;
        }
        self.holder.metrics.stage(Stage::Orders, begun.elapsed());
        let orders: Vec<_> = read
            .orders
            .iter()
            .map(|order| json!({"tool": order.tool, "arguments": order.arguments}))
            .collect();
        self.progress(
            ProgressKind::Orders,
            json!({"orders": orders, "read_by": read.read_by, "problems": read.problems}),
        );
        Ok(Some(read))
    }

    async fn read_orders_of(
        &mut self,
        message: &Message,
        tools: &[Tool],
        read: &mut OrdersRead,
    ) -> Result<(), ThreadError> {
        let (holder, channel, now) = (self.holder, self.channel(), self.holder.now());
        let bot = self.bot();
        self.costs.expect(self.bound_of_orders(message, tools));
        let (is_cheaper, costs) = (self.is_cheaper, self.costs.clone());
        let keys = Arc::clone(&self.keys);
        let found = holder
            .ai
            .read_orders(channel, message, tools, &bot, now, is_cheaper, &keys, &costs)
            .await;
        self.bill();
        let found = match found {
            Ok(found) => found,
            Err(error @ CallError::Unavailable { .. }) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(error = with_causes(&error), task_thread.id = %self.id,
                    "orders could not be read; every act will need a confirmation");
                read.problems.push("What it orders could not be read.".to_owned());
                return Ok(());
            }
        };
        read.read_by = found.read_by;
        self.thread.spent(found.spent);
        for mut order in found.orders {
            // CLOSED-WORLD: what was not offered cannot be ordered either.
            if !tools.iter().any(|tool| tool.name == order.tool) {
                continue;
            }
            match holder.tools.resolve_call(channel, &order, message, now).await {
                Ok(Resolved::Arguments(arguments)) => {
                    order.arguments = arguments;
                    read.orders.push(order);
                }
                Ok(Resolved::Problem(problem)) => read.problems.push(problem),
                Err(error @ CallError::Unavailable { .. }) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(error = with_causes(&error), task_thread.id = %self.id,
                        "an order could not be resolved");
                    read.problems.push(format!("`{}` could not be understood.", order.tool));
                }
            }
        }
        Ok(())
    }

    /// Asks the model; people see what it writes meanwhile, where that is set.
    #[tracing::instrument(
        name = "orchestrator.model.ask",
        skip_all,
        fields(step = self.thread.step_count())
    )]
    async fn ask(&mut self, ear: &Ear<'_>) -> Result<Effect, ThreadError> {
        let Some(asker) = self.grower() else { return self.ask_model(ear, None).await };
        let (holder, growth) = (self.holder, std::mem::take(&mut self.growth));
        let (writing, written) = watch::channel(String::new());
        let stop = CancellationToken::new();
        let asking = async {
            let next = self.ask_model(ear, Some(writing)).await;
            stop.cancel();
            next
        };
        // What is shown is shown to its end before anything else is said.
        let growing = growing::grow(holder, asker, growth, written, stop.clone());
        let (next, growth) = tokio::join!(asking, growing);
        self.growth = growth;
        next
    }

    /// Asks the model, while the thread is begun and the step that says so is journaled.
    async fn ask_model(
        &mut self,
        ear: &Ear<'_>,
        writing: Option<watch::Sender<String>>,
    ) -> Result<Effect, ThreadError> {
        if self.desk.is_none() {
            let changes = self.lay_out().await?;
            if let Some(instead) = self.thread.changed(&changes, self.holder.now()) {
                return Ok(instead);
            }
        }
        // By what was told since: begun, or journaled.
        if let Some(stop) = self.stop_if_spent().await? {
            return Ok(stop);
        }
        let holder = self.holder;
        let (request, tokens) = self.request();
        let completion = holder.settings.max_output_tokens.into();
        let models = self.models();
        // What it costs at the most where it is cut off: whoever deletes what they asked has it paid for.
        self.costs.expect(models.bound(self.is_cheaper, tokens, completion));
        let (costs, keys) = (self.costs.clone(), Arc::clone(&self.keys));
        let steps = self.thread.take_journal();
        let journaled = self.thread.step_count();
        let left = self.thread.deadline().since(holder.now());
        let (is_begun, beginning) = (self.is_begun, self.beginning());
        let (fence, id) = (self.fence, self.id);
        let mut appended = pin!(async {
            let begun = if is_begun {
                None
            } else {
                Some(Box::pin(holder.store.begin_thread(fence, &beginning)).await?)
            };
            Ok::<_, CallError>((begun, holder.store.append_steps(fence, id, &steps).await?))
        });
        let mut answered = pin!(holder.ai.run_model_turn(&request, &keys, &costs, writing));
        let mut time_up = pin!(sleep(left));
        let mut looks = interval_at(Instant::now() + CONFIG_LOOKED_AT, CONFIG_LOOKED_AT);
        let mut is_appended = false;
        let mut answer = None;
        while !is_appended || answer.is_none() {
            let instead = tokio::select! {
                brought = &mut appended, if !is_appended => {
                    is_appended = true;
                    let changes = self.journaled(brought?, &steps, journaled);
                    self.thread.changed(&changes, holder.now())
                }
                turn = &mut answered, if answer.is_none() => {
                    answer = Some(turn);
                    None
                }
                () = ear.changed() => if let Some(pause) = self.pause_if_set().await? {
                    Some(pause)
                } else {
                    let changes = changes_now(holder, self.fence, self.turn).await?;
                    self.thread.changed(&changes, holder.now())
                },
                _ = looks.tick(), if answer.is_none() => self.pause_if_set().await?,
                () = &mut time_up, if answer.is_none() => {
                    self.bill();
                    Some(self.thread.step(Input::TimeUp, holder.now()))
                }
            };
            if let Some(instead) = instead {
                self.bill();
                self.thread.spent(match answer {
                    Some(Ok(turn)) => turn.spent,
                    Some(Err(ModelError::Failed { spent, .. })) => spent,
                    Some(Err(ModelError::Call(_))) | None => Vec::new(),
                });
                // The step is on its way: it must stand before the next one is written.
                if !is_appended {
                    self.journaled(appended.await?, &steps, journaled);
                }
                return Ok(instead);
            }
        }
        self.bill();
        let input = match answer {
            Some(Ok(turn)) => {
                self.tell_answered(&turn);
                Input::ModelAnswered(turn)
            }
            Some(Err(ModelError::Failed { detail, spent, refused_keys, is_out_of_time })) => {
                self.thread.spent(spent);
                tracing::warn!(detail, task_thread.id = %self.id, "no provider answered");
                match refused_keys {
                    keys if keys.is_empty() && is_out_of_time => Input::TimeUp,
                    keys if keys.is_empty() => Input::ModelFailed(detail),
                    keys => Input::KeysRefused { keys, detail },
                }
            }
            Some(Err(ModelError::Call(CallError::Unavailable { status, .. })))
                if status.code() == Code::DeadlineExceeded =>
            {
                Input::TimeUp
            }
            Some(Err(ModelError::Call(error))) => return Err(error.into()),
            None => Input::TimeUp,
        };
        Ok(self.thread.step(input, holder.now()))
    }

    /// Takes note that steps stand in the journal, `count` in all.
    fn journaled(
        &mut self,
        (begun, appended): (Option<Begun>, Appended),
        steps: &[Step],
        count: u32,
    ) -> Vec<Change> {
        if let Some(begun) = begun {
            // What has changed, the journaling tells again.
            self.stands(begun);
        }
        self.steps.store(count, Ordering::Relaxed);
        self.learn(appended, steps)
    }

    /// Packs the request, and notes in the journal that it is asked; returns its size, too.
    fn request(&mut self) -> (ModelRequest, u64) {
        let (holder, channel, now) = (self.holder, self.channel(), self.holder.now());
        let bot = self.bot();
        let (history, tools, specs, instructions) = self.desk.as_ref().map_or_else(
            || (&[][..], &[][..], Vec::new(), ""),
            |desk| (&desk.history[..], &desk.tools[..], desk.specs.clone(), &*desk.instructions),
        );
        let packed = context::pack(Material {
            strategy: self.strategy(),
            prompt_tokens: PROMPT_TOKENS + text::tokens(instructions),
            tools,
            history,
            summary: self.desk.as_ref().and_then(|desk| desk.summary.as_ref()),
            thread: &self.thread,
            people: self.people,
            bot: self.bot,
            is_shared: self.turn.is_shared(),
            shown: self.shown(),
            is_withheld: self.desk.as_ref().is_some_and(|desk| desk.is_withheld),
            max_tokens: self.context_tokens(),
        });
        let offered: Vec<_> = tools.iter().map(|tool| tool.name.clone()).collect();
        let tokens = packed.tokens;
        self.messages_left_out = packed.messages_left_out;
        if self.thread.steps().is_empty() {
            self.progress(
                ProgressKind::Context,
                json!({
                    "messages": packed.messages, "tokens": tokens,
                    "messages_left_out": packed.messages_left_out,
                    "has_summary": packed.has_summary,
                    "is_history_withheld": self.desk.as_ref().is_some_and(|desk| desk.is_withheld),
                    "is_tainted": self.thread.is_tainted(), "tools": offered.len(),
                }),
            );
        }
        let request = ModelRequest::new(Asking {
            thread: self.id,
            channel,
            prompt: self.strategy().prompt,
            instructions: instructions.to_owned(),
            parts: packed.parts,
            tools: specs,
            max_output_tokens: holder.settings.max_output_tokens,
            marker: self.marker.clone(),
            bot,
            now,
            is_cheaper: self.is_cheaper,
        });
        self.progress(
            ProgressKind::ModelAsked,
            json!({
                "turn": self.thread.steps().len() + 1, "tokens": tokens,
                "results_left_out": packed.results_left_out,
            }),
        );
        let asked = ModelAsked {
            request_hash: request.hash(),
            prompt_version: self.strategy().prompt.to_owned(),
            offered,
            tokens,
        };
        self.thread.asked(asked, now);
        (request, tokens)
    }

    #[tracing::instrument(
        name = "orchestrator.tool.call",
        skip_all,
        fields(step = planned.step, call = planned.call)
    )]
    async fn call(&mut self, planned: PlannedCall) -> Result<Effect, ThreadError> {
        let PlannedCall { step, call, tool, arguments, approval, is_ahead } = planned;
        let key = match approval {
            None => ExecutionKey::Thread { thread: self.id, step, call },
            Some(_) => ExecutionKey::Approved { thread: self.id, step, call },
        };
        let (principal, askers) = (self.principal(), self.askers());
        let Some(trigger) = self.thread.trigger().cloned() else {
            return Ok(self.thread.start(self.holder.now()));
        };
        let caller = self.caller(principal, &askers, &trigger);
        let stands = Stands { approval, is_ahead };
        let done = self.holder.tools.call(&caller, key, &tool, &arguments, stands).await?;
        if done.outcome != CallOutcome::Later {
            self.holder.metrics.tool_called(done.outcome);
            self.tell_called(&tool, &arguments, &done);
        }
        let Called { outcome, content, changes, tier, .. } = done;
        let taints = match tier {
            Some(tier) => tier == Tier::Read,
            None => self.brings_in_words(&tool),
        };
        let now = self.holder.now();
        let returned = ToolReturn { outcome, content, taints };
        let next = self.thread.step(Input::ToolReturned(returned), now);
        Ok(self.thread.changed(&changes, now).unwrap_or(next))
    }

    #[tracing::instrument(name = "orchestrator.answer.send", skip_all)]
    async fn answer(&mut self, answer: Answer) -> Result<Effect, ThreadError> {
        let answer = self.with_notices(answer).await?;
        let (principal, askers) = (self.principal(), self.askers());
        let trigger = match answer.reply_to {
            Some(message) => TriggerId::Message(message),
            None => self.turn.messages[0].trigger.clone(),
        };
        self.growth.is_said();
        let caller = self.caller(principal, &askers, &trigger);
        let sent = self.say(&caller, &answer).await?;
        self.holder.metrics.tool_called(sent.outcome);
        if sent.outcome != CallOutcome::Done {
            tracing::warn!(outcome = sent.outcome.as_word(), task_thread.id = %self.id,
                channel.id = %self.channel().channel, "an answer was not sent as planned");
        }
        self.tell_called("send_message", &answer.text, &sent);
        let Called { outcome, reason, message, .. } = sent;
        let returned = Input::AnswerReturned { outcome, reason, message };
        Ok(self.thread.step(returned, self.holder.now()))
    }

    fn caller<'b>(
        &'b self,
        principal: Id<UserMarker>,
        askers: &'b [Id<UserMarker>],
        trigger: &'b TriggerId,
    ) -> Caller<'b> {
        Caller {
            fence: self.fence,
            thread: self.id,
            principal,
            askers,
            trigger,
            offered: self.thread.offered(),
            orders: self.thread.orders(),
            is_tainted: self.thread.is_tainted(),
            model: self.thread.model(),
            prompt_version: self.thread.prompt_version(),
        }
    }

    #[tracing::instrument(name = "orchestrator.journal.append", skip_all)]
    async fn append(&mut self) -> Result<Vec<Change>, ThreadError> {
        let steps = self.thread.take_journal();
        let brought = self.holder.store.append_steps(self.fence, self.id, &steps).await?;
        Ok(self.journaled((None, brought), &steps, self.thread.step_count()))
    }

    /// Returns whether a tool's result may hold what somebody else wrote.
    fn brings_in_words(&self, name: &str) -> bool {
        let tools = self.desk.iter().flat_map(|desk| &desk.tools);
        // A tool that is not known here brings in whatever it likes.
        tools.into_iter().find(|tool| tool.name == name).is_none_or(|it| it.tier == Tier::Read)
    }

    fn channel(&self) -> ChannelKey {
        self.fence.channel
    }

    fn strategy(&self) -> &'static Strategy {
        self.turn.strategy()
    }

    /// Returns those that it answers which somebody wrote.
    fn written(&self) -> impl Iterator<Item = &Message> {
        self.thread.messages().filter(|_| !self.turn.is_planned())
    }

    /// Returns on whose authority tools are called: the last author whose message still stands.
    fn principal(&self) -> Id<UserMarker> {
        let last = self.thread.messages().last();
        last.map_or(self.turn.principal, |message| message.author)
    }

    fn askers(&self) -> Vec<Id<UserMarker>> {
        let mut askers = Vec::new();
        for message in self.thread.messages() {
            if !askers.contains(&message.author) {
                askers.push(message.author);
            }
        }
        askers
    }

    fn bot(&self) -> Bot {
        Bot::named(self.bot, self.people)
    }

    fn tell_answered(&self, turn: &ModelTurn) {
        let calls: Vec<_> = turn.tool_calls.iter().map(|call| &call.tool).collect();
        self.progress(
            ProgressKind::ModelAnswered,
            json!({
                "turn": self.thread.steps().len() + 1, "text_length": turn.text.chars().count(),
                "tool_calls": calls, "provider": turn.provider, "model": turn.model,
                "usage": {
                    "prompt_tokens": turn.usage.prompt_tokens,
                    "completion_tokens": turn.usage.completion_tokens,
                    "cached_tokens": turn.usage.cached_tokens,
                },
                "cost_micros": turn.cost_micros,
            }),
        );
    }

    fn tell_called(&self, tool: &str, arguments: &str, called: &Called) {
        let done = if called.arguments.is_empty() { arguments } else { &called.arguments };
        self.progress(
            ProgressKind::Tool,
            json!({
                "tool": tool, "arguments": done, "outcome": called.outcome.as_word(),
                "reason": called.reason,
                "message": called.message.map(|message| message.to_string()),
            }),
        );
    }

    fn progress(&self, kind: ProgressKind, detail: Value) {
        self.holder.broadcaster.progress(&Progress {
            thread: self.id,
            channel: self.channel(),
            kind,
            at: self.holder.now(),
            detail,
        });
    }
}

/// Asks the store which triggers have changed: the broadcast told only that some have.
async fn changes_now(
    holder: &Holder,
    fence: &Fence,
    turn: &Turn,
) -> Result<Vec<Change>, ThreadError> {
    let triggers: Vec<_> = turn.messages.iter().map(|message| message.trigger.clone()).collect();
    match holder.store.open_channel(fence, &triggers, &[]).await? {
        Opened::Channel(channel) => {
            let of_thread = channel.unfinished.map_or_else(Vec::new, |thread| thread.changes);
            Ok(channel.changes.into_iter().chain(of_thread).collect())
        }
        Opened::RefusedBy(_) => Err(ThreadError::Fenced),
    }
}

async fn show_typing(holder: &Holder, channel: ChannelKey) -> Infallible {
    sleep(holder.settings.typing_after).await;
    loop {
        // Best effort: nothing depends on it.
        if let Err(status) = holder.tools.show_typing(channel).await {
            tracing::debug!(code = ?status.code(), "typing could not be shown");
        }
        sleep(TYPING_EVERY).await;
    }
}

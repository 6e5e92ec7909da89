//! Runs a thread's journal once more with a model, and nothing else: no Discord, no act, no store.

use std::{collections::HashMap, time::Duration};

use tokio_util::sync::CancellationToken;
use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_community_config::Effective;
use ery_proto::{ai::v1::ToolSpec, common::v1 as common, store::v1 as store};
use ery_rpc::Peers;

use crate::{
    adapters::{
        ai::{Ai, Asking, Bot, ModelError, ModelRequest},
        calls::Retries,
        convert,
        costs::Costs,
        keys::GuildKeys,
        store::{Unfinished, unfinished_from},
    },
    domain::{
        attachments::Shown,
        community,
        context::{self, Material},
        journal::{ContextLoaded, Entry, ModelAsked, OrdersRead, Step},
        message::Message,
        people::{People, Person, Rights},
        replay::{Comparison, End, Gaps, Replay, Script, Side, not_recorded},
        task_thread::{Effect, Input, Limits, TaskThread},
        text,
        tool::{CallOutcome, Tool},
        turn::Turn,
    },
    error::with_causes,
    handlers::thread_run::PROMPT_TOKENS,
    settings::Settings,
};

/// A replay may take its time: a person waits for it, and may end it.
const TIME: Duration = Duration::from_hours(24);

/// Longer than the ai-service takes at the most.
const MODEL_TIMEOUT: Duration = Duration::from_hours(2);

/// What a replay needs beside the thread.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// What is kept of the messages that stood before those that it answers.
    pub messages: &'a [common::Message],
    /// Every tool that there is.
    pub tools: &'a [ToolSpec],
    /// What the community has set by now.
    pub config: &'a Effective,
    pub settings: &'a Settings,
}

/// Why a thread cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("it answers neither a message nor a planned prompt: no other thread is replayed")]
    NoMessages,
    #[error("a message that it answers is kept no more")]
    MessagesGone,
    #[error("it ended before a model was asked: there is nothing to replay")]
    NothingAsked,
    #[error("its journal cannot be read: {0}")]
    Journal(String),
    #[error("the model gave no answer: {0}")]
    NoModel(String),
}

/// Returns the messages that a replay needs beside those that the thread answers, as its journal
/// names them; empty where it was never asked.
pub fn context_of(thread: &store::Thread) -> Vec<u64> {
    let loaded = thread.steps.iter().find(|it| it.kind() == store::StepKind::ContextLoaded);
    let payload = loaded.map_or("", |step| &*step.payload);
    let kind = crate::domain::journal::Kind::ContextLoaded;
    match Entry::read(0, kind, payload) {
        Ok(Entry::ContextLoaded(context)) => context.messages.iter().map(|id| id.get()).collect(),
        _ => Vec::new(),
    }
}

/// Runs a thread once more with the models that `ai` asks, and compares.
///
/// Results of tools come from the journal; what it does not hold is answered as such. The orders that
/// the original read stand.
///
/// # Errors
///
/// If the thread is none that can be replayed, or the model does not answer.
pub async fn replay(
    thread: store::Thread,
    beside: Beside<'_>,
    ai: Peers,
) -> Result<Replay, ReplayError> {
    let end = End {
        outcome: convert::outcome_word(thread.outcome()).to_owned(),
        detail: thread.detail.clone(),
        answer: None,
    };
    let has_messages = thread.triggers.iter().any(|it| it.id.starts_with("m."));
    let started_at = UnixMillis(thread.started_at_ms);
    let found =
        unfinished_from(thread).map_err(|error| ReplayError::Journal(with_causes(&error)))?;
    let Unfinished { id, turn, journal, past, .. } = found;
    let turn =
        turn.ok_or(if has_messages { ReplayError::MessagesGone } else { ReplayError::NoMessages })?;
    let journal = journal.map_err(|error| ReplayError::Journal(with_causes(&error)))?;
    let facts = Facts::of(&journal).ok_or(ReplayError::NothingAsked)?;
    // What the original might use stands in its journal; only the time is another one.
    let limits = Limits { time: TIME, ..Limits::from(&beside.config.config.limits) };
    // Without its end, the journal says itself what was to be done last.
    let until_end: Vec<Step> =
        journal.into_iter().filter(|it| !matches!(it.entry, Entry::Finished(_))).collect();
    let language = community::language(&beside.config.config);
    let mut original = TaskThread::resume(&turn, limits, language, started_at, until_end, &past)
        .map_err(|error| ReplayError::Journal(with_causes(&error)))?;
    if original.steps().is_empty() {
        return Err(ReplayError::NothingAsked);
    }
    let answer = match original.start(started_at) {
        Effect::Answer(answer) => Some(answer.text),
        _ => None,
    };
    let history = history(&turn, &facts.context.messages, beside.messages);
    let mut gaps = Gaps {
        messages_missing: facts.context.messages.len().saturating_sub(history.len()),
        messages_edited: edited(&turn, &history, &facts.context, started_at),
        are_rights_unknown: facts.context.rights.is_empty()
            && !(turn.is_planned() && facts.context.messages.is_empty()),
        is_summary_missing: facts.context.summary.is_some(),
        ..Gaps::default()
    };
    let (tools, missing) = offered(original.offered(), beside.tools);
    gaps.tools_missing = missing;
    let rerun = Rerun {
        id,
        turn: &turn,
        history,
        tools,
        people: people(&turn, &facts.context, beside.messages),
        instructions: community::instructions(&beside.config.config.answers),
        settings: beside.settings,
        now: started_at,
        ai: Ai {
            peers: ai,
            model_timeout: MODEL_TIMEOUT,
            retries: Retries { patience: Duration::ZERO, draining: CancellationToken::new() },
        },
        script: Script::of(original.steps()),
        unrecorded: 0,
    };
    let thread = TaskThread::new(&turn, limits, language, started_at);
    let (replayed, unrecorded) = rerun.run(thread, facts).await?;
    gaps.calls_not_in_journal = unrecorded;
    let original = Side::of(&original, End { answer, ..end });
    let comparison = Comparison::of(&original, &replayed);
    Ok(Replay { original, replay: replayed, comparison, gaps })
}

/// What the journal tells of how the thread began.
struct Facts {
    context: ContextLoaded,
    orders: Option<OrdersRead>,
}

impl Facts {
    fn of(journal: &[Step]) -> Option<Self> {
        let context = journal.iter().find_map(|step| match &step.entry {
            Entry::ContextLoaded(context) => Some(context.clone()),
            _ => None,
        })?;
        let orders = journal.iter().find_map(|step| match &step.entry {
            Entry::OrdersRead(orders) => Some(orders.clone()),
            _ => None,
        });
        Some(Self { context, orders })
    }
}

/// A thread that is run once more.
struct Rerun<'a> {
    id: ery_ids::TaskThreadId,
    turn: &'a Turn,
    history: Vec<Message>,
    tools: Vec<Tool>,
    people: People,
    instructions: String,
    settings: &'a Settings,
    now: UnixMillis,
    ai: Ai,
    script: Script,
    unrecorded: usize,
}

impl Rerun<'_> {
    async fn run(
        mut self,
        mut thread: TaskThread,
        facts: Facts,
    ) -> Result<(Side, usize), ReplayError> {
        let Facts { context, orders } = facts;
        let now = self.now;
        let mut effect = thread.step(Input::Loaded { context, orders }, now);
        let mut answer = None;
        let finished = loop {
            effect = match effect {
                Effect::AskModel => {
                    let turn = self.ask(&mut thread).await?;
                    thread.step(Input::ModelAnswered(turn), now)
                }
                Effect::CallTool(call) => {
                    let result = self.script.result(&call.tool, &call.arguments);
                    self.unrecorded += usize::from(result.is_none());
                    let result = result.unwrap_or_else(not_recorded);
                    thread.step(Input::ToolReturned(result), now)
                }
                Effect::Answer(said) => {
                    answer = Some(said.text);
                    let (outcome, reason) = (CallOutcome::Done, String::new());
                    thread.step(Input::AnswerReturned { outcome, reason, message: None }, now)
                }
                Effect::Finish(finished) => break finished,
                Effect::Load => return Err(ReplayError::NothingAsked),
            };
        };
        let outcome = finished.outcome.as_word().replace('_', " ");
        let end = End { outcome, detail: finished.detail, answer };
        Ok((Side::of(&thread, end), self.unrecorded))
    }

    async fn ask(
        &self,
        thread: &mut TaskThread,
    ) -> Result<crate::domain::journal::ModelTurn, ReplayError> {
        let bot = bot(self.turn, &self.history);
        let packed = context::pack(Material {
            strategy: self.turn.strategy(),
            prompt_tokens: PROMPT_TOKENS + text::tokens(&self.instructions),
            tools: &self.tools,
            history: &self.history,
            // Its text stands in no journal.
            summary: None,
            thread,
            people: &self.people,
            bot,
            is_shared: self.turn.is_shared(),
            // They lie at Discord, which a replay does not ask.
            shown: Shown::default(),
            is_withheld: false,
            max_tokens: self.settings.context_tokens,
        });
        let offered = self.tools.iter().map(|tool| tool.name.clone()).collect();
        thread.asked(ModelAsked { offered, ..ModelAsked::default() }, self.now);
        let request = ModelRequest::new(Asking {
            thread: self.id,
            channel: self.turn.messages[0].message.channel,
            prompt: self.turn.strategy().prompt,
            instructions: self.instructions.clone(),
            parts: packed.parts,
            tools: self.tools.iter().map(convert::tool).collect(),
            max_output_tokens: self.settings.max_output_tokens,
            marker: uuid::Uuid::new_v4().simple().to_string(),
            bot: Bot { id: bot, name: "Ery".to_owned() },
            now: self.now,
            is_cheaper: false,
        });
        // Whoever has it replayed pays for it, and not the guild.
        let keys = GuildKeys::default();
        match self.ai.run_model_turn(&request, &keys, &Costs::default(), None).await {
            Ok(turn) => Ok(turn),
            Err(ModelError::Failed { detail, .. }) => Err(ReplayError::NoModel(detail)),
            Err(ModelError::Call(error)) => Err(ReplayError::NoModel(with_causes(&error))),
        }
    }
}

/// Returns what stood in the channel before, as far as it is kept.
fn history(
    turn: &Turn,
    wanted: &[Id<MessageMarker>],
    messages: &[common::Message],
) -> Vec<Message> {
    let kept = messages.iter().cloned().filter_map(convert::message_from);
    context::before(turn, kept.filter(|message| wanted.contains(&message.id)).collect())
}

/// Counts the messages whose text is another one by now.
fn edited(turn: &Turn, history: &[Message], context: &ContextLoaded, at: UnixMillis) -> usize {
    let triggers = turn.messages.iter().map(|it| &it.message);
    let counted = |message: &Message| {
        let of = context.edited.iter().find(|edit| {
            turn.messages.iter().any(|it| it.trigger == edit.trigger && it.message.id == message.id)
        });
        of.map(|edit| edit.edited_at)
    };
    let is_edited = |message: &&Message| {
        message.edited_at.is_some_and(|edited| edited > at && Some(edited) != counted(message))
    };
    triggers.chain(history).filter(is_edited).count()
}

/// Returns those of all tools that the original was offered, and the names of those that are gone.
fn offered(names: &[String], all: &[ToolSpec]) -> (Vec<Tool>, Vec<String>) {
    let is_there = |name: &&String| all.iter().any(|spec| spec.name == **name);
    let missing = names.iter().filter(|name| !is_there(name)).cloned().collect();
    let tools = all.iter().filter(|spec| names.contains(&spec.name)).cloned();
    (tools.map(convert::tool_from).collect(), missing)
}

/// Returns what the authors might do, as the journal tells.
fn people(turn: &Turn, context: &ContextLoaded, messages: &[common::Message]) -> People {
    let ids = context.messages.iter().copied().chain(turn.messages.iter().map(|it| it.message.id));
    let rights: HashMap<_, _> =
        ids.zip(context.rights.iter().map(|word| Rights::from_word(word))).collect();
    let kept = messages.iter().cloned().filter_map(convert::message_from);
    let mut people = People::default();
    for message in kept.chain(turn.messages.iter().map(|it| it.message.clone())) {
        if let Some(rights) = rights.get(&message.id) {
            let (name, roles) = (message.author_name, Vec::new());
            people.insert(
                message.author,
                Person { name, rights: *rights, roles, reads_history: true },
            );
        }
    }
    people
}

/// Returns who Ery is there: the author of her own messages, else whom the messages mention.
fn bot(turn: &Turn, history: &[Message]) -> Id<UserMarker> {
    let own = history.iter().find(|message| message.is_own).map(|message| message.author);
    let mentions = turn.messages.iter().flat_map(|it| &it.message.mentions);
    own.or_else(|| mentions.map(|it| it.user).next()).unwrap_or(Id::new(1))
}

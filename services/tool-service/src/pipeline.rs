//! The one path of every tool call: offered, parsed, resolved, decided, opened, done, closed.

mod acts;
mod answering;
mod ask;
mod describe;
mod doubt;
mod mcp;
mod proposal;
mod record;
mod refused_clicks;
mod slow_mode;
mod traced;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared as SharedFuture},
};
use serde_json::Value;
use tokio::time::Instant;
use tonic::Status;
use tracing::Instrument;
use twilight_model::{
    guild::Permissions,
    id::{Id, marker::UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Principal};
use ery_proto::{
    store::v1::{
        self as store, BeginExecutionRequest, BeginExecutionResponse, EndExecutionRequest,
        Execution, ExecutionState,
    },
    tool::v1::{CallOutcome, CallToolRequest, CallToolResponse, ChangedTrigger},
};

use crate::{
    adapters::discord::wire::created_at,
    domain::{
        decide::{self, Call, Confirmed, Decision, decide},
        execution::{self, NONCE_LIFE, Recovery, recover},
        guild::GuildState,
        policy::Policy,
        reason::Reason,
        tool::{Needs, Reads, RetryClass, Tier},
    },
    error::CallError,
    metrics,
    resolve::{Problem, Scene},
    service::Shared,
    tools::{self, ANSWER_TOOL, Authority, Done, Entry, Later, Run, Settled},
};

use answering::Piece;
use ask::Ask;
pub(crate) use record::UNANSWERED;
use record::Verdict;
use refused_clicks::RefusedClicks;

/// How often a call that waits for another's execution looks how it stands.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Running = SharedFuture<BoxFuture<'static, Result<CallToolResponse, Status>>>;

/// Carries tool calls out.
pub(crate) struct Pipeline {
    shared: Arc<Shared>,
    /// The calls under way, so that a repeat joins the first one: by key, epoch and owner.
    running: Mutex<HashMap<String, Running>>,
    /// Sends that this process tried and that have no end yet, by key. Nothing of them is under way
    /// here, and under their nonce they may be made again at once, whoever else tries.
    unsettled: Mutex<HashSet<String>>,
    refused_clicks: RefusedClicks,
}

/// Takes a call off the list of those under way, however it ends.
struct Listed {
    pipeline: Arc<Pipeline>,
    name: String,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut running = self.pipeline.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.name);
    }
}

/// What is to be done for a call that was allowed.
struct Plan {
    entry: &'static Entry,
    act: Value,
    tier: Tier,
    needs: Needs,
    state: Option<GuildState>,
    people: Vec<Id<UserMarker>>,
    is_ordered: bool,
    /// Who approved it, where it was proposed.
    approver: Option<Id<UserMarker>>,
    /// Which order of the asker's it carries out.
    order: Option<execution::Ordered>,
    /// How much of its kind is done in an hour.
    limits: Vec<store::ActLimit>,
    /// The slow mode that holds for whoever asks, where it writes.
    slow: Option<store::SlowMode>,
    /// What the staff allow there.
    policy: Policy,
}

/// An act that was confirmed before: what is carried out, whatever the call says.
struct Granted {
    act: Value,
    confirmed: Confirmed,
    /// Whether its asker had ordered it word for word.
    was_ordered: bool,
}

impl Pipeline {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            running: Mutex::default(),
            unsettled: Mutex::default(),
            refused_clicks: RefusedClicks::default(),
        })
    }

    /// Carries a call out, to its end even if the caller goes away meanwhile.
    pub(crate) async fn call(
        self: &Arc<Self>,
        request: CallToolRequest,
    ) -> Result<CallToolResponse, Status> {
        let ask = Ask::parse(request)?;
        let name = ask.identity();
        let running = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(first) = running.get(&name) {
                first.clone()
            } else if running.len() >= self.shared.settings.calls {
                return Err(Status::resource_exhausted("too many calls are under way"));
            } else {
                let first = self.start(ask, name.clone());
                running.insert(name, first.clone());
                first
            }
        };
        running.await
    }

    fn start(self: &Arc<Self>, ask: Ask, name: String) -> Running {
        let pipeline = Arc::clone(self);
        let listed = Listed { pipeline: Arc::clone(self), name };
        let tool = tools::find(&ask.tool).map_or("unknown", |entry| entry.spec.name);
        let span = traced::call(tool, &ask);
        let task = async move {
            let began = Instant::now();
            let result = pipeline.run(&ask).await;
            let outcome = match &result {
                Ok(response) => record::word(response.outcome()),
                Err(error) => error.label(),
            };
            metrics::call(tool, outcome, began.elapsed().as_secs_f64());
            traced::called(outcome, result.is_ok());
            let Shared { patience, clock, .. } = &*pipeline.shared;
            if result.is_ok() {
                patience.answered(&ask.question());
            }
            if let Err(error) = &result
                && patience.is_to_be_said(&ask.key, clock.now())
            {
                tracing::warn!(
                    guild.id = ask.guild_raw(),
                    channel.id = ask.here.get(),
                    execution.key = ask.key,
                    error = %error,
                    "a tool call has no answer"
                );
            }
            drop(listed);
            result.map_err(Status::from)
        };
        let task = self.shared.work.spawn(task.instrument(span));
        task.map(|ended| ended.unwrap_or_else(|_| Err(Status::internal("a tool call broke off"))))
            .boxed()
            .shared()
    }

    async fn run(&self, ask: &Ask) -> Result<CallToolResponse, CallError> {
        if ask.guild().is_none()
            && let Some(message) = ask.trigger()
        {
            let asker = Some(ask.asker_id()).filter(|asker| *asker != 0);
            let written_at = created_at(message.get());
            self.shared.discord.forget_direct_denials(ask.here.get(), asker, written_at);
        }
        let admitted;
        let ask = match &ask.credential {
            Some(credential) => match self.admitted(ask, credential).await? {
                Ok(as_it_has_it) => {
                    admitted = as_it_has_it;
                    &admitted
                }
                Err(reason) => return self.refuse(ask, Verdict::denied(&reason, None)).await,
            },
            None => ask,
        };
        match self.judged(ask).await? {
            // What was ordered stands on its order, whatever waits before it.
            Judged::Allowed(plan) if ask.is_ahead && plan.order.is_some() => {
                self.carry_out(ask, *plan).await
            }
            Judged::Final(_) | Judged::Allowed(_) if ask.is_ahead => Ok(CallToolResponse {
                outcome: CallOutcome::Later.into(),
                ..CallToolResponse::default()
            }),
            Judged::Final(verdict) => self.refuse(ask, *verdict).await,
            Judged::Allowed(plan) => self.carry_out(ask, *plan).await,
            Judged::Proposal(plan, reason) => self.propose(ask, *plan, &reason).await,
        }
    }

    /// Judges a call. What Discord does not answer for too long is a failure of this call alone:
    /// one route may fail while all others work, and its channel must go on.
    async fn judged(&self, ask: &Ask) -> Result<Judged, CallError> {
        match self.judge(ask).await {
            // The end of a sanction waits for a token that is accepted.
            Err(error) if ask.is_end() && error.is_unauthorized() => Err(CallError::Unsettled),
            Err(error) if !ask.is_waited_for() && self.shared.gives_up(&ask.question(), &error) => {
                Ok(Judged::Final(Box::new(Verdict::unanswered())))
            }
            judged => {
                if judged.is_ok() {
                    self.shared.patience.goes_on(&ask.question());
                }
                judged
            }
        }
    }

    /// Finds out what is asked and whether it is allowed; changes nothing.
    async fn judge(&self, ask: &Ask) -> Result<Judged, CallError> {
        let Some(entry) = tools::find(&ask.tool) else {
            return Ok(Judged::denied(&Reason::UnknownTool));
        };
        let spec = entry.spec;
        if ask.is_answer && spec.name != ANSWER_TOOL {
            return Err(CallError::Invalid(format!("a thread does not answer by `{}`", spec.name)));
        }
        if !ask.is_answer && !ask.offered.iter().any(|name| name == spec.name) {
            return Ok(Judged::denied(&Reason::NotOffered { tool: spec.name }));
        }
        let shared = &*self.shared;
        let granted = match self.granted(ask).await? {
            Ok(granted) => granted,
            Err(reason) => return Ok(Judged::denied(&reason)),
        };
        let confirmed = granted.as_ref().map(|granted| granted.confirmed).or(ask.command());
        let was_ordered = granted.as_ref().is_some_and(|granted| granted.was_ordered);
        let act = match granted {
            // What was shown, or planned, is carried out.
            Some(granted) => granted.act,
            None => match self.resolved(ask, entry).await? {
                Ok(act) => act,
                Err(verdict) => return Ok(Judged::Final(Box::new(verdict))),
            },
        };
        // The order itself is carried out, not what the model made of it.
        let order = entry
            .tool
            .tier_of(&act)
            .filter(|tier| *tier >= Tier::Reversible)
            .and_then(|_| execution::ordered(spec.name, &act, ask.orders()));
        let is_ordered = order.is_some() || was_ordered || ask.is_an_order();
        let act = order.as_ref().map_or(act, |order| order.act.clone());
        // Who may plan may not plan what they may not call.
        if let Some(inner) = entry.tool.inner_of(&act)
            && matches!(confirmed, None | Some(Confirmed::Command))
            && !ask.offered.iter().any(|name| name == inner)
        {
            return Ok(Judged::denied(&Reason::NotOffered { tool: inner }));
        }

        let begun = Instant::now();
        // An answer stands on the bot's rights alone: whoever asked need not be looked up.
        let people = if ask.is_answer {
            Vec::new()
        } else {
            decide::people(ask.principal.as_ref(), &ask.askers)
        };
        let guild = match ask.guild() {
            Some(guild) => Some(shared.guilds.guild(guild).await?),
            None => None,
        };
        let tier = entry.tool.tier_of(&act);
        let needs = entry.tool.needs_of(&act, guild.as_deref(), ask.here);
        let Some((tier, needs)) = tier.zip(needs) else {
            return Ok(Judged::invalid("The order's arguments do not fit the tool.".into()));
        };
        let tier = needs.tier_for(&people, tier);
        // What cannot be undone, or was decided earlier, is not judged on what events told.
        let is_known = tier != Tier::Destructive && confirmed.is_none();
        let subjects = needs.subjects.iter().map(|subject| subject.user);
        let others: Vec<_> = subjects.chain(approver_of(confirmed)).collect();
        let state = self.beheld(ask, &people, others, is_known).await?;
        let call = Call {
            tool: spec,
            inner: entry.tool.inner_of(&act),
            tier,
            needs: &needs,
            principal: ask.principal.as_ref(),
            askers: &ask.askers,
            here: ask.here,
            is_tainted: ask.is_tainted,
            is_ordered,
            is_answer: ask.is_answer,
            confirmed,
        };
        let policy = shared.policy(ChannelKey::new(ask.guild(), ask.here)).await?;
        let now = shared.clock.now();
        let decision = decide(&call, state.as_ref(), &policy, now);
        let slow = slow_mode::of(&call, state.as_ref(), now);
        let decision = match &slow {
            Some(slow) => slow.after(decision, &call, ask.trigger()),
            None => decision,
        };
        let decision = held_back(decision, &call, &policy, ask.is_command);
        metrics::decided(is_known, begun.elapsed().as_secs_f64());
        let approver = approver_of(confirmed);
        let limits = acts::limits(&call, &policy, ask.is_command);
        let slow = slow.map(|slow| slow.bound());
        let plan = Plan {
            entry,
            act,
            tier,
            needs,
            state,
            people,
            is_ordered,
            approver,
            order,
            limits,
            slow,
            policy,
        };
        Ok(Judged::of(decision, plan, ask))
    }

    /// Reads what a call is judged on: its guild, with those who ask and these others; none in a direct
    /// message.
    async fn beheld(
        &self,
        ask: &Ask,
        people: &[Id<UserMarker>],
        others: Vec<Id<UserMarker>>,
        is_known: bool,
    ) -> Result<Option<GuildState>, CallError> {
        let Some(guild) = ask.guild() else { return Ok(None) };
        let guilds = &self.shared.guilds;
        let users = [people, &others].concat();
        if is_known {
            return Ok(Some(guilds.state(guild, &users).await?));
        }
        let mut state = guilds.state_anew(guild, &users).await?;
        let now = self.shared.clock.now();
        guilds.look_who_is_in(ask.here, people, now, &mut state).await?;
        Ok(Some(state))
    }

    /// Puts a call's arguments into their one exact form, or says what is wrong with them.
    async fn resolved(
        &self,
        ask: &Ask,
        entry: &'static Entry,
    ) -> Result<Result<Value, Verdict>, CallError> {
        let shared = &*self.shared;
        let piece = ask.is_answer.then(|| Piece::of(ask, &shared.filter)).flatten();
        let arguments = piece.as_ref().map_or(&ask.arguments, |piece| &piece.arguments);
        let parameters = match entry.parse(arguments, shared.settings.max_arguments_bytes) {
            Ok(parameters) => parameters,
            Err(mistake) => return Ok(Err(Verdict::invalid(mistake))),
        };
        let people = decide::people(ask.principal.as_ref(), &ask.askers);
        let scene = Scene {
            discord: &shared.discord,
            guilds: &shared.guilds,
            guild: ask.guild(),
            here: ask.here,
            sight: ask.sight(&people),
            trigger: ask.trigger(),
            filter: &shared.filter,
            executions: &shared.executions,
            now: shared.clock.now(),
        };
        match entry.tool.resolve_json(parameters, &scene).await {
            Ok(mut act) => {
                if let Some(buttons) = &ask.buttons {
                    act["components"] = buttons.clone();
                }
                if let Some(piece) = &piece {
                    piece.complete(ask, &mut act);
                }
                Ok(Ok(act))
            }
            Err(Problem::Unclear(sentence)) => Ok(Err(Verdict::invalid(sentence))),
            Err(Problem::Ambiguous(sentence)) => Ok(Err(Verdict::ambiguous(sentence))),
            Err(Problem::Unknown(error)) => Err(error.into()),
            Err(Problem::Unread(error)) => Err(error.into()),
        }
    }

    /// Records a call that is not made: opened and closed in one write.
    async fn refuse(&self, ask: &Ask, verdict: Verdict) -> Result<CallToolResponse, CallError> {
        metrics::denied(verdict.code);
        tracing::info!(
            guild.id = ask.guild_raw(),
            channel.id = ask.here.get(),
            execution.key = ask.key,
            reason = verdict.code,
            "a tool call was not allowed"
        );
        let now = self.shared.clock.now();
        let execution = ask.execution(&verdict, now, self.shared.settings.send_by);
        let request = BeginExecutionRequest {
            tells_others: verdict.tells_others,
            ..beginning(ask, execution)
        };
        let begun = self.shared.executions.begin(ask.home, request).await?;
        let changes = ask::changes(&begun);
        let Some(execution) = begun.execution else {
            return Err(CallError::Invalid("the store answered without the execution".into()));
        };
        if begun.is_new {
            return Ok(record::answer_of(execution, changes));
        }
        self.stands(ask, None, execution, changes).await
    }

    /// Answers a call whose execution stands already.
    async fn stands(
        &self,
        ask: &Ask,
        plan: Option<Plan>,
        execution: Execution,
        changes: Vec<ChangedTrigger>,
    ) -> Result<CallToolResponse, CallError> {
        if execution.state() == ExecutionState::Open {
            // What happened since it was opened must be found out.
            return self.recover(ask, plan, execution, changes).await;
        }
        Ok(record::answer_of(execution, changes))
    }

    async fn carry_out(&self, ask: &Ask, plan: Plan) -> Result<CallToolResponse, CallError> {
        let shared = &*self.shared;
        let now = shared.clock.now();
        let state = plan.state.as_ref();
        let Some(act) = plan.entry.tool.fixed(plan.act.clone(), now, state) else {
            let verdict = Verdict::invalid("The arguments do not fit the tool.".into());
            return self.refuse(ask, verdict).await;
        };
        let verdict = Verdict::allowed(act.clone(), ask).of(plan.tier, plan.is_ordered);
        let mut execution = ask.execution(&verdict, now, shared.settings.send_by);
        execution.approver_id = plan.approver.map_or(0, Id::get);
        execution.approval_id = ask.approval.clone().unwrap_or_default();
        let request = BeginExecutionRequest {
            weight: u32::try_from(plan.needs.subjects.len()).unwrap_or(u32::MAX),
            limits: plan.limits.clone(),
            order_hash: plan.order.as_ref().map(|order| order.hash.clone()).unwrap_or_default(),
            order_limit: plan.order.as_ref().map(acts::of_order),
            slow_mode: plan.slow.clone(),
            ..beginning(ask, execution)
        };
        let begun = self.begin(ask, request).await?;
        let changes = ask::changes(&begun);
        let Some(execution) = begun.execution else {
            return Err(CallError::Invalid("the store answered without the execution".into()));
        };
        if !begun.is_new {
            return self.stands(ask, Some(plan), execution, changes).await;
        }
        if execution.state() == ExecutionState::Denied {
            let code = record::code_of(&execution);
            metrics::denied(code);
            tracing::warn!(
                guild.id = ask.guild_raw(),
                execution.key = ask.key,
                reason = code,
                "an act is refused: so much is not done in an hour, for one order, or in slow mode"
            );
            return Ok(record::answer_of(execution, changes));
        }
        // What nobody waits for any more is taken back all the same.
        let is_withdrawn =
            plan.tier > Tier::Read && ask.is_withdrawn(&changes) && !ask.answering.withdraws;
        let done = if is_withdrawn {
            Done::failed(0, "The message that asked for this was deleted.")
        } else {
            let send_by = UnixMillis(execution.send_by_ms);
            let opened_at = UnixMillis(execution.opened_at_ms);
            self.act(ask, &plan, &act, (opened_at, send_by), How::Perform).await?
        };
        if done.settled == Settled::Failed && shared.clock.now() >= self.settled_at(&execution) {
            // Another may have taken the call for abandoned, and have done it: it is judged anew,
            // as any call that finds its execution begun.
            return Box::pin(self.run(ask)).await;
        }
        self.close(ask, execution, done, changes).await
    }

    /// Settles an execution that stands open: somebody began it and did not tell how it ended.
    async fn recover(
        &self,
        ask: &Ask,
        plan: Option<Plan>,
        execution: Execution,
        mut changes: Vec<ChangedTrigger>,
    ) -> Result<CallToolResponse, CallError> {
        let shared = &*self.shared;
        let opened_at = UnixMillis(execution.opened_at_ms);
        let settled_at = self.settled_at(&execution);
        let mut execution = execution;
        let is_over_here =
            self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).contains(&ask.key);
        // The first attempt may be under way still; who makes it may also close it.
        while !is_over_here && shared.clock.now() < settled_at {
            let left = settled_at.since(shared.clock.now());
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            let begun = self.look(ask, &execution).await?;
            changes = ask::changes(&begun);
            execution = begun.execution.unwrap_or(execution);
            if execution.state() != ExecutionState::Open {
                return Ok(record::answer_of(execution, changes));
            }
        }
        // What was allowed and begun is settled as it was stored; but it is begun anew only
        // while the rights for it still hold. Where it is only looked for, the repeats of former
        // holders must have come to their end, too.
        let is_proposal = execution.decision() == store::Decision::NeedsApproval;
        // Of a proposal the message with the buttons is what may have been seen; never its act.
        let (tool, stored, plan) = if is_proposal {
            let (plan, act) = self.showing(ask, &execution, None).await?;
            (Some(plan.entry), Some(act), Some(plan))
        } else {
            let stored: Option<Value> = serde_json::from_str(&execution.arguments).ok();
            (tools::find(&execution.tool), stored, plan)
        };
        let begun = tool.zip(stored);
        let begun = begun.and_then(|(entry, act)| Some((entry, entry.tool.retry_of(&act)?, act)));
        let is_looked_for = begun.as_ref().is_some_and(|(_, class, _)| *class == RetryClass::Nonce)
            && shared.clock.now() >= opened_at + NONCE_LIFE;
        let conclusive_at = opened_at + NONCE_LIFE + shared.settings.request_timeout;
        while is_looked_for && shared.clock.now() < conclusive_at {
            let left = conclusive_at.since(shared.clock.now());
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
        }
        let done = match begun {
            Some((entry, class, act)) => {
                let now = shared.clock.now();
                let recovery = recover(class, opened_at, shared.settings.send_by, now);
                match (recovery, plan) {
                    (Recovery::Repeat { send_by }, Some(plan)) => {
                        metrics::recovered("repeated");
                        let is_waited_for = is_proposal || ask.is_waited_for();
                        let times = (opened_at, send_by);
                        self.repeat(ask, &plan, &act, times, is_waited_for).await?
                    }
                    (_, None)
                        if class == RetryClass::Safe
                            && entry.tool.tier_of(&act) == Some(Tier::Read) =>
                    {
                        Done::failed(0, "The rights for that have changed meanwhile.")
                    }
                    (_, plan) => {
                        let plan = match plan {
                            Some(plan) => plan,
                            None => self.bare_plan(ask, entry).await?,
                        };
                        let times = (opened_at, now + shared.settings.send_by);
                        let done = self.act(ask, &plan, &act, times, How::LookUp).await?;
                        let is_found =
                            class != RetryClass::Safe || done.settled != Settled::InDoubt;
                        metrics::recovered(if is_found { "looked_up" } else { "in_doubt" });
                        done
                    }
                }
            }
            None => Done::in_doubt(0),
        };
        self.close(ask, execution, done, changes).await
    }

    /// A plan to look something up, where nothing is to be done.
    async fn bare_plan(&self, ask: &Ask, entry: &'static Entry) -> Result<Plan, CallError> {
        let state = match ask.guild() {
            Some(guild) => Some(self.shared.guilds.state(guild, &[]).await?),
            None => None,
        };
        let needs = Needs::in_channel(ask.here, Permissions::empty());
        let (act, tier, people) = (Value::Null, entry.spec.tier, Vec::new());
        Ok(Plan {
            entry,
            act,
            tier,
            needs,
            state,
            people,
            is_ordered: false,
            order: None,
            approver: None,
            limits: Vec::new(),
            slow: None,
            policy: Policy::default(),
        })
    }

    async fn act(
        &self,
        ask: &Ask,
        plan: &Plan,
        act: &Value,
        (opened_at, send_by): (UnixMillis, UnixMillis),
        how: How,
    ) -> Result<Done, CallError> {
        let shared = &*self.shared;
        let reads = match &plan.needs.reads {
            Reads::Channels(channels) => channels.as_slice(),
            _ => &[],
        };
        let nonce = execution::nonce(&ask.key);
        let run = Run {
            key: &ask.key,
            discord: &shared.discord,
            guilds: &shared.guilds,
            executions: &shared.executions,
            home: ask.home,
            here: ask.here,
            state: plan.state.as_ref(),
            people: &plan.people,
            policy: &plan.policy,
            reads,
            nonce: &nonce,
            audit_reason: &ask.audit_reason(act),
            opened_at,
            send_by,
            now: shared.clock.now(),
            request_timeout: shared.settings.request_timeout,
            bot: shared.guilds.bot().await?,
            max_result_bytes: shared.settings.max_result_bytes,
            is_repeat: matches!(how, How::Repeat),
            is_made_again: matches!(how, How::Propose) || ask.is_waited_for(),
        };
        Ok(match how {
            How::Perform | How::Propose | How::Repeat => {
                plan.entry.tool.perform_json(act, &run).await
            }
            How::LookUp => plan.entry.tool.look_up_json(act, &run).await,
        })
    }

    async fn begin(
        &self,
        ask: &Ask,
        mut request: BeginExecutionRequest,
    ) -> Result<BeginExecutionResponse, CallError> {
        if let Some(execution) = &request.execution {
            request.settling = self.settling(ask, execution).await?;
        }
        Ok(self.shared.executions.begin(ask.home, request).await?)
    }

    /// Finds out how an execution stands that was begun.
    async fn look(
        &self,
        ask: &Ask,
        execution: &Execution,
    ) -> Result<BeginExecutionResponse, CallError> {
        // A repeat writes nothing. That it proposes must be said all the same.
        let is_proposal = execution.decision() == store::Decision::NeedsApproval
            && execution.state() == ExecutionState::Open;
        let approval = is_proposal.then(|| store::NewApproval {
            hash: execution.arguments_hash.clone(),
            asker_id: ask.asker_id(),
            bot_id: ask.asker_id(),
            expires_at_ms: execution.opened_at_ms,
        });
        let request = BeginExecutionRequest { approval, ..beginning(ask, execution.clone()) };
        self.begin(ask, request).await
    }

    async fn close(
        &self,
        ask: &Ask,
        mut execution: Execution,
        done: Done,
        changes: Vec<ChangedTrigger>,
    ) -> Result<CallToolResponse, CallError> {
        // Invariant NOTHING-LOST: an answer is not given up because Discord is away, nor is a ban
        // without its end. The execution stays open, and the caller, or the channel's next holder,
        // asks for it again.
        let is_proposal = execution.decision() == store::Decision::NeedsApproval;
        if done.is_unsettled && (is_proposal || ask.is_waited_for()) {
            self.leave_unsettled(&ask.key);
            return Err(CallError::Unsettled);
        }
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).remove(&ask.key);
        let state = match done.settled {
            Settled::Done => ExecutionState::Done,
            Settled::Failed => ExecutionState::Failed,
            Settled::InDoubt => ExecutionState::InDoubt,
        };
        let content = match done.settled {
            // What it proposes is not done.
            Settled::Done if is_proposal => {
                tools::failure("needs_approval", &execution.decision_reason)
            }
            Settled::Done | Settled::Failed | Settled::InDoubt => done.content,
        };
        let later = match done.then {
            Some(later) => Some(self.later(ask, later).await?),
            None => None,
        };
        let request = EndExecutionRequest {
            fence: ask.fence.clone(),
            guild_id: ask.guild_raw(),
            channel_id: ask.here.get(),
            key: ask.key.clone(),
            state: state.into(),
            result: content.to_string(),
            rest_status: u32::from(done.rest_status),
            closed_at_ms: self.shared.clock.now().0,
            sent: done.sent,
            later,
        };
        execution.set_state(state);
        execution.result.clone_from(&request.result);
        self.shared.executions.end(ask.home, request).await?;
        Ok(record::answer_of(execution, changes))
    }

    /// Puts what is to be done later into the store's terms.
    async fn later(&self, ask: &Ask, later: Later) -> Result<store::Later, CallError> {
        Ok(store::Later {
            scheduled_action_id: execution::later_id(&ask.key),
            tool: later.tool.to_owned(),
            arguments: later.act.to_string(),
            due_at_ms: later.at.0,
            is_expiry: later.authority == Authority::Expiry,
            bot_id: self.shared.guilds.bot().await?.get(),
        })
    }

    /// Remembers that a send has no end and is not under way here. Past the bound all are forgotten:
    /// then whoever makes them again waits until they cannot be under way anywhere.
    fn leave_unsettled(&self, key: &str) {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        if unsettled.len() >= self.shared.settings.calls {
            unsettled.clear();
        }
        unsettled.insert(key.to_owned());
    }
}

fn beginning(ask: &Ask, execution: Execution) -> BeginExecutionRequest {
    let (fence, execution) = (ask.fence.clone(), Some(execution));
    BeginExecutionRequest { fence, execution, ..BeginExecutionRequest::default() }
}

/// Returns who approved an act by a click.
fn approver_of(confirmed: Option<Confirmed>) -> Option<Id<UserMarker>> {
    match confirmed {
        Some(Confirmed::Click(approver)) => Some(approver),
        Some(Confirmed::Plan | Confirmed::Command) | None => None,
    }
}

/// Refuses what was allowed where Ery is paused, or where nothing that matters is done: in a dry run.
///
/// A command is its giver's own act, and so is what a rule tells the staff for somebody; and what ends by
/// itself ends.
fn held_back(decision: Decision, call: &Call<'_>, policy: &Policy, is_command: bool) -> Decision {
    let is_of_rule = matches!(call.principal, Some(Principal::Rule { .. }));
    if matches!(decision, Decision::Deny(_)) || call.is_answer || is_of_rule {
        return decision;
    }
    if policy.is_paused && !is_command && !call.is_end() {
        return Decision::Deny(Reason::Paused);
    }
    match decision {
        Decision::Allow { .. }
            if policy.is_dry_run && !call.is_end() && call.tier >= Tier::Reversible =>
        {
            Decision::Deny(Reason::DryRun { tool: call.tool.name })
        }
        decision => decision,
    }
}

/// What is done with an act.
#[derive(Clone, Copy)]
enum How {
    Perform,
    /// What shows a proposal.
    Propose,
    /// An earlier attempt may have got through.
    Repeat,
    LookUp,
}

enum Judged {
    Allowed(Box<Plan>),
    Final(Box<Verdict>),
    /// It waits for a click, for this reason.
    Proposal(Box<Plan>, Reason),
}

impl Judged {
    fn of(decision: Decision, mut plan: Plan, ask: &Ask) -> Self {
        match decision {
            Decision::Allow { reads } => {
                plan.needs.reads = Reads::Channels(reads);
                Self::Allowed(Box::new(plan))
            }
            Decision::Deny(reason) => {
                let verdict = Verdict::denied(&reason, Some(plan.act));
                Self::Final(Box::new(verdict.of(plan.tier, plan.is_ordered)))
            }
            Decision::NeedsApproval(Reason::NeedsOrder { .. }) if ask.credential.is_some() => {
                Self::proposal(plan, Reason::ToldBefore { here: ask.here })
            }
            Decision::NeedsApproval(reason) => Self::proposal(plan, reason),
        }
    }

    fn denied(reason: &Reason) -> Self {
        Self::Final(Box::new(Verdict::denied(reason, None)))
    }

    fn invalid(sentence: String) -> Self {
        Self::Final(Box::new(Verdict::invalid(sentence)))
    }
}

use std::time::Duration;

use futures::FutureExt;
use tonic::Status;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, MessageMarker, UserMarker},
};

use ery_channel_queue::Task;
use ery_clock::UnixMillis;
use ery_event_bus::Event;
use ery_ids::{ChannelKey, Epoch, EventId, Fence, Home, TaskThreadId, TriggerId};
use ery_proto::store::v1 as proto;
use ery_rpc::{Peers, Transport, within};

use crate::{
    adapters::{calls::Retries, convert, summaries, usage},
    domain::{
        budgets::Spending,
        channel::ChannelState,
        discord::{ChannelEnd, Edit},
        journal::{Outcome, ReadStepError, Step, Usage},
        message::Message,
        planned::Prompt,
        summary::Summary,
        task_thread::{Change, Past},
        text,
        turn::{Turn, TurnMessage},
    },
    error::CallError,
};

/// The largest answer of the store: a thread's whole journal with its executions.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// The largest payload of a task that is kept with its dead letter: a message, with its embeds and
/// the one that it replies to, is well below it.
const LARGEST_DEAD_TASK: usize = 256 * 1024;

/// The largest payload of an event that is kept with its dead letter. It is for reading only.
const LARGEST_DEAD_EVENT: usize = 64 * 1024;

/// How much of an error the store is told.
const LONGEST_REASON: usize = 4 * 1024;

type Client = proto::store_service_client::StoreServiceClient<Transport>;

/// What a dead letter tells of something that came and cannot be handled.
#[derive(Debug)]
pub(crate) struct DeadEvent<'a> {
    /// The same however often it comes.
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) home: Home,
    pub(crate) channel: Option<Id<ChannelMarker>>,
    pub(crate) bot: Option<Id<UserMarker>>,
    pub(crate) received_at: UnixMillis,
    pub(crate) payload: &'a [u8],
}

impl<'a> From<&'a Event> for DeadEvent<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            id: &event.id.0,
            kind: &event.kind,
            home: event.home,
            channel: event.channel,
            bot: Some(event.bot),
            received_at: event.received_at,
            payload: &event.payload,
        }
    }
}

/// The store, as task threads and handlers use it.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) peers: Peers,
    pub(crate) timeout: Duration,
    pub(crate) retries: Retries,
}

/// How a channel stands.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The store has seen this higher epoch; nothing was changed.
    RefusedBy(Epoch),
    Channel(Box<OpenChannel>),
}

/// A channel opened under an epoch.
#[derive(Debug)]
pub(crate) struct OpenChannel {
    pub(crate) unfinished: Option<Unfinished>,
    /// Those of what waits that are done.
    pub(crate) finished: Vec<TriggerId>,
    pub(crate) changes: Vec<Change>,
    pub(crate) state: ChannelState,
    /// None where a store of an older version answers.
    pub(crate) spending: Option<Spending>,
}

/// A thread that an earlier holder left.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) id: TaskThreadId,
    /// None where it has neither a message nor a planned prompt that may be answered, or no person as
    /// its principal.
    pub(crate) turn: Option<Turn>,
    pub(crate) triggers: Vec<TriggerId>,
    pub(crate) journal: Result<Vec<Step>, ReadStepError>,
    pub(crate) past: Past,
    pub(crate) changes: Vec<Change>,
    /// Every message that began it was deleted.
    pub(crate) is_withdrawn: bool,
}

/// A thread that is to begin.
#[derive(Clone, Debug)]
pub(crate) struct Beginning<'a> {
    pub(crate) id: TaskThreadId,
    pub(crate) triggers: &'a [TurnMessage],
    pub(crate) principal: Id<UserMarker>,
    /// Every author, where several share the turn; else empty.
    pub(crate) askers: &'a [Id<UserMarker>],
    pub(crate) started_at: UnixMillis,
}

/// How much of a channel a thread wants to read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ContextWanted {
    pub(crate) messages: u32,
    pub(crate) since: UnixMillis,
    pub(crate) wait: Duration,
    /// Whether the channel's summary is read, too.
    pub(crate) wants_summary: bool,
}

/// What a thread reads of its channel.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Oldest first; the triggers may stand among them.
    pub(crate) newest: Vec<Message>,
    /// What the triggers reply to beyond it, and what that replies to; oldest first.
    pub(crate) replied_to: Vec<Message>,
    pub(crate) summary: Option<Summary>,
    /// Whether ingestion had reached the newest trigger.
    pub(crate) is_current: bool,
    /// Those of the triggers that were deleted or edited since they were sent.
    pub(crate) changes: Vec<Change>,
}

/// How a thread that was begun stands.
#[derive(Debug, Default)]
pub(crate) struct Begun {
    pub(crate) changes: Vec<Change>,
    /// None where a store of an older version answers.
    pub(crate) spending: Option<Spending>,
}

/// What journaling steps brought.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    pub(crate) changes: Vec<Change>,
    /// Where a step told of something that was spent.
    pub(crate) spending: Option<Spending>,
}

/// How a thread ends.
#[derive(Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) id: TaskThreadId,
    pub(crate) triggers: &'a [TriggerId],
    /// What they came with, where they become dead letters.
    pub(crate) tasks: &'a [Task],
    pub(crate) state: &'a ChannelState,
    pub(crate) usage: Usage,
    /// The journal's last step; none where the journal cannot be gone on with.
    pub(crate) step: Option<&'a Step>,
    pub(crate) outcome: Outcome,
    pub(crate) detail: &'a str,
    pub(crate) at: UnixMillis,
}

/// Messages of a channel that may have been missed: those behind `after`, up to `last` where it is
/// known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) channel: Id<ChannelMarker>,
    pub(crate) after: u64,
    pub(crate) last: Option<Id<MessageMarker>>,
}

/// A change of messages, as ingestion read it.
#[derive(Clone, Debug)]
pub(crate) struct Ingested {
    pub(crate) event: EventId,
    pub(crate) channel: ChannelKey,
    pub(crate) change: IngestedChange,
}

#[derive(Clone, Debug)]
pub(crate) enum IngestedChange {
    Created { message: Box<Message>, gate_reason: &'static str },
    Edited(Box<Edit>),
    Deleted { messages: Vec<Id<MessageMarker>>, at: UnixMillis },
    ChannelDeleted { at: UnixMillis },
}

impl Store {
    pub(super) fn client(&self, home: Home) -> Client {
        Client::new(self.peers.of(home)).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Records the epoch, and tells how the channel stands, and what was spent for `spenders`.
    pub(crate) async fn open_channel(
        &self,
        fence: &Fence,
        waiting: &[TriggerId],
        spenders: &[Id<UserMarker>],
    ) -> Result<Opened, CallError> {
        let client = self.client(fence.channel.home);
        let request = proto::OpenChannelRequest {
            fence: Some(convert::fence(fence)),
            waiting_trigger_ids: waiting.iter().map(ToString::to_string).collect(),
            spender_ids: spenders.iter().map(|user| user.get()).collect(),
        };
        let answer = self
            .retries
            .call("OpenChannel", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.open_channel(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        if answer.refused_by_epoch != 0 {
            return Ok(Opened::RefusedBy(Epoch(answer.refused_by_epoch)));
        }
        let unfinished = answer.unfinished.map(unfinished_from).transpose()?;
        Ok(Opened::Channel(Box::new(OpenChannel {
            unfinished,
            finished: convert::triggers_from(&answer.finished_trigger_ids).collect(),
            changes: convert::changes_from(answer.changes),
            state: answer.state.map(convert::state_from).unwrap_or_default(),
            spending: answer.spending.map(usage::spending_from),
        })))
    }

    /// Begins a thread, or answers alike for one that stands.
    pub(crate) async fn begin_thread(
        &self,
        fence: &Fence,
        beginning: &Beginning<'_>,
    ) -> Result<Begun, CallError> {
        let client = self.client(fence.channel.home);
        let trigger = |by: &TurnMessage| proto::Trigger {
            id: by.trigger.to_string(),
            // A planned prompt is none.
            message: by.trigger.message().map(|_| convert::message(&by.message, "")),
            received_at_ms: by.received_at.0,
        };
        let request = proto::BeginThreadRequest {
            fence: Some(convert::fence(fence)),
            thread_id: beginning.id.to_string(),
            triggers: beginning.triggers.iter().map(trigger).collect(),
            principal: Some(convert::person(beginning.principal)),
            askers: beginning.askers.iter().map(|asker| asker.get()).collect(),
            started_at_ms: beginning.started_at.0,
            context: None,
        };
        let answer = self
            .retries
            .call("BeginThread", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.begin_thread(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(Begun {
            changes: convert::changes_from(answer.changes),
            spending: answer.spending.map(usage::spending_from),
        })
    }

    /// Reads what a thread that answers `triggers` is told of its channel.
    pub(crate) async fn read_context(
        &self,
        channel: ChannelKey,
        triggers: &[TurnMessage],
        wanted: ContextWanted,
    ) -> Result<Context, CallError> {
        let client = self.client(channel.home);
        let answered = |trigger: &TurnMessage| proto::AnsweredMessage {
            message_id: trigger.message.id.get(),
            reply_to_id: trigger.message.reply_to.map_or(0, Id::get),
            edited_at_ms: trigger.message.edited_at.map_or(0, |at| at.0),
        };
        let request = proto::ReadContextRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            // A planned prompt is no message.
            answered: triggers
                .iter()
                .filter(|trigger| trigger.trigger.message().is_some())
                .map(answered)
                .collect(),
            query: Some(proto::ContextQuery {
                max_messages: wanted.messages,
                since_ms: wanted.since.0,
                wait_ms: u32::try_from(wanted.wait.as_millis()).unwrap_or(u32::MAX),
                wants_summary: wanted.wants_summary,
            }),
        };
        let answer = self
            .retries
            .call("ReadContext", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.read_context(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await;
        let answer = match answer {
            // A store of an older version.
            Err(error) if usage::is_unimplemented(&error) => {
                return self.older_context(channel, wanted).await;
            }
            answer => answer?,
        };
        Ok(Context {
            newest: answer.context.into_iter().filter_map(convert::message_from).collect(),
            replied_to: answer.replied_to.into_iter().filter_map(convert::message_from).collect(),
            summary: answer.summary.and_then(summaries::summary_from),
            is_current: answer.is_current,
            changes: convert::changes_from(answer.changes),
        })
    }

    async fn older_context(
        &self,
        channel: ery_ids::ChannelKey,
        wanted: ContextWanted,
    ) -> Result<Context, CallError> {
        let mut context = Context::default();
        if wanted.messages > 0 {
            context.newest = self.listed(channel, 0, wanted.messages, wanted.since).await?;
        }
        Ok(context)
    }

    /// Journals steps, and tells which triggers have changed.
    pub(crate) async fn append_steps(
        &self,
        fence: &Fence,
        thread: TaskThreadId,
        steps: &[Step],
    ) -> Result<Appended, CallError> {
        let client = self.client(fence.channel.home);
        let request = proto::AppendStepsRequest {
            fence: Some(convert::fence(fence)),
            thread_id: thread.to_string(),
            steps: steps.iter().map(convert::step).collect(),
        };
        let answer = self
            .retries
            .call("AppendSteps", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.append_steps(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(Appended {
            changes: convert::changes_from(answer.changes),
            spending: answer.spending.map(usage::spending_from),
        })
    }

    /// Counts an attempt that ended with an error of its own; answers how many there were.
    pub(crate) async fn record_attempt(
        &self,
        fence: &Fence,
        thread: TaskThreadId,
        error: &str,
        at_step: u32,
        at: UnixMillis,
    ) -> Result<u32, CallError> {
        let client = self.client(fence.channel.home);
        let request = proto::RecordAttemptRequest {
            fence: Some(convert::fence(fence)),
            thread_id: thread.to_string(),
            error: text::cut(error, LONGEST_REASON).to_owned(),
            at_step,
            at_ms: at.0,
        };
        let answer = self
            .retries
            .call("RecordAttempt", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.record_attempt(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(answer.attempts)
    }

    /// Writes the outcome and the ids of the triggers that it finishes. A thread that never began
    /// gets its row here.
    pub(crate) async fn finish_thread(
        &self,
        fence: &Fence,
        ending: &Ending<'_>,
    ) -> Result<(), CallError> {
        let client = self.client(fence.channel.home);
        let request = proto::FinishThreadRequest {
            fence: Some(convert::fence(fence)),
            thread_id: ending.id.to_string(),
            outcome: convert::outcome(ending.outcome).into(),
            detail: text::cut(ending.detail, LONGEST_REASON).to_owned(),
            finished_trigger_ids: ending.triggers.iter().map(ToString::to_string).collect(),
            state: Some(convert::state(ending.state)),
            usage: Some(convert::usage(ending.usage)),
            at_ms: ending.at.0,
            step: ending.step.map(convert::step),
            tasks: ending.tasks.iter().map(dead_task).collect(),
        };
        self.retries
            .call("FinishThread", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.finish_thread(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(())
    }

    /// Makes a dead letter of an event, or of something else that came, which cannot be handled.
    pub(crate) async fn record_dead_event(
        &self,
        handler: &str,
        event: &DeadEvent<'_>,
        reason: &str,
    ) -> Result<(), CallError> {
        let client = self.client(event.home);
        let request = proto::RecordDeadEventRequest {
            handler: handler.to_owned(),
            event_id: event.id.to_owned(),
            event_kind: event.kind.to_owned(),
            guild_id: event.home.guild().map_or(0, Id::get),
            channel_id: match (event.channel, event.home) {
                (Some(channel), _) | (None, Home::Dm(channel)) => channel.get(),
                (None, Home::Guild(_)) => 0,
            },
            bot_id: event.bot.map_or(0, Id::get),
            received_at_ms: event.received_at.0,
            reason: text::cut(reason, LONGEST_REASON).to_owned(),
            payload: kept(event.payload, LARGEST_DEAD_EVENT),
            payload_bytes: size(event.payload),
        };
        self.retries
            .call("RecordDeadEvent", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.record_dead_event(request).await.map(tonic::Response::into_inner) }.boxed()
            })
            .await?;
        Ok(())
    }

    /// Tells in which channels messages were missed before Discord told the guild by `event`.
    pub(crate) async fn find_gaps(
        &self,
        guild: Id<GuildMarker>,
        event: &Event,
        ingestion: &str,
        ends: &[ChannelEnd],
    ) -> Result<Vec<Gap>, CallError> {
        let client = self.client(Home::Guild(guild));
        let end = |(channel, last): &ChannelEnd| proto::ChannelEnd {
            channel_id: channel.get(),
            last_message_id: last.get(),
        };
        let request = proto::FindGapsRequest {
            guild_id: guild.get(),
            event_id: event.id.to_string(),
            received_at_ms: event.received_at.0,
            ingestion: ingestion.to_owned(),
            channels: ends.iter().map(end).collect(),
        };
        let answer = self
            .retries
            .call("FindGaps", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.find_gaps(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        let gap = |gap: proto::Gap| {
            Some(Gap {
                channel: Id::new_checked(gap.channel_id)?,
                after: gap.after,
                last: Some(Id::new_checked(gap.last)?),
            })
        };
        Ok(answer.gaps.into_iter().filter_map(gap).collect())
    }

    /// Lets a suspended thread run again, once its approval is decided; none if there is nothing to
    /// go on with.
    pub(crate) async fn reopen_thread(
        &self,
        fence: &Fence,
        approval: &str,
    ) -> Result<Option<Unfinished>, CallError> {
        let client = self.client(fence.channel.home);
        let request = proto::ReopenThreadRequest {
            fence: Some(convert::fence(fence)),
            approval_id: approval.to_owned(),
        };
        let answer = self
            .retries
            .call("ReopenThread", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.reopen_thread(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        answer.thread.map(unfinished_from).transpose()
    }

    /// Returns an approval of a guild.
    pub(crate) async fn approval(
        &self,
        guild: Id<GuildMarker>,
        approval: &str,
    ) -> Result<Option<proto::Approval>, CallError> {
        let client = self.client(Home::Guild(guild));
        let request = proto::GetApprovalRequest {
            guild_id: guild.get(),
            approval_id: approval.to_owned(),
            message_id: 0,
        };
        let answer = self
            .retries
            .call("GetApproval", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.get_approval(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(answer.approval)
    }

    /// Returns an act whose time has come, unless it was cancelled.
    pub(crate) async fn due_action(
        &self,
        guild: Id<GuildMarker>,
        action: &str,
    ) -> Result<Option<proto::ScheduledAction>, CallError> {
        let client = self.client(Home::Guild(guild));
        let request = proto::GetScheduledActionRequest {
            guild_id: guild.get(),
            scheduled_action_id: action.to_owned(),
        };
        let answer = self
            .retries
            .call("GetScheduledAction", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move {
                    client.get_scheduled_action(request).await.map(tonic::Response::into_inner)
                }
                .boxed()
            })
            .await?;
        let stands = |action: &proto::ScheduledAction| {
            action.state() != proto::ScheduledActionState::Cancelled
        };
        Ok(answer.action.filter(stands))
    }

    /// Begins a thread that no message began. A repeat changes nothing.
    pub(crate) async fn begin_bare_thread(
        &self,
        fence: &Fence,
        thread: TaskThreadId,
        trigger: &TriggerId,
        action: &proto::ScheduledAction,
        now: UnixMillis,
    ) -> Result<(), CallError> {
        let client = self.client(fence.channel.home);
        let request = proto::BeginThreadRequest {
            fence: Some(convert::fence(fence)),
            thread_id: thread.to_string(),
            triggers: vec![proto::Trigger {
                id: trigger.to_string(),
                received_at_ms: now.0,
                message: None,
            }],
            principal: action.principal.clone(),
            started_at_ms: now.0,
            ..proto::BeginThreadRequest::default()
        };
        self.retries
            .call("BeginThread", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.begin_thread(request).await.map(|_| ()) }.boxed()
            })
            .await
    }

    /// Tells which direct messages are to be read back, now that a session has begun: each with the
    /// newest message known of it.
    pub(crate) async fn find_direct_gaps(
        &self,
        session: &str,
        told_at: UnixMillis,
        ingestion: &str,
        max: usize,
    ) -> Result<Vec<Gap>, CallError> {
        let request = proto::FindDirectGapsRequest {
            session: session.to_owned(),
            told_at_ms: told_at.0,
            ingestion: ingestion.to_owned(),
            max_channels: u32::try_from(max).unwrap_or(u32::MAX),
        };
        let replicas = self.peers.each();
        if replicas.is_empty() {
            let status = Box::new(Status::unavailable("no store is known"));
            return Err(CallError::Unavailable { call: "FindDirectGaps", status });
        }
        let mut gaps = Vec::new();
        for replica in replicas {
            let client = Client::new(replica).max_decoding_message_size(LARGEST_ANSWER);
            let answer = self
                .retries
                .call("FindDirectGaps", self.timeout, || {
                    let mut client = client.clone();
                    let request = within(self.timeout, request.clone());
                    async move {
                        client.find_direct_gaps(request).await.map(tonic::Response::into_inner)
                    }
                    .boxed()
                })
                .await?;
            if answer.left_out > 0 {
                tracing::warn!(
                    read = answer.gaps.len(),
                    left = answer.left_out,
                    "there are more direct messages than are read back; the oldest are left"
                );
            }
            gaps.extend(answer.gaps.iter().filter_map(|gap| {
                Some(Gap {
                    channel: Id::new_checked(gap.channel_id)?,
                    after: gap.after,
                    last: None,
                })
            }));
        }
        Ok(gaps)
    }

    /// Notes that what was missed before `session` told a guild, or began, is read back.
    pub(crate) async fn note_read_back(
        &self,
        home: Home,
        session: &str,
        told_at: UnixMillis,
    ) -> Result<(), CallError> {
        let client = self.client(home);
        let (guild_id, channel_id) = raw(home);
        let request = proto::NoteReadBackRequest {
            guild_id,
            session: session.to_owned(),
            told_at_ms: told_at.0,
            channel_id,
        };
        self.retries
            .call("NoteReadBack", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.note_read_back(request).await.map(|_| ()) }.boxed()
            })
            .await
    }

    /// Tells whether what was missed before `session` told a guild, or began, is read back, or a
    /// younger session's than of what was received then.
    pub(crate) async fn is_read_back(
        &self,
        home: Home,
        session: &str,
        received_at: UnixMillis,
    ) -> Result<bool, CallError> {
        let client = self.client(home);
        let (guild_id, channel_id) = raw(home);
        let request = proto::IsReadBackRequest {
            guild_id,
            session: session.to_owned(),
            received_at_ms: received_at.0,
            channel_id,
        };
        self.retries
            .call("IsReadBack", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.is_read_back(request).await.map(|it| it.into_inner().is_read_back) }
                    .boxed()
            })
            .await
    }

    /// Takes changes of messages in, all of one home.
    pub(crate) async fn ingest(
        &self,
        handler: &str,
        home: Home,
        events: &[Ingested],
    ) -> Result<Vec<Id<MessageMarker>>, CallError> {
        let client = self.client(home);
        let request = proto::IngestMessagesRequest {
            handler: handler.to_owned(),
            events: events.iter().map(ingest_event).collect(),
        };
        let answer = self
            .retries
            .call("IngestMessages", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.ingest_messages(request).await.map(tonic::Response::into_inner) }.boxed()
            })
            .await?;
        Ok(answer.forgotten_message_ids.into_iter().filter_map(Id::new_checked).collect())
    }
}

/// Returns guild and channel as the contract names whose data is meant.
fn raw(home: Home) -> (u64, u64) {
    match home {
        Home::Guild(guild) => (guild.get(), 0),
        Home::Dm(channel) => (0, channel.get()),
    }
}

fn dead_task(task: &Task) -> proto::DeadTask {
    proto::DeadTask {
        trigger_id: task.trigger.to_string(),
        bot_id: task.bot.get(),
        received_at_ms: task.received_at.0,
        payload: kept(&task.payload, LARGEST_DEAD_TASK),
        payload_bytes: size(&task.payload),
    }
}

/// Returns a payload unless it is too large to be kept.
fn kept(payload: &[u8], max: usize) -> Option<Vec<u8>> {
    (payload.len() <= max).then(|| payload.to_vec())
}

fn size(payload: &[u8]) -> u64 {
    u64::try_from(payload.len()).unwrap_or(u64::MAX)
}

/// Reads a thread with what it did until now.
pub(crate) fn unfinished_from(thread: proto::Thread) -> Result<Unfinished, CallError> {
    let lacks = |lacks| CallError::Unreadable { call: "OpenChannel", lacks };
    let id: TaskThreadId = thread.thread_id.parse().map_err(|_| lacks("unfinished.thread_id"))?;
    let triggers: Vec<TriggerId> =
        thread.triggers.iter().filter_map(|trigger| trigger.id.parse().ok()).collect();
    let messages: Vec<TurnMessage> = thread
        .triggers
        .into_iter()
        .filter_map(|trigger| {
            Some(TurnMessage {
                trigger: trigger.id.parse().ok()?,
                message: convert::message_from(trigger.message?)?,
                received_at: UnixMillis(trigger.received_at_ms),
            })
        })
        .collect();
    let changes = convert::changes_from(thread.changes);
    // A click goes on with what messages began; of what was deleted since only the id is left.
    let is_deleted =
        |trigger: &TriggerId| changes.iter().any(|it| it.is_deleted && it.trigger == *trigger);
    let is_told = |trigger: &TriggerId| messages.iter().any(|it| it.trigger == *trigger);
    let is_without_words = |trigger: &&TriggerId| match trigger {
        TriggerId::Approval(_) => true,
        trigger => is_deleted(trigger) && !is_told(trigger),
    };
    let woken_by: Vec<_> = triggers.iter().filter(is_without_words).cloned().collect();
    let is_whole = messages.len() + woken_by.len() == triggers.len();
    let is_withdrawn = is_whole && messages.is_empty() && !triggers.is_empty();
    let principal = convert::person_of(thread.principal.as_ref());
    let turn = Turn::of(messages).filter(|_| is_whole).zip(principal);
    let turn = turn.map(|(turn, principal)| Turn { principal, ..turn });
    let channel = ChannelKey::from_raw(thread.guild_id, thread.channel_id);
    let is_plan = |trigger: &&TriggerId| matches!(trigger, TriggerId::ScheduledAction { .. });
    let prompt = match (triggers.iter().find(is_plan), principal, channel) {
        (Some(trigger), Some(planner), Some(channel)) => {
            convert::allowed_prompt(id, &thread.executions).map(|words| Prompt {
                channel,
                trigger: trigger.clone(),
                planner,
                words,
                begun_at: UnixMillis(thread.started_at_ms),
            })
        }
        _ => None,
    };
    Ok(Unfinished {
        id,
        turn: turn.or_else(|| prompt.map(Prompt::turn)).map(|turn| Turn { woken_by, ..turn }),
        triggers,
        journal: convert::steps_from(thread.steps),
        past: convert::past_from(id, thread.executions, &thread.approvals),
        changes,
        is_withdrawn,
    })
}

fn ingest_event(ingested: &Ingested) -> proto::IngestEvent {
    use proto::ingest_event::{Change as Kind, ChannelDeletion, Deletion, Edit as ProtoEdit};

    let change = match &ingested.change {
        IngestedChange::Created { message, gate_reason } => {
            Kind::Created(convert::message(message, gate_reason))
        }
        IngestedChange::Edited(edit) => Kind::Edited(ProtoEdit {
            message_id: edit.id.get(),
            content: edit.content.clone(),
            edited_at_ms: edit.edited_at.0,
            message: edit.message.as_ref().map(|message| convert::message(message, "")),
        }),
        IngestedChange::Deleted { messages, at } => Kind::Deleted(Deletion {
            message_ids: messages.iter().map(|message| message.get()).collect(),
            at_ms: at.0,
        }),
        IngestedChange::ChannelDeleted { at } => {
            Kind::ChannelDeleted(ChannelDeletion { at_ms: at.0 })
        }
    };
    proto::IngestEvent {
        event_id: ingested.event.to_string(),
        guild_id: ingested.channel.guild_raw(),
        channel_id: ingested.channel.channel.get(),
        change: Some(change),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{adapters::tools, domain::fixtures::ANN};

    /// A thread that a plan began, and then a click.
    fn planned(state: proto::ExecutionState) -> proto::Thread {
        let id = TaskThreadId::random();
        let trigger = |id: &str| proto::Trigger { id: id.into(), ..proto::Trigger::default() };
        proto::Thread {
            thread_id: id.to_string(),
            guild_id: 10,
            channel_id: 20,
            triggers: vec![trigger("sa.abc.1700000000000"), trigger("ap.xyz")],
            principal: Some(convert::person(ANN)),
            started_at_ms: 1_700_000_000_500,
            executions: vec![proto::Execution {
                key: tools::due_key(id).to_string(),
                tool: "schedule_action".into(),
                arguments: r#"{"action":"answer","prompt":"Hm?"}"#.into(),
                state: state.into(),
                ..proto::Execution::default()
            }],
            ..proto::Thread::default()
        }
    }

    #[test]
    fn a_planned_prompt_goes_on_with_its_clicks_once_it_was_allowed() {
        let turn = unfinished_from(planned(proto::ExecutionState::Done)).unwrap().turn.unwrap();
        assert!(turn.is_planned());
        assert_eq!((turn.principal, &*turn.messages[0].message.content), (ANN, "Hm?"));
        assert_eq!(turn.woken_by, [TriggerId::Approval("xyz".into())]);
        let ids: Vec<_> = turn.triggers().iter().map(ToString::to_string).collect();
        assert_eq!(ids, ["sa.abc.1700000000000", "ap.xyz"]);
        for state in [proto::ExecutionState::Open, proto::ExecutionState::Denied] {
            let unfinished = unfinished_from(planned(state)).unwrap();
            assert_eq!((unfinished.turn, unfinished.is_withdrawn), (None, false));
        }
    }
}

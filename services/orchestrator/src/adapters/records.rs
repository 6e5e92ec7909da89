//! The store's records, as they explain what Ery did.

use futures::{FutureExt, future::BoxFuture};
use tonic::Status;
use twilight_model::id::{
    Id,
    marker::{GuildMarker, MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Home, TriggerId};
use ery_proto::store::v1 as proto;
use ery_rpc::within;

use crate::{
    adapters::{convert, store::Store},
    domain::{
        commands::{
            case::Case,
            explain::{CallFacts, CallState, Decided, Explained, ThreadFacts},
        },
        journal::Outcome,
        message::Message,
    },
    error::CallError,
};

/// Among how many of a channel's newest threads somebody's last one is looked for.
const THREADS_SEARCHED: u32 = 50;

/// Which moderation acts are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhichCases {
    Newest,
    Before(u64),
    One(u64),
}

impl Store {
    /// Tells what a message of a channel has to do with Ery; none if the store knows no such message.
    pub(crate) async fn explain(
        &self,
        channel: ChannelKey,
        message: Id<MessageMarker>,
    ) -> Result<Option<Explained>, CallError> {
        let client = self.client(channel.home);
        let request = proto::ExplainMessageRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            message_id: message.get(),
        };
        let answer = self
            .asked("ExplainMessage", || {
                let (mut client, request) = (client.clone(), within(self.timeout, request));
                async move { client.explain_message(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(answer.message.map(|message| Explained {
            author: Id::new_checked(message.author_id),
            is_own: message.is_own,
            gate_reason: message.gate_reason,
            thread: answer.thread.map(thread_from),
            sent_by: answer.sent_by.map(call_from),
        }))
    }

    /// Returns the message by which somebody last had Ery at work in a channel.
    pub(crate) async fn last_request(
        &self,
        channel: ChannelKey,
        person: Id<UserMarker>,
    ) -> Result<Option<Id<MessageMarker>>, CallError> {
        let client = self.client(channel.home);
        let request = proto::ListThreadsRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            limit: THREADS_SEARCHED,
            is_running_only: false,
        };
        let answer = self
            .asked("ListThreads", || {
                let (mut client, request) = (client.clone(), within(self.timeout, request));
                async move { client.list_threads(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        let of = |thread: &proto::Thread| {
            convert::person_of(thread.principal.as_ref()) == Some(person)
                || thread.askers.contains(&person.get())
        };
        let message = |thread: &proto::Thread| {
            let mut triggers = thread.triggers.iter().rev();
            triggers.find_map(|it| it.id.parse::<TriggerId>().ok()?.message())
        };
        Ok(answer.threads.iter().filter(|thread| of(thread)).find_map(message))
    }

    /// Returns a message of a channel, if the store has it and it is not deleted.
    pub(crate) async fn message(
        &self,
        channel: ChannelKey,
        message: Id<MessageMarker>,
    ) -> Result<Option<Message>, CallError> {
        let behind = message.get().saturating_add(1);
        let found = self.listed(channel, behind, 1, UnixMillis(0)).await?;
        Ok(found.into_iter().next_back().filter(|found| found.id == message))
    }

    /// Returns the last messages of a channel before one, oldest first.
    pub(crate) async fn messages_before(
        &self,
        channel: ChannelKey,
        message: Id<MessageMarker>,
        limit: u32,
    ) -> Result<Vec<Message>, CallError> {
        self.listed(channel, message.get(), limit, UnixMillis(0)).await
    }

    /// Returns the last messages of a channel before an id (0: of all) since a moment, oldest first.
    pub(super) async fn listed(
        &self,
        channel: ChannelKey,
        before: u64,
        limit: u32,
        since: UnixMillis,
    ) -> Result<Vec<Message>, CallError> {
        let client = self.client(channel.home);
        let request = proto::ListMessagesRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            before,
            limit,
            since_ms: since.0,
        };
        let answer = self
            .asked("ListMessages", || {
                let (mut client, request) = (client.clone(), within(self.timeout, request));
                async move { client.list_messages(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(answer.messages.into_iter().filter_map(convert::message_from).collect())
    }

    /// Returns moderation acts of a guild, the newest first: all, or those about one person.
    pub(crate) async fn cases(
        &self,
        guild: Id<GuildMarker>,
        target: Option<Id<UserMarker>>,
        which: WhichCases,
        limit: u32,
    ) -> Result<Vec<Case>, CallError> {
        let client = self.client(Home::Guild(guild));
        let request = proto::ListCasesRequest {
            guild_id: guild.get(),
            target_user_id: target.map_or(0, Id::get),
            case_id: if let WhichCases::One(number) = which { number } else { 0 },
            before_case_id: if let WhichCases::Before(number) = which { number } else { 0 },
            limit,
        };
        let answer = self
            .asked("ListCases", || {
                let (mut client, request) = (client.clone(), within(self.timeout, request));
                async move { client.list_cases(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(answer.cases.into_iter().filter_map(case_from).collect())
    }

    async fn asked<T>(
        &self,
        call: &'static str,
        attempt: impl FnMut() -> BoxFuture<'static, Result<T, Status>>,
    ) -> Result<T, CallError> {
        self.retries.call(call, self.timeout, attempt).await
    }
}

fn case_from(case: proto::Case) -> Option<Case> {
    let execution = case.execution?;
    let arguments: serde_json::Value =
        serde_json::from_str(&execution.arguments).unwrap_or_default();
    Some(Case {
        number: case.case_id,
        tool: execution.tool,
        target: Id::new_checked(case.target_user_id),
        by: convert::person_of(execution.principal.as_ref()),
        approver: Id::new_checked(execution.approver_id),
        reason: arguments["reason"].as_str().unwrap_or_default().to_owned(),
        at: UnixMillis(case.at_ms),
        key: execution.key,
    })
}

/// Reads a thread. Steps that a newer process wrote are passed over: they explain nothing here.
fn thread_from(thread: proto::Thread) -> ThreadFacts {
    let entries = thread.steps.into_iter().filter_map(|step| {
        let read = convert::steps_from(vec![step]).ok()?;
        read.into_iter().next().map(|step| step.entry)
    });
    ThreadFacts {
        entries: entries.collect(),
        outcome: match thread.outcome.try_into().unwrap_or(proto::ThreadOutcome::Unspecified) {
            proto::ThreadOutcome::Unspecified | proto::ThreadOutcome::Running => None,
            proto::ThreadOutcome::Done => Some(Outcome::Done),
            proto::ThreadOutcome::OutOfBudget => Some(Outcome::OutOfBudget),
            proto::ThreadOutcome::Cancelled => Some(Outcome::Cancelled),
            proto::ThreadOutcome::Failed => Some(Outcome::Failed),
            proto::ThreadOutcome::TooBusy => Some(Outcome::TooBusy),
            proto::ThreadOutcome::Suspended => Some(Outcome::Suspended),
        },
        person: convert::person_of(thread.principal.as_ref()),
        askers: thread.askers.into_iter().filter_map(Id::new_checked).collect(),
        triggers: thread.triggers.len(),
        is_planned: thread
            .triggers
            .iter()
            .any(|trigger| matches!(trigger.id.parse(), Ok(TriggerId::ScheduledAction { .. }))),
        calls: thread.executions.into_iter().map(call_from).collect(),
        id: thread.thread_id,
    }
}

fn call_from(execution: proto::Execution) -> CallFacts {
    let result: serde_json::Value = serde_json::from_str(&execution.result).unwrap_or_default();
    let text = |field: &str| result[field].as_str().unwrap_or_default().to_owned();
    CallFacts {
        code: text("code"),
        permission: text("permission"),
        person: convert::person_of(execution.principal.as_ref()),
        decision: match execution.decision() {
            proto::Decision::Allow => Decided::Allowed,
            proto::Decision::NeedsApproval => Decided::NeedsApproval,
            proto::Decision::Deny | proto::Decision::Unspecified => Decided::Denied,
        },
        state: match execution.state() {
            proto::ExecutionState::Done => CallState::Done,
            proto::ExecutionState::Failed => CallState::Failed,
            proto::ExecutionState::Denied => CallState::Denied,
            proto::ExecutionState::InDoubt => CallState::InDoubt,
            proto::ExecutionState::Open | proto::ExecutionState::Unspecified => CallState::Open,
        },
        approver: Id::new_checked(execution.approver_id),
        is_ordered: execution.is_ordered,
        reason: execution.decision_reason,
        tool: execution.tool,
        key: execution.key,
    }
}

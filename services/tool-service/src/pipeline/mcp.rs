//! Calls by MCP clients: for whom they are made; and what becomes of a call that was left open and
//! that nobody would make again.

use std::{slice, sync::PoisonError, time::Duration};

use tonic::Status;
use twilight_model::{guild::Permissions, id::Id};

use ery_clock::UnixMillis;
use ery_ids::Principal;
use ery_proto::{
    store::v1::{Execution, ExecutionState, Settling},
    tool::v1::{CallOutcome, SettleCallRequest, SettleCallResponse},
};

use super::{Pipeline, ask::Ask, record};
use crate::{
    domain::{guild::ChannelKind, permissions, reason::Reason},
    error::CallError,
    tools,
};

/// How long after the last moment of its request an execution is settled that nobody would make
/// again: whoever made it had the time to tell its end.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

impl Pipeline {
    /// Reads by what credential a call is made, and returns the call as that credential has it: whom
    /// it is for, what it may use, and whether others' words were read before.
    ///
    /// Invariant ASKER-BOUND: nothing of this is taken from whoever hands the call on.
    pub(super) async fn admitted(
        &self,
        ask: &Ask,
        credential: &str,
    ) -> Result<Result<Ask, Reason>, CallError> {
        let shared = &*self.shared;
        let Some(guild) = ask.guild() else { return Ok(Err(Reason::NoCredential)) };
        let found = shared.executions.mcp_credential(guild, credential).await?;
        let found = found.filter(|it| it.channel_id == ask.here.get());
        let Some((user, found)) = found.and_then(|it| Some((Id::new_checked(it.user_id)?, it)))
        else {
            return Ok(Err(Reason::NoCredential));
        };
        let now = shared.clock.now();
        let is_told = found.told_at_ms != 0
            && now < UnixMillis(found.told_at_ms) + shared.settings.mcp_told_for;
        // Who reads in the channel may be told what everybody there may read: the person of the
        // credential must be one of them. Who is in a private thread is not known here.
        let state = shared.guilds.state(guild, slice::from_ref(&user)).await?;
        let Some(person) = state.member(user) else {
            let who = crate::domain::reason::Who::You;
            return Ok(Err(Reason::AskerNotMember { who }));
        };
        let is_seen = state.channel(ask.here).is_some_and(|here| {
            here.kind != ChannelKind::PrivateThread
                && permissions::in_channel(&state.guild, person, here, now)
                    .contains(Permissions::VIEW_CHANNEL)
        });
        if !is_seen {
            return Ok(Err(Reason::CredentialPlace));
        }
        let every = || tools::all().map(|entry| entry.spec.name.to_owned()).collect();
        let offered = if found.tools.is_empty() { every() } else { found.tools };
        let mut ask = ask.clone();
        ask.principal = Some(Principal::Person(user));
        ask.askers = Vec::new();
        ask.offered = offered;
        ask.is_tainted = is_told;
        Ok(Ok(ask))
    }

    /// Returns when an execution is settled at the latest, where nobody would make its call again.
    pub(super) async fn settling(
        &self,
        ask: &Ask,
        execution: &Execution,
    ) -> Result<Option<Settling>, CallError> {
        if !ask.is_made_once() || execution.state() != ExecutionState::Open {
            return Ok(None);
        }
        Ok(Some(Settling {
            bot_id: self.shared.guilds.bot().await?.get(),
            due_at_ms: (self.settled_at(execution) + SETTLED_AFTER).0,
        }))
    }

    /// Finds out what became of an execution that was left open, and closes it. Its act is not done
    /// again: only its caller could have asked for that.
    pub(crate) async fn settle_call(
        self: &std::sync::Arc<Self>,
        request: SettleCallRequest,
    ) -> Result<SettleCallResponse, Status> {
        let channel = ery_ids::ChannelKey::from_raw(request.guild_id, request.channel_id)
            .ok_or_else(|| Status::invalid_argument("a call must name its channel"))?;
        let executions = &self.shared.executions;
        let read =
            || async { executions.execution(channel, &request.key).await.map_err(CallError::from) };
        let Some(mut execution) = read().await? else {
            return Ok(SettleCallResponse { outcome: CallOutcome::Unspecified.into() });
        };
        let ask = Ask::of(channel, &execution)?;
        let running = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.get(&ask.identity()).cloned()
        };
        if let Some(running) = running {
            // It is under way here: whoever makes it closes it.
            drop(running.await);
            execution = read().await?.unwrap_or(execution);
        }
        let response = if execution.state() == ExecutionState::Open {
            self.recover(&ask, None, execution, Vec::new()).await?
        } else {
            record::answer_of(execution, Vec::new())
        };
        Ok(SettleCallResponse { outcome: response.outcome })
    }
}

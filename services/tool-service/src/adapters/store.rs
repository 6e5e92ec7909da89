//! The store, as this service calls it.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use tonic::{Code, Status};
use twilight_model::id::{
    Id,
    marker::{GuildMarker, MessageMarker, UserMarker},
};

use ery_ids::{ChannelKey, Home};
use ery_proto::store::v1::{
    Approval, ApprovalDecision, BeginExecutionRequest, BeginExecutionResponse,
    CancelScheduledActionRequest, DecideApprovalRequest, EndExecutionRequest, Execution,
    GetApprovalRequest, GetExecutionRequest, GetMcpCredentialRequest, GetScheduledActionRequest,
    ListScheduledActionsRequest, McpCredential, ScheduledAction,
    store_service_client::StoreServiceClient,
};
use ery_rpc::{Peers, Transport, within};

use crate::error::StoreError;

/// How often the end of an execution is tried: what it did must not stay open for nothing.
const END_ATTEMPTS: u32 = 4;

/// The wait before the second try; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The executions of the store.
#[derive(Clone)]
pub(crate) struct Executions {
    peers: Peers,
    timeout: Duration,
}

impl Executions {
    pub(crate) fn new(peers: Peers, timeout: Duration) -> Self {
        Self { peers, timeout }
    }

    fn client(&self, home: Home) -> StoreServiceClient<Transport> {
        StoreServiceClient::new(self.peers.of(home))
    }

    /// Opens an execution, or finds the one that stands.
    pub(crate) fn begin(
        &self,
        home: Home,
        request: BeginExecutionRequest,
    ) -> BoxFuture<'static, Result<BeginExecutionResponse, StoreError>> {
        let mut client = self.client(home);
        let request = within(self.timeout, request);
        async move {
            let response = client.begin_execution(request).await;
            response.map(tonic::Response::into_inner).map_err(|status| error(&status))
        }
        .boxed()
    }

    /// Returns an approval of a guild.
    pub(crate) fn approval(
        &self,
        guild: Id<GuildMarker>,
        id: &str,
    ) -> BoxFuture<'static, Result<Option<Approval>, StoreError>> {
        let (guild_id, approval_id) = (guild.get(), id.to_owned());
        self.read_approval(guild, GetApprovalRequest { guild_id, approval_id, message_id: 0 })
    }

    /// Returns the approval of a guild that a message shows, whether it is decided or not.
    pub(crate) fn approval_shown_by(
        &self,
        guild: Id<GuildMarker>,
        message: Id<MessageMarker>,
    ) -> BoxFuture<'static, Result<Option<Approval>, StoreError>> {
        let (guild_id, message_id) = (guild.get(), message.get());
        let request = GetApprovalRequest { guild_id, message_id, ..GetApprovalRequest::default() };
        self.read_approval(guild, request)
    }

    fn read_approval(
        &self,
        guild: Id<GuildMarker>,
        request: GetApprovalRequest,
    ) -> BoxFuture<'static, Result<Option<Approval>, StoreError>> {
        let mut client = self.client(Home::Guild(guild));
        let request = within(self.timeout, request);
        async move {
            let response = client.get_approval(request).await;
            response.map(|it| it.into_inner().approval).map_err(|status| error(&status))
        }
        .boxed()
    }

    /// Decides an approval, unless it is decided; returns how it stands.
    pub(crate) fn decide(
        &self,
        guild: Id<GuildMarker>,
        id: &str,
        is_approved: bool,
        by: Id<UserMarker>,
    ) -> BoxFuture<'static, Result<Option<Approval>, StoreError>> {
        let mut client = self.client(Home::Guild(guild));
        let decision =
            if is_approved { ApprovalDecision::Approved } else { ApprovalDecision::Rejected };
        let request = DecideApprovalRequest {
            guild_id: guild.get(),
            approval_id: id.to_owned(),
            decision: decision.into(),
            by: by.get(),
        };
        let request = within(self.timeout, request);
        async move {
            let response = client.decide_approval(request).await;
            response.map(|it| it.into_inner().approval).map_err(|status| error(&status))
        }
        .boxed()
    }

    /// Returns an execution.
    pub(crate) fn execution(
        &self,
        channel: ChannelKey,
        key: &str,
    ) -> BoxFuture<'static, Result<Option<Execution>, StoreError>> {
        let mut client = self.client(channel.home);
        let request = GetExecutionRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            key: key.to_owned(),
        };
        let request = within(self.timeout, request);
        async move {
            let response = client.get_execution(request).await;
            response.map(|it| it.into_inner().execution).map_err(|status| error(&status))
        }
        .boxed()
    }

    /// Returns a credential of an MCP client, if it is in force.
    pub(crate) fn mcp_credential(
        &self,
        guild: Id<GuildMarker>,
        id: &str,
    ) -> BoxFuture<'static, Result<Option<McpCredential>, StoreError>> {
        let mut client = self.client(Home::Guild(guild));
        let request =
            GetMcpCredentialRequest { guild_id: guild.get(), credential_id: id.to_owned() };
        let request = within(self.timeout, request);
        async move {
            let response = client.get_mcp_credential(request).await;
            response.map(|it| it.into_inner().credential).map_err(|status| error(&status))
        }
        .boxed()
    }

    /// Returns an act of a guild that is to be done at a time.
    pub(crate) fn scheduled_action(
        &self,
        guild: Id<GuildMarker>,
        id: &str,
    ) -> BoxFuture<'static, Result<Option<ScheduledAction>, StoreError>> {
        let mut client = self.client(Home::Guild(guild));
        let request =
            GetScheduledActionRequest { guild_id: guild.get(), scheduled_action_id: id.to_owned() };
        let request = within(self.timeout, request);
        async move {
            let response = client.get_scheduled_action(request).await;
            response.map(|it| it.into_inner().action).map_err(|status| error(&status))
        }
        .boxed()
    }

    /// Lists the acts of a guild that wait for their time, the next due first.
    pub(crate) fn scheduled_actions(
        &self,
        guild: Id<GuildMarker>,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<ScheduledAction>, StoreError>> {
        let mut client = self.client(Home::Guild(guild));
        let guild_id = guild.get();
        let request = ListScheduledActionsRequest { guild_id, is_waiting_only: true, limit };
        let request = within(self.timeout, request);
        async move {
            let response = client.list_scheduled_actions(request).await;
            response.map(|it| it.into_inner().actions).map_err(|status| error(&status))
        }
        .boxed()
    }

    /// Cancels an act that waits for its time; returns how it stands then.
    pub(crate) fn cancel(
        &self,
        guild: Id<GuildMarker>,
        id: &str,
        by: u64,
    ) -> BoxFuture<'static, Result<Option<ScheduledAction>, StoreError>> {
        let mut client = self.client(Home::Guild(guild));
        let request = CancelScheduledActionRequest {
            guild_id: guild.get(),
            scheduled_action_id: id.to_owned(),
            by,
        };
        let request = within(self.timeout, request);
        async move {
            let response = client.cancel_scheduled_action(request).await;
            response.map(|it| it.into_inner().action).map_err(|status| error(&status))
        }
        .boxed()
    }

    /// Closes an execution. A repeat changes nothing, so an outage is waited out for a while.
    pub(crate) fn end(
        &self,
        home: Home,
        request: EndExecutionRequest,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let mut client = self.client(home);
        let timeout = self.timeout;
        async move {
            let mut wait = FIRST_WAIT;
            let mut attempt = 1;
            loop {
                let response = client.end_execution(within(timeout, request.clone())).await;
                match response.map_err(|status| error(&status)) {
                    Ok(_) => return Ok(()),
                    Err(StoreError::Unavailable(_)) if attempt < END_ATTEMPTS => {}
                    Err(error) => return Err(error),
                }
                tokio::time::sleep(wait).await;
                wait *= 2;
                attempt += 1;
            }
        }
        .boxed()
    }
}

fn error(status: &Status) -> StoreError {
    match status.code() {
        Code::Aborted => StoreError::StaleEpoch,
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::OutOfRange => {
            StoreError::Refused(status.message().to_owned())
        }
        _ => StoreError::Unavailable(status.message().to_owned()),
    }
}

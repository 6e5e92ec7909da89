use std::time::Duration;

use tonic::Status;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker},
};

use ery_ids::Home;
use ery_proto::{
    ai::v1::ToolSpec,
    store::v1::{GetMcpCredentialRequest, McpCredential, store_service_client::StoreServiceClient},
    tool::v1::{
        CallToolRequest, CallToolResponse, ListToolsRequest, tool_service_client::ToolServiceClient,
    },
};
use ery_rpc::within;

use crate::{domain::token::Token, ports::Ports};

/// The largest answer of the tool-service.
const LARGEST_ANSWER: usize = 16 << 20;

/// Whom a client acts for, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) id: String,
    pub(crate) guild: Id<GuildMarker>,
    pub(crate) channel: Id<ChannelMarker>,
    /// The tools that it may call; none for every tool.
    pub(crate) tools: Vec<String>,
}

/// What a token is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Admitted(Credential),
    /// It is not the one of its credential.
    Wrong,
    /// Its credential was never made, or is revoked.
    Gone,
}

/// The other services, as the console asks them.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    pub(crate) ports: Ports,
    pub(crate) lookup_timeout: Duration,
    pub(crate) call_timeout: Duration,
}

impl Calls {
    /// Returns what a token is worth. Asked anew for every request, so that a revocation holds from
    /// then on.
    pub(crate) async fn admission(&self, token: &Token) -> Result<Admission, Status> {
        let guild = token.guild();
        let mut client = StoreServiceClient::new(self.ports.store.of(Home::Guild(guild)));
        let request = GetMcpCredentialRequest {
            guild_id: guild.get(),
            credential_id: token.credential().to_owned(),
        };
        let answer = client.get_mcp_credential(within(self.lookup_timeout, request)).await?;
        let answer = answer.into_inner();
        let is_own = token.is_of(&answer.token_hash);
        let Some(McpCredential { credential_id, channel_id, tools, .. }) = answer.credential else {
            return Ok(Admission::Gone);
        };
        Ok(match Id::new_checked(channel_id) {
            Some(channel) if is_own => {
                Admission::Admitted(Credential { id: credential_id, guild, channel, tools })
            }
            _ => Admission::Wrong,
        })
    }

    /// Returns the tools that a client may call, as a model is told of them.
    pub(crate) async fn list_tools(&self, of: &Credential) -> Result<Vec<ToolSpec>, Status> {
        let mut client = ToolServiceClient::new(self.ports.tools.of(Home::Guild(of.guild)));
        let request = ListToolsRequest {
            guild_id: of.guild.get(),
            channel_id: of.channel.get(),
            ..ListToolsRequest::default()
        };
        let answer = client.list_tools(within(self.lookup_timeout, request)).await?.into_inner();
        let is_offered = |tool: &ToolSpec| of.tools.is_empty() || of.tools.contains(&tool.name);
        Ok(answer.tools.into_iter().filter(is_offered).collect())
    }

    pub(crate) async fn call_tool(
        &self,
        of: &Credential,
        request: CallToolRequest,
    ) -> Result<CallToolResponse, Status> {
        let client = ToolServiceClient::new(self.ports.tools.of(Home::Guild(of.guild)));
        let mut client = client.max_decoding_message_size(LARGEST_ANSWER);
        Ok(client.call_tool(within(self.call_timeout, request)).await?.into_inner())
    }
}

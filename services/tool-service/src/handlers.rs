//! What comes in: one file per RPC.

mod check_guild;
mod describe_channel;
mod describe_guild;
mod describe_people;
mod fetch_history;
mod find_staff_channel;
mod interactions;
mod list_plans;
mod list_tools;
mod register_commands;
mod resolve_call;
mod show_typing;

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use ery_ids::ChannelKey;
use ery_proto::tool::v1::{
    AnswerInteractionRequest, AnswerInteractionResponse, CallToolRequest, CallToolResponse,
    CheckGuildRequest, CheckGuildResponse, ClickApprovalRequest, ClickApprovalResponse,
    DescribeChannelRequest, DescribeChannelResponse, DescribeGuildRequest, DescribeGuildResponse,
    DescribePeopleRequest, DescribePeopleResponse, EditInteractionAnswerRequest,
    EditInteractionAnswerResponse, FetchHistoryRequest, FetchHistoryResponse,
    FindStaffChannelRequest, FindStaffChannelResponse, ListPlansRequest, ListPlansResponse,
    ListToolsRequest, ListToolsResponse, RegisterCommandsRequest, RegisterCommandsResponse,
    ResolveCallRequest, ResolveCallResponse, SettleApprovalRequest, SettleApprovalResponse,
    SettleCallRequest, SettleCallResponse, ShowTypingRequest, ShowTypingResponse,
    tool_service_server::ToolService,
};

use crate::{error::CallError, pipeline::Pipeline, service::Shared};

pub(crate) struct Handlers {
    shared: Arc<Shared>,
    pipeline: Arc<Pipeline>,
    typing: show_typing::Recent,
}

impl Handlers {
    pub(crate) fn new(shared: Arc<Shared>, pipeline: Arc<Pipeline>) -> Self {
        Self { shared, pipeline, typing: show_typing::Recent::default() }
    }
}

#[async_trait]
impl ToolService for Handlers {
    async fn list_tools(
        &self,
        request: Request<ListToolsRequest>,
    ) -> Result<Response<ListToolsResponse>, Status> {
        Ok(Response::new(list_tools::handle(&self.shared, &request.into_inner()).await?))
    }

    async fn resolve_call(
        &self,
        request: Request<ResolveCallRequest>,
    ) -> Result<Response<ResolveCallResponse>, Status> {
        Ok(Response::new(resolve_call::handle(&self.shared, request.into_inner()).await?))
    }

    async fn call_tool(
        &self,
        request: Request<CallToolRequest>,
    ) -> Result<Response<CallToolResponse>, Status> {
        Ok(Response::new(self.pipeline.call(request.into_inner()).await?))
    }

    async fn check_guild(
        &self,
        request: Request<CheckGuildRequest>,
    ) -> Result<Response<CheckGuildResponse>, Status> {
        Ok(Response::new(check_guild::handle(&self.shared, &request.into_inner()).await?))
    }

    async fn click_approval(
        &self,
        request: Request<ClickApprovalRequest>,
    ) -> Result<Response<ClickApprovalResponse>, Status> {
        Ok(Response::new(self.pipeline.click(request.into_inner()).await?))
    }

    async fn settle_approval(
        &self,
        request: Request<SettleApprovalRequest>,
    ) -> Result<Response<SettleApprovalResponse>, Status> {
        let request = request.into_inner();
        self.pipeline.settle(request.guild_id, &request.approval_id).await?;
        Ok(Response::new(SettleApprovalResponse {}))
    }

    async fn settle_call(
        &self,
        request: Request<SettleCallRequest>,
    ) -> Result<Response<SettleCallResponse>, Status> {
        Ok(Response::new(self.pipeline.settle_call(request.into_inner()).await?))
    }

    async fn describe_people(
        &self,
        request: Request<DescribePeopleRequest>,
    ) -> Result<Response<DescribePeopleResponse>, Status> {
        Ok(Response::new(describe_people::handle(&self.shared, &request.into_inner()).await?))
    }

    async fn describe_channel(
        &self,
        request: Request<DescribeChannelRequest>,
    ) -> Result<Response<DescribeChannelResponse>, Status> {
        Ok(Response::new(describe_channel::handle(&self.shared, &request.into_inner()).await?))
    }

    async fn describe_guild(
        &self,
        request: Request<DescribeGuildRequest>,
    ) -> Result<Response<DescribeGuildResponse>, Status> {
        Ok(Response::new(describe_guild::handle(&self.shared, &request.into_inner()).await?))
    }

    async fn fetch_history(
        &self,
        request: Request<FetchHistoryRequest>,
    ) -> Result<Response<FetchHistoryResponse>, Status> {
        Ok(Response::new(fetch_history::handle(&self.shared, &request.into_inner()).await?))
    }

    async fn answer_interaction(
        &self,
        request: Request<AnswerInteractionRequest>,
    ) -> Result<Response<AnswerInteractionResponse>, Status> {
        Ok(Response::new(interactions::answer(&self.shared, &request.into_inner()).await?))
    }

    async fn edit_interaction_answer(
        &self,
        request: Request<EditInteractionAnswerRequest>,
    ) -> Result<Response<EditInteractionAnswerResponse>, Status> {
        Ok(Response::new(interactions::edit(&self.shared, &request.into_inner()).await?))
    }

    async fn register_commands(
        &self,
        request: Request<RegisterCommandsRequest>,
    ) -> Result<Response<RegisterCommandsResponse>, Status> {
        Ok(Response::new(register_commands::handle(&self.shared, &request.into_inner()).await?))
    }

    async fn list_plans(
        &self,
        request: Request<ListPlansRequest>,
    ) -> Result<Response<ListPlansResponse>, Status> {
        Ok(Response::new(list_plans::handle(&self.shared, &request.into_inner()).await?))
    }

    async fn find_staff_channel(
        &self,
        request: Request<FindStaffChannelRequest>,
    ) -> Result<Response<FindStaffChannelResponse>, Status> {
        Ok(Response::new(find_staff_channel::handle(&self.shared, &request.into_inner()).await?))
    }

    async fn show_typing(
        &self,
        request: Request<ShowTypingRequest>,
    ) -> Result<Response<ShowTypingResponse>, Status> {
        let request = request.into_inner();
        Ok(Response::new(show_typing::handle(&self.shared, &self.typing, &request)?))
    }
}

fn channel_key(guild: u64, channel: u64) -> Result<ChannelKey, CallError> {
    ChannelKey::from_raw(guild, channel)
        .ok_or_else(|| CallError::Invalid("a call must name its channel".into()))
}

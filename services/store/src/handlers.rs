//! What comes in: one file per RPC, which parses, asks the store, and answers.

mod admin;
mod append_steps;
mod begin_execution;
mod begin_thread;
mod cancel_scheduled_action;
mod claim_summary;
mod config;
mod create_mcp_credential;
mod decide_approval;
mod end_execution;
mod explain_message;
mod find_direct_gaps;
mod find_gaps;
mod finish_thread;
mod get_approval;
mod get_dead_letter;
mod get_execution;
mod get_mcp_credential;
mod get_scheduled_action;
mod get_thread;
mod ingest_messages;
mod is_read_back;
mod keep_summary;
mod list_cases;
mod list_dead_letters;
mod list_executions;
mod list_mcp_credentials;
mod list_messages;
mod list_scheduled_actions;
mod list_threads;
mod note_read_back;
mod open_channel;
mod parse;
mod privacy;
mod provider_keys;
mod read_context;
mod record_attempt;
mod record_dead_event;
mod render;
mod reopen_thread;
mod retry_dead_letters;
mod revoke_mcp_credential;
mod scope;
mod usage;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use ery_proto::store::v1 as proto;

pub(crate) use self::{
    admin::AdminHandlers, config::ConfigHandlers, privacy::PrivacyHandlers,
    provider_keys::ProviderKeyHandlers, usage::UsageHandlers,
};
use crate::{error::StoreError, service::Inner};

/// How often a call looks for the file that took its shard's place.
const ATTEMPTS: u32 = 4;

/// The store's RPCs.
#[derive(Clone, Debug)]
pub(crate) struct Handlers {
    store: Arc<Inner>,
}

impl Handlers {
    pub(crate) fn new(store: Arc<Inner>) -> Self {
        Self { store }
    }

    fn answer<T>(&self, result: Result<T, StoreError>) -> Result<Response<T>, Status> {
        if let Err(StoreError::Fence(_)) = &result {
            self.store.metrics.refused_by_epoch();
        }
        Ok(Response::new(result?))
    }
}

macro_rules! rpcs {
    ($($rpc:ident: $request:ident => $response:ident;)*) => {
        #[tonic::async_trait]
        impl proto::store_service_server::StoreService for Handlers {
            $(
                async fn $rpc(
                    &self,
                    request: Request<proto::$request>,
                ) -> Result<Response<proto::$response>, Status> {
                    let request = request.into_inner();
                    for _ in 1..ATTEMPTS {
                        match $rpc::handle(&self.store, request.clone()).await {
                            // It was held back, and nothing of it was run; a repeat of what was
                            // before it changes nothing.
                            Err(StoreError::Replaced { .. }) => {}
                            result => return self.answer(result),
                        }
                    }
                    self.answer($rpc::handle(&self.store, request).await)
                }
            )*
        }
    };
}

rpcs! {
    open_channel: OpenChannelRequest => OpenChannelResponse;
    begin_thread: BeginThreadRequest => BeginThreadResponse;
    read_context: ReadContextRequest => ReadContextResponse;
    append_steps: AppendStepsRequest => AppendStepsResponse;
    record_attempt: RecordAttemptRequest => RecordAttemptResponse;
    finish_thread: FinishThreadRequest => FinishThreadResponse;
    claim_summary: ClaimSummaryRequest => ClaimSummaryResponse;
    keep_summary: KeepSummaryRequest => KeepSummaryResponse;
    begin_execution: BeginExecutionRequest => BeginExecutionResponse;
    end_execution: EndExecutionRequest => EndExecutionResponse;
    ingest_messages: IngestMessagesRequest => IngestMessagesResponse;
    list_messages: ListMessagesRequest => ListMessagesResponse;
    get_thread: GetThreadRequest => GetThreadResponse;
    list_threads: ListThreadsRequest => ListThreadsResponse;
    list_executions: ListExecutionsRequest => ListExecutionsResponse;
    list_dead_letters: ListDeadLettersRequest => ListDeadLettersResponse;
    get_dead_letter: GetDeadLetterRequest => GetDeadLetterResponse;
    retry_dead_letters: RetryDeadLettersRequest => RetryDeadLettersResponse;
    record_dead_event: RecordDeadEventRequest => RecordDeadEventResponse;
    find_gaps: FindGapsRequest => FindGapsResponse;
    find_direct_gaps: FindDirectGapsRequest => FindDirectGapsResponse;
    note_read_back: NoteReadBackRequest => NoteReadBackResponse;
    is_read_back: IsReadBackRequest => IsReadBackResponse;
    get_approval: GetApprovalRequest => GetApprovalResponse;
    decide_approval: DecideApprovalRequest => DecideApprovalResponse;
    reopen_thread: ReopenThreadRequest => ReopenThreadResponse;
    get_scheduled_action: GetScheduledActionRequest => GetScheduledActionResponse;
    list_scheduled_actions: ListScheduledActionsRequest => ListScheduledActionsResponse;
    cancel_scheduled_action: CancelScheduledActionRequest => CancelScheduledActionResponse;
    explain_message: ExplainMessageRequest => ExplainMessageResponse;
    list_cases: ListCasesRequest => ListCasesResponse;
    get_execution: GetExecutionRequest => GetExecutionResponse;
    create_mcp_credential: CreateMcpCredentialRequest => CreateMcpCredentialResponse;
    get_mcp_credential: GetMcpCredentialRequest => GetMcpCredentialResponse;
    list_mcp_credentials: ListMcpCredentialsRequest => ListMcpCredentialsResponse;
    revoke_mcp_credential: RevokeMcpCredentialRequest => RevokeMcpCredentialResponse;
}

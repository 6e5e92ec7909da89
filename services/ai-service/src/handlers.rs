//! What comes in: the two RPCs.

mod parse;
mod read_orders;
mod run_model_turn;

use futures::stream::{self, BoxStream, StreamExt};
use tonic::{Request, Response, Status};

use ery_proto::ai::v1::{
    ReadOrdersRequest, ReadOrdersResponse, RunModelTurnRequest, RunModelTurnResponse,
    ai_service_server::AiService,
};

use crate::{adapters::SteadyProvider, metrics::Metrics};

/// The service as its peers call it.
#[derive(Clone, Debug)]
pub(crate) struct AiRpc {
    provider: SteadyProvider,
    metrics: Metrics,
    /// Who reads orders that the built-in commands do not understand; none: nobody.
    order_reader: Option<SteadyProvider>,
}

impl AiRpc {
    pub(crate) fn new(
        provider: SteadyProvider,
        metrics: Metrics,
        model_reads_orders: bool,
    ) -> Self {
        // The built-in commands have been asked by then.
        let has_model = provider.name() != crate::domain::builtin::NAME;
        let order_reader = (model_reads_orders && has_model).then(|| provider.clone());
        Self { provider, metrics, order_reader }
    }

    pub(crate) fn provider(&self) -> &SteadyProvider {
        &self.provider
    }
}

#[tonic::async_trait]
impl AiService for AiRpc {
    type RunModelTurnStream = BoxStream<'static, Result<RunModelTurnResponse, Status>>;

    async fn run_model_turn(
        &self,
        request: Request<RunModelTurnRequest>,
    ) -> Result<Response<Self::RunModelTurnStream>, Status> {
        // Whoever goes away drops this future, and with it the provider's stream.
        let responses = run_model_turn::answer(&self.provider, request.into_inner()).await?;
        Ok(Response::new(stream::iter(responses.into_iter().map(Ok)).boxed()))
    }

    async fn read_orders(
        &self,
        request: Request<ReadOrdersRequest>,
    ) -> Result<Response<ReadOrdersResponse>, Status> {
        let orders =
            read_orders::answer(self.order_reader.as_ref(), &self.metrics, request.into_inner())
                .await?;
        Ok(Response::new(orders))
    }
}

//! What comes in: one file per RPC.

mod describe_models;
mod parse;
mod read_orders;
mod run_model_turn;

use std::sync::Arc;

use futures::stream::BoxStream;
use tonic::{Request, Response, Status};

use ery_proto::ai::v1::{
    DescribeModelsRequest, DescribeModelsResponse, ReadOrdersRequest, ReadOrdersResponse,
    RunModelTurnRequest, RunModelTurnResponse, ai_service_server::AiService,
};
use ery_rpc::wanted_within;

use crate::{
    adapters::{Attachments, Chain, GuildKeys, KeyedLinks},
    domain::prompts::{self, Prompts},
    error::CallError,
    metrics::Metrics,
};

/// The service as its peers call it.
#[derive(Clone, Debug)]
pub(crate) struct AiRpc {
    chain: Arc<Chain>,
    /// What is asked once a budget is used up.
    cheaper: Option<Arc<Chain>>,
    prompts: Arc<Prompts>,
    /// None where nothing is shown beside words.
    attachments: Option<Arc<Attachments>>,
    metrics: Metrics,
    /// What is asked with guilds' own keys.
    keyed: Arc<KeyedLinks>,
    /// Who reads orders that the built-in commands do not understand; none: nobody.
    order_readers: Option<Arc<Chain>>,
    cheaper_order_readers: Option<Arc<Chain>>,
    /// Who sums channels up; none: no model is set.
    summarizers: Option<Arc<Chain>>,
}

impl AiRpc {
    pub(crate) fn new(
        chain: Chain,
        cheaper: Option<Chain>,
        prompts: Prompts,
        attachments: Option<Attachments>,
        metrics: Metrics,
        model_reads_orders: bool,
    ) -> Self {
        // The built-in commands have been asked by then.
        let models = chain.without(crate::domain::builtin::NAME);
        let summarizers = models.clone().map(Arc::new);
        let order_readers = models.filter(|_| model_reads_orders).map(Arc::new);
        let cheaper = cheaper.map(Arc::new);
        let cheaper_order_readers = cheaper.clone().filter(|_| model_reads_orders);
        Self {
            chain: Arc::new(chain),
            cheaper,
            prompts: Arc::new(prompts),
            attachments: attachments.map(Arc::new),
            keyed: Arc::new(KeyedLinks::new(metrics.clone())),
            metrics,
            order_readers,
            cheaper_order_readers,
            summarizers,
        }
    }

    /// Returns who answers a turn, on the guild's keys if it brings any.
    fn chain_for(
        &self,
        request: &RunModelTurnRequest,
        keys: Option<&GuildKeys>,
    ) -> Result<Arc<Chain>, CallError> {
        let usual = match request.prompt.as_str() {
            prompts::SUMMARY | prompts::VERDICT => self.summarizers.as_ref(),
            _ => Some(&self.chain),
        };
        // It is never the built-in one.
        let cheaper = self.cheaper.as_ref().filter(|_| request.is_cheaper);
        let Some(keys) = keys else { return cheaper.or(usual).cloned().ok_or(CallError::NoModel) };
        let on = |chain: Option<&Arc<Chain>>| chain?.on(keys, &self.keyed).map(Arc::new);
        on(cheaper).or_else(|| on(usual)).ok_or_else(|| CallError::keys_not_taken(keys))
    }

    /// Returns every chain that may be asked.
    pub(crate) fn chains(&self) -> impl Iterator<Item = &Chain> {
        [Some(&self.chain), self.cheaper.as_ref()].into_iter().flatten().map(|chain| &**chain)
    }
}

#[tonic::async_trait]
impl AiService for AiRpc {
    type RunModelTurnStream = BoxStream<'static, Result<RunModelTurnResponse, Status>>;

    async fn run_model_turn(
        &self,
        request: Request<RunModelTurnRequest>,
    ) -> Result<Response<Self::RunModelTurnStream>, Status> {
        let within = wanted_within(&request);
        let mut request = request.into_inner();
        let span = tracing::info_span!(
            "ai.model_turn.run",
            task_thread.id = %request.thread_id,
            guild.id = request.guild_id,
            channel.id = request.channel_id,
        );
        let keys = parse::guild_keys(request.guild_id, std::mem::take(&mut request.keys))?;
        let chain = self.chain_for(&request, keys.as_ref())?;
        let turn = run_model_turn::parse(&self.prompts, request)?;
        let attachments = self.attachments.clone();
        Ok(Response::new(
            span.in_scope(|| run_model_turn::answer(chain, attachments, turn, within)),
        ))
    }

    async fn read_orders(
        &self,
        request: Request<ReadOrdersRequest>,
    ) -> Result<Response<ReadOrdersResponse>, Status> {
        let within = wanted_within(&request);
        let mut request = request.into_inner();
        let keys = parse::guild_keys(request.guild_id, std::mem::take(&mut request.keys))?;
        let cheaper = self.cheaper_order_readers.as_deref().filter(|_| request.is_cheaper);
        let usual = self.order_readers.as_deref();
        let on_keys = keys.as_ref().and_then(|keys| {
            let on = |chain: Option<&Chain>| chain?.on(keys, &self.keyed);
            on(cheaper).or_else(|| on(usual))
        });
        // Where no provider takes the guild's keys, nobody is asked.
        let readers = if keys.is_some() { on_keys.as_ref() } else { cheaper.or(usual) };
        let orders =
            read_orders::answer(readers, &self.prompts, &self.metrics, request, within).await?;
        Ok(Response::new(orders))
    }

    async fn describe_models(
        &self,
        _: Request<DescribeModelsRequest>,
    ) -> Result<Response<DescribeModelsResponse>, Status> {
        let reads_orders = self.order_readers.is_some();
        let described = describe_models::answer(&self.chain, self.cheaper.as_deref(), reads_orders);
        Ok(Response::new(described))
    }
}

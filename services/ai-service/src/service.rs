use std::sync::Arc;

use tonic::service::Routes;

use ery_lifecycle::Tasks;
use ery_proto::ai::v1::ai_service_server::AiServiceServer;

use crate::{
    AiError, Ports, Settings,
    adapters::{
        BuiltinProvider, Chain, HttpProvider, Link, Provider, SteadyProvider, prompt_files,
    },
    domain::prompts::Prompts,
    handlers::AiRpc,
    metrics::Metrics,
};

/// The largest request: a context full of long messages stays far below.
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// The ai-service: one model turn at a time, over any provider.
#[derive(Clone, Debug)]
pub struct Service {
    rpc: AiRpc,
}

impl Service {
    /// Makes the service; it asks no provider yet.
    ///
    /// # Errors
    ///
    /// If a setting is out of its bounds, or the HTTP client cannot be made.
    #[expect(clippy::needless_pass_by_value, reason = "every service takes its ports")]
    pub fn new(settings: &Settings, ports: Ports) -> Result<Self, AiError> {
        settings.validate()?;
        let metrics = Metrics::new();
        let prompts = match &settings.prompts_dir {
            Some(folder) => prompt_files::read(folder)?,
            None => Prompts::built_in(),
        };
        let mut links = Vec::new();
        for (name, own) in settings.chain() {
            let provider: Arc<dyn Provider> =
                match HttpProvider::new(&name, &own, Arc::clone(&ports.clock))? {
                    Some(provider) => Arc::new(provider),
                    None => Arc::new(BuiltinProvider),
                };
            let price = own.price();
            links.push(Link {
                provider: SteadyProvider::new(provider, &own, metrics.clone()),
                price,
            });
        }
        let (turn_timeout, fallback_wait) = (settings.turn_timeout, settings.fallback_wait);
        let chain = Chain::new(links, turn_timeout, fallback_wait, metrics.clone());
        Ok(Self { rpc: AiRpc::new(chain, prompts, metrics, settings.model_reads_orders) })
    }

    /// Returns what it serves.
    pub fn routes(&self) -> Routes {
        let server = AiServiceServer::new(self.rpc.clone())
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_MESSAGE);
        Routes::new(server)
    }

    /// Runs until the process drains. All its work is done within calls.
    ///
    /// # Errors
    ///
    /// None yet; the signature is that of every service.
    pub async fn run(self, tasks: Tasks) -> Result<(), AiError> {
        for (name, model) in self.rpc.chain().providers() {
            tracing::info!(provider = name, model, "answering model turns by `{name}`");
        }
        for name in self.rpc.chain().unpriced() {
            tracing::info!(
                provider = name,
                "what `{name}` costs is not known, so it counts for no budget of money: set `ai.prices`"
            );
        }
        tasks.draining().cancelled().await;
        Ok(())
    }
}

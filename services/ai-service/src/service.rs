use std::sync::Arc;

use tonic::service::Routes;

use ery_lifecycle::Tasks;
use ery_proto::ai::v1::ai_service_server::AiServiceServer;

use crate::{
    AiError, Ports, ProviderKind, Settings,
    adapters::{BuiltinProvider, OpenAiProvider, Provider, SteadyProvider},
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
    pub fn new(settings: &Settings, ports: Ports) -> Result<Self, AiError> {
        settings.validate()?;
        let metrics = Metrics::new();
        let provider: Arc<dyn Provider> = match settings.provider {
            ProviderKind::Builtin => Arc::new(BuiltinProvider),
            ProviderKind::OpenAi => Arc::new(OpenAiProvider::new(settings, ports.clock)?),
        };
        let provider = SteadyProvider::new(provider, settings, metrics.clone());
        Ok(Self { rpc: AiRpc::new(provider, metrics, settings.model_reads_orders) })
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
        let provider = self.rpc.provider();
        tracing::info!(
            provider = provider.name(),
            model = provider.model(),
            "answering model turns by `{}`",
            provider.name()
        );
        tasks.draining().cancelled().await;
        Ok(())
    }
}

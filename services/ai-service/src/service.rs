use std::sync::Arc;

use tonic::service::Routes;

use ery_lifecycle::Tasks;
use ery_proto::ai::v1::ai_service_server::AiServiceServer;

use crate::{
    AiError, Ports, ProviderKind, Settings,
    adapters::{
        Attachments, BuiltinProvider, Chain, HttpProvider, Keyed, Link, Provider, Shown,
        SteadyProvider, prompt_files,
    },
    domain::prompts::Prompts,
    handlers::AiRpc,
    metrics::Metrics,
    settings::CHEAPER,
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
        let attachments = attachments(settings)?;
        let mut links = Vec::new();
        let link = |name: &str, key_name: &str, own: &Settings| -> Result<Link, AiError> {
            let http = HttpProvider::new(name, own, Arc::clone(&ports.clock))?;
            let keyed = http.clone().map(|it| Arc::new(Keyed::new(key_name, it, own.clone())));
            let provider: Arc<dyn Provider> = match http {
                Some(provider) => Arc::new(provider),
                None => Arc::new(BuiltinProvider),
            };
            let provider = SteadyProvider::new(provider, own, metrics.clone());
            let (pricing, is_own) = (own.pricing(), own.is_own_network());
            let reads = own.provider != ProviderKind::Builtin;
            let shown = Shown {
                pictures: reads && own.pictures,
                text_files: reads && settings.text_files && attachments.is_some(),
            };
            Ok(Link { provider, pricing, is_own, shown, keyed, is_on_guild_key: false })
        };
        let chain = settings.chain();
        for (name, own) in &chain {
            links.push(link(name, name, own)?);
        }
        let (turn_timeout, fallback_wait) = (settings.turn_timeout, settings.fallback_wait);
        let chained =
            |links: Vec<Link>| Chain::new(links, turn_timeout, fallback_wait, metrics.clone());
        // It is asked at the first provider, so a key for that one is a key for it.
        let cheaper = match settings.cheaper().zip(chain.first()) {
            Some((own, (first, _))) => Some(chained(vec![link(CHEAPER, first, &own)?])),
            None => None,
        };
        let chain = chained(links);
        let reads_orders = settings.model_reads_orders;
        let metrics = metrics.clone();
        Ok(Self { rpc: AiRpc::new(chain, cheaper, prompts, attachments, metrics, reads_orders) })
    }

    /// Returns what it serves.
    pub fn routes(&self) -> Routes {
        self.added_to(Routes::default())
    }

    /// Adds what it serves to what another service does.
    pub fn added_to(&self, routes: Routes) -> Routes {
        let server = AiServiceServer::new(self.rpc.clone())
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_MESSAGE);
        routes.add_service(server)
    }

    /// Runs until the process drains. All its work is done within calls.
    ///
    /// # Errors
    ///
    /// None yet; the signature is that of every service.
    pub async fn run(self, tasks: Tasks) -> Result<(), AiError> {
        for Link { provider, pricing, .. } in self.rpc.chains().flat_map(Chain::links) {
            let (name, model) = (provider.name(), provider.model());
            tracing::info!(provider = name, model, "answering model turns by `{name}`");
            if pricing.is_assumed {
                tracing::warn!(
                    provider = name,
                    model,
                    "what `{model}` costs is not known: budgets of money take the prices of \
                     `ai.assumed_price`; say in `ai.prices` what it costs, 0 if it is free"
                );
            }
        }
        tasks.draining().cancelled().await;
        Ok(())
    }
}

/// Makes what fetches members' pictures and files, where a model is shown any.
///
/// A machine that trusts no authority cannot; then it reads no files, for most models do well without.
fn attachments(settings: &Settings) -> Result<Option<Attachments>, AiError> {
    let asked = settings.chain().into_iter().map(|(_, own)| own).chain(settings.cheaper());
    let models: Vec<Settings> = asked.filter(|own| own.provider != ProviderKind::Builtin).collect();
    let takes_pictures = models.iter().any(|own| own.pictures);
    if !takes_pictures && (models.is_empty() || !settings.text_files) {
        return Ok(None);
    }
    match Attachments::new(&settings.files_from) {
        Err(error) if !takes_pictures => {
            tracing::warn!(error = %error, "no files of members are read: they cannot be fetched");
            Ok(None)
        }
        made => made.map(Some),
    }
}

//! `ery page`: the playground's chat page beside services that run apart.

use std::sync::Arc;

use ery_clock::SystemClock;
use ery_cluster::{Cluster, Streams};
use ery_ids::{ReplicaId, ServiceName};
use ery_lifecycle::Tasks;
use ery_rpc::Peers;
use ery_settings::Sources;

use crate::{
    cli,
    failure::{Failure, chain},
    playground::page,
    process::{Process, bind},
    settings::Settings,
};

/// Runs until a signal comes.
pub(crate) async fn run(arguments: &cli::Page, sources: &Sources) -> Result<(), Failure> {
    let settings = Settings::load(sources)?;
    let credential = settings.credential()?;
    let (listener, address) = bind(arguments.listen, "--listen").await?;
    let mut process = Process::begin(&settings, "page")?;
    let start = async {
        let unavailable = |error: &dyn std::error::Error| Failure::unavailable(chain(error));
        let clock = Arc::new(SystemClock);
        let cluster = Cluster::connect(
            &settings.nats,
            &settings.redis,
            Streams::Used,
            ReplicaId::random(),
            clock,
        )
        .await
        .map_err(|error| unavailable(&error))?;
        let tls = settings.rpc.tls.open()?;
        let membership = cluster.membership();
        let store = Peers::remote(ServiceName::Store, &*membership, &credential, tls.as_ref())
            .await
            .map_err(|error| unavailable(&error))?;
        Ok((cluster, store))
    };
    let Some((cluster, store)) = process.starting(start).await? else { return Ok(()) };

    let [pages, last] = [(); 2].map(|()| Tasks::new());
    let router = page::router(&arguments.sim, cluster.bus(), store, pages.draining());
    page::serve(listener, router, &pages);
    process.serve_admin(&settings, &last).await?;
    tracing::info!(%address, sim = %arguments.sim, "serving the playground's page");
    process.run(&[pages, last], &settings).await
}

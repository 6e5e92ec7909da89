use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use futures::StreamExt;
use tokio::task::JoinHandle;

use ery_discord_contract::{Requests, Violation, contract, report};

use crate::Sim;

/// Holds a whole run to Discord's own document: every request that was made, every answer, and
/// what was dispatched.
///
/// It judges when it is dropped, so that no test can forget it; it must be dropped before the
/// simulator ends.
#[derive(Debug)]
pub struct ContractKept {
    /// Gone once it is judged, or where there is no document.
    watched: Option<Watched>,
}

#[derive(Debug)]
struct Watched {
    sim: Sim,
    violations: Arc<Mutex<Vec<Violation>>>,
    listener: JoinHandle<()>,
}

impl ContractKept {
    /// Begins to watch a simulator, best before anything is done in it.
    #[expect(clippy::disallowed_methods, reason = "the listener ends with the test")]
    pub async fn watch(sim: &Sim) -> anyhow::Result<Self> {
        let Some(contract) = contract() else { return Ok(Self { watched: None }) };
        let violations = Arc::<Mutex<Vec<Violation>>>::default();
        let mut events = sim.events().await?;
        let own = Arc::clone(&violations);
        let listener = tokio::spawn(async move {
            while let Some(Ok(event)) = events.next().await {
                let name = event["type"].as_str().unwrap_or_default();
                let found = contract.check_dispatch(name, &event["data"]);
                own.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
            }
        });
        Ok(Self { watched: Some(Watched { sim: sim.clone(), violations, listener }) })
    }

    /// Judges what happened so far, for a test that ends the simulator itself.
    pub async fn judge(&mut self) -> anyhow::Result<()> {
        let Some(watched) = self.watched.take() else { return Ok(()) };
        let contract = contract().context("it is watched only where there is a document")?;
        let log = watched.sim.log_lines(0).await?;
        let mut violations = contract.check_log(&log, Requests::All)?;
        watched.listener.abort();
        violations.append(&mut watched.violations.lock().unwrap_or_else(PoisonError::into_inner));
        if log.starts_with("{\"dropped_before\"") {
            bail!(
                "the log has forgotten its beginning: {}",
                log.lines().next().unwrap_or_default()
            );
        }
        if !violations.is_empty() {
            bail!("Discord's document refuses:\n{}", report(&violations));
        }
        Ok(())
    }
}

impl Drop for ContractKept {
    fn drop(&mut self) {
        // What has failed already need not fail twice.
        if self.watched.is_none() || std::thread::panicking() {
            return;
        }
        let runtime = tokio::runtime::Handle::current();
        let judged = tokio::task::block_in_place(|| runtime.block_on(self.judge()));
        if let Err(error) = judged {
            panic!("{error:?}");
        }
    }
}

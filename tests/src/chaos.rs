//! `make chaos`: everything that can fail fails, under load, and a judge looks at what people saw.
//!
//! `docs/chaos.md` tells what is done, what is judged, and how to read it.

mod checker;
mod effects;
mod fleet;
mod load;
mod measure;
mod model;
mod report;
mod run;
mod schedule;

use std::{path::PathBuf, time::Duration};

use serde::Serialize;

pub use checker::Rule;
pub use fleet::Crew;
pub use report::Report;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Mode {
    /// Everything fails at random.
    Faults,
    /// Holders alone are stopped for longer than their lease, killed, and their leases forgotten:
    /// what a broken fence or a broken order of acknowledgements does not survive.
    Holders,
    /// Orchestrators alone are killed and drained, at the default settings: how soon their channels
    /// go on.
    Recovery,
    /// Every process is replaced, one after the other: how long messages wait.
    Rolling,
    /// One orchestrator, then four, then one: whether throughput follows.
    Scale,
}

/// How a run is made.
#[derive(Clone, Debug)]
pub struct Options {
    pub mode: Mode,
    pub seed: u64,
    pub duration: Duration,
    pub crew: Crew,
    pub channels: usize,
    /// How long a channel's lease lasts; none: the default.
    pub lease: Option<Duration>,
    /// After what time a task is delivered again; none: the default.
    pub ack_wait: Option<Duration>,
    /// A deliberate fault of the product, in a build that has it.
    pub mutant: Option<String>,
    /// How long nothing may be answered at the end before the rest counts as lost.
    pub patience: Duration,
    /// Where the evidence is kept if something is wrong.
    pub evidence: PathBuf,
}

impl Options {
    /// Returns how `make chaos` does it.
    pub fn new(mode: Mode, seed: u64, evidence: PathBuf) -> Self {
        let is_at_defaults = matches!(mode, Mode::Recovery | Mode::Rolling | Mode::Scale);
        let short = |seconds| (!is_at_defaults).then(|| Duration::from_secs(seconds));
        Self {
            mode,
            seed,
            duration: Duration::from_mins(10),
            crew: Crew::default(),
            channels: 500,
            lease: short(3),
            ack_wait: short(6),
            mutant: None,
            patience: Duration::from_mins(2),
            evidence,
        }
    }
}

/// Runs it, and returns what came of it.
///
/// # Errors
///
/// If it could not be carried out; what the product does wrong stands in the report.
pub async fn chaos(options: &Options) -> anyhow::Result<Report> {
    match options.mode {
        Mode::Faults | Mode::Holders => run::faults(options).await,
        Mode::Recovery => measure::recovery(options).await,
        Mode::Rolling => measure::rolling(options).await,
        Mode::Scale => measure::scale(options).await,
    }
}

/// Returns the time in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "it is compared with the times in Discord's ids")]
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(0)
}

//! `make chaos`: a long run of faults under load; `docs/chaos.md` explains it.
#![expect(clippy::print_stdout, reason = "the report is what it is for")]

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Parser, ValueEnum};

use ery_tests::chaos::{Mode, Options, chaos};

/// Lets everything fail under load, and judges what people saw.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, value_enum, default_value_t = ModeName::Faults)]
    mode: ModeName,
    /// What happens follows from it [default: a random one]
    #[arg(long)]
    seed: Option<u64>,
    /// For how many seconds things fail
    #[arg(long, default_value_t = 600)]
    duration: u64,
    /// How many channels are spoken in
    #[arg(long, default_value_t = 500)]
    channels: usize,
    /// How many milliseconds a channel's lease lasts
    #[arg(long)]
    lease: Option<u64>,
    /// After how many milliseconds a task is delivered again
    #[arg(long)]
    ack_wait: Option<u64>,
    /// Deliberate faults of the product, with commas: then the judge must find something
    #[arg(long)]
    mutant: Option<String>,
    /// The mutant breaks a precaution that nothing depends on: the judge must find nothing
    #[arg(long, requires = "mutant")]
    harmless: bool,
    /// Where evidence is kept [default: `chaos` beside the build]
    #[arg(long)]
    evidence: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeName {
    Faults,
    Holders,
    Recovery,
    Rolling,
    Scale,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mode = match arguments.mode {
        ModeName::Faults => Mode::Faults,
        ModeName::Holders => Mode::Holders,
        ModeName::Recovery => Mode::Recovery,
        ModeName::Rolling => Mode::Rolling,
        ModeName::Scale => Mode::Scale,
    };
    let evidence = if let Some(folder) = arguments.evidence {
        folder
    } else {
        let own = std::env::current_exe()?;
        own.ancestors().nth(2).context("the program lies in a folder")?.join("chaos")
    };
    let mut options = Options::new(mode, arguments.seed.unwrap_or_else(rand::random), evidence);
    options.duration = Duration::from_secs(arguments.duration);
    options.channels = arguments.channels;
    if let Some(lease) = arguments.lease {
        options.lease = Some(Duration::from_millis(lease));
    }
    if let Some(ack_wait) = arguments.ack_wait {
        options.ack_wait = Some(Duration::from_millis(ack_wait));
    }
    let is_mutant = arguments.mutant.is_some() && !arguments.harmless;
    if is_mutant {
        options.patience = Duration::from_secs(10);
    }
    options.mutant = arguments.mutant;
    let report = chaos(&options).await?;
    println!("{report}");
    let is_found = !report.verdict.violations.is_empty();
    Ok(match (is_mutant, is_found) {
        (true, true) => {
            println!("the mutant was caught");
            ExitCode::SUCCESS
        }
        (true, false) => {
            println!("the mutant was NOT caught");
            ExitCode::FAILURE
        }
        (false, _) if report.is_good() => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
    })
}

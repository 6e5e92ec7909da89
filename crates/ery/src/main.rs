//! The `ery` binary: the command line, and the only place where adapters are chosen.

mod all;
mod cli;
mod cluster;
mod ctl;
mod failure;
mod page;
mod playground;
mod probe;
mod process;
mod rpc_tls;
mod services;
mod settings;
mod settings_command;
mod sim;
mod watching;
mod words;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    cli::{Cli, Command},
    failure::{Failure, Told},
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    let told = cli.told();
    // Before anything opens a connection: two providers in one graph would have to be told apart.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return Failure::internal("the TLS provider was installed twice").report(told);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::caused("could not start the runtime", &error).report(told),
    };
    let result = runtime.block_on(run(cli));
    // What is left after the drain is not waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(told),
    }
}

/// Says what is wrong with a command line, or what was asked for by `--help`.
fn not_understood(error: &clap::Error) -> ExitCode {
    // It is no command yet that could be asked for this.
    let asks_for = |word: &str| std::env::args_os().any(|argument| argument == word);
    if error.use_stderr() && asks_for("ctl") && asks_for("--json") {
        let text = error.to_string();
        let text = text.trim_start_matches("error: ");
        // What follows is how the command is used, for people.
        let text = text.split("\n\n").next().unwrap_or(text);
        return Failure::usage(text).report(Told::Program);
    }
    // Where its place is closed there is nobody to tell.
    drop(error.print());
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let sources = cli.sources();
    match cli.command {
        Command::Gateway => cluster::run(ery_ids::ServiceName::Gateway, &sources).await,
        Command::Orchestrator => cluster::run(ery_ids::ServiceName::Orchestrator, &sources).await,
        Command::AiService => cluster::run(ery_ids::ServiceName::AiService, &sources).await,
        Command::ToolService => cluster::run(ery_ids::ServiceName::ToolService, &sources).await,
        Command::Store => cluster::run(ery_ids::ServiceName::Store, &sources).await,
        Command::Console => cluster::run(ery_ids::ServiceName::Console, &sources).await,
        Command::All => all::run(&sources).await,
        Command::Playground(arguments) => playground::run(&arguments, &sources).await,
        Command::SimDiscord(arguments) => sim::run(&arguments).await,
        Command::Page(arguments) => page::run(&arguments, &sources).await,
        Command::Probe(arguments) => probe::run(&arguments, &sources).await,
        Command::Ctl(arguments) => ctl::run(&arguments, &sources).await,
        Command::Settings(command) => settings_command::run(command, &sources),
    }
}

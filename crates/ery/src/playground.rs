//! `ery playground`: `ery all` in a simulated Discord, with a chat page.

pub(crate) mod page;

use std::{io::Write as _, path::Path, sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::time::Instant;

use ery_community_config::SharedBase;
use ery_lifecycle::{Health, Tasks};
use ery_settings::Sources;
use ery_sim_discord::Options;

use crate::{
    all::Everything,
    cli,
    failure::Failure,
    process::{Process, bind, reached_here},
    services,
    settings::Settings,
    sim,
    watching::Watch,
};

/// How long Ery may take to connect to a simulated Discord in the same process.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// Runs until a signal comes.
pub(crate) async fn run(arguments: &cli::Playground, sources: &Sources) -> Result<(), Failure> {
    let mut sources = sources.clone();
    // The simulated world begins anew with each start, so what Ery knows of it does, too.
    let is_given = sources.flags.iter().any(|(key, _)| key == "data_dir")
        || sources
            .variables
            .iter()
            .any(|(name, value)| name == "ERY_DATA_DIR" && !value.is_empty());
    let folder = tempfile::Builder::new()
        .prefix("ery-playground-")
        .tempdir()
        .map_err(|error| Failure::caused("could not make a folder", &error))?;
    if !is_given {
        sources.flags.push(("data_dir".into(), folder.path().display().to_string()));
    }
    let has_log = sources.variables.iter().any(|(name, _)| name.starts_with("ERY_TELEMETRY__LOG"));
    let (mut settings, values) = Settings::load_whole(&sources)?;
    if !has_log && settings.telemetry.log == "info" {
        // A newcomer should see the page's address, and what goes wrong.
        settings.telemetry.log = "warn".into();
    }

    let (page_listener, page_address) = bind(arguments.listen, "--listen").await?;
    let (sim_listener, sim_address) = bind(arguments.sim_listen, "--sim-listen").await?;
    settings.discord.token = Some(SecretString::from(sim::DEFAULT_TOKEN));
    settings.discord.api_url = format!("http://{sim_address}/api/v10");
    settings.discord.gateway_url = Some(format!("ws://{sim_address}"));
    settings.ai.files_from.push(reached_here(sim_address).ip().to_string());

    let mut process = Process::begin(&settings, "ery")?;
    let (health, fatal) = (process.health.clone(), process.fatal.clone());
    let options = Options {
        world: sim::world(arguments.world.as_deref())?,
        token: Some(sim::DEFAULT_TOKEN.to_owned()),
        ..Options::default()
    };
    let simulated = sim::start(sim_listener, options).await?;
    let base = SharedBase::from(services::config_base(&settings));
    let start = Everything::start(&settings, &base, &health, &fatal);
    let Some(everything) = process.starting(start).await? else { return Ok(()) };
    process.serve_admin(&settings, &everything.last).await?;
    let log = process.telemetry.log.clone();
    Watch::new(&sources, values, base, log).spawn(&everything.last);
    // Discord keeps nothing for who has never been connected: nobody is to speak before that.
    let Some(()) = process.starting(connected(&health)).await? else { return Ok(()) };

    let pages = Tasks::new();
    let sim = reached_here(sim_address).to_string().parse().map_err(|error| {
        Failure::caused(&format!("{sim_address} cannot stand in an address"), &error)
    })?;
    let router =
        page::router(&sim, Arc::clone(&everything.bus), everything.store.clone(), pages.draining());
    page::serve(page_listener, router, &pages);
    greet(page_address, sim_address, everything.console, &settings.data_dir)?;
    let stages: Vec<Tasks> = everything.stages().into_iter().chain([pages]).collect();
    let ended = process.run(&stages, &settings).await;
    simulated.stop().await;
    ended
}

/// Waits until every part is ready, Ery's session with the simulated Discord among them.
async fn connected(health: &Health) -> Result<(), Failure> {
    let deadline = Instant::now() + CONNECT_PATIENCE;
    while !health.waiting_for().is_empty() {
        if Instant::now() > deadline {
            let waiting = health.waiting_for().join(", ");
            return Err(Failure::internal(format!("the playground did not get ready: {waiting}")));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn greet(
    page: std::net::SocketAddr,
    sim: std::net::SocketAddr,
    console: Option<std::net::SocketAddr>,
    folder: &Path,
) -> Result<(), Failure> {
    let mcp = match console {
        Some(console) => format!("MCP clients are served at http://{console}/mcp\n"),
        None => String::new(),
    };
    let text = format!(
        "Ery's playground is at http://{page}\n\
         The simulated Discord is at http://{sim}\n\
         {mcp}\
         Look inside with: ery ctl --data-dir {} threads list\n\
         Stop with Ctrl-C.\n",
        folder.display()
    );
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::caused("could not write to standard output", &error))
}

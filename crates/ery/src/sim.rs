use std::{fs, io::Write as _, path::Path, sync::Arc};

use tokio::net::TcpListener;

use ery_clock::{Clock, SystemClock};
use ery_lifecycle::Signals;
use ery_sim_discord::{Options, SimDiscord, World};

use crate::{
    cli,
    failure::{Failure, chain},
    process::bind,
};

/// The token of the demo's bot.
pub(crate) const DEFAULT_TOKEN: &str = ery_sim_discord::DEMO_TOKEN;

/// Serves a simulated Discord until a signal comes.
pub(crate) async fn run(arguments: &cli::SimDiscord) -> Result<(), Failure> {
    let mut signals =
        Signals::catch().map_err(|error| Failure::caused("could not catch signals", &error))?;
    let (listener, _) = bind(arguments.listen, "--listen").await?;
    let world = match &arguments.generate {
        Some(generator) => Some(
            World::generate(generator, &SystemClock)
                .map_err(|error| Failure::settings(format!("--generate: {error}")))?,
        ),
        None => world(arguments.world.as_deref())?,
    };
    let options = Options {
        world,
        token: arguments.token.clone(),
        rate_limits: !arguments.no_rate_limits,
        ..Options::default()
    };
    let mut simulated = start(listener, options).await?;
    let text = format!(
        "The simulated Discord is at http://{}\nIts bot's token is {}\n",
        simulated.addr(),
        simulated.token()
    );
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::caused("could not write to standard output", &error))?;
    tokio::select! {
        () = signals.next() => {}
        () = simulated.stopped() => {
            return Err(Failure::internal("the simulated Discord stopped by itself"));
        }
    }
    simulated.stop().await;
    Ok(())
}

/// Reads a world from its file; none means the demo's.
pub(crate) fn world(file: Option<&Path>) -> Result<Option<World>, Failure> {
    let Some(path) = file else { return Ok(None) };
    let wrong = |error: &dyn std::error::Error| {
        Failure::settings(format!("the world file {}: {}", path.display(), chain(error)))
    };
    let document = fs::read(path).map_err(|error| wrong(&error))?;
    World::from_json(&document, SystemClock.now()).map(Some).map_err(|error| wrong(&error))
}

/// Starts a simulated Discord on a listener.
pub(crate) async fn start(
    listener: TcpListener,
    mut options: Options,
) -> Result<SimDiscord, Failure> {
    options.clock = Arc::new(SystemClock);
    SimDiscord::start(listener, options).await.map_err(|error| Failure::settings(chain(&error)))
}

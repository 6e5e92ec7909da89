//! Runs alone: `serve [ADDRESS] [no-limits] [SIZES]`, the demo or a world that is made up. The product
//! does the same with `ery sim-discord`; this is for trying the crate by itself.

use std::io::Write as _;

use ery_sim_discord::{Options, SimDiscord, World};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8711".to_owned());
    let rate_limits = arguments.next().as_deref() != Some("no-limits");
    let world = match arguments.next() {
        Some(sizes) => Some(World::generate(&sizes.parse()?, &ery_clock::SystemClock)?),
        None => None,
    };
    let listener = tokio::net::TcpListener::bind(&address).await?;
    let options = Options { rate_limits, world, ..Options::default() };
    let mut sim = SimDiscord::start(listener, options).await?;
    writeln!(std::io::stdout(), "{} {}", sim.api_url(), sim.gateway_url())?;
    tokio::select! {
        () = sim.stopped() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    sim.stop().await;
    Ok(())
}

//! Members who speak to Ery, and whoever watches what becomes of it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    effects::EffectReader,
    fleet::{Fleet, Guild},
};

/// How often the log is read.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How fast members speak.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How many messages may wait for their answers; past it nobody speaks.
    pub backlog: usize,
    /// How many messages a second at most.
    pub fastest: f64,
    /// How likely several are said to the same channel in a row.
    pub bursts: f64,
}

/// What was said, and what was seen of it.
#[derive(Default)]
pub(super) struct Watch {
    said: Mutex<BTreeMap<u64, u64>>,
    seen: Mutex<EffectReader>,
}

impl Watch {
    pub(super) fn said(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, EffectReader> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many messages wait for their answers.
    pub(super) fn backlog(&self) -> usize {
        let seen = self.seen();
        self.said().keys().filter(|message| !seen.covered.contains_key(message)).count()
    }

    /// Reads what is new in the log.
    pub(super) async fn look(&self, fleet: &Fleet) -> anyhow::Result<()> {
        let after = self.seen().last_seq;
        let entries = fleet.sim.log(after).await?;
        self.seen().read(&entries);
        Ok(())
    }

    /// Reads the log again and again.
    pub(super) async fn run(&self, fleet: &Fleet, until: &CancellationToken) -> anyhow::Result<()> {
        while !until.is_cancelled() {
            self.look(fleet).await?;
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = until.cancelled() => {}
            }
        }
        Ok(())
    }
}

/// Lets members speak until it is over; what each says is addressed to Ery.
pub(super) async fn speak(
    fleet: &Fleet,
    guilds: &[Guild],
    watch: &Watch,
    pace: Pace,
    seed: u64,
    until: &CancellationToken,
) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(seed ^ 0x5eed);
    let bot = fleet.sim.world().await?.bots[0]["id"].as_str().context("a bot")?.to_owned();
    let places: Vec<(&Guild, u64)> = guilds
        .iter()
        .flat_map(|guild| guild.channels.iter().map(move |channel| (guild, *channel)))
        .collect();
    let (mut rate, mut number) = (10.0_f64, 0_u64);
    let mut judged_at = Instant::now();
    let mut backlog = 0;
    while !until.is_cancelled() {
        if judged_at.elapsed() > LOOK_EVERY {
            judged_at = Instant::now();
            backlog = watch.backlog();
            // The rate follows what is carried, and a backlog past the bound waits.
            rate = if backlog < pace.backlog / 2 { rate * 1.05 } else { rate * 0.9 };
            rate = rate.clamp(1.0, pace.fastest);
        }
        if backlog >= pace.backlog {
            sleep(LOOK_EVERY).await;
            continue;
        }
        let (guild, channel) = places[random.random_range(0..places.len())];
        let count = if random.random_bool(pace.bursts) { random.random_range(2..=6) } else { 1 };
        for _ in 0..count {
            number += 1;
            let member = &guild.members[random.random_range(0..guild.members.len())];
            let text = format!("<@{bot}> hello, this is number {number}");
            let message = fleet.sim.say(&channel.to_string(), member, &text).await?;
            watch.said().insert(message, channel);
        }
        tokio::select! {
            () = sleep(Duration::from_secs_f64(f64::from(count) / rate)) => {}
            () = until.cancelled() => {}
        }
    }
    Ok(())
}

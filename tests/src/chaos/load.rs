//! Members who speak to Ery, and whoever watches what becomes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{TryStreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    effects::EffectReader,
    fleet::{Fleet, Guild},
};

/// How often the log is read.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// In how many channels at once something more is said.
const INSIST_AT_ONCE: usize = 16;

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

    /// Returns the channels in which messages wait.
    fn waiting(&self) -> BTreeSet<u64> {
        let seen = self.seen();
        let said = self.said();
        let waits = said.iter().filter(|(message, _)| !seen.covered.contains_key(message));
        waits.map(|(_, channel)| *channel).collect()
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
            say(fleet, watch, channel, member, &format!("hello, this is number {number}")).await?;
        }
        tokio::select! {
            () = sleep(Duration::from_secs_f64(f64::from(count) / rate)) => {}
            () = until.cancelled() => {}
        }
    }
    Ok(())
}

/// Says a first thing in every channel.
pub(super) async fn greet(fleet: &Fleet, guilds: &[Guild], watch: &Watch) -> anyhow::Result<()> {
    for guild in guilds {
        for (channel, member) in guild.channels.iter().zip(guild.members.iter().cycle()) {
            say(fleet, watch, *channel, member, "hello").await?;
        }
    }
    Ok(())
}

/// Says one thing more wherever something waits, which wakes whoever does not hold the channel.
pub(super) async fn insist(fleet: &Fleet, guilds: &[Guild], watch: &Watch) -> anyhow::Result<()> {
    let waiting = watch.waiting();
    let places = guilds.iter().flat_map(|guild| {
        let member = guild.members.first();
        guild.channels.iter().filter_map(move |channel| Some((*channel, member?)))
    });
    stream::iter(places.filter(|(channel, _)| waiting.contains(channel)).map(Ok))
        .try_for_each_concurrent(INSIST_AT_ONCE, |(channel, member)| {
            say(fleet, watch, channel, member, "and this, too")
        })
        .await
}

/// Lets a member say something to Ery.
async fn say(
    fleet: &Fleet,
    watch: &Watch,
    channel: u64,
    member: &str,
    text: &str,
) -> anyhow::Result<()> {
    let text = format!("<@{}> {text}", fleet.bot);
    let message = fleet.sim.say(&channel.to_string(), member, &text).await?;
    watch.said().insert(message, channel);
    Ok(())
}

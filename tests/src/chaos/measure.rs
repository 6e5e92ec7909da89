//! Runs that measure: how soon channels go on, how long messages wait, what replicas carry.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Options,
    checker::ModelRequest,
    effects::Deed,
    load::{Pace, speak},
    model::Behaviour,
    now_ms,
    report::{Report, percentiles, waited},
    run::Stage,
};

/// How soon channels of a killed holder must go on, nearly all of them.
const RECOVERED_WITHIN: Duration = Duration::from_secs(20);

/// How soon channels of a drained holder must go on, half of them.
const HANDED_OVER_WITHIN: Duration = Duration::from_millis(200);

/// How long a message may wait while every process is replaced.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// How long it is waited for a channel that does not go on at all.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(90);

/// Lets members speak and the log be read, beside `work`.
async fn under_load<T>(
    stage: &Stage,
    pace: Pace,
    seed: u64,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let until = CancellationToken::new();
    let Stage { fleet, guilds, watch, .. } = stage;
    let (done, (), ()) = tokio::try_join!(
        async {
            let done = work.await;
            until.cancel();
            done
        },
        speak(fleet, guilds, watch, pace, seed, &until),
        watch.run(fleet, &until),
    )?;
    Ok(done)
}

/// Kills and drains orchestrators in turn, and measures from outside how soon their channels go on.
pub(super) async fn recovery(options: &Options) -> anyhow::Result<Report> {
    let behaviour = Behaviour {
        latency: (Duration::from_secs(1), Duration::from_secs(2)),
        tools: 0.8,
        ..Behaviour::default()
    };
    let stage = Stage::set(options, behaviour, &[]).await?;
    let pace = Pace { backlog: 80, fastest: 25.0, bursts: 0.0 };
    let work = async {
        let begun = Instant::now();
        let (mut recovered, mut handed_over, mut stayed) = (Vec::new(), Vec::new(), Vec::new());
        let mut round = 0_usize;
        sleep(Duration::from_secs(5)).await;
        let orchestrators: Vec<usize> = (0..stage.fleet.slots.len())
            .filter(|slot| stage.fleet.slots[*slot].service == "orchestrator")
            .collect();
        while begun.elapsed() < options.duration {
            let slot = orchestrators[round % orchestrators.len()];
            let name = &stage.fleet.slots[slot].name;
            if round.is_multiple_of(2) {
                let at_ms = now_ms();
                stage.diary.say(format!("{name}: SIGKILL"));
                stage.diary.count("kill");
                stage.fleet.kill(slot, Duration::from_secs(2)).await?;
                let times = goes_on(&stage, at_ms).await?;
                let [half, most, all] = percentiles(times.clone());
                stage.diary.say(format!(
                    "{} channels went on: p50 {half} ms, p99 {most} ms, at most {all} ms",
                    times.len()
                ));
                recovered.extend(times);
            } else {
                let at_ms = now_ms();
                stage.diary.say(format!("{name}: SIGTERM"));
                stage.diary.count("drain");
                stage.fleet.drain(slot).await?;
                sleep(Duration::from_secs(3)).await;
                let (times, others) = moved(&stage.fleet.model.requests(), at_ms);
                let [half, most, all] = percentiles(times.clone());
                stage.diary.say(format!(
                    "{} channels were handed over: p50 {half} ms, p99 {most} ms, at most {all} ms",
                    times.len()
                ));
                handed_over.extend(times);
                stayed.extend(others);
            }
            stage.fleet.ready(slot).await?;
            sleep(Duration::from_secs(5)).await;
            round += 1;
        }
        anyhow::Ok((recovered, handed_over, stayed))
    };
    let (recovered, handed_over, stayed) = under_load(&stage, pace, options.seed, work).await?;
    stage.settle(options).await?;
    let mut report = stage.report(options, Vec::new()).await?;
    for (what, times, share, bound) in [
        ("after SIGKILL", recovered, 99, RECOVERED_WITHIN),
        ("after SIGTERM", handed_over, 50, HANDED_OVER_WITHIN),
    ] {
        let [half, most, all] = percentiles(times.clone());
        let count = times.len();
        let line = format!(
            "{count} channels went on {what}: p50 {half} ms, p99 {most} ms, at most {all} ms"
        );
        let judged = if share == 50 { half } else { most };
        if count == 0 || u128::from(judged) > bound.as_millis() {
            report.missed.push(format!("{line}; p{share} may be {} ms", bound.as_millis()));
        }
        report.measured.push(line);
    }
    let [half, most, _] = percentiles(stayed);
    report.measured.push(format!(
        "meanwhile a turn followed the one before it in the same holder after: p50 {half} ms, p99 \
         {most} ms"
    ));
    Ok(report)
}

/// Waits until every message whose turn was cut off by a kill at `at_ms` is worked on again, and
/// returns how long each took. Nobody but the killed holder goes away from a turn in this run.
async fn goes_on(stage: &Stage, at_ms: u64) -> anyhow::Result<Vec<u64>> {
    let begun = Instant::now();
    loop {
        let requests = stage.fleet.model.requests();
        let cut = requests.iter().filter(|request| {
            request.at_ms <= at_ms && request.left_at_ms.is_some_and(|left| left >= at_ms)
        });
        let cut: Vec<(usize, &BTreeSet<u64>)> =
            cut.enumerate().map(|(index, request)| (index, &request.triggers)).collect();
        let mut times: BTreeMap<usize, u64> = BTreeMap::new();
        for (index, triggers) in &cut {
            let asked = requests
                .iter()
                .filter(|it| it.at_ms > at_ms && !it.triggers.is_disjoint(triggers))
                .map(|it| it.at_ms);
            let seen = stage.watch.seen();
            let seen = seen.effects.iter().filter(|effect| effect.at_ms > at_ms).filter(|effect| {
                matches!(&effect.deed, Deed::Message { covers, .. } if !covers.is_disjoint(triggers))
            });
            let first = asked.chain(seen.map(|effect| effect.at_ms)).min();
            if let Some(first) = first {
                times.insert(*index, first - at_ms);
            }
        }
        // Who asked a moment before the kill is noticed a moment after it.
        let is_noticed = begun.elapsed() > Duration::from_secs(2);
        if (is_noticed && times.len() == cut.len()) || begun.elapsed() > GIVEN_UP_AFTER {
            let lost = cut.len() - times.len();
            if lost > 0 {
                stage.diary.say(format!("{lost} channels have not gone on"));
            }
            let given_up = u64::try_from(GIVEN_UP_AFTER.as_millis())?;
            return Ok(times.into_values().chain(std::iter::repeat_n(given_up, lost)).collect());
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Returns how long threads stood that went on in another holder after a drain at `at_ms`, and how
/// long those that stayed: from an answer of the model to the next request.
fn moved(requests: &[ModelRequest], at_ms: u64) -> (Vec<u64>, Vec<u64>) {
    let by_marker: BTreeMap<u64, &ModelRequest> =
        requests.iter().map(|request| (request.marker, request)).collect();
    let (mut moved, mut stayed) = (Vec::new(), Vec::new());
    for request in requests.iter().filter(|request| request.at_ms > at_ms) {
        let before = request.continues.last().and_then(|marker| by_marker.get(marker));
        let Some(before) = before else { continue };
        let Some(answered) = before.answered_at_ms.filter(|answered| *answered >= at_ms) else {
            continue;
        };
        let times = if before.run == request.run { &mut stayed } else { &mut moved };
        times.push(request.at_ms.saturating_sub(answered));
    }
    (moved, stayed)
}

/// Replaces every process, one after the other.
pub(super) async fn rolling(options: &Options) -> anyhow::Result<Report> {
    let stage = Stage::set(options, Behaviour::default(), &[]).await?;
    let pace = Pace { backlog: 100, fastest: 20.0, bursts: 0.05 };
    let work = async {
        let begun = Instant::now();
        let mut round = 0;
        sleep(Duration::from_secs(3)).await;
        while round == 0 || begun.elapsed() < options.duration {
            round += 1;
            for slot in 0..stage.fleet.slots.len() {
                stage.diary.say(format!("{}: SIGTERM", stage.fleet.slots[slot].name));
                stage.diary.count("drain");
                stage.fleet.drain(slot).await?;
                stage.fleet.ready(slot).await?;
                sleep(Duration::from_secs(2)).await;
            }
        }
        anyhow::Ok(())
    };
    under_load(&stage, pace, options.seed, work).await?;
    stage.settle(options).await?;
    let mut report = stage.report(options, Vec::new()).await?;
    let [.., longest] = waited(&stage.evidence());
    if u128::from(longest) > LONGEST_WAIT.as_millis() {
        report.missed.push(format!(
            "a message waited {longest} ms; it may wait {} ms",
            LONGEST_WAIT.as_millis()
        ));
    }
    Ok(report)
}

/// Scales the orchestrators from one to four and back.
pub(super) async fn scale(options: &Options) -> anyhow::Result<Report> {
    let mut options = options.clone();
    options.crew.orchestrators = 1;
    let second = Duration::from_secs(1);
    let behaviour =
        Behaviour { latency: (second, second), tools: 0.0, faults: 0.0, is_down: false };
    // So few threads at once that one replica cannot carry the load, whatever the machine.
    let extra = [("ERY_ORCHESTRATOR__TASK_THREADS", "6".to_owned())];
    let mut stage = Stage::set(&options, behaviour, &extra).await?;
    let pace = Pace { backlog: 150, fastest: 100.0, bursts: 0.0 };
    let phase = options.duration / 3;
    let mut rates = Vec::new();
    for size in [1, 4, 1] {
        while count(&stage) < size {
            let slot = stage.fleet.add("orchestrator")?;
            stage.fleet.ready(slot).await?;
        }
        // Those that go are drained while messages wait.
        while count(&stage) > size {
            stage.fleet.shrink("orchestrator").await?;
        }
        stage.diary.say(format!("{size} orchestrators"));
        let work = async {
            sleep(phase / 3).await;
            let (before, begun) = (answers(&stage), Instant::now());
            sleep(phase * 2 / 3).await;
            let answered = f64::from(answers(&stage) - before);
            anyhow::Ok(answered / begun.elapsed().as_secs_f64())
        };
        let rate = under_load(&stage, pace, options.seed + rates.len() as u64, work).await?;
        stage.diary.say(format!("{rate:.1} answers a second"));
        rates.push((size, rate));
    }
    stage.settle(&options).await?;
    let mut report = stage.report(&options, Vec::new()).await?;
    for (size, rate) in &rates {
        report.measured.push(format!("{size} orchestrators: {rate:.1} answers a second"));
    }
    if rates[1].1 < 2.0 * rates[0].1 || rates[2].1 > rates[1].1 / 2.0 {
        report.missed.push("throughput does not follow the number of orchestrators".to_owned());
    }
    Ok(report)
}

fn count(stage: &Stage) -> usize {
    stage.fleet.slots.iter().filter(|slot| slot.service == "orchestrator").count()
}

/// Returns how many answers were seen so far.
fn answers(stage: &Stage) -> u32 {
    u32::try_from(stage.watch.seen().effects.len()).unwrap_or(u32::MAX)
}

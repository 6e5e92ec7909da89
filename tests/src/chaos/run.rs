//! The run in which everything fails.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Mode, Options,
    checker::{Evidence, Rule, Verdict, judge},
    fleet::{Fleet, Guild},
    load::{Pace, Watch, greet, insist, speak},
    model::Behaviour,
    report::{Diary, Report},
    schedule::{Action, Planned, Roughness, plan},
};
use crate::process::eventually;

/// How often a run is judged while it goes on.
const JUDGE_EVERY: Duration = Duration::from_secs(2);

/// How long it takes from a word to whoever takes its channel.
const TO_TAKE: Duration = Duration::from_millis(50);

/// How many members of each guild write to Ery directly, too.
const DIRECT_OF_GUILD: usize = 4;

/// A community on a running platform.
pub(super) struct Stage {
    pub fleet: Fleet,
    pub guilds: Vec<Guild>,
    pub watch: Watch,
    pub diary: Diary,
}

impl Stage {
    pub(super) async fn set(
        options: &Options,
        behaviour: Behaviour,
        extra: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let diary = Diary::new();
        diary.say(format!("{:?}, seed {}: starting", options.mode, options.seed));
        let mut variables = extra.to_vec();
        let in_ms = |span: Duration| format!("{}ms", span.as_millis());
        variables.extend(options.lease.map(|lease| ("ERY_REDIS__LEASE_TTL", in_ms(lease))));
        variables.extend(options.lease.map(|lease| ("ERY_REDIS__MEMBER_TTL", in_ms(lease))));
        variables.extend(options.ack_wait.map(|wait| ("ERY_NATS__ACK_WAIT", in_ms(wait))));
        variables.extend(options.mutant.clone().map(|mutant| ("MUTANT", mutant)));
        let fleet = Fleet::start(options.crew, options.seed, behaviour, &variables).await?;
        let mut guilds = fleet.make_guilds(8, options.channels, 6).await?;
        let direct = fleet.open_direct_messages(&guilds, DIRECT_OF_GUILD).await?;
        fleet.calm_rest().await?;
        diary.say(format!(
            "{} processes, {} channels, {} direct messages",
            fleet.slots.len(),
            options.channels,
            direct.len()
        ));
        // The first words of somebody new cannot be found again: they are said before the faults.
        let watch = Watch::default();
        greet(&fleet, &direct, &watch).await?;
        eventually("answers to first words", options.patience, async || {
            watch.look(&fleet).await?;
            Ok((watch.backlog() == 0).then_some(()))
        })
        .await?;
        guilds.extend(direct);
        Ok(Self { fleet, guilds, watch, diary })
    }

    /// Lets Redis forget who holds what, has others take the channels in which something waits, and
    /// keeps Redis from telling the former holders for a while.
    async fn forget_leases(&self, hold: Duration) -> anyhow::Result<bool> {
        let Self { fleet, guilds, watch, .. } = self;
        if !fleet.flush_redis().await? {
            return Ok(false);
        }
        insist(fleet, guilds, watch).await?;
        sleep(TO_TAKE).await;
        fleet.stop_redis(hold).await
    }

    /// Kills all holders, whatever they are at.
    async fn kill_holders(&self) -> anyhow::Result<()> {
        let Self { fleet, diary, .. } = self;
        for (slot, it) in fleet.slots.iter().enumerate() {
            if it.service == "orchestrator" && fleet.kill(slot, Duration::ZERO).await? {
                diary.say(format!("{}: SIGKILL at the end", it.name));
                diary.count("kill");
            }
        }
        Ok(())
    }

    /// Returns what there is to judge so far.
    pub(super) fn evidence(&self) -> Evidence {
        Evidence {
            said: self.watch.said().clone(),
            effects: self.watch.seen().effects.clone(),
            requests: self.fleet.model.requests(),
            dead_letters: BTreeSet::new(),
        }
    }

    /// Waits until everything is answered, or nothing has been for too long; then for as long as a
    /// repeat may take to show itself.
    pub(super) async fn settle(&self, options: &Options) -> anyhow::Result<()> {
        self.diary.say("the faults are over; waiting for what is left");
        let mut fewest = usize::MAX;
        let mut progress_at = Instant::now();
        loop {
            self.watch.look(&self.fleet).await?;
            let backlog = self.watch.backlog();
            if backlog < fewest {
                fewest = backlog;
                progress_at = Instant::now();
            }
            if backlog == 0 {
                break;
            }
            if progress_at.elapsed() > options.patience {
                self.diary.say(format!("{backlog} messages are left, and nothing happens"));
                return Ok(());
            }
            sleep(Duration::from_millis(250)).await;
        }
        let lease = options.lease.unwrap_or(Duration::from_secs(15));
        let repeat = options.ack_wait.unwrap_or(Duration::from_secs(30)) + lease;
        self.diary.say(format!("all is answered; looking for repeats for {repeat:?}"));
        sleep(repeat).await;
        self.watch.look(&self.fleet).await
    }

    /// Finds out which of the unanswered messages are dead letters.
    pub(super) async fn dead_letters(&self) -> anyhow::Result<BTreeSet<u64>> {
        let mut dead = BTreeSet::new();
        for guild in &self.guilds {
            let (of, id) = match (&guild.id, guild.channels.first()) {
                (Some(guild), _) => ("--guild", guild.clone()),
                (None, Some(channel)) => ("--channel", channel.to_string()),
                (None, None) => continue,
            };
            let arguments = ["threads", "list", of, &id, "--limit", "100000"];
            let threads = self.fleet.ctl(&arguments).await?;
            for thread in threads.as_array().into_iter().flatten() {
                if thread["outcome"] != "failed" {
                    continue;
                }
                let triggers = thread["triggers"].as_array().into_iter().flatten();
                let messages =
                    triggers.filter_map(|it| it.as_str()?.strip_prefix("m.")?.parse::<u64>().ok());
                dead.extend(messages);
            }
        }
        Ok(dead)
    }

    /// Judges the whole run.
    pub(super) async fn report(
        &self,
        options: &Options,
        ended_by_themselves: Vec<String>,
    ) -> anyhow::Result<Report> {
        let mut evidence = self.evidence();
        if self.watch.backlog() > 0 {
            evidence.dead_letters = self.dead_letters().await?;
        }
        let verdict = judge(&evidence);
        let Self { fleet, diary, .. } = self;
        Report::make(options, fleet, diary, &evidence, verdict, ended_by_themselves).await
    }
}

pub(super) async fn faults(options: &Options) -> anyhow::Result<Report> {
    let behaviour = Behaviour { faults: 0.02, ..Behaviour::default() };
    let behaviour = match options.mode {
        // Long enough that a stop falls into a turn, and the holder wakes before its answer.
        Mode::Holders => Behaviour {
            latency: (Duration::from_millis(300), Duration::from_millis(1_500)),
            tools: 0.7,
            faults: 0.0,
            is_down: false,
        },
        _ => behaviour,
    };
    let stage = Stage::set(options, behaviour, &[]).await?;
    let lease = options.lease.unwrap_or(Duration::from_secs(15));
    let is_holders = options.mode == Mode::Holders;
    let roughness = Roughness {
        every: Duration::from_millis(if is_holders { 700 } else { 2_400 }),
        shortest_stop: if is_holders { lease.mul_f64(1.2) } else { Duration::from_millis(200) },
        longest_stop: lease.mul_f64(2.5),
        orchestrators_only: is_holders,
        sessions: &["drop", "reconnect", "stall", "repeat", "invalid", "refuse", "close"],
    };
    let services: Vec<&str> = stage.fleet.slots.iter().map(|slot| slot.service).collect();
    let planned = plan(options.seed, options.duration, &services, &roughness);
    let pace = Pace {
        // Few enough that what is left at the end is soon answered.
        backlog: if is_holders { 80 } else { 200 },
        fastest: 60.0,
        bursts: if is_holders { 0.4 } else { 0.1 },
    };

    let until = CancellationToken::new();
    let speaking_until = until.child_token();
    let chaos = async {
        let ended = carry_out(&stage, planned, options.duration, &speaking_until).await?;
        speaking_until.cancel();
        if is_holders {
            // Nobody asks any more for what is under way now: only what was kept comes back.
            stage.kill_holders().await?;
        }
        // What was said last may have been said into a fault.
        stage.fleet.calm_rest().await?;
        stage.fleet.calm_provider();
        anyhow::Ok(ended)
    };
    let Stage { fleet, guilds, watch, .. } = &stage;
    let (ended, (), ()) = tokio::try_join!(
        async {
            let ended = chaos.await?;
            until.cancel();
            Ok(ended)
        },
        speak(fleet, guilds, watch, pace, options.seed, &speaking_until),
        watch.run(fleet, &until),
    )?;
    stage.settle(options).await?;
    stage.report(options, ended).await
}

/// Does what is planned, each at its time, and returns which processes ended by themselves.
async fn carry_out(
    stage: &Stage,
    planned: Vec<Planned>,
    duration: Duration,
    until: &CancellationToken,
) -> anyhow::Result<Vec<String>> {
    let begun = Instant::now();
    let mut under_way = FuturesUnordered::new();
    let mut planned = planned.into_iter().peekable();
    let mut judged_at = Instant::now();
    let mut ended_by_themselves = Vec::new();
    while begun.elapsed() < duration && !until.is_cancelled() {
        while let Some(next) = planned.next_if(|next| next.at <= begun.elapsed()) {
            under_way.push(act(stage, next.action));
        }
        tokio::select! {
            Some(done) = under_way.next() => done?,
            () = sleep(Duration::from_millis(50)) => {}
        }
        if judged_at.elapsed() >= JUDGE_EVERY {
            judged_at = Instant::now();
            for name in stage.fleet.revive()? {
                stage.diary.say(format!("{name} ended by itself, and is replaced"));
                ended_by_themselves.push(name);
            }
            let verdict = judge(&stage.evidence());
            if let Some(found) = found(&verdict) {
                stage.diary.say(format!("broken already: {found}"));
                break;
            }
        }
    }
    while let Some(done) = under_way.next().await {
        done?;
    }
    Ok(ended_by_themselves)
}

/// Returns a violation that no waiting can heal.
fn found(verdict: &Verdict) -> Option<&super::checker::Violation> {
    verdict.violations.iter().find(|it| it.rule != Rule::NothingLost)
}

async fn act(stage: &Stage, action: Action) -> anyhow::Result<()> {
    let Stage { fleet, diary, .. } = stage;
    let name = match &action {
        Action::Kill { slot, .. } | Action::Stop { slot, .. } | Action::Drain { slot } => {
            format!("{}: ", fleet.slots[*slot].name)
        }
        _ => String::new(),
    };
    diary.say(format!("{name}{action}"));
    let is_done = match &action {
        Action::Kill { slot, down } => fleet.kill(*slot, *down).await?,
        Action::Stop { slot, hold } => fleet.stop(*slot, *hold).await?,
        Action::Drain { slot } => fleet.drain(*slot).await?,
        Action::KillNats { down } => fleet.kill_nats(*down).await?,
        Action::KillRedis { down } => fleet.kill_redis(*down).await?,
        Action::FlushRedis => fleet.flush_redis().await?,
        Action::ForgetLeases { hold } => stage.forget_leases(*hold).await?,
        Action::Sessions { what } => fleet.disturb_sessions(what).await?,
        Action::Rest { what, hold } => fleet.misbehave(what, *hold).await?,
        Action::Provider { share, hold } => fleet.fail_provider(*share, *hold).await?,
    };
    if is_done {
        diary.count(action.kind());
    } else {
        diary.say(format!("{name}{action}: left out, something is being done there"));
    }
    Ok(())
}

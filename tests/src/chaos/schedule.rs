//! What goes wrong, and when: all of it follows from the seed.

use std::{fmt, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// SIGKILL; another takes its place after a while.
    Kill {
        slot: usize,
        down: Duration,
    },
    /// SIGSTOP, and SIGCONT after a while.
    Stop {
        slot: usize,
        hold: Duration,
    },
    /// SIGTERM; another takes its place once it has ended.
    Drain {
        slot: usize,
    },
    KillNats {
        down: Duration,
    },
    KillRedis {
        down: Duration,
    },
    FlushRedis,
    /// All leases are forgotten while their holders live, others are woken to take the channels, and
    /// for `hold` nobody can learn that from Redis.
    ForgetLeases {
        hold: Duration,
    },
    /// A disturbance of Discord's sessions, by its name in the control API.
    Sessions {
        what: &'static str,
    },
    /// Discord's REST API misbehaves for a while.
    Rest {
        what: &'static str,
        hold: Duration,
    },
    /// The model's provider fails now and then, or altogether, for a while.
    Provider {
        share: f64,
        hold: Duration,
    },
}

impl Action {
    /// Returns the word under which it is counted.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::Stop { .. } => "stop",
            Self::Drain { .. } => "drain",
            Self::KillNats { .. } => "kill nats-server",
            Self::KillRedis { .. } => "kill redis-server",
            Self::FlushRedis => "empty redis-server",
            Self::ForgetLeases { .. } => "forget leases",
            Self::Sessions { .. } => "sessions",
            Self::Rest { .. } => "rest",
            Self::Provider { .. } => "provider",
        }
    }
}

/// An action and when it is done, from the begin of the run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    pub at: Duration,
    pub action: Action,
}

/// What a schedule is made of.
#[derive(Clone, Debug)]
pub(super) struct Roughness {
    /// The mean time between two actions.
    pub every: Duration,
    /// The longest SIGSTOP; longer than the lease, so that holders wake up too late.
    pub longest_stop: Duration,
    /// The shortest SIGSTOP.
    pub shortest_stop: Duration,
    /// Whether holders alone are hit: orchestrators, and what Redis knows of their leases.
    pub orchestrators_only: bool,
    /// The disturbances of sessions that take part.
    pub sessions: &'static [&'static str],
}

/// What of Discord's REST API may go wrong.
pub(super) const REST: [&str; 7] =
    ["lose_response", "error_500", "error_502_after", "rate_limit", "cut", "delay", "outage"];

/// Makes the schedule of a run; `slots` are the services' names.
pub(super) fn plan(
    seed: u64,
    duration: Duration,
    slots: &[&'static str],
    roughness: &Roughness,
) -> Vec<Planned> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut planned = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        at += roughness.every.mul_f64(random.random_range(0.3..1.7));
        if at >= duration {
            break;
        }
        planned.push(Planned { at, action: action(&mut random, slots, roughness) });
    }
    planned
}

fn action(random: &mut StdRng, slots: &[&'static str], roughness: &Roughness) -> Action {
    let orchestrators: Vec<usize> =
        (0..slots.len()).filter(|index| slots[*index] == "orchestrator").collect();
    // Half of what hits a process hits the holders of channels.
    let of_orchestrators = roughness.orchestrators_only || random.random_bool(0.4);
    let slot = if of_orchestrators && !orchestrators.is_empty() {
        orchestrators[random.random_range(0..orchestrators.len())]
    } else {
        random.random_range(0..slots.len())
    };
    let mut between = |from: Duration, to: Duration| random.random_range(from..=to);
    let hold = between(roughness.shortest_stop, roughness.longest_stop);
    let down = between(Duration::ZERO, Duration::from_secs(3));
    let short = between(Duration::from_secs(1), Duration::from_secs(6));
    let dice = random.random_range(0..100);
    if roughness.orchestrators_only {
        return match dice {
            // A holder that is frozen past its lease knows so when it wakes, and stops by itself. One
            // whose lease is forgotten learns of it later: then the fence alone is in the way.
            0..50 => Action::ForgetLeases { hold: roughness.shortest_stop / 3 },
            50..85 => Action::Stop { slot, hold },
            _ => Action::Kill { slot, down },
        };
    }
    match dice {
        0..52 => Action::Kill { slot, down },
        52..66 => Action::Stop { slot, hold },
        66..73 => Action::Drain { slot },
        73..76 => Action::KillNats { down },
        76..79 => Action::KillRedis { down },
        79..83 => Action::FlushRedis,
        83..89 => {
            let what = roughness.sessions[random.random_range(0..roughness.sessions.len())];
            Action::Sessions { what }
        }
        89..96 => Action::Rest { what: REST[random.random_range(0..REST.len())], hold: short },
        _ => {
            let share = if random.random_bool(0.25) { 1.0 } else { 0.5 };
            Action::Provider { share, hold: short }
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |span: &Duration| span.as_millis();
        match self {
            Self::Kill { down, .. } => write!(f, "SIGKILL, away for {} ms", ms(down)),
            Self::Stop { hold, .. } => write!(f, "SIGSTOP for {} ms", ms(hold)),
            Self::Drain { .. } => write!(f, "SIGTERM"),
            Self::KillNats { down } => write!(f, "nats-server: SIGKILL, away for {} ms", ms(down)),
            Self::KillRedis { down } => {
                write!(f, "redis-server: SIGKILL, away for {} ms", ms(down))
            }
            Self::FlushRedis => write!(f, "redis-server: FLUSHALL"),
            Self::ForgetLeases { hold } => {
                write!(f, "redis-server: FLUSHALL, words everywhere, SIGSTOP for {} ms", ms(hold))
            }
            Self::Sessions { what } => write!(f, "Discord's sessions: {what}"),
            Self::Rest { what, hold } => write!(f, "Discord's REST: {what} for {} ms", ms(hold)),
            Self::Provider { share, hold } => {
                write!(f, "the provider fails {:.0} % for {} ms", share * 100.0, ms(hold))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: [&str; 4] = ["store", "orchestrator", "orchestrator", "gateway"];

    fn roughness(orchestrators_only: bool) -> Roughness {
        Roughness {
            every: Duration::from_secs(2),
            longest_stop: Duration::from_secs(5),
            shortest_stop: Duration::from_secs(1),
            orchestrators_only,
            sessions: &["drop"],
        }
    }

    #[test]
    fn a_schedule_follows_from_its_seed() {
        let duration = Duration::from_mins(10);
        let of = |seed| plan(seed, duration, &SLOTS, &roughness(false));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!(of(1).is_sorted_by_key(|planned| planned.at));
        assert!(of(1).iter().all(|planned| planned.at < duration));
    }

    #[test]
    fn ten_minutes_hold_a_hundred_kills_and_one_of_everything() {
        for seed in 0..20 {
            let planned = plan(seed, Duration::from_mins(10), &SLOTS, &roughness(false));
            let count = |kind| planned.iter().filter(|it| it.action.kind() == kind).count();
            assert!(count("kill") >= 100, "seed {seed}: {} kills", count("kill"));
            for kind in ["stop", "drain", "sessions", "rest", "provider", "empty redis-server"] {
                assert!(count(kind) > 0, "seed {seed}: no {kind}");
            }
        }
    }

    #[test]
    fn where_holders_alone_are_hit_nothing_else_is() {
        for planned in plan(3, Duration::from_mins(5), &SLOTS, &roughness(true)) {
            match planned.action {
                Action::Kill { slot, .. } | Action::Stop { slot, .. } => {
                    assert_eq!(SLOTS[slot], "orchestrator");
                }
                Action::ForgetLeases { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

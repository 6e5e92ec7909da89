use std::{sync::Arc, time::Duration};

use ery_clock::{Clock, SystemClock};

use crate::domain::World;

/// How the simulator is set up. The default is the demo, as strict as Discord.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each of them switches something by itself")]
pub struct Options {
    /// The world to begin with; the demo's where there is none.
    pub world: Option<World>,
    /// The token of the world's first bot, in place of the one that the world says.
    pub token: Option<String>,
    /// Whether rate limits are enforced; without them `identify_limit` and `session_start_limit`
    /// are not either.
    pub rate_limits: bool,
    /// How many requests the log keeps; older ones are dropped.
    pub log_capacity: usize,
    /// What HELLO asks for.
    pub heartbeat_interval: Duration,
    /// How many dispatches of a session are kept for a resume.
    pub replay_capacity: usize,
    /// How many dispatches may wait for a slow connection before it is cut.
    pub queue_capacity: usize,
    /// How long a session can be resumed after its connection went.
    pub resume_window: Duration,
    /// How many messages a channel keeps; older ones are forgotten.
    pub messages_per_channel: usize,
    /// Whether `GUILD_CREATE` names all members of a small guild even to sessions without the
    /// presences intent. Discord does not.
    pub full_member_lists: bool,
    /// Whether IDENTIFYs beyond `max_concurrency` in five seconds are turned away.
    pub identify_limit: bool,
    /// What `GET /gateway/bot` tells of how many shards may identify at once.
    pub max_concurrency: u64,
    /// Whether a bot that began all its sessions of the day is turned away.
    pub session_start_limit: bool,
    /// How many sessions a bot may begin in a day.
    pub session_starts: u64,
    /// The seed of faults that strike with a probability.
    pub seed: u64,
    /// What time it is in the world.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            world: None,
            token: None,
            rate_limits: true,
            log_capacity: 200_000,
            heartbeat_interval: Duration::from_millis(41_250),
            replay_capacity: 4_096,
            queue_capacity: 8_192,
            resume_window: Duration::from_mins(3),
            messages_per_channel: 50_000,
            full_member_lists: false,
            identify_limit: true,
            max_concurrency: 1,
            session_start_limit: true,
            session_starts: 1_000,
            seed: 0,
            clock: Arc::new(SystemClock),
        }
    }
}

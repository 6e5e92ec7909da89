//! Rate limits: per route and top-level id, per bot, and of invalid requests per address.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::domain::UserId;

/// Past so many windows, those that are over are forgotten.
const SWEEP_AT: usize = 10_000;
const GLOBAL_WINDOW: Duration = Duration::from_secs(1);
/// What the headers say where limits are off.
const UNLIMITED: u32 = 10_000;

/// Which limits hold, and how far those reach that can be set.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each of them switches something by itself")]
pub(crate) struct LimitSettings {
    /// Whether any of them hold.
    pub(crate) enabled: bool,
    /// The buckets of the routes.
    pub(crate) routes: bool,
    /// The long windows that some routes have besides.
    pub(crate) long: bool,
    /// The requests of a bot in a second.
    pub(crate) global: bool,
    pub(crate) global_per_second: u32,
    /// The invalid requests of an address.
    pub(crate) invalid: bool,
    pub(crate) invalid_requests: u32,
    pub(crate) invalid_window: Duration,
}

impl LimitSettings {
    /// Returns Discord's own numbers.
    ///
    /// Source: Discord Docs, Rate Limits, "Global Rate Limit" and "Invalid Request Limit".
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            routes: true,
            long: true,
            global: true,
            global_per_second: 50,
            invalid: true,
            invalid_requests: 10_000,
            invalid_window: Duration::from_mins(10),
        }
    }
}

/// What routes of one kind share: so many requests in such a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) name: &'static str,
    limit: u32,
    window: Duration,
    long: Option<LongWindow>,
    /// Whether all bots count together, because what is spared is the thing, not the bot.
    is_shared: bool,
    /// Whether its requests do not count for the bot's global limit.
    is_outside_global: bool,
}

/// A second window, for requests whose body changes something that Discord spares.
#[derive(Debug, PartialEq, Eq)]
struct LongWindow {
    limit: u32,
    window: Duration,
    fields: &'static [&'static str],
}

impl Bucket {
    pub(super) const fn new(name: &'static str, limit: u32, window_ms: u64) -> Self {
        Self {
            name,
            limit,
            window: Duration::from_millis(window_ms),
            long: None,
            is_shared: false,
            is_outside_global: false,
        }
    }

    /// Lets all bots count together; a 429 then says the scope `shared`, and is not invalid.
    pub(super) const fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    /// Takes the bucket out of the global limit, as interactions and their webhooks are.
    pub(super) const fn outside_global(mut self) -> Self {
        self.is_outside_global = true;
        self
    }

    /// Adds a long window for requests whose body has one of `fields`, shared by all bots.
    pub(super) const fn with_long_window(
        mut self,
        limit: u32,
        window_ms: u64,
        fields: &'static [&'static str],
    ) -> Self {
        let window = Duration::from_millis(window_ms);
        self.long = Some(LongWindow { limit, window, fields });
        self
    }

    /// Tells whether a request with this body counts for the long window.
    fn is_long(&self, body: &Bytes) -> bool {
        let Some(long) = &self.long else { return false };
        let fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        long.fields.iter().any(|field| fields.contains_key(*field))
    }
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Instant,
    used: u32,
}

impl Window {
    fn fresh(now: Instant, length: Duration) -> Self {
        Self { ends: now + length, used: 0 }
    }

    /// Begins anew if it is over.
    fn at(&mut self, now: Instant, length: Duration) -> &mut Self {
        if self.ends <= now {
            *self = Self::fresh(now, length);
        }
        self
    }

    fn left(&self, now: Instant) -> Duration {
        self.ends.duration_since(now)
    }
}

/// How a request stands towards its bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) reset_after: Duration,
}

/// Whose limit it is that a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    User,
    Global,
    Shared,
}

impl Scope {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Global => "global",
            Self::Shared => "shared",
        }
    }
}

/// A request that came too early.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limited {
    pub(super) retry_after: Duration,
    pub(super) scope: Scope,
}

/// What is asked of the limits.
pub(super) struct Asked<'a> {
    /// The bot; none where no token is needed.
    pub(super) bot: Option<UserId>,
    pub(super) bucket: &'static Bucket,
    /// The top-level id in the path.
    pub(super) major: u64,
    pub(super) body: &'a Bytes,
}

#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    windows: HashMap<(Option<UserId>, &'static str, u64), Window>,
    long: HashMap<(&'static str, u64), Window>,
    global: HashMap<UserId, Window>,
    invalid: HashMap<IpAddr, Window>,
}

impl RateLimits {
    /// Counts a request; returns how it stands, and what it met, if anything.
    pub(super) fn count(
        &mut self,
        asked: &Asked<'_>,
        settings: &LimitSettings,
        now: Instant,
    ) -> (Standing, Option<Limited>) {
        if !settings.enabled {
            return (unlimited(), None);
        }
        self.sweep(now);
        let bucket = asked.bucket;
        let caller = asked.bot.filter(|_| !bucket.is_shared);
        let key = (caller, bucket.name, asked.major);
        let own = self.windows.entry(key).or_insert_with(|| Window::fresh(now, bucket.window));
        let own = own.at(now, bucket.window);
        let standing = |used: u32| Standing {
            limit: bucket.limit,
            remaining: bucket.limit.saturating_sub(used),
            reset_after: own.ends.duration_since(now),
        };
        if settings.routes && own.used >= bucket.limit {
            let scope = if bucket.is_shared { Scope::Shared } else { Scope::User };
            return (standing(own.used), Some(Limited { retry_after: own.left(now), scope }));
        }
        let mut global = match asked.bot.filter(|_| settings.global && !bucket.is_outside_global) {
            Some(bot) => {
                let window =
                    self.global.entry(bot).or_insert_with(|| Window::fresh(now, GLOBAL_WINDOW));
                Some(window.at(now, GLOBAL_WINDOW))
            }
            None => None,
        };
        if let Some(global) = global.as_deref().filter(|it| it.used >= settings.global_per_second) {
            let limited = Limited { retry_after: global.left(now), scope: Scope::Global };
            return (standing(own.used), Some(limited));
        }
        if settings.long
            && let Some(long) = bucket.long.as_ref().filter(|_| bucket.is_long(asked.body))
        {
            let key = (bucket.name, asked.major);
            let window = self.long.entry(key).or_insert_with(|| Window::fresh(now, long.window));
            let window = window.at(now, long.window);
            if window.used >= long.limit {
                let limited = Limited { retry_after: window.left(now), scope: Scope::Shared };
                return (standing(own.used), Some(limited));
            }
            window.used += 1;
        }
        own.used += 1;
        if let Some(global) = &mut global {
            global.used += 1;
        }
        (standing(own.used), None)
    }

    /// Counts an answer that Discord calls invalid: 401, 403, or a 429 that is not shared.
    pub(super) fn count_invalid(
        &mut self,
        address: IpAddr,
        settings: &LimitSettings,
        now: Instant,
    ) {
        if settings.enabled && settings.invalid {
            let length = settings.invalid_window;
            let window = self.invalid.entry(address).or_insert_with(|| Window::fresh(now, length));
            window.at(now, length).used += 1;
        }
    }

    /// Returns how long an address is turned away for its invalid requests, if it is.
    pub(super) fn banned_for(
        &self,
        address: IpAddr,
        settings: &LimitSettings,
        now: Instant,
    ) -> Option<Duration> {
        let window = self.invalid.get(&address).filter(|window| window.ends > now)?;
        let is_banned =
            settings.enabled && settings.invalid && window.used >= settings.invalid_requests;
        is_banned.then(|| window.left(now))
    }

    fn sweep(&mut self, now: Instant) {
        if self.windows.len() > SWEEP_AT {
            self.windows.retain(|_, window| window.ends > now);
        }
        if self.long.len() > SWEEP_AT {
            self.long.retain(|_, window| window.ends > now);
        }
        if self.invalid.len() > SWEEP_AT {
            self.invalid.retain(|_, window| window.ends > now);
        }
    }
}

/// Returns what is told where limits are off.
fn unlimited() -> Standing {
    Standing { limit: UNLIMITED, remaining: UNLIMITED - 1, reset_after: Duration::from_secs(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    static FIVE: Bucket = Bucket::new("five", 5, 5_000);
    static WIDE: Bucket = Bucket::new("wide", 1_000, 5_000);
    static FREE: Bucket = Bucket::new("free", 1_000, 5_000).outside_global();
    static TOGETHER: Bucket = Bucket::new("together", 1, 250).shared();
    static RENAMED: Bucket =
        Bucket::new("renamed", 5, 5_000).with_long_window(2, 600_000, &["name", "topic"]);

    /// Limits that are asked by one bot after the other, about one thing.
    struct Trial {
        limits: RateLimits,
        settings: LimitSettings,
        began: Instant,
    }

    impl Trial {
        fn new() -> Self {
            let settings = LimitSettings::new(true);
            Self { limits: RateLimits::default(), settings, began: Instant::now() }
        }

        fn ask(
            &mut self,
            bot: u64,
            bucket: &'static Bucket,
            body: &'static str,
            after_ms: u64,
        ) -> (Standing, Option<Limited>) {
            let body = Bytes::from_static(body.as_bytes());
            let asked = Asked { bot: Some(UserId::new(bot)), bucket, major: 7, body: &body };
            let now = self.began + Duration::from_millis(after_ms);
            self.limits.count(&asked, &self.settings, now)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_sixth_in_five_seconds_waits_for_the_window() {
        let mut trial = Trial::new();
        for remaining in (0..5).rev() {
            assert_eq!(trial.ask(1, &FIVE, "", 0).0.remaining, remaining);
        }
        let limited = trial.ask(1, &FIVE, "", 2_000).1.unwrap();
        assert_eq!((limited.retry_after, limited.scope), (Duration::from_secs(3), Scope::User));
        assert_eq!(trial.ask(2, &FIVE, "", 2_000).1, None, "another bot has its own");
        assert_eq!(trial.ask(1, &FIVE, "", 5_000).1, None);
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_a_second_are_all_that_a_bot_has() {
        let mut trial = Trial::new();
        for _ in 0..50 {
            assert_eq!(trial.ask(1, &WIDE, "", 0).1, None);
        }
        assert_eq!(trial.ask(1, &WIDE, "", 400).1.unwrap().scope, Scope::Global);
        assert_eq!(trial.ask(1, &FREE, "", 400).1, None, "interactions are outside of it");
        assert_eq!(trial.ask(1, &WIDE, "", 1_000).1, None);
        trial.settings.global = false;
        for _ in 0..100 {
            assert_eq!(trial.ask(1, &WIDE, "", 1_000).1, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_shared_is_counted_over_all_bots() {
        let mut trial = Trial::new();
        assert_eq!(trial.ask(1, &TOGETHER, "", 0).1, None);
        let limited = trial.ask(2, &TOGETHER, "", 100).1.unwrap();
        assert_eq!(limited.scope, Scope::Shared);
        assert_eq!(limited.retry_after, Duration::from_millis(150));
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_is_renamed_twice_in_ten_minutes() {
        let mut trial = Trial::new();
        let rename = r#"{"name":"x"}"#;
        assert_eq!(trial.ask(1, &RENAMED, rename, 0).1, None);
        assert_eq!(trial.ask(1, &RENAMED, r#"{"topic":null}"#, 0).1, None);
        let (standing, limited) = trial.ask(1, &RENAMED, rename, 6_000);
        assert_eq!(limited.unwrap().retry_after, Duration::from_secs(594));
        assert_eq!(standing.remaining, 5, "the short window has room");
        assert_eq!(trial.ask(1, &RENAMED, r#"{"nsfw":true}"#, 6_000).1, None);
        trial.settings.long = false;
        assert_eq!(trial.ask(1, &RENAMED, rename, 6_000).1, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_with_too_many_invalid_requests_is_turned_away() {
        let mut trial = Trial::new();
        trial.settings.invalid_requests = 3;
        let address: IpAddr = "127.0.0.1".parse().unwrap();
        let now = trial.began;
        for _ in 0..3 {
            assert_eq!(trial.limits.banned_for(address, &trial.settings, now), None);
            trial.limits.count_invalid(address, &trial.settings, now);
        }
        let left = trial.limits.banned_for(address, &trial.settings, now).unwrap();
        assert_eq!(left, Duration::from_mins(10));
        assert_eq!(trial.limits.banned_for(address, &trial.settings, now + left), None);
    }

    #[tokio::test(start_paused = true)]
    async fn where_limits_are_off_nothing_is_met() {
        let mut trial = Trial::new();
        trial.settings.enabled = false;
        for _ in 0..100 {
            assert_eq!(trial.ask(1, &TOGETHER, "", 0), (unlimited(), None));
        }
    }
}

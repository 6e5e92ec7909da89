//! What runs inside Redis, each script atomic, and what its answer means.

use std::{sync::LazyLock, time::Duration};

use redis::Script;

use ery_clock::UnixMillis;
use ery_ids::{Epoch, OwnerToken};

use crate::{
    keys::{ChannelKeys, MemberKeys},
    redis_link::{RedisError, RedisLink},
};

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file, ".lua"))));)*
    };
}

scripts! {
    ACQUIRE = "acquire";
    RENEW = "renew";
    RELEASE = "release";
    RAISE = "raise";
    KNOWN_SINCE = "known_since";
    JOIN = "join";
    LEAVE = "leave";
    LIST = "list";
    CLAIM = "claim";
    UNCLAIM = "unclaim";
    IDENTIFY = "identify";
    REQUEST = "request";
    PAUSE = "pause";
    INVALID = "invalid";
}

/// Script A: takes a channel, or notes `position` for its holder. None: another holds it.
pub(crate) async fn acquire(
    redis: &RedisLink,
    keys: &ChannelKeys,
    owner: &OwnerToken,
    ttl: Duration,
    position: u64,
) -> Result<Option<Epoch>, RedisError> {
    let mut script = ACQUIRE.key(&keys.lease);
    script.key(&keys.epoch).arg(&owner.0).arg(millis(ttl)).arg(position);
    let answer: String = redis.script(&script).await?;
    parse_epoch(&answer)
}

/// Script N: renews a channel's lease; says whether it is still held.
pub(crate) async fn renew(
    redis: &RedisLink,
    keys: &ChannelKeys,
    owner: &OwnerToken,
    ttl: Duration,
) -> Result<bool, RedisError> {
    let mut script = RENEW.key(&keys.lease);
    script.arg(&owner.0).arg(millis(ttl));
    redis.script(&script).await
}

/// What became of a lease that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Free,
    /// Something was heard of: the lease is kept.
    HeardOf(u64),
    /// Another holds it, or nobody.
    Lost,
}

/// What is to be known of a channel's exchange once it is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    AsItIs,
    Closed,
    /// Until then; kept for so long.
    Open(UnixMillis, Duration),
}

/// Script R: gives a channel back unless something above `read_mark` was heard of.
pub(crate) async fn release(
    redis: &RedisLink,
    keys: &ChannelKeys,
    owner: &OwnerToken,
    read_mark: u64,
    ttl: Duration,
    exchange: Exchange,
) -> Result<Answer, RedisError> {
    let (until, keep) = match exchange {
        Exchange::AsItIs => (String::new(), 0),
        Exchange::Closed => ("0".to_owned(), 0),
        Exchange::Open(until, keep) => (until.to_string(), millis(keep).max(1)),
    };
    let mut script = RELEASE.key(&keys.lease);
    script.key(&keys.exchange).arg(&owner.0).arg(read_mark).arg(millis(ttl)).arg(until).arg(keep);
    let answer: String = redis.script(&script).await?;
    match answer.as_str() {
        "-1" => Ok(Answer::Lost),
        "0" => Ok(Answer::Free),
        heard => heard.parse().map(Answer::HeardOf).map_err(|_| RedisError::Nonsense("release")),
    }
}

/// Script B: raises a held lease's epoch above `floor`. None: it is not held.
pub(crate) async fn raise(
    redis: &RedisLink,
    keys: &ChannelKeys,
    owner: &OwnerToken,
    floor: Epoch,
) -> Result<Option<Epoch>, RedisError> {
    let mut script = RAISE.key(&keys.lease);
    script.key(&keys.epoch).arg(&owner.0).arg(floor.0);
    let answer: String = redis.script(&script).await?;
    parse_epoch(&answer)
}

/// Says for how long this run of Redis has been known; marks it as known if it was not.
pub(crate) async fn known_for(redis: &RedisLink) -> Result<Duration, RedisError> {
    let run = redis.run().await?;
    let mut script = KNOWN_SINCE.key(crate::keys::KNOWN_SINCE);
    script.arg(run);
    let answer: String = redis.script(&script).await?;
    // A clock that was set back has known it for no time at all.
    let known: i64 = answer.parse().map_err(|_| RedisError::Nonsense("known_since"))?;
    Ok(Duration::from_millis(u64::try_from(known).unwrap_or(0)))
}

/// Registers a replica, or renews that.
pub(crate) async fn join(
    redis: &RedisLink,
    keys: &MemberKeys,
    id: &str,
    replica: &str,
    ttl: Duration,
) -> Result<(), RedisError> {
    let mut script = JOIN.key(&keys.expiries);
    script.key(&keys.replicas).key(&keys.since).arg(id).arg(replica).arg(millis(ttl));
    redis.script::<i64>(&script).await.map(drop)
}

/// Takes a replica out of its list.
pub(crate) async fn leave(
    redis: &RedisLink,
    keys: &MemberKeys,
    id: &str,
    ttl: Duration,
) -> Result<(), RedisError> {
    let mut script = LEAVE.key(&keys.expiries);
    script.key(&keys.replicas).arg(id).arg(millis(ttl));
    redis.script::<i64>(&script).await.map(drop)
}

/// A service's replicas as Redis knows them.
pub(crate) struct Listed {
    /// Since when it has kept the list; none if it keeps none, as after it was emptied.
    pub(crate) kept_for: Option<Duration>,
    pub(crate) replicas: Vec<String>,
    /// The ids of those that said that they left.
    pub(crate) left: Vec<String>,
}

/// Lists the live replicas.
pub(crate) async fn list(redis: &RedisLink, keys: &MemberKeys) -> Result<Listed, RedisError> {
    let mut script = LIST.key(&keys.expiries);
    script.key(&keys.replicas).key(&keys.since);
    let mut answer: Vec<String> = redis.script(&script).await?;
    if answer.is_empty() {
        return Err(RedisError::Nonsense("list"));
    }
    let mut replicas = answer.split_off(1);
    let left = replicas.extract_if(.., |text| text.starts_with('-'));
    let left = left.map(|text| text[1..].to_owned()).collect();
    let age: i64 = answer[0].parse().map_err(|_| RedisError::Nonsense("list"))?;
    let kept_for = u64::try_from(age).ok().map(Duration::from_millis);
    Ok(Listed { kept_for, replicas, left })
}

/// Claims a name, or renews the claim; says whether the owner has it.
pub(crate) async fn claim(
    redis: &RedisLink,
    key: &str,
    owner: &str,
    ttl: Duration,
) -> Result<bool, RedisError> {
    let mut script = CLAIM.key(key);
    script.arg(owner).arg(millis(ttl));
    redis.script(&script).await
}

/// Gives a claim back.
pub(crate) async fn unclaim(redis: &RedisLink, key: &str, owner: &str) -> Result<(), RedisError> {
    let mut script = UNCLAIM.key(key);
    script.arg(owner);
    redis.script::<i64>(&script).await.map(drop)
}

/// Takes an identify bucket's slot, or says how long it is taken.
pub(crate) async fn identify(
    redis: &RedisLink,
    bucket: u32,
    period: Duration,
) -> Result<Option<Duration>, RedisError> {
    let mut script = IDENTIFY.key(crate::keys::identify(bucket));
    script.arg(millis(period));
    redis.script(&script).await.map(wait)
}

/// Takes one of the `budget` requests of a second, or says how long to wait.
pub(crate) async fn request(
    redis: &RedisLink,
    budget: u32,
) -> Result<Option<Duration>, RedisError> {
    let mut script = REQUEST.key(crate::keys::REQUESTS);
    script.key(crate::keys::PAUSE).arg(budget);
    redis.script(&script).await.map(wait)
}

/// Pauses all requests.
pub(crate) async fn pause(redis: &RedisLink, how_long: Duration) -> Result<(), RedisError> {
    let mut script = PAUSE.key(crate::keys::PAUSE);
    script.arg(millis(how_long));
    redis.script::<i64>(&script).await.map(drop)
}

/// Counts `new` invalid requests, and says how many there were.
pub(crate) async fn invalid(redis: &RedisLink, new: u32) -> Result<u64, RedisError> {
    let mut script = INVALID.key(crate::keys::INVALID);
    script.arg(new);
    redis.script(&script).await
}

fn parse_epoch(answer: &str) -> Result<Option<Epoch>, RedisError> {
    match answer {
        "" => Ok(None),
        epoch => {
            epoch.parse().map(|epoch| Some(Epoch(epoch))).map_err(|_| RedisError::Nonsense("epoch"))
        }
    }
}

fn wait(millis: u64) -> Option<Duration> {
    (millis > 0).then(|| Duration::from_millis(millis))
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

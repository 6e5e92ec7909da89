//! Timeouts, bans, kicks and warnings, and the lifting of what can be lifted.

mod lifting;
mod modifiers;
mod wrapped;

pub(super) use self::modifiers::{is_later, is_next_command, reason_of};
use self::{lifting::read_lifting, modifiers::modifiers, wrapped::read_wrapped};
use super::{
    clause::{Clause, is_one_of, is_reason_word},
    duration::{self, Span},
    request::{Problem, Request, Target},
    tokens::Kind,
};

/// How long a timeout lasts if nobody said.
pub(super) const DEFAULT_SECONDS: u64 = 600;

/// Discord's bound: 28 days.
const LONGEST_SECONDS: u64 = 28 * 24 * 3_600;

/// Ten years.
const LONGEST_BAN_SECONDS: u64 = 315_360_000;

const NOUNS: &str = "timeout|time-out|time out|mute|timeouts|mutes";

/// What a command was read as, and where it ends.
pub(super) type Read<'a> = (Vec<Request>, Clause<'a>);

/// What is done to a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Deed {
    #[default]
    Timeout,
    Ban,
    /// A ban that is said to end.
    TemporaryBan,
    Unban,
    Kick,
    Warn,
}

impl Deed {
    fn has_length(self) -> bool {
        matches!(self, Self::Timeout | Self::Ban | Self::TemporaryBan)
    }
}

/// What has been read of one command so far.
#[derive(Default)]
struct Parts {
    deed: Deed,
    /// From how far back the messages of somebody banned are deleted.
    delete_seconds: u64,
    members: Vec<Target>,
    seconds: Option<u64>,
    /// What counts if nobody says how long.
    fallback_seconds: Option<u64>,
    reason: Option<String>,
}

/// Reads an act on people, or its lifting. `None`: none stands here.
pub(super) fn read(at: Clause<'_>) -> Option<Read<'_>> {
    read_lifting(at).or_else(|| read_timeout(at))
}

/// Returns whether the word is about timeouts at all.
pub(super) fn is_about(word: &str) -> bool {
    is_one_of(
        word,
        "timeout|timeouts|time-out|time-outs|timed-out|untimeout|mute|muted|mutes|muting|unmute|\
         silence",
    )
}

pub(super) fn problem(problem: Problem, at: Clause<'_>) -> Read<'_> {
    (vec![Request::Problem(problem)], at.after(usize::MAX))
}

fn read_timeout(mut at: Clause<'_>) -> Option<Read<'_>> {
    let mut parts = Parts::default();
    let mut leading = None;
    // `for 10 minutes, timeout @bob` and `because he spams, timeout @bob`
    let mut ahead = at;
    if ahead.take("for")
        && let Some((span, mut after)) = duration::read(ahead)
    {
        after.take_pauses();
        if let Err(found) = set_duration(&mut parts, span) {
            return begins_with_verb(after).then(|| problem(found, after));
        }
        at = after;
    } else if at.next_is("because|since")
        && let Some((reason, after)) = leading_reason(at)
    {
        parts.reason = Some(reason);
        at = after;
    } else if at.begins_with_mention() {
        // `@bob: timeout 10m`
        let mut after = at;
        leading = after.take_target();
        after.take_pauses();
        at = after;
    }

    if let Some(leading) = leading {
        return read_behind_target(at, parts, leading);
    }
    if let Some(read) = read_wrapped(at, &mut parts) {
        return Some(match read {
            Ok(after) => modifiers(after, parts),
            Err((found, after)) => problem(found, after),
        });
    }
    parts.deed = take_verb(&mut at)?;
    at.take_pauses();
    if !at.is_idle() {
        at.take_any("right now|now|immediately|instantly|quickly|please");
    }
    // `timeout for @bob`
    let mut ahead = at;
    if ahead.take("for|to|on") && ahead.begins_with_mention() {
        at = ahead;
    }
    match take_targets(&mut at, &mut parts) {
        Some(Ok(())) => Some(modifiers(at, parts)),
        Some(Err(found)) => Some(problem(found, at)),
        None => without_target(at, parts),
    }
}

/// Reads `@bob timeout 10m`. Without a duration, or with another target, `@bob` is spoken to.
fn read_behind_target(
    mut at: Clause<'_>,
    mut parts: Parts,
    target: Result<Target, Problem>,
) -> Option<Read<'_>> {
    parts.deed = take_verb(&mut at)?;
    let mut ahead = at;
    ahead.take_pauses();
    ahead.take("for");
    duration::read(ahead)?;
    parts.members.push(target.ok()?);
    Some(modifiers(at, parts))
}

/// Reads on where a verb stands, but nobody behind it.
fn without_target(mut at: Clause<'_>, mut parts: Parts) -> Option<Read<'_>> {
    if at.is_idle() {
        return Some(problem(Problem::Whom, at));
    }
    // `timeout 10m @bob`, `timeout for 10 minutes @bob`
    let mut ahead = at;
    ahead.take("for");
    if let Some((span, after)) = duration::read(ahead) {
        at = after;
        if let Err(found) = set_duration(&mut parts, span) {
            return Some(problem(found, at));
        }
        at.take_pauses();
        at.take("for|to|on");
        return match take_targets(&mut at, &mut parts) {
            Some(Ok(())) => Some(modifiers(at, parts)),
            Some(Err(found)) => Some(problem(found, at)),
            None if at.is_idle() => Some(problem(Problem::Whom, at)),
            None => None,
        };
    }
    None
}

fn begins_with_verb(mut at: Clause<'_>) -> bool {
    take_verb(&mut at).is_some()
}

fn take_verb(at: &mut Clause<'_>) -> Option<Deed> {
    let deeds = [
        ("timeout|time-out|time out|mute|silence", Deed::Timeout),
        ("temporarily ban|temp ban|temp-ban|tempban", Deed::TemporaryBan),
        ("permanently ban|perma ban|perma-ban|permaban|ban", Deed::Ban),
        ("kick out|kick", Deed::Kick),
        ("warn", Deed::Warn),
    ];
    let mut after = *at;
    let (_, deed) = deeds.into_iter().find(|(verbs, _)| after.take_any(verbs))?;
    // `kick off the event` kicks nobody.
    if deed == Deed::Kick && after.next_is("off|back|in|start|starts|up|around") {
        return None;
    }
    *at = after;
    Some(deed)
}

fn leading_reason(at: Clause<'_>) -> Option<(String, Clause<'_>)> {
    let mut end = at.after(1);
    let begin = end;
    while let Some(kind) = end.kind() {
        if *kind == Kind::Pause && begins_with_verb(end.after(1)) {
            return Some((reason_of(&begin.text_until(end))?, end.after(1)));
        }
        end.skip(1);
    }
    None
}

fn set_duration(parts: &mut Parts, span: Span) -> Result<(), Problem> {
    if parts.seconds.is_some() {
        return Err(Problem::TwoDurations);
    }
    if !parts.deed.has_length() {
        return Err(Problem::NoLengthThere);
    }
    let is_ban = matches!(parts.deed, Deed::Ban | Deed::TemporaryBan);
    match span {
        Span::Endless if parts.deed == Deed::Ban => {
            parts.seconds = Some(0);
            Ok(())
        }
        Span::Endless => Err(Problem::Endless),
        Span::Seconds(seconds) if is_ban && seconds > LONGEST_BAN_SECONDS => {
            Err(Problem::BanTooLong)
        }
        Span::Seconds(seconds) if is_ban && seconds > 0 => {
            parts.seconds = Some(seconds);
            Ok(())
        }
        Span::Vague => Err(Problem::Vague),
        Span::Seconds(0) => Err(Problem::Zero),
        Span::Seconds(seconds) if seconds > LONGEST_SECONDS => Err(Problem::TooLong),
        Span::Seconds(seconds) => {
            parts.seconds = Some(seconds);
            Ok(())
        }
    }
}

/// Takes `@bob, @alice and carol`. `None`: nobody is named here.
fn take_targets(at: &mut Clause<'_>, parts: &mut Parts) -> Option<Result<(), Problem>> {
    let mut listed = *at;
    if listed.take_any(
        "both|these people|these members|these users|these two|the following people|\
         the following members|the following users|the following|all of these|these",
    ) {
        listed.take_pauses();
        if listed.begins_with_mention() {
            *at = listed;
        }
    }
    let mut is_mention = at.begins_with_mention();
    match at.take_target()? {
        Ok(member) => parts.members.push(member),
        Err(found) => return Some(Err(found)),
    }
    loop {
        let mut ahead = *at;
        let is_comma = matches!(ahead.kind(), Some(Kind::Pause));
        if !ahead.take_connectors() {
            // `@bob @alice`
            if !(is_mention && ahead.begins_with_mention()) {
                return Some(Ok(()));
            }
        }
        let is_and = at.next_is("and|plus") || matches!(at.kind(), Some(Kind::And));
        let is_named = ahead.begins_with_mention();
        if !is_named {
            if ahead.begins_a_command() {
                return Some(Ok(()));
            }
            if is_comma && let Some(found) = people_or_reason(ahead) {
                return Some(Err(found));
            }
            if !is_and {
                return Some(Ok(()));
            }
        }
        is_mention = is_named;
        match ahead.take_target() {
            Some(Ok(member)) => {
                if !parts.members.contains(&member) {
                    parts.members.push(member);
                }
                *at = ahead;
            }
            Some(Err(found)) => return Some(Err(found)),
            None => return Some(Ok(())),
        }
    }
}

/// Notices `timeout bob, alice and carol`, where `timeout bob, spam and insults` looks the same.
fn people_or_reason(at: Clause<'_>) -> Option<Problem> {
    let mut ahead = at;
    let first = ahead.word()?;
    if is_reason_word(first) || ahead.take_target()?.is_err() {
        return None;
    }
    ahead.take_pauses();
    if !ahead.take("and") || ahead.begins_a_command() || ahead.word().is_none() {
        return None;
    }
    Some(Problem::PeopleOrReason(at.text()))
}

fn requests(parts: &Parts) -> Vec<Request> {
    let seconds = parts.seconds.or(parts.fallback_seconds);
    if parts.deed == Deed::TemporaryBan && seconds.is_none() {
        return vec![Request::Problem(Problem::Vague)];
    }
    // They go together, so that they are approved or refused by one click.
    if parts.deed == Deed::Ban && parts.members.len() > 1 && seconds.unwrap_or(0) == 0 {
        let (members, reason) = (parts.members.clone(), parts.reason.clone());
        return vec![Request::BanMany { members, delete_seconds: parts.delete_seconds, reason }];
    }
    let of_one = |member: &Target| {
        let (member, reason) = (member.clone(), parts.reason.clone());
        match parts.deed {
            Deed::Timeout => {
                Request::Timeout { member, seconds: seconds.unwrap_or(DEFAULT_SECONDS), reason }
            }
            Deed::Ban | Deed::TemporaryBan => {
                let (seconds, delete_seconds) = (seconds.unwrap_or(0), parts.delete_seconds);
                Request::Ban { member, seconds, delete_seconds, reason }
            }
            Deed::Unban => Request::Unban { member, reason },
            Deed::Kick => Request::Kick { member, reason },
            Deed::Warn => Request::Warn { member, reason },
        }
    };
    parts.members.iter().map(of_one).collect()
}

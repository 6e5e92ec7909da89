//! Timeouts and their lifting: the one command here that acts on a person.

mod lifting;
mod modifiers;
mod wrapped;

pub(super) use self::modifiers::is_next_command;
use self::{
    lifting::read_lifting,
    modifiers::{modifiers, reason_of},
    wrapped::read_wrapped,
};
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

const NOUNS: &str = "timeout|time-out|time out|mute|timeouts|mutes";

/// What a command was read as, and where it ends.
pub(super) type Read<'a> = (Vec<Request>, Clause<'a>);

/// What has been read of one command so far.
#[derive(Default)]
struct Parts {
    members: Vec<Target>,
    seconds: Option<u64>,
    /// What counts if nobody says how long.
    fallback_seconds: Option<u64>,
    reason: Option<String>,
}

/// Reads a timeout or a lifting. `None`: none stands here.
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

fn problem(problem: Problem, at: Clause<'_>) -> Read<'_> {
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
    if !take_verb(&mut at) {
        return None;
    }
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
    if !take_verb(&mut at) {
        return None;
    }
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
    take_verb(&mut at)
}

fn take_verb(at: &mut Clause<'_>) -> bool {
    at.take_any("timeout|time-out|time out|mute|silence|shush|gag")
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
    match span {
        Span::Endless => Err(Problem::Endless),
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
    let seconds = parts.seconds.or(parts.fallback_seconds).unwrap_or(DEFAULT_SECONDS);
    parts
        .members
        .iter()
        .map(|member| Request::Timeout {
            member: member.clone(),
            seconds,
            reason: parts.reason.clone(),
        })
        .collect()
}

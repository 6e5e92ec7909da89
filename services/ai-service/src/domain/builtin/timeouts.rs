//! Timeouts and their lifting: the one command here that acts on a person.

use super::{
    clause::{Clause, is_reason_word},
    duration::{self, Span},
    request::{Problem, Request, Target},
    tokens::Kind,
};

/// How long a timeout lasts if nobody said.
pub(super) const DEFAULT_SECONDS: u64 = 600;

/// Discord's bound: 28 days.
const LONGEST_SECONDS: u64 = 28 * 24 * 3_600;

/// The audit log takes 512 characters, and who asked stands there too.
const LONGEST_REASON: usize = 300;

const NOUNS: &[&str] = &["timeout", "time-out", "time out", "mute", "timeouts", "mutes"];

/// What a command was read as, and where it ends.
pub(super) type Read<'a> = (Vec<Request>, Clause<'a>);

/// Reads a timeout or a lifting. `None`: none stands here.
pub(super) fn read(at: Clause<'_>) -> Option<Read<'_>> {
    read_lifting(at).or_else(|| read_timeout(at))
}

/// Returns whether the word is about timeouts at all.
pub(super) fn is_about(word: &str) -> bool {
    matches!(
        word,
        "timeout"
            | "timeouts"
            | "time-out"
            | "time-outs"
            | "mute"
            | "muted"
            | "mutes"
            | "muting"
            | "untimeout"
            | "unmute"
            | "silence"
            | "timed-out"
    )
}

/// What has been read of one command so far.
#[derive(Default)]
struct Parts {
    members: Vec<Target>,
    seconds: Option<u64>,
    /// What counts if nobody says how long.
    fallback_seconds: Option<u64>,
    reason: Option<String>,
}

fn problem(problem: Problem, at: Clause<'_>) -> Read<'_> {
    (vec![Request::Problem(problem)], at.after(usize::MAX))
}

fn read_timeout(mut at: Clause<'_>) -> Option<Read<'_>> {
    let mut parts = Parts::default();
    let mut leading = None;
    // `for 10 minutes, timeout @bob` and `because he spams, timeout @bob`
    let mut ahead = at;
    if ahead.take(&["for"])
        && let Some((span, mut after)) = duration::read(ahead)
    {
        after.take_pauses();
        if let Err(found) = set_duration(&mut parts, span) {
            return begins_with_verb(after).then(|| problem(found, after));
        }
        at = after;
    } else if at.next_is(&["because", "since"])
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
    // `timeout for @bob`
    let mut ahead = at;
    if ahead.take(&["for", "to", "on"]) && ahead.begins_with_mention() {
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
    ahead.take(&["for"]);
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
    ahead.take(&["for"]);
    if let Some((span, after)) = duration::read(ahead) {
        at = after;
        if let Err(found) = set_duration(&mut parts, span) {
            return Some(problem(found, at));
        }
        at.take_pauses();
        at.take(&["for", "to", "on"]);
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
    at.take_any(&["timeout", "time-out", "time out", "mute", "silence", "shush", "gag"])
}

/// Reads the forms whose targets stand inside: `put @bob in timeout`, `give @bob a timeout`,
/// `time @bob out`, `10 minute timeout for @bob`.
fn read_wrapped<'a>(
    at: Clause<'a>,
    parts: &mut Parts,
) -> Option<Result<Clause<'a>, (Problem, Clause<'a>)>> {
    let mut after = at;
    let is_closed: fn(&mut Clause<'a>, &mut Parts) -> Option<Result<(), Problem>> =
        if after.take(&["put", "place", "stick", "send"]) {
            |after, _| {
                let is_in = after.take(&["in", "into", "on", "to"]);
                after.take(&["a", "the"]);
                (is_in && after.take_any(NOUNS)).then_some(Ok(()))
            }
        } else if after.take(&["time"]) {
            |after, _| after.take(&["out"]).then_some(Ok(()))
        } else if after.take(&["give", "hand"]) {
            let mut ahead = after;
            if let Some(read) = read_noun(&mut ahead, parts, &["to", "for"]) {
                return Some(read.map(|()| ahead).map_err(|found| (found, ahead)));
            }
            |after, parts| noun(after, parts)
        } else {
            after.take(&["apply", "set", "issue", "add", "use"]);
            // `timeout for @bob` is read as a verb.
            let is_bare = after.tokens().len() == at.tokens().len();
            if is_bare && begins_with_verb(after) {
                return None;
            }
            let read = read_noun(&mut after, parts, &["to", "on", "for"])?;
            return Some(read.map(|()| after).map_err(|found| (found, after)));
        };
    let mut found = Parts::default();
    if let Err(problem) = take_targets(&mut after, &mut found)? {
        // `time all of this out` and the like name nobody, so the noun decides.
        return match is_closed(&mut after, parts)? {
            Ok(()) | Err(_) => Some(Err((problem, after))),
        };
    }
    after.take_possessive();
    Some(match is_closed(&mut after, parts)? {
        Ok(()) => {
            parts.members = found.members;
            Ok(after)
        }
        Err(problem) => Err((problem, after)),
    })
}

/// Takes `a 10 minute timeout`.
fn noun(at: &mut Clause<'_>, parts: &mut Parts) -> Option<Result<(), Problem>> {
    let mut after = *at;
    let span = duration::read(after).or_else(|| {
        after.take(&["a", "an", "the", "another"]);
        duration::read(after)
    });
    let mut problem = None;
    if let Some((span, rest)) = span {
        after = rest;
        problem = set_duration(parts, span).err();
    }
    after.take(&["long"]);
    if !after.take_any(NOUNS) {
        return None;
    }
    *at = after;
    Some(problem.map_or(Ok(()), Err))
}

/// Takes `a 10 minute timeout to @bob`; people stand there by mention only.
fn read_noun(
    at: &mut Clause<'_>,
    parts: &mut Parts,
    prepositions: &[&str],
) -> Option<Result<(), Problem>> {
    let mut after = *at;
    let mut found = Parts { reason: parts.reason.take(), ..Parts::default() };
    let is_noun = noun(&mut after, &mut found);
    let reason = found.reason.take();
    let is_read = is_noun.is_some()
        && after.take(prepositions)
        && after.begins_with_mention()
        && take_targets(&mut after, &mut found).is_some();
    parts.reason = reason;
    if !is_read {
        return None;
    }
    *at = after;
    parts.members = found.members;
    parts.seconds = parts.seconds.or(found.seconds);
    if parts.members.is_empty() {
        return Some(Err(Problem::Whom));
    }
    is_noun
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
    match at.take_target()? {
        Ok(member) => parts.members.push(member),
        Err(found) => return Some(Err(found)),
    }
    loop {
        let mut ahead = *at;
        let is_comma = matches!(ahead.kind(), Some(Kind::Pause));
        if !ahead.take_connectors() {
            // `@bob @alice`
            if !matches!(ahead.kind(), Some(Kind::Member(_) | Kind::At)) {
                return Some(Ok(()));
            }
        }
        let is_and = at.next_is(&["and", "plus"]) || matches!(at.kind(), Some(Kind::And));
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
    if !ahead.take(&["and"]) || ahead.begins_a_command() || ahead.word().is_none() {
        return None;
    }
    Some(Problem::PeopleOrReason(at.text()))
}

/// Reads what stands behind the targets: the duration, the reason, more people.
fn modifiers(mut at: Clause<'_>, mut parts: Parts) -> Read<'_> {
    loop {
        let had_pause = at.take_pauses();
        if at.is_idle() {
            break;
        }
        if at.take_any(&["for now"]) {
            continue;
        }
        let mut ahead = at;
        if ahead.take_phrase("as soon as") {
            return problem(Problem::Later, at);
        }
        let has_for = ahead.take(&["for", "during"]);
        if let Some((span, after)) = duration::read(ahead) {
            if let Err(found) = set_duration(&mut parts, span) {
                return problem(found, at);
            }
            at = after;
            continue;
        }
        if is_bare_number(ahead) {
            let number = ahead.word().unwrap_or_default().to_owned();
            return problem(Problem::WhichUnit(number), at);
        }
        if has_for || ahead.take_any(&["over", "due to", "on account of", "on grounds of"]) {
            let (reason, after) = noun_reason(ahead, &mut parts);
            let after = match after {
                Ok(after) => after,
                Err(found) => return problem(found, at),
            };
            parts.reason = parts.reason.or(reason);
            at = after;
            continue;
        }
        if ahead.take_any(&[
            "because of",
            "because",
            "cause",
            "cuz",
            "coz",
            "cos",
            "bc",
            "bcs",
            "since",
            "as",
            "reason",
            "with reason",
            "with the reason",
            "reason being",
        ]) {
            ahead.take_pauses();
            parts.reason = parts.reason.or(reason_of(&ahead.text()));
            at = ahead.after(usize::MAX);
            continue;
        }
        if at.take_any(&[
            "in here",
            "here",
            "in this channel",
            "in this server",
            "on this server",
            "on discord",
            "for me",
            "right now",
            "now",
            "please",
            "pls",
            "plz",
            "immediately",
            "instantly",
            "asap",
            "again",
            "too",
            "as well",
            "both",
            "each",
            "long",
        ]) {
            continue;
        }
        if is_later(at) {
            return problem(Problem::Later, at);
        }
        let mut next = at;
        let is_connected = next.take_connectors();
        if (is_connected || had_pause) && next.begins_a_command() {
            break;
        }
        if is_connected {
            if let Some(read) = another_group(next, &parts) {
                return read;
            }
            if next.is_idle() {
                at = next;
                continue;
            }
            return problem(Problem::NotUnderstood(at.text()), at);
        }
        // `timeout @bob 10m spamming`, `timeout @bob, he is spamming`
        let is_explained = had_pause || parts.seconds.is_some() || ends_with_id(&parts);
        let is_statement = !had_pause && at.word().is_some_and(is_finite);
        if is_explained && !is_statement && parts.reason.is_none() {
            let (reason, after) = noun_reason(at, &mut parts);
            let after = match after {
                Ok(after) => after,
                Err(found) => return problem(found, at),
            };
            if reason.is_some() {
                parts.reason = reason;
                at = after;
                continue;
            }
        }
        return problem(Problem::NotUnderstood(at.text()), at);
    }
    (requests(&parts), at)
}

fn ends_with_id(parts: &Parts) -> bool {
    matches!(parts.members.last(), Some(Target::Id(_)))
}

fn is_bare_number(at: Clause<'_>) -> bool {
    at.word().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
        && at.after(1).is_idle()
}

/// Reads on with other people after a duration: `@bob for 10m and @alice for 5m`.
fn another_group<'a>(mut at: Clause<'a>, parts: &Parts) -> Option<Read<'a>> {
    parts.seconds?;
    let is_named = at.begins_with_mention();
    let mut others = Parts { fallback_seconds: parts.seconds, ..Parts::default() };
    if let Err(found) = take_targets(&mut at, &mut others)? {
        return Some(problem(found, at));
    }
    let is_followed =
        at.is_idle() || at.next_is(&["for", "because", "and"]) || duration::read(at).is_some();
    if !is_named && !is_followed {
        return None;
    }
    let (more, at) = modifiers(at, others);
    let mut all = requests(parts);
    all.extend(more);
    // One part that is not understood leaves the whole undone.
    let found = all.iter().find(|request| matches!(request, Request::Problem(_))).cloned();
    Some((found.map_or(all, |found| vec![found]), at))
}

/// Takes a reason such as `spam`; the duration may stand behind it, and so may the next command.
fn noun_reason<'a>(
    at: Clause<'a>,
    parts: &mut Parts,
) -> (Option<String>, Result<Clause<'a>, Problem>) {
    let mut end = at;
    while !end.is_done() {
        if is_next_command(end) {
            break;
        }
        let mut ahead = end;
        let has_pause = ahead.take_pauses();
        let has_for = ahead.take(&["for"]);
        if parts.seconds.is_none()
            && (has_pause || has_for || is_compact(ahead))
            && let Some((span, after)) = duration::read(ahead)
            && (after.is_idle() || is_next_command(after))
        {
            let reason = reason_of(&at.text_until(end));
            return (reason, set_duration(parts, span).map(|()| after));
        }
        let mut ahead = end;
        ahead.take_pauses();
        if ahead.next_is(&["if", "unless"]) && !at.next_is(&["if", "unless"]) {
            return (None, Err(Problem::Later));
        }
        end.skip(1);
    }
    (reason_of(&at.text_until(end)), Ok(end))
}

fn is_compact(at: Clause<'_>) -> bool {
    at.word().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

/// Returns whether `and` with a whole command stands here, rather than more of a reason.
fn is_next_command(mut at: Clause<'_>) -> bool {
    if !at.take_connectors() || !at.begins_a_command() {
        return false;
    }
    let names = at.tokens().iter().any(|token| {
        matches!(token.kind, Kind::Member(_) | Kind::At | Kind::Channel(_) | Kind::Hash)
    });
    let mut ahead = at;
    let lasts = (0..at.tokens().len()).any(|_| {
        ahead.skip(1);
        duration::read(ahead).is_some()
    });
    names || lasts
}

/// Returns whether an act is to wait, for a moment or for something to happen.
fn is_later(mut at: Clause<'_>) -> bool {
    at.take_connectors();
    if at.take(&["in", "after", "within"]) {
        return duration::read(at).is_some() || at.next_is(&["the", "this"]) || at.is_done();
    }
    at.next_is(&[
        "if",
        "unless",
        "when",
        "whenever",
        "once",
        "until",
        "till",
        "tomorrow",
        "tonight",
        "later",
        "soon",
        "next",
        "at",
        "on",
        "before",
        "every",
        "should",
        "eventually",
        "unlike",
    ])
}

fn is_finite(word: &str) -> bool {
    matches!(
        word,
        "is" | "was"
            | "are"
            | "were"
            | "isn't"
            | "wasn't"
            | "has"
            | "had"
            | "have"
            | "did"
            | "does"
            | "didn't"
            | "doesn't"
            | "will"
            | "won't"
            | "would"
            | "could"
            | "should"
            | "can"
            | "can't"
            | "may"
            | "might"
            | "must"
            | "got"
            | "gets"
            | "means"
            | "mean"
            | "sounds"
            | "seems"
            | "looks"
            | "or"
            | "nor"
            | "vs"
            | "versus"
            | "but"
            | "than"
            | "not"
            | "who"
            | "which"
            | "that"
            | "yet"
            | "though"
            | "although"
            | "instead"
            | "except"
            | "without"
            | "said"
            | "says"
            | "worked"
            | "works"
            | "again?"
            | "needs"
            | "deserves"
    )
}

fn reason_of(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| {
        c.is_whitespace() || matches!(c, ',' | ':' | '-' | '–' | '—' | '.' | '(' | ')')
    });
    let text = ["please", "pls", "thanks", "thank you"]
        .iter()
        .find_map(|word| text.strip_suffix(word).filter(|rest| rest.ends_with(' ')))
        .unwrap_or(text)
        .trim_end_matches([',', ' ']);
    let cut: String = text.chars().take(LONGEST_REASON).collect();
    (!cut.is_empty()).then_some(cut)
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

fn read_lifting(at: Clause<'_>) -> Option<Read<'_>> {
    let mut after = at;
    let mut parts = Parts { seconds: Some(0), ..Parts::default() };
    let targets = if after.take_any(&[
        "untimeout",
        "un-timeout",
        "un timeout",
        "untime out",
        "unmute",
        "un-mute",
        "un mute",
        "unsilence",
        "un-silence",
        "ungag",
    ]) {
        after.take_pauses();
        match take_targets(&mut after, &mut parts) {
            None if after.is_idle() => Err(Problem::Whom),
            targets => targets?,
        }
    } else if after.take_any(&[
        "remove",
        "lift",
        "end",
        "cancel",
        "clear",
        "undo",
        "revoke",
        "drop",
        "take off",
        "take away",
        "get rid of",
        "delete",
    ]) {
        read_removal(&mut after, &mut parts)?
    } else if after.take(&["take", "get", "bring", "release", "free", "let"]) {
        let targets = take_targets(&mut after, &mut parts)?;
        let is_out = after.take_any(&["out of", "from", "off"]) && {
            after.take(&["the", "a", "his", "her", "their"]);
            after.take_any(NOUNS)
        };
        let speaks = after.take_any(&["speak again", "talk again", "write again", "chat again"]);
        if !is_out && !speaks {
            return None;
        }
        targets
    } else {
        return None;
    };
    if let Err(found) = targets {
        return Some(problem(found, after));
    }
    loop {
        let had_pause = after.take_pauses();
        if after.is_idle() {
            break;
        }
        if after.take_any(&["because", "since", "as", "cause", "cuz", "bc"])
            || (had_pause && !after.begins_a_command() && !is_later(after))
        {
            parts.reason = reason_of(&after.text());
            after.skip(usize::MAX);
            break;
        }
        if after.take_any(&["early", "now", "again", "please", "here", "right now"]) {
            continue;
        }
        if is_later(after) {
            return Some(problem(Problem::Later, after));
        }
        let mut next = after;
        if (next.take_connectors() || had_pause) && next.begins_a_command() {
            break;
        }
        return Some(problem(Problem::NotUnderstood(after.text()), after));
    }
    Some((requests(&parts), after))
}

/// Reads `the timeout of @bob` and `@bob's timeout`.
fn read_removal(at: &mut Clause<'_>, parts: &mut Parts) -> Option<Result<(), Problem>> {
    let mut ahead = *at;
    ahead.take(&["the", "a", "that", "any", "this"]);
    let mut owned = ahead;
    let is_owned = owned.take(&["his", "her", "their"]);
    if is_owned && owned.take_any(NOUNS) {
        *at = owned;
        let author = at.context().reply_to_author;
        let author = author.filter(|author| Some(*author) != at.context().bot);
        return Some(match author {
            Some(author) => {
                parts.members.push(Target::Id(author));
                Ok(())
            }
            None => Err(Problem::Whom),
        });
    }
    if ahead.take_any(NOUNS) {
        let has_preposition = ahead.take(&["of", "from", "on", "for", "off"]);
        if ahead.is_idle() {
            *at = ahead;
            return Some(Err(Problem::Whom));
        }
        if !has_preposition {
            return None;
        }
        *at = ahead;
        return take_targets(at, parts);
    }
    let targets = take_targets(at, parts)?;
    at.take_possessive();
    // `remove @bob from timeout`
    at.take_any(&["from the", "from"]);
    at.take_any(NOUNS).then_some(targets)
}

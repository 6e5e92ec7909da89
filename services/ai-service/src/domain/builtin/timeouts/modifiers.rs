//! What stands behind the people: how long, why, and who else.

use super::{
    super::{
        aside,
        clause::{Clause, is_one_of},
        duration::{self, Span},
        request::{Problem, Request, Target},
        tokens::Kind,
    },
    Deed, Parts, Read, problem, requests, set_duration, take_targets,
};

/// The audit log takes 512 characters, and who asked stands there too.
const LONGEST_REASON: usize = 300;

/// How far a command that follows is looked into, to tell it from more of a reason.
const COMMAND_LENGTH: usize = 24;

/// Reads what stands behind the targets: the duration, the reason, more people.
pub(super) fn modifiers(mut at: Clause<'_>, mut parts: Parts) -> Read<'_> {
    loop {
        let had_pause = at.take_pauses();
        if at.is_idle() {
            return (requests(&parts), at);
        }
        match modifier(at, had_pause, &mut parts) {
            Ok(Step::On(after)) => at = after,
            Ok(Step::NextCommand) => return (requests(&parts), at),
            Ok(Step::Others(read)) => return read,
            Err(found) => return problem(found, at),
        }
    }
}

enum Step<'a> {
    /// Something was read; the rest follows.
    On(Clause<'a>),
    NextCommand,
    /// More people, with what stands behind them.
    Others(Read<'a>),
}

fn modifier<'a>(at: Clause<'a>, had_pause: bool, parts: &mut Parts) -> Result<Step<'a>, Problem> {
    let mut after = at;
    if after.take_phrase("as soon as") {
        return Err(Problem::Later);
    }
    if after.take_any(IDLE) {
        return Ok(Step::On(after));
    }
    if let Some(Kind::Emoji(_)) = at.kind() {
        return Ok(Step::On(at.after(1)));
    }
    let is_removal = matches!(parts.deed, Deed::Ban | Deed::TemporaryBan | Deed::Kick);
    if is_removal && after.take_any(FROM_HERE) {
        return Ok(Step::On(after));
    }
    if let Some(after) = take_deletion(at, parts)? {
        return Ok(Step::On(after));
    }
    if let Some(after) = take_length(at, parts)? {
        return Ok(Step::On(after));
    }
    if let Some(after) = take_reason(at, parts)? {
        return Ok(Step::On(after));
    }
    if is_later(at) {
        return Err(Problem::Later);
    }
    let mut next = at;
    let is_connected = next.take_connectors();
    if (is_connected || had_pause) && next.begins_a_command() {
        return Ok(Step::NextCommand);
    }
    if is_connected {
        return match another_group(next, parts) {
            Some(read) => Ok(Step::Others(read)),
            None if next.is_idle() => Ok(Step::On(next)),
            None => Err(Problem::NotUnderstood(at.text())),
        };
    }
    if had_pause && let Some(step) = next_after_pause(at, parts)? {
        return Ok(step);
    }
    // `timeout @bob 10m spamming`, `timeout @bob, he is spamming`
    let is_explained = had_pause || parts.seconds.is_some() || ends_with_id(parts);
    let is_statement = !had_pause && at.word().is_some_and(|word| is_one_of(word, FINITE));
    if is_explained && !is_statement && parts.reason.is_none() {
        let (reason, after) = noun_reason(at, parts, Begun::ByNothing)?;
        if reason.is_some() {
            parts.reason = reason;
            return Ok(Step::On(after));
        }
    }
    Err(Problem::NotUnderstood(at.text()))
}

/// Reads `timeout @bob 10m, @alice 5m`; with bare names it could as well be a reason.
fn next_after_pause<'a>(at: Clause<'a>, parts: &Parts) -> Result<Option<Step<'a>>, Problem> {
    let mut behind = at;
    let is_named = matches!(behind.take_target(), Some(Ok(_)));
    if !is_named || parts.seconds.is_none() || duration::read(behind).is_none() {
        return Ok(None);
    }
    if at.begins_with_mention() {
        return Ok(another_group(at, parts).map(Step::Others));
    }
    Err(Problem::TwoDurations)
}

/// Takes `and delete his messages of the last day`, which belongs to a ban.
fn take_deletion<'a>(mut at: Clause<'a>, parts: &mut Parts) -> Result<Option<Clause<'a>>, Problem> {
    const MOST_SECONDS: u64 = 7 * 24 * 3_600;
    if !matches!(parts.deed, Deed::Ban | Deed::TemporaryBan) {
        return Ok(None);
    }
    at.take_connectors();
    let is_deletion = at.take("delete|deleting|remove|removing|purge|purging|wipe|wiping") && {
        at.take("all|his|her|their|the");
        at.take("of");
        at.take("his|her|their|the");
        at.take("messages|posts")
    };
    if !is_deletion {
        return Ok(None);
    }
    at.take("of|from|in|for|during");
    at.take("the");
    at.take("last|past");
    let span = match duration::read(at) {
        Some((span, after)) => {
            at = after;
            span
        }
        None if at.take("day") => Span::Seconds(24 * 3_600),
        None if at.take("hour") => Span::Seconds(3_600),
        None if at.take("week") => Span::Seconds(MOST_SECONDS),
        None => return Err(Problem::Vague),
    };
    match span {
        Span::Seconds(0) | Span::Vague => Err(Problem::Vague),
        Span::Seconds(seconds) if seconds <= MOST_SECONDS => {
            parts.delete_seconds = seconds;
            Ok(Some(at))
        }
        Span::Seconds(_) | Span::Endless => Err(Problem::DeletesTooMuch),
    }
}

/// Takes `for 10 minutes`.
fn take_length<'a>(mut at: Clause<'a>, parts: &mut Parts) -> Result<Option<Clause<'a>>, Problem> {
    at.take("for|during");
    let mut length = at;
    if length.take("of|duration|length|time") {
        length.take_pauses();
    }
    if let Some((span, after)) = duration::read(length) {
        set_duration(parts, span)?;
        return Ok(Some(after));
    }
    match at.word() {
        Some(number) if is_bare_number(at) => Err(Problem::WhichUnit(number.to_owned())),
        _ => Ok(None),
    }
}

/// Takes `for spam` and `because he is spamming`.
fn take_reason<'a>(mut at: Clause<'a>, parts: &mut Parts) -> Result<Option<Clause<'a>>, Problem> {
    let is_about =
        parts.deed == Deed::Warn && at.take_any("about|regarding|concerning|not to|to stop");
    if is_about || at.take_any("for|during|over|due to|on account of|on grounds of") {
        let (reason, after) = noun_reason(at, parts, Begun::ByWord)?;
        parts.reason = parts.reason.take().or(reason);
        return Ok(Some(after));
    }
    let is_clause = at.take_any(
        "because of|because|cause|cuz|coz|cos|bc|bcs|since|reason|with reason|with the reason|\
         reason being",
    );
    // `as he spams` says why, `as bob said` whose words these are.
    let is_perhaps = !is_clause && at.take("as");
    if !is_clause && !is_perhaps {
        return Ok(None);
    }
    at.take_pauses();
    if is_perhaps && !aside::is_a_reason(at, false) || aside::is_in_jest(at) {
        return Err(Problem::ReasonOrAside(at.text()));
    }
    parts.reason = parts.reason.take().or(reason_of(&at.text()));
    Ok(Some(at.after(usize::MAX)))
}

/// From where somebody is removed.
const FROM_HERE: &str = "from the server|from this server|from our server|from the guild|\
     from this guild|from here|off the server|off this server|out of the server|\
     out of here|out";

/// What changes nothing.
const IDLE: &str = "for now|in here|here|in this channel|in this server|on this server|on discord|\
     for me|right now|now|please|pls|plz|immediately|instantly|asap|again|too|as well|both|each";

/// Words that make a statement of what looked like an order: `timeout bob was funny`.
const FINITE: &str = "is|was|are|were|isn't|wasn't|has|had|have|did|does|didn't|doesn't|will|won't|\
     would|could|should|can|can't|may|might|must|got|gets|means|mean|sounds|seems|looks|or|nor|vs|\
     versus|but|than|not|who|which|that|yet|though|although|instead|except|without|said|says|\
     worked|works|needs|deserves";

fn ends_with_id(parts: &Parts) -> bool {
    matches!(parts.members.last(), Some(Target::Id(_)))
}

fn is_bare_number(at: Clause<'_>) -> bool {
    at.word().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
        && at.after(1).is_idle()
}

/// Reads on with other people after a duration: `@bob for 10m and @alice for 5m`.
fn another_group<'a>(mut at: Clause<'a>, parts: &Parts) -> Option<Read<'a>> {
    if parts.seconds.is_none() && parts.reason.is_none() {
        return None;
    }
    let is_named = at.begins_with_mention();
    let mut others =
        Parts { deed: parts.deed, fallback_seconds: parts.seconds, ..Parts::default() };
    if let Err(found) = take_targets(&mut at, &mut others)? {
        return Some(problem(found, at));
    }
    let is_followed = at.is_idle() || at.next_is("for|because|and") || duration::read(at).is_some();
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

/// By what a reason is begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// `for`, `about`.
    ByWord,
    /// Nothing, a comma, a length of time: it may be none.
    ByNothing,
}

impl Begun {
    fn check(self, reason: Clause<'_>) -> Result<(), Problem> {
        let is_reason = match self {
            Self::ByWord => !aside::is_in_jest(reason),
            Self::ByNothing => aside::is_a_reason(reason, false),
        };
        if is_reason { Ok(()) } else { Err(Problem::ReasonOrAside(reason.text())) }
    }
}

/// Takes a reason such as `spam`; the duration may stand behind it, and so may the next command.
fn noun_reason<'a>(
    at: Clause<'a>,
    parts: &mut Parts,
    begun: Begun,
) -> Result<(Option<String>, Clause<'a>), Problem> {
    if parts.deed.has_length() && duration::is_attempt(at) {
        return Err(Problem::NoLength(at.text()));
    }
    let mut end = at;
    while !end.is_done() && !is_next_command(end) && !is_next_group(end) {
        let mut ahead = end;
        let has_pause = ahead.take_pauses();
        let has_for = ahead.take("for");
        if parts.deed.has_length()
            && parts.seconds.is_none()
            && (has_pause || has_for || is_compact(ahead))
            && let Some((span, after)) = duration::read(ahead)
            && (after.is_idle() || is_next_command(after))
        {
            begun.check(at.until(end))?;
            set_duration(parts, span)?;
            return Ok((reason_of(&at.text_until(end)), after));
        }
        let mut ahead = end;
        ahead.take_pauses();
        if ahead.next_is("if|unless") && !at.next_is("if|unless") {
            return Err(Problem::Later);
        }
        end.skip(1);
    }
    begun.check(at.until(end))?;
    Ok((reason_of(&at.text_until(end)), end))
}

/// Returns whether other people with a reason of their own begin here: `and @alice for flooding`.
fn is_next_group(mut at: Clause<'_>) -> bool {
    if !at.take_connectors() || !at.begins_with_mention() {
        return false;
    }
    matches!(at.take_target(), Some(Ok(_)))
        && (at.next_is("for|because") || duration::read(at).is_some())
}

fn is_compact(at: Clause<'_>) -> bool {
    at.word().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

/// Returns whether `and` with a whole command stands here, rather than more of a reason.
pub(in crate::domain::builtin) fn is_next_command(mut at: Clause<'_>) -> bool {
    if !at.take_connectors() || !at.begins_a_command() {
        return false;
    }
    let names = at.tokens().iter().take(COMMAND_LENGTH).any(|token| {
        matches!(token.kind, Kind::Member(_) | Kind::At | Kind::Channel(_) | Kind::Hash)
    });
    let mut ahead = at;
    let lasts = (0..at.tokens().len().min(COMMAND_LENGTH)).any(|_| {
        ahead.skip(1);
        duration::read(ahead).is_some()
    });
    names || lasts
}

/// Returns whether an act is to wait, for a moment or for something to happen.
pub(in crate::domain::builtin) fn is_later(mut at: Clause<'_>) -> bool {
    at.take_connectors();
    if at.take("in|after|within") {
        return duration::read(at).is_some() || at.next_is("the|this") || at.is_done();
    }
    at.next_is(
        "if|unless|when|whenever|once|until|till|til|tomorrow|tonight|later|soon|next|at|\
         on|before|every|should|eventually|unlike",
    )
}

pub(in crate::domain::builtin) fn reason_of(text: &str) -> Option<String> {
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

use super::{
    super::{
        aside,
        clause::Clause,
        request::{Problem, Target},
    },
    Deed, NOUNS, Parts, Read,
    modifiers::{is_later, reason_of},
    problem, requests, take_targets,
};

pub(super) fn read_lifting(at: Clause<'_>) -> Option<Read<'_>> {
    let mut after = at;
    let mut parts = Parts { seconds: Some(0), ..Parts::default() };
    let targets = if after.take_any("unban|un-ban|un ban|pardon") {
        parts.deed = Deed::Unban;
        after.take_pauses();
        match take_targets(&mut after, &mut parts) {
            None if after.is_idle() => Err(Problem::Whom),
            targets => targets?,
        }
    } else if after.take_any(
        "untimeout|un-timeout|un timeout|untime out|unmute|un-mute|un mute|unsilence|\
         un-silence",
    ) {
        after.take_pauses();
        match take_targets(&mut after, &mut parts) {
            None if after.is_idle() => Err(Problem::Whom),
            targets => targets?,
        }
    } else if after.take_any(
        "remove|lift|end|cancel|clear|undo|revoke|drop|take off|take away|get rid of|delete",
    ) {
        read_removal(&mut after, &mut parts)?
    } else if after.take("take|get|bring|release|free|let") {
        let targets = take_targets(&mut after, &mut parts)?;
        let is_out = after.take_any("out of|from|off") && {
            after.take("the|a|his|her|their");
            after.take_any(NOUNS)
        };
        let speaks = after.take_any("speak again|talk again|write again|chat again");
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
        let is_announced = after.take_any("because|since|cause|cuz|bc");
        let is_perhaps =
            after.take("as") || (had_pause && !after.begins_a_command() && !is_later(after));
        if !is_announced && is_perhaps && !aside::is_a_reason(after, true) {
            return Some(problem(Problem::ReasonOrAside(after.text()), after));
        }
        if is_announced || is_perhaps {
            parts.reason = reason_of(&after.text());
            after.skip(usize::MAX);
            break;
        }
        if after.take_any("early|now|again|please|here|right now") {
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

/// Takes what is lifted.
fn take_noun(at: &mut Clause<'_>, parts: &mut Parts) -> bool {
    if at.take_any(NOUNS) {
        return true;
    }
    let is_ban = at.take("ban|bans");
    if is_ban {
        parts.deed = Deed::Unban;
    }
    is_ban
}

/// Reads `the timeout of @bob` and `@bob's timeout`.
fn read_removal(at: &mut Clause<'_>, parts: &mut Parts) -> Option<Result<(), Problem>> {
    let mut ahead = *at;
    ahead.take("the|a|that|any|this");
    let mut owned = ahead;
    let is_owned = owned.take("his|her|their");
    if is_owned && take_noun(&mut owned, parts) {
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
    if take_noun(&mut ahead, parts) {
        let has_preposition = ahead.take("of|from|on|for|off");
        if ahead.is_idle() {
            *at = ahead;
            return Some(Err(Problem::Whom));
        }
        if !has_preposition && !ahead.begins_with_mention() {
            return None;
        }
        *at = ahead;
        return take_targets(at, parts);
    }
    let targets = take_targets(at, parts)?;
    at.take_possessive();
    // `remove @bob from timeout`
    at.take_any("from the|from");
    take_noun(at, parts).then_some(targets)
}

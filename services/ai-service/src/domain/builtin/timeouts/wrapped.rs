use super::{
    super::{clause::Clause, duration, request::Problem},
    Deed, NOUNS, Parts, begins_with_verb, set_duration, take_targets,
};

/// Reads the forms whose targets stand inside: `put @bob in timeout`, `give @bob a timeout`,
/// `time @bob out`, `10 minute timeout for @bob`.
pub(super) fn read_wrapped<'a>(
    at: Clause<'a>,
    parts: &mut Parts,
) -> Option<Result<Clause<'a>, (Problem, Clause<'a>)>> {
    let mut after = at;
    let is_closed: fn(&mut Clause<'a>, &mut Parts) -> Option<Result<(), Problem>> =
        if after.take("put|place|stick|send") {
            let mut ahead = after;
            if let Some(read) = read_noun(&mut ahead, parts, "on|to|for") {
                return Some(read.map(|()| ahead).map_err(|found| (found, ahead)));
            }
            |after, _| {
                let is_in = after.take("in|into|on|to");
                after.take("a|the");
                (is_in && after.take_any(NOUNS)).then_some(Ok(()))
            }
        } else if after.take("time") {
            |after, _| after.take("out").then_some(Ok(()))
        } else if after.take("give|hand") {
            let mut ahead = after;
            if let Some(read) = read_noun(&mut ahead, parts, "to|for") {
                return Some(read.map(|()| ahead).map_err(|found| (found, ahead)));
            }
            |after, parts| noun(after, parts)
        } else {
            after.take("apply|set|issue|add|use");
            // `timeout for @bob` is read as a verb.
            let is_bare = after.tokens().len() == at.tokens().len();
            if is_bare && begins_with_verb(after) {
                return None;
            }
            let read = read_noun(&mut after, parts, "to|on|for")?;
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
        after.take("a|an|the|another");
        duration::read(after)
    });
    let mut problem = None;
    if let Some((span, rest)) = span {
        after = rest;
        problem = set_duration(parts, span).err();
    }
    after.take("long|of|permanent|temporary|formal|final|first|second|last");
    if after.take("ban") {
        parts.deed = Deed::Ban;
        // The length was read as a timeout's.
        if let Some((span, _)) = span {
            parts.seconds = None;
            problem = set_duration(parts, span).err();
        }
    } else if after.take("warning") {
        parts.deed = Deed::Warn;
        problem = span.map(|_| Problem::NoLengthThere);
    } else if !after.take_any(NOUNS) {
        return None;
    }
    *at = after;
    Some(problem.map_or(Ok(()), Err))
}

/// Takes `a 10 minute timeout to @bob`; people stand there by mention only.
fn read_noun(
    at: &mut Clause<'_>,
    parts: &mut Parts,
    prepositions: &str,
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
    parts.deed = found.deed;
    parts.seconds = parts.seconds.or(found.seconds);
    if parts.members.is_empty() {
        return Some(Err(Problem::Whom));
    }
    is_noun
}

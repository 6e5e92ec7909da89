//! Acts on roles, channels and messages: what is given and taken, locked, deleted, pinned.

mod messages;
mod roles;

use self::{
    messages::{read_lock, read_on_reply, read_purge},
    roles::{read_move, read_role},
};
use super::{
    aside,
    clause::{Clause, is_reason_word},
    request::{Problem, Request},
    timeouts::{self, Read, problem},
    tokens::Kind,
};

/// Reads such an act. `None`: none stands here.
pub(super) fn read(at: Clause<'_>) -> Option<Read<'_>> {
    read_role(at)
        .or_else(|| read_move(at))
        .or_else(|| read_lock(at))
        .or_else(|| read_purge(at))
        .or_else(|| read_on_reply(at))
}

/// Reads what stands behind an act: a reason, idle words, the next command. Anything else leaves the
/// whole undone.
fn ending(mut at: Clause<'_>, act: impl FnOnce(Option<String>) -> Vec<Request>) -> Read<'_> {
    let mut reason = None;
    loop {
        let had_pause = at.take_pauses();
        if at.is_idle() {
            return (act(reason), at);
        }
        if let Some(Kind::Emoji(_)) = at.kind() {
            at.skip(1);
            continue;
        }
        if at.take_any("right now|now|please|pls|plz|immediately|again|too|as well|for now") {
            continue;
        }
        if timeouts::is_later(at) {
            return problem(Problem::Later, at);
        }
        let mut next = at;
        if (next.take_connectors() || had_pause) && next.begins_a_command() {
            return (act(reason), at);
        }
        let is_reason = reason.is_none()
            && (at.take_any("for|because of|because|since|due to|reason")
                || is_told_as(&mut at)
                || had_pause && at.word().is_some_and(is_reason_word));
        if !is_reason {
            return problem(Problem::NotUnderstood(at.text()), at);
        }
        at.take_pauses();
        let mut end = at;
        while !end.is_done() && !timeouts::is_next_command(end) {
            let mut ahead = end;
            ahead.take_pauses();
            if ahead.next_is("if|unless") {
                return problem(Problem::Later, at);
            }
            end.skip(1);
        }
        reason = timeouts::reason_of(&at.text_until(end));
        at = end;
    }
}

/// Takes the `as` of a reason; `as bob said` is none.
fn is_told_as(at: &mut Clause<'_>) -> bool {
    let mut ahead = *at;
    let is_told = ahead.take("as") && aside::is_a_reason(ahead, true);
    if is_told {
        *at = ahead;
    }
    is_told
}

use super::{
    super::{
        clause::Clause,
        request::{Place, Problem, Request},
        timeouts::Read,
        tokens::Kind,
    },
    ending,
};

/// Reads `lock #general` and `unlock this channel`.
pub(super) fn read_lock(mut at: Clause<'_>) -> Option<Read<'_>> {
    let locks = if at.take_any("lock down|lock|lockdown") {
        true
    } else if at.take_any("unlock|un-lock|un lock|reopen") {
        false
    } else {
        return None;
    };
    at.take("the");
    let mut named = at;
    if named.take("channel") && matches!(named.kind(), Some(Kind::Channel(_) | Kind::Hash)) {
        at = named;
    }
    let channel = match at.kind() {
        Some(Kind::Channel(id)) => Some(Place::Id(*id)),
        Some(Kind::Hash) => Some(Place::Name(at.peek()?.low.clone())),
        _ if at.take_any("this channel|this chat|here|this|channel") => None,
        _ => return None,
    };
    if channel.is_some() {
        at.skip(1);
        at.take("channel");
    }
    // Threads are locked in another way.
    if at.next_is("thread|post|topic") {
        return None;
    }
    Some(ending(at, |reason| vec![Request::Lock { channel, locks, reason }]))
}

/// Reads `delete the last 20 messages in #general by @bob`.
pub(super) fn read_purge(mut at: Clause<'_>) -> Option<Read<'_>> {
    let is_purge = at.take_any("purge|clear|clean up");
    if !is_purge && !at.take("delete|remove") {
        return None;
    }
    at.take("the");
    let is_last = at.take("last|latest|newest|previous");
    let number = at.word().and_then(|word| word.parse::<u64>().ok());
    if number.is_some() {
        at.skip(1);
    }
    // Which ones, if neither is said?
    let is_told = is_last || is_purge && number.is_some();
    if !is_told || !at.take("message|messages|post|posts") {
        return None;
    }
    let Some(count) = u8::try_from(number.unwrap_or(1)).ok().filter(|it| (1..=100).contains(it))
    else {
        return Some((vec![Request::Problem(Problem::PurgesTooMany)], at.after(usize::MAX)));
    };
    let (mut by, mut channel) = (None, None);
    loop {
        let mut ahead = at;
        if by.is_none()
            && ahead.take("by|from|of")
            && let Some(Kind::Member(member)) = ahead.kind()
        {
            by = Some(*member);
            ahead.skip(1);
        } else if channel.is_none() && {
            ahead = at;
            ahead.take("in|from|of")
        } {
            if ahead.take_any("this channel|this chat|here") {
                return Some(ending(ahead, |reason| {
                    vec![Request::Purge { count, by, channel: None, reason }]
                }));
            }
            channel = match ahead.kind() {
                Some(Kind::Channel(id)) => Some(Place::Id(*id)),
                Some(Kind::Hash) => Some(Place::Name(ahead.peek()?.low.clone())),
                _ => break,
            };
            ahead.skip(1);
        } else {
            break;
        }
        at = ahead;
    }
    at.take("here");
    Some(ending(at, |reason| vec![Request::Purge { count, by, channel, reason }]))
}

/// Reads `delete this` and `pin this`, which mean the message that is replied to.
pub(super) fn read_on_reply(mut at: Clause<'_>) -> Option<Read<'_>> {
    enum Deed {
        Delete,
        Pin,
        Unpin,
    }
    let deed = if at.take("delete|remove") {
        Deed::Delete
    } else if at.take("pin") {
        Deed::Pin
    } else if at.take_any("unpin|un-pin|un pin") {
        Deed::Unpin
    } else {
        return None;
    };
    let is_meant = at.take_any(
        "this message|that message|the message|this post|that post|this one|that one|\
         his message|her message|their message|this|that|it",
    );
    if !is_meant {
        return None;
    }
    let Some(message) = at.context().reply_to else {
        return Some((vec![Request::Problem(Problem::WhichMessage)], at.after(usize::MAX)));
    };
    Some(ending(at, |reason| {
        vec![match deed {
            Deed::Delete => Request::Delete { message, reason },
            Deed::Pin => Request::Pin { message, pins: true, reason },
            Deed::Unpin => Request::Pin { message, pins: false, reason },
        }]
    }))
}

//! What is looked up, and the small things: reactions, and what Ery is told to say.

mod catch_up;
mod member;
mod react;
mod say;
mod search;

pub(super) use self::catch_up::read_catch_up;
use self::{
    member::read_info,
    react::read_react,
    say::{read_say, read_send},
    search::read_search,
};
use super::{
    clause::{Clause, is_one_of},
    request::{Place, Problem, Request},
    timeouts::{self, Read},
    tokens::Kind,
};

/// Reads a request other than a timeout. `None`: none stands here.
pub(super) fn read(at: Clause<'_>) -> Option<Read<'_>> {
    let one = |(request, after)| (vec![request], after);
    read_react(at)
        .or_else(|| read_send(at))
        .or_else(|| read_catch_up(at))
        .or_else(|| read_search(at))
        .map(one)
        .or_else(|| read_info(at))
        .or_else(|| read_say(at).or_else(|| read_not_covered(at)).map(one))
}

pub(super) type One<'a> = (Request, Clause<'a>);

fn problem(found: Problem, at: Clause<'_>) -> One<'_> {
    (Request::Problem(found), at.after(usize::MAX))
}

/// Takes `#general`, `<#1>`, and where `may_be_bare` also `general` and `the general channel`.
fn take_place(at: &mut Clause<'_>, may_be_bare: bool) -> Option<Place> {
    at.take_phrase("channel");
    let token = at.peek()?;
    let place = match &token.kind {
        Kind::Channel(id) => Place::Id(*id),
        Kind::Hash => Place::Name(token.low.clone()),
        Kind::Word if may_be_bare => {
            let after = at.after(1);
            let is_channel = after.next_is("channel");
            let is_common = is_one_of(
                &token.low,
                "here|there|total|short|this|the|chat|detail|brief|a|my|english|time|case|order|\
                 fact|summary|bulk|all|past|last",
            );
            if !is_channel && (is_common || !after.without_tail().is_idle()) {
                return None;
            }
            Place::Name(token.low.clone())
        }
        _ => return None,
    };
    at.skip(1);
    at.take("channel");
    Some(place)
}

/// Commands that people give to bots, and the tools for them, which are not covered here.
const NOT_COVERED: &[(&str, &str)] = &[
    ("softban", "ban_member"),
    ("delete|purge|nuke|clear", "delete_message"),
    ("edit", "edit_message"),
    ("pin|unpin", "pin_message"),
    ("dm", "send_dm"),
    ("remind|schedule", "schedule_action"),
    ("lock|unlock", "manage_permissions"),
    ("slowmode|rename|create a channel|make a channel", "manage_channels"),
    ("invite|create invite|create an invite", "create_invite"),
    ("create a thread", "create_thread"),
    ("unreact|remove the reaction|remove reaction", "remove_reaction"),
    ("remove|give|add", "manage_roles"),
];

fn read_not_covered(at: Clause<'_>) -> Option<One<'_>> {
    let (verb, tool) = NOT_COVERED
        .iter()
        .flat_map(|(verbs, tool)| verbs.split('|').map(move |verb| (verb, *tool)))
        .find(|(verb, _)| at.behind(verb).is_some())?;
    let mut after = at.behind(verb)?;
    if tool == "manage_roles"
        && !after
            .tokens()
            .iter()
            .any(|token| token.kind == Kind::Role || is_one_of(&token.low, "role|roles"))
    {
        return None;
    }
    while !after.is_done() && !timeouts::is_next_command(after) {
        after.skip(1);
    }
    Some((Request::Problem(Problem::NotCovered { verb: verb.to_owned(), tool }), after))
}

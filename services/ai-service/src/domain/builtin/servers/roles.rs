use super::{
    super::{
        clause::Clause,
        request::{Problem, Request, Target},
        timeouts::Read,
        tokens::Kind,
    },
    ending,
};

/// How many words a role's name may have without quotation marks.
const LONGEST_NAME: usize = 4;

/// Reads `give @bob the Helper role` and `remove the role Helper from @bob`.
pub(super) fn read_role(at: Clause<'_>) -> Option<Read<'_>> {
    let mut after = at;
    let gives = if after.take_any("give|grant|assign|add|hand") {
        true
    } else if after.take_any("take away|take|remove|revoke|strip|unassign") {
        false
    } else {
        return None;
    };
    after.take_pauses();
    let (members, role, after) = people_first(after, gives).or_else(|| role_first(after, gives))?;
    let role = match role {
        Ok(role) => role,
        Err(problem) => return Some((vec![Request::Problem(problem)], after.after(usize::MAX))),
    };
    let mut found = Vec::new();
    for member in members {
        match member {
            Ok(member) if found.contains(&member) => {}
            Ok(member) => found.push(member),
            Err(problem) => {
                return Some((vec![Request::Problem(problem)], after.after(usize::MAX)));
            }
        }
    }
    Some(ending(after, |reason| {
        let act =
            |member| Request::Role { member, role: role.clone(), gives, reason: reason.clone() };
        found.into_iter().map(act).collect()
    }))
}

/// Reads `move the role Helper above Member`. One of the two must be called a role, or be mentioned:
/// other things are put above others, too.
pub(super) fn read_move(at: Clause<'_>) -> Option<Read<'_>> {
    let mut after = at;
    if !after.take_any("move|put|place|drag") {
        return None;
    }
    let (role, is_called) = take_side(&mut after, ABOVE_OR_BELOW)?;
    after.take("right|directly|just");
    let is_above = if after.take("above|over") {
        true
    } else if after.take("below|under|beneath|underneath") {
        false
    } else {
        return None;
    };
    let (other, is_other_called) = take_side(&mut after, "")?;
    if !is_called && !is_other_called {
        return None;
    }
    let act = |reason| vec![Request::MoveRole { role, other, is_above, reason }];
    Some(ending(after, act))
}

const ABOVE_OR_BELOW: &str = "above|over|below|under|beneath|underneath|right|directly|just";

/// Takes a role by a mention or by the words before `until`, and tells whether it is called a role.
fn take_side(at: &mut Clause<'_>, until: &str) -> Option<(String, bool)> {
    at.take("the|my|our");
    if at.kind() == Some(&Kind::Role) {
        return Some((take_mention(at, *at), true));
    }
    let is_called = at.take("role|rank");
    if at.kind() == Some(&Kind::Role) {
        return Some((take_mention(at, *at), true));
    }
    let begin = *at;
    let mut count = 0;
    let ends = |at: &Clause<'_>| at.next_is(until) || is_boundary(*at) || at.next_is("role|rank");
    while count < LONGEST_NAME
        && matches!(at.kind(), Some(Kind::Word | Kind::At | Kind::Quote(_)))
        && !ends(at)
    {
        at.skip(1);
        count += 1;
    }
    let name = plain(&begin.text_until(*at));
    let is_called = at.take("role|rank") || is_called;
    (!name.is_empty()).then_some((name, is_called))
}

type Given<'a> = (Vec<Result<Target, Problem>>, Result<String, Problem>, Clause<'a>);

/// Reads `@bob the Helper role`, `@bob's Helper role`, `@bob to the Helper role`.
fn people_first(mut at: Clause<'_>, gives: bool) -> Option<Given<'_>> {
    let members = take_people(&mut at)?;
    at.take_possessive();
    at.take_pauses();
    at.take(if gives { "to" } else { "from|of|off" });
    let role = take_role(&mut at)?;
    Some((members, role, at))
}

/// Reads `the Helper role to @bob`.
fn role_first(mut at: Clause<'_>, gives: bool) -> Option<Given<'_>> {
    let role = take_role(&mut at)?;
    let is_for = if gives { at.take("to|for") } else { at.take("from|of|off") };
    if !is_for {
        return None;
    }
    let members = take_people(&mut at)?;
    Some((members, role, at))
}

/// Takes `@bob`, `@bob and @alice`, `bob`.
fn take_people(at: &mut Clause<'_>) -> Option<Vec<Result<Target, Problem>>> {
    let mut members = vec![take_person(at)?];
    loop {
        let mut ahead = *at;
        let is_listed = ahead.take_connectors() || ahead.begins_with_mention();
        if !is_listed || !ahead.begins_with_mention() || ahead.kind() == Some(&Kind::Role) {
            return Some(members);
        }
        members.push(ahead.take_target()?);
        *at = ahead;
    }
}

fn take_person(at: &mut Clause<'_>) -> Option<Result<Target, Problem>> {
    if at.kind() == Some(&Kind::Role) || at.next_is("the|a|an|role|rank") {
        return None;
    }
    at.take_target()
}

/// Takes `<@&1>`, `the Helper role`, `the role Helper`, `role "Helper of all"`.
fn take_role(at: &mut Clause<'_>) -> Option<Result<String, Problem>> {
    let mut ahead = *at;
    ahead.take("the|a|an|his|her|their");
    if ahead.kind() == Some(&Kind::Role) {
        return Some(Ok(take_mention(at, ahead)));
    }
    if ahead.take("role|rank") {
        ahead.take("named|called");
        ahead.take_pauses();
        if ahead.kind() == Some(&Kind::Role) {
            return Some(Ok(take_mention(at, ahead)));
        }
        let name = take_name(&mut ahead);
        *at = ahead;
        return Some(name.ok_or(Problem::WhichRole));
    }
    // The name stands before the word that says what it is.
    let begin = ahead;
    for _ in 0..LONGEST_NAME {
        let is_name = matches!(ahead.kind(), Some(Kind::Word | Kind::At | Kind::Quote(_)))
            && !is_boundary(ahead);
        if !is_name {
            return None;
        }
        ahead.skip(1);
        if ahead.next_is("role|rank|roles") {
            let name = plain(&begin.text_until(ahead));
            let is_one = !ahead.next_is("roles");
            ahead.skip(1);
            *at = ahead;
            return Some(if is_one { Ok(name) } else { Err(Problem::WhichRole) });
        }
    }
    None
}

fn take_mention<'a>(at: &mut Clause<'a>, role: Clause<'a>) -> String {
    let mut after = role.after(1);
    let mention = role.text_until(after);
    after.take("role|rank");
    *at = after;
    mention
}

/// Takes the words of a name that ends where the sentence goes on.
fn take_name(at: &mut Clause<'_>) -> Option<String> {
    let begin = *at;
    if matches!(at.kind(), Some(Kind::Quote(_) | Kind::At)) {
        at.skip(1);
    } else {
        let mut count = 0;
        while count < LONGEST_NAME && at.kind() == Some(&Kind::Word) && !is_boundary(*at) {
            at.skip(1);
            count += 1;
        }
    }
    let name = plain(&begin.text_until(*at));
    (!name.is_empty()).then_some(name)
}

/// Returns whether a word goes on behind a role's name, and is none of it.
fn is_boundary(at: Clause<'_>) -> bool {
    at.next_is(
        "to|from|for|because|since|as|and|then|if|unless|when|until|please|pls|plz|now|of|off|\
         tomorrow|later|or|but|not|is|was",
    )
}

fn plain(name: &str) -> String {
    name.strip_prefix('@').unwrap_or(name).to_owned()
}

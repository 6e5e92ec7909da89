use super::{
    super::{
        clause::Clause,
        request::{Problem, Request, Target},
        timeouts,
        tokens::Kind,
    },
    One,
    catch_up::read_catch_up,
    member::read_info,
    problem,
    react::read_react,
    take_place,
};

/// The longest that a search may be: Discord's bound is 1024.
const LONGEST_QUERY: usize = 200;

pub(super) fn read_search(mut at: Clause<'_>) -> Option<One<'_>> {
    let begin = at;
    let is_plain = at.take_any(
        "search the chat for|search the messages for|search messages for|\
         search the history for|search this server for|search the server for|\
         search all messages for|search for messages about|search for messages with|\
         search for messages containing|search for messages mentioning|\
         search for messages that mention|search for the word|search for|search through|\
         search messages about|search messages|search|do a search for|grep for|grep|\
         look for messages about|look for messages with|look for messages containing|\
         look for messages mentioning|look for messages|look for posts about|\
         look up messages about|look up messages with|look up messages|who said|\
         who mentioned|who wrote about|who wrote|who talked about|who posted about|\
         who posted|did anyone mention|did anyone say|did anybody mention|did anybody say|\
         did someone mention|did someone say|has anyone mentioned|has anyone said",
    ) || take_find(&mut at);
    if is_plain {
        return read_query(at);
    }
    // `find @bob's messages about pizza`
    let mut after = begin;
    if after.take_any("find|show me|show|search|get|list") {
        let mut ahead = after;
        if let Some(Ok(author)) = ahead.take_target() {
            ahead.take_possessive();
            if ahead.take("messages|posts|msgs") {
                ahead.take_any("about|with|containing|mentioning");
                return read_query_by(ahead, Some(author));
            }
        }
    }
    // `find pizza`
    let mut after = begin;
    let is_vague = |after: Clause<'_>| {
        after.next_is(
            "out|a|an|my|your|someone|somebody|me|the|into|forward|at|like|up|it|him|her|\
             them",
        )
    };
    if after.take_any("find|look for") && !is_vague(after) && !after.begins_with_mention() {
        return read_query(after);
    }
    // `what did @bob say about pizza`, `messages from @bob`
    let mut after = begin;
    if after.take_any("what did|what has|when did") {
        let author = after.take_target()?.ok()?;
        if !after.take_any("say|said|write|written|post|posted|mention") {
            return None;
        }
        after.take("about|on|regarding");
        return read_query_by(after, Some(author));
    }
    let mut after = begin;
    after.take_any("show me|show|list|get|get me|give me|fetch");
    after.take_any("all the|all|the|the last|the latest|recent|some");
    if after.take_any("messages|posts") && after.next_is("from|by|about|with") {
        after.take("about|with");
        return read_query(after);
    }
    None
}

/// Takes `find me the messages about`.
fn take_find(at: &mut Clause<'_>) -> bool {
    let mut after = *at;
    if !after.take("find") {
        return false;
    }
    after.take_any("me|us");
    after.take_any("all the|all|the|any|some|every|that|a");
    let is_about_messages = after.take("messages|message|posts|post|msgs|mentions");
    let is_literal = matches!(after.kind(), Some(Kind::Quote(_)));
    if !is_about_messages && !is_literal {
        return false;
    }
    after.take_any(
        "about|with the word|with|containing|mentioning|saying|that mention|that mentions|\
         that contain|that contains|that say|where|which mention|for|of|on|regarding",
    );
    *at = after;
    true
}

fn read_query(at: Clause<'_>) -> Option<One<'_>> {
    read_query_by(at, None)
}

/// Reads what is searched for, by whom and where.
fn read_query_by(at: Clause<'_>, author: Option<Target>) -> Option<One<'_>> {
    let mut at = at;
    at.take_pauses();
    let begin = at;
    let mut author = author;
    let mut channel = None;
    let mut query_end = None;
    while !at.is_done() {
        let mut ahead = at;
        if author.is_none()
            && ahead.take("from|by")
            && let Some(found) = take_author(&mut ahead)
        {
            match found {
                Ok(found) => author = Some(found),
                Err(found) => return Some(problem(found, at)),
            }
            query_end.get_or_insert(at);
            at = ahead;
            continue;
        }
        let mut ahead = at;
        let is_in = ahead.take("in|on");
        ahead.take("the");
        if is_in
            && channel.is_none()
            && let Some(found) = take_place(&mut ahead, false)
        {
            channel = Some(found);
            query_end.get_or_insert(at);
            at = ahead;
            continue;
        }
        // `messages from @bob about pizza`
        let mut ahead = at;
        if query_end.is_some() && ahead.take("about|with|containing|mentioning") {
            let said = begin.text_until(query_end.unwrap_or(at));
            if said.is_empty() {
                let Some((Request::Search { query, channel: place, .. }, after)) =
                    read_query_by(ahead, author.clone())
                else {
                    return None;
                };
                let channel = place.or(channel);
                return Some((Request::Search { query, author, channel }, after));
            }
        }
        let mut next = at;
        if next.take_connectors() && is_certain_command(next) {
            break;
        }
        at.skip(1);
    }
    let query = begin.text_until(query_end.unwrap_or(at));
    let query = query.trim_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | ':'));
    let query: String = query.chars().take(LONGEST_QUERY).collect();
    let query = (!query.is_empty()).then_some(query);
    if query.is_none() && author.is_none() {
        return Some(problem(Problem::SearchWhat, at));
    }
    Some((Request::Search { query, author, channel }, at))
}

/// Takes an author; a bare name only where the request ends with it or goes on to a channel.
fn take_author(at: &mut Clause<'_>) -> Option<Result<Target, Problem>> {
    if at.begins_with_mention() {
        return at.take_target();
    }
    let mut after = *at;
    if after.take("me|myself") {
        *at = after;
        return Some(Ok(Target::Id(at.context().asker)));
    }
    let found = after.take_target()?.ok()?;
    let ends = after.is_idle() || after.next_is("in|about|on|with");
    if !ends {
        return None;
    }
    *at = after;
    Some(Ok(found))
}

/// Returns whether a command begins here that no search would go on with.
fn is_certain_command(at: Clause<'_>) -> bool {
    timeouts::read(at).is_some_and(|(requests, _)| {
        requests.iter().any(|request| matches!(request, Request::Timeout { .. }))
    }) || read_info(at).is_some()
        || read_react(at).is_some_and(|(request, _)| request.is_for_a_tool())
        || read_catch_up(at).is_some()
}

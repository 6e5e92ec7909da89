//! What is looked up, and the small things: reactions, and what Ery is told to say.

use twilight_model::id::Id;

use super::{
    clause::Clause,
    duration::{self, Span},
    emoji,
    request::{MessageRef, Place, Problem, Request, Target},
    timeouts::Read,
    tokens::Kind,
};

/// How many messages are read to sum them up.
const CATCH_UP_LIMIT: u32 = 100;

/// The longest that a search may be: Discord's bound is 1024.
const LONGEST_QUERY: usize = 200;

/// Discord's bound for a message.
const LONGEST_MESSAGE: usize = 2_000;

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

type One<'a> = (Request, Clause<'a>);

fn problem(found: Problem, at: Clause<'_>) -> One<'_> {
    (Request::Problem(found), at.after(usize::MAX))
}

/// Openings that ask for a member by themselves.
const ASKS_FOR_MEMBER: &[&str] = &[
    "who is",
    "who's",
    "whos",
    "whois",
    "who are",
    "tell me something about",
    "tell me more about",
    "tell me everything about",
    "tell me all about",
    "tell me about",
    "tell us about",
    "what do you know about",
    "what can you tell me about",
    "what do we know about",
    "show me info on",
    "show me info about",
    "show info on",
    "show info about",
    "give me info on",
    "give me info about",
    "give me information on",
    "give me information about",
    "get info on",
    "get info about",
    "get me info on",
    "get me info about",
    "info on",
    "info about",
    "info for",
    "info of",
    "information on",
    "information about",
    "member info for",
    "user info for",
    "member info",
    "user info",
    "userinfo",
    "memberinfo",
    "profile of",
    "details on",
    "details about",
    "look up the member",
    "look up the user",
    "look up member",
    "look up user",
    "look up",
    "lookup",
    "show me the profile of",
    "show the profile of",
    "check on",
    "check the profile of",
];

/// Openings that ask for a member together with what follows his name.
const MAY_ASK_FOR_MEMBER: &[&str] = &[
    "when did",
    "how long has",
    "what roles does",
    "which roles does",
    "what role does",
    "show me",
    "show",
    "get me",
    "get",
    "is",
    "has",
    "what are",
    "what is",
    "what's",
    "check",
];

/// What can follow a name there.
const MEMBER_DETAILS: &[&str] = &[
    "info",
    "information",
    "profile",
    "details",
    "roles",
    "role",
    "join date",
    "join",
    "joined",
    "been here",
    "been a member",
    "been around",
    "have",
    "has",
    "timed out",
    "timed-out",
    "muted",
    "in timeout",
    "been timed out",
    "been muted",
];

/// What people ask `who is …` for without meaning a member's name.
const NO_MEMBER: &[&str] = &[
    "online",
    "offline",
    "winning",
    "right",
    "wrong",
    "there",
    "up",
    "ready",
    "playing",
    "awake",
    "speaking",
    "talking",
    "next",
    "first",
    "best",
    "in",
    "admin",
    "mod",
    "owner",
    "coming",
    "around",
    "everyone",
    "who",
    "good",
    "better",
    "responsible",
    "your",
    "my",
    "our",
    "you",
];

fn read_info(mut at: Clause<'_>) -> Option<Read<'_>> {
    if at.take_any(&[
        "who am i",
        "my info",
        "my profile",
        "show me my info",
        "show my info",
        "show me my profile",
        "tell me about me",
        "tell me about myself",
        "what are my roles",
        "what roles do i have",
    ]) {
        let member = Target::Id(at.context().asker);
        return at.is_idle().then_some((vec![Request::MemberInfo { member }], at));
    }
    let asks = at.take_any(ASKS_FOR_MEMBER);
    if !asks && !at.take_any(MAY_ASK_FOR_MEMBER) {
        return None;
    }
    if at.next_is(NO_MEMBER) {
        return None;
    }
    let mut members = Vec::new();
    loop {
        match at.take_target()? {
            Ok(member) => members.push(member),
            Err(Problem::Whom) => {
                return Some((vec![Request::Problem(Problem::Whom)], at.after(usize::MAX)));
            }
            Err(_) => return None,
        }
        at.take_possessive();
        let mut ahead = at;
        if !(ahead.take_connectors() && ahead.begins_with_mention()) {
            break;
        }
        at = ahead;
    }
    let has_detail = at.take_any(MEMBER_DETAILS);
    at.take_any(&["the server", "this server", "here", "right now", "now", "again"]);
    let mut next = at;
    let goes_on = next.take_connectors() && next.begins_a_command();
    if !(asks || has_detail) || !(at.is_idle() || goes_on) {
        return None;
    }
    let requests = members.into_iter().map(|member| Request::MemberInfo { member }).collect();
    Some((requests, at))
}

fn read_catch_up(mut at: Clause<'_>) -> Option<One<'_>> {
    let begins = at.take_any(&[
        "what did i miss",
        "what have i missed",
        "what i missed",
        "what did we miss",
        "what've i missed",
        "whatd i miss",
        "what'd i miss",
        "what have we missed",
        "did i miss anything",
        "did i miss something",
        "have i missed anything",
        "catch me up on",
        "catch me up",
        "catch up",
        "fill me in on",
        "fill me in",
        "bring me up to speed",
        "get me up to speed",
        "what happened",
        "what's happened",
        "whats happened",
        "what's new",
        "whats new",
        "what is new",
        "what's going on",
        "whats going on",
        "what is going on",
        "what was going on",
        "what's been going on",
        "what was said",
        "what was discussed",
        "what did people say",
        "what did they say",
        "give me a summary of",
        "give me a summary",
        "give me a recap of",
        "give me a recap",
        "give us a summary",
        "give a summary",
        "summary of",
        "summary",
        "summarise",
        "summarize",
        "sum up",
        "recap of",
        "recap",
        "tldr of",
        "tldr",
        "tl dr",
        "digest",
        "read up",
    ]);
    if !begins {
        return None;
    }
    let mut request = (None, CATCH_UP_LIMIT, None);
    loop {
        at.take_pauses();
        if at.is_idle() {
            break;
        }
        if at.take_any(&[
            "while i was away",
            "while i was gone",
            "while i was asleep",
            "when i was away",
            "since i left",
            "since i was gone",
            "since then",
            "so far",
            "today",
            "here",
            "lately",
            "recently",
            "yesterday",
            "for me",
            "for us",
            "please",
            "this chat",
            "the chat",
            "chat",
            "this channel",
            "the channel",
            "this conversation",
            "the conversation",
            "conversation",
            "the discussion",
            "discussion",
            "everything",
            "it",
            "this",
            "that",
            "all",
            "on",
            "of",
            "the messages",
            "messages",
            "recent",
            "and",
            "me",
            "earlier",
            "in here",
            "from",
            "the",
            "there",
            "to speed",
            "up",
        ]) {
            continue;
        }
        let mut ahead = at;
        ahead.take(&["in", "over", "during", "within", "from", "for"]);
        ahead.take(&["the"]);
        let is_last = ahead.take(&["last", "past", "previous", "latest"]);
        if let Some((Span::Seconds(seconds), after)) = duration::read(ahead)
            && is_last
        {
            request.2 = Some(seconds);
            at = after;
            continue;
        }
        if is_last && let Some(count) = ahead.word().and_then(|word| word.parse::<u32>().ok()) {
            request.1 = count.clamp(1, CATCH_UP_LIMIT);
            at = ahead.after(1);
            at.take(&["messages", "message", "posts", "msgs"]);
            continue;
        }
        if is_last && ahead.take(&["hour", "day", "minute", "week"]) {
            let unit = at.tokens()[at.tokens().len() - ahead.tokens().len() - 1].low.as_str();
            request.2 = Some(match unit {
                "minute" => 60,
                "hour" => 3_600,
                "day" => 86_400,
                _ => 604_800,
            });
            at = ahead;
            continue;
        }
        let mut ahead = at;
        ahead.take(&["in", "on", "from", "of"]);
        ahead.take(&["the"]);
        if let Some(place) = take_place(&mut ahead, at.next_is(&["in"])) {
            request.0 = Some(place);
            at = ahead;
            continue;
        }
        let mut next = at;
        if next.take_connectors() && next.begins_a_command() {
            break;
        }
        return None;
    }
    let (channel, limit, window_secs) = request;
    Some((Request::CatchUp { channel, limit, window_secs }, at))
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
            let is_channel = after.next_is(&["channel"]);
            let is_common = matches!(
                token.low.as_str(),
                "here"
                    | "there"
                    | "total"
                    | "short"
                    | "this"
                    | "the"
                    | "chat"
                    | "detail"
                    | "brief"
                    | "a"
                    | "my"
                    | "english"
                    | "time"
                    | "case"
                    | "order"
                    | "fact"
                    | "summary"
                    | "bulk"
                    | "all"
                    | "past"
                    | "last"
            );
            if !is_channel && (is_common || !after.without_tail().is_idle()) {
                return None;
            }
            Place::Name(token.low.clone())
        }
        _ => return None,
    };
    at.skip(1);
    at.take(&["channel"]);
    Some(place)
}

fn read_search(mut at: Clause<'_>) -> Option<One<'_>> {
    let begin = at;
    let is_plain = at.take_any(&[
        "search the chat for",
        "search the messages for",
        "search messages for",
        "search the history for",
        "search this server for",
        "search the server for",
        "search all messages for",
        "search for messages about",
        "search for messages with",
        "search for messages containing",
        "search for messages mentioning",
        "search for messages that mention",
        "search for the word",
        "search for",
        "search through",
        "search messages about",
        "search messages",
        "search",
        "do a search for",
        "grep for",
        "grep",
        "look for messages about",
        "look for messages with",
        "look for messages containing",
        "look for messages mentioning",
        "look for messages",
        "look for posts about",
        "look up messages about",
        "look up messages with",
        "look up messages",
        "who said",
        "who mentioned",
        "who wrote about",
        "who wrote",
        "who talked about",
        "who posted about",
        "who posted",
        "did anyone mention",
        "did anyone say",
        "did anybody mention",
        "did anybody say",
        "did someone mention",
        "did someone say",
        "has anyone mentioned",
        "has anyone said",
    ]) || take_find(&mut at);
    if is_plain {
        return read_query(at);
    }
    // `what did @bob say about pizza`, `messages from @bob`
    let mut after = begin;
    if after.take_any(&["what did", "what has", "when did"]) {
        let author = after.take_target()?.ok()?;
        if !after.take_any(&["say", "said", "write", "written", "post", "posted", "mention"]) {
            return None;
        }
        after.take(&["about", "on", "regarding"]);
        return read_query_by(after, Some(author));
    }
    let mut after = begin;
    after.take_any(&["show me", "show", "list", "get", "get me", "give me", "fetch"]);
    after.take_any(&["all the", "all", "the", "the last", "the latest", "recent", "some"]);
    if after.take_any(&["messages", "posts"]) && after.next_is(&["from", "by", "about", "with"]) {
        after.take(&["about", "with"]);
        return read_query(after);
    }
    None
}

/// Takes `find me the messages about`.
fn take_find(at: &mut Clause<'_>) -> bool {
    let mut after = *at;
    if !after.take(&["find"]) {
        return false;
    }
    after.take_any(&["me", "us"]);
    after.take_any(&["all the", "all", "the", "any", "some", "every", "that", "a"]);
    let is_about_messages =
        after.take(&["messages", "message", "posts", "post", "msgs", "mentions"]);
    let is_literal = matches!(after.kind(), Some(Kind::Quote(_)));
    if !is_about_messages && !is_literal {
        return false;
    }
    after.take_any(&[
        "about",
        "with the word",
        "with",
        "containing",
        "mentioning",
        "saying",
        "that mention",
        "that mentions",
        "that contain",
        "that contains",
        "that say",
        "where",
        "which mention",
        "for",
        "of",
        "on",
        "regarding",
    ]);
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
            && ahead.take(&["from", "by"])
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
        let is_in = ahead.take(&["in", "on"]);
        ahead.take(&["the"]);
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
        if query_end.is_some() && ahead.take(&["about", "with", "containing", "mentioning"]) {
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
    if after.take(&["me", "myself"]) {
        *at = after;
        return Some(Ok(Target::Id(at.context().asker)));
    }
    let found = after.take_target()?.ok()?;
    let ends = after.is_idle() || after.next_is(&["in", "about", "on", "with"]);
    if !ends {
        return None;
    }
    *at = after;
    Some(Ok(found))
}

/// Returns whether a command begins here that no search would go on with.
fn is_certain_command(at: Clause<'_>) -> bool {
    super::timeouts::read(at).is_some_and(|(requests, _)| {
        requests.iter().any(|request| matches!(request, Request::Timeout { .. }))
    }) || read_info(at).is_some()
        || read_react(at).is_some_and(|(request, _)| request.is_for_a_tool())
        || read_catch_up(at).is_some()
}

fn read_react(mut at: Clause<'_>) -> Option<One<'_>> {
    let is_react = at.take(&["react"]);
    let is_add = !is_react && at.take(&["add", "put", "leave", "drop", "give"]);
    if !is_react && !is_add {
        return None;
    }
    let mut message = None;
    let mut found = None;
    let mut says_reaction = is_react;
    let mut ahead = at;
    if is_add && message.is_none() {
        // `give that message a 👍`
        if let Some(reference) = take_message(&mut ahead) {
            message = Some(reference);
            at = ahead;
        }
    }
    while !at.is_idle() {
        at.take_pauses();
        if at.take(&["with", "a", "an", "the", "emoji", "using", "by"]) {
            continue;
        }
        if at.take(&["reaction", "reactions"]) {
            says_reaction = true;
            continue;
        }
        let mut ahead = at;
        if message.is_none()
            && ahead.take(&["to", "on", "under", "at"])
            && let Some(reference) = take_message(&mut ahead)
        {
            message = Some(reference);
            at = ahead;
            continue;
        }
        if message.is_none()
            && is_react
            && let Some(reference) = take_message(&mut ahead)
        {
            message = Some(reference);
            at = ahead;
            continue;
        }
        if found.is_none()
            && let Some(emoji) = take_emoji(&mut at)
        {
            found = Some(emoji);
            continue;
        }
        break;
    }
    let Some(emoji) = found else {
        return says_reaction.then(|| problem(Problem::WhichEmoji, at));
    };
    if is_add && !says_reaction && message.is_none() {
        return None;
    }
    let mut next = at;
    let goes_on = next.take_connectors() && next.begins_a_command();
    if !at.is_idle() && !goes_on {
        return Some(problem(Problem::NotUnderstood(at.text()), at));
    }
    let context = at.context();
    let message = message.unwrap_or(MessageRef::Id(context.reply_to.unwrap_or(context.message)));
    Some((Request::React { message, emoji }, at))
}

fn take_emoji(at: &mut Clause<'_>) -> Option<String> {
    if let Some(Kind::Emoji(emoji)) = at.kind() {
        at.skip(1);
        return Some(emoji.clone());
    }
    if let Some(Kind::Quote(index)) = at.kind() {
        let quote = at.context().quotes.get(*index)?.trim();
        let is_one = emoji::length(quote) == Some(quote.len());
        return is_one.then(|| {
            at.skip(1);
            quote.to_owned()
        });
    }
    for (phrase, emoji) in [("thumbs up", "👍"), ("thumbs down", "👎"), ("check mark", "✅")] {
        if at.take_phrase(phrase) {
            return Some(emoji.to_owned());
        }
    }
    let emoji = emoji::named(at.word()?)?;
    at.skip(1);
    Some(emoji.to_owned())
}

/// Takes words for a message: `this`, `the last message`, `@bob's message`, an id.
fn take_message(at: &mut Clause<'_>) -> Option<MessageRef> {
    let context = at.context();
    let replied = context.reply_to.map(MessageRef::Id);
    if at.take_any(&["my message", "my last message", "mine"]) {
        return Some(MessageRef::Id(context.message));
    }
    let mut ahead = *at;
    if ahead.take_any(&[
        "the last message",
        "the latest message",
        "the previous message",
        "last message",
        "previous message",
        "the last one",
        "the message above",
        "the message before",
    ]) {
        if ahead.take(&["from", "by", "of"])
            && let Some(Ok(author)) = ahead.take_target()
        {
            *at = ahead;
            return Some(MessageRef::LastBy(author));
        }
        at.take_any(&[
            "the last message",
            "the latest message",
            "the previous message",
            "last message",
            "previous message",
            "the last one",
            "the message above",
            "the message before",
        ]);
        return Some(MessageRef::Last);
    }
    if at.take_any(&["this message", "this one", "this"]) {
        return Some(replied.unwrap_or(MessageRef::Id(context.message)));
    }
    if at.take_any(&[
        "that message",
        "that one",
        "that",
        "it",
        "the message",
        "his message",
        "her message",
        "their message",
        "above",
    ]) {
        return Some(replied.unwrap_or(MessageRef::Last));
    }
    if let Some(word) = at.word()
        && (15..=20).contains(&word.len())
        && let Some(id) = word.parse().ok().and_then(Id::new_checked)
    {
        at.skip(1);
        return Some(MessageRef::Id(id));
    }
    let mut ahead = *at;
    ahead.take_any(&["what"]);
    if let Some(Ok(author)) = ahead.take_target() {
        ahead.take_possessive();
        if ahead.take_any(&["last message", "latest message", "message", "post", "said", "wrote"]) {
            *at = ahead;
            return Some(MessageRef::LastBy(author));
        }
    }
    None
}

fn read_send(mut at: Clause<'_>) -> Option<One<'_>> {
    let begins = at.take_any(&[
        "send a message to this channel",
        "send a message in this channel",
        "send a message here",
        "send a message",
        "send the message",
        "send this message",
        "send message",
        "post a message here",
        "post a message",
        "write a message",
        "post the message",
        "post this message",
    ]);
    if !begins {
        return None;
    }
    let mut ahead = at;
    if ahead.take(&["in", "to", "into", "on"])
        && (matches!(ahead.kind(), Some(Kind::Channel(_) | Kind::Hash)) || !ahead.is_idle())
    {
        let is_here = ahead.take_any(&["here", "this channel", "the channel", "the chat"]);
        if !is_here {
            return Some(problem(Problem::SendElsewhere, at));
        }
        at = ahead;
    }
    at.take_pauses();
    at.take_any(&[
        "saying that",
        "saying",
        "that says",
        "which says",
        "with the text",
        "with",
        "reading",
        "to say",
        "and say",
    ]);
    at.take_pauses();
    let content = cut(&at.text(), LONGEST_MESSAGE);
    if content.is_empty() {
        return Some(problem(Problem::SendWhat, at));
    }
    if let [.., before, last] = at.tokens()
        && before.kind == Kind::Word
        && matches!(before.low.as_str(), "in" | "to")
        && matches!(last.kind, Kind::Channel(_) | Kind::Hash)
    {
        return Some(problem(Problem::SendElsewhere, at));
    }
    Some((Request::Send { content }, at.after(usize::MAX)))
}

fn read_say(mut at: Clause<'_>) -> Option<One<'_>> {
    if !at.take_any(&["say", "repeat after me", "repeat", "echo", "post"]) {
        return None;
    }
    at.take_pauses();
    let mut ahead = at;
    if let Some(greeting) = ahead.word()
        && matches!(greeting, "hi" | "hello" | "hey" | "goodbye" | "bye" | "welcome" | "congrats")
    {
        ahead.skip(1);
        if ahead.take(&["to"])
            && let Some(Ok(member)) = ahead.take_target()
            && ahead.is_idle()
        {
            let mut greeting = greeting.to_owned();
            greeting[..1].make_ascii_uppercase();
            let name = match member {
                Target::Id(id) => format!("<@{id}>"),
                Target::Name(name) => name,
            };
            return Some((Request::Say { text: format!("{greeting}, {name}!") }, ahead));
        }
    }
    let text = cut(&at.text(), LONGEST_MESSAGE);
    if text.is_empty() {
        return Some(problem(Problem::SendWhat, at));
    }
    Some((Request::Say { text }, at.after(usize::MAX)))
}

fn cut(text: &str, longest: usize) -> String {
    text.trim().chars().take(longest).collect()
}

/// Commands that people give to bots, for tools that are not covered here.
const NOT_COVERED: &[(&str, &str)] = &[
    ("ban", "ban_member"),
    ("unban", "ban_member"),
    ("softban", "ban_member"),
    ("tempban", "ban_member"),
    ("kick", "kick_member"),
    ("warn", "warn_member"),
    ("delete", "delete_message"),
    ("purge", "delete_message"),
    ("nuke", "delete_message"),
    ("clear", "delete_message"),
    ("edit", "edit_message"),
    ("pin", "pin_message"),
    ("unpin", "pin_message"),
    ("dm", "send_dm"),
    ("remind", "schedule_action"),
    ("schedule", "schedule_action"),
    ("lock", "manage_permissions"),
    ("unlock", "manage_permissions"),
    ("slowmode", "manage_channels"),
    ("rename", "manage_channels"),
    ("invite", "create_invite"),
    ("create invite", "create_invite"),
    ("create an invite", "create_invite"),
    ("create a thread", "create_thread"),
    ("create a channel", "manage_channels"),
    ("make a channel", "manage_channels"),
    ("unreact", "remove_reaction"),
    ("remove the reaction", "remove_reaction"),
    ("remove reaction", "remove_reaction"),
    ("remove", "manage_roles"),
    ("give", "manage_roles"),
    ("add", "manage_roles"),
];

fn read_not_covered(at: Clause<'_>) -> Option<One<'_>> {
    let mut after = at;
    let (verb, tool) = NOT_COVERED.iter().rev().find(|(verb, _)| {
        let mut ahead = at;
        ahead.take_phrase(verb)
    })?;
    after.take_phrase(verb);
    if *tool == "manage_roles"
        && !after
            .tokens()
            .iter()
            .any(|token| token.kind == Kind::Role || matches!(token.low.as_str(), "role" | "roles"))
    {
        return None;
    }
    Some(problem(Problem::NotCovered { verb: (*verb).to_owned(), tool }, at))
}

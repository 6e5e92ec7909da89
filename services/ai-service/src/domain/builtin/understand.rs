use crate::domain::conversation::{MemberMessage, Place};

use super::{
    aside,
    clause::{Clause, Context},
    duration, lookups, polls,
    quoted::{Unquoted, unquote},
    reminders,
    request::{Problem, Request, Talk},
    servers, talk, timeouts,
    tokens::{Kind, Token, tokenise},
};

/// How many characters are looked at; Discord's own bound is 4,000.
const LONGEST_TEXT: usize = 4_000;

/// How many words and signs a text may have to be read as commands. Reading takes time that grows
/// faster than the text, and whatever the rest says could take back what the beginning orders.
const MOST_TOKENS: usize = 600;

/// How far into a conditional sentence an act is looked for.
const LOOKED_FOR_ACT: usize = 40;

/// Tells what a message asks for; never nothing.
pub(super) fn understand(message: &MemberMessage, place: &Place) -> Vec<Request> {
    let text: String = message.text.chars().take(LONGEST_TEXT).collect();
    let unquoted = unquote(&text, place);
    let tokens = tokenise(&unquoted.text);
    if tokens.len() > MOST_TOKENS || message.text.chars().nth(LONGEST_TEXT).is_some() {
        return vec![Request::Problem(Problem::LongText)];
    }
    with_context(message, place, &unquoted, |context| read(&tokens, context, message))
}

fn with_context<T>(
    message: &MemberMessage,
    place: &Place,
    unquoted: &Unquoted,
    read: impl FnOnce(&Context<'_>) -> T,
) -> T {
    let bot_name: Vec<String> =
        place.bot_name.to_lowercase().split_whitespace().map(str::to_owned).collect();
    read(&Context {
        text: &unquoted.text,
        quotes: &unquoted.quotes,
        bot: place.bot,
        bot_name: &bot_name,
        message: message.id,
        asker: message.author,
        reply_to: message.reply_to,
        reply_to_author: message.reply_to_author,
    })
}

/// Reads the tokens of a whole message.
fn read(tokens: &[Token], context: &Context<'_>, message: &MemberMessage) -> Vec<Request> {
    let is_taken_back = is_taken_back(tokens);
    // These are whole messages: what they say may be anything.
    let whole = Clause::new(tokens, context);
    if !is_taken_back
        && let Some(request) = polls::read(whole).or_else(|| reminders::read(whole, message.at))
    {
        return vec![request];
    }
    let mut found = Vec::new();
    for (sentence, is_question) in sentences(tokens, context) {
        read_sentence(Clause::new(sentence, context), is_question, &mut found);
    }
    let acts = || found.iter().filter(|request| request.is_an_act());
    let only_lifts = acts().all(Request::lifts);
    let is_disowned = acts().next().is_some() && aside::is_disowned(whole, only_lifts);
    if is_taken_back || is_disowned {
        withdraw(&mut found);
    }
    settle(found)
}

/// Returns whether a message takes back, forbids or disowns what it says, so that nobody reads an
/// order in it.
pub(crate) fn withholds(message: &MemberMessage, place: &Place) -> bool {
    let doubts = |request: &Request| {
        matches!(
            request,
            Request::Talk(Talk::Refrain)
                | Request::Problem(Problem::ReasonOrAside(_) | Problem::LongText)
        )
    };
    let found = understand(message, place);
    found.iter().any(doubts) || {
        let unquoted = unquote(&message.text, place);
        let tokens = tokenise(&unquoted.text);
        is_taken_back(&tokens)
            || aside::has_negation(&tokens)
            || with_context(message, place, &unquoted, |context| {
                aside::is_disowned(Clause::new(&tokens, context), false)
            })
    }
}

/// Leaves out talk beside requests, and all talk but the weightiest.
fn settle(found: Vec<Request>) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut weightiest = None;
    for request in found {
        match request {
            Request::Talk(talk) => {
                weightiest = Some(weightiest.map_or(talk, |other: Talk| other.min(talk)));
            }
            request if requests.contains(&request) => {}
            request => requests.push(request),
        }
    }
    if requests.is_empty() {
        requests.push(Request::Talk(weightiest.unwrap_or(Talk::Greeting)));
    }
    requests
}

/// Cuts a text into sentences, and tells of each whether it is a question.
fn sentences<'a>(tokens: &'a [Token], context: &Context<'_>) -> Vec<(&'a [Token], bool)> {
    let ends = |token: &Token| matches!(token.kind, Kind::End | Kind::Question);
    let mut sentences: Vec<(&[Token], bool)> = Vec::new();
    let mut rest = tokens;
    while !rest.is_empty() {
        let mut end = rest.iter().position(ends).unwrap_or(rest.len());
        while rest.get(end).is_some_and(|token| token.kind == Kind::End)
            && goes_on(&rest[end..], context)
        {
            let next = rest[end + 1..].iter().position(ends);
            end = next.map_or(rest.len(), |next| end + 1 + next);
        }
        let (sentence, after) = rest.split_at(end);
        let marks = after.iter().position(|token| !ends(token)).unwrap_or(after.len());
        let is_question = after[..marks].iter().any(|token| token.kind == Kind::Question);
        if !sentence.is_empty() {
            sentences.push((sentence, is_question));
        } else if is_question && let Some(last) = sentences.last_mut() {
            last.1 = true;
        }
        rest = &after[marks..];
    }
    sentences
}

/// Returns whether a sentence's end is none, for only a length or a reason follows: `timeout @bob`,
/// and on the next line `10 minutes`.
fn goes_on(rest: &[Token], context: &Context<'_>) -> bool {
    let ends = |token: &Token| matches!(token.kind, Kind::End | Kind::Question);
    let [end, after @ ..] = rest else { return false };
    let next = after.iter().position(ends).unwrap_or(after.len());
    let next = Clause::new(&after[..next], context);
    let is_line = context.text.get(end.start..end.end) == Some("\n");
    if is_line && next.next_is("for|because|reason|duration|length") {
        return true;
    }
    duration::read(next).is_some_and(|(_, after)| after.is_idle())
}

fn read_sentence(whole: Clause<'_>, is_question: bool, found: &mut Vec<Request>) {
    let mut at = whole;
    let opening = at.take_opening();
    // What is to be said may itself end with `please` or `thanks`.
    if !at.next_is("say|send|post|echo|repeat") {
        at = at.without_tail();
    }
    let talk = Request::Talk(talk::classify(whole, at, opening));
    if opening.is_negated && forbids_what_stands_before(at) {
        withdraw(found);
    }
    if opening.is_negated || at.is_done() {
        found.push(talk);
        return;
    }
    if begins_a_condition(at) {
        let orders = names_an_act(at);
        found.push(if orders { Request::Problem(Problem::Later) } else { talk });
        return;
    }
    let before = found.len();
    loop {
        let is_asked_only = is_question && !opening.is_request;
        if let Some((requests, rest)) = timeouts::read(at).or_else(|| servers::read(at)) {
            if is_asked_only {
                found.push(Request::Problem(Problem::AskedOnly));
            } else {
                found.extend(requests);
            }
            at = rest;
        } else if let Some((requests, rest)) = lookups::read(at) {
            found.extend(requests);
            at = rest;
        } else {
            break;
        }
        at.take_pauses();
        at.take_connectors();
        let opening = at.take_opening();
        if opening.is_negated && (forbids_what_stands_before(at) || !goes_with_an_act(at)) {
            withdraw(&mut found[before..]);
        }
        if at.is_idle() || opening.is_negated {
            return;
        }
    }
    found.push(if found.len() == before {
        talk
    } else {
        Request::Problem(Problem::NotUnderstood(at.text()))
    });
}

/// Leaves no act of what was read.
fn withdraw(found: &mut [Request]) {
    let is_doubted =
        |request: &Request| matches!(request, Request::Problem(Problem::ReasonOrAside(_)));
    let acts = found.iter_mut().filter(|it| it.is_an_act() || is_doubted(it));
    for request in acts {
        *request = Request::Talk(Talk::Refrain);
    }
}

/// Returns whether a negation takes back what it follows: `ban @bob, don't`, `…, no, don't ban him`.
/// `and not @alice` only leaves somebody out.
fn forbids_what_stands_before(at: Clause<'_>) -> bool {
    if at.begins_with_mention() {
        return false;
    }
    let mut behind = at;
    let is_act = behind.take("ban|kick|mute|timeout|warn|do|unban|unmute|delete|pin|lock|give");
    at.is_idle()
        || is_act
            && (behind.is_idle()
                || behind.next_is("him|her|them|it|this|that|anyone|anybody|anything|so"))
}

/// Returns whether a negation behind an act only adds to it: `and not @alice`, `stop spamming`, `don't
/// tell him`.
fn goes_with_an_act(at: Clause<'_>) -> bool {
    at.begins_with_mention() || at.begins_a_command() || aside::is_a_reason(at, false)
}

/// Returns whether a sentence says when or whether something is to be done.
fn begins_a_condition(at: Clause<'_>) -> bool {
    let asks_when = at.after(1).next_is("did|does|was|has|is");
    at.next_is(
        "if|whenever|unless|once|after|before|until|while|suppose|imagine|assuming|assume|\
         whether|although|though|in|next|tomorrow|later|tonight|every|at",
    ) || (at.next_is("when") && !asks_when)
}

fn names_an_act(at: Clause<'_>) -> bool {
    (0..at.tokens().len().min(LOOKED_FOR_ACT)).any(|skipped| {
        timeouts::read(at.after(skipped))
            .is_some_and(|(requests, _)| requests.iter().any(Request::is_an_act))
            || servers::read(at.after(skipped)).is_some()
    })
}

/// Returns whether the author takes back, somewhere in the message, what it says elsewhere.
fn is_taken_back(tokens: &[Token]) -> bool {
    const ANYWHERE: &str = "just kidding|just joking|only joking|only kidding|i'm kidding|i'm joking|\
         im kidding|im joking|jk|j k|nvm|nevermind|never mind|scratch that|forget it|\
         forget that|not really|no wait|i mean|i meant|kidding|wait no|hold on|\
         on second thought|don't do it|do nothing";
    const AFTER_A_PAUSE: &str = "wait|actually|oops|whoops|or not";
    let stands = |at: usize, phrase: &str| {
        phrase.split(' ').enumerate().all(|(index, word)| {
            tokens
                .get(at + index)
                .is_some_and(|token| token.kind == Kind::Word && token.low == word)
        })
    };
    (0..tokens.len()).any(|at| {
        let is_paused = at > 0
            && matches!(
                tokens[at - 1].kind,
                Kind::Pause | Kind::End | Kind::Question | Kind::Colon
            );
        let is_corrected = is_paused
            && stands(at, "sorry")
            && tokens.get(at + 1).is_some_and(|token| token.kind != Kind::End);
        is_corrected
            || ANYWHERE.split('|').any(|phrase| stands(at, phrase))
            || is_paused && AFTER_A_PAUSE.split('|').any(|phrase| stands(at, phrase))
    })
}

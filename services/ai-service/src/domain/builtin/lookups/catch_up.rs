use super::{
    super::{
        clause::Clause,
        duration::{self, Span},
        request::Request,
    },
    One, take_place,
};

/// How many messages are read to sum them up.
const CATCH_UP_LIMIT: u32 = 100;

const OPENINGS: &str = "what did i miss|what have i missed|what i missed|what did we miss|what we missed|\
     what've i missed|whatd i miss|what'd i miss|what have we missed|did i miss anything|\
     did i miss something|have i missed anything|anything new|anything interesting|\
     catch me up on|catch me up|catch up|fill me in on|fill me in|bring me up to speed|\
     get me up to speed|what happened|what's happened|whats happened|what's new|whats new|\
     what is new|what's going on|whats going on|what is going on|what was going on|\
     what's been going on|what was said|what was discussed|what did people say|\
     what did they say|give me a summary of|give me a summary|give me a recap of|\
     give me a recap|give us a summary|give a summary|summary of|summary|summarise|summarize|\
     sum up|recap of|recap|tldr of|tldr|tl dr|digest|read up";

/// What may stand behind an opening and changes nothing.
const IDLE: &str = "while i was away|while i was gone|while i was asleep|when i was away|\
     since i left|since i was gone|since then|so far|overnight|last night|today|here|lately|recently|yesterday|for me|\
     for us|please|this chat|the chat|chat|this channel|the channel|this conversation|\
     the conversation|conversation|the discussion|discussion|everything|it|this|that|all|on|of|\
     the messages|messages|recent|and|me|earlier|in here|important|interesting|what happened|\
     what was said|what i missed|what was going on|what people said|new|what did i miss|\
     what have i missed|from|the|there|to speed|up";

pub(in super::super) fn read_catch_up(mut at: Clause<'_>) -> Option<One<'_>> {
    if !at.take_any(OPENINGS) {
        return None;
    }
    let mut channel = None;
    let mut limit = CATCH_UP_LIMIT;
    let mut window_secs = None;
    loop {
        at.take_pauses();
        if at.is_idle() {
            break;
        }
        if at.take_any(IDLE) {
            continue;
        }
        if let Some((last, after)) = read_last(at) {
            match last {
                Last::Seconds(seconds) => window_secs = Some(seconds),
                Last::Messages(count) => limit = count,
            }
            at = after;
            continue;
        }
        let mut ahead = at;
        ahead.take("in|on|from|of");
        ahead.take("the");
        if let Some(place) = take_place(&mut ahead, at.next_is("in")) {
            channel = Some(place);
            at = ahead;
            continue;
        }
        let mut next = at;
        if next.take_connectors() && next.begins_a_command() {
            break;
        }
        return None;
    }
    Some((Request::CatchUp { channel, limit, window_secs }, at))
}

/// How far back to look.
enum Last {
    Seconds(u64),
    Messages(u32),
}

/// Reads `in the last two hours`, `the last hour`, `the last 20 messages`.
fn read_last(mut at: Clause<'_>) -> Option<(Last, Clause<'_>)> {
    at.take("in|over|during|within|from|for");
    at.take("the");
    if !at.take("last|past|previous|latest") {
        return None;
    }
    if let Some((Span::Seconds(seconds), after)) = duration::read(at) {
        return Some((Last::Seconds(seconds), after));
    }
    let word = at.word()?;
    at.skip(1);
    let seconds = match word {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        "week" => 604_800,
        _ => {
            let count = word.parse::<u32>().ok()?.clamp(1, CATCH_UP_LIMIT);
            at.take("messages|message|posts|msgs");
            return Some((Last::Messages(count), at));
        }
    };
    Some((Last::Seconds(seconds), at))
}

use super::super::{
    clause::Clause,
    request::{Problem, Request, Target},
    timeouts::Read,
};

/// Openings that ask for a member by themselves.
const ASKS_FOR_MEMBER: &str = "who is|who's|whos|whois|who are|tell me something about|tell me more about|\
     tell me everything about|tell me all about|tell me about|tell us about|\
     what do you know about|what can you tell me about|what do we know about|\
     show me info on|show me info about|show info on|show info about|give me info on|\
     give me info about|give me information on|give me information about|get info on|\
     get info about|get me info on|get me info about|info on|info about|info for|info of|\
     information on|information about|member info for|user info for|member info|user info|\
     userinfo|memberinfo|profile of|details on|details about|look up the member|\
     look up the user|look up member|look up user|look up|lookup|show me the profile of|\
     show the profile of|check on|check the profile of";

/// Openings that ask for a member together with what follows his name.
const MAY_ASK_FOR_MEMBER: &str = "when did|how long has|what roles does|which roles does|what role does|show me|show|\
     get me|get|is|has|what are|what is|what's|check";

/// What can follow a name there.
const MEMBER_DETAILS: &str = "info|information|profile|details|roles|role|join date|join|joined|been here|\
     been a member|been around|have|has|timed out|timed-out|muted|in timeout|\
     been timed out|been muted";

/// What people ask `who is …` for without meaning a member's name.
const NO_MEMBER: &str = "online|offline|winning|right|wrong|there|up|ready|playing|awake|speaking|talking|next|\
     first|best|in|admin|mod|owner|coming|around|everyone|who|good|better|responsible|your|\
     my|our|you";

pub(super) fn read_info(mut at: Clause<'_>) -> Option<Read<'_>> {
    if at.take_any(
        "who am i|my info|my profile|show me my info|show my info|show me my profile|\
         tell me about me|tell me about myself|what are my roles|what roles do i have",
    ) {
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
        if !ahead.take_connectors() || ahead.is_idle() || ahead.begins_a_command() {
            break;
        }
        at = ahead;
    }
    let has_detail = at.take_any(MEMBER_DETAILS);
    at.take_any("the server|this server|here|right now|now|again");
    let mut next = at;
    let goes_on = next.take_connectors() && next.begins_a_command();
    if !(asks || has_detail) || !(at.is_idle() || goes_on) {
        return None;
    }
    let requests = members.into_iter().map(|member| Request::MemberInfo { member }).collect();
    Some((requests, at))
}

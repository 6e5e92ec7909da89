//! Which messages are for Ery. What the gate turns away counts as a thread that ended there.

use std::time::Duration;

use twilight_model::id::{
    Id,
    marker::{RoleMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_community_config::{Config, Engage};

use crate::domain::{channel::ChannelState, message::Message};

/// Discord's message types that people write: ordinary ones, and replies.
const WRITTEN: [u32; 2] = [0, 19];

/// Words that may stand between the start of a message and Ery's name.
const GREETINGS: [&str; 10] =
    ["hey", "hi", "hello", "ok", "okay", "yo", "dear", "thanks", "please", "so"];

/// What the gate goes by, for one author in one channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct GateRules {
    pub(crate) is_paused: bool,
    /// The author wants no answer, whatever they write.
    pub(crate) ignores_author: bool,
    pub(crate) engage: Engage,
    pub(crate) answers_bots: bool,
    /// In lower case.
    pub(crate) names: Vec<String>,
    pub(crate) member_cooldown: Duration,
    pub(crate) channel_cooldown: Duration,
}

impl GateRules {
    /// Returns what holds for an author with these roles.
    pub(crate) fn of(config: &Config, roles: &[Id<RoleMarker>]) -> Self {
        let gate = &config.gate;
        let by_role = roles.iter().filter_map(|role| gate.roles.get(role)).min();
        Self {
            is_paused: config.paused,
            ignores_author: gate.ignore_me,
            engage: by_role.copied().unwrap_or(gate.engage),
            answers_bots: gate.answer_bots,
            names: gate.names.iter().map(|name| name.to_lowercase()).collect(),
            member_cooldown: gate.member_cooldown.0,
            channel_cooldown: gate.channel_cooldown.0,
        }
    }
}

/// Why a message is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    Own,
    System,
    Automated,
    Paused,
    Ignored,
    Off,
    Listening,
    NotAddressed,
    Cooldown,
    BotLoop,
}

impl Reason {
    /// Returns whether what is set decides it.
    pub(crate) fn is_by_config(self) -> bool {
        match self {
            Self::Automated | Self::Paused | Self::Ignored | Self::Off | Self::Listening => true,
            Self::Own | Self::System | Self::NotAddressed | Self::Cooldown | Self::BotLoop => false,
        }
    }

    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::System => "system",
            Self::Automated => "automated",
            Self::Paused => "paused",
            Self::Ignored => "ignored",
            Self::Off => "off",
            Self::Listening => "listening",
            Self::NotAddressed => "not_addressed",
            Self::Cooldown => "cooldown",
            Self::BotLoop => "bot_loop",
        }
    }
}

/// How a message that is not turned away stands to Ery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    /// It is addressed to her.
    Addressed,
    /// It is not, but every message is answered here.
    Ambient,
    /// It is not, and counts only in an open exchange.
    OnlyInExchange,
    /// It was let through before, and is tried again because its thread had failed.
    Retried,
}

/// The gate's first answer, from the message and the config alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    No(Reason),
    Perhaps(Call),
}

/// Judges a message by itself. `bot_roles` are the roles of Ery in the guild, as far as known.
pub(crate) fn first(
    message: &Message,
    bot: Id<UserMarker>,
    bot_roles: &[Id<RoleMarker>],
    rules: &GateRules,
) -> First {
    if message.is_own {
        return First::No(Reason::Own);
    }
    if !WRITTEN.contains(&message.kind) {
        return First::No(Reason::System);
    }
    if message.is_automated && !rules.answers_bots {
        return First::No(Reason::Automated);
    }
    if rules.is_paused {
        return First::No(Reason::Paused);
    }
    if rules.ignores_author {
        return First::No(Reason::Ignored);
    }
    let unaddressed = match rules.engage {
        Engage::Off => return First::No(Reason::Off),
        Engage::Listen => return First::No(Reason::Listening),
        Engage::EveryMessage => Call::Ambient,
        Engage::Addressed => Call::OnlyInExchange,
    };
    let is_addressed = is_addressed(message, bot, bot_roles, rules);
    First::Perhaps(if is_addressed { Call::Addressed } else { unaddressed })
}

/// Judges a prompt whose time has come, by what holds for whoever had it planned. Whether Ery is paused
/// the tool-service says, as of every planned act.
pub(crate) fn of_planned(rules: &GateRules) -> Result<(), Reason> {
    match rules.engage {
        Engage::Off => Err(Reason::Off),
        Engage::Listen => Err(Reason::Listening),
        Engage::Addressed | Engage::EveryMessage if rules.ignores_author => Err(Reason::Ignored),
        Engage::Addressed | Engage::EveryMessage => Ok(()),
    }
}

/// Returns whether a message speaks to Ery.
pub(crate) fn is_addressed(
    message: &Message,
    bot: Id<UserMarker>,
    bot_roles: &[Id<RoleMarker>],
    rules: &GateRules,
) -> bool {
    message.channel.guild().is_none()
        || message.reply_to_author == Some(bot)
        || message.mentions.iter().any(|mention| mention.user == bot)
        || message.mentioned_roles.iter().any(|role| bot_roles.contains(role))
        || rules.names.iter().any(|name| is_called(&message.content, name))
}

/// Judges a message that waits, by the channel's state; its holder asks in order.
///
/// `is_called_here` says that its author addressed Ery in the same turn already.
pub(crate) fn second(
    message: &Message,
    call: Call,
    bot: Id<UserMarker>,
    is_called_here: bool,
    state: &ChannelState,
    rules: &GateRules,
    now: UnixMillis,
) -> Result<(), Reason> {
    let is_for_her = match call {
        // Neither an exchange that is over nor a pause may lose it now.
        Call::Retried => return Ok(()),
        Call::Addressed | Call::Ambient => true,
        Call::OnlyInExchange => {
            let is_open = is_called_here || state.is_in_exchange(message.author, now);
            is_open && !is_to_another(message, bot)
        }
    };
    if !is_for_her {
        return Err(Reason::NotAddressed);
    }
    if message.is_automated && state.is_looping(now) {
        return Err(Reason::BotLoop);
    }
    let is_within =
        |answered: Option<UnixMillis>, pause: Duration| answered.is_some_and(|at| now < at + pause);
    let waits_for_channel = call != Call::Addressed
        && is_within(state.last_answer_to_anybody(), rules.channel_cooldown);
    if waits_for_channel || is_within(state.last_answer(message.author), rules.member_cooldown) {
        return Err(Reason::Cooldown);
    }
    Ok(())
}

/// Returns whether a message speaks to somebody else than Ery.
fn is_to_another(message: &Message, bot: Id<UserMarker>) -> bool {
    let other = |user: Id<UserMarker>| user != bot && user != message.author;
    message.reply_to_author.is_some_and(other)
        || message.mentions.iter().any(|mention| other(mention.user))
}

/// Returns whether `content` starts with `name`, or with a greeting and `name`.
fn is_called(content: &str, name: &str) -> bool {
    if content.starts_with('>') {
        // A quotation starts with somebody else's words.
        return false;
    }
    let start = content.trim_start_matches(|character: char| !character.is_alphanumeric());
    if starts_with_name(start, name) {
        return true;
    }
    let greeting_ends =
        start.find(|character: char| !character.is_alphanumeric()).unwrap_or(start.len());
    let (greeting, rest) = start.split_at(greeting_ends);
    GREETINGS.contains(&greeting.to_lowercase().as_str())
        && starts_with_name(
            rest.trim_start_matches(|character: char| {
                character.is_whitespace() || [',', '!', '@', '*', '_'].contains(&character)
            }),
            name,
        )
}

fn starts_with_name(text: &str, name: &str) -> bool {
    let mut rest = text.chars();
    let is_there = name.chars().all(|wanted| {
        rest.next().is_some_and(|given| given == wanted || given.to_lowercase().eq([wanted]))
    });
    if !is_there {
        return false;
    }
    let mut rest = rest.as_str().chars();
    match rest.next() {
        None => true,
        // "Ery's answer" speaks of her, not to her.
        Some('\'' | '’') => rest.next().is_none_or(|next| !next.eq_ignore_ascii_case(&'s')),
        Some(next) => !next.is_alphanumeric() && next != '_' && next != '-',
    }
}

#[cfg(test)]
mod tests {
    use ery_enclosures::{Enclosure, EnclosureKind};

    use super::*;
    use crate::domain::{
        fixtures::{ANN, BEN, BOT, message, message_in_dm},
        message::Mention,
    };

    fn rules() -> GateRules {
        GateRules { names: vec!["ery".to_owned()], ..GateRules::default() }
    }

    fn judge(message: &Message) -> First {
        first(message, BOT, &[], &rules())
    }

    fn mention(user: Id<UserMarker>) -> Mention {
        Mention { user, name: String::new() }
    }

    #[test]
    fn what_can_never_be_for_her_is_turned_away() {
        let mut own = message(1, BOT, "ery");
        own.is_own = true;
        assert_eq!(judge(&own), First::No(Reason::Own));

        let mut joined = message(1, ANN, "");
        joined.kind = 7;
        assert_eq!(judge(&joined), First::No(Reason::System));

        let mut bot = message(1, ANN, "ery, hi");
        bot.is_automated = true;
        assert_eq!(judge(&bot), First::No(Reason::Automated));
        let rules = GateRules { answers_bots: true, ..rules() };
        assert_eq!(first(&bot, BOT, &[], &rules), First::Perhaps(Call::Addressed));
    }

    #[test]
    fn the_mode_decides_for_all() {
        let called = message(1, ANN, "ery, hi");
        let other = message(1, ANN, "hi all");
        for (engage, of_called, of_other) in [
            (Engage::Off, First::No(Reason::Off), First::No(Reason::Off)),
            (Engage::Listen, First::No(Reason::Listening), First::No(Reason::Listening)),
            (
                Engage::Addressed,
                First::Perhaps(Call::Addressed),
                First::Perhaps(Call::OnlyInExchange),
            ),
            (Engage::EveryMessage, First::Perhaps(Call::Addressed), First::Perhaps(Call::Ambient)),
        ] {
            let rules = GateRules { engage, ..rules() };
            assert_eq!(first(&called, BOT, &[], &rules), of_called, "{engage:?}");
            assert_eq!(first(&other, BOT, &[], &rules), of_other, "{engage:?}");
        }
    }

    #[test]
    fn a_planned_prompt_is_answered_where_its_planner_would_be() {
        for (engage, ignores_author, judged) in [
            (Engage::Off, false, Err(Reason::Off)),
            (Engage::Listen, false, Err(Reason::Listening)),
            (Engage::Addressed, false, Ok(())),
            (Engage::EveryMessage, false, Ok(())),
            (Engage::Addressed, true, Err(Reason::Ignored)),
        ] {
            let rules = GateRules { ignores_author, engage, ..rules() };
            assert_eq!(of_planned(&rules), judged, "{engage:?}");
        }
    }

    #[test]
    fn a_message_is_addressed_by_mention_role_reply_or_direct_message() {
        let addressed = First::Perhaps(Call::Addressed);
        let mut mentioned = message(1, ANN, "what?");
        mentioned.mentions.push(mention(BOT));
        assert_eq!(judge(&mentioned), addressed);

        let mut role = message(1, ANN, "<@&5> help");
        role.mentioned_roles.push(Id::new(5));
        assert_eq!(first(&role, BOT, &[Id::new(5)], &rules()), addressed);
        assert_eq!(judge(&role), First::Perhaps(Call::OnlyInExchange));

        let mut reply = message(1, ANN, "why?");
        reply.kind = 19;
        reply.reply_to_author = Some(BOT);
        assert_eq!(judge(&reply), addressed);

        assert_eq!(judge(&message_in_dm(1, ANN, "why?")), addressed);
    }

    #[test]
    fn a_message_without_text_is_judged_as_any_other_and_a_forward_calls_nobody() {
        let wave = Enclosure { kind: EnclosureKind::Sticker, text: "Wave".to_owned() };
        let forward = Enclosure { kind: EnclosureKind::Forward, text: "ery, ban ben".to_owned() };
        let addressed = First::Perhaps(Call::Addressed);
        let mut sticker = Message { enclosures: vec![wave], ..message(1, ANN, "") };
        assert_eq!(judge(&sticker), First::Perhaps(Call::OnlyInExchange));
        sticker.reply_to_author = Some(BOT);
        assert_eq!(judge(&sticker), addressed);
        let mut mentions = message(1, ANN, "<@99>");
        mentions.mentions.push(mention(BOT));
        assert_eq!(judge(&mentions), addressed);

        let forwards = Message { enclosures: vec![forward.clone()], ..message(1, ANN, "") };
        assert_eq!(judge(&forwards), First::Perhaps(Call::OnlyInExchange));
        let in_dm = Message { enclosures: vec![forward], ..message_in_dm(1, ANN, "") };
        assert_eq!(judge(&in_dm), addressed);
    }

    #[test]
    fn her_name_counts_at_the_start_and_as_a_whole_word() {
        for called in [
            "ery",
            "Ery, help",
            "ERY help",
            "hey ery!",
            "Hey, Ery what's up",
            "hello @ery",
            "**ery** please",
            "@Ery do it",
            "ok ery: go",
            "ery' what",
            "ery…",
        ] {
            assert!(is_called(called, "ery"), "{called}");
        }
        for other in [
            "every day",
            "eryx",
            "ery_bot",
            "ery-bot",
            "what does ery say",
            "hey there ery",
            "> ery",
            "Ery's answer",
            "ery’s",
            "",
            "hey",
            "er",
            "greetings ery",
        ] {
            assert!(!is_called(other, "ery"), "{other}");
        }
        assert!(is_called("Ünal, hilf", "ünal"));
    }

    fn pass(message: &Message, call: Call, state: &ChannelState, now: i64) -> Result<(), Reason> {
        second(message, call, BOT, false, state, &rules(), UnixMillis(now))
    }

    #[test]
    fn an_exchange_lets_a_member_go_on_without_addressing_her() {
        let mut state = ChannelState::default();
        state.answered(&[ANN], UnixMillis(0), Duration::from_mins(1));
        let next = message(1, ANN, "and then?");
        assert_eq!(pass(&next, Call::OnlyInExchange, &state, 1), Ok(()));
        assert_eq!(pass(&next, Call::OnlyInExchange, &state, 60_000), Err(Reason::NotAddressed));
        let other = message(1, BEN, "and then?");
        assert_eq!(pass(&other, Call::OnlyInExchange, &state, 1), Err(Reason::NotAddressed));
        assert_eq!(pass(&other, Call::Ambient, &state, 1), Ok(()));
        assert_eq!(pass(&other, Call::Addressed, &state, 1), Ok(()));
    }

    #[test]
    fn in_an_exchange_what_is_said_to_another_is_not_for_her() {
        let mut state = ChannelState::default();
        state.answered(&[ANN], UnixMillis(0), Duration::from_mins(1));
        let mut reply = message(1, ANN, "yes");
        reply.reply_to_author = Some(BEN);
        assert_eq!(pass(&reply, Call::OnlyInExchange, &state, 1), Err(Reason::NotAddressed));
        let mut mentioned = message(1, ANN, "yes");
        mentioned.mentions.push(mention(BEN));
        assert_eq!(pass(&mentioned, Call::OnlyInExchange, &state, 1), Err(Reason::NotAddressed));
        assert_eq!(pass(&mentioned, Call::Addressed, &state, 1), Ok(()));
    }

    #[test]
    fn who_called_her_in_the_same_turn_need_not_do_so_again() {
        let next = message(2, ANN, "with my code");
        let state = ChannelState::default();
        let judged =
            second(&next, Call::OnlyInExchange, BOT, true, &state, &rules(), UnixMillis(0));
        assert_eq!(judged, Ok(()));
    }

    #[test]
    fn bots_that_go_on_and_on_are_answered_no_more_and_people_are() {
        let mut state = ChannelState::default();
        for _ in 0..50 {
            state.answered_bots(true, UnixMillis(0));
        }
        let mut bot = message(1, ANN, "ery, and then?");
        bot.is_automated = true;
        assert_eq!(pass(&bot, Call::Addressed, &state, 1), Err(Reason::BotLoop));
        let person = message(1, ANN, "ery, and then?");
        assert_eq!(pass(&person, Call::Addressed, &state, 1), Ok(()));
    }

    #[test]
    fn a_cooldown_turns_even_addressed_messages_away() {
        let mut state = ChannelState::default();
        state.answered(&[ANN], UnixMillis(0), Duration::from_mins(1));
        let rules = GateRules { member_cooldown: Duration::from_secs(10), ..rules() };
        let called = message(1, ANN, "ery");
        let judge =
            |now| second(&called, Call::Addressed, BOT, false, &state, &rules, UnixMillis(now));
        assert_eq!(judge(9_999), Err(Reason::Cooldown));
        assert_eq!(judge(10_000), Ok(()));
    }

    #[test]
    fn a_channels_pause_holds_for_what_is_not_addressed() {
        let mut state = ChannelState::default();
        state.answered(&[ANN], UnixMillis(0), Duration::from_mins(1));
        let rules = GateRules { channel_cooldown: Duration::from_secs(10), ..rules() };
        let said = message(1, BEN, "hm");
        let judge = |call, now| second(&said, call, BOT, false, &state, &rules, UnixMillis(now));
        assert_eq!(judge(Call::Ambient, 9_999), Err(Reason::Cooldown));
        assert_eq!(judge(Call::Ambient, 10_000), Ok(()));
        assert_eq!(judge(Call::Addressed, 1), Ok(()));
    }

    #[test]
    fn of_several_roles_the_one_that_lets_the_least_through_counts() {
        let mut config = Config::default();
        let roles = &mut config.gate.roles;
        roles.insert(Id::new(1), Engage::EveryMessage);
        roles.insert(Id::new(2), Engage::Off);
        let engage = |roles: &[u64]| {
            let roles: Vec<_> = roles.iter().copied().map(Id::new).collect();
            GateRules::of(&config, &roles).engage
        };
        assert_eq!(engage(&[]), Engage::Addressed);
        assert_eq!(engage(&[1, 9]), Engage::EveryMessage);
        assert_eq!(engage(&[1, 2]), Engage::Off);
    }

    #[test]
    fn whoever_wants_no_answer_gets_none_and_nobody_while_she_is_paused() {
        let called = message(1, ANN, "ery, hi");
        let judge = |rules: GateRules| first(&called, BOT, &[], &rules);
        let ignoring = GateRules { ignores_author: true, ..rules() };
        assert_eq!(judge(ignoring.clone()), First::No(Reason::Ignored));
        assert_eq!(judge(GateRules { is_paused: true, ..ignoring }), First::No(Reason::Paused));
    }

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: std::collections::HashSet<_> = [
            Reason::Own,
            Reason::System,
            Reason::Automated,
            Reason::Paused,
            Reason::Ignored,
            Reason::Off,
            Reason::Listening,
            Reason::NotAddressed,
            Reason::Cooldown,
        ]
        .map(Reason::as_word)
        .into();
        assert_eq!(words.len(), 9);
    }
}

use super::*;
use crate::domain::{
    guild::Overwrite,
    testing::{self, *},
    tool::{AlsoIn, Owned, RetryClass},
};

const VIEW: Permissions = Permissions::VIEW_CHANNEL;
const SEND: Permissions = Permissions::SEND_MESSAGES;
const SEND_IN_THREADS: Permissions = Permissions::SEND_MESSAGES_IN_THREADS;
const HISTORY: Permissions = Permissions::READ_MESSAGE_HISTORY;
const REACT: Permissions = Permissions::ADD_REACTIONS;
const FOREIGN: Permissions = Permissions::USE_EXTERNAL_EMOJIS;
const MODERATE: Permissions = Permissions::MODERATE_MEMBERS;

pub(super) static READ: Spec = spec("read", Tier::Read, true);
pub(super) static HARMLESS: Spec = spec("harmless", Tier::Harmless, true);
pub(super) static REVERSIBLE: Spec = spec("reversible", Tier::Reversible, false);
pub(super) static DESTRUCTIVE: Spec = spec("destructive", Tier::Destructive, false);

const fn spec(name: &'static str, tier: Tier, works_in_dm: bool) -> Spec {
    Spec { name, description: "", tier, retry: RetryClass::Safe, works_in_dm }
}

fn send(channel: u64) -> Needs {
    in_channel(channel, VIEW | SEND, Reads::Nothing)
}

fn react(channel: u64) -> Needs {
    in_channel(channel, VIEW | HISTORY | REACT, Reads::Nothing)
}

fn fetch(channel: u64) -> Needs {
    in_channel(channel, VIEW | HISTORY, Reads::Channels(vec![Id::new(channel)]))
}

fn in_channel(channel: u64, needed: Permissions, reads: Reads) -> Needs {
    Needs { reads, ..Needs::in_channel(Id::new(channel), needed) }
}

fn search() -> Needs {
    let reads = Reads::WhatMayBeRead { at_most: 500 };
    Needs { reads, ..Needs::in_guild(Permissions::empty()) }
}

pub(super) fn on(user: u64, act: SubjectAct) -> Needs {
    let needed = if act == SubjectAct::Look { Permissions::empty() } else { MODERATE };
    Needs { subjects: vec![Subject { user: Id::new(user), act }], ..Needs::in_guild(needed) }
}

pub(super) fn call<'a>(
    tool: &'static Spec,
    needs: &'a Needs,
    principal: Option<&'a Principal>,
    here: u64,
) -> Call<'a> {
    Call {
        tool,
        tier: tool.tier,
        needs,
        principal,
        askers: &[],
        here: Id::new(here),
        is_tainted: false,
        is_ordered: false,
        is_answer: false,
        confirmed: None,
        inner: None,
    }
}

/// One letter for each way in which a decision can end.
pub(super) fn letter(decision: &Decision) -> char {
    let reason = match decision {
        Decision::Allow { .. } => return '+',
        Decision::NeedsApproval(_) => return 'w',
        Decision::Deny(reason) => reason,
    };
    match reason {
        Reason::Lacks { who: Who::Ery, .. } => 'B',
        Reason::Lacks { .. } => 'p',
        Reason::RankTooLow { who: Who::Ery } => 'b',
        Reason::RankTooLow { .. } => 'r',
        Reason::TargetIsOwner => 'o',
        Reason::TargetIsAdministrator => 'a',
        Reason::TargetNeedsAdministrator => 'A',
        Reason::NoSuchRole => 'N',
        Reason::RoleIsEveryone => 'y',
        Reason::RoleIsManaged => 'm',
        Reason::RankBelowRole { who: Who::Ery } => 'u',
        Reason::RankBelowRole { .. } => 'q',
        Reason::CannotGrant { who: Who::Ery, .. } => 'G',
        Reason::CannotGrant { .. } => 'g',
        Reason::OnlyAdministrators { who: Who::Ery, .. } => 'Z',
        Reason::OnlyAdministrators { .. } => 'z',
        Reason::TargetIsSelf => 's',
        Reason::TargetIsEry => 'e',
        Reason::TargetNotMember => 'n',
        Reason::AskerNotMember { .. } => 'x',
        Reason::NobodyAsked => 'k',
        Reason::AskerTimedOut { .. } => 't',
        Reason::WouldLeak { .. } => 'l',
        Reason::OtherPlace => 'c',
        Reason::WouldCarry { .. } => 'C',
        Reason::NotForAll { .. } => 'f',
        Reason::OfTarget { because, .. } => {
            letter(&Decision::Deny((**because).clone())).to_ascii_uppercase()
        }
        Reason::TargetIsBot => 'v',
        Reason::NotInDm { .. } => 'd',
        Reason::SharedTurn => 'h',
        Reason::Disabled { .. } => 'D',
        Reason::NothingToRead => '0',
        Reason::EryNotMember => 'E',
        Reason::ExpiryOnlyLifts => 'L',
        Reason::UnknownTool
        | Reason::NotOffered { .. }
        | Reason::NotApproved
        | Reason::NotPlanned
        | Reason::ToldBefore { .. }
        | Reason::NoCredential
        | Reason::CredentialPlace
        | Reason::TooLongToShow
        | Reason::NeedsClick
        | Reason::Paused
        | Reason::DryRun { .. }
        | Reason::OrderUsed
        | Reason::SlowMode { .. }
        | Reason::TooManyActs { .. }
        | Reason::NeedsOrder { .. } => '?',
    }
}

pub(super) fn ends(call: &Call<'_>, state: Option<&GuildState>) -> char {
    letter(&decide(call, state, &Policy::default(), NOW))
}

pub(super) fn person(user: u64) -> Principal {
    Principal::Person(Id::new(user))
}

/// Asker by target: 100 pairs, each as a sanction and as its end, ordered and not.
#[test]
fn moderation_follows_rights_and_the_order_of_roles() {
    let targets = [OWNER, ADMIN, CHIEF, MOD, HELPER, ANN, NOROLE, OTHER_BOT, ERY, STRANGER];
    let table = [
        (OWNER, "sab+++++en"),
        (ADMIN, "osb+++++en"),
        (CHIEF, "oas+++++en"),
        (MOD, "oars++++en"),
        (HELPER, "pppppppppp"),
        (ANN, "pppppppppp"),
        (NOROLE, "pppppppppp"),
        (OTHER_BOT, "kkkkkkkkkk"),
        (ERY, "kkkkkkkkkk"),
        (STRANGER, "xxxxxxxxxx"),
    ];
    let state = testing::guild().state();
    let mut rows = 0;
    for (asker, expected) in table {
        for (target, expected) in targets.into_iter().zip(expected.chars()) {
            for act in [SubjectAct::Sanction, SubjectAct::Lift] {
                let (needs, principal) = (on(target, act), person(asker));
                let plain = call(&REVERSIBLE, &needs, Some(&principal), GENERAL);
                let ordered = Call { is_ordered: true, ..plain.clone() };
                assert_eq!(ends(&ordered, Some(&state)), expected, "{asker} on {target}, ordered");
                let waits = if expected == '+' { 'w' } else { expected };
                assert_eq!(ends(&plain, Some(&state)), waits, "{asker} on {target}, not ordered");
                rows += 2;
            }
        }
    }
    assert_eq!(rows, 400);
}

/// Whose it is by who asks: 5 by 6, each ordered and not.
#[test]
fn what_is_anothers_needs_more_rights() {
    let manage = Permissions::MANAGE_MESSAGES;
    let owners = [Some(ANN), Some(BOB), Some(MOD), Some(ERY), None];
    let table = [
        (OWNER, "+++++"),
        (ADMIN, "+++++"),
        (MOD, "pp+pp"),
        (HELPER, "+++++"),
        (ANN, "+pppp"),
        (STRANGER, "xxxxx"),
    ];
    let mut guild = testing::guild();
    guild.role(HELPERS).permissions = manage;
    let without = guild.snapshot();
    guild.role(ERYS).permissions |= manage;
    let state = guild.state();
    for (asker, expected) in table {
        for (owner, expected) in owners.into_iter().zip(expected.chars()) {
            let by = owner.map(Id::new);
            let own_tier = Some(Tier::Harmless);
            let owned = Some(Owned { by, others: manage, bot: manage, own_tier, is_plan: false });
            let needs = Needs { owned, ..in_channel(GENERAL, VIEW, Reads::Nothing) };
            let principal = person(asker);
            let tier = needs.tier_for(&[Id::new(asker)], Tier::Reversible);
            let is_own = owner == Some(asker);
            assert_eq!(tier == Tier::Harmless, is_own, "{asker} on {owner:?}");
            let plain = Call { tier, ..call(&REVERSIBLE, &needs, Some(&principal), GENERAL) };
            let ordered = Call { is_ordered: true, ..plain.clone() };
            assert_eq!(ends(&ordered, Some(&state)), expected, "{asker} on {owner:?}");
            let waits = if expected == '+' && !is_own { 'w' } else { expected };
            assert_eq!(ends(&plain, Some(&state)), waits, "{asker} on {owner:?}, not ordered");
            // Ery needs it as well, but for what is hers.
            let expected = if expected == '+' && owner != Some(ERY) { 'B' } else { expected };
            assert_eq!(ends(&ordered, Some(&without)), expected, "{asker} on {owner:?} without");
        }
    }
    let shared = Needs {
        owned: Some(Owned {
            by: Some(Id::new(ANN)),
            others: manage,
            bot: manage,
            own_tier: Some(Tier::Harmless),
            is_plan: false,
        }),
        ..in_channel(GENERAL, VIEW, Reads::Nothing)
    };
    let people = [Id::new(ANN), Id::new(BOB)];
    assert_eq!(shared.tier_for(&people, Tier::Reversible), Tier::Reversible);
}

#[test]
fn words_reach_another_channel_if_its_readers_can_read_here_or_on_an_order() {
    let state = testing::guild().state();
    for (here, to, expected) in [
        (GENERAL, LOUNGE, 'w'),
        (GENERAL, STAFFROOM, 'w'),
        (STAFFROOM, GENERAL, 'C'),
        (STAFFROOM, STAFFROOM, 'w'),
        (PRIVATE, GENERAL, 'C'),
    ] {
        let needs = Needs { tells: Some(Id::new(to)), ..send(to) };
        let principal = person(MOD);
        let plain = call(&REVERSIBLE, &needs, Some(&principal), here);
        assert_eq!(ends(&plain, Some(&state)), expected, "{here} to {to}");
        let ordered = Call { is_ordered: true, ..plain };
        assert_eq!(ends(&ordered, Some(&state)), '+', "{here} to {to}, ordered");
    }
    let needs = send(LOUNGE);
    let answer = Call { is_answer: true, ..call(&HARMLESS, &needs, None, GENERAL) };
    assert_eq!(ends(&answer, Some(&state)), 'c', "an answer stays where it was asked for");
}

#[test]
fn what_is_known_is_told_to_whom_it_may_be_and_where() {
    let state = testing::guild().state();
    let about = |channel| in_channel(channel, VIEW, Reads::About(Id::new(channel)));
    let log = Needs { reads: Reads::ForHolders(MODERATE), ..Needs::in_guild(MODERATE) };
    for (asker, here, needs, expected) in [
        (Some(ANN), GENERAL, about(LOUNGE), '+'),
        (Some(ANN), GENERAL, about(STAFFROOM), 'c'),
        (Some(MOD), GENERAL, about(STAFFROOM), 'l'),
        (Some(MOD), STAFFROOM, about(STAFFROOM), '+'),
        (Some(MOD), GENERAL, about(777), 'c'),
        (None, GENERAL, about(LOUNGE), '+'),
        (None, GENERAL, about(STAFFROOM), 'c'),
        (Some(ANN), GENERAL, log.clone(), 'p'),
        (Some(MOD), GENERAL, log.clone(), 'f'),
        (Some(MOD), STAFFROOM, log.clone(), '+'),
        (None, STAFFROOM, log, 'p'),
        (None, GENERAL, Needs { is_for_members: true, ..search() }, 'k'),
    ] {
        let principal = asker.map(person);
        let call = call(&READ, &needs, principal.as_ref(), here);
        assert_eq!(ends(&call, Some(&state)), expected, "{asker:?} in {here}: {needs:?}");
    }
    let all = Needs { reads: Reads::AboutAll, ..Needs::in_guild(Permissions::empty()) };
    let principal = person(MOD);
    let known = |here| {
        let call = call(&READ, &all, Some(&principal), here);
        match decide(&call, Some(&state), &Policy::default(), NOW) {
            Decision::Allow { reads } => reads.contains(&Id::new(STAFFROOM)),
            other => panic!("{other:?}"),
        }
    };
    assert!(known(STAFFROOM) && !known(GENERAL));
}

#[test]
fn a_right_may_be_needed_in_a_second_place_too() {
    let mut guild = testing::guild();
    guild.channel(STAFFROOM).overwrites = vec![deny_role(MODS, MODERATE)].into();
    let state = guild.state();
    for (also_in, expected) in
        [(None, '+'), (Some(LOUNGE), '+'), (Some(STAFFROOM), 'p'), (Some(777), 'c')]
    {
        let also_in: Vec<_> =
            also_in.map(|id| AlsoIn::both(Id::new(id), MODERATE)).into_iter().collect();
        let needs = Needs { also_in, ..Needs::in_guild(MODERATE) };
        let principal = person(MOD);
        let call =
            Call { is_ordered: true, ..call(&DESTRUCTIVE, &needs, Some(&principal), GENERAL) };
        assert_eq!(ends(&call, Some(&state)), expected, "{:?}", needs.also_in);
    }
}

#[test]
fn only_members_who_are_no_bots_are_spoken_to_in_private() {
    let state = testing::guild().state();
    for (user, expected) in
        [(ANN, '+'), (OWNER, '+'), (ADMIN, '+'), (OTHER_BOT, 'v'), (ERY, 'e'), (STRANGER, 'n')]
    {
        let subjects = vec![Subject { user: Id::new(user), act: SubjectAct::Address }];
        let needs = Needs { subjects, ..Needs::in_guild(Permissions::empty()) };
        let principal = person(MOD);
        let call =
            Call { is_ordered: true, ..call(&DESTRUCTIVE, &needs, Some(&principal), GENERAL) };
        assert_eq!(ends(&call, Some(&state)), expected, "{user}");
    }
}

/// Asker by channel for each tool that acts in one: 12 by 6 by 3.
#[test]
fn what_is_done_in_a_channel_needs_its_rights_there() {
    let channels = [GENERAL, THREAD, PRIVATE, VOICE, STAFFROOM, LOUNGE];
    let table = [
        // Here is the channel itself, so nothing leaks.
        (OWNER, "++++++"),
        (ADMIN, "++++++"),
        (CHIEF, "++++++"),
        (MOD, "++++++"),
        (HELPER, "++++p+"),
        (ANN, "++++p+"),
        (NOROLE, "++++p+"),
        (STRANGER, "xxxxxx"),
    ];
    let state = testing::guild().state();
    for (asker, expected) in table {
        for (channel, expected) in channels.into_iter().zip(expected.chars()) {
            let principal = person(asker);
            for (tool, needs) in
                [(&HARMLESS, send(channel)), (&HARMLESS, react(channel)), (&READ, fetch(channel))]
            {
                let call = call(tool, &needs, Some(&principal), channel);
                assert_eq!(ends(&call, Some(&state)), expected, "{asker} in {channel}");
            }
        }
    }
}

/// Each right taken away from the asker or from Ery, in the channel and in its thread.
#[test]
fn each_missing_right_is_noticed_and_named() {
    type Row = (&'static str, fn(u64) -> Needs, u64, Permissions, Option<&'static str>);
    let foreign: fn(u64) -> Needs =
        |channel| in_channel(channel, VIEW | HISTORY | REACT | FOREIGN, Reads::Nothing);
    let rows: [Row; 22] = [
        ("send", send, GENERAL, SEND, Some("“Send messages” (SEND_MESSAGES) in #general")),
        ("send", send, GENERAL, VIEW, Some("“View channel” (VIEW_CHANNEL) in <#200>")),
        ("send", send, GENERAL, HISTORY, None),
        ("send", send, GENERAL, REACT, None),
        ("send", send, GENERAL, SEND_IN_THREADS, None),
        ("send", send, THREAD, SEND, None),
        (
            "send",
            send,
            THREAD,
            SEND_IN_THREADS,
            Some("“Send messages in threads” (SEND_MESSAGES_IN_THREADS) in #thread"),
        ),
        ("send", send, THREAD, VIEW, Some("VIEW_CHANNEL")),
        ("send", send, VOICE, Permissions::CONNECT, Some("VIEW_CHANNEL")),
        ("react", react, GENERAL, REACT, Some("“Add reactions” (ADD_REACTIONS) in #general")),
        ("react", react, GENERAL, HISTORY, Some("READ_MESSAGE_HISTORY")),
        ("react", react, GENERAL, VIEW, Some("VIEW_CHANNEL")),
        ("react", react, GENERAL, SEND, None),
        ("react", react, GENERAL, FOREIGN, None),
        ("react", react, THREAD, REACT, Some("ADD_REACTIONS")),
        ("foreign", foreign, GENERAL, FOREIGN, Some("USE_EXTERNAL_EMOJIS")),
        ("foreign", foreign, THREAD, FOREIGN, Some("USE_EXTERNAL_EMOJIS")),
        ("fetch", fetch, GENERAL, HISTORY, Some("“Read message history” (READ_MESSAGE_HISTORY)")),
        ("fetch", fetch, GENERAL, VIEW, Some("VIEW_CHANNEL")),
        ("fetch", fetch, GENERAL, SEND, None),
        ("fetch", fetch, THREAD, HISTORY, Some("READ_MESSAGE_HISTORY")),
        ("fetch", fetch, VOICE, Permissions::CONNECT, Some("VIEW_CHANNEL")),
    ];
    for (name, needs, channel, taken, named) in rows {
        let ruled = if channel == THREAD { GENERAL } else { channel };
        // (who loses it, who is told so)
        for (loser, told) in [(ANN, "You need the permission "), (ERY, "I need the permission ")] {
            let mut guild = testing::guild();
            guild.channel(ruled).overwrites = vec![deny_member(loser, taken)].into();
            let (needs, principal) = (needs(channel), person(ANN));
            let tool = if name == "fetch" { &READ } else { &HARMLESS };
            let call = call(tool, &needs, Some(&principal), channel);
            let decision = decide(&call, Some(&guild.state()), &Policy::default(), NOW);
            let context = format!("{name} in {channel} without {taken:?} for {loser}");
            match (named, decision) {
                (None, Decision::Allow { .. }) => {}
                (Some(named), Decision::Deny(reason)) => {
                    let sentence = reason.sentence();
                    assert!(sentence.starts_with(told), "{context}: {sentence}");
                    assert!(sentence.contains(named), "{context}: {sentence}");
                    assert!(sentence.ends_with("for that."), "{context}: {sentence}");
                }
                (named, decision) => panic!("{context}: {named:?}, {decision:?}"),
            }
        }
    }
}

#[test]
fn the_right_to_moderate_counts_in_the_whole_server() {
    let needs = on(ANN, SubjectAct::Sanction);
    let principal = person(MOD);
    let ordered = Call { is_ordered: true, ..call(&REVERSIBLE, &needs, Some(&principal), GENERAL) };
    for (role, expected, told) in [
        (MODS, 'p', "You need the permission “Time out members” (MODERATE_MEMBERS) on this server"),
        (ERYS, 'B', "I need the permission “Time out members” (MODERATE_MEMBERS) on this server"),
    ] {
        let mut guild = testing::guild();
        guild.role(role).permissions = Permissions::empty();
        let state = guild.state();
        assert_eq!(ends(&ordered, Some(&state)), expected);
        let Decision::Deny(reason) = decide(&ordered, Some(&state), &Policy::default(), NOW) else {
            panic!("it was allowed");
        };
        assert!(reason.sentence().starts_with(told), "{}", reason.sentence());
    }
    // An overwrite in a channel takes nothing of it away, and gives nothing.
    let mut guild = testing::guild();
    guild.channel(GENERAL).overwrites = vec![deny_role(MODS, MODERATE)].into();
    assert_eq!(ends(&ordered, Some(&guild.state())), '+');
    let mut guild = testing::guild();
    guild.role(MODS).permissions = Permissions::empty();
    guild.channel(GENERAL).overwrites = vec![allow_role(MODS, MODERATE)].into();
    assert_eq!(ends(&ordered, Some(&guild.state())), 'p');
}

#[test]
fn who_is_timed_out_may_only_read() {
    let sanction = on(ANN, SubjectAct::Sanction);
    for (asker, tool, needs, expected) in [
        (ANN, &HARMLESS, send(GENERAL), 't'),
        (ANN, &HARMLESS, send(THREAD), 't'),
        (ANN, &HARMLESS, react(GENERAL), 't'),
        (ANN, &READ, fetch(GENERAL), '+'),
        (ANN, &READ, fetch(STAFFROOM), 'c'),
        (ANN, &READ, search(), '+'),
        (ANN, &READ, on(BOB, SubjectAct::Look), '+'),
        (MOD, &REVERSIBLE, sanction.clone(), 't'),
        (MOD, &HARMLESS, send(GENERAL), 't'),
        (ADMIN, &REVERSIBLE, sanction.clone(), '+'),
        (OWNER, &REVERSIBLE, sanction.clone(), '+'),
        (ADMIN, &HARMLESS, send(GENERAL), '+'),
    ] {
        let mut guild = testing::guild();
        guild.member(asker).timed_out_until = Some(LATER);
        let principal = person(asker);
        let call = Call { is_ordered: true, ..call(tool, &needs, Some(&principal), GENERAL) };
        assert_eq!(ends(&call, Some(&guild.snapshot())), expected, "{asker} {needs:?}");
        guild.member(asker).timed_out_until = Some(NOW);
        let is_over = ends(&call, Some(&guild.state()));
        assert_eq!(is_over, if expected == 't' { '+' } else { expected }, "over for {asker}");
    }
    // Ery herself.
    let mut guild = testing::guild();
    guild.member(ERY).timed_out_until = Some(LATER);
    let (needs, principal) = (send(GENERAL), person(ANN));
    let call = call(&HARMLESS, &needs, Some(&principal), GENERAL);
    assert_eq!(ends(&call, Some(&guild.state())), 't');
}

/// Tier by taint by order by authority: 4 by 2 by 2 by 3.
#[test]
fn acts_that_matter_need_an_order_whatever_was_read() {
    let rule = Principal::Rule { id: "r".into(), version: 1 };
    let expiry = Principal::Expiry { execution: "t/x/1/0".into() };
    let mods = person(MOD);
    let state = testing::guild().state();
    // For a person, a rule and an expiry: not ordered, then ordered.
    for (tool, needs, person, by_rule, by_expiry) in [
        (&READ, fetch(GENERAL), ['+', '+'], '+', 'L'),
        (&HARMLESS, send(GENERAL), ['+', '+'], '+', 'L'),
        (&REVERSIBLE, on(ANN, SubjectAct::Sanction), ['w', '+'], '+', 'L'),
        (&REVERSIBLE, on(ANN, SubjectAct::Lift), ['w', '+'], '+', '+'),
        (&DESTRUCTIVE, on(ANN, SubjectAct::Sanction), ['w', '+'], '+', 'L'),
        (&DESTRUCTIVE, on(ANN, SubjectAct::Lift), ['w', '+'], '+', '+'),
    ] {
        for is_tainted in [false, true] {
            for (is_ordered, expected) in [false, true].into_iter().zip(person) {
                for (principal, expected) in
                    [(&mods, expected), (&rule, by_rule), (&expiry, by_expiry)]
                {
                    let plain = call(tool, &needs, Some(principal), GENERAL);
                    let call = Call { is_tainted, is_ordered, ..plain };
                    let context = format!("{principal} {tool:?} {is_tainted} {is_ordered}");
                    assert_eq!(ends(&call, Some(&state)), expected, "{context}");
                }
            }
        }
    }
}

#[test]
fn an_order_without_the_right_is_denied_not_proposed() {
    let state = testing::guild().state();
    let (needs, principal) = (on(BOB, SubjectAct::Sanction), person(ANN));
    for (is_ordered, is_tainted) in [(false, false), (false, true), (true, false), (true, true)] {
        let plain = call(&REVERSIBLE, &needs, Some(&principal), GENERAL);
        let call = Call { is_tainted, is_ordered, ..plain };
        assert_eq!(ends(&call, Some(&state)), 'p');
    }
}

#[test]
fn a_rule_has_the_bots_rights_and_no_more() {
    let rule = Principal::Rule { id: "r".into(), version: 1 };
    let state = testing::guild().state();
    for (needs, expected) in [
        (on(OWNER, SubjectAct::Sanction), 'o'),
        (on(ADMIN, SubjectAct::Sanction), 'a'),
        (on(CHIEF, SubjectAct::Sanction), 'b'),
        (on(MOD, SubjectAct::Sanction), '+'),
        (on(ERY, SubjectAct::Sanction), 'e'),
        (on(STRANGER, SubjectAct::Sanction), 'n'),
    ] {
        let call = call(&REVERSIBLE, &needs, Some(&rule), GENERAL);
        assert_eq!(ends(&call, Some(&state)), expected, "{needs:?}");
    }
    let mut guild = testing::guild();
    guild.role(ERYS).permissions = Permissions::empty();
    let needs = on(ANN, SubjectAct::Sanction);
    assert_eq!(ends(&call(&REVERSIBLE, &needs, Some(&rule), GENERAL), Some(&guild.state())), 'B');
}

#[test]
fn everybody_who_shares_a_turn_must_be_allowed() {
    let state = testing::guild().state();
    for (tool, needs, askers, here, expected) in [
        (&HARMLESS, send(GENERAL), vec![ANN, BOB], GENERAL, '+'),
        (&HARMLESS, send(STAFFROOM), vec![MOD, CHIEF], STAFFROOM, '+'),
        (&HARMLESS, send(STAFFROOM), vec![MOD, ANN], STAFFROOM, 'p'),
        (&HARMLESS, send(STAFFROOM), vec![ANN, MOD], STAFFROOM, 'p'),
        (&HARMLESS, send(GENERAL), vec![ANN, STRANGER], GENERAL, 'x'),
        (&HARMLESS, send(GENERAL), vec![ANN, OTHER_BOT], GENERAL, 'k'),
        (&READ, fetch(GENERAL), vec![ANN, BOB], GENERAL, '+'),
        (&READ, fetch(STAFFROOM), vec![MOD, ANN], STAFFROOM, 'p'),
        (&READ, fetch(GENERAL), vec![ANN, OTHER_BOT], GENERAL, '+'),
        (&READ, search(), vec![ANN, BOB], GENERAL, '+'),
        (&REVERSIBLE, on(ANN, SubjectAct::Sanction), vec![MOD, CHIEF], GENERAL, 'h'),
        (&REVERSIBLE, on(ANN, SubjectAct::Sanction), vec![MOD, BOB], GENERAL, 'h'),
        (&DESTRUCTIVE, on(ANN, SubjectAct::Sanction), vec![OWNER, ADMIN], GENERAL, 'h'),
        (&REVERSIBLE, on(ANN, SubjectAct::Sanction), vec![MOD], GENERAL, '+'),
        (&REVERSIBLE, on(ANN, SubjectAct::Sanction), vec![MOD, MOD], GENERAL, '+'),
    ] {
        let askers: Vec<_> = askers.into_iter().map(Id::new).collect();
        let principal = Principal::Person(askers[0]);
        let plain = call(tool, &needs, Some(&principal), here);
        let shared = Call { askers: &askers, is_ordered: true, ..plain };
        assert_eq!(ends(&shared, Some(&state)), expected, "{askers:?} {needs:?}");
        // The principal need not be among them, nor be given at all.
        let unnamed = Call { principal: None, ..shared.clone() };
        let expected =
            if tool.tier >= Tier::Reversible && expected == '+' { '+' } else { expected };
        assert_eq!(ends(&unnamed, Some(&state)), expected, "{askers:?} {needs:?} without a name");
    }
    let (needs, askers) = (send(STAFFROOM), [Id::new(ANN), Id::new(MOD)]);
    let shared = Call { askers: &askers, ..call(&HARMLESS, &needs, None, STAFFROOM) };
    let Decision::Deny(reason) = decide(&shared, Some(&state), &Policy::default(), NOW) else {
        panic!("it was allowed");
    };
    assert!(reason.sentence().starts_with("<@104> needs the permission"), "{}", reason.sentence());
}

#[test]
fn the_principal_counts_even_where_others_are_named() {
    let state = testing::guild().state();
    let (needs, principal, askers) = (send(STAFFROOM), person(ANN), [Id::new(MOD)]);
    let plain = call(&HARMLESS, &needs, Some(&principal), STAFFROOM);
    assert_eq!(ends(&Call { askers: &askers, ..plain }, Some(&state)), 'p');
}

#[test]
fn nobody_and_bots_may_only_read_what_everybody_can() {
    let state = testing::guild().state();
    let bot = person(OTHER_BOT);
    for (principal, tool, needs, here, expected) in [
        (None, &READ, fetch(GENERAL), GENERAL, '+'),
        (None, &READ, fetch(LOUNGE), GENERAL, '+'),
        (None, &READ, fetch(STAFFROOM), STAFFROOM, 'p'),
        (None, &READ, search(), GENERAL, '+'),
        (None, &READ, on(ANN, SubjectAct::Look), GENERAL, 'k'),
        (None, &HARMLESS, send(GENERAL), GENERAL, 'k'),
        (None, &HARMLESS, react(GENERAL), GENERAL, 'k'),
        (None, &REVERSIBLE, on(ANN, SubjectAct::Sanction), GENERAL, 'k'),
        (Some(&bot), &READ, fetch(GENERAL), GENERAL, '+'),
        (Some(&bot), &READ, fetch(STAFFROOM), STAFFROOM, 'p'),
        (Some(&bot), &HARMLESS, send(GENERAL), GENERAL, 'k'),
        (Some(&bot), &REVERSIBLE, on(ANN, SubjectAct::Sanction), GENERAL, 'k'),
    ] {
        let call = Call { is_ordered: true, ..call(tool, &needs, principal, here) };
        assert_eq!(ends(&call, Some(&state)), expected, "{principal:?} {needs:?}");
    }
}

/// Asker by source by the channel where the answer is read.
#[test]
fn what_is_read_goes_only_where_its_readers_are() {
    let state = testing::guild().state();
    for (asker, source, here, expected) in [
        (ANN, GENERAL, GENERAL, '+'),
        (ANN, GENERAL, LOUNGE, '+'),
        (ANN, LOUNGE, THREAD, '+'),
        (ANN, THREAD, GENERAL, '+'),
        (ANN, VOICE, GENERAL, '+'),
        (ANN, STAFFROOM, GENERAL, 'c'),
        (ANN, PRIVATE, GENERAL, 'c'),
        (ANN, PRIVATE, PRIVATE, '+'),
        (ANN, GENERAL, PRIVATE, '+'),
        (MOD, STAFFROOM, GENERAL, 'l'),
        (MOD, STAFFROOM, THREAD, 'l'),
        (MOD, STAFFROOM, STAFFROOM, '+'),
        (MOD, GENERAL, STAFFROOM, '+'),
        (MOD, PRIVATE, GENERAL, 'c'),
        (ADMIN, STAFFROOM, GENERAL, 'l'),
        (ADMIN, PRIVATE, GENERAL, 'l'),
        (OWNER, STAFFROOM, LOUNGE, 'l'),
        (OWNER, STAFFROOM, STAFFROOM, '+'),
        (ANN, 777, GENERAL, 'c'),
    ] {
        let (needs, principal) = (fetch(source), person(asker));
        let call = call(&READ, &needs, Some(&principal), here);
        assert_eq!(ends(&call, Some(&state)), expected, "{asker} from {source} to {here}");
    }
}

/// What nobody is told of, by any reason: channels that are hidden from the asker, and that are not there.
#[test]
fn a_channel_that_is_hidden_is_refused_as_one_that_is_not_there() {
    let state = testing::guild().state();
    let ways: [fn(u64) -> Needs; 6] = [
        send,
        react,
        fetch,
        |channel| in_channel(channel, VIEW, Reads::About(Id::new(channel))),
        |channel| Needs { tells: Some(Id::new(channel)), ..send(channel) },
        |channel| {
            let also_in = vec![AlsoIn::both(Id::new(channel), Permissions::MANAGE_CHANNELS)];
            Needs { also_in, ..Needs::in_guild(Permissions::empty()) }
        },
    ];
    let (ann, mods) = (person(ANN), person(MOD));
    for (asker, hidden) in [(&ann, STAFFROOM), (&ann, PRIVATE), (&mods, PRIVATE)] {
        for way in ways {
            for tool in [&READ, &HARMLESS, &REVERSIBLE, &DESTRUCTIVE] {
                for confirmed in [None, Some(Confirmed::Plan), Some(Confirmed::Command)] {
                    let judged = |channel| {
                        let needs = way(channel);
                        let plain = call(tool, &needs, Some(asker), GENERAL);
                        let call = Call { is_ordered: true, confirmed, ..plain };
                        decide(&call, Some(&state), &Policy::default(), NOW)
                    };
                    assert_eq!(judged(hidden), Decision::Deny(Reason::OtherPlace));
                    assert_eq!(judged(777), judged(hidden), "{asker} {tool:?}");
                }
            }
        }
    }
    // Whoever is asked to approve it learns no more.
    let owner = person(OWNER);
    let clicked = Some(Confirmed::Click(Id::new(ANN)));
    let judged = |channel| {
        let needs = send(channel);
        let call = Call { confirmed: clicked, ..call(&HARMLESS, &needs, Some(&owner), GENERAL) };
        decide(&call, Some(&state), &Policy::default(), NOW)
    };
    assert_eq!(judged(STAFFROOM), judged(777));
    // One that is seen, but may not be entered, is no secret.
    let mut guild = testing::guild();
    guild.channel(VOICE).overwrites = vec![deny_member(ANN, Permissions::CONNECT)].into();
    let needs = fetch(VOICE);
    assert_eq!(ends(&call(&READ, &needs, Some(&ann), GENERAL), Some(&guild.state())), 'p');
}

#[test]
fn a_search_reads_what_asker_bot_and_readers_can_all_read() {
    let read = |asker: u64, here: u64, overwrites: Vec<Overwrite>| {
        let mut guild = testing::guild();
        guild.channel(LOUNGE).overwrites = overwrites.into();
        let (needs, principal) = (search(), person(asker));
        let call = call(&READ, &needs, Some(&principal), here);
        match decide(&call, Some(&guild.state()), &Policy::default(), NOW) {
            Decision::Allow { mut reads } => {
                reads.sort_unstable();
                reads.into_iter().map(Id::get).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read(ANN, GENERAL, vec![]), [GENERAL, THREAD, VOICE, LOUNGE]);
    assert_eq!(read(MOD, GENERAL, vec![]), [GENERAL, THREAD, VOICE, LOUNGE]);
    assert_eq!(read(MOD, STAFFROOM, vec![]), [GENERAL, THREAD, VOICE, STAFFROOM, LOUNGE]);
    assert_eq!(read(OWNER, GENERAL, vec![]), [GENERAL, THREAD, VOICE, LOUNGE]);
    let not_for = |user| vec![deny_member(user, VIEW)];
    assert_eq!(read(ANN, GENERAL, not_for(ANN)), [GENERAL, THREAD, VOICE]);
    assert_eq!(read(ANN, GENERAL, not_for(ERY)), [GENERAL, THREAD, VOICE]);
    assert_eq!(read(ANN, GENERAL, not_for(BOB)), [GENERAL, THREAD, VOICE], "Bob would read it");
    let mut guild = testing::guild();
    guild.role(GUILD).permissions = Permissions::empty();
    let (needs, principal) = (search(), person(ANN));
    let call = call(&READ, &needs, Some(&principal), GENERAL);
    assert_eq!(ends(&call, Some(&guild.state())), '0');
}

fn policy(tools: &[&str], rule: ToolRule) -> Policy {
    let tools = tools.iter().map(|tool| ((*tool).to_owned(), rule)).collect();
    Policy { tools, ..Policy::default() }
}

#[test]
fn an_answer_needs_only_the_bots_rights() {
    let mut guild = testing::guild();
    guild.member(ANN).timed_out_until = Some(LATER);
    guild.channel(GENERAL).overwrites =
        vec![deny_member(BOB, SEND), allow_member(ERY, VIEW)].into();
    let state = guild.snapshot();
    let needs = send(GENERAL);
    for principal in [Some(person(ANN)), Some(person(BOB)), Some(person(STRANGER)), None] {
        let plain = call(&HARMLESS, &needs, principal.as_ref(), GENERAL);
        let answer = Call { is_answer: true, ..plain };
        assert_eq!(ends(&answer, Some(&state)), '+', "{principal:?}");
        let off = policy(&["harmless"], ToolRule::Off);
        assert_eq!(letter(&decide(&answer, Some(&state), &off, NOW)), '+', "silence is no policy");
    }
    guild.channel(GENERAL).overwrites = vec![deny_member(ERY, SEND)].into();
    let principal = person(ANN);
    let plain = call(&HARMLESS, &needs, Some(&principal), GENERAL);
    let answer = Call { is_answer: true, ..plain };
    assert_eq!(ends(&answer, Some(&guild.snapshot())), 'B');
    guild.without_member(ERY);
    assert_eq!(ends(&answer, Some(&guild.state())), 'E');
}

#[test]
fn in_a_direct_message_there_is_nothing_to_moderate() {
    let dm = 300;
    let principal = person(ANN);
    let guildless: Needs = search();
    for (tool, needs, expected) in [
        (&HARMLESS, send(dm), '+'),
        (&HARMLESS, react(dm), '+'),
        (&READ, fetch(dm), '+'),
        (&HARMLESS, send(GENERAL), 'c'),
        (&READ, fetch(GENERAL), 'c'),
        (&READ, guildless, 'c'),
        (&READ, on(BOB, SubjectAct::Look), 'd'),
        (&REVERSIBLE, on(BOB, SubjectAct::Sanction), 'd'),
        (&DESTRUCTIVE, on(BOB, SubjectAct::Sanction), 'd'),
        (&REVERSIBLE, send(dm), 'd'),
    ] {
        let call = Call { is_ordered: true, ..call(tool, &needs, Some(&principal), dm) };
        assert_eq!(ends(&call, None), expected, "{needs:?}");
    }
    let needs = send(dm);
    assert_eq!(ends(&call(&HARMLESS, &needs, None, dm), None), 'k');
}

#[test]
fn a_server_switches_off_for_itself_and_asks_for_clicks() {
    let state = testing::guild().state();
    let principal = person(OWNER);
    let needs = send(GENERAL);
    let plain = call(&HARMLESS, &needs, Some(&principal), GENERAL);
    let ordered = Call { is_ordered: true, ..plain.clone() };
    let judged = |call: &Call<'_>, policy: &Policy| decide(call, Some(&state), policy, NOW);
    let off = policy(&["harmless"], ToolRule::Off);
    assert_eq!(letter(&judged(&plain, &off)), 'D');
    let ask = policy(&["harmless"], ToolRule::Ask);
    for call in [&plain, &ordered] {
        assert_eq!(judged(call, &ask), Decision::NeedsApproval(Reason::NeedsClick));
    }
    let approved = Call { confirmed: Some(Confirmed::Click(Id::new(OWNER))), ..plain.clone() };
    assert_eq!(letter(&judged(&approved, &ask)), '+');
}

#[test]
fn a_tool_that_is_switched_off_is_off_for_all() {
    let state = testing::guild().state();
    let policy = policy(&["harmless", "read"], ToolRule::Off);
    for asker in [OWNER, ADMIN, MOD, ANN] {
        let principal = person(asker);
        for (tool, needs) in [(&HARMLESS, send(GENERAL)), (&READ, fetch(GENERAL))] {
            let call = call(tool, &needs, Some(&principal), GENERAL);
            assert_eq!(letter(&decide(&call, Some(&state), &policy, NOW)), 'D');
        }
        let needs = on(ANN, SubjectAct::Look);
        let other = call(&REVERSIBLE, &needs, Some(&principal), GENERAL);
        assert_ne!(letter(&decide(&other, Some(&state), &policy, NOW)), 'D');
    }
}

#[test]
fn every_sentence_is_one_and_names_no_hidden_channel() {
    let place = NamedPlace::Channel { id: Id::new(STAFFROOM), name: "staffroom".into() };
    let mut reasons = vec![
        Reason::UnknownTool,
        Reason::NotOffered { tool: "x" },
        Reason::Disabled { tool: "x" },
        Reason::NotInDm { tool: "x" },
        Reason::SharedTurn,
        Reason::NobodyAsked,
        Reason::ExpiryOnlyLifts,
        Reason::OtherPlace,
        Reason::WouldLeak { source: Id::new(STAFFROOM) },
        Reason::NothingToRead,
        Reason::TargetIsEry,
        Reason::TargetIsSelf,
        Reason::TargetNotMember,
        Reason::TargetIsBot,
        Reason::NotForAll { permission: Permissions::VIEW_AUDIT_LOG },
        Reason::WouldCarry { to: Id::new(STAFFROOM) },
        Reason::TargetIsOwner,
        Reason::TargetIsAdministrator,
        Reason::TargetNeedsAdministrator,
        Reason::NoSuchRole,
        Reason::RoleIsEveryone,
        Reason::RoleIsManaged,
        Reason::EryNotMember,
        Reason::NeedsOrder { is_tainted: true },
        Reason::NeedsOrder { is_tainted: false },
        Reason::SlowMode { place: NamedPlace::Server, seconds: 600 },
    ];
    for who in [Who::You, Who::OneOfYou(Id::new(ANN)), Who::Nobody, Who::Ery] {
        reasons.extend([
            Reason::AskerNotMember { who },
            Reason::AskerTimedOut { who },
            Reason::RankTooLow { who },
            Reason::RankBelowRole { who },
            Reason::CannotGrant { who, permission: MODERATE },
            Reason::OnlyAdministrators { who, permission: MODERATE },
            Reason::Lacks { who, permission: VIEW, place: place.clone() },
            Reason::Lacks { who, permission: MODERATE, place: NamedPlace::Server },
        ]);
    }
    for reason in reasons {
        let sentence = reason.sentence();
        assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{sentence}");
        assert!(sentence.starts_with(|first: char| first.is_uppercase() || first == '<'));
        assert!(!sentence.contains("staffroom"), "{sentence}");
        assert!(!reason.code().is_empty());
    }
}

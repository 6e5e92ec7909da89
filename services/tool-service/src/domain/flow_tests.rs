use super::*;
use crate::domain::testing::{self, *};

const VIEW: Permissions = Permissions::VIEW_CHANNEL;
const HISTORY: Permissions = Permissions::READ_MESSAGE_HISTORY;

fn flows(state: &GuildState, source: u64, reply: u64) -> bool {
    may_flow(state, Id::new(source), Id::new(reply))
}

#[test]
fn what_everybody_can_read_may_be_told_anywhere() {
    let state = testing::guild().state();
    for (source, reply) in [
        (GENERAL, GENERAL),
        (GENERAL, LOUNGE),
        (LOUNGE, GENERAL),
        (GENERAL, STAFFROOM),
        (GENERAL, THREAD),
        (THREAD, GENERAL),
        (THREAD, LOUNGE),
        (GENERAL, PRIVATE),
        (VOICE, GENERAL),
        (STAFFROOM, STAFFROOM),
        (PRIVATE, PRIVATE),
    ] {
        assert!(flows(&state, source, reply), "{source} to {reply}");
    }
}

#[test]
fn what_some_cannot_read_is_not_told_where_they_can() {
    let state = testing::guild().state();
    for (source, reply) in [
        (STAFFROOM, GENERAL),
        (STAFFROOM, THREAD),
        (STAFFROOM, VOICE),
        (PRIVATE, GENERAL),
        (PRIVATE, THREAD),
        (777, GENERAL),
        (GENERAL, 777),
    ] {
        assert!(!flows(&state, source, reply), "{source} to {reply}");
    }
}

#[test]
fn readers_are_compared_role_by_role_and_overwrite_by_overwrite() {
    // (overwrites of LOUNGE as the source, of STAFFROOM as the reply, may it be told, why)
    let closed = |roles: &[u64]| {
        let mut overwrites = vec![deny_role(GUILD, VIEW)];
        overwrites.extend(roles.iter().map(|role| allow_role(*role, VIEW)));
        overwrites
    };
    let with = |mut overwrites: Vec<Overwrite>, more: &[Overwrite]| {
        overwrites.extend_from_slice(more);
        overwrites
    };
    for (source, reply, expected, why) in [
        (closed(&[MODS]), closed(&[MODS]), true, "the same role reads both"),
        (closed(&[MODS, HELPERS]), closed(&[MODS]), true, "more can read the source"),
        (closed(&[MODS]), closed(&[MODS, HELPERS]), false, "helpers read the reply alone"),
        (vec![deny_role(GUILD, HISTORY)], closed(&[MODS]), false, "no history for moderators"),
        (
            vec![deny_role(MODS, VIEW)],
            closed(&[MODS]),
            false,
            "moderators are shut out of the source",
        ),
        (
            vec![deny_role(EXTRA, VIEW)],
            closed(&[MODS]),
            false,
            "a moderator may have the extra role, too",
        ),
        (
            vec![deny_role(EXTRA, VIEW)],
            with(closed(&[MODS]), &[deny_role(EXTRA, VIEW)]),
            false,
            "a moderator's allowance outdoes the denial in the reply",
        ),
        (
            vec![deny_role(EXTRA, VIEW)],
            vec![deny_role(EXTRA, VIEW)],
            true,
            "who has it reads neither",
        ),
        (
            closed(&[MODS]),
            with(closed(&[MODS]), &[allow_member(ANN, VIEW)]),
            false,
            "Ann reads the reply by an overwrite of her own",
        ),
        (
            with(closed(&[MODS]), &[allow_member(ANN, VIEW)]),
            with(closed(&[MODS]), &[allow_member(ANN, VIEW)]),
            true,
            "Ann reads both",
        ),
        (
            with(vec![], &[deny_member(ANN, VIEW)]),
            closed(&[MODS]),
            true,
            "Ann has no role that reads the reply",
        ),
        (
            with(vec![], &[deny_member(MOD, VIEW)]),
            closed(&[MODS]),
            false,
            "this moderator cannot read the source",
        ),
        (with(vec![], &[deny_member(STRANGER, VIEW)]), vec![], true, "one who left reads nothing"),
        (
            with(vec![], &[deny_member(OWNER, VIEW)]),
            vec![],
            true,
            "nothing is hidden from the owner",
        ),
        (with(vec![], &[deny_member(ERY, VIEW)]), vec![], true, "Ery is no reader of her own"),
        (with(vec![], &[deny_member(555, VIEW)]), vec![], false, "one of whom nothing is known"),
        (
            with(vec![], &[deny_member(555, VIEW)]),
            vec![deny_member(555, VIEW)],
            true,
            "one of whom nothing is known, shut out of both",
        ),
    ] {
        let mut guild = testing::guild();
        guild.channel(LOUNGE).overwrites = source.into();
        guild.channel(STAFFROOM).overwrites = reply.into();
        assert_eq!(flows(&guild.state(), LOUNGE, STAFFROOM), expected, "{why}");
    }
}

#[test]
fn a_role_that_sees_by_its_base_counts() {
    let mut guild = testing::guild();
    guild.role(GUILD).permissions = Permissions::empty();
    guild.role(MODS).permissions = VIEW | HISTORY;
    guild.role(HELPERS).permissions = VIEW;
    assert!(!flows(&guild.snapshot(), LOUNGE, GENERAL), "helpers see both but read no history");
    guild.role(HELPERS).permissions = VIEW | HISTORY;
    assert!(flows(&guild.snapshot(), LOUNGE, GENERAL));
    guild.channel(VOICE).overwrites = Box::default();
    assert!(!flows(&guild.snapshot(), VOICE, GENERAL), "nobody may connect");
}

#[test]
fn many_roles_are_compared_quickly() {
    let mut guild = testing::guild();
    for id in 1_000..1_250 {
        guild.add_role(id);
    }
    let overwrites: Vec<_> = (1_000..1_100).map(|role| allow_role(role, VIEW)).collect();
    guild.channel(LOUNGE).overwrites = overwrites.into();
    assert!(flows(&guild.state(), LOUNGE, GENERAL));
}

#[test]
fn a_channel_is_known_where_all_see_it_and_read_where_all_read_it() {
    let mut guild = testing::guild();
    guild.channel(STAFFROOM).overwrites = vec![deny_role(GUILD, HISTORY)].into();
    let state = guild.state();
    let known = |source, reply| may_be_known(&state, Id::new(source), Id::new(reply));
    assert!(known(STAFFROOM, GENERAL) && !flows(&state, STAFFROOM, GENERAL));
    let state = testing::guild().state();
    let known = |source, reply| may_be_known(&state, Id::new(source), Id::new(reply));
    for (source, reply, expected) in [
        (GENERAL, LOUNGE, true),
        (THREAD, LOUNGE, true),
        (VOICE, GENERAL, true),
        (STAFFROOM, GENERAL, false),
        (STAFFROOM, STAFFROOM, true),
        (GENERAL, STAFFROOM, true),
        (PRIVATE, GENERAL, false),
        (777, GENERAL, false),
        (GENERAL, 777, false),
    ] {
        assert_eq!(known(source, reply), expected, "{source} to {reply}");
    }
}

#[test]
fn what_is_for_holders_of_a_right_is_told_where_only_they_read() {
    let moderate = Permissions::MODERATE_MEMBERS;
    let state = testing::guild().state();
    assert!(all_hold(&state, moderate, Id::new(STAFFROOM)));
    assert!(!all_hold(&state, moderate, Id::new(GENERAL)));
    assert!(!all_hold(&state, moderate, Id::new(777)));
    let staff = || {
        vec![
            deny_role(GUILD, VIEW),
            allow_role(MODS, VIEW),
            allow_role(ERYS, VIEW),
            allow_role(STAFF, VIEW),
        ]
    };
    for (more, expected, why) in [
        (allow_role(HELPERS, VIEW), false, "helpers read there without the right"),
        (allow_member(ANN, VIEW), false, "one who does not hold it reads there"),
        (allow_member(MOD, VIEW), true, "one who holds it anyway"),
        (allow_member(STRANGER, VIEW), true, "one who is not here"),
        (allow_member(555, VIEW), false, "one of whom nothing is known"),
    ] {
        let mut guild = testing::guild();
        guild.channel(STAFFROOM).overwrites = staff().into_iter().chain([more]).collect();
        let state = guild.state();
        assert_eq!(all_hold(&state, moderate, Id::new(STAFFROOM)), expected, "{why}");
    }
}

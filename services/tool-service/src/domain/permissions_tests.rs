use super::*;
use crate::domain::{
    guild::GuildState,
    testing::{self, *},
};

const SEND: Permissions = Permissions::SEND_MESSAGES;
const VIEW: Permissions = Permissions::VIEW_CHANNEL;

fn has(state: &GuildState, user: u64, channel: u64) -> Permissions {
    let member = state.member(Id::new(user)).unwrap();
    in_channel(&state.guild, member, state.channel(Id::new(channel)).unwrap(), NOW)
}

#[test]
fn overwrites_are_applied_in_discords_order() {
    // (overwrites of GENERAL, does ANN send, why)
    let everyone = GUILD;
    for (overwrites, sends, why) in [
        (vec![], true, "the base allows it"),
        (vec![deny_role(everyone, SEND)], false, "@everyone's denial"),
        (
            vec![allow_role(MEMBERS, SEND), deny_role(everyone, SEND)],
            true,
            "a role's allowance wins over @everyone's denial, wherever it stands",
        ),
        (vec![deny_role(MEMBERS, SEND)], false, "a role's denial"),
        (
            vec![deny_role(MEMBERS, SEND), allow_role(EXTRA, SEND)],
            true,
            "one role's allowance wins over another's denial",
        ),
        (vec![deny_role(MODS, SEND)], true, "a role that she does not have"),
        (vec![deny_member(ANN, SEND)], false, "her own denial"),
        (
            vec![deny_member(ANN, SEND), allow_role(MEMBERS, SEND)],
            false,
            "her own denial wins over a role's allowance",
        ),
        (
            vec![allow_member(ANN, SEND), deny_role(MEMBERS, SEND)],
            true,
            "her own allowance wins over a role's denial",
        ),
        (vec![deny_role(everyone, VIEW)], false, "who cannot see cannot send"),
        (vec![deny_member(BOB, SEND)], true, "another's denial"),
    ] {
        let mut guild = testing::guild();
        guild.member(ANN).roles = vec![Id::new(MEMBERS), Id::new(EXTRA)].into();
        guild.channel(GENERAL).overwrites = overwrites.into();
        assert_eq!(has(&guild.state(), ANN, GENERAL).contains(SEND), sends, "{why}");
    }
}

#[test]
fn owners_and_administrators_may_everything_whatever_is_denied() {
    let mut guild = testing::guild();
    let all = VIEW | SEND | Permissions::MODERATE_MEMBERS;
    guild.channel(GENERAL).overwrites = vec![
        deny_role(GUILD, all),
        deny_role(ADMINS, all),
        deny_member(OWNER, all),
        deny_member(ADMIN, all),
    ]
    .into();
    let state = guild.state();
    for user in [OWNER, ADMIN] {
        assert!(has(&state, user, GENERAL).contains(all), "{user}");
    }
    assert!(has(&state, ANN, GENERAL).is_empty());
}

#[test]
fn a_timeout_leaves_reading_only_but_not_to_administrators() {
    let mut guild = testing::guild();
    for user in [ANN, MOD, ADMIN, OWNER] {
        guild.member(user).timed_out_until = Some(LATER);
    }
    let state = guild.state();
    for user in [ANN, MOD] {
        assert_eq!(has(&state, user, GENERAL), VIEW | Permissions::READ_MESSAGE_HISTORY, "{user}");
        let member = state.member(Id::new(user)).unwrap();
        assert!(!in_guild(&state.guild, member, NOW).contains(Permissions::MODERATE_MEMBERS));
        assert!(
            in_channel(&state.guild, member, state.channel(Id::new(GENERAL)).unwrap(), LATER)
                .contains(SEND),
            "it is over at its end"
        );
    }
    for user in [ADMIN, OWNER] {
        assert!(has(&state, user, GENERAL).contains(SEND), "{user}");
    }
}

#[test]
fn a_thread_follows_its_parent() {
    let mut guild = testing::guild();
    guild.channel(GENERAL).overwrites = vec![deny_role(GUILD, VIEW)].into();
    let state = guild.state();
    assert!(has(&state, ANN, THREAD).is_empty());
    let mut guild = testing::guild();
    guild.channel(THREAD).parent = Some(Id::new(999));
    assert!(has(&guild.snapshot(), ANN, THREAD).is_empty(), "an unknown parent proves nothing");
    assert!(has(&guild.state(), OWNER, THREAD).contains(SEND), "but the owner may all the same");
}

#[test]
fn without_the_right_to_send_there_are_no_embeds_files_and_mentions() {
    let mut guild = testing::guild();
    guild.channel(GENERAL).overwrites = vec![deny_role(GUILD, SEND)].into();
    let rights = has(&guild.snapshot(), ANN, GENERAL);
    assert!(!rights.intersects(Permissions::EMBED_LINKS | Permissions::ATTACH_FILES));
    assert!(rights.contains(Permissions::ADD_REACTIONS));
    let in_thread = has(&guild.state(), ANN, THREAD);
    assert!(in_thread.contains(Permissions::EMBED_LINKS), "threads have their own right to send");
    assert!(in_thread.contains(Permissions::SEND_MESSAGES_IN_THREADS));
}

#[test]
fn a_voice_channel_is_closed_without_connect() {
    let mut guild = testing::guild();
    assert!(has(&guild.snapshot(), ANN, VOICE).contains(VIEW));
    guild.channel(VOICE).overwrites = vec![deny_role(GUILD, Permissions::CONNECT)].into();
    assert!(has(&guild.state(), ANN, VOICE).is_empty());
}

#[test]
fn ranks_go_by_position_then_by_the_lower_id() {
    let mut guild = testing::guild();
    guild.role(MODS).position = 5;
    guild.role(HELPERS).position = 5;
    let state = guild.state();
    let member = |user| state.member(Id::new(user)).unwrap();
    // (above, below, outranks)
    for (above, below, expected) in [
        (OWNER, ADMIN, true),
        (OWNER, OWNER, false),
        (ADMIN, OWNER, false),
        (ADMIN, MOD, true),
        (MOD, ADMIN, false),
        (MOD, HELPER, true),
        (HELPER, MOD, false),
        (MOD, ANN, true),
        (ANN, BOB, false),
        (BOB, ANN, false),
        (ANN, NOROLE, true),
        (NOROLE, ANN, false),
        (NOROLE, NOROLE, false),
        (MOD, MOD, false),
    ] {
        assert_eq!(
            outranks(&state.guild, member(above), member(below)),
            expected,
            "{above} over {below}"
        );
    }
}

#[test]
fn every_permission_that_is_asked_for_has_words() {
    for permission in Permissions::all().iter() {
        let (words, constant) = words(permission);
        assert!(!words.is_empty() && !constant.is_empty());
    }
    assert_eq!(words(Permissions::MODERATE_MEMBERS), ("Time out members", "MODERATE_MEMBERS"));
    let wanted = SEND | VIEW;
    assert_eq!(first_missing(wanted, Permissions::empty()), Some(VIEW));
    assert_eq!(first_missing(wanted, VIEW), Some(SEND));
    assert_eq!(first_missing(wanted, Permissions::all()), None);
}

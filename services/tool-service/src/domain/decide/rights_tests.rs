//! Removals, roles and overwrites, as tables.

use twilight_model::{guild::Permissions, id::Id};

use super::{
    Call,
    tests::{DESTRUCTIVE, READ, REVERSIBLE, call, ends, on, person},
};
use crate::domain::{
    guild::{GuildState, Overwrite, OverwriteOf},
    testing::{self, *},
    tool::{BitsChange, Needs, RightsChange, Spec, Subject, SubjectAct},
};
use ery_ids::Principal;

const MODERATORS: Permissions = Permissions::MODERATE_MEMBERS
    .union(Permissions::KICK_MEMBERS)
    .union(Permissions::BAN_MEMBERS)
    .union(Permissions::MANAGE_ROLES);

const ASKERS: [u64; 10] = [OWNER, ADMIN, CHIEF, MOD, HELPER, ANN, NOROLE, OTHER_BOT, ERY, STRANGER];

/// The small guild, whose moderators, staff and Ery may kick, ban and manage roles.
fn guild() -> testing::Builder {
    let mut guild = testing::guild();
    for role in [MODS, ERYS, STAFF] {
        guild.role(role).permissions |= MODERATORS;
    }
    guild
}

fn permission_for(act: SubjectAct) -> Permissions {
    match act {
        SubjectAct::Kick => Permissions::KICK_MEMBERS,
        SubjectAct::Ban | SubjectAct::Unban => Permissions::BAN_MEMBERS,
        SubjectAct::Rights => Permissions::MANAGE_ROLES,
        _ => Permissions::MODERATE_MEMBERS,
    }
}

fn acting(user: u64, act: SubjectAct) -> Needs {
    let needs = Needs::in_guild(permission_for(act));
    Needs { subjects: vec![Subject { user: Id::new(user), act }], ..needs }
}

fn ordered(tool: &'static Spec, needs: &Needs, asker: u64, state: &GuildState) -> char {
    let principal = person(asker);
    ends(&Call { is_ordered: true, ..call(tool, needs, Some(&principal), GENERAL) }, Some(state))
}

/// Asker by target by act, ordered and not, tainted and not: 10 by 10 by 5 by 4.
#[test]
fn removals_and_reproofs_follow_rights_and_the_order_of_roles() {
    let strict = [
        (OWNER, "sbb+++++e"),
        (ADMIN, "osb+++++e"),
        (CHIEF, "ors+++++e"),
        (MOD, "orrs++++e"),
        (HELPER, "ppppppppp"),
        (ANN, "ppppppppp"),
        (NOROLE, "ppppppppp"),
        (OTHER_BOT, "kkkkkkkkk"),
        (ERY, "kkkkkkkkk"),
        (STRANGER, "xxxxxxxxx"),
    ];
    // A reproof does not ask for Ery's rank; who is not banned cannot be hurt by a pardon.
    let reproof = ["s+++++++e", "os++++++e", "ors+++++e", "orrs++++e"];
    let pardon = ["s+++++++e", "os++++++e", "o+s+++++e", "o++s++++e"];
    let state = guild().state();
    let mut rows = 0;
    for act in
        [SubjectAct::Kick, SubjectAct::Ban, SubjectAct::Rights, SubjectAct::Warn, SubjectAct::Unban]
    {
        for (index, (asker, expected)) in strict.into_iter().enumerate() {
            let expected = match act {
                SubjectAct::Warn => reproof.get(index).copied().unwrap_or(expected),
                SubjectAct::Unban => pardon.get(index).copied().unwrap_or(expected),
                _ => expected,
            };
            // Who is no member can be banned and pardoned, and nothing else.
            let of_stranger = match expected.chars().last() {
                Some('e') if matches!(act, SubjectAct::Ban | SubjectAct::Unban) => '+',
                Some('e') => 'n',
                other => other.unwrap(),
            };
            for (target, expected) in ASKERS.into_iter().zip(expected.chars().chain([of_stranger]))
            {
                let (needs, principal) = (acting(target, act), person(asker));
                for is_tainted in [false, true] {
                    let plain = call(&DESTRUCTIVE, &needs, Some(&principal), GENERAL);
                    let plain = Call { is_tainted, ..plain };
                    let with_order = Call { is_ordered: true, ..plain.clone() };
                    let context = format!("{asker} on {target}: {act:?}");
                    assert_eq!(ends(&with_order, Some(&state)), expected, "{context}");
                    let waits = if expected == '+' { 'w' } else { expected };
                    assert_eq!(ends(&plain, Some(&state)), waits, "{context}, not ordered");
                    rows += 2;
                }
            }
        }
    }
    assert_eq!(rows, 2_000);
}

#[test]
fn administrators_below_a_moderator_are_for_administrators_alone() {
    let mut guild = guild();
    guild.role(EXTRA).permissions = Permissions::ADMINISTRATOR;
    guild.member(ANN).roles = [Id::new(EXTRA)].into();
    let state = guild.state();
    for (act, by_mod, by_admin) in [
        (SubjectAct::Sanction, 'a', 'a'),
        (SubjectAct::Lift, 'a', 'a'),
        (SubjectAct::Warn, 'A', '+'),
        (SubjectAct::Kick, 'A', '+'),
        (SubjectAct::Ban, 'A', '+'),
        (SubjectAct::Rights, 'A', '+'),
        (SubjectAct::Unban, '+', '+'),
    ] {
        let needs = acting(ANN, act);
        assert_eq!(ordered(&DESTRUCTIVE, &needs, MOD, &state), by_mod, "{act:?}");
        assert_eq!(ordered(&DESTRUCTIVE, &needs, ADMIN, &state), by_admin, "{act:?}");
        assert_eq!(ordered(&DESTRUCTIVE, &needs, OWNER, &state), by_admin, "{act:?}");
        // A rule of staff's is no administrator.
        let rule = Principal::Rule { id: "r".into(), version: 1 };
        let by_rule = call(&DESTRUCTIVE, &needs, Some(&rule), GENERAL);
        assert_eq!(ends(&by_rule, Some(&state)), by_mod, "{act:?} by a rule");
    }
}

#[test]
fn of_two_roles_at_one_position_the_lower_id_ranks_higher() {
    let mut guild = guild();
    guild.role(HELPERS).position = 4;
    guild.role(HELPERS).permissions |= MODERATORS;
    let state = guild.state();
    for act in [SubjectAct::Kick, SubjectAct::Ban, SubjectAct::Rights, SubjectAct::Sanction] {
        // 22 is the moderators', 23 the helpers'.
        assert_eq!(ordered(&DESTRUCTIVE, &acting(HELPER, act), MOD, &state), '+', "{act:?}");
        assert_eq!(ordered(&DESTRUCTIVE, &acting(MOD, act), HELPER, &state), 'r', "{act:?}");
    }
}

#[test]
fn the_end_of_a_ban_lifts_it_and_does_nothing_else() {
    let expiry = Principal::Expiry { execution: "t/x/1/0".into() };
    let state = guild().state();
    for (act, target, expected) in [
        (SubjectAct::Unban, STRANGER, '+'),
        (SubjectAct::Unban, ANN, '+'),
        (SubjectAct::Lift, ANN, '+'),
        (SubjectAct::Ban, STRANGER, 'L'),
        (SubjectAct::Kick, ANN, 'L'),
        (SubjectAct::Rights, ANN, 'L'),
        (SubjectAct::Warn, ANN, 'L'),
    ] {
        let needs = acting(target, act);
        let by_expiry = call(&DESTRUCTIVE, &needs, Some(&expiry), GENERAL);
        assert_eq!(ends(&by_expiry, Some(&state)), expected, "{act:?}");
    }
    // Ery must still be able to.
    let mut guild = guild();
    guild.role(ERYS).permissions = Permissions::empty();
    let needs = acting(STRANGER, SubjectAct::Unban);
    let by_expiry = call(&DESTRUCTIVE, &needs, Some(&expiry), GENERAL);
    assert_eq!(ends(&by_expiry, Some(&guild.state())), 'B');
}

#[test]
fn to_look_a_ban_up_is_reading_by_those_who_may_ban() {
    let state = guild().state();
    for (asker, expected) in [(OWNER, '+'), (MOD, '+'), (ANN, 'p'), (OTHER_BOT, 'p')] {
        for target in [STRANGER, OWNER, ANN] {
            let looks = acting(target, SubjectAct::Look);
            let needs =
                Needs { subjects: looks.subjects, ..Needs::in_guild(Permissions::BAN_MEMBERS) };
            let principal = person(asker);
            let look = call(&READ, &needs, Some(&principal), GENERAL);
            assert_eq!(ends(&look, Some(&state)), expected, "{asker} looks {target} up");
        }
    }
}

fn changing(change: RightsChange) -> Needs {
    Needs { rights: Some(change), ..Needs::in_guild(Permissions::MANAGE_ROLES) }
}

/// Asker by role by what is done with it: 10 by 9 by 4, and the wait without an order.
#[test]
fn roles_follow_rank_and_belong_to_people() {
    let roles = [GUILD, EXTRA, MEMBERS, HELPERS, MODS, ERYS, STAFF, ADMINS, 777];
    let table = [
        (OWNER, "y++++muuN"),
        (ADMIN, "y++++muqN"),
        (CHIEF, "y++++mqqN"),
        (MOD, "y+++qmqqN"),
        (HELPER, "ppppppppp"),
        (ANN, "ppppppppp"),
        (NOROLE, "ppppppppp"),
        (OTHER_BOT, "kkkkkkkkk"),
        (ERY, "kkkkkkkkk"),
        (STRANGER, "xxxxxxxxx"),
    ];
    let state = guild().state();
    for (asker, expected) in table {
        for (role, expected) in roles.into_iter().zip(expected.chars()) {
            let id = Id::new(role);
            let renames = RightsChange::ChangeRole { role: id, permissions: BitsChange::Stay };
            // @everyone and integrations' roles can be changed by those above them.
            let of_change = match (expected, role, asker) {
                ('y', ..) => '+',
                ('m', _, MOD) => 'q',
                ('m', ..) => 'u',
                (other, ..) => other,
            };
            for (change, expected) in [
                (RightsChange::GiveRole(id), expected),
                (RightsChange::TakeRole(id), expected),
                (RightsChange::DeleteRole(id), expected),
                (renames, of_change),
            ] {
                let needs = changing(change);
                let context = format!("{asker}: {change:?}");
                assert_eq!(ordered(&DESTRUCTIVE, &needs, asker, &state), expected, "{context}");
                let principal = person(asker);
                let plain = call(&DESTRUCTIVE, &needs, Some(&principal), GENERAL);
                let waits = if expected == '+' { 'w' } else { expected };
                assert_eq!(ends(&plain, Some(&state)), waits, "{context}, not ordered");
            }
        }
    }
}

/// Each bit by who has it: for giving a role, for a new one, for a change, for an overwrite.
#[test]
fn nobody_gives_a_bit_that_they_do_not_have() {
    let harmless = [Permissions::ATTACH_FILES, Permissions::SEND_POLLS, Permissions::SPEAK];
    let dangerous = [
        Permissions::ADMINISTRATOR,
        Permissions::BAN_MEMBERS,
        Permissions::KICK_MEMBERS,
        Permissions::MANAGE_GUILD,
        Permissions::MANAGE_CHANNELS,
        Permissions::MANAGE_WEBHOOKS,
        Permissions::MENTION_EVERYONE,
        Permissions::VIEW_AUDIT_LOG,
        // A bit without a name yet is harmless only to administrators, who have all.
        Permissions::from_bits_retain(1 << 60),
    ];
    let bits = harmless.map(|bit| (bit, false)).into_iter();
    for (bit, is_dangerous) in bits.chain(dangerous.map(|bit| (bit, true))) {
        for (asker_has, bot_has) in [(false, false), (false, true), (true, false), (true, true)] {
            // @everyone has none of it here.
            let mut guild = guild();
            guild.role(GUILD).permissions &= !bit;
            for role in [MODS, ERYS] {
                guild.role(role).permissions &= !bit;
            }
            guild.role(EXTRA).permissions = bit;
            if asker_has {
                guild.role(MODS).permissions |= bit;
            }
            if bot_has {
                guild.role(ERYS).permissions |= bit;
            }
            let state = guild.state();
            let is_admin = bit == Permissions::ADMINISTRATOR && asker_has;
            let is_named = bit.bits() < 1 << 60;
            let give = changing(RightsChange::GiveRole(Id::new(EXTRA)));
            let expected = if asker_has { '+' } else { 'g' };
            let context = format!("{bit:?} {asker_has} {bot_has}");
            assert_eq!(ordered(&DESTRUCTIVE, &give, MOD, &state), expected, "{context}: give");

            let by_bot = if bot_has { '+' } else { 'G' };
            let by_mod = match (asker_has, is_dangerous && is_named && !is_admin) {
                (false, _) => 'g',
                (true, true) => 'z',
                (true, false) => by_bot,
            };
            for permissions in [
                BitsChange::Set(bit),
                BitsChange::Each { grant: bit, revoke: Permissions::empty() },
            ] {
                let role = Id::new(HELPERS);
                let change = changing(RightsChange::ChangeRole { role, permissions });
                assert_eq!(ordered(&DESTRUCTIVE, &change, MOD, &state), by_mod, "{context}");
                assert_eq!(ordered(&DESTRUCTIVE, &change, OWNER, &state), by_bot, "{context}");
                // To take it away is the same as to give it.
                let role = Id::new(EXTRA);
                let revoke = BitsChange::Each { grant: Permissions::empty(), revoke: bit };
                let change = changing(RightsChange::ChangeRole { role, permissions: revoke });
                assert_eq!(ordered(&DESTRUCTIVE, &change, MOD, &state), by_mod, "{context}");
            }
            let create = changing(RightsChange::CreateRole { permissions: bit });
            assert_eq!(ordered(&DESTRUCTIVE, &create, MOD, &state), by_mod, "{context}: create");
            assert_eq!(ordered(&DESTRUCTIVE, &create, OWNER, &state), by_bot, "{context}: create");

            let of = OverwriteOf::Role(Id::new(MEMBERS));
            let change = RightsChange::Overwrite { of, changed: Some(bit) };
            let overwrite = Needs {
                rights: Some(change),
                ..Needs::in_channel(Id::new(GENERAL), Permissions::MANAGE_ROLES)
            };
            let in_channel = if asker_has { by_bot } else { 'g' };
            let found = ordered(&DESTRUCTIVE, &overwrite, MOD, &state);
            assert_eq!(found, in_channel, "{context}: overwrite");
        }
    }
}

#[test]
fn overwrites_follow_rank_and_the_right_in_the_channel() {
    let send = Permissions::SEND_MESSAGES;
    let on_role = |role: u64, changed: Option<Permissions>| {
        let of = OverwriteOf::Role(Id::new(role));
        Needs {
            rights: Some(RightsChange::Overwrite { of, changed }),
            ..Needs::in_channel(Id::new(GENERAL), Permissions::MANAGE_ROLES)
        }
    };
    let state = guild().state();
    for (asker, role, expected) in [
        (MOD, GUILD, '+'),
        (MOD, MEMBERS, '+'),
        (MOD, HELPERS, '+'),
        (MOD, MODS, 'q'),
        (MOD, STAFF, 'q'),
        (MOD, ADMINS, 'q'),
        (CHIEF, MODS, '+'),
        (OWNER, ADMINS, '+'),
        (ADMIN, ADMINS, 'q'),
        (ANN, GUILD, 'p'),
        (MOD, 777, 'N'),
    ] {
        let needs = on_role(role, Some(send));
        assert_eq!(ordered(&DESTRUCTIVE, &needs, asker, &state), expected, "{asker} {role}");
    }
    // The right to manage roles itself is passed on by administrators alone, Ery included.
    let delegate = on_role(MEMBERS, Some(Permissions::MANAGE_ROLES));
    assert_eq!(ordered(&DESTRUCTIVE, &delegate, MOD, &state), 'z');
    assert_eq!(ordered(&DESTRUCTIVE, &delegate, OWNER, &state), 'Z');
    let mut strong = guild();
    strong.role(ERYS).permissions |= Permissions::ADMINISTRATOR;
    assert_eq!(ordered(&DESTRUCTIVE, &delegate, OWNER, &strong.state()), '+');

    // What was denied to all can be given back by those who have it on the server.
    let mut locked = guild();
    locked.channel(GENERAL).overwrites = vec![deny_role(GUILD, send)].into();
    let unlock = on_role(GUILD, Some(send));
    assert_eq!(ordered(&DESTRUCTIVE, &unlock, MOD, &locked.state()), '+');
    // And the right counts in the channel, where an overwrite can take it.
    let mut without = guild();
    let denied = deny_role(MODS, Permissions::MANAGE_ROLES);
    without.channel(GENERAL).overwrites = vec![denied].into();
    assert_eq!(ordered(&DESTRUCTIVE, &unlock, MOD, &without.state()), 'p');

    // To reset is to change every bit that stands there.
    let mut webhooks = guild();
    let of = OverwriteOf::Role(Id::new(MEMBERS));
    let allow = Permissions::MANAGE_WEBHOOKS;
    let stands = Overwrite { of, allow, deny: Permissions::empty() };
    webhooks.channel(GENERAL).overwrites = vec![stands].into();
    let state = webhooks.state();
    assert_eq!(ordered(&DESTRUCTIVE, &on_role(MEMBERS, None), MOD, &state), 'g');
    assert_eq!(ordered(&DESTRUCTIVE, &on_role(HELPERS, None), MOD, &state), '+');
}

#[test]
fn who_is_timed_out_changes_nothing() {
    let mut guild = guild();
    guild.member(MOD).timed_out_until = Some(LATER);
    let state = guild.state();
    for act in [SubjectAct::Kick, SubjectAct::Ban, SubjectAct::Unban, SubjectAct::Rights] {
        assert_eq!(ordered(&DESTRUCTIVE, &acting(ANN, act), MOD, &state), 't', "{act:?}");
    }
    assert_eq!(ordered(&REVERSIBLE, &on(ANN, SubjectAct::Warn), MOD, &state), 't');
    let create = changing(RightsChange::CreateRole { permissions: Permissions::empty() });
    assert_eq!(ordered(&DESTRUCTIVE, &create, MOD, &state), 't');
}

/// Asker by two targets: whoever may not ban both bans neither, and is told which one it is.
#[test]
fn several_are_acted_on_together_or_not_at_all() {
    let state = guild().state();
    let pairs = [
        (ANN, BOB),
        (ANN, STRANGER),
        (ANN, MOD),
        (MOD, ANN),
        (ANN, OWNER),
        (ANN, ERY),
        (ANN, CHIEF),
        (ANN, ADMIN),
    ];
    for (asker, expected) in [
        (OWNER, "++++SEBB"),
        (ADMIN, "++++OEBS"),
        (CHIEF, "++++OESR"),
        (MOD, "++SSOERR"),
        (HELPER, "pppppppp"),
        (STRANGER, "xxxxxxxx"),
    ] {
        for ((one, other), expected) in pairs.into_iter().zip(expected.chars()) {
            let subject = |user| Subject { user: Id::new(user), act: SubjectAct::Ban };
            let needs = Needs {
                subjects: vec![subject(one), subject(other)],
                ..acting(one, SubjectAct::Ban)
            };
            let found = ordered(&DESTRUCTIVE, &needs, asker, &state);
            assert_eq!(found, expected, "{asker} bans {one} and {other}");
            let principal = person(asker);
            let waits = call(&DESTRUCTIVE, &needs, Some(&principal), GENERAL);
            let expected = if expected == '+' { 'w' } else { expected };
            assert_eq!(ends(&waits, Some(&state)), expected, "{asker}, not ordered");
        }
    }
}

/// Asker by role by where it goes: below everybody's highest role before it and after it.
#[test]
fn roles_are_moved_below_asker_and_ery() {
    let state = guild().state();
    let ways = [
        (MEMBERS, HELPERS, true),
        (MEMBERS, MODS, true),
        (MEMBERS, MODS, false),
        (MEMBERS, ERYS, true),
        (MEMBERS, ERYS, false),
        (MEMBERS, STAFF, false),
        (MODS, MEMBERS, true),
        (STAFF, MEMBERS, true),
        (MEMBERS, GUILD, true),
        (MEMBERS, GUILD, false),
        (GUILD, MEMBERS, true),
        (777, MEMBERS, true),
        (MEMBERS, 777, true),
    ];
    for (asker, expected) in [
        (OWNER, "+++u+u+u+yyNN"),
        (ADMIN, "+++u+u+u+yyNN"),
        (CHIEF, "+++u+u+q+yyNN"),
        (MOD, "+q+qqqqq+yyNN"),
        (HELPER, "ppppppppppppp"),
        (STRANGER, "xxxxxxxxxxxxx"),
    ] {
        for ((role, beside, is_above), expected) in ways.into_iter().zip(expected.chars()) {
            let (moved, beside) = (Id::new(role), Id::new(beside));
            let needs = changing(RightsChange::MoveRole { role: moved, beside, is_above });
            let found = ordered(&DESTRUCTIVE, &needs, asker, &state);
            assert_eq!(found, expected, "{asker} moves {role}, above {is_above} {beside}");
        }
    }
}

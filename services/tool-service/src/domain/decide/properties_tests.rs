//! Random guilds and calls, judged a second time by rules written down anew.

use proptest::prelude::*;
use twilight_model::{guild::Permissions, id::Id};

use ery_ids::Principal;

use super::{
    Call, Decision, Policy, decide,
    tests::{DESTRUCTIVE, HARMLESS, READ, REVERSIBLE, call},
};
use crate::domain::{
    guild::{GuildState, Member, OverwriteOf},
    testing::{self, *},
    tool::{BitsChange, Needs, Place, Reads, RightsChange, Spec, Subject, SubjectAct},
};

const ADMINISTRATOR: u64 = 1 << 3;
const VIEW: u64 = 1 << 10;
const MANAGE_ROLES: u64 = 1 << 28;

/// The bits that random roles and overwrites are made of.
const BITS: [u64; 12] = [
    1 << 1,
    1 << 2,
    ADMINISTRATOR,
    1 << 5,
    1 << 6,
    VIEW,
    1 << 11,
    1 << 16,
    MANAGE_ROLES,
    1 << 38,
    1 << 40,
    1 << 49,
];

const PEOPLE: [u64; 9] = [OWNER, ADMIN, CHIEF, MOD, HELPER, ANN, ERY, OTHER_BOT, STRANGER];
const ROLES: [u64; 8] = [GUILD, EXTRA, MEMBERS, HELPERS, MODS, ERYS, STAFF, ADMINS];
const CHANNELS: [u64; 4] = [GENERAL, THREAD, VOICE, STAFFROOM];
const ACTS: [SubjectAct; 8] = [
    SubjectAct::Look,
    SubjectAct::Sanction,
    SubjectAct::Lift,
    SubjectAct::Warn,
    SubjectAct::Kick,
    SubjectAct::Ban,
    SubjectAct::Unban,
    SubjectAct::Rights,
];

fn bits() -> impl Strategy<Value = u64> {
    prop::sample::subsequence(BITS.to_vec(), 0..6)
        .prop_map(|bits| bits.into_iter().fold(0, |all, bit| all | bit))
}

prop_compose! {
    /// The small guild with random rights, ranks, roles, overwrites and timeouts.
    fn guilds()(
        permissions in prop::collection::vec(bits(), ROLES.len()),
        positions in prop::collection::vec(1_i64..6, ROLES.len()),
        given in prop::collection::vec(prop::sample::subsequence(ROLES[1..].to_vec(), 0..3), 8),
        overwrites in prop::collection::vec((0..CHANNELS.len(), 0..ROLES.len(), bits(), bits()), 0..5),
        of_members in prop::collection::vec((0..CHANNELS.len(), 0..8_usize, bits(), bits()), 0..3),
        timed_out in prop::option::of(0..8_usize),
    ) -> GuildState {
        let mut guild = testing::guild();
        for ((role, bits), position) in ROLES.into_iter().zip(permissions).zip(positions) {
            guild.role(role).permissions = Permissions::from_bits_retain(bits);
            guild.role(role).position = if role == GUILD { 0 } else { position };
        }
        for (person, roles) in PEOPLE.into_iter().zip(given) {
            guild.member(person).roles = roles.into_iter().map(Id::new).collect();
        }
        for (channel, role, allow, deny) in overwrites {
            let of = OverwriteOf::Role(Id::new(ROLES[role]));
            overwrite(&mut guild, CHANNELS[channel], of, allow, deny);
        }
        for (channel, person, allow, deny) in of_members {
            let of = OverwriteOf::Member(Id::new(PEOPLE[person]));
            overwrite(&mut guild, CHANNELS[channel], of, allow, deny);
        }
        if let Some(person) = timed_out {
            guild.member(PEOPLE[person]).timed_out_until = Some(LATER);
        }
        guild.state()
    }
}

fn overwrite(guild: &mut testing::Builder, channel: u64, of: OverwriteOf, allow: u64, deny: u64) {
    let (allow, deny) = (Permissions::from_bits_retain(allow), Permissions::from_bits_retain(deny));
    let mut overwrites = guild.channel(channel).overwrites.to_vec();
    overwrites.retain(|found| found.of != of);
    overwrites.push(crate::domain::guild::Overwrite { of, allow, deny });
    guild.channel(channel).overwrites = overwrites.into();
}

fn changes() -> impl Strategy<Value = Option<RightsChange>> {
    let role = prop::sample::select(ROLES.to_vec()).prop_map(Id::new);
    let person = prop::sample::select(PEOPLE.to_vec()).prop_map(Id::new);
    let bits = || bits().prop_map(Permissions::from_bits_retain);
    let of = prop_oneof![
        role.clone().prop_map(OverwriteOf::Role),
        person.prop_map(OverwriteOf::Member),
    ];
    prop_oneof![
        3 => Just(None),
        1 => role.clone().prop_map(|role| Some(RightsChange::GiveRole(role))),
        1 => role.clone().prop_map(|role| Some(RightsChange::TakeRole(role))),
        1 => role.clone().prop_map(|role| Some(RightsChange::DeleteRole(role))),
        1 => bits().prop_map(|permissions| Some(RightsChange::CreateRole { permissions })),
        1 => (role.clone(), bits()).prop_map(|(role, set)| Some(RightsChange::ChangeRole {
            role, permissions: BitsChange::Set(set) })),
        1 => (role.clone(), role.clone(), any::<bool>()).prop_map(|(role, beside, is_above)| {
            Some(RightsChange::MoveRole { role, beside, is_above })
        }),
        1 => (role, bits(), bits()).prop_map(|(role, grant, revoke)| {
            let permissions = BitsChange::Each { grant, revoke };
            Some(RightsChange::ChangeRole { role, permissions })
        }),
        2 => (of, bits())
            .prop_map(|(of, bits)| Some(RightsChange::Overwrite { of, changed: Some(bits) })),
    ]
}

fn tools() -> impl Strategy<Value = &'static Spec> {
    prop::sample::select(vec![&READ, &HARMLESS, &REVERSIBLE, &DESTRUCTIVE])
}

prop_compose! {
    fn all_needs()(
        channel in prop::option::of(prop::sample::select(CHANNELS.to_vec())),
        needed in prop::sample::select(BITS.to_vec()),
        act in prop::sample::select(ACTS.to_vec()),
        subjects in prop::collection::vec(prop::sample::select(PEOPLE.to_vec()), 0..3),
        rights in changes(),
    ) -> Needs {
        let needed = Permissions::from_bits_retain(needed);
        let place = match channel {
            Some(channel) => Needs::in_channel(Id::new(channel), needed),
            None => Needs::in_guild(needed),
        };
        let subjects =
            subjects.into_iter().map(|user| Subject { user: Id::new(user), act }).collect();
        Needs { subjects, rights, reads: Reads::Nothing, ..place }
    }
}

/// What somebody has on the server, as bits: Discord's rule in a few lines.
fn on_server(state: &GuildState, member: &Member) -> u64 {
    if member.user == state.guild.owner {
        return u64::MAX;
    }
    let everyone = Id::new(GUILD);
    let roles = member.roles.iter().chain([&everyone]);
    let all = roles.fold(0, |all, role| all | state.guild.roles[role].permissions.bits());
    if all & ADMINISTRATOR != 0 { u64::MAX } else { all }
}

fn in_channel(state: &GuildState, member: &Member, channel: u64) -> u64 {
    let base = on_server(state, member);
    if base == u64::MAX {
        return base;
    }
    let asked = &state.guild.channels[&Id::new(channel)];
    let ruling = asked.parent.map_or(asked, |parent| &state.guild.channels[&parent]);
    let (mut deny, mut allow) = (0, 0);
    let mut has = base;
    for found in &ruling.overwrites {
        if found.of == OverwriteOf::Role(Id::new(GUILD)) {
            has = has & !found.deny.bits() | found.allow.bits();
        }
    }
    for found in &ruling.overwrites {
        match found.of {
            OverwriteOf::Role(role) if role != Id::new(GUILD) && member.roles.contains(&role) => {
                deny |= found.deny.bits();
                allow |= found.allow.bits();
            }
            _ => {}
        }
    }
    has = has & !deny | allow;
    // The member's own comes last; none of them makes an administrator.
    for found in &ruling.overwrites {
        if found.of == OverwriteOf::Member(member.user) {
            has = has & !found.deny.bits() | found.allow.bits();
        }
    }
    if has & VIEW == 0 { 0 } else { has & !ADMINISTRATOR }
}

/// What is left of rights while somebody is timed out.
fn now(bits: u64, member: &Member) -> u64 {
    let is_timed_out = member.timed_out_until.is_some_and(|until| until > NOW);
    if is_timed_out && bits & ADMINISTRATOR == 0 { bits & (VIEW | 1 << 16) } else { bits }
}

/// Position first, and of two at one position the lower id.
fn rank(state: &GuildState, member: &Member) -> (i64, u64) {
    let everyone = [Id::new(GUILD)];
    let roles = if member.roles.is_empty() { &everyone[..] } else { &member.roles };
    let ranks = roles.iter().map(|role| rank_of_role(state, role.get()));
    ranks.max().unwrap()
}

fn rank_of_role(state: &GuildState, role: u64) -> (i64, u64) {
    (state.guild.roles[&Id::new(role)].position, u64::MAX - role)
}

/// Returns why the member could not do by hand what a call does, if they could not.
fn by_hand(state: &GuildState, member: &Member, needs: &Needs, is_asker: bool) -> Option<String> {
    let server = now(on_server(state, member), member);
    let is_owner = member.user == state.guild.owner;
    let (has, may_set) = match needs.place {
        Place::Guild => (server, server),
        Place::Channel(channel) => {
            let has = now(in_channel(state, member, channel.get()), member);
            (has, has | server & !MANAGE_ROLES)
        }
    };
    let needed = if is_asker { needs.asker.bits() } else { needs.bot.bits() };
    // The right to send has another name in threads.
    let is_thread = matches!(needs.place, Place::Channel(channel) if channel.get() == THREAD);
    let needed = if is_thread && needed == 1 << 11 { 1 << 38 } else { needed };
    if has & needed != needed {
        return Some(format!("has {has:b}, needs {needed:b}"));
    }
    for Subject { user, act } in needs.subjects.iter().copied() {
        if act == SubjectAct::Look {
            continue;
        }
        if user == state.guild.owner || (user == member.user && is_asker) {
            return Some("owner or self".into());
        }
        let target = state.member(user);
        let needs_rank = act != SubjectAct::Unban && (is_asker || act != SubjectAct::Warn);
        if let Some(target) = target
            && needs_rank
            && !is_owner
            && rank(state, member) <= rank(state, target)
        {
            return Some("rank".into());
        }
        if target.is_none() && !matches!(act, SubjectAct::Ban | SubjectAct::Unban) {
            return Some("no member".into());
        }
    }
    let above = |role: u64| is_owner || rank(state, member) > rank_of_role(state, role);
    let owns = |bits: u64| server & bits == bits;
    let is_administrator = server & ADMINISTRATOR != 0;
    let may = match needs.rights {
        None => true,
        Some(RightsChange::GiveRole(role)) => {
            let bits = state.guild.roles[&role].permissions.bits();
            above(role.get()) && role.get() != GUILD && (!is_asker || owns(bits))
        }
        Some(RightsChange::TakeRole(role) | RightsChange::DeleteRole(role)) => {
            above(role.get()) && role.get() != GUILD
        }
        Some(RightsChange::MoveRole { role, beside, is_above }) => {
            let (moved, other) = (role.get(), beside.get());
            // Above the other one it is below oneself only if that one is.
            let may_beside = if is_above {
                above(other)
            } else {
                is_owner || rank(state, member) >= rank_of_role(state, other)
            };
            above(moved) && moved != GUILD && (is_above || other != GUILD) && may_beside
        }
        Some(RightsChange::CreateRole { permissions }) => owns(permissions.bits()),
        Some(RightsChange::ChangeRole { role, permissions }) => {
            let before = state.guild.roles[&role].permissions;
            let changed = before.bits() ^ permissions.after(before).bits();
            (above(role.get()) || role.get() == GUILD) && owns(changed)
        }
        Some(RightsChange::Overwrite { of, changed }) => {
            let bits = changed.unwrap_or(Permissions::empty()).bits();
            let ranks = match of {
                OverwriteOf::Role(role) if is_asker => role.get() == GUILD || above(role.get()),
                _ => true,
            };
            ranks && may_set & bits == bits && (bits & MANAGE_ROLES == 0 || is_administrator)
        }
    };
    (!may).then(|| "rights".into())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// ASKER-BOUND: what is allowed, the asker could do by hand there and then, and so could Ery.
    #[test]
    fn nothing_is_allowed_that_asker_and_ery_could_not_do_by_hand(
        state in guilds(),
        needs in all_needs(),
        tool in tools(),
        asker in prop::sample::select(PEOPLE.to_vec()),
        flags in any::<(bool, bool)>(),
    ) {
        let principal = Principal::Person(Id::new(asker));
        let (is_tainted, is_ordered) = flags;
        let plain = call(tool, &needs, Some(&principal), GENERAL);
        let call = Call { is_tainted, is_ordered, ..plain };
        let decision = decide(&call, Some(&state), &Policy::default(), NOW);
        if !matches!(decision, Decision::Deny(_)) {
            let member = state.member(Id::new(asker)).expect("only members are allowed anything");
            prop_assert_eq!(by_hand(&state, member, &needs, true), None);
            let ery = state.member(Id::new(ERY)).unwrap();
            prop_assert_eq!(by_hand(&state, ery, &needs, false), None);
        }
        if matches!(decision, Decision::Allow { .. }) && !is_ordered {
            prop_assert!(tool.tier <= HARMLESS.tier, "acts that matter wait");
        }
    }

    /// The honest control: what the owner orders of an Ery that may do everything is done.
    #[test]
    fn what_the_owner_orders_of_plain_members_is_allowed(
        state in guilds(),
        act in prop::sample::select(ACTS.to_vec()),
        needed in bits(),
        role in prop::sample::select(vec![EXTRA, MEMBERS, HELPERS]),
    ) {
        let mut state = state;
        let guild = std::sync::Arc::make_mut(&mut state.guild);
        for (id, role) in &mut guild.roles {
            role.position = if id.get() == ERYS { 10 } else { role.position };
            role.permissions = if id.get() == ERYS {
                Permissions::ADMINISTRATOR
            } else {
                role.permissions & !Permissions::ADMINISTRATOR
            };
        }
        let ery = std::sync::Arc::make_mut(state.members.get_mut(&Id::new(ERY)).unwrap().as_mut().unwrap());
        ery.roles = [Id::new(ERYS)].into();
        let ann = std::sync::Arc::make_mut(state.members.get_mut(&Id::new(ANN)).unwrap().as_mut().unwrap());
        ann.roles = [Id::new(role)].into();
        let owner = Principal::Person(Id::new(OWNER));
        let needed = Permissions::from_bits_retain(needed);
        for rights in [None, Some(RightsChange::GiveRole(Id::new(role)))] {
            let subjects = vec![Subject { user: Id::new(ANN), act }];
            let needs = Needs { subjects, rights, ..Needs::in_guild(needed) };
            let ordered =
                Call { is_ordered: true, ..call(&DESTRUCTIVE, &needs, Some(&owner), GENERAL) };
            let decision = decide(&ordered, Some(&state), &Policy::default(), NOW);
            let is_allowed = matches!(decision, Decision::Allow { .. });
            prop_assert!(is_allowed, "{:?}", decision);
        }
    }
}

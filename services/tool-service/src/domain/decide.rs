//! Whether a call may be made: the one function in front of all tools (ASKER-BOUND).

mod rights;

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;
use ery_community_config::ToolRule;
use ery_ids::Principal;

use super::{
    flow,
    guild::{Channel, ChannelKind, GuildState, Member},
    permissions,
    policy::Policy,
    reason::{Place as NamedPlace, Reason, Who},
    sight,
    tool::{Needs, Owned, Place, Reads, Spec, Subject, SubjectAct, Tier},
};

/// One call, resolved.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) tool: &'static Spec,
    /// The other tool that it has called later, whose rule counts, too.
    pub(crate) inner: Option<&'static str>,
    /// How much exactly this act can do.
    pub(crate) tier: Tier,
    pub(crate) needs: &'a Needs,
    /// On whose authority; `None` is nobody, who may only read.
    pub(crate) principal: Option<&'a Principal>,
    /// Everybody who shares the turn.
    pub(crate) askers: &'a [Id<UserMarker>],
    /// Where the thread runs, and where its answer is read.
    pub(crate) here: Id<ChannelMarker>,
    /// Whether others' text was read before.
    pub(crate) is_tainted: bool,
    /// Whether it equals an act that the principal's own message orders.
    pub(crate) is_ordered: bool,
    /// The thread's own answer, not a call that the model chose.
    pub(crate) is_answer: bool,
    /// How it was confirmed before, if it was.
    pub(crate) confirmed: Option<Confirmed>,
}

/// How an act was confirmed before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// It was proposed, and this person approved it: their rights count, too.
    Click(Id<UserMarker>),
    /// It was planned, and its time has come.
    Plan,
    /// The person typed or pressed exactly this: no model stands between.
    Command,
}

impl Call<'_> {
    /// Returns whether it ends what was done for a while.
    pub(crate) fn is_end(&self) -> bool {
        matches!(self.principal, Some(Principal::Expiry { .. }))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Go, reading from no other channels than these.
    Allow {
        reads: Vec<Id<ChannelMarker>>,
    },
    NeedsApproval(Reason),
    Deny(Reason),
}

/// Decides whether a call may be made; `guild` is none in a direct message.
///
/// Invariant: `guild` holds every asker, the bot and the subject, as fresh as events made them.
pub(crate) fn decide(
    call: &Call<'_>,
    guild: Option<&GuildState>,
    policy: &Policy,
    now: UnixMillis,
) -> Decision {
    match check(call, guild, policy, now) {
        Ok(reads) => match approval(call, policy) {
            None => Decision::Allow { reads },
            Some(reason) => Decision::NeedsApproval(reason),
        },
        Err(reason) => Decision::Deny(reason),
    }
}

/// Returns everybody whose rights count for a call.
pub(crate) fn people(
    principal: Option<&Principal>,
    askers: &[Id<UserMarker>],
) -> Vec<Id<UserMarker>> {
    let mut people = askers.to_vec();
    if let Some(Principal::Person(person)) = principal {
        people.push(*person);
    }
    people.sort_unstable();
    people.dedup();
    people
}

fn check(
    call: &Call<'_>,
    guild: Option<&GuildState>,
    policy: &Policy,
    now: UnixMillis,
) -> Result<Vec<Id<ChannelMarker>>, Reason> {
    let rule = rule(call, policy);
    // What was begun while the tool was allowed ends.
    if rule == ToolRule::Off && !call.is_answer && !call.is_end() {
        return Err(Reason::Disabled { tool: call.tool.name });
    }
    let authority = authority(call, guild)?;
    // A thread answers where it runs.
    if call.is_answer && call.needs.place != Place::Channel(call.here) {
        return Err(Reason::OtherPlace);
    }
    let Some(state) = guild else { return in_dm(call) };
    let world = World { call, state, policy, now };
    match &authority {
        Authority::People(people) => world.people_may(people)?,
        Authority::Nobody if call.needs.is_for_members => return Err(Reason::NobodyAsked),
        Authority::Nobody => {
            world.holds(&Member::nobody(), world.of_asker(None), Who::Nobody)?;
        }
        Authority::Bot => {}
    }
    let reads = world.reads(&authority)?;
    world.bot_may(&reads)?;
    world.subjects_may_be_acted_on(&authority)?;
    if let Some(to) = call.needs.tells {
        world.may_be_told(to, &authority)?;
    }
    if let Some(change) = call.needs.rights {
        rights::may_be_changed(&world, change, &authority)?;
    }
    if let Some(Confirmed::Click(approver)) = call.confirmed {
        world.approver_may(approver)?;
    }
    Ok(reads)
}

/// Reversible and destructive acts wait for a click, unless the asker's own message ordered
/// exactly this before anything else was read. Staff wrote rules, and expiries end what was
/// decided before.
fn approval(call: &Call<'_>, policy: &Policy) -> Option<Reason> {
    let is_person = matches!(call.principal, Some(Principal::Person(_)) | None);
    if !is_person || call.is_answer || call.confirmed.is_some() {
        return None;
    }
    if rule(call, policy) == ToolRule::Ask && call.tier > Tier::Read {
        return Some(Reason::NeedsClick);
    }
    (call.tier >= Tier::Reversible && !call.is_ordered)
        .then_some(Reason::NeedsOrder { is_tainted: call.is_tainted })
}

/// Returns what holds for a call: the strictest rule of its tool and of the one that it has called.
fn rule(call: &Call<'_>, policy: &Policy) -> ToolRule {
    let own = policy.rule(call.tool.name);
    call.inner.map_or(own, |inner| own.min(policy.rule(inner)))
}

/// On whose rights a call stands.
#[derive(Debug)]
enum Authority {
    People(Vec<Id<UserMarker>>),
    /// Somebody without any role: a webhook, a system message.
    Nobody,
    /// Staff's rule, the end of a sanction, the answer of a thread: the bot's rights alone.
    Bot,
}

fn authority(call: &Call<'_>, guild: Option<&GuildState>) -> Result<Authority, Reason> {
    let only_reads = call.tier == Tier::Read;
    if call.is_answer {
        return Ok(Authority::Bot);
    }
    match call.principal {
        Some(Principal::Rule { .. }) => return Ok(Authority::Bot),
        Some(Principal::Expiry { .. }) => {
            let lifts = matches!(call.needs.subjects.as_slice(), [one] if one.act.lifts());
            return if lifts { Ok(Authority::Bot) } else { Err(Reason::ExpiryOnlyLifts) };
        }
        None if only_reads && call.askers.is_empty() => return Ok(Authority::Nobody),
        None if call.askers.is_empty() => return Err(Reason::NobodyAsked),
        Some(Principal::Person(_)) | None => {}
    }
    let people = people(call.principal, call.askers);
    if people.len() > 1 && call.tier > Tier::Harmless {
        return Err(Reason::SharedTurn);
    }
    if let Some(state) = guild {
        let is_automated = people.iter().any(|person| {
            *person == state.bot || state.member(*person).is_some_and(|member| member.is_bot)
        });
        if is_automated && !only_reads {
            return Err(Reason::NobodyAsked);
        }
    }
    Ok(Authority::People(people))
}

/// A direct message has no roles: both sides see it, and there is nothing to moderate.
fn in_dm(call: &Call<'_>) -> Result<Vec<Id<ChannelMarker>>, Reason> {
    let is_here = match call.needs.place {
        Place::Channel(channel) => channel == call.here,
        Place::Guild => false,
    };
    if !call.tool.works_in_dm || !call.needs.subjects.is_empty() || call.tier > Tier::Harmless {
        return Err(Reason::NotInDm { tool: call.tool.name });
    }
    let reads = match &call.needs.reads {
        Reads::Nothing => Vec::new(),
        Reads::Channels(channels) => channels.clone(),
        Reads::WhatMayBeRead { .. } => vec![call.here],
        Reads::About(channel) => vec![*channel],
        Reads::AboutAll | Reads::ForHolders(_) => {
            return Err(Reason::NotInDm { tool: call.tool.name });
        }
    };
    if !is_here || reads.iter().any(|channel| *channel != call.here) {
        return Err(Reason::OtherPlace);
    }
    Ok(reads)
}

struct World<'a> {
    call: &'a Call<'a>,
    state: &'a GuildState,
    policy: &'a Policy,
    now: UnixMillis,
}

impl World<'_> {
    fn people_may(&self, people: &[Id<UserMarker>]) -> Result<(), Reason> {
        for person in people {
            let who = who(*person, people);
            let member = self.state.member(*person).ok_or(Reason::AskerNotMember { who })?;
            self.holds(member, self.of_asker(Some(*person)), who)?;
        }
        Ok(())
    }

    /// Whoever approved it must be able to do it by hand, as the asker must.
    fn approver_may(&self, approver: Id<UserMarker>) -> Result<(), Reason> {
        let who = Who::OneOfYou(approver);
        let member = self.state.member(approver).ok_or(Reason::AskerNotMember { who })?;
        self.holds(member, self.of_asker(Some(approver)), who)?;
        let alone = Authority::People(vec![approver]);
        self.subjects_may_be_acted_on(&alone).map_err(|reason| reason.of(who))?;
        if let Some(change) = self.call.needs.rights {
            rights::may_be_changed(self, change, &alone).map_err(|reason| reason.of(who))?;
        }
        Ok(())
    }

    /// What an asker needs: more where it is another's that is touched.
    fn of_asker(&self, asker: Option<Id<UserMarker>>) -> Permissions {
        let needed = self.call.needs.asker;
        let manages = |owned: Owned| {
            let member = asker.and_then(|asker| self.state.member(asker));
            owned.is_plan && member.is_some_and(|member| self.policy.is_event_manager(member))
        };
        match self.call.needs.owned {
            Some(owned) if manages(owned) => needed,
            Some(owned) if owned.by.is_none() || owned.by != asker => needed | owned.others,
            _ => needed,
        }
    }

    fn bot_may(&self, reads: &[Id<ChannelMarker>]) -> Result<(), Reason> {
        let bot = self.bot()?;
        let needs = self.call.needs;
        let of_others = needs.owned.filter(|owned| owned.by != Some(bot.user));
        let wanted = of_others.map_or(needs.bot, |owned| needs.bot | owned.bot);
        self.holds(bot, wanted, Who::Ery)?;
        if !matches!(needs.reads, Reads::Channels(_) | Reads::WhatMayBeRead { .. }) {
            return Ok(());
        }
        for channel in reads {
            self.reads_channel(bot, self.channel(*channel)?, Who::Ery)?;
        }
        Ok(())
    }

    fn holds(&self, member: &Member, wanted: Permissions, who: Who) -> Result<(), Reason> {
        self.holds_in(self.call.needs.place, member, wanted, who)?;
        for also in &self.call.needs.also_in {
            let wanted = if who == Who::Ery { also.bot } else { also.asker };
            // Where nothing is needed, one need not even be.
            if !wanted.is_empty() {
                self.holds_in(Place::Channel(also.channel), member, wanted, who)?;
            }
        }
        Ok(())
    }

    fn holds_in(
        &self,
        place: Place,
        member: &Member,
        wanted: Permissions,
        who: Who,
    ) -> Result<(), Reason> {
        let guild = &*self.state.guild;
        let (has, named) = match place {
            Place::Guild => (permissions::in_guild(guild, member, self.now), NamedPlace::Server),
            Place::Channel(channel) => {
                let channel = self.channel(channel)?;
                self.may_know_of(member, channel, who)?;
                self.may_be_in(member, channel, who)?;
                let has = permissions::in_channel(guild, member, channel, self.now);
                (has, NamedPlace::channel(channel))
            }
        };
        let mut wanted = self.as_there(place, wanted);
        if has.intersects(permissions::SPARED_OF_SLOW_MODE) {
            wanted.remove(Permissions::BYPASS_SLOWMODE);
        }
        let Some(permission) = permissions::first_missing(wanted, has) else { return Ok(()) };
        if member.is_timed_out(self.now) && permission != Permissions::VIEW_CHANNEL {
            return Err(Reason::AskerTimedOut { who });
        }
        Err(Reason::Lacks { who, permission, place: named })
    }

    /// In threads the right to send has a name of its own.
    fn as_there(&self, place: Place, wanted: Permissions) -> Permissions {
        let Place::Channel(channel) = place else { return wanted };
        let Some(channel) = self.state.channel(channel) else { return wanted };
        if !wanted.contains(Permissions::SEND_MESSAGES) {
            return wanted;
        }
        let to_send = permissions::to_send(channel.kind);
        let wanted = wanted.difference(Permissions::SEND_MESSAGES).union(to_send);
        // In a locked thread only those write who manage threads.
        if channel.is_locked { wanted | Permissions::MANAGE_THREADS } else { wanted }
    }

    /// To whoever does not see a channel it is as if it were not there: how they are refused tells them
    /// nothing of it.
    fn may_know_of(&self, member: &Member, channel: &Channel, who: Who) -> Result<(), Reason> {
        let is_known = who == Who::Ery
            || channel.id == self.call.here
            || sight::sees(self.state, member, channel, self.now);
        if is_known { Ok(()) } else { Err(Reason::OtherPlace) }
    }

    fn reads_channel(&self, member: &Member, channel: &Channel, who: Who) -> Result<(), Reason> {
        self.may_know_of(member, channel, who)?;
        self.may_be_in(member, channel, who)?;
        let has = permissions::in_channel(&self.state.guild, member, channel, self.now);
        match permissions::first_missing(flow::TO_READ, has) {
            None => Ok(()),
            Some(permission) => {
                Err(Reason::Lacks { who, permission, place: NamedPlace::channel(channel) })
            }
        }
    }

    /// Who is in a private thread is not known here: one who wrote there is, until they are seen to
    /// go, and so is whoever may manage threads.
    fn may_be_in(&self, member: &Member, channel: &Channel, who: Who) -> Result<(), Reason> {
        let is_open = channel.kind != ChannelKind::PrivateThread
            || channel.id == self.call.here && !self.state.is_outside(channel.id, member.user)
            || who == Who::Ery
            || permissions::in_channel(&self.state.guild, member, channel, self.now)
                .contains(Permissions::MANAGE_THREADS);
        if is_open {
            Ok(())
        } else {
            let place = NamedPlace::channel(channel);
            Err(Reason::Lacks { who, permission: Permissions::VIEW_CHANNEL, place })
        }
    }

    fn reads(&self, authority: &Authority) -> Result<Vec<Id<ChannelMarker>>, Reason> {
        match &self.call.needs.reads {
            Reads::Nothing => Ok(Vec::new()),
            Reads::Channels(channels) => {
                for channel in channels {
                    self.may_read(*channel, authority)?;
                }
                Ok(channels.clone())
            }
            Reads::WhatMayBeRead { at_most } => {
                let mut channels: Vec<_> = self
                    .state
                    .guild
                    .channels
                    .values()
                    .filter(|channel| !channel.kind.is_holder())
                    .map(|channel| channel.id)
                    .filter(|channel| self.may_read(*channel, authority).is_ok())
                    .filter(|channel| self.bot_reads(*channel))
                    .collect();
                // The newest channels first, where there are too many; and always the same ones.
                channels.sort_unstable_by(|a, b| b.cmp(a));
                channels.truncate(*at_most);
                if channels.is_empty() { Err(Reason::NothingToRead) } else { Ok(channels) }
            }
            Reads::About(channel) => {
                self.may_know(*channel, authority)?;
                Ok(vec![*channel])
            }
            Reads::AboutAll => {
                let channels = self.state.guild.channels.keys().copied();
                let mut channels: Vec<_> =
                    channels.filter(|channel| self.may_know(*channel, authority).is_ok()).collect();
                channels.sort_unstable();
                Ok(channels)
            }
            Reads::ForHolders(permissions) => {
                if flow::all_hold(self.state, *permissions, self.call.here) {
                    Ok(Vec::new())
                } else {
                    Err(Reason::NotForAll { permission: *permissions })
                }
            }
        }
    }

    /// Whether what is known of a channel may be told here.
    fn may_know(&self, channel: Id<ChannelMarker>, authority: &Authority) -> Result<(), Reason> {
        let of = self.channel(channel)?;
        let knows = |member: &Member, who| {
            self.may_know_of(member, of, who)?;
            self.may_be_in(member, of, who)?;
            let has = permissions::in_channel(&self.state.guild, member, of, self.now);
            if has.contains(Permissions::VIEW_CHANNEL) {
                Ok(())
            } else {
                let place = NamedPlace::channel(of);
                Err(Reason::Lacks { who, permission: Permissions::VIEW_CHANNEL, place })
            }
        };
        match authority {
            Authority::People(people) => {
                for person in people {
                    let who = who(*person, people);
                    let member =
                        self.state.member(*person).ok_or(Reason::AskerNotMember { who })?;
                    knows(member, who)?;
                }
            }
            Authority::Nobody => knows(&Member::nobody(), Who::Nobody)?,
            Authority::Bot => {}
        }
        if flow::may_be_known(self.state, channel, self.call.here) {
            Ok(())
        } else {
            Err(Reason::WouldLeak { source: channel })
        }
    }

    /// Whether words that were made here may be read there. What somebody ordered word for word is
    /// their own, and so is what a rule says.
    fn may_be_told(&self, to: Id<ChannelMarker>, authority: &Authority) -> Result<(), Reason> {
        let is_own = self.call.is_ordered || matches!(authority, Authority::Bot);
        if is_own || flow::may_flow(self.state, self.call.here, to) {
            Ok(())
        } else {
            Err(Reason::WouldCarry { to })
        }
    }

    fn bot_reads(&self, channel: Id<ChannelMarker>) -> bool {
        self.bot().and_then(|bot| self.reads_channel(bot, self.channel(channel)?, Who::Ery)).is_ok()
    }

    fn may_read(&self, channel: Id<ChannelMarker>, authority: &Authority) -> Result<(), Reason> {
        let source = self.channel(channel)?;
        match authority {
            Authority::People(people) => {
                for person in people {
                    let who = who(*person, people);
                    let member =
                        self.state.member(*person).ok_or(Reason::AskerNotMember { who })?;
                    self.reads_channel(member, source, who)?;
                }
            }
            Authority::Nobody => {
                let nobody = Member::nobody();
                self.reads_channel(&nobody, source, Who::Nobody)?;
            }
            Authority::Bot => {}
        }
        if flow::may_flow(self.state, channel, self.call.here) {
            Ok(())
        } else {
            Err(Reason::WouldLeak { source: channel })
        }
    }

    /// Of several, one who may not be acted on protects them all: what was asked for is one act.
    fn subjects_may_be_acted_on(&self, authority: &Authority) -> Result<(), Reason> {
        let subjects = &self.call.needs.subjects;
        for subject in subjects {
            self.subject_may_be_acted_on(*subject, authority).map_err(|because| {
                if subjects.len() > 1 { because.about(subject.user) } else { because }
            })?;
        }
        Ok(())
    }

    fn subject_may_be_acted_on(
        &self,
        subject: Subject,
        authority: &Authority,
    ) -> Result<(), Reason> {
        if subject.act == SubjectAct::Look {
            // What is known of people is for the members of the guild.
            return match authority {
                Authority::Nobody => Err(Reason::NobodyAsked),
                Authority::People(_) | Authority::Bot => Ok(()),
            };
        }
        let guild = &*self.state.guild;
        if subject.user == self.state.bot {
            return Err(Reason::TargetIsEry);
        }
        if subject.act == SubjectAct::Address {
            let target = self.state.member(subject.user).ok_or(Reason::TargetNotMember)?;
            return if target.is_bot { Err(Reason::TargetIsBot) } else { Ok(()) };
        }
        let people: &[Id<UserMarker>] = match authority {
            Authority::People(people) => people,
            Authority::Nobody => return Err(Reason::NobodyAsked),
            Authority::Bot => &[],
        };
        if people.contains(&subject.user) {
            return Err(Reason::TargetIsSelf);
        }
        if subject.user == guild.owner {
            return Err(Reason::TargetIsOwner);
        }
        let Some(target) = self.state.member(subject.user) else {
            // Who is no member has no rank.
            return match subject.act {
                SubjectAct::Ban | SubjectAct::Unban => Ok(()),
                _ => Err(Reason::TargetNotMember),
            };
        };
        if subject.act == SubjectAct::Unban {
            // A member is not banned: there is nothing to be lifted.
            return Ok(());
        }
        let is_administrator =
            permissions::in_guild(guild, target, self.now).contains(Permissions::ADMINISTRATOR);
        let is_exempt = matches!(subject.act, SubjectAct::Sanction | SubjectAct::Lift);
        if is_administrator && is_exempt {
            return Err(Reason::TargetIsAdministrator);
        }
        let mut askers_are_administrators = !people.is_empty();
        for person in people {
            let who = who(*person, people);
            let member = self.state.member(*person).ok_or(Reason::AskerNotMember { who })?;
            if !permissions::outranks(guild, member, target) {
                return Err(Reason::RankTooLow { who });
            }
            askers_are_administrators &=
                permissions::in_guild(guild, member, self.now).contains(Permissions::ADMINISTRATOR);
        }
        if is_administrator && !askers_are_administrators {
            return Err(Reason::TargetNeedsAdministrator);
        }
        // A reproof asks nothing of Discord.
        if subject.act != SubjectAct::Warn && !permissions::outranks(guild, self.bot()?, target) {
            return Err(Reason::RankTooLow { who: Who::Ery });
        }
        Ok(())
    }

    fn bot(&self) -> Result<&Member, Reason> {
        self.state.member(self.state.bot).ok_or(Reason::EryNotMember)
    }

    fn channel(&self, channel: Id<ChannelMarker>) -> Result<&Channel, Reason> {
        self.state.channel(channel).ok_or(Reason::OtherPlace)
    }
}

fn who(person: Id<UserMarker>, people: &[Id<UserMarker>]) -> Who {
    if people.len() == 1 { Who::You } else { Who::OneOfYou(person) }
}

#[cfg(test)]
#[path = "decide/properties_tests.rs"]
mod properties_tests;
#[cfg(test)]
#[path = "decide/rights_tests.rs"]
mod rights_tests;
#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;

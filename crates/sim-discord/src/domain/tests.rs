//! Stories of the world, without anything around it.

use std::time::Duration;

use serde_json::json;
use twilight_model::guild::Permissions;

use ery_clock::{ManualClock, UnixMillis};

use super::{
    Actor, AuditLogQuery, ChannelChange, ChannelId, ChannelKind, Dispatch, Draft, Emoji, Guild,
    GuildId, MemberChange, MessageId, Nonce, Outcome, OverwriteTarget, Page, Payload, Refusal,
    RoleChange, RoleId, UserId, World,
};

const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

struct Story {
    world: World,
    guild: GuildId,
    now: UnixMillis,
}

impl Story {
    fn begin() -> Self {
        let world = World::demo(&ManualClock::at(NOW));
        let guild = *world.guilds.keys().next().unwrap();
        Self { world, guild, now: NOW }
    }

    fn guild(&self) -> &Guild {
        &self.world.guilds[&self.guild]
    }

    fn user(&self, name: &str) -> UserId {
        self.world.users.values().find(|user| user.username == name).unwrap().id
    }

    fn channel(&self, name: &str) -> ChannelId {
        self.world.channels.values().find(|channel| channel.name == name).unwrap().id
    }

    fn role(&self, name: &str) -> RoleId {
        self.guild().roles.values().find(|role| role.name == name).unwrap().id
    }

    fn send(&mut self, who: &str, place: &str, draft: Draft) -> Outcome<super::messages::Created> {
        let (who, place) = (self.user(who), self.channel(place));
        self.world.create_message(who, place, draft, self.now)
    }

    fn say(&mut self, who: &str, place: &str, content: &str) -> Result<MessageId, Refusal> {
        self.send(who, place, text(content)).map(|effect| effect.value.message)
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    fn update(&mut self, who: &str, whom: &str, change: MemberChange) -> Outcome<()> {
        let (who, whom) = (Actor::User(self.user(who)), self.user(whom));
        self.world.update_member(who, self.guild, whom, change, None, self.now)
    }
}

/// Lets the dispatches be, where a story does not look at them.
trait Done<T> {
    fn done(self) -> T;
}

impl<T> Done<T> for Outcome<T> {
    fn done(self) -> T {
        self.unwrap().value
    }
}

fn text(content: &str) -> Draft {
    Draft { content: content.to_owned(), ..Draft::default() }
}

fn names(dispatches: &[Dispatch]) -> Vec<&'static str> {
    dispatches.iter().map(|dispatch| dispatch.name).collect()
}

fn body(dispatch: &Dispatch) -> serde_json::Value {
    let Payload::Shared(body) = &dispatch.payload else { panic!("{dispatch:?}") };
    serde_json::from_slice(body).unwrap()
}

fn refused<T: std::fmt::Debug>(outcome: Outcome<T>) -> Refusal {
    outcome.unwrap_err()
}

#[test]
fn slow_mode_makes_people_wait_but_not_the_staff() {
    let mut story = Story::begin();
    let change = ChannelChange { rate_limit_per_user: Some(10), ..ChannelChange::default() };
    let channel = story.channel("general");
    story.world.update_channel(Actor::Operator, channel, change, None, NOW).done();
    story.say("bob", "general", "one").unwrap();
    story.wait(Duration::from_secs(4));
    let refusal = story.say("bob", "general", "two").unwrap_err();
    assert_eq!(refusal, Refusal::Slowmode { retry_after_ms: 6_000 });
    assert_eq!(json!(refusal.body())["retry_after"], 6.0);
    story.say("alice", "general", "me too").unwrap();
    story.say("theo", "general", "one").unwrap();
    story.say("theo", "general", "two").unwrap();
    story.wait(Duration::from_secs(6));
    story.say("bob", "general", "three").unwrap();
}

#[test]
fn an_enforced_nonce_holds_for_five_minutes_and_for_one_author() {
    let mut story = Story::begin();
    let draft =
        Draft { nonce: Some(Nonce::Text("n".to_owned())), enforce_nonce: true, ..text("once") };
    let first = story.send("Ery", "general", draft.clone()).unwrap();
    assert_eq!(names(&first.dispatches), ["MESSAGE_CREATE"]);
    let again = story.send("Ery", "general", draft.clone()).unwrap();
    assert_eq!(again.value.message, first.value.message);
    assert!(again.value.is_repeat && again.dispatches.is_empty());
    let other = story.send("bob", "general", draft.clone()).unwrap();
    assert_ne!(other.value.message, first.value.message);
    story.wait(Duration::from_secs(301));
    let later = story.send("Ery", "general", draft).unwrap();
    assert_ne!(later.value.message, first.value.message);
}

#[test]
fn a_timeout_ends_by_itself_and_spares_nobody_but_the_high() {
    let mut story = Story::begin();
    let until = |story: &Story| MemberChange {
        timed_out_until: Some(Some(story.now + Duration::from_mins(1))),
        ..MemberChange::default()
    };
    let change = until(&story);
    let effect = story.update("theo", "bob", change.clone()).unwrap();
    assert_eq!(names(&effect.dispatches), ["GUILD_MEMBER_UPDATE", "GUILD_AUDIT_LOG_ENTRY_CREATE"]);
    assert_eq!(story.say("bob", "general", "but").unwrap_err(), Refusal::MissingPermissions);
    let (bob, general) = (story.user("bob"), story.channel("general"));
    assert!(
        !story.world.list_messages(bob, general, Page::Newest, 5, story.now).unwrap().is_empty()
    );
    story.wait(Duration::from_mins(1));
    story.say("bob", "general", "sorry").unwrap();
    for (who, whom) in [("theo", "mara"), ("theo", "theo"), ("bob", "alice"), ("Ery", "theo")] {
        let refusal = refused(story.update(who, whom, change.clone()));
        assert_eq!(refusal, Refusal::MissingPermissions, "{who} {whom}");
    }
}

#[test]
fn a_moderator_gives_only_roles_below_their_own() {
    let mut story = Story::begin();
    let (theo, bob) = (story.user("theo"), story.user("bob"));
    let give = |story: &mut Story, name: &str| {
        let role = story.role(name);
        let (guild, now) = (story.guild, story.now);
        story.world.set_member_role(Actor::User(theo), guild, (bob, role), true, None, now)
    };
    let effect = give(&mut story, "Muted").unwrap();
    let entry = body(&effect.dispatches[1]);
    assert_eq!(entry["changes"][0]["key"], "$add");
    assert_eq!(entry["changes"][0]["new_value"][0]["name"], "Muted");
    assert!(give(&mut story, "Muted").unwrap().dispatches.is_empty(), "he has it already");
    assert_eq!(refused(give(&mut story, "Moderator")), Refusal::MissingPermissions);
    assert_eq!(refused(give(&mut story, "Admin")), Refusal::MissingPermissions);
    assert_eq!(refused(give(&mut story, "Ery")), Refusal::MissingPermissions);
    assert_eq!(story.say("bob", "general", "hm").unwrap_err(), Refusal::MissingPermissions);
}

#[test]
fn nobody_grants_what_they_do_not_have() {
    let mut story = Story::begin();
    let theo = Actor::User(story.user("theo"));
    let make = |story: &mut Story, permissions| {
        let change = RoleChange { permissions: Some(permissions), ..RoleChange::default() };
        let (guild, now) = (story.guild, story.now);
        story.world.create_role(theo, guild, change, None, now)
    };
    make(&mut story, Permissions::KICK_MEMBERS).done();
    let refusal = refused(make(&mut story, Permissions::ADMINISTRATOR));
    assert_eq!(refusal, Refusal::MissingPermissions);
    let (general, bob) = (story.channel("general"), story.user("bob"));
    let target = OverwriteTarget::Member(bob);
    let none = Permissions::empty();
    let mut set = |allow| {
        let now = story.now;
        story.world.set_overwrite(theo, general, target, Some((allow, none)), None, now)
    };
    set(Permissions::MANAGE_MESSAGES).done();
    assert_eq!(refused(set(Permissions::MANAGE_WEBHOOKS)), Refusal::MissingPermissions);
    assert_eq!(refused(set(Permissions::MANAGE_ROLES)), Refusal::MissingPermissions);
}

#[test]
fn a_deleted_role_is_gone_from_members_and_channels() {
    let mut story = Story::begin();
    let role = story.role("Member");
    let bob = story.user("bob");
    let effect = story.world.delete_role(Actor::Operator, story.guild, role, None, NOW).unwrap();
    assert_eq!(names(&effect.dispatches), ["GUILD_ROLE_DELETE"]);
    assert!(story.guild().members[&bob].roles.is_empty());
    let managed = story.role("Ery");
    let refusal =
        refused(story.world.delete_role(Actor::Operator, story.guild, managed, None, NOW));
    assert_eq!(refusal, Refusal::InvalidRole);
}

#[test]
fn a_ban_takes_messages_membership_and_return() {
    let mut story = Story::begin();
    let old = story.say("bob", "general", "long ago").unwrap();
    story.wait(Duration::from_hours(2));
    let spam = story.say("bob", "recipes", "spam").unwrap();
    let (theo, bob) = (Actor::User(story.user("theo")), story.user("bob"));
    let hour = Duration::from_hours(1);
    let (guild, now) = (story.guild, story.now);
    let effect = story.world.ban(theo, guild, bob, hour, Some("spam"), now).unwrap();
    assert_eq!(
        names(&effect.dispatches),
        [
            "MESSAGE_DELETE_BULK",
            "GUILD_MEMBER_REMOVE",
            "GUILD_BAN_ADD",
            "GUILD_AUDIT_LOG_ENTRY_CREATE"
        ]
    );
    let (general, recipes) = (story.channel("general"), story.channel("recipes"));
    assert!(story.world.channels[&general].messages.contains_key(&old));
    assert!(!story.world.channels[&recipes].messages.contains_key(&spam));
    assert_eq!(story.say("bob", "general", "x").unwrap_err(), Refusal::MissingAccess);
    assert!(story.world.ban(theo, guild, bob, hour, None, now).unwrap().dispatches.is_empty());
    story.world.unban(theo, guild, bob, None, now).done();
    assert_eq!(refused(story.world.unban(theo, guild, bob, None, now)), Refusal::UnknownBan);
}

#[test]
fn a_bot_that_is_kicked_is_told_so_alone() {
    let mut story = Story::begin();
    let (mara, ery) = (Actor::User(story.user("mara")), story.user("Ery"));
    let effect = story.world.kick(mara, story.guild, ery, None, NOW).unwrap();
    assert_eq!(
        names(&effect.dispatches),
        ["GUILD_MEMBER_REMOVE", "GUILD_DELETE", "GUILD_AUDIT_LOG_ENTRY_CREATE"]
    );
    assert_eq!(effect.dispatches[1].about, Some(ery));
    assert_eq!(story.say("Ery", "general", "x").unwrap_err(), Refusal::MissingAccess);
}

#[test]
fn the_audit_log_is_read_from_either_end_and_forgets() {
    let mut story = Story::begin();
    let (theo, ery, guild) = (story.user("theo"), story.user("Ery"), story.guild);
    for index in 0..5 {
        let nick = Some(Some(format!("nick {index}")));
        let change = MemberChange { nick, ..MemberChange::default() };
        story.update("theo", "bob", change).done();
        story.wait(Duration::from_hours(1));
    }
    let query = AuditLogQuery {
        user: Some(theo),
        target: None,
        action: Some(24),
        before: None,
        after: None,
        limit: 2,
    };
    let read = |story: &Story, query: &AuditLogQuery| -> Vec<serde_json::Value> {
        let entries = story.world.audit_log(ery, guild, query, story.now).unwrap();
        entries.iter().map(|entry| entry.changes[0]["new_value"].clone()).collect()
    };
    assert_eq!(read(&story, &query), ["nick 4", "nick 3"]);
    let oldest = AuditLogQuery { after: Some(0), ..query.clone() };
    assert_eq!(read(&story, &oldest), ["nick 0", "nick 1"]);
    let bob = story.user("bob");
    let refusal = story.world.audit_log(bob, guild, &query, story.now).unwrap_err();
    assert_eq!(refusal, Refusal::MissingPermissions);
    story.wait(Duration::from_hours(46 * 24));
    let change = MemberChange { nick: Some(None), ..MemberChange::default() };
    story.update("theo", "bob", change).done();
    assert_eq!(story.guild().audit_log.len(), 1);
}

#[test]
fn a_channel_keeps_no_more_than_its_bound() {
    let mut story = Story::begin();
    story.world.messages_per_channel = 3;
    for index in 0..10 {
        story.say("bob", "off-topic", &index.to_string()).unwrap();
    }
    let channel = &story.world.channels[&story.channel("off-topic")];
    let contents: Vec<&str> =
        channel.messages.values().map(|message| message.content.as_str()).collect();
    assert_eq!(contents, ["7", "8", "9"]);
}

#[test]
fn the_first_reaction_needs_a_right_and_the_next_ones_do_not() {
    let mut story = Story::begin();
    let said = story.say("alice", "general", "cake").unwrap();
    let (general, bob, nils) = (story.channel("general"), story.user("bob"), story.user("nils"));
    let deny = (Permissions::empty(), Permissions::ADD_REACTIONS);
    let target = OverwriteTarget::Member(bob);
    story.world.set_overwrite(Actor::Operator, general, target, Some(deny), None, NOW).done();
    let cake = || Emoji::parse("🍰").unwrap();
    let refusal = refused(story.world.add_reaction(bob, general, said, cake(), NOW));
    assert_eq!(refusal, Refusal::MissingPermissions);
    story.world.add_reaction(nils, general, said, cake(), NOW).done();
    story.world.add_reaction(bob, general, said, cake(), NOW).done();
    let refusal = refused(story.world.remove_reaction(bob, general, said, &cake(), nils, NOW));
    assert_eq!(refusal, Refusal::MissingPermissions);
    story.world.remove_reaction(nils, general, said, &cake(), nils, NOW).done();
    let reaction = &story.world.channels[&general].messages[&said].reactions[0];
    assert_eq!(reaction.users, [bob]);
}

#[test]
fn a_category_holds_channels_and_no_messages() {
    let mut story = Story::begin();
    let (guild, operator) = (story.guild, Actor::Operator);
    let named = |name: &str| ChannelChange { name: Some(name.into()), ..ChannelChange::default() };
    let category = ChannelKind::CATEGORY;
    let made = story.world.create_channel(operator, guild, category, named("rooms"), None, NOW);
    let category = made.unwrap().value;
    assert_eq!(story.say("mara", "rooms", "x").unwrap_err(), Refusal::NonTextChannel);
    let inside = ChannelChange { parent: Some(Some(category)), ..named("inside") };
    let text = ChannelKind::TEXT;
    let inside =
        story.world.create_channel(operator, guild, text, inside, None, NOW).unwrap().value;
    let wrong = ChannelChange { parent: Some(Some(inside)), ..named("wrong") };
    let refusal = refused(story.world.create_channel(operator, guild, text, wrong, None, NOW));
    assert!(matches!(refusal, Refusal::InvalidForm(_)));
    story.world.delete_channel(operator, category, None, NOW).done();
    assert_eq!(story.world.channels[&inside].parent, None);
}

#[test]
fn what_the_operator_does_leaves_no_trace_in_the_audit_log() {
    let mut story = Story::begin();
    let bob = story.user("bob");
    let change = MemberChange { nick: Some(Some("B".into())), ..MemberChange::default() };
    let effect =
        story.world.update_member(Actor::Operator, story.guild, bob, change, None, NOW).unwrap();
    assert_eq!(names(&effect.dispatches), ["GUILD_MEMBER_UPDATE"]);
    assert!(story.guild().audit_log.is_empty());
}

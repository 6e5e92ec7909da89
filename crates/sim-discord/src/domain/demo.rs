//! A small community to try things in.

use std::time::Duration;

use twilight_model::guild::Permissions;

use ery_clock::{Clock, UnixMillis};

use super::{
    Actor, ChannelChange, ChannelId, ChannelKind, Draft, Emoji, GuildId, GuildSeed, MessageId,
    Outcome, Overwrite, OverwriteTarget, Presence, ReplyTo, RoleChange, RoleId, UserId, World,
    guilds::DEFAULT_EVERYONE,
};

/// The token of the demo's bot.
pub(crate) const DEMO_TOKEN: &str = "sim-token-ery";
/// What Ery asks for when she is invited: all her tools need, without ADMINISTRATOR.
pub(crate) const ERY_PERMISSIONS: Permissions =
    Permissions::from_bits_retain(2_833_836_870_331_607);

const FOUNDED_BEFORE: Duration = Duration::from_hours(90 * 24);
const TALK_BEGAN_BEFORE: Duration = Duration::from_hours(30);
const BETWEEN_MESSAGES: Duration = Duration::from_mins(41);

const MODERATOR: Permissions = DEFAULT_EVERYONE
    .union(Permissions::KICK_MEMBERS)
    .union(Permissions::BAN_MEMBERS)
    .union(Permissions::MODERATE_MEMBERS)
    .union(Permissions::MANAGE_MESSAGES)
    .union(Permissions::MANAGE_NICKNAMES)
    .union(Permissions::MANAGE_ROLES)
    .union(Permissions::MANAGE_THREADS)
    .union(Permissions::VIEW_AUDIT_LOG)
    .union(Permissions::MENTION_EVERYONE)
    .union(Permissions::PIN_MESSAGES);

const SILENCED: Permissions = Permissions::SEND_MESSAGES
    .union(Permissions::SEND_MESSAGES_IN_THREADS)
    .union(Permissions::ADD_REACTIONS)
    .union(Permissions::CREATE_PUBLIC_THREADS)
    .union(Permissions::SPEAK);

impl World {
    /// Returns a believable small community, "Harbour Café", with the bot Ery in it.
    ///
    /// Roles from above: Admin, Moderator, Ery, Member, Muted. So Ery and the moderators can act on
    /// ordinary members, and neither on the other's betters.
    pub fn demo(clock: &dyn Clock) -> Self {
        let now = clock.now();
        let mut world = Self::empty();
        Demo::build(&mut world, now);
        world
    }
}

struct Demo<'a> {
    world: &'a mut World,
    guild: GuildId,
    now: UnixMillis,
}

struct People {
    mara: UserId,
    theo: UserId,
    bob: UserId,
    alice: UserId,
    nils: UserId,
    yuki: UserId,
    zoe: UserId,
}

struct Channels {
    general: ChannelId,
    recipes: ChannelId,
    events: ChannelId,
    staff: ChannelId,
}

/// Unwraps what cannot be refused.
fn must<T>(outcome: Outcome<T>) -> T {
    outcome.expect("the demo breaks none of the world's rules, which a test confirms").value
}

impl Demo<'_> {
    fn build(world: &mut World, now: UnixMillis) {
        let founded = now - FOUNDED_BEFORE;
        let mut user =
            |name: &str, shown: &str| world.create_user(name, Some(shown), false, founded);
        let people = People {
            mara: user("mara", "Mara"),
            theo: user("theo", "Theo"),
            bob: user("bob", "Bob"),
            alice: user("alice", "Alice"),
            nils: user("nils", "Nils"),
            yuki: user("yuki", "Yuki"),
            zoe: user("zoe", "Zoë"),
        };
        let ery = world.create_bot("Ery", DEMO_TOKEN, Some(people.mara), founded);
        let name = "Harbour Café".to_owned();
        let seed = GuildSeed { name, owner: people.mara, everyone: Some(DEFAULT_EVERYONE) };
        let guild = must(world.create_guild(seed, founded));
        let mut demo = Demo { world, guild, now: founded };

        let muted = demo.role("Muted", 1, 0x0099_AAB5, Permissions::empty());
        let member = demo.role("Member", 2, 0x0034_98DB, DEFAULT_EVERYONE);
        must(demo.world.invite_bot(guild, ery, ERY_PERMISSIONS, Some(3), founded));
        let moderator = demo.role("Moderator", 4, 0x002E_CC71, MODERATOR);
        let admin = demo.role("Admin", 5, 0x00E7_4C3C, Permissions::ADMINISTRATOR);

        demo.give(people.mara, &[admin, member]);
        demo.join(people.theo, &[moderator, member]);
        for person in [people.bob, people.alice, people.nils, people.yuki] {
            demo.join(person, &[member]);
        }
        demo.join(people.zoe, &[]);

        let channels = demo.channels(muted, moderator, ery);
        for person in [people.mara, people.theo, people.bob, people.alice] {
            let presence = Presence::online();
            must(demo.world.set_presence(person, presence, now));
        }
        demo.now = now - TALK_BEGAN_BEFORE;
        demo.talk(&people, &channels);
    }

    fn role(&mut self, name: &str, position: i64, color: u32, permissions: Permissions) -> RoleId {
        let change = RoleChange {
            name: Some(name.to_owned()),
            permissions: Some(permissions),
            color: Some(color),
            hoist: Some(position > 3),
            mentionable: Some(name == "Moderator"),
            position: Some(position),
        };
        must(self.world.create_role(Actor::Operator, self.guild, change, None, self.now))
    }

    fn join(&mut self, user: UserId, roles: &[RoleId]) {
        must(self.world.join(self.guild, user, None, roles.to_vec(), self.now));
    }

    fn give(&mut self, user: UserId, roles: &[RoleId]) {
        for role in roles {
            let (guild, now) = (self.guild, self.now);
            must(self.world.set_member_role(
                Actor::Operator,
                guild,
                (user, *role),
                true,
                None,
                now,
            ));
        }
    }

    fn channels(&mut self, muted: RoleId, moderator: RoleId, ery: UserId) -> Channels {
        let everyone: RoleId = self.guild.cast();
        let for_role =
            |role, allow, deny| Overwrite { target: OverwriteTarget::Role(role), allow, deny };
        let silence = for_role(muted, Permissions::empty(), SILENCED);
        let read_only = vec![
            for_role(everyone, Permissions::empty(), Permissions::SEND_MESSAGES),
            for_role(moderator, Permissions::SEND_MESSAGES, Permissions::empty()),
        ];
        let view = Permissions::VIEW_CHANNEL;
        let staff_only = vec![
            for_role(everyone, Permissions::empty(), view),
            for_role(moderator, view, Permissions::empty()),
            Overwrite {
                target: OverwriteTarget::Member(ery),
                allow: view,
                deny: Permissions::empty(),
            },
        ];
        let welcome =
            self.channel("welcome", "House rules: be kind, keep it about the café.", read_only);
        let general = self.channel("general", "Everything and nothing", vec![silence]);
        let recipes = self.channel("recipes", "Cakes, coffees, soups", vec![silence]);
        let events = self.channel("events", "What happens at the harbour", vec![silence]);
        let off_topic = self.channel("off-topic", "Cats, boats, weather", vec![silence]);
        let staff = self.channel("staff", "For moderators only", staff_only);
        debug_assert!(off_topic < staff);
        if let Some(guild) = self.world.guilds.get_mut(&self.guild) {
            guild.system_channel = Some(general);
            guild.rules_channel = Some(welcome);
            guild.settings.safety_alerts_channel = Some(staff);
            guild.description = Some("A café by the water, and its regulars.".to_owned());
        }
        Channels { general, recipes, events, staff }
    }

    fn channel(&mut self, name: &str, topic: &str, overwrites: Vec<Overwrite>) -> ChannelId {
        let change = ChannelChange {
            name: Some(name.to_owned()),
            topic: Some(Some(topic.to_owned())),
            overwrites: Some(overwrites),
            ..ChannelChange::default()
        };
        let kind = ChannelKind::TEXT;
        must(self.world.create_channel(Actor::Operator, self.guild, kind, change, None, self.now))
    }

    fn say(&mut self, author: UserId, channel: ChannelId, content: &str) -> MessageId {
        self.send(author, channel, content, None)
    }

    fn reply(
        &mut self,
        author: UserId,
        channel: ChannelId,
        to: MessageId,
        content: &str,
    ) -> MessageId {
        let reply = ReplyTo { message: to, channel: None, fail_if_not_exists: true };
        self.send(author, channel, content, Some(reply))
    }

    fn send(
        &mut self,
        author: UserId,
        channel: ChannelId,
        content: &str,
        reply_to: Option<ReplyTo>,
    ) -> MessageId {
        self.now = self.now + BETWEEN_MESSAGES;
        let draft = Draft { content: content.to_owned(), reply_to, ..Draft::default() };
        must(self.world.create_message(author, channel, draft, self.now)).message
    }

    fn react(&mut self, user: UserId, channel: ChannelId, message: MessageId, emoji: &str) {
        let emoji = Emoji::parse(emoji).expect("the demo reacts with emojis");
        must(self.world.add_reaction(user, channel, message, emoji, self.now));
    }

    fn talk(&mut self, people: &People, channels: &Channels) {
        let People { mara, theo, bob, alice, nils, yuki, zoe } = *people;
        let Channels { general, recipes, events, staff } = *channels;
        self.say(mara, general, "Good morning everybody, the café is open ☕");
        let question = self.say(bob, general, "Morning! Is the cinnamon cake back?");
        let answer = self.reply(mara, general, question, "Fresh from the oven, since seven.");
        self.react(bob, general, answer, "🎉");
        self.react(alice, general, answer, "🎉");
        self.say(alice, general, "Save me a slice please, I am on the late ferry.");
        self.say(nils, recipes, "Does anybody have a good recipe for rye bread?");
        let recipe = self.say(
            yuki,
            recipes,
            "500 g rye flour, 400 ml water, 100 g sourdough, 10 g salt. Sixteen hours of patience.",
        );
        self.react(nils, recipes, recipe, "👍");
        self.reply(nils, recipes, recipe, "Sixteen hours? I have no patience at all.");
        self.say(bob, recipes, "Put it in the fridge overnight, then you do not have to watch it.");
        self.say(theo, events, "Quiz night on Friday at eight. Teams of four, as always.");
        let quiz = self.say(alice, events, "Bob, Yuki and I are in. Who is our fourth?");
        self.reply(nils, events, quiz, "Me, if nobody asks about football.");
        self.say(zoe, general, "Hi, I am new here. Where do I find the opening hours?");
        self.say(theo, general, "Welcome Zoë! Every day from seven to six, Fridays until ten.");
        self.say(zoe, general, "Thank you!");
        self.say(bob, general, "The ferry is late again, is it the wind?");
        self.say(yuki, general, "Wind and a broken ramp. They say one more hour.");
        self.say(theo, staff, "Somebody posted the same link three times yesterday, I removed it.");
        self.say(mara, staff, "Thanks. Keep an eye on it, no bans without a warning please.");
        self.say(theo, staff, "Understood. I noted it.");
        self.say(alice, recipes, "Soup of the day idea: beetroot with ginger.");
        let soup = self.say(mara, recipes, "On the board from tomorrow.");
        self.react(alice, recipes, soup, "❤️");
        self.say(mara, events, "Open stage next month. Tell me if you play something.");
        self.say(yuki, events, "I can play the ukulele, badly.");
        self.say(nils, general, "Has anybody seen my blue umbrella?");
        self.say(alice, general, "There is one behind the counter.");
        self.say(bob, general, "See you all on Friday.");
    }
}

#[cfg(test)]
mod tests {
    use ery_clock::ManualClock;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

    fn named(world: &World, name: &str) -> UserId {
        world.users.values().find(|user| user.username == name).unwrap().id
    }

    #[test]
    fn the_demo_is_a_believable_community() {
        let world = World::demo(&ManualClock::at(NOW));
        let guild = world.guilds.values().next().unwrap();
        let messages: usize = world.channels.values().map(|channel| channel.messages.len()).sum();
        assert_eq!((guild.members.len(), guild.channels.len()), (8, 6));
        assert!((24..60).contains(&messages), "{messages}");
        let last = world.channels.values().filter_map(|channel| channel.last_message).max();
        assert!(super::super::created_at(last.unwrap()) < NOW);
        assert_eq!(world.bot_by_token(DEMO_TOKEN).unwrap().user, named(&world, "Ery"));
    }

    #[test]
    fn ery_and_the_moderator_stand_above_members_and_below_the_admin() {
        let world = World::demo(&ManualClock::at(NOW));
        let guild = world.guilds.values().next().unwrap();
        let [ery, theo, bob, mara] = ["Ery", "theo", "bob", "mara"].map(|name| named(&world, name));
        assert!(guild.outranks(ery, bob) && guild.outranks(theo, bob));
        assert!(!guild.outranks(ery, theo) && !guild.outranks(ery, mara));
        assert!(!guild.outranks(bob, ery) && !guild.outranks(theo, mara));
        assert_eq!(
            guild.permissions_of(&guild.members[&ery], NOW).bits(),
            ERY_PERMISSIONS.union(DEFAULT_EVERYONE).bits()
        );
    }

    #[test]
    fn the_staff_channel_is_hidden_from_members_only() {
        let world = World::demo(&ManualClock::at(NOW));
        let staff = world.channels.values().find(|channel| channel.name == "staff").unwrap();
        let sees = |name| {
            let rights = world.permissions_in(staff, named(&world, name), NOW).unwrap();
            rights.contains(Permissions::VIEW_CHANNEL)
        };
        assert_eq!(
            ["mara", "theo", "Ery", "bob", "zoe"].map(sees),
            [true, true, true, false, false]
        );
    }
}

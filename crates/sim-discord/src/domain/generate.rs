//! Large worlds, made up: so many guilds with so many members, the same from the same seed.

use std::{str::FromStr, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Deserialize;
use twilight_model::guild::Permissions;

use ery_clock::{Clock, UnixMillis};

use super::{
    Actor, Audience, ChannelChange, ChannelId, ChannelKind, DEMO_TOKEN, Dispatch, Draft,
    ERY_PERMISSIONS, Effect, GuildId, GuildSeed, Member, Outcome, Overwrite, OverwriteTarget,
    Payload, Presence, Refusal, RoleChange, RoleId, UserId, World, guilds::DEFAULT_EVERYONE,
};

/// How long ago the guilds were founded, and how often somebody spoke since.
const FOUNDED_BEFORE: Duration = Duration::from_hours(90 * 24);
const TALK_BEGAN_BEFORE: Duration = Duration::from_hours(24);
/// Of so many members one is online.
const ONE_ONLINE_OF: u32 = 10;
/// The largest world that is made up.
const MAX_GUILDS: usize = 10_000;
const MAX_MEMBERS: usize = 2_000_000;
const MAX_CHANNELS: usize = 500;
const MAX_ROLES: usize = 200;
const MAX_MESSAGES: usize = 1_000_000;

const WORDS: [&str; 16] = [
    "harbour", "ferry", "rain", "cake", "quiz", "bread", "boat", "late", "morning", "thanks",
    "who", "knows", "when", "again", "Friday", "umbrella",
];

/// How large a world is made up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Generator {
    pub guilds: usize,
    /// In all guilds together; the first guilds are large, and each has its owner at least.
    pub members: usize,
    /// In each guild; the last of several is hidden from all but its moderators.
    pub channels: usize,
    /// In each guild, beside those of everybody and of bots; the first is the moderators'.
    pub roles: usize,
    /// In each channel.
    pub messages: usize,
    pub seed: u64,
}

impl Default for Generator {
    fn default() -> Self {
        Self { guilds: 100, members: 5_000, channels: 4, roles: 3, messages: 0, seed: 0 }
    }
}

/// Why a large world is not made up.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeneratorError {
    #[error("`{0}` is no `name=number` with guilds, members, channels, roles, messages or seed")]
    Shape(String),
    #[error("{name} must be between {least} and {most}")]
    Bounds { name: &'static str, least: usize, most: usize },
}

impl FromStr for Generator {
    type Err = GeneratorError;

    /// Reads `guilds=2000,members=100000`; what is left out has its default.
    fn from_str(text: &str) -> Result<Self, GeneratorError> {
        let mut generator = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || GeneratorError::Shape(part.to_owned());
            let (name, number) = part.split_once('=').ok_or_else(wrong)?;
            let number: u64 = number.trim().parse().map_err(|_| wrong())?;
            let size = usize::try_from(number).map_err(|_| wrong())?;
            match name.trim() {
                "guilds" => generator.guilds = size,
                "members" => generator.members = size,
                "channels" => generator.channels = size,
                "roles" => generator.roles = size,
                "messages" => generator.messages = size,
                "seed" => generator.seed = number,
                _ => return Err(wrong()),
            }
        }
        generator.check()?;
        Ok(generator)
    }
}

impl Generator {
    /// Checks that the world is not too large to be made up.
    ///
    /// # Errors
    ///
    /// [`GeneratorError::Bounds`], of the first number that is out of them.
    pub fn check(&self) -> Result<(), GeneratorError> {
        let messages = self.messages.saturating_mul(self.guilds).saturating_mul(self.channels);
        for (name, value, least, most) in [
            ("guilds", self.guilds, 1, MAX_GUILDS),
            ("members", self.members, self.guilds, MAX_MEMBERS),
            ("channels", self.channels, 1, MAX_CHANNELS),
            ("roles", self.roles, 1, MAX_ROLES),
            ("messages in all channels", messages, 0, MAX_MESSAGES),
        ] {
            if !(least..=most).contains(&value) {
                return Err(GeneratorError::Bounds { name, least, most });
            }
        }
        Ok(())
    }
}

/// A guild that was made up, and who and what is in it.
struct Made {
    guild: GuildId,
    members: Vec<UserId>,
    channels: Vec<ChannelId>,
    roles: Vec<RoleId>,
}

impl World {
    /// Makes up a world with one bot, which logs in with the token of the demo's.
    ///
    /// # Errors
    ///
    /// [`GeneratorError::Bounds`], if it would be too large.
    #[expect(clippy::missing_panics_doc, reason = "what is within the bounds is never refused")]
    pub fn generate(generator: &Generator, clock: &dyn Clock) -> Result<Self, GeneratorError> {
        generator.check()?;
        let now = clock.now();
        let mut world = Self::empty();
        world.create_bot("Ery", DEMO_TOKEN, None, now - FOUNDED_BEFORE);
        let grown = world.grow(generator, now);
        // Nobody is connected yet, so nobody needs to be told.
        let _guilds = grown.expect("it is within all limits, which a test confirms").value;
        Ok(world)
    }

    /// Makes up more guilds, with all bots in them.
    pub(crate) fn grow(&mut self, generator: &Generator, now: UnixMillis) -> Outcome<Vec<GuildId>> {
        let mut random = StdRng::seed_from_u64(generator.seed);
        let founded = now - FOUNDED_BEFORE;
        let mut made = Vec::with_capacity(generator.guilds);
        for index in 1..=generator.guilds {
            made.push(self.make_up_guild(generator, index, founded)?);
        }
        for index in generator.guilds..generator.members {
            let skewed = random.random::<f64>().powi(2);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a part of a count of guilds"
            )]
            let at = (skewed * made.len() as f64) as usize;
            let place = at.min(made.len() - 1);
            let user = self.create_user(&format!("member-{}", index + 1), None, false, founded);
            let role = made[place].roles.get(random.random_range(0..=made[place].roles.len()));
            let roles = role.into_iter().copied().collect();
            self.make_up_member(made[place].guild, user, roles, founded);
            made[place].members.push(user);
            if random.random_ratio(1, ONE_ONLINE_OF) {
                self.presences.insert(user, Presence::online());
            }
        }
        self.make_up_talk(generator, &made, &mut random, now)?;
        let bots: Vec<UserId> = self.bots.iter().map(|bot| bot.user).collect();
        let guilds: Vec<GuildId> = made.iter().map(|made| made.guild).collect();
        let told = |guild: GuildId| {
            bots.iter().map(move |bot| Dispatch {
                name: "GUILD_CREATE",
                audience: Audience::User(*bot, guild),
                payload: Payload::Guild(guild),
                about: Some(*bot),
            })
        };
        let dispatches = guilds.iter().flat_map(|guild| told(*guild)).collect();
        Ok(Effect::new(guilds, dispatches))
    }

    fn make_up_guild(
        &mut self,
        generator: &Generator,
        index: usize,
        founded: UnixMillis,
    ) -> Result<Made, Refusal> {
        let owner = self.create_user(&format!("owner-{index}"), None, false, founded);
        let seed =
            GuildSeed { name: format!("guild-{index}"), owner, everyone: Some(DEFAULT_EVERYONE) };
        let guild = self.create_guild(seed, founded)?.value;
        let mut roles = Vec::with_capacity(generator.roles);
        for number in 1..=generator.roles {
            let is_first = number == 1;
            let name = if is_first { "Moderator".to_owned() } else { format!("role-{number}") };
            let moderation = Permissions::KICK_MEMBERS
                | Permissions::BAN_MEMBERS
                | Permissions::MODERATE_MEMBERS
                | Permissions::MANAGE_MESSAGES;
            let more = if is_first { moderation } else { Permissions::empty() };
            let position = i64::try_from(generator.roles - number + 1).unwrap_or(1);
            let change = RoleChange {
                name: Some(name),
                permissions: Some(DEFAULT_EVERYONE | more),
                position: Some(position),
                ..RoleChange::default()
            };
            let role = self.create_role(Actor::Operator, guild, change, None, founded)?.value;
            roles.push(role);
        }
        let mut channels = Vec::with_capacity(generator.channels);
        for number in 1..=generator.channels {
            let is_hidden = number > 1 && number == generator.channels;
            let name = match number {
                1 => "general".to_owned(),
                _ if is_hidden => "staff".to_owned(),
                number => format!("channel-{number}"),
            };
            let overwrites = is_hidden.then(|| hidden(guild.cast(), &roles));
            let change = ChannelChange { name: Some(name), overwrites, ..ChannelChange::default() };
            let (actor, kind) = (Actor::Operator, ChannelKind::TEXT);
            let channel = self.create_channel(actor, guild, kind, change, None, founded)?.value;
            channels.push(channel);
        }
        let above = i64::try_from(generator.roles + 1).unwrap_or(i64::MAX);
        let bots: Vec<UserId> = self.bots.iter().map(|bot| bot.user).collect();
        for bot in bots {
            // Who is told of it is told of the whole guild at the end.
            let _role = self.invite_bot(guild, bot, ERY_PERMISSIONS, Some(above), founded)?.value;
        }
        Ok(Made { guild, members: vec![owner], channels, roles })
    }

    /// Adds a member without a word to anybody.
    fn make_up_member(
        &mut self,
        guild: GuildId,
        user: UserId,
        roles: Vec<RoleId>,
        joined_at: UnixMillis,
    ) {
        if let Some(place) = self.guilds.get_mut(&guild) {
            let member = Member { user, nick: None, roles, joined_at, timed_out_until: None };
            place.members.insert(user, member);
        }
    }

    fn make_up_talk(
        &mut self,
        generator: &Generator,
        made: &[Made],
        random: &mut StdRng,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let rounds = u32::try_from(generator.messages).unwrap_or(u32::MAX);
        let step = TALK_BEGAN_BEFORE / rounds.max(1);
        for round in 0..rounds {
            let at = now - TALK_BEGAN_BEFORE + step * round;
            for place in made {
                for (index, channel) in place.channels.iter().enumerate() {
                    // What is hidden is the owner's, who may speak everywhere.
                    let is_hidden = index > 0 && index + 1 == place.channels.len();
                    let speaker =
                        if is_hidden { 0 } else { random.random_range(0..place.members.len()) };
                    let words: Vec<&str> = (0..random.random_range(3..9))
                        .map(|_| WORDS[random.random_range(0..WORDS.len())])
                        .collect();
                    let draft = Draft { content: words.join(" "), ..Draft::default() };
                    let speaker = place.members[speaker];
                    // It is history, so nobody hears it now.
                    let _said = self.create_message(speaker, *channel, draft, at)?.value;
                }
            }
        }
        Ok(())
    }
}

/// Hides a channel from all but the bearers of the first role.
fn hidden(everyone: RoleId, roles: &[RoleId]) -> Vec<Overwrite> {
    let (view, none) = (Permissions::VIEW_CHANNEL, Permissions::empty());
    let mut overwrites =
        vec![Overwrite { target: OverwriteTarget::Role(everyone), allow: none, deny: view }];
    overwrites.extend(roles.first().map(|role| Overwrite {
        target: OverwriteTarget::Role(*role),
        allow: view,
        deny: none,
    }));
    overwrites
}

#[cfg(test)]
mod tests {
    use ery_clock::ManualClock;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

    fn told(text: &str) -> serde_json::Value {
        let generator: Generator = text.parse().unwrap();
        let world = World::generate(&generator, &ManualClock::at(NOW)).unwrap();
        let excerpt = super::super::Excerpt { messages: 100, ..Default::default() };
        serde_json::to_value(world.to_file(&excerpt, NOW)).unwrap()
    }

    #[test]
    fn a_world_is_as_large_as_ordered_and_the_same_again() {
        let text = "guilds=20, members=500, channels=3, roles=2, messages=2, seed=7";
        let world = told(text);
        let guilds = world["guilds"].as_array().unwrap();
        let count = |key: &str| -> usize {
            guilds.iter().map(|guild| guild[key].as_array().unwrap().len()).sum()
        };
        assert_eq!(guilds.len(), 20);
        assert_eq!(count("members"), 500 + 20, "all that were ordered, and the bot in each");
        assert_eq!(count("channels"), 60);
        assert_eq!(count("roles"), 20 * (2 + 2), "with @everyone's and the bot's");
        assert_eq!(guilds[3]["channels"][1]["messages"].as_array().unwrap().len(), 2);
        assert_eq!(told(text), world);
        assert_ne!(told("guilds=20,members=500,channels=3,roles=2,messages=2,seed=8"), world);
    }

    #[test]
    fn what_is_out_of_bounds_is_said() {
        let error = |text: &str| text.parse::<Generator>().unwrap_err().to_string();
        assert_eq!(error("guilds=10,members=9"), "members must be between 10 and 2000000");
        assert!(error("guilds").contains("`guilds` is no"));
        assert!(error("people=7").contains("`people=7` is no"));
        assert!(error("guilds=10000,members=10000,channels=500,messages=9").contains("messages"));
        assert_eq!("".parse(), Ok(Generator::default()));
    }
}

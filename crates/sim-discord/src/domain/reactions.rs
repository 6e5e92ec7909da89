//! Reactions.

use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Audience, Channel, ChannelId, Dispatch, Effect, EmojiId, MessageId, Outcome, Reaction, Refusal,
    UserId, World,
};
use crate::wire;

const MAX_DIFFERENT: usize = 20;

/// An emoji as somebody reacts with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Emoji {
    Unicode(String),
    /// A guild's own; its name is how it was called when it was first used.
    Custom {
        id: EmojiId,
        name: String,
        is_animated: bool,
    },
}

impl Emoji {
    /// Reads an emoji as clients write it, percent-decoded: `👍`, or `name:id`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        if let Some((name, id)) = text.rsplit_once(':')
            && let Some(id) = id.parse().ok().and_then(EmojiId::new_checked)
        {
            let name = name.rsplit(':').next().unwrap_or_default().to_owned();
            return Ok(Self::Custom { id, name, is_animated: false });
        }
        let looks_like_one = text.chars().any(is_pictograph) && text.chars().count() <= 16;
        let has_words = text.chars().any(|c| c.is_alphabetic() && c.is_ascii() || c == ':');
        if looks_like_one && !has_words {
            Ok(Self::Unicode(text.to_owned()))
        } else {
            Err(Refusal::UnknownEmoji)
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Unicode(name) | Self::Custom { name, .. } => name,
        }
    }

    /// Compares without the variation selector, which clients write or leave out.
    fn is(&self, other: &Self) -> bool {
        let plain = |emoji: &str| emoji.replace('\u{FE0F}', "");
        match (self, other) {
            (Self::Unicode(one), Self::Unicode(other)) => {
                one == other || plain(one) == plain(other)
            }
            (Self::Custom { id, .. }, Self::Custom { id: other, .. }) => id == other,
            _ => false,
        }
    }
}

fn is_pictograph(c: char) -> bool {
    matches!(u32::from(c),
        0x00A9 | 0x00AE | 0x203C | 0x2049 | 0x20E3 | 0x2122 | 0x2139
        | 0x2190..=0x21FF | 0x2300..=0x27BF | 0x2900..=0x297F | 0x2B00..=0x2BFF
        | 0x3030 | 0x303D | 0x3297 | 0x3299 | 0x1F000..=0x1FAFF)
}

impl World {
    /// Adds a reaction; one that is there already is added without a dispatch.
    pub(crate) fn add_reaction(
        &mut self,
        user: UserId,
        channel: ChannelId,
        message: MessageId,
        emoji: Emoji,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        let rights = self.require(user, place, Permissions::READ_MESSAGE_HISTORY, now)?;
        Self::refuse_archived(place)?;
        let found = place.message(message)?;
        let author = found.author;
        let existing = found.reactions.iter().position(|reaction| reaction.emoji.is(&emoji));
        match existing {
            Some(at) if found.reactions[at].users.contains(&user) => return Ok(Effect::none(())),
            None if !rights.contains(Permissions::ADD_REACTIONS) => {
                return Err(Refusal::MissingPermissions);
            }
            None if found.reactions.len() >= MAX_DIFFERENT => {
                return Err(Refusal::TooManyReactions);
            }
            Some(_) | None => {}
        }
        let emoji = match existing {
            // What others reacted with, everybody may react with.
            Some(at) => found.reactions[at].emoji.clone(),
            None => self.usable_emoji(user, place, emoji, rights)?,
        };
        let body = wire::reaction_add(self, place, message, author, user, &emoji);
        let audience = Audience::of_channel(place.guild, channel);
        let found = self.message_mut(channel, message)?;
        match existing.and_then(|at| found.reactions.get_mut(at)) {
            Some(reaction) => reaction.users.push(user),
            None => found.reactions.push(Reaction { emoji, users: vec![user] }),
        }
        Ok(Effect::new((), vec![Dispatch::shared("MESSAGE_REACTION_ADD", audience, body)]))
    }

    /// Finds an emoji of a guild's own as it is: of the channel's guild, or of another that `user` is
    /// in too, for those who may use external ones.
    pub(super) fn usable_emoji(
        &self,
        user: UserId,
        place: &Channel,
        emoji: Emoji,
        rights: Permissions,
    ) -> Result<Emoji, Refusal> {
        let Emoji::Custom { id, .. } = emoji else { return Ok(emoji) };
        let (guild, found) = self.guild_emoji(id).ok_or(Refusal::UnknownEmoji)?;
        let member = self.member(guild, user).ok_or(Refusal::UnknownEmoji)?;
        let is_free = found.roles.is_empty();
        if !is_free && !found.roles.iter().any(|role| member.roles.contains(role)) {
            return Err(Refusal::UnknownEmoji);
        }
        if place.guild != Some(guild) && !rights.contains(Permissions::USE_EXTERNAL_EMOJIS) {
            return Err(Refusal::MissingPermissions);
        }
        let (name, is_animated) = (found.name.clone(), found.is_animated);
        Ok(Emoji::Custom { id, name, is_animated })
    }

    /// Takes away `whose` reaction: one's own, or with `MANAGE_MESSAGES` another's.
    pub(crate) fn remove_reaction(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        message: MessageId,
        emoji: &Emoji,
        whose: UserId,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        let needed =
            if whose == actor { Permissions::empty() } else { Permissions::MANAGE_MESSAGES };
        self.require(actor, place, needed, now)?;
        Self::refuse_archived(place)?;
        let found = place.message(message)?;
        let author = found.author;
        let at = found.reactions.iter().position(|reaction| reaction.emoji.is(emoji));
        let at = at.ok_or(Refusal::UnknownEmoji)?;
        if !found.reactions[at].users.contains(&whose) {
            return Ok(Effect::none(()));
        }
        let kept = found.reactions[at].emoji.clone();
        let body = wire::reaction_remove(place, message, author, whose, &kept);
        let audience = Audience::of_channel(place.guild, channel);
        let found = self.message_mut(channel, message)?;
        found.reactions[at].users.retain(|user| *user != whose);
        if found.reactions[at].users.is_empty() {
            found.reactions.remove(at);
        }
        Ok(Effect::new((), vec![Dispatch::shared("MESSAGE_REACTION_REMOVE", audience, body)]))
    }

    /// Takes away every reaction, or every one with `emoji`.
    pub(crate) fn clear_reactions(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        message: MessageId,
        emoji: Option<&Emoji>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        let guild = place.guild.ok_or(Refusal::DmChannel)?;
        self.require(actor, place, Permissions::MANAGE_MESSAGES, now)?;
        Self::refuse_archived(place)?;
        place.message(message)?;
        let found = self.message_mut(channel, message)?;
        let before = found.reactions.len();
        let name = if let Some(emoji) = emoji {
            found.reactions.retain(|reaction| !reaction.emoji.is(emoji));
            if found.reactions.len() == before {
                return Err(Refusal::UnknownEmoji);
            }
            "MESSAGE_REACTION_REMOVE_EMOJI"
        } else {
            found.reactions.clear();
            "MESSAGE_REACTION_REMOVE_ALL"
        };
        let body = wire::reactions_cleared(channel, guild, message, emoji);
        let dispatch = Dispatch::shared(name, Audience::Channel(guild, channel), body);
        Ok(Effect::new((), vec![dispatch]))
    }

    /// Returns who reacted with `emoji`, by id: those after an id, so many at most.
    pub(crate) fn reaction_users(
        &self,
        reader: UserId,
        channel: ChannelId,
        message: MessageId,
        emoji: &Emoji,
        (after, limit): (Option<UserId>, usize),
        now: UnixMillis,
    ) -> Result<Vec<UserId>, Refusal> {
        let message = self.get_message(reader, channel, message, now)?;
        let reaction = message.reactions.iter().find(|reaction| reaction.emoji.is(emoji));
        let mut users = reaction.map(|reaction| reaction.users.clone()).unwrap_or_default();
        users.sort_unstable();
        users.retain(|user| after.is_none_or(|after| *user > after));
        users.truncate(limit);
        Ok(users)
    }

    pub(super) fn message_mut(
        &mut self,
        channel: ChannelId,
        message: MessageId,
    ) -> Result<&mut super::Message, Refusal> {
        let channel = self.channels.get_mut(&channel).ok_or(Refusal::UnknownChannel)?;
        channel.messages.get_mut(&message).ok_or(Refusal::UnknownMessage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emojis_are_told_from_words() {
        for emoji in ["👍", "❤️", "👩‍👩‍👧", "1️⃣", "🇩🇪", "✅", "☕"] {
            assert!(Emoji::parse(emoji).is_ok(), "{emoji}");
        }
        for text in ["", "a", "thumbsup", "name:", ":x:y", "1", "👍 yes", "é"] {
            assert_eq!(Emoji::parse(text), Err(Refusal::UnknownEmoji), "{text}");
        }
    }

    #[test]
    fn an_emoji_of_a_guild_is_its_id() {
        let wave = Emoji::parse("wave:123456789").unwrap();
        assert_eq!(
            (wave.name(), wave.is(&Emoji::parse("hello:123456789").unwrap())),
            ("wave", true)
        );
        assert!(!wave.is(&Emoji::parse("wave:5").unwrap()));
        assert_eq!(Emoji::parse("a:wave:5").unwrap().name(), "wave");
    }

    #[test]
    fn the_variation_selector_makes_no_difference() {
        assert!(Emoji::parse("❤").unwrap().is(&Emoji::parse("❤️").unwrap()));
    }
}

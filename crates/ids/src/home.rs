use std::fmt;

use serde::{Deserialize, Serialize};
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker},
};

/// How many parts the streams are divided into. Chosen once: producers have it in their subjects.
pub const PARTS: u8 = 16;

/// Discord's own shard formula is `(guild_id >> 22) % shards`.
pub const SHARD_FORMULA_SHIFT: u32 = 22;

/// Where data lives: in a guild, or in a direct-message channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Home {
    Guild(Id<GuildMarker>),
    Dm(Id<ChannelMarker>),
}

impl Home {
    /// Returns the guild, or none in a direct message.
    pub fn guild(self) -> Option<Id<GuildMarker>> {
        match self {
            Self::Guild(guild) => Some(guild),
            Self::Dm(_) => None,
        }
    }

    /// Returns the id by which its data is partitioned.
    pub fn key(self) -> u64 {
        match self {
            Self::Guild(guild) => guild.get(),
            Self::Dm(channel) => channel.get(),
        }
    }

    /// Returns the part of the streams that carries its events.
    pub fn part(self) -> Part {
        // The low 22 bits of a snowflake are worker and increment; multiplying spreads the rest.
        let hash = (self.key() >> SHARD_FORMULA_SHIFT).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let [part, ..] = (hash % u64::from(PARTS)).to_le_bytes();
        Part(part)
    }

    /// Returns the store shard that holds its data, of `shards` in all.
    ///
    /// # Panics
    ///
    /// If `shards` is zero.
    pub fn store_shard(self, shards: u32) -> StoreShard {
        let shard = (self.key() >> SHARD_FORMULA_SHIFT) % u64::from(shards);
        StoreShard(u32::try_from(shard).expect("a remainder of a u32 fits a u32"))
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guild(guild) => write!(f, "{guild}"),
            Self::Dm(_) => f.write_str("dm"),
        }
    }
}

/// One of [`PARTS`] parts of the streams; a guild's events are all in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Part(pub u8);

impl Part {
    /// Returns every part.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTS).map(Self)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the store's shard files, `shard-0000.db` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreShard(pub u32);

impl fmt::Display for StoreShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard-{:04}", self.0)
    }
}

/// A channel and where it lives. Discord threads are channels of their own here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelKey {
    pub home: Home,
    pub channel: Id<ChannelMarker>,
}

impl ChannelKey {
    /// Makes the key of a guild's channel, or of a direct message where `guild` is none.
    pub fn new(guild: Option<Id<GuildMarker>>, channel: Id<ChannelMarker>) -> Self {
        Self { home: guild.map_or(Home::Dm(channel), Home::Guild), channel }
    }

    /// Returns the guild, or none in a direct message.
    pub fn guild(&self) -> Option<Id<GuildMarker>> {
        self.home.guild()
    }

    /// Reads a key from raw ids, where a guild of 0 means a direct message; none if the channel is 0.
    pub fn from_raw(guild: u64, channel: u64) -> Option<Self> {
        Some(Self::new(Id::new_checked(guild), Id::new_checked(channel)?))
    }

    /// Returns the guild's raw id, 0 in a direct message.
    pub fn guild_raw(&self) -> u64 {
        self.guild().map_or(0, Id::get)
    }
}

impl fmt::Display for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.home, self.channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_follows_discords_formula() {
        let home = Home::Guild(Id::new(175_928_847_299_117_063));
        assert_eq!(
            home.store_shard(64),
            StoreShard(u32::try_from((175_928_847_299_117_063_u64 >> 22) % 64).unwrap())
        );
        assert_eq!(StoreShard(7).to_string(), "shard-0007");
    }

    #[test]
    fn guilds_spread_over_all_parts() {
        let mut seen = [0_u32; PARTS as usize];
        for index in 1..=1_600_u64 {
            seen[usize::from(Home::Guild(Id::new(index << 22)).part().0)] += 1;
        }
        assert!(seen.iter().all(|count| (50..=150).contains(count)), "{seen:?}");
    }

    #[test]
    fn a_direct_message_is_keyed_by_its_channel() {
        let key = ChannelKey::from_raw(0, 42).unwrap();
        assert_eq!(key.home, Home::Dm(Id::new(42)));
        assert_eq!(key.to_string(), "dm.42");
        assert_eq!(key.guild_raw(), 0);
        assert!(ChannelKey::from_raw(1, 0).is_none());
    }
}

//! Searching a guild's messages.

use std::{cmp::Reverse, collections::BTreeSet};

use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{ChannelId, GuildId, Message, Refusal, UserId, World};

/// What is searched for; an empty list means all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    pub(crate) content: Option<String>,
    pub(crate) authors: Vec<UserId>,
    pub(crate) channels: Vec<ChannelId>,
    pub(crate) mentions: Vec<UserId>,
    pub(crate) mentions_everyone: Option<bool>,
    /// `link`, `embed`, `poll`, `snapshot`, `file`, `image`; a `-` in front turns it round.
    pub(crate) has: Vec<String>,
    pub(crate) pinned: Option<bool>,
    pub(crate) min_id: Option<u64>,
    pub(crate) max_id: Option<u64>,
    pub(crate) oldest_first: bool,
    /// Whether what says the words most often, for its length, comes first.
    pub(crate) by_relevance: bool,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
}

#[derive(Debug)]
pub(crate) struct SearchResult<'a> {
    pub(crate) total: usize,
    pub(crate) messages: Vec<&'a Message>,
}

impl World {
    /// Searches the channels that `reader` may read back in.
    pub(crate) fn search(
        &self,
        reader: UserId,
        guild: GuildId,
        search: &Search,
        now: UnixMillis,
    ) -> Result<SearchResult<'_>, Refusal> {
        let guild = self.require_in_guild(reader, guild, Permissions::empty(), now)?;
        let words: Vec<String> = search
            .content
            .as_deref()
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let readable =
            guild.channels.iter().chain(&guild.threads).filter_map(|id| self.channels.get(id));
        let readable = readable.filter(|channel| {
            (search.channels.is_empty() || search.channels.contains(&channel.id))
                && self.require(reader, channel, Permissions::READ_MESSAGE_HISTORY, now).is_ok()
        });
        let mut found: BTreeSet<(u64, ChannelId)> = BTreeSet::new();
        for channel in readable {
            let matching =
                channel.messages.values().filter(|message| matches(message, search, &words));
            found.extend(matching.map(|message| (message.id.get(), channel.id)));
        }
        let total = found.len();
        let resolve = |(message, channel): &(u64, ChannelId)| {
            self.channels.get(channel)?.messages.get(&super::MessageId::new(*message))
        };
        let mut messages: Vec<&Message> = found.iter().rev().filter_map(resolve).collect();
        if search.by_relevance {
            messages.sort_by_key(|message| Reverse(relevance(message, &words)));
        }
        if search.oldest_first {
            messages.reverse();
        }
        let messages = messages.into_iter().skip(search.offset).take(search.limit).collect();
        Ok(SearchResult { total, messages })
    }
}

/// Returns how often a message says the words, in so many characters.
fn relevance(message: &Message, words: &[String]) -> usize {
    let content = message.content.to_lowercase();
    let count: usize = words.iter().map(|word| content.matches(word.as_str()).count()).sum();
    count * 10_000 / content.len().max(1)
}

fn matches(message: &Message, search: &Search, words: &[String]) -> bool {
    let id = message.id.get();
    let listed = |list: &[UserId], user: UserId| list.is_empty() || list.contains(&user);
    if message.kind.is_system()
        || search.min_id.is_some_and(|min| id < min)
        || search.max_id.is_some_and(|max| id > max)
        || !listed(&search.authors, message.author)
        || search.pinned.is_some_and(|pinned| message.pinned_at.is_some() != pinned)
        || search.mentions_everyone.is_some_and(|all| message.mention_everyone != all)
        || !(search.mentions.is_empty()
            || message.mentions.iter().any(|user| search.mentions.contains(user)))
    {
        return false;
    }
    if !search.has.iter().all(|what| has(message, what)) {
        return false;
    }
    if words.is_empty() {
        return true;
    }
    let content = message.content.to_lowercase();
    words.iter().all(|word| content.contains(word.as_str()))
}

fn has(message: &Message, what: &str) -> bool {
    if let Some(not) = what.strip_prefix('-') {
        return !has(message, not);
    }
    let is_image =
        |kind: &Option<String>| kind.as_deref().is_some_and(|kind| kind.starts_with("image/"));
    match what {
        "link" => message.content.contains("http://") || message.content.contains("https://"),
        "embed" => !message.embeds.is_empty(),
        "snapshot" => message.snapshot.is_some(),
        "poll" => message.poll.is_some(),
        "file" => !message.attachments.is_empty(),
        "image" => message.attachments.iter().any(|attachment| is_image(&attachment.content_type)),
        _ => false,
    }
}

//! Polls: what is asked in a message, who votes for what, and how it ends.

use std::time::Duration;

use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Audience, Channel, ChannelId, Dispatch, Effect, Emoji, Message, MessageId, MessageKind,
    Outcome, Reference, Refusal, UserId, World, notices::Notice,
};
use crate::wire;

/// A poll that somebody wants, its form checked already.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewPoll {
    pub(crate) question: String,
    pub(crate) answers: Vec<NewAnswer>,
    pub(crate) hours: u32,
    pub(crate) allows_many: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct NewAnswer {
    pub(crate) text: String,
    pub(crate) emoji: Option<NewEmojiChoice>,
}

/// An emoji as a poll names it: by its id alone, or by what it is.
#[derive(Clone, Debug)]
pub(crate) enum NewEmojiChoice {
    Custom(super::EmojiId),
    Unicode(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Poll {
    pub(crate) question: String,
    /// Their ids count from 1.
    pub(crate) answers: Vec<PollAnswer>,
    pub(crate) allows_many: bool,
    pub(crate) expiry: UnixMillis,
    /// Whether it is over and all votes are counted.
    pub(crate) is_finalized: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct PollAnswer {
    pub(crate) text: String,
    pub(crate) emoji: Option<Emoji>,
    /// In the order in which they voted.
    pub(crate) voters: Vec<UserId>,
}

/// One person's vote, or what it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vote {
    pub(crate) user: UserId,
    pub(crate) channel: ChannelId,
    pub(crate) message: MessageId,
    /// From 1.
    pub(crate) answer: usize,
}

impl Poll {
    fn is_over(&self, now: UnixMillis) -> bool {
        self.is_finalized || self.expiry <= now
    }

    /// Returns an answer by its id.
    fn answer(&self, id: usize) -> Result<&PollAnswer, Refusal> {
        let found = id.checked_sub(1).and_then(|index| self.answers.get(index));
        found.ok_or_else(|| {
            let message = format!("Value must be between 1 and {}.", self.answers.len());
            Refusal::field(&["answer_id"], "BASE_TYPE_CHOICES", message)
        })
    }

    /// Tells how it ended, as the embed of the message that says so.
    fn result(&self) -> Value {
        let votes = |answer: &PollAnswer| answer.voters.len();
        let most = self.answers.iter().map(votes).max().unwrap_or(0);
        let total: usize = self.answers.iter().map(votes).sum();
        let mut fields = vec![
            ("poll_question_text", self.question.clone()),
            ("victor_answer_votes", most.to_string()),
            ("total_votes", total.to_string()),
        ];
        let mut best = (1..).zip(&self.answers).filter(|(_, answer)| votes(answer) == most);
        // With a tie, and without votes, nobody has won.
        if let (Some((id, victor)), None, true) = (best.next(), best.next(), most > 0) {
            fields.push(("victor_answer_id", id.to_string()));
            fields.push(("victor_answer_text", victor.text.clone()));
            if let Some(emoji) = &victor.emoji {
                fields.push(("victor_answer_emoji_name", emoji.name().to_owned()));
                if let Emoji::Custom { id, is_animated, .. } = emoji {
                    fields.push(("victor_answer_emoji_id", id.to_string()));
                    fields.push(("victor_answer_emoji_animated", is_animated.to_string()));
                }
            }
        }
        let field = |(name, value)| json!({ "name": name, "value": value, "inline": false });
        let fields: Vec<Value> = fields.into_iter().map(field).collect();
        json!({ "type": "poll_result", "fields": fields })
    }
}

impl World {
    /// Makes the poll of a message in `place`.
    pub(super) fn new_poll(
        &self,
        new: NewPoll,
        author: UserId,
        place: &Channel,
        rights: Permissions,
        now: UnixMillis,
    ) -> Result<Poll, Refusal> {
        let mut answers = Vec::with_capacity(new.answers.len());
        for answer in new.answers {
            let emoji = answer.emoji.map(|emoji| self.poll_emoji(emoji, author, place, rights));
            let emoji = emoji.transpose()?;
            answers.push(PollAnswer { text: answer.text, emoji, voters: Vec::new() });
        }
        Ok(Poll {
            question: new.question,
            answers,
            allows_many: new.allows_many,
            expiry: now + Duration::from_hours(new.hours.into()),
            is_finalized: false,
        })
    }

    fn poll_emoji(
        &self,
        emoji: NewEmojiChoice,
        author: UserId,
        place: &Channel,
        rights: Permissions,
    ) -> Result<Emoji, Refusal> {
        let named = match emoji {
            NewEmojiChoice::Unicode(name) => Emoji::parse(&name),
            NewEmojiChoice::Custom(id) => {
                let emoji = Emoji::Custom { id, name: String::new(), is_animated: false };
                self.usable_emoji(author, place, emoji, rights)
            }
        };
        named.map_err(|_| Refusal::PollEmoji)
    }

    /// Remembers when a message's poll ends, if it has one that is open.
    pub(super) fn watch_poll(&mut self, message: &Message) {
        if let Some(poll) = message.poll.as_ref().filter(|poll| !poll.is_finalized) {
            self.open_polls.insert((poll.expiry, message.channel, message.id));
        }
    }

    pub(super) fn forget_poll(&mut self, message: &Message) {
        if let Some(poll) = &message.poll {
            self.open_polls.remove(&(poll.expiry, message.channel, message.id));
        }
    }

    /// Votes. Where one answer alone may be chosen, the vote moves.
    pub(crate) fn vote(&mut self, vote: Vote, now: UnixMillis) -> Outcome<()> {
        let (place, poll) = self.ballot(vote, now)?;
        if poll.answer(vote.answer)?.voters.contains(&vote.user) {
            return Ok(Effect::none(()));
        }
        let allows_many = poll.allows_many;
        let mut dispatches = Vec::new();
        for (id, answer) in (1..).zip(&poll.answers) {
            if !allows_many && answer.voters.contains(&vote.user) {
                let before = Vote { answer: id, ..vote };
                dispatches.push(vote_dispatch("MESSAGE_POLL_VOTE_REMOVE", place, before));
            }
        }
        dispatches.push(vote_dispatch("MESSAGE_POLL_VOTE_ADD", place, vote));
        let poll = self.poll_mut(vote.channel, vote.message)?;
        for (id, answer) in (1..).zip(&mut poll.answers) {
            if id == vote.answer {
                answer.voters.push(vote.user);
            } else if !allows_many {
                answer.voters.retain(|voter| *voter != vote.user);
            }
        }
        Ok(Effect::new((), dispatches))
    }

    /// Takes a vote back; one that was never given is taken back without a dispatch.
    pub(crate) fn unvote(&mut self, vote: Vote, now: UnixMillis) -> Outcome<()> {
        let (place, poll) = self.ballot(vote, now)?;
        if !poll.answer(vote.answer)?.voters.contains(&vote.user) {
            return Ok(Effect::none(()));
        }
        let dispatch = vote_dispatch("MESSAGE_POLL_VOTE_REMOVE", place, vote);
        let poll = self.poll_mut(vote.channel, vote.message)?;
        for (_, answer) in (1..).zip(&mut poll.answers).filter(|(id, _)| *id == vote.answer) {
            answer.voters.retain(|voter| *voter != vote.user);
        }
        Ok(Effect::new((), vec![dispatch]))
    }

    /// Finds a poll in which somebody may vote now.
    fn ballot(&self, vote: Vote, now: UnixMillis) -> Result<(&Channel, &Poll), Refusal> {
        let place = self.channel(vote.channel)?;
        self.require(vote.user, place, Permissions::READ_MESSAGE_HISTORY, now)?;
        if self.user(vote.user)?.is_bot {
            return Err(Refusal::NotForBots);
        }
        let poll = place.message(vote.message)?.poll.as_deref().ok_or(Refusal::UnknownMessage)?;
        if poll.is_over(now) {
            return Err(Refusal::PollExpired);
        }
        Self::refuse_archived(place)?;
        Ok((place, poll))
    }

    fn poll_mut(&mut self, channel: ChannelId, message: MessageId) -> Result<&mut Poll, Refusal> {
        self.message_mut(channel, message)?.poll.as_deref_mut().ok_or(Refusal::UnknownMessage)
    }

    /// Returns who voted for an answer, by id: those after an id, so many at most.
    pub(crate) fn voters(
        &self,
        reader: UserId,
        (channel, message, answer): (ChannelId, MessageId, usize),
        (after, limit): (Option<UserId>, usize),
        now: UnixMillis,
    ) -> Result<Vec<UserId>, Refusal> {
        let message = self.get_message(reader, channel, message, now)?;
        let poll = message.poll.as_deref().ok_or(Refusal::UnknownMessage)?;
        let mut voters = poll.answer(answer)?.voters.clone();
        voters.sort_unstable();
        voters.retain(|voter| after.is_none_or(|after| *voter > after));
        voters.truncate(limit);
        Ok(voters)
    }

    /// Ends one's own poll before its time.
    pub(crate) fn expire_poll(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        message: MessageId,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        self.require(actor, place, Permissions::READ_MESSAGE_HISTORY, now)?;
        let found = place.message(message)?;
        let poll = found.poll.as_deref().ok_or(Refusal::NotAPoll)?;
        if found.author != actor {
            return Err(Refusal::NotOwnMessage);
        }
        if poll.is_over(now) {
            return Err(Refusal::PollExpired);
        }
        self.open_polls.remove(&(poll.expiry, channel, message));
        self.poll_mut(channel, message)?.expiry = now;
        let mut dispatches = Vec::new();
        self.finalize_poll(channel, message, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Ends the polls whose time is over.
    pub(super) fn end_due_polls(&mut self, now: UnixMillis, dispatches: &mut Vec<Dispatch>) {
        while let Some(first) = self.open_polls.first().filter(|(expiry, ..)| *expiry <= now) {
            let (expiry, channel, message) = *first;
            self.open_polls.remove(&(expiry, channel, message));
            self.finalize_poll(channel, message, now, dispatches);
        }
    }

    /// Counts the votes, and says how it ended.
    fn finalize_poll(
        &mut self,
        channel: ChannelId,
        message: MessageId,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        // A message that was deleted with its whole channel leaves its poll behind.
        let Ok(poll) = self.poll_mut(channel, message) else { return };
        poll.is_finalized = true;
        let result = poll.result();
        dispatches.extend(self.message_dispatch("MESSAGE_UPDATE", channel, message));
        let Some(place) = self.channels.get(&channel) else { return };
        let Some(found) = place.messages.get(&message) else { return };
        let (author, persona) = (found.author, found.persona.clone());
        let reference = Reference { message: Some(message), channel, guild: place.guild };
        let notice = Notice {
            embeds: vec![result],
            reference: Some(reference),
            persona,
            ..Notice::default()
        };
        self.post_notice(channel, author, MessageKind::POLL_RESULT, notice, now, dispatches);
    }
}

fn vote_dispatch(name: &'static str, place: &Channel, vote: Vote) -> Dispatch {
    let audience = Audience::of_channel(place.guild, place.id);
    Dispatch::shared(name, audience, wire::poll_vote(place.guild, vote))
}

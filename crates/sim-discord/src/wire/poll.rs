//! Polls.

use bytes::Bytes;
use serde::Serialize;

use super::{Iso, message::EmojiView, render};
use crate::domain::{ChannelId, GuildId, MessageId, Poll, PollAnswer, UserId, Vote};

/// The one layout that there is.
const DEFAULT_LAYOUT: u8 = 1;

#[derive(Debug, Serialize)]
pub(super) struct PollView<'a> {
    question: MediaView<'a>,
    answers: Vec<AnswerView<'a>>,
    expiry: Iso,
    allow_multiselect: bool,
    layout_type: u8,
    results: ResultsView,
}

#[derive(Debug, Serialize)]
struct MediaView<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<EmojiView<'a>>,
}

#[derive(Debug, Serialize)]
struct AnswerView<'a> {
    answer_id: usize,
    poll_media: MediaView<'a>,
}

#[derive(Debug, Serialize)]
struct ResultsView {
    /// Without the answers for which nobody voted.
    answer_counts: Vec<CountView>,
    is_finalized: bool,
}

#[derive(Debug, Serialize)]
struct CountView {
    id: usize,
    count: usize,
    me_voted: bool,
}

impl<'a> PollView<'a> {
    /// Returns a poll as `viewer` sees it.
    pub(super) fn new(poll: &'a Poll, viewer: Option<UserId>) -> Self {
        let answer = |(answer_id, answer): (usize, &'a PollAnswer)| AnswerView {
            answer_id,
            poll_media: MediaView {
                text: &answer.text,
                emoji: answer.emoji.as_ref().map(EmojiView::new),
            },
        };
        let voted = (1..).zip(&poll.answers).filter(|(_, answer)| !answer.voters.is_empty());
        let count = |(id, answer): (usize, &PollAnswer)| CountView {
            id,
            count: answer.voters.len(),
            me_voted: viewer.is_some_and(|viewer| answer.voters.contains(&viewer)),
        };
        Self {
            question: MediaView { text: &poll.question, emoji: None },
            answers: (1..).zip(&poll.answers).map(answer).collect(),
            expiry: Iso(poll.expiry),
            allow_multiselect: poll.allows_many,
            layout_type: DEFAULT_LAYOUT,
            results: ResultsView {
                answer_counts: voted.map(count).collect(),
                is_finalized: poll.is_finalized,
            },
        }
    }
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "Discord calls them so")]
struct VoteEvent {
    user_id: UserId,
    channel_id: ChannelId,
    message_id: MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
    answer_id: usize,
}

/// Returns the `d` of `MESSAGE_POLL_VOTE_ADD` and `MESSAGE_POLL_VOTE_REMOVE`.
pub(crate) fn poll_vote(guild: Option<GuildId>, vote: Vote) -> Bytes {
    render(&VoteEvent {
        user_id: vote.user,
        channel_id: vote.channel,
        message_id: vote.message,
        guild_id: guild,
        answer_id: vote.answer,
    })
}

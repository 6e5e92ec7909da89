//! Votes in polls.

use std::sync::Arc;

use axum::extract::{Query, State};
use bytes::Bytes;
use serde::Deserialize;

use super::{ControlError, Reply, messages, read};
use crate::{
    domain::{ChannelId, MessageId, UserId, Vote},
    shared::Shared,
};

#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "they are called as in a dispatch of a vote")]
pub(super) struct Voting {
    channel_id: ChannelId,
    message_id: MessageId,
    user_id: UserId,
    answer_id: usize,
}

impl Voting {
    fn vote(&self) -> Vote {
        Vote {
            user: self.user_id,
            channel: self.channel_id,
            message: self.message_id,
            answer: self.answer_id,
        }
    }
}

/// `POST /sim/v1/poll-votes`
pub(super) async fn vote(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let vote = read::<Voting>(&body)?.vote();
    shared.act(|world, now| world.vote(vote, now))?;
    messages::shown(&shared.lock().world, vote.channel, vote.message)
}

/// `DELETE /sim/v1/poll-votes`, with a body, or with the same in the query.
pub(super) async fn unvote(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Voting>, axum::extract::rejection::QueryRejection>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let vote = match query {
        Ok(Query(voting)) => voting.vote(),
        Err(_) => read::<Voting>(&body)?.vote(),
    };
    shared.act(|world, now| world.unvote(vote, now))?;
    Ok(Reply::no_content())
}

//! Summaries of channels, as the store keeps them.

use std::time::Duration;

use futures::FutureExt;
use twilight_model::id::Id;

use ery_clock::UnixMillis;
use ery_ids::ChannelKey;
use ery_proto::store::v1 as proto;
use ery_rpc::within;

use crate::{
    adapters::{convert, store::Store, usage},
    domain::{journal::Bill, message::Message, summary::Summary},
    error::CallError,
};

/// A summary that is to be made, where one is due.
#[derive(Clone, Debug)]
pub(crate) struct SummaryWanted {
    pub(crate) channel: ChannelKey,
    /// Random for each attempt.
    pub(crate) claim: String,
    /// What threads read by themselves: so many of the newest messages, none older than `since`.
    pub(crate) newest: u32,
    pub(crate) since: UnixMillis,
    pub(crate) least: u32,
    pub(crate) most: u32,
    /// How long after the last one there is no other.
    pub(crate) rest: Duration,
    /// How long it may take.
    pub(crate) lasts: Duration,
}

/// What a summary is to be made of.
#[derive(Debug)]
pub(crate) struct SummaryMaterial {
    pub(crate) earlier: Option<Summary>,
    /// What came since, oldest first.
    pub(crate) messages: Vec<Message>,
}

/// A summary that was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct SummaryMade {
    /// Empty: none came of it.
    pub(crate) text: String,
    pub(crate) messages: u32,
    pub(crate) model: String,
    pub(crate) prompt_version: String,
}

impl Store {
    /// Takes the right to make a channel's summary; none if none is due, or another one makes it.
    pub(crate) async fn claim_summary(
        &self,
        wanted: &SummaryWanted,
    ) -> Result<Option<SummaryMaterial>, CallError> {
        let client = self.client(wanted.channel.home);
        let millis = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        let request = proto::ClaimSummaryRequest {
            guild_id: wanted.channel.guild_raw(),
            channel_id: wanted.channel.channel.get(),
            claim_id: wanted.claim.clone(),
            newest_messages: wanted.newest,
            since_ms: wanted.since.0,
            least_messages: wanted.least,
            most_messages: wanted.most,
            rest_ms: millis(wanted.rest),
            lasts_ms: millis(wanted.lasts),
        };
        let answer = self
            .retries
            .call("ClaimSummary", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.claim_summary(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await;
        match answer {
            Ok(answer) if answer.is_granted => Ok(Some(SummaryMaterial {
                earlier: answer.earlier.and_then(summary_from),
                messages: answer.messages.into_iter().filter_map(convert::message_from).collect(),
            })),
            Ok(_) => Ok(None),
            // A store of an older version keeps none.
            Err(error) if usage::is_unimplemented(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a summary, and counts what it cost. Returns whether it is kept: not if one of its
    /// messages was edited or deleted meanwhile.
    pub(crate) async fn keep_summary(
        &self,
        channel: ChannelKey,
        claim: &str,
        made: &SummaryMade,
        bill: &Bill,
    ) -> Result<bool, CallError> {
        let client = self.client(channel.home);
        let request = proto::KeepSummaryRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            claim_id: claim.to_owned(),
            text: made.text.clone(),
            messages: made.messages,
            model: made.model.clone(),
            prompt_version: made.prompt_version.clone(),
            spent: bill.spent.iter().map(usage::spent).collect(),
            lost_turns: bill.lost_turns,
        };
        let answer = self
            .retries
            .call("KeepSummary", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.keep_summary(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(answer.is_kept)
    }
}

/// Reads a summary; none if it lacks an id.
pub(crate) fn summary_from(summary: proto::ChannelSummary) -> Option<Summary> {
    Some(Summary {
        text: summary.text,
        first: Id::new_checked(summary.first_message_id)?,
        last: Id::new_checked(summary.last_message_id)?,
        messages: summary.messages,
    })
}

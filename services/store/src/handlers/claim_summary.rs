use std::time::Duration;

use ery_clock::UnixMillis;
use ery_ids::ChannelKey;
use ery_proto::store::v1::{ClaimSummaryRequest, ClaimSummaryResponse};

use super::{
    parse::{self, Invalid},
    render,
};
use crate::{
    adapters::summaries,
    domain::summary::{SummaryMaterial, SummaryWanted},
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.summary.claim", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: ClaimSummaryRequest,
) -> Result<ClaimSummaryResponse, StoreError> {
    let wanted = parse(request, store.settings.max_messages)?;
    // Whoever asks for a home of which nothing is kept makes no file.
    let Some(shard) = store.shards.existing(wanted.channel.home).await? else {
        return Ok(ClaimSummaryResponse::default());
    };
    let now = store.clock.now();
    let material = shard.write(move |to| summaries::claim(to, &wanted, now)).await?;
    Ok(match material {
        Some(SummaryMaterial { earlier, messages }) => ClaimSummaryResponse {
            is_granted: true,
            earlier: earlier.map(render::summary),
            messages: render::messages(messages),
        },
        None => ClaimSummaryResponse::default(),
    })
}

fn parse(request: ClaimSummaryRequest, max_messages: u32) -> Result<SummaryWanted, Invalid> {
    let guild = parse::optional_id("guild_id", request.guild_id)?;
    let millis = |millis: u32| Duration::from_millis(millis.into());
    Ok(SummaryWanted {
        channel: ChannelKey::new(guild, parse::id("channel_id", request.channel_id)?),
        claim: parse::name("claim_id", request.claim_id)?,
        newest: request.newest_messages.min(max_messages),
        since: UnixMillis(request.since_ms),
        least: request.least_messages,
        most: request.most_messages.min(max_messages),
        rest: millis(request.rest_ms),
        lasts: millis(request.lasts_ms),
    })
}

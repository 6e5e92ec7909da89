use std::time::Duration;

use ery_clock::UnixMillis;
use ery_ids::{EventId, Home};
use ery_proto::store::v1::{FindGapsRequest, FindGapsResponse, Gap};

use super::parse::{self, Invalid};
use crate::{
    adapters::gaps::{self, Question},
    domain::gap,
    error::StoreError,
    service::Inner,
};

/// How many channels and threads a guild may have: Discord's bounds are 500 and 1,000.
const MAX_CHANNELS: usize = 5_000;

/// By how much the clock of whoever received an event may differ from ours. What was taken in less
/// than that before it counts as of its session; asking for it again changes nothing.
pub(super) const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

#[tracing::instrument(name = "store.gaps.find", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: FindGapsRequest,
) -> Result<FindGapsResponse, StoreError> {
    let question = parse(request)?;
    let shard = store.shards.of(Home::Guild(question.guild)).await?;
    let cutoff = question.received_at - CLOCKS_DIFFER;
    let ends = shard.read(gaps::known(shard.readers(), &question, cutoff)).await?;
    let told_before = shard.write(move |connection| gaps::note_told(connection, &question)).await?;
    let gaps = gap::gaps(&ends, told_before).into_iter().map(|gap| Gap {
        channel_id: gap.channel.get(),
        after: gap.after,
        last: gap.last.get(),
    });
    Ok(FindGapsResponse { gaps: gaps.collect() })
}

fn parse(request: FindGapsRequest) -> Result<Question, Invalid> {
    if request.channels.len() > MAX_CHANNELS {
        return Err(Invalid::new("channels", format!("has more than {MAX_CHANNELS} items")));
    }
    let channels = request.channels.iter().map(|end| {
        let channel = parse::id("channels.channel_id", end.channel_id)?;
        Ok((channel, parse::id("channels.last_message_id", end.last_message_id)?))
    });
    Ok(Question {
        guild: parse::id("guild_id", request.guild_id)?,
        event: EventId(parse::name("event_id", request.event_id)?),
        received_at: UnixMillis(request.received_at_ms),
        ingestion: parse::name("ingestion", request.ingestion)?,
        channels: channels.collect::<Result<_, _>>()?,
    })
}

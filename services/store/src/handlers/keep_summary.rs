use ery_ids::ChannelKey;
use ery_proto::store::v1::{KeepSummaryRequest, KeepSummaryResponse};

use super::{
    parse::{self, Invalid},
    render,
};
use crate::{
    adapters::summaries::{self, Brought},
    domain::{
        summary::SummaryMade,
        usage::{Bill, Spent},
    },
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.summary.keep", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: KeepSummaryRequest,
) -> Result<KeepSummaryResponse, StoreError> {
    let guild = parse::optional_id("guild_id", request.guild_id)?;
    let channel = ChannelKey::new(guild, parse::id("channel_id", request.channel_id)?);
    let claim = parse::name("claim_id", request.claim_id.clone())?;
    let (made, bill) = parse(request)?;
    // A claim stands before it, and that in a file.
    let Some(shard) = store.shards.existing(channel.home).await? else {
        return Ok(KeepSummaryResponse::default());
    };
    let now = store.clock.now();
    let Brought { is_kept, spending, in_file } =
        shard.write(move |to| summaries::bring(to, &channel, &claim, &made, &bill, now)).await?;
    store.totals.note(store.shards.shard_of(channel.home), spending.windows, in_file);
    Ok(KeepSummaryResponse { is_kept, spending: Some(render::spending(&spending)) })
}

fn parse(request: KeepSummaryRequest) -> Result<(SummaryMade, Bill), Invalid> {
    parse::bounded("spent", &request.spent)?;
    let on_summary = |spent: Spent| Spent { counts: spent.counts.on_summary(), ..spent };
    let spent = request.spent.into_iter().map(parse::spent);
    let spent = spent.map(|spent| spent.map(on_summary)).collect::<Result<_, _>>()?;
    let made = SummaryMade {
        text: parse::text("text", request.text, parse::MAX_TEXT_BYTES)?,
        messages: request.messages,
        model: parse::text("model", request.model, parse::MAX_NAME_BYTES)?,
        prompt_version: parse::text(
            "prompt_version",
            request.prompt_version,
            parse::MAX_NAME_BYTES,
        )?,
    };
    // It is for nobody by name: whoever is there shares it.
    let bill = Bill { spent, spenders: Vec::new(), lost_turns: request.lost_turns };
    Ok((made, bill))
}

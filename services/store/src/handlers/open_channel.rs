use ery_proto::store::v1::{OpenChannelRequest, OpenChannelResponse};

use super::{parse, render};
use crate::{
    adapters::{
        read, usage,
        write_channels::{self, Opened},
    },
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.channel.open", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: OpenChannelRequest,
) -> Result<OpenChannelResponse, StoreError> {
    let fence = parse::fence(request.fence)?;
    let waiting = parse::trigger_ids("waiting_trigger_ids", request.waiting_trigger_ids)?;
    parse::bounded("spender_ids", &request.spender_ids)?;
    let mut spenders = parse::askers(&request.spender_ids)?;
    let shard = store.shards.of(fence.channel.home).await?;
    let now = store.clock.now();
    let (opened, spending) = shard
        .write(move |connection| {
            let opened = write_channels::open(connection, &fence, waiting, now)?;
            if let Opened::Taken { unfinished: Some(thread), .. } = &opened {
                spenders.extend(usage::spenders(connection, *thread)?);
            }
            let spending = usage::spending(connection, &fence.channel, &spenders, now)?;
            Ok((opened, spending))
        })
        .await?;
    match opened {
        Opened::Refused(by) => {
            store.metrics.refused_by_epoch();
            Ok(OpenChannelResponse { refused_by_epoch: by.0, ..OpenChannelResponse::default() })
        }
        Opened::Taken { unfinished, finished, changes, state } => {
            // Older holders are shut out by now: what is read here stays so.
            let unfinished = match unfinished {
                Some(thread) => shard.read(read::thread(shard.readers(), thread)).await?,
                None => None,
            };
            Ok(OpenChannelResponse {
                refused_by_epoch: 0,
                unfinished: unfinished.map(render::thread),
                finished_trigger_ids: finished.iter().map(ToString::to_string).collect(),
                changes: render::changes(changes),
                state: Some(render::channel_state(&state)),
                spending: Some(render::spending(&spending)),
            })
        }
    }
}

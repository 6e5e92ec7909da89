use std::{sync::Arc, time::Duration};

use ery_clock::UnixMillis;
use ery_proto::store::v1::{BeginThreadRequest, BeginThreadResponse};

use super::{
    parse::{self, Invalid},
    render,
};
use crate::{
    adapters::{
        read,
        shard::OpenShard,
        usage,
        write_threads::{self, Begin, Begun, ContextQuery, newest_message},
    },
    error::StoreError,
    ledger::Ledger,
    service::Inner,
};

/// How long a thread is kept waiting for ingestion at most, whatever is asked for.
const MAX_WAIT_MS: u32 = 250;

#[tracing::instrument(name = "store.task_thread.begin", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: BeginThreadRequest,
) -> Result<BeginThreadResponse, StoreError> {
    let context = request.context.unwrap_or_default();
    let wait = Duration::from_millis(context.wait_ms.min(MAX_WAIT_MS).into());
    let mut begin = parse(request, Arc::clone(&store.ledger))?;
    begin.context = ContextQuery {
        max_messages: context.max_messages.min(store.settings.max_messages),
        since: UnixMillis(context.since_ms),
        wants_summary: context.wants_summary,
    };
    let shard = store.shards.of(begin.fence.channel.home).await?;
    begin.is_current = wait_for_ingestion(&shard, &begin, wait).await;
    let now = store.clock.now();
    let (Begun { context, replied_to, summary, changes, is_current }, spending) = shard
        .write(move |connection| {
            let answer = write_threads::begin(connection, &begin)?;
            let spenders = usage::spenders(connection, begin.thread)?;
            let channel = &begin.fence.channel;
            Ok((answer, usage::spending(connection, channel, &spenders, now)?))
        })
        .await?;
    Ok(BeginThreadResponse {
        context: render::messages(context),
        changes: render::changes(changes),
        is_current,
        spending: Some(render::spending(&spending)),
        summary: summary.map(render::summary),
        replied_to: render::messages(replied_to),
    })
}

fn parse(request: BeginThreadRequest, ledger: Arc<Ledger>) -> Result<Begin, Invalid> {
    let fence = parse::fence(request.fence)?;
    if request.triggers.is_empty() {
        return Err(Invalid::new("triggers", "is empty"));
    }
    parse::bounded("triggers", &request.triggers)?;
    let triggers = request
        .triggers
        .into_iter()
        .map(|trigger| parse::trigger(trigger, &fence.channel))
        .collect::<Result<_, _>>()
        .map_err(|invalid| invalid.within("triggers"))?;
    let principal = parse::required("principal", request.principal)?;
    Ok(Begin {
        fence,
        thread: parse::thread_id("thread_id", &request.thread_id)?,
        triggers,
        principal: parse::principal(principal).map_err(|invalid| invalid.within("principal"))?,
        askers: parse::askers(&request.askers)?,
        started_at: UnixMillis(request.started_at_ms),
        context: ContextQuery::default(),
        is_current: false,
        ledger,
    })
}

/// Waits until ingestion has reached the newest trigger, so that the context is whole.
async fn wait_for_ingestion(shard: &OpenShard, begin: &Begin, wait: Duration) -> bool {
    let Some(newest) = newest_message(&begin.triggers) else { return true };
    if wait.is_zero() {
        return false;
    }
    let is_in_file = async {
        shard.read(read::is_ingested(shard.readers(), newest)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "could not ask whether a message was ingested; waiting for it");
            false
        })
    };
    shard.arrivals().wait(begin.fence.channel, newest, wait, is_in_file).await
}

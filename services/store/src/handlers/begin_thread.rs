use std::sync::Arc;

use ery_clock::UnixMillis;
use ery_proto::store::v1::{BeginThreadRequest, BeginThreadResponse};

use super::{
    parse::{self, Invalid},
    read_context, render,
};
use crate::{
    adapters::{
        contexts::ContextQuery,
        usage,
        write_threads::{self, Begin, Begun, newest_message},
    },
    error::StoreError,
    ledger::Ledger,
    service::Inner,
};

#[tracing::instrument(name = "store.task_thread.begin", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: BeginThreadRequest,
) -> Result<BeginThreadResponse, StoreError> {
    let (wanted, wait) = read_context::query(store, request.context.unwrap_or_default());
    let mut begin = parse(request, Arc::clone(&store.ledger))?;
    begin.context = wanted;
    let channel = begin.fence.channel;
    let shard = store.shards.of(channel.home).await?;
    let newest = newest_message(&begin.triggers);
    begin.is_current = read_context::wait_for_ingestion(&shard, channel, newest, wait).await;
    let now = store.clock.now();
    let (Begun { context, changes, is_current }, spending) = shard
        .write(move |connection| {
            let answer = write_threads::begin(connection, &begin)?;
            let spenders = usage::spenders(connection, begin.thread)?;
            let channel = &begin.fence.channel;
            Ok((answer, usage::spending(connection, channel, &spenders, now)?))
        })
        .await?;
    Ok(BeginThreadResponse {
        context: render::messages(context.newest),
        changes: render::changes(changes),
        is_current,
        spending: Some(render::spending(&spending)),
        summary: context.summary.map(render::summary),
        replied_to: render::messages(context.replied_to),
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

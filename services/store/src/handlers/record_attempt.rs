use ery_clock::UnixMillis;
use ery_proto::store::v1::{RecordAttemptRequest, RecordAttemptResponse};

use super::parse;
use crate::{adapters::write_threads, domain::Attempt, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.attempt.record", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: RecordAttemptRequest,
) -> Result<RecordAttemptResponse, StoreError> {
    let fence = parse::fence(request.fence)?;
    let thread = parse::thread_id("thread_id", &request.thread_id)?;
    let error = parse::text("error", request.error, parse::MAX_TEXT_BYTES)?;
    let attempt = Attempt {
        has_error: !error.is_empty(),
        at_step: request.at_step,
        at: UnixMillis(request.at_ms),
    };
    let shard = store.shards.of(fence.channel.home).await?;
    let attempts = shard
        .write(move |connection| {
            write_threads::record_attempt(connection, &fence, thread, &attempt, &error)
        })
        .await?;
    Ok(RecordAttemptResponse { attempts })
}

use ery_proto::store::v1::{DeadLetterRetry, RetryDeadLettersRequest, RetryDeadLettersResponse};

use super::parse;
use crate::{
    adapters::dead_letters::{self, Retry},
    domain::dead_letter::DeadLetterId,
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.dead_letters.retry", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: RetryDeadLettersRequest,
) -> Result<RetryDeadLettersResponse, StoreError> {
    let by = parse::name("by", request.by)?;
    parse::bounded("ids", &request.ids)?;
    let ids: Vec<DeadLetterId> =
        request.ids.iter().map(|id| parse::dead_letter_id("ids", id)).collect::<Result<_, _>>()?;
    let mut retries = Vec::with_capacity(ids.len());
    for id in ids {
        let (is_unknown, refusal) = match retry(store, id, &by).await? {
            Retry::Begun => (false, String::new()),
            Retry::Unknown => (true, String::new()),
            Retry::Refused(refusal) => (false, refusal.to_string()),
        };
        retries.push(DeadLetterRetry { id: id.to_string(), is_unknown, refusal });
    }
    Ok(RetryDeadLettersResponse { retries })
}

async fn retry(store: &Inner, id: DeadLetterId, by: &str) -> Result<Retry, StoreError> {
    let shard = match store.shards.if_existing(id.shard).await {
        Ok(Some(shard)) => shard,
        // Another store's: whoever asks tries them all.
        Ok(None) | Err(StoreError::Elsewhere { .. }) => return Ok(Retry::Unknown),
        Err(error) => return Err(error),
    };
    let (now, of) = (store.clock.now(), by.to_owned());
    store.agenda.expect(id.shard, now, now);
    let retry =
        shard.write(move |connection| dead_letters::retry(connection, id, &of, now)).await?;
    if retry == Retry::Begun {
        tracing::info!(by, "dead letter {id} is tried again");
        store.agenda.add(id.shard, now);
    }
    Ok(retry)
}

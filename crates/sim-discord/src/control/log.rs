use std::sync::{Arc, PoisonError};

use axum::{
    body::Body,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use http::header;
use serde::Deserialize;

use crate::shared::Shared;

/// How many entries are written while the log is locked.
const PAGE: usize = 500;

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Option<u64>,
}

/// `GET /sim/v1/log`: JSON lines, up to what there is when it is asked.
pub(super) async fn read_log(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let last = shared.log.lock().unwrap_or_else(PoisonError::into_inner).last();
    let end = wanted.limit.map_or(last, |limit| last.min(wanted.after.saturating_add(limit)));
    let pages = stream::unfold(Some(wanted.after), move |after| {
        let shared = Arc::clone(&shared);
        async move {
            let after = after.filter(|after| *after < end)?;
            let page = PAGE.min(usize::try_from(end - after).unwrap_or(PAGE));
            let log = shared.log.lock().unwrap_or_else(PoisonError::into_inner);
            let (lines, next) = log.lines_after(after, page);
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(lines)), next))
        }
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pages)).into_response()
}

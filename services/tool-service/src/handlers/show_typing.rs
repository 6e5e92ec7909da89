use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use ery_proto::tool::v1::{ShowTypingRequest, ShowTypingResponse};

use super::channel_key;
use crate::{
    adapters::discord::{Method, Request},
    error::CallError,
    service::Shared,
};

/// Discord shows the typing for ten seconds; sooner than this it need not be told again.
const SHOWN_FOR: Duration = Duration::from_secs(7);

/// How many channels are remembered; more type seldom at once.
const MAX_CHANNELS: usize = 1_024;

/// Later than this nobody needs to see it any more.
const SEND_WITHIN: Duration = Duration::from_secs(2);

/// Where typing was shown a moment ago.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<HashMap<u64, Instant>>);

impl Recent {
    fn is_due(&self, channel: u64) -> bool {
        let now = Instant::now();
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.get(&channel).is_some_and(|at| now - *at < SHOWN_FOR) {
            return false;
        }
        if shown.len() >= MAX_CHANNELS {
            shown.retain(|_, at| now - *at < SHOWN_FOR);
        }
        if shown.len() >= MAX_CHANNELS {
            return false;
        }
        shown.insert(channel, now);
        true
    }
}

/// Shows that Ery is typing, if there is room for it; answers at once.
pub(super) fn handle(
    shared: &Arc<Shared>,
    recent: &Recent,
    request: &ShowTypingRequest,
) -> Result<ShowTypingResponse, CallError> {
    let channel = channel_key(request.guild_id, request.channel_id)?;
    if recent.is_due(channel.channel.get()) {
        let path = format!("channels/{}/typing", channel.channel);
        let send_by = shared.clock.now() + SEND_WITHIN;
        let rest = Request::new(Method::Post, path.clone(), path, channel.home.key(), send_by)
            .in_background();
        let shared_too = Arc::clone(shared);
        shared.work.spawn(async move {
            if let Err(error) = shared_too.discord.once(&rest).await {
                tracing::debug!(error = %error, "typing was not shown");
            }
        });
    }
    Ok(ShowTypingResponse {})
}

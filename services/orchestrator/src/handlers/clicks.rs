//! What people press: a click may decide an act that Ery proposed.
//!
//! Discord wants an answer within three seconds. So a click is decided here, at once and whoever
//! holds the channel; its thread goes on when its turn comes.

use std::sync::Arc;

use async_trait::async_trait;

use ery_event_bus::Event;
use ery_ids::Home;

use crate::{
    domain::discord,
    error::{CallError, with_causes},
    handlers::{
        events::{self, EventHandler},
        holder::Holder,
    },
};

const HANDLER: &str = "orchestrator-clicks";

const KINDS: [&str; 1] = ["interaction_create"];

/// Hands clicks on to the tool-service, which judges who clicked.
pub(crate) struct Clicks {
    pub(crate) holder: Arc<Holder>,
}

#[async_trait]
impl EventHandler for Clicks {
    fn name(&self) -> &'static str {
        HANDLER
    }

    fn kinds(&self) -> &'static [&'static str] {
        &KINDS
    }

    async fn handle(&self, _: Home, events: &[Event]) -> Result<(), CallError> {
        for event in events {
            let click = match discord::click(&event.payload) {
                Ok(Some(click)) => click,
                Ok(None) => continue,
                Err(error) => {
                    let Holder { store, metrics, .. } = &*self.holder;
                    events::refuse(store, metrics, HANDLER, event, &error).await?;
                    continue;
                }
            };
            match self.holder.tools.click(&click).await {
                Ok(is_ours) => {
                    tracing::debug!(channel.id = %click.channel.channel, is_ours, "a click");
                }
                Err(error @ (CallError::Unavailable { .. } | CallError::Fenced { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(error = with_causes(&error),
                        channel.id = %click.channel.channel, "a click was refused");
                }
            }
        }
        Ok(())
    }
}

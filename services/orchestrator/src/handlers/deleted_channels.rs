use std::sync::Arc;

use async_trait::async_trait;

use ery_event_bus::Event;
use ery_ids::{ChannelKey, Home};

use crate::{
    adapters::{
        broadcaster::MessagesChanged,
        store::{Ingested, IngestedChange},
    },
    domain::discord,
    error::CallError,
    handlers::{
        events::{self, EventHandler},
        holder::Holder,
    },
};

const HANDLER: &str = "orchestrator-deleted-channels";

const KINDS: [&str; 2] = ["channel_delete", "thread_delete"];

/// Has the store let go of what was said in channels that were deleted, and tells whoever answers
/// there.
pub(crate) struct DeletedChannels {
    pub(crate) holder: Arc<Holder>,
}

#[async_trait]
impl EventHandler for DeletedChannels {
    fn name(&self) -> &'static str {
        HANDLER
    }

    fn kinds(&self) -> &'static [&'static str] {
        &KINDS
    }

    async fn handle(&self, home: Home, events: &[Event]) -> Result<(), CallError> {
        let Holder { store, metrics, broadcaster, .. } = &*self.holder;
        let mut deleted = Vec::with_capacity(events.len());
        for event in events {
            let Some(channel) = event.channel else {
                let lacks = discord::UnreadableError::Lacks("id");
                events::refuse(store, metrics, HANDLER, event, &lacks).await?;
                continue;
            };
            deleted.push(Ingested {
                event: event.id.clone(),
                channel: ChannelKey { home, channel },
                change: IngestedChange::ChannelDeleted { at: event.received_at },
            });
        }
        if deleted.is_empty() {
            return Ok(());
        }
        store.ingest(HANDLER, home, &deleted).await?;
        for Ingested { channel, .. } in &deleted {
            broadcaster.messages_changed(&MessagesChanged::new(*channel, &[]));
        }
        Ok(())
    }
}

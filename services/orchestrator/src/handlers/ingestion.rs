use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;
use twilight_model::id::{Id, marker::MessageMarker};

use ery_event_bus::Event;
use ery_ids::{ChannelKey, Home};

use crate::{
    adapters::{
        broadcaster::MessagesChanged,
        store::{Ingested, IngestedChange},
    },
    domain::{
        discord,
        gate::{self, Call, First, Reason},
    },
    error::CallError,
    handlers::{
        events::{self, EventHandler},
        holder::Holder,
    },
};

/// The handler's name, by which the store knows its events again.
pub(crate) const HANDLER: &str = "orchestrator-ingestion";

const KINDS: [&str; 4] =
    ["message_create", "message_update", "message_delete", "message_delete_bulk"];

/// How long Ery's roles are waited for where a message mentions a role.
const ROLES_WAIT: Duration = Duration::from_secs(1);

/// Takes messages, edits and deletions into the store, and tells holders of the latter two.
pub(crate) struct Ingestion {
    pub(crate) holder: Arc<Holder>,
}

#[async_trait]
impl EventHandler for Ingestion {
    fn name(&self) -> &'static str {
        HANDLER
    }

    fn kinds(&self) -> &'static [&'static str] {
        &KINDS
    }

    async fn handle(&self, home: Home, events: &[Event]) -> Result<(), CallError> {
        let mut ingested = Vec::with_capacity(events.len());
        let mut unreadable = Vec::new();
        for event in events {
            match self.read(event).await {
                Ok(Some(change)) => ingested.push(change),
                Ok(None) => {}
                Err(error) => unreadable.push((event, error)),
            }
        }
        if !ingested.is_empty() {
            self.holder.store.ingest(HANDLER, home, &ingested).await?;
        }
        // Behind the others: where one of them is refused, all of them come again.
        for (event, error) in unreadable {
            let Holder { store, metrics, .. } = &*self.holder;
            events::refuse(store, metrics, HANDLER, event, &error).await?;
        }
        for Ingested { channel, change, .. } in &ingested {
            let changed = match change {
                IngestedChange::Created { .. } | IngestedChange::ChannelDeleted { .. } => continue,
                IngestedChange::Edited(edit) => MessagesChanged::new(*channel, &[edit.id]),
                IngestedChange::Deleted { messages, .. } => {
                    MessagesChanged::new(*channel, messages)
                }
            };
            self.holder.broadcaster.messages_changed(&changed);
        }
        Ok(())
    }
}

impl Ingestion {
    /// Reads an event; none if it changes no text.
    async fn read(&self, event: &Event) -> Result<Option<Ingested>, discord::UnreadableError> {
        let Some(channel) = event.channel else {
            return Err(discord::UnreadableError::Lacks("channel_id"));
        };
        let channel = ChannelKey { home: event.home, channel };
        if event.kind != "message_delete" && discord::is_for_one_person(&event.payload) {
            return Ok(None);
        }
        let change = match event.kind.as_str() {
            "message_create" => {
                let mut message = discord::created(&event.payload, event.bot)?;
                message.channel = channel;
                let gate_reason = self.gate_reason(&message, event).await;
                IngestedChange::Created { message: Box::new(message), gate_reason }
            }
            "message_update" => {
                let Some(mut edit) = discord::edited(&event.payload, event.bot)? else {
                    return Ok(None);
                };
                if let Some(message) = &mut edit.message {
                    message.channel = channel;
                }
                IngestedChange::Edited(Box::new(edit))
            }
            _ => {
                let messages: Vec<Id<MessageMarker>> = discord::deleted(&event.payload)?;
                if messages.is_empty() {
                    return Ok(None);
                }
                IngestedChange::Deleted { messages, at: event.received_at }
            }
        };
        Ok(Some(Ingested { event: event.id.clone(), channel, change }))
    }

    /// Returns why the gate turns a message away by itself, empty if it does not.
    ///
    /// What is not addressed is kept as such; in an open exchange it is answered all the same.
    async fn gate_reason(
        &self,
        message: &crate::domain::message::Message,
        event: &Event,
    ) -> &'static str {
        // A record only: it is worth no long wait.
        let known = async {
            let roles = self.holder.roles_for(message, event.bot);
            tokio::try_join!(roles, self.holder.rules_for(message))
        };
        let Ok(Ok((bot_roles, rules))) = timeout(ROLES_WAIT, known).await else { return "" };
        match gate::first(message, event.bot, &bot_roles, &rules) {
            First::No(reason) => reason.as_word(),
            First::Perhaps(Call::OnlyInExchange) => Reason::NotAddressed.as_word(),
            First::Perhaps(Call::Addressed | Call::Ambient | Call::Retried) => "",
        }
    }
}

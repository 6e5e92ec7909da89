use ery_ids::{ChannelKey, EventId};

use crate::{
    adapters::store::{Ingested, IngestedChange},
    domain::{gate::Reason, message::Message},
    error::with_causes,
    handlers::holder::Holder,
};

const HANDLER: &str = "orchestrator-gate";

/// Keeps in the rows of a channel's messages why they were turned away, where ingestion could not know
/// it, or went by what was set before.
pub(crate) async fn note(holder: &Holder, channel: ChannelKey, messages: Vec<(Message, Reason)>) {
    let noted: Vec<_> = messages
        .into_iter()
        .map(|(message, reason)| Ingested {
            event: EventId::message_created(message.id),
            channel,
            change: IngestedChange::Created {
                message: Box::new(message),
                gate_reason: reason.as_word(),
            },
        })
        .collect();
    if noted.is_empty() {
        return;
    }
    // A record only: what is turned away stays so.
    if let Err(error) = holder.store.ingest(HANDLER, channel.home, &noted).await {
        tracing::warn!(error = with_causes(&error), channel.id = %channel.channel,
            "it is not kept why messages were turned away");
    }
}

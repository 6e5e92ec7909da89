//! What was missed while Discord held no session for a guild, read back by REST.
//!
//! Discord tells a guild whole when a session begins anew (it refused to resume, or the gateway was
//! away for too long), after an outage of its own, and when Ery joins; an ordinary resume replays
//! what was missed, and tells no guild. So each channel's last message is compared with what the
//! store knows, and only the difference is read and published, under the ids that the dispatches
//! would have had: whatever is known already changes nothing.
//!
//! No session tells of direct messages. When the one that carries them begins, those that the store
//! knows are read behind the last message known, the latest conversations first. The first words of
//! somebody with whom Ery never spoke cannot be found so: Discord lists them nowhere.
//!
//! What the new session brings goes on meanwhile, and its channels wait until the guild, or the
//! direct message, is done here ([`Holder::is_read_back`]), so that what was missed is answered
//! first.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use tokio::sync::Semaphore;
use tonic::Status;
use twilight_model::id::{Id, marker::ChannelMarker};

use ery_channel_queue::{QueueError, Task};
use ery_event_bus::{BusError, Event, EventBus};
use ery_ids::{ChannelKey, EventId, Home, TriggerId};

use crate::{
    adapters::{store::Gap, tools::Missed},
    domain::discord,
    error::{CallError, with_causes},
    handlers::{
        events::{self, EventHandler},
        holder::Holder,
        ingestion,
    },
    settings::Settings,
};

const HANDLER: &str = "orchestrator-read-back";
const DIRECT_HANDLER: &str = "orchestrator-direct-read-back";

const KINDS: [&str; 1] = ["guild_create"];

/// Published by the gateway for the shard that carries direct messages.
const DIRECT_KINDS: [&str; 1] = ["ready"];

/// The most that Discord gives of a channel at once.
const PAGE: usize = 100;

/// Reads back what was missed in guilds, and publishes it.
pub(crate) struct ReadBack {
    reader: Arc<Reader>,
    /// Channels that are done, of guilds that are not: a repeat begins where the try before ended.
    done: Mutex<HashMap<EventId, HashSet<Id<ChannelMarker>>>>,
}

/// Reads back what was missed in direct messages.
pub(crate) struct DirectReadBack {
    reader: Arc<Reader>,
}

/// Reads what was missed in a channel, and publishes it.
pub(crate) struct Reader {
    holder: Arc<Holder>,
    bus: Arc<dyn EventBus>,
    slots: Semaphore,
}

impl ReadBack {
    pub(crate) fn new(reader: Arc<Reader>) -> Self {
        Self { reader, done: Mutex::default() }
    }
}

impl DirectReadBack {
    pub(crate) fn new(reader: Arc<Reader>) -> Self {
        Self { reader }
    }
}

#[async_trait]
impl EventHandler for ReadBack {
    fn name(&self) -> &'static str {
        HANDLER
    }

    fn kinds(&self) -> &'static [&'static str] {
        &KINDS
    }

    async fn handle(&self, home: Home, events: &[Event]) -> Result<(), CallError> {
        for event in events {
            match discord::guild_created(&event.payload) {
                Ok(ends) => {
                    self.read_back(home, event, &ends).await?;
                    self.note(home, event).await?;
                    self.done().remove(&event.id);
                }
                Err(error) => {
                    let Holder { store, metrics, .. } = &*self.reader.holder;
                    events::refuse(store, metrics, HANDLER, event, &error).await?;
                    self.note(home, event).await?;
                }
            }
        }
        Ok(())
    }
}

impl ReadBack {
    async fn read_back(
        &self,
        home: Home,
        event: &Event,
        ends: &[discord::ChannelEnd],
    ) -> Result<(), CallError> {
        let Some(guild) = home.guild() else { return Ok(()) };
        let holder = &self.reader.holder;
        // A guild in which nobody spoke yet is told of, too: what is said there from now on is
        // missed where the next session cannot tell of it.
        if holder.settings.read_back_messages == 0 {
            return Ok(());
        }
        let gaps = holder.store.find_gaps(guild, event, ingestion::HANDLER, ends).await?;
        for gap in gaps {
            let is_done = self.done().get(&event.id).is_some_and(|it| it.contains(&gap.channel));
            if is_done {
                continue;
            }
            self.reader.read(ChannelKey { home, channel: gap.channel }, event, &gap).await?;
            self.done().entry(event.id.clone()).or_default().insert(gap.channel);
        }
        Ok(())
    }

    /// Lets the channels go on that wait for this.
    async fn note(&self, home: Home, event: &Event) -> Result<(), CallError> {
        let (Some(_), Some(session)) = (home.guild(), event.id.session()) else {
            return Ok(());
        };
        self.reader.holder.store.note_read_back(home, session, event.received_at).await
    }

    fn done(&self) -> std::sync::MutexGuard<'_, HashMap<EventId, HashSet<Id<ChannelMarker>>>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventHandler for DirectReadBack {
    fn name(&self) -> &'static str {
        DIRECT_HANDLER
    }

    fn kinds(&self) -> &'static [&'static str] {
        &DIRECT_KINDS
    }

    async fn handle(&self, _: Home, events: &[Event]) -> Result<(), CallError> {
        for event in events {
            self.read_back(event).await?;
        }
        Ok(())
    }
}

impl DirectReadBack {
    /// Reads back every direct message that is known, each noted once it is done: a repeat begins
    /// where the try before ended.
    async fn read_back(&self, began: &Event) -> Result<(), CallError> {
        let holder = &self.reader.holder;
        let Settings { read_back_messages, read_back_direct_channels, read_back_channels, .. } =
            holder.settings;
        let Some(session) = began.id.session().filter(|_| read_back_messages > 0) else {
            return Ok(());
        };
        let told_at = began.received_at;
        let gaps = holder
            .store
            .find_direct_gaps(session, told_at, ingestion::HANDLER, read_back_direct_channels)
            .await?;
        stream::iter(gaps.into_iter().map(Ok))
            .try_for_each_concurrent(read_back_channels, |gap| async move {
                let home = Home::Dm(gap.channel);
                self.reader.read(ChannelKey { home, channel: gap.channel }, began, &gap).await?;
                holder.store.note_read_back(home, session, told_at).await
            })
            .await
    }
}

impl Reader {
    pub(crate) fn new(holder: Arc<Holder>, bus: Arc<dyn EventBus>) -> Self {
        let slots = Semaphore::new(holder.settings.read_back_channels);
        Self { holder, bus, slots }
    }

    /// Reads and publishes what was missed in a channel before an event of the gateway's.
    async fn read(&self, channel: ChannelKey, told: &Event, gap: &Gap) -> Result<(), CallError> {
        if self.holder.draining.is_cancelled() {
            return Err(away("ReadBack", "this process drains"));
        }
        let slot = self.slots.acquire().await;
        match self.missed(channel, gap).await {
            Ok(missed) => self.publish(channel, told, missed).await?,
            Err(error @ (CallError::Unavailable { .. } | CallError::Fenced { .. })) => {
                return Err(error);
            }
            // Ery may not read there, or the channel is gone: nothing there is for her.
            Err(error) => {
                tracing::debug!(error = with_causes(&error), channel.id = %channel.channel,
                    "a channel is not read back");
            }
        }
        drop(slot);
        Ok(())
    }

    /// Reads what was missed in a channel, oldest first; the newest, where it is more than may be.
    async fn missed(&self, channel: ChannelKey, gap: &Gap) -> Result<Vec<Missed>, CallError> {
        let max = self.holder.settings.read_back_messages;
        // The newest first, page by page.
        let mut missed: Vec<Missed> = Vec::new();
        let mut before = gap.last.map_or(0, |last| last.get().saturating_add(1));
        loop {
            let wanted = (max - missed.len()).min(PAGE);
            let page = self.holder.tools.read_back(channel, before, wanted).await?;
            let is_last = page.len() < wanted;
            let Some(oldest) = page.first().map(|first| first.id.get()) else { break };
            missed.extend(page.into_iter().rev().filter(|it| it.id.get() > gap.after));
            if is_last || oldest <= gap.after {
                break;
            }
            if missed.len() >= max {
                tracing::warn!(channel.id = %channel.channel, read = max,
                    "more was missed in a channel than is read back; the oldest of it is left");
                break;
            }
            before = oldest;
        }
        missed.reverse();
        Ok(missed)
    }

    async fn publish(
        &self,
        channel: ChannelKey,
        told: &Event,
        missed: Vec<Missed>,
    ) -> Result<(), CallError> {
        if missed.is_empty() {
            return Ok(());
        }
        let now = self.holder.now();
        let answered_since = now - self.holder.settings.read_back_answered_within;
        let (count, mut tasks) = (missed.len(), 0_usize);
        for Missed { id, author, payload } in missed {
            let payload = Bytes::from(payload);
            let event = Event {
                id: EventId::message_created(id),
                kind: "message_create".to_owned(),
                home: channel.home,
                channel: Some(channel.channel),
                bot: told.bot,
                received_at: now,
                traceparent: told.traceparent,
                payload: payload.clone(),
            };
            match self.bus.publish(event).await {
                Ok(()) => {}
                Err(error @ BusError::TooLarge { .. }) => {
                    tracing::error!(%error, channel.id = %channel.channel,
                        "a message that was read back is left out of the events");
                }
                Err(error @ (BusError::Unavailable(_) | BusError::Full)) => {
                    return Err(away("Publish", &with_causes(&error)));
                }
            }
            if author == told.bot || discord::made_at(id) < answered_since {
                continue;
            }
            let task = Task {
                trigger: TriggerId::Message(id),
                channel,
                retry: 0,
                bot: told.bot,
                received_at: now,
                session: None,
                traceparent: told.traceparent,
                payload,
            };
            match self.holder.queue.publish(task).await {
                Ok(()) => tasks += 1,
                Err(error @ QueueError::Unreadable { .. }) => {
                    tracing::error!(error = with_causes(&error), channel.id = %channel.channel,
                        "a message that was read back cannot be put into the queue");
                }
                Err(error) => return Err(away("Publish", &with_causes(&error))),
            }
        }
        self.holder.metrics.read_back(count);
        tracing::info!(channel.id = %channel.channel, messages = count, tasks,
            "messages that were missed were read back");
        Ok(())
    }
}

fn away(call: &'static str, why: &str) -> CallError {
    CallError::Unavailable { call, status: Box::new(Status::unavailable(why)) }
}

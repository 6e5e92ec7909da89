use std::{sync::Arc, time::Duration};

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use futures::{StreamExt as _, stream};
use tokio::time::timeout;

use ery_event_bus::{Followed, FollowedEvents};

use crate::{
    background::Backoff,
    envelope,
    nats::{BoxError, NatsLink},
    pull::{Pull, Pulled, Sharing},
    subjects,
};

/// How many events are asked for ahead of the follower.
const AHEAD: usize = 512;

/// A follower that is further behind than this is told of a gap instead.
const MAX_BEHIND: u64 = 50_000;

/// How long the server keeps a consumer that nobody asks.
const INACTIVE: Duration = Duration::from_mins(1);

const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Follows what is published on these subjects, from now on.
///
/// One consumer for all of them keeps the order of all kinds; it is forgotten with its reader.
pub(super) async fn open(
    nats: Arc<NatsLink>,
    filters: Vec<String>,
) -> Result<FollowedEvents, BoxError> {
    let mut follower = Follower {
        nats,
        filters,
        pull: None,
        name: None,
        seen: 0,
        last: None,
        has_gap: false,
        backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(2)),
    };
    follower.reopen().await?;
    follower.has_gap = false;
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await;
        Some((event, follower))
    });
    Ok(events.boxed())
}

struct Follower {
    nats: Arc<NatsLink>,
    filters: Vec<String>,
    pull: Option<Pull>,
    /// The consumer, to be deleted at the end.
    name: Option<String>,
    /// The consumer's own number of the last event that was read.
    seen: u64,
    /// Where in the stream the follower stands.
    last: Option<Place>,
    has_gap: bool,
    backoff: Backoff,
}

#[derive(Clone, Copy)]
struct Place {
    sequence: u64,
    stream_created_ns: i128,
}

impl Follower {
    async fn next(&mut self) -> Followed {
        loop {
            if std::mem::take(&mut self.has_gap) {
                return Followed::Gap;
            }
            let Some(pull) = &mut self.pull else {
                if let Err(error) = self.reopen().await {
                    tracing::debug!(%error, "could not follow on");
                    self.nats.look_after().await;
                    self.backoff.wait().await;
                }
                continue;
            };
            let Pulled::Message(message) = pull.next().await else {
                self.pull = None;
                self.backoff.wait().await;
                continue;
            };
            let delivered = message.reply.as_deref().and_then(subjects::parse_delivered);
            let Some(delivered) = delivered else { continue };
            if delivered.consumer_sequence != self.seen + 1 {
                self.pull = None;
                continue;
            }
            self.seen = delivered.consumer_sequence;
            if let Some(last) = &mut self.last {
                last.sequence = delivered.stream_sequence;
            }
            self.backoff.reset();
            let read =
                envelope::read_event(&message.subject, message.headers.as_ref(), &message.payload);
            match read {
                Ok(event) => return Followed::Event(event),
                Err(error) => {
                    tracing::error!(%error, "an event cannot be read; its followers see a gap");
                    return Followed::Gap;
                }
            }
        }
    }

    async fn reopen(&mut self) -> Result<(), BoxError> {
        timeout(OPEN_TIMEOUT, self.open_consumer()).await?
    }

    /// Makes a consumer that goes on behind the last event read, or from now on with a gap.
    async fn open_consumer(&mut self) -> Result<(), BoxError> {
        self.forget();
        let info = self.nats.events.get_info().await?;
        let stream_created_ns = info.created.unix_timestamp_nanos();
        let can_go_on = self.last.filter(|last| {
            last.stream_created_ns == stream_created_ns
                && last.sequence <= info.state.last_sequence
                && last.sequence + 1 >= info.state.first_sequence
                && info.state.last_sequence - last.sequence <= MAX_BEHIND
        });
        let begin =
            can_go_on.unwrap_or(Place { sequence: info.state.last_sequence, stream_created_ns });
        let (filter_subject, filter_subjects) = match self.filters.as_slice() {
            [one] => (one.clone(), Vec::new()),
            many => (String::new(), many.to_vec()),
        };
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: begin.sequence + 1 },
            ack_policy: AckPolicy::None,
            inactive_threshold: INACTIVE,
            memory_storage: true,
            num_replicas: 1,
            filter_subject,
            filter_subjects,
            ..Default::default()
        };
        let consumer =
            self.nats.context.create_consumer_on_stream(config, subjects::EVENTS).await?;
        let name = consumer.cached_info().name.clone();
        self.pull = Some(Pull::new(
            self.nats.client.clone(),
            subjects::next_of(subjects::EVENTS, &name),
            AHEAD,
            Sharing::Alone,
            self.nats.state.clone(),
        ));
        self.name = Some(name);
        self.seen = 0;
        self.has_gap = self.has_gap || can_go_on.is_none();
        self.last = Some(begin);
        Ok(())
    }

    /// Lets the server forget the consumer; failing here leaves it to its time.
    fn forget(&mut self) {
        self.pull = None;
        let Some(name) = self.name.take() else { return };
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let nats = Arc::clone(&self.nats);
        crate::background::spawn(async move {
            if let Err(error) = nats.events.delete_consumer(&name).await {
                tracing::debug!(%error, "could not delete a follower's consumer");
            }
        });
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.forget();
    }
}

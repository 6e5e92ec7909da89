use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
};
use secrecy::ExposeSecret;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::Span;
use twilight_gateway::{
    CloseFrame, ConfigBuilder, Intents, Message, Session as TwilightSession, Shard, ShardId,
    ShardState,
    error::{ReceiveMessageError, ReceiveMessageErrorType},
};
use twilight_model::{
    gateway::payload::outgoing::identify::IdentifyProperties,
    id::{Id, marker::ChannelMarker},
};

use ery_channel_queue::Task;
use ery_event_bus::{Event, GatewayShard, ResumePoint};
use ery_ids::{ChannelKey, EventId, Home, TriggerId};
use ery_membership::Claim;

use crate::{
    adapters::{IdentifySlots, gateway_url},
    domain::{Backoff, Mark, Progress, Session},
    error::GatewayError,
    handlers::{Dispatch, Frame, Ready},
    metrics::DispatchOutcome,
    publisher::{Outgoing, Publisher},
    resume_points::ResumePoints,
    shard_keeper::Context,
};

/// How long Discord may take to answer a close frame.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A session that lasted this long was well: the next connection is tried at once.
const PROVEN_AFTER: Duration = Duration::from_secs(10);

/// The longest wait before a session that Discord refused is begun anew.
///
/// Source: Discord Docs, Gateway, Invalid Session: "a random amount of time, between 1 and 5 seconds".
const INVALID_SESSION_WAIT_MS: std::ops::RangeInclusive<u64> = 1_000..=5_000;

/// Discord's dispatch that tells what somebody plays; of no use, and the most frequent by far.
const PRESENCE_UPDATE: &str = "presence_update";

/// The shard to which Discord sends all direct messages.
///
/// Source: Discord Docs, Gateway, Sharding: "DMs will only be sent to shard 0".
const DIRECT_MESSAGES_SHARD: u32 = 0;

/// Nothing was heard on a connection, not even an answer to a heartbeat.
const SILENT: &str = "silent";

/// How much is logged of what Discord says when it closes a connection.
const MAX_CLOSE_REASON: usize = 200;

/// Why a shard is held no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Drained,
    ClaimLost,
    HandedOver,
}

/// Why a connection to Discord is used no longer.
enum Parting {
    Ended(Ended),
    /// The bus has taken nothing for too long.
    Stalled,
    Closed {
        reason: &'static str,
        close: Option<CloseFrame<'static>>,
        cause: Option<ReceiveMessageError>,
    },
}

impl Parting {
    /// Tells whether Discord answered at the address that was asked, whatever it said.
    fn did_answer(&self) -> bool {
        match self {
            Self::Ended(_) | Self::Stalled => true,
            Self::Closed { reason, cause, .. } => {
                let is_unreachable = cause.as_ref().is_some_and(|error| {
                    matches!(error.kind(), ReceiveMessageErrorType::Reconnect)
                });
                !is_unreachable && *reason != SILENT
            }
        }
    }
}

/// What happened in one turn of a held shard.
enum Turn<T> {
    Ended(Ended),
    Settled,
    Tick,
    Value(T),
}

/// One shard while this replica has its claim.
pub(crate) struct Holding<'a> {
    context: &'a Context,
    shard: GatewayShard,
    draining: BoxFuture<'a, ()>,
    claim_lost: BoxFuture<'a, ()>,
    publisher: Publisher,
    progress: Progress,
    points: ResumePoints,
    tick: Interval,
    /// The last dispatch received, from which the session goes on; none: a new one is begun.
    last: Option<Mark>,
    reconnects: Backoff,
    /// Whether the session's own address was the last that did not answer.
    is_resume_url_silent: bool,
    /// Since when there has been a session on this connection.
    connected_since: Option<Instant>,
}

impl<'a> Holding<'a> {
    pub(crate) fn new(
        context: &'a Context,
        shard: GatewayShard,
        draining: &'a CancellationToken,
        claim: &'a dyn Claim,
        point: Option<ResumePoint>,
    ) -> Self {
        let settings = &context.settings;
        let saved = point.map(|point| Mark {
            sequence: point.sequence,
            session: Arc::new(Session {
                resume_url: gateway_url(&point.resume_url).unwrap_or_default(),
                name: point.session,
                bot: point.bot,
            }),
        });
        let mut tick = tokio::time::interval(settings.resume_save_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            context,
            shard,
            draining: draining.cancelled().boxed(),
            claim_lost: claim.lost(),
            publisher: Publisher::new(
                Arc::clone(&context.ports.bus),
                Arc::clone(&context.ports.queue),
                context.metrics.clone(),
                settings.publish_window,
                settings.publish_timeout,
            ),
            progress: Progress::from(saved.clone()),
            points: ResumePoints::new(
                Arc::clone(&context.ports.bus),
                Arc::clone(&context.ports.clock),
                context.metrics.clone(),
                shard,
                saved.clone(),
            ),
            tick,
            last: saved,
            reconnects: Backoff::new(Duration::from_secs(1), settings.reconnect_max_wait),
            is_resume_url_silent: false,
            connected_since: None,
        }
    }

    /// Receives and publishes until the shard must be given up; `is_handover_due` is asked now
    /// and then whether another replica should have it.
    pub(crate) async fn run(
        mut self,
        mut is_handover_due: impl FnMut() -> bool,
    ) -> Result<Ended, GatewayError> {
        loop {
            let mut discord = self.discord_shard();
            let parting = self.receive(&mut discord, &mut is_handover_due).await;
            let did_answer = self.connected_since.is_some() || parting.did_answer();
            self.is_resume_url_silent = !did_answer && !self.is_resume_url_silent;
            let lasted = self.disconnected();
            let waited = match parting {
                Parting::Ended(Ended::ClaimLost) => return Ok(Ended::ClaimLost),
                Parting::Ended(ended @ (Ended::Drained | Ended::HandedOver)) => {
                    close(&mut discord).await;
                    self.flush().await;
                    return Ok(ended);
                }
                Parting::Stalled => {
                    self.context.metrics.stalled();
                    self.context.metrics.disconnect("stalled");
                    tracing::error!(
                        shard.id = self.shard.number,
                        outstanding = self.publisher.outstanding(),
                        "the bus takes nothing; shard {} is closed and resumes later",
                        self.shard.number
                    );
                    close(&mut discord).await;
                    self.until_published().await
                }
                Parting::Closed { reason, close, cause } => {
                    let code = close.as_ref().map(|close| close.code);
                    self.context.metrics.disconnect(reason);
                    let GatewayShard { number, total } = self.shard;
                    if let Some(error) =
                        code.and_then(|code| GatewayError::of_close_code(code, number, total))
                    {
                        self.flush().await;
                        return Err(error);
                    }
                    let wait = self.reconnect_wait(reason, code, lasted);
                    self.log_closed(reason, close.as_ref(), cause.as_ref(), wait);
                    self.wait(wait).await
                }
            };
            match waited {
                Ok(()) => {}
                Err(Ended::ClaimLost) => return Ok(Ended::ClaimLost),
                Err(ended @ (Ended::Drained | Ended::HandedOver)) => {
                    self.flush().await;
                    return Ok(ended);
                }
            }
        }
    }

    fn discord_shard(&self) -> Shard<IdentifySlots> {
        let settings = &self.context.settings;
        let token = self.context.ports.discord.token.expose_secret().to_owned();
        let mut config = ConfigBuilder::new(token, Intents::from_bits_retain(settings.intents))
            .identify_properties(IdentifyProperties::new("ery", "ery", std::env::consts::OS))
            .proxy_url(self.context.gateway_url.clone())
            .queue(self.context.slots.clone());
        if let Some(last) = &self.last {
            let session = &last.session;
            config = config.session(TwilightSession::new(last.sequence, session.id().to_owned()));
            // Only one that did not answer gives way to the ordinary one, every other time: however
            // short a session was, Discord wants it resumed where it said.
            if !session.resume_url.is_empty() && !self.is_resume_url_silent {
                config = config.resume_url(session.resume_url.clone());
            }
        }
        Shard::with_config(ShardId::new(self.shard.number, self.shard.total), config.build())
    }

    async fn receive(
        &mut self,
        discord: &mut Shard<IdentifySlots>,
        is_handover_due: &mut impl FnMut() -> bool,
    ) -> Parting {
        let settings = &self.context.settings;
        let mut last_frame = Instant::now();
        let mut closing: Option<(Instant, &'static str)> = None;
        loop {
            // What is not read stays with Discord: that is the backpressure.
            let is_reading = !self.publisher.is_full();
            let item = match self.turn(discord.next(), is_reading).await {
                Turn::Ended(ended) => return Parting::Ended(ended),
                Turn::Settled => continue,
                Turn::Tick => {
                    if self.publisher.stalled_for() >= settings.stall_limit {
                        return Parting::Stalled;
                    }
                    if !is_reading {
                        last_frame = Instant::now();
                    }
                    let closed = |reason| Parting::Closed { reason, close: None, cause: None };
                    if last_frame.elapsed() >= settings.silence_limit {
                        return closed(SILENT);
                    }
                    if let Some((since, reason)) = closing
                        && since.elapsed() >= CLOSE_PATIENCE
                    {
                        return closed(reason);
                    }
                    if is_handover_due() {
                        return Parting::Ended(Ended::HandedOver);
                    }
                    continue;
                }
                Turn::Value(item) => item,
            };
            last_frame = Instant::now();
            match item {
                Some(Ok(Message::Text(text))) => {
                    if let Some(reason) = self.frame(text) {
                        closing = Some((Instant::now(), reason));
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    let reason = closing.map_or("closed", |(_, reason)| reason);
                    return Parting::Closed { reason, close: frame, cause: None };
                }
                Some(Err(error)) => match error.kind() {
                    // Twilight closes the connection itself.
                    ReceiveMessageErrorType::Compression => {
                        closing = Some((Instant::now(), "compression"));
                    }
                    ReceiveMessageErrorType::Deserializing { .. }
                        if discord.state() == ShardState::Active =>
                    {
                        self.unreadable();
                    }
                    ReceiveMessageErrorType::Deserializing { .. } => {
                        self.unreadable();
                        return Parting::Closed { reason: "unreadable", close: None, cause: None };
                    }
                    _ => {
                        let reason = "unreachable";
                        return Parting::Closed { reason, close: None, cause: Some(error) };
                    }
                },
                None => return Parting::Closed { reason: "closed", close: None, cause: None },
            }
        }
    }

    /// Deals with a frame; says why, if the connection is to be closed after it.
    fn frame(&mut self, text: String) -> Option<&'static str> {
        match Frame::read(text) {
            Ok(Frame::Dispatch(dispatch)) => self.dispatch(dispatch),
            Ok(Frame::Ready(ready)) => self.ready(&ready),
            Ok(Frame::Resumed { sequence }) => self.resumed(sequence),
            Ok(Frame::Reconnect) => return Some("asked"),
            Ok(Frame::InvalidSession { is_resumable: true }) => return Some("invalid_session"),
            Ok(Frame::InvalidSession { is_resumable: false }) => {
                self.last = None;
                return Some("invalid_session");
            }
            Ok(Frame::Other) => {}
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(shard.id = self.shard.number, error, "an unreadable frame");
                self.unreadable();
            }
        }
        None
    }

    fn ready(&mut self, ready: &Ready) {
        let session = Arc::new(Session {
            name: Session::name(&ready.session, self.context.ports.clock.now()),
            resume_url: gateway_url(&ready.resume_url).unwrap_or_default(),
            bot: ready.bot,
        });
        let mark = Mark { session, sequence: ready.sequence };
        if self.shard.number == DIRECT_MESSAGES_SHARD {
            self.session_began(mark);
        } else {
            self.handled_here(mark);
            // At once: until then a restart would resume the session before, or none.
            self.points.save(self.progress.reached());
        }
        self.connected("identified");
    }

    /// Lets the direct messages be read back that were missed before a session: nothing else that
    /// Discord tells of it names them.
    fn session_began(&mut self, mark: Mark) {
        let Session { name, bot, .. } = &*mark.session;
        let span = self.span(Ready::KIND, None, None);
        let event = Event {
            id: EventId::dispatch(name, mark.sequence),
            kind: Ready::KIND.to_owned(),
            // It is of every direct message; no channel has the id of a user.
            home: Home::Dm(bot.cast()),
            channel: None,
            bot: *bot,
            received_at: self.context.ports.clock.now(),
            traceparent: ery_trace::of(&span),
            payload: Bytes::from_static(b"{}"),
        };
        self.last = Some(mark.clone());
        let ticket = self.progress.received(mark);
        let received = Instant::now();
        self.publisher.push(Outgoing { ticket, received, event: Some(event), task: None, span });
    }

    fn resumed(&mut self, sequence: u64) {
        if let Some(last) = &self.last {
            let session = Arc::clone(&last.session);
            self.handled_here(Mark { session, sequence });
        }
        self.connected("resumed");
    }

    fn dispatch(&mut self, dispatch: Dispatch) {
        let Some(last) = &self.last else {
            // Discord begins every session with READY; without it nothing can be named.
            tracing::error!(shard.id = self.shard.number, "a dispatch came before READY");
            self.context.metrics.dispatch(DispatchOutcome::Unreadable);
            return;
        };
        let session = Arc::clone(&last.session);
        let mark = Mark { session: Arc::clone(&session), sequence: dispatch.sequence };
        let is_wanted = dispatch.kind != PRESENCE_UPDATE
            || Intents::from_bits_retain(self.context.settings.intents)
                .contains(Intents::GUILD_PRESENCES);
        let Some(home) = dispatch.home.filter(|_| is_wanted) else {
            self.handled_here(mark);
            return;
        };
        self.last = Some(mark.clone());
        let ticket = self.progress.received(mark);
        let received_at = self.context.ports.clock.now();
        let span = self.span(&dispatch.kind, Some(home), dispatch.channel);
        let traceparent = ery_trace::of(&span);
        let task = match (dispatch.created, dispatch.channel) {
            (Some(message), Some(channel)) if dispatch.author != Some(session.bot) => Some(Task {
                trigger: TriggerId::Message(message),
                channel: ChannelKey { home, channel },
                retry: 0,
                bot: session.bot,
                received_at,
                session: Some(session.name.clone()),
                traceparent,
                payload: dispatch.payload.clone(),
            }),
            _ => None,
        };
        let event = Event {
            id: dispatch.event_id(&session.name),
            kind: dispatch.kind,
            home,
            channel: dispatch.channel,
            bot: session.bot,
            received_at,
            traceparent,
            payload: dispatch.payload,
        };
        self.publisher.push(Outgoing {
            ticket,
            received: Instant::now(),
            event: Some(event),
            task,
            span,
        });
    }

    /// Begins the trace of a dispatch, in which all goes on that comes of it. Whether it is collected
    /// is decided here, once.
    fn span(&self, kind: &str, home: Option<Home>, channel: Option<Id<ChannelMarker>>) -> Span {
        tracing::info_span!(
            parent: None,
            "gateway.dispatch.publish",
            otel.kind = "producer",
            dispatch.kind = kind,
            guild.id = home.and_then(Home::guild).map(Id::get),
            channel.id = channel.map(Id::get),
            shard.id = self.shard.number,
        )
    }

    /// Notes a dispatch that nobody but the gateway needs.
    fn handled_here(&mut self, mark: Mark) {
        self.last = Some(mark.clone());
        let ticket = self.progress.received(mark);
        self.progress.handled(ticket);
        self.context.metrics.dispatch(DispatchOutcome::Internal);
    }

    fn unreadable(&self) {
        self.context.metrics.dispatch(DispatchOutcome::Unreadable);
        tracing::error!(
            shard.id = self.shard.number,
            "Discord sent something on shard {} that cannot be read; it is left out",
            self.shard.number
        );
    }

    fn connected(&mut self, how: &'static str) {
        self.context.metrics.session(how);
        if self.connected_since.is_none() {
            self.context.note(|status| status.connected += 1);
        }
        self.connected_since = Some(Instant::now());
        let GatewayShard { number, total } = self.shard;
        tracing::info!(shard.id = number, session = how, "shard {number} of {total} is connected");
    }

    /// Notes the end of a connection, and returns how long its session was well.
    fn disconnected(&mut self) -> Duration {
        let Some(since) = self.connected_since.take() else { return Duration::ZERO };
        self.context.note(|status| status.connected = status.connected.saturating_sub(1));
        since.elapsed()
    }

    fn reconnect_wait(
        &mut self,
        reason: &'static str,
        code: Option<u16>,
        lasted: Duration,
    ) -> Duration {
        // An invalid sequence, a session timed out: Discord wants a new session.
        if matches!(code, Some(4007 | 4009)) {
            self.last = None;
        }
        if lasted >= PROVEN_AFTER {
            self.reconnects.succeeded();
        }
        if reason == "invalid_session" && self.last.is_none() {
            return Duration::from_millis(rand::random_range(INVALID_SESSION_WAIT_MS));
        }
        if lasted >= PROVEN_AFTER { Duration::ZERO } else { self.reconnects.failed(rand::random()) }
    }

    fn log_closed(
        &self,
        reason: &'static str,
        close: Option<&CloseFrame<'_>>,
        cause: Option<&ReceiveMessageError>,
        wait: Duration,
    ) {
        let number = self.shard.number;
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        // The text of other errors holds what people wrote.
        let cause =
            cause.and_then(|error| std::error::Error::source(error)).map(ToString::to_string);
        tracing::warn!(
            shard.id = number,
            reason,
            close_code = close.map(|close| close.code),
            close_reason = close.map(|close| close_reason(close)),
            cause,
            wait_ms,
            "shard {number} lost its connection; it connects again"
        );
    }

    /// Waits, publishing and saving meanwhile.
    async fn wait(&mut self, how_long: Duration) -> Result<(), Ended> {
        let mut sleep = pin!(tokio::time::sleep(how_long));
        loop {
            match self.turn(sleep.as_mut(), true).await {
                Turn::Ended(ended) => return Err(ended),
                Turn::Settled | Turn::Tick => {}
                Turn::Value(()) => return Ok(()),
            }
        }
    }

    /// Waits until all that was received is published, and goes back to there.
    async fn until_published(&mut self) -> Result<(), Ended> {
        while self.publisher.outstanding() > 0 {
            if let Turn::Ended(ended) = self.turn(future::pending::<()>(), true).await {
                return Err(ended);
            }
        }
        // What came after it while the shard was being closed was not taken: it is replayed.
        self.last = self.progress.reached().cloned();
        Ok(())
    }

    /// Publishes, saves, and waits for `other`, until one thing has happened.
    async fn turn<T>(&mut self, other: impl Future<Output = T>, is_wanted: bool) -> Turn<T> {
        tokio::select! {
            biased;
            () = &mut self.draining => Turn::Ended(Ended::Drained),
            () = &mut self.claim_lost => Turn::Ended(Ended::ClaimLost),
            ticket = self.publisher.settled() => {
                self.progress.handled(ticket);
                let reached = self.progress.reached();
                // At once where a session is new: until then a restart would resume the one before.
                if self.points.is_of_another_session(reached)
                    || self.points.behind(reached) >= u64::from(self.context.settings.resume_save_events) {
                    self.points.save(reached);
                }
                Turn::Settled
            }
            () = self.points.written() => Turn::Settled,
            _ = self.tick.tick() => {
                self.points.save(self.progress.reached());
                self.context.metrics.in_flight(self.shard.number, self.publisher.outstanding());
                Turn::Tick
            }
            value = other, if is_wanted => Turn::Value(value),
        }
    }

    /// Waits for publishes under way, then saves the last resume point; both in bounded time.
    async fn flush(&mut self) {
        let patience = self.context.settings.drain_patience;
        let publishing = async {
            while self.publisher.outstanding() > 0 {
                let ticket = self.publisher.settled().await;
                self.progress.handled(ticket);
            }
        };
        if tokio::time::timeout(patience, publishing).await.is_err() {
            tracing::warn!(
                shard.id = self.shard.number,
                outstanding = self.publisher.outstanding(),
                "not all dispatches were published in time; Discord replays them"
            );
        }
        let saving = self.points.flush(self.progress.reached());
        if tokio::time::timeout(patience, saving).await.is_err() {
            tracing::warn!(
                shard.id = self.shard.number,
                "the resume point of shard {} was not saved in time",
                self.shard.number
            );
        }
    }
}

/// Closes a shard so that its session can be resumed (4000, never 1000 or 1001).
///
/// Dispatches that come meanwhile are left: they are beyond the resume point, and replayed.
async fn close(discord: &mut Shard<IdentifySlots>) {
    if matches!(discord.state(), ShardState::Disconnected { .. } | ShardState::FatallyClosed) {
        return;
    }
    discord.close(CloseFrame::RESUME);
    let closing = async { while let Some(Ok(Message::Text(_))) = discord.next().await {} };
    if tokio::time::timeout(CLOSE_PATIENCE, closing).await.is_err() {
        tracing::debug!("Discord did not answer the close frame");
    }
}

/// Returns why Discord closed a connection, in its words, on one short line.
fn close_reason(close: &CloseFrame<'_>) -> String {
    close.reason.chars().take(MAX_CLOSE_REASON).flat_map(char::escape_debug).collect()
}

//! One WebSocket connection: HELLO, heartbeats, and whatever its session has to say.

use std::{io, ops::ControlFlow, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures::SinkExt;
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::{
    close::CloseReason,
    codec::{Codec, Transport},
    frames::{self, Incoming, Unreadable},
    sessions::{Attachment, Disturbance, Outgoing, Rejected},
};
use crate::{faults::FaultKind, shared::Shared};

/// Discord takes no longer frames.
const MAX_FRAME_BYTES: usize = 4_096;
/// Frames up to here are read, so that those that are too long are closed with the right code.
pub(crate) const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
const MAX_FRAMES: u32 = 120;
const FRAMES_WINDOW: Duration = Duration::from_mins(1);
/// What is granted beyond one and a half heartbeat intervals.
const HEARTBEAT_SLACK: Duration = Duration::from_secs(2);
/// How long a client has for its part of the closing handshake.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// How many frames are written before they are flushed.
const BATCH: usize = 64;

/// What a client asks for in the address.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    #[serde(default)]
    v: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    compress: Option<String>,
}

impl Query {
    fn check(&self) -> Result<Transport, CloseReason> {
        if self.encoding.as_deref().is_some_and(|encoding| encoding != "json") {
            return Err(CloseReason::EtfUnsupported);
        }
        if self.v.as_deref().is_some_and(|version| version != "10" && version != "9") {
            return Err(CloseReason::InvalidVersion);
        }
        match self.compress.as_deref() {
            None | Some("") => Ok(Transport::Plain),
            Some("zlib-stream") => Ok(Transport::ZlibStream),
            Some("zstd-stream") => Ok(Transport::ZstdStream),
            Some(_) => Err(CloseReason::Undecodable),
        }
    }
}

/// How a connection ends.
enum End {
    /// The server hangs up with a reason.
    Close(CloseReason),
    /// The client hung up; `true` if in the way that ends its session.
    Left { for_good: bool },
    /// The line is cut, by order or because it broke.
    Cut,
}

/// Serves a connection until it ends.
pub(crate) async fn serve(
    mut socket: WebSocket,
    shared: Arc<Shared>,
    query: Query,
    own_url: String,
) {
    let transport = match query.check() {
        Ok(transport) => transport,
        Err(reason) => return close(&mut socket, reason).await,
    };
    let codec = match Codec::new(transport) {
        Ok(codec) => codec,
        Err(error) => {
            debug!(%error, "a connection's compressor could not be made");
            return close(&mut socket, CloseReason::UnknownError).await;
        }
    };
    let heartbeat_interval = shared.settings().heartbeat_interval;
    let mut connection = Connection {
        socket,
        codec,
        shared,
        own_url,
        heartbeat_interval,
        last_heartbeat: Instant::now(),
        window_began: Instant::now(),
        frames_in_window: 0,
        attachment: None,
        is_stalled: false,
    };
    let end = connection.run().await;
    connection.finish(end).await;
}

struct Connection {
    socket: WebSocket,
    codec: Codec,
    shared: Arc<Shared>,
    own_url: String,
    heartbeat_interval: Duration,
    last_heartbeat: Instant,
    window_began: Instant,
    frames_in_window: u32,
    attachment: Option<Attachment>,
    is_stalled: bool,
}

impl Connection {
    async fn run(&mut self) -> End {
        let interval = u64::try_from(self.heartbeat_interval.as_millis()).unwrap_or(u64::MAX);
        if let Err(end) = self.send_all(vec![frames::hello(interval)]).await {
            return end;
        }
        let stopping = self.shared.stopping.clone();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let heartbeat_due =
                self.last_heartbeat + self.heartbeat_interval.mul_f64(1.5) + HEARTBEAT_SLACK;
            let kick = self.attachment.as_ref().map(|attachment| attachment.kick.clone());
            let queue = self.attachment.as_mut().map(|attachment| &mut attachment.queue);
            let step = tokio::select! {
                biased;
                () = stopping.cancelled() => ControlFlow::Break(End::Close(CloseReason::GoingAway)),
                () = cancelled(kick) => ControlFlow::Break(End::Cut),
                message = self.socket.recv() => self.receive(message).await,
                count = next(queue, &mut batch) => {
                    debug_assert_eq!(count, batch.len());
                    self.send_batch(&mut batch).await
                }
                () = tokio::time::sleep_until(heartbeat_due), if !self.is_stalled => {
                    ControlFlow::Break(End::Close(CloseReason::TimedOut))
                }
            };
            if let ControlFlow::Break(end) = step {
                return end;
            }
        }
    }

    async fn receive(&mut self, message: Option<Result<Message, axum::Error>>) -> ControlFlow<End> {
        let text = match message {
            None => return ControlFlow::Break(End::Cut),
            // Not WebSocket, not UTF-8 or far too long; or the line broke, and nobody hears it.
            Some(Err(error)) => {
                debug!(%error, "a frame could not be read");
                return hang_up(CloseReason::Undecodable);
            }
            Some(Ok(Message::Close(frame))) => {
                let for_good = frame.is_some_and(|frame| matches!(frame.code, 1000 | 1001));
                return ControlFlow::Break(End::Left { for_good });
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return ControlFlow::Continue(()),
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            Some(Ok(Message::Binary(bytes))) => match String::from_utf8(bytes.to_vec()) {
                Ok(text) => text,
                Err(_) => return hang_up(CloseReason::Undecodable),
            },
        };
        if self.is_stalled {
            return ControlFlow::Continue(());
        }
        if text.len() > MAX_FRAME_BYTES {
            return hang_up(CloseReason::Undecodable);
        }
        if self.exceeds_frame_limit() {
            return hang_up(CloseReason::RateLimited);
        }
        match Incoming::read(&text) {
            Ok(incoming) => self.handle(incoming).await,
            Err(Unreadable::Undecodable) => hang_up(CloseReason::Undecodable),
            Err(Unreadable::UnknownOpcode) => hang_up(CloseReason::UnknownOpcode),
        }
    }

    fn exceeds_frame_limit(&mut self) -> bool {
        let now = Instant::now();
        if now.duration_since(self.window_began) >= FRAMES_WINDOW {
            self.window_began = now;
            self.frames_in_window = 0;
        }
        self.frames_in_window += 1;
        self.frames_in_window > MAX_FRAMES
    }

    async fn handle(&mut self, incoming: Incoming) -> ControlFlow<End> {
        let is_known = self.attachment.is_some();
        match incoming {
            Incoming::Heartbeat => {
                self.last_heartbeat = Instant::now();
                if let Some(suffered) = self.suffer("HEARTBEAT").await {
                    return suffered;
                }
                self.send(frames::heartbeat_ack()).await
            }
            Incoming::Identify(_) | Incoming::Resume(_) if is_known => {
                hang_up(CloseReason::AlreadyAuthenticated)
            }
            Incoming::Identify(identify) => {
                if let Some(suffered) = self.suffer("IDENTIFY").await {
                    return suffered;
                }
                if identify.compress == Some(true) {
                    self.codec.compress_payloads();
                }
                let now = self.shared.clock.now();
                let attached = self.shared.lock().identify(identify, &self.own_url, now);
                self.begin(attached).await
            }
            Incoming::Resume(resume) => {
                if let Some(suffered) = self.suffer("RESUME").await {
                    return suffered;
                }
                let now = self.shared.clock.now();
                let attached = self.shared.lock().resume(&resume, now);
                self.begin(attached).await
            }
            asked => self.asked(asked),
        }
    }

    /// Does what only a client with a session may ask for.
    fn asked(&mut self, asked: Incoming) -> ControlFlow<End> {
        let Some(attachment) = &self.attachment else {
            return hang_up(CloseReason::NotAuthenticated);
        };
        let session = Arc::clone(&attachment.session);
        let enforce_limits = self.shared.settings().limits.enabled;
        let now = self.shared.clock.now();
        let state = &mut *self.shared.lock();
        let world = &state.world;
        match asked {
            Incoming::Presence(update) => {
                if let Some(bot) = state.sessions.bot(&session) {
                    state.show(bot, update.into_presence(), now);
                }
            }
            Incoming::RequestMembers(request) => {
                state.sessions.answer(&session, |session, ways| {
                    session.request_members(world, request, enforce_limits, ways);
                });
            }
            Incoming::RequestSounds(request) => state.sessions.answer(&session, |session, ways| {
                session.request_sounds(world, &request, ways);
            }),
            Incoming::RequestChannelInfo(request) => {
                state.sessions.answer(&session, |session, ways| {
                    session.request_channel_info(world, &request, ways);
                });
            }
            Incoming::Voice | Incoming::Heartbeat | Incoming::Identify(_) | Incoming::Resume(_) => {
            }
        }
        ControlFlow::Continue(())
    }

    /// Suffers the faults that are ordered for what a client sent; returns what comes of it if it is
    /// not acted upon.
    async fn suffer(&mut self, event: &'static str) -> Option<ControlFlow<End>> {
        for fault in self.shared.faults.strike_gateway(event) {
            match fault.kind {
                FaultKind::Delay => {
                    let stopping = self.shared.stopping.clone();
                    tokio::select! {
                        () = tokio::time::sleep(fault.delay()) => {}
                        () = stopping.cancelled() => return Some(hang_up(CloseReason::GoingAway)),
                    }
                }
                FaultKind::Refuse => return Some(self.send(frames::invalid_session(false)).await),
                FaultKind::Error => {
                    return Some(hang_up(CloseReason::Ordered(fault.status.unwrap_or(4_000))));
                }
                FaultKind::Cut => return Some(ControlFlow::Break(End::Cut)),
                FaultKind::Lose => return Some(ControlFlow::Continue(())),
                FaultKind::Stall => {
                    self.stall();
                    return Some(ControlFlow::Continue(()));
                }
                FaultKind::Reconnect => {
                    let asked = self.send(frames::reconnect()).await;
                    if asked.is_break() {
                        return Some(asked);
                    }
                }
                FaultKind::Duplicate
                | FaultKind::RateLimit
                | FaultKind::LoseResponse
                | FaultKind::NotReady => {
                    // They are never ordered for what a client sends.
                }
            }
        }
        None
    }

    async fn begin(&mut self, attached: Result<Attachment, Rejected>) -> ControlFlow<End> {
        match attached {
            Ok(mut attachment) => {
                let first = std::mem::take(&mut attachment.first);
                self.attachment = Some(attachment);
                let frames = first.iter().map(|entry| {
                    frames::dispatch(entry.name, entry.sequence, text_of(&entry.body))
                });
                self.sent(frames.collect()).await
            }
            Err(Rejected::InvalidSession) => self.send(frames::invalid_session(false)).await,
            Err(Rejected::Close(reason)) => hang_up(reason),
        }
    }

    async fn send_batch(&mut self, batch: &mut Vec<Outgoing>) -> ControlFlow<End> {
        if batch.is_empty() {
            // The session let go of this connection: another one has it, or it has ended.
            self.attachment = None;
            return ControlFlow::Continue(());
        }
        let mut frames = Vec::with_capacity(batch.len());
        let mut is_over = false;
        let mut stalls = false;
        let mut closes = None;
        for outgoing in batch.drain(..) {
            match outgoing {
                _ if stalls || is_over || closes.is_some() => {}
                Outgoing::Dispatch(entry) => {
                    frames.push(frames::dispatch(entry.name, entry.sequence, text_of(&entry.body)));
                }
                Outgoing::Disturb(Disturbance::Reconnect) => frames.push(frames::reconnect()),
                Outgoing::Disturb(Disturbance::Heartbeat) => {
                    frames.push(frames::heartbeat_request());
                }
                Outgoing::Disturb(Disturbance::Invalidate { resumable }) => {
                    frames.push(frames::invalid_session(resumable));
                    is_over = true;
                }
                Outgoing::Disturb(Disturbance::Close(code)) => closes = Some(code),
                Outgoing::Disturb(Disturbance::Stall) => stalls = true,
                Outgoing::Disturb(Disturbance::Drop | Disturbance::Repeat { .. }) => {
                    // These are done to the session, and never reach a queue.
                }
            }
        }
        let sent = self.sent(frames).await;
        if is_over {
            self.let_go();
        }
        if let Some(code) = closes.filter(|_| sent.is_continue()) {
            return hang_up(CloseReason::Ordered(code));
        }
        if stalls {
            self.stall();
        }
        sent
    }

    /// From now on hears everything and says nothing; what happens is kept for the resume.
    fn stall(&mut self) {
        self.is_stalled = true;
        self.let_go();
    }

    /// Parts from the session, which can be resumed if it has not ended.
    fn let_go(&mut self) {
        if let Some(attachment) = self.attachment.take() {
            let now = self.shared.clock.now();
            self.shared.lock().detach(&attachment.session, attachment.link, true, now);
        }
    }

    async fn send(&mut self, frame: String) -> ControlFlow<End> {
        self.sent(vec![frame]).await
    }

    async fn sent(&mut self, frames: Vec<String>) -> ControlFlow<End> {
        match self.send_all(frames).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(end) => ControlFlow::Break(end),
        }
    }

    /// Writes frames and flushes once; gives up when the session lets go of this connection.
    async fn send_all(&mut self, frames: Vec<String>) -> Result<(), End> {
        let kick = self.attachment.as_ref().map(|attachment| attachment.kick.clone());
        let stopping = self.shared.stopping.clone();
        let write = async {
            for frame in frames {
                let message = self.codec.pack(frame)?;
                self.socket.feed(message).await.map_err(io::Error::other)?;
            }
            self.socket.flush().await.map_err(io::Error::other)
        };
        tokio::select! {
            written = write => written.map_err(|error: io::Error| {
                debug!(%error, "a connection broke while it was written to");
                End::Cut
            }),
            () = cancelled(kick) => Err(End::Cut),
            () = stopping.cancelled() => Err(End::Cut),
        }
    }

    async fn finish(mut self, end: End) {
        let keep = match end {
            End::Close(reason) => reason.keeps_session(),
            End::Left { for_good } => !for_good,
            End::Cut => true,
        };
        if let Some(attachment) = self.attachment.take() {
            let now = self.shared.clock.now();
            self.shared.lock().detach(&attachment.session, attachment.link, keep, now);
        }
        match end {
            End::Close(reason) => close(&mut self.socket, reason).await,
            // The answer to the client's close is written by the library while it is polled.
            End::Left { .. } => drain(&mut self.socket).await,
            End::Cut => {}
        }
    }
}

fn hang_up(reason: CloseReason) -> ControlFlow<End> {
    ControlFlow::Break(End::Close(reason))
}

/// The body of a dispatch is JSON, and so UTF-8.
fn text_of(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap_or("null")
}

async fn close(socket: &mut WebSocket, reason: CloseReason) {
    debug!(code = reason.code(), "closing a connection: {}", reason.words());
    let frame = CloseFrame { code: reason.code(), reason: Utf8Bytes::from_static(reason.words()) };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        drain(socket).await;
    }
}

/// Reads on until the other side has closed too, so that nothing that was sent is lost.
async fn drain(socket: &mut WebSocket) {
    let closed = async { while let Some(Ok(_)) = socket.recv().await {} };
    if timeout(CLOSE_PATIENCE, closed).await.is_err() {
        debug!("a client did not close its side in time");
    }
}

async fn cancelled(token: Option<tokio_util::sync::CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}

async fn next(
    queue: Option<&mut tokio::sync::mpsc::Receiver<Outgoing>>,
    batch: &mut Vec<Outgoing>,
) -> usize {
    match queue {
        Some(queue) => queue.recv_many(batch, BATCH).await,
        None => std::future::pending().await,
    }
}

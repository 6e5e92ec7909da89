//! A server that answers as it is told, and the service in front of it.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Uri, header},
    response::Response,
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, time::Instant};
use tonic::Status;

use ery_ai_service::{Ports, ProviderKind, Service, Settings};
use ery_clock::SystemClock;
use ery_proto::{
    ai::v1::{
        Finished, MemberMessage, MemberMessages, RunModelTurnRequest, ToolSpec, Turn,
        ai_service_client::AiServiceClient, run_model_turn_response::Kind, turn,
    },
    common::v1::Message,
};
use ery_rpc::Transport;

pub(crate) const KEY: &str = "sk-hunter2-hunter2";
pub(crate) const SECRET_TEXT: &str = "my secret diary";

/// What the server does with one request.
pub(crate) enum Answer {
    /// Sends these frames, then `[DONE]`.
    Stream(Vec<Value>),
    /// Sends these pieces as they are, then closes.
    Raw(Vec<String>),
    /// Sends these pieces, then nothing more.
    Stall(Vec<String>),
    /// Sends these pieces, then breaks the connection.
    Abort(Vec<String>),
    /// Never sends a header.
    Silence,
    Status(u16, Vec<(&'static str, String)>, String),
}

pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) script: Mutex<VecDeque<Answer>>,
    pub(crate) asked: Mutex<Vec<Asked>>,
    pub(crate) arrived: Notify,
    pub(crate) dropped: Arc<Notify>,
}

impl Fake {
    pub(crate) fn attempts(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    pub(crate) fn body(&self, index: usize) -> Value {
        self.asked.lock().unwrap()[index].body.clone()
    }
}

/// Tells when the client lets go of a stream.
struct Held(Arc<Notify>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn serve(
    State(fake): State<Arc<Fake>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let authorization = headers.get(header::AUTHORIZATION);
    fake.asked.lock().unwrap().push(Asked {
        path: uri.to_string(),
        authorization: authorization.map(|value| value.to_str().unwrap().to_owned()),
        headers: headers.clone(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        at: Instant::now(),
    });
    fake.arrived.notify_one();
    let answer = fake
        .script
        .lock()
        .unwrap()
        .pop_front()
        .unwrap_or(Answer::Stream(crate::openai::text("hello")));
    let pieces = |pieces: Vec<String>| stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
    let body = match answer {
        Answer::Stream(frames) => {
            let mut sent: Vec<String> = frames.iter().map(data).collect();
            sent.push("data: [DONE]\n\n".into());
            Body::from_stream(pieces(sent))
        }
        Answer::Raw(sent) => Body::from_stream(pieces(sent)),
        Answer::Stall(sent) => {
            let held = Held(Arc::clone(&fake.dropped));
            let silence = stream::once(async move {
                let _held = held;
                std::future::pending::<Result<String, Infallible>>().await
            });
            Body::from_stream(pieces(sent).chain(silence))
        }
        Answer::Abort(sent) => {
            let broken = stream::once(async { Err(io::Error::other("broken")) });
            let sent = stream::iter(sent.into_iter().map(Ok));
            // The pieces are on their way before the connection breaks.
            let paused = stream::once(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(String::new())
            });
            Body::from_stream(sent.chain(paused).chain(broken))
        }
        Answer::Silence => std::future::pending().await,
        Answer::Status(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            return response.body(Body::from(body)).unwrap();
        }
    };
    Response::builder().header(header::CONTENT_TYPE, "text/event-stream").body(body).unwrap()
}

pub(crate) fn data(frame: &Value) -> String {
    format!("data: {frame}\n\n")
}

pub(crate) async fn fake(script: impl IntoIterator<Item = Answer>) -> (Arc<Fake>, String) {
    let fake =
        Arc::new(Fake { script: Mutex::new(script.into_iter().collect()), ..Fake::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(serve).with_state(Arc::clone(&fake));
    #[expect(clippy::disallowed_methods, reason = "the fake lives as long as the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (fake, format!("http://{address}"))
}

pub(crate) fn settings(base_url: &str) -> Settings {
    Settings {
        provider: ProviderKind::OpenAi,
        base_url: Some(base_url.to_owned()),
        api_key: Some(KEY.into()),
        model: "some::model-high".into(),
        first_byte_timeout: Duration::from_millis(400),
        read_timeout: Duration::from_millis(400),
        turn_timeout: Duration::from_secs(20),
        attempts: 3,
        backoff_base: Duration::from_millis(10),
        backoff_max: Duration::from_millis(20),
        ..Settings::default()
    }
}

pub(crate) fn client(settings: &Settings) -> AiServiceClient<Transport> {
    let service = Service::new(settings, Ports { clock: Arc::new(SystemClock) }).unwrap();
    AiServiceClient::new(ery_rpc::local(service.routes()))
}

pub(crate) fn message(content: &str) -> Message {
    Message {
        channel_id: 1,
        message_id: 10,
        author_id: 20,
        author_name: "bob".into(),
        content: content.into(),
        created_at_ms: 1_700_000_000_000,
        ..Message::default()
    }
}

pub(crate) fn tool() -> ToolSpec {
    ToolSpec {
        name: "timeout_member".into(),
        description: "Times a member out.".into(),
        parameters: json!({"type": "object", "properties": {}}).to_string(),
        tier: "reversible".into(),
    }
}

pub(crate) fn turn(content: &str) -> RunModelTurnRequest {
    let message = Some(message(content));
    let members = MemberMessage { message, rights: "member".into(), is_to_be_answered: true };
    let kind = turn::Kind::Members(MemberMessages {
        messages: vec![members],
        ..MemberMessages::default()
    });
    RunModelTurnRequest {
        instructions: "Be kind.".into(),
        turns: vec![Turn { kind: Some(kind) }],
        tools: vec![tool()],
        max_output_tokens: 500,
        marker: "0123456789abcdef".into(),
        bot_id: 900,
        bot_name: "Ery".into(),
        ..RunModelTurnRequest::default()
    }
}

pub(crate) async fn run(
    client: &mut AiServiceClient<Transport>,
    request: RunModelTurnRequest,
) -> Result<Finished, Status> {
    let mut stream = client.run_model_turn(request).await?.into_inner();
    let mut deltas = String::new();
    let (mut finished, mut in_vain) = (None, Vec::new());
    while let Some(response) = stream.message().await? {
        match response.kind.unwrap() {
            Kind::TextDelta(delta) => deltas.push_str(&delta),
            Kind::Finished(last) => finished = Some(last),
            Kind::Restarted(_) => panic!("nobody wanted deltas"),
            Kind::SpentInVain(told) => in_vain.extend(told.spent),
        }
    }
    let finished = finished.expect("a stream that ends well has an end");
    assert_eq!(deltas, finished.text, "the deltas are exactly the text");
    let told: Vec<_> = finished.spent.iter().filter(|spent| spent.is_in_vain).cloned().collect();
    assert_eq!(in_vain, told, "what was in vain is told at once, and in the end");
    Ok(finished)
}

//! Several providers in a row, and callers that go away.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, time::Instant};
use tonic::{Code, Status, transport::server::TcpIncoming};

use ery_ai_service::{Ports, ProviderKind, ProviderSettings, Service, Settings};
use ery_clock::SystemClock;
use ery_proto::ai::v1::{
    Finished, RunModelTurnRequest, ToolSpec, ai_service_client::AiServiceClient,
};

use crate::support::{Answer, Fake, client, fake, run, settings, tool, turn};

/// Two providers: the first does as it is told, the second says hello.
struct Pair {
    first: Arc<Fake>,
    second: Arc<Fake>,
    settings: Settings,
}

async fn pair(script: impl IntoIterator<Item = Answer>) -> Pair {
    let ((first, first_url), (second, second_url)) = (fake(script).await, fake([]).await);
    let provider = |name: &str, base_url: String| ProviderSettings {
        name: Some(name.into()),
        kind: ProviderKind::OpenAi,
        base_url: Some(base_url),
        model: format!("{name}-model"),
        ..ProviderSettings::default()
    };
    let settings = Settings {
        provider: ProviderKind::Builtin,
        base_url: None,
        api_key: None,
        model: String::new(),
        providers: vec![provider("main", first_url), provider("spare", second_url)],
        ..settings("")
    };
    Pair { first, second, settings }
}

impl Pair {
    async fn ask(&self, request: RunModelTurnRequest) -> Result<Finished, Status> {
        run(&mut client(&self.settings), request).await
    }
}

fn failures(count: usize, status: u16) -> Vec<Answer> {
    (0..count).map(|_| Answer::Status(status, vec![], String::new())).collect()
}

#[tokio::test]
async fn the_next_provider_is_asked_where_one_gives_no_answer() {
    for (name, script, attempts) in [
        ("works", vec![], 1),
        ("fails", failures(3, 500), 3),
        ("has no such key", failures(1, 401), 1),
        ("refuses", failures(1, 400), 1),
        ("is silent", (0..3).map(|_| Answer::Silence).collect(), 3),
    ] {
        let pair = pair(script).await;
        let finished = pair.ask(turn("hi")).await.unwrap();
        assert_eq!(finished.text, "hello", "{name}");
        assert_eq!(pair.first.attempts(), attempts, "{name}");
        let expected = if name == "works" { ("main", 0) } else { ("spare", 1) };
        assert_eq!((finished.provider.as_str(), pair.second.attempts()), expected, "{name}");
        let asked = if name == "works" { &pair.first } else { &pair.second };
        assert_eq!(asked.body(0)["model"], format!("{}-model", expected.0));
    }
}

#[tokio::test]
async fn a_long_wait_is_not_waited_while_another_stands_behind() {
    let minute = vec![("retry-after", "60".to_owned())];
    let pair = pair([Answer::Status(429, minute, String::new())]).await;
    let begun = Instant::now();
    let mut client = client(&pair.settings);
    for turns in 1..=2 {
        assert_eq!(run(&mut client, turn("hi")).await.unwrap().provider, "spare");
        // It asked to be left alone, and is.
        assert_eq!((pair.first.attempts(), pair.second.attempts()), (1, turns));
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn an_open_breaker_is_passed_by_at_once() {
    let mut pair = pair(failures(9, 500)).await;
    pair.settings.attempts = 1;
    pair.settings.breaker_failures = 1;
    pair.settings.breaker_open_first = Duration::from_mins(1);
    pair.settings.breaker_open = Duration::from_mins(1);
    let mut client = client(&pair.settings);
    for turns in 1..=3 {
        assert_eq!(run(&mut client, turn("hi")).await.unwrap().provider, "spare");
        assert_eq!((pair.first.attempts(), pair.second.attempts()), (1, turns));
    }
}

#[tokio::test]
async fn where_none_answers_the_more_hopeful_reason_is_told() {
    let pair = pair(failures(1, 401)).await;
    pair.second.script.lock().unwrap().extend(failures(3, 500));
    let error = pair.ask(turn("hi")).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    let pair = self::pair(failures(1, 401)).await;
    pair.second.script.lock().unwrap().extend(failures(1, 404));
    let error = pair.ask(turn("hi")).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(error.message().contains("API key"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_asked_of_nobody() {
    let pair = pair([]).await;
    let tools = vec![ToolSpec { parameters: "[]".into(), ..tool() }];
    let error = pair.ask(RunModelTurnRequest { tools, ..turn("hi") }).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    assert_eq!((pair.first.attempts(), pair.second.attempts()), (0, 0));
}

#[tokio::test]
async fn the_built_in_commands_may_stand_last() {
    let mut pair = pair(failures(3, 500)).await;
    pair.settings.providers[1] = ProviderSettings::default();
    let finished = pair.ask(turn("timeout <@2> for 10m")).await.unwrap();
    assert_eq!((finished.provider.as_str(), finished.cost_micros), ("builtin", Some(0)));
}

/// A caller that dies takes its connection with it, and the provider's stream goes too.
#[tokio::test]
async fn a_caller_that_dies_ends_what_it_pays_for() {
    for wants_deltas in [false, true] {
        let piece = r#"data: {"choices":[{"delta":{"content":"a"}}]}"#;
        let (fake, base_url) = fake([Answer::Stall(vec![format!("{piece}\n\n")])]).await;
        let settings = Settings { read_timeout: Duration::from_mins(1), ..settings(&base_url) };
        let service = Service::new(&settings, Ports { clock: Arc::new(SystemClock) }).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder().add_routes(service.routes());
        #[expect(clippy::disallowed_methods, reason = "it lives as long as the test's runtime")]
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let mut client = AiServiceClient::connect(address).await.unwrap();
        let request = RunModelTurnRequest { wants_deltas, ..turn("hi") };
        let asking = async {
            let mut stream = client.run_model_turn(request).await.unwrap().into_inner();
            while stream.message().await.unwrap().is_some() {}
        };
        tokio::select! {
            () = asking => panic!("the provider is stalled"),
            () = fake.arrived.notified() => {}
        }
        drop(client);
        let ended = tokio::time::timeout(Duration::from_secs(10), fake.dropped.notified()).await;
        ended.expect("the provider sees that nobody reads on");
    }
}

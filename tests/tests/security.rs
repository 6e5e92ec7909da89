//! Who gets in, and how far: between services, to NATS and to Redis.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tonic::{
    Code, Request, Status,
    codegen::http::uri::PathAndQuery,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use ery_test_servers::{NatsServer, RedisServer};
use ery_tests::{Ery, Platform, ScriptedModel, Shape, eventually};

const SHAPE: Shape = Shape { orchestrators: 1, tool_services: 1, ai_services: 1 };

const SERVICES: [&str; 6] =
    ["gateway", "orchestrator", "ai-service", "tool-service", "store", "console"];

/// Certificates for this machine, made by an authority of the test's own.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
        for (name, pem) in
            [("ca.pem", ca.pem()), ("own.pem", certificate.pem()), ("own.key", key.serialize_pem())]
        {
            fs::write(folder.path().join(name), pem).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }
}

/// Lets a member ask something, and waits for the answer.
async fn is_answered(platform: &Platform) {
    let (_, channels, members) = platform.sim.make_guild(1, 1).await.unwrap();
    let said = platform.sim.say(&channels[0], &members[0], "Ery, are you there?").await.unwrap();
    let said = said.to_string();
    let reply = eventually("a reply", Duration::from_secs(30), async || {
        let messages = platform.sim.messages(&channels[0]).await?;
        let is_reply = |it: &serde_json::Value| it["message_reference"]["message_id"] == said;
        Ok(messages.into_iter().find(is_reply))
    });
    let outputs = || {
        let all = platform.orchestrators.iter().chain(&platform.tool_services);
        all.map(Ery::output).collect::<Vec<_>>().join("\n")
    };
    reply.await.unwrap_or_else(|error| panic!("{error}\n{}", outputs()));
}

/// Returns where a process serves calls, as it says itself.
async fn address(process: &mut Ery) -> String {
    let line = process.line(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = line["message"] == "serving calls";
        is_it.then(|| line["advertised"].as_str().map(str::to_owned))?
    });
    line.await.unwrap()
}

/// Sends these bytes as the body of a call.
async fn send(channel: &Channel, path: &str, body: Vec<u8>, credential: &str) -> Status {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(body);
    request.set_timeout(Duration::from_secs(5));
    if !credential.is_empty() {
        let value = format!("Bearer {credential}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let path = PathAndQuery::try_from(path.to_owned()).unwrap();
    match client.unary(request, path, Raw).await {
        Ok(_) => Status::ok(""),
        Err(status) => status,
    }
}

/// Bytes as they are, which need be no message.
#[derive(Clone, Default)]
struct Raw;

impl tonic::codec::Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl tonic::codec::Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(
        &mut self,
        item: Vec<u8>,
        buffer: &mut tonic::codec::EncodeBuf<'_>,
    ) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl tonic::codec::Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(
        &mut self,
        buffer: &mut tonic::codec::DecodeBuf<'_>,
    ) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(bytes::Buf::copy_to_bytes(buffer, length).to_vec()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_speak_by_tls_and_whoever_is_none_gets_nothing() {
    let certificates = Certificates::make();
    let (ca, own, key) =
        (certificates.path("ca.pem"), certificates.path("own.pem"), certificates.path("own.key"));
    let tls = [
        ("ERY_RPC__TLS__CA_FILE", ca.as_str()),
        ("ERY_RPC__TLS__CERTIFICATE_FILE", own.as_str()),
        ("ERY_RPC__TLS__PRIVATE_KEY_FILE", key.as_str()),
    ];
    let mut platform = Platform::start(SHAPE, &tls).await.unwrap();
    is_answered(&platform).await;
    let threads = platform.ctl(&["threads", "list"]).await.unwrap();
    assert_eq!(threads.as_array().unwrap().len(), 1);

    let store = address(&mut platform.store).await;
    let path = "/ery.store.v1.StoreService/ListThreads";
    // In the clear, or without a certificate, it does not come to a call.
    let plain = Endpoint::from_shared(format!("http://{store}")).unwrap();
    if let Ok(channel) = plain.connect().await {
        let refused = send(&channel, path, Vec::new(), "between-services").await;
        assert_ne!(refused.code(), Code::Ok);
    }
    let ca = Certificate::from_pem(certificates.read("ca.pem"));
    let config = ClientTlsConfig::new().ca_certificate(ca).domain_name("127.0.0.1");
    let endpoint = Endpoint::from_shared(format!("https://{store}")).unwrap();
    let nobody = endpoint.clone().tls_config(config.clone()).unwrap();
    if let Ok(channel) = nobody.connect().await {
        let refused = send(&channel, path, Vec::new(), "between-services").await;
        assert_ne!(refused.code(), Code::Ok);
    }
    // With one, the credential of the cluster is wanted all the same.
    let identity = Identity::from_pem(certificates.read("own.pem"), certificates.read("own.key"));
    let channel = endpoint.tls_config(config.identity(identity)).unwrap().connect().await.unwrap();
    for credential in ["", "another"] {
        let refused = send(&channel, path, Vec::new(), credential).await;
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    }
    let served = send(&channel, path, Vec::new(), "between-services").await;
    assert_ne!(served.code(), Code::Unauthenticated, "{served}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_no_messages_do_no_harm() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut platform = Platform::start(SHAPE, &[]).await.unwrap();
    let targets = [
        (address(&mut platform.store).await, "ery.store.v1.StoreService/", &STORE[..]),
        (address(&mut platform.tool_services[0]).await, "ery.tool.v1.ToolService/", &TOOLS[..]),
        (address(&mut platform.ai_services[0]).await, "ery.ai.v1.AiService/", &AI[..]),
    ];
    for (address, service, calls) in targets {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        for call in calls {
            for length in [1, 7, 64, 1_000] {
                let body = (0..length).map(|_| random.random()).collect();
                let path = format!("/{service}{call}");
                let answer = send(&channel, &path, body, "between-services").await;
                let is_harmless = matches!(
                    answer.code(),
                    // A few bytes may happen to be a message of unknown fields.
                    Code::Ok
                        | Code::Internal
                        | Code::InvalidArgument
                        | Code::NotFound
                        | Code::FailedPrecondition
                        | Code::PermissionDenied
                );
                assert!(is_harmless, "{path}: {answer}");
            }
        }
    }
    is_answered(&platform).await;
    let all = [&platform.store, &platform.tool_services[0], &platform.ai_services[0]];
    for process in all {
        assert!(!process.output().contains("panicked"), "{}", process.output());
    }
}

const STORE: [&str; 10] = [
    "OpenChannel",
    "BeginThread",
    "AppendSteps",
    "FinishThread",
    "BeginExecution",
    "EndExecution",
    "IngestMessages",
    "DecideApproval",
    "ReopenThread",
    "ListThreads",
];
const TOOLS: [&str; 5] =
    ["CallTool", "ResolveCall", "DescribePeople", "ClickApproval", "AnswerInteraction"];
const AI: [&str; 2] = ["RunModelTurn", "ReadOrders"];

/// Returns a shipped file with a password for each service.
fn shipped(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut text = fs::read_to_string(root.join("deploy/kubernetes/base").join(file)).unwrap();
    for service in SERVICES {
        let name = service.to_uppercase().replace('-', "_");
        text = text
            .replace(&format!("NATS_PASSWORD_{name}\""), &format!("{}\"", password(service)))
            .replace(&format!("REDIS_PASSWORD_{name} "), &format!("{} ", password(service)));
    }
    assert!(!text.contains("PASSWORD_"), "{text}");
    text.replace("JETSTREAM_KEY_VALUE", "of-the-test")
}

fn password(service: &str) -> String {
    format!("of-{service}")
}

/// Starts NATS and Redis as they are shipped, but for their ports and folders.
async fn guarded_servers() -> (NatsServer, RedisServer) {
    let (password, users) = (password("gateway"), shipped("users.acl"));
    let configure = |folder: &Path, port: u16| {
        fs::create_dir_all(folder.join("auth"))?;
        fs::write(folder.join("auth/auth.conf"), shipped("nats-auth.conf"))?;
        let data = folder.join("data");
        Ok(shipped("nats.conf")
            .replace("listen: 0.0.0.0:4222", &format!("listen: \"127.0.0.1:{port}\""))
            .replace("http: 0.0.0.0:8222", "")
            .replace("store_dir: /data", &format!("store_dir: \"{}\"", data.display())))
    };
    tokio::try_join!(
        NatsServer::start_with("gateway", &password, configure),
        RedisServer::start_with_users(&users, "gateway", &password),
    )
    .unwrap()
}

#[tokio::test]
async fn redis_as_it_is_shipped_knows_after_a_restart_what_was_written_at_once() {
    let users = shipped("users.acl");
    let mut redis =
        RedisServer::start_with_users(&users, "store", &password("store")).await.unwrap();
    let script = "redis.call('SET', KEYS[1], '1') redis.call('SET', KEYS[2], '2')";
    let mut written = redis::cmd("EVAL");
    written.arg(script).arg(2).arg("ery:members:{one}").arg("ery:members:{two}");
    redis.command(written).await.unwrap();
    redis.restart().await.unwrap();
    let mut asked = redis::cmd("MGET");
    asked.arg("ery:members:{one}").arg("ery:members:{two}");
    let known: Vec<Option<String>> =
        redis::from_redis_value(redis.command(asked.clone()).await.unwrap()).unwrap();
    assert_eq!(known, [Some("1".to_owned()), Some("2".to_owned())]);

    // As the user that reads the file nobody gets in.
    let stranger = redis::Client::open(format!("redis://{}", redis.address())).unwrap();
    let mut connection = stranger.get_multiplexed_async_connection().await.unwrap();
    let refused = asked.query_async::<redis::Value>(&mut connection).await.unwrap_err();
    assert_eq!(refused.code(), Some("NOAUTH"), "{refused}");
    for password in ["", "default"] {
        let mut login = redis::cmd("AUTH");
        login.arg("default").arg(password);
        assert!(login.query_async::<redis::Value>(&mut connection).await.is_err(), "`{password}`");
    }
}

fn as_itself(nats: &NatsServer, redis: &RedisServer, service: &str) -> Vec<(&'static str, String)> {
    vec![
        ("ERY_NATS__URL", format!("nats://{}", nats.address())),
        ("ERY_NATS__USER", service.to_owned()),
        ("ERY_NATS__PASSWORD", password(service)),
        ("ERY_REDIS__URL", redis.url_of(service, &password(service))),
    ]
}

/// Returns what the server refuses of what `service` tries.
async fn refused(nats: &NatsServer, service: &str, what: &str, subject: &str) -> bool {
    let refusals = Arc::<Mutex<Vec<String>>>::default();
    let told = Arc::clone(&refusals);
    let options =
        async_nats::ConnectOptions::with_user_and_password(service.to_owned(), password(service))
            .custom_inbox_prefix(format!("_INBOX.{service}"))
            .event_callback(move |event| {
                told.lock().unwrap().push(event.to_string());
                async {}
            });
    let client = options.connect(nats.address()).await.unwrap();
    match what {
        "publish" => client.publish(subject.to_owned(), "x".into()).await.unwrap(),
        _ => drop(client.subscribe(subject.to_owned()).await.unwrap()),
    }
    // Its own inbox it may use: what comes back there came behind the refusal.
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "echo".into()).await.unwrap();
    client.flush().await.unwrap();
    let echoed = futures::StreamExt::next(&mut echo);
    tokio::time::timeout(Duration::from_secs(10), echoed).await.unwrap().unwrap();
    let is_refused = eventually("the refusal", Duration::from_secs(2), async || {
        let is_it = |told: &String| told.to_lowercase().contains("permissions violation");
        Ok(refusals.lock().unwrap().iter().any(is_it).then_some(()))
    });
    is_refused.await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_does_its_work_as_its_own_user_and_is_refused_what_is_not_its_own() {
    let plan = json!({
        "tool": "send_message", "arguments": { "content": "water the plants" }, "in_seconds": 1,
    });
    let model = ScriptedModel::start("schedule_action", plan).await.unwrap();
    let variables = [
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", model.base_url()),
        ("ERY_AI__MODEL", "m"),
    ];
    let servers = guarded_servers().await;
    let platform = Platform::start_on(servers, as_itself, SHAPE, &variables).await.unwrap();
    // A thread, its calls, a planned act that the store publishes, `ery ctl`, changed config.
    let (guild, channels, members) = platform.sim.make_guild(1, 1).await.unwrap();
    platform.sim.say(&channels[0], &members[0], "Ery, remind us").await.unwrap();
    let done = eventually("the planned act", Duration::from_secs(30), async || {
        let messages = platform.sim.messages(&channels[0]).await?;
        Ok(messages.into_iter().find(|it| it["content"] == "water the plants"))
    });
    done.await.unwrap_or_else(|error| panic!("{error}\n{}", platform.orchestrators[0].output()));
    platform.ctl(&["config", "set", "gate.engage", "addressed", "--guild", &guild]).await.unwrap();
    let all = platform
        .orchestrators
        .iter()
        .chain(&platform.tool_services)
        .chain(&platform.ai_services)
        .chain([&platform.gateway, &platform.store]);
    for process in all {
        let output = process.output().to_lowercase();
        let is_refused = output.contains("permissions violation") || output.contains("noperm");
        assert!(!is_refused, "{output}");
    }

    let nats = &platform.nats;
    for (service, what, subject) in [
        ("ai-service", "publish", "ery.task.1.2.3"),
        ("ai-service", "publish", "ery.event.1.message_create.2.3"),
        ("ai-service", "publish", "$JS.API.STREAM.DELETE.ERY_TASKS"),
        ("ai-service", "subscribe", "ery.broadcast.thread_progress"),
        ("ai-service", "subscribe", "ery.>"),
        ("ai-service", "subscribe", "_INBOX.gateway.>"),
        ("tool-service", "publish", "ery.task.1.2.3"),
        ("tool-service", "publish", "$JS.API.STREAM.MSG.DELETE.ERY_TASKS"),
        ("tool-service", "publish", "$JS.ACK.ERY_TASKS.orchestrator.1.1.1.1.1"),
        ("store", "publish", "ery.event.1.message_create.2.3"),
        ("store", "publish", "$JS.API.CONSUMER.MSG.NEXT.ERY_TASKS.orchestrator"),
        ("gateway", "publish", "$JS.API.CONSUMER.MSG.NEXT.ERY_TASKS.orchestrator"),
        ("gateway", "publish", "ery.broadcast.config_changed"),
        ("gateway", "subscribe", "_INBOX.store.>"),
        ("orchestrator", "publish", "$JS.API.STREAM.DELETE.ERY_EVENTS"),
        ("orchestrator", "publish", "$JS.API.STREAM.PURGE.ERY_TASKS"),
        ("orchestrator", "publish", "$KV.ery_resume.1.0"),
        ("console", "publish", "ery.task.1.2.3"),
        ("console", "publish", "ery.broadcast.config_changed"),
    ] {
        assert!(refused(nats, service, what, subject).await, "{service} may {what} {subject}");
    }
    assert!(!refused(nats, "gateway", "publish", "ery.members.gateway").await);

    for (service, command) in [
        ("ai-service", vec!["SET", "ery:claim:{shard-0-1}", "x"]),
        ("ai-service", vec!["HSET", "ery:lease:{1.2}", "owner", "x"]),
        ("console", vec!["HSET", "ery:lease:{1.2}", "owner", "x"]),
        ("tool-service", vec!["SET", "ery:epoch:{1.2}", "9"]),
        ("store", vec!["DEL", "ery:lease:{1.2}"]),
        ("gateway", vec!["HGETALL", "ery:lease:{1.2}"]),
        ("orchestrator", vec!["SET", "ery:claim:{shard-0-1}", "x"]),
        // Names of keys tell which channels there are, and who is at work there.
        ("ai-service", vec!["SCAN", "0"]),
        ("ai-service", vec!["RANDOMKEY"]),
        // What others run.
        ("ai-service", vec!["SCRIPT", "FLUSH"]),
        ("ai-service", vec!["SCRIPT", "KILL"]),
        ("ai-service", vec!["FUNCTION", "FLUSH"]),
        ("orchestrator", vec!["FLUSHALL"]),
        ("orchestrator", vec!["CONFIG", "GET", "*"]),
        ("orchestrator", vec!["SET", "another", "x"]),
    ] {
        let client =
            redis::Client::open(platform.redis.url_of(service, &password(service))).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut asked = redis::cmd(command[0]);
        for argument in &command[1..] {
            asked.arg(argument);
        }
        let answer = asked.query_async::<redis::Value>(&mut connection).await;
        let error = answer.expect_err(&format!("{service} may {command:?}"));
        assert_eq!(error.code(), Some("NOPERM"), "{service} {command:?}: {error}");
    }
}

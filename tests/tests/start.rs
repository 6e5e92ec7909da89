//! What stops a start: each time one clear line, and the exit code that says whose fault it is.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use ery_test_servers::{NatsServer, RedisServer};
use ery_tests::{Ery, free_port, ready};

const SETTINGS: i32 = 78;
const UNAVAILABLE: i32 = 69;

/// Runs `ery` until it ends, and returns its exit code and the one line that it wrote for people.
async fn ended(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let mut variables = variables.to_vec();
    variables.push(("ERY_DATA_DIR", &data));
    let mut process = Ery::start("ery", arguments, &variables).unwrap();
    let status = process.end(Duration::from_mins(1)).await.unwrap();
    let stderr = process.stderr();
    assert!(!stderr.contains("panicked"), "{stderr}");
    let lines: Vec<&str> = stderr.lines().filter(|line| line.starts_with("ery: ")).collect();
    assert_eq!(lines.len(), 1, "one clear line: {stderr}");
    (status.code().unwrap(), lines[0].to_owned())
}

fn nowhere(scheme: &str) -> String {
    format!("{scheme}://127.0.0.1:{}", free_port().unwrap())
}

#[tokio::test]
async fn a_missing_token_says_how_to_give_it() {
    let (code, line) = ended(&["all"], &[]).await;
    assert_eq!(code, SETTINGS, "{line}");
    assert!(line.contains("ERY_DISCORD__TOKEN") && line.contains("playground"), "{line}");
}

#[tokio::test]
async fn a_machine_that_trusts_no_authority_asks_models_that_need_none() {
    let nobody = [("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")];
    let local = [
        nobody[0],
        nobody[1],
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", "http://127.0.0.1:9/v1"),
        ("ERY_AI__MODEL", "any"),
    ];
    for variables in [&nobody[..], &local[..]] {
        let mut playground = Ery::start_playground(None, variables).unwrap();
        playground.line_after("Ery's playground is at").await.unwrap();
    }
    let (_, line) = ended(
        &["playground", "--listen", "127.0.0.1:0", "--sim-listen", "127.0.0.1:0"],
        &[nobody[0], nobody[1], ("ERY_AI__PROVIDER", "openai"), ("ERY_AI__MODEL", "any")],
    )
    .await;
    assert!(line.contains("CA certificates"), "{line}");
}

#[tokio::test]
async fn an_unknown_setting_is_named() {
    let (code, line) = ended(&["all"], &[("ERY_ORCHESTRATOR__CONTXT", "5")]).await;
    assert_eq!(code, SETTINGS, "{line}");
    assert!(line.contains("orchestrator.contxt"), "{line}");
}

#[tokio::test]
async fn a_setting_out_of_bounds_names_key_value_and_bound() {
    let (code, line) = ended(&["settings", "check"], &[("ERY_PROCESS__GRACE", "0s")]).await;
    assert_eq!(code, SETTINGS, "{line}");
    assert!(
        line.contains("process.grace") && line.contains("0ns") && line.contains("at least"),
        "{line}"
    );
}

#[tokio::test]
async fn wrong_addresses_are_refused_by_name() {
    for (name, value, key) in [
        ("ERY_DISCORD__API_URL", "http://127.0.0.1:1/wrong", "discord.api_url"),
        ("ERY_DISCORD__API_URL", "nonsense", "discord.api_url"),
        ("ERY_DISCORD__GATEWAY_URL", "http://127.0.0.1:1", "discord.gateway_url"),
        ("ERY_AI__PROVIDER", "oracle", "ai.provider"),
    ] {
        let (code, line) = ended(&["settings", "check"], &[(name, value)]).await;
        assert_eq!(code, SETTINGS, "{line}");
        assert!(line.contains(key), "{line}");
    }
}

#[tokio::test]
async fn a_cluster_without_nats_or_redis_says_which_is_missing() {
    let (nats, redis) = (nowhere("nats"), nowhere("redis"));
    let variables = [
        ("ERY_DISCORD__TOKEN", "t"),
        ("ERY_CLUSTER__CREDENTIAL", "c"),
        ("ERY_NATS__URL", nats.as_str()),
        ("ERY_REDIS__URL", redis.as_str()),
    ];
    let (code, line) = ended(&["orchestrator"], &variables).await;
    assert_eq!(code, UNAVAILABLE, "{line}");
    let address = |url: &str| url.split("//").nth(1).unwrap().to_owned();
    assert!(line.contains(&address(&nats)) || line.contains(&address(&redis)), "{line}");
}

#[tokio::test]
async fn a_cluster_service_without_a_credential_says_how_to_give_it() {
    let (code, line) = ended(&["store"], &[]).await;
    assert_eq!(code, SETTINGS, "{line}");
    assert!(line.contains("ERY_CLUSTER__CREDENTIAL"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_are_stopped_while_nats_and_redis_are_away_end_well() {
    let (mut nats, mut redis) =
        (NatsServer::start().await.unwrap(), RedisServer::start().await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let (nats_url, redis_url) = (nats.url(), redis.url());
    let variables = [
        ("ERY_NATS__URL", nats_url.as_str()),
        ("ERY_REDIS__URL", &redis_url),
        ("ERY_CLUSTER__CREDENTIAL", "between-services"),
        ("ERY_DATA_DIR", &data),
    ];
    let mut services =
        ["store", "ai-service"].map(|service| Ery::start(service, &[service], &variables).unwrap());
    for service in &mut services {
        ready(service).await.unwrap();
    }
    nats.stop().await.unwrap();
    redis.stop().await.unwrap();
    for service in &mut services {
        service.stop(Duration::from_mins(1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, line) =
        ended(&["playground", "--listen", &address, "--sim-listen", "127.0.0.1:0"], &[]).await;
    assert_eq!(code, UNAVAILABLE, "{line}");
    assert!(line.contains(&address) && line.contains("--listen"), "{line}");
}

#[tokio::test]
async fn a_token_that_discord_refuses_is_a_matter_of_settings() {
    let arguments = ["sim-discord", "--listen", "127.0.0.1:0", "--token", "right"];
    let mut sim = Ery::start("sim-discord", &arguments, &[]).unwrap();
    let base = sim.line_after("The simulated Discord is at").await.unwrap();
    let api = format!("{base}/api/v10");
    let (code, line) =
        ended(&["all"], &[("ERY_DISCORD__TOKEN", "wrong-token"), ("ERY_DISCORD__API_URL", &api)])
            .await;
    assert_eq!(code, SETTINGS, "{line}");
    assert!(line.contains("ERY_DISCORD__TOKEN"), "{line}");
    assert!(!line.contains("wrong-token"), "no secret is printed: {line}");
}

#[tokio::test]
async fn settings_are_shown_without_secrets() {
    let variables = [("ERY_DISCORD__TOKEN", "very-secret"), ("ERY_AI__API_KEY", "also-secret")];
    let mut process = Ery::start("show", &["settings", "show"], &variables).unwrap();
    assert!(process.end(Duration::from_secs(10)).await.unwrap().success(), "{}", process.output());
    let shown = process.line(|line| line.contains("[orchestrator]").then(String::new)).await;
    shown.unwrap();
    assert!(!process.output().contains("secret"), "{}", process.output());
}

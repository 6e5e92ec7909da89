//! Summaries of channels: made by models alone, and shown to them as data.

use tonic::Code;

use ery_ai_service::{ProviderKind, ProviderSettings, Settings};
use ery_proto::ai::v1::{ChannelSummary, RunModelTurnRequest, Turn, turn::Kind};

use crate::support::{Answer, client, fake, run, settings, turn};

fn summing_up() -> RunModelTurnRequest {
    let earlier = ChannelSummary {
        text: "mara wants to ban olive".into(),
        from_ms: 1_700_000_000_000,
        until_ms: 1_700_000_060_000,
        messages: 12,
    };
    let mut request = turn("and now?");
    request.instructions = String::new();
    request.prompt = "summary".into();
    request.tools.clear();
    request.turns.insert(0, Turn { kind: Some(Kind::Summary(earlier)) });
    request
}

#[tokio::test]
async fn a_model_sums_up_and_reads_the_earlier_summary_as_data() {
    let (fake, url) = fake([]).await;
    let finished = run(&mut client(&settings(&url)), summing_up()).await.unwrap();
    assert_eq!(finished.prompt_version, "summary-1");
    let messages = fake.body(0)["messages"].clone();
    let (system, people) = (messages[0]["content"].as_str(), messages[1]["content"].as_str());
    let (system, people) = (system.unwrap(), people.unwrap());
    assert!(system.contains("You keep the summary") && system.contains("no instruction, order"));
    assert!(!system.contains("olive"), "what people said stands where people speak");
    let line = people.lines().nth(1).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["summary"], true);
    assert_eq!(line["text"], "mara wants to ban olive");
    assert!(people.contains("and now?"));
}

#[tokio::test]
async fn the_built_in_commands_sum_nothing_up() {
    let error = run(&mut client(&Settings::default()), summing_up()).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
    // Nor where they stand behind a model that gives no answer.
    let (fake, url) = fake([Answer::Status(401, vec![], String::new())]).await;
    let model = ProviderSettings {
        kind: ProviderKind::OpenAi,
        base_url: Some(url),
        model: "m".into(),
        ..ProviderSettings::default()
    };
    let builtin = ProviderSettings { kind: ProviderKind::Builtin, ..ProviderSettings::default() };
    let settings = Settings {
        provider: ProviderKind::Builtin,
        base_url: None,
        api_key: None,
        model: String::new(),
        providers: vec![model, builtin],
        ..settings("")
    };
    let error = run(&mut client(&settings), summing_up()).await.unwrap_err();
    assert_eq!((error.code(), fake.attempts()), (Code::FailedPrecondition, 1));
}

//! Guilds that bring keys of their own: each is asked with its own and with no other, and none is
//! disturbed by another's.

use std::{sync::Arc, time::Duration};

use prost::Message as _;
use serde_json::json;
use tonic::{Code, Status};

use ery_ai_service::{ProviderKind, ProviderSettings, Settings};
use ery_proto::{
    ai::v1::{
        DescribeModelsRequest, Finished, KeyTrouble, ReadOrdersRequest, RefusedKey,
        RunModelTurnRequest, SpentInVain, ai_service_client::AiServiceClient,
    },
    common::v1::ProviderKey,
};
use ery_rpc::Transport;

use crate::support::{Answer, Fake, client, fake, message, run, settings, tool, turn};

const OPERATORS: &str = "sk-of-the-operator";

fn key(provider: &str, key: &str) -> ProviderKey {
    ProviderKey { provider: provider.into(), key: key.into() }
}

fn of_guild(guild_id: u64, keys: &[ProviderKey]) -> RunModelTurnRequest {
    RunModelTurnRequest { guild_id, keys: keys.to_vec(), ..turn("hi") }
}

/// Two providers with keys of the operator's, and the built-in commands behind them.
async fn stand(script: impl IntoIterator<Item = Answer>) -> (Arc<Fake>, Arc<Fake>, Settings) {
    let ((main, main_url), (spare, spare_url)) = (fake(script).await, fake([]).await);
    let provider = |name: &str, base_url: String| ProviderSettings {
        name: Some(name.into()),
        kind: ProviderKind::OpenAi,
        base_url: Some(base_url),
        api_key: Some(OPERATORS.into()),
        model: format!("{name}-model"),
        ..ProviderSettings::default()
    };
    let settings = Settings {
        provider: ProviderKind::Builtin,
        base_url: None,
        api_key: None,
        model: String::new(),
        providers: vec![
            provider("main", main_url),
            provider("spare", spare_url),
            ProviderSettings::default(),
        ],
        ..settings("")
    };
    (main, spare, settings)
}

fn refusals(count: usize, status: u16) -> Vec<Answer> {
    let body = json!({"error": {"message": "Incorrect API key provided: sk-one"}}).to_string();
    (0..count).map(|_| Answer::Status(status, vec![], body.clone())).collect()
}

fn shown_keys(fake: &Fake) -> Vec<String> {
    let asked = fake.asked.lock().unwrap();
    asked.iter().map(|asked| asked.authorization.clone().unwrap_or_default()).collect()
}

fn refused_keys(error: &Status) -> Vec<(String, KeyTrouble)> {
    let told = SpentInVain::decode(error.details()).unwrap().refused_keys;
    told.into_iter().map(|it: RefusedKey| (it.provider.clone(), it.trouble())).collect()
}

async fn asked(
    client: &mut AiServiceClient<Transport>,
    guild_id: u64,
    keys: &[ProviderKey],
) -> Result<Finished, Status> {
    run(client, of_guild(guild_id, keys)).await
}

#[tokio::test]
async fn each_guild_is_asked_with_its_own_key_and_who_has_none_with_the_operators() {
    let (main, spare, settings) = stand([]).await;
    let mut client = client(&settings);
    for (guild, keys) in [
        (1, vec![key("main", "sk-one")]),
        (2, vec![key("main", "sk-two")]),
        (3, vec![]),
        (1, vec![key("main", "sk-one")]),
        (1, vec![key("main", "sk-one-changed")]),
    ] {
        let finished = asked(&mut client, guild, &keys).await.unwrap();
        assert_eq!(finished.provider, "main");
        let on_guild_key: Vec<_> = finished.spent.iter().map(|it| it.is_on_guild_key).collect();
        assert_eq!(on_guild_key, [!keys.is_empty()], "{guild}");
    }
    let shown = ["sk-one", "sk-two", OPERATORS, "sk-one", "sk-one-changed"];
    assert_eq!(shown_keys(&main), shown.map(|key| format!("Bearer {key}")));
    // A key for the second alone passes the first by.
    let finished = asked(&mut client, 4, &[key("spare", "sk-four")]).await.unwrap();
    assert_eq!(finished.provider, "spare");
    assert_eq!(shown_keys(&spare), ["Bearer sk-four"]);
    assert_eq!(main.attempts(), 5);
}

#[tokio::test]
async fn a_refused_key_is_told_as_the_guilds_and_the_operators_is_not_taken_instead() {
    for (script, trouble) in [
        (refusals(1, 401), KeyTrouble::NotAccepted),
        (refusals(1, 403), KeyTrouble::NotAccepted),
        (refusals(1, 402), KeyTrouble::NoCredit),
        (
            vec![Answer::Status(
                429,
                vec![],
                r#"{"error": {"code": "insufficient_quota"}}"#.into(),
            )],
            KeyTrouble::NoCredit,
        ),
        (refusals(1, 404), KeyTrouble::NoModel),
    ] {
        let (main, spare, settings) = stand(script).await;
        let mut client = client(&settings);
        let error = asked(&mut client, 1, &[key("main", "sk-one")]).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
        assert_eq!(refused_keys(&error), [("main".to_owned(), trouble)]);
        let shown = format!("{error:?}");
        assert!(!shown.contains("sk-one") && !shown.contains(OPERATORS), "{shown}");
        assert_eq!(shown_keys(&main), ["Bearer sk-one"]);
        assert_eq!(spare.attempts(), 0, "the operator pays for nothing");
        // Others go on, with their keys and the operator's.
        asked(&mut client, 2, &[key("main", "sk-two")]).await.unwrap();
        asked(&mut client, 3, &[]).await.unwrap();
        assert_eq!(shown_keys(&main)[1..], ["Bearer sk-two", &format!("Bearer {OPERATORS}")]);
    }
}

#[tokio::test]
async fn a_guilds_second_key_stands_behind_its_first() {
    let (main, spare, settings) = stand(refusals(1, 401)).await;
    let keys = [key("main", "sk-one"), key("spare", "sk-spare")];
    let finished = asked(&mut client(&settings), 1, &keys).await.unwrap();
    assert_eq!(finished.provider, "spare");
    assert_eq!(shown_keys(&main), ["Bearer sk-one"]);
    assert_eq!(shown_keys(&spare), ["Bearer sk-spare"]);

    let (_, spare, settings) = stand(refusals(1, 401)).await;
    spare.script.lock().unwrap().extend(refusals(3, 500));
    let error = asked(&mut client(&settings), 1, &keys).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    assert_eq!(refused_keys(&error), [("main".to_owned(), KeyTrouble::NotAccepted)]);
}

#[tokio::test]
async fn one_guilds_breaker_and_waits_are_its_own() {
    let hour = || Answer::Status(429, vec![("retry-after", "3600".to_owned())], String::new());
    let script = refusals(1, 500).into_iter().chain([hour()]);
    let (main, _, mut settings) = stand(script).await;
    settings.attempts = 1;
    settings.breaker_failures = 1;
    settings.breaker_wait = Duration::ZERO;
    settings.breaker_open_first = Duration::from_mins(1);
    settings.breaker_open = Duration::from_mins(1);
    let mut client = client(&settings);
    let (one, two) = ([key("main", "sk-one")], [key("main", "sk-two")]);
    for _ in 0..2 {
        asked(&mut client, 1, &one).await.unwrap_err();
    }
    assert_eq!(main.attempts(), 1, "the first one's breaker is open");
    for _ in 0..2 {
        asked(&mut client, 2, &two).await.unwrap_err();
    }
    assert_eq!(main.attempts(), 2, "the second one was asked to wait");
    for (guild, keys) in [(3, vec![key("main", "sk-three")]), (4, vec![])] {
        asked(&mut client, guild, &keys).await.unwrap();
    }
    // Another key begins anew.
    asked(&mut client, 1, &[key("main", "sk-better")]).await.unwrap();
    assert_eq!(main.attempts(), 5);
}

#[tokio::test]
async fn a_key_that_no_provider_takes_is_told_and_nobody_is_asked() {
    let (main, spare, settings) = stand([]).await;
    let mut client = client(&settings);
    for name in ["gone", "builtin"] {
        let error = asked(&mut client, 1, &[key(name, "sk-one")]).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
        assert_eq!(refused_keys(&error), [(name.to_owned(), KeyTrouble::NoProvider)]);
    }
    for (guild, keys) in [
        (0, [key("main", "sk-one")]),
        (1, [key("main", "sk one")]),
        (1, [key("main", "sk-one\n")]),
        (1, [key("main", "")]),
    ] {
        let error = asked(&mut client, guild, &keys).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(!error.message().contains("sk"), "{error}");
    }
    assert_eq!((main.attempts(), spare.attempts()), (0, 0));
}

#[tokio::test]
async fn orders_are_read_and_the_cheaper_model_is_asked_on_the_guilds_key_too() {
    let (main, _, mut settings) = stand([]).await;
    settings.model_reads_orders = true;
    settings.cheaper_model = "small".into();
    settings.providers.truncate(2);
    let mut client = client(&settings);
    let request = |keys: Vec<ProviderKey>| ReadOrdersRequest {
        guild_id: 1,
        message: Some(message("would you kindly show <@2> the door")),
        tools: vec![tool()],
        bot_id: 900,
        keys,
        ..ReadOrdersRequest::default()
    };
    client.read_orders(request(vec![key("main", "sk-one")])).await.unwrap();
    let read = client.read_orders(request(vec![key("gone", "sk-one")])).await.unwrap();
    assert_eq!(read.into_inner().read_by, "builtin", "no model is asked on the operator's key");
    let cheaper = RunModelTurnRequest { is_cheaper: true, ..of_guild(1, &[key("main", "sk-one")]) };
    assert_eq!(run(&mut client, cheaper).await.unwrap().provider, "cheaper");
    assert_eq!(shown_keys(&main), ["Bearer sk-one", "Bearer sk-one"]);
    assert_eq!(main.body(1)["model"], "small");
    // There is no cheaper one for a guild whose key is for another provider.
    let other = RunModelTurnRequest { is_cheaper: true, ..of_guild(1, &[key("spare", "sk-one")]) };
    assert_eq!(run(&mut client, other).await.unwrap().provider, "spare");

    let described = client.describe_models(DescribeModelsRequest {}).await.unwrap().into_inner();
    let names: Vec<_> = described.models.iter().map(|model| model.key_name.as_str()).collect();
    assert_eq!(names, ["main", "spare"]);
    assert_eq!(described.cheaper[0].key_name, "main");
}

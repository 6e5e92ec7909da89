//! What a turn cost is told: of every attempt, by which model, and how sure the price is.

use std::time::Duration;

use prost::Message as _;
use serde_json::{Value, json};

use ery_ai_service::{PriceSettings, ProviderKind, ProviderSettings, Settings};
use ery_proto::{
    ai::v1::{DescribeModelsRequest, RunModelTurnRequest, SpentInVain},
    common::v1::{Spent, Usage},
};

use crate::support::{Answer, client, data, fake, run, settings, turn};

/// A price of 1 read and 10 written.
fn priced(base_url: &str) -> Settings {
    let price = PriceSettings { input: 1.0, output: 10.0, cached_input: None, cache_write: None };
    let prices = [("some::model-high".to_owned(), price)].into();
    Settings { prices, attempts: 2, ..settings(base_url) }
}

fn words() -> Value {
    json!({ "choices": [{ "index": 0, "delta": { "content": "half" }, "finish_reason": null }] })
}

fn usage(prompt: u64, completion: u64) -> Value {
    json!({ "choices": [], "usage": { "prompt_tokens": prompt, "completion_tokens": completion } })
}

/// Breaks off behind the words, and behind its own counts.
fn broken() -> Answer {
    Answer::Abort(vec![data(&words()), data(&usage(100, 20))])
}

fn whole() -> Answer {
    let end = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] });
    Answer::Stream(vec![words(), end, usage(7, 3)])
}

fn spent(prompt_tokens: u64, completion_tokens: u64, cost_micros: u64) -> Spent {
    Spent {
        provider: "openai".into(),
        model: "some::model-high".into(),
        usage: Some(Usage { prompt_tokens, completion_tokens, cached_tokens: 0 }),
        cost_micros,
        ..Spent::default()
    }
}

#[tokio::test]
async fn an_attempt_that_broke_off_is_told_beside_the_one_that_answered() {
    let (_, base_url) = fake([broken(), whole()]).await;
    let finished = run(&mut client(&priced(&base_url)), turn("hi")).await.unwrap();
    let in_vain = Spent { is_in_vain: true, ..spent(100, 20, 300) };
    assert_eq!(finished.spent, [in_vain, spent(7, 3, 37)]);
    assert_eq!(finished.cost_micros, Some(37), "of the answer alone");
}

#[tokio::test]
async fn where_no_provider_answers_the_refusal_tells_what_it_cost() {
    let (_, base_url) = fake([broken(), broken()]).await;
    let error = run(&mut client(&priced(&base_url)), turn("hi")).await.unwrap_err();
    let told = SpentInVain::decode(error.details()).unwrap();
    let in_vain = Spent { is_in_vain: true, ..spent(100, 20, 300) };
    assert_eq!(told.spent, [in_vain.clone(), in_vain]);
}

/// What the request of `turn("hi")` can cost at the most.
fn bound(spent: &Spent) -> bool {
    let usage = spent.usage.unwrap();
    spent.is_estimate
        && spent.is_in_vain
        && usage.prompt_tokens > 50
        && usage.completion_tokens == 500
}

#[tokio::test]
async fn an_attempt_of_which_nobody_tells_what_it_cost_counts_by_its_bound() {
    for nothing in [
        Answer::Silence,
        Answer::Stall(vec![]),
        Answer::Abort(vec![data(&words())]),
        Answer::Raw(vec!["data: oops\n\n".to_owned()]),
    ] {
        let (_, base_url) = fake([nothing, whole()]).await;
        let finished = run(&mut client(&priced(&base_url)), turn("hi")).await.unwrap();
        let [in_vain, answered] = &finished.spent[..] else { panic!("{:?}", finished.spent) };
        assert!(bound(in_vain), "{in_vain:?}");
        assert_eq!(*answered, spent(7, 3, 37));
    }
}

#[tokio::test]
async fn a_turn_whose_time_is_over_counts_the_attempt_in_whose_midst_it_was() {
    for (sent, is_told) in [(vec![], false), (vec![data(&words()), data(&usage(100, 20))], true)] {
        let (_, base_url) = fake([Answer::Stall(sent)]).await;
        let settings = Settings {
            read_timeout: Duration::from_mins(1),
            turn_timeout: Duration::from_secs(1),
            ..priced(&base_url)
        };
        let error = run(&mut client(&settings), turn("hi")).await.unwrap_err();
        let told = SpentInVain::decode(error.details()).unwrap().spent;
        if is_told {
            assert_eq!(told, [Spent { is_in_vain: true, ..spent(100, 20, 300) }]);
        } else {
            assert!(told.len() == 1 && bound(&told[0]), "{told:?}");
        }
    }
}

#[tokio::test]
async fn a_request_that_was_refused_or_never_sent_costs_nothing() {
    let refused = || Answer::Status(500, vec![], String::new());
    let (_, base_url) = fake([refused(), refused()]).await;
    for base_url in [base_url, "http://127.0.0.1:1".to_owned()] {
        let error = run(&mut client(&priced(&base_url)), turn("hi")).await.unwrap_err();
        assert!(error.details().is_empty(), "{error:?}");
    }
}

#[tokio::test]
async fn a_model_of_unknown_price_has_an_assumed_one_and_that_is_told() {
    let (_, base_url) = fake([whole()]).await;
    let assumed = PriceSettings { input: 2.0, output: 4.0, cached_input: None, cache_write: None };
    let settings = Settings { assumed_price: assumed, ..settings(&base_url) };
    let mut client = client(&settings);
    let finished = run(&mut client, turn("hi")).await.unwrap();
    assert_eq!(finished.cost_micros, None);
    let is_assumed = true;
    assert_eq!(finished.spent, [Spent { is_assumed, ..spent(7, 3, 26) }]);
    let described = client.describe_models(DescribeModelsRequest {}).await.unwrap().into_inner();
    let model = &described.models[0];
    assert_eq!((model.prompt_micros, model.completion_micros), (2_000_000, 4_000_000));
    assert!(model.is_assumed && model.is_own && described.cheaper.is_empty());
}

#[tokio::test]
async fn the_cheaper_model_is_asked_where_the_turn_says_so() {
    let (fake, base_url) = fake([]).await;
    let provider = ProviderSettings {
        name: Some("main".into()),
        kind: ProviderKind::OpenAi,
        base_url: Some(base_url),
        model: "big".into(),
        read_timeout: Some(Duration::from_secs(5)),
        ..ProviderSettings::default()
    };
    let settings = Settings {
        provider: ProviderKind::Builtin,
        base_url: None,
        api_key: None,
        model: String::new(),
        providers: vec![provider],
        cheaper_model: "small".into(),
        ..settings("")
    };
    let mut client = client(&settings);
    for (is_cheaper, provider, model) in [(false, "main", "big"), (true, "cheaper", "small")] {
        let request = RunModelTurnRequest { is_cheaper, ..turn("hi") };
        let finished = run(&mut client, request).await.unwrap();
        assert_eq!(finished.provider, provider);
        assert_eq!(finished.spent[0].model, model);
        assert_eq!(fake.body(fake.attempts() - 1)["model"], model);
    }
    let described = client.describe_models(DescribeModelsRequest {}).await.unwrap().into_inner();
    assert_eq!(described.cheaper[0].name, "small");
}

//! Guilds' own keys go with what is asked for them, and with nothing else.

use std::time::Duration;

use ery_event_bus::{EventBus as _, Topic};
use ery_proto::{
    ai::v1::{KeyTrouble, RefusedKey, RunModelTurnRequest, SpentInVain},
    common::v1::ProviderKey,
    store::v1::ThreadOutcome,
};
use prost::Message as _;
use tonic::{Code, Status};

use crate::support::{
    ANN, GUILD, MODERATORS,
    ai::Reply,
    stand::{Stand, Written},
    until,
};

const OTHER_GUILD: u64 = GUILD + 1;

impl Stand {
    /// Tells everybody that a guild's keys were changed.
    async fn tell_of_keys(&self, guild: u64) {
        let payload = serde_json::to_vec(&guild.to_string()).unwrap();
        self.bus.broadcast(Topic::ProviderKeysChanged, payload.into()).await.unwrap();
    }
}

fn keys(keys: &[ProviderKey]) -> Vec<(&str, &str)> {
    keys.iter().map(|key| (key.provider.as_str(), key.key.as_str())).collect()
}

fn of_guild(requests: &[RunModelTurnRequest], guild: u64) -> Vec<Vec<(&str, &str)>> {
    let of = requests.iter().filter(|request| request.guild_id == guild);
    of.map(|request| keys(&request.keys)).collect()
}

#[tokio::test]
async fn a_guilds_key_goes_with_its_turns_and_orders_and_into_no_record() {
    let stand = Stand::new().await;
    stand.keys.set(GUILD, "main", "sk-one");
    let _process = stand.start();
    stand.write(Written::by(MODERATORS, "ery, hello")).await;
    stand.write(Written::by(ANN, "ery, hello").in_guild(OTHER_GUILD).in_channel(71)).await;
    stand.write(Written::by(ANN, "hello").in_guild(0).in_channel(72)).await;
    until("all are answered", || stand.store.finished() == 3).await;
    let requests = stand.ai.requests();
    assert_eq!(of_guild(&requests, GUILD), [[("main", "sk-one")]]);
    for guild in [OTHER_GUILD, 0] {
        assert_eq!(of_guild(&requests, guild), [[]], "{guild}");
    }
    let orders = stand.ai.order_requests();
    assert!(!orders.is_empty());
    assert!(orders.iter().all(|it| keys(&it.keys) == [("main", "sk-one")]), "{orders:?}");
    let kept = format!("{:?} {:?}", stand.store.threads(), stand.tools.said());
    assert!(!kept.contains("sk-one"), "{kept}");
}

#[tokio::test]
async fn a_changed_key_holds_for_what_is_asked_next() {
    let stand = Stand::new().await;
    stand.keys.set(GUILD, "main", "sk-one");
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is answered", || stand.store.finished() == 1).await;
    for (next, shown) in [(Some("sk-two"), vec![("main", "sk-two")]), (None, vec![])] {
        match next {
            Some(key) => stand.keys.set(GUILD, "main", key),
            None => stand.keys.remove(GUILD),
        }
        stand.tell_of_keys(GUILD).await;
        // It takes a moment until that is heard; until then the former one is asked with.
        let is_heard = || of_guild(&stand.ai.requests(), GUILD).last() == Some(&shown);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !is_heard() {
            assert!(tokio::time::Instant::now() < deadline, "the broadcast is not heard");
            let before = stand.store.finished();
            stand.write(Written::by(ANN, "ery, hello")).await;
            until("it is answered", || stand.store.finished() > before).await;
        }
    }
}

#[tokio::test]
async fn while_nobody_can_tell_whose_key_is_to_be_taken_no_model_is_asked() {
    let stand = Stand::with(|settings| settings.patience = Duration::from_millis(50)).await;
    stand.keys.set(GUILD, "main", "sk-one");
    stand.keys.set_away(true);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is tried", || stand.store.calls("OpenChannel") >= 2).await;
    assert!(stand.ai.requests().is_empty());
    stand.keys.set_away(false);
    until("it is answered", || stand.store.finished() == 1).await;
    assert_eq!(of_guild(&stand.ai.requests(), GUILD), [[("main", "sk-one")]]);
}

#[tokio::test]
async fn a_refused_key_is_told_in_plain_words_where_it_was_asked() {
    let stand = Stand::new().await;
    stand.keys.set(GUILD, "main", "sk-one");
    let refused = RefusedKey { provider: "main".into(), trouble: KeyTrouble::NotAccepted.into() };
    let details = SpentInVain { refused_keys: vec![refused], ..SpentInVain::default() };
    let details = details.encode_to_vec();
    let status = Status::with_details(Code::FailedPrecondition, "status 401", details.into());
    stand.ai.replies([Reply::Fail(status)]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Failed]);
    let said = stand.tools.said();
    assert!(said[0].contains("the server's own key for `main` is not accepted"), "{said:?}");
    let detail = stand.store.threads()[0].detail.clone();
    assert!(detail.starts_with("the server's own key for `main`"), "{detail}");
    assert_eq!(stand.ai.requests().len(), 1, "it is asked once");
}

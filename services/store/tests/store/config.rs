//! What communities set: checked, kept with its history, told to everybody, and brought back.

use ery_community_config::Changed;
use ery_proto::store::v1::{
    ChangeConfigRequest, ChangeConfigResponse, ConfigAuthor, ConfigLayer, ConfigSetting,
    DeletionState, GetConfigRequest, GetConfigResponse, ListConfigChangesRequest,
    RollBackConfigRequest, config_service_client::ConfigServiceClient,
};
use ery_rpc::Transport;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::{
    privacy::{Running, holding, request, until},
    support::{AUTHOR, CHANNEL, GUILD, Store},
};

struct Config {
    store: Store,
    client: ConfigServiceClient<Transport>,
}

impl Config {
    async fn new() -> Self {
        Self::of(Store::new().await)
    }

    fn of(store: Store) -> Self {
        let client = ConfigServiceClient::new(ery_rpc::local(store.service.routes()));
        Self { store, client }
    }

    async fn change(
        &mut self,
        id: &str,
        settings: &[ConfigSetting],
    ) -> Result<ChangeConfigResponse, Status> {
        self.change_at(id, settings, None).await
    }

    async fn change_at(
        &mut self,
        id: &str,
        settings: &[ConfigSetting],
        expected_version: Option<u64>,
    ) -> Result<ChangeConfigResponse, Status> {
        let is_global = settings.iter().any(|it| it.layer() == ConfigLayer::Global);
        let request = ChangeConfigRequest {
            home_id: if is_global { 0 } else { GUILD },
            change_id: id.to_owned(),
            author: Some(ConfigAuthor { user_id: AUTHOR }),
            note: String::new(),
            settings: settings.to_vec(),
            expected_version,
        };
        Ok(self.client.change_config(request).await?.into_inner())
    }

    async fn roll_back(&mut self, id: &str, to: u64) -> Result<ChangeConfigResponse, Status> {
        let request = RollBackConfigRequest {
            home_id: GUILD,
            change_id: id.to_owned(),
            author: None,
            to_version: to,
        };
        Ok(self.client.roll_back_config(request).await?.into_inner())
    }

    async fn get(&mut self, known_version: Option<u64>) -> GetConfigResponse {
        let request = GetConfigRequest { home_id: GUILD, known_version };
        self.client.get_config(request).await.unwrap().into_inner()
    }

    /// Returns what is set for the server.
    async fn server(&mut self) -> Value {
        let documents = self.get(None).await.documents;
        let server = documents.iter().find(|it| it.layer() == ConfigLayer::Server);
        server.map_or(Value::Null, |it| serde_json::from_str(&it.values).unwrap())
    }
}

fn server(path: &str, value: &Value) -> ConfigSetting {
    setting(ConfigLayer::Server, 0, path, &value.to_string())
}

fn setting(layer: ConfigLayer, subject_id: u64, path: &str, value: &str) -> ConfigSetting {
    let (path, value) = (path.to_owned(), value.to_owned());
    ConfigSetting { layer: layer.into(), subject_id, path, value }
}

#[tokio::test]
async fn what_is_set_is_kept_told_and_survives_a_restart() {
    let mut config = Config::new().await;
    assert_eq!(config.get(None).await.version, 0);
    let settings = [
        server("gate.engage", &json!("listen")),
        setting(ConfigLayer::Channel, CHANNEL, "context.messages", "5"),
        setting(ConfigLayer::User, AUTHOR, "answers.language", "\"de\""),
    ];
    let made = config.change("a", &settings).await.unwrap();
    assert_eq!((made.version, made.changes.len()), (1, 3));
    assert_eq!(made.changes[0].before, "");
    assert_eq!(made.changes[0].after, "\"listen\"");
    let told = [Changed { home: GUILD, version: 1 }];
    assert_eq!(*config.store.bus.config.lock().unwrap(), told);

    // Once more: nothing is changed, and nothing told.
    let again = config.change("a", &settings).await.unwrap();
    assert_eq!(again.version, made.version);
    let same = config.change("b", &settings).await.unwrap();
    assert_eq!((same.version, same.changes.len()), (1, 0));

    assert!(config.get(Some(1)).await.is_unchanged);
    let Config { store, client } = config;
    drop(client);
    let mut config = Config::of(store.reopen().await);
    let kept = config.get(Some(0)).await;
    assert_eq!((kept.version, kept.documents.len()), (1, 3));
}

#[tokio::test]
async fn what_is_no_config_is_refused_whole() {
    let mut config = Config::new().await;
    let sound = server("gate.engage", &json!("listen"));
    for (wrong, said) in [
        (server("gate.engage", &json!("loud")), "must be one of off, listen"),
        (server("gate.engag", &json!("off")), "did you mean `gate.engage`?"),
        (server("context.messages", &json!(1_000)), "from 0 to 200"),
        (
            setting(ConfigLayer::User, AUTHOR, "gate.engage", "\"off\""),
            "cannot be set for user, only for global, server, channel",
        ),
        (setting(ConfigLayer::Channel, 0, "paused", "true"), "does not belong to this layer"),
        (setting(ConfigLayer::Server, 5, "paused", "true"), "does not belong to this layer"),
        (setting(ConfigLayer::Server, 0, "paused", "yes"), "is no JSON"),
        (setting(ConfigLayer::Unspecified, 0, "paused", "true"), "is unknown"),
    ] {
        let refused = config.change("x", &[sound.clone(), wrong]).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains(said), "{refused}");
    }
    assert_eq!(config.get(None).await.version, 0);
    assert!(config.store.bus.config.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_change_of_something_that_moved_on_is_refused() {
    let mut config = Config::new().await;
    config.change("a", &[server("paused", &json!(true))]).await.unwrap();
    let next = [server("paused", &json!(false))];
    let refused = config.change_at("b", &next, Some(0)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(config.change_at("c", &next, Some(1)).await.unwrap().version, 2);
}

#[tokio::test]
async fn a_rollback_is_one_more_change_and_leaves_what_members_set() {
    let mut config = Config::new().await;
    config.change("a", &[server("gate.engage", &json!("listen"))]).await.unwrap();
    config
        .change("b", &[server("gate.engage", &json!("off")), server("paused", &json!(true))])
        .await
        .unwrap();
    let own = setting(ConfigLayer::User, AUTHOR, "answers.language", "\"de\"");
    config.change("c", &[own]).await.unwrap();
    let reset = setting(ConfigLayer::Server, 0, "gate.engage", "");
    config.change("d", &[reset]).await.unwrap();
    assert_eq!(config.server().await, json!({ "paused": true }));

    let back = config.roll_back("e", 1).await.unwrap();
    assert_eq!((back.version, back.changes.len()), (5, 2));
    assert_eq!(config.server().await, json!({ "gate.engage": "listen" }));
    assert_eq!(config.get(None).await.documents.len(), 2);
    assert_eq!(config.roll_back("e", 1).await.unwrap(), back);

    // And forward again.
    config.roll_back("f", 2).await.unwrap();
    assert_eq!(config.server().await, json!({ "gate.engage": "off", "paused": true }));
    config.roll_back("g", 0).await.unwrap();
    assert_eq!(config.server().await, Value::Null);
    assert_eq!(config.roll_back("h", 99).await.unwrap_err().code(), Code::NotFound);

    let request = ListConfigChangesRequest { home_id: GUILD, limit: 3, before_version: 0 };
    let listed = config.client.list_config_changes(request).await.unwrap().into_inner().versions;
    let earlier = ListConfigChangesRequest { before_version: 5, limit: 2, ..request };
    let earlier = config.client.list_config_changes(earlier).await.unwrap().into_inner().versions;
    // The third is a member's own, which stands in no history.
    assert_eq!(earlier.iter().map(|it| it.version).collect::<Vec<_>>(), [4, 2]);
    assert_eq!(listed.iter().map(|it| it.version).collect::<Vec<_>>(), [7, 6, 5]);
    assert_eq!(listed[2].note, "rollback to version 1");
    assert_eq!(listed[2].author, Some(ConfigAuthor { user_id: 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_forgotten_leaves_nothing_that_they_set_for_themselves() {
    let mut config = Config::new().await;
    let own = setting(ConfigLayer::User, AUTHOR, "answers.language", "\"xh\"");
    config.change("a", &[own]).await.unwrap();
    let named = json!(format!("Ask <@{AUTHOR}>."));
    let settings = [server("answers.instructions", &named), server("paused", &json!(false))];
    config.change("b", &settings).await.unwrap();
    let others = setting(ConfigLayer::User, AUTHOR + 1, "answers.language", "\"fr\"");
    config.change("c", &[others]).await.unwrap();

    let running = Running::start(&config.store);
    let deletion = request(&config.store, AUTHOR, 0).await;
    until(&config.store, &deletion.deletion_id, DeletionState::Confirmed).await;
    let left = config.get(None).await;
    assert!(left.version > 3, "whoever holds version 3 notices");
    assert_eq!(left.documents.len(), 2, "{left:?}");
    let request = ListConfigChangesRequest { home_id: GUILD, limit: 0, before_version: 0 };
    let listed = config.client.list_config_changes(request).await.unwrap().into_inner().versions;
    let [change] = &listed[..] else { panic!("what members set is no history: {listed:?}") };
    assert_eq!(change.author, Some(ConfigAuthor { user_id: 0 }));
    assert_eq!((&*change.changes[0].after, &*change.changes[1].after), ("", "false"));
    running.stop().await;
    assert_eq!(holding(config.store.folder.path(), "\"xh\""), Vec::<String>::new());
}

#[tokio::test]
async fn the_installations_own_lies_in_the_first_shard() {
    let mut config = Config::new().await;
    let global = setting(ConfigLayer::Global, 0, "paused", "true");
    config.change("a", &[global]).await.unwrap();
    let request = GetConfigRequest { home_id: 0, known_version: None };
    let found = config.client.get_config(request).await.unwrap().into_inner();
    assert_eq!((found.version, found.documents.len()), (1, 1));
    assert!(config.store.folder.path().join("store/shard-0000.db").exists());
    assert_eq!(config.get(None).await.version, 0);
}

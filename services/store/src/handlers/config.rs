//! What communities set.

use std::{fmt, sync::Arc};

use serde_json::Value;
use tonic::{Request, Response, Status};

use ery_community_config::{Changed, Layer, Layered, Subject, keys};
use ery_event_bus::{EventBus, Topic};
use ery_ids::{Home, StoreShard};
use ery_proto::store::v1::{
    ChangeConfigRequest, ChangeConfigResponse, ConfigAuthor, ConfigChange, ConfigDocument,
    ConfigLayer, ConfigSetting, ConfigVersion, GetConfigRequest, GetConfigResponse,
    ListConfigChangesRequest, ListConfigChangesResponse, RollBackConfigRequest,
    config_service_server,
};

use super::{
    parse::{self, Invalid},
    scope,
};
use crate::{
    adapters::config::{self, Change, Settings, Version},
    error::StoreError,
    service::Inner,
};

/// How long a note may be.
const MAX_NOTE_BYTES: usize = 200;

/// The RPCs about config.
#[derive(Clone)]
pub(crate) struct ConfigHandlers {
    store: Arc<Inner>,
    bus: Arc<dyn EventBus>,
}

impl fmt::Debug for ConfigHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigHandlers").finish_non_exhaustive()
    }
}

impl ConfigHandlers {
    pub(crate) fn new(store: Arc<Inner>, bus: Arc<dyn EventBus>) -> Self {
        Self { store, bus }
    }

    /// Returns the shard in which a home's config lies: the installation's in the first.
    fn shard_of(&self, home: u64) -> Result<StoreShard, Invalid> {
        let home = parse::optional_id("home_id", home)?.map(Home::Guild);
        Ok(home.map_or(StoreShard(0), |home| self.store.shards.shard_of(home)))
    }

    async fn get(&self, request: GetConfigRequest) -> Result<GetConfigResponse, StoreError> {
        let (home, known) = (request.home_id, request.known_version);
        // Whoever asks for a home that set nothing makes no file.
        let shard = self.store.shards.if_existing(self.shard_of(home)?).await?;
        let (version, layered) = match shard {
            Some(shard) => shard.read(config::load(shard.readers(), home, known)).await?,
            None => (0, (known != Some(0)).then(Layered::new)),
        };
        let is_unchanged = layered.is_none();
        let documents = layered.into_iter().flatten().map(|(subject, document)| ConfigDocument {
            layer: subject.layer.to_proto().into(),
            subject_id: subject.id,
            values: serde_json::to_string(&document).unwrap_or_default(),
        });
        Ok(GetConfigResponse { version, is_unchanged, documents: documents.collect() })
    }

    async fn change(
        &self,
        request: ChangeConfigRequest,
    ) -> Result<ChangeConfigResponse, StoreError> {
        let of = self.settings(request.home_id, request.change_id, request.author, request.note)?;
        parse::bounded("settings", &request.settings)?;
        let wanted = request
            .settings
            .into_iter()
            .map(|setting| setting_of(of.home, setting))
            .collect::<Result<Vec<_>, _>>()?;
        let (home, expected) = (of.home, request.expected_version);
        let shard = self.store.shards.open(self.shard_of(home)?).await?;
        let made = shard
            .write(move |connection| config::change(connection, &of, &wanted, expected))
            .await?;
        Ok(self.tell(home, made).await)
    }

    async fn roll_back(
        &self,
        request: RollBackConfigRequest,
    ) -> Result<ChangeConfigResponse, StoreError> {
        let to = request.to_version;
        let note = format!("rollback to version {to}");
        let of = self.settings(request.home_id, request.change_id, request.author, note)?;
        let home = of.home;
        let shard = self.store.shards.open(self.shard_of(home)?).await?;
        let made = shard.write(move |connection| config::roll_back(connection, &of, to)).await?;
        Ok(self.tell(home, made).await)
    }

    async fn list(
        &self,
        request: ListConfigChangesRequest,
    ) -> Result<ListConfigChangesResponse, StoreError> {
        let home = request.home_id;
        let limit = scope::limit(request.limit, self.store.settings.max_listed);
        let Some(shard) = self.store.shards.if_existing(self.shard_of(home)?).await? else {
            return Ok(ListConfigChangesResponse::default());
        };
        let before = (request.before_version != 0).then_some(request.before_version);
        let versions = shard.read(config::list(shard.readers(), home, before, limit)).await?;
        let versions = versions.into_iter().map(|version| ConfigVersion {
            version: version.number,
            at_ms: version.at.0,
            author: Some(ConfigAuthor { user_id: version.author.unwrap_or(0) }),
            note: version.note,
            changes: version.changes.into_iter().map(render_change).collect(),
        });
        Ok(ListConfigChangesResponse { versions: versions.collect() })
    }

    fn settings(
        &self,
        home: u64,
        id: String,
        author: Option<ConfigAuthor>,
        note: String,
    ) -> Result<Settings, Invalid> {
        let author = author.unwrap_or_default().user_id;
        Ok(Settings {
            home,
            id: parse::name("change_id", id)?,
            author: parse::optional_id::<twilight_model::id::marker::UserMarker>(
                "author.user_id",
                author,
            )?
            .map(twilight_model::id::Id::get),
            note: parse::text("note", note, MAX_NOTE_BYTES)?,
            at: self.store.clock.now(),
        })
    }

    /// Tells every process of a change: they would notice it later by themselves.
    async fn tell(&self, home: u64, made: Version) -> ChangeConfigResponse {
        let version = made.number;
        let mut is_untold = false;
        if !made.changes.is_empty() {
            let changed = Changed { home, version };
            let payload = serde_json::to_vec(&changed).expect("numbers can be written as JSON");
            if let Err(error) = self.bus.broadcast(Topic::ConfigChanged, payload.into()).await {
                tracing::warn!(%error, "that config changed is not told; it is noticed in a while");
                is_untold = true;
            }
            tracing::info!(home, version, changes = made.changes.len(), "config was changed");
        }
        let changes = made.changes.into_iter().map(render_change).collect();
        ChangeConfigResponse { version, changes, is_untold }
    }
}

#[tonic::async_trait]
impl config_service_server::ConfigService for ConfigHandlers {
    async fn get_config(
        &self,
        request: Request<GetConfigRequest>,
    ) -> Result<Response<GetConfigResponse>, Status> {
        Ok(Response::new(self.get(request.into_inner()).await?))
    }

    async fn change_config(
        &self,
        request: Request<ChangeConfigRequest>,
    ) -> Result<Response<ChangeConfigResponse>, Status> {
        Ok(Response::new(self.change(request.into_inner()).await?))
    }

    async fn list_config_changes(
        &self,
        request: Request<ListConfigChangesRequest>,
    ) -> Result<Response<ListConfigChangesResponse>, Status> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    async fn roll_back_config(
        &self,
        request: Request<RollBackConfigRequest>,
    ) -> Result<Response<ChangeConfigResponse>, Status> {
        Ok(Response::new(self.roll_back(request.into_inner()).await?))
    }
}

/// Reads one value that is to be set, and checks it against the schema.
fn setting_of(
    home: u64,
    setting: ConfigSetting,
) -> Result<(Subject, String, Option<Value>), StoreError> {
    let subject = subject(home, setting.layer(), setting.subject_id)?;
    if setting.value.is_empty() {
        // What a newer version set can be reset, too.
        return Ok((subject, parse::name("path", setting.path)?, None));
    }
    let value = serde_json::from_str(&setting.value)
        .map_err(|error| Invalid::new("value", format!("is no JSON: {error}")))?;
    let value = keys().check(subject.layer, &setting.path, &value)?;
    keys().check_roles(home, &setting.path, &value)?;
    Ok((subject, setting.path, Some(value)))
}

fn subject(home: u64, layer: ConfigLayer, id: u64) -> Result<Subject, Invalid> {
    let layer = Layer::from_proto(layer).ok_or_else(|| Invalid::new("layer", "is unknown"))?;
    if (layer == Layer::Global) != (home == 0) {
        return Err(Invalid::new("layer", "does not belong to this home"));
    }
    let has_subject = matches!(layer, Layer::Channel | Layer::User);
    parse::optional_id::<twilight_model::id::marker::GenericMarker>("subject_id", id)?;
    if has_subject != (id != 0) {
        return Err(Invalid::new("subject_id", "does not belong to this layer"));
    }
    Ok(Subject { layer, id })
}

fn render_change(change: Change) -> ConfigChange {
    let json = |value: Option<Value>| value.map_or_else(String::new, |value| value.to_string());
    ConfigChange {
        layer: change.layer.to_proto().into(),
        subject_id: change.subject,
        path: change.path,
        before: json(change.before),
        after: json(change.after),
    }
}

//! The store's config, over its calls.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use tonic::Status;
use twilight_model::id::Id;

use ery_ids::Home;
use ery_proto::store::v1::{self as proto, config_service_client::ConfigServiceClient as Client};
use ery_rpc::{Peers, Transport, within};

use crate::{
    cache::{ConfigSource, INSTALLATION, Loaded, SourceError},
    document::{Layered, Subject},
    layer::Layer,
};

/// A home may have something set in many places.
const LARGEST_ANSWER: usize = 32 << 20;

/// Returns where the config of a home is kept: the installation's, whose id is 0, in the first shard,
/// as that of the lowest ids.
pub fn kept_at(home: u64) -> Home {
    Home::Guild(Id::new_checked(home).unwrap_or(Id::new(1)))
}

/// The store's config.
#[derive(Clone)]
pub struct StoredConfig {
    pub peers: Peers,
    /// How long the store may take for one call.
    pub timeout: Duration,
}

/// Values that are to be set, or, where there is none, to be set no longer.
pub type Wanted = Vec<(Subject, String, Option<Value>)>;

/// What is to be changed, by whom and why.
#[derive(Clone, Debug)]
pub struct Change {
    /// 0 for the installation.
    pub home: u64,
    /// The same for a repeat, which then changes nothing.
    pub id: String,
    /// None: the installation's operator.
    pub author: Option<u64>,
    pub note: String,
    /// The version that it is to be a change of, if that matters.
    pub expected: Option<u64>,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The version from now on; the former one if nothing was changed.
    pub version: u64,
    pub changed: Vec<Difference>,
    /// Whether others could not be told: then they notice by themselves.
    pub is_untold: bool,
}

/// A version that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    pub version: u64,
    pub at_ms: i64,
    /// None: the installation's operator, or somebody who is forgotten.
    pub author: Option<u64>,
    pub note: String,
    pub changed: Vec<Difference>,
}

/// One value that was changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub subject: Subject,
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl fmt::Debug for StoredConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredConfig").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl StoredConfig {
    fn client(&self, home: u64) -> Client<Transport> {
        let transport = self.peers.of(kept_at(home));
        Client::new(transport).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Loads what is set for a home; none where that is at `known` still.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn get(&self, home: u64, known: Option<u64>) -> Result<Option<Loaded>, Status> {
        let request = proto::GetConfigRequest { home_id: home, known_version: known };
        let answer =
            self.client(home).get_config(within(self.timeout, request)).await?.into_inner();
        if answer.is_unchanged {
            return Ok(None);
        }
        let mut layered = Layered::new();
        for document in answer.documents {
            let Some(layer) = Layer::from_proto(document.layer()) else { continue };
            let values = serde_json::from_str(&document.values)
                .map_err(|error| Status::internal(format!("a config cannot be read: {error}")))?;
            layered.insert(Subject { layer, id: document.subject_id }, values);
        }
        Ok(Some(Loaded { version: answer.version, layered }))
    }

    /// Sets and resets values, all or none.
    ///
    /// # Errors
    ///
    /// What the store says: what is invalid with its path, value and bound.
    pub async fn change(&self, change: &Change, wanted: Wanted) -> Result<Made, Status> {
        let settings = wanted.into_iter().map(|(subject, path, value)| proto::ConfigSetting {
            layer: subject.layer.to_proto().into(),
            subject_id: subject.id,
            path,
            value: value.map_or_else(String::new, |value| value.to_string()),
        });
        let request = proto::ChangeConfigRequest {
            home_id: change.home,
            change_id: change.id.clone(),
            author: Some(proto::ConfigAuthor { user_id: change.author.unwrap_or(0) }),
            note: change.note.clone(),
            settings: settings.collect(),
            expected_version: change.expected,
        };
        let answer = self.client(change.home).change_config(within(self.timeout, request)).await?;
        made(answer.into_inner())
    }

    /// Makes the config what it was at a version.
    ///
    /// # Errors
    ///
    /// What the store says: `NOT_FOUND` if that is too long ago.
    pub async fn roll_back(&self, change: &Change, to: u64) -> Result<Made, Status> {
        let request = proto::RollBackConfigRequest {
            home_id: change.home,
            change_id: change.id.clone(),
            author: Some(proto::ConfigAuthor { user_id: change.author.unwrap_or(0) }),
            to_version: to,
        };
        let answer =
            self.client(change.home).roll_back_config(within(self.timeout, request)).await?;
        made(answer.into_inner())
    }

    /// Lists changes, the newest first, all or those before a version; a `limit` of 0 for as many as
    /// there may be.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn history(
        &self,
        home: u64,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Version>, Status> {
        let before_version = before.unwrap_or(0);
        let request = proto::ListConfigChangesRequest { home_id: home, limit, before_version };
        let answer = self.client(home).list_config_changes(within(self.timeout, request)).await?;
        let version = |version: proto::ConfigVersion| {
            let author = version.author.unwrap_or_default().user_id;
            Ok(Version {
                version: version.version,
                at_ms: version.at_ms,
                author: (author != 0).then_some(author),
                note: version.note,
                changed: differences(version.changes)?,
            })
        };
        answer.into_inner().versions.into_iter().map(version).collect()
    }
}

#[async_trait]
impl ConfigSource for StoredConfig {
    async fn load(&self, home: u64, known: Option<u64>) -> Result<Option<Loaded>, SourceError> {
        self.get(home, known).await.map_err(|status| SourceError(status.message().to_owned()))
    }
}

fn made(answer: proto::ChangeConfigResponse) -> Result<Made, Status> {
    let proto::ChangeConfigResponse { version, changes, is_untold } = answer;
    Ok(Made { version, changed: differences(changes)?, is_untold })
}

fn differences(changes: Vec<proto::ConfigChange>) -> Result<Vec<Difference>, Status> {
    let value = |json: &str| match json {
        "" => Ok(None),
        json => serde_json::from_str(json)
            .map(Some)
            .map_err(|error| Status::internal(format!("a change cannot be read: {error}"))),
    };
    let known = changes
        .into_iter()
        .filter_map(|change| Layer::from_proto(change.layer()).map(|layer| (layer, change)));
    known
        .map(|(layer, change)| {
            Ok(Difference {
                subject: Subject { layer, id: change.subject_id },
                before: value(&change.before)?,
                after: value(&change.after)?,
                path: change.path,
            })
        })
        .collect()
}

impl Layer {
    pub fn from_proto(layer: proto::ConfigLayer) -> Option<Self> {
        match layer {
            proto::ConfigLayer::Unspecified => None,
            proto::ConfigLayer::Global => Some(Self::Global),
            proto::ConfigLayer::Server => Some(Self::Server),
            proto::ConfigLayer::Channel => Some(Self::Channel),
            proto::ConfigLayer::User => Some(Self::User),
        }
    }

    pub fn to_proto(self) -> proto::ConfigLayer {
        match self {
            Self::Global => proto::ConfigLayer::Global,
            Self::Server => proto::ConfigLayer::Server,
            Self::Channel => proto::ConfigLayer::Channel,
            Self::User => proto::ConfigLayer::User,
        }
    }
}

impl Change {
    /// A change of the installation's or of a home's config.
    pub fn new(home: u64, id: impl Into<String>, author: Option<u64>) -> Self {
        Self { home, id: id.into(), author, note: String::new(), expected: None }
    }

    /// Says why, in a few words.
    #[must_use]
    pub fn noting(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// Whose layer stands at the top of a home.
pub fn top_of(home: u64) -> Subject {
    if home == INSTALLATION { Subject::GLOBAL } else { Subject::SERVER }
}

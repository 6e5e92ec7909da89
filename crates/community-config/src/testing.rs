//! A store that keeps config and nothing else, for tests of what reads it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ery_proto::store::v1::{
    ChangeConfigRequest, ChangeConfigResponse, ConfigDocument, GetConfigRequest, GetConfigResponse,
    ListConfigChangesRequest, ListConfigChangesResponse, RollBackConfigRequest,
    config_service_server::ConfigService,
};
use serde_json::Value;
use tonic::{Request, Response, Status};

use crate::{
    cache::Loaded,
    document::{Document, Subject},
};

/// What was set, by home.
#[derive(Clone, Debug, Default)]
pub struct KeptConfig {
    homes: Arc<Mutex<HashMap<u64, Loaded>>>,
}

impl KeptConfig {
    /// Sets a value; returns the version.
    pub fn set(&self, home: u64, subject: Subject, path: &str, value: Value) -> u64 {
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = homes.entry(home).or_default();
        let document: &mut Document = loaded.layered.entry(subject).or_default();
        document.insert(path.to_owned(), value);
        loaded.version += 1;
        loaded.version
    }
}

#[async_trait::async_trait]
impl ConfigService for KeptConfig {
    async fn get_config(
        &self,
        request: Request<GetConfigRequest>,
    ) -> Result<Response<GetConfigResponse>, Status> {
        let request = request.into_inner();
        let homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = homes.get(&request.home_id).cloned().unwrap_or_default();
        let version = loaded.version;
        if request.known_version == Some(version) {
            let is_unchanged = true;
            return Ok(Response::new(GetConfigResponse {
                version,
                is_unchanged,
                ..Default::default()
            }));
        }
        let documents = loaded.layered.into_iter().map(|(subject, document)| ConfigDocument {
            layer: subject.layer.to_proto().into(),
            subject_id: subject.id,
            values: serde_json::to_string(&document).unwrap_or_default(),
        });
        let documents = documents.collect();
        Ok(Response::new(GetConfigResponse { version, is_unchanged: false, documents }))
    }

    async fn change_config(
        &self,
        _: Request<ChangeConfigRequest>,
    ) -> Result<Response<ChangeConfigResponse>, Status> {
        Err(Status::unimplemented("it is set by the test"))
    }

    async fn list_config_changes(
        &self,
        _: Request<ListConfigChangesRequest>,
    ) -> Result<Response<ListConfigChangesResponse>, Status> {
        Err(Status::unimplemented("it is set by the test"))
    }

    async fn roll_back_config(
        &self,
        _: Request<RollBackConfigRequest>,
    ) -> Result<Response<ChangeConfigResponse>, Status> {
        Err(Status::unimplemented("it is set by the test"))
    }
}

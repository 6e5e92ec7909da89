use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tonic::{Request, Response, Status};

use ery_proto::store::v1::{usage_service_server::UsageService, *};

use super::store::SharedStore;

/// A store that tells what the test says was spent, and remembers what it is to count.
pub(crate) struct FakeUsage {
    store: SharedStore,
    counted: Mutex<Vec<CountSpentRequest>>,
}

impl FakeUsage {
    pub(crate) fn new(store: &SharedStore) -> Self {
        Self { store: Arc::clone(store), counted: Mutex::default() }
    }

    pub(crate) fn counted(&self) -> Vec<CountSpentRequest> {
        self.counted.lock().unwrap().clone()
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl UsageService for FakeUsage {
    async fn get_totals(&self, _: Request<GetTotalsRequest>) -> Answer<GetTotalsResponse> {
        Err(Status::unimplemented("it counts nothing"))
    }

    async fn get_spending(&self, _: Request<GetSpendingRequest>) -> Answer<GetSpendingResponse> {
        Ok(Response::new(GetSpendingResponse { spending: self.store.spending() }))
    }

    async fn list_usage(&self, _: Request<ListUsageRequest>) -> Answer<ListUsageResponse> {
        Err(Status::unimplemented("it counts nothing"))
    }

    async fn claim_notices(&self, _: Request<ClaimNoticesRequest>) -> Answer<ClaimNoticesResponse> {
        Err(Status::unimplemented("it keeps no notices"))
    }

    async fn count_spent(&self, request: Request<CountSpentRequest>) -> Answer<CountSpentResponse> {
        self.counted.lock().unwrap().push(request.into_inner());
        Ok(Response::new(CountSpentResponse { spending: self.store.spending() }))
    }
}

//! What a person can have: a copy, the deletion of what is kept, and to be left out of learning.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use ery_clock::UnixMillis;
use ery_proto::store::v1::{
    CountPersonRequest, CountPersonResponse, Deletion as ProtoDeletion,
    DeletionState as ProtoState, ExportPersonRequest, ExportPersonResponse, GetDeletionRequest,
    GetDeletionResponse, GetLearningOptOutRequest, GetLearningOptOutResponse, KindCount,
    LearningOptOut, ListDeletionsRequest, ListDeletionsResponse, RequestDeletionRequest,
    RequestDeletionResponse, SetLearningOptOutRequest, SetLearningOptOutResponse,
    privacy_service_server,
};

use super::{
    parse::{self, Invalid},
    scope,
};
use crate::{
    adapters::export::{self, Source},
    blocking::blocking,
    domain::{
        gap::first_id_at,
        privacy::{Deletion, DeletionState, OptOut, Person},
    },
    error::StoreError,
    service::Inner,
};

/// How many bytes of an archive go in one message.
const PART_BYTES: usize = 64 << 10;

/// How many parts may wait for a slow reader; the archive waits beyond that.
const PARTS_WAITING: usize = 4;

/// The RPCs about people.
#[derive(Clone, Debug)]
pub(crate) struct PrivacyHandlers {
    store: Arc<Inner>,
}

impl PrivacyHandlers {
    pub(crate) fn new(store: Arc<Inner>) -> Self {
        Self { store }
    }
}

#[tonic::async_trait]
impl privacy_service_server::PrivacyService for PrivacyHandlers {
    type ExportPersonStream = BoxStream<'static, Result<ExportPersonResponse, Status>>;

    async fn export_person(
        &self,
        request: Request<ExportPersonRequest>,
    ) -> Result<Response<Self::ExportPersonStream>, Status> {
        let request = request.into_inner();
        let person = person(request.user_id, request.guild_id).map_err(StoreError::from)?;
        Ok(Response::new(export(Arc::clone(&self.store), person).await?))
    }

    async fn count_person(
        &self,
        request: Request<CountPersonRequest>,
    ) -> Result<Response<CountPersonResponse>, Status> {
        let request = request.into_inner();
        let person = person(request.user_id, request.guild_id).map_err(StoreError::from)?;
        Ok(Response::new(CountPersonResponse { counts: count(&self.store, person).await? }))
    }

    async fn request_deletion(
        &self,
        request: Request<RequestDeletionRequest>,
    ) -> Result<Response<RequestDeletionResponse>, Status> {
        let deletion = request_deletion(&self.store, request.into_inner()).await?;
        let deletion = Some(render(&self.store, deletion));
        Ok(Response::new(RequestDeletionResponse { deletion }))
    }

    async fn get_deletion(
        &self,
        request: Request<GetDeletionRequest>,
    ) -> Result<Response<GetDeletionResponse>, Status> {
        let id = request.into_inner().deletion_id;
        let deletion = self.store.ledger.deletion(&id);
        let deletion = deletion.ok_or(StoreError::DeletionUnknown { id })?;
        let deletion = Some(render(&self.store, deletion));
        Ok(Response::new(GetDeletionResponse { deletion }))
    }

    async fn list_deletions(
        &self,
        request: Request<ListDeletionsRequest>,
    ) -> Result<Response<ListDeletionsResponse>, Status> {
        let request = request.into_inner();
        let user = parse::optional_id("user_id", request.user_id).map_err(StoreError::from)?;
        let limit = scope::limit(request.limit, self.store.settings.max_listed);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let found = self.store.ledger.deletions(user, limit).into_iter();
        let deletions = found.map(|deletion| render(&self.store, deletion)).collect();
        Ok(Response::new(ListDeletionsResponse { deletions }))
    }

    async fn set_learning_opt_out(
        &self,
        request: Request<SetLearningOptOutRequest>,
    ) -> Result<Response<SetLearningOptOutResponse>, Status> {
        let request = request.into_inner();
        let person = person(request.user_id, request.guild_id).map_err(StoreError::from)?;
        let (store, is_out) = (&self.store, request.is_opted_out);
        let opt_out = store.ledger.set_opt_out(person, is_out, store.clock.now()).await?;
        let opt_out = Some(learning(opt_out));
        Ok(Response::new(SetLearningOptOutResponse { opt_out }))
    }

    async fn get_learning_opt_out(
        &self,
        request: Request<GetLearningOptOutRequest>,
    ) -> Result<Response<GetLearningOptOutResponse>, Status> {
        let request = request.into_inner();
        let person = person(request.user_id, request.guild_id).map_err(StoreError::from)?;
        let opt_out = Some(learning(self.store.ledger.opt_out(person)));
        Ok(Response::new(GetLearningOptOutResponse { opt_out }))
    }
}

fn person(user_id: u64, guild_id: u64) -> Result<Person, Invalid> {
    Ok(Person {
        user: parse::id("user_id", user_id)?,
        guild: parse::optional_id("guild_id", guild_id)?,
    })
}

fn learning(opt_out: OptOut) -> LearningOptOut {
    LearningOptOut {
        is_opted_out: opt_out.since().is_some(),
        is_opted_out_here: opt_out.here.is_some(),
        is_opted_out_everywhere: opt_out.everywhere.is_some(),
        since_ms: opt_out.since().map_or(0, |at| at.0),
    }
}

async fn request_deletion(
    store: &Inner,
    request: RequestDeletionRequest,
) -> Result<Deletion, StoreError> {
    let person = person(request.user_id, request.guild_id)?;
    let id = match request.deletion_id {
        id if id.is_empty() => uuid::Uuid::new_v4().to_string(),
        id => parse::text("deletion_id", id, MAX_DELETION_ID_BYTES)?,
    };
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        let invalid = Invalid::new("deletion_id", "has other characters than letters, digits, `-`");
        return Err(invalid.into());
    }
    let now = store.clock.now();
    // All ids of this millisecond.
    let newest = first_id_at(UnixMillis(now.0.saturating_add(1))).saturating_sub(1);
    let before = match request.before_id {
        0 => newest,
        id => parse::id::<twilight_model::id::marker::GenericMarker>("before_id", id)?.get(),
    };
    if before > newest {
        // What they say from now on would never be taken in.
        return Err(Invalid::new("before_id", "lies in the future").into());
    }
    store.ledger.request(id, person, before, now).await
}

const MAX_DELETION_ID_BYTES: usize = 64;

fn render(store: &Inner, deletion: Deletion) -> ProtoDeletion {
    let state = match deletion.state() {
        DeletionState::Requested => ProtoState::Requested,
        DeletionState::Erased => ProtoState::Erased,
        DeletionState::Confirmed => ProtoState::Confirmed,
    };
    let standing = store.standings.get(&deletion.id);
    let millis = |at: Option<UnixMillis>| at.map_or(0, |at| at.0);
    // A backup that was made just before the data was erased is the last that holds it.
    let last_backup = deletion.erased_at.unwrap_or_else(|| store.clock.now());
    let kept = store.backups.kept_for();
    ProtoDeletion {
        user_id: deletion.user.map_or(0, twilight_model::id::Id::get),
        guild_id: deletion.guild.map_or(0, twilight_model::id::Id::get),
        state: state.into(),
        requested_at_ms: deletion.requested_at.0,
        erased_at_ms: millis(deletion.erased_at),
        confirmed_at_ms: millis(deletion.confirmed_at),
        confirmed_by_ms: millis(deletion.confirmed_by),
        waits_for: standing.waits_for,
        shards_done: standing.shards_done,
        shards: standing.shards,
        backups_until_ms: kept.map_or(0, |kept| (last_backup + kept).0),
        deletion_id: deletion.id,
    }
}

/// Returns the shard files there are, each with its tables up to date.
async fn files(store: &Inner) -> Result<Vec<PathBuf>, StoreError> {
    let mut files = Vec::new();
    for shard in store.shards.all_existing() {
        let was_open = store.shards.is_open(shard).await;
        drop(store.shards.open(shard).await?);
        if !was_open {
            store.shards.close(shard).await;
        }
        files.push(store.shards.folder().shard(shard));
    }
    Ok(files)
}

async fn count(store: &Inner, person: Person) -> Result<Vec<KindCount>, StoreError> {
    let (files, key) = (files(store).await?, store.shards.key().cloned());
    let counted = blocking(move || {
        let mut counts = vec![0; export::KINDS.len()];
        for file in &files {
            let of_file = export::count(file, key.as_ref(), person)?;
            for (count, of_file) in counts.iter_mut().zip(of_file) {
                *count += of_file;
            }
        }
        Ok::<_, StoreError>(counts)
    });
    let kinds = export::KINDS.iter().zip(counted.await?);
    Ok(kinds.map(|((kind, _), rows)| KindCount { kind: (*kind).to_owned(), rows }).collect())
}

/// Writes an archive for whoever reads the stream; it ends where nobody does.
async fn export(
    store: Arc<Inner>,
    person: Person,
) -> Result<BoxStream<'static, Result<ExportPersonResponse, Status>>, StoreError> {
    let source = Source {
        files: files(&store).await?,
        key: store.shards.key().cloned(),
        person,
        opt_out: store.ledger.opt_out(person),
        at: store.clock.now(),
    };
    let (parts, told) = mpsc::channel(PARTS_WAITING);
    let writing = tokio::task::spawn_blocking(move || {
        let mut out = Parts { parts, buffer: Vec::with_capacity(PART_BYTES) };
        export::write(&source, &mut out)?;
        out.flush().map_err(StoreError::Export)
    });
    let parts = stream::unfold(told, |mut told| async {
        let part: Vec<u8> = told.recv().await?;
        Some((Ok(ExportPersonResponse { part, is_last: false }), told))
    });
    let end = stream::once(async move {
        match writing.await {
            Ok(Ok(())) => Ok(ExportPersonResponse { part: Vec::new(), is_last: true }),
            Ok(Err(error)) => Err(Status::from(error)),
            Err(_) => Err(Status::internal("writing the archive was broken off")),
        }
    });
    Ok(parts.chain(end).boxed())
}

/// An archive on its way, in parts.
struct Parts {
    parts: mpsc::Sender<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PART_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = std::mem::replace(&mut self.buffer, Vec::with_capacity(PART_BYTES));
        self.parts.blocking_send(part).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

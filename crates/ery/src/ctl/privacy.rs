//! `ery ctl privacy`: what a person can have of what is kept of them.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    time::Duration,
};

use serde::Serialize;

use ery_proto::store::v1::{
    CountPersonRequest, Deletion, DeletionState, ExportPersonRequest, GetDeletionRequest,
    GetLearningOptOutRequest, LearningOptOut, ListDeletionsRequest, RequestDeletionRequest,
    SetLearningOptOutRequest, privacy_service_client::PrivacyServiceClient,
};
use ery_rpc::{Transport, within};

use super::{Output, Row, TIMEOUT, answered, refused, view::moment};
use crate::{
    cli::{Person, Privacy},
    failure::Failure,
};

/// Every shard is looked through.
const LONG: Duration = Duration::from_hours(1);

pub(super) async fn run(
    command: &Privacy,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    match command {
        Privacy::Export { person, out } => export(*person, out, stores, output).await,
        Privacy::Delete { person, yes: false, .. } => {
            let counts = count(*person, stores).await?;
            output.list(&counts)?;
            if !output.json {
                Output::write(
                    "\nNothing was deleted. It also reaches journals that may quote the person; \
                     give --yes to delete all of it, for good.\n",
                )?;
            }
            Ok(())
        }
        Privacy::Delete { person, id, .. } => {
            let id = id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
            let mut deletions = Vec::new();
            for store in stores {
                let request = RequestDeletionRequest {
                    deletion_id: id.clone(),
                    user_id: person.user,
                    guild_id: person.guild.unwrap_or(0),
                    before_id: 0,
                };
                let answer = client(store).request_deletion(within(TIMEOUT, request)).await;
                deletions.extend(answered(answer)?.deletion);
            }
            show(&deletions, output)
        }
        Privacy::List { user, limit } => {
            let mut deletions = Vec::new();
            for store in stores {
                let request = ListDeletionsRequest { user_id: user.unwrap_or(0), limit: *limit };
                let answer = client(store).list_deletions(within(TIMEOUT, request)).await;
                deletions.extend(answered(answer)?.deletions);
            }
            deletions.sort_by_key(|deletion| std::cmp::Reverse(deletion.requested_at_ms));
            deletions.truncate(usize::try_from(*limit).unwrap_or(usize::MAX));
            output.list(&deletions.iter().map(DeletionView::from).collect::<Vec<_>>())
        }
        Privacy::Status { id } => {
            let mut deletions = Vec::new();
            for store in stores {
                let request = GetDeletionRequest { deletion_id: id.clone() };
                match client(store).get_deletion(within(TIMEOUT, request)).await {
                    Ok(answer) => deletions.extend(answer.into_inner().deletion),
                    Err(status) if status.code() == tonic::Code::NotFound => {}
                    Err(status) => return Err(refused(&status)),
                }
            }
            if deletions.is_empty() {
                return Err(Failure::internal(format!(
                    "there is no deletion `{id}`; see `ery ctl privacy list`"
                )));
            }
            show(&deletions, output)
        }
        Privacy::OptOut(person) => set_opt_out(*person, true, stores, output).await,
        Privacy::OptIn(person) => set_opt_out(*person, false, stores, output).await,
        Privacy::Preferences(person) => {
            let mut found = Vec::new();
            for store in stores {
                let request = GetLearningOptOutRequest {
                    user_id: person.user,
                    guild_id: person.guild.unwrap_or(0),
                };
                let answer = client(store).get_learning_opt_out(within(TIMEOUT, request)).await;
                found.extend(answered(answer)?.opt_out);
            }
            output.list(&found.iter().map(OptOutView::from).collect::<Vec<_>>())
        }
    }
}

fn client(store: &Transport) -> PrivacyServiceClient<Transport> {
    PrivacyServiceClient::new(store.clone())
}

async fn set_opt_out(
    person: Person,
    is_opted_out: bool,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    let mut found = Vec::new();
    for store in stores {
        let request = SetLearningOptOutRequest {
            user_id: person.user,
            guild_id: person.guild.unwrap_or(0),
            is_opted_out,
        };
        let answer = client(store).set_learning_opt_out(within(TIMEOUT, request)).await;
        found.extend(answered(answer)?.opt_out);
    }
    output.list(&found.iter().map(OptOutView::from).collect::<Vec<_>>())
}

async fn count(person: Person, stores: &[Transport]) -> Result<Vec<CountView>, Failure> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for store in stores {
        let request =
            CountPersonRequest { user_id: person.user, guild_id: person.guild.unwrap_or(0) };
        let answer = client(store).count_person(within(LONG, request)).await;
        for count in answered(answer)?.counts {
            *counts.entry(count.kind).or_default() += count.rows;
        }
    }
    Ok(counts.into_iter().map(|(kind, rows)| CountView { kind, rows }).collect())
}

/// Writes each store's archive; a file that is not whole is not left behind.
async fn export(
    person: Person,
    out: &Path,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    let mut written = Vec::new();
    for (index, store) in stores.iter().enumerate() {
        let path = match index {
            0 => out.to_owned(),
            // Another store of the installation has other servers.
            more => out.with_extension(format!("{}.zip", more + 1)),
        };
        let bytes = match export_one(person, &path, store).await {
            Ok(bytes) => bytes,
            Err(Exported::NotBegun(failure)) => return Err(failure),
            Err(Exported::BrokenOff(failure)) => {
                if let Err(error) = fs::remove_file(&path) {
                    tracing::warn!(%error, "could not remove an archive that is not whole");
                }
                return Err(failure);
            }
        };
        written.push(ArchiveView { file: path.display().to_string(), bytes });
    }
    output.list(&written)
}

/// Why there is no archive, and whether a part of one lies there.
enum Exported {
    NotBegun(Failure),
    BrokenOff(Failure),
}

async fn export_one(person: Person, path: &Path, store: &Transport) -> Result<u64, Exported> {
    let failed = |error: &io::Error| {
        Failure::caused(&format!("could not write `{}`", path.display()), error)
    };
    let mut file = create(path).map_err(|error| Exported::NotBegun(failed(&error)))?;
    let broken_off = |status: &tonic::Status| Exported::BrokenOff(refused(status));
    let request = ExportPersonRequest { user_id: person.user, guild_id: person.guild.unwrap_or(0) };
    let answer = client(store).export_person(within(LONG, request)).await;
    let mut parts = answer.map_err(|status| broken_off(&status))?.into_inner();
    let mut bytes = 0;
    while let Some(part) = parts.message().await.map_err(|status| broken_off(&status))? {
        file.write_all(&part.part).map_err(|error| Exported::BrokenOff(failed(&error)))?;
        bytes += u64::try_from(part.part.len()).unwrap_or(u64::MAX);
        if part.is_last {
            file.sync_all().map_err(|error| Exported::BrokenOff(failed(&error)))?;
            return Ok(bytes);
        }
    }
    Err(Exported::BrokenOff(Failure::unavailable("the store ended before the archive did")))
}

/// Makes a file that only its owner reads: what stands in it is somebody's.
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Shows a deletion, and says plainly what it means.
fn show(deletions: &[Deletion], output: &Output) -> Result<(), Failure> {
    output.list(&deletions.iter().map(DeletionView::from).collect::<Vec<_>>())?;
    if output.json {
        return Ok(());
    }
    let mut text = String::from("\n");
    for deletion in deletions {
        text.push_str(&meaning(deletion));
        text.push('\n');
    }
    Output::write(&text)
}

fn meaning(deletion: &Deletion) -> String {
    let mut sentences = vec![match deletion.state() {
        DeletionState::Unspecified => "This version does not know how it stands.".to_owned(),
        DeletionState::Requested => format!(
            "Requested: it is being carried out ({} of {} shard files), and goes on whatever happens. \
             What was said before is not taken in again.",
            deletion.shards_done, deletion.shards
        ),
        DeletionState::Erased => {
            "Erased: nothing is left in the store's files. It is confirmed once \
             nothing is queued elsewhere any more."
                .to_owned()
        }
        DeletionState::Confirmed => {
            "Confirmed: nothing is left in any live file, cache or queue.".to_owned()
        }
    }];
    let is_open = deletion.state() != DeletionState::Confirmed;
    if is_open && !deletion.waits_for.is_empty() {
        sentences.push(format!("It waits for {}.", deletion.waits_for));
    }
    if is_open && deletion.confirmed_by_ms != 0 {
        sentences.push(format!("That is gone by {}.", moment(deletion.confirmed_by_ms)));
    }
    if deletion.backups_until_ms != 0 {
        sentences.push(format!(
            "Backups made before may hold it until {}; it does not come back from them.",
            moment(deletion.backups_until_ms)
        ));
    }
    sentences.join(" ")
}

#[derive(Debug, Serialize)]
struct CountView {
    kind: String,
    rows: u64,
}

impl Row for CountView {
    const HEADERS: &'static [&'static str] = &["KIND", "ROWS"];

    fn cells(&self) -> Vec<String> {
        vec![self.kind.clone(), self.rows.to_string()]
    }
}

#[derive(Debug, Serialize)]
struct ArchiveView {
    file: String,
    bytes: u64,
}

impl Row for ArchiveView {
    const HEADERS: &'static [&'static str] = &["BYTES", "FILE"];

    fn cells(&self) -> Vec<String> {
        vec![self.bytes.to_string(), self.file.clone()]
    }
}

/// A deletion, as a list shows it.
#[derive(Debug, Serialize)]
struct DeletionView {
    id: String,
    /// None once it is confirmed: the person's id is forgotten, too.
    user_id: Option<String>,
    /// None: everything.
    guild_id: Option<String>,
    state: &'static str,
    requested_at_ms: i64,
    erased_at_ms: Option<i64>,
    confirmed_at_ms: Option<i64>,
    confirmed_by_ms: Option<i64>,
    waits_for: String,
    shards_done: u32,
    shards: u32,
    backups_until_ms: Option<i64>,
}

impl From<&Deletion> for DeletionView {
    fn from(deletion: &Deletion) -> Self {
        let moment = |at: i64| (at != 0).then_some(at);
        let id = |id: u64| (id != 0).then(|| id.to_string());
        Self {
            id: deletion.deletion_id.clone(),
            user_id: id(deletion.user_id),
            guild_id: id(deletion.guild_id),
            state: match deletion.state() {
                DeletionState::Unspecified => "unknown",
                DeletionState::Requested => "requested",
                DeletionState::Erased => "erased",
                DeletionState::Confirmed => "confirmed",
            },
            requested_at_ms: deletion.requested_at_ms,
            erased_at_ms: moment(deletion.erased_at_ms),
            confirmed_at_ms: moment(deletion.confirmed_at_ms),
            confirmed_by_ms: moment(deletion.confirmed_by_ms),
            waits_for: deletion.waits_for.clone(),
            shards_done: deletion.shards_done,
            shards: deletion.shards,
            backups_until_ms: moment(deletion.backups_until_ms),
        }
    }
}

impl Row for DeletionView {
    const HEADERS: &'static [&'static str] =
        &["ID", "USER", "GUILD", "STATE", "REQUESTED", "CONFIRMED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.user_id.clone().unwrap_or_else(|| "forgotten".to_owned()),
            self.guild_id.clone().unwrap_or_else(|| "all".to_owned()),
            self.state.to_owned(),
            moment(self.requested_at_ms),
            self.confirmed_at_ms.map_or_else(|| "-".to_owned(), moment),
        ]
    }
}

#[derive(Debug, Serialize)]
struct OptOutView {
    is_opted_out: bool,
    is_opted_out_here: bool,
    is_opted_out_everywhere: bool,
    since_ms: Option<i64>,
}

impl From<&LearningOptOut> for OptOutView {
    fn from(opt_out: &LearningOptOut) -> Self {
        Self {
            is_opted_out: opt_out.is_opted_out,
            is_opted_out_here: opt_out.is_opted_out_here,
            is_opted_out_everywhere: opt_out.is_opted_out_everywhere,
            since_ms: (opt_out.since_ms != 0).then_some(opt_out.since_ms),
        }
    }
}

impl Row for OptOutView {
    const HEADERS: &'static [&'static str] = &["LEARNING", "IN THE SERVER", "ANYWHERE", "SINCE"];

    fn cells(&self) -> Vec<String> {
        let word = |is_out: bool| if is_out { "opted out" } else { "allowed" }.to_owned();
        vec![
            word(self.is_opted_out),
            word(self.is_opted_out_here),
            word(self.is_opted_out_everywhere),
            self.since_ms.map_or_else(|| "-".to_owned(), moment),
        ]
    }
}

//! `ery ctl`: looks into a running installation, over the services' own calls.

mod backup;
mod config;
mod connection;
mod dead;
mod keys;
mod mcp;
mod privacy;
mod replay;
mod schedule;
mod store;
mod usage;
mod view;
mod why;

use std::{io::Write as _, time::Duration};

use serde::Serialize;

use ery_ids::ServiceName;
use ery_proto::store::v1::{
    GetThreadRequest, ListExecutionsRequest, ListThreadsRequest,
    store_service_client::StoreServiceClient,
};
use ery_rpc::{Elsewhere, Transport, within};
use ery_settings::Sources;

pub(crate) use self::connection::Endpoint;
use self::view::{ExecutionView, StepView, ThreadView};
use crate::{
    cli::{Ctl, CtlCommand, Executions, Keys, Mcp, Store, Threads},
    failure::Failure,
    settings::Settings,
};

/// A person waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Runs one command.
pub(crate) async fn run(arguments: &Ctl, sources: &Sources) -> Result<(), Failure> {
    let settings = Settings::load(sources)?;
    let output = Output { json: arguments.json };
    if let CtlCommand::Store(Store::Rekey { decrypt }) = arguments.command {
        return store::rekey(&settings, decrypt, &output).await;
    }
    if let CtlCommand::Config(command) = &arguments.command
        && config::told_without_a_store(command, &output)?
    {
        return Ok(());
    }
    let peers = connection::peers(&settings, ServiceName::Store).await?;
    let stores = peers.each();
    match &arguments.command {
        CtlCommand::Threads(Threads::List { place, limit, running }) => {
            let request = ListThreadsRequest {
                guild_id: place.guild.unwrap_or(0),
                channel_id: place.channel.unwrap_or(0),
                limit: *limit,
                is_running_only: *running,
            };
            let mut threads = Vec::new();
            for store in &stores {
                let answer = client(store).list_threads(within(TIMEOUT, request)).await;
                threads.extend(answered(answer)?.threads);
            }
            threads.sort_by_key(|thread| std::cmp::Reverse(thread.started_at_ms));
            threads.truncate(usize::try_from(*limit).unwrap_or(usize::MAX));
            output.list(&threads.iter().map(ThreadView::from).collect::<Vec<_>>())
        }
        CtlCommand::Threads(Threads::Why { message }) => why::run(message, &stores, &output).await,
        CtlCommand::Threads(Threads::Replay(command)) => {
            replay::run(command, &settings, peers, &output).await
        }
        CtlCommand::Threads(Threads::Show { thread }) => {
            for store in &stores {
                let request =
                    GetThreadRequest { thread_id: thread.clone(), guild_id: 0, channel_id: 0 };
                match client(store).get_thread(within(TIMEOUT, request)).await {
                    Ok(answer) => {
                        if let Some(thread) = answer.into_inner().thread {
                            return output.thread(&thread);
                        }
                    }
                    Err(status) if status.code() == tonic::Code::NotFound => {}
                    Err(status) => return Err(refused(&status)),
                }
            }
            Err(Failure::internal(format!(
                "there is no thread `{thread}`; see `ery ctl threads list`"
            )))
        }
        CtlCommand::Executions(Executions::List { place, thread, limit }) => {
            let request = ListExecutionsRequest {
                guild_id: place.guild.unwrap_or(0),
                channel_id: place.channel.unwrap_or(0),
                thread_id: thread.clone().unwrap_or_default(),
                limit: *limit,
                before_key: String::new(),
            };
            let mut executions = Vec::new();
            for store in &stores {
                let answer = client(store).list_executions(within(TIMEOUT, request.clone())).await;
                executions.extend(answered(answer)?.executions);
            }
            executions.sort_by_key(|execution| std::cmp::Reverse(execution.opened_at_ms));
            executions.truncate(usize::try_from(*limit).unwrap_or(usize::MAX));
            output.list(&executions.iter().map(ExecutionView::from).collect::<Vec<_>>())
        }
        CtlCommand::Executions(Executions::Export { guild }) => export(&stores, *guild).await,
        CtlCommand::Dead(command) => dead::run(command, &stores, &output).await,
        CtlCommand::Mcp(command) => {
            mcp::run(command, &stores, &output).await?;
            match command {
                Mcp::Create { guild, .. } => {
                    config::told_of_server(*guild, &settings, &output).await
                }
                Mcp::List { .. } | Mcp::Revoke { .. } => Ok(()),
            }
        }
        CtlCommand::Keys(command) => {
            keys::run(command, &settings, &stores, &output).await?;
            match command {
                Keys::Set { guild, .. } => config::told_of_server(*guild, &settings, &output).await,
                Keys::List { .. } | Keys::Remove { .. } => Ok(()),
            }
        }
        CtlCommand::Schedule(command) => schedule::run(command, &stores, &output).await,
        CtlCommand::Usage(command) => usage::run(command, &stores, &output).await,
        CtlCommand::Backup(command) => backup::run(command, &peers, &output).await,
        CtlCommand::Privacy(command) => privacy::run(command, &stores, &output).await,
        CtlCommand::Config(command) => config::run(command, &settings, peers, &output).await,
        CtlCommand::Store(command) => store::run(command, &stores, &output).await,
    }
}

/// How many executions are exported in one call.
const EXPORTED_AT_ONCE: u32 = 500;

/// Writes the whole audit of a guild, a record in each line.
async fn export(stores: &[Transport], guild_id: u64) -> Result<(), Failure> {
    for store in stores {
        let mut request =
            ListExecutionsRequest { guild_id, limit: EXPORTED_AT_ONCE, ..Default::default() };
        loop {
            let answer = client(store).list_executions(within(TIMEOUT, request.clone())).await;
            let page = answered(answer)?.executions;
            let Some(last) = page.last() else { break };
            request.before_key.clone_from(&last.key);
            let mut lines = String::new();
            for execution in &page {
                let line = serde_json::to_string(&ExecutionView::from(execution));
                let line = line.map_err(|error| Failure::caused("could not write JSON", &error))?;
                lines.push_str(&line);
                lines.push('\n');
            }
            Output::write(&lines)?;
        }
    }
    Ok(())
}

fn client(store: &Transport) -> StoreServiceClient<Transport> {
    StoreServiceClient::new(store.clone()).max_decoding_message_size(64 << 20)
}

/// Returns what a store answered; nothing where what is asked for is another store's, which is asked, too.
fn answered<T: Default>(answer: Result<tonic::Response<T>, tonic::Status>) -> Result<T, Failure> {
    match answer {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) if Elsewhere::is_in(&status) => Ok(T::default()),
        Err(status) => Err(refused(&status)),
    }
}

fn refused(status: &tonic::Status) -> Failure {
    let text = format!("the store answered {:?}: {}", status.code(), status.message());
    if status.code() == tonic::Code::Unavailable {
        Failure::unavailable(text)
    } else {
        Failure::internal(text)
    }
}

/// One row of a table for people.
trait Row: Serialize {
    const HEADERS: &'static [&'static str];

    fn cells(&self) -> Vec<String>;
}

struct Output {
    json: bool,
}

impl Output {
    fn list<R: Row>(&self, rows: &[R]) -> Result<(), Failure> {
        if self.json { Self::json(rows) } else { Self::write(&table(rows)) }
    }

    fn thread(&self, thread: &ery_proto::store::v1::Thread) -> Result<(), Failure> {
        let steps: Vec<StepView> = thread.steps.iter().map(StepView::from).collect();
        let executions: Vec<ExecutionView> =
            thread.executions.iter().map(ExecutionView::from).collect();
        let view = ThreadView::from(thread);
        if self.json {
            #[derive(Serialize)]
            struct Whole {
                #[serde(flatten)]
                thread: ThreadView,
                steps: Vec<StepView>,
                executions: Vec<ExecutionView>,
            }
            return Self::json(&Whole { thread: view, steps, executions });
        }
        Self::write(&format!("{}\n{}\n{}", table(&[view]), table(&steps), table(&executions)))
    }

    fn json<T: Serialize + ?Sized>(value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::caused("could not write JSON", &error))?;
        Self::write(&format!("{text}\n"))
    }

    fn write(text: &str) -> Result<(), Failure> {
        match std::io::stdout().write_all(text.as_bytes()) {
            // Whoever read it has seen enough: `ery ctl … | head`.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => {
                other.map_err(|error| Failure::caused("could not write to standard output", &error))
            }
        }
    }
}

/// Lays rows out in columns as wide as their widest cell; the last is as long as it is.
fn table<R: Row>(rows: &[R]) -> String {
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    let headers: Vec<String> = R::HEADERS.iter().map(|header| (*header).to_owned()).collect();
    let widths: Vec<usize> = (0..headers.len())
        .map(|column| {
            let all = std::iter::once(&headers).chain(&cells);
            all.map(|row| row[column].chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in std::iter::once(&headers).chain(&cells) {
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == row.len() {
                text.push_str(cell);
            } else {
                let padding = widths[column] - cell.chars().count() + 2;
                text.push_str(cell);
                text.extend(std::iter::repeat_n(' ', padding));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair(&'static str, &'static str);

    impl Row for Pair {
        const HEADERS: &'static [&'static str] = &["NAME", "VALUE"];

        fn cells(&self) -> Vec<String> {
            vec![self.0.to_owned(), self.1.to_owned()]
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = table(&[Pair("a", "1"), Pair("longer", "2")]);
        assert_eq!(text, "NAME    VALUE\na       1\nlonger  2\n");
    }
}

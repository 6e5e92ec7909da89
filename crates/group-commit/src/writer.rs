use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use rusqlite::Connection;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

/// How many requests may wait for the writer; past it, [`Writer::write`] waits for room.
const QUEUE_CAPACITY: usize = 4_096;

/// How many requests share a transaction at most, so that the first of them is not kept waiting.
const GROUP_LIMIT: usize = 512;

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The request itself refused; only its own changes were undone.
    #[error(transparent)]
    Refused(E),
    /// SQLite failed; nothing of the request stands.
    #[error("the database did not take the write")]
    Database(#[source] Arc<rusqlite::Error>),
    /// The writer has ended, or the request panicked: nothing of it stands.
    #[error("the database's writer has ended")]
    Closed,
}

/// A request that shares a transaction.
trait Job: Send {
    /// Runs it in a savepoint. An error is SQLite's, and undoes the whole transaction.
    fn run(&mut self, connection: &Connection) -> Result<(), rusqlite::Error>;

    /// Answers its caller: `Ok` after the commit, else with what undid it.
    fn settle(self: Box<Self>, committed: Result<(), Arc<rusqlite::Error>>);
}

enum Request {
    Grouped(Box<dyn Job>),
    /// Runs outside any transaction, and answers by itself.
    Alone(Box<dyn FnOnce(&Connection) + Send>),
}

/// What one transaction carried, and what it cost.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// How many requests shared it; those that refused are counted.
    pub requests: usize,
    /// From its begin until it was durable.
    pub took: Duration,
}

/// A handle to the one writing connection of a file. Cheap to clone; the last one ends the writer.
#[derive(Clone, Debug)]
pub struct Writer {
    requests: mpsc::Sender<Request>,
    /// Closed by the writer's thread, after it has closed the connection.
    ended: watch::Receiver<()>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request")
    }
}

impl Writer {
    /// Starts a writer on `connection`, on an OS thread called `name`.
    ///
    /// # Errors
    ///
    /// If the system has no thread to give.
    pub fn start(connection: Connection, name: &str) -> std::io::Result<Self> {
        Self::start_observed(connection, name, |_| Ok(()), |_, _| ())
    }

    /// Starts a writer as [`Writer::start`] does, with what is done around each transaction, on the
    /// writer's thread: `complete` as its last write, for what is cheaper once for all requests of
    /// a group, and `committed` after it was committed.
    ///
    /// An error of `complete` undoes the whole group, as any error of SQLite does.
    ///
    /// # Errors
    ///
    /// If the system has no thread to give.
    pub fn start_observed(
        connection: Connection,
        name: &str,
        complete: impl Fn(&Connection) -> Result<(), rusqlite::Error> + Send + 'static,
        committed: impl Fn(&Connection, Group) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (requests, queue) = mpsc::channel(QUEUE_CAPACITY);
        let (ending, ended) = watch::channel(());
        // Whoever starts a writer is whom it answers.
        let runtime = Handle::try_current().ok();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            work(&connection, queue, &complete, &committed, runtime.as_ref());
            drop(connection);
            drop(ending);
        })?;
        Ok(Self { requests, ended })
    }

    /// Runs `request` in a savepoint, and answers once the transaction around it is committed.
    ///
    /// Requests are run in the order in which this was called. Dropping the future does not undo a
    /// request that has been queued.
    ///
    /// # Errors
    ///
    /// [`WriteError::Refused`] with the request's own error, whose changes are undone.
    pub async fn write<T, E, F>(&self, request: F) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Grouped { request: Some(request), result: None, answer });
        self.requests.send(Request::Grouped(job)).await.map_err(|_| WriteError::Closed)?;
        answered.await.map_err(|_| WriteError::Closed)?
    }

    /// Runs `work` on the writing connection with no transaction around it, in its turn, and answers
    /// what it returns: for what cannot share one, as `VACUUM`.
    ///
    /// # Errors
    ///
    /// [`WriteError::Refused`] with its own error. What it did before stands.
    pub async fn alone<T, E, F>(&self, work: F) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let run = Box::new(move |connection: &Connection| {
            // Without an answer, the caller learns that it was broken off.
            if let Ok(result) = catch_unwind(AssertUnwindSafe(|| work(connection))) {
                drop(answer.send(result));
            }
            if !connection.is_autocommit()
                && let Err(error) = connection.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "could not roll back what was left open");
            }
        });
        self.requests.send(Request::Alone(run)).await.map_err(|_| WriteError::Closed)?;
        answered.await.map_err(|_| WriteError::Closed)?.map_err(WriteError::Refused)
    }

    /// Waits until the writer has carried out what it was given and has closed its connection,
    /// which checkpoints the file. Other handles keep it open until they are dropped.
    pub async fn close(self) {
        let Self { requests, mut ended } = self;
        drop(requests);
        // Nothing is ever sent: an error means that the thread has dropped its end.
        while ended.changed().await.is_ok() {}
    }

    /// Returns whether the writer has ended.
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }
}

struct Grouped<T, E, F> {
    /// Until it has run.
    request: Option<F>,
    /// Once it has; an error of the thread's is a panic of the request's.
    result: Option<thread::Result<Result<T, E>>>,
    answer: oneshot::Sender<Result<T, WriteError<E>>>,
}

impl<T, E, F> Job for Grouped<T, E, F>
where
    T: Send,
    E: From<rusqlite::Error> + Send,
    F: FnOnce(&Connection) -> Result<T, E> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), rusqlite::Error> {
        let Some(request) = self.request.take() else { return Ok(()) };
        run(connection, "SAVEPOINT request")?;
        // A panic is a bug of one request; the others of its group must not pay for it.
        let result = catch_unwind(AssertUnwindSafe(|| request(connection)));
        if !matches!(self.result.insert(result), Ok(Ok(_))) {
            // Where this fails SQLite has undone the whole transaction, as it does when the disk is
            // full. Why, the request itself was told.
            run(connection, "ROLLBACK TO request")?;
        }
        run(connection, "RELEASE request")
    }

    fn settle(self: Box<Self>, committed: Result<(), Arc<rusqlite::Error>>) {
        let outcome = match (self.result, committed) {
            (Some(Ok(Ok(value))), Ok(())) => Ok(value),
            (Some(Ok(Err(refusal))), _) => Err(WriteError::Refused(refusal)),
            (Some(Ok(Ok(_))) | None, Err(error)) => Err(WriteError::Database(error)),
            (Some(Err(_)), _) | (None, Ok(())) => Err(WriteError::Closed),
        };
        // The caller may have gone; the write stands all the same.
        drop(self.answer.send(outcome));
    }
}

/// The callers of a group, who wait for their answers.
struct Settling {
    jobs: Vec<Box<dyn Job>>,
    failed: Option<Arc<rusqlite::Error>>,
}

impl Settling {
    /// Answers all, from a task of the callers' runtime where there is one: to wake a task from another
    /// thread takes a lock, and often a system call, for each of them.
    fn settle(self, runtime: Option<&Handle>) {
        match runtime {
            Some(runtime) if self.jobs.len() > 1 => {
                // It is over at once, and what it holds is answered even where it never runs.
                drop(runtime.spawn(async move { drop(self) }));
            }
            _ => drop(self),
        }
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        for job in self.jobs.drain(..) {
            job.settle(self.failed.as_ref().map_or(Ok(()), |error| Err(Arc::clone(error))));
        }
    }
}

/// Runs a statement of transactions, which are so many that each is prepared once only.
fn run(connection: &Connection, statement: &str) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(statement)?.execute([]).map(|_| ())
}

fn work(
    connection: &Connection,
    mut queue: mpsc::Receiver<Request>,
    complete: &impl Fn(&Connection) -> Result<(), rusqlite::Error>,
    committed: &impl Fn(&Connection, Group),
    runtime: Option<&Handle>,
) {
    let mut received = Vec::with_capacity(GROUP_LIMIT);
    let mut jobs = Vec::new();
    while queue.blocking_recv_many(&mut received, GROUP_LIMIT) > 0 {
        for request in received.drain(..) {
            match request {
                Request::Grouped(job) => jobs.push(job),
                Request::Alone(run) => {
                    let group = std::mem::take(&mut jobs);
                    commit(connection, group, complete, committed).settle(runtime);
                    run(connection);
                }
            }
        }
        let group = std::mem::take(&mut jobs);
        commit(connection, group, complete, committed).settle(runtime);
    }
}

/// Runs a group as one transaction. An error of SQLite itself undoes the whole group.
fn commit(
    connection: &Connection,
    mut jobs: Vec<Box<dyn Job>>,
    complete: &impl Fn(&Connection) -> Result<(), rusqlite::Error>,
    committed: &impl Fn(&Connection, Group),
) -> Settling {
    if jobs.is_empty() {
        return Settling { jobs, failed: None };
    }
    let (begun, requests) = (Instant::now(), jobs.len());
    let done = run(connection, "BEGIN IMMEDIATE")
        .and_then(|()| jobs.iter_mut().try_for_each(|job| job.run(connection)))
        .and_then(|()| complete(connection))
        .and_then(|()| run(connection, "COMMIT"));
    let failed = done.err().map(Arc::new);
    if let Some(error) = &failed {
        tracing::error!(%error, "could not commit a group of writes; none of them stands");
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "could not roll a failed group of writes back");
        }
    } else {
        committed(connection, Group { requests, took: begun.elapsed() });
    }
    Settling { jobs, failed }
}

#[cfg(test)]
mod tests {
    use crate::{FileKey, OpenError, open, open_read_only};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum TestError {
        #[error("refused")]
        Refused,
        #[error(transparent)]
        Sqlite(#[from] rusqlite::Error),
    }

    fn numbers(folder: &tempfile::TempDir) -> Writer {
        let connection = open(&folder.path().join("numbers.db"), None).unwrap();
        connection
            .execute_batch("CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT")
            .unwrap();
        Writer::start(connection, "numbers").unwrap()
    }

    async fn insert(
        writer: &Writer,
        number: i64,
        refuse: bool,
    ) -> Result<(), WriteError<TestError>> {
        writer
            .write(move |connection| {
                connection.execute("INSERT INTO numbers VALUES (?1)", [number])?;
                if refuse { Err(TestError::Refused) } else { Ok(()) }
            })
            .await
    }

    async fn all(writer: &Writer) -> Vec<i64> {
        writer
            .write(|connection| {
                let mut statement = connection.prepare("SELECT number FROM numbers ORDER BY 1")?;
                let rows = statement.query_map([], |row| row.get(0))?;
                rows.collect::<Result<Vec<i64>, _>>().map_err(TestError::from)
            })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_refused_request_takes_nothing_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let writer = numbers(&folder);
        let (first, second, third) = tokio::join!(
            insert(&writer, 1, false),
            insert(&writer, 2, true),
            insert(&writer, 3, false)
        );
        first.unwrap();
        assert!(matches!(second, Err(WriteError::Refused(TestError::Refused))));
        third.unwrap();
        assert_eq!(all(&writer).await, [1, 3]);
    }

    #[tokio::test]
    async fn a_panic_harms_only_its_own_request() {
        let folder = tempfile::tempdir().unwrap();
        let writer = numbers(&folder);
        let panicking = writer.write(|connection| -> Result<(), TestError> {
            connection.execute("INSERT INTO numbers VALUES (9)", [])?;
            panic!("a bug");
        });
        let (panicked, other) = tokio::join!(panicking, insert(&writer, 1, false));
        assert!(matches!(panicked, Err(WriteError::Closed)));
        other.unwrap();
        assert_eq!(all(&writer).await, [1]);
    }

    #[tokio::test]
    async fn what_runs_alone_has_its_turn_and_no_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let writer = numbers(&folder);
        let vacuum = writer.alone(|connection| -> Result<i64, TestError> {
            connection.execute_batch("VACUUM")?;
            Ok(connection.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0))?)
        });
        let (first, counted, second) =
            tokio::join!(insert(&writer, 1, false), vacuum, insert(&writer, 2, false));
        first.unwrap();
        second.unwrap();
        assert_eq!(counted.unwrap(), 1);
        let broken_off =
            writer.alone(|_| -> Result<(), TestError> { panic!("a bug") }).await.unwrap_err();
        assert!(matches!(broken_off, WriteError::Closed));
        assert_eq!(all(&writer).await, [1, 2]);
    }

    #[tokio::test]
    async fn a_full_disk_undoes_a_group_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let writer = numbers(&folder);
        let fill = |limit: u32| {
            writer.write(move |connection| -> Result<(), TestError> {
                connection.execute_batch(&format!("PRAGMA max_page_count = {limit}"))?;
                connection.execute(
                    "WITH RECURSIVE n (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM n LIMIT 9000)
                     INSERT INTO numbers SELECT n FROM n",
                    [],
                )?;
                Ok(())
            })
        };
        let refused = fill(4).await.unwrap_err();
        let WriteError::Refused(TestError::Sqlite(error)) = refused else { panic!("{refused:?}") };
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull));
        fill(1_000_000).await.unwrap();
        assert_eq!(all(&writer).await.len(), 9_000);
    }

    #[tokio::test]
    async fn what_was_answered_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let writer = numbers(&folder);
        insert(&writer, 7, false).await.unwrap();
        let reader = open_read_only(&folder.path().join("numbers.db"), None).unwrap();
        let number: i64 =
            reader.query_row("SELECT number FROM numbers", [], |row| row.get(0)).unwrap();
        assert_eq!(number, 7);
    }

    #[tokio::test]
    async fn each_committed_group_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&folder.path().join("numbers.db"), None).unwrap();
        connection
            .execute_batch("CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT")
            .unwrap();
        let (told, mut groups) = mpsc::unbounded_channel();
        let committed = move |_: &Connection, group: Group| told.send(group.requests).unwrap();
        let writer = Writer::start_observed(connection, "numbers", |_| Ok(()), committed).unwrap();
        insert(&writer, 1, false).await.unwrap();
        assert!(insert(&writer, 2, true).await.is_err());
        assert_eq!((groups.recv().await, groups.recv().await), (Some(1), Some(1)));
    }

    #[tokio::test]
    async fn a_group_is_completed_in_its_own_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&folder.path().join("numbers.db"), None).unwrap();
        connection
            .execute_batch("CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT")
            .unwrap();
        let complete = |connection: &Connection| {
            let counted = "INSERT INTO numbers SELECT 1000 + count(*) FROM numbers";
            connection.execute(counted, [])?;
            // Two rows with one number: the statement fails where a 9 stands.
            let failing = "INSERT INTO numbers SELECT number FROM numbers WHERE number = 9";
            connection.execute(failing, []).map(|_| ())
        };
        let writer = Writer::start_observed(connection, "numbers", complete, |_, _| ()).unwrap();
        insert(&writer, 1, false).await.unwrap();
        let undone = insert(&writer, 9, false).await.unwrap_err();
        assert!(matches!(undone, WriteError::Database(_)), "{undone}");
        assert_eq!(all(&writer).await, [1, 1001]);
    }

    #[test]
    fn a_group_is_answered_even_where_the_runtime_of_its_writer_is_gone() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let own = runtime();
        let writer = own.block_on(async { numbers(&folder) });
        drop(own);
        runtime().block_on(async {
            let (both_wait, held) = std::sync::mpsc::channel::<()>();
            let holds = writer.alone(move |_| -> Result<(), TestError> {
                held.recv().unwrap();
                Ok(())
            });
            let let_go = async { both_wait.send(()).unwrap() };
            let (held, first, second, ()) =
                tokio::join!(holds, insert(&writer, 1, false), insert(&writer, 2, false), let_go);
            held.unwrap();
            first.unwrap();
            second.unwrap();
            assert_eq!(all(&writer).await, [1, 2]);
        });
    }

    #[tokio::test]
    async fn a_closed_writer_leaves_a_checkpointed_file() {
        let folder = tempfile::tempdir().unwrap();
        let writer = numbers(&folder);
        insert(&writer, 7, false).await.unwrap();
        assert!(folder.path().join("numbers.db-wal").exists());
        writer.close().await;
        assert!(!folder.path().join("numbers.db-wal").exists());
    }

    #[test]
    fn a_wrong_key_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.db");
        let connection = open(&path, Some(&FileKey([1; 32]))).unwrap();
        connection.execute_batch("CREATE TABLE canary (text TEXT) STRICT").unwrap();
        drop(connection);
        assert!(matches!(open(&path, Some(&FileKey([2; 32]))), Err(OpenError::WrongKey { .. })));
        assert!(matches!(open(&path, None), Err(OpenError::KeyMissing { .. })));
        assert!(open(&path, Some(&FileKey([1; 32]))).is_ok());
        assert_eq!(format!("{:?}", FileKey([1; 32])), "FileKey(…)");
    }
}

use std::future::Future;

/// Runs what an adapter does in the background; it ends by itself once the adapter is dropped.
#[expect(
    clippy::disallowed_methods,
    reason = "an adapter knows no process; each task here ends with the adapter that it serves"
)]
pub(crate) fn spawn<F>(task: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(task);
}

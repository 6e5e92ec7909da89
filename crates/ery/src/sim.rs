use crate::{cli, failure::Failure};

/// Serves a simulated Discord until a signal comes.
pub(crate) async fn run(arguments: &cli::SimDiscord) -> Result<(), Failure> {
    unimplemented!()
}

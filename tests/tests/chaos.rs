//! A minute of what `make chaos` does for longer.

use std::{path::PathBuf, time::Duration};

use ery_tests::chaos::{Mode, Options, chaos};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_of_chaos_loses_nothing_and_doubles_nothing() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let evidence = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos");
    let mut options = Options::new(Mode::Faults, seed, evidence);
    options.duration = Duration::from_mins(1);
    let report = chaos(&options).await.unwrap();
    println!("{report}");
    assert!(report.messages > 0 && report.kills() > 0, "nothing was tried:\n{report}");
    assert!(report.is_good(), "{report}");
}

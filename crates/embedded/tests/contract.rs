//! The embedded adapters keep the contracts of their ports.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tempfile::TempDir;

use ery_embedded::{
    BusOptions, EmbeddedBudgets, EmbeddedFolder, EmbeddedMembership, FolderError, QueueOptions,
};

/// A data folder that is opened again and again. Both views are the same adapter: there is one
/// process only.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Opens the folder once what was opened before has written everything and let go of it.
    async fn open(&self) -> EmbeddedFolder {
        let opened = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                match EmbeddedFolder::open(self.0.path()) {
                    Err(FolderError::InUse { .. }) => {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    opened => return opened.expect("the folder opens"),
                }
            }
        });
        opened.await.expect("the former adapters let go of the folder")
    }
}

mod queue {
    use super::*;
    use ery_channel_queue::testing::{Stand, Timing, TwoViews};

    #[async_trait]
    impl Stand for Folder {
        async fn open(&self, timing: Timing) -> TwoViews {
            let options = QueueOptions {
                lease_ttl: timing.lease_ttl,
                redelivery: timing.redelivery,
                ..QueueOptions::default()
            };
            let queue = Arc::new(self.open().await.queue(options).await.expect("the file opens"));
            TwoViews::same(queue)
        }
    }

    ery_channel_queue::channel_queue_contract!(Folder::new());
}

/// With a cache of nothing, so that every task and event is read from the file.
mod queue_without_memory {
    use super::*;
    use ery_channel_queue::testing::{Stand, Timing, TwoViews};

    struct Small(Folder);

    #[async_trait]
    impl Stand for Small {
        async fn open(&self, timing: Timing) -> TwoViews {
            let options = QueueOptions {
                lease_ttl: timing.lease_ttl,
                redelivery: timing.redelivery,
                cached_bytes: 0,
                ..QueueOptions::default()
            };
            let queue = Arc::new(self.0.open().await.queue(options).await.expect("the file opens"));
            TwoViews::same(queue)
        }
    }

    ery_channel_queue::channel_queue_contract!(Small(Folder::new()));
}

mod bus {
    use super::*;
    use ery_event_bus::testing::{Stand, Timing, TwoViews};

    #[async_trait]
    impl Stand for Folder {
        async fn open(&self, timing: Timing) -> TwoViews {
            let options = BusOptions { redelivery: timing.redelivery, ..BusOptions::default() };
            let bus = Arc::new(self.open().await.bus(options).await.expect("the file opens"));
            TwoViews::same(bus)
        }
    }

    ery_event_bus::event_bus_contract!(Folder::new());
}

mod bus_without_memory {
    use super::*;
    use ery_event_bus::testing::{Stand, Timing, TwoViews};

    struct Small(Folder);

    #[async_trait]
    impl Stand for Small {
        async fn open(&self, timing: Timing) -> TwoViews {
            let options = BusOptions {
                redelivery: timing.redelivery,
                tail_bytes: 0,
                ..BusOptions::default()
            };
            let bus = Arc::new(self.0.open().await.bus(options).await.expect("the file opens"));
            TwoViews::same(bus)
        }
    }

    ery_event_bus::event_bus_contract!(Small(Folder::new()));
}

mod membership {
    use super::*;
    use ery_membership::testing::{Stand, Timing, TwoViews};

    struct Memory;

    #[async_trait]
    impl Stand for Memory {
        async fn open(&self, timing: Timing) -> TwoViews {
            let membership = Arc::new(EmbeddedMembership::new(timing.registration_ttl));
            TwoViews::same(membership)
        }
    }

    ery_membership::membership_contract!(Memory);
}

mod budgets {
    use super::*;
    use ery_budgets::testing::{Stand, TwoViews};

    struct Memory;

    #[async_trait]
    impl Stand for Memory {
        async fn open(&self) -> TwoViews {
            let budgets = Arc::new(EmbeddedBudgets::default());
            TwoViews::same(budgets)
        }
    }

    ery_budgets::budgets_contract!(Memory);
}

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, UpDownCounter},
};

use ery_group_commit::Group;

/// Every metric of the store.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    commits: Counter<u64>,
    group_size: Histogram<u64>,
    commit_duration: Histogram<f64>,
    refused_by_epoch: Counter<u64>,
    open_shards: UpDownCounter<i64>,
    read_only_shards: UpDownCounter<i64>,
    quarantined_shards: UpDownCounter<i64>,
    left_over_files: Gauge<u64>,
    backups: Counter<u64>,
    backups_failed: Counter<u64>,
    tasks_published: Counter<u64>,
    publishes_failed: Counter<u64>,
    deletions_confirmed: Counter<u64>,
    rows_swept: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("ery-store");
        let metrics = Self {
            // The exporter appends `_total`, and the unit of the duration.
            commits: meter
                .u64_counter("ery_store_commits")
                .with_description("Transactions committed, each for a group of writes")
                .build(),
            group_size: meter
                .u64_histogram("ery_store_commit_group_requests")
                .with_description("Writes that shared a transaction")
                .with_boundaries(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0])
                .build(),
            commit_duration: meter
                .f64_histogram("ery_store_commit_duration")
                .with_unit("s")
                .with_description("From the begin of a transaction until it was durable")
                .with_boundaries(vec![
                    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0,
                ])
                .build(),
            refused_by_epoch: meter
                .u64_counter("ery_store_refused_by_epoch")
                .with_description("Writes refused because the channel has another holder")
                .build(),
            open_shards: meter
                .i64_up_down_counter("ery_store_open_shards")
                .with_description("Shard files open now")
                .build(),
            read_only_shards: meter
                .i64_up_down_counter("ery_store_read_only_shards")
                .with_description("Shard files whose disk refuses writes")
                .build(),
            quarantined_shards: meter
                .i64_up_down_counter("ery_store_quarantined_shards")
                .with_description("Shard files that are damaged and serve no call")
                .build(),
            left_over_files: meter
                .u64_gauge("ery_store_left_over_files")
                .with_description("Shard files in the data folder that are another store's")
                .build(),
            backups: meter
                .u64_counter("ery_store_backups")
                .with_description("Backups made, of everything or of some shards")
                .build(),
            backups_failed: meter
                .u64_counter("ery_store_backups_failed")
                .with_description("Scheduled backups that could not be made; they are tried again")
                .build(),
            tasks_published: meter
                .u64_counter("ery_store_tasks_published")
                .with_description("Tasks that were due and stand in the channel queue")
                .build(),
            publishes_failed: meter
                .u64_counter("ery_store_publishes_failed")
                .with_description("Times that a shard's tasks could not be published; they wait")
                .build(),
            deletions_confirmed: meter
                .u64_counter("ery_store_deletions_confirmed")
                .with_description("People's deletions of which nothing is left to do")
                .build(),
            rows_swept: meter
                .u64_counter("ery_store_rows_swept")
                .with_description("Rows that went, or whose text went, because of their age")
                .build(),
        };
        metrics.begin_at_zero();
        metrics
    }

    /// Shows what alerts and dashboards look for before it happens: of a counter that is first seen at
    /// one, Prometheus cannot tell that it rose.
    fn begin_at_zero(&self) {
        for counter in [
            &self.refused_by_epoch,
            &self.backups_failed,
            &self.tasks_published,
            &self.publishes_failed,
        ] {
            counter.add(0, &[]);
        }
        self.read_only_shards.add(0, &[]);
        self.quarantined_shards.add(0, &[]);
    }

    pub(crate) fn committed(&self, group: Group) {
        self.commits.add(1, &[]);
        self.group_size.record(u64::try_from(group.requests).unwrap_or(u64::MAX), &[]);
        self.commit_duration.record(group.took.as_secs_f64(), &[]);
    }

    pub(crate) fn refused_by_epoch(&self) {
        self.refused_by_epoch.add(1, &[]);
    }

    pub(crate) fn task_published(&self) {
        self.tasks_published.add(1, &[]);
    }

    pub(crate) fn publish_failed(&self) {
        self.publishes_failed.add(1, &[]);
    }

    pub(crate) fn deletion_confirmed(&self) {
        self.deletions_confirmed.add(1, &[]);
    }

    pub(crate) fn swept(&self, kind: &'static str, rows: u64) {
        self.rows_swept.add(rows, &[KeyValue::new("kind", kind)]);
    }

    pub(crate) fn backed_up(&self) {
        self.backups.add(1, &[]);
    }

    pub(crate) fn backup_failed(&self) {
        self.backups_failed.add(1, &[]);
    }

    pub(crate) fn read_only_shards(&self, change: i64) {
        self.read_only_shards.add(change, &[]);
    }

    pub(crate) fn quarantined_shards(&self, change: i64) {
        self.quarantined_shards.add(change, &[]);
    }

    pub(crate) fn left_over_files(&self, count: u64) {
        self.left_over_files.record(count, &[]);
    }

    pub(crate) fn shard_opened(&self) {
        self.open_shards.add(1, &[]);
    }

    pub(crate) fn shard_closed(&self) {
        self.open_shards.add(-1, &[]);
    }
}

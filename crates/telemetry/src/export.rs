use std::{fmt, time::Duration};

use opentelemetry::{
    Context, KeyValue,
    metrics::{Counter, Gauge},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::Settings;

/// How many spans are sent at once, as OpenTelemetry's own default has it.
const BATCH: usize = 512;

/// How long a span waits for others at most: a trace is to be seen while one looks for it.
const LINGER: Duration = Duration::from_secs(1);

/// Takes spans as they end, and never waits: where too many stand before the collector, further
/// ones are dropped and counted.
#[derive(Debug)]
pub(crate) struct Queue {
    spans: mpsc::Sender<SpanData>,
    metrics: Metrics,
}

/// The task that sends them.
pub(crate) struct Export {
    closing: CancellationToken,
    sending: JoinHandle<()>,
    /// How long it may take to send what is left.
    patience: Duration,
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct Metrics {
    spans: Counter<u64>,
    waiting: Gauge<u64>,
}

impl Metrics {
    fn new() -> Self {
        let meter = opentelemetry::global::meter("ery-telemetry");
        let spans = meter
            .u64_counter("ery_telemetry_spans")
            .with_description("spans of traces that ended here, by what became of them")
            .build();
        let waiting = meter
            .u64_gauge("ery_telemetry_spans_waiting")
            .with_description("spans that wait to be sent; bounded by telemetry.otlp_queue_spans")
            .build();
        Self { spans, waiting }
    }

    fn count(&self, outcome: &'static str, spans: usize) {
        self.spans.add(spans as u64, &[KeyValue::new("outcome", outcome)]);
    }
}

impl Queue {
    pub(crate) fn start(
        mut exporter: impl SpanExporter + 'static,
        resource: &Resource,
        settings: &Settings,
    ) -> (Self, Export) {
        exporter.set_resource(resource);
        let (spans, waiting) = mpsc::channel(settings.otlp_queue_spans);
        let metrics = Metrics::new();
        let closing = CancellationToken::new();
        let sender = Sender {
            exporter,
            waiting,
            metrics: metrics.clone(),
            limit: settings.otlp_timeout,
            fails: false,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "it outlives every stage of the drain: their last spans are sent, too"
        )]
        let sending = tokio::spawn(sender.run(closing.clone()));
        let export = Export { closing, sending, patience: settings.otlp_timeout };
        (Self { spans, metrics }, export)
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            self.metrics.count("dropped", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Export {
    /// Sends what is left, for as long as one batch may take.
    pub(crate) async fn finish(self) {
        self.closing.cancel();
        if timeout(self.patience, self.sending).await.is_err() {
            tracing::warn!("the last spans could not be sent in time");
        }
    }
}

struct Sender<E> {
    exporter: E,
    waiting: mpsc::Receiver<SpanData>,
    metrics: Metrics,
    limit: Duration,
    /// Whether the last batch could not be sent.
    fails: bool,
}

impl<E: SpanExporter> Sender<E> {
    async fn run(mut self, closing: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut due = Instant::now();
        loop {
            let room = BATCH - batch.len();
            let was_empty = batch.is_empty();
            tokio::select! {
                biased;
                taken = self.waiting.recv_many(&mut batch, room), if room > 0 => {
                    if taken == 0 {
                        break;
                    }
                    if was_empty {
                        due = Instant::now() + LINGER;
                    }
                    if batch.len() < BATCH {
                        continue;
                    }
                }
                () = sleep_until(due), if !was_empty => {}
                () = closing.cancelled() => {
                    // What was taken before is sent; what comes now is dropped, and counted.
                    self.waiting.close();
                    if was_empty && self.waiting.is_empty() {
                        break;
                    }
                }
            }
            self.send(std::mem::take(&mut batch)).await;
        }
        if !batch.is_empty() {
            self.send(batch).await;
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let spans = batch.len();
        let sent = timeout(self.limit, self.exporter.export(batch)).await;
        let fails = !matches!(sent, Ok(Ok(())));
        self.metrics.count(if fails { "failed" } else { "exported" }, spans);
        self.metrics.waiting.record(self.waiting.len() as u64, &[]);
        if fails && !self.fails {
            let why = match sent {
                Ok(Err(error)) => error.to_string(),
                _ => "it took too long".to_owned(),
            };
            tracing::warn!(why, "the collector takes no spans; the work goes on without");
        } else if self.fails && !fails {
            tracing::info!("the collector takes spans again");
        }
        self.fails = fails;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::{error::OTelSdkError, trace::SdkTracerProvider};

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Collector {
        taken: Arc<AtomicUsize>,
        hangs: bool,
    }

    impl SpanExporter for Collector {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            self.taken.fetch_add(batch.len(), Ordering::Relaxed);
            if batch.len() > BATCH {
                return Err(OTelSdkError::InternalFailure("too many at once".into()));
            }
            Ok(())
        }
    }

    fn started(collector: &Collector, settings: &Settings) -> (SdkTracerProvider, Export) {
        let resource = Resource::builder_empty().build();
        let (queue, export) = Queue::start(collector.clone(), &resource, settings);
        (SdkTracerProvider::builder().with_span_processor(queue).build(), export)
    }

    fn end_spans(provider: &SdkTracerProvider, count: usize) {
        let tracer = provider.tracer("test");
        for _ in 0..count {
            drop(tracer.start("test.work.do"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_ended_before_the_end_is_sent_in_batches() {
        let collector = Collector::default();
        let (provider, export) = started(&collector, &Settings::default());
        end_spans(&provider, 2 * BATCH + 7);
        export.finish().await;
        assert_eq!(collector.taken.load(Ordering::Relaxed), 2 * BATCH + 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_span_does_not_wait_long_for_others() {
        let collector = Collector::default();
        let (provider, _export) = started(&collector, &Settings::default());
        end_spans(&provider, 1);
        tokio::time::sleep(2 * LINGER).await;
        assert_eq!(collector.taken.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_that_hangs_holds_nothing_up() {
        let collector = Collector { hangs: true, ..Collector::default() };
        let settings = Settings { otlp_queue_spans: 512, ..Settings::default() };
        let (provider, export) = started(&collector, &settings);
        let begun = Instant::now();
        end_spans(&provider, 10_000);
        assert!(begun.elapsed().is_zero(), "ending a span waits for nobody");
        export.finish().await;
        assert!(begun.elapsed() <= settings.otlp_timeout, "neither does the end for long");
        assert_eq!(collector.taken.load(Ordering::Relaxed), 0);
    }
}

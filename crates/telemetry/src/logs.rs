use std::{fmt, io::IsTerminal};

use opentelemetry::{Context as TraceContext, trace::TraceContextExt};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::{Context, Filter},
    registry::LookupSpan,
};

use crate::LogFormat;

/// Writes logs to standard error.
pub(crate) fn layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if is_json {
        let layer = layer.json().flatten_event(true).with_current_span(false);
        layer.map_event_format(WithTrace).boxed()
    } else {
        layer.compact().with_target(false).boxed()
    }
}

/// Lets events through as the filter says, and no spans: they are for traces, and nothing is spent
/// on them where there are none.
#[derive(Debug)]
pub(crate) struct Events(pub(crate) EnvFilter);

impl<S: Subscriber> Filter<S> for Events {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        metadata.is_event() && Filter::enabled(&self.0, metadata, context)
    }

    fn callsite_enabled(
        &self,
        metadata: &'static Metadata<'static>,
    ) -> tracing::subscriber::Interest {
        if metadata.is_event() {
            Filter::<S>::callsite_enabled(&self.0, metadata)
        } else {
            tracing::subscriber::Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Filter::<S>::max_level_hint(&self.0)
    }
}

/// Adds to a log of JSON in which trace, and at which span of it, it was written.
struct WithTrace<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let place = TraceContext::map_current(|context| {
            let span = context.span().span_context().clone();
            span.is_valid().then(|| (span.trace_id(), span.span_id()))
        });
        let Some((trace, span)) = place else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => {
                write!(writer, r#"{{"trace_id":"{trace}","span_id":"{span}",{rest}"#)
            }
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_within_a_span_tells_its_trace_and_no_other_does() {
        let lines = Lines::default();
        let provider = SdkTracerProvider::builder().build();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let layer = layer.json().flatten_event(true).map_event_format(WithTrace);
        let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry()
            .with(layer.with_filter(Events(EnvFilter::new("info"))))
            .with(traces);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(n = 1, "outside");
            tracing::info_span!("test.work.do").in_scope(|| tracing::info!(n = 2, "inside"));
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let logs: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(logs[0]["trace_id"], serde_json::Value::Null, "{text}");
        assert_eq!((&logs[1]["n"], &logs[1]["message"]), (&2.into(), &"inside".into()), "{text}");
        assert_eq!(logs[1]["trace_id"].as_str().map(str::len), Some(32), "{text}");
        assert_eq!(logs[1]["span_id"].as_str().map(str::len), Some(16), "{text}");
    }

    #[test]
    fn which_logs_are_written_can_be_changed() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let (filter, handle) =
            tracing_subscriber::reload::Layer::new(Events(EnvFilter::new("info")));
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
        tracing::subscriber::with_default(subscriber, || {
            let say = |text: &str| tracing::debug!("{text}");
            say("before");
            handle.reload(Events(EnvFilter::new("debug"))).unwrap();
            say("meanwhile");
            handle.reload(Events(EnvFilter::new("warn"))).unwrap();
            say("after");
            assert!(tracing::info_span!("test.work.skip").is_disabled());
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("meanwhile"), "{text}");
        assert!(!text.contains("before") && !text.contains("after"), "{text}");
    }

    #[test]
    fn logs_alone_spend_nothing_on_spans() {
        let layer = tracing_subscriber::fmt::layer().with_writer(io::sink);
        let subscriber =
            tracing_subscriber::registry().with(layer.with_filter(Events(EnvFilter::new("trace"))));
        tracing::subscriber::with_default(subscriber, || {
            assert!(tracing::info_span!("test.work.skip").is_disabled());
        });
    }
}

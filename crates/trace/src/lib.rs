//! Where a piece of work stands in its trace: told to others, and gone on with from what they tell.
//!
//! Spans are made with `tracing`, and are free where nobody collects them: nothing is told then.

mod parent;
mod timed;

pub use parent::{InvalidTraceParent, TraceParent};
pub use timed::{Exemplar, Timed, exemplars, timed};

use opentelemetry::{Context, ContextGuard, trace::TraceContextExt};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The place of some work in its trace, taken along to another thread.
#[derive(Clone, Debug)]
pub struct Place(Option<Context>);

impl Place {
    /// Takes that of the work at hand.
    pub fn here() -> Self {
        Self(current().map(|_| Context::current()))
    }

    /// Makes it the place of what this thread does, until what this returns is dropped.
    pub fn enter(&self) -> Option<ContextGuard> {
        self.0.clone().map(Context::attach)
    }
}

/// Returns where the work at hand stands, if it is traced.
pub fn current() -> Option<TraceParent> {
    Context::map_current(|context| TraceParent::of(context.span().span_context()))
}

/// Returns where `span` stands, if it is traced. From here on its parent cannot be changed.
pub fn of(span: &Span) -> Option<TraceParent> {
    if span.is_disabled() {
        return None;
    }
    TraceParent::of(span.context().span().span_context())
}

/// Makes a span where the work at hand is traced, and else none: it would begin a trace of its own.
pub fn within(make: impl FnOnce() -> Span) -> Span {
    if current().is_some() { make() } else { Span::none() }
}

/// Lets a span that nobody has entered go on with the trace of `parent`.
pub fn go_on(span: &Span, parent: Option<TraceParent>) {
    let Some(parent) = parent.filter(|_| !span.is_disabled()) else { return };
    let context = Context::new().with_remote_span_context(parent.to_context());
    // Where it fails nobody collects spans, or the span stands in a trace already.
    drop(span.set_parent(context));
}

/// Says that a span has to do with `other`, of another trace or of this one.
pub fn link(span: &Span, other: Option<TraceParent>) {
    let Some(other) = other.filter(|_| !span.is_disabled()) else { return };
    span.add_link(other.to_context());
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::{
        error::OTelSdkResult,
        trace::{SdkTracerProvider, Span as SdkSpan, SpanData, SpanProcessor},
    };
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Kept {
        fn on_start(&self, _: &mut SdkSpan, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span);
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    fn traced(work: impl FnOnce()) -> Vec<SpanData> {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_span_processor(kept.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, work);
        let spans = kept.0.lock().unwrap();
        spans.clone()
    }

    #[test]
    fn a_span_goes_on_with_a_trace_from_elsewhere_and_tells_where_it_stands() {
        let begun: TraceParent =
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
        let linked: TraceParent =
            "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-00".parse().unwrap();
        let mut told = (None, None);
        let spans = traced(|| {
            let span = tracing::info_span!(parent: None, "later");
            go_on(&span, Some(begun));
            link(&span, Some(linked));
            told = (of(&span), span.in_scope(current));
        });
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(span.parent_span_id, begun.to_context().span_id());
        assert_eq!(TraceParent::of(&span.span_context), told.0);
        assert_eq!(told.0, told.1);
        assert!(told.0.is_some_and(|it| it.is_sampled() && it.is_of_trace_of(begun)));
        assert_eq!(TraceParent::of(&span.links[0].span_context), Some(linked));
    }

    #[test]
    fn where_nobody_collects_spans_nothing_is_told() {
        let span = tracing::info_span!(parent: None, "unseen");
        go_on(&span, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok());
        assert_eq!((of(&span), span.in_scope(current)), (None, None));
    }
}

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::CollectedSpan;

/// What one message cost beside its model, by its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overhead {
    /// From Discord's dispatch to the task thread.
    pub queued: Duration,
    /// From the task thread to the first request to the provider.
    pub before: Duration,
    /// Between one request to the provider and the next.
    pub between: Duration,
    /// From the provider's last byte to the request to Discord.
    pub after: Duration,
}

impl Overhead {
    /// Reads what each message cost whose whole trace is there.
    pub fn of(spans: &[CollectedSpan]) -> Vec<Self> {
        let mut traces: BTreeMap<&str, Vec<&CollectedSpan>> = BTreeMap::new();
        for span in spans {
            traces.entry(&span.trace).or_default().push(span);
        }
        traces.values().filter_map(|trace| Self::of_trace(trace)).collect()
    }

    fn of_trace(trace: &[&CollectedSpan]) -> Option<Self> {
        let named = |name: &str| trace.iter().find(|span| span.name == name);
        let dispatch = named("gateway.dispatch.publish")?;
        let thread = named("orchestrator.task_thread.run")?;
        let reply = named("POST /channels/{id}/messages")?;
        let asked: BTreeSet<_> = trace
            .iter()
            .filter(|span| span.name.starts_with("chat "))
            .map(|span| (span.started_ns, span.ended_ns))
            .collect();
        let (first, last) = (asked.first()?, asked.last()?);
        let pauses = asked.iter().zip(asked.iter().skip(1));
        let between = pauses.map(|((_, ended), (started, _))| started.saturating_sub(*ended)).sum();
        let since = |from: u64, to: u64| Duration::from_nanos(to.saturating_sub(from));
        Some(Self {
            queued: since(dispatch.started_ns, thread.started_ns),
            before: since(thread.started_ns, first.0),
            between: Duration::from_nanos(between),
            after: since(last.1, reply.started_ns),
        })
    }

    /// Returns all of it together.
    pub fn whole(&self) -> Duration {
        self.queued + self.before + self.between + self.after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SpanKind;

    fn span(trace: &str, name: &str, started_ms: u64, ended_ms: u64) -> CollectedSpan {
        CollectedSpan {
            service: "any".to_owned(),
            name: name.to_owned(),
            trace: trace.to_owned(),
            id: format!("{trace}{name}{started_ms}"),
            parent: String::new(),
            kind: SpanKind::Internal,
            attributes: BTreeMap::new(),
            links: Vec::new(),
            is_error: false,
            started_ns: started_ms * 1_000_000,
            ended_ns: ended_ms * 1_000_000,
        }
    }

    #[test]
    fn what_the_model_takes_is_no_overhead_and_half_a_trace_none() {
        let spans = [
            span("a", "gateway.dispatch.publish", 10, 12),
            span("a", "chat m", 100, 200),
            span("a", "orchestrator.task_thread.run", 13, 300),
            span("a", "chat m", 20, 50),
            span("a", "POST /channels/{id}/messages", 205, 210),
            span("b", "gateway.dispatch.publish", 10, 12),
            span("b", "chat m", 20, 50),
        ];
        let [overhead] = Overhead::of(&spans)[..] else { panic!("one trace is whole") };
        let ms = Duration::from_millis;
        let expected = Overhead { queued: ms(3), before: ms(7), between: ms(50), after: ms(5) };
        assert_eq!((overhead, overhead.whole()), (expected, ms(65)));
    }
}

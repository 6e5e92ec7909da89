use std::{
    collections::HashMap,
    fmt,
    sync::{LazyLock, Mutex, PoisonError},
    time::SystemTime,
};

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter},
};

use crate::TraceParent;

/// A series of a histogram: its name, and its labels in order.
type Series = (&'static str, Vec<(String, String)>);

/// What fell last in each bucket of each series, of what was traced.
static SEEN: LazyLock<Mutex<HashMap<Series, Vec<Option<Exemplar>>>>> =
    LazyLock::new(Mutex::default);

/// A measurement that stands for all of its bucket, and the trace in which it was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    trace: TraceParent,
    pub seconds: f64,
    pub at: SystemTime,
}

impl Exemplar {
    /// Returns the id of the trace.
    pub fn trace_id(&self) -> impl fmt::Display {
        self.trace.trace()
    }
}

/// A histogram of seconds, of which one gets from a bucket to a trace.
#[derive(Clone, Debug)]
pub struct Timed {
    name: &'static str,
    bounds: Vec<f64>,
    histogram: Histogram<f64>,
}

/// Makes a histogram of seconds; `name` is the one under which it is exported.
pub fn timed(meter: &Meter, name: &'static str, about: &'static str, bounds: Vec<f64>) -> Timed {
    let histogram = meter.f64_histogram(name).with_description(about);
    let histogram = histogram.with_boundaries(bounds.clone()).build();
    Timed { name, bounds, histogram }
}

impl Timed {
    /// Records how long something took, and the trace of the work at hand.
    pub fn record(&self, seconds: f64, labels: &[KeyValue]) {
        self.record_of(crate::current(), seconds, labels);
    }

    /// Records how long something took that belongs to a trace, if it was traced.
    #[expect(clippy::disallowed_methods, reason = "spans tell the system's time, too")]
    pub fn record_of(&self, place: Option<TraceParent>, seconds: f64, labels: &[KeyValue]) {
        self.histogram.record(seconds, labels);
        let Some(trace) = place.filter(|place| place.is_sampled()) else { return };
        let labels =
            labels.iter().map(|label| (label.key.to_string(), label.value.as_str().into_owned()));
        let series = (self.name, in_order(labels));
        let bucket = self.bounds.iter().take_while(|bound| seconds > **bound).count();
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = seen.entry(series).or_insert_with(|| vec![None; self.bounds.len() + 1]);
        buckets[bucket] = Some(Exemplar { trace, seconds, at: SystemTime::now() });
    }
}

/// Returns for each bucket of a series what fell last in it, the lowest first; nothing where none of it
/// was traced.
pub fn exemplars(name: &str, labels: &[(&str, &str)]) -> Vec<Option<Exemplar>> {
    let labels = in_order(labels.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let is_it = |(series, _): &(&Series, _)| series.0 == name && series.1 == labels;
    seen.iter().find(is_it).map(|(_, buckets)| buckets.clone()).unwrap_or_default()
}

fn in_order(labels: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut labels: Vec<_> = labels.collect();
    labels.sort_unstable();
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_trace_of_each_bucket_is_remembered() {
        let place = |digit: u8, flags: &str| -> Option<TraceParent> {
            let text = format!("00-{}-b7ad6b7169203331-{flags}", digit.to_string().repeat(32));
            Some(text.parse().unwrap())
        };
        let meter = opentelemetry::global::meter("test");
        let timed = timed(&meter, "remembered_seconds", "how long", vec![0.1, 1.0]);
        let labels = [KeyValue::new("b", "x"), KeyValue::new("a", 7)];
        timed.record_of(place(1, "01"), 0.1, &labels);
        timed.record_of(place(2, "01"), 0.05, &labels);
        timed.record_of(place(3, "00"), 0.5, &labels);
        timed.record_of(None, 0.5, &labels);
        timed.record_of(place(4, "01"), 7.0, &labels);
        let found = exemplars("remembered_seconds", &[("a", "7"), ("b", "x")]);
        let found: Vec<_> = found
            .iter()
            .map(|it| it.map(|it| (it.trace_id().to_string()[..1].to_owned(), it.seconds)))
            .collect();
        assert_eq!(found, [Some(("2".into(), 0.05)), None, Some(("4".into(), 7.0))]);
        assert!(exemplars("remembered_seconds", &[("a", "7")]).is_empty());
    }
}

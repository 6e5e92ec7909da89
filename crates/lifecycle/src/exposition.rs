//! Metrics as Prometheus reads them.

use std::{
    fmt::{self, Write as _},
    time::SystemTime,
};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// What stands for a bucket of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub trace_id: String,
    pub value: f64,
    pub at: SystemTime,
}

/// Finds what stands for each bucket of a series, by its name and labels; nothing where none is known.
pub type FindExemplars = fn(&str, &[(&str, &str)]) -> Vec<Option<Exemplar>>;

/// What `OpenMetrics` calls itself.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels that the exporter adds of itself.
const OF_EXPORTER: &str = "otel_scope_";

/// Writes metrics out in the text format of `OpenMetrics`, histograms with what stands for their buckets.
///
/// Source: `OpenMetrics` 1.0, "Text format".
pub(crate) fn open_metrics(families: &[MetricFamily], find: FindExemplars) -> String {
    let mut text = String::new();
    for family in families {
        write_family(&mut text, family, find).expect("writing to a string cannot fail");
    }
    text.push_str("# EOF\n");
    text
}

fn write_family(text: &mut String, family: &MetricFamily, find: FindExemplars) -> fmt::Result {
    let kind = family.get_field_type();
    let name = match kind {
        MetricType::COUNTER => family.name().strip_suffix("_total").unwrap_or(family.name()),
        _ => family.name(),
    };
    let word = match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        // None of ours is of another kind.
        MetricType::SUMMARY | MetricType::UNTYPED => return Ok(()),
    };
    writeln!(text, "# TYPE {name} {word}")?;
    if !family.help().is_empty() {
        writeln!(text, "# HELP {name} {}", escaped(family.help()))?;
    }
    for metric in family.get_metric() {
        let labels = metric.get_label();
        match kind {
            MetricType::COUNTER => {
                let value = number(metric.get_counter().get_value());
                writeln!(text, "{name}_total{} {value}", Labels(labels, None))?;
            }
            MetricType::HISTOGRAM => write_histogram(text, name, metric, find)?,
            _ => {
                let value = number(metric.get_gauge().get_value());
                writeln!(text, "{name}{} {value}", Labels(labels, None))?;
            }
        }
    }
    Ok(())
}

fn write_histogram(
    text: &mut String,
    name: &str,
    metric: &Metric,
    find: FindExemplars,
) -> fmt::Result {
    let (labels, histogram) = (metric.get_label(), metric.get_histogram());
    let own = labels.iter().filter(|label| !label.name().starts_with(OF_EXPORTER));
    let own: Vec<_> = own.map(|label| (label.name(), label.value())).collect();
    let exemplars = find(name, &own);
    let finite = histogram.get_bucket().iter().filter(|it| it.upper_bound().is_finite());
    let buckets = finite
        .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
        .chain([(f64::INFINITY, histogram.get_sample_count())]);
    for (index, (bound, count)) in buckets.enumerate() {
        write!(text, "{name}_bucket{} {count}", Labels(labels, Some(bound)))?;
        if let Some(exemplar) = exemplars.get(index).and_then(Option::as_ref) {
            let at = exemplar.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let Exemplar { trace_id, value, .. } = exemplar;
            let (value, at) = (number(*value), at.as_secs_f64());
            write!(text, " # {{trace_id=\"{}\"}} {value} {at:.3}", escaped(trace_id))?;
        }
        text.push('\n');
    }
    writeln!(text, "{name}_count{} {}", Labels(labels, None), histogram.get_sample_count())?;
    let sum = number(histogram.get_sample_sum());
    writeln!(text, "{name}_sum{} {sum}", Labels(labels, None))
}

/// Labels as they are written, with the bound of a bucket behind them.
struct Labels<'a>(&'a [LabelPair], Option<f64>);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(labels, bound) = self;
        let named = labels.iter().map(|it| (it.name().to_owned(), escaped(it.value())));
        let bound = bound.map(|bound| ("le".to_owned(), number(bound)));
        let all: Vec<_> =
            named.chain(bound).map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        if all.is_empty() { Ok(()) } else { write!(f, "{{{}}}", all.join(",")) }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

/// Writes a number as the text format has it: whole ones with a point, too.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        format!("{value:?}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::{
        HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
    };

    use super::*;

    fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: &C) {
        registry.register(Box::new(collector.clone())).unwrap();
    }

    #[test]
    fn counters_gauges_and_histograms_are_written_with_their_traces() {
        let registry = Registry::new();
        let calls = IntCounterVec::new(Opts::new("calls_total", "how \"many\""), &["of"]).unwrap();
        register(&registry, &calls);
        calls.with_label_values(&["a\\b\n"]).inc();
        let waiting = IntGauge::new("waiting", "how many").unwrap();
        register(&registry, &waiting);
        let options = HistogramOpts::new("took_seconds", "how long").buckets(vec![0.000_25, 1.0]);
        let took = HistogramVec::new(options, &["of", "otel_scope_name"]).unwrap();
        register(&registry, &took);
        took.with_label_values(&["x", "ery"]).observe(0.5);
        took.with_label_values(&["x", "ery"]).observe(7.0);
        let find = |name: &str, labels: &[(&str, &str)]| -> Vec<Option<Exemplar>> {
            assert_eq!((name, labels), ("took_seconds", &[("of", "x")][..]));
            let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
            vec![None, Some(Exemplar { trace_id: "0af7".to_owned(), value: 0.5, at })]
        };
        let expected = r#"# TYPE calls counter
# HELP calls how \"many\"
calls_total{of="a\\b\n"} 1.0
# TYPE took_seconds histogram
# HELP took_seconds how long
took_seconds_bucket{of="x",otel_scope_name="ery",le="0.00025"} 0
took_seconds_bucket{of="x",otel_scope_name="ery",le="1.0"} 1 # {trace_id="0af7"} 0.5 1.500
took_seconds_bucket{of="x",otel_scope_name="ery",le="+Inf"} 2
took_seconds_count{of="x",otel_scope_name="ery"} 2
took_seconds_sum{of="x",otel_scope_name="ery"} 7.5
# TYPE waiting gauge
# HELP waiting how many
waiting 0.0
# EOF
"#;
        assert_eq!(open_metrics(&registry.gather(), find), expected);
    }

    #[test]
    fn numbers_are_as_the_format_has_them() {
        let numbers = [1.0, 0.000_25, 1e-5, 1e21, f64::INFINITY, f64::NAN].map(number);
        assert_eq!(numbers, ["1.0", "0.00025", "1e-5", "1e21", "+Inf", "NaN"]);
    }
}

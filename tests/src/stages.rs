use std::collections::BTreeMap;

use anyhow::Context;

use crate::Ery;

/// The orchestrator's own histograms: how long each stage of task threads took.
const STAGES: &str = "ery_orchestrator_stage_duration_seconds";
/// How long messages waited between Discord and their task thread.
const WAITS: &str = "ery_orchestrator_wait_duration_seconds";
/// How long the tool-service took to decide on what events had told it.
const DECISIONS: &str = "ery_tool_decision_seconds";

/// What the histograms of all processes together count, by stage.
#[derive(Clone, Debug, Default)]
pub struct Stages(BTreeMap<String, Histogram>);

/// Counts by upper bound, each including those below it.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    sum_seconds: f64,
    buckets: Vec<(f64, f64)>,
}

/// How long one stage took.
#[derive(Clone, Debug, PartialEq)]
pub struct StageTime {
    pub stage: String,
    pub count: f64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Stages {
    /// Reads the histograms of every process that has them, from its `/metrics`.
    pub async fn read(processes: &[&Ery]) -> anyhow::Result<Self> {
        let mut stages = Self::default();
        for process in processes {
            stages.add(&process.metrics().await?)?;
        }
        Ok(stages)
    }

    fn add(&mut self, text: &str) -> anyhow::Result<()> {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let Some((metric, part)) = name.rsplit_once('_') else { continue };
            let unlabelled = match metric {
                STAGES => None,
                WAITS => Some("wait"),
                DECISIONS if label(labels, "state") == Some("known") => Some("decide"),
                _ => continue,
            };
            let value: f64 = value.parse().with_context(|| line.to_owned())?;
            let stage =
                unlabelled.or_else(|| label(labels, "stage")).with_context(|| line.to_owned())?;
            let stage = stage.to_owned();
            let histogram = self.0.entry(stage).or_default();
            match part {
                "sum" => histogram.sum_seconds += value,
                "bucket" => {
                    histogram.add(bound(labels, line)?, value);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns what was counted since `before`, in the order in which a message meets the stages.
    pub fn since(&self, before: &Self) -> Vec<StageTime> {
        let order = [
            "wait", "open", "begin", "orders", "model", "tool", "decide", "answer", "finish",
            "whole",
        ];
        let known = order.iter().filter_map(|stage| Some((*stage, self.0.get(*stage)?)));
        known
            .map(|(stage, now)| (stage, now.since(before.0.get(stage))))
            .filter(|(_, histogram)| histogram.count() > 0.0)
            .map(|(stage, histogram)| StageTime {
                stage: stage.to_owned(),
                count: histogram.count(),
                mean_ms: histogram.sum_seconds / histogram.count() * 1_000.0,
                p50_ms: histogram.at(0.50) * 1_000.0,
                p99_ms: histogram.at(0.99) * 1_000.0,
            })
            .collect()
    }
}

impl Histogram {
    /// Reads a histogram without labels from what a process's `/metrics` says.
    ///
    /// # Errors
    ///
    /// If a line of it cannot be read.
    pub fn read(text: &str, metric: &str) -> anyhow::Result<Self> {
        let mut histogram = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Some((name, labels)) = series.split_once('{') else { continue };
            if name.strip_suffix("_bucket") == Some(metric) {
                histogram
                    .add(bound(labels, line)?, value.parse().with_context(|| line.to_owned())?);
            }
        }
        Ok(histogram)
    }

    fn add(&mut self, bound: f64, count: f64) {
        match self.buckets.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
            Some((_, known)) => *known += count,
            None => self.buckets.push((bound, count)),
        }
        self.buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    }

    fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |(_, count)| *count)
    }

    /// Returns what was counted since `before` was read.
    #[must_use]
    pub fn since(&self, before: Option<&Self>) -> Self {
        let Some(before) = before else { return self.clone() };
        let earlier = |bound: f64| {
            let found = before.buckets.iter().find(|(known, _)| known.total_cmp(&bound).is_eq());
            found.map_or(0.0, |(_, count)| *count)
        };
        Self {
            sum_seconds: self.sum_seconds - before.sum_seconds,
            buckets: self
                .buckets
                .iter()
                .map(|(bound, count)| (*bound, count - earlier(*bound)))
                .collect(),
        }
    }

    /// Returns the value below which this share lies, evenly spread within its bucket; the highest
    /// bound where it lies above all of them.
    pub fn at(&self, share: f64) -> f64 {
        let wanted = self.count() * share;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in &self.buckets {
            if *count >= wanted && bound.is_finite() {
                let within = if *count > below { (wanted - below) / (count - below) } else { 1.0 };
                return lower + (bound - lower) * within;
            }
            if bound.is_finite() {
                (lower, below) = (*bound, *count);
            }
        }
        lower
    }
}

fn bound(labels: &str, line: &str) -> anyhow::Result<f64> {
    let bound = label(labels, "le").with_context(|| line.to_owned())?;
    Ok(if bound == "+Inf" { f64::INFINITY } else { bound.parse()? })
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let pairs = labels.trim_end_matches('}').split(',');
    let found = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    found.map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(open: [u32; 3], sum: f64) -> Stages {
        let mut stages = Stages::default();
        let [fast, slow, all] = open;
        let text = format!(
            "# HELP {STAGES} how long\n\
             {STAGES}_bucket{{otel_scope_name=\"x\",stage=\"open\",le=\"0.001\"}} {fast}\n\
             {STAGES}_bucket{{otel_scope_name=\"x\",stage=\"open\",le=\"0.01\"}} {slow}\n\
             {STAGES}_bucket{{otel_scope_name=\"x\",stage=\"open\",le=\"+Inf\"}} {all}\n\
             {STAGES}_sum{{otel_scope_name=\"x\",stage=\"open\"}} {sum}\n\
             {STAGES}_count{{otel_scope_name=\"x\",stage=\"open\"}} {all}\n\
             {WAITS}_bucket{{le=\"+Inf\"}} 0\n"
        );
        stages.add(&text).unwrap();
        stages
    }

    #[test]
    fn a_stage_is_told_from_what_was_counted_since() {
        let times = stages([60, 110, 110], 0.5).since(&stages([10, 10, 10], 0.2));
        assert_eq!(times.len(), 1, "nothing waited: {times:?}");
        let open = &times[0];
        assert!((open.count - 100.0).abs() < 1e-9 && (open.mean_ms - 3.0).abs() < 1e-9, "{open:?}");
        // Half of them lie at the first bound, and 99 of 100 nearly at the second.
        assert!((open.p50_ms - 1.0).abs() < 1e-9, "{open:?}");
        assert!((open.p99_ms - 9.82).abs() < 1e-9, "{open:?}");
    }

    #[test]
    fn what_lies_above_every_bound_is_told_as_the_highest() {
        let times = stages([0, 0, 10], 1.0).since(&Stages::default());
        assert!((times[0].p99_ms - 10.0).abs() < 1e-9, "{times:?}");
    }

    #[test]
    fn processes_add_up() {
        let mut both = stages([1, 1, 1], 0.1);
        both.add(&format!("{STAGES}_bucket{{stage=\"open\",le=\"+Inf\"}} 4\n")).unwrap();
        assert!((both.since(&Stages::default())[0].count - 5.0).abs() < 1e-9);
    }
}

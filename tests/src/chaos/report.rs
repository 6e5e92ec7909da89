//! What a run tells: a line for each thing that happens, counts at the end, evidence if needed.

use std::{
    collections::BTreeMap,
    fmt,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    Mode, Options,
    checker::{Evidence, Rule, Verdict},
    fleet::Fleet,
};

/// How many violations are shown; all stand in the evidence.
const SHOWN: usize = 20;

/// Says what happens as it happens, and remembers it.
pub struct Diary {
    begun: Instant,
    lines: Mutex<Vec<String>>,
    counts: Mutex<BTreeMap<String, usize>>,
}

impl Diary {
    pub fn new() -> Self {
        Self { begun: Instant::now(), lines: Mutex::default(), counts: Mutex::default() }
    }

    #[expect(clippy::print_stdout, reason = "the schedule is what somebody watches")]
    pub fn say(&self, what: impl fmt::Display) {
        let line = format!("{:8.2} s  {what}", self.begun.elapsed().as_secs_f64());
        println!("{line}");
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub fn count(&self, kind: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(kind.to_owned()).or_default() += 1;
    }

    pub fn elapsed(&self) -> std::time::Duration {
        self.begun.elapsed()
    }

    fn counts(&self) -> BTreeMap<String, usize> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn text(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub mode: Mode,
    pub seed: u64,
    pub messages: usize,
    pub model_requests: usize,
    pub takeovers: usize,
    /// What was done to the platform, by kind.
    pub done: BTreeMap<String, usize>,
    /// Processes that ended without being made to.
    pub ended_by_themselves: Vec<String>,
    pub verdict: Verdict,
    /// How long messages waited for their answers, in milliseconds: half of them, nearly all, all.
    pub waited_ms: [u64; 3],
    /// What this mode measures, in words.
    pub measured: Vec<String>,
    /// What it measured and should not be so.
    pub missed: Vec<String>,
    /// Where the evidence is, if something is wrong.
    pub evidence: Option<PathBuf>,
}

impl Report {
    /// Makes the report, and keeps the evidence if something is wrong.
    pub async fn make(
        options: &Options,
        fleet: &Fleet,
        diary: &Diary,
        evidence: &Evidence,
        verdict: Verdict,
        ended_by_themselves: Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut report = Self {
            mode: options.mode,
            seed: options.seed,
            messages: evidence.said.len(),
            model_requests: evidence.requests.len(),
            takeovers: fleet.count_lines("orchestrator", "taking over a task thread").await,
            done: diary.counts(),
            ended_by_themselves,
            verdict,
            waited_ms: waited(evidence),
            measured: Vec::new(),
            missed: Vec::new(),
            evidence: None,
        };
        if !report.verdict.violations.is_empty() || !report.ended_by_themselves.is_empty() {
            report.evidence = Some(keep(options, fleet, diary, evidence, &report).await?);
        }
        Ok(report)
    }

    /// Returns how many processes and servers were killed.
    pub fn kills(&self) -> usize {
        self.done.iter().filter(|(kind, _)| kind.starts_with("kill")).map(|(_, count)| count).sum()
    }

    pub fn is_good(&self) -> bool {
        self.verdict.violations.is_empty() && self.missed.is_empty()
    }
}

/// Returns how long messages waited: the median, the 99th percentile, the longest.
pub(super) fn waited(evidence: &Evidence) -> [u64; 3] {
    let mut first: BTreeMap<u64, u64> = BTreeMap::new();
    for effect in &evidence.effects {
        if let super::effects::Deed::Message { covers, .. } = &effect.deed {
            for message in covers {
                first.entry(*message).or_insert(effect.at_ms);
            }
        }
    }
    let said = evidence.said.keys().filter_map(|message| {
        Some(first.get(message)?.saturating_sub(super::effects::said_at_ms(*message)))
    });
    percentiles(said.collect())
}

/// Returns the median, the 99th percentile and the greatest.
pub(super) fn percentiles(mut values: Vec<u64>) -> [u64; 3] {
    values.sort_unstable();
    let at = |share: usize| {
        let index = (values.len() * share / 100).min(values.len().saturating_sub(1));
        values.get(index).copied().unwrap_or(0)
    };
    [at(50), at(99), values.last().copied().unwrap_or(0)]
}

async fn keep(
    options: &Options,
    fleet: &Fleet,
    diary: &Diary,
    evidence: &Evidence,
    report: &Report,
) -> anyhow::Result<PathBuf> {
    let name = format!("{:?}-{}-{}", options.mode, options.seed, super::now_ms()).to_lowercase();
    let folder = options.evidence.join(name);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text);
    write("schedule.log", diary.text())?;
    write("report.json", serde_json::to_string_pretty(report)?)?;
    write("model.jsonl", lines(&evidence.requests)?)?;
    write("effects.jsonl", lines(&evidence.effects)?)?;
    write("said.json", serde_json::to_string(&evidence.said)?)?;
    write("excerpts.txt", excerpts(evidence, &report.verdict)?)?;
    fleet.write_outputs(&folder).await?;
    let log = fleet.sim.log(0).await?;
    write("discord.jsonl", lines(&log)?)?;
    let folder: &Path = &folder;
    Ok(folder.to_owned())
}

fn lines<T: Serialize>(items: &[T]) -> anyhow::Result<String> {
    let lines: Result<Vec<_>, _> = items.iter().map(serde_json::to_string).collect();
    Ok(lines?.join("\n"))
}

/// Puts together, for each violation, what happened in its channel to its message.
fn excerpts(evidence: &Evidence, verdict: &Verdict) -> anyhow::Result<String> {
    let mut text = String::new();
    for violation in verdict.violations.iter().take(200) {
        writeln!(text, "{violation}")?;
        for request in &evidence.requests {
            if request.triggers.contains(&violation.message) {
                writeln!(text, "  asked  {}", serde_json::to_string(request)?)?;
            }
        }
        let near = evidence.effects.iter().filter(|it| it.channel == violation.channel);
        let near: Vec<_> = near.collect();
        let about = format!("{}", violation.message);
        for effect in near {
            let line = serde_json::to_string(effect)?;
            if line.contains(&about) {
                writeln!(text, "  seen   {line}")?;
            }
        }
        text.push('\n');
    }
    Ok(text)
}

impl fmt::Display for super::checker::Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, channel, message, what } = self;
        write!(f, "{}: message {message} in channel {channel}: {what}", rule.name())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.verdict;
        writeln!(f, "\n{:?}, seed {}", self.mode, self.seed)?;
        writeln!(
            f,
            "messages {}: {} answers by the model, {} by code, {} dead letters",
            self.messages, verdict.answers, verdict.apologies, verdict.dead_letters
        )?;
        let [half, most, all] = self.waited_ms;
        writeln!(f, "waited for an answer: p50 {half} ms, p99 {most} ms, at most {all} ms")?;
        writeln!(f, "model requests {}, takeovers {}", self.model_requests, self.takeovers)?;
        let done: Vec<_> =
            self.done.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        writeln!(f, "kills {}; done: {}", self.kills(), done.join(", "))?;
        if !self.ended_by_themselves.is_empty() {
            writeln!(f, "ended by themselves: {}", self.ended_by_themselves.join(", "))?;
        }
        for measured in &self.measured {
            writeln!(f, "{measured}")?;
        }
        let count = |rule| verdict.count(rule);
        writeln!(
            f,
            "lost {}, duplicates {}, disorder {}, overlaps {}, fenced violations {}, unsound {}",
            count(Rule::NothingLost),
            count(Rule::OnceVisible),
            count(Rule::Order),
            count(Rule::OneThread),
            count(Rule::Fenced),
            count(Rule::Sound),
        )?;
        for violation in verdict.violations.iter().take(SHOWN) {
            writeln!(f, "  {violation}")?;
        }
        if verdict.violations.len() > SHOWN {
            writeln!(f, "  … and {} more", verdict.violations.len() - SHOWN)?;
        }
        for missed in &self.missed {
            writeln!(f, "MISSED: {missed}")?;
        }
        if let Some(folder) = &self.evidence {
            writeln!(f, "evidence: {}", folder.display())?;
        }
        Ok(())
    }
}

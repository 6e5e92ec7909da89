//! The settings' file, looked at again while the process runs: what can change live does, and what
//! cannot is named.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use ery_community_config::SharedBase;
use ery_lifecycle::Tasks;
use ery_settings::{Sources, Values};
use ery_telemetry::LogFilter;

use crate::{services, settings::Settings};

/// How often the file, and the files that it names, are looked at. They are small, and notices of
/// changes do not pass through every kind of mount: a folder of a container's host, a `ConfigMap`.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

/// Says what a process was started with, and what of it can change while it runs.
pub(crate) struct Watch {
    sources: Sources,
    values: Values,
    /// What the last look found, where that was something else: it counts once the next look finds the
    /// same, so that a file which is being written is not taken for what it will say.
    seen: Option<Values>,
    /// The file from which they came: it may not go away.
    file: Option<PathBuf>,
    /// Below what communities set.
    base: SharedBase,
    /// Which logs are written; none where that cannot be changed.
    log: Option<LogFilter>,
}

/// The setting that says which logs are written.
const LOG: &str = "telemetry.log";

/// What came of a look.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Same,
    /// The keys that are in force now, and those that need a restart.
    Changed {
        live: Vec<String>,
        later: Vec<String>,
    },
    Unusable(String),
}

impl Watch {
    pub(crate) fn new(
        sources: &Sources,
        values: Values,
        base: SharedBase,
        log: Option<LogFilter>,
    ) -> Self {
        let sources = sources.clone();
        let file = sources.file.clone().unwrap_or_else(|| PathBuf::from("ery.toml"));
        let file = file.is_file().then_some(file);
        Self { sources, values, seen: None, file, base, log }
    }

    /// Looks until the process drains.
    pub(crate) fn spawn(mut self, tasks: &Tasks) {
        let draining = tasks.draining();
        tasks.spawn_work("settings", async move {
            let mut told = None;
            loop {
                tokio::select! {
                    () = draining.cancelled() => return,
                    () = tokio::time::sleep(LOOKED_AT_EVERY) => {}
                }
                match self.look() {
                    Look::Same => told = None,
                    Look::Changed { live, later } => {
                        told = None;
                        tell(&live, &later);
                    }
                    // Once for each mistake, however long it stands.
                    Look::Unusable(error) if told.as_ref() != Some(&error) => {
                        tracing::error!(
                            error,
                            "the settings have changed and cannot be used; what was in force stays"
                        );
                        told = Some(error);
                    }
                    Look::Unusable(_) => {}
                }
            }
        });
    }

    fn look(&mut self) -> Look {
        if let Some(gone) = self.file.as_ref().filter(|file| !file.is_file()) {
            return Look::Unusable(format!("`{}` is not there any more", gone.display()));
        }
        let (settings, values) = match Settings::load_whole(&self.sources) {
            Ok(loaded) => loaded,
            Err(failure) => return Look::Unusable(failure.text().to_owned()),
        };
        let changed = self.values.changed(&values);
        if changed.is_empty() {
            self.seen = None;
            return Look::Same;
        }
        if self.seen.replace(values.clone()).as_ref() != Some(&values) {
            return Look::Same;
        }
        if let Some(log) = self.log.as_ref().filter(|_| changed.iter().any(|key| key == LOG))
            && let Err(error) = log.set(&settings.telemetry.log)
        {
            return Look::Unusable(error.to_string());
        }
        self.values = values;
        self.base.set(services::config_base(&settings));
        let logs_live = self.log.is_some();
        let (live, later) =
            changed.into_iter().partition(|key| is_live(key) || logs_live && key == LOG);
        Look::Changed { live, later }
    }
}

fn tell(live: &[String], later: &[String]) {
    if !live.is_empty() {
        tracing::info!(keys = live.join(", "), "settings have changed, and are in force");
    }
    if !later.is_empty() {
        tracing::warn!(
            keys = later.join(", "),
            "settings have changed, and take a restart of this process to be in force"
        );
    }
}

/// Whether a setting is in force at once; one of several tables deep is by its table.
fn is_live(key: &str) -> bool {
    live_keys().iter().any(|live| {
        key.strip_prefix(live.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// The settings that can change while a process runs: those below what communities set.
fn live_keys() -> BTreeSet<String> {
    let of = |table: &'static str, keys: &'static [&'static str]| {
        keys.iter().map(move |key| format!("{table}.{key}"))
    };
    of("orchestrator", ery_orchestrator::Settings::LIVE)
        .chain(of("tool_service", ery_tool_service::Settings::LIVE))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde_json::json;

    use super::*;

    fn watch(file: &Path) -> Watch {
        let sources =
            Sources { file: Some(file.to_owned()), variables: Vec::new(), flags: Vec::new() };
        let (settings, values) = Settings::load_whole(&sources).unwrap();
        let base = services::config_base(&settings).into();
        Watch::new(&sources, values, base, None)
    }

    /// Looks twice: what counts is what two looks find.
    fn looks(watch: &mut Watch) -> Look {
        assert_eq!(watch.look(), Look::Same, "it may be half written");
        watch.look()
    }

    #[test]
    fn what_can_change_live_does_and_what_cannot_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ery.toml");
        fs::write(&file, "[orchestrator]\nengage = \"addressed\"\n").unwrap();
        let mut watch = watch(&file);
        assert_eq!(watch.look(), Look::Same);

        let text = "[orchestrator]\nengage = \"off\"\nparts = 3\n[tool_service.policy]\nban_member = \"ask\"\n";
        fs::write(&file, text.replace("parts = 3\n", "store_timeout = \"7s\"\n")).unwrap();
        let live = ["orchestrator.engage", "tool_service.policy.ban_member"].map(str::to_owned);
        let later = vec!["orchestrator.store_timeout".to_owned()];
        assert_eq!(looks(&mut watch), Look::Changed { live: live.into(), later });
        let base = services::config_base(&Settings::load(&watch.sources).unwrap()).of(1);
        assert_eq!(base["gate.engage"], json!("off"));
        assert_eq!(watch.look(), Look::Same);
    }

    #[test]
    fn a_file_that_cannot_be_used_changes_nothing_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ery.toml");
        fs::write(&file, "").unwrap();
        let mut watch = watch(&file);
        for (text, told) in [
            ("[orchestrator]\nengage = \"sometimes\"\n", "orchestrator.engage"),
            ("[orchestrator]\nmax_steps = 0\n", "orchestrator.max_steps"),
            ("[orchestrator", "ery.toml"),
            ("[discord]\ntoken = 5\n", "discord.token"),
        ] {
            fs::write(&file, text).unwrap();
            let Look::Unusable(error) = watch.look() else { panic!("{text}") };
            assert!(error.contains(told), "{error}");
        }
        fs::write(&file, "").unwrap();
        assert_eq!(watch.look(), Look::Same);
        fs::remove_file(&file).unwrap();
        let Look::Unusable(error) = watch.look() else { panic!("it is gone") };
        assert!(error.contains("not there any more"), "{error}");
    }

    #[test]
    fn every_key_that_is_called_live_changes_what_holds() {
        let values = json!({
            "orchestrator.engage": "off", "orchestrator.names": ["x"],
            "orchestrator.answer_bots": true, "orchestrator.exchange_window": "7s",
            "orchestrator.member_cooldown": "7s", "orchestrator.context_messages": 7,
            "orchestrator.context_window": "7s", "orchestrator.summaries": true,
            "orchestrator.max_steps": 7,
            "orchestrator.max_tool_calls": 7, "orchestrator.thread_tokens": 7_777,
            "orchestrator.thread_time": "77s",
            "orchestrator.budgets": {"member": {"day_usd": 7}}, "tool_service.dry_run": true,
            "tool_service.disabled_tools": ["ban_member"],
            "tool_service.policy": {"ban_member": "ask"},
            "tool_service.guild_policy": {"1": {"ban_member": "ask"}},
        });
        let values = values.as_object().unwrap();
        assert_eq!(values.keys().cloned().collect::<BTreeSet<_>>(), live_keys());
        let defaults = services::config_base(&Settings::default());
        for (key, value) in values {
            let mut whole = serde_json::Map::new();
            let (table, name) = key.split_once('.').unwrap();
            whole.insert(table.to_owned(), json!({ name: value }));
            let settings: Settings = serde_json::from_value(whole.into()).unwrap();
            let base = services::config_base(&settings);
            assert_ne!(base.of(1), defaults.of(1), "{key}");
        }
    }
}

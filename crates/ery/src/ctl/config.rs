//! `ery ctl config`: what the installation and its communities are set to.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::Path,
};

use serde::Serialize;
use serde_json::Value;
use tonic::Status;

use ery_community_config::{
    Change, Difference, Document, File, InvalidConfig, Key, Layer, Layered, Loaded, PRESETS,
    Snapshot, StoredConfig, Subject, Version, Wanted, keys, preset, schema, top_of,
};
use ery_rpc::Peers;

use super::{Output, Row, TIMEOUT, refused, view::moment};
use crate::{
    cli::{Config, ConfigPlace},
    failure::Failure,
    services,
    settings::Settings,
};

/// Runs what needs no store: false if it does.
pub(super) fn told_without_a_store(command: &Config, output: &Output) -> Result<bool, Failure> {
    match command {
        Config::Schema => {
            let text = serde_json::to_string_pretty(schema());
            let text = text.map_err(|error| Failure::caused("could not write JSON", &error))?;
            Output::write(&format!("{text}\n"))?;
        }
        Config::Keys => output.list(&keys().all().map(KeyView::from).collect::<Vec<_>>())?,
        Config::Presets => {
            let view = |preset: &ery_community_config::Preset| PresetView {
                name: preset.name,
                about: preset.about(),
            };
            output.list(&PRESETS.iter().map(view).collect::<Vec<_>>())?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

pub(super) async fn run(
    command: &Config,
    settings: &Settings,
    store: Peers,
    output: &Output,
) -> Result<(), Failure> {
    let stored = StoredConfig { peers: store, timeout: TIMEOUT };
    match command {
        Config::Get { path, place } => {
            get(path.as_deref(), *place, settings, &stored, output).await
        }
        Config::Set { path, value, place } => {
            let subject = subject(*place)?;
            let key = keys().find(path).map_err(|error| invalid(&error))?;
            let value = key.parse(path, value).map_err(|error| invalid(&error))?;
            change(*place, vec![(subject, path.clone(), Some(value))], "", None, &stored, output)
                .await
        }
        Config::Reset { path, place } => {
            let wanted = vec![(subject(*place)?, path.clone(), None)];
            change(*place, wanted, "", None, &stored, output).await
        }
        Config::History { guild, limit } => {
            let versions = stored.history(guild.unwrap_or(0), *limit).await;
            let versions = versions.map_err(|status| refused(&status))?;
            output.list(&versions.iter().map(VersionView::from).collect::<Vec<_>>())
        }
        Config::Rollback { version, guild } => {
            let change = of(guild.unwrap_or(0), "");
            let made = stored.roll_back(&change, *version).await;
            shown(made, output)
        }
        Config::Export { guild, format } => {
            let mut layered = load(guild.unwrap_or(0), &stored).await?.layered;
            // What members set for themselves is theirs: see `ery ctl privacy export`.
            layered.retain(|subject, _| subject.layer != Layer::User);
            Output::write(&(*format).into_file().write(&layered))
        }
        Config::Import { file, guild, yes } => {
            let home = guild.unwrap_or(0);
            let read = File::read(&text_of(file)?, top_of(home).layer);
            let layered = read.map_err(|error| Failure::settings(error.to_string()))?;
            let now = load(home, &stored).await?;
            let wanted = replacing(&now.layered, &layered);
            apply(home, wanted, "import", &now, *yes, &stored, output).await
        }
        Config::Preset { name, guild, yes } => {
            let Some(found) = preset(name) else {
                let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
                return Err(Failure::settings(format!(
                    "there is no preset `{name}`, only {}",
                    names.join(", ")
                )));
            };
            let now = load(*guild, &stored).await?;
            let set = |(path, value)| (Subject::SERVER, path, Some(value));
            let wanted = found.document().into_iter().map(set).collect();
            apply(*guild, wanted, &format!("preset {name}"), &now, *yes, &stored, output).await
        }
        Config::Schema | Config::Keys | Config::Presets => Ok(()),
    }
}

fn invalid(error: &InvalidConfig) -> Failure {
    Failure::settings(format!("{error}; see `ery ctl config keys`"))
}

/// Returns the place's home and what is set there itself.
fn home(place: ConfigPlace) -> u64 {
    place.guild.unwrap_or(0)
}

fn subject(place: ConfigPlace) -> Result<Subject, Failure> {
    let needs_guild = || Failure::settings("name the server, too, by --guild");
    match place {
        ConfigPlace { user: Some(user), guild, .. } => {
            guild.map(|_| Subject::user(user)).ok_or_else(needs_guild)
        }
        ConfigPlace { channel: Some(channel), guild, .. } => {
            guild.map(|_| Subject::channel(channel)).ok_or_else(needs_guild)
        }
        ConfigPlace { guild, .. } => Ok(top_of(guild.unwrap_or(0))),
    }
}

async fn load(home: u64, stored: &StoredConfig) -> Result<Loaded, Failure> {
    let loaded = stored.get(home, None).await.map_err(|status| refused(&status))?;
    Ok(loaded.unwrap_or_default())
}

async fn get(
    path: Option<&str>,
    place: ConfigPlace,
    settings: &Settings,
    stored: &StoredConfig,
    output: &Output,
) -> Result<(), Failure> {
    subject(place)?;
    if let Some(path) = path {
        // A table's name shows all its entries.
        let is_table = keys().find(&format!("{path}.0")).is_ok()
            || keys().all().any(|key| key.path.starts_with(&format!("{path}.")));
        if !is_table {
            keys().find(path).map_err(|error| invalid(&error))?;
        }
    }
    let global = load(0, stored).await?.layered.remove(&Subject::GLOBAL).unwrap_or_default();
    let own = match place.guild {
        Some(guild) => load(guild, stored).await?.layered,
        None => Layered::new(),
    };
    let base = services::config_base(settings).of(home(place));
    let snapshot = Snapshot::new(base, global, own);
    let effective = snapshot.effective(place.channel.unwrap_or(0), place.user.unwrap_or(0));
    let is_asked = |of: &str| {
        path.is_none_or(|path| {
            of == path || of.strip_prefix(path).is_some_and(|it| it.starts_with('.'))
        })
    };
    let values = effective.values.iter().filter(|(path, _)| is_asked(path));
    let views = values.map(|(path, (value, origin))| ValueView {
        path: path.clone(),
        value: value.clone(),
        origin: origin.to_string(),
    });
    output.list(&views.collect::<Vec<_>>())
}

fn of(home: u64, note: &str) -> Change {
    Change::new(home, format!("ctl.{}", uuid::Uuid::new_v4()), None).noting(note)
}

async fn change(
    place: ConfigPlace,
    wanted: Wanted,
    note: &str,
    expected: Option<u64>,
    stored: &StoredConfig,
    output: &Output,
) -> Result<(), Failure> {
    let change = Change { expected, ..of(home(place), note) };
    shown(stored.change(&change, wanted).await, output)
}

/// Shows what a change came to.
fn shown(made: Result<(u64, Vec<Difference>), Status>, output: &Output) -> Result<(), Failure> {
    let (version, changed) = made.map_err(|status| match status.code() {
        tonic::Code::InvalidArgument | tonic::Code::FailedPrecondition | tonic::Code::NotFound => {
            Failure::settings(status.message().to_owned())
        }
        _ => refused(&status),
    })?;
    output.list(&changed.iter().map(DifferenceView::from).collect::<Vec<_>>())?;
    if output.json {
        return Ok(());
    }
    Output::write(&if changed.is_empty() {
        format!("\nNothing was to be changed; it is at version {version}.\n")
    } else {
        format!("\nChanged; it is at version {version} now.\n")
    })
}

/// Shows what a change would come to, and makes it if that is wanted.
async fn apply(
    home: u64,
    wanted: Wanted,
    note: &str,
    now: &Loaded,
    is_wanted: bool,
    stored: &StoredConfig,
    output: &Output,
) -> Result<(), Failure> {
    if is_wanted {
        let change = Change { expected: Some(now.version), ..of(home, note) };
        return shown(stored.change(&change, wanted).await, output);
    }
    let nothing = Document::new();
    let differences: Vec<_> = wanted
        .into_iter()
        .map(|(subject, path, after)| {
            let before = now.layered.get(&subject).unwrap_or(&nothing).get(&path).cloned();
            Difference { subject, path, before, after }
        })
        .filter(|difference| difference.before != difference.after)
        .collect();
    output.list(&differences.iter().map(DifferenceView::from).collect::<Vec<_>>())?;
    if output.json {
        return Ok(());
    }
    Output::write("\nNothing was changed; give --yes to do it.\n")
}

/// Returns what makes `now` into `then`, but for what members set for themselves.
fn replacing(now: &Layered, then: &Layered) -> Wanted {
    let mut wanted: BTreeMap<(Subject, String), Option<Value>> = BTreeMap::new();
    for (subject, document) in now.iter().filter(|(subject, _)| subject.layer != Layer::User) {
        wanted.extend(document.keys().map(|path| ((*subject, path.clone()), None)));
    }
    for (subject, document) in then {
        let set =
            document.iter().map(|(path, value)| ((*subject, path.clone()), Some(value.clone())));
        wanted.extend(set);
    }
    wanted.into_iter().map(|((subject, path), value)| (subject, path, value)).collect()
}

fn text_of(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).map(drop)
    } else {
        fs::read_to_string(file).map(|read| text = read)
    };
    read.map_err(|error| {
        Failure::settings(format!("could not read `{}`: {error}", file.display()))
    })?;
    Ok(text)
}

#[derive(Debug, Serialize)]
struct KeyView {
    path: String,
    layers: String,
    must: String,
    about: String,
}

impl From<&Key> for KeyView {
    fn from(key: &Key) -> Self {
        let layers: Vec<_> = key.layers.iter().map(|layer| layer.as_str()).collect();
        let (path, about) = (key.path.clone(), key.about.clone());
        Self { path, layers: layers.join(", "), must: key.must().to_string(), about }
    }
}

impl Row for KeyView {
    const HEADERS: &'static [&'static str] = &["KEY", "SET FOR", "MUST BE"];

    fn cells(&self) -> Vec<String> {
        vec![self.path.clone(), self.layers.clone(), self.must.clone()]
    }
}

#[derive(Debug, Serialize)]
struct PresetView {
    name: &'static str,
    about: &'static str,
}

impl Row for PresetView {
    const HEADERS: &'static [&'static str] = &["PRESET", "WHAT FOR"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.to_owned(), self.about.to_owned()]
    }
}

#[derive(Debug, Serialize)]
struct ValueView {
    path: String,
    value: Value,
    origin: String,
}

impl Row for ValueView {
    const HEADERS: &'static [&'static str] = &["KEY", "FROM", "VALUE"];

    fn cells(&self) -> Vec<String> {
        vec![self.path.clone(), self.origin.clone(), self.value.to_string()]
    }
}

#[derive(Debug, Serialize)]
struct DifferenceView {
    layer: Layer,
    /// The channel or the user.
    subject: Option<String>,
    path: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl From<&Difference> for DifferenceView {
    fn from(difference: &Difference) -> Self {
        let Difference { subject, path, before, after } = difference;
        Self {
            layer: subject.layer,
            subject: (subject.id != 0).then(|| subject.id.to_string()),
            path: path.clone(),
            before: before.clone(),
            after: after.clone(),
        }
    }
}

impl DifferenceView {
    fn place(&self) -> String {
        self.subject
            .as_ref()
            .map_or_else(|| self.layer.to_string(), |subject| format!("{} {subject}", self.layer))
    }
}

impl Row for DifferenceView {
    const HEADERS: &'static [&'static str] = &["SET FOR", "KEY", "BEFORE", "AFTER"];

    fn cells(&self) -> Vec<String> {
        let value =
            |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
        vec![self.place(), self.path.clone(), value(&self.before), value(&self.after)]
    }
}

#[derive(Debug, Serialize)]
struct VersionView {
    version: u64,
    at_ms: i64,
    /// None: the installation's operator, or somebody who is forgotten.
    author_id: Option<String>,
    note: String,
    changes: Vec<DifferenceView>,
}

impl From<&Version> for VersionView {
    fn from(version: &Version) -> Self {
        Self {
            version: version.version,
            at_ms: version.at_ms,
            author_id: version.author.map(|author| author.to_string()),
            note: version.note.clone(),
            changes: version.changed.iter().map(DifferenceView::from).collect(),
        }
    }
}

impl Row for VersionView {
    const HEADERS: &'static [&'static str] = &["VERSION", "WHEN", "WHO", "WHY", "WHAT"];

    fn cells(&self) -> Vec<String> {
        let what = self.changes.iter().map(|change| {
            let after = change.after.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
            format!("{} {} = {after}", change.place(), change.path)
        });
        vec![
            self.version.to_string(),
            moment(self.at_ms),
            self.author_id.clone().unwrap_or_else(|| "operator".to_owned()),
            self.note.clone(),
            what.collect::<Vec<_>>().join("; "),
        ]
    }
}

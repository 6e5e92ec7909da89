//! `ery ctl config`: what the installation and its communities are set to.

mod server;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{self, Read as _},
    path::Path,
};

use serde::Serialize;
use serde_json::Value;
use tonic::Status;

use ery_community_config::{
    Change, Difference, Document, File, InvalidConfig, Key, Layer, Layered, Loaded, Made, PRESETS,
    Present, Snapshot, StoredConfig, Subject, Version, Wanted, keys, preset, schema, top_of,
};
use ery_rpc::Peers;

use self::server::Checked;
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
            let path = path.as_deref().map(|path| keys().plain_path(path));
            get(path.as_deref(), *place, settings, &stored, output).await
        }
        Config::Set { path, value, place } => {
            let (home, subject) = (home(*place), subject(*place)?);
            let path = &keys().plain_path(path).into_owned();
            let key = keys().find(path).map_err(|error| invalid(&error))?;
            let value = key.parse(path, value).map_err(|error| invalid(&error))?;
            let checked = Checked::of(home, [(subject, path.as_str(), &value)], settings).await?;
            let wanted = vec![(subject, path.clone(), Some(value))];
            let made = stored.change(&of(home, ""), wanted).await;
            told(home, made, &checked, settings, &stored, output).await
        }
        Config::Reset { path, place } => {
            let (home, subject) = (home(*place), subject(*place)?);
            let path = &keys().plain_path(path).into_owned();
            if let Err(error) = keys().find(path) {
                // What a newer version set can be reset, too.
                let now = load(home, &stored).await?.layered;
                let is_set = now.get(&subject).is_some_and(|document| document.contains_key(path));
                if !is_set {
                    return Err(invalid(&error));
                }
            }
            let made = stored.change(&of(home, ""), vec![(subject, path.clone(), None)]).await;
            told(home, made, &Checked::default(), settings, &stored, output).await
        }
        Config::History { guild, limit } => {
            let versions = stored.history(guild.unwrap_or(0), None, *limit).await;
            let versions = versions.map_err(|status| refused(&status))?;
            output.list(&versions.iter().map(VersionView::from).collect::<Vec<_>>())?;
            told_of_server(guild.unwrap_or(0), settings, output).await
        }
        Config::Rollback { version, guild } => {
            let home = guild.unwrap_or(0);
            let made = stored.roll_back(&of(home, ""), *version).await;
            told(home, made, &Checked::default(), settings, &stored, output).await
        }
        Config::Export { guild, format } => {
            let mut layered = load(guild.unwrap_or(0), &stored).await?.layered;
            // What members set for themselves is theirs: see `ery ctl privacy export`.
            layered.retain(|subject, _| subject.layer != Layer::User);
            let file = if output.json { File::Json } else { (*format).into_file() };
            Output::write(&file.write(&layered))
        }
        Config::Import { file, guild, yes } => {
            let home = guild.unwrap_or(0);
            let read = File::read(&text_of(file)?, top_of(home).layer);
            let layered = read.map_err(|error| Failure::settings(error.to_string()))?;
            check_places(home, &layered)?;
            let now = load(home, &stored).await?;
            let wanted = replacing(&now.layered, &layered);
            let planned = Planned { home, wanted, note: "import".to_owned(), now };
            planned.apply(*yes, settings, &stored, output).await
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
            let nothing = Document::new();
            let changes = found.changes(now.layered.get(&Subject::SERVER).unwrap_or(&nothing));
            let wanted = changes.into_iter().map(|(path, value)| (Subject::SERVER, path, value));
            let (wanted, note) = (wanted.collect(), format!("preset {name}"));
            let planned = Planned { home: *guild, wanted, note, now };
            planned.apply(*yes, settings, &stored, output).await
        }
        Config::Schema | Config::Keys | Config::Presets => Ok(()),
    }
}

fn invalid(error: &InvalidConfig) -> Failure {
    Failure::settings(format!("{error}; see `ery ctl config keys`"))
}

/// Returns whose config it is: 0 for the installation's.
fn home(place: ConfigPlace) -> u64 {
    place.guild.unwrap_or(0)
}

fn subject(place: ConfigPlace) -> Result<Subject, Failure> {
    match place {
        ConfigPlace { user: Some(_), channel: Some(_), .. } => Err(Failure::settings(
            "something is set for a channel or for a member: give --channel or --user, not both",
        )),
        ConfigPlace { user: Some(user), .. } => Ok(Subject::user(user)),
        ConfigPlace { channel: Some(channel), .. } => Ok(Subject::channel(channel)),
        ConfigPlace { guild, .. } => Ok(top_of(guild.unwrap_or(0))),
    }
}

/// Refuses what a file says of channels and members where no server is named.
fn check_places(home: u64, layered: &Layered) -> Result<(), Failure> {
    let of_server = layered.iter().find(|(subject, document)| {
        matches!(subject.layer, Layer::Channel | Layer::User) && !document.is_empty()
    });
    match of_server {
        Some((subject, _)) if home == 0 => Err(Failure::settings(format!(
            "the file sets something for {} {}, which belongs to a server: name it by --guild",
            subject.layer, subject.id
        ))),
        _ => Ok(()),
    }
}

async fn load(home: u64, stored: &StoredConfig) -> Result<Loaded, Failure> {
    let loaded = stored.get(home, None).await.map_err(|status| refused(&status))?;
    Ok(loaded.unwrap_or_default())
}

/// Returns what holds in a home.
async fn snapshot(
    home: u64,
    settings: &Settings,
    stored: &StoredConfig,
) -> Result<Snapshot, Failure> {
    let global = load(0, stored).await?.layered.remove(&Subject::GLOBAL).unwrap_or_default();
    let own = if home == 0 { Layered::new() } else { load(home, stored).await?.layered };
    Ok(Snapshot::new(services::config_base(settings).of(home), global, own))
}

async fn get(
    path: Option<&str>,
    place: ConfigPlace,
    settings: &Settings,
    stored: &StoredConfig,
    output: &Output,
) -> Result<(), Failure> {
    if let Some(path) = path {
        // A table's name shows all its entries.
        let is_table = keys().find(&format!("{path}.0")).is_ok()
            || keys().all().any(|key| key.path.starts_with(&format!("{path}.")));
        if !is_table {
            keys().find(path).map_err(|error| invalid(&error))?;
        }
    }
    let snapshot = snapshot(home(place), settings, stored).await?;
    let effective = snapshot.effective(place.channel.unwrap_or(0), place.user.unwrap_or(0));
    let is_asked = |of: &str| {
        path.is_none_or(|path| {
            of == path || of.strip_prefix(path).is_some_and(|it| it.starts_with('.'))
        })
    };
    let values: Vec<_> = effective.values.iter().filter(|(path, _)| is_asked(path)).collect();
    let ids = values.iter().flat_map(|(path, (value, _))| keys().ids(Subject::SERVER, path, value));
    let present = server::present(home(place), &ids.collect::<Vec<_>>(), settings).await.ok();
    let views = values.into_iter().map(|(path, (value, origin))| {
        let ids = keys().ids(Subject::SERVER, path, value).into_iter();
        let lacks = |named, id| present.as_ref().is_some_and(|it: &Present| it.lacks(named, id));
        let gone = ids.filter(|(named, id)| lacks(*named, *id)).map(|(_, id)| id.to_string());
        ValueView {
            path: path.clone(),
            value: value.clone(),
            origin: origin.to_string(),
            gone: gone.collect(),
        }
    });
    output.list(&views.collect::<Vec<_>>())?;
    told_of_server(home(place), settings, output).await
}

/// Says to people if Ery is in no such server.
pub(super) async fn told_of_server(
    home: u64,
    settings: &Settings,
    output: &Output,
) -> Result<(), Failure> {
    if output.json {
        return Ok(());
    }
    let remark = server::remark_on(home, settings).await;
    remark.map_or(Ok(()), |remark| Output::write(&format!("\n{remark}")))
}

fn of(home: u64, note: &str) -> Change {
    Change::new(home, format!("ctl.{}", uuid::Uuid::new_v4()), None).noting(note)
}

/// Shows what a change came to, and where something narrower holds in place of it.
async fn told(
    home: u64,
    made: Result<Made, Status>,
    checked: &Checked,
    settings: &Settings,
    stored: &StoredConfig,
    output: &Output,
) -> Result<(), Failure> {
    let made = made.map_err(|status| match status.code() {
        tonic::Code::InvalidArgument | tonic::Code::FailedPrecondition | tonic::Code::NotFound => {
            Failure::settings(status.message().to_owned())
        }
        _ => refused(&status),
    })?;
    let Made { version, changed, is_untold } = made;
    // It is made: that the rest cannot be said must not look like a failure.
    let snapshot = if changed.iter().any(|difference| difference.after.is_some()) {
        snapshot(home, settings, stored).await.ok()
    } else {
        None
    };
    let views: Vec<_> = changed
        .iter()
        .map(|difference| {
            let held = snapshot.as_ref().and_then(|snapshot| held(snapshot, difference));
            let view = DifferenceView::from(difference);
            let is_checked = checked.is_checked(difference);
            DifferenceView { is_made: Some(true), is_checked, is_untold, held, ..view }
        })
        .collect();
    output.list(&views)?;
    if output.json {
        return Ok(());
    }
    let mut text = if changed.is_empty() {
        format!("\nNothing was to be changed; it is at version {version}.\n")
    } else {
        format!("\nChanged; it is at version {version} now.\n")
    };
    for view in &views {
        let Some(held) = &view.held else { continue };
        let HeldView { value, origin } = held;
        let above = match origin.as_str() {
            "default" | "settings" => "the operator's settings allow",
            "global" => "what is set for the whole installation allows",
            _ => "what is set for the server allows",
        };
        writeln!(text, "`{}` counts as {value}: {above} no more.", view.path).ok();
    }
    if is_untold {
        text.push_str(
            "NATS cannot be reached: it is stored, and each process notices within 30 seconds.\n",
        );
    }
    text.push_str(&checked.remark());
    Output::write(&text)?;
    if checked.is_untold() {
        return Ok(());
    }
    told_of_server(home, settings, output).await
}

/// Returns what holds in place of what was set, if something narrower does.
fn held(snapshot: &Snapshot, difference: &Difference) -> Option<HeldView> {
    let Subject { layer, id } = difference.subject;
    let effective = match layer {
        Layer::Global | Layer::Server => snapshot.effective(0, 0),
        Layer::Channel => snapshot.effective(id, 0),
        Layer::User => snapshot.effective(0, id),
    };
    let (value, origin) = effective.in_place_of(&difference.path, difference.after.as_ref()?)?;
    Some(HeldView { value: value.clone(), origin: origin.to_string() })
}

/// How much one change may hold: what the store takes in one request, of which some is not values.
const MOST_VALUES: usize = 1_000;
const MOST_BYTES: usize = 4 << 20;
/// What a value takes beside its own text, and the whole beside its values.
const BESIDE_A_VALUE: usize = 32;
const BESIDE_ALL: usize = 4 << 10;

/// What is to be changed, on top of what stands.
struct Planned {
    home: u64,
    wanted: Wanted,
    note: String,
    now: Loaded,
}

impl Planned {
    /// Shows what the change would come to, and makes it if that is wanted.
    async fn apply(
        self,
        is_wanted: bool,
        settings: &Settings,
        stored: &StoredConfig,
        output: &Output,
    ) -> Result<(), Failure> {
        let Self { home, wanted, note, now } = self;
        let nothing = Document::new();
        let before = |subject: &Subject, path: &str| {
            now.layered.get(subject).unwrap_or(&nothing).get(path).cloned()
        };
        let differences: Vec<Difference> = wanted
            .into_iter()
            .map(|(subject, path, after)| {
                let before = before(&subject, &path);
                Difference { subject, path, before, after }
            })
            .filter(|difference| difference.before != difference.after)
            .collect();
        check_roles(home, &differences)?;
        check_size(&differences)?;
        let set = differences
            .iter()
            .filter_map(|it| Some((it.subject, it.path.as_str(), it.after.as_ref()?)));
        let checked = Checked::of(home, set.collect::<Vec<_>>(), settings).await?;
        if is_wanted {
            let change = Change { expected: Some(now.version), ..of(home, &note) };
            let set = |it: Difference| (it.subject, it.path, it.after);
            let wanted = differences.into_iter().map(set).collect();
            let made = stored.change(&change, wanted).await;
            return told(home, made, &checked, settings, stored, output).await;
        }
        let view = |difference: &Difference| DifferenceView {
            is_made: Some(false),
            is_checked: checked.is_checked(difference),
            ..DifferenceView::from(difference)
        };
        output.list(&differences.iter().map(view).collect::<Vec<_>>())?;
        if output.json {
            return Ok(());
        }
        let text = format!("\nNothing was changed; give --yes to do it.\n{}", checked.remark());
        Output::write(&text)?;
        if checked.is_untold() {
            return Ok(());
        }
        told_of_server(home, settings, output).await
    }
}

/// Refuses in a dry run, too, what the store would.
fn check_roles(home: u64, differences: &[Difference]) -> Result<(), Failure> {
    for Difference { path, after, .. } in differences {
        let Some(after) = after else { continue };
        keys().check_roles(home, path, after).map_err(|error| invalid(&error))?;
    }
    Ok(())
}

/// Refuses what is more than the store takes at once.
fn check_size(differences: &[Difference]) -> Result<(), Failure> {
    let values = differences.len();
    if values > MOST_VALUES {
        return Err(Failure::settings(format!(
            "this would change {values} values, and {MOST_VALUES} are the most that can be changed \
             at once: set some of them before"
        )));
    }
    let of_value = |it: &Difference| {
        let after = it.after.as_ref().map_or(0, |after| after.to_string().len());
        it.path.len() + after + BESIDE_A_VALUE
    };
    let bytes = differences.iter().map(of_value).sum::<usize>();
    if bytes > MOST_BYTES - BESIDE_ALL {
        return Err(Failure::settings(format!(
            "what this would change is {} KiB, and {} KiB are the most that can be changed at once: \
             set some of it before",
            bytes >> 10,
            MOST_BYTES >> 10
        )));
    }
    Ok(())
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
    /// The roles and channels that it names and the server has no more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gone: Vec<String>,
}

impl Row for ValueView {
    const HEADERS: &'static [&'static str] = &["KEY", "FROM", "VALUE"];

    fn cells(&self) -> Vec<String> {
        let gone = match self.gone.as_slice() {
            [] => String::new(),
            gone => format!("  (not there any more: {})", gone.join(", ")),
        };
        vec![self.path.clone(), self.origin.clone(), format!("{}{gone}", self.value)]
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
    /// Whether it was changed, or would only be; none in a history.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_made: Option<bool>,
    /// Whether the roles and channels that it names are known to be there; none where it names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_checked: Option<bool>,
    /// Whether others could not be told of it, and notice within 30 seconds.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_untold: bool,
    /// What holds in place of it, where something narrower does.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<HeldView>,
}

#[derive(Debug, Serialize)]
struct HeldView {
    value: Value,
    /// Which layer says so.
    origin: String,
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
            is_made: None,
            is_checked: None,
            is_untold: false,
            held: None,
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

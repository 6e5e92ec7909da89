use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};
use serde::de::DeserializeOwned;

use crate::values::Values;

/// Variables begin with this; `__` goes one table deeper: `ERY_STORE__BUSY_TIMEOUT`.
const PREFIX: &str = "ERY_";

/// Where traces go to, as every program that knows OpenTelemetry is told.
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Variables of the test suite, which are no settings.
const TEST_PREFIX: &str = "ERY_TEST_";

/// Keys that may stand in a file of their own, as `token_file` for `token`.
const SECRETS: [&str; 8] = [
    "token",
    "credential",
    "api_key",
    "password",
    "url",
    "key",
    "previous_key",
    "s3_secret_access_key",
];

/// Where settings come from, beside the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file that must exist. Without it, `ery.toml` in the current folder is read if it is there.
    pub file: Option<PathBuf>,
    /// The environment.
    pub variables: Vec<(String, String)>,
    /// Flags, by dotted key.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// Takes the process's own environment.
    #[must_use]
    pub fn from_environment(file: Option<PathBuf>) -> Self {
        let variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(PREFIX) || name == OTLP_ENDPOINT)
            .collect();
        Self { file, variables, flags: Vec::new() }
    }

    /// Returns where traces go to by OpenTelemetry's own variable, for whom no setting says so.
    pub fn otlp_endpoint(&self) -> Option<&str> {
        let (_, value) = self.variables.iter().find(|(name, _)| name == OTLP_ENDPOINT)?;
        (!value.is_empty()).then_some(value)
    }
}

/// Settings, and which file they came from.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    pub settings: T,
    pub file: Option<PathBuf>,
    /// What was given of them.
    pub values: Values,
}

/// Why settings could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("the settings file `{}` cannot be read", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the file `{}` for the setting `{key}` cannot be read", path.display())]
    SecretFile {
        key: String,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the setting `{key}` names the variable `{variable}`, which is not set to a text")]
    SecretVariable { key: String, variable: String },
    #[error("{0}")]
    Wrong(String),
}

/// Loads settings. Everything absent takes its default; an unknown key is an error.
///
/// # Errors
///
/// Names the key, and the file or variable that it came from; never a secret's value.
pub fn load<T: DeserializeOwned>(sources: &Sources) -> Result<Loaded<T>, SettingsError> {
    let default = Path::new("ery.toml");
    let file = match &sources.file {
        Some(path) => Some(path.clone()),
        None if default.is_file() => Some(default.to_owned()),
        None => None,
    };
    let mut figment = Figment::new();
    if let Some(path) = &file {
        let text = fs::read_to_string(path)
            .map_err(|source| SettingsError::File { path: path.clone(), source })?;
        let named = Named {
            name: format!("`{}`", path.display()),
            data: Toml::string(&text).data().map_err(|error| wrong(&error, path.to_str()))?,
        };
        figment = figment.merge(named);
    }
    let variables = sources.variables.iter().filter_map(|(name, value)| {
        let key = name.strip_prefix(PREFIX).filter(|_| !name.starts_with(TEST_PREFIX))?;
        // As of a file: what was pasted into a secret of Kubernetes' ends with a newline.
        let value = value.trim();
        // An empty variable is how compose files say "not given".
        (!value.is_empty()).then(|| (key.to_lowercase().replace("__", "."), value.to_owned()))
    });
    figment = figment.merge(Named::of("the environment", variables));
    figment = figment.merge(Named::of("the command line", sources.flags.iter().cloned()));

    let mut values: Value = figment.extract().map_err(|error| wrong(&error, None))?;
    read_secret_files(&mut values, "")?;
    // Once more from the result, so that messages can still say where a value came from.
    let settings = match &values {
        Value::Dict(..) => Figment::from(figment::providers::Serialized::defaults(&values))
            .extract()
            .map_err(|error| locate(&error, &figment))?,
        _ => return Err(SettingsError::Wrong("the settings are no table".into())),
    };
    Ok(Loaded { settings, file, values: Values::of(&values) })
}

fn wrong(error: &figment::Error, file: Option<&str>) -> SettingsError {
    let mut text = describe(error);
    if let Some(file) = file {
        text = format!("`{file}`: {text}");
    }
    SettingsError::Wrong(text)
}

/// Says which source gave the value that an error is about.
fn locate(error: &figment::Error, sources: &Figment) -> SettingsError {
    let key = error.path.join(".");
    let from = sources
        .find_metadata(&key)
        .map(|metadata| format!(" (from {})", metadata.name))
        .unwrap_or_default();
    SettingsError::Wrong(format!("{}{from}", describe(error)))
}

fn describe(error: &figment::Error) -> String {
    use figment::error::Kind;

    let key = error.path.join(".");
    let is_secret = error.path.last().is_some_and(|last| SECRETS.contains(&last.as_str()));
    match &error.kind {
        Kind::UnknownField(_, expected) => {
            format!("there is no setting `{key}`; known here: {}", expected.join(", "))
        }
        _ if is_secret => format!("the setting `{key}` is not a text"),
        kind if key.is_empty() => kind.to_string(),
        kind => format!("the setting `{key}` is wrong: {kind}"),
    }
}

/// Replaces each `<secret>_file` by what stands in that file, and each `<secret>_env` by what that
/// variable of the environment holds.
fn read_secret_files(value: &mut Value, path: &str) -> Result<(), SettingsError> {
    if let Value::Array(_, values) = value {
        for value in values {
            read_secret_files(value, path)?;
        }
        return Ok(());
    }
    let Value::Dict(_, table) = value else { return Ok(()) };
    for (key, value) in table.iter_mut() {
        read_secret_files(value, &join(path, key))?;
    }
    read_secret_variables(table, path)?;
    let files: Vec<(String, PathBuf)> = table
        .iter()
        .filter_map(|(key, value)| {
            let secret = key.strip_suffix("_file").filter(|key| SECRETS.contains(key))?;
            Some((secret.to_owned(), PathBuf::from(value.as_str()?)))
        })
        .collect();
    for (secret, file) in files {
        let text = fs::read_to_string(&file).map_err(|source| SettingsError::SecretFile {
            key: join(path, &format!("{secret}_file")),
            path: file.clone(),
            source,
        })?;
        table.remove(&format!("{secret}_file"));
        table.insert(secret, Value::from(text.trim().to_owned()));
    }
    Ok(())
}

fn read_secret_variables(table: &mut Dict, path: &str) -> Result<(), SettingsError> {
    let named: Vec<(String, String)> = table
        .iter()
        .filter_map(|(key, value)| {
            let secret = key.strip_suffix("_env").filter(|key| SECRETS.contains(key))?;
            Some((secret.to_owned(), value.as_str()?.to_owned()))
        })
        .collect();
    for (secret, variable) in named {
        let key = join(path, &format!("{secret}_env"));
        let held = env::var_os(&variable).and_then(|held| held.into_string().ok());
        let held = held.ok_or(SettingsError::SecretVariable { key, variable })?;
        table.remove(&format!("{secret}_env"));
        table.insert(secret, Value::from(held.trim().to_owned()));
    }
    Ok(())
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Values under a name that error messages can give.
struct Named {
    name: String,
    data: Map<Profile, Dict>,
}

impl Named {
    fn of(name: &str, entries: impl Iterator<Item = (String, String)>) -> Self {
        let mut root = Dict::new();
        for (key, value) in entries {
            let parts: Vec<&str> = key.split('.').collect();
            insert(&mut root, &parts, &value);
        }
        Self { name: name.to_owned(), data: BTreeMap::from([(Profile::Default, root)]) }
    }
}

fn insert(table: &mut Dict, path: &[&str], text: &str) {
    match path {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), scalar(key, text));
        }
        [key, rest @ ..] => {
            let inner = table.entry((*key).to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if !matches!(inner, Value::Dict(..)) {
                *inner = Value::from(Dict::new());
            }
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, text);
            }
        }
    }
}

/// Reads a variable's text as TOML would, but leaves secrets and addresses the texts they are.
fn scalar(key: &str, text: &str) -> Value {
    let is_text = SECRETS.contains(&key)
        || ["_url", "_file", "_endpoint", "_key_id"].iter().any(|end| key.ends_with(end));
    if is_text {
        return Value::from(text.to_owned());
    }
    if let Ok(flag) = text.parse::<bool>() {
        return Value::from(flag);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    if let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        return Value::from(number);
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let items = inner.split(',').map(|item| item.trim().trim_matches('"'));
        let items: Vec<Value> =
            items.filter(|item| !item.is_empty()).map(|item| scalar(key, item)).collect();
        return Value::from(items);
    }
    Value::from(text.to_owned())
}

impl Provider for Named {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(self.data.clone())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::{ExposeSecret, SecretString};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Whole {
        size: u32,
        discord: Discord,
    }

    impl Default for Whole {
        fn default() -> Self {
            Self { size: 7, discord: Discord::default() }
        }
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Discord {
        token: Option<SecretString>,
        names: Vec<String>,
    }

    fn sources(file: Option<&Path>, variables: &[(&str, &str)]) -> Sources {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Sources {
            file: file.map(Path::to_owned),
            variables: variables.iter().map(own).collect(),
            flags: Vec::new(),
        }
    }

    fn write(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_variable_overrides_the_file_and_a_flag_the_variable() {
        let file = write("size = 1\n[discord]\nnames = [\"a\"]");
        let mut sources =
            sources(Some(file.path()), &[("ERY_SIZE", "2"), ("ERY_DISCORD__NAMES", "[x, y]")]);
        let loaded = load::<Whole>(&sources).unwrap().settings;
        assert_eq!((loaded.size, loaded.discord.names), (2, vec!["x".to_owned(), "y".to_owned()]));
        sources.flags.push(("size".into(), "3".into()));
        assert_eq!(load::<Whole>(&sources).unwrap().settings.size, 3);
    }

    #[test]
    fn what_is_absent_or_empty_takes_its_default() {
        let file = write("");
        let loaded =
            load::<Whole>(&sources(Some(file.path()), &[("ERY_SIZE", ""), ("ERY_TEST_X", "1")]));
        assert_eq!(loaded.unwrap().settings.size, 7);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_source() {
        let file = write("[discord]\ntokn = \"x\"");
        let error = load::<Whole>(&sources(Some(file.path()), &[])).unwrap_err().to_string();
        assert!(error.contains("`discord.tokn`") && error.contains("from `"), "{error}");
        let error = load::<Whole>(&sources(None, &[("ERY_SZE", "1")])).unwrap_err().to_string();
        assert!(error.contains("`sze`") && error.contains("the environment"), "{error}");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_key() {
        let error = load::<Whole>(&sources(None, &[("ERY_SIZE", "many")])).unwrap_err().to_string();
        assert!(error.contains("`size`"), "{error}");
    }

    #[test]
    fn a_secret_may_stand_in_a_file_and_look_like_a_number() {
        let secret = write("1234\n");
        let path = secret.path().to_str().unwrap();
        for variables in [
            [("ERY_DISCORD__TOKEN_FILE", path)],
            [("ERY_DISCORD__TOKEN", "1234")],
            [("ERY_DISCORD__TOKEN", "1234\n")],
        ] {
            let loaded = load::<Whole>(&sources(None, &variables)).unwrap().settings;
            assert_eq!(loaded.discord.token.unwrap().expose_secret(), "1234");
        }
        let error = load::<Whole>(&sources(None, &[("ERY_DISCORD__TOKEN_FILE", "/nowhere")]));
        assert!(error.unwrap_err().to_string().contains("discord.token_file"));
    }

    #[test]
    fn a_secret_may_stand_in_a_variable_of_another_name() {
        let named = |name| load::<Whole>(&sources(None, &[("ERY_DISCORD__TOKEN_ENV", name)]));
        let loaded = named("PATH").unwrap().settings;
        let path = env::var_os("PATH").unwrap().into_string().unwrap();
        assert_eq!(loaded.discord.token.unwrap().expose_secret(), path.trim());
        let error = named("ERY_TEST_NOWHERE").unwrap_err().to_string();
        assert!(error.contains("discord.token_env") && error.contains("NOWHERE"), "{error}");
    }

    #[test]
    fn what_changed_is_named_and_a_secret_is_not_shown() {
        let load = |text: &str| {
            let file = write(text);
            load::<Whole>(&sources(Some(file.path()), &[("ERY_DISCORD__NAMES", "[x]")]))
                .unwrap()
                .values
        };
        let before = load("size = 1\n[discord]\ntoken = \"hidden\"");
        let removed = before.changed(&load("[discord]\ntoken = \"hidden\""));
        assert_eq!(removed.into_iter().collect::<Vec<_>>(), ["size"]);
        let after = load("size = 1\n[discord]\ntoken = \"other\"");
        assert_eq!(before.changed(&after).into_iter().collect::<Vec<_>>(), ["discord.token"]);
        assert!(before.changed(&before.clone()).is_empty());
        assert!(!format!("{before:?}").contains("hidden"), "{before:?}");
    }

    #[test]
    fn a_file_that_is_no_toml_is_named() {
        let file = write("size = ");
        let error = load::<Whole>(&sources(Some(file.path()), &[])).unwrap_err().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
        let missing = load::<Whole>(&sources(Some(Path::new("/nowhere.toml")), &[]));
        assert!(missing.unwrap_err().to_string().contains("/nowhere.toml"));
    }
}

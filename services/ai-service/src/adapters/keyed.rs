//! Providers that are asked with guilds' own keys, each guild's apart from all others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::{ExposeSecret as _, SecretString};
use twilight_model::id::{Id, marker::GuildMarker};

use crate::{metrics::Metrics, settings::Settings};

use super::{HttpProvider, Link, SteadyProvider};

/// Of how many guilds' keys it is known how they fare; past it, of the one that was used the longest
/// ago it is forgotten.
const HELD: usize = 1_000;

/// A guild's own keys.
#[derive(Debug)]
pub(crate) struct GuildKeys {
    pub(crate) guild: Id<GuildMarker>,
    /// By the providers that take them, as the settings name them.
    pub(crate) keys: Vec<(String, SecretString)>,
}

impl GuildKeys {
    pub(crate) fn get(&self, provider: &str) -> Option<&SecretString> {
        self.keys.iter().find(|(name, _)| name == provider).map(|(_, key)| key)
    }
}

/// How a provider is asked with guilds' keys.
#[derive(Debug)]
pub(crate) struct Keyed {
    /// The name under which a key is for it. The cheaper model's is that of the first provider.
    name: String,
    provider: HttpProvider,
    settings: Settings,
}

impl Keyed {
    pub(crate) fn new(name: &str, provider: HttpProvider, settings: Settings) -> Self {
        Self { name: name.to_owned(), provider, settings }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The links that are asked with guilds' keys: each with its own breaker, limits and waits, so that what
/// is wrong with one guild's key is felt by nobody else.
#[derive(Debug)]
pub(crate) struct KeyedLinks {
    held: Mutex<Held>,
    most: usize,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Held {
    /// By guild, and by the link's own name.
    links: HashMap<(Id<GuildMarker>, String), Used>,
    /// How often one was asked for.
    count: u64,
}

#[derive(Debug)]
struct Used {
    link: Link,
    key: SecretString,
    last: u64,
}

impl KeyedLinks {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { held: Mutex::default(), most: HELD, metrics }
    }

    /// Returns a link asked with a guild's key: the one that was used before, as long as the key is the
    /// same.
    pub(crate) fn link(
        &self,
        link: &Link,
        keyed: &Arc<Keyed>,
        guild: Id<GuildMarker>,
        key: &SecretString,
    ) -> Link {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.count += 1;
        let last = held.count;
        let of = (guild, link.provider.name().to_owned());
        if let Some(used) = held.links.get_mut(&of)
            && used.key.expose_secret() == key.expose_secret()
        {
            used.last = last;
            return used.link.clone();
        }
        let provider = Arc::new(keyed.provider.with_key(key.clone()));
        let (settings, metrics) = (&keyed.settings, self.metrics.clone());
        let provider = SteadyProvider::on_guild_key(provider, settings, metrics);
        let link = Link { provider, is_on_guild_key: true, ..link.clone() };
        if held.links.len() >= self.most && !held.links.contains_key(&of) {
            let oldest = held.links.iter().min_by_key(|(_, used)| used.last);
            if let Some(oldest) = oldest.map(|(of, _)| of.clone()) {
                held.links.remove(&oldest);
            }
        }
        held.links.insert(of, Used { link: link.clone(), key: key.clone(), last });
        link
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProviderKind, adapters::Shown};

    fn link() -> (Link, Arc<Keyed>) {
        let settings = Settings {
            provider: ProviderKind::OpenAi,
            base_url: Some("http://127.0.0.1:9".into()),
            model: "m".into(),
            ..Settings::default()
        };
        let clock = Arc::new(ery_clock::SystemClock);
        let http = HttpProvider::new("main", &settings, clock).unwrap().unwrap();
        let provider = SteadyProvider::new(Arc::new(http.clone()), &settings, Metrics::new());
        let pricing = settings.pricing();
        let keyed = Arc::new(Keyed::new("main", http, settings));
        let link = Link {
            provider,
            pricing,
            is_own: true,
            shown: Shown { pictures: false, text_files: false },
            keyed: Some(Arc::clone(&keyed)),
            is_on_guild_key: false,
        };
        (link, keyed)
    }

    #[test]
    fn as_many_are_held_as_may_be_and_who_was_not_asked_for_goes() {
        let (link, keyed) = link();
        let links = KeyedLinks { most: 2, ..KeyedLinks::new(Metrics::new()) };
        let ask = |guild: u64, key: &str| links.link(&link, &keyed, Id::new(guild), &key.into());
        let is_same = |one: &Link, other: &Link| one.provider.is_same(&other.provider);

        let first = ask(1, "a");
        assert!(first.is_on_guild_key);
        assert!(is_same(&first, &ask(1, "a")), "with all that is known of it");
        assert!(!is_same(&first, &ask(2, "a")), "another guild's is another");
        let changed = ask(1, "b");
        assert!(!is_same(&first, &changed), "nothing of a former key is held against the next");
        ask(3, "c");
        assert_eq!(links.held.lock().unwrap().links.len(), 2);
        assert!(is_same(&changed, &ask(1, "b")), "it was used after the second's");
        let shown = format!("{links:?}");
        assert!(!shown.contains("\"b\"") && shown.contains("main"), "{shown}");
    }
}

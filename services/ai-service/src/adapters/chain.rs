use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    domain::{
        conversation::{Answer, TurnRequest, Usage},
        prices::Pricing,
    },
    metrics::Metrics,
};

use super::{
    Deltas, GuildKeys, Keyed, KeyedLinks, Limits, ProviderError, Shown, SteadyProvider, TurnError,
};

/// Asks providers in order: the next one where the one before gave no answer.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// Never empty.
    links: Arc<[Link]>,
    turn_timeout: Duration,
    fallback_wait: Duration,
    metrics: Metrics,
}

/// A provider of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) provider: SteadyProvider,
    pub(crate) pricing: Pricing,
    /// It runs in the operator's own network.
    pub(crate) is_own: bool,
    /// What it is shown beside words.
    pub(crate) shown: Shown,
    /// How it is asked with a guild's key; none: it takes none.
    pub(crate) keyed: Option<Arc<Keyed>>,
    /// It is asked with a guild's key.
    pub(crate) is_on_guild_key: bool,
}

/// What one request to a provider cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says another thing of a request")]
pub(crate) struct Spent {
    pub(crate) provider: String,
    /// As the settings name it.
    pub(crate) model: String,
    pub(crate) usage: Usage,
    pub(crate) cost_micros: u64,
    pub(crate) is_assumed: bool,
    pub(crate) is_in_vain: bool,
    /// Nobody counted it: it is what its request can have cost at the most.
    pub(crate) is_estimate: bool,
    /// On a guild's key: the operator pays nothing for it.
    pub(crate) is_on_guild_key: bool,
}

/// Counts what requests to one provider cost.
#[derive(Clone, Debug)]
pub(crate) struct Biller {
    provider: String,
    model: String,
    pricing: Pricing,
    is_on_guild_key: bool,
    metrics: Metrics,
}

impl Biller {
    pub(crate) fn spent(&self, usage: Usage) -> Spent {
        let Self { provider, model, pricing, is_on_guild_key, metrics } = self;
        let cost = pricing.known_micros(usage);
        metrics.spent(provider, model, usage, cost, *is_on_guild_key);
        Spent {
            provider: provider.clone(),
            model: model.clone(),
            usage,
            cost_micros: pricing.price.cost_micros(usage),
            is_assumed: pricing.is_assumed,
            is_in_vain: false,
            is_estimate: false,
            is_on_guild_key: *is_on_guild_key,
        }
    }
}

/// Why a turn brought no answer, and what it cost nevertheless.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Unanswered {
    pub(crate) error: TurnError,
    pub(crate) spent: Vec<Spent>,
    /// The guild's own keys that brought nothing, for a reason that is theirs.
    pub(crate) refused_keys: Vec<RefusedKey>,
}

/// A guild's key that brought no answer, for a reason that is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedKey {
    /// The provider that takes it, as the settings name it.
    pub(crate) provider: String,
    pub(crate) trouble: KeyTrouble,
}

/// What is wrong with a guild's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyTrouble {
    NotAccepted,
    NoCredit,
    NoModel,
    /// The operator has no such provider.
    NoProvider,
}

/// An answer, who gave it, and what it cost.
#[derive(Debug)]
pub(crate) struct Answered<'a> {
    pub(crate) answer: Answer,
    pub(crate) provider: &'a str,
    /// As the settings name it.
    pub(crate) model: &'a str,
    /// `None`: the model's price is not known.
    pub(crate) cost_micros: Option<u64>,
    /// All that was spent on it, attempts that brought nothing among it.
    pub(crate) spent: Vec<Spent>,
}

impl Chain {
    /// # Panics
    ///
    /// Without a provider.
    pub(crate) fn new(
        links: Vec<Link>,
        turn_timeout: Duration,
        fallback_wait: Duration,
        metrics: Metrics,
    ) -> Self {
        assert!(!links.is_empty(), "settings always name a provider");
        Self { links: links.into(), turn_timeout, fallback_wait, metrics }
    }

    /// Returns the providers without `name`; `None` if none is left.
    pub(crate) fn without(&self, name: &str) -> Option<Self> {
        let links: Arc<[Link]> =
            self.links.iter().filter(|link| link.provider.name() != name).cloned().collect();
        (!links.is_empty()).then(|| Self { links, ..self.clone() })
    }

    /// Returns what any of the providers is shown beside words.
    pub(crate) fn shown(&self) -> Shown {
        Shown {
            pictures: self.links.iter().any(|link| link.shown.pictures),
            text_files: self.links.iter().any(|link| link.shown.text_files),
        }
    }

    /// Returns the providers that take a guild's keys, each asked with its own; none: there is none.
    ///
    /// Invariant OWN-BILL: nothing of it is asked on the operator's key.
    pub(crate) fn on(&self, keys: &GuildKeys, links: &KeyedLinks) -> Option<Self> {
        let with_key = |link: &Link| {
            let keyed = link.keyed.as_ref()?;
            Some(links.link(link, keyed, keys.guild, keys.get(keyed.name())?))
        };
        let links: Arc<[Link]> = self.links.iter().filter_map(with_key).collect();
        (!links.is_empty()).then(|| Self { links, ..self.clone() })
    }

    /// Returns names and models, in order.
    pub(crate) fn providers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.links.iter().map(|link| (link.provider.name(), link.provider.model()))
    }

    /// Returns the providers in order, with what they cost.
    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }

    /// Asks for a turn.
    ///
    /// The turn takes no longer than `within`. Each provider has an equal share of the time that is left
    /// to begin its answer in, and may be silent that long; what it has begun it may end. While another
    /// one stands behind it, no wait for anything but an answer is longer than `fallback_wait`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempt under way.
    ///
    /// # Errors
    ///
    /// When no provider answers: why the first did not of whom there is hope, else the first at all.
    pub(crate) async fn ask(
        &self,
        request: &TurnRequest,
        deltas: &Deltas,
        within: Option<Duration>,
    ) -> Result<Answered<'_>, Unanswered> {
        let begun = Instant::now();
        let most = within.map_or(self.turn_timeout, |it| self.turn_timeout.min(ended_before(it)));
        let (mut spent, mut refused_keys) = (Vec::new(), Vec::new());
        let mut failed: Option<TurnError> = None;
        for (index, link) in self.links.iter().enumerate() {
            let time_left = most.saturating_sub(begun.elapsed());
            let behind = self.links.len() - index - 1;
            let share = u32::try_from(behind + 1).unwrap_or(u32::MAX);
            let wait = if behind == 0 { time_left } else { self.fallback_wait };
            let limits = Limits { time: time_left, share: time_left / share, wait };
            let provider = &link.provider;
            deltas.billed_by(self.biller(link));
            let asked = provider.ask(request, deltas, limits).await;
            spent.extend(deltas.take_in_vain());
            let error = match asked {
                Ok(answer) => return Ok(self.answered(link, answer, spent)),
                Err(error) => error,
            };
            deltas.restart();
            refused_keys.extend(link.refused_key(&error));
            if behind > 0 && !is_ours(&error) {
                let name = provider.name();
                tracing::warn!(provider = name, error = %error, "asking the next model provider");
                self.metrics.fell_back(name);
            }
            let is_hopeless = |error: &TurnError| matches!(error, TurnError::Final(_));
            let is_first =
                failed.as_ref().is_none_or(|first| is_hopeless(first) && !is_hopeless(&error));
            let is_the_end = is_ours(&error);
            if is_first || is_the_end {
                failed = Some(error);
            }
            if is_the_end || begun.elapsed() >= most {
                break;
            }
        }
        let error = if begun.elapsed() >= most {
            TurnError::OutOfTime { limit: most }
        } else {
            failed.expect("a chain has a provider")
        };
        Err(Unanswered { error, spent, refused_keys })
    }

    fn answered<'a>(&self, link: &'a Link, answer: Answer, mut spent: Vec<Spent>) -> Answered<'a> {
        let (provider, model) = (link.provider.name(), link.provider.model());
        spent.push(self.biller(link).spent(answer.usage));
        let cost_micros = link.pricing.known_micros(answer.usage);
        Answered { answer, provider, model, cost_micros, spent }
    }

    fn biller(&self, link: &Link) -> Biller {
        Biller {
            provider: link.provider.name().to_owned(),
            model: link.provider.model().to_owned(),
            pricing: link.pricing,
            is_on_guild_key: link.is_on_guild_key,
            metrics: self.metrics.clone(),
        }
    }
}

impl Link {
    /// Returns what is wrong with the guild's key, if that is why there is no answer.
    fn refused_key(&self, error: &TurnError) -> Option<RefusedKey> {
        let keyed = self.keyed.as_ref().filter(|_| self.is_on_guild_key)?;
        let TurnError::Final(error) = error else { return None };
        let trouble = match error {
            ProviderError::Key { .. } => KeyTrouble::NotAccepted,
            ProviderError::Credit { .. } => KeyTrouble::NoCredit,
            ProviderError::NotFound { .. } => KeyTrouble::NoModel,
            ProviderError::ToolSchema { .. }
            | ProviderError::Moved { .. }
            | ProviderError::Refused { .. }
            | ProviderError::Limited { .. }
            | ProviderError::Failed { .. }
            | ProviderError::Unreachable
            | ProviderError::Silent
            | ProviderError::BrokeOff
            | ProviderError::Nonsense
            | ProviderError::TooLong => return None,
        };
        Some(RefusedKey { provider: keyed.name().to_owned(), trouble })
    }
}

/// Returns how long is worked for a caller that waits so long: it is to hear how it ended.
fn ended_before(within: Duration) -> Duration {
    within.saturating_sub((within / 20).min(Duration::from_secs(1)))
}

/// Whether the request itself is wrong, for every provider alike.
fn is_ours(error: &TurnError) -> bool {
    matches!(error, TurnError::Final(ProviderError::ToolSchema { .. }))
}

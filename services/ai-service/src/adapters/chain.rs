use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    domain::{
        conversation::{Answer, TurnRequest},
        prices::Price,
    },
    metrics::Metrics,
};

use super::{Deltas, Limits, ProviderError, SteadyProvider, TurnError};

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
    /// `None`: not known.
    pub(crate) price: Option<Price>,
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

    /// Returns names and models, in order.
    pub(crate) fn providers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.links.iter().map(|link| (link.provider.name(), link.provider.model()))
    }

    /// Returns the providers whose price is not known.
    pub(crate) fn unpriced(&self) -> impl Iterator<Item = &str> {
        self.links.iter().filter(|link| link.price.is_none()).map(|link| link.provider.name())
    }

    /// Asks for a turn.
    ///
    /// Each provider has an equal share of the time that is left, and while another one stands
    /// behind it, no wait is longer than `fallback_wait`.
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
    ) -> Result<Answered<'_>, TurnError> {
        let begun = Instant::now();
        let mut failed: Option<TurnError> = None;
        for (index, link) in self.links.iter().enumerate() {
            let time_left = self.turn_timeout.saturating_sub(begun.elapsed());
            let behind = self.links.len() - index - 1;
            let share = u32::try_from(behind + 1).unwrap_or(u32::MAX);
            let wait = if behind == 0 { time_left } else { self.fallback_wait };
            let limits = Limits { time: time_left / share, wait };
            let provider = &link.provider;
            let error = match provider.ask(request, deltas, limits).await {
                Ok(answer) => return Ok(self.answered(link, answer)),
                Err(error) => error,
            };
            deltas.restart();
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
            if is_the_end {
                break;
            }
        }
        Err(failed.expect("a chain has a provider"))
    }

    fn answered<'a>(&self, link: &'a Link, answer: Answer) -> Answered<'a> {
        let (provider, model) = (link.provider.name(), link.provider.model());
        let cost_micros = link.price.map(|price| price.cost_micros(answer.usage));
        self.metrics.answered(provider, model, answer.usage, cost_micros);
        Answered { answer, provider, model, cost_micros }
    }
}

/// Whether the request itself is wrong, for every provider alike.
fn is_ours(error: &TurnError) -> bool {
    matches!(error, TurnError::Final(ProviderError::ToolSchema { .. }))
}

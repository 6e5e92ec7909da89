//! What tokens cost.

use crate::domain::conversation::Usage;

/// Prices of a model's tokens, each in a billionth of the currency.
///
/// A price of 3 for a million tokens is 3,000 billionths for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Price {
    pub(crate) input: u64,
    /// Tokens that the provider read from its cache.
    pub(crate) cached_input: u64,
    /// Tokens that the provider wrote to its cache.
    pub(crate) cache_write: u64,
    pub(crate) output: u64,
}

/// What a model costs, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pricing {
    pub(crate) price: Price,
    /// Nobody has said what the model costs: it counts as dear as the operator has models assumed.
    pub(crate) is_assumed: bool,
}

impl Pricing {
    /// Returns what a turn cost, if that is known.
    pub(crate) fn known_micros(self, usage: Usage) -> Option<u64> {
        (!self.is_assumed).then(|| self.price.cost_micros(usage))
    }
}

impl Price {
    /// Takes prices for a million tokens.
    pub(crate) fn per_million(
        input: f64,
        cached_input: f64,
        cache_write: f64,
        output: f64,
    ) -> Self {
        Self {
            input: billionths(input),
            cached_input: billionths(cached_input),
            cache_write: billionths(cache_write),
            output: billionths(output),
        }
    }

    /// Returns what a turn cost, in millionths of the currency, rounded up: a budget is not
    /// outlived by turns that cost next to nothing.
    pub(crate) fn cost_micros(self, usage: Usage) -> u64 {
        let special = usage.cached.saturating_add(usage.cache_written);
        let plain = usage.prompt.saturating_sub(special);
        [
            (plain, self.input),
            (usage.cached, self.cached_input),
            (usage.cache_written, self.cache_write),
            (usage.completion, self.output),
        ]
        .into_iter()
        .fold(0_u64, |sum, (tokens, price)| sum.saturating_add(tokens.saturating_mul(price)))
        .div_ceil(1_000)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from floating point is bounded by the type, and prices are checked before"
)]
fn billionths(per_million: f64) -> u64 {
    (per_million * 1_000.0).round() as u64
}

/// Returns what the provider's list says of a model, in US dollars.
///
/// The list ages (it is of November 2026): who keeps a budget gives prices of their own
/// (`ai.prices`). A model that is not in it has no price rather than that of a model with a similar
/// name.
pub(crate) fn listed(model: &str) -> Option<Price> {
    let model = model.strip_prefix("models/").unwrap_or(model);
    LIST.iter().find(|(name, ..)| is_of(model, name)).map(
        |&(_, input, cached_input, cache_write, output)| {
            Price::per_million(input, cached_input, cache_write, output)
        },
    )
}

/// Returns whether `model` is `name`, perhaps with the date of its release.
fn is_of(model: &str, name: &str) -> bool {
    let Some(rest) = model.strip_prefix(name) else { return false };
    let date = rest.strip_prefix(['-', '@']).unwrap_or("");
    rest.is_empty()
        || date == "latest"
        || (date.starts_with("20")
            && matches!(date.len(), 8 | 10)
            && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
}

/// For a million tokens: input, read from the cache, written to it, output.
const LIST: [(&str, f64, f64, f64, f64); 24] = [
    ("gpt-5", 1.25, 0.125, 1.25, 10.0),
    ("gpt-5-mini", 0.25, 0.025, 0.25, 2.0),
    ("gpt-5-nano", 0.05, 0.005, 0.05, 0.4),
    ("gpt-4.1", 2.0, 0.5, 2.0, 8.0),
    ("gpt-4.1-mini", 0.4, 0.1, 0.4, 1.6),
    ("gpt-4.1-nano", 0.1, 0.025, 0.1, 0.4),
    ("gpt-4o", 2.5, 1.25, 2.5, 10.0),
    ("gpt-4o-mini", 0.15, 0.075, 0.15, 0.6),
    ("o3", 2.0, 0.5, 2.0, 8.0),
    ("o4-mini", 1.1, 0.275, 1.1, 4.4),
    ("claude-opus-4", 15.0, 1.5, 18.75, 75.0),
    ("claude-opus-4-1", 15.0, 1.5, 18.75, 75.0),
    ("claude-opus-4-5", 5.0, 0.5, 6.25, 25.0),
    ("claude-opus-4-6", 5.0, 0.5, 6.25, 25.0),
    ("claude-sonnet-4", 3.0, 0.3, 3.75, 15.0),
    ("claude-sonnet-4-5", 3.0, 0.3, 3.75, 15.0),
    ("claude-sonnet-4-6", 3.0, 0.3, 3.75, 15.0),
    ("claude-haiku-4-5", 1.0, 0.1, 1.25, 5.0),
    ("claude-3-5-haiku", 0.8, 0.08, 1.0, 4.0),
    ("gemini-2.5-pro", 1.25, 0.125, 1.25, 10.0),
    ("gemini-2.5-flash", 0.3, 0.03, 0.3, 2.5),
    ("gemini-2.5-flash-lite", 0.1, 0.01, 0.1, 0.4),
    ("gemini-2.0-flash", 0.1, 0.025, 0.1, 0.4),
    ("gemini-2.0-flash-lite", 0.075, 0.075, 0.075, 0.3),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_token_has_its_price_and_parts_count_as_one() {
        let price = Price::per_million(3.0, 0.3, 3.75, 15.0);
        let usage = Usage { prompt: 1_000, cached: 600, cache_written: 100, completion: 10 };
        // 300 × 3 + 600 × 0.3 + 100 × 3.75 + 10 × 15
        assert_eq!(price.cost_micros(usage), 900 + 180 + 375 + 150);
        let one = Usage { prompt: 1, ..Usage::default() };
        assert_eq!(Price::per_million(0.05, 0.0, 0.0, 0.0).cost_micros(one), 1);
        assert_eq!(Price::default().cost_micros(usage), 0);
    }

    #[test]
    fn counts_that_make_no_sense_overflow_nothing() {
        let price = Price::per_million(1e6, 1e6, 1e6, 1e6);
        let usage = Usage { prompt: 1, cached: u64::MAX, cache_written: 9, completion: u64::MAX };
        assert_eq!(price.cost_micros(usage), u64::MAX.div_ceil(1_000));
    }

    #[test]
    fn a_model_is_known_by_its_name_and_date_alone() {
        let opus = Price::per_million(15.0, 1.5, 18.75, 75.0);
        assert_eq!(listed("claude-opus-4-20250514"), Some(opus));
        assert_eq!(listed("claude-opus-4-5-20251101").map(|price| price.output), Some(25_000));
        assert_eq!(listed("gpt-4o-2024-08-06").map(|price| price.input), Some(2_500));
        assert_eq!(listed("gpt-4o-mini").map(|price| price.input), Some(150));
        assert_eq!(listed("models/gemini-2.5-flash").map(|price| price.output), Some(2_500));
        for unknown in ["claude-opus-4-99", "gpt-4o-audio", "gpt-5.1", "my-gpt-4o", ""] {
            assert_eq!(listed(unknown), None, "{unknown}");
        }
    }
}

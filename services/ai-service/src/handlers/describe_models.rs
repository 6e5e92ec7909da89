use ery_proto::ai::v1::{DescribeModelsResponse, Model};

use crate::{
    adapters::{Chain, Link},
    domain::conversation::Usage,
};

/// Tells which models are asked, and what a million of their tokens costs.
pub(super) fn answer(
    chain: &Chain,
    cheaper: Option<&Chain>,
    reads_orders: bool,
) -> DescribeModelsResponse {
    DescribeModelsResponse {
        models: models(chain).collect(),
        cheaper: cheaper.into_iter().flat_map(models).collect(),
        reads_orders,
    }
}

fn models(chain: &Chain) -> impl Iterator<Item = Model> {
    const MILLION: u64 = 1_000_000;

    chain.links().iter().map(|link| {
        let Link { provider, pricing, is_own, shown, keyed, is_on_guild_key: _ } = link;
        let cost = |usage| pricing.price.cost_micros(usage);
        Model {
            provider: provider.name().to_owned(),
            name: provider.model().to_owned(),
            prompt_micros: cost(Usage { prompt: MILLION, ..Usage::default() }),
            completion_micros: cost(Usage { completion: MILLION, ..Usage::default() }),
            is_assumed: pricing.is_assumed,
            is_own: *is_own,
            takes_pictures: shown.pictures,
            takes_text_files: shown.text_files,
            key_name: keyed.as_ref().map_or_else(String::new, |keyed| keyed.name().to_owned()),
        }
    })
}

use ery_proto::store::v1::{Case, ListCasesRequest, ListCasesResponse};

use super::{parse, render, scope};
use crate::{adapters::cases, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.cases.list", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: ListCasesRequest,
) -> Result<ListCasesResponse, StoreError> {
    let guild = parse::id("guild_id", request.guild_id)?;
    let number = |number: u64| match number {
        0 => None,
        // There are no higher ones.
        number => Some(i64::try_from(number).unwrap_or(i64::MAX)),
    };
    let wanted = cases::Wanted {
        guild,
        target: parse::optional_id("target_user_id", request.target_user_id)?,
        case: number(request.case_id),
        before: number(request.before_case_id),
        limit: scope::limit(request.limit, store.settings.max_listed),
    };
    let Some(shard) = store.shards.existing(ery_ids::Home::Guild(guild)).await? else {
        return Ok(ListCasesResponse::default());
    };
    let found = shard.read(cases::list(shard.readers(), wanted)).await?;
    let case = |case: cases::Case| Case {
        case_id: case.id.cast_unsigned(),
        target_user_id: case.target.unwrap_or(0),
        at_ms: case.at.0,
        execution: Some(render::execution(case.execution)),
    };
    Ok(ListCasesResponse { cases: found.into_iter().map(case).collect() })
}

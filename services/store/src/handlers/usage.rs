//! What model turns have cost.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use tonic::{Request, Response, Status};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, StoreShard};
use ery_proto::store::v1::{
    ClaimNoticesRequest, ClaimNoticesResponse, CountSpentRequest, CountSpentResponse,
    GetSpendingRequest, GetSpendingResponse, GetTotalsRequest, GetTotalsResponse, ListUsageRequest,
    ListUsageResponse, Notice as ProtoNotice, ShardSpending, UsageOf, UsageSum,
    usage_service_server,
};

use super::{
    parse::{self, Invalid},
    render, scope,
};
use crate::{
    adapters::{
        read::Scope,
        usage::{self, Listed, Notice, Wanted},
    },
    domain::usage::{Bill, Counts, InWindows, Spending, Sum, Windows},
    error::StoreError,
    service::Inner,
};

/// How many channels, members and guilds are told at most.
const MOST_LISTED: u32 = 1_000;

/// The RPCs about what was spent.
#[derive(Clone, Debug)]
pub(crate) struct UsageHandlers {
    store: Arc<Inner>,
}

impl UsageHandlers {
    pub(crate) fn new(store: Arc<Inner>) -> Self {
        Self { store }
    }
}

#[tonic::async_trait]
impl usage_service_server::UsageService for UsageHandlers {
    async fn get_totals(
        &self,
        _: Request<GetTotalsRequest>,
    ) -> Result<Response<GetTotalsResponse>, Status> {
        Ok(Response::new(totals(&self.store).await))
    }

    async fn get_spending(
        &self,
        request: Request<GetSpendingRequest>,
    ) -> Result<Response<GetSpendingResponse>, Status> {
        Ok(Response::new(spending(&self.store, request.into_inner()).await?))
    }

    async fn list_usage(
        &self,
        request: Request<ListUsageRequest>,
    ) -> Result<Response<ListUsageResponse>, Status> {
        Ok(Response::new(list(&self.store, request.into_inner()).await?))
    }

    async fn claim_notices(
        &self,
        request: Request<ClaimNoticesRequest>,
    ) -> Result<Response<ClaimNoticesResponse>, Status> {
        Ok(Response::new(claim(&self.store, request.into_inner()).await?))
    }

    async fn count_spent(
        &self,
        request: Request<CountSpentRequest>,
    ) -> Result<Response<CountSpentResponse>, Status> {
        Ok(Response::new(count(&self.store, request.into_inner()).await?))
    }
}

/// Sums up all shards; a file is read once, and what it says is known from then on.
async fn totals(store: &Inner) -> GetTotalsResponse {
    let windows = Windows::at(store.clock.now());
    let (mut sum, mut unread_shards) = (InWindows::default(), 0);
    let mut shards = Vec::new();
    for shard in store.shards.all_existing() {
        let spent = match store.totals.get(shard, windows) {
            Some(spent) => spent,
            None => match of_shard(store, shard, windows).await {
                Ok(spent) => spent,
                Err(error) => {
                    tracing::debug!(%error, store_shard = %shard,
                        "what {shard} has spent could not be read");
                    unread_shards += 1;
                    continue;
                }
            },
        };
        add(&mut sum.day, spent.day);
        add(&mut sum.month, spent.month);
        shards.push(ShardSpending { shard: shard.0, spent: Some(render::in_windows(spent)) });
    }
    let (day, month) = windows.began();
    GetTotalsResponse {
        day_began_ms: day.0,
        month_began_ms: month.0,
        spent: Some(render::in_windows(sum)),
        unread_shards,
        day_ends_ms: windows.end().0.0,
        month_ends_ms: windows.end().1.0,
        shards,
    }
}

async fn of_shard(
    store: &Inner,
    shard: StoreShard,
    windows: Windows,
) -> Result<InWindows, StoreError> {
    let was_open = store.shards.is_open(shard).await;
    let open = store.shards.open(shard).await?;
    let spent = open.write(move |connection| usage::of_file(connection, windows)).await;
    drop(open);
    if !was_open {
        store.shards.close(shard).await;
    }
    let spent = spent?;
    store.totals.note(shard, windows, spent);
    Ok(store.totals.get(shard, windows).unwrap_or(spent))
}

fn add(sum: &mut Sum, more: Sum) {
    sum.tokens = sum.tokens.saturating_add(more.tokens);
    sum.cost_micros = sum.cost_micros.saturating_add(more.cost_micros);
}

async fn spending(
    store: &Inner,
    request: GetSpendingRequest,
) -> Result<GetSpendingResponse, StoreError> {
    let guild = parse::optional_id("guild_id", request.guild_id)?;
    let channel = ChannelKey::new(guild, parse::id("channel_id", request.channel_id)?);
    parse::bounded("user_ids", &request.user_ids)?;
    let users = parse::askers(&request.user_ids)?;
    let now = store.clock.now();
    let spending = match store.shards.existing(channel.home).await? {
        Some(shard) => {
            let of = move |connection: &_| usage::spending(connection, &channel, &users, now);
            shard.write(of).await?
        }
        // Whoever asks for a home that spent nothing makes no file.
        None => Spending { windows: Windows::at(now), ..Spending::default() },
    };
    Ok(GetSpendingResponse { spending: Some(render::spending(&spending)) })
}

async fn count(
    store: &Inner,
    request: CountSpentRequest,
) -> Result<CountSpentResponse, StoreError> {
    let guild = parse::optional_id("guild_id", request.guild_id)?;
    let channel = ChannelKey::new(guild, parse::id("channel_id", request.channel_id)?);
    let id = parse::name("count_id", request.count_id)?;
    parse::bounded("spent", &request.spent)?;
    let spent = request.spent.into_iter().map(parse::spent).collect::<Result<_, _>>()?;
    let bill = Bill { spent, spenders: Vec::new(), lost_turns: request.lost_turns };
    let now = store.clock.now();
    let shard = store.shards.of(channel.home).await?;
    let (spending, in_file) = shard
        .write(move |connection| {
            usage::count_once(connection, &channel, &id, &bill, now)?;
            let spending = usage::spending(connection, &channel, &[], now)?;
            let in_file = usage::of_file(connection, spending.windows)?;
            Ok((spending, in_file))
        })
        .await?;
    store.totals.note(store.shards.shard_of(channel.home), spending.windows, in_file);
    Ok(CountSpentResponse { spending: Some(render::spending(&spending)) })
}

async fn list(store: &Inner, request: ListUsageRequest) -> Result<ListUsageResponse, StoreError> {
    let scope = scope::parse(request.guild_id, request.channel_id)?;
    let day = |at: i64| Windows::at(UnixMillis(at)).day;
    let until_day = match request.until_ms {
        0 => Windows::at(store.clock.now()).day + 1,
        until => day(until),
    };
    let given = |id: u64| (id != 0).then_some(id);
    let wanted = Wanted {
        home: match scope {
            Scope::Channel(channel) => Some(channel.home.key()),
            Scope::Home(home) => Some(home.key()),
            Scope::All => None,
        },
        channel: given(request.channel_id),
        user: given(request.user_id),
        from_day: day(request.from_ms),
        until_day,
    };
    let files = scope::read(store, scope, |_, readers| async move {
        Ok(vec![usage::list(&readers, wanted).await?])
    })
    .await?;
    let mut all = Listed::default();
    for file in files {
        all.total.add(file.total);
        all.by_model.extend(file.by_model);
        all.by_channel.extend(file.by_channel);
        all.by_member.extend(file.by_member);
        all.by_guild.extend(file.by_guild);
    }
    let limit = scope::limit(request.limit, MOST_LISTED) as usize;
    let of_id =
        |(id, counts): (u64, Counts)| UsageOf { id, sum: Some(sum(counts)), ..UsageOf::default() };
    let of_model = |((provider, model), counts): ((String, String), Counts)| UsageOf {
        provider,
        model,
        sum: Some(sum(counts)),
        ..UsageOf::default()
    };
    let ids = |list| most_first(list, limit).into_iter().map(of_id).collect();
    Ok(ListUsageResponse {
        total: Some(sum(all.total)),
        by_model: most_first(all.by_model, MOST_LISTED as usize)
            .into_iter()
            .map(of_model)
            .collect(),
        by_channel: ids(all.by_channel),
        by_member: ids(all.by_member),
        by_guild: ids(all.by_guild),
    })
}

/// Sums up what comes of several files, and returns those for which most was spent.
fn most_first<K: Eq + Hash + Ord + Clone>(
    list: Vec<(K, Counts)>,
    limit: usize,
) -> Vec<(K, Counts)> {
    let mut sums: HashMap<K, Counts> = HashMap::new();
    for (key, counts) in list {
        sums.entry(key).or_default().add(counts);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(key, counts)| {
        let sum = counts.sum();
        (std::cmp::Reverse((sum.cost_micros, sum.tokens, counts.lost_turns)), key.clone())
    });
    sums.truncate(limit);
    sums
}

fn sum(counts: Counts) -> UsageSum {
    UsageSum {
        turns: counts.turns,
        prompt_tokens: counts.prompt_tokens,
        cached_tokens: counts.cached_tokens,
        completion_tokens: counts.completion_tokens,
        cost_micros: counts.cost_micros,
        assumed_micros: counts.assumed_micros,
        turns_in_vain: counts.turns_in_vain,
        estimated_turns: counts.estimated_turns,
        lost_turns: counts.lost_turns,
        summary_turns: counts.summary_turns,
        summary_tokens: counts.summary_tokens,
        summary_micros: counts.summary_micros,
        on_guild_key_micros: counts.on_guild_key_micros,
    }
}

async fn claim(
    store: &Inner,
    request: ClaimNoticesRequest,
) -> Result<ClaimNoticesResponse, StoreError> {
    let fence = parse::fence(request.fence)?;
    let thread = parse::thread_id("thread_id", &request.thread_id)?;
    parse::bounded("notices", &request.notices)?;
    let notices: Vec<Notice> = request
        .notices
        .iter()
        .map(notice)
        .collect::<Result<_, _>>()
        .map_err(|invalid: Invalid| invalid.within("notices"))?;
    let shard = store.shards.of(fence.channel.home).await?;
    let is_granted =
        shard.write(move |connection| usage::claim(connection, &fence, thread, &notices)).await?;
    Ok(ClaimNoticesResponse { is_granted })
}

fn notice(notice: &ProtoNotice) -> Result<Notice, Invalid> {
    let one_of = |field: &str, given: &str, known: &[&'static str]| {
        let found = known.iter().copied().find(|known| *known == given);
        found.ok_or_else(|| Invalid::new(field, "is unknown"))
    };
    Ok(Notice {
        scope: one_of("scope", &notice.scope, &["member", "channel", "server", "installation"])?,
        subject: parse::optional_id::<()>("subject_id", notice.subject_id)?
            .map_or(0, twilight_model::id::Id::get),
        period: one_of("window", &notice.window, &["day", "month"])?,
        began_day: Windows::at(UnixMillis(notice.window_began_ms)).day,
        stage: one_of("stage", &notice.stage, &["warned", "cheaper", "stopped"])?,
    })
}

//! What the stores have counted, and what models cost.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use tonic::Code;
use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Fence, StoreShard, TaskThreadId};
use ery_proto::{ai::v1 as ai, common::v1 as common, store::v1 as proto};
use ery_rpc::{Transport, within};

use crate::{
    adapters::{ai::Ai, convert, keys::GuildKeys, store::Store},
    domain::{
        attachments::Shown,
        budgets::{InWindows, Reached, Scope, Span, Spending, Sum, Windows},
        journal::{Bill, Spent, Usage},
        shares::Told,
    },
    error::CallError,
};

type Client = proto::usage_service_client::UsageServiceClient<Transport>;

/// How many channels and members of a server are listed.
const LISTED: u32 = 5;

/// It costs nothing, and counts nothing.
const BUILTIN: &str = "builtin";

/// How long the ai-service is asked for its models; then it is asked again later.
const MODELS_WITHIN: Duration = Duration::from_secs(2);

/// What the stores tell that answer now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) told: Vec<Told>,
    /// Whether each store answered, and told all that it has.
    pub(crate) is_whole: bool,
}

/// What models cost, as the ai-service tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Models {
    /// Whether the ai-service has answered, and be it that it does not tell.
    is_known: bool,
    /// In the order in which they are asked.
    pub(crate) usual: Vec<Model>,
    /// Those that are asked once a budget is used up.
    pub(crate) cheaper: Vec<Model>,
    /// Whether a model reads orders.
    pub(crate) reads_orders: bool,
    /// They are asked with a guild's own keys.
    is_on_guild_key: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    provider: String,
    name: String,
    /// For a million tokens.
    prompt_micros: u64,
    completion_micros: u64,
    is_assumed: bool,
    is_own: bool,
    shown: Shown,
    /// Under which provider's name a guild's key is for it; empty: it takes none.
    key_name: String,
}

impl Models {
    /// Returns those that are asked for a guild that has these keys: with any, only those that take one.
    pub(crate) fn on(self: Arc<Self>, keys: &GuildKeys) -> Arc<Self> {
        if keys.is_empty() {
            return self;
        }
        let mut models = Self { is_on_guild_key: true, ..Self::clone(&self) };
        for list in [&mut models.usual, &mut models.cheaper] {
            list.retain(|model| keys.has(&model.key_name));
        }
        Arc::new(models)
    }

    /// Returns whether each runs in the operator's own network; so they are taken until the
    /// ai-service has answered, since without it nothing is spent.
    pub(crate) fn are_own(&self) -> bool {
        let mut all = self.usual.iter().chain(&self.cheaper);
        !self.is_known || (!self.usual.is_empty() && all.all(|it| it.is_own))
    }

    /// Returns those that are asked.
    fn asked(&self, is_cheaper: bool) -> &[Model] {
        if is_cheaper { &self.cheaper } else { &self.usual }
    }

    /// Returns what one of those that are asked is shown beside words.
    pub(crate) fn shown(&self, is_cheaper: bool) -> Shown {
        let models = self.asked(is_cheaper);
        Shown {
            pictures: models.iter().any(|model| model.shown.pictures),
            text_files: models.iter().any(|model| model.shown.text_files),
        }
    }

    /// Returns whether no model at all is asked: what is built in reads everything, and costs nothing.
    pub(crate) fn are_built_in(&self, is_cheaper: bool) -> bool {
        let models = self.asked(is_cheaper);
        !models.is_empty() && models.iter().all(|model| model.provider == BUILTIN)
    }

    /// Returns whether one of those that are asked can sum a channel up, or judge a message: the built-in
    /// commands cannot.
    pub(crate) fn can_sum_up(&self, is_cheaper: bool) -> bool {
        self.asked(is_cheaper).iter().any(|model| model.provider != BUILTIN)
    }

    /// Returns one that has a price although it runs in the operator's own network: a proxy perhaps, of a
    /// provider that sends a bill.
    pub(crate) fn priced_own(&self) -> Option<&str> {
        let all = self.usual.iter().chain(&self.cheaper);
        let is_priced = |model: &&Model| model.prompt_micros > 0 || model.completion_micros > 0;
        all.filter(|model| model.is_own).find(is_priced).map(|model| &*model.name)
    }

    /// Returns what a request costs at the most that was cut off, by its own bound.
    pub(crate) fn bound(&self, is_cheaper: bool, prompt: u64, completion: u64) -> Option<Spent> {
        let usage =
            Usage { prompt_tokens: prompt, completion_tokens: completion, cached_tokens: 0 };
        let estimate = Spent {
            usage,
            is_in_vain: true,
            is_estimate: true,
            is_on_guild_key: self.is_on_guild_key,
            ..Spent::default()
        };
        let Some(model) = self.asked(is_cheaper).first() else { return Some(estimate) };
        if model.provider == BUILTIN {
            return None;
        }
        let cost = |tokens: u64, price: u64| {
            let micros = u128::from(tokens) * u128::from(price);
            u64::try_from(micros.div_ceil(1_000_000)).unwrap_or(u64::MAX)
        };
        let of_prompt = cost(prompt, model.prompt_micros);
        Some(Spent {
            provider: model.provider.clone(),
            model: model.name.clone(),
            cost_micros: of_prompt.saturating_add(cost(completion, model.completion_micros)),
            is_assumed: model.is_assumed,
            ..estimate
        })
    }
}

impl Ai {
    /// Tells which models are asked; none if the ai-service is of an older version.
    pub(crate) async fn describe_models(&self) -> Result<Models, CallError> {
        let client = self.client();
        let described = self
            .retries
            .for_at_most(MODELS_WITHIN)
            .call("DescribeModels", MODELS_WITHIN, || {
                let mut client = client.clone();
                async move {
                    let request = ai::DescribeModelsRequest {};
                    client.describe_models(request).await.map(tonic::Response::into_inner)
                }
                .boxed()
            })
            .await;
        let model = |model: ai::Model| Model {
            provider: model.provider,
            name: model.name,
            prompt_micros: model.prompt_micros,
            completion_micros: model.completion_micros,
            is_assumed: model.is_assumed,
            is_own: model.is_own,
            shown: Shown { pictures: model.takes_pictures, text_files: model.takes_text_files },
            key_name: model.key_name,
        };
        match described {
            Ok(described) => Ok(Models {
                is_known: true,
                usual: described.models.into_iter().map(model).collect(),
                cheaper: described.cheaper.into_iter().map(model).collect(),
                reads_orders: described.reads_orders,
                is_on_guild_key: false,
            }),
            Err(error) if is_unimplemented(&error) => {
                Ok(Models { is_known: true, ..Models::default() })
            }
            Err(error) => Err(error),
        }
    }
}

impl Store {
    /// Asks all stores what they have counted. One that does not answer is asked again next time.
    pub(crate) async fn totals(&self) -> Totals {
        let asked = self.peers.each().into_iter().map(|store| async {
            let request = within(self.timeout, proto::GetTotalsRequest {});
            let mut client = Client::new(store);
            tokio::time::timeout(self.timeout, client.get_totals(request)).await
        });
        let mut totals = Totals { told: Vec::new(), is_whole: true };
        for answer in futures::future::join_all(asked).await {
            match answer {
                Ok(Ok(answer)) => {
                    let answer = answer.into_inner();
                    totals.is_whole &= answer.unread_shards == 0;
                    let told = told_from(answer);
                    totals.told.push(told);
                }
                // It counts nothing yet.
                Ok(Err(status)) if status.code() == Code::Unimplemented => {}
                Ok(Err(_)) | Err(_) => totals.is_whole = false,
            }
        }
        totals
    }

    /// Takes the right to tell people of budgets, each once in its window; returns which it has.
    pub(crate) async fn claim_notices(
        &self,
        fence: &Fence,
        thread: TaskThreadId,
        notices: &[(Reached, u64)],
    ) -> Result<Vec<bool>, CallError> {
        let client = Client::new(self.peers.of(fence.channel.home));
        let notice = |(reached, subject): &(Reached, u64)| proto::Notice {
            scope: reached.scope.as_word().to_owned(),
            subject_id: *subject,
            window: reached.window.as_word().to_owned(),
            window_began_ms: reached.span.began.0,
            stage: reached.stage.as_word().to_owned(),
        };
        let request = proto::ClaimNoticesRequest {
            fence: Some(convert::fence(fence)),
            thread_id: thread.to_string(),
            notices: notices.iter().map(notice).collect(),
        };
        let answer = self
            .retries
            .call("ClaimNotices", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.claim_notices(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await;
        match answer {
            Ok(answer) => Ok(answer.is_granted),
            // A store of an older version keeps no notices: it is better told twice than never.
            Err(error) if is_unimplemented(&error) => Ok(vec![true; notices.len()]),
            Err(error) => Err(error),
        }
    }

    /// Counts what work has spent that has no journal, once under its id.
    pub(crate) async fn count_spent(
        &self,
        channel: ChannelKey,
        count: &str,
        bill: &Bill,
    ) -> Result<(), CallError> {
        let client = Client::new(self.peers.of(channel.home));
        let request = proto::CountSpentRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            count_id: count.to_owned(),
            spent: bill.spent.iter().map(spent).collect(),
            lost_turns: bill.lost_turns,
        };
        self.retries
            .call("CountSpent", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.count_spent(request).await.map(|_| ()) }.boxed()
            })
            .await
    }

    /// Tells what was spent in the open windows in a channel and its home, and for a person if one is
    /// named.
    pub(crate) async fn spending(
        &self,
        channel: ChannelKey,
        user: Option<Id<UserMarker>>,
    ) -> Result<Spending, CallError> {
        let client = Client::new(self.peers.of(channel.home));
        let request = proto::GetSpendingRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            user_ids: user.map(Id::get).into_iter().collect(),
        };
        let answer = self
            .retries
            .call("GetSpending", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request.clone()));
                async move { client.get_spending(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(answer.spending.map(spending_from).unwrap_or_default())
    }

    /// Lists what was spent in a channel's home since a moment, for one member or everybody.
    pub(crate) async fn usage(
        &self,
        channel: ChannelKey,
        user: Option<u64>,
        since: UnixMillis,
    ) -> Result<proto::ListUsageResponse, CallError> {
        let client = Client::new(self.peers.of(channel.home));
        let request = proto::ListUsageRequest {
            guild_id: channel.guild_raw(),
            channel_id: if channel.guild().is_some() { 0 } else { channel.channel.get() },
            user_id: user.unwrap_or(0),
            from_ms: since.0,
            until_ms: 0,
            limit: LISTED,
        };
        self.retries
            .call("ListUsage", self.timeout, || {
                let (mut client, request) = (client.clone(), within(self.timeout, request));
                async move { client.list_usage(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await
    }
}

pub(crate) fn is_unimplemented(error: &CallError) -> bool {
    matches!(error, CallError::Refused { status, .. } if status.code() == Code::Unimplemented)
}

/// Writes what a request to a model cost.
pub(super) fn spent(spent: &Spent) -> common::Spent {
    common::Spent {
        provider: spent.provider.clone(),
        model: spent.model.clone(),
        usage: Some(convert::usage(spent.usage)),
        cost_micros: spent.cost_micros,
        is_assumed: spent.is_assumed,
        is_in_vain: spent.is_in_vain,
        is_estimate: spent.is_estimate,
        is_on_guild_key: spent.is_on_guild_key,
    }
}

/// Writes what a step tells of having been spent.
pub(crate) fn bill(bill: &Bill, step: &mut proto::Step) {
    step.spent = bill.spent.iter().map(spent).collect();
    step.spender_ids = bill.spenders.iter().map(|user| user.get()).collect();
    step.lost_turns = bill.lost_turns;
}

/// Reads what a turn cost.
pub(crate) fn spent_from(spent: common::Spent) -> Spent {
    Spent {
        provider: spent.provider,
        model: spent.model,
        usage: convert::usage_from(spent.usage.unwrap_or_default()),
        cost_micros: spent.cost_micros,
        is_assumed: spent.is_assumed,
        is_in_vain: spent.is_in_vain,
        is_estimate: spent.is_estimate,
        is_on_guild_key: spent.is_on_guild_key,
    }
}

/// Reads what the store tells of what was spent.
pub(crate) fn spending_from(spending: proto::Spending) -> Spending {
    let windows = |began, ends| Span { began: UnixMillis(began), ends: UnixMillis(ends) };
    Spending {
        windows: Windows {
            day: windows(spending.day_began_ms, spending.day_ends_ms),
            month: windows(spending.month_began_ms, spending.month_ends_ms),
        },
        home: in_windows(spending.home),
        channel: in_windows(spending.channel),
        members: spending
            .members
            .into_iter()
            .filter_map(|member| Some((Id::new_checked(member.user_id)?, in_windows(member.spent))))
            .collect(),
        told: Vec::new(),
    }
}

fn told_from(answer: proto::GetTotalsResponse) -> Told {
    let span = |began, ends| Span { began: UnixMillis(began), ends: UnixMillis(ends) };
    let shard = |it: proto::ShardSpending| (StoreShard(it.shard), in_windows(it.spent));
    Told {
        windows: Windows {
            day: span(answer.day_began_ms, answer.day_ends_ms),
            month: span(answer.month_began_ms, answer.month_ends_ms),
        },
        shards: answer.shards.into_iter().map(shard).collect(),
        sum: in_windows(answer.spent),
    }
}

fn in_windows(spent: Option<proto::SpentInWindows>) -> InWindows {
    let sum = |sum: Option<proto::SpentSum>| {
        let sum = sum.unwrap_or_default();
        Sum { tokens: sum.tokens, cost_micros: sum.cost_micros }
    };
    let spent = spent.unwrap_or_default();
    InWindows { day: sum(spent.day), month: sum(spent.month) }
}

/// Returns of whom a notice is told once: a member wherever they are, else a place.
pub(crate) fn subject(reached: &Reached, user: u64, channel: ChannelKey) -> u64 {
    use crate::domain::budgets::Stage;

    match (reached.scope, reached.stage) {
        (Scope::Member, _) => user,
        // Whoever writes in another channel must be told there, too, why nothing comes.
        (_, Stage::Stopped) | (Scope::Channel, _) => channel.channel.get(),
        (Scope::Server | Scope::Installation, Stage::Warned | Stage::Cheaper) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(is_own: bool) -> Model {
        Model {
            provider: "main".to_owned(),
            name: "m".to_owned(),
            prompt_micros: 1_000_000,
            completion_micros: 10_000_000,
            is_assumed: true,
            is_own,
            shown: Shown::default(),
            key_name: String::new(),
        }
    }

    fn models(usual: Vec<Model>, cheaper: Vec<Model>) -> Models {
        Models { is_known: true, usual, cheaper, ..Models::default() }
    }

    #[test]
    fn the_defaults_wait_for_the_first_answer_and_hold_where_any_model_is_paid_for() {
        assert!(Models::default().are_own(), "nothing is spent before it answers");
        assert!(!models(Vec::new(), Vec::new()).are_own(), "it does not tell");
        assert!(models(vec![model(true)], Vec::new()).are_own());
        assert!(!models(vec![model(true), model(false)], Vec::new()).are_own());
        assert!(!models(vec![model(true)], vec![model(false)]).are_own());
    }

    #[test]
    fn a_model_at_home_that_has_a_price_may_be_a_proxy() {
        let free = Model { prompt_micros: 0, completion_micros: 0, ..model(true) };
        assert_eq!(models(vec![free.clone(), model(false)], vec![]).priced_own(), None);
        assert_eq!(models(vec![free], vec![model(true)]).priced_own(), Some("m"));
    }

    #[test]
    fn what_was_cut_off_counts_by_its_bound_and_the_model_that_was_asked() {
        let dear = Model { completion_micros: 100_000_000, ..model(true) };
        let known = models(vec![dear], vec![model(true)]);
        let spent = known.bound(false, 1_000, 10).unwrap();
        assert_eq!((spent.cost_micros, spent.is_estimate, spent.is_assumed), (2_000, true, true));
        assert_eq!(known.bound(true, 1_000, 10).unwrap().cost_micros, 1_100);
        let builtin = Model { provider: "builtin".to_owned(), ..model(true) };
        assert!(known.can_sum_up(false) && known.can_sum_up(true));
        let without = models(vec![builtin], Vec::new());
        assert_eq!(without.bound(false, 9, 9), None);
        assert!(!without.can_sum_up(false) && !without.can_sum_up(true));
        let unknown = Models::default().bound(false, 9, 1).unwrap();
        assert_eq!((unknown.usage.total(), unknown.cost_micros), (10, 0));
    }

    #[test]
    fn a_guild_with_keys_is_asked_for_with_the_models_that_take_one() {
        let model = |provider: &str, key_name: &str, prompt_micros| Model {
            provider: provider.to_owned(),
            key_name: key_name.to_owned(),
            prompt_micros,
            ..model(false)
        };
        let usual = vec![model("main", "main", 1_000_000), model("spare", "spare", 2_000_000)];
        let models = Arc::new(models(usual, vec![model("cheaper", "main", 5)]));
        let on = |keys: &[(&str, &str)]| Arc::clone(&models).on(&GuildKeys::of(keys));
        let bound = |keys: &[(&str, &str)]| on(keys).bound(false, 3, 0).unwrap();
        let told = |spent: Spent| (spent.provider, spent.cost_micros, spent.is_on_guild_key);
        assert_eq!(told(bound(&[])), ("main".into(), 3, false));
        assert_eq!(told(bound(&[("spare", "k")])), ("spare".into(), 6, true));
        assert_eq!(told(bound(&[("main", "k"), ("spare", "k")])), ("main".into(), 3, true));
        assert!(on(&[("spare", "k")]).cheaper.is_empty(), "it is asked at the first provider");
        assert_eq!(on(&[("main", "k")]).cheaper.len(), 1);
    }
}

//! What the whole installation spends: asked of all stores every few seconds, with what this process
//! has spent since added to it.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use ery_clock::UnixMillis;

use crate::{
    adapters::{
        keys::GuildKeys,
        usage::{Models, Totals},
    },
    domain::{
        budgets::{Judged, Spending, Sum, Total, Window, in_force},
        journal::Bill,
        shares::Shares,
    },
    error::with_causes,
    handlers::holder::Holder,
};

/// How often the ai-service is asked which models there are: that changes by its restart.
const MODELS_EVERY: Duration = Duration::from_secs(15);

/// What the installation has spent, as far as this process knows.
#[derive(Debug)]
pub(crate) struct Installation {
    state: Mutex<State>,
    /// Whether the stores and the ai-service were asked once.
    is_known: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// As the stores told last.
    told: Shares,
    /// All that this process has spent and that stands in a store.
    spent_here: Sum,
    /// How much of that had been spent when the stores were asked last.
    spent_before: Sum,
    models: Arc<Models>,
}

impl Default for Installation {
    fn default() -> Self {
        Self { state: Mutex::default(), is_known: watch::Sender::new(false) }
    }
}

impl Installation {
    /// Notes what was journaled as spent.
    pub(crate) fn spent(&self, bill: &Bill) {
        let mut state = self.lock();
        // What a guild pays itself is no part of it.
        for spent in bill.spent.iter().filter(|spent| !spent.is_on_guild_key) {
            let tokens = spent.usage.total();
            state.spent_here.add(Sum { tokens, cost_micros: spent.cost_micros });
        }
    }

    /// Returns what was spent: never less than the stores told, or than was spent here since.
    pub(crate) fn total(&self) -> Total {
        let state = self.lock();
        let since = state.spent_here.since(state.spent_before);
        let mut total = state.told.total();
        total.spent.day.add(since);
        total.spent.month.add(since);
        total
    }

    /// Returns the models that are asked.
    pub(crate) fn models(&self) -> Arc<Models> {
        Arc::clone(&self.lock().models)
    }

    /// Waits until something is known, no longer than `patience`: before the first answer nobody
    /// can tell whether the budget is used up.
    pub(crate) async fn known(&self, patience: Duration) {
        let mut is_known = self.is_known.subscribe();
        // Past it, what is spent here alone is judged.
        drop(tokio::time::timeout(patience, is_known.wait_for(|is_known| *is_known)).await);
    }

    /// Takes in what the stores told, who were asked when `before` had been spent here.
    fn learn(&self, totals: &Totals, before: Sum) {
        if totals.told.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.told.learn(&totals.told);
        state.spent_before = before;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks again and again, until the process drains.
pub(crate) async fn run(holder: Arc<Holder>) -> Result<(), Infallible> {
    let every = holder.settings.budget_refresh;
    let mut models_at: Option<Instant> = None;
    let mut warned = HashSet::new();
    let mut is_proxy_told = false;
    loop {
        if models_at.is_none_or(|at| at.elapsed() >= MODELS_EVERY) {
            match holder.ai.describe_models().await {
                Ok(models) => {
                    holder.installation.lock().models = Arc::new(models);
                    models_at = Some(Instant::now());
                }
                Err(error) => {
                    tracing::debug!(
                        error = with_causes(&error),
                        "which models there are is not known"
                    );
                }
            }
        }
        let before = holder.installation.lock().spent_here;
        let totals = holder.store.totals().await;
        let is_answered = !totals.told.is_empty() || totals.is_whole;
        holder.installation.learn(&totals, before);
        if is_answered {
            holder.installation.is_known.send_replace(true);
        }
        tell_operator(&holder, &mut warned).await;
        is_proxy_told = is_proxy_told || tell_of_proxy(&holder).await;
        tokio::select! {
            () = sleep(every) => {}
            () = holder.draining.cancelled() => return Ok(()),
        }
    }
}

/// Warns where the default budgets do not hold although a model has a price: it is asked in the
/// operator's own network, and may be a proxy of a provider that sends a bill. Returns whether there
/// is nothing more to be told.
async fn tell_of_proxy(holder: &Holder) -> bool {
    let models = holder.installation.models();
    let Some(model) = models.priced_own() else { return false };
    let Ok(snapshot) = holder.config.installation().await else { return false };
    let effective = snapshot.effective(0, 0);
    let is_lifted = models.are_own() && in_force(&effective, true) != in_force(&effective, false);
    if is_lifted {
        tracing::warn!(
            model,
            "`{model}` is asked in your own network, so the default budgets do not hold; if a proxy \
             passes it on to a provider that sends a bill, set budgets (docs/budgets.md); if it \
             is free, say so in `ai.prices`"
        );
    }
    is_lifted
}

/// Shows what the installation has spent, and logs each stage of a budget once in its window.
async fn tell_operator(
    holder: &Holder,
    warned: &mut HashSet<(&'static str, UnixMillis, &'static str)>,
) {
    let total = holder.installation.total();
    holder.metrics.installation_spent(total.spent);
    let Ok(snapshot) = holder.config.installation().await else { return };
    let effective = snapshot.effective(0, 0);
    let judged = Judged {
        budgets: &holder.budgets(&effective),
        has_cheaper: holder.has_cheaper(&GuildKeys::default()),
        spending: &Spending::default(),
        total,
        pays_itself: false,
        now: holder.now(),
    };
    for window in Window::ALL {
        holder.metrics.installation_used(window, judged.used_of_installation(window));
    }
    let Some(reached) = judged.of_installation() else { return };
    let now = holder.now();
    warned.retain(|(_, ends, _)| *ends > now);
    let said = (reached.window.as_word(), reached.span.ends, reached.stage.as_word());
    if !warned.insert(said) {
        return;
    }
    tracing::warn!(
        window = reached.window.as_word(),
        stage = reached.stage.as_word(),
        percent = reached.percent,
        "the installation's budget is used up by {} %; see `ery ctl usage`",
        reached.percent
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use ery_ids::StoreShard;

    use crate::domain::{
        budgets::{InWindows, Span, Windows},
        journal::{Spent, Usage},
        shares::Told,
    };

    fn bill(tokens: u64) -> Bill {
        let usage = Usage { prompt_tokens: tokens, ..Usage::default() };
        Bill { spent: vec![Spent { usage, ..Spent::default() }], ..Bill::default() }
    }

    fn told(tokens: u64, day: i64) -> Totals {
        let span = Span { began: UnixMillis(day), ends: UnixMillis(day + 1) };
        let sum = Sum { tokens, cost_micros: 0 };
        let windows = Windows { day: span, month: Span::default() };
        let sum = InWindows { day: sum, month: sum };
        let told = vec![Told { windows, shards: vec![(StoreShard(0), sum)], sum }];
        Totals { told, is_whole: true }
    }

    fn tokens(installation: &Installation) -> u64 {
        installation.total().spent.day.tokens
    }

    #[test]
    fn what_was_spent_since_the_stores_were_asked_is_added() {
        let installation = Installation::default();
        installation.spent(&bill(5));
        let before = installation.lock().spent_here;
        // Counted by the store before it answered, or not: never left out.
        installation.spent(&bill(7));
        installation.learn(&told(100, 1), before);
        assert_eq!(tokens(&installation), 107);
        let before = installation.lock().spent_here;
        installation.learn(&told(112, 1), before);
        assert_eq!(tokens(&installation), 112);
    }

    #[test]
    fn what_a_guild_pays_itself_is_not_added() {
        let installation = Installation::default();
        let mut bill = bill(5);
        bill.spent.push(Spent { is_on_guild_key: true, ..bill.spent[0].clone() });
        installation.spent(&bill);
        assert_eq!(tokens(&installation), 5);
    }

    #[test]
    fn where_no_store_answers_nothing_is_forgotten() {
        let installation = Installation::default();
        installation.learn(&told(100, 1), Sum::default());
        installation.spent(&bill(5));
        let before = installation.lock().spent_here;
        installation.learn(&Totals { told: Vec::new(), is_whole: false }, before);
        assert_eq!(tokens(&installation), 105);
    }
}

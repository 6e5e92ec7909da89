//! Models' turns beside task threads: nobody waits for them, and the server pays for them.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Semaphore, mpsc};

use ery_community_config::Effective;
use ery_ids::{ChannelKey, TaskThreadId};
use ery_lifecycle::Tasks;

use crate::{
    adapters::{
        ai::{Asking, Bot, ModelError, ModelRequest},
        costs::Costs,
        keys::GuildKeys,
    },
    domain::{
        budgets::{Judged, Spending},
        context::Part,
        journal::{Bill, ModelTurn},
    },
    error::{CallError, with_causes},
    handlers::holder::Holder,
};

/// How many of a kind this process makes at once.
const AT_ONCE: usize = 4;

/// Does what is asked for, a few at a time, until the process drains. What is under way is done to its end.
pub(crate) async fn work<T, F>(
    holder: Arc<Holder>,
    mut asks: mpsc::Receiver<T>,
    tasks: Tasks,
    name: &'static str,
    work: impl Fn(Arc<Holder>, T) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
            Some((asks.recv().await?, slot))
        };
        let next = tokio::select! {
            biased;
            () = holder.draining.cancelled() => None,
            next = next => next,
        };
        let Some((asked, slot)) = next else { return };
        let working = work(Arc::clone(&holder), asked);
        tasks.spawn_work(name, async move {
            working.await;
            drop(slot);
        });
    }
}

/// Whose keys a model is asked on, and which.
pub(crate) struct Payer {
    pub(crate) keys: Arc<GuildKeys>,
    pub(crate) is_cheaper: bool,
}

impl Payer {
    /// Returns who pays for a channel: the cheaper model is asked, where one is set.
    pub(crate) async fn of(holder: &Holder, channel: ChannelKey) -> Result<Self, CallError> {
        let keys = holder.keys(channel).await?;
        let is_cheaper = holder.has_cheaper(&keys);
        Ok(Self { keys, is_cheaper })
    }

    /// Returns whether one of the models that would be asked is more than the built-in commands.
    pub(crate) fn has_model(&self, holder: &Holder) -> bool {
        holder.installation.models().on(&self.keys).can_sum_up(self.is_cheaper)
    }

    /// Returns whether budgets leave something for it: what is nearly used up is kept for those who ask.
    pub(crate) fn may_pay(
        &self,
        holder: &Holder,
        effective: &Effective,
        spending: &Spending,
    ) -> bool {
        let judged = Judged {
            budgets: &holder.budgets(effective),
            has_cheaper: self.is_cheaper,
            spending,
            total: holder.installation.total(),
            pays_itself: !self.keys.is_empty(),
            now: holder.now(),
        };
        !judged.is_any_reached_here()
    }
}

/// What is asked of a model.
pub(crate) struct Question {
    pub(crate) channel: ChannelKey,
    pub(crate) bot: Bot,
    pub(crate) prompt: &'static str,
    pub(crate) parts: Vec<Part>,
    /// How large it is.
    pub(crate) tokens: u64,
    pub(crate) max_output_tokens: u32,
}

/// How long a model is waited for.
pub(crate) fn within(holder: &Holder) -> Duration {
    holder.settings.model_timeout + holder.settings.patience
}

/// Asks a model without tools. Whatever comes of it, what it cost is told.
pub(crate) async fn ask(
    holder: &Holder,
    payer: &Payer,
    question: Question,
) -> (Option<ModelTurn>, Bill) {
    let Question { channel, bot, prompt, parts, tokens, max_output_tokens } = question;
    let Payer { keys, is_cheaper } = payer;
    let request = ModelRequest::new(Asking {
        // It belongs to none.
        thread: TaskThreadId::random(),
        channel,
        prompt,
        instructions: String::new(),
        parts,
        tools: Vec::new(),
        max_output_tokens,
        marker: uuid::Uuid::new_v4().simple().to_string(),
        bot,
        now: holder.now(),
        is_cheaper: *is_cheaper,
    });
    let costs = Costs::default();
    let models = holder.installation.models().on(keys);
    costs.expect(models.bound(*is_cheaper, tokens, max_output_tokens.into()));
    let asked = holder.ai.run_model_turn(&request, keys, &costs, None);
    let answered = tokio::time::timeout(within(holder), asked).await;
    let (mut spent, lost_turns) = costs.take();
    let turn = match answered {
        Ok(Ok(turn)) => {
            spent.extend(turn.spent.iter().cloned());
            Some(turn)
        }
        Ok(Err(ModelError::Failed { detail, spent: in_vain, .. })) => {
            spent.extend(in_vain);
            tracing::warn!(detail, prompt, channel.id = %channel.channel,
                "no model answered beside a thread");
            None
        }
        Ok(Err(ModelError::Call(error))) => {
            tracing::warn!(error = with_causes(&error), prompt, channel.id = %channel.channel,
                "no model could be asked beside a thread");
            None
        }
        Err(_) => {
            tracing::warn!(prompt, channel.id = %channel.channel,
                "a model did not answer in time beside a thread");
            None
        }
    };
    (turn, Bill { spent, spenders: Vec::new(), lost_turns })
}

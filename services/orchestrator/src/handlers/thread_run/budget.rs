//! What budgets have to say to a task thread: nothing, a line below its answer, a cheaper model, or
//! that it stops.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ery_community_config::Effective;

use super::Run;
use crate::{
    adapters::{store::Appended, usage},
    domain::{
        answer,
        budgets::{Judged, Reached, Scope, Stage},
        community,
        journal::{Finished, Outcome, Spent, Step},
        message::Message,
        task_thread::{Answer, Change, Effect},
        text,
        tool::Tool,
    },
    error::{ThreadError, with_causes},
};

/// How long it is tried to journal what a thread has spent that is left: the store may be why it is.
const LEFT_WITHIN: Duration = Duration::from_secs(2);

/// How much the ai-service lets a model write where it reads orders.
const ORDERS_TOKENS: u64 = 1_000;

impl Run<'_> {
    /// Returns what is to be done instead of asking the model, if a budget is used up.
    ///
    /// It is said once in a window, to the member or in the channel; a thread that has begun to work
    /// says it in any case, since somebody waits for it.
    pub(super) async fn stop_if_spent(&mut self) -> Result<Option<Effect>, ThreadError> {
        let holder = self.holder;
        holder.installation.known(holder.settings.store_timeout).await;
        self.keys = holder.keys(self.channel()).await?;
        let effective = self.config().await?;
        let reached = self.reached(&effective);
        self.is_cheaper = reached.iter().any(|it| it.stage == Stage::Cheaper);
        match reached.into_iter().find(|it| it.stage == Stage::Stopped) {
            // It is rare, and large.
            Some(stop) => Box::pin(self.stop(&effective, stop)).await.map(Some),
            None => Ok(None),
        }
    }

    async fn stop(
        &mut self,
        effective: &Arc<Effective>,
        stop: Reached,
    ) -> Result<Effect, ThreadError> {
        let holder = self.holder;
        let (outcome, detail) = (Outcome::OutOfBudget, stop.detail());
        if self.thread.steps().is_empty() {
            holder.metrics.stopped_by_budget(stop.scope);
        }
        // What was planned is waited for, too.
        let is_at_work = !self.thread.steps().is_empty() || self.turn.is_planned();
        let is_told = self.is_told(&stop);
        if is_told && !is_at_work {
            return Ok(Effect::Finish(Finished { outcome, detail, answer: None }));
        }
        // Whoever goes on with it after a kill finds it begun, and may tell what it was to tell.
        if !self.is_begun {
            self.begin().await?;
        }
        let is_granted = !is_told && self.claim(std::slice::from_ref(&stop)).await?[0];
        if !is_granted && !is_at_work {
            return Ok(Effect::Finish(Finished { outcome, detail, answer: None }));
        }
        let text = stop.said(community::language(&effective.config));
        if is_granted {
            self.tell_staff(effective, &stop).await;
        }
        Ok(self.thread.close(&text, outcome, detail, holder.now()))
    }

    /// Adds to an answer that it is not whole, what was not read for it, and what is to be told of budgets, once in a window.
    pub(super) async fn with_notices(&mut self, mut answer: Answer) -> Result<Answer, ThreadError> {
        let effective = self.config().await?;
        let language = community::language(&effective.config);
        let mut lines = Vec::new();
        if self.turn.is_planned() && self.thread.answers_itself() {
            let planner = format!("<@{}>", self.principal());
            lines.push(language.say("answer-planned", &[("person", (&planner).into())]));
        }
        if self.thread.is_answer_cut() {
            lines.push(language.word("answer-cut"));
        }
        if self.messages_left_out > 0 {
            let values = [("messages", self.messages_left_out.into())];
            lines.push(language.say("answer-messages-left-out", &values));
        }
        for line in lines {
            if let Some(text) = answer::with_footnote(&answer.text, &line) {
                answer.text = text;
            }
        }
        self.keys = self.holder.keys(self.channel()).await?;
        let is_news = |it: &Reached| match it.stage {
            // What the installation has left is the operator's to know.
            Stage::Warned => it.scope != Scope::Installation,
            Stage::Cheaper => true,
            // The next one who asks is told.
            Stage::Stopped => false,
        };
        let mut reached = self.reached(&effective);
        reached.retain(|it| is_news(it) && !self.is_told(it));
        // One line is enough: the worst.
        reached.truncate(1);
        match reached.first() {
            // It is rare, and large.
            Some(reached) => Box::pin(self.with_notice(&effective, reached, answer)).await,
            None => Ok(answer),
        }
    }

    async fn with_notice(
        &mut self,
        effective: &Arc<Effective>,
        reached: &Reached,
        mut answer: Answer,
    ) -> Result<Answer, ThreadError> {
        let language = community::language(&effective.config);
        let Some(text) = answer::with_footnote(&answer.text, &reached.said(language)) else {
            return Ok(answer);
        };
        if self.claim(std::slice::from_ref(reached)).await?[0] {
            answer.text = text;
            self.tell_staff(effective, reached).await;
        }
        Ok(answer)
    }

    /// Takes what calls of models have cost that no answer told of; the next step tells it.
    pub(super) fn bill(&mut self) {
        let (spent, lost_turns) = self.costs.take();
        self.thread.spent(spent);
        self.thread.lost(lost_turns);
    }

    /// Journals what was spent by work that is left here, so that it counts whoever goes on with it.
    pub(super) async fn leave(&mut self) {
        let holder = self.holder;
        self.bill();
        let steps = self.thread.leave(holder.now());
        if steps.is_empty() {
            return;
        }
        let appended = holder.store.append_steps(self.fence, self.id, &steps);
        match tokio::time::timeout(LEFT_WITHIN, appended).await {
            Ok(Ok(appended)) => {
                self.steps.store(self.thread.step_count(), Ordering::Relaxed);
                self.learn(appended, &steps);
            }
            Ok(Err(error)) => tracing::warn!(
                error = with_causes(&error), task_thread.id = %self.id,
                "what was spent on a thread that is left could not be journaled"
            ),
            Err(_) => tracing::warn!(
                task_thread.id = %self.id,
                "what was spent on a thread that is left could not be journaled in time"
            ),
        }
    }

    /// Returns what reading a message's orders costs at the most; none if no model reads any.
    pub(super) fn bound_of_orders(&self, message: &Message, tools: &[Tool]) -> Option<Spent> {
        let models = self.models();
        let of_tool = |tool: &Tool| {
            text::tokens_of_fixed(&tool.name)
                + text::tokens_of_fixed(&tool.description)
                + text::tokens_of_fixed(&tool.parameters)
        };
        let prompt = super::PROMPT_TOKENS
            + text::tokens(&message.content)
            + tools.iter().map(of_tool).sum::<u64>();
        let bound = models.bound(self.is_cheaper, prompt, ORDERS_TOKENS);
        bound.filter(|_| models.reads_orders)
    }

    /// Takes in what journaling steps brought.
    pub(super) fn learn(&mut self, appended: Appended, steps: &[Step]) -> Vec<Change> {
        for step in steps {
            self.holder.installation.spent(&step.bill);
        }
        if let Some(spending) = appended.spending {
            self.spending.learn(spending);
        }
        appended.changes
    }

    fn reached(&self, effective: &Effective) -> Vec<Reached> {
        let judged = Judged {
            budgets: &self.holder.budgets(effective),
            has_cheaper: self.holder.has_cheaper(&self.keys),
            pays_itself: !self.keys.is_empty(),
            spending: self.spending,
            total: self.holder.installation.total(),
            now: self.holder.now(),
        };
        judged.reached(self.principal())
    }

    /// Returns whether it was told before, as far as this holding knows.
    fn is_told(&self, reached: &Reached) -> bool {
        self.spending.told.contains(&self.notice(reached))
    }

    fn notice(&self, reached: &Reached) -> (Reached, u64) {
        let subject = usage::subject(reached, self.principal().get(), self.channel());
        // How much is used is no part of what was told.
        (Reached { percent: 0, ..*reached }, subject)
    }

    async fn claim(&mut self, reached: &[Reached]) -> Result<Vec<bool>, ThreadError> {
        let notices: Vec<_> = reached.iter().map(|it| self.notice(it)).collect();
        let mut granted = self.holder.store.claim_notices(self.fence, self.id, &notices).await?;
        granted.resize(notices.len(), false);
        for (notice, is_granted) in notices.into_iter().zip(&granted) {
            if !is_granted {
                self.spending.told.push(notice);
            }
        }
        Ok(granted)
    }

    /// Tells the server's staff, once in a window, where a channel for reports is set.
    async fn tell_staff(&self, effective: &Arc<Effective>, reached: &Reached) {
        let staff = effective.config.moderation.reports_channel;
        let (Some(staff), Scope::Server) = (staff, reached.scope) else { return };
        let Some(trigger) = self.thread.trigger() else { return };
        let name = format!(
            "bu.{}.{}.{}.{}",
            self.channel().guild_raw(),
            reached.window.as_word(),
            reached.span.began.0,
            reached.stage.as_word()
        );
        let text = reached.said(community::language(&effective.config));
        let told = self.holder.tools.tell_budget(self.channel(), trigger, &name, staff, &text);
        if let Err(error) = told.await {
            tracing::warn!(
                error = with_causes(&error),
                guild.id = self.channel().guild_raw(),
                "the staff could not be told of a budget"
            );
        }
    }
}

//! What may be spent on models, and how far it is spent: warn, then a cheaper model, then stop.

use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_community_config::{Budget, Budgets, Effective, Origin, Usd};

use crate::domain::texts::Language;

/// Whose budget it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Member,
    Channel,
    Server,
    Installation,
}

/// Over what time, by UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Window {
    Day,
    Month,
}

/// How far a budget is used up; the later is the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    /// Nearly.
    Warned,
    /// Wholly: the cheaper model goes on, within its own limit.
    Cheaper,
    Stopped,
}

/// What was spent in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Read and written.
    pub(crate) tokens: u64,
    pub(crate) cost_micros: u64,
}

/// What was spent in both windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InWindows {
    pub(crate) day: Sum,
    pub(crate) month: Sum,
}

/// From when until when a window lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) began: UnixMillis,
    pub(crate) ends: UnixMillis,
}

/// The windows that sums are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) day: Span,
    pub(crate) month: Span,
}

/// What the store last told of what was spent in a channel, its home, and for some people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spending {
    pub(crate) windows: Windows,
    pub(crate) home: InWindows,
    pub(crate) channel: InWindows,
    pub(crate) members: Vec<(Id<UserMarker>, InWindows)>,
    /// What is known to have been told in this window, and of whom.
    pub(crate) told: Vec<(Reached, u64)>,
}

/// What the whole installation has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) windows: Windows,
    pub(crate) spent: InWindows,
}

/// A budget that is nearly used up, or wholly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) scope: Scope,
    pub(crate) window: Window,
    pub(crate) stage: Stage,
    pub(crate) span: Span,
    /// How much of it is used, in percent.
    pub(crate) percent: u64,
}

impl Scope {
    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Channel => "channel",
            Self::Server => "server",
            Self::Installation => "installation",
        }
    }

    const ALL: [Self; 4] = [Self::Member, Self::Channel, Self::Server, Self::Installation];
}

impl Window {
    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    pub(crate) const ALL: [Self; 2] = [Self::Day, Self::Month];
}

impl Stage {
    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Warned => "warned",
            Self::Cheaper => "cheaper",
            Self::Stopped => "stopped",
        }
    }
}

impl Sum {
    pub(crate) fn add(&mut self, other: Self) {
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
    }

    /// Returns what there is more of than in `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(earlier.tokens),
            cost_micros: self.cost_micros.saturating_sub(earlier.cost_micros),
        }
    }
}

impl InWindows {
    fn of(self, window: Window) -> Sum {
        match window {
            Window::Day => self.day,
            Window::Month => self.month,
        }
    }
}

impl Windows {
    fn of(self, window: Window) -> Span {
        match window {
            Window::Day => self.day,
            Window::Month => self.month,
        }
    }
}

impl Spending {
    /// Takes in what the store tells now. Of people whom it is not asked for, what was known stays.
    pub(crate) fn learn(&mut self, newer: Self) {
        let is_same = self.windows == newer.windows;
        let mut members = std::mem::take(&mut self.members);
        members.retain(|(user, _)| is_same && newer.members.iter().all(|(it, _)| it != user));
        members.truncate(REMEMBERED);
        let mut told = std::mem::take(&mut self.told);
        told.truncate(if is_same { REMEMBERED } else { 0 });
        *self = Self { told, ..newer };
        self.members.extend(members);
    }

    /// Returns what was spent for a person, as far as it is known.
    pub(crate) fn member(&self, user: Id<UserMarker>) -> InWindows {
        let found = self.members.iter().find(|(member, _)| *member == user);
        found.map_or_else(InWindows::default, |(_, spent)| *spent)
    }
}

/// Of how many people a holding remembers what was spent for them, beside those it was told of last.
const REMEMBERED: usize = 200;

/// Returns the budgets that hold.
///
/// The defaults are for keys that are paid for: where every model runs in the operator's own network,
/// nobody sends a bill, and only what somebody has set holds.
pub(crate) fn in_force(effective: &Effective, are_models_own: bool) -> Budgets {
    let mut budgets = effective.config.budgets.clone();
    let is_default = |path: &str| {
        effective.values.get(path).is_none_or(|(_, origin)| *origin == Origin::Default)
    };
    if are_models_own {
        for (path, value) in [
            ("budgets.installation.day_usd", &mut budgets.installation.day_usd),
            ("budgets.installation.month_usd", &mut budgets.installation.month_usd),
            ("budgets.member.day_usd", &mut budgets.member.day_usd),
        ] {
            if is_default(path) {
                *value = None;
            }
        }
    }
    budgets
}

/// What is judged: for whom, where, and by which rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) budgets: &'a Budgets,
    /// Whether the operator has set a cheaper model.
    pub(crate) has_cheaper: bool,
    pub(crate) spending: &'a Spending,
    pub(crate) total: Total,
    /// Whether the guild has keys of its own: then the installation pays nothing for it.
    pub(crate) pays_itself: bool,
    pub(crate) now: UnixMillis,
}

impl Judged<'_> {
    /// Returns which budgets are nearly used up, or wholly, where a person is answered; the worst
    /// first.
    pub(crate) fn reached(&self, user: Id<UserMarker>) -> Vec<Reached> {
        let scopes = Scope::ALL.into_iter().filter(|scope| self.is_meant(*scope));
        let mut reached: Vec<Reached> =
            scopes.flat_map(|scope| self.of_scope(scope, user)).collect();
        // Of those that are alike, the one that lasts longer.
        reached.sort_by_key(|it| {
            (std::cmp::Reverse(it.stage), std::cmp::Reverse(it.span.ends), it.scope as u8)
        });
        reached
    }

    /// Returns how far the installation's budget is used up, where it is nearly.
    pub(crate) fn of_installation(&self) -> Option<Reached> {
        self.of_scope(Scope::Installation, Id::new(1)).max_by_key(|it| it.stage)
    }

    /// Returns how much of the installation's budget is used in a window, in percent; none where none is
    /// set.
    pub(crate) fn used_of_installation(&self, window: Window) -> Option<u64> {
        let Self { budgets, total, now, .. } = self;
        let span = total.windows.of(window);
        let is_over = *now >= span.ends && span.ends != UnixMillis(0);
        let spent = if is_over { Sum::default() } else { total.spent.of(window) };
        let (usd, tokens) = in_window(budgets.installation.into(), window);
        let by_money = usd.map(|usd| percent(spent.cost_micros, usd.micros));
        by_money.max(tokens.map(|most| percent(spent.tokens, most)))
    }

    /// Returns whether a budget of the channel, its server or the installation is nearly used up.
    pub(crate) fn is_any_reached_here(&self) -> bool {
        let scopes = [Scope::Channel, Scope::Server, Scope::Installation];
        let mut scopes = scopes.into_iter().filter(|scope| self.is_meant(*scope));
        scopes.any(|scope| self.of_scope(scope, Id::new(1)).next().is_some())
    }

    /// Returns whether a person's own budget is used up.
    pub(crate) fn is_member_stopped(&self, user: Id<UserMarker>) -> bool {
        self.of_scope(Scope::Member, user).any(|it| it.stage == Stage::Stopped)
    }

    /// Returns whether a budget is one of those that stop what is asked for here.
    fn is_meant(&self, scope: Scope) -> bool {
        !(self.pays_itself && scope == Scope::Installation)
    }

    fn of_scope(&self, scope: Scope, user: Id<UserMarker>) -> impl Iterator<Item = Reached> + '_ {
        let Self { budgets, spending, total, .. } = self;
        let (budget, spent, windows): (Budget, _, _) = match scope {
            Scope::Member => (budgets.member.into(), spending.member(user), spending.windows),
            Scope::Channel => (budgets.channel.into(), spending.channel, spending.windows),
            Scope::Server => (budgets.server.into(), spending.home, spending.windows),
            Scope::Installation => (budgets.installation.into(), total.spent, total.windows),
        };
        Window::ALL.into_iter().filter_map(move |window| {
            let span = windows.of(window);
            // What was told before a window ended says nothing of the next.
            let is_over = self.now >= span.ends && span.ends != UnixMillis(0);
            let spent = if is_over { Sum::default() } else { spent.of(window) };
            let (usd, tokens) = in_window(budget, window);
            let by_money = usd.and_then(|usd| self.stage(spent.cost_micros, usd.micros));
            let by_tokens = tokens.and_then(|most| self.stage(spent.tokens, most));
            let (stage, percent) = by_money.max(by_tokens)?;
            Some(Reached { scope, window, stage, span, percent })
        })
    }

    /// Returns how far a budget is used up, and by what share of it; none: it is not nearly.
    fn stage(&self, spent: u64, most: u64) -> Option<(Stage, u64)> {
        let percent = percent(spent, most);
        let (spent, most) = (u128::from(spent), u128::from(most));
        let of_most = |percent: u32| most * u128::from(percent);
        let more = if self.has_cheaper { self.budgets.cheaper_percent } else { 0 };
        let stage = if spent * 100 >= of_most(100 + more) {
            Stage::Stopped
        } else if spent >= most {
            Stage::Cheaper
        } else if spent * 100 >= of_most(self.budgets.warn_percent) {
            Stage::Warned
        } else {
            return None;
        };
        Some((stage, percent))
    }
}

/// Returns what may be spent in a window: dollars, and tokens.
fn in_window(budget: Budget, window: Window) -> (Option<Usd>, Option<u64>) {
    match window {
        Window::Day => (budget.day_usd, budget.day_tokens),
        Window::Month => (budget.month_usd, budget.month_tokens),
    }
}

fn percent(spent: u64, most: u64) -> u64 {
    let percent = (u128::from(spent) * 100).checked_div(most.into()).unwrap_or(100);
    u64::try_from(percent).unwrap_or(u64::MAX)
}

impl Reached {
    /// Returns how a thread that it stopped stands in the records.
    pub(crate) fn detail(&self) -> String {
        format!("{STOPPED_BY}{}.{}", self.scope.as_word(), self.window.as_word())
    }

    /// Says it, in one line.
    pub(crate) fn said(&self, language: Language) -> String {
        let percent = self.percent.to_string();
        let until = format!("<t:{}:f>", self.span.ends.0.div_euclid(1_000));
        let values =
            [("scope", self.scope.as_word().into()), ("window", self.window.as_word().into())];
        match self.stage {
            Stage::Warned => {
                let values = [values.as_slice(), &[("percent", (&percent).into())]].concat();
                language.say("budget-warned", &values)
            }
            Stage::Cheaper => language.say("budget-cheaper", &values),
            Stage::Stopped => {
                let values = [values.as_slice(), &[("until", (&until).into())]].concat();
                language.say("budget-stopped", &values)
            }
        }
    }
}

/// How the detail of a thread begins that a budget stopped.
const STOPPED_BY: &str = "budget.";

/// Reads by which budget a thread was stopped: the words of scope and window.
pub(crate) fn stopped_by(detail: &str) -> Option<(&str, &str)> {
    detail.strip_prefix(STOPPED_BY)?.split_once('.')
}

/// Shows millionths of a dollar: to the cent, or finer where there is no cent.
pub(crate) fn dollars(micros: u64) -> String {
    let usd = Usd { micros };
    if micros == 0 || micros >= 10_000 {
        let cents = micros.div_ceil(10_000);
        return format!("${}.{:02}", cents / 100, cents % 100);
    }
    format!("${usd}")
}

#[cfg(test)]
mod tests;

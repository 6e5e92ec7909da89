//! `/ery usage`: what model turns have cost, for whoever asks; of the server, for those who configure.

use ery_community_config::{Budget, Effective};
use ery_proto::store::v1::{ListUsageResponse, UsageOf, UsageSum};

use crate::{
    domain::{
        budgets::{InWindows, Sum, Window, dollars},
        commands::{
            interaction::Interaction,
            pages::{List, Paged},
            reply::{Message, quoted},
        },
        texts::Language,
    },
    error::CallError,
    handlers::holder::Holder,
};

pub(super) async fn usage(
    holder: &Holder,
    it: &Interaction,
    effective: &Effective,
    is_of_all: bool,
    page: usize,
) -> Result<Message, CallError> {
    let language = it.language;
    let budgets = holder.budgets(effective);
    let spending = holder.store.spending(it.channel, Some(it.user)).await?;
    let of_you = spending.member(it.user);
    let mut lines = Vec::new();
    for window in Window::ALL {
        lines.push(language.word(match window {
            Window::Day => "usage-heading-day",
            Window::Month => "usage-heading-month",
        }));
        let mut line = |key: &str, spent: InWindows, budget: Budget| {
            let spent = of_window(language, window, spent, budget);
            lines.push(format!("- {}", said(language, key, &spent)));
        };
        line("usage-of-you", of_you, budgets.member.into());
        if is_of_all {
            line("usage-of-server", spending.home, budgets.server.into());
            line("usage-of-channel", spending.channel, budgets.channel.into());
        }
    }
    let since = spending.windows.month.began;
    let listed =
        holder.store.usage(it.channel, (!is_of_all).then_some(it.user.get()), since).await?;
    if is_of_all {
        tops(language, &listed, &mut lines);
    }
    remarks(language, listed.total.unwrap_or_default(), &mut lines);
    let mut paged = Paged::new(List::Usage, page);
    paged.add(lines);
    Ok(paged.message(language))
}

fn said(language: Language, key: &str, spent: &str) -> String {
    let values = [("spent", spent.into())];
    match key {
        "usage-of-you" => language.say("usage-of-you", &values),
        "usage-of-server" => language.say("usage-of-server", &values),
        _ => language.say("usage-of-channel", &values),
    }
}

/// Says what was spent in a window, and of how much.
fn of_window(language: Language, window: Window, spent: InWindows, budget: Budget) -> String {
    let (spent, usd, most) = match window {
        Window::Day => (spent.day, budget.day_usd, budget.day_tokens),
        Window::Month => (spent.month, budget.month_usd, budget.month_tokens),
    };
    let mut text = sum(language, spent);
    let limits =
        [usd.map(|usd| format!("${usd}")), most.map(|most| format!("{} T", grouped(most)))];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if !limits.is_empty() {
        let budget = limits.join(", ");
        text.push(' ');
        text.push_str(&language.say("usage-of-budget", &[("budget", (&budget).into())]));
    }
    text
}

fn sum(language: Language, sum: Sum) -> String {
    let (money, tokens) = (dollars(sum.cost_micros), grouped(sum.tokens));
    language.say("usage-sum", &[("money", (&money).into()), ("tokens", (&tokens).into())])
}

/// Lists for what most was spent.
fn tops(language: Language, listed: &ListUsageResponse, lines: &mut Vec<String>) {
    let spent = |of: &UsageOf| spent(language, of.sum.unwrap_or_default());
    lines.push(language.word("usage-top-models"));
    for of in &listed.by_model {
        if of.model.is_empty() {
            continue;
        }
        let (model, spent) = (quoted(&of.model, 64), spent(of));
        let values = [("model", (&model).into()), ("spent", (&spent).into())];
        lines.push(format!("- {}", language.say("usage-of-model", &values)));
    }
    lines.push(language.word("usage-top-channels"));
    for of in &listed.by_channel {
        let (place, spent) = (format!("<#{}>", of.id), spent(of));
        let values = [("place", (&place).into()), ("spent", (&spent).into())];
        lines.push(format!("- {}", language.say("usage-of-place", &values)));
    }
    lines.push(language.word("usage-top-members"));
    for of in &listed.by_member {
        let person = match of.id {
            0 => language.word("usage-nobody"),
            id => format!("<@{id}>"),
        };
        let spent = spent(of);
        let values = [("person", (&person).into()), ("spent", (&spent).into())];
        lines.push(format!("- {}", language.say("usage-of-person", &values)));
    }
}

fn spent(language: Language, sum: UsageSum) -> String {
    let money = dollars(sum.cost_micros);
    let tokens = grouped(sum.prompt_tokens.saturating_add(sum.completion_tokens));
    let turns = grouped(sum.turns);
    let values = [
        ("money", (&money).into()),
        ("tokens", (&tokens).into()),
        ("turns", (&turns).into()),
        ("count", usize::try_from(sum.turns).unwrap_or(usize::MAX).into()),
    ];
    language.say("usage-spent", &values)
}

/// Says how far the figures are to be trusted.
fn remarks(language: Language, total: UsageSum, lines: &mut Vec<String>) {
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    if total.summary_turns > 0 {
        let money = dollars(total.summary_micros);
        let tokens = grouped(total.summary_tokens);
        let values = [("money", (&money).into()), ("tokens", (&tokens).into())];
        lines.push(language.say("usage-summaries", &values));
    }
    if total.assumed_micros > 0 {
        let money = dollars(total.assumed_micros);
        lines.push(language.say("usage-assumed", &[("money", (&money).into())]));
    }
    if total.on_guild_key_micros > 0 {
        let money = dollars(total.on_guild_key_micros);
        lines.push(language.say("usage-on-own-key", &[("money", (&money).into())]));
    }
    if total.estimated_turns > 0 {
        let values = [("count", count(total.estimated_turns).into())];
        lines.push(language.say("usage-estimated", &values));
    }
    if total.lost_turns > 0 {
        lines.push(language.say("usage-lost", &[("count", count(total.lost_turns).into())]));
    }
}

/// Writes a number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            // A thin space, which both languages read alike.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_groups() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1\u{202f}000"),
            (1_234_567, "1\u{202f}234\u{202f}567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_window_tells_its_budget_where_there_is_one() {
        let spent =
            InWindows { day: Sum { tokens: 1_500, cost_micros: 20_000 }, ..InWindows::default() };
        let budget =
            Budget { day_usd: Some(ery_community_config::Usd::dollars(1)), ..Budget::default() };
        let said = |window| of_window(Language::English, window, spent, budget);
        assert_eq!(said(Window::Day), "$0.02, 1\u{202f}500 tokens (of $1.00)");
        assert_eq!(said(Window::Month), "$0.00, 0 tokens");
    }

    #[test]
    fn one_model_turn_is_one() {
        let said = |turns| spent(Language::English, UsageSum { turns, ..UsageSum::default() });
        assert_eq!(said(1), "$0.00, 0 tokens in one model turn");
        assert_eq!(said(2_000), "$0.00, 0 tokens in 2\u{202f}000 model turns");
    }

    #[test]
    fn what_is_not_exact_is_said() {
        let total = UsageSum {
            assumed_micros: 10_000,
            on_guild_key_micros: 20_000,
            estimated_turns: 2,
            lost_turns: 1,
            ..UsageSum::default()
        };
        let mut lines = Vec::new();
        remarks(Language::English, total, &mut lines);
        assert_eq!(lines.len(), 4);
        assert!(lines[0].contains("$0.01") && lines[1].contains("$0.02"), "{lines:?}");
        assert!(lines[2].contains('2'), "{lines:?}");
        lines.clear();
        remarks(Language::German, UsageSum::default(), &mut lines);
        assert!(lines.is_empty());
    }
}

use ery_community_config::{InstallationBudget, MemberBudget, ServerBudget};
use proptest::prelude::*;

use super::*;
use crate::domain::fixtures::{ANN, BEN};

const DAY: Span = Span { began: UnixMillis(0), ends: UnixMillis(86_400_000) };
const MONTH: Span = Span { began: UnixMillis(0), ends: UnixMillis(2_678_400_000) };
const WINDOWS: Windows = Windows { day: DAY, month: MONTH };

fn tokens(tokens: u64) -> InWindows {
    let sum = Sum { tokens, cost_micros: 0 };
    InWindows { day: sum, month: sum }
}

fn micros(cost_micros: u64) -> InWindows {
    let sum = Sum { tokens: 0, cost_micros };
    InWindows { day: sum, month: sum }
}

fn spending(of_ann: InWindows) -> Spending {
    Spending { windows: WINDOWS, members: vec![(ANN, of_ann)], ..Spending::default() }
}

fn none() -> Budgets {
    let (installation, member) = Default::default();
    Budgets {
        installation: InstallationBudget { day_usd: None, month_usd: None, ..installation },
        member: MemberBudget { day_usd: None, ..member },
        ..Budgets::default()
    }
}

fn of_member(member: MemberBudget) -> Budgets {
    Budgets { member, ..none() }
}

fn judged<'a>(budgets: &'a Budgets, spending: &'a Spending) -> Judged<'a> {
    Judged {
        budgets,
        has_cheaper: false,
        spending,
        total: Total { windows: WINDOWS, spent: InWindows::default() },
        pays_itself: false,
        now: UnixMillis(1),
    }
}

fn stop(judged: Judged<'_>, user: Id<UserMarker>) -> Option<Reached> {
    judged.reached(user).into_iter().find(|it| it.stage == Stage::Stopped)
}

fn stage(judged: Judged<'_>) -> Option<Stage> {
    judged.reached(ANN).first().map(|it| it.stage)
}

#[test]
fn a_budget_is_told_of_then_stops() {
    let budgets = of_member(MemberBudget { day_tokens: Some(1_000), ..none().member });
    for (spent, expected) in [
        (0, None),
        (799, None),
        (800, Some(Stage::Warned)),
        (999, Some(Stage::Warned)),
        (1_000, Some(Stage::Stopped)),
        (u64::MAX, Some(Stage::Stopped)),
    ] {
        assert_eq!(stage(judged(&budgets, &spending(tokens(spent)))), expected, "{spent}");
    }
    // Others have their own.
    let spent = spending(tokens(5_000));
    assert_eq!(stop(judged(&budgets, &spent), BEN), None);
    assert!(judged(&budgets, &spent).is_member_stopped(ANN));
}

#[test]
fn what_nobody_asks_for_waits_for_every_budget_but_a_members() {
    let budgets = Budgets {
        server: ServerBudget { day_tokens: Some(1_000), ..none().server },
        installation: InstallationBudget { day_tokens: Some(9_000), ..none().installation },
        member: MemberBudget { day_tokens: Some(10), ..none().member },
        ..none()
    };
    let spent = |home: u64| Spending { home: tokens(home), ..spending(tokens(500)) };
    let (below, nearly) = (spent(799), spent(800));
    assert!(!judged(&budgets, &below).is_any_reached_here(), "a member's own is none of its");
    assert!(judged(&budgets, &nearly).is_any_reached_here());
    let total = Total { windows: WINDOWS, spent: tokens(7_200) };
    assert!(Judged { total, ..judged(&budgets, &below) }.is_any_reached_here());
}

#[test]
fn where_there_is_a_cheaper_model_it_goes_on_within_its_own_limit() {
    let budgets = of_member(MemberBudget { day_tokens: Some(1_000), ..none().member });
    for (spent, expected) in [
        (999, Stage::Warned),
        (1_000, Stage::Cheaper),
        (1_199, Stage::Cheaper),
        (1_200, Stage::Stopped),
    ] {
        let spent = spending(tokens(spent));
        let judged = Judged { has_cheaper: true, ..judged(&budgets, &spent) };
        assert_eq!(stage(judged), Some(expected));
    }
    let none = Budgets { cheaper_percent: 0, ..budgets };
    let spent = spending(tokens(1_000));
    assert_eq!(stage(Judged { has_cheaper: true, ..judged(&none, &spent) }), Some(Stage::Stopped));
}

#[test]
fn money_and_tokens_are_judged_each_and_the_worse_counts() {
    let member = MemberBudget {
        day_usd: Some(Usd { micros: 500_000 }),
        day_tokens: Some(1_000),
        ..none().member
    };
    let budgets = of_member(member);
    assert_eq!(stage(judged(&budgets, &spending(micros(500_000)))), Some(Stage::Stopped));
    assert_eq!(stage(judged(&budgets, &spending(micros(400_000)))), Some(Stage::Warned));
    assert_eq!(stage(judged(&budgets, &spending(tokens(1_000)))), Some(Stage::Stopped));
    assert_eq!(stage(judged(&budgets, &spending(micros(399_999)))), None);
}

#[test]
fn nothing_may_be_spent_where_the_budget_is_nothing() {
    let budgets = of_member(MemberBudget { day_usd: Some(Usd::default()), ..none().member });
    assert_eq!(stage(judged(&budgets, &Spending::default())), Some(Stage::Stopped));
}

#[test]
fn a_window_that_is_over_counts_for_nothing() {
    let budgets = of_member(MemberBudget {
        day_tokens: Some(1_000),
        month_tokens: Some(10_000),
        ..none().member
    });
    let spent = spending(tokens(1_000));
    assert_eq!(stage(judged(&budgets, &spent)), Some(Stage::Stopped));
    assert_eq!(stage(Judged { now: DAY.ends, ..judged(&budgets, &spent) }), None);
    let spent = spending(tokens(10_000));
    let next_day = Judged { now: DAY.ends, ..judged(&budgets, &spent) };
    let stop = stop(next_day, ANN).unwrap();
    assert_eq!((stop.window, stop.span), (Window::Month, MONTH));
    assert_eq!(stage(Judged { now: MONTH.ends, ..judged(&budgets, &spent) }), None);
}

#[test]
fn the_longest_stop_is_told_and_every_scope_counts() {
    let budgets = Budgets {
        installation: InstallationBudget { month_tokens: Some(10), ..none().installation },
        server: ServerBudget { day_tokens: Some(10), ..ServerBudget::default() },
        ..none()
    };
    let spent = Spending { windows: WINDOWS, home: tokens(10), ..Spending::default() };
    let judged = judged(&budgets, &spent);
    assert_eq!(stop(judged, ANN).unwrap().scope, Scope::Server);
    let total = Total { windows: WINDOWS, spent: tokens(10) };
    let all = Judged { total, ..judged };
    assert_eq!(stop(all, ANN).unwrap().detail(), "budget.installation.month");
    assert_eq!(stopped_by("budget.installation.month"), Some(("installation", "month")));
    assert_eq!(stopped_by("the budget of tokens ended"), None);
}

#[test]
fn a_guild_that_pays_itself_is_stopped_by_its_own_budgets_and_not_by_the_installations() {
    let budgets = Budgets {
        installation: InstallationBudget { month_tokens: Some(10), ..none().installation },
        server: ServerBudget { day_tokens: Some(10), ..ServerBudget::default() },
        ..none()
    };
    let total = Total { windows: WINDOWS, spent: tokens(10) };
    let of = |home| {
        let spent = Spending { windows: WINDOWS, home: tokens(home), ..Spending::default() };
        let own = Judged { total, pays_itself: true, ..judged(&budgets, &spent) };
        stop(own, ANN).map(|stop| stop.scope)
    };
    assert_eq!((of(9), of(10)), (None, Some(Scope::Server)));
}

#[test]
fn it_is_said_in_every_language_without_a_place_left_open() {
    for scope in Scope::ALL {
        for window in Window::ALL {
            for stage in [Stage::Warned, Stage::Cheaper, Stage::Stopped] {
                let reached = Reached { scope, window, stage, span: DAY, percent: 83 };
                let said = Language::ALL.map(|language| reached.said(language));
                assert_ne!(said[0], said[1]);
                for said in said {
                    assert!(!said.contains(['{', '$', '\n']) && said.len() < 300, "{said}");
                }
            }
        }
    }
    let stopped = Reached {
        scope: Scope::Member,
        window: Window::Day,
        stage: Stage::Stopped,
        span: DAY,
        percent: 100,
    };
    assert!(stopped.said(Language::English).contains("<t:86400:f>"));
}

#[test]
fn what_is_known_of_people_stays_until_the_window_ends() {
    let mut known = spending(tokens(5));
    known.learn(Spending {
        windows: WINDOWS,
        members: vec![(BEN, tokens(7))],
        ..Spending::default()
    });
    assert_eq!((known.member(ANN), known.member(BEN)), (tokens(5), tokens(7)));
    let next = Windows { day: Span { began: DAY.ends, ends: UnixMillis(172_800_000) }, ..WINDOWS };
    known.learn(Spending { windows: next, ..Spending::default() });
    assert_eq!(known.member(ANN), InWindows::default());
}

#[test]
fn money_is_shown_to_the_cent_or_finer() {
    for (micros, shown) in [
        (0, "$0.00"),
        (1, "$0.000001"),
        (4_200, "$0.0042"),
        (10_000, "$0.01"),
        (1_234_567, "$1.24"),
    ] {
        assert_eq!(dollars(micros), shown);
    }
}

proptest! {
    /// More spent is never a milder stage, and a lower budget never lets more through.
    #[test]
    fn stages_only_rise(
        spent in 0_u64..10_000, more in 0_u64..10_000, most in 0_u64..10_000, less in 0_u64..10_000,
        has_cheaper: bool,
    ) {
        let stage = |spent, most| {
            let budgets = of_member(MemberBudget { day_tokens: Some(most), ..none().member });
            let spent = spending(tokens(spent));
            stage(Judged { has_cheaper, ..judged(&budgets, &spent) })
        };
        prop_assert!(stage(spent, most) <= stage(spent + more, most));
        prop_assert!(stage(spent, most) <= stage(spent, most.min(less)));
    }
}

#[test]
fn the_defaults_hold_for_models_that_are_paid_for_and_what_is_set_holds_for_all() {
    use ery_community_config::{Document, Layered, Snapshot, Subject};

    let own = Layered::from([(
        Subject::SERVER,
        Document::from([("budgets.member.day_usd".to_owned(), serde_json::json!(0.5))]),
    )]);
    for (layers, member) in [(Layered::new(), None), (own, Some(Usd { micros: 500_000 }))] {
        let effective = Snapshot::new(Document::new(), Document::new(), layers).effective(0, 0);
        let paid = in_force(&effective, false);
        assert_eq!(paid, effective.config.budgets);
        assert_eq!(paid.installation.day_usd, Some(Usd::dollars(5)));
        let free = in_force(&effective, true);
        assert_eq!((free.installation.day_usd, free.installation.month_usd), (None, None));
        assert_eq!(free.member.day_usd, member);
    }
}

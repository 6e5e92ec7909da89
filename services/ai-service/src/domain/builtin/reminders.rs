//! What is planned: `remind me in 20 minutes to …`, `remind us tomorrow at 9 to …`, and what is looked up
//! and told at a time: `tomorrow at 9 tell us what we missed`.

use time::{Date, Duration, OffsetDateTime, Time, Weekday};

use ery_clock::UnixMillis;

use super::{
    clause::{Clause, is_one_of},
    duration::{self, Span},
    lookups,
    request::{Problem, Remembered, Request, When},
    tokens::Kind,
};

/// Discord's bound leaves this for the words of a reminder.
const LONGEST: usize = 1_500;

/// The hour on a day of which no other is said.
const MORNING: u8 = 9;
const EVENING: u8 = 20;
const NOON: u8 = 12;

/// Reads a message that asks for a reminder as a whole. `None`: it does not.
pub(super) fn read(mut at: Clause<'_>, now: UnixMillis) -> Option<Request> {
    let opening = at.take_opening();
    if opening.is_negated {
        return None;
    }
    let mut when = None;
    if let Some((read, mut after)) = read_when(at, now) {
        after.take_pauses();
        after.take_opening();
        (when, at) = (Some(read), after);
    }
    let whom = if at.take("remind") {
        whom(&mut at)?
    } else if at.take_any("set a reminder|set me a reminder|set reminder|reminder") {
        at.take_any("for me");
        Remembered::Asker
    } else {
        return told(at, when, now);
    };
    at.take_pauses();
    if when.is_none()
        && let Some((read, after)) = read_when(at, now)
    {
        (when, at) = (Some(read), after);
    }
    at.take_pauses();
    at.take_any("to|that|about|of");
    at.take_pauses();
    let (when, text) = match when {
        Some(when) => (when, at.text()),
        None => match at_the_end(at.without_tail(), now) {
            Some(found) => found,
            None => return Some(Request::Problem(Problem::RemindWhen)),
        },
    };
    let asked = if opening.is_request { text.trim_end_matches('?') } else { &text };
    let text = asked.trim().trim_end_matches([',', '-', ':', ';']).trim();
    Some(Request::Remind { whom, when, text: text.chars().take(LONGEST).collect() })
}

/// Reads what is to be told at a time, as far as it is understood already what that is: a catch-up.
fn told(mut at: Clause<'_>, mut when: Option<When>, now: UnixMillis) -> Option<Request> {
    if !at.take("tell") || whom(&mut at)? != Remembered::Everybody {
        return None;
    }
    at.take_pauses();
    if when.is_none()
        && let Some((read, after)) = read_when(at, now)
    {
        (when, at) = (Some(read), after);
        at.take_pauses();
    }
    let when = when?;
    let (_, after) = lookups::read_catch_up(at)?;
    after.is_idle().then(|| Request::TellThen { when, words: at.text().trim().to_owned() })
}

/// Reads the moment that stands at the end, and what stands before it.
fn at_the_end(what: Clause<'_>, now: UnixMillis) -> Option<(When, String)> {
    (0..what.tokens().len()).find_map(|skipped| {
        let end = what.after(skipped);
        let (when, after) = read_when(end, now)?;
        after.is_idle().then(|| (when, what.text_until(end)))
    })
}

fn whom(at: &mut Clause<'_>) -> Option<Remembered> {
    if at.take("me|myself") {
        return Some(Remembered::Asker);
    }
    if at.take_any("us|everyone|everybody|all|the channel|this channel") {
        return Some(Remembered::Everybody);
    }
    let Some(Kind::Member(member)) = at.kind() else { return None };
    let member = *member;
    if at.context().bot == Some(member) {
        return None;
    }
    at.skip(1);
    Some(Remembered::Member(member))
}

/// Reads a moment: `in 10 minutes`, `tomorrow at 9`, `at 18:30 on Friday`, `on 2030-01-31`. Times of
/// day are UTC.
fn read_when(mut at: Clause<'_>, now: UnixMillis) -> Option<(When, Clause<'_>)> {
    if let Some(after) = at.behind("in") {
        return match duration::read(after)? {
            (Span::Seconds(seconds), after) if seconds > 0 => Some((When::In(seconds), after)),
            _ => None,
        };
    }
    let now = OffsetDateTime::from_unix_timestamp(now.as_secs()).ok()?;
    let (mut day, mut time) = (None, None);
    loop {
        let mut ahead = at;
        ahead.take_pauses();
        if day.is_none()
            && let Some((read, after)) = read_day(ahead, now.date())
        {
            (day, at) = (Some(read), after);
        } else if time.is_none()
            && let Some((read, after)) = read_time(ahead, day.is_some())
        {
            (time, at) = (Some(read), after);
        } else {
            break;
        }
    }
    let moment = match (day, time) {
        (None, None) => return None,
        (Some(Day { date, usual }), time) => {
            date.with_time(time.or_else(|| hour(usual?))?).assume_utc()
        }
        (None, Some(time)) => {
            let today = now.date().with_time(time).assume_utc();
            if today > now { today } else { today + Duration::DAY }
        }
    };
    Some((When::At(moment), at))
}

fn hour(hour: u8) -> Option<Time> {
    Time::from_hms(hour, 0, 0).ok()
}

struct Day {
    date: Date,
    /// When on it, where no hour is said.
    usual: Option<u8>,
}

fn read_day(mut at: Clause<'_>, today: Date) -> Option<(Day, Clause<'_>)> {
    let ahead = |days: i64, usual: Option<u8>| {
        let date = today.checked_add(Duration::days(days))?;
        Some(Day { date, usual })
    };
    let day = if at.take_phrase("the day after tomorrow") {
        ahead(2, Some(MORNING))
    } else if at.take("tomorrow") {
        let usual = if at.take("evening|night") { EVENING } else { MORNING };
        at.take("morning");
        ahead(1, Some(usual))
    } else if at.take("tonight") || at.take_phrase("this evening") {
        ahead(0, Some(EVENING))
    } else if at.take("today") {
        ahead(0, None)
    } else {
        at.take("on|next|this|coming");
        let word = at.word()?;
        let day = match weekday(word) {
            Some(weekday) => {
                let days = i64::from(weekday.number_days_from_monday())
                    - i64::from(today.weekday().number_days_from_monday());
                ahead(if days > 0 { days } else { days + 7 }, Some(MORNING))
            }
            None => date(word).map(|date| Day { date, usual: Some(MORNING) }),
        };
        at.skip(1);
        day
    };
    Some((day?, at))
}

/// Reads `2030-01-31`.
fn date(word: &str) -> Option<Date> {
    let mut parts = word.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let month = time::Month::try_from(month.parse::<u8>().ok()?).ok()?;
    Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "monday" | "mon" => Weekday::Monday,
        "tuesday" | "tue" | "tues" => Weekday::Tuesday,
        "wednesday" | "wed" => Weekday::Wednesday,
        "thursday" | "thu" | "thurs" => Weekday::Thursday,
        "friday" | "fri" => Weekday::Friday,
        "saturday" | "sat" => Weekday::Saturday,
        "sunday" | "sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// Reads `at 9`, `9am`, `9:30 pm`, `18:30 UTC`, `noon`. A bare number is a time only behind `at`, or
/// with minutes, or with `am` or `pm`.
fn read_time(mut at: Clause<'_>, has_day: bool) -> Option<(Time, Clause<'_>)> {
    let is_led = at.take("at");
    if at.take("noon|midday") {
        return Some((hour(NOON)?, at));
    }
    if at.take("midnight") {
        return Some((Time::MIDNIGHT, at));
    }
    let word = at.word()?;
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, mut half) = word.split_at(digits);
    let mut of_day: u8 = number.parse().ok()?;
    at.skip(1);
    let mut minute = None;
    if half.is_empty()
        && at.kind() == Some(&Kind::Colon)
        && let Some(word) = at.word_at(1)
        && word.is_char_boundary(2)
        && let (minutes, rest) = word.split_at(2.min(word.len()))
        && minutes.len() == 2
    {
        (minute, half) = (Some(minutes.parse::<u8>().ok()?), rest);
        at.skip(2);
    }
    if half.is_empty() && at.next_is("am|pm") {
        half = at.word()?;
        at.skip(1);
    }
    match half {
        "" => {}
        "am" | "pm" if (1..=12).contains(&of_day) => {
            of_day = of_day % 12 + if half == "pm" { 12 } else { 0 };
        }
        _ => return None,
    }
    if !(is_led || has_day && is_one_of(half, "am|pm") || minute.is_some() || !half.is_empty()) {
        return None;
    }
    at.take("utc|gmt|o'clock");
    Some((Time::from_hms(of_day, minute.unwrap_or(0), 0).ok()?, at))
}

#[cfg(test)]
mod tests {
    use time::format_description::well_known::Rfc3339;
    use twilight_model::id::Id;

    use super::*;
    use crate::domain::builtin::clause::in_clause;

    /// 29 November 2026 was a Sunday.
    const NOW: &str = "2026-11-29T14:00:00Z";

    fn read_at(text: &str) -> Option<Request> {
        let now = OffsetDateTime::parse(NOW, &Rfc3339).unwrap().unix_timestamp();
        in_clause(text, &["ery".to_owned()], |at| read(at, UnixMillis(now * 1_000)))
    }

    fn said(text: &str) -> (String, String) {
        match read_at(text) {
            Some(Request::Remind { when: When::In(seconds), text, .. }) => {
                (format!("in {seconds}"), text)
            }
            Some(Request::Remind { when: When::At(at), text, .. }) => {
                (at.format(&Rfc3339).unwrap(), text)
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn reminders_are_read_in_many_ways() {
        for (text, when, what) in [
            ("remind me in 20 minutes to check the oven", "in 1200", "check the oven"),
            ("remind me to check the oven in 20 minutes", "in 1200", "check the oven"),
            ("Ery, please remind me in an hour", "in 3600", ""),
            ("in 10 minutes, remind us to vote", "in 600", "vote"),
            ("could you remind me in 2h30m that the raid starts?", "in 9000", "the raid starts"),
            ("set a reminder in 5 minutes: tea", "in 300", "tea"),
            ("remind me that in May we meet, in 2 days", "in 172800", "in May we meet"),
            ("remind us tomorrow at 9 to vote", "2026-11-30T09:00:00Z", "vote"),
            ("remind us tomorrow about the quiz", "2026-11-30T09:00:00Z", "the quiz"),
            ("remind me tonight to sleep", "2026-11-29T20:00:00Z", "sleep"),
            ("remind me at 15:30 to call", "2026-11-29T15:30:00Z", "call"),
            ("remind me at 9 to call", "2026-11-30T09:00:00Z", "call"),
            ("remind me at 6pm to call", "2026-11-29T18:00:00Z", "call"),
            ("remind me to call at 6 pm today", "2026-11-29T18:00:00Z", "call"),
            ("remind me to call at 6:15 pm UTC", "2026-11-29T18:15:00Z", "call"),
            ("remind me at noon to eat", "2026-11-30T12:00:00Z", "eat"),
            ("remind us on Friday at 18:00 of game night", "2026-12-04T18:00:00Z", "game night"),
            ("remind us on Sunday to rest", "2026-12-06T09:00:00Z", "rest"),
            ("remind me on 2026-12-24 about presents", "2026-12-24T09:00:00Z", "presents"),
            ("remind me the day after tomorrow to pay", "2026-12-01T09:00:00Z", "pay"),
        ] {
            assert_eq!(said(text), (when.to_owned(), what.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_to_be_told_at_a_time_is_planned_as_it_was_asked() {
        for (text, when, what) in [
            ("tomorrow at 9 tell us what we missed", "2026-11-30T09:00:00Z", "what we missed"),
            ("Ery, tell us tomorrow at 9 what happened", "2026-11-30T09:00:00Z", "what happened"),
            (
                "please tell everyone at 18:30 what happened overnight",
                "2026-11-29T18:30:00Z",
                "what happened overnight",
            ),
        ] {
            let Some(Request::TellThen { when: When::At(at), words }) = read_at(text) else {
                panic!("{text}: {:?}", read_at(text));
            };
            assert_eq!(at.format(&Rfc3339).unwrap(), when, "{text}");
            assert_eq!(words, what, "{text}");
        }
        assert!(matches!(
            read_at("in 2 hours tell us what we missed"),
            Some(Request::TellThen { when: When::In(7_200), .. })
        ));
        for text in [
            "tell us what we missed",
            "tomorrow at 9 tell us the truth",
            "tell us tomorrow at 9 what bob had for lunch",
            "don't tell us tomorrow at 9 what we missed",
        ] {
            assert_eq!(read_at(text), None, "{text}");
        }
    }

    #[test]
    fn a_reminder_says_for_whom_it_is() {
        let whom = |text: &str| match read_at(text) {
            Some(Request::Remind { whom, .. }) => whom,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(whom("remind me in 1h to go"), Remembered::Asker);
        assert_eq!(whom("remind everyone in 1h to go"), Remembered::Everybody);
        assert_eq!(whom("remind <@7> in 1h to go"), Remembered::Member(Id::new(7)));
    }

    #[test]
    fn what_is_no_reminder_is_left() {
        for text in [
            "don't remind me in 10 minutes",
            "that reminds me of something",
            "remind <@900> in 1h",
            "in 10 minutes we go",
            "",
        ] {
            assert_eq!(read_at(text), None, "{text}");
        }
        for text in
            ["remind me to check the oven", "remind me in a while to go", "remind me at 25:00"]
        {
            assert_eq!(read_at(text), Some(Request::Problem(Problem::RemindWhen)), "{text}");
        }
    }
}

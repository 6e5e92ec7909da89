use super::{clause::Clause, tokens::Kind};

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A length of time, as a text gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Seconds(u64),
    /// `forever`.
    Endless,
    /// `a while`.
    Vague,
}

/// Reads a length of time: `10m`, `1h30m`, `an hour and a half`, `twenty-five minutes`.
pub(super) fn read(mut at: Clause<'_>) -> Option<(Span, Clause<'_>)> {
    if at.take_any("forever|permanently|indefinitely|for ever|eternity|all eternity|good") {
        return Some((Span::Endless, at));
    }
    if at.take_any(
        "a while|a bit|a little while|a little bit|some time|a moment|a long time|\
         a few minutes|a few hours|a few days|long",
    ) {
        return Some((Span::Vague, at));
    }
    at.take_any(
        "the next|at least|up to|about|around|approximately|roughly|exactly|like|\
         a total of|a duration of|a period of",
    );
    let (mut sum, mut at) = read_one(at)?;
    // Smaller parts may follow: `1 hour and 30 minutes`.
    loop {
        let mut ahead = at;
        while matches!(ahead.kind(), Some(Kind::Pause | Kind::And)) || ahead.next_is("and") {
            ahead.skip(1);
        }
        let is_number = ahead.word().is_some_and(|word| {
            word.starts_with(|c: char| c.is_ascii_digit()) || small_number(word).is_some()
        });
        if !is_number {
            break;
        }
        let Some((more, after)) = read_one(ahead) else { break };
        if more.unit >= sum.unit {
            break;
        }
        sum = Part { seconds: sum.seconds.saturating_add(more.seconds), unit: more.unit };
        at = after;
    }
    Some((Span::Seconds(sum.seconds), at))
}

/// A length of time, and its smallest unit.
#[derive(Clone, Copy)]
struct Part {
    seconds: u64,
    unit: u64,
}

fn read_one(at: Clause<'_>) -> Option<(Part, Clause<'_>)> {
    read_compact(at).or_else(|| read_fraction(at)).or_else(|| read_counted(at))
}

/// Reads `10m` and `1h30m`, and `10-minute`.
fn read_compact(at: Clause<'_>) -> Option<(Part, Clause<'_>)> {
    let word = at.word()?;
    if let Some((number, unit)) = word.split_once('-') {
        let thousandths = digits(number).or_else(|| small_number(number).map(|n| n * 1_000))?;
        let unit = unit_seconds(unit)?;
        return Some((Part { seconds: times(thousandths, unit), unit }, at.after(1)));
    }
    let mut rest = word;
    let mut sum = Part { seconds: 0, unit: u64::MAX };
    while !rest.is_empty() {
        let number =
            rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let thousandths = digits(&rest[..number])?;
        rest = &rest[number..];
        let unit = rest.len() - rest.trim_start_matches(char::is_alphabetic).len();
        let seconds = unit_seconds(&rest[..unit])?;
        if seconds >= sum.unit {
            return None;
        }
        sum.seconds = sum.seconds.saturating_add(times(thousandths, seconds));
        sum.unit = seconds;
        rest = &rest[unit..];
    }
    Some((sum, at.after(1)))
}

/// Reads `half an hour` and `a quarter of an hour`.
fn read_fraction(mut at: Clause<'_>) -> Option<(Part, Clause<'_>)> {
    let quarters = if at.take_any("three quarters of|3 quarters of") {
        3
    } else if at.take_any("a quarter of|quarter of|a quarter|quarter") {
        1
    } else if at.take_any("half of|a half|half") {
        2
    } else {
        return None;
    };
    at.take("a|an");
    let unit = unit_seconds(at.word()?)?;
    Some((Part { seconds: unit.saturating_mul(quarters) / 4, unit }, at.after(1)))
}

/// Reads a number and a unit.
fn read_counted(mut at: Clause<'_>) -> Option<(Part, Clause<'_>)> {
    let mut thousandths = take_number(&mut at)?;
    if at.take_phrase("and a half") {
        thousandths = thousandths.saturating_add(500);
    }
    let unit = unit_seconds(at.word()?)?;
    at.skip(1);
    let mut seconds = times(thousandths, unit);
    if at.take_phrase("and a half") {
        seconds = seconds.saturating_add(unit / 2);
    }
    Some((Part { seconds, unit }, at))
}

/// Takes a number, and returns it in thousandths.
fn take_number(at: &mut Clause<'_>) -> Option<u64> {
    if at.take_any("a couple of|a couple") {
        return Some(2_000);
    }
    let word = at.word()?;
    if let Some(thousandths) = digits(word) {
        at.skip(1);
        return Some(thousandths);
    }
    if word == "another" {
        at.skip(1);
        return if at.word().and_then(unit_seconds).is_some() {
            Some(1_000)
        } else {
            take_number(at)
        };
    }
    if matches!(word, "a" | "an") {
        at.skip(1);
        return Some(1_000);
    }
    let number = small_number(word)?;
    at.skip(1);
    // `twenty five`
    let ones = at
        .word()
        .and_then(unit_number)
        .filter(|ones| *ones < 10 && number >= 20 && number % 10 == 0);
    if let Some(ones) = ones {
        at.skip(1);
        return Some((number + ones) * 1_000);
    }
    Some(number * 1_000)
}

fn times(thousandths: u64, unit: u64) -> u64 {
    thousandths.saturating_mul(unit) / 1_000
}

/// Reads `10` and `1.5`, in thousandths.
fn digits(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(part) {
        return None;
    }
    let whole = whole.parse::<u64>().unwrap_or(u64::MAX);
    let mut part: String = part.chars().take(3).collect();
    while part.len() < 3 {
        part.push('0');
    }
    Some(whole.saturating_mul(1_000).saturating_add(part.parse().unwrap_or(0)))
}

fn unit_seconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" | "minuets" => MINUTE,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => DAY,
        "w" | "wk" | "wks" | "week" | "weeks" => 7 * DAY,
        "fortnight" | "fortnights" => 14 * DAY,
        "month" | "months" => 30 * DAY,
        "year" | "years" => 365 * DAY,
        _ => return None,
    })
}

fn unit_number(word: &str) -> Option<u64> {
    const ONES: [&str; 19] = [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    let index = ONES.iter().position(|known| *known == word)?;
    u64::try_from(index + 1).ok()
}

fn small_number(word: &str) -> Option<u64> {
    const TENS: [&str; 8] =
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    if let Some(number) = unit_number(word) {
        return Some(number);
    }
    let (tens, ones) = word.split_once('-').unwrap_or((word, ""));
    let index = TENS.iter().position(|known| *known == tens)?;
    let tens = 10 * u64::try_from(index + 2).ok()?;
    match ones {
        "" => Some(tens),
        ones => Some(tens + unit_number(ones).filter(|ones| *ones < 10)?),
    }
}

/// Returns whether something begins here that tries to be a length of time: a number, a unit, a
/// sign.
pub(super) fn is_attempt(at: Clause<'_>) -> bool {
    let is_sign = at.kind() == Some(&Kind::Other) && at.text().starts_with('-');
    is_sign
        || at.next_is("minus|min|mins|minutes|hours|days|weeks|seconds|secs")
        || at.word().is_some_and(|word| {
            word.starts_with(|c: char| c.is_ascii_digit()) || small_number(word).is_some()
        })
}

/// Says a length of time in words: `1 hour and 30 minutes`.
pub(super) fn in_words(seconds: u64) -> String {
    let mut parts = Vec::new();
    let mut rest = seconds;
    for (unit, name) in [(DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second")] {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            parts.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    }
    match parts.as_slice() {
        [] => "0 seconds".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::builtin::clause::in_clause;

    fn span(text: &str) -> Option<(Span, usize)> {
        in_clause(text, &[], |at| {
            let (span, after) = read(at)?;
            Some((span, after.tokens().len()))
        })
    }

    #[test]
    fn lengths_of_time_are_read_in_numbers_and_words() {
        for (text, seconds) in [
            ("10m", 600),
            ("10 minutes", 600),
            ("10min", 600),
            ("ten minutes", 600),
            ("10-minute", 600),
            ("ten-minute", 600),
            ("an hour", 3_600),
            ("a minute", 60),
            ("half an hour", 1_800),
            ("half hour", 1_800),
            ("a half hour", 1_800),
            ("a quarter of an hour", 900),
            ("1d", 86_400),
            ("2h30m", 9_000),
            ("2h 30m", 9_000),
            ("1 hour and 30 minutes", 5_400),
            ("1 hour, 30 minutes", 5_400),
            ("one hour thirty minutes", 5_400),
            ("an hour and a half", 5_400),
            ("one and a half hours", 5_400),
            ("1.5 hours", 5_400),
            ("1.5h", 5_400),
            ("twenty five minutes", 1_500),
            ("twenty-five minutes", 1_500),
            ("two weeks", 1_209_600),
            ("a couple of hours", 7_200),
            ("90s", 90),
            ("a week", 604_800),
            ("0 minutes", 0),
            ("a month", 2_592_000),
            ("another hour", 3_600),
            ("another 10 minutes", 600),
            ("the next 10 minutes", 600),
            ("about an hour", 3_600),
            ("at least 2h", 7_200),
            ("99999999999999999999999 days", u64::MAX / 1_000),
        ] {
            assert_eq!(span(text), Some((Span::Seconds(seconds), 0)), "{text}");
        }
        assert_eq!(span("forever"), Some((Span::Endless, 0)));
        assert_eq!(span("a while"), Some((Span::Vague, 0)));
    }

    #[test]
    fn what_is_no_length_of_time_is_left() {
        for text in ["10", "bob", "a", "an", "half", "10x", "m", "1h30", "an apple", "5 bobs", ""] {
            assert_eq!(span(text), None, "{text}");
        }
        assert_eq!(span("10 minutes and alice"), Some((Span::Seconds(600), 2)));
        assert_eq!(span("10 minutes 5 times"), Some((Span::Seconds(600), 2)));
        assert_eq!(span("10m, spam"), Some((Span::Seconds(600), 2)));
        assert_eq!(span("10m 5m"), Some((Span::Seconds(600), 1)));
    }

    #[test]
    fn lengths_are_said_in_words() {
        assert_eq!(in_words(600), "10 minutes");
        assert_eq!(in_words(5_400), "1 hour and 30 minutes");
        assert_eq!(in_words(90_061), "1 day, 1 hour, 1 minute and 1 second");
        assert_eq!(in_words(0), "0 seconds");
    }
}

use std::fmt;

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use ery_clock::UnixMillis;

/// A moment as Discord writes it: `2024-05-04T12:00:00.000000+00:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Iso(pub(crate) UnixMillis);

impl fmt::Display for Iso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.0.div_euclid(86_400_000);
        let of_day = self.0.0.rem_euclid(86_400_000);
        let (year, month, day) = civil(days);
        let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}000+00:00"
        )
    }
}

impl Serialize for Iso {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Returns year, month and day of the proleptic Gregorian calendar, of days since 1970.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Reads a moment with its zone, as clients write it.
pub(crate) fn parse_iso(text: &str) -> Option<UnixMillis> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok().map(UnixMillis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read_as_discord_does() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000000+00:00"),
            (1_709_210_096_007, "2024-02-29T12:34:56.007000+00:00"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999000+00:00"),
        ] {
            assert_eq!(Iso(UnixMillis(millis)).to_string(), text);
            assert_eq!(parse_iso(text), Some(UnixMillis(millis)));
        }
        assert_eq!(parse_iso("2024-02-29T14:34:56+02:00"), Some(UnixMillis(1_709_210_096_000)));
        assert_eq!(parse_iso("2024-02-29T14:34:56"), None);
    }
}

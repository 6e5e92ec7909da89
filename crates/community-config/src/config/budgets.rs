//! What may be spent on models, in windows of a day and a month by UTC.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What may be spent on models. What the operator sets is a ceiling: what is set below only lowers
/// it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Budgets {
    /// At what share of a budget, in percent, it is said once that it is nearly used up: in small
    /// print below the next answer, and for the server also in its reports channel, if one is set.
    #[schemars(range(min = 1, max = 100), extend("x-layers" = ["global", "server"]))]
    pub warn_percent: u32,
    /// How much more may be spent once a budget is used up, in percent of it, by the cheaper model,
    /// where the operator has set one (`ai.cheaper_model`). Then Ery stops.
    #[schemars(range(max = 1_000),
        extend("x-layers" = ["global", "server"], "x-combine" = "ceiling"))]
    pub cheaper_percent: u32,
    pub installation: InstallationBudget,
    pub server: ServerBudget,
    pub channel: ChannelBudget,
    pub member: MemberBudget,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            warn_percent: 80,
            cheaper_percent: 20,
            installation: InstallationBudget::default(),
            server: ServerBudget::default(),
            channel: ChannelBudget::default(),
            member: MemberBudget::default(),
        }
    }
}

/// What one budget says; none: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    pub day_usd: Option<Usd>,
    pub month_usd: Option<Usd>,
    pub day_tokens: Option<u64>,
    pub month_tokens: Option<u64>,
}

// The defaults: a key that was just bought must not cost a fortune over a night of spam. One member
// gets a dollar a day, everybody together five, and fifty in a month.

macro_rules! budget {
    ($name:ident, $about:literal, [$day:expr, $month:expr], $layers:tt, $day_usd:literal, $month_usd:literal,
     $day_tokens:literal, $month_tokens:literal) => {
        #[doc = $about]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
        #[serde(default)]
        pub struct $name {
            #[doc = $day_usd]
            #[schemars(with = "Usd", extend("x-layers" = $layers, "x-combine" = "ceiling"))]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub day_usd: Option<Usd>,
            #[doc = $month_usd]
            #[schemars(with = "Usd", extend("x-layers" = $layers, "x-combine" = "ceiling"))]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub month_usd: Option<Usd>,
            #[doc = $day_tokens]
            #[schemars(with = "u64", range(max = 1_000_000_000_000_u64),
                                        extend("x-layers" = $layers, "x-combine" = "ceiling"))]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub day_tokens: Option<u64>,
            #[doc = $month_tokens]
            #[schemars(with = "u64", range(max = 1_000_000_000_000_u64),
                                        extend("x-layers" = $layers, "x-combine" = "ceiling"))]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub month_tokens: Option<u64>,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { day_usd: $day, month_usd: $month, day_tokens: None, month_tokens: None }
            }
        }

        impl From<$name> for Budget {
            fn from(of: $name) -> Self {
                let $name { day_usd, month_usd, day_tokens, month_tokens } = of;
                Self { day_usd, month_usd, day_tokens, month_tokens }
            }
        }
    };
}

budget!(
    InstallationBudget,
    "Of all servers and direct messages together.",
    [Some(Usd::dollars(5)), Some(Usd::dollars(50))],
    ["global"],
    "How many dollars may be spent in a day (UTC) by the whole installation. Past it, and past what \
     the cheaper model may add, nobody is answered until the day is over; in each channel that is \
     said once.",
    "How many dollars may be spent in a month (UTC) by the whole installation; as for a day.",
    "How many tokens, read and written, the whole installation may use in a day (UTC); as for \
     dollars.",
    "How many tokens the whole installation may use in a month (UTC); as for dollars."
);

budget!(
    ServerBudget,
    "Of one server, or of one person's direct messages.",
    [None, None],
    ["global", "server"],
    "How many dollars may be spent in a day (UTC) in one server. Past it, and past what the cheaper \
     model may add, nobody is answered there until the day is over; in each channel that is said \
     once.",
    "How many dollars may be spent in a month (UTC) in one server; as for a day.",
    "How many tokens, read and written, one server may use in a day (UTC); as for dollars.",
    "How many tokens one server may use in a month (UTC); as for dollars."
);

budget!(
    ChannelBudget,
    "Of one channel.",
    [None, None],
    ["global", "server", "channel"],
    "How many dollars may be spent in a day (UTC) in one channel. Past it, and past what the cheaper \
     model may add, nobody is answered there until the day is over, which is said once.",
    "How many dollars may be spent in a month (UTC) in one channel; as for a day.",
    "How many tokens, read and written, one channel may use in a day (UTC); as for dollars.",
    "How many tokens one channel may use in a month (UTC); as for dollars."
);

budget!(
    MemberBudget,
    "Of one member in one server, or in direct messages.",
    [Some(Usd::dollars(1)), None],
    ["global", "server"],
    "How many dollars may be spent in a day (UTC) for one member of a server; who asks together \
     shares it. Past it, and past what the cheaper model may add, they are not answered until the \
     day is over; they are told once.",
    "How many dollars may be spent in a month (UTC) for one member of a server; as for a day.",
    "How many tokens, read and written, may be used in a day (UTC) for one member of a server; as \
     for dollars.",
    "How many tokens may be used in a month (UTC) for one member of a server; as for dollars."
);

/// Dollars, exact to a millionth; written as a number, `2.50`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd {
    pub micros: u64,
}

impl Usd {
    /// The most that is counted: more is no budget.
    pub const MOST: Self = Self::dollars(1_000_000);

    pub const fn dollars(dollars: u64) -> Self {
        Self { micros: dollars * 1_000_000 }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "it lies between 0 and the most, whose micros an f64 holds exactly"
    )]
    fn of(dollars: f64) -> Option<Self> {
        let micros = (dollars * 1e6).round();
        let is_within = (0.0..=Self::MOST.micros as f64).contains(&micros);
        is_within.then_some(Self { micros: micros as u64 })
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, rest) = (self.micros / 1_000_000, self.micros % 1_000_000);
        if rest.is_multiple_of(10_000) {
            return write!(f, "{dollars}.{:02}", rest / 10_000);
        }
        let rest = format!("{rest:06}");
        write!(f, "{dollars}.{}", rest.trim_end_matches('0'))
    }
}

impl Serialize for Usd {
    #[expect(clippy::cast_precision_loss, reason = "an f64 holds the micros exactly")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.micros as f64 / 1e6)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        let dollars = f64::deserialize(deserializer)?;
        Self::of(dollars)
            .ok_or_else(|| D::Error::custom(format!("{dollars} is not between 0 and 1000000")))
    }
}

impl JsonSchema for Usd {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "format": "usd", "minimum": 0, "maximum": 1_000_000 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact_to_a_millionth() {
        for (written, micros, shown) in [
            ("0", 0, "0.00"),
            ("2.5", 2_500_000, "2.50"),
            ("0.000001", 1, "0.000001"),
            ("0.105", 105_000, "0.105"),
            ("1000000", 1_000_000_000_000, "1000000.00"),
        ] {
            let usd: Usd = serde_json::from_str(written).unwrap();
            assert_eq!((usd.micros, usd.to_string().as_str()), (micros, shown));
            let again: Usd = serde_json::from_value(serde_json::to_value(usd).unwrap()).unwrap();
            assert_eq!(again, usd);
        }
        for wrong in ["-0.01", "1000000.01", "1e300"] {
            assert!(serde_json::from_str::<Usd>(wrong).is_err(), "{wrong}");
        }
    }
}

//! Where Discord itself says, or shows, that its document is not to be taken by the word.

use serde_json::{Map, Value};

/// One way in which the check departs from the document.
#[derive(Debug)]
pub(crate) struct Deviation {
    pub(crate) difference: Difference,
    /// Why it is right to depart from the document here.
    pub(crate) reason: &'static str,
}

#[derive(Debug)]
pub(crate) enum Difference {
    /// `oneOf` is read as `anyOf`.
    UnionsMatchAny,
    /// An integer of a request may be written as a string of digits.
    IntegersAsDigits,
    /// An id of a request may be written as a number.
    IdsAsNumbers,
    /// A boolean of a query may be written as `1` or `0`.
    BooleansInQueries,
    /// Any operation may answer 5XX, with an error's body or with what is no JSON.
    ServerErrors,
    /// Any operation may answer 429 with what is no JSON.
    TurnedAway,
    /// A request may come without the body that the document demands.
    NoBody { method: &'static str, template: &'static str },
    /// A part of a component is replaced by other JSON.
    Component { name: &'static str, at: &'static str, becomes: &'static str },
}

/// The one table of deviations. Nothing else is tolerated.
#[rustfmt::skip]
pub(crate) static DEVIATIONS: &[Deviation] = {
    use Difference::{BooleansInQueries, Component, IdsAsNumbers, IntegersAsDigits, NoBody, ServerErrors, TurnedAway, UnionsMatchAny};
    &[
        Deviation {
            difference: UnionsMatchAny,
            reason: "of the branches of a union, several may match: they overlap throughout",
        },
        Deviation {
            difference: IntegersAsDigits,
            reason: "requests type permissions as integers; whoever counts in doubles must send strings",
        },
        Deviation {
            difference: IdsAsNumbers,
            reason: "Discord reads ids of both kinds, and well-known libraries send numbers",
        },
        Deviation {
            difference: BooleansInQueries,
            reason: "a query knows text alone, and well-known libraries write 1",
        },
        Deviation {
            difference: ServerErrors,
            reason: "the failures of a server are in no document; they happen to every operation",
        },
        Deviation {
            difference: TurnedAway,
            reason: "an address with too many invalid requests is turned away before Discord hears it",
        },
        Deviation {
            difference: NoBody { method: "DELETE", template: "/guilds/{guild_id}/bans/{user_id}" },
            reason: "the prose knows of no body, and libraries send none",
        },
        Deviation {
            difference: NoBody { method: "PUT", template: "/guilds/{guild_id}/bans/{user_id}" },
            reason: "every field may be left out, and discord.py writes the one that it has into the query",
        },
        Deviation {
            difference: Component {
                name: "InnerErrors", at: "/properties/_errors/items",
                becomes: r#"{
                    "type": "object",
                    "properties": { "code": { "type": "string" }, "message": { "type": "string" } },
                    "required": ["code", "message"]
                }"#,
            },
            reason: "the codes of single fields are names, as the prose's examples show",
        },
        Deviation {
            difference: Component {
                name: "RatelimitedResponse", at: "/allOf/0",
                becomes: r#"{
                    "type": "object",
                    "properties": { "code": { "type": "integer" }, "message": { "type": "string" } },
                    "required": ["message"]
                }"#,
            },
            reason: "in the prose only some rate limits have a code",
        },
        Deviation {
            difference: Component {
                name: "MessageCreateRequest", at: "/properties/content/maxLength", becomes: "2000",
            },
            reason: "4,000 characters are for people who pay; a bot has 2,000",
        },
        Deviation {
            difference: Component {
                name: "BaseCreateMessageCreateRequest", at: "/properties/content/maxLength", becomes: "2000",
            },
            reason: "the same, for the first message of a post in a forum",
        },
        Deviation {
            difference: Component {
                name: "MessageEditRequestPartial", at: "/properties/content/maxLength", becomes: "2000",
            },
            reason: "the same, for an edit",
        },
        Deviation {
            difference: Component {
                name: "MessageReferenceType", at: "/oneOf",
                becomes: r#"[{ "title": "DEFAULT", "const": 0 }, { "title": "FORWARD", "const": 1 }]"#,
            },
            reason: "the prose has forwards too, whose snapshots the document knows",
        },
    ]
};

/// Returns every line of the table of deviations, with its reason.
pub fn deviations() -> impl Iterator<Item = (String, &'static str)> {
    DEVIATIONS.iter().map(|Deviation { difference, reason }| (format!("{difference:?}"), *reason))
}

/// Changes the document's components as the table says.
///
/// # Panics
///
/// If a line names what the document does not have: then the line is out of date.
pub(crate) fn apply(components: &mut Map<String, Value>) {
    for deviation in DEVIATIONS {
        let Difference::Component { name, at, becomes } = &deviation.difference else { continue };
        let place = components.get_mut(*name).and_then(|found| found.pointer_mut(at));
        let place = place.unwrap_or_else(|| panic!("the document has no {name}{at}"));
        *place = serde_json::from_str(becomes).expect("a line of the table holds JSON");
    }
}

/// Whether the table has this difference.
pub(crate) fn tolerated(is_it: impl Fn(&Difference) -> bool) -> bool {
    DEVIATIONS.iter().any(|deviation| is_it(&deviation.difference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_reason() {
        for (difference, reason) in deviations() {
            assert!(reason.len() > 8, "{difference}");
        }
    }
}

//! Why the tool-service refused something, in every language, by the code that it gives.

use serde_json::Value;

use super::{Language, right};
use crate::domain::commands::reply::{quoted, shortened};

/// How much of what the tool-service says is shown.
const LONGEST: usize = 300;

/// Why something was refused or failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal<'a> {
    /// Empty where there is none.
    pub(crate) code: &'a str,
    /// Discord's constant of the permission that it is about, or nothing.
    pub(crate) permission: &'a str,
    /// In the tool-service's own words, which are English.
    pub(crate) sentence: &'a str,
}

impl<'a> Refusal<'a> {
    /// Reads it out of what a call came to.
    pub(crate) fn in_content(content: &'a Value) -> Self {
        let text = |field: &str| content[field].as_str().unwrap_or_default();
        Self { code: text("code"), permission: text("permission"), sentence: text("reason") }
    }

    /// Says it in a language; nothing where there is nothing to say.
    pub(crate) fn said(&self, language: Language) -> Option<String> {
        let own = (!self.sentence.is_empty()).then(|| shortened(self.sentence, LONGEST));
        let of_rights = self.of_rights(language);
        match language {
            // It names channels and people besides.
            Language::English => of_rights.or(own).or_else(|| self.of_rest(language)),
            Language::German => of_rights.or_else(|| self.of_rest(language)).or_else(|| {
                let reason = quoted(&own?, LONGEST);
                Some(language.say("refused-in-english", &[("reason", (&reason).into())]))
            }),
        }
    }

    /// Says it where it is about who may do what to whom, which has words of its own in every language.
    pub(crate) fn of_rights(&self, language: Language) -> Option<String> {
        let key = match self.code {
            "asker_lacks_permission" => return self.lacks(language, "refused-you-lack"),
            "bot_lacks_permission" => return self.lacks(language, "refused-ery-lacks"),
            "asker_rank_too_low" => "refused-your-rank",
            "bot_rank_too_low" => "refused-erys-rank",
            "target_is_self" => "refused-yourself",
            "target_is_ery" => "refused-ery",
            "target_is_owner" => "refused-owner",
            "target_not_member" => "refused-no-member",
            "target_is_administrator" | "target_needs_administrator" => "refused-administrator",
            "asker_not_member" => "refused-you-no-member",
            "asker_timed_out" => "refused-timed-out",
            "disabled" => "refused-off",
            "dry_run" => "refused-dry-run",
            "proposal_unknown" => "refused-proposal-unknown",
            _ => return None,
        };
        Some(language.word(key))
    }

    /// Says it where the tool-service would say more, in English alone.
    fn of_rest(&self, language: Language) -> Option<String> {
        let key = match self.code {
            "not_for_all" => return self.lacks(language, "refused-not-for-all"),
            "bot_cannot_grant" => return self.lacks(language, "refused-ery-grants-not"),
            "asker_cannot_grant" => return self.lacks(language, "refused-you-grant-not"),
            "only_administrators" => return self.lacks(language, "refused-only-administrators"),
            "unknown_tool" => "refused-no-tool",
            "not_offered" => "refused-not-offered",
            "not_in_dm" => "refused-in-dm",
            "shared_turn" => "refused-shared",
            "nobody_asked" => "refused-nobody-asked",
            "expiry_only_lifts" => "refused-only-lifts",
            "other_place" => "refused-other-place",
            "would_leak" => "refused-leak",
            "nothing_to_read" => "refused-nothing-to-read",
            "would_carry" => "refused-carry",
            "target_is_bot" => "refused-bot",
            "no_such_role" => "refused-no-role",
            "role_is_everyone" => "refused-everyone",
            "role_is_managed" => "refused-managed",
            "bot_rank_below_role" => "refused-ery-below-role",
            "asker_rank_below_role" => "refused-you-below-role",
            "bot_not_member" => "refused-ery-left",
            "needs_order" => "refused-needs-order",
            "needs_click" => "refused-needs-click",
            "not_approved" => "refused-not-approved",
            "not_planned" => "refused-not-planned",
            "paused" => "refused-paused",
            "order_used" => "refused-order-used",
            "too_many_acts" => "refused-too-many",
            "slow_mode" => "refused-slow-mode",
            "told_before" => "refused-told-before",
            "no_credential" => "refused-no-credential",
            "credential_place" => "refused-credential-place",
            "too_long_to_show" => "refused-too-long",
            _ => return None,
        };
        Some(language.word(key))
    }

    fn lacks(&self, language: Language, key: &str) -> Option<String> {
        if self.permission.is_empty() {
            return None;
        }
        let permission = right(language, self.permission);
        Some(language.say(key, &[("permission", (&permission).into())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code that stands in the tool-service's own list.
    fn codes() -> Vec<String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tool-service/src/domain/reason.rs");
        let source = std::fs::read_to_string(path).unwrap();
        let (_, list) = source.split_once("fn code(&self)").unwrap();
        let (list, _) = list.split_once("\n    }\n").unwrap();
        let of_the_store = ["order_used", "too_many_acts", "slow_mode"].map(str::to_owned);
        let codes = list.split('"').skip(1).step_by(2).map(str::to_owned);
        codes.chain(of_the_store).collect()
    }

    #[test]
    fn every_code_is_said_in_every_language() {
        let codes = codes();
        assert!(codes.len() > 40, "{codes:?}");
        for code in &codes {
            let refusal = Refusal { code, permission: "BAN_MEMBERS", sentence: "" };
            let [english, german] =
                [Language::English, Language::German].map(|language| refusal.said(language));
            assert!(english.is_some() && german.is_some(), "nothing is said of `{code}`");
            assert_ne!(english, german, "{code}");
        }
    }

    #[test]
    fn in_english_the_tool_service_says_it_itself_and_in_german_its_words_are_marked() {
        let refusal = Refusal { code: "would_leak", permission: "", sentence: "Ask in <#5>." };
        assert_eq!(refusal.said(Language::English).unwrap(), "Ask in <#5>.");
        let german = refusal.said(Language::German).unwrap();
        assert!(german.starts_with("Nicht alle, die diesen Kanal lesen"), "{german}");
        let unknown = Refusal { code: "new", ..refusal };
        let german = unknown.said(Language::German).unwrap();
        assert!(german.starts_with("Der Grund steht nur auf Englisch da: `"), "{german}");
        assert_eq!(Refusal::default().said(Language::German), None);
        let nameless = Refusal { code: "asker_lacks_permission", ..Refusal::default() };
        assert_eq!(nameless.said(Language::German), None);
    }
}

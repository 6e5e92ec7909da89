//! A moderation act, as the log has it, in words.

use ery_clock::UnixMillis;
use twilight_model::id::{Id, marker::UserMarker};

use crate::domain::{commands::reply::quoted, texts::Language};

/// How long a reason may be in a list, and alone.
const IN_LIST: usize = 80;
const ALONE: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) number: u64,
    pub(crate) tool: String,
    pub(crate) target: Option<Id<UserMarker>>,
    /// On whose authority; none if it was a rule, or the end of what was done for a while.
    pub(crate) by: Option<Id<UserMarker>>,
    pub(crate) approver: Option<Id<UserMarker>>,
    pub(crate) reason: String,
    pub(crate) at: UnixMillis,
    pub(crate) key: String,
}

impl Case {
    /// Tells it in one line.
    pub(crate) fn line(&self, language: Language) -> String {
        self.told(language, IN_LIST)
    }

    /// Tells all of it.
    pub(crate) fn whole(&self, language: Language) -> String {
        let mut lines = vec![self.told(language, ALONE)];
        if let Some(approver) = self.approver {
            let person = format!("<@{approver}>");
            lines.push(language.say("case-approved", &[("person", (&person).into())]));
        }
        let key = quoted(&self.key, 200);
        lines.push(language.say("case-execution", &[("key", (&key).into())]));
        lines.join("\n")
    }

    fn told(&self, language: Language, longest: usize) -> String {
        let number = self.number.to_string();
        let tool = quoted(&self.tool, 64);
        let at = format!("<t:{}:f>", self.at.as_secs());
        let values = [("number", (&number).into()), ("tool", (&tool).into()), ("at", (&at).into())];
        let mut line = language.say("case-item", &values);
        if let Some(target) = self.target {
            let person = format!("<@{target}>");
            line.push_str(&language.say("case-target", &[("person", (&person).into())]));
        }
        match self.by {
            Some(by) => {
                let person = format!("<@{by}>");
                line.push_str(&language.say("case-by", &[("person", (&person).into())]));
            }
            None => line.push_str(&language.word("case-by-nobody")),
        }
        if !self.reason.is_empty() {
            line.push_str(": ");
            line.push_str(&quoted(&self.reason, longest));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_told_with_whom_by_whom_and_why() {
        let case = Case {
            number: 7,
            tool: "warn_member".into(),
            target: Some(Id::new(5)),
            by: Some(Id::new(6)),
            approver: None,
            reason: "a `b`".into(),
            at: UnixMillis(60_000),
            key: "e/in.1/warn/0".into(),
        };
        for language in Language::ALL {
            let line = case.line(language);
            for part in ["7", "`warn_member`", "<@5>", "<@6>", "<t:60:f>", "`a ˋbˋ`"] {
                assert!(line.contains(part), "{part}: {line}");
            }
            assert!(case.whole(language).contains("`e/in.1/warn/0`"));
        }
        let nobody = Case { by: None, target: None, reason: String::new(), ..case };
        assert!(!nobody.line(Language::English).contains("<@"));
    }
}

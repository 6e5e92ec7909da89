//! The prompts, by name, each with its version.

use std::collections::BTreeMap;

/// Every prompt as it is built in. A file's first line is its version.
const BUILT_IN: [(&str, &str); 5] = [
    (CONVERSATION, include_str!("../../prompts/conversation.txt")),
    (ORDERS, include_str!("../../prompts/orders.txt")),
    (SUMMARY, include_str!("../../prompts/summary.txt")),
    (SCHEDULED, include_str!("../../prompts/scheduled.txt")),
    (VERDICT, include_str!("../../prompts/verdict.txt")),
];

/// What a conversation in a channel begins with.
pub(crate) const CONVERSATION: &str = "conversation";

/// How orders are read from one message.
pub(crate) const ORDERS: &str = "orders";

/// How a channel's summary is made.
pub(crate) const SUMMARY: &str = "summary";

/// What the answer to a planned prompt begins with.
pub(crate) const SCHEDULED: &str = "scheduled";

/// How one message is judged.
pub(crate) const VERDICT: &str = "verdict";

/// The longest prompt; callers that pack a context leave room for it.
const LONGEST: usize = 4_500;

/// The prompts in force.
#[derive(Clone, Debug)]
pub(crate) struct Prompts(BTreeMap<&'static str, Prompt>);

/// A prompt, ready to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// Name and version: `conversation-1`.
    pub(crate) version: String,
    text: String,
}

/// Why a prompt's file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptProblem {
    #[error("it cannot be read as text")]
    Unreadable,
    #[error("its first line must be `version: ` and up to 32 letters, digits, dots or dashes")]
    Version,
    #[error("it must hold some text, and at most {LONGEST} bytes of it")]
    Length,
}

impl Prompts {
    /// Returns what is built in.
    pub(crate) fn built_in() -> Self {
        let prompts = BUILT_IN.map(|(name, file)| {
            (name, Prompt::parse(name, file).expect("a test reads every file that is built in"))
        });
        Self(prompts.into())
    }

    pub(crate) fn names() -> [&'static str; BUILT_IN.len()] {
        BUILT_IN.map(|(name, _)| name)
    }

    /// Puts another prompt in the place of one that is built in.
    pub(crate) fn replace(&mut self, name: &'static str, file: &str) -> Result<(), PromptProblem> {
        self.0.insert(name, Prompt::parse(name, file)?);
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Prompt> {
        self.0.get(name)
    }
}

impl Prompt {
    fn parse(name: &str, file: &str) -> Result<Self, PromptProblem> {
        let (first, text) = file.split_once('\n').ok_or(PromptProblem::Version)?;
        let version = first.strip_prefix("version:").ok_or(PromptProblem::Version)?.trim();
        let is_version = (1..=32).contains(&version.len())
            && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        if !is_version {
            return Err(PromptProblem::Version);
        }
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST {
            return Err(PromptProblem::Length);
        }
        Ok(Self { version: format!("{name}-{version}"), text: text.to_owned() })
    }

    /// Returns the text for a place. It holds no secret, and is the same for a whole guild.
    pub(crate) fn fill(&self, name: &str, is_direct_message: bool) -> String {
        let place = if is_direct_message {
            "You are talking with one person in a direct message."
        } else {
            "You are one of the people of a Discord server, in one of its text channels."
        };
        self.text.replace("{place}", place).replace("{name}", name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_ones_name_her_and_the_place() {
        let prompts = Prompts::built_in();
        let prompt = prompts.get(CONVERSATION).unwrap();
        assert_eq!(prompt.version, "conversation-1");
        let guild = prompt.fill("Ery", false);
        assert!(guild.starts_with("You are Ery, a community manager") && !guild.contains('{'));
        assert!(guild.contains("Discord server"));
        assert!(prompt.fill("Ery", true).contains("direct message"));
        assert!(!prompts.get(ORDERS).unwrap().text.contains('{'));
        let summary = prompts.get(SUMMARY).unwrap();
        assert_eq!(summary.version, "summary-1");
        assert!(!summary.fill("Ery", false).contains('{'));
        let scheduled = prompts.get(SCHEDULED).unwrap();
        assert_eq!(scheduled.version, "scheduled-1");
        let filled = scheduled.fill("Ery", false);
        assert!(filled.starts_with("You are Ery") && !filled.contains('{'));
        assert!(filled.contains("`planned`"), "as the field `rights` says it");
        let verdict = prompts.get(VERDICT).unwrap();
        assert_eq!(verdict.version, "verdict-1");
        assert!(verdict.fill("Ery", false).contains(r#"{"category": "…""#));
        assert_eq!(prompts.get("other"), None);
    }

    #[test]
    fn another_takes_the_place_of_one_if_it_has_a_version_and_a_text() {
        let mut prompts = Prompts::built_in();
        prompts.replace(CONVERSATION, "version: mild-2\n\nBe mild, {name}.\n").unwrap();
        let prompt = prompts.get(CONVERSATION).unwrap();
        assert_eq!(prompt.version, "conversation-mild-2");
        assert_eq!(prompt.fill("Ery", false), "Be mild, Ery.");
        for (file, problem) in [
            ("Be mild.", PromptProblem::Version),
            ("version:\nBe mild.", PromptProblem::Version),
            ("version: a b\nBe mild.", PromptProblem::Version),
            ("version: 2\n \n", PromptProblem::Length),
        ] {
            assert_eq!(prompts.replace(CONVERSATION, file), Err(problem), "{file}");
        }
        let long = format!("version: 2\n{}", "x".repeat(LONGEST + 1));
        assert_eq!(prompts.replace(ORDERS, &long), Err(PromptProblem::Length));
        assert_eq!(prompts.get(CONVERSATION).unwrap().version, "conversation-mild-2");
    }
}

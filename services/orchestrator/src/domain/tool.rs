/// A tool as the tool-service offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: String,
    /// JSON Schema of the arguments.
    pub(crate) parameters: String,
    pub(crate) tier: Tier,
}

/// How much a tool can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Read,
    Harmless,
    Reversible,
    Destructive,
}

impl Tier {
    /// Reads the tool-service's word; an unknown one is taken for the most dangerous.
    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "read" => Self::Read,
            "harmless" => Self::Harmless,
            "reversible" => Self::Reversible,
            _ => Self::Destructive,
        }
    }

    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Harmless => "harmless",
            Self::Reversible => "reversible",
            Self::Destructive => "destructive",
        }
    }

    /// Returns whether a person can order it so that no click is needed.
    pub(crate) fn can_be_ordered(self) -> bool {
        match self {
            Self::Reversible | Self::Destructive => true,
            Self::Read | Self::Harmless => false,
        }
    }
}

/// How a tool call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallOutcome {
    Done,
    Denied,
    Failed,
    NeedsApproval,
    InDoubt,
    /// It was only asked whether it would wait for a click, which it would not.
    Later,
}

impl CallOutcome {
    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::NeedsApproval => "needs_approval",
            Self::InDoubt => "in_doubt",
            Self::Later => "later",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_tier_is_taken_for_the_most_dangerous() {
        for tier in [Tier::Read, Tier::Harmless, Tier::Reversible, Tier::Destructive] {
            assert_eq!(Tier::from_word(tier.as_word()), tier);
        }
        assert_eq!(Tier::from_word("new"), Tier::Destructive);
    }

    #[test]
    fn only_acts_on_others_can_be_ordered() {
        assert!(!Tier::Read.can_be_ordered());
        assert!(!Tier::Harmless.can_be_ordered());
        assert!(Tier::Reversible.can_be_ordered());
        assert!(Tier::Destructive.can_be_ordered());
    }
}

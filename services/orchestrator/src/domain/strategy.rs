//! What a model is asked with, by kind of work: its prompt, what it is offered, and what is cut first
//! where not all fits.
//!
//! These are all kinds there are. What else the platform does asks no model, and has no strategy: a
//! planned act and the end of a sanction carry out what is stored, a click goes on with the thread
//! that waits for it, and a call by an MCP client is its client's. A new kind is one more constant here,
//! and a prompt of its name in the ai-service.

use crate::domain::tool::Tool;

/// How one kind of work is done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Strategy {
    /// The ai-service's prompt, by its name; its version stands in the answer.
    pub(crate) prompt: &'static str,
    pub(crate) offers: Offers,
    /// What goes where not all fits, the first first. What is not named is never cut.
    pub(crate) cuts: &'static [Cut],
}

/// Which of the tools that somebody may use are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offers {
    All,
    /// Those whose acts a person can order.
    Orderable,
    /// Those that look something up, or do what nobody has to order.
    Harmless,
    Nothing,
}

/// Something of a context that can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Results of tools, but for the newest few.
    OldResults,
    /// The channel's messages, the oldest first.
    OldestMessages,
    Summary,
    /// Results of tools, but for the newest.
    NewerResults,
}

/// Messages are answered: by the community's instructions, the channel's last messages within its window,
/// the summary of those before, and the pictures and texts of files of what is answered.
pub(crate) const CONVERSATION: Strategy = Strategy {
    prompt: "conversation",
    offers: Offers::All,
    // The summary is small, and is all that is left of what was said long ago.
    cuts: &[Cut::OldResults, Cut::OldestMessages, Cut::Summary, Cut::NewerResults],
};

/// The acts that a message orders are read from its own text alone: nothing by anybody else may be
/// beside it.
pub(crate) const ORDERS: Strategy =
    Strategy { prompt: "orders", offers: Offers::Orderable, cuts: &[] };

/// A channel's messages are summed up, with the summary until then. It reads what the window does
/// not hold, and whoever writes in it can have nothing done by it.
pub(crate) const SUMMARY: Strategy =
    Strategy { prompt: "summary", offers: Offers::Nothing, cuts: &[Cut::OldestMessages] };

/// A prompt whose time has come is answered, by what a message would be answered by. Whoever had it
/// planned is perhaps not there, and a model that was deceived may have planned it: so it looks things
/// up, does nothing that would have to be ordered, and plans nothing more.
pub(crate) const SCHEDULED: Strategy =
    Strategy { prompt: "scheduled", offers: Offers::Harmless, cuts: CONVERSATION.cuts };

/// One message is judged, with a few before it. Whoever wrote them can have nothing done by it: it has no
/// tools, and code reads fixed words of what it writes.
pub(crate) const VERDICT: Strategy =
    Strategy { prompt: "verdict", offers: Offers::Nothing, cuts: &[Cut::OldestMessages] };

impl Strategy {
    /// Returns those of the tools that are offered.
    pub(crate) fn offered(&self, tools: impl IntoIterator<Item = Tool>) -> Vec<Tool> {
        let is_offered = |tool: &Tool| match self.offers {
            Offers::All => true,
            Offers::Orderable => tool.tier.can_be_ordered(),
            Offers::Harmless => !tool.tier.can_be_ordered(),
            Offers::Nothing => false,
        };
        tools.into_iter().filter(is_offered).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tool::Tier;

    #[test]
    fn each_kind_of_work_is_offered_what_it_may_do_and_no_more() {
        let tool = |tier| Tool {
            name: "t".into(),
            description: String::new(),
            parameters: "{}".into(),
            tier,
        };
        let all = || [Tier::Read, Tier::Harmless, Tier::Reversible, Tier::Destructive].map(tool);
        let offered = |strategy: &Strategy| strategy.offered(all()).len();
        assert_eq!((offered(&CONVERSATION), offered(&ORDERS), offered(&SUMMARY)), (4, 2, 0));
        assert_eq!(offered(&VERDICT), 0);
        let tiers: Vec<_> = SCHEDULED.offered(all()).iter().map(|tool| tool.tier).collect();
        assert_eq!(tiers, [Tier::Read, Tier::Harmless], "also where the planner may do it all");
    }
}

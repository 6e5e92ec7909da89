//! What the staff of a community and of the installation allow, beside everybody's rights.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use twilight_model::id::{Id, marker::GuildMarker};

/// What holds for a tool; the strictest is the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolRule {
    /// It is not offered, and refused.
    Off,
    /// Whatever it changes waits for a click, even if it was ordered.
    Ask,
    /// It is done for whoever may do it; what matters only if they ordered it, or after a click.
    #[default]
    Allow,
}

/// The rules of tools, by name.
pub type ToolRules = BTreeMap<String, ToolRule>;

/// What the staff allow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    /// Off everywhere, whatever a guild's own rules say.
    pub(crate) disabled_tools: BTreeSet<String>,
    pub(crate) tools: ToolRules,
    pub(crate) guilds: BTreeMap<Id<GuildMarker>, ToolRules>,
    /// Whether acts that matter are decided and written down, but not done.
    pub(crate) is_dry_run: bool,
}

impl Policy {
    /// Returns what holds for a tool; `guild` is none in a direct message.
    ///
    /// A guild's rule stands before the installation's, but for what is off there.
    pub(crate) fn rule(&self, guild: Option<Id<GuildMarker>>, tool: &str) -> ToolRule {
        let everywhere = self.tools.get(tool).copied().unwrap_or_default();
        if everywhere == ToolRule::Off || self.disabled_tools.contains(tool) {
            return ToolRule::Off;
        }
        let own = guild.and_then(|guild| self.guilds.get(&guild)?.get(tool).copied());
        own.unwrap_or(everywhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guilds_rule_stands_before_all_but_off() {
        let rules = |rules: &[(&str, ToolRule)]| -> ToolRules {
            rules.iter().map(|(tool, rule)| ((*tool).to_owned(), *rule)).collect()
        };
        let policy = Policy {
            disabled_tools: ["kick".to_owned()].into(),
            tools: rules(&[("ban", ToolRule::Ask), ("dm", ToolRule::Off)]),
            guilds: [(
                Id::new(1),
                rules(&[
                    ("ban", ToolRule::Allow),
                    ("dm", ToolRule::Allow),
                    ("kick", ToolRule::Allow),
                    ("pin", ToolRule::Off),
                ]),
            )]
            .into(),
            is_dry_run: false,
        };
        for (guild, tool, expected) in [
            (Some(1), "ban", ToolRule::Allow),
            (Some(2), "ban", ToolRule::Ask),
            (None, "ban", ToolRule::Ask),
            (Some(1), "dm", ToolRule::Off),
            (Some(1), "kick", ToolRule::Off),
            (Some(1), "pin", ToolRule::Off),
            (Some(2), "pin", ToolRule::Allow),
        ] {
            assert_eq!(policy.rule(guild.map(Id::new), tool), expected, "{guild:?} {tool}");
        }
    }
}

//! What the staff of a community and of the installation allow, beside everybody's rights.

use std::collections::BTreeSet;

use twilight_model::id::{Id, marker::RoleMarker};

use ery_community_config::{Config, ToolRule, ToolRules};
use ery_texts::Language;

use super::guild::Member;

/// What the staff allow in one place.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) tools: ToolRules,
    /// Whether acts that matter are decided and written down, but not done.
    pub(crate) is_dry_run: bool,
    /// Whether Ery does nothing of her own accord.
    pub(crate) is_paused: bool,
    /// The roles that may see and take back what others planned.
    pub(crate) event_managers: BTreeSet<Id<RoleMarker>>,
    /// How many destructive acts are done in an hour, for all together.
    pub(crate) destructive_per_hour: u32,
    /// How many acts that matter are done in an hour for one person.
    pub(crate) acts_per_person_per_hour: u32,
    /// In which people there are spoken to.
    pub(crate) language: Language,
}

impl Default for Policy {
    fn default() -> Self {
        Self::of(&Config::default())
    }
}

impl Policy {
    /// Returns what holds where this config does.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            tools: config.tools.policy.clone(),
            is_dry_run: config.tools.dry_run,
            is_paused: config.paused,
            event_managers: config.access.event_manager.clone(),
            destructive_per_hour: config.tools.destructive_per_hour,
            acts_per_person_per_hour: config.tools.acts_per_person_per_hour,
            language: Language::of(Some(&config.answers.language), None),
        }
    }

    /// Returns whether somebody manages events.
    pub(crate) fn is_event_manager(&self, member: &Member) -> bool {
        member.roles.iter().any(|role| self.event_managers.contains(role))
    }

    /// Returns what holds for a tool.
    pub(crate) fn rule(&self, tool: &str) -> ToolRule {
        self.tools.get(tool).copied().unwrap_or_default()
    }
}

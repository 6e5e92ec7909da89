//! Answers that are longer than a message: shown page by page, each made anew when somebody turns to it.
//!
//! The buttons that turn carry all that is needed, so that any replica can answer them.

use twilight_model::id::{
    Id,
    marker::{ChannelMarker, MessageMarker, UserMarker},
};

use super::{
    OURS,
    asked::{Deed, Meant},
    config::ConfigDeed,
    reply::{Button, Message, shortened},
};
use crate::domain::texts::Language;

/// How long the lines of a page may be together: there is room above and below them.
const PAGE: usize = 1_600;

/// A list that may take several pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Plans,
    /// The moderation log up to a case, so that what comes meanwhile moves nothing.
    Cases {
        until: u64,
        member: Option<Id<UserMarker>>,
    },
    Why {
        channel: Id<ChannelMarker>,
        message: Id<MessageMarker>,
    },
    Config,
    /// Changes up to a version.
    History {
        until: u64,
    },
    Version {
        number: u64,
    },
    Usage,
    Access,
}

/// A page that is turned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) list: List,
    pub(crate) index: usize,
}

impl Turn {
    /// Reads what stands behind `ery.page.` in a button's id.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let index = parts.next()?.parse().ok()?;
        let name = parts.next()?;
        let mut number = || parts.next()?.parse::<u64>().ok();
        let list = match name {
            "plans" => List::Plans,
            "cases" => List::Cases { until: number()?, member: Id::new_checked(number()?) },
            "why" => List::Why {
                channel: Id::new_checked(number()?)?,
                message: Id::new_checked(number()?)?,
            },
            "config" => List::Config,
            "history" => List::History { until: number()? },
            "version" => List::Version { number: number()? },
            "usage" => List::Usage,
            "access" => List::Access,
            _ => return None,
        };
        parts.next().is_none().then_some(Self { list, index })
    }

    fn custom_id(&self) -> String {
        let list = match &self.list {
            List::Plans => "plans".to_owned(),
            List::Cases { until, member } => {
                format!("cases.{until}.{}", member.map_or(0, Id::get))
            }
            List::Why { channel, message } => format!("why.{channel}.{message}"),
            List::Config => "config".to_owned(),
            List::History { until } => format!("history.{until}"),
            List::Version { number } => format!("version.{number}"),
            List::Usage => "usage".to_owned(),
            List::Access => "access".to_owned(),
        };
        format!("{OURS}page.{}.{list}", self.index)
    }

    /// Returns what has to be done to show it: the same as at first, with the same rights asked for.
    pub(crate) fn deed(&self) -> Deed {
        match self.list {
            List::Plans => Deed::ListPlans,
            List::Cases { until, member } => Deed::ListCases { member, until: Some(until) },
            List::Why { channel, message } => {
                Deed::Why(Meant::Message { guild: None, channel: Some(channel), message })
            }
            List::Config => Deed::Config(ConfigDeed::Get { key: None }),
            List::History { until } => {
                Deed::Config(ConfigDeed::History { version: None, until: Some(until) })
            }
            List::Version { number } => {
                Deed::Config(ConfigDeed::History { version: Some(number), until: None })
            }
            List::Usage => Deed::Config(ConfigDeed::Usage),
            List::Access => Deed::Config(ConfigDeed::ShowAccess),
        }
    }
}

/// What is shown page by page.
#[derive(Clone, Debug)]
pub(crate) struct Paged {
    list: List,
    index: usize,
    /// Stands above each page.
    heading: Option<String>,
    pages: Vec<Vec<(String, Option<Button>)>>,
    /// Whether those are all pages that there are.
    is_whole: bool,
}

impl Paged {
    /// Begins to put together what is to be shown of a list.
    pub(crate) fn new(list: List, index: usize) -> Self {
        Self { list, index, heading: None, pages: Vec::new(), is_whole: true }
    }

    /// Says what stands above each page.
    #[must_use]
    pub(crate) fn under(self, heading: String) -> Self {
        Self { heading: Some(heading), ..self }
    }

    /// Adds lines.
    pub(crate) fn add(&mut self, lines: impl IntoIterator<Item = String>) {
        self.add_pressable(lines.into_iter().map(|line| (line, None)));
    }

    /// Adds lines with their buttons.
    pub(crate) fn add_pressable(
        &mut self,
        lines: impl IntoIterator<Item = (String, Option<Button>)>,
    ) {
        for (line, button) in lines {
            let line = shortened(&line, PAGE);
            let room = self.pages.last().is_some_and(|page| {
                let long: usize = page.iter().map(|(line, _)| line.chars().count() + 1).sum();
                let buttons = page.iter().filter(|(_, button)| button.is_some()).count();
                long + line.chars().count() <= PAGE && (button.is_none() || buttons < MOST_BUTTONS)
            });
            match self.pages.last_mut().filter(|_| room) {
                Some(page) => page.push((line, button)),
                None => self.pages.push(vec![(line, button)]),
            }
        }
    }

    /// Returns whether the page is there whole, so that what follows need not be looked up.
    pub(crate) fn is_enough(&self) -> bool {
        self.pages.len() > self.index.saturating_add(1)
    }

    /// Says that there may be more pages than were looked up.
    pub(crate) fn is_part(&mut self) {
        self.is_whole = false;
    }

    /// Shows the page. Where the list is shorter than it was, that is the last one.
    pub(crate) fn message(self, language: Language) -> Message {
        let count = self.pages.len();
        let index = self.index.min(count.saturating_sub(1));
        let page = self.pages.into_iter().nth(index).unwrap_or_default();
        let (lines, buttons): (Vec<_>, Vec<_>) = page.into_iter().unzip();
        let mut lines: Vec<String> = self.heading.into_iter().chain(lines).collect();
        let mut turns = Vec::new();
        if count > 1 {
            let (number, pages) = ((index + 1).to_string(), count.to_string());
            let values = [("page", (&number).into()), ("pages", (&pages).into())];
            lines.push(if self.is_whole {
                language.say("page-of", &values)
            } else {
                language.say("page-number", &values[..1])
            });
            let list = &self.list;
            let turn = |index, label| Button {
                custom_id: Turn { list: list.clone(), index }.custom_id(),
                label: language.word(label),
            };
            if index > 0 {
                turns.push(turn(index - 1, "page-previous"));
            }
            if index + 1 < count {
                turns.push(turn(index + 1, "page-next"));
            }
        }
        let buttons = buttons.into_iter().flatten().collect();
        Message { buttons, turns, ..Message::of(lines.join("\n")) }
    }
}

/// How many buttons a page has beside those that turn: two rows.
const MOST_BUTTONS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::commands::reply::MAX_CONTENT;

    fn paged(lines: usize, index: usize) -> Message {
        let mut paged = Paged::new(List::Config, index).under("All:".into());
        paged.add((0..lines).map(|number| format!("{number}: {}", "x".repeat(90))));
        paged.message(Language::English)
    }

    #[test]
    fn every_line_is_on_one_page_and_each_page_leads_to_those_beside_it() {
        let lines = 50;
        let mut seen = Vec::new();
        let mut index = 0;
        loop {
            let message = paged(lines, index);
            assert!(message.content.chars().count() <= MAX_CONTENT);
            assert!(message.content.starts_with("All:\n"));
            let numbers = message.content.lines().filter_map(|line| line.split_once(": x"));
            seen.extend(numbers.map(|(number, _)| number.parse::<usize>().unwrap()));
            assert!(message.content.contains(&format!("Page {} of 4", index + 1)));
            let ids: Vec<_> = message.turns.iter().map(|it| it.custom_id.as_str()).collect();
            let Some(next) = ids.iter().find_map(|id| {
                let turn = Turn::read(id.strip_prefix("ery.page.").unwrap()).unwrap();
                (turn.index > index).then_some(turn.index)
            }) else {
                assert_eq!(ids, ["ery.page.2.config"]);
                break;
            };
            assert_eq!(ids.len(), if index == 0 { 1 } else { 2 });
            index = next;
        }
        assert_eq!(seen, (0..lines).collect::<Vec<_>>());
    }

    #[test]
    fn a_page_that_is_no_more_is_the_last_one_and_a_short_list_has_none() {
        assert!(paged(30, 9).content.contains("Page 2 of 2"));
        let short = paged(3, 0);
        assert!(short.turns.is_empty() && !short.content.contains("Page"));
        assert!(paged(3, 9).content.contains("2: x"));
        assert!(Paged::new(List::Plans, 0).message(Language::German).content.is_empty());
    }

    #[test]
    fn a_page_has_no_more_buttons_than_fit() {
        let mut paged = Paged::new(List::Plans, 1);
        let button = |number: usize| Button { custom_id: number.to_string(), label: "X".into() };
        paged.add_pressable((0..25).map(|number| ("x".to_owned(), Some(button(number)))));
        paged.is_part();
        let message = paged.message(Language::English);
        assert_eq!(message.buttons, (10..20).map(button).collect::<Vec<_>>());
        assert!(message.content.ends_with("\nPage 2"), "{}", message.content);
        assert!(message.body()["components"].as_array().unwrap().len() <= 5);
    }

    #[test]
    fn what_a_button_carries_reads_back_and_nothing_else_is_a_page() {
        let lists = [
            List::Plans,
            List::Cases { until: 7, member: None },
            List::Cases { until: u64::MAX, member: Some(Id::new(u64::MAX)) },
            List::Why { channel: Id::new(1), message: Id::new(2) },
            List::Config,
            List::History { until: 9 },
            List::Version { number: 9 },
            List::Usage,
            List::Access,
        ];
        for list in lists {
            let turn = Turn { list, index: 12 };
            let id = turn.custom_id();
            assert!(id.len() <= 100, "{id}");
            assert_eq!(Turn::read(id.strip_prefix("ery.page.").unwrap()), Some(turn));
        }
        for other in
            ["", "1", "x.plans", "1.plans.2", "1.cases.1", "1.why.0.1", "1.moon", "-1.plans"]
        {
            assert_eq!(Turn::read(other), None, "{other}");
        }
    }
}

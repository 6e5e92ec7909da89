//! Forums: channels that hold nothing but posts, and the tags of those.

use ery_clock::UnixMillis;

use super::{EmojiId, Mint, Refusal, TagId};

const MAX_TAGS: usize = 20;
const MAX_TAG_NAME: usize = 20;
const MAX_APPLIED_TAGS: usize = 5;

/// What makes a channel a forum.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forum {
    pub(crate) tags: Vec<ForumTag>,
    pub(crate) default_reaction: Option<PostEmoji>,
    pub(crate) default_sort_order: Option<u8>,
    pub(crate) default_layout: u8,
}

/// A tag that posts may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForumTag {
    pub(crate) id: TagId,
    pub(crate) name: String,
    /// Whether only those who manage threads may give and take it.
    pub(crate) is_moderated: bool,
    pub(crate) emoji: Option<PostEmoji>,
}

/// An emoji by its id, or a unicode one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PostEmoji {
    Custom(EmojiId),
    Unicode(String),
}

impl PostEmoji {
    /// Reads what Discord writes in two fields.
    pub(crate) fn of(id: Option<EmojiId>, name: Option<String>) -> Option<Self> {
        id.map(Self::Custom).or(name.filter(|name| !name.is_empty()).map(Self::Unicode))
    }

    pub(crate) fn id(&self) -> Option<EmojiId> {
        match self {
            Self::Custom(id) => Some(*id),
            Self::Unicode(_) => None,
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Custom(_) => None,
            Self::Unicode(name) => Some(name),
        }
    }
}

/// A tag as somebody wants it; one without an id is new.
#[derive(Clone, Debug)]
pub(crate) struct TagChange {
    pub(crate) id: Option<TagId>,
    pub(crate) name: String,
    pub(crate) is_moderated: bool,
    pub(crate) emoji: Option<PostEmoji>,
}

impl Forum {
    /// Checks a new list of tags against the ones that are there.
    pub(super) fn check_tags(&self, wanted: &[TagChange]) -> Result<(), Refusal> {
        if wanted.len() > MAX_TAGS {
            let message = "Must be 20 or fewer in length.";
            return Err(Refusal::field(&["available_tags"], "BASE_TYPE_MAX_LENGTH", message));
        }
        for (index, tag) in wanted.iter().enumerate() {
            if tag.name.chars().count() > MAX_TAG_NAME {
                let path = ["available_tags", &index.to_string(), "name"];
                let message = "Must be 20 or fewer in length.";
                return Err(Refusal::field(&path, "BASE_TYPE_MAX_LENGTH", message));
            }
            if wanted[..index].iter().any(|other| other.name == tag.name) {
                return Err(Refusal::DuplicateTags);
            }
            if tag.id.is_some_and(|id| self.tag(id).is_none()) {
                return Err(Refusal::UnknownTag);
            }
        }
        Ok(())
    }

    /// Takes a list of tags that was checked, and gives the new ones their ids.
    pub(super) fn set_tags(&mut self, wanted: Vec<TagChange>, mint: &mut Mint, now: UnixMillis) {
        let make = |tag: TagChange| ForumTag {
            id: tag.id.unwrap_or_else(|| mint.next(now)),
            name: tag.name,
            is_moderated: tag.is_moderated,
            emoji: tag.emoji,
        };
        self.tags = wanted.into_iter().map(make).collect();
    }

    /// Checks the tags that somebody gives a post, of which `before` are there already.
    pub(super) fn check_applied(
        &self,
        wanted: &[TagId],
        before: &[TagId],
        may_moderate: bool,
    ) -> Result<(), Refusal> {
        if wanted.len() > MAX_APPLIED_TAGS {
            let message = "Must be 5 or fewer in length.";
            return Err(Refusal::field(&["applied_tags"], "BASE_TYPE_MAX_LENGTH", message));
        }
        if wanted.iter().any(|tag| self.tag(*tag).is_none()) {
            return Err(Refusal::UnknownTag);
        }
        let given = wanted.iter().filter(|tag| !before.contains(tag));
        let taken = before.iter().filter(|tag| !wanted.contains(tag));
        let mut changed = given.chain(taken).filter_map(|tag| self.tag(*tag));
        if !may_moderate && changed.any(|tag| tag.is_moderated) {
            return Err(Refusal::MissingPermissions);
        }
        Ok(())
    }

    fn tag(&self, id: TagId) -> Option<&ForumTag> {
        self.tags.iter().find(|tag| tag.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(id: Option<u64>, name: &str, is_moderated: bool) -> TagChange {
        TagChange { id: id.map(TagId::new), name: name.to_owned(), is_moderated, emoji: None }
    }

    fn forum() -> Forum {
        let mut forum = Forum::default();
        let tags = vec![wanted(Some(1), "idea", false), wanted(Some(2), "done", true)];
        forum.set_tags(tags, &mut Mint::default(), UnixMillis(1_750_000_000_000));
        forum
    }

    #[test]
    fn tags_are_twenty_at_most_and_have_names_of_their_own() {
        let many = |count: usize| -> Vec<TagChange> {
            (0..count).map(|index| wanted(None, &index.to_string(), false)).collect()
        };
        assert_eq!(forum().check_tags(&many(20)), Ok(()));
        assert!(matches!(forum().check_tags(&many(21)), Err(Refusal::InvalidForm(_))));
        let long = [wanted(None, &"x".repeat(21), false)];
        assert!(matches!(forum().check_tags(&long), Err(Refusal::InvalidForm(_))));
        let twice = [wanted(Some(1), "same", false), wanted(None, "same", false)];
        assert_eq!(forum().check_tags(&twice), Err(Refusal::DuplicateTags));
        let unknown = [wanted(Some(3), "new", false)];
        assert_eq!(forum().check_tags(&unknown), Err(Refusal::UnknownTag));
    }

    #[test]
    fn a_moderated_tag_is_given_and_taken_by_moderators() {
        let (idea, done) = (TagId::new(1), TagId::new(2));
        let forum = forum();
        assert_eq!(forum.check_applied(&[idea], &[], false), Ok(()));
        assert_eq!(forum.check_applied(&[done], &[], false), Err(Refusal::MissingPermissions));
        assert_eq!(forum.check_applied(&[], &[done], false), Err(Refusal::MissingPermissions));
        assert_eq!(forum.check_applied(&[idea, done], &[done], false), Ok(()));
        assert_eq!(forum.check_applied(&[done], &[], true), Ok(()));
        assert_eq!(forum.check_applied(&[TagId::new(9)], &[], true), Err(Refusal::UnknownTag));
        let six = [idea; 6];
        assert!(matches!(forum.check_applied(&six, &[], true), Err(Refusal::InvalidForm(_))));
    }
}

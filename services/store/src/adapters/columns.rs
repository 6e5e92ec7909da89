use rusqlite::types::ValueRef;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row as _, sqlite::SqliteRow};
use twilight_model::id::Id;

use ery_clock::UnixMillis;
use ery_ids::{Principal, TaskThreadId};

use crate::{
    domain::{Attachment, Enclosure, Mention, Message, privacy::PSEUDONYM},
    error::StoreError,
};

/// A row, whichever connection it was read by.
pub(crate) trait Columns {
    fn integer(&self, index: usize) -> Result<i64, StoreError>;
    fn integer_or_null(&self, index: usize) -> Result<Option<i64>, StoreError>;
    fn text(&self, index: usize) -> Result<String, StoreError>;
    fn text_or_null(&self, index: usize) -> Result<Option<String>, StoreError>;
    fn bytes_or_null(&self, index: usize) -> Result<Option<Vec<u8>>, StoreError>;

    fn flag(&self, index: usize) -> Result<bool, StoreError> {
        Ok(self.integer(index)? != 0)
    }

    fn millis(&self, index: usize) -> Result<UnixMillis, StoreError> {
        Ok(UnixMillis(self.integer(index)?))
    }

    /// Reads an id that is never 0.
    fn id<T>(&self, index: usize, table: &'static str) -> Result<Id<T>, StoreError> {
        self.optional_id(index)?.ok_or(StoreError::Row { table })
    }

    /// Reads an id, where 0 stands for none.
    fn optional_id<T>(&self, index: usize) -> Result<Option<Id<T>>, StoreError> {
        Ok(Id::new_checked(self.integer(index)?.cast_unsigned()))
    }

    fn thread(
        &self,
        index: usize,
        table: &'static str,
    ) -> Result<Option<TaskThreadId>, StoreError> {
        self.bytes_or_null(index)?.map(|bytes| thread_from(&bytes, table)).transpose()
    }

    fn json<T: DeserializeOwned>(
        &self,
        index: usize,
        table: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.text_or_null(index)?;
        text.map(|text| from_json(&text, table)).transpose()
    }
}

impl Columns for rusqlite::Row<'_> {
    fn integer(&self, index: usize) -> Result<i64, StoreError> {
        Ok(self.get(index)?)
    }

    fn integer_or_null(&self, index: usize) -> Result<Option<i64>, StoreError> {
        Ok(self.get(index)?)
    }

    fn text(&self, index: usize) -> Result<String, StoreError> {
        Ok(self.get(index)?)
    }

    fn text_or_null(&self, index: usize) -> Result<Option<String>, StoreError> {
        Ok(self.get(index)?)
    }

    fn bytes_or_null(&self, index: usize) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(match self.get_ref(index)? {
            ValueRef::Null => None,
            value => Some(value.as_blob().map_err(rusqlite::Error::from)?.to_owned()),
        })
    }
}

impl Columns for SqliteRow {
    fn integer(&self, index: usize) -> Result<i64, StoreError> {
        Ok(self.try_get(index)?)
    }

    fn integer_or_null(&self, index: usize) -> Result<Option<i64>, StoreError> {
        Ok(self.try_get(index)?)
    }

    fn text(&self, index: usize) -> Result<String, StoreError> {
        Ok(self.try_get(index)?)
    }

    fn text_or_null(&self, index: usize) -> Result<Option<String>, StoreError> {
        Ok(self.try_get(index)?)
    }

    fn bytes_or_null(&self, index: usize) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.try_get(index)?)
    }
}

/// Returns an id as its column holds it. Requests with ids past `i64::MAX` were refused.
pub(crate) fn id<T>(id: Id<T>) -> i64 {
    id.get().cast_signed()
}

/// Returns an id as its column holds it, 0 for none.
pub(crate) fn optional_id<T>(optional: Option<Id<T>>) -> i64 {
    optional.map_or(0, id)
}

/// Returns a list as its column holds it, NULL if it is empty.
pub(crate) fn json_list<T: Serialize>(items: &[T]) -> Option<String> {
    (!items.is_empty()).then(|| json(&items))
}

/// Returns a value as its column holds it.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types are plain structs of text and numbers")
}

/// Reads what [`json`] wrote.
pub(crate) fn from_json<T: DeserializeOwned>(
    text: &str,
    table: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Row { table })
}

/// Reads a thread's id.
pub(crate) fn thread_from(bytes: &[u8], table: &'static str) -> Result<TaskThreadId, StoreError> {
    uuid::Uuid::from_slice(bytes).map(TaskThreadId).map_err(|_| StoreError::Row { table })
}

/// A principal, as its three columns hold it.
#[derive(Debug, Default)]
pub(crate) struct PrincipalColumns {
    pub(crate) kind: Option<&'static str>,
    pub(crate) id: Option<String>,
    pub(crate) version: Option<u32>,
}

impl From<Option<&Principal>> for PrincipalColumns {
    fn from(principal: Option<&Principal>) -> Self {
        match principal {
            None => Self::default(),
            Some(Principal::Person(user)) => {
                Self { kind: Some("person"), id: Some(user.to_string()), version: None }
            }
            Some(Principal::Rule { id, version }) => {
                Self { kind: Some("rule"), id: Some(id.clone()), version: Some(*version) }
            }
            Some(Principal::Expiry { execution }) => {
                Self { kind: Some("expiry"), id: Some(execution.clone()), version: None }
            }
        }
    }
}

/// Reads a principal from three columns, the first of which is `first`; none where it is a person who
/// was forgotten.
pub(crate) fn principal(
    row: &impl Columns,
    first: usize,
    table: &'static str,
) -> Result<Option<Principal>, StoreError> {
    let unknown = || StoreError::Row { table };
    let Some(kind) = row.text_or_null(first)? else { return Ok(None) };
    let id = row.text_or_null(first + 1)?.ok_or_else(unknown)?;
    if id.starts_with(PSEUDONYM) {
        return Ok(None);
    }
    Ok(Some(match kind.as_str() {
        "person" => Principal::Person(id.parse().map_err(|_| unknown())?),
        "rule" => {
            let version = row.integer_or_null(first + 2)?.and_then(|it| u32::try_from(it).ok());
            Principal::Rule { id, version: version.ok_or_else(unknown)? }
        }
        "expiry" => Principal::Expiry { execution: id },
        _ => return Err(unknown()),
    }))
}

/// The columns that [`message`] reads.
macro_rules! message_columns {
    () => {
        "m.guild_id, m.channel_id, m.message_id, m.author_id, m.author_name, m.is_automated, \
         m.is_own, m.content, m.created_at_ms, m.edited_at_ms, m.type, m.reply_to, \
         m.reply_to_author_id, m.mentions, m.mentioned_roles, m.attachments, m.gate_reason, m.nonce, \
         m.enclosures, m.forward_of"
    };
}
pub(crate) use message_columns;

/// How many columns [`message`] reads.
pub(crate) const MESSAGE_COLUMNS: usize = 20;

/// Reads a message from [`message_columns`], the first of which is `first`; none if its author is
/// unknown: a tombstone, or only an edit was heard of.
pub(crate) fn message(row: &impl Columns, first: usize) -> Result<Option<Message>, StoreError> {
    const TABLE: &str = "messages";

    let at = |column: usize| first + column;
    let author = row.integer_or_null(at(3))?.unwrap_or(0);
    let Some(author) = Id::new_checked(author.cast_unsigned()) else { return Ok(None) };
    let guild = row.integer(at(0))?.cast_unsigned();
    let channel = row.integer(at(1))?.cast_unsigned();
    Ok(Some(Message {
        channel: ery_ids::ChannelKey::from_raw(guild, channel)
            .ok_or(StoreError::Row { table: TABLE })?,
        id: row.id(at(2), TABLE)?,
        author,
        author_name: row.text(at(4))?,
        is_automated: row.flag(at(5))?,
        is_own: row.flag(at(6))?,
        content: row.text(at(7))?,
        created_at: row.millis(at(8))?,
        edited_at: row.millis(at(9))?,
        kind: u32::try_from(row.integer(at(10))?).map_err(|_| StoreError::Row { table: TABLE })?,
        reply_to: row.optional_id(at(11))?,
        reply_to_author: row.optional_id(at(12))?,
        mentions: row.json::<Vec<Mention>>(at(13), TABLE)?.unwrap_or_default(),
        mentioned_roles: row.json(at(14), TABLE)?.unwrap_or_default(),
        attachments: row.json::<Vec<Attachment>>(at(15), TABLE)?.unwrap_or_default(),
        gate_reason: row.text(at(16))?,
        nonce: row.text(at(17))?,
        enclosures: row.json::<Vec<Enclosure>>(at(18), TABLE)?.unwrap_or_default(),
        forward_of: row.integer_or_null(at(19))?.and_then(|it| Id::new_checked(it.cast_unsigned())),
    }))
}

//! What was spent for the person: the sums stay, and nothing tells any more for whom it was.

use std::time::Duration;

use rusqlite::params;

use ery_clock::UnixMillis;

use super::{Part, Search};
use crate::{adapters::usage, domain::usage::Windows, error::StoreError};

/// How many rows are looked through in one write.
const ROWS_AT_ONCE: u32 = 500;

/// Gives what was spent for the person to nobody, and forgets their sums and what they were told.
///
/// Rows are of whole days: what is spent for the person on the day itself goes with it, and on the next
/// one, as what ran at midnight was.
pub(super) fn usage(search: &Search<'_>, _: &[u8]) -> Result<Part, StoreError> {
    let connection = search.connection;
    let until = Windows::at(UnixMillis(search.until) + Duration::from_hours(24)).day;
    let given = usage::give_to_nobody(connection, search.user, search.guild, until, ROWS_AT_ONCE)?;
    if given > 0 {
        return Ok(Part::Again);
    }
    for statement in [
        "DELETE FROM usage_sums WHERE scope = 'member' AND subject_id = ?1
             AND (?2 IS NULL OR home_id = ?2) AND began_day <= ?3",
        "DELETE FROM usage_notices WHERE scope = 'member' AND subject_id = ?1
             AND (?2 IS NULL OR home_id = ?2) AND began_day <= ?3",
    ] {
        connection.prepare_cached(statement)?.execute(params![search.user, search.guild, until])?;
    }
    Ok(Part::End)
}

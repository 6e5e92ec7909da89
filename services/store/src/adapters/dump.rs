//! All rows of a file as a stream, table by table, and back.
//!
//! Rows and not pages: the pages of an encrypted file cannot be compressed, and those of a file in the
//! clear may not touch the disk. What follows from the rows, as indexes and the search index, is made
//! anew; so a restored file is whole even where the old one's indexes were not.

use std::io::{self, Read, Write};

use rusqlite::{
    Connection, params_from_iter,
    types::{Value, ValueRef},
};

use crate::adapters::write_messages;

/// How many rows are written in one transaction.
const ROWS_AT_ONCE: u64 = 5_000;

/// The largest text or blob that is read back; none of ours comes near.
const MAX_VALUE_BYTES: u32 = 256 << 20;

const TABLE: u8 = b'T';
const ROW: u8 = b'R';
const END: u8 = b'E';

/// Why rows could not be written out, or read back.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error("the database failed")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the stream failed")]
    Io(#[from] io::Error),
    #[error("the stream is no dump: {problem}")]
    Malformed { problem: &'static str },
}

fn malformed(problem: &'static str) -> DumpError {
    DumpError::Malformed { problem }
}

/// Writes every row out, as they stand at one moment, and returns how many there were.
pub(crate) fn dump(connection: &Connection, out: &mut impl Write) -> Result<u64, DumpError> {
    connection.execute_batch("BEGIN")?;
    let dumped = dump_all(connection, out);
    connection.execute_batch("ROLLBACK")?;
    dumped
}

fn dump_all(connection: &Connection, out: &mut impl Write) -> Result<u64, DumpError> {
    let mut count: u64 = 0;
    for table in tables(connection)? {
        let mut statement = connection.prepare(&format!("SELECT * FROM {}", quoted(&table)))?;
        let columns: Vec<String> =
            statement.column_names().into_iter().map(str::to_owned).collect();
        out.write_all(&[TABLE])?;
        write_bytes(out, table.as_bytes())?;
        write_length(out, columns.len())?;
        for column in &columns {
            write_bytes(out, column.as_bytes())?;
        }
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            out.write_all(&[ROW])?;
            for column in 0..columns.len() {
                write_value(out, row.get_ref(column)?)?;
            }
            count += 1;
        }
    }
    out.write_all(&[END])?;
    out.write_all(&count.to_be_bytes())?;
    Ok(count)
}

/// Returns the tables whose rows are dumped: not what SQLite and the search index keep for themselves.
fn tables(connection: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    connection
        .prepare(
            "SELECT name FROM pragma_table_list
             WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                 AND name NOT IN ('_sqlx_migrations', 'messages_unindexed')
             ORDER BY name",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Inserts every row of a dump into the tables of a new file, and returns how many there are. Only of a
/// table that is made with rows may some stand already; any other row that is not inserted is an error.
///
/// Rows of the table `left_out` are read, and stand nowhere.
pub(crate) fn load(
    input: &mut impl Read,
    connection: &Connection,
    left_out: Option<&str>,
) -> Result<u64, DumpError> {
    // Rows come table by table, so one may refer to another that comes later. Checked at the end.
    connection.execute_batch("PRAGMA foreign_keys = OFF; BEGIN")?;
    let known = tables(connection)?;
    let has_messages = known.iter().any(|table| table == "messages");
    let mut insert: Option<(String, usize, bool)> = None;
    let (mut is_left_out, mut lost): (bool, u64) = (false, 0);
    let mut count: u64 = 0;
    loop {
        match read_byte(input)? {
            TABLE => {
                let table = read_text(input)?;
                if !known.contains(&table) {
                    return Err(malformed("it has a table that is not known"));
                }
                let columns = (0..read_length(input, 1_000)?)
                    .map(|_| Ok(quoted(&read_text(input)?)))
                    .collect::<Result<Vec<_>, DumpError>>()?;
                let places = vec!["?"; columns.len()].join(", ");
                let statement = format!(
                    "INSERT OR IGNORE INTO {} ({}) VALUES ({places})",
                    quoted(&table),
                    columns.join(", ")
                );
                let had_rows = connection.query_row(
                    &format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(&table)),
                    [],
                    |row| row.get(0),
                )?;
                is_left_out = left_out == Some(table.as_str());
                insert = Some((statement, columns.len(), had_rows));
            }
            ROW => {
                let (statement, columns, had_rows) =
                    insert.as_ref().ok_or_else(|| malformed("a row stands before any table"))?;
                let values = (0..*columns)
                    .map(|_| read_value(input))
                    .collect::<Result<Vec<Value>, DumpError>>()?;
                count += 1;
                if is_left_out {
                    lost += 1;
                    continue;
                }
                let inserted =
                    connection.prepare_cached(statement)?.execute(params_from_iter(values))?;
                if inserted == 0 && !had_rows {
                    return Err(malformed("two of its rows cannot stand beside each other"));
                }
                if count.is_multiple_of(ROWS_AT_ONCE) {
                    commit(connection, has_messages)?;
                    connection.execute_batch("BEGIN")?;
                }
            }
            END => break,
            _ => return Err(malformed("a record is of no known kind")),
        }
    }
    let mut told = [0; 8];
    input.read_exact(&mut told)?;
    if u64::from_be_bytes(told) != count {
        return Err(malformed("it has another number of rows than it says"));
    }
    if lost > 0 {
        let table = left_out.unwrap_or_default();
        tracing::warn!(rows = lost, table, "{lost} rows of `{table}` are not brought back");
    }
    // The seal of the last chunk is checked when its end is reached.
    if input.read(&mut [0])? != 0 {
        return Err(malformed("something stands behind its end"));
    }
    commit(connection, has_messages)?;
    connection.execute_batch("PRAGMA foreign_keys = ON")?;
    Ok(count)
}

fn commit(connection: &Connection, has_messages: bool) -> Result<(), rusqlite::Error> {
    if has_messages {
        write_messages::index_new(connection)?;
    }
    connection.execute_batch("COMMIT")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn write_length(out: &mut impl Write, length: usize) -> io::Result<()> {
    let length = u32::try_from(length)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a value is too large"))?;
    out.write_all(&length.to_be_bytes())
}

fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write_length(out, bytes.len())?;
    out.write_all(bytes)
}

fn write_value(out: &mut impl Write, value: ValueRef<'_>) -> io::Result<()> {
    match value {
        ValueRef::Null => out.write_all(&[0]),
        ValueRef::Integer(value) => {
            out.write_all(&[1])?;
            out.write_all(&value.to_be_bytes())
        }
        ValueRef::Real(value) => {
            out.write_all(&[2])?;
            out.write_all(&value.to_be_bytes())
        }
        ValueRef::Text(text) => {
            out.write_all(&[3])?;
            write_bytes(out, text)
        }
        ValueRef::Blob(bytes) => {
            out.write_all(&[4])?;
            write_bytes(out, bytes)
        }
    }
}

fn read_byte(input: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    input.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn read_eight(input: &mut impl Read) -> io::Result<[u8; 8]> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_length(input: &mut impl Read, most: u32) -> Result<u32, DumpError> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    let length = u32::from_be_bytes(bytes);
    if length > most { Err(malformed("a length is out of bounds")) } else { Ok(length) }
}

fn read_bytes(input: &mut impl Read) -> Result<Vec<u8>, DumpError> {
    let length = read_length(input, MAX_VALUE_BYTES)?;
    let mut bytes = Vec::new();
    input.by_ref().take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() == length as usize { Ok(bytes) } else { Err(malformed("a value is cut off")) }
}

fn read_text(input: &mut impl Read) -> Result<String, DumpError> {
    String::from_utf8(read_bytes(input)?).map_err(|_| malformed("a text is no UTF-8"))
}

fn read_value(input: &mut impl Read) -> Result<Value, DumpError> {
    Ok(match read_byte(input)? {
        0 => Value::Null,
        1 => Value::Integer(i64::from_be_bytes(read_eight(input)?)),
        2 => Value::Real(f64::from_be_bytes(read_eight(input)?)),
        3 => Value::Text(read_text(input)?),
        4 => Value::Blob(read_bytes(input)?),
        _ => return Err(malformed("a value is of no known kind")),
    })
}

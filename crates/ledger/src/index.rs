//! The index: a SQLite table of where entries stand, by what people ask for. It is derived: it catches up when it
//! is used, and when it doesn't fit the ledger it is made again. What it answers is read from the ledger itself.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bartizan_model::{ActionId, ActionKind, Digest, Effect, Record, RunId};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params, params_from_iter};

use crate::committed::Committed;
use crate::entry::{LINE_BYTES_MAX, entry_hash, parse_line};
use crate::layout::Layout;
use crate::lines::{Line, Lines};
use crate::verify::BadEntry;

/// Version of the tables; another one is made anew.
const INDEX_VERSION: i64 = 1;
/// Entries indexed in one transaction: large enough to be quick, small enough that others get a turn.
const TRANSACTION_ENTRIES: usize = 20_000;
/// How long another process may hold the index.
const BUSY: Duration = Duration::from_secs(10);
/// Most rows a query gives; ask again with a narrower question for more.
pub const QUERY_ROWS_MAX: usize = 10_000;

const TABLES: &str = "
    DROP TABLE IF EXISTS ledger_index;
    DROP TABLE IF EXISTS ledger_entry;
    CREATE TABLE ledger_index (
        one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, next_seq INTEGER NOT NULL,
        last BLOB NOT NULL, segment INTEGER NOT NULL, start INTEGER NOT NULL, offset INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE ledger_entry (
        seq INTEGER PRIMARY KEY, segment INTEGER NOT NULL, start INTEGER NOT NULL, at_us INTEGER NOT NULL,
        type TEXT NOT NULL, action TEXT, run TEXT, principal TEXT, persona TEXT, kind TEXT, verdict TEXT, target TEXT,
        closed_seq INTEGER, closed_segment INTEGER, closed_start INTEGER
    ) STRICT;
    CREATE INDEX ledger_entry_run ON ledger_entry (run) WHERE run IS NOT NULL;
    CREATE INDEX ledger_entry_action ON ledger_entry (action) WHERE action IS NOT NULL;
    CREATE INDEX ledger_entry_open ON ledger_entry (seq) WHERE type = 'opened' AND closed_seq IS NULL;
    INSERT INTO ledger_index VALUES (1, 1, 0, x'', 1, 0, 0);
";

/// Why the index can't answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// SQLite refuses.
    #[error("the index `{}` can't be used: {source}; what it holds of the ledger is derived, so it may be moved away and is made again", path.display())]
    Sqlite {
        /// Where it is.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The ledger can't be read.
    #[error("failed to read ledger `{}`; check its permissions and `bartizan log verify`", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The ledger holds something that is no entry.
    #[error("the ledger can't be indexed: {bad}; run `bartizan log verify`")]
    Entry {
        /// What.
        bad: BadEntry,
    },
}

/// One entry with its hash.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Sequence number.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Hash of its line.
    pub hash: Digest,
    /// What it says.
    pub record: Record,
}

/// An entry together with the one that closed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The entry; never a `closed` one.
    pub entry: Entry,
    /// What closed it.
    pub closed: Option<Entry>,
}

/// What is asked for; everything given must hold.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Of this run.
    pub run: Option<RunId>,
    /// This one action.
    pub action: Option<ActionId>,
    /// By the principal or under the persona of this name.
    pub agent: Option<String>,
    /// Of one of these kinds; of any when there are none.
    pub kinds: Vec<ActionKind>,
    /// With this verdict; everything refused, by whomever, counts as `deny`.
    pub verdict: Option<Effect>,
    /// Recorded at this moment or later.
    pub since: Option<Timestamp>,
    /// Recorded before this moment.
    pub until: Option<Timestamp>,
    /// With this text in the target, in any case.
    pub text: Option<String>,
    /// The newest so many, at most [`QUERY_ROWS_MAX`]; 0 means that.
    pub limit: usize,
}

/// An action that was opened and not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAction {
    /// Sequence number of the entry that opened it.
    pub seq: u64,
    /// The action.
    pub action_id: ActionId,
    /// Its run.
    pub run: Option<RunId>,
}

/// Where reading goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    pub(crate) next_seq: u64,
    pub(crate) segment: u32,
    pub(crate) start: u64,
    pub(crate) offset: u64,
}

/// The index of one ledger.
pub struct Index {
    path: PathBuf,
    layout: Layout,
    connection: Connection,
}

impl Index {
    /// Opens the index at `path` over the ledger in `ledger`, making it when there is none; a file that is no database is put aside.
    ///
    /// # Errors
    /// It can't be made.
    pub fn open(path: &Path, ledger: &Path) -> Result<Self, IndexError> {
        let sqlite = |source| IndexError::Sqlite { path: path.to_owned(), source };
        let connection = match connect(path) {
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
                let aside = path.with_extension("damaged");
                fs::rename(path, &aside).map_err(|source| IndexError::Read { path: aside, source })?;
                connect(path)
            }
            other => other,
        };
        Ok(Self { path: path.to_owned(), layout: Layout::new(ledger), connection: connection.map_err(sqlite)? })
    }

    /// Indexes what was appended since the last time; gives the number of entries in the ledger.
    ///
    /// # Errors
    /// The ledger or the index can't be read, or the ledger holds something else than entries.
    pub fn catch_up(&mut self) -> Result<u64, IndexError> {
        let (layout, path) = (self.layout.clone(), self.path.clone());
        let read = |source| IndexError::Read { path: layout.directory.clone(), source };
        let sqlite = |source| IndexError::Sqlite { path: path.clone(), source };
        let committed = Committed::look(&layout).map_err(read)?;
        loop {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
            let cursor = match stored_cursor(&transaction).map_err(sqlite)? {
                Some((cursor, last)) if fits(&layout, &committed, cursor, &last).map_err(read)? => cursor,
                _ => {
                    transaction.execute_batch(TABLES).map_err(sqlite)?;
                    Cursor { next_seq: 0, segment: 1, start: 0, offset: 0 }
                }
            };
            let (cursor, more) = index_some(&transaction, &layout, &committed, cursor, &path)?;
            transaction.commit().map_err(sqlite)?;
            if !more {
                return Ok(cursor.next_seq);
            }
        }
    }

    /// Answers a query with rows in the order they were recorded, after catching up.
    ///
    /// # Errors
    /// As [`Index::catch_up`].
    pub fn query(&mut self, query: &Query) -> Result<Vec<Row>, IndexError> {
        self.catch_up()?;
        let mut conditions = vec!["1"];
        let mut values = Vec::new();
        let mut add = |condition: &'static str, value: Value| {
            conditions.push(condition);
            values.push(value);
        };
        if let Some(run) = &query.run {
            add("run = ?", run.to_string().into());
        }
        if let Some(action) = &query.action {
            add("action = ?", action.to_string().into());
        }
        if let Some(agent) = &query.agent {
            add("? IN (principal, persona)", agent.clone().into());
        }
        if !query.kinds.is_empty() {
            let kinds: Vec<&str> = query.kinds.iter().map(|kind| kind.as_str()).collect();
            add("kind IN (SELECT value FROM json_each(?))", format!("[\"{}\"]", kinds.join("\",\"")).into());
        }
        if let Some(verdict) = query.verdict {
            let condition = if verdict == Effect::Deny { "(verdict = ? OR type = 'refused')" } else { "verdict = ?" };
            add(condition, verdict.as_str().to_owned().into());
        }
        if let Some(since) = query.since {
            add("at_us >= ?", since.as_microsecond().into());
        }
        if let Some(until) = query.until {
            add("at_us < ?", until.as_microsecond().into());
        }
        if let Some(text) = &query.text {
            let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            add("target LIKE ? ESCAPE '\\'", format!("%{escaped}%").into());
        }
        let limit = if query.limit == 0 { QUERY_ROWS_MAX } else { query.limit.min(QUERY_ROWS_MAX) };
        let sql = format!(
            "SELECT seq, segment, start, closed_seq, closed_segment, closed_start FROM ledger_entry WHERE {} ORDER BY seq DESC LIMIT {limit}",
            conditions.join(" AND ")
        );
        let sqlite = |source| IndexError::Sqlite { path: self.path.clone(), source };
        let mut statement = self.connection.prepare(&sql).map_err(sqlite)?;
        let places = statement
            .query_map(params_from_iter(values), |row| {
                let closed: Option<u64> = row.get(3)?;
                let closed = match closed {
                    Some(seq) => Some((seq, row.get(4)?, row.get(5)?)),
                    None => None,
                };
                Ok(((row.get(0)?, row.get(1)?, row.get(2)?), closed))
            })
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(sqlite)?;
        let mut reader = EntryReader { layout: &self.layout, open: None };
        let mut rows = Vec::with_capacity(places.len());
        for (entry, closed) in places.into_iter().rev() {
            let entry = reader.read(entry)?;
            rows.push(Row { entry, closed: closed.map(|place| reader.read(place)).transpose()? });
        }
        Ok(rows)
    }

    /// The entry of this number, after catching up; `None` when there is none.
    ///
    /// # Errors
    /// As [`Index::catch_up`].
    pub fn entry(&mut self, seq: u64) -> Result<Option<Entry>, IndexError> {
        self.catch_up()?;
        let sqlite = |source| IndexError::Sqlite { path: self.path.clone(), source };
        let sql = "SELECT seq, segment, start FROM ledger_entry WHERE seq = ?1
            UNION ALL SELECT closed_seq, closed_segment, closed_start FROM ledger_entry WHERE closed_seq = ?1";
        let mut statement = self.connection.prepare(sql).map_err(sqlite)?;
        let place =
            statement.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional().map_err(sqlite)?;
        place.map(|place| EntryReader { layout: &self.layout, open: None }.read(place)).transpose()
    }

    /// Actions that were opened and not closed, in the order they were opened, after catching up.
    ///
    /// # Errors
    /// As [`Index::catch_up`].
    pub fn open_actions(&mut self) -> Result<Vec<OpenAction>, IndexError> {
        self.catch_up()?;
        let sqlite = |source| IndexError::Sqlite { path: self.path.clone(), source };
        let sql = "SELECT seq, action, run FROM ledger_entry WHERE type = 'opened' AND closed_seq IS NULL ORDER BY seq";
        let mut statement = self.connection.prepare(sql).map_err(sqlite)?;
        let rows = statement
            .query_map([], |row| {
                Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
            })
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(sqlite)?;
        let open = |(seq, action, run): (u64, String, Option<String>)| {
            Some(OpenAction { seq, action_id: action.parse().ok()?, run: run.and_then(|run| run.parse().ok()) })
        };
        Ok(rows.into_iter().filter_map(open).collect())
    }

    /// Where to begin reading to meet the newest `entries` entries, after catching up, and the
    /// first of them; a few older ones may come before it.
    pub(crate) fn cursor_back(&mut self, entries: u64) -> Result<(Cursor, u64), IndexError> {
        let next_seq = self.catch_up()?;
        let sqlite = |source| IndexError::Sqlite { path: self.path.clone(), source };
        let end = stored_cursor(&self.connection).map_err(sqlite)?.map(|(cursor, _)| cursor);
        let end = end.unwrap_or(Cursor { next_seq: 0, segment: 1, start: 0, offset: 0 });
        if entries == 0 || next_seq == 0 {
            return Ok((end, next_seq));
        }
        let from = next_seq.saturating_sub(entries);
        // Closing entries stand in no row of their own: begin at the row before.
        let sql = "SELECT seq, segment, start FROM ledger_entry WHERE seq <= ? ORDER BY seq DESC LIMIT 1";
        let found = self
            .connection
            .query_row(sql, params![from], |row| {
                let start = row.get(2)?;
                Ok(Cursor { next_seq: row.get(0)?, segment: row.get(1)?, start, offset: start })
            })
            .optional();
        let beginning = Cursor { next_seq: 0, segment: 1, start: 0, offset: 0 };
        Ok((found.map_err(sqlite)?.unwrap_or(beginning), from))
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Made beforehand so that it is private; if that fails, SQLite says better why.
    let _ = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    // Losing the newest part of the index in a power cut costs a little catching up; waiting for the disk would cost
    // every start.
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    Ok(connection)
}

fn stored_cursor(connection: &Connection) -> rusqlite::Result<Option<(Cursor, Vec<u8>)>> {
    let exists: Option<i64> = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'ledger_index'", [], |row| row.get(0))
        .optional()?;
    if exists.is_none() {
        return Ok(None);
    }
    let sql = "SELECT next_seq, segment, start, offset, last FROM ledger_index WHERE version = ?";
    connection
        .query_row(sql, [INDEX_VERSION], |row| {
            let cursor =
                Cursor { next_seq: row.get(0)?, segment: row.get(1)?, start: row.get(2)?, offset: row.get(3)? };
            Ok((cursor, row.get(4)?))
        })
        .optional()
}

/// Whether the entry indexed last still stands where it stood, unchanged.
fn fits(layout: &Layout, committed: &Committed, cursor: Cursor, last: &[u8]) -> io::Result<bool> {
    if cursor.next_seq == 0 {
        return Ok(cursor.offset == 0);
    }
    let Some((file, limit)) = committed.limit(layout, cursor.segment)? else { return Ok(false) };
    if limit < cursor.offset {
        return Ok(false);
    }
    let mut lines = Lines::new(&file, cursor.start, cursor.offset);
    Ok(matches!(lines.next()?, Line::Whole(line) if entry_hash(line) == last))
}

/// Indexes up to [`TRANSACTION_ENTRIES`] entries; whether there are more.
fn index_some(
    transaction: &Transaction<'_>,
    layout: &Layout,
    committed: &Committed,
    mut cursor: Cursor,
    path: &Path,
) -> Result<(Cursor, bool), IndexError> {
    let read = |source| IndexError::Read { path: layout.directory.clone(), source };
    let sqlite = |source| IndexError::Sqlite { path: path.to_owned(), source };
    let mut insert = transaction
        .prepare(
            "INSERT INTO ledger_entry (seq, segment, start, at_us, type, action, run, principal, persona, kind, verdict, target)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .map_err(sqlite)?;
    let mut close = transaction
        .prepare("UPDATE ledger_entry SET closed_seq = ?, closed_segment = ?, closed_start = ? WHERE seq = ? AND closed_seq IS NULL")
        .map_err(sqlite)?;
    let (mut done, mut last, mut indexed) = (0, None, cursor);
    'segments: while let Some((file, limit)) = committed.limit(layout, cursor.segment).map_err(read)? {
        let mut lines = Lines::new(&file, cursor.offset, limit);
        loop {
            let start = lines.offset();
            let bad = |reason: &str| IndexError::Entry {
                bad: BadEntry {
                    seq: cursor.next_seq,
                    segment: format!("{:08}.jsonl", cursor.segment),
                    line: 0,
                    reason: reason.to_owned(),
                },
            };
            let line = match lines.next().map_err(read)? {
                Line::Whole(line) => line,
                Line::End => break,
                // A crash's torn line, which the next writer removes.
                Line::Unended(_) => break,
                Line::TooLong => return Err(bad("the line is longer than an entry can be")),
            };
            let entry = parse_line(line).map_err(|error| bad(&error.to_string()))?;
            if entry.seq != cursor.next_seq {
                return Err(bad(&format!("entry {} stands in its place", entry.seq)));
            }
            let record: Record = serde_json::from_slice(entry.record)
                .map_err(|error| bad(&format!("its record can't be read: {error}")))?;
            let at = entry.at.as_microsecond();
            if let Record::Closed { opened, .. } = &record {
                close.execute(params![entry.seq, cursor.segment, start, opened]).map_err(sqlite)?;
            } else {
                let columns = Columns::of(&record);
                insert
                    .execute(params![
                        entry.seq,
                        cursor.segment,
                        start,
                        at,
                        columns.kind_of_entry,
                        columns.action,
                        record.run().map(RunId::as_str),
                        columns.principal,
                        columns.persona,
                        columns.kind,
                        columns.verdict,
                        columns.target
                    ])
                    .map_err(sqlite)?;
            }
            last = Some(entry_hash(line));
            cursor = Cursor { next_seq: entry.seq + 1, segment: cursor.segment, start, offset: lines.offset() };
            indexed = cursor;
            done += 1;
            if done == TRANSACTION_ENTRIES {
                break 'segments;
            }
        }
        if committed.segments.last().is_none_or(|newest| *newest <= cursor.segment) {
            break;
        }
        // The stored end stays at an entry; only the reading moves on.
        cursor = Cursor { segment: cursor.segment + 1, offset: 0, ..cursor };
    }
    if let Some(last) = last {
        transaction
            .execute(
                "UPDATE ledger_index SET next_seq = ?, last = ?, segment = ?, start = ?, offset = ?",
                params![indexed.next_seq, last.as_slice(), indexed.segment, indexed.start, indexed.offset],
            )
            .map_err(sqlite)?;
    }
    Ok((cursor, done == TRANSACTION_ENTRIES))
}

struct Columns<'a> {
    kind_of_entry: &'static str,
    action: Option<&'a str>,
    principal: Option<&'a str>,
    persona: Option<&'a str>,
    kind: Option<&'static str>,
    verdict: Option<&'static str>,
    target: Option<String>,
}

impl<'a> Columns<'a> {
    fn of(record: &'a Record) -> Self {
        let (kind_of_entry, verdict) = match record {
            Record::Opened { verdict, .. } => ("opened", Some(verdict.effect)),
            Record::Refused { verdict, .. } => ("refused", verdict.as_ref().map(|verdict| verdict.effect)),
            Record::Judged { verdict, .. } => ("judged", Some(verdict.effect)),
            Record::Noted { .. } => ("noted", None),
            _ => ("other", None),
        };
        let action = record.action();
        let topic = if let Record::Noted { topic, .. } = record { Some(topic.clone()) } else { None };
        Self {
            kind_of_entry,
            action: action.map(|action| action.id.as_str()),
            principal: action.map(|action| action.principal.name.as_str()),
            persona: action.and_then(|action| action.principal.persona.as_deref()),
            kind: action.map(|action| action.deed.kind().as_str()),
            verdict: verdict.map(Effect::as_str),
            target: action.map(|action| action.deed.target()).or(topic),
        }
    }
}

/// Reads entries at known places, keeping the segment open between them.
struct EntryReader<'a> {
    layout: &'a Layout,
    open: Option<(u32, File)>,
}

/// First read of an entry; most are smaller.
const ENTRY_BYTES_GUESS: usize = 4096;

impl EntryReader<'_> {
    fn read(&mut self, (seq, segment, start): (u64, u32, u64)) -> Result<Entry, IndexError> {
        let path = self.layout.segment(segment);
        let io = |source| IndexError::Read { path: path.clone(), source };
        let bad = |reason: String| IndexError::Entry {
            bad: BadEntry { seq, segment: format!("{segment:08}.jsonl"), line: 0, reason },
        };
        if self.open.as_ref().is_none_or(|(number, _)| *number != segment) {
            self.open = Some((segment, File::open(&path).map_err(io)?));
        }
        let Some((_, file)) = &self.open else { return Err(bad("it is gone".to_owned())) };
        let mut bytes = vec![0; ENTRY_BYTES_GUESS];
        let mut length = file.read_at(&mut bytes, start).map_err(io)?;
        if memchr::memchr(b'\n', bytes.get(..length).unwrap_or_default()).is_none() {
            bytes.resize(LINE_BYTES_MAX + 1, 0);
            length = file.read_at(&mut bytes, start).map_err(io)?;
        }
        let read = bytes.get(..length).unwrap_or_default();
        let line = memchr::memchr(b'\n', read).and_then(|end| read.get(..end));
        let line = line.ok_or_else(|| bad("the line is cut off".to_owned()))?;
        let entry = read_entry(line).map_err(bad)?;
        if entry.seq == seq { Ok(entry) } else { Err(bad(format!("entry {} stands in its place", entry.seq))) }
    }
}

/// A line with everything in it.
pub(crate) fn read_entry(line: &[u8]) -> Result<Entry, String> {
    let entry = parse_line(line).map_err(|error| error.to_string())?;
    let record = serde_json::from_slice(entry.record).map_err(|error| format!("its record can't be read: {error}"))?;
    Ok(Entry { seq: entry.seq, at: entry.at, hash: entry_hash(line).into(), record })
}

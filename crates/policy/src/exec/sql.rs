//! Whether an SQL text only reads. A list of words, on purpose: what isn't plainly a query isn't one.

/// Longest query looked at.
const QUERY_BYTES_MAX: usize = 16 * 1024;

/// What a query may start with.
const OPENING: &[&str] = &["select", "with", "explain", "show", "describe", "values", "table", "from", "summarize"];

/// Words that change something, reach outside the database, or run something, in one of PostgreSQL, DuckDB,
/// SQLite and MySQL. Not read: whether they stand in a place where they mean that. A column of such a name has to
/// be quoted with another command.
const CHANGING: &[&str] = &[
    "insert",
    "update",
    "delete",
    "merge",
    "replace",
    "upsert",
    "create",
    "alter",
    "drop",
    "truncate",
    "rename",
    "into",
    "copy",
    "export",
    "import",
    "attach",
    "detach",
    "install",
    "load",
    "set",
    "reset",
    "call",
    "do",
    "execute",
    "prepare",
    "deallocate",
    "grant",
    "revoke",
    "vacuum",
    "analyze",
    "checkpoint",
    "cluster",
    "reindex",
    "refresh",
    "lock",
    "listen",
    "notify",
    "discard",
    "begin",
    "commit",
    "rollback",
    "savepoint",
    "pragma",
    "outfile",
    "dumpfile",
    "handler",
    "force",
    "use",
    "comment",
    "security",
    "nextval",
    "setval",
    "lo_import",
    "lo_export",
    "dblink",
    "getenv",
    "readfile",
    "writefile",
    "edit",
    "load_extension",
    "load_file",
    "sys_exec",
    "sys_eval",
];

/// Beginnings of functions that read files, run programs, reach other servers or change settings.
const REACHING: &[&str] = &[
    "pg_",
    "dblink_",
    "lo_",
    "read_",
    "write_",
    "parquet_",
    "sniff_",
    "glob",
    "sqlite_",
    "postgres_",
    "mysql_",
    "iceberg_",
    "delta_",
    "http_",
    "xp_",
    "sp_",
    "set_config",
    "query_to_xml",
    "database_to_xml",
    "query",
    "cursor_to_xml",
    "table_to_xml",
    "schema_to_xml",
    "txid_",
    "currval",
    "lastval",
    "inet_server",
];

/// What ends a list of tables.
const AFTER_TABLES: &[&str] = &["where", "group", "having", "order", "limit", "offset", "on", "union", "select"];

/// One statement that only reads.
pub(crate) fn only_reads(text: &str) -> bool {
    let text = text.trim();
    let text = text.strip_suffix(';').unwrap_or(text).trim_end();
    // Quotes other than plain ones, comments, a second statement, dot commands and backslash commands aren't read.
    if text.is_empty()
        || text.len() > QUERY_BYTES_MAX
        || text.contains([';', '\\', '`', '$'])
        || text.contains("--")
        || text.contains("/*")
        || text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
        || !text.is_ascii()
    {
        return false;
    }
    let mut words = Words { rest: text, tables: false };
    let mut opening = true;
    for word in &mut words {
        let Ok(word) = word else { return false };
        if opening && !OPENING.iter().any(|known| word.eq_ignore_ascii_case(known)) {
            return false;
        }
        opening = false;
        if CHANGING.iter().any(|known| word.eq_ignore_ascii_case(known)) {
            return false;
        }
        let lower = word.to_ascii_lowercase();
        if REACHING.iter().any(|known| lower.starts_with(known)) {
            return false;
        }
    }
    !opening
}

/// Words outside of single-quoted text; an error where quotes don't close, and where a text in quotes stands as a
/// table's name does in DuckDB, which would read a file or an address.
struct Words<'a> {
    rest: &'a str,
    /// Within the list of tables of a `from`.
    tables: bool,
}

impl<'a> Iterator for Words<'a> {
    type Item = Result<&'a str, ()>;

    fn next(&mut self) -> Option<Self::Item> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        loop {
            let start = self.rest.find(|c: char| is_word(c) || c == '\'' || c == '"')?;
            let (_, from) = self.rest.split_at(start);
            if from.starts_with('"') {
                return Some(Err(()));
            }
            if let Some(quoted) = from.strip_prefix('\'') {
                let Some((_, behind)) = quoted.split_once('\'').filter(|_| !self.tables) else { return Some(Err(())) };
                self.rest = behind;
                continue;
            }
            let length = from.find(|c| !is_word(c)).unwrap_or(from.len());
            let (word, behind) = from.split_at(length);
            self.rest = behind;
            // `E'…'` and `X'…'` read their text in other ways.
            if behind.starts_with('\'') {
                return Some(Err(()));
            }
            if ["from", "join"].iter().any(|known| word.eq_ignore_ascii_case(known)) {
                self.tables = true;
            } else if AFTER_TABLES.iter().any(|known| word.eq_ignore_ascii_case(known)) {
                self.tables = false;
            }
            return Some(Ok(word));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::only_reads;

    #[test]
    fn a_query_reads_and_nothing_else_does() {
        for query in [
            "select 1",
            "SELECT a, 'it''s' FROM orders WHERE b = 'drop table x';",
            "with t as (select 1) select * from t",
            "explain select 1",
            "show tables",
            "from orders",
        ] {
            assert!(only_reads(query), "{query}");
        }
        for other in [
            "",
            ";",
            "select 1; drop table x",
            "with t as (delete from x returning 1) select * from t",
            "select 1 into x",
            "copy x to 'y'",
            "select pg_read_file('/etc/passwd')",
            "select * from 'https://evil.example/x.csv'",
            "select * from a, 'https://evil.example/x.csv'",
            "select * from read_csv('/etc/passwd')",
            "select lo_export(1, '/x')",
            ".shell id",
            "select 1 \\! id",
            "select /* */ 1",
            "select E'\\''",
            "explain analyze delete from x",
            "select set_config('a', 'b', false)",
            "select 'a",
            "sel\u{435}ct 1",
        ] {
            assert!(!only_reads(other), "{other}");
        }
    }
}

//! The local account a command runs under.

use std::path::PathBuf;

/// The user database; one line an account.
const PASSWD: &str = "/etc/passwd";

/// The account of this process.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name, or `uid:N` when it has none.
    pub name: String,
    /// Its home directory.
    pub home: Option<PathBuf>,
}

impl Account {
    /// The account behind the effective user id. `HOME` wins over the database's home directory, as in a shell.
    pub fn current() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let database = std::fs::read_to_string(PASSWD).unwrap_or_default();
        let entry = database
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| matches!(fields.as_slice(), [_, _, id, ..] if id.parse() == Ok(uid)));
        let name = entry
            .as_ref()
            .and_then(|fields| fields.first())
            .map_or_else(|| format!("uid:{uid}"), |name| (*name).to_owned());
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let home = home.or_else(|| entry.as_ref().and_then(|fields| fields.get(5)).map(PathBuf::from));
        Self { name, home: home.filter(|home| home.is_absolute()) }
    }
}

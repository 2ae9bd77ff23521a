//! The local account a command runs under.

use std::path::PathBuf;

use bartizan_api::env::{SUDO_GID, SUDO_UID};
use bartizan_sandbox::guarded::Identity;

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

    /// The account of this name or number.
    pub fn named(user: &str) -> Option<Identity> {
        let number = user.parse::<u32>().ok();
        let database = std::fs::read_to_string(PASSWD).unwrap_or_default();
        let found = database.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            let identity = Identity { uid: uid.parse().ok()?, gid: gid.parse().ok()? };
            (name == user || number == Some(identity.uid)).then_some(identity)
        });
        found.or_else(|| number.map(|number| Identity { uid: number, gid: number }))
    }

    /// Who has become root by sudo.
    pub fn behind_sudo() -> Option<Identity> {
        let number = |variable: &str| std::env::var(variable).ok()?.parse::<u32>().ok();
        let identity = Identity { uid: number(SUDO_UID)?, gid: number(SUDO_GID)? };
        rustix::process::geteuid().is_root().then_some(identity)
    }
}

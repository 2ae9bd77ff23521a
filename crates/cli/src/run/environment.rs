//! The environment inside: only what policy passes in, and the program found by it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bartizan_model::RunId;
use bartizan_policy::EnvLayer;

/// Where programs are looked for when policy passes no `PATH`.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why the command can't be started, in the shell's own numbers.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Exit status 127.
    #[error("there is no program `{name}`; name its path, or one that is in PATH")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// Exit status 126.
    #[error("`{}` can't be executed; make it executable with `chmod +x`", path.display())]
    NotExecutable {
        /// What was found.
        path: PathBuf,
    },
}

/// The whole environment of the box. `roots` tell programs which certificates to trust; what policy sets wins over them.
/// Placeholders of secrets win over whatever was passed in or set under their names.
pub fn environment(
    layer: &EnvLayer,
    home: &Path,
    run: &RunId,
    roots: &[(&'static str, &'static str)],
    placeholders: &[(String, String)],
    outside: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let passed = outside.filter(|(name, _)| name.to_str().is_some_and(|name| layer.passes(name)));
    let mut environment: BTreeMap<OsString, OsString> = passed.collect();
    environment.extend(roots.iter().map(|(name, path)| (OsString::from(name), OsString::from(path))));
    environment.entry("PATH".into()).or_insert_with(|| PATH_DEFAULT.into());
    environment.extend(layer.set.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
    environment.insert("HOME".into(), home.as_os_str().to_owned());
    environment.insert(bartizan_api::env::RUN.into(), run.as_str().into());
    environment.extend(placeholders.iter().map(|(name, text)| (OsString::from(name), OsString::from(text))));
    environment.into_iter().collect()
}

/// The program a shell would start under this name. Links are kept: many programs go by the name they are called.
pub fn find_program(
    command: &[OsString],
    environment: &[(OsString, OsString)],
    workspace: &Path,
) -> Result<PathBuf, CommandError> {
    let name = command.first().map_or(OsStr::new(""), OsString::as_os_str);
    let not_found = || CommandError::NotFound { name: name.to_string_lossy().into_owned() };
    if name.is_empty() {
        return Err(not_found());
    }
    if name.as_encoded_bytes().contains(&b'/') {
        let path = workspace.join(name);
        return match is_executable(&path) {
            Some(true) => Ok(path),
            Some(false) => Err(CommandError::NotExecutable { path }),
            None => Err(not_found()),
        };
    }
    let search =
        environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone()).unwrap_or_default();
    let found = std::env::split_paths(&search)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name));
    let mut refused = None;
    for path in found {
        match is_executable(&path) {
            Some(true) => return Ok(path),
            Some(false) => refused = refused.or(Some(path)),
            None => {}
        }
    }
    Err(refused.map_or_else(not_found, |path| CommandError::NotExecutable { path }))
}

fn is_executable(path: &Path) -> Option<bool> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

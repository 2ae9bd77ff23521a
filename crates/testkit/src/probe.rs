//! The probe: one static program that tries one attack and says in JSON how it went.

use std::{
    collections::hash_map::DefaultHasher,
    env, fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::OnceLock,
};

use serde_json::Value;

use crate::env as variables;

/// What one attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub attempt: String,
    pub succeeded: bool,
    /// The system call's error, 0 when there was none.
    pub errno: i64,
    pub detail: String,
}

/// The static probe. Built once from its own sources by the compiler alone: it depends on nothing, so that it
/// runs in any box, and building it takes no lock that the tests' own cargo holds.
pub fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| env::var_os(variables::BARTIZAN_PROBE).map_or_else(build, PathBuf::from))
}

/// The attempts a probe reported: one JSON object a line.
pub fn attempts(stdout: &str) -> Vec<Attempt> {
    stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|value| {
            Some(Attempt {
                attempt: value.get("attempt")?.as_str()?.to_owned(),
                succeeded: value.get("outcome")? == "succeeded",
                errno: value.get("errno")?.as_i64()?,
                detail: value.get("detail")?.as_str()?.to_owned(),
            })
        })
        .collect()
}

fn build() -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/probe");
    let mut hasher = DefaultHasher::new();
    let mut files: Vec<PathBuf> = fs::read_dir(&sources).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        fs::read(file).unwrap().hash(&mut hasher);
    }
    let folder = crate::home::target_profile().with_file_name("testkit");
    fs::create_dir_all(&folder).unwrap();
    let finished = folder.join(format!("probe-{:016x}", hasher.finish()));
    if finished.exists() {
        return finished;
    }
    // Built beside and renamed, so that two test binaries may do it at once.
    let unfinished = folder.join(format!("probe-{}", process::id()));
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--edition", "2024", "--crate-name", "bartizan_probe", "-O", "-C", "strip=symbols"])
        .args(["-C", "target-feature=+crt-static"])
        .arg(sources.join("main.rs"))
        .arg("-o")
        .arg(&unfinished)
        .output()
        .expect("rustc builds the probe");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::rename(&unfinished, &finished).unwrap();
    finished
}

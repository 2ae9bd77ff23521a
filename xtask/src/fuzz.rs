//! The fuzz targets' smoke run, on the stable compiler.
//!
//! `cargo fuzz` wants a nightly for its sanitizers; finding crashes needs only coverage counters, which the
//! stable compiler can be told to insert. Longer hunts use `cargo fuzz run TARGET` as everywhere else.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{shell, workspace};

/// Inputs tried for each target; with [`SECONDS_MAX`], whichever comes first.
const RUNS: u32 = 20_000;
const SECONDS_MAX: u32 = 10;
/// Memory of one target; a parser of bounded input that needs more is a finding.
const MEGABYTES_MAX: u32 = 1024;

/// Coverage counters as libFuzzer reads them.
const COVERAGE_FLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing";

/// The names of all targets: every file in `fuzz/fuzz_targets` is one, so none can be forgotten.
pub(crate) fn targets() -> Result<Vec<String>> {
    let files = workspace::files(&workspace::root().join("fuzz/fuzz_targets"), "rs")?;
    Ok(files.iter().filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned())).collect())
}

/// Build every target and give each a short run.
pub(crate) fn smoke() -> Result<()> {
    let targets = targets()?;
    if targets.is_empty() {
        bail!("`fuzz/fuzz_targets` holds no target");
    }
    let root = workspace::root();
    // The same versions as the house: cargo keeps what the lock file names and adds the fuzzing engine.
    std::fs::copy(root.join("Cargo.lock"), root.join("fuzz/Cargo.lock"))
        .context("failed to copy `Cargo.lock` to `fuzz`")?;
    let host = host()?;
    // Naming the target keeps the flags away from build scripts and macros, so that those are shared with the
    // other builds in the same folder.
    shell::run(
        shell::cargo()
            .args(["build", "--quiet", "--bins", "--target", &host, "--manifest-path"])
            .arg(root.join("fuzz/Cargo.toml"))
            .arg("--target-dir")
            .arg(workspace::target())
            .env("RUSTFLAGS", COVERAGE_FLAGS),
    )?;
    for target in targets {
        run_target(&target, workspace::target().join(&host).join("debug").join(&target))?;
    }
    Ok(())
}

/// The compiler's own target.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = shell::capture(shell::command(rustc).arg("-vV"))?;
    version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned).context("`rustc -vV` names no host")
}

fn run_target(target: &str, binary: PathBuf) -> Result<()> {
    let fuzz = workspace::root().join("fuzz");
    let artifacts = fuzz.join("artifacts").join(target);
    std::fs::create_dir_all(&artifacts).with_context(|| format!("failed to create `{}`", artifacts.display()))?;
    let seeds = fuzz.join("seeds").join(target);
    let mut command = shell::command(binary);
    command
        .arg(format!("-runs={RUNS}"))
        .arg(format!("-max_total_time={SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={MEGABYTES_MAX}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-timeout=5", "-print_final_stats=0", "-verbosity=0"]);
    if seeds.is_dir() {
        // libFuzzer writes what it finds into the first folder; the committed seeds are only read.
        let corpus = fuzz.join("corpus").join(target);
        std::fs::create_dir_all(&corpus).with_context(|| format!("failed to create `{}`", corpus.display()))?;
        command.arg(corpus).arg(seeds);
    }
    match shell::capture(command.stderr(std::process::Stdio::piped())) {
        Ok(_) => {
            println!("    ok  {target}");
            Ok(())
        }
        Err(error) => Err(error).with_context(|| {
            format!("fuzz target `{target}` found a crash; the input is in `{}`", workspace::relative(&artifacts))
        }),
    }
}

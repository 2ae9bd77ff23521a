//! Builds the confining helper as a static program, to be carried inside Bartizan's own.
//!
//! It is a build of its own, because the flags that make a program static must not reach the rest.
#![allow(clippy::disallowed_methods, reason = "a build script has to start cargo")]

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

const HELPER: &str = "bartizan-jail";
/// Settings of the outer build that would change the inner one.
const NOT_INHERITED: [&str; 8] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
];

fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name: &str| env::var_os(name).ok_or_else(|| format!("`{name}` is not set"));
    let source = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../jail");
    for part in ["src", "seccomp", "build.rs", "Cargo.toml"] {
        println!("cargo:rerun-if-changed={}", source.join(part).display());
    }
    println!("cargo:rerun-if-changed=build.rs");
    let target = env::var("TARGET")?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    let directory = out.join("helper");

    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(&source)
        .args(["build", "--release", "--quiet", "--package", HELPER, "--bin", HELPER])
        .args(["--target", &target, "--target-dir"])
        .arg(&directory);
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    // Small and quick to start: the box's start waits for it.
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static\u{1f}-Crelocation-model=static")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    if !cargo.status()?.success() {
        return Err(format!("building the static helper `{HELPER}` failed").into());
    }
    fs::copy(directory.join(&target).join("release").join(HELPER), out.join(HELPER))?;
    Ok(())
}

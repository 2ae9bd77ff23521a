//! The contributor's entry points: `cargo xtask setup|demo|test|bench|eval|mutants|train|tidy|codegen`. Everything a person
//! or a build server needs stands behind one of these words, and each says what it does while it does it.
//! Never part of the product, and kept to two dependencies so that it is ready in seconds. Start reading
//! at `test.rs`, which calls most of the others.
#![allow(
    clippy::disallowed_methods,
    reason = "a development tool starts compilers, package managers and peers; nothing here runs for a user"
)]

mod bench;
mod codegen;
mod compatible;
mod demo;
mod eval;
mod fuzz;
mod guard;
mod injection;
mod mutants;
mod setup;
mod shell;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  setup [--deny]        install what building, demo, tests and benches need and this machine lacks
  demo [ARGS…]          set up, build the release binary and run the main job on real input
  test [--no-setup]     set up, then every check: format, tidy, lints, tests, generated files, fuzz smoke
  bench [NAME…] [--json FILE] [--rounds N]
                        measure against peers; without a name, everything (names: `cargo xtask bench --list`)
  eval NAME [ARGS…]     how well detectors do on labelled data (names: injection, personal, secrets), or how
                        far Rego is OPA's (name: rego)
  mutants [ARGS…]       change the code in small ways and see whether a test notices (`cargo mutants`)
  train injection [--check]
                        write the weights of the injection classifier, or fail if they come out otherwise
  tidy                  the house rules: storeys, module docs, file lengths, links, names
  codegen [--check]     write the generated files, or with --check fail if one is stale
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("no command given\n{USAGE}");
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (command.as_str(), rest.as_slice()) {
        ("setup", []) => setup::setup(setup::Purpose::ALL),
        ("setup", ["--deny"]) => {
            setup::setup(setup::Purpose::ALL)?;
            setup::install_cargo_deny()
        }
        ("demo", rest) => demo::demo(rest),
        ("test", []) => test::test(test::Setup::Run),
        ("test", ["--no-setup"]) => test::test(test::Setup::Skip),
        ("bench", rest) => bench::bench(rest),
        ("eval", rest) => eval::eval(rest),
        ("mutants", rest) => mutants::mutants(rest),
        ("train", ["injection"]) => injection::train(&[]),
        ("train", ["injection", "--check"]) => injection::train(&["--check"]),
        ("tidy", []) => tidy::tidy(),
        ("codegen", []) => codegen::codegen(codegen::Mode::Write),
        ("codegen", ["--check"]) => codegen::codegen(codegen::Mode::Check),
        ("help" | "--help" | "-h", _) => {
            print!("{USAGE}");
            Ok(())
        }
        _ => bail!("`{}` is not understood\n{USAGE}", arguments.join(" ")),
    }
}

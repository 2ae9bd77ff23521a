//! The probe: tries one attack and prints, as JSON lines, how each attempt ended.
//!
//! `bartizan-probe ATTACK [ARGUMENTS…]`, `--list`, or `--batch` with one `ID ATTACK [ARGUMENTS…]` a line on standard
//! input, each answered by a line `{"escape":ID}` before its attempts. It is built alone and statically by `testkit::probe`, so it
//! uses the standard library and the C library's symbols and nothing else. An attempt that *succeeded* got
//! what the attacker wants (an echo came back, a file was read, a call reached the kernel); run outside a box
//! the harmless ones do succeed, which the kit's own tests prove.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "an attack program: raw system calls are its purpose, and a panic is a failed attempt"
)]

mod attempt;
mod control;
mod files;
mod kernel;
mod limits;
mod network;
mod system;

use std::{io::Read, process::ExitCode};

/// An attack: its name, the names of its arguments, and what runs it.
type Attack = (&'static str, &'static str, fn(&[&str]));

fn attacks() -> impl Iterator<Item = &'static Attack> {
    [network::ATTACKS, files::ATTACKS, kernel::ATTACKS, limits::ATTACKS, control::ATTACKS].into_iter().flatten()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprintln!("usage: bartizan-probe ATTACK [ARGUMENTS…] | --list | --batch");
        return ExitCode::from(2);
    };
    if *name == "--list" {
        for (name, arguments, _) in attacks() {
            println!("{name} {arguments}");
        }
        return ExitCode::SUCCESS;
    }
    if *name == "--batch" {
        return batch();
    }
    attack(name, rest)
}

/// Everything on standard input, one after the other in one box.
fn batch() -> ExitCode {
    let mut lines = String::new();
    if std::io::stdin().read_to_string(&mut lines).is_err() {
        return ExitCode::from(2);
    }
    for line in lines.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [id, name, rest @ ..] = words.as_slice() {
            println!("{{\"escape\":\"{id}\"}}");
            if attack(name, rest) != ExitCode::SUCCESS {
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}

fn attack(name: &str, rest: &[&str]) -> ExitCode {
    let Some((_, names, run)) = attacks().find(|(found, _, _)| *found == name) else {
        eprintln!("bartizan-probe: no attack `{name}`; see --list");
        return ExitCode::from(2);
    };
    let required = names.split_whitespace().filter(|name| !name.starts_with('[')).count();
    if rest.len() < required {
        eprintln!("usage: bartizan-probe {name} {names}");
        return ExitCode::from(2);
    }
    run(rest);
    ExitCode::SUCCESS
}

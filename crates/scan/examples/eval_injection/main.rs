//! Trains and judges the injection classifier: `cargo xtask train injection`, `cargo xtask eval injection`.
//!
//! Start reading at `grammar.rs` (where the sentences come from), then `training.rs` (how weights come from them) and
//! `evaluation.rs` (what they are worth on texts that are not among them).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a development tool: what is wrong with its files should stop it"
)]

mod corpus;
mod evaluation;
mod grammar;
mod prose;
mod training;

use std::path::Path;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: cargo xtask train injection [--check]   write the weights, or compare them
       cargo xtask eval injection CORPORA [--show]   recall in mail, false alarms, what is missed
       cargo xtask eval injection --cross            each family by weights that never saw it
       cargo xtask eval injection --lines FILE [--show]   how many texts are flagged: one a line, or the strings of a .json file
       cargo xtask eval injection --files FOLDER     false alarms in files, training crates left out";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let grammar = corpus::grammar(&home.join("training/injection"))?;
    let file = home.join("src/injection/weights.bin");
    match words.as_slice() {
        ["train"] => {
            let weights = corpus::weights(&grammar, Some(&prose(home)?), &|_| true)?;
            std::fs::write(&file, weights).with_context(|| format!("failed to write `{}`", file.display()))
        }
        ["train", "--check"] => {
            let weights = corpus::weights(&grammar, Some(&prose(home)?), &|_| true)?;
            if std::fs::read(&file)? != weights {
                bail!("`{}` is stale; run `cargo xtask train injection` and commit the result", file.display());
            }
            println!("    fresh    {}", file.display());
            Ok(())
        }
        ["--cross"] => evaluation::cross(&grammar),
        ["--files", folder] => evaluation::harmless(&file, Path::new(folder), home),
        ["--lines", lines] | ["--lines", lines, "--show"] => {
            evaluation::lines(&file, Path::new(lines), words.len() > 2)
        }
        [corpora] | [corpora, "--show"] => evaluation::public(&file, Path::new(corpora), words.len() > 1),
        _ => bail!("{USAGE}"),
    }
}

fn prose(home: &Path) -> Result<prose::Prose> {
    prose::Prose::load(&home.join("training/injection/crates.txt"))
}

//! `bartizan init`: makes a home with settings, keys and a first policy. Never overwrites.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use bartizan_api::config::Config;
use clap::Args;
use serde::Serialize;

use crate::home::{Home, write_new};
use crate::output::{self, Style};
use crate::wiring::Trust;

/// What the first policy may build on.
const BASES: &[(&str, &str)] = &[
    ("coding_assistant", "edits the directory it starts in, uses developer tools, asks before new hosts"),
    ("standard", "the same without developer tools' places"),
    ("strict", "reads and writes only the directory it starts in; no network until you allow a host"),
    ("permissive", "asks little, records everything"),
];

/// Make a home: settings, keys, a first policy
///
/// Asks on a terminal; elsewhere `--yes` takes the defaults. What exists is kept as it is.
#[derive(Args)]
pub struct Init {
    /// What your policy builds on: a ruleset or persona (coding_assistant, standard, strict, permissive, sre, …)
    #[arg(long, value_name = "NAME")]
    base: Option<String>,
    /// Ask nothing, take the defaults
    #[arg(long, short)]
    yes: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Done {
    path: String,
    what: &'static str,
    made: bool,
}

impl Init {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        let home = Home::locate(home)?;
        let fresh = !home.default_policy().exists();
        let base = match self.base {
            Some(base) => base,
            None if self.yes || self.json || !fresh => "coding_assistant".to_owned(),
            None if std::io::stdin().is_terminal() => ask(style, &home)?,
            None => bail!("there is no terminal to ask on; say `bartizan init --yes` for the defaults, or --base NAME"),
        };
        if !bartizan_policy::builtin::NAMES.contains(&base.as_str()) {
            bail!("there is no built-in `{base}`; there are: {}", bartizan_policy::builtin::NAMES.join(", "));
        }
        home.create()?;
        let mut done = Vec::new();
        let mut note = |path: &Path, what, made| done.push(Done { path: path.display().to_string(), what, made });
        let (trust, made) = Trust::create(&home)?;
        note(&home.key_file(), "the key that signs receipts and the ledger", made);
        note(&home.default_policy(), "your policy", write_new(&home.default_policy(), first_policy(&base).as_bytes())?);
        let config = format!(
            "# Settings of this home; what agents may do stands in the policy.\nbartizan: 1\npolicy: {}\n",
            Config::default().policy
        );
        note(&home.config_file(), "settings", write_new(&home.config_file(), config.as_bytes())?);
        // Opening everything once proves that what was made or found works together.
        trust.ledger()?.close();
        if self.json {
            output::print_json(&done)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut stdout = std::io::stdout().lock();
        for item in &done {
            let word = if item.made { style.good("made") } else { style.dim("kept") };
            writeln!(stdout, "{word}  {}  {}", item.path, style.dim(item.what))?;
        }
        writeln!(stdout, "\nNext: {}   checks that this machine can hold a box", style.bold("bartizan doctor"))?;
        writeln!(stdout, "      {}  a shell in a box; leave it with exit", style.bold("bartizan run -- bash"))?;
        writeln!(stdout, "      {}  what is enforced", style.bold("bartizan policy explain"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn ask(style: Style, home: &Home) -> anyhow::Result<String> {
    let mut stderr = std::io::stderr().lock();
    writeln!(
        stderr,
        "Bartizan will keep its settings, keys and ledger in {}.",
        style.bold(&home.path().display().to_string())
    )?;
    writeln!(stderr, "What should your policy build on? You can change it at any time.")?;
    for (number, (name, meaning)) in BASES.iter().enumerate() {
        writeln!(stderr, "  {}  {:<18} {}", number + 1, style.bold(name), style.dim(meaning))?;
    }
    loop {
        write!(stderr, "1–{} [1]: ", BASES.len())?;
        stderr.flush()?;
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            bail!("nothing was answered and nothing was made; say `bartizan init --yes` for the defaults");
        }
        let line = line.trim();
        let number = if line.is_empty() { Some(1) } else { line.parse::<usize>().ok() };
        let chosen = number.and_then(|number| BASES.get(number.checked_sub(1)?)).map(|(name, _)| *name);
        let chosen = chosen.or_else(|| BASES.iter().map(|(name, _)| *name).find(|name| *name == line));
        if let Some(name) = chosen {
            return Ok(name.to_owned());
        }
        writeln!(stderr, "`{}` is none of them.", bartizan_scan::printable(line))?;
    }
}

fn first_policy(base: &str) -> String {
    format!(
        "\
# What agents on this account may do. `bartizan policy explain` says what it enforces,
# `bartizan policy lint` finds mistakes, `bartizan policy suggest RUN` proposes additions.
# The language: docs/policy.md in Bartizan's sources.
bartizan: 1
name: default
extends: {base}

# files: {{ read: [\"~/reference/**\"] }}
# net:   {{ allow: [\"api.example.com\"], ask: [\"*.example.org\"] }}
# exec:  {{ ask: [\"git push *\"] }}

tests:
  - deny: \"file.read ~/.ssh/id_rsa\"
  - deny: \"connect 169.254.169.254:80\"
"
    )
}

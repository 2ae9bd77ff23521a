//! `bartizan receipt`: the signed statement of one action, and checking one anywhere.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use bartizan_crypto::{Envelope, dsse, key_file};
use bartizan_ledger::{Index, Receipts};
use bartizan_model::ActionId;
use clap::Subcommand;

use crate::home::{Home, read_bounded};
use crate::output::{self, Style, short};
use crate::wiring::Trust;

/// Show or verify the signed statement of one action
#[derive(Subcommand)]
pub enum Receipt {
    /// Print an action's receipt: an in-toto statement in a DSSE envelope
    Show {
        /// The action, as `bartizan log list` names it
        action: String,
        /// Print what it states, not the envelope
        #[arg(long)]
        statement: bool,
    },
    /// Verify a receipt, here or on another machine; needs only the public key
    Verify {
        /// The envelope; `-` reads standard input
        file: PathBuf,
        /// The public key [default: this home's]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Print what it states as JSON
        #[arg(long)]
        json: bool,
    },
}

impl Receipt {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        match self {
            Self::Show { action, statement } => show(home, &action, statement)?,
            Self::Verify { file, key, json } => verify(home, style, &file, key, json)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(home: Option<&Path>, action: &str, statement: bool) -> anyhow::Result<()> {
    let home = Home::open(home)?;
    let action: ActionId = action.parse()?;
    let trust = Trust::open(&home)?;
    let mut index = Index::open(&home.index(), &home.ledger())?;
    let envelope = Receipts::new(&mut index).of(&action)?;
    if statement {
        let payload = envelope
            .verify(&trust.public_key())
            .context("the receipt in the ledger doesn't verify; run `bartizan log verify`")?;
        return output::print_json(&serde_json::from_slice::<serde_json::Value>(&payload)?);
    }
    writeln!(io::stdout(), "{}", envelope.to_json()?)?;
    Ok(())
}

fn verify(home: Option<&Path>, style: Style, file: &Path, key: Option<PathBuf>, json: bool) -> anyhow::Result<()> {
    let bytes_max = dsse::ENVELOPE_BYTES_MAX as u64 + 1;
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().take(bytes_max).read_to_end(&mut bytes).context("failed to read standard input")?;
        bytes
    } else {
        read_bounded(file, bytes_max).with_context(|| format!("failed to read `{}`", file.display()))?
    };
    let key_path = match key {
        Some(key) => key,
        None => Home::open(home).context("name the public key with --key, or a home that holds it")?.public_key_file(),
    };
    let key = key_file::load_public(&key_path)?;
    let envelope = Envelope::from_json(&bytes)?;
    let payload = envelope.verify(&key)?;
    if envelope.payload_type != bartizan_model::receipt::PAYLOAD_TYPE {
        bail!("it is signed, but it is no receipt: its type is `{}`", short(&envelope.payload_type, 80));
    }
    let statement: serde_json::Value = serde_json::from_slice(&payload).context("its payload is no JSON")?;
    if statement.get("predicateType").and_then(|kind| kind.as_str()) != Some(bartizan_model::receipt::PREDICATE_TYPE) {
        bail!("it is signed, but it states something else than an action");
    }
    if json {
        return output::print_json(&statement);
    }
    let text = |pointer: &str| {
        statement.pointer(pointer).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}  signed by key {}", style.good("verified"), key.key_id())?;
    for (name, pointer) in [
        ("action", "/predicate/action/id"),
        ("kind", "/predicate/action/deed/kind"),
        ("deed", "/predicate/action/deed"),
        ("agent", "/predicate/action/principal/name"),
        ("run", "/predicate/action/run"),
        ("verdict", "/predicate/verdict/effect"),
        ("rule", "/predicate/verdict/rule/rule"),
        ("refused", "/predicate/refused/why"),
        ("outcome", "/predicate/outcome/status"),
        ("entry", "/predicate/opened"),
    ] {
        if let Some(value) = text(pointer) {
            writeln!(stdout, "  {name:<8} {}", short(&value, 400))?;
        }
    }
    Ok(())
}

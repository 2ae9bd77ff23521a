//! `bartizan redact`: a filter that takes secrets and personal data out of what passes through it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use bartizan_gate::store::{Expect, SecretValue, StoreError};
use bartizan_scan::replace::{Key, Replacer, Style, restore};
use bartizan_scan::{Class, REPORT_SCORE, ScanStream, Scanner, Sighting};
use clap::{Args, ValueEnum};
use serde::Serialize;
use zeroize::Zeroizing;

use super::scan::{Wanted, scanner};
use crate::home::Home;
use crate::secrets::{Vault, record};

/// Read at once.
const PIECE_BYTES: usize = 256 << 10;
/// What is held back of a stream: a find may begin as far back as the scanner's longest segment.
const HELD_BYTES: usize = 3 << 20;
/// A line longer than this is treated as a stream.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Text to restore is read as a whole; logs of a day are smaller.
const RESTORED_BYTES_MAX: u64 = 256 << 20;
const KEY_BYTES: usize = 32;
/// The vault's secret that tokens are sealed with unless a key is given.
const KEY_SECRET: &str = "REDACTION_KEY";
/// Most versions of it that a token is tried with: a key rotated every month lasts for years.
const VERSIONS_MAX: usize = 100;

/// Take secrets and personal data out of what passes through
///
/// Reads standard input and writes it to standard output with everything that was found replaced, also
/// what was found inside of encoded text. Input of any length is held back by at most a few MiB; with
/// --lines each line is written as it comes.
#[derive(Args)]
pub struct Redact {
    /// Take out these only [default: secret,personal]
    #[arg(long, value_name = "CLASS", value_delimiter = ',')]
    only: Vec<Wanted>,
    /// Read it as prose: names with a title, dates, ages and addresses are taken out too
    #[arg(long)]
    prose: bool,
    /// What stands in the place of a find
    #[arg(long, value_enum, default_value_t = Look::Label, value_name = "STYLE")]
    style: Look,
    /// 32 random bytes, raw or in hex: equal values become equal under one key, and tokens can be restored [default for
    /// tokens: the vault's secret `REDACTION_KEY`, made when it is first needed]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Make tokens the originals again
    #[arg(long, conflicts_with_all = ["only", "prose", "style", "lines", "json"])]
    restore: bool,
    /// Write each line as soon as it is read; what spans lines, such as a private key, is not recognised
    #[arg(long)]
    lines: bool,
    /// Say on standard error what was taken out, as one JSON object
    #[arg(long)]
    json: bool,
}

/// How a find is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Look {
    /// [redacted:email]
    Label,
    /// ******
    Mask,
    /// Another value of the same form, valid where the original was
    Shape,
    /// The value, sealed; --restore makes it the original again
    Token,
}

/// What was taken out.
#[derive(Debug, Default, Serialize)]
struct Report {
    version: u32,
    bytes: u64,
    replaced: u64,
    kinds: BTreeMap<&'static str, u64>,
}

impl Redact {
    pub fn run(self, home: Option<&Path>) -> anyhow::Result<ExitCode> {
        let key = self.key.as_deref().map(read_key).transpose()?;
        let mut output = io::BufWriter::with_capacity(PIECE_BYTES, io::stdout().lock());
        if self.restore {
            let keys = match key {
                Some(key) => vec![key],
                None => vault_keys(home, Use::Restore)?,
            };
            let mut text = Vec::new();
            io::stdin()
                .lock()
                .take(RESTORED_BYTES_MAX + 1)
                .read_to_end(&mut text)
                .context("failed to read standard input")?;
            if text.len() as u64 > RESTORED_BYTES_MAX {
                bail!("the input is longer than {RESTORED_BYTES_MAX} bytes; restore it in pieces");
            }
            output.write_all(&keys.iter().fold(text, |text, key| restore(&text, key)))?;
            output.flush()?;
            return Ok(ExitCode::SUCCESS);
        }
        let style = match (self.style, key) {
            (Look::Label, _) => Style::Label,
            (Look::Mask, _) => Style::Mask,
            (Look::Shape, Some(key)) => Style::Shape(key),
            (Look::Shape, None) => Style::Shape(random_key()?),
            (Look::Token, Some(key)) => Style::Token(key),
            (Look::Token, None) => {
                let newest = vault_keys(home, Use::Seal)?.into_iter().next();
                Style::Token(newest.context("the vault gave no key; give one with `--key FILE`")?)
            }
        };
        let only = if self.only.is_empty() { vec![Wanted::Secret, Wanted::Personal] } else { self.only };
        let mut filter = Filter {
            scanner: scanner(&only, self.prose),
            replacer: Replacer::new(style),
            report: Report { version: 1, ..Report::default() },
        };
        let input = io::stdin().lock();
        if self.lines {
            filter.lines(input, &mut output)?;
        } else {
            filter.stream(input, &mut output)?;
        }
        output.flush()?;
        if self.json {
            let mut line = serde_json::to_vec(&filter.report)?;
            line.push(b'\n');
            io::stderr().write_all(&line)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

struct Filter {
    scanner: Scanner,
    replacer: Replacer,
    report: Report,
}

impl Filter {
    fn lines(&mut self, mut input: impl BufRead, output: &mut impl Write) -> anyhow::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            input
                .by_ref()
                .take(LINE_BYTES_MAX as u64)
                .read_until(b'\n', &mut line)
                .context("failed to read standard input")?;
            if line.is_empty() {
                return Ok(());
            }
            if !line.ends_with(b"\n") && line.len() == LINE_BYTES_MAX {
                // Too long to be held as a line: the rest is filtered as a stream.
                return self.stream(io::Cursor::new(line).chain(input), output);
            }
            self.report.bytes += line.len() as u64;
            let seen = self.scanner.scan(&line);
            self.write(&line, 0, &seen, output)?;
            output.flush()?;
        }
    }

    fn stream(&mut self, mut input: impl Read, output: &mut impl Write) -> anyhow::Result<()> {
        let mut stream: ScanStream = self.scanner.stream();
        let mut held: Vec<u8> = Vec::new();
        let mut offset = 0;
        let mut pending: Vec<Sighting> = Vec::new();
        loop {
            let fresh = held.len();
            let read = input.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut held);
            let read = read.context("failed to read standard input")?;
            self.report.bytes += read as u64;
            if read == 0 {
                break;
            }
            pending.extend(stream.push(held.get(fresh..).unwrap_or_default()));
            if held.len() <= 2 * HELD_BYTES {
                continue;
            }
            // What lies across the cut is written with what follows.
            let mut cut = offset + held.len() - HELD_BYTES;
            while let Some(across) = pending.iter().find(|seen| seen.span.start < cut && cut < seen.span.end) {
                cut = across.span.start;
            }
            let (ready, later) = pending.into_iter().partition(|seen| seen.span.end <= cut);
            pending = later;
            let count = cut - offset;
            self.write(held.get(..count).unwrap_or_default(), offset, &ready, output)?;
            held.drain(..count);
            offset = cut;
        }
        pending.extend(stream.finish());
        self.write(&held, offset, &pending, output)
    }

    /// Writes text with what was seen in it replaced; spans count from `offset`.
    fn write(&mut self, text: &[u8], offset: usize, seen: &[Sighting], output: &mut impl Write) -> anyhow::Result<()> {
        // A weak find of a secret is taken out too: what is lost is little, what would stay may be much.
        let counts = |seen: &&Sighting| seen.class == Class::Secret || seen.score >= REPORT_SCORE;
        let seen: Vec<Sighting> = seen
            .iter()
            .filter(counts)
            .map(|seen| {
                let span = seen.span.start.saturating_sub(offset)..seen.span.end.saturating_sub(offset);
                Sighting { span, ..seen.clone() }
            })
            .collect();
        for seen in &seen {
            self.report.replaced += 1;
            *self.report.kinds.entry(seen.kind).or_default() += 1;
        }
        output.write_all(&self.replacer.replace(text, &seen))?;
        Ok(())
    }
}

/// What the vault's key is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Seal,
    Restore,
}

/// The keys of tokens that the vault holds, newest first: a rotated one still opens what it sealed. The first use makes
/// one, and every use is on record.
fn vault_keys(home: Option<&Path>, wanted: Use) -> anyhow::Result<Vec<Key>> {
    let home = Home::open(home)?;
    let vault = Vault::open(&home)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let held = match runtime.block_on(vault.store.info(KEY_SECRET)) {
        Ok(info) => info.versions,
        Err(StoreError::Missing { .. }) if wanted == Use::Seal => {
            record(&home, "set", &format!("secret `{KEY_SECRET}` was made for tokens"))?;
            let made = SecretValue::copy(&*random_bytes()?)?;
            runtime.block_on(vault.store.write(KEY_SECRET, &made, Expect::New))?;
            runtime.block_on(vault.store.info(KEY_SECRET))?.versions
        }
        Err(StoreError::Missing { .. }) => bail!(
            "the vault holds no `{KEY_SECRET}`, so no token was made here; give the key they were made with by `--key FILE`"
        ),
        Err(error) => return Err(error.into()),
    };
    let (topic, done) = match wanted {
        Use::Seal => ("seal", "sealed what a filter took out"),
        Use::Restore => ("restore", "opened tokens of a filter"),
    };
    record(&home, topic, &format!("secret `{KEY_SECRET}` {done}"))?;
    let newest = held.iter().rev().take(if wanted == Use::Seal { 1 } else { VERSIONS_MAX });
    let read = newest.map(|version| {
        let lease = runtime.block_on(vault.store.read(KEY_SECRET, Some(version.number)))?;
        let shown = format!("secret {KEY_SECRET}, version {}", version.number);
        as_key(lease.value.expose(), &shown)
    });
    read.collect()
}

fn read_key(path: &Path) -> anyhow::Result<Key> {
    let shown = path.display();
    let mut bytes = Vec::new();
    // Hex has twice as many, and a newline.
    let file = File::open(path).with_context(|| format!("failed to read key `{shown}`"))?;
    file.take(2 * KEY_BYTES as u64 + 2)
        .read_to_end(&mut bytes)
        .with_context(|| format!("failed to read key `{shown}`"))?;
    as_key(&bytes, &shown.to_string())
}

/// The key that these bytes are, raw or in hex.
fn as_key(bytes: &[u8], shown: &str) -> anyhow::Result<Key> {
    let secret = match <[u8; KEY_BYTES]>::try_from(bytes) {
        Ok(secret) => Some(secret),
        Err(_) => from_hex(bytes.trim_ascii()),
    };
    match secret {
        Some(secret) => Ok(Key::new(secret)),
        None => bail!(
            "`{shown}` is no key: it needs {KEY_BYTES} bytes, raw or in hex; make one with `head -c {KEY_BYTES} /dev/urandom > FILE`"
        ),
    }
}

fn from_hex(text: &[u8]) -> Option<[u8; KEY_BYTES]> {
    let mut secret = [0; KEY_BYTES];
    if text.len() != 2 * KEY_BYTES {
        return None;
    }
    for (byte, digits) in secret.iter_mut().zip(text.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(secret)
}

fn random_key() -> anyhow::Result<Key> {
    Ok(Key::new(*random_bytes()?))
}

fn random_bytes() -> anyhow::Result<Zeroizing<[u8; KEY_BYTES]>> {
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(secret.as_mut_slice()).map_err(|error| anyhow::anyhow!("failed to make a random key: {error}"))?;
    Ok(secret)
}

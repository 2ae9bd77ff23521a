//! `bartizan policy import`: other programs' policies, manifests, settings and audit logs.

mod events;

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bartizan_import::aegisclaw::{self, AuditLog, Kind, TrustKey};
use bartizan_import::{EVENT_LINE_BYTES_MAX, FILE_BYTES_MAX, Fate, Imported, Mode, Report, clawdstrike};
use bartizan_policy::{BuiltinsOnly, Policy, Rego, Source};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::home::read_bounded;
use crate::output::{self, Style, short};

/// Convert another program's policies, manifests, settings and audit logs
#[derive(Args)]
pub struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Subcommand)]
enum From {
    /// Policies of Clawdstrike 1.1 to 1.3
    Clawdstrike(Clawdstrike),
    /// Manifests, config.yaml, auth.yaml, Rego and audit logs of AegisClaw
    Aegisclaw(Aegisclaw),
}

/// How faithful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Faithful {
    /// Decide exactly as the other program did, to compare
    Compat,
    /// The same intent under Bartizan's rules, with every difference told
    Hardened,
}

#[derive(Args)]
struct Clawdstrike {
    /// The policies
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// compat: decide exactly as the other program did, to compare; hardened: the same intent under Bartizan's rules
    #[arg(long, value_enum, default_value = "hardened")]
    mode: Faithful,
    #[command(flatten)]
    out: Out,
    /// Decide these events, one JSON object a line, under what was imported; relative paths start in `/workspace`
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Hold the decisions against these, as the other program's `check` printed them
    #[arg(long, value_name = "FILE", requires = "events")]
    expected: Option<PathBuf>,
}

#[derive(Args)]
struct Aegisclaw {
    /// The files; what each is follows from its name and content
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A key whose signatures under manifests count: 64 hexadecimal digits, perhaps after `name=`
    #[arg(long = "trust-key", value_name = "KEY")]
    trust_keys: Vec<String>,
    #[command(flatten)]
    out: Out,
}

/// Where the result goes.
#[derive(Args)]
struct Out {
    /// Write the policy here instead of to standard output; with several files, a directory
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// One file and what came of it.
#[derive(Serialize)]
struct Result {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rego: Option<String>,
    notes: Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<events::Compared>,
}

impl Import {
    pub fn run(self, style: Style) -> anyhow::Result<ExitCode> {
        let (results, out, good) = match self.from {
            From::Clawdstrike(from) => from.run()?,
            From::Aegisclaw(from) => from.run()?,
        };
        out.write(&results)?;
        if out.json {
            output::print_json(&results)?;
        } else {
            for result in &results {
                tell(result, style)?;
            }
        }
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Clawdstrike {
    fn run(self) -> anyhow::Result<(Vec<Result>, Out, bool)> {
        let mode = match self.mode {
            Faithful::Compat => Mode::Compat,
            Faithful::Hardened => Mode::Hardened,
        };
        let mut results = Vec::new();
        let mut good = true;
        for file in &self.files {
            let (name, bytes) = read(file)?;
            let imported = |mode| {
                clawdstrike::import(&name, &bytes, mode, &Files).with_context(|| format!("failed to import `{name}`"))
            };
            let Imported { policy, report } = imported(mode)?;
            let loaded = load(&policy)?;
            let events = match &self.events {
                Some(events) => {
                    // What it was is what compat mode decides.
                    let before = load(&imported(Mode::Compat)?.policy)?;
                    let compared = events::compare(events, self.expected.as_deref(), before, loaded, mode)?;
                    good &= compared.good();
                    Some(compared)
                }
                None => None,
            };
            results.push(Result { file: name, policy: Some(policy), rego: None, notes: report, events });
        }
        Ok((results, self.out, good))
    }
}

impl Aegisclaw {
    fn run(self) -> anyhow::Result<(Vec<Result>, Out, bool)> {
        let keys: Vec<TrustKey> =
            self.trust_keys.iter().map(|key| TrustKey::parse(key)).collect::<std::result::Result<_, _>>()?;
        let mut results = Vec::new();
        let mut good = true;
        for file in &self.files {
            let shown = file.display().to_string();
            let begin = read_start(file)?;
            let Some(kind) = Kind::of(&shown, &begin) else {
                bail!(
                    "`{shown}` is no manifest, config.yaml, auth.yaml, Rego module or audit log; name it so that it can be told"
                );
            };
            let failed = || format!("failed to import `{shown}`");
            let mut result =
                Result { file: shown.clone(), policy: None, rego: None, notes: Report::default(), events: None };
            match kind {
                Kind::Audit => {
                    let (notes, holds) = audit(file)?;
                    result.notes = notes;
                    good &= holds;
                }
                Kind::Rego => {
                    let (_, bytes) = read(file)?;
                    let adapter = aegisclaw::adapt(&bytes, &mut result.notes).with_context(failed)?;
                    Rego::compile(&[Source::new("the imported module", adapter.as_bytes())])
                        .map_err(|errors| anyhow::anyhow!("it can't be used, so nothing was written: {errors}"))
                        .with_context(failed)?;
                    result.rego = Some(adapter);
                }
                Kind::Manifest | Kind::Config | Kind::Auth => {
                    let (_, bytes) = read(file)?;
                    let imported = match kind {
                        Kind::Manifest => aegisclaw::import_manifest(&bytes, &keys).with_context(failed)?,
                        Kind::Config => aegisclaw::import_config(&bytes).with_context(failed)?,
                        _ => aegisclaw::import_auth(&bytes).with_context(failed)?,
                    };
                    result.notes = imported.report;
                    if !imported.policy.is_empty() {
                        load(&imported.policy)?;
                        result.policy = Some(imported.policy);
                    }
                }
            }
            results.push(result);
        }
        Ok((results, self.out, good))
    }
}

/// A policy that was imported must be one Bartizan reads; if not, the import is wrong and nothing is written.
fn load(policy: &str) -> anyhow::Result<Policy> {
    Policy::load(&Source::new("the imported policy", policy.as_bytes()), &BuiltinsOnly)
        .map_err(|errors| anyhow::anyhow!("the result can't be read, so nothing was written; report this: {errors}"))
}

fn read(file: &Path) -> anyhow::Result<(String, Vec<u8>)> {
    let path = fs::canonicalize(file).with_context(|| format!("there is no file `{}`", file.display()))?;
    let bytes = read_bounded(&path, FILE_BYTES_MAX as u64 + 1)
        .with_context(|| format!("failed to read `{}`", file.display()))?;
    Ok((path.display().to_string(), bytes))
}

/// Enough of a file to tell what it is.
fn read_start(file: &Path) -> anyhow::Result<Vec<u8>> {
    let open = || format!("failed to read `{}`", file.display());
    let mut begin = Vec::new();
    fs::File::open(file).with_context(open)?.take(64 * 1024).read_to_end(&mut begin).with_context(open)?;
    Ok(begin)
}

/// Checks an audit log of any length; the notes say what holds.
fn audit(file: &Path) -> anyhow::Result<(Report, bool)> {
    let failed = || format!("failed to read `{}`", file.display());
    let mut input = BufReader::new(fs::File::open(file).with_context(failed)?);
    let mut log = AuditLog::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read =
            input.by_ref().take(EVENT_LINE_BYTES_MAX as u64 + 2).read_until(b'\n', &mut line).with_context(failed)?;
        if read == 0 {
            return Ok((log.report(), true));
        }
        if let Err(problem) = log.take(line.strip_suffix(b"\n").unwrap_or(&line)) {
            return Ok((log.broken(&problem), false));
        }
    }
}

/// Files that policies extend by path: beside the file that names them.
struct Files;

impl clawdstrike::Loader for Files {
    fn load(&self, reference: &str, from: &str) -> std::result::Result<(String, Vec<u8>), String> {
        let directory = Path::new(from).parent().unwrap_or(Path::new("."));
        let path = fs::canonicalize(directory.join(reference))
            .map_err(|_| "there is no such file beside it, and no ruleset of that name".to_owned())?;
        let bytes = read_bounded(&path, FILE_BYTES_MAX as u64 + 1).map_err(|error| error.to_string())?;
        Ok((path.display().to_string(), bytes))
    }
}

impl Out {
    /// Writes what is to be written; nothing that exists is overwritten.
    fn write(&self, results: &[Result]) -> anyhow::Result<()> {
        let Some(out) = &self.out else { return Ok(()) };
        let pieces = results.iter().flat_map(|result| {
            let policy = result.policy.as_ref().map(|text| (&result.file, "yaml", text));
            policy.into_iter().chain(result.rego.as_ref().map(|text| (&result.file, "bartizan.rego", text)))
        });
        let pieces: Vec<(&String, &str, &String)> = pieces.collect();
        if let ([(_, _, text)], false) = (pieces.as_slice(), out.is_dir()) {
            return create(out, text);
        }
        fs::create_dir_all(out).with_context(|| format!("failed to make the directory `{}`", out.display()))?;
        for (file, extension, text) in pieces {
            let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            // Skills' manifests are all called alike; their directory tells them apart.
            let stem = match Path::new(file).parent().and_then(Path::file_name) {
                Some(directory) if matches!(stem.as_str(), "skill" | "manifest") => {
                    directory.to_string_lossy().into_owned()
                }
                _ => stem,
            };
            create(&out.join(format!("{stem}.{extension}")), text)?;
        }
        Ok(())
    }
}

fn create(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("failed to write `{}`; what exists is not overwritten", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)
}

/// The policy on standard output, what became of it on standard error.
fn tell(result: &Result, style: Style) -> anyhow::Result<()> {
    let mut stderr = io::stderr().lock();
    for text in result.policy.iter().chain(&result.rego) {
        write!(io::stdout().lock(), "{text}")?;
    }
    writeln!(stderr, "{}", style.bold(&short(&result.file, 200)))?;
    for note in &result.notes.notes {
        let fate = format!("{:14}", note.fate.as_str());
        let fate = match note.fate {
            Fate::Converted => style.good(&fate),
            Fate::Stricter | Fate::NoEquivalent => style.warn(&fate),
            Fate::Remark => style.dim(&fate),
        };
        writeln!(stderr, "  {fate} {}: {}", short(&note.part, 160), short(&note.reason, 400))?;
    }
    if let Some(events) = &result.events {
        events.tell(&mut stderr, style)?;
    }
    Ok(())
}

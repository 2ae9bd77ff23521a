//! `bartizan policy bundle`: policies as signed, versioned parcels.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use bartizan_crypto::{Envelope, PublicKey, key_file};
use bartizan_policy::bundle::{BYTES_MAX, Bundle as Parcel, BundleVersion, FILES_MAX};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::bundles;
use crate::git;
use crate::home::{Home, read_bounded, write_new};
use crate::output::{self, Style};
use crate::wiring::{Trust, note};

/// Largest PEM file of a public key.
const PEM_BYTES_MAX: u64 = 4096;

/// Build, sign, check, pass on and install policy bundles
#[derive(Subcommand)]
pub enum Bundle {
    /// Make a bundle of a directory, or of a Git repository at a commit
    Build(Build),
    /// Add a signature to a bundle
    Sign {
        /// The bundle
        file: PathBuf,
        /// The private key, PKCS#8 PEM [default: this home's]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Check who signed a bundle and what is in it
    Verify {
        /// The bundle
        file: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a signed bundle into a directory or Git repository others pull from, or on a web server
    Push {
        /// The bundle
        file: PathBuf,
        /// The directory, the path of a Git repository, or the URL of a web server that takes uploads
        destination: PathBuf,
    },
    /// Fetch a bundle from a directory, Git repository or web server, and check it
    Pull {
        /// The directory, the path of a Git repository, or a URL
        source: PathBuf,
        /// Its name, or `NAME@VERSION` [default: the highest version]
        name: String,
        /// Where to write it [default: NAME-VERSION.bundle.json]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Install a signed bundle and put it in force where a policy names it
    Install {
        /// The bundle
        file: PathBuf,
    },
    /// Put an older installed version in force again
    Rollback {
        /// The bundle's name
        name: String,
        /// The version [default: the one before]
        #[arg(long, value_name = "VERSION")]
        to: Option<BundleVersion>,
    },
    /// List installed bundles, and whose signatures count
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let signatures of a public key count
    Trust {
        /// The key, SPKI PEM
        key: PathBuf,
    },
    /// Let signatures of a key never count again
    Revoke {
        /// Its id, as `list` shows it
        key_id: String,
    },
}

/// Make a bundle
#[derive(Args)]
pub struct Build {
    /// The directory with `bundle.yaml`, or a Git repository when a commit is named
    path: PathBuf,
    /// Take the files of this commit of the repository, whatever lies in its working tree
    #[arg(long, value_name = "REVISION")]
    commit: Option<String>,
    /// The directory with `bundle.yaml` in that commit
    #[arg(long, value_name = "DIRECTORY", requires = "commit", default_value = "")]
    below: String,
    /// Where to write it [default: NAME-VERSION.bundle.json]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Bundle {
    pub fn run(self, home: &Home, style: Style) -> anyhow::Result<ExitCode> {
        match self {
            Self::Build(build) => build.run(),
            Self::Sign { file, key } => sign(home, &file, key.as_deref()),
            Self::Verify { file, json } => verify(home, style, &file, json),
            Self::Push { file, destination } => push(home, &file, &destination),
            Self::Pull { source, name, output } => pull(home, &source, &name, output),
            Self::Install { file } => install(home, &file),
            Self::Rollback { name, to } => rollback(home, &name, to),
            Self::List { json } => list(home, style, json),
            Self::Trust { key } => trust(home, &key),
            Self::Revoke { key_id } => revoke(home, &key_id),
        }
    }
}

impl Build {
    fn run(self) -> anyhow::Result<ExitCode> {
        let bundle = match &self.commit {
            None => bundles::from_directory(&self.path)?,
            Some(revision) => {
                let repository = git::Commits::open(&self.path)?;
                let commit = repository.commit(revision)?;
                let wanted = git::Wanted {
                    below: &self.below,
                    takes: Parcel::takes,
                    files_max: FILES_MAX,
                    bytes_max: BYTES_MAX,
                };
                Parcel::new(repository.files(commit, &wanted)?, Some(commit.to_string()))?
            }
        };
        let file = self.output.unwrap_or_else(|| default_file(&bundle));
        write(&file, &bundles::unsigned(&bundle)?)?;
        writeln!(io::stdout(), "{} {} ({} files)", file.display(), bundle.digest(), bundle.paths().count())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn default_file(bundle: &Parcel) -> PathBuf {
    PathBuf::from(format!("{}-{}.bundle.json", bundle.manifest().name, bundle.manifest().version))
}

/// Writes a bundle's file; another one of that name stays as it is.
fn write(file: &Path, json: &str) -> anyhow::Result<()> {
    let file = std::path::absolute(file)?;
    if !write_new(&file, json.as_bytes())? {
        bail!("`{}` is there already; move it away or name another with --output", file.display());
    }
    Ok(())
}

fn sign(home: &Home, file: &Path, key: Option<&Path>) -> anyhow::Result<ExitCode> {
    let key = match key {
        Some(file) => key_file::load(file)?,
        None => key_file::load(&home.key_file())?,
    };
    let mut envelope = bundles::read_envelope(file)?;
    let statement = envelope.payload_bytes().context("the bundle's payload is no base64; build it again")?;
    // Nobody should sign what they can't install.
    let bundle = Parcel::from_statement(&statement)?;
    let signed = Envelope::sign(bartizan_policy::bundle::PAYLOAD_TYPE, &statement, &key);
    let id = key.public().key_id();
    envelope.payload_type = signed.payload_type;
    envelope.signatures.retain(|signature| signature.keyid != id);
    envelope.signatures.extend(signed.signatures);
    crate::home::replace(&std::path::absolute(file)?, envelope.to_json()?.as_bytes())?;
    writeln!(io::stdout(), "signed {} {} with key {id}", bundle.manifest().name, bundle.manifest().version)?;
    Ok(ExitCode::SUCCESS)
}

fn verify(home: &Home, style: Style, file: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let bundles = Trust::open(home)?.bundles()?;
    let (bundle, key) = bundles.verify(&bundles::read_envelope(file)?)?;
    let manifest = bundle.manifest();
    if as_json {
        output::print_json(&json!({
            "name": manifest.name,
            "version": manifest.version.to_string(),
            "description": manifest.description,
            "digest": bundle.digest(),
            "commit": bundle.commit(),
            "key": key,
            "policy": manifest.policy,
            "overlays": manifest.overlays,
            "files": bundle.paths().collect::<Vec<_>>(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{} {} {}", style.good("verified"), manifest.name, manifest.version)?;
    writeln!(stdout, "  digest  {}", bundle.digest())?;
    writeln!(stdout, "  key     {key}")?;
    if let Some(commit) = bundle.commit() {
        writeln!(stdout, "  commit  {commit}")?;
    }
    for path in bundle.paths() {
        writeln!(stdout, "  {path}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn push(home: &Home, file: &Path, destination: &Path) -> anyhow::Result<ExitCode> {
    let envelope = bundles::read_envelope(file)?;
    let (bundle, _) = Trust::open(home)?.bundles()?.verify(&envelope)?;
    bundles::push(home, &bundle, &envelope, destination)?;
    writeln!(
        io::stdout(),
        "{} {} is in `{}`",
        bundle.manifest().name,
        bundle.manifest().version,
        destination.display()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn pull(home: &Home, source: &Path, named: &str, output: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let (name, version) = match named.split_once('@') {
        Some((name, version)) => (name, Some(version.parse().map_err(anyhow::Error::msg)?)),
        None => (named, None),
    };
    let (envelope, version) = bundles::pull(home, source, name, version)?;
    let (bundle, key) = Trust::open(home)?.bundles()?.verify(&envelope)?;
    if bundle.manifest().name != name || bundle.manifest().version != version {
        bail!(
            "`{}` holds {} {} under that name; whoever keeps it mixed them up, don't use it",
            source.display(),
            bundle.manifest().name,
            bundle.manifest().version
        );
    }
    let file = output.unwrap_or_else(|| default_file(&bundle));
    write(&file, &envelope.to_json()?)?;
    writeln!(io::stdout(), "{} {} signed by {key}", file.display(), bundle.digest())?;
    Ok(ExitCode::SUCCESS)
}

fn install(home: &Home, file: &Path) -> anyhow::Result<ExitCode> {
    let envelope = bundles::read_envelope(file)?;
    let bundle = Trust::open(home)?.bundles()?.change(|bundles| {
        let bundle = bundles.install(&envelope)?;
        let (name, version) = (&bundle.manifest().name, bundle.manifest().version);
        note(home, "bundle.install", &format!("{name} {version} {} is in force", bundle.digest()))?;
        Ok(bundle)
    })?;
    let (name, version) = (&bundle.manifest().name, bundle.manifest().version);
    writeln!(
        io::stdout(),
        "{name} {version} is in force; use it with `--policy bundle:{name}`, or write `policy: bundle:{name}` into `{}`",
        home.config_file().display()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn rollback(home: &Home, name: &str, to: Option<BundleVersion>) -> anyhow::Result<ExitCode> {
    let version = Trust::open(home)?.bundles()?.change(|bundles| {
        let version = bundles.rollback(name, to)?;
        note(home, "bundle.rollback", &format!("{name} {version} is in force again"))?;
        Ok(version)
    })?;
    writeln!(io::stdout(), "{name} {version} is in force again")?;
    Ok(ExitCode::SUCCESS)
}

fn list(home: &Home, style: Style, as_json: bool) -> anyhow::Result<ExitCode> {
    let bundles = Trust::open(home)?.bundles()?;
    if as_json {
        let installed: BTreeMap<_, _> = bundles.installed().collect();
        output::print_json(&json!({
            "bundles": installed,
            "trusted": bundles.trusted().collect::<Vec<_>>(),
            "revoked": bundles.revoked().collect::<Vec<_>>(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut stdout = io::stdout().lock();
    for (name, installed) in bundles.installed() {
        for (version, digest) in &installed.digests {
            let mark = if *version == installed.active { style.good("in force") } else { style.dim("kept    ") };
            writeln!(stdout, "{mark}  {name} {version}  {digest}")?;
        }
    }
    for key in bundles.trusted() {
        writeln!(stdout, "trusted   {key}")?;
    }
    for key in bundles.revoked() {
        writeln!(stdout, "{}   {key}", style.bad("revoked"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn trust(home: &Home, file: &Path) -> anyhow::Result<ExitCode> {
    let bytes = read_bounded(file, PEM_BYTES_MAX).with_context(|| format!("failed to read `{}`", file.display()))?;
    let key = PublicKey::from_pem(&String::from_utf8_lossy(&bytes))
        .with_context(|| format!("`{}` holds no key that can be trusted", file.display()))?;
    Trust::open(home)?.bundles()?.change(|bundles| {
        bundles.trust(&key)?;
        note(home, "bundle.trust", &format!("signatures of key {} count for bundles", key.key_id()))
    })?;
    writeln!(io::stdout(), "signatures of key {} count", key.key_id())?;
    Ok(ExitCode::SUCCESS)
}

fn revoke(home: &Home, id: &str) -> anyhow::Result<ExitCode> {
    Trust::open(home)?.bundles()?.change(|bundles| {
        bundles.revoke(id)?;
        note(home, "bundle.revoke", &format!("signatures of key {id} count for bundles no more"))
    })?;
    writeln!(io::stdout(), "signatures of key {id} count no more; what only it signed can't be used from now on")?;
    Ok(ExitCode::SUCCESS)
}

//! Finds the policy in force: the user's choice, what it extends, and the project's narrowing.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bartizan_model::Scope;
use bartizan_policy::builtin;
use bartizan_policy::bundle::Bundle;
use bartizan_policy::{Context, Loader, POLICY_BYTES_MAX, Policy, PolicySet, Source, granted};
use clap::Args;

use crate::account::Account;
use crate::bundles::Bundles;
use crate::exceptions;
use crate::home::{Home, read_bounded};
use crate::secrets;
use crate::wiring::Trust;

/// A project's policy, looked for from the workspace upwards.
const PROJECT_FILE: &str = "bartizan.yaml";

/// How the name of an installed bundle starts where a policy is named.
const BUNDLE_PREFIX: &str = "bundle:";

/// What the user chose on the command line.
#[derive(Debug, Clone, Default, Args)]
pub struct Choice {
    /// The persona: a built-in or one of your own
    #[arg(long, value_name = "NAME")]
    pub persona: Option<String>,
    /// The policy, instead of the configured one; with `--persona` it narrows the persona
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Narrow it by this overlay: soc2, hipaa, gdpr, pci, eu, us or a file
    #[arg(long = "overlay", value_name = "NAME")]
    pub overlays: Vec<String>,
    /// Grant this scope, and nothing that isn't granted: files.read:./src, shell.exec:git, net.outbound:HOST, …
    #[arg(long = "grant", value_name = "SCOPE")]
    pub grants: Vec<Scope>,
    /// The secrets that are lent: what their owner bound them to counts.
    #[arg(skip)]
    pub lent: Vec<String>,
}

/// The policy in force and where it came from.
#[derive(Debug, Clone)]
pub struct Policies {
    /// Compiled.
    pub set: Arc<PolicySet>,
    /// The persona, where one was chosen.
    pub persona: Option<String>,
    /// What people call it.
    pub label: String,
    /// The directory worked in, links resolved.
    pub workspace: PathBuf,
    /// The user's home directory, links resolved.
    pub user_home: PathBuf,
    /// The files it was read from.
    pub files: Vec<PathBuf>,
    /// Everything a change of which may change the policy, there or not.
    pub watched: Vec<PathBuf>,
}

impl Policies {
    /// Loads the policy for work in this directory.
    pub fn load(home: &Home, choice: &Choice, workspace: &Path) -> anyhow::Result<Self> {
        let workspace = fs::canonicalize(workspace).with_context(|| {
            format!("the workspace `{}` can't be reached; change to a directory that can", workspace.display())
        })?;
        let user_home = Account::current().home.context("this account has no home directory; set HOME")?;
        let user_home = fs::canonicalize(&user_home).unwrap_or(user_home);
        let config = home.config()?;
        let persona =
            choice.persona.clone().or_else(|| choice.policy.is_none().then(|| config.persona.clone()).flatten());
        let named_bundle = match &choice.policy {
            Some(file) => file.to_str().and_then(|name| name.strip_prefix(BUNDLE_PREFIX)),
            None => config.policy.strip_prefix(BUNDLE_PREFIX),
        };
        let parcel = named_bundle.map(|name| Trust::open(home)?.bundles()?.in_force(name)).transpose()?;
        let bundle = parcel.as_ref().map(|parcel| &parcel.bundle);
        let loader = UserFiles { personas: home.personas(), policies: home.path().join("policies"), bundle };
        let chosen = |file: &Path| match bundle {
            Some(bundle) => Ok(bundle.policy_source()),
            None => read_policy(file),
        };
        let source = match (&choice.policy, &persona) {
            (_, Some(persona)) => named(&loader, persona)?,
            (Some(file), None) => chosen(file)?,
            (None, None) => match bundle {
                Some(bundle) => bundle.policy_source(),
                None => configured(home, &loader, &config.policy)?,
            },
        };
        let user = Policy::load(&source, &loader).map_err(|errors| anyhow::anyhow!("{errors}"))?;
        let mut narrowing = Vec::new();
        if let (Some(file), Some(_)) = (&choice.policy, &persona) {
            let policy = Policy::load(&chosen(file)?, &loader);
            narrowing.push(policy.map_err(|errors| anyhow::anyhow!("{errors}"))?);
        }
        narrowing.extend(bundle.map_or(Ok(Vec::new()), Bundle::overlays)?);
        for name in config.overlays.iter().chain(&choice.overlays) {
            let policy = Policy::load(&overlay(home, name)?, &loader);
            narrowing.push(policy.map_err(|errors| anyhow::anyhow!("{errors}"))?);
        }
        if !choice.grants.is_empty() {
            let source = granted(&choice.grants).map_err(anyhow::Error::msg)?;
            narrowing.push(Policy::load(&source, &loader).map_err(|errors| anyhow::anyhow!("{errors}"))?);
        }
        let project_file = find_project(&workspace, &user_home);
        if let Some(file) = &project_file {
            let directory = file.parent().unwrap_or(&workspace).to_owned();
            let policy = Policy::load(&read_policy(file)?, &ProjectFiles { directory });
            narrowing.push(policy.map_err(|errors| anyhow::anyhow!("{errors}"))?);
        }
        let mut context = Context::new(&user_home, &workspace)?.with_control(&resolved(home.path()))?;
        let sources = user.sources().iter().chain(narrowing.iter().flat_map(|policy| policy.sources()));
        let files: Vec<PathBuf> = sources.map(PathBuf::from).filter(|path| path.is_absolute()).collect();
        for file in &files {
            context = context.with_protected(file)?;
        }
        let label = persona.clone().or_else(|| user.name().map(str::to_owned)).unwrap_or_else(|| source.name.clone());
        let set = PolicySet::new(user, narrowing, context)?
            .with_bundle(parcel.map(|parcel| parcel.reference))
            .with_exceptions(exceptions::load(home))
            .with_grants(secrets::grants(home, &choice.lent)?);
        let mut watched = files.clone();
        watched.push(home.config_file());
        watched.push(exceptions::directory(home));
        watched.push(secrets::grants_file(home));
        watched.push(Bundles::state_file(home));
        watched.extend(project_candidates(&workspace, &user_home));
        Ok(Self { set: Arc::new(set), persona, label, workspace, user_home, files, watched })
    }

    /// Loads a policy by its name or file, for work in this directory.
    pub fn named(home: &Home, name: &str, workspace: &Path) -> anyhow::Result<Self> {
        let is_file = name.contains('/') || [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
        if !is_file && builtin::text(name).is_none() && Path::new(name).is_file() {
            bail!("`{name}` is a file here and no ruleset or persona; write `./{name}` for the file");
        }
        let choice = if is_file {
            Choice { policy: Some(name.into()), ..Choice::default() }
        } else {
            Choice { persona: Some(name.to_owned()), ..Choice::default() }
        };
        Self::load(home, &choice, workspace)
    }

    /// One line on where it comes from.
    pub fn describe(&self) -> String {
        let narrowing: Vec<&str> =
            self.set.narrowing().filter_map(|policy| policy.sources().first().map(String::as_str)).collect();
        let narrowing =
            if narrowing.is_empty() { String::new() } else { format!(", narrowed by {}", narrowing.join(" and ")) };
        let bundle = self.set.bundle().map(|bundle| format!(", bundle {} {}", bundle.name, bundle.version));
        format!("`{}`{narrowing}{}, {}", self.label, bundle.unwrap_or_default(), self.set.digest())
    }
}

fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn configured(home: &Home, loader: &UserFiles<'_>, name: &str) -> anyhow::Result<Source> {
    if name.contains('/') || name.ends_with(".yaml") {
        return read_policy(&home.path().join(name));
    }
    named(loader, name)
}

fn named(loader: &UserFiles<'_>, name: &str) -> anyhow::Result<Source> {
    if let Some(text) = builtin::text(name) {
        return Ok(Source::new(format!("builtin:{name}"), text));
    }
    if let Some(source) = loader.named(name) {
        return Ok(source);
    }
    // A file that extends the unknown name: the policy crate then suggests near ones.
    let quoted = serde_json::to_string(name)?;
    Ok(Source::new(name, format!("bartizan: 1\nname: {quoted}\nextends: {quoted}\n")))
}

fn read_policy(file: &Path) -> anyhow::Result<Source> {
    let path = fs::canonicalize(file)
        .with_context(|| format!("there is no policy at `{}`; write one or name another", file.display()))?;
    read_source(&path).with_context(|| format!("failed to read the policy `{}`", file.display()))
}

fn read_source(path: &Path) -> io::Result<Source> {
    // One byte more than allowed, so that the language's own check names the size.
    let bytes = read_bounded(path, POLICY_BYTES_MAX as u64 + 1)?;
    let name = path.to_str().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "its path is not UTF-8"))?;
    Ok(Source::new(name, bytes))
}

fn find_project(workspace: &Path, user_home: &Path) -> Option<PathBuf> {
    project_candidates(workspace, user_home).find(|file| file.is_file())
}

/// Where a project's policy may lie, nearest first.
fn project_candidates(workspace: &Path, user_home: &Path) -> impl Iterator<Item = PathBuf> {
    let ancestors =
        workspace.ancestors().take_while(move |directory| *directory != user_home || workspace == user_home);
    ancestors.map(|directory| directory.join(PROJECT_FILE))
}

/// An overlay: a built-in one, or a file relative to the home.
fn overlay(home: &Home, name: &str) -> anyhow::Result<Source> {
    if let Some(source) = builtin::overlay_source(name) {
        return Ok(source);
    }
    if name.contains('/') || name.ends_with(".yaml") {
        return read_policy(&home.path().join(name));
    }
    bail!("there is no overlay `{name}`; built in are {}, a file ends in `.yaml`", builtin::OVERLAYS.join(", "))
}

/// What the user's own policies may extend: files beside them and personas of the home.
struct UserFiles<'a> {
    personas: PathBuf,
    policies: PathBuf,
    bundle: Option<&'a Bundle>,
}

impl Loader for UserFiles<'_> {
    fn file(&self, reference: &str, from: &str) -> Result<Source, String> {
        // What lies in a bundle names only what lies in it too.
        if let Some(bundle) = self.bundle.filter(|bundle| from.starts_with(&bundle.prefix())) {
            return bundle.file(reference, from);
        }
        let beside = Path::new(from).parent().filter(|parent| parent.is_absolute()).unwrap_or(&self.policies);
        let path = match reference.strip_prefix("~/") {
            Some(rest) => {
                Account::current().home.ok_or("this account has no home directory; write the whole path")?.join(rest)
            }
            None => beside.join(reference),
        };
        let shown = path.display().to_string();
        let path =
            fs::canonicalize(path).map_err(|error| format!("`{shown}` can't be read ({error}); correct the path"))?;
        read_source(&path).map_err(|error| format!("`{shown}` can't be read ({error}); correct the path"))
    }

    fn named(&self, name: &str) -> Option<Source> {
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.') {
            return None;
        }
        let candidates = [&self.personas, &self.policies].map(|directory| directory.join(format!("{name}.yaml")));
        let own = candidates.iter().find_map(|file| read_source(file).ok());
        own.or_else(|| self.bundle?.persona_source(name))
    }
}

/// What a project's policy may extend: built-ins and files below its own directory. It is written by whoever
/// wrote the project, so it must not make us read anything else.
struct ProjectFiles {
    directory: PathBuf,
}

impl Loader for ProjectFiles {
    /// A module is a program, and this one would come with the project.
    fn module(&self, reference: &str, _: &str) -> Result<Source, String> {
        Err(format!(
            "`{reference}`: a project's policy brings no Rego and no WebAssembly, which would run here before you have read it; name it in your own policy"
        ))
    }

    fn file(&self, reference: &str, from: &str) -> Result<Source, String> {
        let refuse = || {
            format!(
                "`{reference}` lies outside the project; a project's policy extends built-ins and files below its own directory"
            )
        };
        let relative = Path::new(reference);
        if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(refuse());
        }
        let path = Path::new(from).parent().unwrap_or(&self.directory).join(relative);
        let path = fs::canonicalize(path)
            .map_err(|error| format!("`{reference}` can't be read ({error}); correct the path"))?;
        if !path.starts_with(resolved(&self.directory)) {
            return Err(refuse());
        }
        read_source(&path).map_err(|error| format!("`{reference}` can't be read ({error}); correct the path"))
    }
}

/// Stamps of the policy's files, to notice a change without reading them.
#[derive(Debug, PartialEq, Eq)]
pub struct Stamps(Vec<Option<(std::time::SystemTime, u64)>>);

impl Stamps {
    /// The files as they are now.
    pub fn of(files: &[PathBuf]) -> Self {
        let stamp = |file: &PathBuf| {
            let metadata = fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        Self(files.iter().map(stamp).collect())
    }
}

/// The directory must be one that may be given to an agent whole.
pub fn check_workspace(policies: &Policies) -> anyhow::Result<()> {
    let workspace = &policies.workspace;
    let too_much = workspace.parent().is_none()
        || *workspace == policies.user_home
        || policies.user_home.starts_with(workspace)
        || [
            "/usr", "/etc", "/var", "/home", "/root", "/boot", "/bin", "/lib", "/sbin", "/opt", "/dev", "/proc",
            "/sys", "/run",
        ]
        .iter()
        .any(|place| workspace == Path::new(place));
    if too_much {
        bail!(
            "`{}` is too much to hand to an agent; change to the project's own directory and run it there",
            workspace.display()
        );
    }
    Ok(())
}

//! A skill's manifest, and the policy its scopes amount to.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::signature::{self, SignatureError, TrustKey};
use crate::read::{self, ReadError};
use crate::report::{Fate, Report, quoted as shown};
use crate::write::{Writer, accepted};
use bartizan_model::{Scope, ScopeError};

/// Most scopes, services and commands of one skill.
const ENTRIES_MAX: usize = 256;

/// Why a manifest can't be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It grants something that isn't known.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// Its signature doesn't hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A part makes no sense.
    #[error("{0}")]
    Shape(String),
}

/// A manifest as it is written. The order of the fields is the order they are signed in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) platform: String,
    #[serde(default)]
    pub(crate) compose_file: String,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) services: Option<BTreeMap<String, Service>>,
    pub(crate) commands: Option<BTreeMap<String, Command>>,
    #[serde(default)]
    pub(crate) signature: String,
}

/// One service of a skill made of several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) scopes: Option<Vec<String>>,
}

/// One command of a skill.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    pub(crate) args: Option<Vec<String>>,
    pub(crate) env: Option<Vec<String>>,
}

impl Manifest {
    /// Reads a manifest; unknown keys and platforms are refused.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = read::yaml(bytes)?;
        if manifest.name.is_empty() {
            return Err(ManifestError::Shape("the key `name` is missing".into()));
        }
        if !matches!(manifest.platform.as_str(), "" | "docker" | "docker-compose") {
            let platform = shown(&manifest.platform);
            return Err(ManifestError::Shape(format!(
                "platform `{platform}` is not known; it is `docker` or `docker-compose`"
            )));
        }
        let counts = [
            manifest.scopes.as_ref().map_or(0, Vec::len),
            manifest.services.as_ref().map_or(0, BTreeMap::len),
            manifest.commands.as_ref().map_or(0, BTreeMap::len),
        ];
        if counts.into_iter().any(|count| count > ENTRIES_MAX) {
            return Err(ManifestError::Shape(format!(
                "a skill has at most {ENTRIES_MAX} scopes, services and commands"
            )));
        }
        manifest.all_scopes()?;
        Ok(manifest)
    }

    /// Who signed it; `None` when it isn't signed.
    ///
    /// # Errors
    /// There is a signature, and none of the keys made it.
    pub fn verify<'k>(&self, keys: &'k [TrustKey]) -> Result<Option<&'k TrustKey>, SignatureError> {
        signature::verify(self, keys)
    }

    /// Its scopes, those of its services included.
    fn all_scopes(&self) -> Result<Vec<Scope>, ScopeError> {
        let services =
            self.services.iter().flat_map(BTreeMap::values).flat_map(|service| service.scopes.iter().flatten());
        self.scopes.iter().flatten().chain(services).map(|scope| absolute(Scope::parse(scope)?)).collect()
    }

    pub(super) fn write(&self, report: &mut Report) -> String {
        let scopes = self.all_scopes().unwrap_or_default();
        let mut grants = Grants::default();
        for scope in &scopes {
            grants.take(scope, report);
        }
        self.commands(&mut grants, report);
        if !self.image.is_empty() {
            report.add(
                "image",
                Fate::NoEquivalent,
                format!("a policy names no image; `{}` would run in the box you start it in", shown(&self.image)),
            );
        }
        if !self.compose_file.is_empty() || self.platform == "docker-compose" {
            report.add(
                "compose_file",
                Fate::NoEquivalent,
                "a policy is over one box; import each service's scopes for a box of its own",
            );
        }
        let mut out = Writer::default();
        out.comment(&format!(
            "Imported from the manifest of the skill `{}`, version `{}`.",
            shown(&self.name),
            shown(&self.version)
        ));
        out.word("bartizan", 1);
        out.text("name", &self.name);
        if !self.description.is_empty() {
            out.text("description", &self.description);
        }
        out.list("extends", &["strict"]);
        out.blank();
        out.section("files", |out| {
            out.list("read", &grants.read);
            out.list("write", &grants.write);
        });
        out.section("exec", |out| {
            out.list("allow", &grants.run);
            out.list("ask", &grants.ask_run);
        });
        out.section("net", |out| {
            if grants.ask_net {
                out.word("default", "ask");
            }
            out.list("allow", &grants.hosts);
        });
        out.section("secrets", |out| out.list("ask", &grants.secrets));
        out.section("messages", |out| out.list("ask", &grants.messages));
        out.section("env", |out| {
            out.section("set", |out| {
                for (name, value) in &grants.env {
                    out.text(name, value);
                }
            });
        });
        if !grants.hosts.is_empty() || grants.ask_net {
            out.section("limits", |out| {
                out.word("egress_bytes", "16MiB");
                out.word("connections", 32);
            });
        }
        out.finish()
    }

    fn commands(&self, grants: &mut Grants, report: &mut Report) {
        for (name, command) in self.commands.iter().flatten() {
            let args = command.args.as_deref().unwrap_or_default();
            let part = format!("commands.{}", shown(name));
            if args.is_empty() {
                report.add(part.as_str(), Fate::Remark, "it names no program");
            } else if args.iter().all(|arg| is_plain_word(arg)) {
                grants.run.push(format!("{} **", args.join(" ")));
                report.add(part.as_str(), Fate::Converted, "the command may be started, with further arguments");
            } else {
                report.add(
                    part.as_str(),
                    Fate::NoEquivalent,
                    "its words need quoting a command pattern doesn't have; add it to `exec.allow` by hand",
                );
            }
            for variable in command.env.iter().flatten() {
                match variable.split_once('=') {
                    Some((name, value)) if is_variable(name) && !grants.env.contains_key(name) => {
                        grants.env.insert(name.to_owned(), value.to_owned());
                    }
                    Some((name, value)) if grants.env.get(name).is_some_and(|known| known == value) => {}
                    _ => report.add(
                        format!("{part}.env `{}`", shown(variable)),
                        Fate::NoEquivalent,
                        "it is no `NAME=value`, or another command sets the name to something else",
                    ),
                }
            }
        }
    }
}

/// A manifest is read far from the directory it will work in, so its paths are absolute.
fn absolute(scope: Scope) -> Result<Scope, ScopeError> {
    let names_a_path = matches!(scope.name, "files.read" | "files.write");
    if names_a_path && scope.resource.as_deref().is_some_and(|path| !path.starts_with('/')) {
        return Err(ScopeError::Resource { scope: scope.to_string(), problem: "a path is absolute" });
    }
    Ok(scope)
}

/// What scopes amount to, by section.
#[derive(Default)]
struct Grants {
    read: Vec<String>,
    write: Vec<String>,
    run: Vec<String>,
    ask_run: Vec<String>,
    hosts: Vec<String>,
    ask_net: bool,
    secrets: Vec<String>,
    messages: Vec<String>,
    env: BTreeMap<String, String>,
}

impl Grants {
    fn take(&mut self, scope: &Scope, report: &mut Report) {
        let part = format!("scopes `{scope}`");
        let tree = |path: &str| match path.trim_end_matches('/') {
            "" => "/**".to_owned(),
            path => format!("{path}/**"),
        };
        match (scope.name, scope.resource.as_deref()) {
            ("files.read", Some(path)) => {
                self.read.push(tree(path));
                report.add(part, Fate::Converted, "`files.read`; links and `..` are followed to the real file");
            }
            ("files.write", Some(path)) => {
                self.write.push(tree(path));
                report.add(part, Fate::Converted, "`files.write`");
            }
            ("files.read" | "files.write", None) => {
                report.add(part, Fate::Stricter, "without a path it meant every file; left out, name the paths");
            }
            ("shell.exec", Some(program)) if is_plain_word(program) => {
                self.ask_run.push(program.to_owned());
                report.add(part, Fate::Stricter, "its risk is critical: a person decides each time");
            }
            ("shell.exec", _) => report.add(
                part,
                Fate::Stricter,
                "without a program it meant every command; a person decides over each that `exec.allow` doesn't list",
            ),
            ("http.request" | "net.outbound", Some(host))
                if accepted(vec![host.to_owned()], &part, "net: { allow: [", "] }", Fate::Stricter, report)
                    .is_empty() => {}
            ("http.request" | "net.outbound", Some(host)) => {
                self.hosts.push(host.to_owned());
                report.add(part, Fate::Converted, "`net.allow`");
            }
            ("http.request" | "net.outbound", None) => {
                self.ask_net = true;
                report.add(part, Fate::Stricter, "without a host it meant every host; a person decides over each");
            }
            ("secrets.access", name) => {
                self.secrets.push(name.unwrap_or("*").to_owned());
                report.add(part, Fate::Stricter, "its risk is high: a person decides each time");
            }
            ("email.send", recipient) => {
                self.messages.push(format!("email/{}", recipient.unwrap_or("*")));
                report.add(part, Fate::Stricter, "its risk is high: a person decides each time");
            }
            _ => report.add(
                part,
                Fate::NoEquivalent,
                "no section speaks of it; if a tool does it, list the tool in `tools.allow`",
            ),
        }
    }
}

/// A word command patterns take as it is.
fn is_plain_word(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c))
}

fn is_variable(name: &str) -> bool {
    name.bytes()
        .enumerate()
        .all(|(at, byte)| byte == b'_' || byte.is_ascii_alphabetic() || at > 0 && byte.is_ascii_digit())
        && !name.is_empty()
}

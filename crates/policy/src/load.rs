//! From sources to one effective policy: follows `extends`, finds built-ins, refuses cycles.

use std::sync::Arc;

use bartizan_model::Digest;

use crate::builtin;
use crate::decode::decode;
use crate::language::merge::merge;
use crate::language::{GuardModule, PolicyFile};
use crate::place::{At, PolicyErrors, did_you_mean, quoted};
use crate::rego::{MODULES_MAX, Rego};
use crate::wasm::{self, Bounds, Wasm};

/// Most files one policy may be made of; bounds what a web of `extends` costs.
const SOURCES_MAX: usize = 64;
/// Deepest chain of `extends`.
const CHAIN_MAX: usize = 16;

/// A policy text and what it is called in messages. The name identifies it: two sources of one name are the
/// same source, so give files their resolved path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its bytes, as they are.
    pub bytes: Vec<u8>,
}

impl Source {
    /// A source of this name.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// Finds what `extends` refers to, beyond the built-ins. This crate reads no files itself.
pub trait Loader {
    /// The file `reference` means when it stands in the source named `from`.
    ///
    /// # Errors
    /// Why there is none, in words that end with what to do.
    fn file(&self, reference: &str, from: &str) -> Result<Source, String>;

    /// The Rego module or WebAssembly component `reference` means when it stands in the source named `from`.
    ///
    /// # Errors
    /// Why there is none, in words that end with what to do.
    fn module(&self, reference: &str, from: &str) -> Result<Source, String> {
        self.file(reference, from)
    }

    /// A ruleset or persona of the user's own by its name, where it isn't built in.
    fn named(&self, name: &str) -> Option<Source> {
        let _ = name;
        None
    }
}

/// Finds nothing: for text that may only extend built-ins.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuiltinsOnly;

impl Loader for BuiltinsOnly {
    fn file(&self, reference: &str, _: &str) -> Result<Source, String> {
        Err(format!("{} can't be read here; only built-ins can be extended", quoted(reference)))
    }
}

/// An effective policy: one file joined with all it extends, every part remembering where it was written.
/// Immutable; compile it with [`crate::PolicySet::new`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    file: PolicyFile,
    sources: Vec<String>,
    rego: Option<Modules>,
    wasm: Vec<Component>,
}

/// A WebAssembly component, compiled.
#[derive(Debug, Clone)]
struct Component {
    compiled: Arc<Wasm>,
    digest: Digest,
}

/// The same bytes with the same bounds decide the same.
impl PartialEq for Component {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.compiled.bounds() == other.compiled.bounds()
    }
}

/// Rego modules, compiled, and what they are made of.
#[derive(Debug, Clone)]
struct Modules {
    compiled: Arc<Rego>,
    digest: Digest,
}

/// The same text is the same program.
impl PartialEq for Modules {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Modules {
    fn compile(modules: &[Source]) -> Result<Option<Self>, PolicyErrors> {
        if modules.is_empty() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        for module in modules {
            bytes.extend_from_slice(Digest::of_bytes(&module.bytes).to_string().as_bytes());
        }
        Ok(Some(Self { compiled: Arc::new(Rego::compile(modules)?), digest: Digest::of_bytes(&bytes) }))
    }
}

impl Policy {
    /// Reads a policy and everything it extends.
    ///
    /// # Errors
    /// Everything wrong in any of the sources.
    pub fn load(source: &Source, loader: &dyn Loader) -> Result<Self, PolicyErrors> {
        let mut walk =
            Walk { loader, chain: Vec::new(), sources: Vec::new(), modules: Vec::new(), wasm: Vec::new(), loads: 0 };
        let file = walk.read(source)?;
        let rego = Modules::compile(&walk.modules)?;
        let modules = walk.modules.into_iter().map(|module| module.name);
        let components = walk.wasm.iter().map(|component| component.compiled.name().to_owned());
        let sources = walk.sources.into_iter().chain(modules).chain(components).collect();
        Ok(Self { file, sources, rego, wasm: walk.wasm })
    }

    /// A built-in ruleset or persona.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        Self::load(&builtin::source(name)?, &BuiltinsOnly).ok()
    }

    /// The effective policy as the language's types; serialises as YAML or JSON a person can read.
    #[must_use]
    pub fn file(&self) -> &PolicyFile {
        &self.file
    }

    /// The names of the sources it was made from, first read first.
    #[must_use]
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The same with other sections.
    pub(crate) fn with_file(&self, file: PolicyFile) -> Self {
        Self { file, ..self.clone() }
    }

    /// Its Rego modules, compiled.
    pub(crate) fn rego(&self) -> Option<&Arc<Rego>> {
        self.rego.as_ref().map(|modules| &modules.compiled)
    }

    /// Digest over the text of its Rego modules.
    pub(crate) fn rego_digest(&self) -> Option<Digest> {
        self.rego.as_ref().map(|modules| modules.digest)
    }

    /// Its WebAssembly components, compiled.
    pub(crate) fn wasm(&self) -> impl Iterator<Item = &Arc<Wasm>> {
        self.wasm.iter().map(|component| &component.compiled)
    }

    /// Digests of these.
    pub(crate) fn wasm_digests(&self) -> impl Iterator<Item = Digest> {
        self.wasm.iter().map(|component| component.digest)
    }

    /// Its name, where it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.file.name.as_ref().map(|name| name.value.as_str())
    }
}

/// Reads one policy text without following `extends`. For fuzzing and editors; never panics.
///
/// # Errors
/// Everything wrong with it.
pub fn parse(bytes: &[u8]) -> Result<PolicyFile, PolicyErrors> {
    decode(bytes, &Arc::from("policy"))
}

struct Walk<'a> {
    loader: &'a dyn Loader,
    chain: Vec<String>,
    sources: Vec<String>,
    modules: Vec<Source>,
    wasm: Vec<Component>,
    loads: usize,
}

impl Walk<'_> {
    fn read(&mut self, source: &Source) -> Result<PolicyFile, PolicyErrors> {
        let name: Arc<str> = Arc::from(source.name.as_str());
        let mut file = decode(&source.bytes, &name)?;
        if !self.sources.contains(&source.name) {
            self.sources.push(source.name.clone());
        }
        self.chain.push(source.name.clone());
        let mut errors = crate::place::Errors::default();
        let mut base: Option<PolicyFile> = None;
        for reference in std::mem::take(&mut file.extends) {
            match self.follow(&reference, &source.name) {
                Ok(parent) => {
                    base = Some(match base {
                        Some(base) => merge(base, parent),
                        None => parent,
                    });
                }
                Err(problems) => errors.append(problems),
            }
        }
        self.chain.pop();
        for reference in file.rego.iter().flatten() {
            if let Err(problem) = self.module(&reference.value, &source.name) {
                errors.add(&reference.place, problem);
            }
        }
        for guard in file.guards.iter().flatten() {
            if let Err(problem) = self.component(guard, &source.name) {
                errors.add(&guard.place, problem);
            }
        }
        errors.finish(())?;
        Ok(match base {
            Some(base) => merge(base, file),
            None => file,
        })
    }

    fn follow(&mut self, reference: &At<String>, from: &str) -> Result<PolicyFile, PolicyErrors> {
        let at = |problem: String| PolicyErrors::one(reference.place.clone(), problem);
        let source = self.find(reference, from).map_err(at)?;
        if let Some(start) = self.chain.iter().position(|name| *name == source.name) {
            let mut circle: Vec<&str> = self.chain.iter().skip(start).map(String::as_str).collect();
            circle.push(&source.name);
            return Err(at(format!("`extends` goes in a circle: {}", circle.join(" → "))));
        }
        self.loads += 1;
        if self.chain.len() >= CHAIN_MAX || self.loads > SOURCES_MAX {
            return Err(at(format!("`extends` reaches too far: at most {CHAIN_MAX} deep and {SOURCES_MAX} in all")));
        }
        self.read(&source)
    }

    fn module(&mut self, reference: &str, from: &str) -> Result<(), String> {
        let module = match builtin::rego_source(reference) {
            Some(module) => module,
            None => self.loader.module(reference, from)?,
        };
        if self.modules.iter().any(|known| known.name == module.name) {
            return Ok(());
        }
        if self.modules.len() >= MODULES_MAX {
            return Err(format!("a policy has at most {MODULES_MAX} Rego modules; join some of them"));
        }
        self.modules.push(module);
        Ok(())
    }

    fn component(&mut self, guard: &At<GuardModule>, from: &str) -> Result<(), String> {
        let source = self.loader.module(&guard.value.wasm, from)?;
        let bounds = Bounds::of(&guard.value);
        let same = |known: &Component| known.compiled.name() == source.name && known.compiled.bounds() == bounds;
        if self.wasm.iter().any(same) {
            return Ok(());
        }
        if self.wasm.len() >= wasm::MODULES_MAX {
            return Err(format!("a policy has at most {} guards of its own; join some of them", wasm::MODULES_MAX));
        }
        let compiled = Arc::new(Wasm::compile(&source, bounds, guard.place.clone())?);
        self.wasm.push(Component { compiled, digest: Digest::of_bytes(&source.bytes) });
        Ok(())
    }

    fn find(&self, reference: &At<String>, from: &str) -> Result<Source, String> {
        let name = reference.value.as_str();
        if is_file(name) {
            return self.loader.file(name, from);
        }
        builtin::source(name).or_else(|| self.loader.named(name)).ok_or_else(|| {
            let known = || builtin::NAMES.iter().chain(&builtin::SERVICES).copied();
            let hint = did_you_mean(name, known());
            let hint = if hint.is_empty() {
                format!(
                    "; built in are {}; a file is written with a slash: `./{name}.yaml`",
                    known().collect::<Vec<_>>().join(", ")
                )
            } else {
                hint
            };
            format!("there is no ruleset or persona {}{hint}", quoted(name))
        })
    }
}

fn is_file(reference: &str) -> bool {
    reference.contains('/') || [".yaml", ".yml"].iter().any(|end| reference.ends_with(end))
}

//! `bundle.yaml`: what a bundle is called, which version it is, and which of its files does what.

use std::sync::Arc;

use super::{BundleVersion, is_file};
use crate::builtin;
use crate::place::{At, Errors, Place, PolicyErrors, did_you_mean, quoted};
use crate::shapes::{Decoder, Keys};
use crate::yaml::{self, Node};

/// Version of the manifest's form; the value of the key `bundle`.
const FORM: u64 = 1;
/// Longest name.
const NAME_CHARS_MAX: usize = 64;
/// Most overlays of one bundle.
const OVERLAYS_MAX: usize = 16;

/// The keys of its mapping.
pub(crate) const KEYS: Keys =
    &[("the bundle manifest", &["bundle", "name", "version", "description", "policy", "overlays"])];

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Its version.
    pub version: BundleVersion,
    /// A sentence for people.
    pub description: Option<String>,
    /// The policy it is for: a file in the bundle.
    pub policy: String,
    /// What narrows it: built-in overlays by name, files in the bundle by path.
    pub overlays: Vec<String>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub(super) fn read(bytes: &[u8], name: &str) -> Result<Self, PolicyErrors> {
        let source: Arc<str> = Arc::from(name);
        let start = Place { source: source.clone(), line: 1, column: 1 };
        let Some(root) = yaml::read(bytes, &source)? else {
            return Err(PolicyErrors::one(
                start,
                "the manifest is empty; write `bundle: 1`, `name`, `version` and `policy`",
            ));
        };
        let mut decoder = Decoder { errors: Errors::default() };
        let manifest = decoder.manifest(&root);
        decoder.errors.finish(())?;
        manifest.ok_or_else(|| PolicyErrors::one(start, "the manifest needs `bundle`, `name`, `version` and `policy`"))
    }
}

impl Decoder {
    fn manifest(&mut self, root: &Node) -> Option<Manifest> {
        let what = "the bundle manifest";
        let (mut form, mut name, mut version, mut policy) = (None, None, None, None);
        let (mut description, mut overlays) = (None, Vec::new());
        for (key, node) in self.mapping(root, what) {
            match key.value.as_str() {
                "bundle" => form = self.count(node),
                "name" => name = self.bundle_name(node),
                "version" => version = self.unit(node, |text| text.parse::<BundleVersion>()),
                "description" => description = self.text(node).map(|text| text.value),
                "policy" => policy = self.text(node),
                "overlays" => overlays = self.list(node, Self::overlay).unwrap_or_default(),
                _ => {}
            }
        }
        if let Some(form) = form.as_ref().filter(|form| form.value != FORM) {
            let problem = format!("form {} of the manifest is not known here; this Bartizan reads {FORM}", form.value);
            self.errors.add(&form.place, problem);
        }
        if overlays.len() > OVERLAYS_MAX {
            self.errors.add(&root.place, format!("a bundle has at most {OVERLAYS_MAX} overlays"));
        }
        for (key, there) in [
            ("bundle", form.is_some()),
            ("name", name.is_some()),
            ("version", version.is_some()),
            ("policy", policy.is_some()),
        ] {
            if !there {
                self.missing(root, key, what);
            }
        }
        Some(Manifest { name: name?, version: version?.value, description, policy: policy?.value, overlays })
    }

    fn bundle_name(&mut self, node: &Node) -> Option<String> {
        let At { value, place } = self.text(node)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if value.is_empty() || value.len() > NAME_CHARS_MAX || value.starts_with('.') || !value.chars().all(plain) {
            let problem = format!("{} is no name of a bundle; use letters, digits, `-`, `_` and `.`", quoted(&value));
            self.errors.add(&place, problem);
            return None;
        }
        Some(value)
    }

    fn overlay(&mut self, node: &Node) -> Option<String> {
        let At { value, place } = self.text(node)?;
        if !is_file(&value) && builtin::overlay_source(&value).is_none() {
            let hint = did_you_mean(&value, builtin::OVERLAYS);
            let names = builtin::OVERLAYS.join(", ");
            let problem =
                format!("there is no overlay {}; built in are {names}, a file ends in `.yaml`{hint}", quoted(&value));
            self.errors.add(&place, problem);
            return None;
        }
        Some(value)
    }
}

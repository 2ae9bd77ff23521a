//! Reads section `files`.

use crate::language::Files;
use crate::pattern::{Base, PathPattern, Shape};
use crate::place::{At, quoted};
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("files", &["default", "read", "programs", "write", "ask", "protect", "deny"])];

impl Decoder {
    pub(crate) fn files(&mut self, node: &Node) -> Files {
        let mut files = Files::default();
        for (key, node) in self.mapping(node, "files") {
            match key.value.as_str() {
                "default" => files.default = self.effect(node),
                "read" => files.read = self.list(node, Self::granted_path),
                "programs" => files.programs = self.list(node, Self::granted_path),
                "write" => files.write = self.list(node, Self::granted_path),
                "ask" => files.ask = self.list(node, Self::restricted_path),
                "protect" => files.protect = self.list(node, Self::restricted_path),
                "deny" => files.deny = self.list(node, Self::restricted_path),
                _ => {}
            }
        }
        files
    }

    pub(crate) fn granted_path(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        if text.value.starts_with('!') {
            self.errors.add(
                &text.place,
                format!("{}: exceptions can only stand in `ask`, `protect` and `deny`", quoted(&text.value)),
            );
            return None;
        }
        match PathPattern::parse(&text.value) {
            Err(problem) => self.errors.add(&text.place, problem),
            Ok(patterns) => {
                if let Some(mixed) = patterns.iter().find(|pattern| pattern.shape() == Shape::Mixed) {
                    let problem = only_trees(&text.value, mixed);
                    self.errors.add(&text.place, problem);
                    return None;
                }
                return Some(text);
            }
        }
        None
    }

    pub(crate) fn restricted_path(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        match PathPattern::parse(text.value.strip_prefix('!').unwrap_or(&text.value)) {
            Ok(_) => Some(text),
            Err(problem) => {
                self.errors.add(&text.place, problem);
                None
            }
        }
    }
}

fn only_trees(text: &str, mixed: &PathPattern) -> String {
    let base = match mixed.base {
        Base::Root => "",
        Base::Home => "~",
        Base::Workspace => ".",
    };
    let prefix = mixed.literal_prefix();
    let remedy = if base.is_empty() && prefix.is_empty() {
        "say where it starts: `/…`, `~/…` or `./…`".to_owned()
    } else {
        format!("write `{base}{prefix}/**`, or name the files")
    };
    format!("{}: the box can only grant whole trees or single files; {remedy}", quoted(text))
}

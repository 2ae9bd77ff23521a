//! Reads section `env`.

use std::collections::BTreeMap;

use crate::language::Env;
use crate::place::{At, quoted};
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("env", &["pass", "set"])];

impl Decoder {
    pub(crate) fn env(&mut self, node: &Node) -> Env {
        let mut env = Env::default();
        for (key, node) in self.mapping(node, "env") {
            match key.value.as_str() {
                "pass" => env.pass = self.list(node, Self::variable),
                "set" => {
                    let mut set = BTreeMap::new();
                    for (name, node) in self.entries(node, "env.set") {
                        if !is_variable(&name.value) {
                            self.errors.add(&name.place, format!("{} is no name of a variable", quoted(&name.value)));
                        } else if let Some(value) = self.text(node) {
                            set.insert(name.value.clone(), value);
                        }
                    }
                    env.set = Some(set);
                }
                _ => {}
            }
        }
        env
    }

    pub(crate) fn variable(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        if text.value == "*" || is_variable(text.value.strip_suffix('*').unwrap_or(&text.value)) {
            return Some(text);
        }
        self.errors.add(&text.place, format!("{} is no variable; write `NAME` or `PREFIX_*`", quoted(&text.value)));
        None
    }
}

pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

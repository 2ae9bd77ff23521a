//! Reads section `secrets`.

use std::collections::BTreeMap;

use super::env::is_variable;
use crate::language::{SecretText, Secrets};
use crate::path;
use crate::place::{At, quoted};
use crate::secrets::one_secret;
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mapping.
pub(super) const KEYS: Keys = &[("secrets", &["default", "allow", "ask", "deny", "files", "env"])];

impl Decoder {
    pub(crate) fn secrets(&mut self, node: &Node) -> Secrets {
        let mut secrets = Secrets::default();
        for (key, node) in self.mapping(node, "secrets") {
            match key.value.as_str() {
                "files" => {
                    secrets.files = Some(self.secret_texts(node, "secrets.files", |path| {
                        let below = path.strip_prefix('~').unwrap_or(path);
                        let plain = below.len() > 1
                            && path::canonical(below.as_bytes()).as_deref() == Some(below.as_bytes())
                            && !below.contains(['*', '?', '[', '{']);
                        (!plain).then_some(
                            "is no path of a file in the box; write `~/…` or `/…`, without `..` and wildcards",
                        )
                    }))
                }
                "env" => {
                    secrets.env = Some(self.secret_texts(node, "secrets.env", |name| {
                        (!is_variable(name)).then_some("is no name of a variable")
                    }))
                }
                other => self.names_entry(&mut secrets.names, other, node),
            }
        }
        secrets
    }

    fn secret_texts(
        &mut self,
        node: &Node,
        section: &str,
        problem: impl Fn(&str) -> Option<&'static str>,
    ) -> BTreeMap<String, At<SecretText>> {
        let mut texts = BTreeMap::new();
        for (name, node) in self.entries(node, section) {
            if let Some(problem) = problem(&name.value) {
                self.errors.add(&name.place, format!("{} {problem}", quoted(&name.value)));
                continue;
            }
            let Some(text) = self.text(node) else { continue };
            match one_secret(&text.value) {
                Some(secret) => {
                    let value = SecretText { name: secret.to_owned(), text: text.value };
                    texts.insert(name.value.clone(), At { value, place: text.place });
                }
                None => self.errors.add(
                    &text.place,
                    format!("{} must name one secret, such as `${{GITHUB_TOKEN}}`", quoted(&text.value)),
                ),
            }
        }
        texts
    }
}

//! Reads the key `secret` of a net rule.

use crate::language::{RuleSecrets, SecretText};
use crate::place::quoted;
use crate::secrets::{position, secret_in};
use crate::shapes::Decoder;
use crate::yaml::Node;

impl Decoder {
    pub(crate) fn rule_secrets(&mut self, node: &Node) -> RuleSecrets {
        let mut secrets = RuleSecrets::default();
        for (key, node) in self.entries(node, "`secret`") {
            if key.value == "plain_http" {
                secrets.plain_http = self.truth(node).unwrap_or_default();
                continue;
            }
            let at = match position(&key.value) {
                Ok(at) => at,
                Err(problem) => {
                    self.errors.add(&key.place, problem);
                    continue;
                }
            };
            let Some(text) = self.text(node) else { continue };
            match secret_in(&text.value) {
                Some(name) => {
                    let name = name.to_owned();
                    secrets.places.insert(at, SecretText { name, text: text.value });
                }
                None => self.errors.add(
                    &text.place,
                    format!(
                        "{} names no secret; write it with one, such as `Bearer ${{GITHUB_TOKEN}}`",
                        quoted(&text.value)
                    ),
                ),
            }
        }
        if secrets.places.is_empty() {
            self.errors.add(
                &node.place,
                "`secret` binds nothing; write where a secret stands, such as `header.authorization: \"Bearer ${GITHUB_TOKEN}\"`",
            );
        }
        secrets
    }
}

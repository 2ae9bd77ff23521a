//! Reads a case of `tests`.

use bartizan_model::{Effect, Sighting, SightingClass};

use crate::cases;
use crate::language::Case;
use crate::place::{did_you_mean, quoted};
use crate::session::Label;
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("a test", &["allow", "ask", "deny", "rule", "seen", "read"])];

impl Decoder {
    pub(crate) fn case(&mut self, node: &Node) -> Option<Case> {
        let (mut found, mut rule) = (None, None);
        let (mut seen, mut read) = (Vec::new(), Vec::new());
        for (key, node) in self.mapping(node, "a test") {
            let effect = match key.value.as_str() {
                "allow" => Effect::Allow,
                "ask" => Effect::Ask,
                "deny" => Effect::Deny,
                "rule" => {
                    rule = Some(self.text(node)?.value);
                    continue;
                }
                "seen" => {
                    seen = self.one_or_many(node, Self::sighting);
                    continue;
                }
                "read" => {
                    let labels = self.one_or_many(node, Self::label);
                    read = labels.iter().filter_map(|label| Label::parse(&label.value)).collect();
                    continue;
                }
                _ => continue,
            };
            let action = self.text(node)?;
            if let Err(problem) = cases::check_syntax(&action.value) {
                self.errors.add(&action.place, problem.to_string());
            }
            if found.replace((effect, action)).is_some() {
                self.errors.add(&node.place, "a test has one of `allow`, `ask` and `deny`; write two tests");
            }
        }
        let Some((effect, action)) = found else {
            self.errors.add(&node.place, "a test has one of `allow`, `ask` and `deny`");
            return None;
        };
        Some(Case { effect, action, rule, seen, read })
    }

    /// `class`, `class:kind` or either with a score.
    fn sighting(&mut self, node: &Node) -> Option<Sighting> {
        let text = self.text(node)?;
        let (what, score) = text.value.rsplit_once(' ').unwrap_or((&text.value, "100"));
        let (class, kind) = what.split_once(':').unwrap_or((what, what));
        let classes = [SightingClass::Secret, SightingClass::Personal, SightingClass::Injection, SightingClass::Hidden];
        let known = classes.iter().find(|known| known.as_str() == class);
        match (known, score.parse::<u8>()) {
            (Some(class), Ok(score)) if score <= 100 => Some(Sighting::new(*class, kind.to_owned(), score, 0..0)),
            _ => {
                let hint = did_you_mean(class, classes.map(SightingClass::as_str));
                let hint =
                    if hint.is_empty() { "; write `secret:github-token` or `injection 80`".to_owned() } else { hint };
                let problem = format!("{} is no sighting{hint}", quoted(&text.value));
                self.errors.add(&text.place, problem);
                None
            }
        }
    }
}

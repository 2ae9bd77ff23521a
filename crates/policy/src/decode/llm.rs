//! Reads section `llm`.

use crate::guards::REPEATS_MAX;
use crate::language::{Llm, Repeats};
use crate::place::At;
use crate::shapes::{Decoder, Keys};
use crate::units::Span;
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("llm", &["tool_calls", "repeats"]), ("repeats", &["most", "within"])];

impl Decoder {
    pub(crate) fn llm(&mut self, node: &Node) -> Llm {
        let mut llm = Llm::default();
        for (key, node) in self.mapping(node, "llm") {
            match key.value.as_str() {
                "tool_calls" => {
                    let value = self.truth(node);
                    llm.tool_calls = value.map(|value| At { value, place: node.place.clone() });
                }
                "repeats" => llm.repeats = self.repeats(node),
                _ => {}
            }
        }
        llm
    }

    fn repeats(&mut self, node: &Node) -> Option<At<Repeats>> {
        let (mut most, mut within) = (None, None);
        for (key, node) in self.mapping(node, "repeats") {
            match key.value.as_str() {
                "most" => most = self.count(node),
                "within" => within = self.unit(node, Span::parse),
                _ => {}
            }
        }
        let (Some(most), Some(within)) = (most, within) else {
            self.errors.add(&node.place, "`repeats` needs both, as in `{ most: 3, within: 10m }`");
            return None;
        };
        if !(1..=REPEATS_MAX).contains(&most.value) {
            self.errors.add(&most.place, format!("`most` is a number from 1 to {REPEATS_MAX}"));
            return None;
        }
        Some(At { value: Repeats { most: most.value, within }, place: node.place.clone() })
    }
}

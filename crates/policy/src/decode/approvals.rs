//! Reads section `approvals`.

use crate::language::Approvals;
use crate::shapes::{Decoder, Keys};
use crate::units::Span;
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("approvals", &["timeout"])];

impl Decoder {
    pub(crate) fn approvals(&mut self, node: &Node) -> Approvals {
        let mut approvals = Approvals::default();
        for (key, node) in self.mapping(node, "approvals") {
            if key.value == "timeout" {
                approvals.timeout = self.unit(node, Span::parse);
            }
        }
        approvals
    }
}

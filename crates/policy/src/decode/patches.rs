//! Reads section `patches`.

use crate::language::Patches;
use crate::shapes::{Decoder, Keys};
use crate::units::Bytes;
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("patches", &["size", "unclear"])];

impl Decoder {
    pub(crate) fn patches(&mut self, node: &Node) -> Patches {
        let mut patches = Patches::default();
        for (key, node) in self.mapping(node, "patches") {
            match key.value.as_str() {
                "size" => patches.size = self.unit(node, Bytes::parse),
                "unclear" => patches.unclear = self.effect(node),
                _ => {}
            }
        }
        patches
    }
}

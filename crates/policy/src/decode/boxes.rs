//! Reads section `box`.

use crate::language::{BoxSection, CgroupLevel, RootLevel};
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("box", &["cgroup", "root"])];

impl Decoder {
    pub(crate) fn box_section(&mut self, node: &Node) -> BoxSection {
        let mut section = BoxSection::default();
        for (key, node) in self.mapping(node, "box") {
            match key.value.as_str() {
                "cgroup" => {
                    section.cgroup = self.choice(
                        node,
                        &[
                            ("required", CgroupLevel::Required),
                            ("preferred", CgroupLevel::Preferred),
                            ("off", CgroupLevel::Off),
                        ],
                    );
                }
                "root" => section.root = self.choice(node, &[("drop", RootLevel::Drop), ("keep", RootLevel::Keep)]),
                _ => {}
            }
        }
        section
    }
}

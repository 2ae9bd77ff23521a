//! Reads section `limits`.

use crate::language::Limits;
use crate::shapes::{Decoder, Keys};
use crate::units::{Bytes, Cpus, Span};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[(
    "limits",
    &["memory", "pids", "cpu", "time", "disk", "open_files", "file_size", "output", "egress_bytes", "connections"],
)];

impl Decoder {
    pub(crate) fn limits(&mut self, node: &Node) -> Limits {
        let mut limits = Limits::default();
        for (key, node) in self.mapping(node, "limits") {
            match key.value.as_str() {
                "memory" => limits.memory = self.unit(node, Bytes::parse),
                "pids" => limits.pids = self.positive(node),
                "cpu" => limits.cpu = self.unit(node, Cpus::parse),
                "time" => limits.time = self.unit(node, Span::parse),
                "disk" => limits.disk = self.unit(node, Bytes::parse),
                "open_files" => limits.open_files = self.positive(node),
                "file_size" => limits.file_size = self.unit(node, Bytes::parse),
                "output" => limits.output = self.unit(node, Bytes::parse),
                "egress_bytes" => limits.egress_bytes = self.unit(node, Bytes::parse),
                "connections" => limits.connections = self.count(node),
                _ => {}
            }
        }
        limits
    }
}

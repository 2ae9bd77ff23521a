//! Section `limits`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::Merge;
use crate::place::At;
use crate::units::{Bytes, Cpus, Span};

/// Section `limits`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Limits {
    /// Memory of the whole box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<At<Bytes>>,
    /// Processes and threads of the whole box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<At<u64>>,
    /// Processors, e.g. `1.5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<At<Cpus>>,
    /// How long a run may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<At<Span>>,
    /// Private space of the box: its `/tmp` and home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<At<Bytes>>,
    /// Descriptors of one process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<At<u64>>,
    /// Largest file a process may write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<At<Bytes>>,
    /// What the program may print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<At<Bytes>>,
    /// What may be sent to the network in one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_bytes: Option<At<Bytes>>,
    /// Connections open at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<At<u64>>,
}

impl Merge for Limits {
    fn merge(self, child: Self) -> Self {
        Self {
            memory: child.memory.or(self.memory),
            pids: child.pids.or(self.pids),
            cpu: child.cpu.or(self.cpu),
            time: child.time.or(self.time),
            disk: child.disk.or(self.disk),
            open_files: child.open_files.or(self.open_files),
            file_size: child.file_size.or(self.file_size),
            output: child.output.or(self.output),
            egress_bytes: child.egress_bytes.or(self.egress_bytes),
            connections: child.connections.or(self.connections),
        }
    }
}

//! Messages between Bartizan's process, the janitor and the box's first process.
//!
//! Each message is one packet of a sequenced-packet socket, in postcard's encoding. What comes from
//! the box's first process is untrusted input for Bartizan's process.

use std::ffi::OsString;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest packet: the default socket buffer takes it, and the warden truncates arguments below it.
pub const MESSAGE_BYTES_MAX: usize = 160 * 1024;

/// From Bartizan's process to the box's first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToInit {
    /// The network is in place: start the command.
    Proceed,
    Answer {
        id: u64,
        allow: bool,
    },
    /// Deliver a signal to the command.
    Signal(i32),
}

/// From the box's first process to Bartizan's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromInit {
    /// Descriptors of the network sockets ride along, in this order.
    Sockets(Vec<ServerSocket>),
    /// Every layer is in place. The terminal's master side rides along if one was asked for.
    Ready(Vec<LayerStatus>),
    /// A layer could not be had; nothing of the user's was started.
    Failed {
        layer: Layer,
        what: String,
        errno: i32,
    },
    /// The command runs; `pid` as the box numbers it.
    Started {
        pid: i32,
    },
    /// The command could not be started.
    NotStarted {
        what: String,
        errno: i32,
    },
    /// Asks whether a program may be started.
    Exec {
        id: u64,
        pid: i32,
        program: OsString,
        argv: Vec<OsString>,
        cwd: OsString,
        truncated: bool,
    },
    /// Asks whether a guarded name may be made.
    Write {
        id: u64,
        pid: i32,
        operation: Operation,
        path: OsString,
    },
    /// The asking process is gone; no answer is awaited.
    Withdrawn {
        id: u64,
    },
    Exited(i32),
    Signaled(i32),
}

/// From Bartizan's process to the janitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToJanitor {
    /// End the box at once.
    Kill,
    /// The box's traces are cleared: nothing is left to do.
    Done,
}

/// From the janitor to Bartizan's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromJanitor {
    /// The box's first process exists; `pid` as the host numbers it.
    Up {
        pid: i32,
    },
    Failed {
        layer: Layer,
        what: String,
        errno: i32,
    },
    /// Every process of the box is gone.
    Ended,
}

/// What makes a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    Create,
    Directory,
    Node,
    Symlink,
    Link,
    Rename,
}

/// A socket made inside the box's network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServerSocket {
    /// TCP listener on the IPv4 wildcard, for redirected connections.
    CaptureV4,
    /// The same for IPv6, IPv6 only.
    CaptureV6,
    /// TCP listener for explicit proxying, port 3128.
    Proxy,
    DnsUdpV4,
    DnsUdpV6,
    DnsTcpV4,
    DnsTcpV6,
    /// `NETLINK_ROUTE`
    Route,
    /// `NETLINK_NETFILTER`
    Netfilter,
    /// `NETLINK_SOCK_DIAG`
    SocketDiagnostics,
}

/// One layer of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Layer {
    Helper,
    UserNamespace,
    MountNamespace,
    PidNamespace,
    NetworkNamespace,
    Nftables,
    IpcNamespace,
    UtsNamespace,
    CgroupNamespace,
    Identity,
    Mounts,
    Capabilities,
    NoNewPrivileges,
    Landlock,
    Seccomp,
    Cgroup,
    ResourceLimits,
    Warden,
    Terminal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LayerState {
    /// In force.
    Enforced,
    /// In force in a weaker form; the detail says which.
    Weaker,
    /// Not asked for, or left out by name.
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerStatus {
    pub layer: Layer,
    pub state: LayerState,
    pub detail: String,
}

impl std::fmt::Display for Layer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Helper => "helper",
            Self::UserNamespace => "user namespace",
            Self::MountNamespace => "mount namespace",
            Self::PidNamespace => "pid namespace",
            Self::NetworkNamespace => "network namespace",
            Self::Nftables => "nftables",
            Self::IpcNamespace => "ipc namespace",
            Self::UtsNamespace => "uts namespace",
            Self::CgroupNamespace => "cgroup namespace",
            Self::Identity => "identity",
            Self::Mounts => "mounts",
            Self::Capabilities => "capabilities",
            Self::NoNewPrivileges => "no new privileges",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Cgroup => "cgroup",
            Self::ResourceLimits => "resource limits",
            Self::Warden => "warden",
            Self::Terminal => "terminal",
        })
    }
}

/// A message that is not one of ours.
#[derive(Debug)]
pub struct DecodeError;

impl std::fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("malformed message between bartizan and its helper")
    }
}

impl std::error::Error for DecodeError {}

/// The bytes of a message or plan; empty when it cannot be encoded, which decoding then refuses.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_stdvec(message).unwrap_or_default()
}

/// # Errors
/// When `bytes` are not exactly one `T`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(DecodeError),
    }
}

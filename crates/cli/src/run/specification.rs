//! From what policy says to what the box and the network are told.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bartizan_gate::store::SecretValue;
use bartizan_model::RunId;
use bartizan_net::{Inspection, Ipv6Sockets, NamespaceSockets, NetLimits};
use bartizan_policy::language::{CgroupLevel, RootLevel};
use bartizan_policy::{Layers, LimitsLayer};
use bartizan_sandbox::{BoxSpec, Demand, Limits, NetSockets, RootMapping, Stdio};

use crate::policies::Policies;
use crate::run::box_name;
use crate::run::view::View;

/// Which run a box is for, and where it works.
pub struct Place<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The policy and the directories it is over.
    pub policies: &'a Policies,
    /// The run's own directory.
    pub directory: &'a Path,
    /// What is laid over the host's files inside.
    pub texts: Vec<(PathBuf, Vec<u8>)>,
    /// Files of the box's own with a secret in them.
    pub secrets: Vec<(PathBuf, SecretValue)>,
}

/// The box as the policy wants it.
pub fn specification(
    place: Place<'_>,
    layers: &Layers,
    view: View,
    environment: Vec<(OsString, OsString)>,
    command: &[OsString],
    stdio: Stdio,
) -> BoxSpec {
    let policies = place.policies;
    BoxSpec {
        run: box_name(place.run),
        argv: command.to_vec(),
        cwd: policies.workspace.clone(),
        env: environment,
        home: policies.user_home.clone(),
        read: view.read,
        write: view.write,
        readonly: view.readonly,
        mask: view.mask,
        texts: place.texts,
        secrets: place.secrets,
        guard_names: layers.files.guard_names.clone(),
        gate_exec: true,
        limits: limits(&layers.limits),
        cgroup: match layers.r#box.cgroup {
            CgroupLevel::Required => Demand::Required,
            CgroupLevel::Preferred => Demand::Preferred,
            CgroupLevel::Off => Demand::Off,
        },
        landlock: Demand::Required,
        root_mapping: match layers.r#box.root {
            RootLevel::Drop => RootMapping::Drop,
            RootLevel::Keep => RootMapping::Keep,
        },
        stdio,
        run_dir: place.directory.to_owned(),
    }
}

/// What policy doesn't limit keeps the box's own bounds.
fn limits(layer: &LimitsLayer) -> Limits {
    let own = Limits::default();
    Limits {
        memory: layer.memory_bytes.or(own.memory),
        pids: layer.pids.map(|pids| u32::try_from(pids).unwrap_or(u32::MAX)).or(own.pids),
        cpu: layer.cpu_thousandths.map(|thousandths| f64::from(thousandths) / 1000.0).or(own.cpu),
        open_files: layer.open_files.or(own.open_files),
        file_bytes: layer.file_size_bytes.or(own.file_bytes),
        wall: layer.time.or(own.wall),
        disk_bytes: layer.disk_bytes.or(own.disk_bytes),
        ..own
    }
}

/// What the network may use.
pub fn net_limits(layer: &LimitsLayer) -> NetLimits {
    let own = NetLimits::default();
    NetLimits {
        connections_max: layer
            .connections
            .map_or(own.connections_max, |most| usize::try_from(most).unwrap_or(usize::MAX)),
        egress_bytes_max: layer.egress_bytes.or(own.egress_bytes_max),
    }
}

/// An authority for this box, if some rule decides single requests.
pub fn inspection(layers: &Layers, run: &RunId) -> anyhow::Result<Option<Inspection>> {
    if !layers.net.inspects_http {
        return Ok(None);
    }
    let own = std::env::var_os(bartizan_api::env::CERTIFICATES).filter(|path| !path.is_empty());
    Ok(Some(Inspection::new(run.as_str(), own.as_deref().map(Path::new))?))
}

/// The box's sockets as the network takes them; one that is missing is refused there.
pub fn sockets(sockets: NetSockets) -> anyhow::Result<NamespaceSockets> {
    let need = |socket: Option<std::os::fd::OwnedFd>, name: &str| {
        socket.ok_or_else(|| anyhow::anyhow!("the box handed out no `{name}` socket; run `bartizan doctor`"))
    };
    let ipv6 = match (sockets.capture_v6, sockets.dns_udp_v6, sockets.dns_tcp_v6) {
        (Some(transparent), Some(dns_udp), Some(dns_tcp)) => Some(Ipv6Sockets { transparent, dns_udp, dns_tcp }),
        _ => None,
    };
    Ok(NamespaceSockets {
        transparent4: need(sockets.capture_v4, "transparent")?,
        proxy: need(sockets.proxy, "proxy")?,
        dns_udp4: need(sockets.dns_udp_v4, "DNS")?,
        dns_tcp4: need(sockets.dns_tcp_v4, "DNS over TCP")?,
        ipv6,
        route: need(sockets.route, "route")?,
        netfilter: need(sockets.netfilter, "netfilter")?,
        sock_diag: need(sockets.socket_diagnostics, "socket diagnostics")?,
    })
}

//! Why a box could not be started.

use std::io;
use std::path::PathBuf;

use bartizan_jail::Layer;

/// Why a box could not be started. Nothing of the user's has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error("box specification is wrong: {reason} `{value}`; correct it and try again")]
    Specification { reason: &'static str, value: String },
    #[error("writable path `{}` cannot be used; make it or take it out of the policy", path.display())]
    Tree {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to write run file `{}`; check its directory's space and permissions", path.display())]
    RunFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("box layer `{layer}` is not to be had: {what} ({source}); {remedy}")]
    Layer {
        layer: Layer,
        what: String,
        remedy: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("the box ended before it was ready; run `bartizan doctor`")]
    Ended,
    #[error("the box was not ready after {seconds} s; run `bartizan doctor`")]
    Timeout { seconds: u64 },
}

impl StartError {
    pub(crate) fn layer(layer: Layer, what: impl Into<String>, source: io::Error) -> Self {
        let remedy = remedy(layer, source.raw_os_error().unwrap_or(0));
        Self::Layer { layer, what: what.into(), remedy, source }
    }

    pub(crate) fn from_errno(layer: Layer, what: String, errno: i32) -> Self {
        let source = if errno == 0 { io::Error::other("refused") } else { io::Error::from_raw_os_error(errno) };
        Self::layer(layer, what, source)
    }
}

/// The next step for the person who reads the error.
pub(crate) fn remedy(layer: Layer, errno: i32) -> &'static str {
    match (layer, errno) {
        (Layer::UserNamespace, libc::ENOSYS) => {
            "use a kernel from 5.7 on; in a container, let its seccomp profile allow `clone3`; then run `bartizan doctor`"
        }
        (Layer::UserNamespace, libc::EPERM | libc::EACCES | libc::ENOSPC) => {
            "allow user namespaces (`sysctl user.max_user_namespaces`, `kernel.unprivileged_userns_clone`) and run `bartizan doctor`"
        }
        (
            Layer::MountNamespace
            | Layer::PidNamespace
            | Layer::NetworkNamespace
            | Layer::IpcNamespace
            | Layer::UtsNamespace
            | Layer::CgroupNamespace,
            libc::ENOSPC,
        ) => "raise its limit (`sysctl -a --pattern 'user.max_.*_namespaces'` lists them) and run `bartizan doctor`",
        (Layer::MountNamespace | Layer::CgroupNamespace | Layer::UtsNamespace, libc::EPERM | libc::EACCES) => {
            "the system takes privileges from user namespaces: on Ubuntu allow `bartizan` in AppArmor (`sysctl kernel.apparmor_restrict_unprivileged_userns`) and run `bartizan doctor`"
        }
        (Layer::Identity, errno) if errno != libc::ENOSYS => {
            "a filesystem here may not support idmapped mounts: run as an ordinary user, or name root mapping `keep` in the policy"
        }
        (Layer::Nftables, _) => {
            "use a kernel with nf_tables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT; `modprobe nf_tables`) and run `bartizan doctor`"
        }
        (Layer::Landlock, _) => {
            "use a kernel from 5.13 on with `landlock` in its `lsm=` list; in a container, let its seccomp profile allow `landlock_create_ruleset`"
        }
        (Layer::Seccomp, _) => {
            "use a kernel built with CONFIG_SECCOMP_FILTER; in a container, let its seccomp profile allow `seccomp`"
        }
        (Layer::Warden, libc::EBUSY) => {
            "something outside holds system calls of this process already (another box, a container manager): start `bartizan` outside of it"
        }
        (Layer::Warden, _) => {
            "use a kernel from 5.0 on, built with CONFIG_SECCOMP_FILTER; in a container, let its seccomp profile allow `seccomp`"
        }
        (Layer::Cgroup, _) => {
            "start from a delegated cgroup (`systemd-run --user --scope`), or set `cgroup` to `preferred` in the policy"
        }
        (Layer::Helper, libc::EACCES) => "executing memory files is forbidden here: set `sysctl vm.memfd_noexec=0`",
        _ => {
            "use a kernel from 5.13 on; in a container, let its seccomp profile allow the call; then run `bartizan doctor`"
        }
    }
}

//! Gives up everything the box's processes must not have.

use std::path::Path;

use bartizan_jail::{JailPlan, Layer, LayerState, LayerStatus};
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, Scope,
};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities,
    set_capabilities_secure_bits, set_no_new_privs,
};

use crate::fault::{At, Fault};
use crate::sys;

static ALLOW: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/allow.bpf"));
static ABSENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/absent.bpf"));
static ABSENT_GUARDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/absent_guarded.bpf"));
static PRELUDE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/prelude.bpf"));
static EXEC: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/exec.bpf"));
static NAMES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/names.bpf"));
static EXEC_AND_NAMES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/exec_and_names.bpf"));

/// The newest Landlock this program knows; the kernel's own is used up to it.
const NEWEST_LANDLOCK: ABI = ABI::V9;

/// Confines this process and all it will start.
pub(crate) fn apply(plan: &JailPlan) -> Result<Vec<LayerStatus>, Fault> {
    let mut layers = Vec::new();
    drop_capabilities().at(Layer::Capabilities, "give up all capabilities")?;
    layers.push(enforced(Layer::Capabilities, "all sets empty, secure bits locked"));
    set_no_new_privs(true).at(Layer::NoNewPrivileges, "set no-new-privileges")?;
    layers.push(enforced(Layer::NoNewPrivileges, ""));
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Layer::Capabilities, "become non-dumpable")?;
    sys::set_limit(libc::RLIMIT_CORE, 0).at(Layer::ResourceLimits, "forbid core files")?;
    layers.push(landlock(plan)?);
    let absent = if plan.holds_names() { ABSENT_GUARDED } else { ABSENT };
    // The filter added last is asked first, and wins among equally strict answers.
    for (name, program) in [("allow", ALLOW), ("absent", absent), ("prelude", PRELUDE)] {
        sys::install_filter(program, false).at(Layer::Seccomp, format_args!("install filter `{name}`"))?;
    }
    layers.push(enforced(Layer::Seccomp, "allow-list, foreign ABIs killed"));
    Ok(layers)
}

/// The filter whose questions the warden answers, if the plan asks for one.
pub(crate) fn asking_filter(plan: &JailPlan) -> Option<&'static [u8]> {
    match (plan.gate_exec, plan.holds_names()) {
        (true, true) => Some(EXEC_AND_NAMES),
        (true, false) => Some(EXEC),
        (false, true) => Some(NAMES),
        (false, false) => None,
    }
}

pub(crate) fn enforced(layer: Layer, detail: impl Into<String>) -> LayerStatus {
    LayerStatus { layer, state: LayerState::Enforced, detail: detail.into() }
}

fn drop_capabilities() -> Result<(), Errno> {
    use CapabilitiesSecureBits as Bits;
    set_capabilities_secure_bits(
        Bits::NO_ROOT
            | Bits::NO_ROOT_LOCKED
            | Bits::NO_SETUID_FIXUP
            | Bits::NO_SETUID_FIXUP_LOCKED
            | Bits::KEEP_CAPS_LOCKED
            | Bits::NO_CAP_AMBIENT_RAISE
            | Bits::NO_CAP_AMBIENT_RAISE_LOCKED,
    )?;
    clear_ambient_capability_set()?;
    drop_bounding_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// Up to the newest capability the kernel has, which may be newer than this program.
fn drop_bounding_set() -> Result<(), Errno> {
    const NUMBERS_MAX: u32 = 64;
    for number in 0..NUMBERS_MAX {
        match sys::drop_bounding(number) {
            Ok(()) => {}
            Err(Errno::INVAL) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The second lock on files: reading and executing everywhere in the box, writing only where the
/// mounts allow it too; no signals and abstract sockets across the box's border.
fn landlock(plan: &JailPlan) -> Result<LayerStatus, Fault> {
    let writable = plan
        .trees
        .iter()
        .filter(|tree| tree.writable)
        .map(|tree| tree.target.as_os_str())
        .chain(plan.scratch.iter().map(|path| path.as_os_str()))
        .map(Path::new)
        .chain([Path::new("/dev"), Path::new("/proc")]);
    let restrict = || -> Result<_, Box<dyn std::error::Error>> {
        let all = AccessFs::from_all(NEWEST_LANDLOCK);
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?
            .scope(Scope::from_all(NEWEST_LANDLOCK))?
            .create()?
            .add_rule(PathBeneath::new(PathFd::new("/")?, AccessFs::from_read(NEWEST_LANDLOCK)))?;
        for path in writable {
            let open = PathFd::new(path)?;
            let access = if path.is_dir() { all } else { AccessFs::from_file(NEWEST_LANDLOCK) };
            ruleset = ruleset.add_rule(PathBeneath::new(open, access))?;
        }
        Ok(ruleset.restrict_self()?)
    };
    let status = restrict().map_err(|error| Fault { layer: Layer::Landlock, what: error.to_string(), errno: 0 })?;
    let detail = format!("{:?}", status.landlock);
    match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(enforced(Layer::Landlock, detail)),
        RulesetStatus::NotEnforced if plan.landlock_required => {
            Err(Errno::OPNOTSUPP).at(Layer::Landlock, "restrict files with Landlock")
        }
        RulesetStatus::NotEnforced => {
            Ok(LayerStatus { layer: Layer::Landlock, state: LayerState::Off, detail: "the kernel has none".into() })
        }
    }
}

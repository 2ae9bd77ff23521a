//! Starts the user's command as a child of the box's first process.

use std::ffi::{CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use bartizan_jail::channel;
use bartizan_jail::{JailPlan, Layer};
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, openat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{DumpableBehavior, Pid, chdir, set_dumpable_behavior, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use serde::{Deserialize, Serialize};

use crate::confine;
use crate::fault::{At, Fault};
use crate::sys;

/// Where a program without a slash is looked for when the environment names no `PATH`.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";
/// What a shell reports for a program that could not be started.
const EXIT_NOT_STARTED: i32 = 127;

pub(crate) enum Stdio {
    Descriptors(Vec<OwnedFd>),
    /// `/dev/pts/0`
    Terminal,
}

/// From the child before its exec; the end of the socket means that the command runs.
#[derive(Serialize, Deserialize)]
pub(crate) enum Report {
    /// The descriptor rides along.
    Listener,
    Failed {
        /// Named when it is not the command that is wrong.
        layer: Option<Layer>,
        what: String,
        errno: i32,
    },
}

pub(crate) fn start(plan: &JailPlan, stdio: Stdio) -> Result<(Pid, OwnedFd), Fault> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .at(Layer::Helper, "socket pair")?;
    match sys::fork().at(Layer::Helper, "start the command's process")? {
        Some(pid) => Ok((pid, ours)),
        None => {
            drop(ours);
            let Failure { layer, what, errno } = become_command(plan, stdio, &theirs);
            let _ = channel::send(&theirs, &Report::Failed { layer, what, errno: errno.raw_os_error() }, &[]);
            sys::exit(EXIT_NOT_STARTED)
        }
    }
}

/// Returns only what failed and why.
fn become_command(plan: &JailPlan, stdio: Stdio, reports: &OwnedFd) -> Failure {
    match prepare(plan, stdio, reports) {
        Ok((program, argv, env)) => {
            let errno = sys::execute(&program, &argv, &env);
            Failure { layer: None, what: format!("start `{}`", program.to_string_lossy()), errno }
        }
        Err(failed) => failed,
    }
}

type Program = (CString, Vec<CString>, Vec<CString>);

struct Failure {
    layer: Option<Layer>,
    what: String,
    errno: Errno,
}

impl Failure {
    fn of(self, layer: Layer) -> Self {
        Self { layer: Some(layer), ..self }
    }
}

fn prepare(plan: &JailPlan, stdio: Stdio, reports: &OwnedFd) -> Result<Program, Failure> {
    fn because<T>(what: impl Into<String>, result: Result<T, Errno>) -> Result<T, Failure> {
        result.map_err(|errno| Failure { layer: None, what: what.into(), errno })
    }
    let limits = |failure: Failure| failure.of(Layer::ResourceLimits);
    let warden = |failure: Failure| failure.of(Layer::Warden);
    sys::reset_signals();
    because("make a session", setsid())?;
    because("connect standard input, output and error", connect(stdio))?;
    for limit in &plan.limits {
        because(format!("set resource limit {}", limit.resource), sys::set_limit(limit.resource, limit.value))
            .map_err(limits)?;
    }
    because(format!("enter `{}`", plan.cwd.display()), chdir(plan.cwd.as_os_str()))?;
    let argv = because("read the arguments", strings(&plan.argv))?;
    let env = because("read the environment", strings(&plan.env))?;
    let name = plan.argv.first().map_or(OsStr::new(""), |name| name.as_os_str());
    let program = because(format!("find program `{}`", name.display()), find(name, plan))?;
    if let Some(filter) = confine::asking_filter(plan) {
        // The warden reads the memory of those it answers; a copy of a non-dumpable process is shut.
        because("become dumpable", set_dumpable_behavior(DumpableBehavior::Dumpable)).map_err(warden)?;
        let listener = because("install the asking filter", sys::install_filter(filter, true)).map_err(warden)?;
        let descriptors: Vec<_> = listener.iter().map(std::os::fd::AsFd::as_fd).collect();
        because("hand over the asking filter", channel::send(reports, &Report::Listener, &descriptors))
            .map_err(warden)?;
    }
    because("close descriptors", sys::close_on_exec_from(3)).map_err(|failure| failure.of(Layer::Helper))?;
    Ok((program, argv, env))
}

fn connect(stdio: Stdio) -> Result<(), Errno> {
    match stdio {
        Stdio::Descriptors(descriptors) => {
            let [input, output, error] = descriptors.as_slice() else { return Err(Errno::BADF) };
            dup2_stdin(input)?;
            dup2_stdout(output)?;
            dup2_stderr(error)
        }
        Stdio::Terminal => {
            let terminal = openat(CWD, "/dev/pts/0", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
            sys::control_terminal(&terminal)?;
            dup2_stdin(&terminal)?;
            dup2_stdout(&terminal)?;
            dup2_stderr(&terminal)
        }
    }
}

fn strings(parts: &[std::ffi::OsString]) -> Result<Vec<CString>, Errno> {
    parts.iter().map(|part| CString::new(part.as_bytes()).map_err(|_| Errno::INVAL)).collect()
}

/// Finds the program as a shell would, inside the box.
fn find(name: &OsStr, plan: &JailPlan) -> Result<CString, Errno> {
    let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::INVAL);
    if name.is_empty() {
        return Err(Errno::NOENT);
    }
    if name.as_bytes().contains(&b'/') {
        return c_string(name.as_bytes());
    }
    let path = plan
        .env
        .iter()
        .find_map(|variable| variable.as_bytes().strip_prefix(b"PATH="))
        .unwrap_or(PATH_DEFAULT.as_bytes());
    let mut reason = Errno::NOENT;
    for directory in path.split(|byte| *byte == b':') {
        let directory: &[u8] = if directory.is_empty() { b"." } else { directory };
        let candidate = c_string(&[directory, b"/", name.as_bytes()].concat())?;
        match accessat(CWD, &candidate, Access::EXEC_OK, AtFlags::empty()) {
            Ok(()) if is_file(&candidate) => return Ok(candidate),
            Err(Errno::ACCESS) => reason = Errno::ACCESS,
            _ => {}
        }
    }
    Err(reason)
}

fn is_file(path: &CString) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file())
}

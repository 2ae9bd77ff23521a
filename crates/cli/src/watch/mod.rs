//! One watch from start to end: policy compiled for the kernel, the group, the trial, the guard, and what is told of it.

mod offenders;
mod reaches;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bartizan_gate::Observer;
use bartizan_model::{Principal, RunId};
use bartizan_net::watch::{Guard, Happened, NameSockets, Reach, Stance, Watch};
use bartizan_net::{NetConfig, NetLimits};
use bartizan_policy::{BuiltinsOnly, Context, Policy, PolicySet, Source};
use bartizan_sandbox::guarded::{Group, Identity, start_in};
use tokio::signal::unix::{SignalKind, signal};

use crate::account::Account;
use crate::commands::watch::Offender;
use crate::home::Home;
use crate::output::Style;
use crate::policies::{Choice, Policies};
use crate::run::EventStream;
use crate::watch::offenders::Dealing;
use crate::watch::reaches::Compiled;
use crate::wiring::{Trust, wire};

/// The policy of `--air-gap`.
const AIR_GAP: &str = "bartizan: 1\nname: air-gap\nnet: { default: deny }\n";
const EXIT_SIGNAL_BASE: i32 = 128;
const EXIT_REFUSED: u8 = 125;

/// What is to be watched.
pub enum Over {
    /// A program and everything it starts.
    Command {
        /// The program and its arguments.
        command: Vec<OsString>,
        /// Who it is to be.
        identity: Option<Identity>,
    },
    /// A control group.
    Group(PathBuf),
    /// The machine.
    Host,
}

/// What `bartizan watch` was asked for.
pub struct Wanted {
    /// What policy to use.
    pub choice: Choice,
    /// None: nothing may be reached.
    pub air_gap: bool,
    /// What is watched.
    pub over: Over,
    /// What becomes of offenders.
    pub offender: Offender,
    /// This machine's own addresses may be reached.
    pub loopback: bool,
    /// What it is called.
    pub name: Option<String>,
    /// Where events go.
    pub events: Option<Arc<EventStream>>,
}

/// Watches until the program ends or a signal comes; gives the exit status.
pub async fn watch(home: &Home, style: Style, wanted: Wanted) -> anyhow::Result<u8> {
    let trust = Trust::open(home)?;
    let (set, persona, label) = policy(home, &wanted)?;
    let compiled = Arc::new(Compiled::compile(&set)?);
    let run = RunId::generate();
    Group::clear_abandoned();
    try_the_guard()?;

    let name = wanted.name.clone().unwrap_or_else(|| default_name(&wanted.over));
    let (group, made) = group(&wanted.over, &name)?;
    let own = exempt(&wanted.over, &group)?;
    let names = (!wanted.air_gap).then(NameSockets::bind).transpose().context("no port for the name server is free")?;
    let is_host = matches!(wanted.over, Over::Host);
    let resolver = resolver(&set, is_host && names.is_some())?;
    let stance = Stance {
        dns_port: names.as_ref().map_or(0, NameSockets::port),
        loopback: wanted.loopback || is_host,
        host: own.as_ref().filter(|_| is_host).map(Group::id).transpose()?,
        policy: compiled.mark(),
    };
    let guard = match Guard::stand(group.directory(), stance, &compiled.ranges) {
        Ok(guard) => guard,
        Err(error) => {
            if made {
                let _ = group.remove();
            }
            return Err(error.into());
        }
    };

    let observers: Vec<Arc<dyn Observer>> = wanted.events.clone().into_iter().map(|events| events as _).collect();
    let wired = wire(home, &trust, set.clone(), observers)?;
    let dealing = Arc::new(Dealing::new(style, group.clone(), wanted.offender));
    let candidates = group.clone();
    let config = NetConfig {
        principal: Principal::boxed_agent(&name, persona, Account::current().name),
        run: run.clone(),
        limits: NetLimits::default(),
        resolver,
        candidates: Arc::new(move || candidates.processes()),
        authority: None,
    };
    let taken_over = guard.is_taken_over();
    let mut watch = Watch::begin(wired.gate.clone(), config, guard, names, compiled.clone(), dealing.clone())
        .context("the watch can't be carried on")?;
    let how = if taken_over { "takes over the guard of" } else { "guards" };
    let message = format!("the watch `{name}` {how} `{}` under `{label}`", group.directory().display());
    wired.gate.note(Some(run), "watch.start", &message, std::collections::BTreeMap::new()).await?;
    eprintln!("{} {message}", style.good("bartizan:"));
    let left_out = set.egress_left_out();
    if let Some(first) = left_out.first() {
        eprintln!(
            "{} rules that ask a person or decide single requests let nothing through here: {} of them, `{first}` the first",
            style.warn("bartizan:"),
            left_out.len()
        );
    }

    let ended = carry(&mut watch, &wanted.over, &group).await;
    // Nothing may be left without a guard that was under one: what we made is ended before the guard goes with it.
    if made {
        let emptied = group.end();
        watch.carry_on(std::future::ready(())).await?;
        emptied
            .and_then(|()| group.remove())
            .context("the group's processes can't be ended; the guard stays on them")?;
    } else {
        watch.leave();
    }
    if let Some(own) = own {
        leave_own(&own);
    }
    let told = watch.summarise().await;
    dealing.summarise();
    wired.ledger.close();
    told?;
    ended
}

async fn carry(watch: &mut Watch, over: &Over, group: &Group) -> anyhow::Result<u8> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let Over::Command { command, identity } = over else {
        watch
            .carry_on(async {
                tokio::select! {
                    _ = terminated.recv() => {}
                    _ = interrupted.recv() => {}
                }
            })
            .await?;
        return Ok(0);
    };
    let mut arguments: Vec<OsString> = Vec::new();
    if let Some(identity) = identity {
        for (option, number) in [("--uid", identity.uid), ("--gid", identity.gid)] {
            arguments.extend([option.into(), number.to_string().into()]);
        }
    }
    arguments.push("--".into());
    arguments.extend(command.iter().cloned());
    let mut child = start_in(group, arguments, None).context("the program can't be started")?;
    let mut waiting = tokio::task::spawn_blocking(move || child.wait());
    let mut status: Option<std::io::Result<ExitStatus>> = None;
    watch
        .carry_on(async {
            loop {
                tokio::select! {
                    ended = &mut waiting => {
                        status = Some(ended.unwrap_or_else(|error| Err(std::io::Error::other(error))));
                        return;
                    }
                    _ = terminated.recv() => return,
                    // The terminal tells the program as well, and it decides what to make of it.
                    _ = interrupted.recv() => {}
                }
            }
        })
        .await?;
    match status {
        Some(status) => Ok(code(status?)),
        None => Ok(u8::try_from(EXIT_SIGNAL_BASE + rustix::process::Signal::TERM.as_raw()).unwrap_or(EXIT_REFUSED)),
    }
}

fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|signal| EXIT_SIGNAL_BASE + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(EXIT_REFUSED)
}

fn policy(home: &Home, wanted: &Wanted) -> anyhow::Result<(Arc<PolicySet>, Option<String>, String)> {
    let workspace = std::env::current_dir().context("the working directory is gone")?;
    if !wanted.air_gap {
        let policies = Policies::load(home, &wanted.choice, &workspace)?;
        return Ok((policies.set, policies.persona, policies.label));
    }
    let policy =
        Policy::load(&Source::new("air-gap", AIR_GAP), &BuiltinsOnly).map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let user_home = Account::current().home.unwrap_or_else(|| workspace.clone());
    let set = PolicySet::new(policy, [], Context::new(&user_home, &workspace)?)?;
    Ok((Arc::new(set), None, "air-gap".to_owned()))
}

fn default_name(over: &Over) -> String {
    let path = match over {
        Over::Command { command, .. } => command.first().map(PathBuf::from),
        Over::Group(group) => Some(group.clone()),
        Over::Host => None,
    };
    let name = path.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "host".to_owned())
}

/// The group to guard, and whether it was made for this.
fn group(over: &Over, name: &str) -> anyhow::Result<(Group, bool)> {
    match over {
        Over::Command { .. } => {
            let plain: String = name.chars().filter(|character| character.is_ascii_alphanumeric()).take(32).collect();
            let group = Group::make(&plain).context(NO_GROUP)?;
            Ok((group, true))
        }
        Over::Group(path) => {
            let group = Group::open(path).with_context(|| {
                format!(
                    "layer `cgroup`: `{}` is no control group of version 2; see `systemd-cgls` for those there are",
                    path.display()
                )
            })?;
            if group.is_root() {
                bail!("layer `cgroup`: that is the root of the tree; watch the whole machine with `--host`");
            }
            Ok((group, false))
        }
        Over::Host => Ok((Group::root().context(NO_GROUP)?, false)),
    }
}

const NO_GROUP: &str = "layer `cgroup`: no control group can be had; it takes root and cgroup version 2: try `sudo bartizan watch`, or `bartizan run` for a box that needs no privilege";

/// A group of our own outside of what is guarded, where we would be guarded ourselves.
fn exempt(over: &Over, group: &Group) -> anyhow::Result<Option<Group>> {
    if matches!(over, Over::Command { .. }) || !group.holds(std::process::id()) {
        return Ok(None);
    }
    let own = Group::make("self").context(NO_GROUP)?;
    own.enter().context(NO_GROUP)?;
    Ok(Some(own))
}

fn leave_own(own: &Group) {
    // Only we are in it, and we are about to end: where we end does not matter, that the group goes does.
    if let Ok(root) = Group::root()
        && root.enter().is_ok()
    {
        let _ = std::fs::remove_dir(own.directory());
    }
}

/// The name server to ask. One on the guarded machine itself would ask us what we ask it.
fn resolver(set: &PolicySet, guards_host: bool) -> anyhow::Result<Option<std::net::SocketAddr>> {
    let resolver = set.layers().net.resolver;
    if guards_host && resolver.is_none_or(|resolver| resolver.ip().is_loopback()) {
        let system = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let servers = system.lines().filter_map(|line| line.strip_prefix("nameserver")).map(str::trim);
        let outside =
            servers.filter_map(|server| server.parse::<std::net::IpAddr>().ok()).find(|server| !server.is_loopback());
        return match (outside, resolver) {
            (Some(address), None) => Ok(Some(std::net::SocketAddr::new(address, 53))),
            _ => bail!(
                "the machine's name server is on the machine itself, which is to be guarded; name one outside in the policy: `net: {{ resolver: ADDRESS }}`"
            ),
        };
    }
    Ok(resolver)
}

/// Puts a guard that lets nothing through over a program of our own, and has it try. Whatever the kernel says it does: only
/// what was seen counts.
fn try_the_guard() -> anyhow::Result<()> {
    let group = Group::make("trial").context(NO_GROUP)?;
    let tried = try_in(&group);
    let _ = group.remove();
    tried
}

fn try_in(group: &Group) -> anyhow::Result<()> {
    let mut guard = Guard::stand(group.directory(), Stance::default(), &[])?;
    let child = start_in(group, vec!["--trial".into()], Some(Stdio::piped())).context("the trial can't be started")?;
    let pid = child.id();
    let output = child.wait_with_output().context("the trial was broken off")?;
    if !output.status.success() {
        if output.status.code() != Some(1) {
            bail!("the trial of the guard could not be carried out; the line above says why");
        }
        let through = String::from_utf8_lossy(&output.stdout).lines().collect::<Vec<_>>().join(", ");
        bail!(
            "layer `bpf`: the guard stands and does not hold: {through} passed it. The kernel may not know sockets by cgroup version 2 here; `bartizan run` needs none of it"
        );
    }
    let events = guard.events();
    let seen = events.iter().filter(|event| event.happened != Happened::LetThrough);
    if !seen.clone().any(|event| event.pid == Some(pid)) {
        bail!(
            "layer `process`: the kernel's process numbers are not those seen here, so that no offender could be told; start it in the machine's own process namespace, not in a container"
        );
    }
    Ok(())
}

/// Ranges in the guard's form.
pub(crate) fn reach(range: &bartizan_policy::EgressRange) -> Reach {
    Reach { address: range.address, prefix: range.prefix, ports: range.ports.clone() }
}

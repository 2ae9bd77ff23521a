//! Reads what the guard tells, puts it to the gate, so that it stands in the ledger with process and reason, and has the
//! offender dealt with.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bartizan_gate::{AppendError, Gate, Refusal, RefusalCause};
use bartizan_model::{Deed, Effect, Process};
use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink, socket_with};

use super::event::{Event, Happened};
use super::guard::Guard;
use super::names::{NameSockets, Names};
use crate::context::{Context, NetConfig};
use crate::process::{Attribution, Transport};

/// Different attempts that get an entry of their own; more are counted. A program must not fill the ledger.
const ATTEMPTS_MAX: usize = 4096;
/// How long events may lie in the ring should the kernel's signal be missed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a name may be reached at.
#[derive(Debug, Clone, Default)]
pub struct NameReach {
    /// Spans of ports, first and last.
    pub ports: Vec<(u16, u16)>,
    /// It may lead to private addresses.
    pub private: bool,
    /// Exactly this address, wherever it leads.
    pub address: Option<IpAddr>,
}

/// What policy lets be reached, as compiled for the guard.
pub trait Reaches: Send + Sync {
    /// What this name may be reached at.
    fn of_name(&self, name: &str) -> NameReach;
    /// The ports this address may be reached at by itself.
    fn of_address(&self, address: IpAddr) -> Vec<(u16, u16)>;
}

/// An attempt that was blocked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// The process, where it is known.
    pub process: Option<Process>,
    /// What it is called.
    pub command: String,
    /// Where it wanted to.
    pub target: String,
}

/// Whoever is told of attempts, and deals with offenders.
pub trait Offenders: Send + Sync {
    /// Deals with the offender, at once. What was done to it, for the record; `None` if nothing was to be done.
    fn seize(&self, attempt: &Attempt) -> Option<String>;
    /// It is on the record: what was tried, and why it was blocked.
    fn tell(&self, attempt: &Attempt, reason: &str);
    /// It could not be recorded, so that nothing is let through any more.
    fn shut(&self, problem: &str);
}

/// A watch at work.
pub struct Watch {
    context: Arc<Context>,
    guard: Arc<Mutex<Guard>>,
    offenders: Arc<dyn Offenders>,
    attempts: HashMap<(Option<u32>, SocketAddr, u32, Happened), i64>,
    beyond: i64,
}

impl Watch {
    /// A watch over a guard that stands; name servers only where names may be asked for.
    ///
    /// # Errors
    /// A socket can't be had.
    pub fn begin(
        gate: Arc<Gate>,
        config: NetConfig,
        guard: Guard,
        names: Option<NameSockets>,
        reaches: Arc<dyn Reaches>,
        offenders: Arc<dyn Offenders>,
    ) -> std::io::Result<Self> {
        let sockets =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
        let attribution = Attribution::new(sockets, Arc::clone(&config.candidates));
        let context = Arc::new(Context::new(gate, attribution, config));
        let guard = Arc::new(Mutex::new(guard));
        if let Some(sockets) = names {
            Arc::new(Names { context: Arc::clone(&context), guard: Arc::clone(&guard), reaches }).serve(sockets)?;
        }
        Ok(Self { context, guard, offenders, attempts: HashMap::new(), beyond: 0 })
    }

    /// Carries on until `end` resolves, then tells what is left to tell.
    ///
    /// # Errors
    /// The guard's events can't be waited for.
    pub async fn carry_on(&mut self, end: impl Future<Output = ()>) -> std::io::Result<()> {
        let signal = super::system::readable(crate::lock(&self.guard).signal()?)?;
        tokio::pin!(end);
        loop {
            self.look().await;
            tokio::select! {
                () = &mut end => break,
                ready = signal.readable() => ready?.clear_ready(),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        self.look().await;
        Ok(())
    }

    /// Takes the guard away; call it when nothing is left that it guards, or when it is to be guarded no more.
    pub fn leave(&self) {
        crate::lock(&self.guard).leave();
    }

    /// What is still to be said at the end.
    ///
    /// # Errors
    /// The ledger can't keep it.
    pub async fn summarise(&self) -> Result<(), AppendError> {
        let repeated: i64 = self.attempts.values().map(|count| count - 1).sum();
        let lost = i64::try_from(crate::lock(&self.guard).lost()).unwrap_or(i64::MAX);
        let mut figures = BTreeMap::new();
        figures.insert("attempts".to_owned(), i64::try_from(self.attempts.len()).unwrap_or(i64::MAX));
        figures.insert("repeated".to_owned(), repeated);
        figures.insert("not_recorded".to_owned(), self.beyond.saturating_add(lost));
        self.context.say("watch.end", "the watch ends", figures).await
    }

    async fn look(&mut self) {
        let events = crate::lock(&self.guard).events();
        for event in events {
            let key = (event.pid, event.to, event.protocol, event.happened);
            if let Some(count) = self.attempts.get_mut(&key) {
                *count += 1;
                continue;
            }
            if self.attempts.len() >= ATTEMPTS_MAX {
                self.beyond += 1;
                continue;
            }
            self.attempts.insert(key, 1);
            match event.happened {
                Happened::LetThrough => self.let_through(&event).await,
                _ => self.blocked(&event).await,
            }
        }
    }

    fn process(&self, event: &Event) -> Option<Process> {
        let Some(pid) = event.pid else {
            let transport = match event.protocol {
                6 => Transport::Tcp,
                17 => Transport::Udp,
                _ => return None,
            };
            return self.context.attribution.find(transport, event.from, event.to);
        };
        let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let executable = executable.map(|path| path.to_string_lossy().trim_end_matches(" (deleted)").to_owned());
        // One that has ended has no file any more; what the kernel called it is known all the same.
        Some(Process { pid, in_box: false, executable: executable.or_else(|| Some(event.command.clone())) })
    }

    fn host(&self, address: IpAddr) -> String {
        crate::lock(&self.guard).name_of(address).unwrap_or_else(|| address.to_string())
    }

    /// The gate is asked about what the guard let through as well: it is one decision, on one record.
    async fn let_through(&self, event: &Event) {
        let process = self.process(event);
        let deed = Deed::NetConnect { host: self.host(event.to.ip()), port: event.to.port() };
        let target = deed.target();
        let action = self.context.action(deed, process.clone());
        match self.context.gate.judge(action).await {
            Ok(verdict) if verdict.effect == Effect::Allow => {}
            // The policy has other grounds than addresses and ports: its word counts, and the guard is shut.
            Ok(verdict) => {
                let attempt = Attempt { process, command: event.command.clone(), target };
                let seized = self.offenders.seize(&attempt);
                self.record_seizure(&attempt, seized).await;
                self.shut(&format!("`{}` was let through, and the policy says: {}", attempt.target, verdict.reason));
            }
            Err(refusal) => self.shut(&refusal.to_string()),
        }
    }

    async fn blocked(&self, event: &Event) {
        let process = self.process(event);
        let without_destination = event.happened == Happened::SocketRefused;
        let host = self.host(event.to.ip());
        let target = if without_destination {
            format!("a socket of type {} over {}", event.to.port(), event.protocol_name())
        } else {
            let deed = Deed::NetConnect { host: host.clone(), port: event.to.port() };
            if event.protocol == 6 {
                deed.target()
            } else {
                format!("{} over {}", deed.target(), event.protocol_name())
            }
        };
        let command = match &process {
            Some(process) if event.command.is_empty() => name_of(process),
            _ => event.command.clone(),
        };
        let attempt = Attempt { process: process.clone(), command, target };
        // First things first: the record can wait the moment it takes.
        let seized = self.offenders.seize(&attempt);
        let reason = if without_destination {
            self.note_blocked(&attempt, "only TCP passes a watch").await
        } else {
            let deed = Deed::NetConnect { host, port: event.to.port() };
            let action = self.context.action(deed, process);
            match self.context.gate.foresee(&action) {
                Effect::Deny => match self.context.gate.admit(action).await {
                    Err(refusal) => self.refused(&refusal),
                    Ok(armed) => {
                        let outcome = bartizan_model::Outcome::new(bartizan_model::OutcomeStatus::Stopped);
                        self.context.close(armed, outcome).await;
                        "it was blocked before the policy changed".to_owned()
                    }
                },
                Effect::Ask => {
                    self.note_blocked(&attempt, "it needs a person's word, and a watch can't hold a connection").await
                }
                Effect::Allow if event.protocol != 6 => self.note_blocked(&attempt, "only TCP passes a watch").await,
                Effect::Allow if event.happened == Happened::PacketDropped => {
                    self.note_blocked(&attempt, "the connection was open before the watch let it be reached").await
                }
                Effect::Allow => {
                    let why =
                        "the policy lets it be reached by single requests, or by a name that was not asked for here";
                    self.note_blocked(&attempt, why).await
                }
            }
        };
        self.offenders.tell(&attempt, &reason);
        self.record_seizure(&attempt, seized).await;
    }

    fn refused(&self, refusal: &Refusal) -> String {
        if matches!(refusal.cause(), RefusalCause::Failure(_)) {
            self.shut(&refusal.to_string());
        }
        refusal
            .verdict()
            .map_or_else(|| refusal.to_string(), |verdict| format!("{} ({})", verdict.reason, verdict.rule.rule))
    }

    async fn note_blocked(&self, attempt: &Attempt, why: &str) -> String {
        let who = described(attempt);
        let message = format!("{who} was kept from {}: {why}", attempt.target);
        if let Err(error) = self.context.say("watch.blocked", &message, BTreeMap::new()).await {
            self.shut(&error.to_string());
        }
        why.to_owned()
    }

    async fn record_seizure(&self, attempt: &Attempt, seized: Option<String>) {
        let Some(seized) = seized else { return };
        let message = format!("{} {seized}, because of {}", described(attempt), attempt.target);
        if let Err(error) = self.context.say("watch.offender", &message, BTreeMap::new()).await {
            self.shut(&error.to_string());
        }
    }

    /// What can't be recorded must not happen.
    fn shut(&self, problem: &str) {
        let cleared = crate::lock(&self.guard).clear();
        self.offenders.shut(&match cleared {
            Ok(()) => problem.to_owned(),
            Err(error) => format!("{problem}; and the table can't be cleared: {error}"),
        });
    }
}

fn name_of(process: &Process) -> String {
    let name = process.executable.as_deref().and_then(|path| path.rsplit('/').next());
    name.unwrap_or("a process").to_owned()
}

fn described(attempt: &Attempt) -> String {
    match &attempt.process {
        Some(process) => {
            format!("`{}` (process {})", process.executable.as_deref().unwrap_or(&attempt.command), process.pid)
        }
        None => "a process that can't be told".to_owned(),
    }
}

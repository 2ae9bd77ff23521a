//! What every connection and every DNS question of one run shares, and how each becomes an action.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bartizan_gate::{AppendError, Armed, Gate, Refusal};
use bartizan_model::{Action, ActionId, Deed, Effect, Outcome, Principal, Process, RunId};
use tokio::sync::{Semaphore, watch};

use crate::authority::Authority;
use crate::limits::{EgressBudget, NetLimits};
use crate::names::Names;
use crate::process::{Attribution, ProcessCandidates};
use crate::resolve::Upstream;
use crate::secure::Secure;

/// Notes about what never became an action. After these it is only counted: the box must not fill the ledger.
const NOTES_MAX: i64 = 64;

/// How a run's network is set up.
#[derive(Clone)]
pub struct NetConfig {
    /// Who acts.
    pub principal: Principal,
    /// The run.
    pub run: RunId,
    /// What it may use.
    pub limits: NetLimits,
    /// The DNS server to ask; the system's configuration when absent.
    pub resolver: Option<SocketAddr>,
    /// The box's processes, as process ids outside.
    pub candidates: ProcessCandidates,
    /// The authority whose certificate the box trusts; without it TLS whose requests are to be decided is refused.
    pub authority: Option<Arc<Authority>>,
}

/// A running box's network, shared by all its tasks.
pub(crate) struct Context {
    pub(crate) gate: Arc<Gate>,
    pub(crate) names: Names,
    pub(crate) attribution: Attribution,
    pub(crate) upstream: Upstream,
    pub(crate) secure: Secure,
    pub(crate) authority: Option<Arc<Authority>>,
    pub(crate) budget: EgressBudget,
    pub(crate) connections: Arc<Semaphore>,
    /// Room for bodies that are at hand.
    pub(crate) bodies: Arc<Semaphore>,
    pub(crate) tally: Tally,
    principal: Principal,
    run: RunId,
    /// Becomes true when the run ends.
    stopping: watch::Sender<bool>,
    /// Counts up whenever policy may have been tightened.
    policy: watch::Sender<u64>,
}

/// Why an action did not come to be armed.
pub(crate) enum Halt {
    /// The gate refused it and recorded that.
    Refused(Box<Refusal>),
    /// Whoever wanted it is gone, or the run has ended; the question was withdrawn.
    Withdrawn,
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl Context {
    pub(crate) fn new(gate: Arc<Gate>, attribution: Attribution, config: NetConfig) -> Self {
        Self {
            gate,
            names: Names::default(),
            attribution,
            upstream: Upstream::new(config.resolver),
            secure: Secure::default(),
            authority: config.authority,
            budget: EgressBudget::new(config.limits.egress_bytes_max),
            connections: Arc::new(Semaphore::new(connections_possible(config.limits.connections_max))),
            bodies: crate::at_hand::room(),
            tally: Tally::default(),
            principal: config.principal,
            run: config.run,
            stopping: watch::Sender::new(false),
            policy: watch::Sender::new(0),
        }
    }

    /// Takes a deed through the gate. While a person is asked, `gone` may end the wait; from the moment the intent
    /// is being written there is no way back, so that nothing is opened and then forgotten.
    pub(crate) async fn admit(
        &self,
        deed: Deed,
        process: Option<Process>,
        gone: impl Future<Output = ()>,
    ) -> Result<Armed, Halt> {
        let target = deed.target();
        let action = self.action(deed, process);
        let is_request = matches!(action.deed, Deed::HttpRequest { .. } | Deed::LlmRequest { .. });
        let identified = self.gate.identify(action).await?;
        // What is sent on of a request is what the gate gives back.
        let identified = if is_request { identified.redactable() } else { identified };
        let permitted = self.gate.decide(self.gate.scan(identified)).await?;
        let approved = if permitted.verdict().effect == Effect::Ask {
            let withdrawn = tokio::select! {
                biased;
                approved = self.gate.approve(permitted) => Ok(approved?),
                () = gone => Err("the program gave up waiting"),
                () = self.stopped() => Err("the run ended"),
            };
            match withdrawn {
                Ok(approved) => approved,
                Err(why) => {
                    self.note("net.withdrawn", &format!("the question about `{target}` was withdrawn: {why}")).await;
                    return Err(Halt::Withdrawn);
                }
            }
        } else {
            self.gate.approve(permitted).await?
        };
        let opened = self.gate.open(approved).await?;
        Ok(self.gate.inject(opened).await?)
    }

    /// An action of this run.
    pub(crate) fn action(&self, deed: Deed, process: Option<Process>) -> Action {
        Action {
            id: ActionId::generate(),
            deed,
            principal: self.principal.clone(),
            run: Some(self.run.clone()),
            session: None,
            process,
        }
    }

    /// Takes a deed through the gate where nobody can be asked: what needs a person is withdrawn.
    pub(crate) async fn admit_unasked(&self, deed: Deed, process: Option<Process>) -> Result<Armed, Halt> {
        let action = self.action(deed, process);
        if self.gate.foresee(&action) == Effect::Ask {
            let message = format!(
                "`{}` needs a person's word, and a watch can't hold it until one is given",
                action.deed.target()
            );
            self.note("net.refused", &message).await;
            return Err(Halt::Withdrawn);
        }
        Ok(self.gate.admit(action).await?)
    }

    /// What would be decided, without a record: for what passes in many small pieces.
    pub(crate) fn foresee(&self, deed: Deed, process: Option<Process>) -> Effect {
        self.gate.foresee(&self.action(deed, process))
    }

    /// Closes what was admitted. A ledger that fails now is noticed by the next admission, which it refuses.
    pub(crate) async fn close(&self, armed: Armed, outcome: Outcome) {
        if self.gate.close(armed, outcome).await.is_err() {
            self.tally.count("entries_not_closed");
        }
    }

    /// Records what never became an action, a bounded number of times.
    pub(crate) async fn note(&self, topic: &str, message: &str) {
        if self.tally.count("notes") <= NOTES_MAX {
            // A ledger that fails refuses every action anyway; a note has nothing to add.
            let _ = self.gate.note(Some(self.run.clone()), topic, message, BTreeMap::new()).await;
        }
    }

    /// Records what a person must get to know.
    ///
    /// # Errors
    /// The ledger can't keep it.
    pub(crate) async fn say(
        &self,
        topic: &str,
        message: &str,
        figures: BTreeMap<String, i64>,
    ) -> Result<(), AppendError> {
        self.gate.note(Some(self.run.clone()), topic, message, figures).await.map(drop)
    }

    /// Resolves when the run ends.
    pub(crate) async fn stopped(&self) {
        // An error means that the sender is gone, and it lives in `self`.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Tells every open connection to look at policy again.
    pub(crate) fn redecide(&self) {
        self.policy.send_modify(|generation| *generation += 1);
    }

    /// Resolves when policy has been tightened so that one of these is denied now.
    pub(crate) async fn denied(&self, armed: &[&Armed]) {
        let mut policy = self.policy.subscribe();
        loop {
            if armed.iter().any(|armed| !self.gate.still_allows(armed)) {
                return;
            }
            if policy.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// As many as policy allows, and as the process has descriptors for: two sockets each and a pipe while bytes are in it.
/// The rest of the process (ledger, box) must not run out because a program opens connections.
fn connections_possible(wanted: usize) -> usize {
    const DESCRIPTORS_EACH: u64 = 3;
    const DESCRIPTORS_KEPT: u64 = 256;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let possible = limit.saturating_sub(DESCRIPTORS_KEPT) / DESCRIPTORS_EACH;
    wanted.min(usize::try_from(possible).unwrap_or(usize::MAX)).clamp(1, Semaphore::MAX_PERMITS)
}

/// Counters by name: what happened too often or meant too little for an entry of its own.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counters: Mutex<BTreeMap<&'static str, i64>>,
    sent: AtomicI64,
    received: AtomicI64,
}

impl Tally {
    /// Counts one up and returns the new count.
    pub(crate) fn count(&self, name: &'static str) -> i64 {
        let mut counters = crate::lock(&self.counters);
        let counter = counters.entry(name).or_default();
        *counter = counter.saturating_add(1);
        *counter
    }

    pub(crate) fn transferred(&self, sent: i64, received: i64) {
        self.sent.fetch_add(sent, Ordering::Relaxed);
        self.received.fetch_add(received, Ordering::Relaxed);
    }

    pub(crate) fn figures(&self) -> BTreeMap<String, i64> {
        let mut figures: BTreeMap<String, i64> =
            crate::lock(&self.counters).iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        figures.remove("notes");
        figures.insert("sent_bytes".to_owned(), self.sent.load(Ordering::Relaxed));
        figures.insert("received_bytes".to_owned(), self.received.load(Ordering::Relaxed));
        figures
    }
}

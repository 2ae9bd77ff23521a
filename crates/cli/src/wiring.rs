//! Puts the parts together: keys and ledger of a home, policy as the gate's decider, and the gate itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, bail};
use bartizan_crypto::{PublicKey, SigningKey, key_file};
use bartizan_gate::{Approver, Clock, Decider, Desk, Gate, Observer, Parts};
use bartizan_ledger::{FileLedger, LedgerOptions, LedgerSigner, SystemClock, VerifyOptions};
use bartizan_model::{Action, Deed, Outcome, RequestNeeds, Sighting, Verdict};
use bartizan_policy::{Exception, Look, PolicySet, Session};
use bartizan_scan::{Redactor, Scanner};

use crate::bundles::Bundles;
use crate::exceptions;
use crate::home::Home;
use crate::policies::Policies;
use crate::secrets::Lent;
use crate::sessions::Sessions;
use crate::standing::StandingFiles;

/// The keys of a home.
#[derive(Clone)]
pub struct Trust {
    home: Home,
    key: Arc<SigningKey>,
}

impl Trust {
    /// Loads the home's key.
    pub fn open(home: &Home) -> anyhow::Result<Self> {
        let key = key_file::load(&home.key_file())
            .context("without its key nothing can be signed, so nothing may be done")?;
        Ok(Self { home: home.clone(), key: Arc::new(key) })
    }

    /// Loads the home's key, making it first when there is none. Says whether it was made.
    pub fn create(home: &Home) -> anyhow::Result<(Self, bool)> {
        let (key, origin) = key_file::load_or_create(&home.key_file())?;
        key_file::write_public(&home.public_key_file(), &key.public())?;
        Ok((Self { home: home.clone(), key: Arc::new(key) }, origin == key_file::Origin::Made))
    }

    /// Which key it is.
    pub fn key_id(&self) -> String {
        self.key.public().key_id()
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// The bundles of the home.
    pub fn bundles(&self) -> anyhow::Result<Bundles> {
        Bundles::open(&self.home, self.key.clone())
    }

    /// Signs an exception and keeps it.
    pub fn add_exception(&self, exception: &Exception) -> anyhow::Result<()> {
        exceptions::add(&self.home, &self.key, exception)
    }

    /// Opens the ledger for appending.
    pub fn ledger(&self) -> anyhow::Result<FileLedger> {
        let options = LedgerOptions::new(self.home.ledger()).with_witness(Home::witness_directory()?);
        let (directory, shown) = (Home::witness_directory()?, self.home.ledger());
        make_witness_directory(&directory)?;
        FileLedger::open(options, self.key.clone()).with_context(|| {
            format!("without the ledger `{}` nothing can be recorded, so nothing may be done", shown.display())
        })
    }

    /// Verifies the ledger and says how it is in a line.
    pub fn ledger_health(&self) -> anyhow::Result<String> {
        let last = self.ledger()?.last_at();
        SystemClock::new(last).now()?;
        let options = VerifyOptions { witness: Some(Home::witness_directory()?), checkpoint: None };
        let report = bartizan_ledger::verify(&self.home.ledger(), &self.public_key(), &options)?;
        if let Some(bad) = report.first_bad {
            bail!("{bad}; `bartizan log verify` says more");
        }
        if let Some(problem) = report.problems.first() {
            bail!("{problem}; `bartizan log verify` says more");
        }
        Ok(format!("{} entries verified, {} signed", report.entries, report.signed))
    }
}

fn make_witness_directory(directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.with_context(|| format!("failed to make `{}`, where the ledger's witness is kept; set XDG_STATE_HOME to a place that can be written", directory.display()))
}

/// The policy in force as the gate's decider; swapped whole when its files change.
pub struct PolicyDecider {
    set: RwLock<Arc<PolicySet>>,
    sessions: Arc<Sessions>,
    clock: Arc<dyn Clock>,
}

impl PolicyDecider {
    /// Decides under this policy, by this clock.
    pub fn new(set: Arc<PolicySet>, clock: Arc<dyn Clock>) -> Self {
        Self { set: RwLock::new(set), sessions: Arc::default(), clock }
    }

    /// What is remembered between the actions of this one's session.
    pub fn session_of(&self, action: &Action) -> Arc<Session> {
        self.sessions.of(action)
    }

    fn look<T>(&self, action: &Action, sightings: &[Sighting], look: impl FnOnce(&PolicySet, &Look<'_>) -> T) -> T {
        let session = self.sessions.of(action);
        let known = Look {
            sightings,
            session: Some(&session),
            principal: Some(&action.principal),
            action: Some(&action.id),
            // Without a clock nothing is admitted anyway: the gate can't date its entry.
            now: self.clock.now().ok(),
            caught: action.run.is_some(),
        };
        look(&self.set(), &known)
    }

    /// The policy in force.
    pub fn set(&self) -> Arc<PolicySet> {
        self.set.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Decides under another policy from now on.
    pub fn swap(&self, set: Arc<PolicySet>) {
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = set;
    }
}

impl Decider for PolicyDecider {
    fn decide(&self, action: &Action, sightings: &[Sighting]) -> Verdict {
        self.look(action, sightings, |set, look| set.decide_with(&action.deed, look).to_verdict())
    }

    fn needs(&self, deed: &Deed) -> RequestNeeds {
        self.set().needs(deed)
    }

    fn begin(&self, action: &Action, sightings: &[Sighting], verdict: &Verdict) -> Result<(), Box<Verdict>> {
        self.look(action, sightings, |set, look| set.begin(&action.id, &action.deed, verdict, look))
    }

    fn settle(&self, action: &Action, outcome: Option<&Outcome>) {
        self.look(action, &[], |set, look| set.settle(&action.id, outcome, look));
    }

    fn approval_timeout(&self) -> Duration {
        self.set().approval_timeout()
    }
}

/// A gate and the parts others need to reach.
pub struct Wired {
    /// The gate.
    pub gate: Arc<Gate>,
    /// Where questions wait.
    pub desk: Arc<Desk>,
    /// The policy in force.
    pub decider: Arc<PolicyDecider>,
    /// The ledger, to close at the end.
    pub ledger: Arc<FileLedger>,
    /// Never earlier than the ledger's last entry.
    pub clock: Arc<dyn Clock>,
}

impl Wired {
    /// Puts a word on record that belongs to no deed of an agent, and closes the ledger. Not to be called on a runtime's
    /// own thread.
    pub fn note(self, topic: &str, message: &str) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(self.gate.note(None, topic, message, BTreeMap::new()))?;
        self.ledger.close();
        Ok(())
    }
}

/// Puts on record what a person does to this home, before it is done: a change nobody can find out about must not hold.
/// It is recorded under the smallest policy there is; the configured one may be the very thing that is mended.
pub fn note(home: &Home, topic: &str, message: &str) -> anyhow::Result<()> {
    let policies = Policies::named(home, "strict", Path::new("/"))?;
    wire(home, &Trust::open(home)?, policies.set, Vec::new())?.note(topic, message)
}

/// Builds the gate over a home's keys and ledger and a policy, for deeds that need no secret.
pub fn wire(
    home: &Home,
    trust: &Trust,
    set: Arc<PolicySet>,
    observers: Vec<Arc<dyn Observer>>,
) -> anyhow::Result<Wired> {
    wire_with(home, trust, set, observers, &Lent::default())
}

/// The same with what a run was lent.
pub fn wire_with(
    home: &Home,
    trust: &Trust,
    set: Arc<PolicySet>,
    observers: Vec<Arc<dyn Observer>>,
    lent: &Lent,
) -> anyhow::Result<Wired> {
    let ledger = Arc::new(trust.ledger()?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(ledger.last_at()));
    // What has ended is moved away before anything is decided: a clock set back later can't bring it to life.
    exceptions::end(home, clock.now()?)?;
    let desk = Arc::new(Desk::new(Arc::new(StandingFiles::new(home.approvals(), trust.key.clone())), clock.clone()));
    let decider = Arc::new(PolicyDecider::new(set, clock.clone()));
    let approver: Arc<dyn Approver> = desk.clone();
    let gate = Arc::new(Gate::new(Parts {
        scanner: Arc::new(Scanner::standard()),
        decider: decider.clone(),
        approver,
        secrets: Arc::new(lent.broker.clone()),
        ledger: ledger.clone(),
        signer: Arc::new(LedgerSigner::new(trust.key.clone())),
        clock: clock.clone(),
        redactor: Arc::new(Redactor::standard().with_known(lent.known.clone())),
        observers,
    }));
    Ok(Wired { gate, desk, decider, ledger, clock })
}

//! One run from start to end: the gate, the box, its network, its terminal, and everything that watches.

mod control;
mod environment;
mod events;
mod held;
pub mod llm_proxy;
mod reload;
mod specification;
mod streams;
mod terminal_approver;
mod traces;
mod view;
mod warden;

pub use environment::CommandError;
pub use events::EventStream;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use bartizan_api::control::{BoxStatus, LayerState};
use bartizan_gate::{AppendError, Armed, Decision, Observer};
use bartizan_ledger::{Index, close_unknown};
use bartizan_model::text::exact;
use bartizan_model::{Action, Deed, Effect, Outcome, OutcomeStatus, RunId};
use bartizan_net::{Authority, NetConfig, NetSummary, Network};
use bartizan_policy::{Layers, Look};
use bartizan_sandbox::{ExitReport, ExitStatus, PreparedBox, RunningBox, StartError, StopReason, Stopper};
use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::account::Account;
use crate::home::Home;
use crate::output::{Style, short};
use crate::policies::{Choice, Policies};
use crate::reload::Reloader;
use crate::run::control::Controlled;
use crate::run::events::Tally;
use crate::run::held::HeldInside;
use crate::run::streams::Streams;
use crate::run::traces::{OpenMark, RunDirectory, gone_is_fine};
use crate::run::warden::Subject;
use crate::secrets::{Asked, Lent};
use crate::wiring::{Trust, Wired, wire_with};

/// What `bartizan run` was asked for.
pub struct Wanted {
    /// What policy to use.
    pub choice: Choice,
    /// The run's name.
    pub name: Option<String>,
    /// Where events go.
    pub events: Option<Arc<EventStream>>,
    /// The command, not empty.
    pub command: Vec<OsString>,
    /// The secrets it asks for.
    pub secrets: Vec<Asked>,
    /// Say nothing at the end.
    pub quiet: bool,
}

/// The run's name among control groups, which know no underscore.
fn box_name(run: &RunId) -> String {
    run.as_str().replace('_', "-")
}

/// Runs the command in its box. The gate has the first word: what it refuses is never started.
pub async fn run(home: &Home, style: Style, wanted: Wanted) -> anyhow::Result<ExitReport> {
    // Beside the reading of keys and policy, on the thread that will make the box; a failure shows there.
    drop(tokio::task::spawn_blocking(bartizan_sandbox::warm_up));
    let trust = Trust::open(home)?;
    let workspace = std::env::current_dir().context("the working directory is gone")?;
    let mut choice = wanted.choice.clone();
    choice.lent = wanted.secrets.iter().map(|asked| asked.name.clone()).collect();
    let policies = Policies::load(home, &choice, &workspace)?;
    crate::policies::check_workspace(&policies)?;
    let layers = policies.set.layers();
    let bound = policies.set.bound_secrets();
    let lent = Lent::lend(home, &wanted.secrets, &layers.secrets, bound.into_iter()).await?;
    bartizan_sandbox::collect_leftovers(&home.runs())
        .map(drop)
        .or_else(|error| gone_is_fine(Err(error)))
        .and_then(|()| RunDirectory::clear_drafts(home))
        .with_context(|| format!("failed to clear up after earlier runs in `{}`", home.runs().display()))?;

    let run = RunId::generate();
    let directory = RunDirectory::make(home, &run)?;
    let mut mark = OpenMark::make(home, &run)?;
    let name = wanted.name.clone().unwrap_or_else(|| default_name(&wanted.command));
    let subject = Subject::new(&name, &policies, &run);
    let mut inspection = specification::inspection(&layers, &run)?;
    let roots = inspection.as_ref().map_or(&[][..], |inspection| &inspection.variables);
    let outside = std::env::vars_os();
    let environment = environment::environment(&layers.env, &policies.user_home, &run, roots, &lent.variables, outside);
    let program = environment::find_program(&wanted.command, &environment, &policies.workspace)?;
    let text = |text: &OsStr| exact(text.as_bytes());
    let action = subject.action(
        Deed::ExecRun {
            program: text(program.as_os_str()),
            args: wanted.command.iter().map(|argument| text(argument)).collect(),
            cwd: Some(text(policies.workspace.as_os_str())),
        },
        None,
    );
    let texts = inspection.as_mut().map(|inspection| std::mem::take(&mut inspection.files)).unwrap_or_default();
    let prepare = |mut held: HeldInside| {
        let environment = held.beside(environment);
        let place = specification::Place {
            run: &run,
            policies: &policies,
            directory: &directory.0,
            texts,
            secrets: held.files,
        };
        Preparing::begin(place, &layers, environment, &wanted.command)
    };
    // An empty box is no deed: it is built beside the opening of the ledger unless a person is to be asked first.
    // Only `start` needs the gate's leave, and shows it.
    let (early, late) = match policies.set.decide_with(&action.deed, &Look { caught: true, ..Look::default() }).effect()
    {
        Effect::Allow if layers.secrets.is_empty() => (Some(prepare(HeldInside::default())), None),
        _ => (None, Some(prepare)),
    };

    let tally = Arc::new(Tally::default());
    let mut observers: Vec<Arc<dyn Observer>> = vec![tally.clone()];
    observers.extend(wanted.events.clone().map(|events| events as Arc<dyn Observer>));
    let wired = wire_with(home, &trust, policies.set.clone(), observers, &lent)?;
    let recovery = recover(home, &wired)?;
    let memory = wired.decider.session_of(&action);
    // What the box may read needs no question, so the run counts as having read it from the start.
    policies.set.readable_labels().iter().for_each(|label| memory.add_label(label));
    memory.instruct(&action.deed.target());
    let redactor = bartizan_scan::Redactor::standard();
    let inside = Inside {
        home,
        style,
        policies: &policies,
        wired: &wired,
        subject,
        directory: &directory.0,
        tally: tally.clone(),
        name,
        choice,
        authority: inspection.map(|inspection| inspection.authority),
        command: wanted.command.iter().map(|part| redactor.redact(&part.to_string_lossy()).into_owned()).collect(),
    };
    let armed = match inside.admit(action).await {
        Ok(armed) => armed,
        Err(error) => {
            if let Some(Ok(preparing)) = early {
                // Taken down before its directory is.
                drop(preparing.made.await);
            }
            return Err(error);
        }
    };
    mark.holds = true;
    for message in &lent.described {
        wired.gate.note(Some(run.clone()), "secret.lend", message, BTreeMap::new()).await?;
    }
    let preparing = match (early, late) {
        (Some(early), _) => early,
        (None, Some(prepare)) => inside.hand_over(&layers.secrets, &lent).await.and_then(prepare),
        (None, None) => Err(anyhow!("the box was not prepared")),
    };
    let (result, traffic) = tokio::select! {
        carried = inside.carry_out(&armed, &layers, preparing) => carried,
        never = lent.keep() => match never {},
    };
    let outcome = match &result {
        Ok(report) => outcome(report),
        Err(error) => Outcome::new(OutcomeStatus::Failed).with_detail(format!("{error:#}")),
    };
    // Together, so that they share one write to the disk.
    let (closed, ()) = tokio::join!(wired.gate.close(armed, outcome), inside.note_traffic(traffic));
    if let Some(recovery) = recovery {
        let _ = tokio::task::spawn_blocking(move || recovery.join()).await;
    }
    wired.ledger.close();
    mark.holds = closed.is_err();
    let report = result?;
    closed?;
    if !wanted.quiet {
        summarise(style, &tally, &run);
    }
    Ok(report)
}

/// Closes what dead runs left open, beside the start of the box so that nobody waits for it.
fn recover(home: &Home, wired: &Wired) -> anyhow::Result<Option<std::thread::JoinHandle<()>>> {
    let marks =
        OpenMark::of_the_dead(home).with_context(|| format!("failed to read `{}`", home.open_runs().display()))?;
    if marks.is_empty() {
        return Ok(None);
    }
    let (index, ledger_directory, open) = (home.index(), home.ledger(), home.open_runs());
    let ledger = wired.ledger.clone();
    let recover = move || {
        let alive = |run: &RunId| OpenMark::is_locked(&open.join(run.as_str()));
        let closed = Index::open(&index, &ledger_directory).map_err(|error| error.to_string()).and_then(|mut index| {
            close_unknown(&ledger, &mut index, &alive, Timestamp::now()).map_err(|error| error.to_string())
        });
        match closed {
            Ok(_) => marks.iter().for_each(|mark| drop(fs::remove_file(mark))),
            Err(error) => eprintln!("bartizan: what earlier runs left open can't be closed: {error}"),
        }
    };
    Ok(Some(std::thread::Builder::new().name("recovery".into()).spawn(recover)?))
}

fn default_name(command: &[OsString]) -> String {
    let program =
        command.first().map(|program| Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned());
    program.unwrap_or_else(|| "agent".into())
}

/// A box on its way: what it is to be is settled, and it is being built beside other work.
struct Preparing {
    streams: Streams,
    made: JoinHandle<Result<PreparedBox, StartError>>,
}

impl Preparing {
    fn begin(
        place: specification::Place<'_>,
        layers: &Layers,
        environment: Vec<(OsString, OsString)>,
        command: &[OsString],
    ) -> anyhow::Result<Self> {
        let view = view::look(&place.policies.set, &layers.files)?;
        let mut streams = Streams::open(layers.limits.output_bytes)?;
        let spec = specification::specification(place, layers, view, environment, command, streams.stdio()?);
        Ok(Self { streams, made: tokio::task::spawn_blocking(move || bartizan_sandbox::prepare(spec)) })
    }
}

/// Everything a box needs while it lives.
struct Inside<'a> {
    home: &'a Home,
    style: Style,
    policies: &'a Policies,
    wired: &'a Wired,
    subject: Subject,
    directory: &'a Path,
    tally: Arc<Tally>,
    name: String,
    choice: Choice,
    /// Where requests inside TLS are decided.
    authority: Option<Arc<Authority>>,
    /// Redacted, for showing.
    command: Vec<String>,
}

impl Inside<'_> {
    /// The command itself may need a person's word, before it has a box or a terminal.
    async fn admit(&self, action: Action) -> anyhow::Result<Armed> {
        let gate = &self.wired.gate;
        if gate.foresee(&action) != Effect::Ask {
            return Ok(gate.admit(action).await?);
        }
        let listener = control::bind(self.directory)?;
        let desk = self.wired.desk.clone();
        let stop = move || {
            for pending in desk.pending() {
                // Answered by somebody else meanwhile: then the box that starts is stopped by the next request.
                let _ = desk.answer(&pending.number, None, Decision::Deny, &Account::current().name, "cli");
            }
        };
        let controlled = Controlled { desk: self.wired.desk.clone(), status: self.status(None), stop: Box::new(stop) };
        let control = tokio::spawn(control::serve(listener, Arc::new(controlled)));
        let prompts = streams::prompts_beforehand(&self.wired.desk);
        let armed = gate.admit(action).await;
        for task in [control, prompts] {
            task.abort();
            let _ = task.await;
        }
        fs::remove_file(self.directory.join(crate::control::SOCKET))
            .with_context(|| format!("failed to clear `{}`", self.directory.display()))?;
        Ok(armed?)
    }

    /// Gives the box its network and terminal, starts the command, and stays with it to its end.
    async fn carry_out(
        &self,
        armed: &Armed,
        layers: &Layers,
        preparing: anyhow::Result<Preparing>,
    ) -> (anyhow::Result<ExitReport>, NetSummary) {
        let (network, result) = match self.start(armed, layers, preparing).await {
            Err(error) => return (Err(error), NetSummary::default()),
            Ok((network, Err(error))) => (network, Err(error)),
            Ok((network, Ok((running, mut streams)))) => {
                let result = self.stay(running, &mut streams, &network).await;
                (network, result)
            }
        };
        // The tasks that shared it have ended.
        let traffic = match Arc::into_inner(network) {
            Some(network) => network.shutdown().await,
            None => NetSummary::default(),
        };
        (result, traffic)
    }

    async fn start(
        &self,
        armed: &Armed,
        layers: &Layers,
        preparing: anyhow::Result<Preparing>,
    ) -> anyhow::Result<(Arc<Network>, anyhow::Result<(RunningBox, Streams)>)> {
        let Preparing { mut streams, made } = preparing?;
        let mut prepared = made.await??;
        let first = prepared.first_process();
        let net = NetConfig {
            principal: self.subject.principal.clone(),
            run: self.subject.run.clone(),
            limits: specification::net_limits(&layers.limits),
            resolver: layers.net.resolver,
            candidates: Arc::new(move || {
                bartizan_sandbox::processes_of(first).into_iter().filter_map(|pid| u32::try_from(pid).ok()).collect()
            }),
            authority: self.authority.clone(),
        };
        let network = Network::serve(self.wired.gate.clone(), specification::sockets(prepared.net())?, net)?;
        let started = async {
            streams.attach(prepared.terminal()?, self.style)?;
            Ok((prepared.start(armed).await?, streams))
        };
        let started = started.await;
        Ok((Arc::new(network), started))
    }

    async fn stay(
        &self,
        mut running: RunningBox,
        streams: &mut Streams,
        network: &Arc<Network>,
    ) -> anyhow::Result<ExitReport> {
        streams.copy()?;
        let stopper = running.stopper();
        let noted = tokio::spawn(self.note_layers(&running, stopper.clone()));
        let requests = std::mem::replace(running.requests(), tokio::sync::mpsc::channel(1).1);
        let warden =
            tokio::spawn(warden::serve(self.wired.gate.clone(), self.subject.clone(), requests, running.answers()));
        let listener = control::bind(self.directory)?;
        let stop = {
            let stopper = stopper.clone();
            move || stopper.stop(StopReason::Asked)
        };
        let controlled = Arc::new(Controlled {
            desk: self.wired.desk.clone(),
            status: self.status(Some(&running)),
            stop: Box::new(stop),
        });
        let control = tokio::spawn(control::serve(listener, controlled));
        let reload = tokio::spawn(reload::watch(
            Reloader::new(self.home.clone(), self.choice.clone(), self.policies.clone()),
            self.wired.decider.clone(),
            self.wired.gate.clone(),
            self.subject.run.clone(),
            network.clone(),
            streams.announcer(),
        ));
        let prompts = streams.prompts(&self.wired.desk);
        let signals = {
            let signal = running.signaller();
            streams.signals(signal, stopper.clone())
        };
        let overflow = streams.overflow(stopper);
        let report = running.wait().await;
        let noted = noted.await.context("the layers could not be noted")?;
        for task in [control, reload, prompts, signals, overflow, warden] {
            task.abort();
            let _ = task.await;
        }
        streams.finish().await;
        noted?;
        Ok(report)
    }

    /// Before the box runs it has neither layers nor processes.
    fn status(&self, running: Option<&RunningBox>) -> Box<dyn Fn() -> BoxStatus + Send + Sync> {
        let first = running.map(RunningBox::first_process);
        let layers = running
            .map(RunningBox::layers)
            .unwrap_or_default()
            .iter()
            .map(|status| LayerState {
                layer: status.layer.to_string(),
                enforced: status.state == bartizan_sandbox::LayerState::Enforced,
                detail: status.detail.clone(),
            })
            .collect();
        let fixed = BoxStatus {
            run: self.subject.run.to_string(),
            name: self.name.clone(),
            policy: self.policies.label.clone(),
            command: self.command.clone(),
            workspace: self.policies.workspace.to_string_lossy().into_owned(),
            started_at: Timestamp::now(),
            keeper_pid: std::process::id(),
            processes: Vec::new(),
            layers,
            counts: Default::default(),
        };
        let tally = self.tally.clone();
        Box::new(move || BoxStatus {
            processes: first
                .map(bartizan_sandbox::processes_of)
                .unwrap_or_default()
                .into_iter()
                .filter_map(|pid| u32::try_from(pid).ok())
                .collect(),
            counts: tally.counts(),
            ..fixed.clone()
        })
    }

    /// The layers in force stand in the ledger, so that a weaker one can't be denied later; a box whose layers
    /// can't be noted ends.
    fn note_layers(
        &self,
        running: &RunningBox,
        stopper: Stopper,
    ) -> impl Future<Output = Result<(), AppendError>> + Send + 'static {
        let describe =
            |status: &bartizan_sandbox::LayerStatus| format!("{} {:?} {}", status.layer, status.state, status.detail);
        let message = running.layers().iter().map(describe).collect::<Vec<_>>().join("; ");
        let (gate, run) = (self.wired.gate.clone(), self.subject.run.clone());
        async move {
            let noted = gate.note(Some(run), "box.layers", &message, BTreeMap::new()).await;
            if noted.is_err() {
                stopper.stop(StopReason::Asked);
            }
            noted.map(drop)
        }
    }

    async fn note_traffic(&self, traffic: NetSummary) {
        let mut figures = traffic.figures;
        figures.extend(
            traffic
                .dropped
                .unwrap_or_default()
                .into_iter()
                .map(|(kind, count)| (format!("dropped_{kind}_packets"), count)),
        );
        if figures.values().any(|figure| *figure > 0) {
            let note =
                self.wired.gate.note(Some(self.subject.run.clone()), "net.summary", "what the network saw", figures);
            let _ = note.await;
        }
    }
}

fn outcome(report: &ExitReport) -> Outcome {
    let mut outcome = match (&report.stopped, &report.status) {
        (Some(reason), _) => Outcome::new(OutcomeStatus::Stopped).with_detail(stop_reason(*reason)),
        (None, ExitStatus::Exited(code)) => {
            Outcome::new(OutcomeStatus::Done).with_figure("exit_status", i64::from(*code))
        }
        (None, ExitStatus::Signaled(signal)) => {
            Outcome::new(OutcomeStatus::Done).with_figure("signal", i64::from(*signal))
        }
        (None, ExitStatus::NotStarted { what, .. }) => Outcome::new(OutcomeStatus::Failed).with_detail(what.clone()),
        (None, ExitStatus::LayerLost(error)) => Outcome::new(OutcomeStatus::Failed).with_detail(error.clone()),
        (None, ExitStatus::Ended) => Outcome::new(OutcomeStatus::Stopped).with_detail("the box was ended"),
    };
    if let Some(bytes) = report.usage.memory_peak_bytes {
        outcome = outcome.with_figure("memory_peak_bytes", i64::try_from(bytes).unwrap_or(i64::MAX));
    }
    if let Some(time) = report.usage.cpu_time {
        outcome = outcome.with_figure("cpu_ms", i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    }
    outcome
}

/// Why Bartizan ended a box, in words.
pub fn stop_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::WallTime => "it ran longer than `limits.time` allows",
        StopReason::Memory => "it used more memory than `limits.memory` allows",
        StopReason::Output => "it wrote more than `limits.output` allows",
        StopReason::Disk => "it filled the disk further than `limits.disk` allows",
        _ => "it was told to stop",
    }
}

fn summarise(style: Style, tally: &Tally, run: &RunId) {
    let counts = tally.counts();
    if counts.denied == 0 {
        return;
    }
    let word = if counts.denied == 1 { "action was" } else { "actions were" };
    eprintln!("{} {} {word} denied in {run}:", style.dim("bartizan:"), style.bad(&counts.denied.to_string()));
    for (what, why) in tally.denied() {
        eprintln!("  {}  {}", short(&what, 100), style.dim(&short(&why, 40)));
    }
    eprintln!(
        "  {}",
        style.dim(&format!(
            "all of them: bartizan log list --run {run} --verdict deny · to allow some: bartizan policy suggest {run}"
        ))
    );
}

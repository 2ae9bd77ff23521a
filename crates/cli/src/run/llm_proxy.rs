//! `bartizan llm proxy` from start to end: the gate, the listener in front of one server of models, questions to a
//! person, and the policy as it changes. It is a run without a box.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bartizan_api::control::BoxStatus;
use bartizan_gate::Observer;
use bartizan_model::{LlmApi, Principal, PrincipalKind, RunId};
use bartizan_net::{Front, NetConfig, Network, Place};
use jiff::Timestamp;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::account::Account;
use crate::home::Home;
use crate::output::{self, Style};
use crate::policies::{Choice, Policies};
use crate::reload::{Change, PERIOD, Reloader};
use crate::run::control::{self, Controlled};
use crate::run::events::Tally;
use crate::run::{OpenMark, RunDirectory, recover, specification, streams};
use crate::secrets::{Asked, Lent};
use crate::wiring::{Trust, Wired, wire_with};

/// Where Ollama listens.
const OLLAMA_PORT: u16 = 11434;

/// What `bartizan llm proxy` was asked for.
pub struct Wanted {
    /// The server of models.
    pub upstream: String,
    /// The protocol it speaks.
    pub api: Option<LlmApi>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Also for other machines.
    pub expose: bool,
    /// What policy to use.
    pub choice: Choice,
    /// What to call whoever uses it.
    pub name: String,
    /// Secrets to lend it.
    pub secrets: Vec<Asked>,
    /// Print what it serves as JSON.
    pub json: bool,
}

/// Serves until it is told to stop.
pub async fn serve(home: &Home, style: Style, wanted: Wanted) -> anyhow::Result<()> {
    let place = Place::parse(&wanted.upstream)?;
    let api = wanted.api.unwrap_or_else(|| guessed(&place));
    let listen = wanted.listen;
    if !listen.ip().is_loopback() && !wanted.expose {
        bail!(
            "`{listen}` can be reached by other machines, and whoever reaches it asks models in your name; listen on 127.0.0.1, or say --expose if that is meant"
        );
    }
    let trust = Trust::open(home)?;
    let workspace = std::env::current_dir().context("the working directory is gone")?;
    let mut choice = wanted.choice.clone();
    choice.lent = wanted.secrets.iter().map(|asked| asked.name.clone()).collect();
    let policies = Policies::load(home, &choice, &workspace)?;
    let lent = Lent::lend(home, &wanted.secrets, &[], policies.set.bound_secrets().into_iter()).await?;
    let run = RunId::generate();
    let directory = RunDirectory::make(home, &run)?;
    let mut mark = OpenMark::make(home, &run)?;
    let tally = Arc::new(Tally::default());
    let observers: Vec<Arc<dyn Observer>> = vec![tally.clone()];
    let wired = wire_with(home, &trust, policies.set.clone(), observers, &lent)?;
    let recovery = recover(home, &wired)?;
    let listener = TcpListener::bind(listen)
        .with_context(|| format!("can't listen on `{listen}`; take another address with --listen"))?;
    let own = listener.local_addr().context("the listener has no address")?;
    let served = Served { own, place, api, upstream: wanted.upstream.clone(), run: run.clone() };
    wired.gate.note(Some(run.clone()), "llm.proxy", &served.describe(), BTreeMap::new()).await?;
    for message in &lent.described {
        wired.gate.note(Some(run.clone()), "secret.lend", message, BTreeMap::new()).await?;
    }
    mark.holds = true;
    let layers = policies.set.layers();
    let config = NetConfig {
        principal: Principal {
            kind: PrincipalKind::Agent,
            name: wanted.name.clone(),
            persona: policies.persona.clone(),
            account: Some(Account::current().name),
            proof: "connection to the proxy".into(),
        },
        run: run.clone(),
        limits: specification::net_limits(&layers.limits),
        resolver: layers.net.resolver,
        candidates: Arc::new(processes),
        authority: None,
    };
    let front = Front::new(served.place.clone(), api, own);
    let network = Arc::new(Network::in_front(wired.gate.clone(), listener, front, config)?);
    // Signals count from before anybody is told that it serves.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stopped = Arc::new(Notify::new());
    let controlled = Controlled {
        desk: wired.desk.clone(),
        status: status(&served, &policies, &wanted.name, &tally),
        stop: {
            let stopped = stopped.clone();
            Box::new(move || stopped.notify_one())
        },
    };
    let control = tokio::spawn(control::serve(control::bind(&directory.0)?, Arc::new(controlled)));
    let prompts = streams::prompts_beforehand(&wired.desk);
    let reloader = Reloader::new(home.clone(), choice, policies);
    let reload = tokio::spawn(watch(reloader, Followers::new(&wired, &network, &run)));
    served.announce(style, wanted.json, &lent.variables)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = stopped.notified() => {}
        never = lent.keep() => match never {},
    }
    for task in [control, prompts, reload] {
        task.abort();
        let _ = task.await;
    }
    let summary = match Arc::into_inner(network) {
        Some(network) => network.shutdown().await,
        None => Default::default(),
    };
    if summary.figures.values().any(|figure| *figure > 0) {
        let _ = wired.gate.note(Some(run.clone()), "net.summary", "what the proxy saw", summary.figures).await;
    }
    if let Some(recovery) = recovery {
        let _ = tokio::task::spawn_blocking(move || recovery.join()).await;
    }
    wired.ledger.close();
    mark.holds = summary.unfinished > 0;
    Ok(())
}

/// The protocol a place speaks, where nobody says.
fn guessed(place: &Place) -> LlmApi {
    match place.host() {
        host if host == "anthropic.com" || host.ends_with(".anthropic.com") => LlmApi::Anthropic,
        _ if place.port() == OLLAMA_PORT => LlmApi::Ollama,
        _ => LlmApi::Openai,
    }
}

/// Every process of this machine: any may be the one that connects.
fn processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What it serves, and where.
struct Served {
    own: SocketAddr,
    place: Place,
    api: LlmApi,
    upstream: String,
    run: RunId,
}

impl Served {
    fn describe(&self) -> String {
        format!("serves {} at {} in front of {}", self.api.as_str(), self.own, self.upstream)
    }

    /// What SDKs of the protocol take: OpenAI's want the version in it, the others add it themselves.
    fn base_url(&self) -> String {
        let version = if self.api == LlmApi::Openai && self.place.path().is_empty() { "/v1" } else { "" };
        format!("http://{}{version}", self.own)
    }

    /// The variable SDKs read the base URL from.
    fn variable(&self) -> &'static str {
        match self.api {
            LlmApi::Anthropic => "ANTHROPIC_BASE_URL",
            LlmApi::Ollama => "OLLAMA_HOST",
            _ => "OPENAI_BASE_URL",
        }
    }

    /// Says what to give to the agent.
    fn announce(&self, style: Style, json: bool, variables: &[(String, String)]) -> anyhow::Result<()> {
        if json {
            let variables: BTreeMap<_, _> = variables.iter().cloned().collect();
            return output::print_json_line(&json!({
                "base_url": self.base_url(),
                "listen": self.own,
                "upstream": self.upstream,
                "api": self.api,
                "run": self.run,
                "variables": variables,
            }));
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "base URL: {}", style.bold(&self.base_url()))?;
        writeln!(out, "{}", style.dim("for the agent's environment:"))?;
        writeln!(out, "  export {}={}", self.variable(), self.base_url())?;
        for (name, placeholder) in variables {
            writeln!(out, "  export {name}={placeholder}")?;
        }
        let more = format!("{}; Ctrl-C ends it; what it did: bartizan log list --run {}", self.describe(), self.run);
        writeln!(out, "{}", style.dim(&more))?;
        out.flush()?;
        Ok(())
    }
}

/// For `bartizan box show`: it stands among the boxes, with nothing boxed in it.
fn status(
    served: &Served,
    policies: &Policies,
    name: &str,
    tally: &Arc<Tally>,
) -> Box<dyn Fn() -> BoxStatus + Send + Sync> {
    let fixed = BoxStatus {
        run: served.run.to_string(),
        name: name.to_owned(),
        policy: policies.label.clone(),
        command: vec!["bartizan".into(), "llm".into(), "proxy".into(), served.upstream.clone()],
        workspace: policies.workspace.to_string_lossy().into_owned(),
        started_at: Timestamp::now(),
        keeper_pid: std::process::id(),
        processes: Vec::new(),
        layers: Vec::new(),
        counts: Default::default(),
    };
    let tally = tally.clone();
    Box::new(move || BoxStatus { counts: tally.counts(), ..fixed.clone() })
}

/// Who follows a changed policy.
struct Followers {
    decider: Arc<crate::wiring::PolicyDecider>,
    gate: Arc<bartizan_gate::Gate>,
    network: Arc<Network>,
    run: RunId,
}

impl Followers {
    fn new(wired: &Wired, network: &Arc<Network>, run: &RunId) -> Self {
        Self { decider: wired.decider.clone(), gate: wired.gate.clone(), network: network.clone(), run: run.clone() }
    }
}

/// Takes a changed policy over, until dropped.
async fn watch(mut reloader: Reloader, followers: Followers) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let message = match reloader.look() {
            None => continue,
            Some(Change::Better(loaded)) => {
                followers.decider.swap(loaded.set.clone());
                followers.network.redecide();
                followers.gate.redecide();
                format!("the policy is now {}", loaded.describe())
            }
            Some(Change::Broken(problem)) => problem,
        };
        eprintln!("bartizan: {}", output::short(&message, 1000));
        let _ = followers.gate.note(Some(followers.run.clone()), "policy.reload", &message, BTreeMap::new()).await;
    }
}

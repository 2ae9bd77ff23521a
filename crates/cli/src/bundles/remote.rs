//! Bundles on a web server: `URL/NAME/VERSION.json`, and `URL/NAME/index.json` with the versions there are. What is there
//! is trusted for nothing: a bundle counts by its signatures, and an index only says which to ask for.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, bail};
use bartizan_crypto::Envelope;
use bartizan_model::{Action, ActionId, Content, Outcome, OutcomeStatus, Principal};
use bartizan_net::{Fetched, Place, fetch};
use bartizan_policy::bundle::{Bundle, BundleVersion};
use bartizan_policy::{BuiltinsOnly, Context, Policy, PolicySet, Source};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::ENVELOPE_BYTES_MAX;
use super::transport::{VERSIONS_MAX, already};
use crate::account::Account;
use crate::home::Home;
use crate::wiring::{Trust, Wired, wire};

/// Largest index: each version takes at most 35 bytes.
const INDEX_BYTES_MAX: u64 = VERSIONS_MAX as u64 * 64;
/// What it is called, beside the versions.
pub const INDEX: &str = "index.json";

/// The versions of a bundle that can be had.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    pub versions: Vec<BundleVersion>,
}

impl Index {
    /// As it is written.
    pub fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let index: Self = serde_json::from_slice(bytes).context("the server's index is none; name a version")?;
        if index.versions.len() > VERSIONS_MAX {
            bail!("the server's index has more than {VERSIONS_MAX} versions; name one");
        }
        Ok(index)
    }
}

/// Fetches a bundle: the version named, or the highest the index has. Nobody has looked at its signatures yet.
pub fn pull(
    home: &Home,
    url: &str,
    name: &str,
    version: Option<BundleVersion>,
) -> anyhow::Result<(Envelope, BundleVersion)> {
    Remote::with(home, url, |remote| {
        let version = match version {
            Some(version) => version,
            None => remote.index(name)?.versions.into_iter().max().with_context(|| {
                format!("`{url}` has no index of `{name}`; is the name right? Without an index name a version: `{name}@1.0.0`")
            })?,
        };
        let answer = remote.request("GET", &format!("{name}/{version}.json"), None, false, ENVELOPE_BYTES_MAX)?;
        match answer.status {
            200 => {
                let envelope = Envelope::from_json(&answer.body);
                Ok((envelope.with_context(|| format!("what `{url}` has there is no bundle"))?, version))
            }
            404 | 410 => bail!("there is no version {version} of `{name}` at `{url}`"),
            status => bail!("`{url}` answered with status {status}; ask whoever keeps it"),
        }
    })
}

/// Puts a bundle on a server that takes uploads. One version never gets other contents.
pub fn push(home: &Home, bundle: &Bundle, envelope: &Envelope, url: &str) -> anyhow::Result<()> {
    let (name, version) = (&bundle.manifest().name, bundle.manifest().version);
    let file = format!("{name}/{version}.json");
    Remote::with(home, url, |remote| {
        let there = remote.request("GET", &file, None, false, ENVELOPE_BYTES_MAX)?;
        match there.status {
            200 => already(bundle, &Envelope::from_json(&there.body)?)?,
            404 | 410 => remote.put(&file, envelope.to_json()?, true)?,
            status => bail!("`{url}` answered with status {status}; ask whoever keeps it"),
        }
        let mut index = remote.index(name)?;
        if index.versions.contains(&version) {
            return Ok(());
        }
        index.versions.push(version);
        index.versions.sort_unstable();
        remote.put(&format!("{name}/{INDEX}"), index.to_json()?, false)
    })
}

/// A server, and the gate that every request to it passes.
struct Remote<'a> {
    url: &'a str,
    place: Place,
    wired: Wired,
    runtime: Runtime,
}

impl<'a> Remote<'a> {
    fn with<T>(home: &Home, url: &'a str, work: impl FnOnce(&Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let place = Place::parse(url)?;
        let set = reaching(&place)?;
        let wired = wire(home, &Trust::open(home)?, set.into(), Vec::new())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let remote = Self { url, place, wired, runtime };
        let result = work(&remote);
        remote.wired.ledger.close();
        result
    }

    fn request(
        &self,
        method: &str,
        below: &str,
        body: Option<Content>,
        only_new: bool,
        bytes_max: u64,
    ) -> anyhow::Result<Fetched> {
        let deed = self.place.request(method, below, body).context("that is no name of a bundle")?;
        let action = Action {
            id: ActionId::generate(),
            deed,
            principal: Principal::local_human(Account::current().name),
            run: None,
            session: None,
            process: None,
        };
        let armed = self.runtime.block_on(self.wired.gate.admit(action))?;
        let result = fetch(&armed, only_new, bytes_max);
        let outcome = match &result {
            Ok(Fetched { status, body }) => Outcome::new(OutcomeStatus::Done)
                .with_figure("status", i64::from(*status))
                .with_figure("received_bytes", i64::try_from(body.len()).unwrap_or(i64::MAX)),
            Err(error) => Outcome::new(OutcomeStatus::Failed).with_detail(error.to_string()),
        };
        self.runtime.block_on(self.wired.gate.close(armed, outcome))?;
        Ok(result?)
    }

    fn index(&self, name: &str) -> anyhow::Result<Index> {
        let answer = self.request("GET", &format!("{name}/{INDEX}"), None, false, INDEX_BYTES_MAX)?;
        match answer.status {
            200 => Index::read(&answer.body),
            404 | 410 => Ok(Index::default()),
            status => bail!("`{}` answered with status {status}; ask whoever keeps it", self.url),
        }
    }

    fn put(&self, file: &str, text: String, only_new: bool) -> anyhow::Result<()> {
        let answer = self.request("PUT", file, Some(Content::Text(text)), only_new, INDEX_BYTES_MAX)?;
        match answer.status {
            200 | 201 | 204 => Ok(()),
            412 => bail!("somebody else has put `{file}` there meanwhile; pull it and look"),
            status => bail!(
                "`{}` doesn't take `{file}` (status {status}); push into a directory and let it be served",
                self.url
            ),
        }
    }
}

/// What a person's own command may reach is the server it names, and nothing else: that is the whole policy.
fn reaching(place: &Place) -> anyhow::Result<PolicySet> {
    // A rule that names an address vouches for it as it is.
    let private = if place.host().parse::<IpAddr>().is_ok() { "" } else { ", private: true" };
    let host = serde_json::Value::from(place.host());
    let text = format!(
        "bartizan: 1\nname: \"the command line\"\nnet:\n  default: deny\n  allow:\n    - {{ host: {host}, ports: {}{private} }}\n",
        place.port()
    );
    let source = Source { name: "the command line".to_owned(), bytes: text.into_bytes() };
    let policy = Policy::load(&source, &BuiltinsOnly).map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let anywhere = Path::new("/");
    Ok(PolicySet::new(policy, None, Context::new(anywhere, anywhere)?)?)
}

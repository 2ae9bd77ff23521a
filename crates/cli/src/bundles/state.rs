//! What is installed and whom it is trusted from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use bartizan_crypto::{Envelope, PublicKey, SigningKey};
use bartizan_model::{BundleRef, Digest, canonical};
use bartizan_policy::bundle::{Bundle, BundleVersion, PAYLOAD_TYPE};
use serde::{Deserialize, Serialize};

use super::read_envelope;
use crate::home::{Home, read_bounded, replace, write_new};

/// DSSE payload type of the state.
const STATE_TYPE: &str = "application/vnd.bartizan.bundles+json";
/// Largest state file.
const STATE_BYTES_MAX: u64 = 1024 * 1024;
/// Most keys trusted, and most revoked.
const KEYS_MAX: usize = 256;
/// Most bundles, and most versions kept of each.
const BUNDLES_MAX: usize = 64;
const VERSIONS_MAX: usize = 64;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// Public keys whose signatures count, by key id, as PEM. The home's own counts without being listed.
    trusted: BTreeMap<String, String>,
    /// Ids of keys whose signatures never count again.
    revoked: BTreeSet<String>,
    bundles: BTreeMap<String, Installed>,
}

/// The versions of one bundle.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// The version in force.
    pub active: BundleVersion,
    /// The highest ever installed: nothing lower is installed again.
    pub highest: BundleVersion,
    /// The one digest each version has.
    pub digests: BTreeMap<BundleVersion, Digest>,
}

/// The bundles of a home.
pub struct Bundles {
    home: Home,
    key: Arc<SigningKey>,
    state: State,
}

/// A bundle that is in force.
pub struct InForce {
    /// What it holds.
    pub bundle: Bundle,
    /// How verdicts refer to it.
    pub reference: BundleRef,
}

impl Bundles {
    /// Reads the state. A home without bundles has an empty one.
    pub fn open(home: &Home, key: Arc<SigningKey>) -> anyhow::Result<Self> {
        let file = Self::state_file(home);
        let bytes = match read_bounded(&file, STATE_BYTES_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { home: home.clone(), key, state: State::default() });
            }
            result => result.with_context(|| format!("failed to read `{}`", file.display()))?,
        };
        let spoilt = || {
            format!(
                "`{}` was not written with this home's key, so no bundle can be trusted; restore it from a backup",
                file.display()
            )
        };
        let envelope = Envelope::from_json(&bytes).with_context(spoilt)?;
        let payload = envelope.verify(&key.public()).with_context(spoilt)?;
        if envelope.payload_type != STATE_TYPE {
            bail!(spoilt());
        }
        Ok(Self { home: home.clone(), state: serde_json::from_slice(&payload).with_context(spoilt)?, key })
    }

    /// The file that changes whenever anything here does.
    pub fn state_file(home: &Home) -> PathBuf {
        home.path().join("bundles/state.json")
    }

    /// Runs a change of the state alone among all processes: reads it anew, and writes it when the change succeeds.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let directory = self.home.private_directory("bundles")?;
        let lock: File = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(directory.join("lock"))
            .context("failed to lock the bundles; check permissions")?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
        *self = Self::open(&self.home, self.key.clone())?;
        let result = change(self)?;
        let payload = canonical::bytes(&self.state)?;
        let json = Envelope::sign(STATE_TYPE, &payload, &self.key).to_json()?;
        replace(&Self::state_file(&self.home), json.as_bytes())?;
        Ok(result)
    }

    /// Whose signatures count: key ids, the home's own first.
    pub fn trusted(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.key.public().key_id()).chain(self.state.trusted.keys().cloned())
    }

    /// Whose never count again.
    pub fn revoked(&self) -> impl Iterator<Item = &str> {
        self.state.revoked.iter().map(String::as_str)
    }

    /// What is installed.
    pub fn installed(&self) -> impl Iterator<Item = (&str, &Installed)> {
        self.state.bundles.iter().map(|(name, installed)| (name.as_str(), installed))
    }

    /// Lets signatures of this key count.
    pub fn trust(&mut self, key: &PublicKey) -> anyhow::Result<()> {
        let id = key.key_id();
        if self.state.revoked.contains(&id) {
            bail!("the key {id} was revoked; a key that was lost is never trusted again, make a new one");
        }
        if self.state.trusted.len() >= KEYS_MAX {
            bail!("{KEYS_MAX} keys are trusted already; revoke those no longer used");
        }
        self.state.trusted.insert(id, key.to_pem()?);
        Ok(())
    }

    /// Lets signatures of this key never count again.
    pub fn revoke(&mut self, id: &str) -> anyhow::Result<()> {
        if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("`{id}` is no key id; `bartizan policy bundle list` shows those that are trusted");
        }
        if self.state.revoked.len() >= KEYS_MAX {
            bail!("{KEYS_MAX} keys are revoked already");
        }
        self.state.trusted.remove(id);
        self.state.revoked.insert(id.to_owned());
        Ok(())
    }

    /// The bundle in an envelope, once somebody trusted is found to have signed it.
    pub fn verify(&self, envelope: &Envelope) -> anyhow::Result<(Bundle, String)> {
        if envelope.payload_type != PAYLOAD_TYPE {
            bail!("this is signed as `{}`, not as a bundle", bartizan_scan::printable(&envelope.payload_type));
        }
        let own = self.key.public();
        let listed = self.state.trusted.values().filter_map(|pem| PublicKey::from_pem(pem).ok());
        let keys = std::iter::once(own).chain(listed).filter(|key| !self.state.revoked.contains(&key.key_id()));
        for key in keys {
            if let Ok(payload) = envelope.verify(&key) {
                return Ok((Bundle::from_statement(&payload)?, key.key_id()));
            }
        }
        let named: Vec<&str> = envelope.signatures.iter().take(4).map(|signature| signature.keyid.as_str()).collect();
        if let Some(revoked) = named.iter().find(|id| self.state.revoked.contains(**id)) {
            bail!("the bundle is signed with the revoked key {revoked}; have it signed with another");
        }
        if named.is_empty() {
            bail!("the bundle is not signed; sign it with `bartizan policy bundle sign`");
        }
        bail!(
            "no signature of a trusted key holds; it names {}; trust a key with `bartizan policy bundle trust KEY.pem`",
            bartizan_scan::printable(&named.join(", "))
        )
    }

    /// Installs a bundle and puts it in force.
    pub fn install(&mut self, envelope: &Envelope) -> anyhow::Result<Bundle> {
        let (bundle, _) = self.verify(envelope)?;
        let (name, version) = (&bundle.manifest().name, bundle.manifest().version);
        if let Some(installed) = self.state.bundles.get(name) {
            match installed.digests.get(&version) {
                Some(digest) if *digest != bundle.digest() => bail!(
                    "version {version} of `{name}` is installed already with other contents ({digest}, this is {}); a version means one thing, give the new one a higher number",
                    bundle.digest()
                ),
                Some(_) if installed.active == version => bail!("`{name}` {version} is in force already"),
                _ if version < installed.highest => bail!(
                    "`{name}` {version} is older than {}, which was installed before; go back on purpose with `bartizan policy bundle rollback {name}`",
                    installed.highest
                ),
                _ => {}
            }
            if installed.digests.len() >= VERSIONS_MAX && !installed.digests.contains_key(&version) {
                bail!("{VERSIONS_MAX} versions of `{name}` are kept already; start a bundle of another name");
            }
        } else if self.state.bundles.len() >= BUNDLES_MAX {
            bail!("{BUNDLES_MAX} bundles are installed already");
        }
        self.home.private_directory(&format!("bundles/{name}"))?;
        let file = self.file(name, version);
        let json = envelope.to_json()?;
        if !write_new(&file, json.as_bytes())? {
            // Left by an installation that was cut short, or signed by somebody else since.
            replace(&file, json.as_bytes())?;
        }
        let installed = self.state.bundles.entry(name.clone()).or_insert_with(|| Installed {
            active: version,
            highest: version,
            digests: BTreeMap::new(),
        });
        installed.digests.insert(version, bundle.digest());
        installed.active = version;
        installed.highest = installed.highest.max(version);
        Ok(bundle)
    }

    /// Puts an older version in force again: the given one, or the one below the version in force.
    pub fn rollback(&mut self, name: &str, to: Option<BundleVersion>) -> anyhow::Result<BundleVersion> {
        let Some(installed) = self.state.bundles.get(name) else {
            bail!("the bundle `{name}` is not installed; `bartizan policy bundle list` shows those that are");
        };
        let version = match to {
            Some(version) if !installed.digests.contains_key(&version) => {
                bail!("version {version} of `{name}` is not kept here; install it")
            }
            Some(version) => version,
            None => match installed.digests.range(..installed.active).next_back() {
                Some((version, _)) => *version,
                None => bail!("there is no version of `{name}` below {}", installed.active),
            },
        };
        // It must still be what it was, and still be trusted.
        self.read(name, version)?;
        if let Some(installed) = self.state.bundles.get_mut(name) {
            installed.active = version;
        }
        Ok(version)
    }

    /// The version of a bundle that is in force, verified again.
    pub fn in_force(&self, name: &str) -> anyhow::Result<InForce> {
        let Some(installed) = self.state.bundles.get(name) else {
            bail!("the bundle `{name}` is not installed; install it with `bartizan policy bundle install FILE`");
        };
        self.read(name, installed.active)
    }

    fn read(&self, name: &str, version: BundleVersion) -> anyhow::Result<InForce> {
        let context = || format!("the bundle `{name}` {version} can't be used");
        let (bundle, _) = self.verify(&read_envelope(&self.file(name, version))?).with_context(context)?;
        let known = self.state.bundles.get(name).and_then(|installed| installed.digests.get(&version));
        if known != Some(&bundle.digest()) {
            bail!("{}: its contents are not those that were installed; install it again", context());
        }
        let reference = BundleRef { name: name.to_owned(), version: version.to_string(), digest: bundle.digest() };
        Ok(InForce { bundle, reference })
    }

    fn file(&self, name: &str, version: BundleVersion) -> PathBuf {
        self.home.path().join("bundles").join(name).join(format!("{version}.json"))
    }
}

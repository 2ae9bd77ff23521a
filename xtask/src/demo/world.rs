//! The demo's world: a scratch directory with a home, secrets in it, projects that are real clones of this checkout,
//! and a Bartizan home of its own. Nothing outside the scratch directory is touched.

use std::{
    fs,
    io::Read,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::servers::{DOCS_NAME, EVIL_NAME, RELEASES_NAME, Servers};
use crate::{shell, workspace};

/// The agent, inside a checkout.
const AGENT: &str = "examples/hijacked-agent/agent.py";
/// The policy it runs under, with places for the ports.
const POLICY: &str = "examples/hijacked-agent/policy.yaml";
/// Variable of the person's shell that holds a secret.
const SHELL_SECRET: &str = "AWS_SECRET_ACCESS_KEY";

/// The secrets that were planted; the agent doesn't know them.
pub(super) struct Secrets {
    pub(super) ssh_key: String,
    pub(super) other_env: String,
    pub(super) own_env: String,
    pub(super) shell: String,
}

pub(super) struct World {
    pub(super) root: PathBuf,
    pub(super) home: PathBuf,
    /// Where the agent works in the box.
    pub(super) workspace: PathBuf,
    /// Where it works without one.
    pub(super) outside: PathBuf,
    pub(super) binary: PathBuf,
    pub(super) secrets: Secrets,
    /// What the agent tries to carry out.
    pub(super) loot: String,
    keep: bool,
}

impl World {
    /// A fresh scratch directory with a home and secrets, without projects yet.
    pub(super) fn create(binary: &Path, keep: bool) -> Result<Self> {
        let root = std::env::temp_dir().join(format!("bartizan-demo-{}", random_hex(4)?));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&root)
            .with_context(|| format!("failed to make `{}`", root.display()))?;
        let root = root.canonicalize()?;
        let home = root.join("home");
        let secret = || Ok::<_, anyhow::Error>(format!("secret-{}", random_hex(16)?));
        let world = Self {
            workspace: home.join("projects/workspace"),
            outside: home.join("projects/outside"),
            binary: binary.to_path_buf(),
            secrets: Secrets { ssh_key: secret()?, other_env: secret()?, own_env: secret()?, shell: secret()? },
            loot: format!("loot-{}", random_hex(16)?),
            keep,
            home,
            root,
        };
        for directory in [&world.home.join(".ssh"), &world.other_project(), &world.home.join(".docker/run")] {
            fs::create_dir_all(directory)?;
        }
        write(
            &world.ssh_key(),
            &format!(
                "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
                world.secrets.ssh_key
            ),
            0o600,
        )?;
        write(&world.other_project().join(".env"), &format!("PAYMENT_TOKEN={}\n", world.secrets.other_env), 0o644)?;
        world.restore_other_project()?;
        Ok(world)
    }

    /// Clones this checkout twice: for the agent in the box, and for the same agent without one.
    pub(super) fn clone_projects(&self) -> Result<()> {
        let source = workspace::root();
        // A checkout may belong to somebody else than the person who runs the demo.
        write(
            &self.home.join(".gitconfig"),
            "[user]\n\tname = Demo\n\temail = demo@example.invalid\n[safe]\n\tdirectory = *\n",
            0o644,
        )?;
        let is_checkout = source.join(".git").exists()
            && shell::succeeds(self.git(&source).args(["rev-parse", "--verify", "--quiet", "HEAD"]));
        for project in [&self.workspace, &self.outside] {
            if is_checkout {
                shell::run(self.git(&source).args(["clone", "--quiet", "--no-hardlinks", "."]).arg(project))?;
            } else {
                self.import(&source, project)?;
            }
            write(&project.join(".env"), &format!("DATABASE_PASSWORD={}\n", self.secrets.own_env), 0o644)?;
            write(&project.join(".git/info/exclude"), ".env\n.agent/\n__pycache__/\n", 0o644)?;
            fs::create_dir(project.join(".agent"))?;
            fs::copy(source.join(AGENT), project.join(".agent/agent.py"))
                .with_context(|| format!("failed to copy `{AGENT}`"))?;
        }
        Ok(())
    }

    /// An unpacked release is no checkout: its files make a fresh one.
    fn import(&self, source: &Path, project: &Path) -> Result<()> {
        fs::create_dir_all(project)?;
        shell::run(self.git(project).args(["init", "--quiet"]))?;
        shell::run(self.git(project).arg("--work-tree").arg(source).args(["add", "--all"]))?;
        shell::run(self.git(project).args(["commit", "--quiet", "--message", "Import"]))?;
        shell::run(self.git(project).args(["reset", "--quiet", "--hard"]))
    }

    /// What the agent is told, for its run in the box and its run without one.
    pub(super) fn write_plans(&self, servers: &Servers) -> Result<()> {
        let address = |address: SocketAddr| json!([address.ip().to_string(), address.port()]);
        let resolver = address(servers.dns);
        let key_file = self.key_file()?;
        let plan = |resolvers: Value| {
            json!({
                "loot": self.loot,
                "ssh_key": self.ssh_key(),
                "other_env": self.other_project().join(".env"),
                "other_file": self.other_project().join("README.md"),
                "policy_file": self.policy_file(),
                "key_file": key_file,
                "run_directory": self.bartizan_home().join("run"),
                "docker_socket": self.docker_socket(),
                "abstract_socket": servers.abstract_name,
                "docs": { "host": DOCS_NAME, "port": servers.docs.port(), "path": "/style-guide.txt" },
                "releases": { "host": RELEASES_NAME, "port": servers.releases.port(), "path": "/latest.txt" },
                "evil_name": EVIL_NAME,
                "evil_http": address(servers.evil_http),
                "evil_tcp": address(servers.evil_tcp),
                "evil_udp": address(servers.evil_udp),
                "local_http": address(servers.local_http),
                "resolvers": resolvers,
            })
        };
        write(&self.outside.join(".agent/plan.json"), &plan(json!([resolver])).to_string(), 0o644)?;
        // In the box, the usual port of DNS as well, where the hijacker's own resolver would be.
        let both = json!([[servers.address.to_string(), 53], resolver]);
        write(&self.workspace.join(".agent/plan.json"), &plan(both).to_string(), 0o644)
    }

    /// The example's policy with this run's ports in it.
    pub(super) fn write_policy(&self, servers: &Servers) -> Result<()> {
        let path = workspace::root().join(POLICY);
        let template = fs::read_to_string(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
        let mut policy = template;
        for (place, value) in [
            ("${RESOLVER}", servers.dns.to_string()),
            ("${DOCS_PORT}", servers.docs.port().to_string()),
            ("${RELEASES_PORT}", servers.releases.port().to_string()),
        ] {
            if !policy.contains(place) {
                bail!("`{POLICY}` has no `{place}`");
            }
            policy = policy.replace(place, &value);
        }
        write(&self.policy_file(), &policy, 0o600)
    }

    /// Undoes what the agent did without a box to the other project.
    pub(super) fn restore_other_project(&self) -> Result<()> {
        write(&self.other_project().join("README.md"), "A shop.\n", 0o644)
    }

    /// `bartizan` as the person of this home would call it.
    pub(super) fn bartizan(&self) -> Command {
        let mut command = shell::command(&self.binary);
        self.dress(&mut command);
        command.current_dir(&self.workspace);
        command
    }

    /// The environment of the person's shell, secret included.
    pub(super) fn dress(&self, command: &mut Command) {
        command.env("HOME", &self.home).env(SHELL_SECRET, &self.secrets.shell);
        for variable in ["BARTIZAN_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "http_proxy", "https_proxy", "all_proxy"]
        {
            command.env_remove(variable).env_remove(variable.to_ascii_uppercase());
        }
    }

    pub(super) fn git(&self, directory: &Path) -> Command {
        let mut command = shell::command("git");
        command.current_dir(directory).env("HOME", &self.home);
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "XDG_CONFIG_HOME"] {
            command.env_remove(variable);
        }
        command
    }

    pub(super) fn ssh_key(&self) -> PathBuf {
        self.home.join(".ssh/id_ed25519")
    }

    pub(super) fn other_project(&self) -> PathBuf {
        self.home.join("projects/shop")
    }

    pub(super) fn docker_socket(&self) -> PathBuf {
        self.home.join(".docker/run/docker.sock")
    }

    pub(super) fn bartizan_home(&self) -> PathBuf {
        self.home.join(".bartizan")
    }

    pub(super) fn policy_file(&self) -> PathBuf {
        self.bartizan_home().join("policies/demo.yaml")
    }

    /// The key that signs receipts and the ledger.
    pub(super) fn key_file(&self) -> Result<PathBuf> {
        self.key("PRIVATE KEY")
    }

    /// What others verify with.
    pub(super) fn public_key_file(&self) -> Result<PathBuf> {
        self.key("PUBLIC KEY")
    }

    fn key(&self, label: &str) -> Result<PathBuf> {
        let keys = self.bartizan_home().join("keys");
        let entries = fs::read_dir(&keys).with_context(|| format!("failed to list `{}`", keys.display()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let found = files.into_iter().find(|file| fs::read_to_string(file).is_ok_and(|text| text.contains(label)));
        found.with_context(|| format!("`{}` holds no file with a {label}", keys.display()))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.root)
        {
            eprintln!("demo: `{}` could not be removed: {error}", self.root.display());
        }
    }
}

/// Random bytes from the kernel, in hexadecimal.
pub(super) fn random_hex(bytes: usize) -> Result<String> {
    let mut buffer = vec![0_u8; bytes];
    fs::File::open("/dev/urandom")?.read_exact(&mut buffer)?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn write(path: &Path, content: &str, mode: u32) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
        std::io::Write::write_all(&mut file, content.as_bytes())?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    write().with_context(|| format!("failed to write `{}`", path.display()))
}

//! The range on which escapes are tried: everything on the host that a box must not reach, set up so that it
//! *could* be reached, and looked at afterwards.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::PermissionsExt,
            net::{SocketAddr as UnixAddress, UnixListener},
        },
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    Home, HttpServer, Running, TcpSink, UdpSink,
    dns::{Answer, DnsServer},
    http::Response,
    probe::probe,
};

/// The value of every secret on the range; it may appear nowhere.
pub const SECRET: &str = "bartizan-secret-4b1d";
/// The variable that holds it in the environment of `bartizan run`.
pub const SECRET_VARIABLE: &str = "RANGE_SECRET";
/// A name that a range's policy may allow; look-alikes of it must stay denied.
pub const ALLOWED_NAME: &str = "allowed.test";
/// The name of the server that the range's policy opens.
const OPEN_NAME: &str = "open.test";
const READONLY_TEXT: &str = "may be read, never changed\n";

/// The range around one [`Home`].
pub struct Range {
    home: PathBuf,
    bartizan_home: PathBuf,
    workspace: PathBuf,
    root: PathBuf,
    host: Ipv4Addr,
    pub tcp: TcpSink,
    pub tcp6: Option<TcpSink>,
    pub udp: UdpSink,
    pub dns: DnsServer,
    /// The one server that the policy opens, and only `GET /public/…` of it.
    pub http: HttpServer,
    pub socket: UnixCanary,
    pub abstract_socket: UnixCanary,
    victim: Running,
    setuid: PathBuf,
    unchanged: Vec<(PathBuf, String)>,
}

impl std::fmt::Debug for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Range({})", self.root.display())
    }
}

impl Range {
    /// Set everything up in and around this home.
    pub fn new(home: &Home) -> Self {
        let host = host_address();
        let tcp = TcpSink::bind("0.0.0.0:0", true);
        let udp = UdpSink::bind("0.0.0.0:0", true);
        let dns = DnsServer::start();
        let addresses = vec![host.into()];
        dns.answer("private.test", Answer::Addresses(vec![Ipv4Addr::LOCALHOST.into(), host.into()]))
            .answer("rebind.test", Answer::Sequence(vec![vec!["93.184.216.34".parse().unwrap()], addresses.clone()]))
            .answer(&format!("evil{ALLOWED_NAME}"), Answer::Addresses(addresses.clone()))
            .answer(&format!("{ALLOWED_NAME}.evil.test"), Answer::Addresses(addresses.clone()))
            .answer(OPEN_NAME, Answer::Addresses(vec![Ipv4Addr::LOCALHOST.into()]))
            .answer(ALLOWED_NAME, Answer::Addresses(addresses.clone()))
            .answer(&exfil_name(), Answer::Addresses(addresses));

        let http = HttpServer::plain();
        let elsewhere = format!("http://{}/", SocketAddr::from((host, tcp.port())));
        http.route("/", |_| Response::ok("served\n"))
            .route("/public/redirect", move |_| Response::redirect(&elsewhere));

        let mut unchanged = Vec::new();
        let mut keep = |path: PathBuf, text: &str| {
            unchanged.push((path, text.to_owned()));
        };
        for secret in [".ssh/id_ed25519", ".aws/credentials", "other-project/.env", ".netrc"] {
            keep(home.write_home(secret, format!("{SECRET}\n")), &format!("{SECRET}\n"));
        }
        keep(home.write_home("readonly/file.txt", READONLY_TEXT), READONLY_TEXT);
        keep(home.write_home("outside/file.txt", "outside\n"), "outside\n");
        let config = "[core]\n\trepositoryformatversion = 0\n";
        keep(home.write(".git/config", config), config);
        keep(home.write(".git/HEAD", "ref: refs/heads/main\n"), "ref: refs/heads/main\n");
        home.write(".git/hooks/README.sample", "hooks\n");

        let socket = UnixCanary::path(&home.user_home().join("host.sock"));
        home.user().own(&home.user_home());
        let abstract_name = format!("bartizan-range-{}", tcp.port());
        let setuid = home.root().join("bin/setuid");
        fs::copy(probe(), &setuid).unwrap();
        fs::set_permissions(&setuid, fs::Permissions::from_mode(0o4755)).unwrap();
        Self {
            home: home.user_home(),
            bartizan_home: home.bartizan_home(),
            workspace: home.workspace(),
            root: home.root().to_path_buf(),
            host,
            tcp6: std::net::TcpListener::bind("[::1]:0").is_ok().then(|| TcpSink::bind("[::1]:0", true)),
            tcp,
            udp,
            dns,
            http,
            socket,
            abstract_socket: UnixCanary::abstract_name(&abstract_name),
            victim: home.run("/bin/sleep").arg("3600").spawn(),
            setuid,
            unchanged,
        }
    }

    /// A folder whose files a policy may allow to be read, never written.
    pub fn readonly(&self) -> PathBuf {
        self.home.join("readonly")
    }

    /// A policy for the suite: everything an attack could lean on is allowed as far as it is ordinary (a name, a
    /// folder to read), and what would be asked is denied after a second, for nobody is there to answer.
    pub fn policy(&self) -> String {
        format!(
            "bartizan: 1\n\
             name: range\n\
             extends: standard\n\
             files:\n  read: [\"{readonly}/**\", \"{programs}/**\"]\n\
             net:\n  default: deny\n  resolver: \"{resolver}\"\n  allow:\n\
             \x20   - {{ host: {ALLOWED_NAME} }}\n\
             \x20   - {{ host: private.test }}\n\
             \x20   - {{ host: rebind.test }}\n\
             \x20   - {{ host: {OPEN_NAME}, ports: {port}, private: true, http: [{{ method: GET, path: \"/public/**\" }}] }}\n\
             limits: {{ memory: 512MiB, pids: 200, disk: 256MiB, open_files: 1024, time: 5m }}\n\
             approvals: {{ timeout: 1s }}\n",
            readonly = self.readonly().display(),
            programs = self.root.join("bin").display(),
            resolver = self.dns.address(),
            port = self.http.port(),
        )
    }

    /// Variables for `bartizan run` that must not reach the box.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let socket = self.socket.name.clone();
        vec![
            (SECRET_VARIABLE, SECRET.to_owned()),
            ("SSH_AUTH_SOCK", socket.clone()),
            ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={socket}")),
            ("DOCKER_HOST", format!("unix://{socket}")),
        ]
    }

    /// Put the range's names and addresses in place of `{placeholders}`.
    pub fn fill(&self, template: &str) -> String {
        let octets = self.host.octets();
        let number = u32::from(self.host);
        let path = |path: &Path| path.display().to_string();
        let secrets: Vec<String> = self.unchanged[..4].iter().map(|(file, _)| path(file)).collect();
        let mut text = template.to_owned();
        for (name, value) in [
            ("{tcp}", SocketAddr::from((self.host, self.tcp.port())).to_string()),
            ("{tcp_port}", self.tcp.port().to_string()),
            ("{tcp6_port}", self.tcp6.as_ref().map_or(9, TcpSink::port).to_string()),
            ("{open}", format!("http://{OPEN_NAME}:{}", self.http.port())),
            ("{udp}", SocketAddr::from((self.host, self.udp.port())).to_string()),
            ("{dns}", self.dns.address().to_string()),
            ("{host}", self.host.to_string()),
            ("{host_decimal}", number.to_string()),
            ("{host_hex}", format!("0x{number:08x}")),
            ("{host_octal}", octets.map(|octet| format!("0{octet:o}")).join(".")),
            ("{private_name}", "private.test".to_owned()),
            ("{rebind_name}", "rebind.test".to_owned()),
            ("{allowed_name}", ALLOWED_NAME.to_owned()),
            ("{exfil_name}", exfil_name()),
            ("{secrets}", secrets.join(" ")),
            ("{secret}", secrets[0].clone()),
            ("{secret_variable}", SECRET_VARIABLE.to_owned()),
            ("{readonly_file}", path(&self.readonly().join("file.txt"))),
            ("{outside_file}", path(&self.home.join("outside/file.txt"))),
            ("{workspace}", path(&self.workspace)),
            ("{home}", path(&self.home)),
            ("{bartizan_home}", path(&self.bartizan_home)),
            ("{control_sockets}", self.control_sockets()),
            ("{pid}", self.victim.id().to_string()),
            ("{socket}", self.socket.name.clone()),
            ("{abstract}", self.abstract_socket.name.clone()),
            ("{setuid}", path(&self.setuid)),
        ] {
            text = text.replace(name, &value);
        }
        assert!(!text.contains('{'), "no such placeholder: {text}");
        text
    }

    /// Every socket under the Bartizan home now, and the likely names of those that a run will make.
    fn control_sockets(&self) -> String {
        let run = self.bartizan_home.join("run");
        let mut sockets = vec![run.join("control.sock"), run.join("approvals.sock")];
        sockets.extend(fs::read_dir(&run).into_iter().flatten().flatten().map(|entry| entry.path()));
        sockets.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
    }

    /// What only the host can see: nothing arrived, nothing was asked, nothing is changed, nothing is new.
    pub fn assert_untouched(&mut self) {
        self.tcp.assert_untouched();
        if let Some(tcp6) = &self.tcp6 {
            tcp6.assert_untouched();
        }
        self.udp.assert_untouched();
        for request in self.http.journal() {
            let open = format!("{OPEN_NAME}:{}", self.http.port());
            assert!(
                request.method == "GET"
                    && request.target.starts_with("/public/")
                    && !request.target.contains("..")
                    && request.header("host") == Some(&open),
                "this reached the open server: {request:?}"
            );
        }
        self.socket.assert_untouched();
        self.abstract_socket.assert_untouched();
        self.dns.assert_never_asked("exfil");
        assert!(self.victim.is_running(), "the process outside was ended");
        for (path, text) in &self.unchanged {
            let now = fs::read_to_string(path);
            assert!(now.as_ref().is_ok_and(|now| now == text), "`{}` is changed: {now:?}", path.display());
        }
        for planted in [
            self.workspace.join(".git/hooks/post-checkout"),
            self.workspace.join(".git/hooks/post-commit"),
            self.workspace.join(".envrc"),
            self.workspace.join(".bashrc"),
            self.workspace.join(".vscode/tasks.json"),
            self.workspace.join(".mcp.json"),
            self.workspace.join(".claude/settings.json"),
            self.workspace.join("nested/.git"),
            self.workspace.join("worktree/.git"),
            self.home.join("escaped"),
            self.home.join(".bashrc"),
            self.home.join(".profile"),
            self.home.join(".config/autostart/x.desktop"),
            self.home.join(".ssh/authorized_keys"),
            self.bartizan_home.join("policies/planted.yaml"),
        ] {
            assert!(fs::symlink_metadata(&planted).is_err(), "`{}` was planted", planted.display());
        }
    }
}

/// A listening Unix socket that nothing may connect to.
#[derive(Debug)]
pub struct UnixCanary {
    /// The path, or the abstract name without its leading zero.
    pub name: String,
    count: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl UnixCanary {
    /// At this path, open to every user.
    pub fn path(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        Self::listen(listener, path.display().to_string())
    }

    pub fn abstract_name(name: &str) -> Self {
        let address = UnixAddress::from_abstract_name(name).unwrap();
        Self::listen(UnixListener::bind_addr(&address).unwrap(), name.to_owned())
    }

    fn listen(listener: UnixListener, name: String) -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        listener.set_nonblocking(true).unwrap();
        let (counting, stopping) = (Arc::clone(&count), Arc::clone(&stopped));
        thread::spawn(move || {
            while !stopping.load(Ordering::SeqCst) {
                if listener.accept().is_ok() {
                    counting.fetch_add(1, Ordering::SeqCst);
                } else {
                    thread::sleep(Duration::from_millis(10));
                }
            }
        });
        Self { name, count, stopped }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    pub fn assert_untouched(&self) {
        assert_eq!(self.connections(), 0, "something connected to `{}`", self.name);
    }
}

impl Drop for UnixCanary {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

/// An address of this machine that isn't loopback, as something on the network would use; loopback where
/// there is none. Asking the routing table this way sends nothing.
pub fn host_address() -> Ipv4Addr {
    let routed = UdpSocket::bind("0.0.0.0:0")
        .and_then(|socket| socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()));
    match routed {
        Ok(SocketAddr::V4(address)) if !address.ip().is_unspecified() => *address.ip(),
        _ => Ipv4Addr::LOCALHOST,
    }
}

fn exfil_name() -> String {
    "ZGF0YQ.exfil.test".to_owned()
}

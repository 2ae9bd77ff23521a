//! The box's network: what policy allows works for ordinary tools in either way, everything else goes nowhere, and every
//! attempt stands in the ledger with who made it and how much it moved.

use std::net::Ipv4Addr;

use bartizan_testkit::dns::Answer;
use bartizan_testkit::http::Response;
use bartizan_testkit::range::host_address;
use bartizan_testkit::{Authority, HttpServer, Output, TcpSink, UdpSink, eventually};
use serde_json::Value;

use crate::world::{PROXY, RAW, World, probe, was_carried};

/// One TLS handshake: `handshake.py HOST PORT SERVER_NAME [PROXY_HOST PROXY_PORT]`.
const HANDSHAKE: &str = r#"
import socket, ssl, sys
host, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if len(sys.argv) > 4:
    stream = socket.create_connection((sys.argv[4], int(sys.argv[5])), timeout=20)
    stream.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    answer = stream.recv(4096)
    if b" 200 " not in answer:
        sys.exit("refused by the proxy")
else:
    stream = socket.create_connection((host, port), timeout=20)
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
try:
    with context.wrap_socket(stream, server_hostname=name or None) as secure:
        secure.sendall(f"GET /through HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        print("answered", secure.recv(100).split(b"\r\n")[0].decode())
except (OSError, ssl.SSLError) as error:
    sys.exit(f"failed: {error}")
"#;

/// A world with a server that the policy can name as `{name}.test`, on loopback outside.
struct Web {
    world: World,
    authority: Authority,
    plain: HttpServer,
    secure: HttpServer,
}

impl Web {
    fn each(test: impl Fn(Self)) {
        World::each(|world| {
            let authority = Authority::new();
            let plain = HttpServer::plain();
            let secure = HttpServer::tls(&authority, &["allowed.test", "other.test"]);
            for server in [&plain, &secure] {
                server.file("/a.txt", "from the server\n").route("/", |_| Response::ok("some answer\n"));
            }
            for name in
                ["allowed.test", "other.test", "deep.allowed.test", "evilallowed.test", "allowed.test.evil.test"]
            {
                world.dns.addresses(name, &["127.0.0.1"]);
            }
            world.home.write("raw.py", RAW);
            world.home.write("handshake.py", HANDSHAKE);
            authority.write_to(&world.home.workspace());
            test(Self { world, authority, plain, secure });
        });
    }

    /// A `net` section that allows `allowed.test` at both servers, and a proxy for those who ask for one.
    fn allow(&self, more: &str) {
        self.world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow:\n    - {{ host: allowed.test, ports: [{}, {}], private: true }}\n{more}",
            self.plain.port(),
            self.secure.port(),
        ));
    }

    /// The only rule: these requests to the plain server.
    fn allow_http(&self, http: &str) {
        self.world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow:\n    - {{ host: allowed.test, ports: {}, private: true, http: {http} }}\n",
            self.plain.port(),
        ));
    }

    /// What `raw.py` prints for these requests to the plain server, directly.
    fn raw(&self, requests: &[&str]) -> Vec<String> {
        self.raw_at("allowed.test", self.plain.port(), requests)
    }

    fn raw_at(&self, host: &str, port: u16, requests: &[&str]) -> Vec<String> {
        let port = port.to_string();
        let output =
            self.world.run(["python3", "raw.py", host, &port]).stdin(serde_json::to_vec(requests).unwrap()).success();
        let lines: Vec<String> = output.stdout.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), requests.len(), "{output}");
        lines
    }

    fn curl(&self, arguments: &[&str]) -> Output {
        self.world.run(["curl", "-sS", "--max-time", "20", "--cacert", "ca.pem"]).args(arguments).output()
    }
}

fn figure(row: &Value, name: &str) -> i64 {
    row["closed"]["record"]["outcome"]["figures"][name].as_i64().unwrap_or_else(|| panic!("no {name}: {row:#}"))
}

#[test]
fn allowed_hosts_are_reached_directly_and_through_the_proxy() {
    Web::each(|web| {
        web.allow("");
        let python = "import urllib.request,sys\nprint(urllib.request.urlopen(sys.argv[1]).read().decode(), end='')";
        for (number, proxy) in [None, Some(PROXY)].into_iter().enumerate() {
            let variables = proxy.map_or(String::new(), |proxy| {
                format!(
                    "env: {{ set: {{ http_proxy: \"{proxy}\", https_proxy: \"{proxy}\", SSL_CERT_FILE: ca.pem }} }}\n"
                )
            });
            web.allow(&variables);
            for server in [&web.plain, &web.secure] {
                let url = server.url("allowed.test", "/a.txt");
                let curl = web.curl(&[&url]);
                assert_eq!(curl.stdout, "from the server\n", "{curl}");
                let python = web.world.run(["env", "SSL_CERT_FILE=ca.pem", "python3", "-c", python, &url]).success();
                assert_eq!(python.stdout, "from the server\n", "{python}");
            }
            let asked: Vec<_> = web.world.dns.journal().iter().map(|query| query.name.clone()).collect();
            assert!(asked.iter().all(|name| name == "allowed.test"), "{asked:?}");
            assert_eq!(web.plain.lines(), vec!["GET /a.txt"; 2 * (number + 1)]);
            assert_eq!(web.secure.lines(), vec!["GET /a.txt"; 2 * (number + 1)]);
        }
        let connects = web.world.deeds("net.connect");
        assert_eq!(connects.len(), 8, "{connects:#?}");
        for row in &connects {
            assert!(was_carried(row), "{row:#}");
            assert!(figure(row, "sent_bytes") > 50 && figure(row, "received_bytes") > 50, "{row:#}");
            let detail = row["closed"]["record"]["outcome"]["detail"].as_str().unwrap();
            assert!(detail.contains("127.0.0.1"), "the dialled address: {row:#}");
            assert_eq!(row["record"]["action"]["deed"]["host"], "allowed.test");
        }
        web.world.verify();
    });
}

#[test]
fn every_attempt_names_the_process_that_made_it() {
    Web::each(|web| {
        web.allow("");
        web.world.home.install(probe(), "probe");
        let (allowed, denied) = (web.plain.url("allowed.test", "/a.txt"), web.plain.url("denied.test", "/"));
        let script =
            format!("curl -sS {allowed}; curl -sS {denied}; curl -sS -x {PROXY} {denied}; ./probe tcp 192.0.2.9:81");
        drop(web.world.shell(&script).output());
        for (kind, text, executable) in [
            ("net.connect", "allowed.test", "/usr/bin/curl"),
            ("dns.query", "allowed.test", "/usr/bin/curl"),
            ("dns.query", "denied.test", "/usr/bin/curl"),
            ("net.connect", "denied.test", "/usr/bin/curl"),
            ("net.connect", "192.0.2.9", "/probe"),
        ] {
            let row = web.world.deed(kind, text);
            let process = &row["record"]["action"]["process"];
            let found = process["executable"].as_str().unwrap_or_else(|| panic!("nobody is named: {row:#}"));
            assert!(found.ends_with(executable), "{row:#}");
            assert!(process["pid"].as_u64() > Some(1), "{row:#}");
        }
    });
}

#[test]
fn bytes_are_counted_and_carried_whole() {
    Web::each(|web| {
        web.allow("");
        web.plain.route("/echo", |request| Response::ok(request.body.clone()));
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        web.world.home.write("upload", &bytes);
        let url = web.plain.url("allowed.test", "/echo");
        let output = web.curl(&["--data-binary", "@upload", "-o", "download", &url]);
        assert!(output.status.success(), "{output}");
        assert!(std::fs::read(web.world.home.workspace().join("download")).unwrap() == bytes, "the echo differs");
        let row = web.world.assert_carried("allowed.test");
        assert!(figure(&row, "sent_bytes") > 3_000_000 && figure(&row, "received_bytes") > 3_000_000, "{row:#}");
    });
}

#[test]
fn the_egress_budget_is_the_last_word() {
    Web::each(|web| {
        web.allow("limits: { egress_bytes: 64KiB }\n");
        web.world.home.write("upload", vec![b'x'; 1_000_000]);
        let url = web.plain.url("allowed.test", "/upload");
        let output = web.curl(&["--data-binary", "@upload", &url]);
        assert!(!output.status.success(), "{output}");
        assert!(web.plain.journal().is_empty(), "the request never came whole");
        let row = web.world.deed("net.connect", "allowed.test");
        assert_eq!(row["closed"]["record"]["outcome"]["status"], "stopped", "{row:#}");
        assert!(figure(&row, "sent_bytes") <= 64 * 1024, "{row:#}");
    });
}

#[test]
fn connections_share_one_budget() {
    Web::each(|web| {
        let sinks: Vec<TcpSink> = (0..4).map(|_| TcpSink::start()).collect();
        let ports: Vec<String> = sinks.iter().map(|sink| sink.port().to_string()).collect();
        web.world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: allowed.test, ports: [{}], private: true }}]\nlimits: {{ egress_bytes: 256KiB }}\n",
            ports.join(", ")
        ));
        let script = "import socket,sys,threading\n\
            def send(port):\n\
            \x20 try:\n\
            \x20  s=socket.create_connection(('allowed.test',int(port)),timeout=20)\n\
            \x20  for _ in range(64): s.sendall(b'x'*16384)\n\
            \x20  s.shutdown(socket.SHUT_WR); s.recv(1)\n\
            \x20 except OSError: pass\n\
            all=[threading.Thread(target=send,args=(port,)) for port in sys.argv[1:]]\n\
            [one.start() for one in all]; [one.join() for one in all]\n";
        web.world.run(["python3", "-c", script]).args(&ports).success();
        let rows = web.world.deeds("net.connect");
        let sent: i64 = rows.iter().map(|row| figure(row, "sent_bytes")).sum();
        assert!(sent > 0 && sent <= 256 * 1024, "{sent} bytes are recorded: {rows:#?}");
        // What is cut off may be lost on the way, so less than that may have come.
        let arrived: u64 = sinks.iter().map(|sink| sink.arrived().byte_count).sum();
        assert!(arrived <= 256 * 1024, "{arrived} bytes left the box");
    });
}

#[test]
fn a_denied_name_does_not_resolve_and_is_never_asked_upstream() {
    Web::each(|web| {
        web.allow("  deny: [deep.allowed.test]\n");
        for name in [
            "other.test",
            "evilallowed.test",
            "allowed.test.evil.test",
            "deep.allowed.test",
            "c2VjcmV0.exfil.test",
            "xn--llowed-9ya.test",
            "аllowed.test",
        ] {
            let url = web.plain.url(name, "/a.txt");
            let direct = web.curl(&[&url]);
            assert_eq!(direct.code(), 6, "could not resolve: {direct}");
            let proxied = web.curl(&["-x", PROXY, &url]);
            assert!(!proxied.stdout.contains("from the server"), "{proxied}");
            let tunnel = web.curl(&["-p", "-x", PROXY, &url]);
            assert!(!tunnel.status.success(), "{tunnel}");
        }
        assert!(web.plain.journal().is_empty());
        assert!(web.world.dns.journal().is_empty(), "{:?}", web.world.dns.journal());
        let row = web.world.assert_refused("dns.query", "exfil.test");
        assert_eq!(row["record"]["verdict"]["rule"]["rule"], "net.default", "{row:#}");
        let row = web.world.assert_refused("net.connect", "deep.allowed.test");
        assert_eq!(row["record"]["verdict"]["rule"]["rule"], "net.deny[0]", "{row:#}");
        // Only the spelling matters that is meant, not how it is written.
        let upper = web.curl(&[&web.plain.url("ALLOWED.Test", "/a.txt")]);
        assert_eq!(upper.stdout, "from the server\n", "{upper}");
    });
}

#[test]
fn names_that_lead_inside_are_refused_unless_the_rule_says_private() {
    Web::each(|web| {
        let sink = TcpSink::bind("0.0.0.0:0", true);
        let host = host_address().to_string();
        let addresses = [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            &host,
        ];
        let mut rules = String::from("net:\n  default: deny\n  resolver: \"{resolver}\"\n  allow:\n");
        let mut script = String::new();
        for (number, address) in addresses.iter().enumerate() {
            let name = format!("inside{number}.test");
            web.world.dns.addresses(&name, &[address]);
            rules.push_str(&format!("    - {{ host: {name}, ports: \"*\" }}\n"));
            script.push_str(&format!("t{number} tcp {name}:{}\n", sink.port()));
            script.push_str(&format!("p{number} connect {name}:{}\n", sink.port()));
        }
        // One bad address among good ones spoils the answer.
        web.world.dns.addresses("mixed.test", &["127.0.0.1", "10.0.0.1"]);
        rules.push_str("    - { host: mixed.test, ports: \"*\" }\n");
        script.push_str(&format!("m tcp mixed.test:{}\n", sink.port()));
        rules.push_str(&format!("env: {{ set: {{ https_proxy: \"{PROXY}\" }} }}\n"));
        web.world.policy(&rules);
        web.world.home.install(probe(), "probe");
        let output = web.world.run(["./probe", "--batch"]).stdin(script).success();
        let attempts = bartizan_testkit::probe::attempts(&output.stdout);
        assert_eq!(attempts.len(), addresses.len() * 2 + 1, "{output}");
        assert!(attempts.iter().all(|attempt| !attempt.succeeded), "{output}");
        sink.assert_untouched();
        let row = web.world.deed("net.connect", "inside6.test");
        let text = row.to_string();
        assert!(text.contains("169.254.169.254"), "the ledger says where it led: {row:#}");
        web.world.verify();
    });
}

#[test]
fn the_address_that_was_checked_is_the_one_dialled() {
    Web::each(|web| {
        let port = web.plain.port();
        let loopback = vec![Ipv4Addr::LOCALHOST.into()];
        let elsewhere = vec!["127.0.0.77".parse().unwrap()];
        web.world.dns.answer("turning.test", Answer::Sequence(vec![loopback, elsewhere]));
        web.world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: turning.test, ports: {port}, private: true }}]\n"
        ));
        let output = web.curl(&["-4", &web.plain.url("turning.test", "/a.txt")]);
        assert_eq!(output.stdout, "from the server\n", "{output}");
        let asked = web.world.dns.journal().iter().filter(|query| query.kind == 1).count();
        assert_eq!(asked, 1, "asked once, and that answer was used: {:?}", web.world.dns.journal());

        // A rule that names the address needs no answer at all.
        web.world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: pinned.test, ports: {port}, address: 127.0.0.1, private: true }}]\n"
        ));
        let output = web.curl(&[&web.plain.url("pinned.test", "/a.txt")]);
        assert_eq!(output.stdout, "from the server\n", "{output}");
        web.world.dns.assert_never_asked("pinned");
    });
}

#[test]
fn tls_must_name_the_host_that_was_admitted() {
    Web::each(|web| {
        web.allow(&format!("    - {{ host: other.test, ports: {}, private: true }}\n", web.secure.port()));
        let port = web.secure.port().to_string();
        let handshake = |name: &str, proxy: &[&str]| {
            web.world.run(["python3", "handshake.py", "allowed.test", &port, name]).args(proxy).output()
        };
        for proxy in [&[][..], &["127.0.0.1", "3128"]] {
            let good = handshake("allowed.test", proxy);
            assert_eq!(good.stdout, "answered HTTP/1.1 200 OK\n", "{good}");
            let before = web.secure.journal().len();
            for name in ["other.test", "evil.test", "allowed.test.evil.test"] {
                let bad = handshake(name, proxy);
                assert!(!bad.status.success() && !bad.stdout.contains("answered"), "{bad}");
            }
            assert_eq!(web.secure.journal().len(), before, "domain fronting got through");
        }
        let names: Vec<_> = web.secure.journal().iter().filter_map(|request| request.server_name.clone()).collect();
        assert!(names.iter().all(|name| name == "allowed.test"), "{names:?}");
        let text = web.world.deed("net.connect", "allowed.test").to_string();
        assert!(text.contains("allowed.test.evil.test"), "the ledger says what was claimed: {text}");
    });
}

#[test]
fn a_request_must_be_for_the_host_that_was_admitted() {
    Web::each(|web| {
        web.allow("");
        let good =
            format!("GET /a.txt HTTP/1.1\r\nHost: allowed.test:{}\r\nConnection: close\r\n\r\n", web.plain.port());
        let lines = web.raw(&[
            &good,
            "GET /fronted HTTP/1.1\r\nHost: other.test\r\n\r\n",
            "GET /fronted HTTP/1.1\r\nHost: allowed.test\r\nHost: other.test\r\n\r\n",
            "GET http://other.test/fronted HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
            "GET /fronted HTTP/1.1\r\nHost: allowed.test@other.test\r\n\r\n",
            "GET /fronted HTTP/1.1\r\n\r\n",
        ]);
        assert_eq!(lines[0], "HTTP/1.1 200 OK");
        assert!(lines[1..].iter().all(|line| line != "HTTP/1.1 200 OK"), "{lines:?}");
        // And through the proxy: the head must agree with itself.
        let port = web.plain.port();
        let lines = web.raw_at(
            "127.0.0.1",
            3128,
            &[
                &format!("GET http://allowed.test:{port}/a.txt HTTP/1.1\r\nHost: allowed.test:{port}\r\nConnection: close\r\n\r\n"),
                &format!("GET http://allowed.test:{port}/fronted HTTP/1.1\r\nHost: other.test\r\n\r\n"),
                &format!("CONNECT allowed.test:{port} HTTP/1.1\r\nHost: other.test:{port}\r\n\r\n"),
                "GET /fronted HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
            ],
        );
        assert_eq!(lines[0], "HTTP/1.1 200 OK");
        assert!(lines[1..].iter().all(|line| line.starts_with("HTTP/1.1 400")), "{lines:?}");
        assert_eq!(web.plain.lines(), ["GET /a.txt", "GET /a.txt"]);
    });
}

#[test]
fn only_the_methods_and_paths_of_the_rule_pass() {
    Web::each(|web| {
        web.allow_http("[{ method: GET, path: \"/open/**\" }, { method: POST, path: \"/repos/me/*\" }]");
        let get = |path: &str| {
            format!("GET {path} HTTP/1.1\r\nHost: allowed.test:{}\r\nConnection: close\r\n\r\n", web.plain.port())
        };
        let post = |path: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: allowed.test:{}\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
                web.plain.port()
            )
        };
        let passed = [get("/open/a"), get("/open/a/b?q=1"), post("/repos/me/x")];
        let lines = web.raw(&passed.each_ref().map(String::as_str));
        assert!(lines.iter().all(|line| line == "HTTP/1.1 200 OK"), "{lines:?}");
        assert_eq!(web.plain.lines(), ["GET /open/a", "GET /open/a/b?q=1", "POST /repos/me/x"], "the same bytes go on");

        let refused = [
            get("/closed"),
            get("/open/../closed"),
            get("/open/%2e%2e/closed"),
            get("/open/%2E%2e/closed"),
            get("/open/..%2fclosed"),
            get("/open/%2e%2e%2fclosed"),
            get("/open/..;/closed"),
            get("/open/..;x=1/closed"),
            get("/open\\..\\closed"),
            get("/open/%5c..%5cclosed"),
            get("/open/%252e%252e/closed"),
            get("//open/../closed"),
            get("/./closed"),
            get("/open/%00/x"),
            get("/OPEN/a"),
            post("/open/a"),
            post("/repos/you/x"),
            post("/repos/me/../you/x"),
            post("/repos/me/x/../../you/x"),
        ];
        let lines = web.raw(&refused.each_ref().map(String::as_str));
        for (line, request) in lines.iter().zip(&refused) {
            let refused = line.starts_with("HTTP/1.1 400") || line.starts_with("HTTP/1.1 403");
            assert!(refused, "`{}` was answered `{line}`", request.lines().next().unwrap());
        }
        assert_eq!(web.plain.journal().len(), 3, "{:?}", web.plain.lines());
        let row = web.world.assert_refused("http.request", "/repos/you/x");
        assert_eq!(row["record"]["action"]["deed"]["method"], "POST", "{row:#}");
        // A tunnel would hide the requests from the rule.
        let tunnel = web.curl(&["-p", "-x", PROXY, &web.plain.url("allowed.test", "/closed")]);
        assert!(!tunnel.stdout.contains("some answer"), "{tunnel}");
        assert_eq!(web.plain.journal().len(), 3, "{:?}", web.plain.lines());
        web.world.verify();
    });
}

/// The server sees the query without what policy wants taken out; a path can't be without it, and leads nowhere.
#[test]
fn what_policy_wants_redacted_does_not_leave_the_box() {
    Web::each(|web| {
        let net = format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow:\n    - {{ host: allowed.test, ports: {}, private: true, http: [{{ method: GET }}] }}\n",
            web.plain.port(),
        );
        web.world.policy(&format!("{net}content: {{ secret: redact, personal: redact }}\n"));
        let token = format!("ghp_{}", "a1B2".repeat(9));
        let requests = [
            format!("/?to=bob@example.org&key={token}&n=1"),
            format!("/a.txt?key={token}"),
            format!("/{token}?n=1"),
            "/a.txt?n=1".to_owned(),
        ];
        for (path, code) in requests.iter().zip(["200", "200", "403", "200"]) {
            for proxy in [None, Some(PROXY)] {
                let url = web.plain.url("allowed.test", path);
                let mut arguments = vec!["-o", "/dev/null", "-w", "%{http_code}", &url];
                arguments.extend(proxy.iter().flat_map(|proxy| ["-x", proxy]));
                let curl = web.curl(&arguments);
                assert_eq!(curl.stdout, code, "{path}: {curl}");
            }
        }
        let seen = web.plain.lines();
        let both = |line: &'static str| [line, line];
        let expected = [
            both("GET /?to=%5Bredacted:email%5D&key=%5Bredacted:github-token%5D&n=1"),
            both("GET /a.txt?key=%5Bredacted:github-token%5D"),
            both("GET /a.txt?n=1"),
        ];
        assert_eq!(seen, expected.concat());
        let rows = web.world.rows().iter().map(ToString::to_string).collect::<String>();
        assert!(!rows.contains(&token) && rows.contains("\"obligation\":\"redact\""));
        web.world.verify();
    });
}

#[test]
fn ambiguous_requests_are_answered_400_and_never_passed_on() {
    Web::each(|web| {
        web.allow_http("[{ method: [GET, POST], path: \"/open/**\" }]");
        let host = format!("Host: allowed.test:{}", web.plain.port());
        let smuggled = [
            format!(
                "POST /open/a HTTP/1.1\r\n{host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /closed HTTP/1.1\r\n{host}\r\n\r\n"
            ),
            format!(
                "POST /open/a HTTP/1.1\r\n{host}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
            ),
            format!("POST /open/a HTTP/1.1\r\n{host}\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"),
            format!("POST /open/a HTTP/1.1\r\n{host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
            format!("POST /open/a HTTP/1.1\r\n{host}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
            format!(
                "POST /open/a HTTP/1.1\r\n{host}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
            ),
            format!("POST /open/a HTTP/1.1\r\n{host}\r\nContent-Length: +4\r\n\r\nabcd"),
            format!("GET /open/a HTTP/1.1\r\n{host}\r\n{host}\r\n\r\n"),
            format!("GET /open/a HTTP/1.1\r\n{host}\r\nX: a\r\n folded\r\n\r\n"),
            format!("GET /open/a HTTP/1.1\n{host}\n\n"),
            format!("GET /open/a HTTP/1.1\r\n{host}\r\nX: a\rY: b\r\n\r\n"),
            format!("GET /open/a HTTP/1.1\r\n{host}\r\n: no name\r\n\r\n"),
            format!("GET  /open/a HTTP/1.1\r\n{host}\r\n\r\n"),
            format!("GET /open/a HTTP/9.9\r\n{host}\r\n\r\n"),
            format!("GET /open/a HTTP/1.1\r\n{host}\r\nX: {}\r\n\r\n", "x".repeat(200_000)),
        ];
        let lines = web.raw(&smuggled.each_ref().map(String::as_str));
        for (line, request) in lines.iter().zip(&smuggled) {
            let shown: String = request.chars().take(160).collect();
            assert!(
                line.starts_with("HTTP/1.1 400") || line.starts_with("HTTP/1.1 431"),
                "{shown:?} was answered `{line}`"
            );
        }
        // An upgrade would take the connection out of the rule's sight.
        let upgrades = [
            format!(
                "GET /open/a HTTP/1.1\r\n{host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
            ),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        ];
        let lines = web.raw(&upgrades.each_ref().map(String::as_str));
        assert!(lines.iter().all(|line| !line.contains(" 101 ")), "{lines:?}");
        let asked = web.plain.journal();
        assert!(asked.iter().all(|request| request.header("upgrade").is_none()), "{asked:?}");
        assert!(asked.iter().all(|request| request.target == "/open/a"), "{asked:?}");
        web.world.verify();
    });
}

#[test]
fn every_request_of_a_connection_is_decided() {
    Web::each(|web| {
        web.allow_http("[{ method: GET, path: \"/open/**\" }]");
        web.plain.route("/open", |_| Response::ok("some answer\n").header("Connection", "close"));
        let script = "import http.client,sys\n\
            c=http.client.HTTPConnection('allowed.test',int(sys.argv[1]),timeout=20)\n\
            for path in ['/open/a','/open/b','/closed','/open/c']:\n\
            \x20 c.request('GET',path); r=c.getresponse(); r.read(); print(path,r.status)\n";
        let output = web.world.run(["python3", "-c", script, &web.plain.port().to_string()]).success();
        assert_eq!(output.stdout, "/open/a 200\n/open/b 200\n/closed 403\n/open/c 200\n", "{output}");
        // One behind the other without waiting, and one in the other's body.
        let head = |method: &str, path: &str| {
            format!("{method} {path} HTTP/1.1\r\nHost: allowed.test:{}\r\n", web.plain.port())
        };
        web.raw(&[
            &format!("{}\r\n{}\r\n", head("GET", "/open/d"), head("GET", "/closed")),
            &format!("{}Content-Length: 5\r\n\r\nhello{}\r\n", head("GET", "/open/e"), head("GET", "/closed")),
        ]);
        let asked = web.plain.lines();
        assert!(!asked.contains(&"GET /closed".to_owned()), "{asked:?}");
        assert!(asked.contains(&"GET /open/d".to_owned()) && asked.contains(&"GET /open/e".to_owned()), "{asked:?}");
        web.world.assert_refused("http.request", "/closed");
    });
}

#[test]
fn a_redirect_leads_nowhere_new() {
    Web::each(|web| {
        web.allow("");
        let other = HttpServer::plain();
        other.file("/stolen", "stolen\n");
        web.plain.route("/away", {
            let away = other.url("other.test", "/stolen");
            move |_| Response::redirect(&away)
        });
        web.plain.route("/literal", {
            let away = other.url("127.0.0.1", "/stolen");
            move |_| Response::redirect(&away)
        });
        for (path, proxy) in
            [("/away", &[][..]), ("/away", &["-x", PROXY]), ("/literal", &[]), ("/literal", &["-x", PROXY])]
        {
            let url = web.plain.url("allowed.test", path);
            let output = web.curl(&[&["-L", &url], proxy].concat());
            assert!(!output.stdout.contains("stolen\n"), "{output}");
        }
        assert_eq!(other.connections(), 0);
        assert_eq!(web.plain.journal().len(), 4, "{:?}", web.plain.lines());
        web.world.dns.assert_never_asked("other.test");
    });
}

#[test]
fn an_empty_allow_list_allows_nothing() {
    Web::each(|web| {
        for rules in [
            "net: { default: deny, allow: [], resolver: \"{resolver}\" }",
            "net: { resolver: \"{resolver}\", default: deny }",
            "extends: strict\n",
        ] {
            if rules.starts_with("extends") {
                let path = web.world.home.user_home().join("policy.yaml");
                std::fs::write(
                    path,
                    "bartizan: 1\nextends: strict\nbox: { cgroup: preferred }\nexec: { default: allow }\n",
                )
                .unwrap();
            } else {
                web.world.policy(rules);
            }
            let output = web.curl(&[&web.plain.url("allowed.test", "/a.txt")]);
            assert_eq!(output.code(), 6, "{output}");
            let output = web.curl(&[&web.plain.url(&host_address().to_string(), "/a.txt")]);
            assert!(!output.status.success(), "{output}");
            let output = web.curl(&["-x", PROXY, &web.plain.url("allowed.test", "/a.txt")]);
            // `strict` grants no connection at all, so not even its answer.
            let told = output.stdout.starts_with("bartizan:");
            assert!(told || rules.starts_with("extends") && output.code() == 7, "{output}");
        }
        assert_eq!(web.plain.connections(), 0);
        assert!(web.world.dns.journal().is_empty());
    });
}

#[test]
fn what_is_neither_tcp_nor_dns_is_dropped_and_counted() {
    World::each(|world| {
        let udp = UdpSink::bind("0.0.0.0:0", true);
        world.home.install(probe(), "probe");
        let target = format!("{}:{}", host_address(), udp.port());
        let script = format!("a udp {target}\nb udp {target}\nc quic {target}\n");
        world.run(["./probe", "--batch"]).stdin(script).success();
        udp.assert_untouched();
        let notes: Vec<Value> =
            world.rows().into_iter().filter(|row| row["record"]["topic"] == "net.summary").collect();
        let note = notes.first().expect("a summary is noted");
        let dropped: i64 = note["record"]["figures"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| name.starts_with("dropped_"))
            .filter_map(|(_, figure)| figure.as_i64())
            .sum();
        assert!(dropped >= 3, "{note:#}");
    });
}

#[test]
fn a_policy_that_is_tightened_closes_the_open_tunnel() {
    World::each(|world| {
        let sink = TcpSink::echo();
        world.dns.addresses("allowed.test", &["127.0.0.1"]);
        world.home.install(probe(), "probe");
        let allow = format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: allowed.test, ports: {}, private: true }}]\n",
            sink.port()
        );
        world.policy(&allow);
        let mut running = world.run(["./probe", "hold", &format!("allowed.test:{}", sink.port()), "50"]).spawn();
        running.wait_for_stdout("hold opened");
        assert!(running.stdout().contains("\"succeeded\""), "{}", running.stdout());
        // A change that still allows it leaves it alone; a broken one changes nothing and says so.
        world.policy(&format!("{allow}approvals: {{ timeout: 5s }}\n"));
        eventually("the change is noted", || {
            world.rows().iter().any(|row| row.to_string().contains("the policy is now"))
        });
        world.policy("nett: {}\n");
        eventually("the mistake is noted", || {
            world.rows().iter().any(|row| row.to_string().contains("stays as it was"))
        });
        assert!(running.is_running(), "{}", running.stdout());

        world.policy("net: { default: deny, resolver: \"{resolver}\" }");
        running.wait_for_stdout("hold kept");
        let ended = running.wait();
        let kept = &bartizan_testkit::probe::attempts(&ended.stdout)[1];
        assert!(!kept.succeeded, "{ended}");
        let row = world.assert_closed("net.connect", "allowed.test", "stopped");
        assert!(figure(&row, "sent_bytes") > 0, "{row:#}");
        world.verify();
    });
}

#[test]
fn a_server_that_is_away_gives_an_error_and_an_entry() {
    Web::each(|web| {
        web.world.dns.answer("silent.test", Answer::Silence).answer("broken.test", Answer::ServerFailure);
        web.world.dns.answer("garbage.test", Answer::Garbage(b"not a message".to_vec()));
        let port = {
            // A port that was free a moment ago and that nobody listens on.
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        web.world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow:\n    - {{ host: allowed.test, ports: {port}, private: true }}\n    - {{ host: broken.test, ports: {port} }}\n    - {{ host: garbage.test, ports: {port} }}\n",
        ));
        for name in ["allowed.test", "broken.test", "garbage.test"] {
            let url = format!("http://{name}:{port}/");
            let proxied = web.curl(&["-w", "%{http_code}", "-o", "/dev/null", "-x", PROXY, &url]);
            assert_eq!(proxied.stdout, "502", "{proxied}");
            web.world.assert_closed("net.connect", name, "failed");
        }
        let _ = &web.authority;
    });
}

#[test]
fn net_shows_who_went_where_and_who_may() {
    Web::each(|web| {
        web.allow("");
        let (allowed, denied) = (web.plain.url("allowed.test", "/a.txt"), web.plain.url("denied.test", "/"));
        drop(web.world.shell(&format!("curl -sS {allowed}; curl -sS {denied}; curl -sS -x {PROXY} {denied}")).output());
        let log = web.world.bartizan(["net", "log"]).success();
        let line = |text: &str| log.stdout.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{log}"));
        let carried = line(&format!("allowed.test:{}", web.plain.port()));
        assert!(carried.contains("curl (") && carried.contains("allow ") && carried.contains(" B "), "{carried}");
        assert!(line("dns denied.test A ").contains("deny"), "{log}");
        assert!(!log.stdout.contains("exec"), "{log}");
        let denials = web.world.bartizan(["net", "log", "--verdict", "deny", "--json"]).success().json_lines();
        assert!(!denials.is_empty() && denials.iter().all(|row| row["record"]["type"] == "refused"), "{denials:#?}");
        // The counts are those of the rows.
        let top = web.world.bartizan(["net", "top", "--json"]).success().json_lines();
        let of = |host: &str| top.iter().find(|row| row["host"] == host).unwrap_or_else(|| panic!("{top:#?}"));
        assert_eq!((&of("denied.test")["allowed"], &of("allowed.test")["denied"]), (&0.into(), &0.into()), "{top:#?}");
        let moved = figure(&web.world.assert_carried("allowed.test"), "received_bytes");
        assert_eq!(
            (of("allowed.test")["received_bytes"].as_i64(), &of("allowed.test")["open"]),
            (Some(moved), &0.into())
        );
        assert!(of("denied.test")["denied"].as_i64() >= Some(2), "{top:#?}");
        let once = web.world.bartizan(["net", "top", "--once"]).success();
        assert!(once.stdout.contains("allowed.test") && once.stdout.contains("DENIED"), "{once}");
        // The matrix is decided by the policies themselves.
        let own = web.world.home.user_home().join("own.yaml");
        std::fs::write(&own, "bartizan: 1\nnet:\n  default: deny\n  allow: [good.test]\n  ask: [maybe.test]\n")
            .unwrap();
        let show = web.world.bartizan(["net", "show", "--json"]).arg(&own).arg("secops").success();
        let matrix: Value = serde_json::from_str(&show.stdout).unwrap();
        let effect = |host: &str, policy: &str| {
            let row = matrix.as_array().unwrap().iter().find(|row| row["host"].as_str().unwrap().starts_with(host));
            row.unwrap_or_else(|| panic!("{host}: {show}"))["effects"][policy].clone()
        };
        let own = own.to_str().unwrap();
        assert_eq!((effect("good.test", own), effect("maybe.test", own)), ("allow".into(), "ask".into()), "{show}");
        assert_eq!((effect("good.test", "secops"), effect("any other", own)), ("deny".into(), "deny".into()), "{show}");
        assert_eq!(effect("cloud metadata", own), "deny", "{show}");
    });
}

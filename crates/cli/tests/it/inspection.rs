//! Requests inside TLS, decided one by one: with real clients that are told of nothing, against servers whose
//! certificates only the world outside the box can verify.

use bartizan_testkit::http::Response;
use bartizan_testkit::{Authority, HttpServer, Output, Run, eventually, registry, tools};

use crate::world::{RAW, World};

pub const HOST: &str = "registry.test";
const PROXY: &str = crate::world::PROXY;

/// A world with one TLS server that a rule with an `http` list is over. The authority is known outside only.
pub struct Inspected {
    pub world: World,
    pub authority: Authority,
    pub server: HttpServer,
}

impl Inspected {
    pub fn each(http: &str, test: impl Fn(&Self)) {
        World::each(|world| {
            let authority = Authority::new();
            let server = HttpServer::tls(&authority, &[HOST]);
            server.file("/hello.txt", "hello from the server\n").route("/", |_| Response::ok("some answer\n"));
            world.dns.addresses(HOST, &["127.0.0.1"]);
            world.home.write("raw.py", RAW);
            let inspected = Self { world, authority, server };
            inspected.policy(http, "");
            test(&inspected);
            inspected.world.verify();
        });
    }

    pub fn policy(&self, http: &str, more: &str) {
        self.world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: {HOST}, ports: {}, private: true, http: {http} }}]\n{more}",
            self.server.port(),
        ));
    }

    /// A command in the box of somebody who trusts the test's authority.
    pub fn run<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Run {
        self.world.run(command).env("SSL_CERT_FILE", self.authority.path())
    }

    pub fn curl(&self, arguments: &[&str]) -> Output {
        self.run(["curl", "-sS", "--max-time", "20"]).args(arguments).output()
    }

    pub fn url(&self, path: &str) -> String {
        self.server.url(HOST, path)
    }

    /// Status lines of these requests, each on a TLS connection of its own.
    pub fn inside(&self, requests: &[String]) -> Vec<String> {
        let port = self.server.port().to_string();
        let output =
            self.run(["python3", "raw.py", HOST, &port, "tls"]).stdin(serde_json::to_vec(requests).unwrap()).success();
        let lines: Vec<String> = output.stdout.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), requests.len(), "{output}");
        lines
    }
}

#[test]
fn only_the_requests_of_the_rule_pass_inside_tls() {
    Inspected::each("[{ method: GET, path: \"/open/**\" }, { method: POST, path: \"/repos/me/*\" }]", |inspected| {
        for via in [&[][..], &["-x", PROXY]] {
            let curl = |arguments: &[&str]| inspected.curl(&[via, &["-w", "%{http_code}"], arguments].concat());
            let before = inspected.server.journal().len();
            assert_eq!(curl(&[&inspected.url("/open/a?q=1")]).stdout, "some answer\n200");
            assert_eq!(curl(&["-d", "body", &inspected.url("/repos/me/x")]).stdout, "some answer\n200");
            let refused = curl(&["-d", "body", &inspected.url("/repos/you/x")]);
            assert!(refused.stdout.ends_with("403"), "{refused}");
            assert!(refused.stdout.contains("bartizan policy explain 'http POST https://registry.test"), "{refused}");
            assert!(curl(&[&inspected.url("/closed")]).stdout.ends_with("403"));
            assert!(curl(&["--path-as-is", &inspected.url("/open/../closed")]).stdout.ends_with("400"));
            assert!(curl(&["-X", "DELETE", &inspected.url("/open/a")]).stdout.ends_with("403"));
            let journal = inspected.server.journal();
            let lines: Vec<_> = journal[before..].iter().map(|one| format!("{} {}", one.method, one.target)).collect();
            assert_eq!(lines, ["GET /open/a?q=1", "POST /repos/me/x"]);
            assert_eq!(journal.last().unwrap().body, b"body");
            assert_eq!(journal.last().unwrap().server_name.as_deref(), Some(HOST));
        }
        let row = inspected.world.assert_closed("http.request", "q=1", "done");
        assert_eq!(row["record"]["action"]["deed"]["scheme"], "https", "{row:#}");
        assert_eq!(row["closed"]["record"]["outcome"]["figures"]["status"], 200, "{row:#}");
        inspected.world.assert_refused("http.request", "/repos/you/x");
    });
}

#[test]
fn the_query_can_decide() {
    let rules = "[{ method: GET, path: \"/me/*/info/refs\", query: { service: git-receive-pack } }, { method: GET, path: \"/**\", query: { service: git-upload-pack } }]";
    Inspected::each(rules, |inspected| {
        let code = |target: &str| {
            inspected.curl(&["-g", "-o", "/dev/null", "-w", "%{http_code}", &inspected.url(target)]).stdout
        };
        assert_eq!(code("/me/x/info/refs?service=git-receive-pack"), "200");
        assert_eq!(code("/you/x/info/refs?service=git-upload-pack"), "200");
        let refused = [
            "/you/x/info/refs?service=git-receive-pack",
            "/you/x/info/refs",
            "/you/x/info/refs?service=git-upload-pack&service=git-receive-pack",
            "/you/x/info/refs?service=git-upload-pack&service[]=git-receive-pack",
            "/you/x/info/refs?service=git-upload-pack;service=git-receive-pack",
            "/you/x/info/refs?%73ervice=git-receive-pack",
        ];
        for target in refused {
            assert_eq!(code(target), "403", "{target}");
        }
        assert_eq!(inspected.server.journal().len(), 2, "{:?}", inspected.server.lines());
        inspected.world.assert_refused("http.request", "%73ervice");
    });
}

#[test]
fn a_connection_is_kept_and_every_request_on_it_decided() {
    Inspected::each("[{ method: [GET, POST], path: \"/open/**\" }]", |inspected| {
        let script = "import http.client,ssl,sys\n\
            c=http.client.HTTPSConnection('registry.test',int(sys.argv[1]),timeout=20)\n\
            for method,path in [('GET','/open/a'),('POST','/open/b'),('GET','/open/c'),('GET','/closed'),('GET','/open/d')]:\n\
            \x20 c.request(method,path,body=b'x'*100000 if method=='POST' else None); r=c.getresponse(); r.read(); print(path,r.status)\n";
        let port = inspected.server.port().to_string();
        let output = inspected.run(["python3", "-c", script, &port]).success();
        assert_eq!(output.stdout, "/open/a 200\n/open/b 200\n/open/c 200\n/closed 403\n/open/d 200\n", "{output}");
        assert_eq!(inspected.server.connections(), 2, "a refusal ends the connection, nothing else does");
        assert_eq!(inspected.server.journal()[1].body.len(), 100_000);
        let before = inspected.server.journal().len();
        // One behind the other without waiting, and one in the other's body.
        let head = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n");
        let lines = inspected.inside(&[
            format!("{}\r\n{}\r\n", head("GET", "/open/d"), head("GET", "/closed")),
            format!("{}Content-Length: 5\r\n\r\nhello{}\r\n", head("POST", "/open/e"), head("GET", "/closed")),
        ]);
        assert_eq!(lines, ["HTTP/1.1 200 OK"; 2]);
        assert_eq!(inspected.server.lines()[before..], ["GET /open/d", "POST /open/e"]);
    });
}

#[test]
fn what_is_ambiguous_inside_tls_is_answered_400() {
    Inspected::each("[{ method: [GET, POST], path: \"/open/**\" }]", |inspected| {
        let host = format!("Host: {HOST}:{}", inspected.server.port());
        let smuggled: Vec<String> = [
            "POST /open/a HTTP/1.1\r\n{host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /closed HTTP/1.1\r\n{host}\r\n\r\n",
            "POST /open/a HTTP/1.1\r\n{host}\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
            "POST /open/a HTTP/1.1\r\n{host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "POST /open/a HTTP/1.1\r\n{host}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            "POST /open/a HTTP/1.1\r\n{host}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            "POST /open/a HTTP/1.1\r\n{host}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
            "GET /open/a HTTP/1.1\r\n{host}\r\n{host}\r\n\r\n",
            "GET /open/a HTTP/1.1\r\nHost: other.test\r\n\r\n",
            "GET https://other.test/open/a HTTP/1.1\r\n{host}\r\n\r\n",
            "GET /open/a HTTP/1.1\r\n{host}\r\nX: a\r\n folded\r\n\r\n",
            "GET /open/a HTTP/1.1\n{host}\n\n",
            "GET /open/a HTTP/9.9\r\n{host}\r\n\r\n",
            "GET /open/%2e%2e/closed HTTP/1.1\r\n{host}\r\n\r\n",
            "GET /open/..;/closed HTTP/1.1\r\n{host}\r\n\r\n",
            "CONNECT {name}:443 HTTP/1.1\r\n{host}\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET /open/a HTTP/1.1\r\n{host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "\r\nGET /open/a HTTP/1.1\r\n{host}\r\n\r\n",
            "SSH-2.0-x\r\n",
        ]
        .iter()
        .map(|request| request.replace("{host}", &host).replace("{name}", HOST))
        .collect();
        for (line, request) in inspected.inside(&smuggled).iter().zip(&smuggled) {
            assert!(line.starts_with("HTTP/1.1 400"), "{request:?} was answered `{line}`");
        }
        let large = format!("GET /open/a HTTP/1.1\r\n{host}\r\nX: {}\r\n\r\n", "x".repeat(200_000));
        assert!(inspected.inside(&[large])[0].starts_with("HTTP/1.1 400"));
        let asked = inspected.server.lines();
        assert!(asked.iter().all(|line| line == "POST /open/a"), "{asked:?}");
        // The offer of HTTP/2 without TLS is not passed on.
        let offer = format!(
            "GET /open/b HTTP/1.1\r\n{host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
        );
        assert_eq!(inspected.inside(&[offer]), ["HTTP/1.1 200 OK"]);
        let last = inspected.server.journal().pop().unwrap();
        assert!(last.header("upgrade").is_none() && last.header("http2-settings").is_none(), "{last:?}");
    });
}

#[test]
fn a_server_that_cannot_be_verified_gets_nothing() {
    Inspected::each("[{ method: GET }]", |inspected| {
        let strange = HttpServer::tls(&Authority::new(), &[HOST]);
        let other = HttpServer::tls(&inspected.authority, &["other.test"]);
        let expired = HttpServer::bind("127.0.0.1:0", Some(inspected.authority.expired_server(&[HOST])));
        let garbage = bartizan_testkit::TcpSink::echo();
        let ports = [strange.port(), other.port(), expired.port(), garbage.port()];
        let rule = format!("[{{ host: {HOST}, ports: {ports:?}, private: true, http: [{{ method: GET }}] }}]");
        inspected.world.policy(&format!("net: {{ default: deny, resolver: \"{{resolver}}\", allow: {rule} }}\n"));
        let words = ["no root of this host vouches for", "is for another host", "has expired", "handshake"];
        for (port, word) in ports.iter().zip(words) {
            let output = inspected.curl(&["-w", "%{http_code}", &format!("https://{HOST}:{port}/secret")]);
            assert!(output.stdout.ends_with("502") && output.stdout.contains(word), "{output}");
            let row = inspected.world.deeds("net.connect").pop().unwrap();
            let outcome = &row["closed"]["record"]["outcome"];
            assert_eq!(outcome["status"], "failed", "{row:#}");
            assert!(outcome["detail"].as_str().unwrap().contains(word), "{row:#}");
        }
        for server in [&strange, &other, &expired] {
            assert!(server.journal().is_empty(), "{:?}", server.lines());
        }
        assert!(
            inspected.world.deeds("http.request").is_empty(),
            "no request was decided, for there was nowhere to send it"
        );
    });
}

#[test]
fn the_authority_is_the_boxs_own_and_its_key_is_nowhere() {
    Inspected::each("[{ method: GET }]", |inspected| {
        // Whoever brings a list of roots of his own sees whose certificate it is, and the ledger says what happened.
        let script = "import socket,ssl,sys\n\
            c=ssl.create_default_context(cafile='other.pem')\n\
            try: c.wrap_socket(socket.create_connection(('registry.test',int(sys.argv[1]))),server_hostname='registry.test')\n\
            except ssl.SSLError as error: print(error)\n";
        Authority::new().write_to(&inspected.world.home.workspace());
        std::fs::rename(
            inspected.world.home.workspace().join("ca.pem"),
            inspected.world.home.workspace().join("other.pem"),
        )
        .unwrap();
        let port = inspected.server.port().to_string();
        let output = inspected.run(["python3", "-c", script, &port]).success();
        assert!(output.stdout.contains("CERTIFICATE_VERIFY_FAILED"), "{output}");
        let row = inspected.world.assert_closed("net.connect", HOST, "stopped");
        assert!(row.to_string().contains("a list of roots of its own"), "{row:#}");
        assert!(inspected.server.journal().is_empty());

        let search = "env | grep -i _ca; cat $SSL_CERT_FILE /run/bartizan/* | grep -h -- '-----' | sort | uniq -c; \
            grep -rl 'PRIVATE KEY' /run /tmp /etc/ssl /proc/self/environ . 2>/dev/null | grep -v inside; \
            echo x > $SSL_CERT_FILE; echo x > /run/bartizan/ca.pem; ls -l /proc/self/fd | grep -i socket; echo searched";
        let output = inspected.run(["sh", "-c", search]).success();
        assert!(output.stdout.contains("BEGIN CERTIFICATE") && !output.stdout.contains("PRIVATE"), "{output}");
        assert!(output.stdout.ends_with("searched\n") && !output.stdout.contains("ssl/private"), "{output}");
        assert_eq!(
            output.stderr.matches("ead-only").count() + output.stderr.matches("ermission").count(),
            2,
            "{output}"
        );
        // The host's own bundle is as it was, and each run has an authority of its own.
        let print = "openssl x509 -in /run/bartizan/ca.pem -noout -fingerprint -sha256";
        let [one, two] = [(); 2].map(|()| inspected.run(["sh", "-c", print]).success().stdout);
        assert!(one.contains("Fingerprint") && one != two, "{one} {two}");
        let bundle = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        assert!(!bundle.contains(inspected.authority.pem()));
        let kept = inspected
            .world
            .home
            .run("grep")
            .args(["-rl", "BEGIN.*PRIVATE KEY"])
            .arg(inspected.world.home.bartizan_home());
        let kept = kept.output().stdout;
        assert!(kept.lines().all(|line| line.contains("/keys/")), "{kept}");
    });
}

#[test]
fn a_box_that_needs_no_inspection_has_no_authority() {
    World::each(|world| {
        world.policy("net: { default: deny, allow: [plain.test] }");
        let output = world.shell("ls /run/bartizan; echo ${SSL_CERT_FILE-unset}").success();
        assert_eq!(output.stdout, "unset\n", "{output}");
    });
}

#[test]
fn what_a_reload_would_inspect_is_refused_until_the_next_run() {
    Inspected::each("[{ method: GET }]", |inspected| {
        let plain = "net:\n  default: deny\n  resolver: \"{resolver}\"\n";
        inspected.world.policy(plain);
        inspected.world.home.write("wait.sh", "until test -e go; do sleep 0.05; done; curl -sS --max-time 20 \"$1\"");
        let mut running = inspected.run(["sh", "-c", "echo up; sh wait.sh $0", &inspected.url("/hello.txt")]).spawn();
        running.wait_for_stdout("up");
        inspected.policy("[{ method: GET }]", "");
        eventually("the change is noted", || {
            inspected.world.rows().iter().any(|row| row.to_string().contains("the policy is now"))
        });
        inspected.world.home.write("go", "");
        let ended = running.wait();
        assert!(!ended.stdout.contains("hello"), "{ended}");
        let row = inspected.world.assert_closed("net.connect", HOST, "stopped");
        assert!(row.to_string().contains("start it again"), "{row:#}");
        assert_eq!(inspected.server.connections(), 0);
    });
}

const ALL: &str = "[{ method: [GET, HEAD, POST] }]";

#[test]
fn curl_wget_and_git_are_inspected_without_being_told() {
    Inspected::each(ALL, |inspected| {
        registry::git(&inspected.server);
        let url = inspected.url("/hello.txt");
        assert_eq!(inspected.curl(&[&url]).stdout, "hello from the server\n");
        let wget = inspected.run(["wget", "-q", "-O", "-", &url]).success();
        assert_eq!(wget.stdout, "hello from the server\n");
        let heads = inspected.run(["git", "ls-remote", &inspected.url("/git/fixture.git")]).success();
        assert!(heads.stdout.contains("refs/heads/main"), "{heads}");
        // Not by variables alone: programs that are started without any find the distribution's bundle changed.
        let bare = inspected.run(["env", "-i", "/usr/bin/curl", "-sS", &url]).success();
        assert_eq!(bare.stdout, "hello from the server\n");
        inspected.world.assert_closed("http.request", "/git/fixture.git/info/refs", "done");
    });
}

#[test]
fn python_is_inspected_without_being_told() {
    Inspected::each(ALL, |inspected| {
        registry::pypi(&inspected.server);
        let packages = tools::python_packages(&inspected.world.home.workspace(), inspected.world.user());
        let python = tools::python();
        let run = |arguments: &[&str]| {
            let path = format!("PYTHONPATH={}:out", packages.display());
            inspected
                .run(["env", &path, "PIP_CONFIG_FILE=/dev/null", python.to_str().unwrap()])
                .args(arguments)
                .success()
        };
        let url = inspected.url("/hello.txt");
        crate::tools::python_installs_and_fetches(run, &inspected.url("/simple"), &url);
        let urllib = "import urllib.request,sys; print(urllib.request.urlopen(sys.argv[1]).read().decode(), end='')";
        assert_eq!(run(&["-c", urllib, &url]).stdout, "hello from the server\n");
        inspected.world.assert_closed("http.request", "/wheels/", "done");
    });
}

#[test]
fn node_is_inspected_without_being_told() {
    Inspected::each(ALL, |inspected| {
        registry::npm(&inspected.server, HOST);
        let node = tools::find("node");
        let npm = tools::find("npm");
        let url = inspected.url("/npm/");
        let install = ["install", "--no-audit", "--no-fund", "--registry", &url, registry::PACKAGE];
        inspected.run([npm.to_str().unwrap()]).args(install).success();
        let greeting = inspected.run([node.to_str().unwrap(), "-p", "require('bartizan-fixture')"]).success();
        assert_eq!(greeting.stdout.trim(), registry::GREETING);
        let script = "fetch(process.argv[1]).then(r => r.text()).then(t => process.stdout.write(t))";
        let fetched = inspected.run([node.to_str().unwrap(), "-e", script, &inspected.url("/hello.txt")]).success();
        assert_eq!(fetched.stdout, "hello from the server\n");
    });
}

#[test]
fn cargo_and_go_are_inspected_without_being_told() {
    let toolchain = tools::Toolchain::for_everyone();
    Inspected::each(ALL, |inspected| {
        registry::cargo(&inspected.server, HOST);
        registry::go(&inspected.server);
        let read = format!("files: {{ read: [\"{}/**\"] }}\n", toolchain.path().display());
        inspected.policy(ALL, &read);
        let home = &inspected.world.home;
        home.write(
            "user/Cargo.toml",
            "[package]\nname = \"user\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n\
             [dependencies]\nbartizan-fixture = { version = \"1\", registry = \"fixture\" }\n",
        );
        home.write("user/src/main.rs", "fn main() { println!(\"{}\", bartizan_fixture::GREETING) }");
        let index = format!("[registries.fixture]\nindex = \"sparse+{}\"\n", inspected.url("/cargo/"));
        home.write("user/.cargo/config.toml", index);
        let script = format!(
            "cd user && export PATH={}:$PATH CARGO_HOME=$PWD/cargo-home && cargo fetch -q",
            toolchain.bin().display()
        );
        inspected.run(["sh", "-c", &script]).success();
        inspected.world.assert_closed("http.request", ".crate", "done");
        let module = format!("module user\n\ngo 1.18\n\nrequire {} v{}\n", registry::GO_MODULE, registry::VERSION);
        home.write("go.mod", module);
        let script = format!(
            "export GOPROXY={} GONOSUMDB='*' GOSUMDB=off GOFLAGS='-mod=mod -modcacherw' GOTOOLCHAIN=local GOPATH=$PWD/gopath; exec {} mod download all",
            inspected.url("/go"),
            tools::find("go").display(),
        );
        inspected.run(["sh", "-c", &script]).success();
        inspected.world.assert_closed("http.request", ".zip", "done");
    });
}

#[test]
fn java_is_inspected_without_being_told() {
    const FETCH: &str = "import java.net.URI; import java.net.http.*;\n\
        public class Fetch { public static void main(String[] arguments) throws Exception {\n\
        HttpClient client = HttpClient.newHttpClient();\n\
        for (String url : arguments) System.out.print(client.send(HttpRequest.newBuilder(URI.create(url)).build(),\n\
        HttpResponse.BodyHandlers.ofString()).body()); } }\n";
    Inspected::each(ALL, |inspected| {
        inspected.world.home.write("Fetch.java", FETCH);
        let java = tools::find("java");
        let url = inspected.url("/hello.txt");
        let fetched = inspected.run([java.to_str().unwrap(), "Fetch.java", &url, &url]).success();
        assert_eq!(fetched.stdout, "hello from the server\n".repeat(2));
    });
}

/// A certificate that the host's roots vouch for is not enough where policy pins keys.
#[test]
fn a_server_shows_a_pinned_key_or_hears_nothing() {
    const BACKUP: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    const OTHER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    Inspected::each(ALL, |inspected| {
        let port = inspected.server.port();
        // As everybody else makes it.
        let script = format!(
            "openssl s_client -connect 127.0.0.1:{port} -servername {HOST} </dev/null 2>/dev/null | openssl x509 -pubkey -noout \
             | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64"
        );
        let made = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let own = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let pinned =
            |keys: &[&str], more: &str| inspected.policy(&format!("[{{}}], pins: {{ sha256: {keys:?}{more} }}"), "");
        let url = inspected.url("/hello.txt");

        pinned(&[BACKUP, &own], ", until: 2126-01-01");
        assert_eq!(inspected.curl(&["-f", &url]).stdout, "hello from the server\n");
        let heard = inspected.server.lines().len();

        pinned(&[BACKUP, OTHER], "");
        let refused = inspected.curl(&[&url]);
        assert!(refused.stdout.contains("none of the keys that policy pins"), "{refused}");
        inspected.world.assert_closed("net.connect", HOST, "failed");
        let plain = inspected.curl(&[&format!("http://{HOST}:{port}/hello.txt")]);
        assert!(plain.stdout.contains("plain HTTP shows none"), "{plain}");

        pinned(&[BACKUP, &own], ", until: 2020-01-01");
        let ended = inspected.curl(&[&url]);
        assert!(!ended.status.success(), "{ended}");
        let row = inspected.world.assert_refused("net.connect", HOST);
        assert_eq!(row["record"]["verdict"]["rule"]["rule"], "net.pins", "{row:#}");
        assert_eq!(inspected.server.lines().len(), heard);

        pinned(&[&own], "");
        let alone = inspected.curl(&[&url]);
        assert!(!alone.status.success() && alone.stderr.contains("pin its backup"), "{alone}");
    });
}

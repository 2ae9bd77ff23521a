//! Secrets lent to a box: it holds placeholders and nothing else, a value goes only where it is bound to, everything else is
//! refused with the binding that is missing, and what comes back is searched.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpListener;

use bartizan_testkit::http::{Request, Response};
use bartizan_testkit::{Authority, HttpServer, Output, Run, User};
use serde_json::Value;

use crate::secrets::{holding, set};
use crate::world::World;

/// A value nobody else writes and that no detector knows by its form.
const CANARY: &str = "canary+value/that~nobody writes&else";
const HOST: &str = "api.test";

/// Prints what the request was, and with it every value that was in it, in many forms.
fn reflect(request: &Request) -> Response {
    let mut text = format!("{} {}\n", request.method, request.target);
    for (name, value) in &request.headers {
        writeln!(text, "{name}: {value}").unwrap();
    }
    text.push_str(&String::from_utf8_lossy(&request.body));
    Response::ok(text)
}

/// A world with one server, plain and inside TLS, and one secret.
struct Api {
    world: World,
    authority: Authority,
    plain: HttpServer,
    secure: HttpServer,
}

impl Api {
    fn each(test: impl Fn(&Self)) {
        World::each(|world| {
            let api = Self::new(world);
            test(&api);
            api.world.verify();
            api.assert_no_value_anywhere();
        });
    }

    fn new(world: World) -> Self {
        let authority = Authority::new();
        let (plain, secure) = (HttpServer::plain(), HttpServer::tls(&authority, &[HOST]));
        for server in [&plain, &secure] {
            server.route("/", reflect);
        }
        for name in [HOST, "other.test"] {
            world.dns.addresses(name, &["127.0.0.1"]);
        }
        world.bartizan(["secret", "set", "KEY"]).stdin(CANARY).success();
        let api = Self { world, authority, plain, secure };
        api.policy("", "");
        api
    }

    /// Both servers may be reached under both names; `rule` is more of the rule over the first.
    fn policy(&self, rule: &str, more: &str) {
        let ports = format!("[{}, {}]", self.plain.port(), self.secure.port());
        self.world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow:\n    - {{ host: {HOST}, ports: {ports}, private: true{rule} }}\n    - {{ host: other.test, ports: {ports}, private: true }}\n{more}"
        ));
    }

    fn grant(&self, server: &HttpServer, options: &[&str]) {
        let host = format!("{HOST}:{}", server.port());
        self.world.bartizan(["secret", "grant", "KEY", "--host", &host]).args(options).success();
    }

    fn run<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Run {
        self.world.run_with(["--secret", "KEY"], command).env("SSL_CERT_FILE", self.authority.path())
    }

    fn shell(&self, script: &str) -> Output {
        self.run(["sh", "-c", script]).output()
    }

    /// `curl` with these arguments in a shell, so that `$KEY` is the box's variable; prints the status last.
    fn curl(&self, arguments: &str) -> Output {
        self.shell(&format!("curl -sS --max-time 20 -w '%{{http_code}}' {arguments}"))
    }

    fn last(server: &HttpServer) -> Request {
        server.journal().pop().expect("no request")
    }

    /// Ledger, logs, index, vault and everything else on disk.
    fn assert_no_value_anywhere(&self) {
        assert_eq!(holding(self.world.home.root(), CANARY.as_bytes()), [""; 0]);
        let log = self.world.bartizan(["log", "list", "--json", "-n", "100000"]).success().stdout;
        assert!(!log.contains("canary"), "{log}");
    }
}

fn assert_refused(output: &Output, word: &str) {
    assert!(output.stdout.ends_with("403"), "{output}");
    assert!(output.stdout.contains(word), "no `{word}` in {output}");
}

#[test]
fn a_value_takes_its_placeholders_place_where_it_is_bound() {
    Api::each(|api| {
        for server in [&api.plain, &api.secure] {
            api.grant(server, &["--at", "header.x-key", "--plain-http"]);
            let url = server.url(HOST, "/a");
            let answer = api.curl(&format!("-H \"X-Key: $KEY\" {url}"));
            assert!(answer.stdout.ends_with("200"), "{answer}");
            assert_eq!(Api::last(server).header("x-key"), Some(CANARY));
            assert!(!answer.stdout.contains("canary") && answer.stdout.contains("****"), "{answer}");
        }
        let row = api.world.assert_closed("http.request", "\"https\"", "done");
        let wanted = &row["record"]["action"]["deed"]["placeholders"][0];
        assert_eq!((wanted["name"].as_str(), wanted["at"].as_str()), (Some("KEY"), Some("header.x-key")), "{row:#}");
        assert!(row["record"]["verdict"]["obligations"].to_string().contains("inject"), "{row:#}");
        assert!(api.world.rows().iter().any(|row| row["record"]["topic"] == "secret.lend"));
    });
}

#[test]
fn the_policys_own_binding_needs_no_flag_and_keeps_to_its_text() {
    Api::each(|api| {
        api.policy(", secret: { header.authorization: \"Bearer ${KEY}\", plain_http: true }", "");
        let url = api.plain.url(HOST, "/a");
        let run = |header: &str| {
            let script = format!("curl -sS --max-time 20 -w '%{{http_code}}' -H \"{header}\" {url}");
            api.world.run(["sh", "-c", &script]).output()
        };
        assert!(run("Authorization: Bearer $KEY").stdout.ends_with("200"));
        assert_eq!(Api::last(&api.plain).header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
        assert_refused(&run("Authorization: token $KEY"), "`Bearer ${KEY}`");
        assert_refused(&run("X-Other: $KEY"), "not bound to `header.x-other`");
        assert_eq!(api.plain.journal().len(), 1);
    });
}

#[test]
fn every_place_of_a_request_can_be_bound() {
    let api = Api::new(World::new(User::Current));
    for at in ["query.key", "basic.password", "json.auth.token", "header.cookie"] {
        api.grant(&api.plain, &["--at", at, "--plain-http"]);
    }
    let url = api.plain.url(HOST, "/a");
    let passes = |arguments: &str| {
        let answer = api.curl(arguments);
        assert!(answer.stdout.ends_with("200") && !answer.stdout.contains("canary"), "{answer}");
        Api::last(&api.plain)
    };
    assert_eq!(
        passes(&format!("\"{url}?a=1&key=$KEY\"")).target,
        "/a?a=1&key=canary%2Bvalue%2Fthat~nobody%20writes%26else"
    );
    // base64 of `me:` and the value
    let basic = passes(&format!("-u \"me:$KEY\" {url}"));
    assert_eq!(basic.header("authorization"), Some("Basic bWU6Y2FuYXJ5K3ZhbHVlL3RoYXR+bm9ib2R5IHdyaXRlcyZlbHNl"));
    let json = passes(&format!(
        "-H 'Content-Type: application/json' -d '{{\"n\": 1.50, \"auth\": {{\"token\": \"'$KEY'\"}}}}' {url}"
    ));
    let expected = format!("{{\"n\": 1.50, \"auth\": {{\"token\": \"{CANARY}\"}}}}");
    assert_eq!(String::from_utf8_lossy(&json.body), expected);
    assert_eq!(json.header("content-length"), Some(expected.len().to_string().as_str()));
    assert_eq!(
        passes(&format!("-b \"a=b; t=$KEY\" {url}")).header("cookie"),
        Some(format!("a=b; t={CANARY}").as_str())
    );
    api.assert_no_value_anywhere();
}

#[test]
fn any_other_use_is_refused_and_says_which_binding_is_missing() {
    Api::each(|api| {
        let port = api.plain.port();
        api.grant(&api.plain, &["--at", "header.x-key", "--method", "GET", "--path", "/open/**", "--plain-http"]);
        let url = |path: &str| api.plain.url(HOST, path);
        let other = api.plain.url("other.test", "/open/a");
        let proxied = format!("-x http://127.0.0.1:3128 -H \"X-Key: $KEY\" {other}");
        let json = "-H 'Content-Type: application/json' -X GET -d '{\"a\":\"'$KEY'\"}'";
        for (arguments, missing) in [
            (format!("-X POST -H \"X-Key: $KEY\" {}", url("/open/a")), "not bound to POST /open/a"),
            (format!("-H \"X-Key: $KEY\" {}", url("/closed")), "not bound to GET /closed"),
            (format!("-H \"X-Other: $KEY\" {}", url("/open/a")), "not bound to `header.x-other`"),
            (format!("\"{}?x=$KEY\"", url("/open/a")), "not bound to `query.x`"),
            (format!("\"{}$KEY\"", url("/open/")), "not bound to `path`"),
            (format!("-u \"$KEY:x\" {}", url("/open/a")), "not bound to `basic.user`"),
            (format!("{json} {}", url("/open/a")), "not bound to `json.a`"),
            (
                format!("-H \"X-Key: bartizan-secret-key-0123456789abcdef0123456789abcdef\" {}", url("/open/a")),
                "unknown",
            ),
            (proxied, &*format!("not bound to `other.test` port {port}")),
        ] {
            assert_refused(&api.curl(&arguments), missing);
            let rows = api.world.deeds("http.request");
            let row = rows.last().unwrap();
            assert_eq!(row["record"]["type"], "refused", "{row:#}");
            assert_eq!(row["record"]["verdict"]["rule"]["rule"], "secrets.binding", "{row:#}");
        }
        let direct = api.curl(&format!("-H \"X-Key: $KEY\" {other}"));
        assert!(
            direct.stdout.ends_with("403") && direct.stdout.contains("--host other.test --at header.x-key"),
            "{direct}"
        );
        assert_eq!(api.plain.journal().len(), 0);
        // What it is bound to still goes.
        assert!(api.curl(&format!("-H \"X-Key: $KEY\" {}", url("/open/a"))).stdout.ends_with("200"));
    });
}

#[test]
fn plain_http_needs_a_word_of_its_own() {
    let api = Api::new(World::new(User::Current));
    api.grant(&api.plain, &["--at", "header.x-key"]);
    assert_refused(&api.curl(&format!("-H \"X-Key: $KEY\" {}", api.plain.url(HOST, "/a"))), "plain HTTP");
    assert_eq!(api.plain.journal().len(), 0);
}

#[test]
fn the_section_secrets_holds_back_what_is_bound() {
    let api = Api::new(World::new(User::Current));
    api.grant(&api.plain, &["--at", "header.x-key", "--plain-http"]);
    let get = || api.curl(&format!("-H \"X-Key: $KEY\" {}", api.plain.url(HOST, "/a")));
    for (section, passes) in [
        ("secrets: { allow: [KEY], default: deny }\n", true),
        ("secrets: { default: deny }\n", false),
        ("secrets: { deny: [\"K*\"] }\n", false),
    ] {
        api.policy("", section);
        let answer = get();
        assert_eq!(answer.stdout.ends_with("200"), passes, "{section}: {answer}");
        if !passes {
            assert_refused(&answer, "would use the secret `KEY`");
        }
    }
}

#[test]
fn a_grant_taken_back_holds_no_more_in_a_running_box() {
    let api = Api::new(World::new(User::Current));
    api.grant(&api.plain, &["--at", "header.x-key", "--plain-http"]);
    let url = api.plain.url(HOST, "/a");
    let script = format!(
        "i=0; while [ $i -lt 200 ]; do i=$((i+1)); s=$(curl -s -o /dev/null -w '%{{http_code}}' -H \"X-Key: $KEY\" {url}); echo $s; [ $s = 403 ] && exit 0; sleep 0.1; done; exit 1"
    );
    let running = api.run(["sh", "-c", &script]).spawn();
    bartizan_testkit::eventually("the first request", || !api.plain.journal().is_empty());
    api.world.bartizan(["secret", "grant", "KEY", "--revoke", "1"]).success();
    let output = running.wait();
    assert!(output.status.success() && output.stdout.starts_with("200"), "{output}");
}

/// Answers every request with these bytes, whatever it asks for.
fn raw_server(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut buffer = [0_u8; 4096];
            while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(read @ 1..) => head.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
            }
            // Byte by byte, so that nothing arrives whole.
            let _ = stream.set_nodelay(true);
            for piece in answer.chunks(7) {
                let _ = stream.write_all(piece);
            }
        }
    });
    port
}

#[test]
fn what_comes_back_is_searched_in_every_form_and_however_it_is_cut() {
    let api = Api::new(World::new(User::Current));
    let forms = [
        CANARY.to_owned(),
        "Y2FuYXJ5K3ZhbHVlL3RoYXR+bm9ib2R5IHdyaXRlcyZlbHNl".to_owned(),
        // The same behind `x:`, in the alphabet of URLs.
        "eDpjYW5hcnkrdmFsdWUvdGhhdH5ub2JvZHkgd3JpdGVzJmVsc2U=".to_owned(),
        CANARY.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}")),
        CANARY.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02X}")),
        "canary%2Bvalue%2Fthat~nobody%20writes%26else".to_owned(),
        "canary+value\\/that~nobody writes\\u0026else".to_owned(),
    ];
    let text = forms.join("\n");
    let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Echo: {CANARY}\r\n\r\n{text}", text.len());
    let mut chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    text.as_bytes().chunks(3).for_each(|piece| {
        write!(chunks, "{:x}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(piece)).unwrap();
    });
    chunks.push_str("0\r\n\r\n");
    let closing = format!("HTTP/1.0 200 OK\r\n\r\n{text}");
    let encoded = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    for (answer, status) in [(whole, "200"), (chunks, "200"), (closing, "200"), (encoded, "502")] {
        let port = raw_server(answer.into_bytes());
        api.world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: {HOST}, ports: {port}, private: true, secret: {{ header.x-key: \"${{KEY}}\", plain_http: true }} }}]\n"
        ));
        let output = api.curl(&format!("-i -H \"X-Key: $KEY\" http://{HOST}:{port}/"));
        assert!(output.stdout.ends_with(status), "{output}");
        for form in &forms {
            // The outermost letters of base64 hold bits of their neighbours.
            let core = &form[2..form.len() - 4];
            assert!(!output.stdout.contains(core), "`{core}` in {output}");
        }
        if status == "200" {
            assert!(output.stdout.matches("******").count() >= forms.len(), "{output}");
        }
    }
}

/// Looks for the value in everything a program can see: variables and command lines of all processes, its own memory and
/// every file it may read.
const HUNT: &str = r#"
import os, sys
needle = bytes(byte ^ 0x55 for byte in bytes.fromhex(sys.argv[1]))
found = []
def look(path, what):
    try:
        with open(path, "rb") as file:
            while True:
                block = file.read(1 << 20)
                if not block:
                    return
                if needle in block:
                    found.append(what)
                    return
    except OSError:
        pass
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline", "status", "stat", "maps", "auxv"):
        look(f"/proc/{pid}/{name}", f"{pid}/{name}")
    try:
        memory = open(f"/proc/{pid}/mem", "rb", 0)
        for line in open(f"/proc/{pid}/maps"):
            start, end = (int(part, 16) for part in line.split(" ")[0].split("-"))
            if " r" not in line[:40] or "[v" in line or end - start > 1 << 28:
                continue
            try:
                memory.seek(start)
                block = memory.read(end - start)
            except (OSError, OverflowError, ValueError):
                continue
            # Our own copy of the needle does not count.
            if block.count(needle) > (1 if int(pid) == os.getpid() else 0) + 4:
                found.append(f"{pid}/mem")
    except OSError:
        pass
for root in ("/tmp", "/dev/shm", "/run", "/etc", os.path.expanduser("~")):
    for directory, _, files in os.walk(root):
        for name in files:
            path = os.path.join(directory, name)
            if os.path.isfile(path):
                look(path, path)
print("KEY=" + os.environ["KEY"])
print("found:", found)
"#;

#[test]
fn the_box_never_holds_the_value() {
    Api::each(|api| {
        api.grant(&api.plain, &["--at", "header.x-key", "--plain-http"]);
        api.world.home.write("hunt.py", HUNT);
        let needle = CANARY.bytes().fold(String::new(), |text, byte| text + &format!("{:02x}", byte ^ 0x55));
        let url = api.plain.url(HOST, "/a");
        // The variable outside holds the value, as it does where secrets come from.
        let output = api
            .run(["sh", "-c", &format!("curl -sS -H \"X-Key: $KEY\" {url} > answer.txt; python3 hunt.py {needle}")])
            .env("KEY", CANARY)
            .output();
        assert!(output.status.success(), "{output}");
        assert!(output.stdout.contains("KEY=bartizan-secret-key-"), "{output}");
        assert!(output.stdout.contains("found: []"), "{output}");
        assert_eq!(Api::last(&api.plain).header("x-key"), Some(CANARY));
        let answer = api.world.home.read("answer.txt");
        assert!(answer.contains("***") && !answer.contains("canary"), "{answer}");
    });
}

#[test]
fn events_and_records_never_hold_the_value_even_where_it_is_typed() {
    let api = Api::new(World::new(User::Current));
    api.grant(&api.plain, &["--at", "header.x-key", "--plain-http"]);
    // Somebody who knows the value puts it into a path, a query and a program's arguments.
    let script = format!(
        "curl -s 'http://{HOST}:{}/canary%2Bvalue%2Fthat~nobody%20writes%26else?q=canary%2Bvalue%2Fthat~nobody+writes%26else'; true '{CANARY}'",
        api.plain.port()
    );
    let events = api.run(["sh", "-c", "true"]).output();
    assert!(events.status.success(), "{events}");
    api.run(["sh", "-c", &script]).output();
    let log: Vec<Value> = api.world.rows();
    assert!(!log.is_empty());
    api.assert_no_value_anywhere();
}

#[test]
fn secrets_that_are_missing_or_too_short_are_not_lent() {
    let world = World::new(User::Current);
    let missing = world.run_with(["--secret", "KEY"], ["true"]).output();
    assert!(missing.code() == 125 && missing.stderr.contains("secret list"), "{missing}");
    world.bartizan(["secret", "set", "PIN"]).stdin("1234").success();
    let short = world.run_with(["--secret", "PIN"], ["true"]).output();
    assert!(short.code() == 125 && short.stderr.contains("secret rotate PIN"), "{short}");
    let named = world.run_with(["--secret", "PIN=9x"], ["true"]).output();
    assert!(!named.status.success(), "{named}");
}

#[test]
fn each_run_and_secret_has_a_placeholder_of_its_own() {
    let world = World::new(User::Current);
    for name in ["ONE", "TWO"] {
        world.bartizan(["secret", "set", name]).stdin("the same value").success();
    }
    let lines = || {
        let output = world
            .run_with(
                ["--secret", "ONE", "--secret", "TWO=API_TOKEN"],
                ["sh", "-c", "echo $ONE; echo $API_TOKEN; echo [$TWO]"],
            )
            .success();
        output.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (first, second) = (lines(), lines());
    assert!(first[0].starts_with("bartizan-secret-one-") && first[1].starts_with("bartizan-secret-two-"), "{first:?}");
    assert_eq!(first[2], "[]");
    assert!(first[0] != second[0] && first[1] != second[1]);
}

#[test]
fn ephemeral_secrets_are_kept_nowhere_and_end_with_the_run() {
    let world = World::new(User::Current);
    let api = Api::new(world);
    api.policy(", secret: { header.x-key: \"${TOKEN}\", plain_http: true }", "");
    let value = "an-ephemeral-value-nobody-keeps";
    let script = format!("curl -sS -H \"X-Key: $TOKEN\" {}", api.plain.url(HOST, "/a"));
    let run = |options: &[&str]| {
        api.world.run_with(options.iter().copied(), ["sh", "-c", &script]).env("TOKEN", value).output()
    };
    assert!(run(&["--ephemeral-secret", "TOKEN"]).status.success());
    assert_eq!(Api::last(&api.plain).header("x-key"), Some(value));
    assert_eq!(holding(api.world.home.root(), value.as_bytes()), [""; 0]);
    // The next run has nothing of it.
    run(&[]);
    assert_ne!(Api::last(&api.plain).header("x-key"), Some(value));
    let missing = api.world.run_with(["--ephemeral-secret", "NOT_SET"], ["true"]).output();
    assert!(missing.code() == 125 && missing.stderr.contains("NOT_SET"), "{missing}");
}

/// A tool that must have a file gets one in memory, a variable holds a value only where policy says so, and each hand-over
/// is decided and on record.
#[test]
fn the_box_holds_what_policy_says_and_nothing_else() {
    World::each(|world| {
        set(&world, "KEY", CANARY);
        let held = "files: { ~/.config/tool/key: \"key = ${KEY}\\n\" }, env: { TOOL_KEY: \"a-${KEY}\" }";
        world.policy(&format!("exec: {{ default: allow }}\nsecrets: {{ {held} }}"));
        let script = "cat ~/.config/tool/key; echo $TOOL_KEY; stat -c %a-%u ~/.config/tool/key; id -u; \
            (echo more >> ~/.config/tool/key) 2>&1; env | grep -c bartizan-secret";
        let told = world.run(["sh", "-c", script]).output();
        let lines: Vec<&str> = told.stdout.lines().collect();
        assert_eq!(lines[..2], [format!("key = {CANARY}"), format!("a-{CANARY}")], "{told}");
        assert_eq!(lines[2], format!("400-{}", lines[3]), "{told}");
        assert!(lines[4].contains("denied") || lines[4].contains("Read-only"), "{told}");
        assert_eq!(lines[5], "0", "{told}");
        assert!(!world.home.user_home().join(".config/tool").exists());
        for destination in ["env:TOOL_KEY", "/.config/tool/key"] {
            let row = world.assert_closed("secret.use", destination, "done");
            assert!(row["record"]["verdict"]["rule"]["rule"].as_str().unwrap().starts_with("secrets."), "{row:#}");
        }

        world.policy(&format!("exec: {{ default: allow }}\nsecrets: {{ deny: [KEY], {held} }}"));
        let refused = world.run(["touch", "started"]).output();
        assert!(!refused.status.success() && refused.stderr.contains("secrets.deny[0]"), "{refused}");
        world.policy("exec: { default: allow }\nsecrets: { env: { TOOL_KEY: \"${NONE}\" } }");
        let missing = world.run(["touch", "started"]).output();
        assert!(!missing.status.success() && missing.stderr.contains("no secret `NONE`"), "{missing}");
        assert!(!world.home.workspace().join("started").exists());

        // A project can't help itself.
        world.policy("exec: { default: allow }");
        world.home.write("bartizan.yaml", "bartizan: 1\nsecrets: { default: allow, env: { TOOL_KEY: \"${KEY}\" } }\n");
        let project = world.run(["sh", "-c", "echo [$TOOL_KEY]"]).output();
        assert_eq!(project.stdout, "[]\n", "{project}");
        world.verify();
        assert_eq!(holding(&world.home.bartizan_home(), CANARY.as_bytes()), [""; 0]);
    });
}

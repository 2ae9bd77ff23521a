//! Rules over what stands inside a request from a box: headers, JSON, GraphQL, calls of gRPC, and how long both ways
//! may be. The allowed request stands beside its nearest refused ones.

use bartizan_testkit::{Authority, Http2Server};

use crate::inspection::{HOST, Inspected};
use crate::world::World;

/// What becomes of a POST to a path: headers, body, and the number of the answer.
type Row<'a> = (&'a str, &'a str, &'a str, &'a str);

const JSON: &str = "Content-Type: application/json\r\n";

fn check(inspected: &Inspected, rows: &[Row<'_>]) {
    let port = inspected.server.port();
    let request = |(path, headers, body, _): &Row<'_>| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let requests: Vec<String> = rows.iter().map(request).collect();
    let before = inspected.server.journal().len();
    for (line, row) in inspected.inside(&requests).iter().zip(rows) {
        assert_eq!(line.split(' ').nth(1), Some(row.3), "{row:?} was answered `{line}`");
    }
    // What passed is what was sent, byte for byte, and nothing else arrived.
    let arrived: Vec<Vec<u8>> = inspected.server.journal()[before..].iter().map(|one| one.body.clone()).collect();
    let passed: Vec<Vec<u8>> = rows.iter().filter(|row| row.3 == "200").map(|row| row.2.as_bytes().to_vec()).collect();
    assert_eq!(arrived, passed);
}

#[test]
fn fields_of_json_and_headers_decide() {
    const RULES: &str = r#"[
      { method: POST, path: /chat, json: { model: "gpt-*", "repository.owner": [me, us] } },
      { method: POST, path: /team, header: { x-team: blue } },
    ]"#;
    Inspected::each(RULES, |inspected| {
        let good = r#"{"model": "gpt-5", "repository": {"owner": "me"}}"#;
        let chunked = format!("{JSON}Transfer-Encoding: chunked\r\n");
        check(
            inspected,
            &[
                ("/chat", JSON, good, "200"),
                ("/chat", JSON, r#"{"model": "gpt-5", "repository": {"owner": "you"}}"#, "403"),
                ("/chat", JSON, r#"{"model": "gpt-5", "model": "o1", "repository": {"owner": "me"}}"#, "403"),
                ("/chat", JSON, r#"{"model": "gpt-5", "Model": "o1", "repository": {"owner": "me"}}"#, "403"),
                ("/chat", JSON, r#"{"model": "gpt-5"}"#, "403"),
                ("/chat", JSON, "model=gpt-5", "403"),
                ("/chat", JSON, "", "403"),
                ("/chat", "Content-Type: application/x-www-form-urlencoded\r\n", good, "403"),
                ("/chat", "", good, "403"),
                ("/chat", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", good, "415"),
                ("/chat", &chunked, good, "400"),
                ("/team", "X-Team: red\r\n", "x", "403"),
                ("/team", "X-Team: blue\r\nX-Team: red\r\n", "x", "403"),
                ("/team", "X-Team: blue\r\nX_Team: red\r\n", "x", "403"),
                ("/team", "", "x", "403"),
                ("/team", "X-Team: blue\r\n", "x", "200"),
            ],
        );
        let large = format!(r#"{{"model": "gpt-5", "repository": {{"owner": "me"}}, "x": "{}"}}"#, "x".repeat(1 << 20));
        inspected.world.home.write("good.json", good);
        inspected.world.home.write("large.json", &large);
        let post = |headers: &[&str], file: &str| {
            let data = format!("@{file}");
            let url = inspected.url("/chat");
            let fixed = ["-o", "answer.txt", "-w", "%{http_code}", "-H", "Content-Type: application/json"];
            inspected.curl(&[&fixed[..], headers, &["--data-binary", &data, &url]].concat()).stdout
        };
        // In chunks, and waiting to be invited, it is the same body.
        assert_eq!(post(&["-H", "Transfer-Encoding: chunked"], "good.json"), "200");
        assert_eq!(post(&["-H", "Expect: 100-continue"], "good.json"), "200");
        assert_eq!(post(&[], "large.json"), "413");
        let answer = std::fs::read_to_string(inspected.world.home.workspace().join("answer.txt")).unwrap();
        assert!(answer.contains("send less at once"), "{answer}");
        let row = inspected.world.assert_closed("http.request", "/team", "done").to_string();
        assert!(row.contains("x-team") && !row.contains("gpt-5"), "{row}");
    });
}

#[test]
fn what_holds_back_by_json_is_not_gone_round() {
    Inspected::each("[{ method: POST }]", |inspected| {
        let deny = format!(
            "  deny: [{{ host: {HOST}, ports: \"*\", http: [{{ path: /rpc, json: {{ method: \"delete*\" }} }}] }}]\n"
        );
        inspected.policy("[{ method: POST }]", &deny);
        check(
            inspected,
            &[
                ("/rpc", JSON, r#"{"method": "read"}"#, "200"),
                ("/other", JSON, r#"{"method": "delete"}"#, "200"),
                ("/rpc", JSON, r#"{"method": "deleteAll"}"#, "403"),
                ("/rpc", JSON, r#"{"Method": "DELETE"}"#, "403"),
                ("/rpc", JSON, r#"[{"method": "read"}, {"method": "delete"}]"#, "403"),
                ("/rpc", JSON, r#"{"method": "delete", "method": "read"}"#, "403"),
                ("/rpc", JSON, r#"{"method": "\u0064elete"}"#, "403"),
                ("/rpc", JSON, "{method: 'delete'}", "403"),
                ("/rpc", "Content-Type: text/plain\r\n", r#"{"method": "delete"}"#, "403"),
            ],
        );
    });
}

#[test]
fn operations_of_graphql_and_calls_of_grpc_decide() {
    const RULES: &str = r#"[
      { path: /graphql, graphql: { operation: query, field: [viewer, "repositor*"] } },
      { grpc: "pkg.Reader/Get*" },
    ]"#;
    Inspected::each(RULES, |inspected| {
        let of = |document: &str| serde_json::json!({ "query": document }).to_string();
        let good = of("query A { viewer { login } ...F } fragment F on Query { r: repository(name: \"x\") { id } }");
        let mutation = of("mutation { viewer { login } }");
        let both = of("query A { viewer { login } } mutation B { repository }");
        let alias = of("{ viewer: deleteAll }");
        let fragment = of("{ ...F } fragment F on Query { secrets }");
        let batch = format!("[{good}, {good}]");
        let mixed = format!("[{good}, {mutation}]");
        let stored = r#"{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "00"}}}"#;
        check(
            inspected,
            &[
                ("/graphql", JSON, &good, "200"),
                ("/graphql", JSON, &batch, "200"),
                ("/graphql", JSON, &mutation, "403"),
                ("/graphql", JSON, &both, "403"),
                ("/graphql", JSON, &alias, "403"),
                ("/graphql", JSON, &fragment, "403"),
                ("/graphql", JSON, &mixed, "403"),
                ("/graphql", JSON, stored, "403"),
                ("/graphql", JSON, "{}", "403"),
                ("/graphql?query=mutation%7Ba%7D", JSON, &good, "403"),
                ("/pkg.Reader/GetThing", "Content-Type: application/grpc\r\n", "x", "200"),
                ("/pkg.Reader/Delete", "Content-Type: application/grpc\r\n", "x", "403"),
                ("/pkg.Writer/GetThing", "Content-Type: application/grpc\r\n", "x", "403"),
            ],
        );
        let get = |document: &str| {
            let url = inspected.url("/graphql");
            let document = format!("query={document}");
            inspected.curl(&["-G", "-o", "/dev/null", "-w", "%{http_code}", "--data-urlencode", &document, &url]).stdout
        };
        assert_eq!(get("{ viewer { login } }"), "200");
        assert_eq!(get("mutation { viewer { login } }"), "403");
    });
}

#[test]
fn what_is_longer_than_the_rule_lets_pass_is_cut_off() {
    const RULES: &str = "[{ bytes: { request: 1KiB, response: 12 } }]";
    Inspected::each(RULES, |inspected| {
        let fits = "x".repeat(1024);
        let over = "x".repeat(1025);
        check(inspected, &[("/in", "", &fits, "200"), ("/in", "", &over, "413")]);
        inspected.world.assert_closed("http.request", "/in", "stopped");
        let curl = |arguments: &[&str], path: &str| {
            let url = inspected.url(path);
            inspected.curl(&[&["-o", "/dev/null", "-w", "%{http_code}"], arguments, &[&url]].concat())
        };
        let before = inspected.server.journal().len();
        inspected.world.home.write("over.txt", "x".repeat(300_000));
        let chunked = curl(&["-H", "Transfer-Encoding: chunked", "--data-binary", "@over.txt"], "/in");
        assert_ne!(chunked.stdout, "200", "{chunked}");
        assert!(inspected.server.journal()[before..].iter().all(|one| one.body.len() <= 1024));
        // The file is longer than the rule lets come back.
        assert_eq!(curl(&[], "/hello.txt").stdout, "403");
        let row = inspected.world.assert_closed("http.request", "/hello.txt", "stopped").to_string();
        assert!(row.contains("the rule lets 12 bytes pass"), "{row}");
    });
}

#[test]
fn the_same_holds_for_http2() {
    World::each(|world| {
        let authority = Authority::new();
        let server = Http2Server::start(&authority, &[HOST]);
        world.dns.addresses(HOST, &["127.0.0.1"]);
        let rules = r#"[
          { path: /echo/json, json: { model: "gpt-*" } },
          { path: /echo/graphql, graphql: { operation: query }, header: { x-team: blue } },
          { path: /echo/short, bytes: { request: 100KiB } },
          { path: /echo/back, bytes: { response: 10 } },
        ]"#;
        world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: {HOST}, ports: {}, private: true, http: {rules} }}]\n",
            server.port(),
        ));
        let long = world.home.write("long.txt", "x".repeat(300_000));
        let long = format!("@{}", long.display());
        let curl = |path: &str, arguments: &[&str]| {
            let url = server.url(HOST, path);
            let run =
                world.run(["curl", "-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"]);
            let run = run.env("SSL_CERT_FILE", authority.path()).args(["-H", "Content-Type: application/json"]);
            run.args(arguments).arg(&url).output()
        };
        let query = r#"{"query": "{ viewer }"}"#;
        for (path, arguments, answer) in [
            ("/echo/json", &["-d", r#"{"model": "gpt-5"}"#][..], "2 200"),
            ("/echo/json", &["-d", r#"{"model": "o1"}"#], "2 403"),
            ("/echo/json", &["-d", r#"{"model": "gpt-5", "model": "o1"}"#], "2 403"),
            ("/echo/json", &["--data-binary", &long, "-H", "Content-Length:"], "2 403"),
            ("/echo/graphql", &["-H", "X-Team: blue", "-d", query], "2 200"),
            ("/echo/graphql", &["-H", "X-Team: red", "-d", query], "2 403"),
            ("/echo/graphql", &["-H", "X-Team: blue", "-d", r#"{"query": "mutation { a }"}"#], "2 403"),
            ("/echo/short", &["-d", "x"], "2 200"),
            ("/echo/short", &["--data-binary", &long], "2 413"),
            ("/echo/back", &["-d", "x"], "2 200"),
        ] {
            let output = curl(path, arguments);
            assert!(output.stdout.ends_with(answer), "{path} {arguments:?}: {output}");
        }
        assert_eq!(server.journal().len(), 4, "{:?}", server.lines());
        // What was begun with is cut off: it says no length, or the answer is too long.
        for (path, arguments) in [
            ("/echo/short", &["--data-binary", &long, "-H", "Content-Length:"][..]),
            ("/echo/back", &["-d", "more than ten bytes"]),
        ] {
            let output = curl(path, arguments);
            assert!(!output.status.success() || !output.stdout.ends_with("200"), "{path}: {output}");
            let row = world.assert_closed("http.request", path, "stopped").to_string();
            assert!(row.contains("the rule lets"), "{row}");
        }
        world.verify();
    });
}

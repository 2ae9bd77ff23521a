//! Bodies of requests from a box: policy looks at them before they leave, whatever form they come in, and what was decided
//! on is what arrives.

use bartizan_testkit::{Authority, Http2Server};

use crate::inspection::{HOST, Inspected};
use crate::world::World;

const ANY: &str = "[{ method: [GET, POST] }]";

fn token() -> String {
    format!("ghp_{}", "a1B2".repeat(9))
}

/// Sends a body in many small chunks, or in one, waiting to be invited or not: `post.py URL HOW`, the body on standard input.
const POST: &str = r#"
import http.client, ssl, sys, urllib.parse
url, how = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2]
body = sys.stdin.buffer.read()
connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=20)
try:
    if how == "chunks":
        connection.request("POST", url.path, body=(body[at:at + 7] for at in range(0, len(body), 7)), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked", "Content-Type": "text/plain"})
    else:
        connection.request("POST", url.path, body=body, headers={"Content-Type": how})
except OSError as error:
    print(type(error).__name__, end=" ")
try:
    answer = connection.getresponse()
    print(answer.status, answer.read().decode().split("\n")[0])
except Exception as error:
    print("no answer:", type(error).__name__)
"#;

fn post(inspected: &Inspected, how: &str, body: &[u8]) -> String {
    inspected.world.home.write("post.py", POST);
    let url = inspected.url("/in");
    inspected.run(["python3", "post.py", &url, how]).stdin(body.to_vec()).output().stdout.trim().to_owned()
}

#[test]
fn a_secret_in_a_body_does_not_leave() {
    Inspected::each(ANY, |inspected| {
        inspected.policy(ANY, "content: { secret: deny }\n");
        let held = format!(r#"{{"text": "use {} for it"}}"#, token());
        let before = inspected.server.journal().len();
        for how in ["application/json", "text/plain", "application/octet-stream", "application/grpc", "chunks"] {
            let answer = post(inspected, how, held.as_bytes());
            assert!(answer.contains("403"), "{how}: {answer}");
        }
        let curl = |arguments: &[&str]| inspected.curl(&[&["-w", "%{http_code}"], arguments].concat()).stdout;
        // curl waits to be invited to send what is longer than a megabyte, and with this header always.
        assert!(curl(&["-H", "Expect: 100-continue", "-d", &held, &inspected.url("/in")]).ends_with("403"));
        let arrived: Vec<_> = inspected.server.journal()[before..].iter().map(|one| one.body.clone()).collect();
        assert!(arrived.iter().all(|body| !String::from_utf8_lossy(body).contains("ghp_")), "{arrived:?}");
        let row = inspected.world.assert_refused("http.request", "/in");
        assert_eq!(row["record"]["verdict"]["rule"]["rule"], "content.secret", "{row:#}");
        assert_eq!(row["record"]["action"]["deed"]["body"]["length_bytes"], held.len(), "{row:#}");

        // What holds nothing arrives as it was sent.
        for how in ["application/json", "text/plain", "chunks"] {
            let body = format!("nothing to see in {how}, {}", "only words. ".repeat(500));
            assert_eq!(post(inspected, how, body.as_bytes()), "200 some answer");
            assert_eq!(inspected.server.journal().last().unwrap().body, body.as_bytes(), "{how}");
        }
        assert_eq!(curl(&["-H", "Expect: 100-continue", "-d", "plain", &inspected.url("/in")]), "some answer\n200");
        let last = inspected.server.journal().last().unwrap().clone();
        assert_eq!((last.body.as_slice(), last.header("expect")), (&b"plain"[..], None));
        assert_eq!(post(inspected, "text/plain", b""), "200 some answer");
        assert!(
            !inspected.world.bartizan(["log", "list", "--json", "-n", "1000"]).success().stdout.contains("ghp_a1B2")
        );
    });
}

#[test]
fn what_policy_lets_through_leaves_as_it_is() {
    Inspected::each(ANY, |inspected| {
        inspected.policy(ANY, "content: { secret: allow, personal: allow }\n");
        assert_eq!(post(inspected, "text/plain", token().as_bytes()), "200 some answer");
        assert_eq!(inspected.server.journal().last().unwrap().body, token().as_bytes());
        inspected.world.assert_closed("http.request", "/in", "done");
    });
}

#[test]
fn what_is_redacted_arrives_without_it_and_with_its_length() {
    Inspected::each(ANY, |inspected| {
        inspected.policy(ANY, "content: { secret: redact, personal: redact }\n");
        let held = format!(r#"{{"text": "use {} and write to bob@example.org"}}"#, token());
        let clean = r#"{"text": "use [redacted:github-token] and write to [redacted:email]"}"#;
        for how in ["application/json", "chunks"] {
            assert_eq!(post(inspected, how, held.as_bytes()), "200 some answer", "{how}");
            let last = inspected.server.journal().last().unwrap().clone();
            assert_eq!(String::from_utf8_lossy(&last.body), clean, "{how}");
            if how != "chunks" {
                assert_eq!(last.header("content-length"), Some(clean.len().to_string().as_str()));
            }
        }
    });
}

#[test]
fn what_is_too_long_to_be_at_hand_is_looked_at_as_it_streams() {
    Inspected::each(ANY, |inspected| {
        inspected.policy(ANY, "content: { secret: deny }\n");
        let words = "nothing but words in here, many of them. ".repeat(80_000);
        for how in ["text/plain", "chunks"] {
            // Python makes every chunk a write of its own, which takes long for a few megabytes.
            let words = if how == "chunks" { &words[..1_100_000] } else { &words[..] };
            assert_eq!(post(inspected, how, words.as_bytes()), "200 some answer", "{how}");
            assert_eq!(inspected.server.journal().last().unwrap().body.len(), words.len(), "{how}");
        }
        let before = inspected.server.journal().len();
        let held = format!("{words} {} {words}", token());
        let answer = post(inspected, "text/plain", held.as_bytes());
        assert!(answer.contains("403") || answer.contains("Broken") || answer.contains("Reset"), "{answer}");
        assert!(
            inspected.server.journal()[before..].iter().all(|one| !String::from_utf8_lossy(&one.body).contains("ghp_"))
        );
        let row = inspected.world.assert_closed("http.request", "/in", "stopped");
        let detail = row["closed"]["record"]["outcome"]["detail"].as_str().unwrap();
        assert!(detail.contains("content.secret"), "{detail}");
    });
}

#[test]
fn a_secret_in_a_body_does_not_leave_by_http2() {
    World::each(|world| {
        let authority = Authority::new();
        let server = Http2Server::start(&authority, &[HOST]);
        world.dns.addresses(HOST, &["127.0.0.1"]);
        world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: {HOST}, ports: {}, private: true, http: {ANY} }}]\ncontent: {{ secret: deny, personal: redact }}\n",
            server.port(),
        ));
        world.home.write("large.txt", format!("{} {}", "words ".repeat(300_000), token()));
        let curl = |arguments: &[&str]| {
            let url = server.url(HOST, "/echo/x");
            let run = world.run(["curl", "-sS", "--max-time", "20", "-w", "%{http_version} %{http_code}"]);
            run.env("SSL_CERT_FILE", authority.path()).args(arguments).arg(&url).output()
        };
        let held = format!("use {}", token());
        let answer = curl(&["-d", &held]);
        assert!(answer.stdout.ends_with("2 403"), "{answer}");
        assert!(curl(&["-H", "Expect: 100-continue", "-d", &held]).stdout.ends_with("2 403"));
        assert!(server.journal().is_empty(), "{:?}", server.lines());
        let clean = curl(&["-d", "write to bob@example.org"]);
        assert!(clean.stdout.contains("write to [redacted:email]") && clean.stdout.ends_with("2 200"), "{clean}");
        assert_eq!(server.journal().last().unwrap().header("content-length"), Some("25"));
        let large = curl(&["--data-binary", "@large.txt"]);
        // What came before was answered already; then the stream is cut.
        assert!(!large.status.success() && !large.stdout.contains("ghp_"), "{}", large.stderr);
        let row = world.assert_closed("http.request", "/echo/x", "stopped");
        assert!(row.to_string().contains("content.secret"), "{row:#}");
        world.verify();
    });
}

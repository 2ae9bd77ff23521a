//! What deciding costs as a whole: content scanned with every detector, then the full `standard` policy with all its
//! guards and a session, as the gate does it for every action. Beside it, in the same run, what a Rego module of a
//! hundred rules adds, and what loading and compiling takes.
//! `cargo bench -p bartizan-gate --bench decide`
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that can't start should say so loudly"
)]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use bartizan_model::{Content, Deed, Origin, Sighting};
use bartizan_policy::{BuiltinsOnly, Context, Loader, Look, Policy, PolicySet, Session, Source, parse_case};
use bartizan_scan::Scanner;

const SAMPLES: usize = 50_000;
const CONTENT_BYTES: usize = 1024;

/// Prose and code as agents send them; nothing in it is to be found.
const PROSE: &str = "Thanks for the notes from Tuesday. The build of the parser now takes about four minutes, most of it in the \
tests of the second module, so I moved those into a folder of their own and they run beside the others. Could you look at the two \
open points before the review? The figures in the table are from the run on the small machine. ";
const CODE: &str = "fn parse(text: &str) -> Result<Vec<Entry>, Error> {\n    let mut entries = Vec::new();\n    for (number, line) in \
text.lines().enumerate() {\n        let (key, value) = line.split_once('=').ok_or(Error::Line(number))?;\n        \
entries.push(Entry { key: key.trim().to_owned(), value: value.trim().to_owned() });\n    }\n    Ok(entries)\n}\n";

fn kilobyte(text: &str) -> String {
    let mut content = text.repeat(CONTENT_BYTES / text.len() + 1);
    content.truncate(CONTENT_BYTES);
    content
}

fn context() -> Context {
    Context::new(Path::new("/home/me"), Path::new("/home/me/work")).unwrap()
}

/// A hundred rules over programs, hosts and tools, none of which holds here.
struct HundredRules;

impl Loader for HundredRules {
    fn file(&self, reference: &str, _: &str) -> Result<Source, String> {
        let rules = (0..100).map(|index| match index % 4 {
            0 => format!("deny contains \"rule {index}\" if {{ input.deed.kind == \"exec.run\"; input.deed.args[0] == \"tool{index}\" }}"),
            1 => format!("deny contains \"rule {index}\" if {{ input.deed.kind == \"http.request\"; endswith(input.deed.host, \".host{index}.example\") }}"),
            2 => format!("ask contains \"rule {index}\" if {{ input.deed.kind == \"tool.call\"; startswith(input.deed.name, \"drop{index}_\") }}"),
            _ => format!("ask contains \"rule {index}\" if {{ input.deed.kind == \"http.request\"; input.deed.method in {{\"PUT\", \"DELETE\"}}; input.deed.path == \"/x{index}\" }}"),
        });
        Ok(Source::new(reference, format!("package bartizan\n{}\n", rules.collect::<Vec<_>>().join("\n"))))
    }
}

/// What the gate does with an action between identifying and approving it.
fn decide(set: &PolicySet, scanner: &Scanner, session: &Session, deed: &Deed) {
    let mut sightings: Vec<Sighting> = Vec::new();
    deed.contents(|part, bytes| {
        sightings.extend(
            bartizan_gate::Scanner::scan(scanner, bytes).into_iter().map(|sighting| Sighting { part, ..sighting }),
        );
    });
    let look = Look { sightings: &sightings, session: Some(session), ..Look::default() };
    black_box(set.decide_with(black_box(deed), &look));
}

/// Prints the percentiles and gives the median in microseconds.
fn percentiles(name: &str, wanted: &str, mut run: impl FnMut(usize)) -> f64 {
    (0..SAMPLES / 10).for_each(&mut run);
    let mut spans: Vec<Duration> = (0..SAMPLES)
        .map(|index| {
            let started = Instant::now();
            run(index);
            started.elapsed()
        })
        .collect();
    spans.sort_unstable();
    let at = |share: f64| spans[((SAMPLES as f64) * share) as usize].as_nanos() as f64 / 1000.0;
    println!("{name}: p50 {:.2} µs, p99 {:.2} µs; wanted: {wanted}", at(0.5), at(0.99));
    at(0.5)
}

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let load = |loader: &dyn Loader, text: &str| {
        let policy = Policy::load(&Source::new("bench.yaml", text), loader).unwrap_or_else(|errors| panic!("{errors}"));
        PolicySet::new(policy, None, context()).unwrap()
    };
    let standard = "bartizan: 1\nextends: standard\n";
    let with_rego = "bartizan: 1\nextends: standard\nrego: [./hundred.rego]\n";
    for (name, text, wanted) in
        [("`standard`", standard, "under 5 ms"), ("`standard` with 100 rules of Rego", with_rego, "nothing of its own")]
    {
        let mut loads: Vec<Duration> = (0..50)
            .map(|_| {
                let started = Instant::now();
                black_box(load(&HundredRules, text));
                started.elapsed()
            })
            .collect();
        loads.sort_unstable();
        println!("load and compile {name}: p50 {:.2} ms; wanted: {wanted}", loads[25].as_secs_f64() * 1e3);
    }
    let (set, scanner, session) = (load(&BuiltinsOnly, standard), Scanner::standard(), Session::new());
    let set_with_rego = load(&HundredRules, with_rego);
    let plain: Vec<Deed> = [
        "file.read ./src/main.rs",
        "file.write ./src/deep/down/module.rs",
        "exec cargo test --workspace",
        "exec git -C somewhere push origin main",
        "connect api.example.com:443",
        "http GET https://api.example.com/repos/me/project?page=2",
        "tool github/get_issue",
    ]
    .map(|words| parse_case(words, set.context()).unwrap())
    .into();
    let without = percentiles("decide without content", "p50 at most 3 µs", |index| {
        decide(&set, &scanner, &session, &plain[index % plain.len()]);
    });
    let with = percentiles("the same with 100 rules of Rego", "nothing of its own", |index| {
        decide(&set_with_rego, &scanner, &session, &plain[index % plain.len()]);
    });
    println!("the rules of Rego add p50 {:.2} µs; wanted: at most 70 µs", with - without);
    for (name, text) in [("prose", PROSE), ("code", CODE)] {
        let content = kilobyte(text);
        let request = Deed::HttpRequest {
            method: "POST".into(),
            scheme: "https".into(),
            host: "api.example.com".into(),
            port: 443,
            path: "/v1/items".into(),
            query: None,
            body: Some(Content::Text(content.clone())),
            placeholders: Vec::new(),
            headers: Vec::new(),
            upgrade: None,
        };
        let received = Deed::ContentReceive {
            origin: Origin::Retrieved,
            source: "https://example.com/page".into(),
            content: Content::Text(content.clone()),
        };
        percentiles(&format!("decide over a request with 1 KiB of {name}"), "p50 at most 25 µs", |_| {
            decide(&set, &scanner, &session, &request);
        });
        percentiles(&format!("decide over 1 KiB of {name} received"), "p50 at most 25 µs", |_| {
            decide(&set, &scanner, &session, &received);
        });
        percentiles(&format!("of that, scanning 1 KiB of {name}"), "nothing of its own", |_| {
            black_box(scanner.scan(black_box(content.as_bytes())));
        });
    }
}

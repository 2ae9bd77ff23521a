//! Several policy engines answer the same actions under equivalent rules, in one run, one after the other and round by
//! round, so that a busy moment meets all of them alike. Every answer is checked. Prints one JSON line for each engine and
//! action: medians and 99th percentiles in microseconds.
//!
//! The rules: files are read except secret ones, eight hosts are reached and no others, four tools are never called.

mod agt;
mod bartizan;
mod cedar;
mod clawdstrike;
mod opa;

use std::time::{Duration, Instant};

/// Calls of one engine in one round.
const CALLS: usize = 2_000;
/// Rounds; the first one is not counted.
const ROUNDS: usize = 11;

/// What is asked, and what every engine must answer.
#[derive(Clone, Copy)]
pub enum Action {
    Read(&'static str),
    Connect(&'static str),
    Tool(&'static str),
}

pub const ACTIONS: [(&str, Action, bool); 6] = [
    ("read a source file: allowed", Action::Read("/home/me/work/src/main.rs"), true),
    ("read a private key: denied", Action::Read("/home/me/.ssh/id_ed25519"), false),
    ("connect to a known host: allowed", Action::Connect("api.github.com"), true),
    ("connect to another host: denied", Action::Connect("collect.example.net"), false),
    ("call a tool: allowed", Action::Tool("get_issue"), true),
    ("call a forbidden tool: denied", Action::Tool("run_command"), false),
];

/// Prose with nothing in it to be found, a kibibyte of it.
pub fn kibibyte() -> String {
    let text = "Thanks for the notes from Tuesday. The build of the parser now takes about four minutes, most of it in the tests \
                of the second module, so those moved into a folder of their own and run beside the others. ";
    let mut content = text.repeat(1024 / text.len() + 1);
    content.truncate(1024);
    content
}

/// One engine and one thing to ask it.
pub struct Contender {
    pub engine: &'static str,
    pub what: String,
    /// Asks once; gives whether it was allowed, and the time where the engine measures it better than its caller.
    pub ask: Box<dyn FnMut() -> (bool, Option<Duration>)>,
    pub allowed: bool,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, opa, python, script] = arguments.as_slice() else {
        eprintln!("peers OPA PYTHON AGT_SCRIPT; `cargo xtask bench peers` gives them");
        std::process::exit(2);
    };
    let server = opa::Server::start(opa);
    let mut contenders = bartizan::contenders();
    contenders.extend(cedar::contenders());
    contenders.extend(clawdstrike::contenders());
    contenders.extend(opa::contenders(&server));
    let mut spans: Vec<Vec<u64>> = contenders.iter().map(|_| Vec::with_capacity(CALLS * ROUNDS)).collect();
    for round in 0..ROUNDS {
        for (contender, spans) in contenders.iter_mut().zip(&mut spans) {
            for _ in 0..CALLS {
                let started = Instant::now();
                let (allowed, measured) = (contender.ask)();
                let span = measured.unwrap_or_else(|| started.elapsed());
                assert_eq!(allowed, contender.allowed, "{}: {}", contender.engine, contender.what);
                if round > 0 {
                    spans.push(u64::try_from(span.as_nanos()).unwrap());
                }
            }
        }
    }
    for (contender, spans) in contenders.iter().zip(&mut spans) {
        spans.sort_unstable();
        let at = |share: usize| spans[spans.len() * share / 100] as f64 / 1000.0;
        print(contender.engine, &contender.what, at(50), at(99));
    }
    drop(contenders);
    drop(server);
    agt::run(python, script, CALLS * (ROUNDS - 1));
}

pub fn print(engine: &str, what: &str, p50: f64, p99: f64) {
    println!("{}", serde_json::json!({ "engine": engine, "what": what, "p50_us": p50, "p99_us": p99 }));
}

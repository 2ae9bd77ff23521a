//! Holds our Rego against OPA's: policies and inputs are made up from a seed, OPA answers, we answer, and every
//! difference is listed. `cargo xtask eval rego --opa PATH [--policies N] [--seed N] [--write FILE]`; what is written
//! is the corpus that `tests/it/rego_corpus.rs` runs without OPA. `--conformance DIR` runs OPA's own cases instead, and
//! `--time` tells what a module of a hundred rules adds to a decision.

#![allow(clippy::indexing_slicing, reason = "a measurement fails loudly")]

mod conformance;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use bartizan_model::Deed;
use bartizan_policy::{Context, Loader, Policy, PolicySet, Rego, Source};
use serde_json::{Value, json};

/// Inputs every policy is asked about.
const INPUTS: usize = 24;

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(differences) => {
            eprintln!("{differences} differences");
            ExitCode::FAILURE
        }
        Err(problem) => {
            eprintln!("eval_rego: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<usize, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, default: u64| {
        option(name).map_or(Ok(default), |text| text.parse()).map_err(|_| format!("`{name}` needs a number"))
    };
    if arguments.iter().any(|argument| argument == "--time") {
        return time().map(|()| 0);
    }
    if let Some(folder) = option("--conformance") {
        return conformance::run(Path::new(&folder));
    }
    let opa = option("--opa").ok_or(
        "name OPA's program with `--opa PATH`; get it with `go install github.com/open-policy-agent/opa@latest`",
    )?;
    let (policies, seed) = (number("--policies", 100)?, number("--seed", 1)?);
    let scratch = std::env::temp_dir().join(format!("eval_rego.{}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(|error| format!("`{}`: {error}", scratch.display()))?;
    let result = compare(&opa, policies, seed, option("--write").map(PathBuf::from), &scratch);
    let _ = fs::remove_dir_all(&scratch);
    result
}

fn compare(opa: &str, policies: u64, seed: u64, corpus: Option<PathBuf>, scratch: &Path) -> Result<usize, String> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let inputs: Vec<Value> = (0..INPUTS).map(|_| input(&mut dice)).collect();
    let data = scratch.join("inputs.json");
    fs::write(&data, json!({ "inputs": inputs }).to_string()).map_err(|error| error.to_string())?;
    let (mut texts, mut all, mut differences, mut pairs, mut spoke) = (Vec::new(), Vec::new(), 0, 0, 0);
    for index in 0..policies {
        let text = policy(&mut dice);
        let file = scratch.join("policy.rego");
        // A set that a module leaves out is empty here.
        let both = "deny contains \"none\" if input.version == 0\nask contains \"none\" if input.version == 0\n";
        fs::write(&file, format!("{text}{both}")).map_err(|error| error.to_string())?;
        let theirs = ask_opa(opa, &file, &data)?;
        let Some(theirs) = theirs.filter(|answers| answers.len() == inputs.len()) else {
            println!("policy {index}: OPA gives no answer, left out\n{text}");
            continue;
        };
        let ours = match Rego::compile(&[Source::new("policy.rego", text.as_str())]) {
            Ok(rego) => rego,
            Err(errors) => {
                println!("policy {index}: {errors}\n{text}");
                differences += inputs.len();
                pairs += inputs.len();
                continue;
            }
        };
        for (input, theirs) in inputs.iter().zip(&theirs) {
            pairs += 1;
            let told = ours.sets(input);
            let ours = told.as_ref().map_or(Value::Null, |(deny, ask)| json!([deny, ask]));
            spoke += usize::from(*theirs != json!([[], []]));
            if ours != *theirs {
                differences += 1;
                println!("policy {index}\n{text}\ninput {input}\nOPA  {theirs}\nours {ours} {:?}\n", told.err());
            }
        }
        texts.push(text);
        all.push(theirs);
    }
    println!(
        "{pairs} pairs of {} policies and {INPUTS} inputs, {spoke} with something to say: {differences} differ",
        texts.len()
    );
    if let Some(file) = corpus {
        let corpus = json!({ "inputs": inputs, "policies": texts, "answers": all });
        fs::write(&file, format!("{corpus}\n")).map_err(|error| format!("`{}`: {error}", file.display()))?;
    }
    Ok(differences)
}

/// OPA's answer to every input, in one start of OPA.
fn ask_opa(opa: &str, policy: &Path, data: &Path) -> Result<Option<Vec<Value>>, String> {
    const QUERY: &str = "x := [r | some i in data.inputs; d := data.bartizan.deny with input as i; a := data.bartizan.ask with input as i; r := [d, a]]";
    #[expect(clippy::disallowed_methods, reason = "the measurement is against another program")]
    let output = Command::new(opa)
        .args(["eval", "--format", "json", "--data"])
        .arg(policy)
        .arg("--data")
        .arg(data)
        .arg(QUERY)
        .output()
        .map_err(|error| format!("`{opa}` can't be run: {error}"))?;
    let told: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("OPA said no JSON: {error}"))?;
    let answers = told.pointer("/result/0/bindings/x").and_then(Value::as_array).cloned();
    if answers.is_none() {
        println!("OPA: {}", told["errors"]);
    }
    Ok(answers)
}

/// A small generator of numbers, the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

const WORDS: [&str; 12] =
    ["git", "push", "--force", "main", "api", "deploy", "x", "", "Prod", "naïve", "a.b", "delete_repo"];
const HOSTS: [&str; 6] = ["api.github.com", "example.org", "10.0.0.7", "files.example.org", "localhost", "2001:db8::1"];
const PATHS: [&str; 6] = ["/", "/repos/me/x", "/v1/models", "/repos/me/x/issues/12", "/a%20b", "/etc/passwd"];
const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "patch"];

fn input(dice: &mut Dice) -> Value {
    let words = |dice: &mut Dice| -> Vec<&str> { (0..dice.below(5)).map(|_| *dice.of(&WORDS)).collect() };
    let deed = match dice.below(5) {
        0 => {
            json!({ "kind": "exec.run", "program": format!("/usr/bin/{}", dice.of(&WORDS)), "args": words(dice), "cwd": "/home/a/work" })
        }
        1 => {
            json!({ "kind": "http.request", "method": dice.of(&METHODS), "scheme": *dice.of(&["http", "https"]), "host": dice.of(&HOSTS), "port": *dice.of(&[80, 443, 8080]), "path": dice.of(&PATHS), "query": *dice.of(&["a=1&b=2", "q=x%20y", ""]) })
        }
        2 => {
            json!({ "kind": "tool.call", "server": "github", "name": dice.of(&WORDS), "arguments": { "amount": dice.below(2000), "ratio": dice.below(100) as f64 / 8.0, "to": words(dice), "deep": { "list": [1, 2, dice.below(9)], "flag": dice.below(2) == 0, "none": null } } })
        }
        3 => {
            json!({ "kind": "file.write", "path": format!("/home/a/work{}", dice.of(&PATHS)), "content": { "digest": "sha256:00", "length_bytes": dice.below(5000) } })
        }
        _ => {
            json!({ "kind": "message.send", "channel": "mail", "recipient": format!("{}@{}", dice.of(&WORDS), dice.of(&HOSTS)), "content": { "digest": "sha256:01", "length_bytes": dice.below(900) } })
        }
    };
    let sightings: Vec<Value> = (0..dice.below(4))
        .map(|_| json!({ "class": *dice.of(&["secret", "personal", "injection"]), "kind": *dice.of(&["github-token", "email", "injection"]), "score": dice.below(101) }))
        .collect();
    let labels: Vec<&str> =
        ["untrusted", "secret", "internal:board"].into_iter().filter(|_| dice.below(2) == 0).collect();
    json!({
        "version": 1,
        "deed": deed,
        "principal": { "kind": "agent", "name": *dice.of(&["bot", "alice", "ci"]), "proof": "local" },
        "sightings": sightings,
        "session": { "labels": labels },
        "places": { "workspace": "/home/a/work", "home": "/home/a" },
        "now_ns": 1_790_000_000_000_000_000_u64 + dice.below(1_000_000_000) as u64 * 1_000_000,
    })
}

fn policy(dice: &mut Dice) -> String {
    let mut text = String::from("package bartizan\n\n");
    text.push_str("words := {\"git\", \"push\", \"api\"}\nlimits := {\"GET\": 10, \"POST\": 3}\n");
    text.push_str("default level := 0\nlevel := 2 if input.principal.name == \"bot\"\nelse := 1 if input.principal.name == \"ci\"\n");
    text.push_str("reach := \"near\" if input.deed.host in {\"localhost\", \"10.0.0.7\"}\nreach := \"far\" if endswith(input.deed.host, \".org\")\n");
    text.push_str(
        "size(n) := \"small\" if n < 300\nsize(n) := \"large\" if n >= 300\nsize(n) := \"large\" if n > 900\n",
    );
    text.push_str("base(path) := name if { parts := split(path, \"/\"); name := parts[count(parts) - 1] }\n");
    text.push_str("risky contains s.kind if { some s in input.sightings; s.score > 50 }\n");
    text.push_str("untrusted if \"untrusted\" in input.session.labels\n\n");
    for index in 0..=dice.below(6) {
        let set = dice.of(&["deny", "ask"]);
        let conditions: Vec<String> =
            (0..=dice.below(3)).map(|number| condition(dice, &format!("v{number}"))).collect();
        let message = match dice.below(5) {
            0 => format!("sprintf(\"rule %d says %s and %v\", [{index}, input.deed.kind, input.session.labels])"),
            1 => "concat(\"/\", [input.principal.name, input.deed.kind])".to_owned(),
            2 => format!(
                "sprintf(\"%q %5d|%s|%x %v\", [input.principal.name, level, \"ab\", {}, risky | words])",
                dice.below(300)
            ),
            _ => format!("\"rule {index}\""),
        };
        text.push_str(&format!("{set} contains msg if {{\n\t{}\n\tmsg := {message}\n}}\n\n", conditions.join("\n\t")));
    }
    text
}

fn condition(dice: &mut Dice, name: &str) -> String {
    let word = *dice.of(&WORDS);
    let host = *dice.of(&HOSTS);
    let number = dice.below(1000);
    match dice.below(42) {
        0 => format!("input.deed.kind == \"{}\"", dice.of(&["exec.run", "http.request", "tool.call", "file.write"])),
        1 => format!("\"{word}\" in input.deed.args"),
        2 => format!("some {name} in input.deed.args\n\tstartswith({name}, \"{word}\")"),
        // Where it isn't there, OPA says neither yes nor no, and we say no; see `docs/rego.md`.
        3 => format!("input.deed.method\n\tnot input.deed.method in {{\"GET\", \"{}\"}}", dice.of(&METHODS)),
        4 => format!("every {name} in input.deed.args {{ count({name}) > {} }}", dice.below(4)),
        5 => format!(
            "count([{name} | some {name} in input.sightings; {name}.score > {}]) > {}",
            number / 10,
            dice.below(2)
        ),
        6 => format!("regex.match(`^/repos/[a-z]+/{}`, input.deed.path)", dice.of(&["x", "[^/]+$", "x/issues/\\d+"])),
        7 => format!("glob.match(\"*.example.{}\", [\".\"], input.deed.host)", dice.of(&["org", "com"])),
        8 => format!("endswith(input.deed.host, \"{host}\")"),
        9 => format!("input.deed.port > {number}"),
        10 => format!("input.deed.arguments.amount * 2 >= {number} + level"),
        11 => format!("{name} := base(input.deed.path)\n\tcount({name}) > {}", dice.below(5)),
        12 => "untrusted".to_owned(),
        13 => "not untrusted".to_owned(),
        14 => format!("level >= {}", dice.below(3)),
        15 => format!("\"{}\" in risky", dice.of(&["email", "github-token"])),
        16 => format!("words & {{{name} | some {name} in input.deed.args}} == {{\"git\"}}"),
        17 => format!(
            "object.get(input.deed, [\"arguments\", \"deep\", \"flag\"], {}) == true",
            dice.of(&["true", "false"])
        ),
        18 => format!("sum([{name} | some {name} in input.deed.arguments.deep.list]) > {}", dice.below(12)),
        19 => format!("upper(input.deed.method) == \"{}\"", dice.of(&METHODS)),
        20 => {
            format!("some {name}i, {name} in input.deed.args\n\t{name}i == {}\n\t{name} != \"{word}\"", dice.below(3))
        }
        21 => format!("limits[input.deed.method] < {}", dice.below(12)),
        22 => format!(
            "{name} := {{k: v | some k, v in input.deed.arguments.deep; k != \"list\"}}\n\tcount({name}) == {}",
            dice.below(3)
        ),
        23 => format!("max([{name}.score | some {name} in input.sightings]) >= {}", number / 10),
        24 => format!("replace(input.deed.path, \"/\", \"_\") == \"_{word}\""),
        25 => format!("trim_prefix(input.deed.path, \"/home/a\") != \"{}\"", dice.of(&PATHS)),
        26 => format!("net.cidr_contains(\"10.0.0.0/{}\", input.deed.host)", dice.below(25)),
        27 => format!("round(input.deed.arguments.ratio) == {}", dice.below(12)),
        28 => format!("input.deed.content.length_bytes % {} == 0", 1 + dice.below(7)),
        29 => format!("semver.compare(\"1.{}.0\", \"1.5.0\") == {}", dice.below(9), dice.of(&["-1", "0", "1"])),
        30 => format!("time.weekday(input.now_ns) == \"{}\"", dice.of(&["Monday", "Friday", "Sunday"])),
        31 => format!("sort(input.deed.args)[0] == \"{word}\""),
        32 => format!(
            "{name} := array.concat(input.session.labels, [\"z\"])\n\t{name}[count({name}) - 1] == \"{}\"",
            dice.of(&["z", "y"])
        ),
        33 => format!(
            "is_string(input.deed.name)\n\tindexof(input.deed.name, \"{word}\") {} 0",
            dice.of(&[">=", "<", "=="])
        ),
        34 => format!(
            "json.unmarshal(json.marshal(input.deed)).kind == input.deed.kind\n\tbase64.decode(base64.encode(\"{word}\")) == \"{word}\""
        ),
        35 => format!("some {name}\n\tinput.sightings[{name}].score < {}", number / 10),
        36 => format!("union({{words, risky}}) - {{\"git\"}} != {{{}}}", dice.of(&["\"push\", \"api\"", "\"api\""])),
        37 => format!("reach == \"{}\"", dice.of(&["near", "far"])),
        38 => "not reach".to_owned(),
        39 => format!("size({number}) == \"{}\"", dice.of(&["small", "large"])),
        40 => format!("strings.replace_n({{\"a\": \"b\", \"b\": \"{word}\"}}, input.deed.name) != \"{word}\""),
        _ => format!(
            "count(split(input.deed.recipient, \"@\")) == {}\n\tcontains(input.deed.recipient, \"{host}\")",
            dice.below(4)
        ),
    }
}

/// Half of the decisions take at most this long, without modules and with one of a hundred rules.
fn time() -> Result<(), String> {
    struct Module(String);
    impl Loader for Module {
        fn file(&self, reference: &str, _: &str) -> Result<Source, String> {
            Ok(Source::new(reference, self.0.as_str()))
        }
    }
    /// Enough that the median stands still.
    const DECISIONS: usize = 20_000;
    let rules = (0..100).map(|index| match index % 4 {
        0 => format!("deny contains \"rule {index}\" if {{ input.deed.kind == \"exec.run\"; input.deed.args[0] == \"tool{index}\" }}"),
        1 => format!("deny contains \"rule {index}\" if {{ input.deed.kind == \"http.request\"; endswith(input.deed.host, \".host{index}.example\") }}"),
        2 => format!("ask contains \"rule {index}\" if {{ input.deed.kind == \"tool.call\"; startswith(input.deed.name, \"drop{index}_\") }}"),
        _ => format!("ask contains \"rule {index}\" if {{ input.deed.kind == \"http.request\"; input.deed.method in {{\"PUT\", \"DELETE\"}}; input.deed.path == \"/x{index}\" }}"),
    });
    let module = Module(format!("package bartizan\n{}\n", rules.collect::<Vec<_>>().join("\n")));
    let set = |rego: &str| {
        let text = format!("bartizan: 1\nextends: standard\nnet: {{ default: allow }}\n{rego}");
        let policy = Policy::load(&Source::new("p.yaml", text), &module).map_err(|errors| errors.to_string())?;
        let context =
            Context::new(Path::new("/home/a"), Path::new("/home/a/work")).map_err(|error| error.to_string())?;
        PolicySet::new(policy, None, context).map_err(|error| error.to_string())
    };
    let deeds: [Deed; 3] = [
        serde_json::from_value(json!({ "kind": "http.request", "method": "POST", "scheme": "https", "host": "api.github.com", "port": 443, "path": "/repos/me/x/issues" })),
        serde_json::from_value(json!({ "kind": "exec.run", "program": "/usr/bin/git", "args": ["git", "status"] })),
        serde_json::from_value(json!({ "kind": "tool.call", "server": "github", "name": "list_issues", "arguments": { "repo": "x" } })),
    ]
    .map(|deed| deed.unwrap_or(Deed::FileRead { path: "/x".into() }));
    for deed in &deeds {
        let median = |set: &PolicySet| {
            let mut times: Vec<Duration> = (0..DECISIONS)
                .map(|_| {
                    let start = Instant::now();
                    std::hint::black_box(set.decide(std::hint::black_box(deed)).effect());
                    start.elapsed()
                })
                .collect();
            times.sort_unstable();
            times.get(DECISIONS / 2).copied().unwrap_or_default()
        };
        let (without, with) = (median(&set("")?), median(&set("rego: [./m.rego]")?));
        println!(
            "{:<13} p50 without {without:?}, with 100 rules {with:?}, added {:?}",
            deed.kind().as_str(),
            with.saturating_sub(without)
        );
    }
    Ok(())
}

//! How long one decision takes under a policy of a hundred rules. Prints p50 and p99 over single decisions,
//! the clock's own cost taken off, then lets criterion time each deed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that can't start should say so loudly"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use bartizan_model::{Deed, Effect};
use bartizan_policy::{BuiltinsOnly, Context, Policy, PolicySet, Source, parse_case};
use criterion::Criterion;

const SAMPLES: usize = 400_000;

/// Ten rules in each of ten lists.
fn hundred_rules() -> String {
    let mut yaml = String::from("bartizan: 1\n");
    let mut section = |name: &str, lists: &[(&str, &dyn Fn(usize) -> String)]| {
        let _ = writeln!(yaml, "{name}:");
        for (list, rule) in lists {
            let _ = writeln!(yaml, "  {list}:");
            for index in 0..10 {
                let _ = writeln!(yaml, "    - {}", rule(index));
            }
        }
    };
    section(
        "files",
        &[
            ("read", &|index| format!("/usr/lib{index}/**")),
            ("write", &|index| format!("./crate{index}/**")),
            ("protect", &|index| format!("'**/.tool{index}/hooks/**'")),
            ("deny", &|index| format!("'**/.secret{index}.*'")),
        ],
    );
    section(
        "exec",
        &[("allow", &|index| format!("tool{index} run *")), ("ask", &|index| format!("tool{index} ** push **"))],
    );
    section(
        "net",
        &[
            ("allow", &|index| format!("host{index}.example.com")),
            ("ask", &|index| format!("'*.zone{index}.example.org'")),
            ("deny", &|index| format!("'*.evil{index}.example.net'")),
        ],
    );
    section("tools", &[("allow", &|index| format!("{{ server: server{index}, name: 'get_*' }}"))]);
    yaml
}

fn deeds(context: &Context) -> Vec<(&'static str, Deed)> {
    [
        "file.read /usr/lib7/x86_64-linux-gnu/libc.so.6",
        "file.write ./crate9/src/deep/down/module.rs",
        "file.read ./crate3/.secret4.txt",
        "exec tool5 run build --release --workspace",
        "exec tool5 -C somewhere push origin main",
        "connect host6.example.com:443",
        "connect a.b.zone8.example.org:443",
        "connect unknown.example.edu:443",
        "dns host6.example.com",
        "http GET https://host2.example.com/repos/me/project?page=2",
        "tool server9/get_issue",
    ]
    .into_iter()
    .map(|words| (words, parse_case(words, context).unwrap()))
    .collect()
}

fn percentiles(set: &PolicySet, deeds: &[(&str, Deed)]) {
    let clock = {
        let mut spans: Vec<Duration> = (0..SAMPLES)
            .map(|_| {
                let start = Instant::now();
                black_box(start).elapsed()
            })
            .collect();
        spans.sort_unstable();
        spans[SAMPLES / 2]
    };
    let mut spans = Vec::with_capacity(SAMPLES);
    for (_, deed) in deeds.iter().cycle().take(SAMPLES) {
        let start = Instant::now();
        black_box(set.decide(black_box(deed)));
        spans.push(start.elapsed().saturating_sub(clock));
    }
    spans.sort_unstable();
    let at = |share: f64| spans[((SAMPLES as f64) * share) as usize].as_nanos();
    println!(
        "decide, 100 rules: p50 {} ns (most 2000), p99 {} ns (most 5000), p99.9 {} ns; clock {} ns taken off",
        at(0.5),
        at(0.99),
        at(0.999),
        clock.as_nanos()
    );
}

fn main() {
    let context = Context::new(Path::new("/home/me"), Path::new("/home/me/work")).unwrap();
    let policy = Policy::load(&Source::new("bench.yaml", hundred_rules()), &BuiltinsOnly)
        .unwrap_or_else(|errors| panic!("{errors}"));
    let set = PolicySet::new(policy, None, context).unwrap();
    let deeds = deeds(set.context());
    assert!(deeds.iter().any(|(_, deed)| set.decide(deed).effect() == Effect::Allow));
    percentiles(&set, &deeds);
    let mut criterion = Criterion::default().configure_from_args();
    for (words, deed) in &deeds {
        criterion.bench_function(words, |bencher| bencher.iter(|| set.decide(black_box(deed))));
    }
    let assistant = Policy::builtin("coding_assistant").unwrap();
    let assistant = PolicySet::new(assistant, None, set.context().clone()).unwrap();
    percentiles(&assistant, &deeds);
    criterion.bench_function("load coding_assistant", |bencher| bencher.iter(|| Policy::builtin("coding_assistant")));
    criterion.bench_function("compile coding_assistant", |bencher| {
        let policy = Policy::builtin("coding_assistant").unwrap();
        bencher.iter(|| PolicySet::new(policy.clone(), None, set.context().clone()));
    });
    criterion.final_summary();
}

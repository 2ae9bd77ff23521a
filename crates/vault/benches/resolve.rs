//! What a placeholder costs a request: finding it, releasing the value, filling it in; and what looking costs a request
//! that has none. Beside it, what searching an answer costs a byte.

#![allow(clippy::expect_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use bartizan_gate::store::SecretValue;
use bartizan_gate::{Outgoing, Secrets as _};
use bartizan_model::{Action, ActionId, Principal, Verdict};
use bartizan_scan::Known;
use bartizan_vault::{Broker, Loan};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;

fn request(token: &str) -> Outgoing {
    let mut request = Outgoing::default();
    request.path = "/repos/me/project/issues".into();
    request.query = Some("state=open&per_page=100&page=3".into());
    let headers = [
        ("Host", "api.github.com"),
        ("User-Agent", "octokit.js/4.0.2 node.js/22"),
        ("Accept", "application/vnd.github.v3+json"),
        ("Accept-Encoding", "gzip, deflate, br"),
        ("X-GitHub-Api-Version", "2022-11-28"),
        ("Content-Type", "application/json; charset=utf-8"),
    ];
    request.headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    request.headers.push(("Authorization".into(), format!("Bearer {token}").into_bytes()));
    request
}

fn resolve(criterion: &mut Criterion) {
    let known = Known::default();
    let loan = |name: &str| Loan {
        name: name.into(),
        value: SecretValue::copy(format!("the value of {name}, forty bytes or so long").as_bytes()).expect("memory"),
        until: None,
    };
    let broker = Broker::new(["GITHUB_TOKEN", "OTHER_KEY", "THIRD"].map(loan).into(), &known).expect("a broker");
    let action: Action = serde_json::from_value(json!({
        "id": ActionId::generate(),
        "deed": { "kind": "net.connect", "host": "a", "port": 1 },
        "principal": Principal::local_human("bench"),
    }))
    .expect("an action");
    let verdict: Verdict = serde_json::from_value(json!({
        "effect": "allow", "risk": "LOW", "rule": { "rule": "net.allow[0]" }, "reason": "",
        "obligations": [{ "obligation": "inject", "name": "GITHUB_TOKEN", "at": "header.authorization" }],
        "policy": bartizan_model::Digest::of_bytes(b"bench"),
    }))
    .expect("a verdict");
    let placeholder = broker.placeholder("GITHUB_TOKEN").expect("lent").to_owned();
    criterion.bench_function("placeholder found, released and filled in", |bencher| {
        bencher.iter(|| {
            let mut request = request(&placeholder);
            assert_eq!(broker.wanted(&request).len(), 1);
            let released = broker.inject(&action, &verdict).expect("released");
            released.fill(&mut request).expect("filled");
            black_box(request);
        });
    });
    criterion.bench_function("request without a placeholder", |bencher| {
        bencher.iter(|| {
            let request = request("ordinary");
            assert!(broker.wanted(&request).is_empty());
            black_box(request);
        });
    });
    let answer: Vec<u8> = (0..64 * 1024_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut group = criterion.benchmark_group("answer");
    group.throughput(Throughput::Bytes(answer.len() as u64));
    group.bench_function("64 KiB searched for three values", |bencher| {
        let mut mask = known.mask();
        let mut out = Vec::with_capacity(answer.len());
        bencher.iter(|| {
            out.clear();
            mask.push(black_box(&answer), &mut out);
            black_box(&out);
        });
    });
    group.finish();
}

criterion_group!(benches, resolve);
criterion_main!(benches);

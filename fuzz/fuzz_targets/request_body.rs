//! Bodies of requests: any bytes get an answer, always the same, and what a rule over JSON or GraphQL lets through is
//! never what the opposite rule would hold back.
#![no_main]

use std::path::Path;

use bartizan_model::{Content, Deed, Effect, RequestHeader};
use bartizan_policy::{BuiltinsOnly, Context, Policy, PolicySet, Source};
use libfuzzer_sys::fuzz_target;

const GRANTS: &str = r#"
bartizan: 1
net:
  default: deny
  allow: [{ host: a.test, http: [{ path: /graphql, graphql: { operation: query, field: "v*" } }, { path: /json, json: { a.b: "x*" } }] }]
"#;
const HOLDS_BACK: &str = r#"
bartizan: 1
net:
  default: allow
  deny: [{ host: a.test, http: [{ path: /graphql, graphql: { operation: [mutation, subscription] } }, { path: /json, json: { a.b: "y*" } }] }]
"#;

fuzz_target!(|bytes: &[u8]| {
    for path in ["/graphql", "/json"] {
        let deed = Deed::HttpRequest {
            method: "POST".into(),
            scheme: "https".into(),
            host: "a.test".into(),
            port: 443,
            path: path.into(),
            query: None,
            body: Some(Content::Bytes(bytes.to_vec())),
            placeholders: Vec::new(),
            headers: vec![RequestHeader { name: "content-type".into(), value: "application/json".into() }],
            upgrade: None,
        };
        let (granted, held) = (decide(GRANTS, &deed), decide(HOLDS_BACK, &deed));
        assert_eq!(granted, decide(GRANTS, &deed));
        assert!(granted != Effect::Allow || held == Effect::Allow, "{path} has two readings");
    }
});

fn decide(text: &str, deed: &Deed) -> Effect {
    let policy = Policy::load(&Source::new("fuzz.yaml", text), &BuiltinsOnly).expect("a fixed policy");
    let context = Context::new(Path::new("/home/a"), Path::new("/home/a/project")).expect("a fixed context");
    PolicySet::new(policy, None, context).expect("a fixed policy").verdict(deed).effect
}

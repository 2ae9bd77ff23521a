//! Made-up policies and inputs with the answers OPA gave: ours are the same. The corpus is written by
//! `cargo xtask eval rego --opa PATH --write crates/policy/tests/it/rego_corpus.json`.

use bartizan_policy::{Rego, Source};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Corpus {
    inputs: Vec<Value>,
    policies: Vec<String>,
    /// For each policy and input the sets `deny` and `ask`.
    answers: Vec<Vec<Value>>,
}

#[test]
fn answers_are_those_of_opa() {
    let corpus: Corpus = serde_json::from_str(include_str!("rego_corpus.json")).unwrap();
    let (mut pairs, mut spoke) = (0, 0);
    for (text, answers) in corpus.policies.iter().zip(&corpus.answers) {
        let rego = Rego::compile(&[Source::new("policy.rego", text.as_str())])
            .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        assert_eq!(answers.len(), corpus.inputs.len());
        for (input, theirs) in corpus.inputs.iter().zip(answers) {
            let (deny, ask) = rego.sets(input).unwrap_or_else(|problem| panic!("{problem}\n{text}\n{input}"));
            assert_eq!(json!([deny, ask]), *theirs, "{text}\n{input}");
            pairs += 1;
            spoke += usize::from(*theirs != json!([[], []]));
        }
    }
    assert!(pairs >= 2_000 && spoke >= 200, "{pairs} pairs, {spoke} of them with something to say");
}

//! Findings as SARIF 2.1.0 (OASIS), which code hosts and editors show.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::finding::Finding;

/// A log with one run.
pub fn log(findings: &[Finding]) -> Value {
    let mut rules: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for finding in findings {
        let next = rules.len();
        rules.entry(&finding.kind).or_insert((next, finding.class));
    }
    let mut described: Vec<(usize, Value)> = rules
        .iter()
        .map(|(kind, (index, class))| {
            let description = match *class {
                "secret" => format!("A secret of kind {kind} stands in the open"),
                "personal" => format!("Personal data of kind {kind}"),
                "injection" => format!("Text that tries to instruct a model: {kind}"),
                _ => format!("Text a reader doesn't see: {kind}"),
            };
            let rule = json!({
                "id": kind,
                "shortDescription": { "text": description },
                "properties": { "tags": ["security", class] },
            });
            (*index, rule)
        })
        .collect();
    described.sort_by_key(|(index, _)| *index);
    let described: Vec<Value> = described.into_iter().map(|(_, rule)| rule).collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| result(finding, rules.get(finding.kind.as_str()).map_or(0, |(index, _)| *index)))
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "bartizan",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": described,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(finding: &Finding, rule: usize) -> Value {
    let level = match (finding.class, finding.score) {
        ("secret", 80..) => "error",
        ("secret" | "injection", _) => "warning",
        _ => "note",
    };
    let mut result = json!({
        "ruleId": finding.kind,
        "ruleIndex": rule,
        "level": level,
        "message": { "text": format!("{} {}", finding.kind, finding.value) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&finding.path) },
            "region": {
                "startLine": finding.line,
                "startColumn": finding.column,
                "endLine": finding.end_line,
                "endColumn": finding.end_column,
            },
        } }],
        "partialFingerprints": { "bartizanValue/v1": finding.fingerprint.as_str() },
        "rank": f64::from(finding.score),
    });
    if let (Some(commit), Some(result)) = (&finding.commit, result.as_object_mut()) {
        result.insert("properties".into(), json!({ "commit": commit }));
    }
    result
}

/// A path as a relative reference of RFC 3986.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.strip_prefix("./").unwrap_or(path).bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => uri.push(char::from(byte)),
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}

//! Crates are storeys of a house: each may use the storeys below it, never its own or those above.

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Findings, House};

const PREFIX: &str = "bartizan-";

/// Storey of each crate. A crate is born here as well as in `crates/`.
const STOREYS: &[(&str, u8)] = &[
    ("cli", 6),
    ("sandbox", 3),
    ("net", 3),
    ("ledger", 3),
    ("vault", 3),
    ("gate", 2),
    ("import", 3),
    ("policy", 1),
    ("scan", 1),
    ("api", 1),
    ("model", 0),
    ("crypto", 0),
    ("jail", 0),
];

/// Development only: may be used by tests alone. It stands in for the gate's ports, so it knows the gate and what
/// is below; what is above it judges from outside.
const TESTKIT: &str = "testkit";
const TESTKIT_REACH: u8 = 2;

pub(super) fn check(house: &House, findings: &mut Findings) -> Result<()> {
    let packages =
        house.metadata.get("packages").and_then(Value::as_array).context("`cargo metadata` lists no packages")?;
    for package in packages {
        let name = text(package, "name");
        let Some(upper) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if upper != TESTKIT && storey(upper).is_none() {
            findings.error(format!("crate `{upper}` has no storey; add it to xtask/src/tidy/storeys.rs"));
        }
        let dependencies = package.get("dependencies").and_then(Value::as_array);
        for dependency in dependencies.into_iter().flatten() {
            if let Some(lower) = text(dependency, "name").strip_prefix(PREFIX)
                && let Some(reason) = refusal(upper, lower, text(dependency, "kind"))
            {
                findings.error(reason);
            }
        }
    }
    Ok(())
}

/// Why `upper` may not depend on `lower`, if it may not. `kind` is cargo's: empty for an ordinary dependency.
fn refusal(upper: &str, lower: &str, kind: &str) -> Option<String> {
    if lower == TESTKIT {
        return (kind != "dev" || upper == TESTKIT)
            .then(|| format!("`{upper}` depends on `testkit`, which is for dev-dependencies only"));
    }
    if upper == TESTKIT {
        return (storey(lower)? > TESTKIT_REACH)
            .then(|| format!("`testkit` depends on `{lower}`, which it must judge from outside"));
    }
    let (from, to) = (storey(upper)?, storey(lower)?);
    (from <= to)
        .then(|| format!("`{upper}` (storey {from}) depends on `{lower}` (storey {to}); arrows point down only"))
}

fn storey(name: &str) -> Option<u8> {
    STOREYS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, storey)| *storey)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn arrows_point_down_only() {
        assert_eq!(refusal("gate", "policy", ""), None);
        assert!(refusal("policy", "gate", "").is_some());
        assert!(refusal("net", "ledger", "").is_some(), "same storey");
        assert!(refusal("net", "ledger", "dev").is_some(), "not in tests either");
    }

    #[test]
    fn testkit_is_for_tests() {
        assert_eq!(refusal("gate", "testkit", "dev"), None);
        assert!(refusal("gate", "testkit", "").is_some());
        assert_eq!(refusal("testkit", "gate", ""), None);
        assert!(refusal("testkit", "sandbox", "").is_some());
    }
}

//! Every environment variable the code reads or sets stands in one list with its meaning: the product's in
//! `crates/api/src/env.rs`, those of development in `crates/testkit/src/env.rs`.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{Findings, House};

const LISTS: &[&str] = &["crates/api/src/env.rs", "crates/testkit/src/env.rs"];

/// Written in two halves, so that this file doesn't find itself.
const PREFIX: &str = concat!("\"BARTI", "ZAN_");

pub(super) fn check(house: &House, findings: &mut Findings) -> Result<()> {
    let mut listed = BTreeSet::new();
    for list in LISTS {
        match house.sources.iter().find(|source| source.path == *list) {
            Some(source) => listed.extend(variables(&source.text)),
            None => findings.error(format!("`{list}`, the list of environment variables, is missing")),
        }
    }
    // What one test binary says to its own children is nobody else's business.
    for source in house.sources.iter().filter(|source| !source.is_test()) {
        for name in variables(&source.text).difference(&listed) {
            findings.error(format!("{}: `{name}` is in none of {}", source.path, LISTS.join(", ")));
        }
    }
    Ok(())
}

/// The variables named in string literals that hold nothing else.
fn variables(text: &str) -> BTreeSet<String> {
    text.match_indices(PREFIX)
        .filter_map(|(at, _)| {
            let literal = text.get(at + 1..)?;
            let name = literal.split(['"', '\n']).next()?;
            name.bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
                .then(|| name.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::variables;

    #[test]
    fn finds_names_in_literals_only() {
        let text = format!("{}HOME\") {}x y\" // BARTIZAN_NOTE", super::PREFIX, super::PREFIX);
        let found: Vec<String> = variables(&text).into_iter().collect();
        assert_eq!(found, [super::PREFIX.trim_start_matches('"').to_owned() + "HOME"]);
    }
}

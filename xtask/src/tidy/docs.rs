//! Documents point at things that exist, and decisions can be cited by number.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};

use super::{Findings, House};
use crate::workspace;

pub(super) fn check(_house: &House, findings: &mut Findings) -> Result<()> {
    for file in workspace::files(&workspace::root(), "md")? {
        let text =
            fs::read_to_string(&file).with_context(|| format!("failed to read `{}`", workspace::relative(&file)))?;
        let folder = file.parent().unwrap_or(Path::new("."));
        for link in relative_links(&text) {
            if !folder.join(&link).exists() {
                findings.error(format!("{}: link to `{link}`, which doesn't exist", workspace::relative(&file)));
            }
        }
    }
    check_decisions(findings)
}

/// The files a document's links point at; web addresses and anchors within the page are left out.
fn relative_links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let target = line.get(at + 2..).and_then(|rest| rest.split([')', ' ', '#']).next());
            match target {
                Some(target) if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") => {
                    links.push(target.to_owned());
                }
                _ => {}
            }
        }
    }
    links
}

fn check_decisions(findings: &mut Findings) -> Result<()> {
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    for file in workspace::files(&workspace::root().join("docs/decisions"), "md")? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = name.split('-').next().unwrap_or_default().to_owned();
        if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            findings.error(format!("decision `{name}` is not named `NNNN-title.md`"));
        } else if let Some(other) = numbers.insert(number.clone(), name.clone()) {
            findings.error(format!("decisions `{other}` and `{name}` share the number {number}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::relative_links;

    #[test]
    fn finds_links_to_files() {
        let text = "[a](docs/a.md#part) [b](https://b.example/x) [c](#here)\n```\n[d](not/a/link)\n```\n[e](e.md)";
        assert_eq!(relative_links(text), ["docs/a.md", "e.md"]);
    }
}

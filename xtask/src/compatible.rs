//! Version 1 of the published model only ever grows: whoever reads or writes it by an earlier copy of its schemas goes on
//! working. `spec/v1/released/` holds the schemas as they were published; what is generated now must be an addition.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace;

/// Deepest nesting of a schema that is followed.
const DEPTH_MAX: usize = 64;

/// Compare every released schema with the one of today.
pub(crate) fn check() -> Result<()> {
    let directory = workspace::root().join("spec/v1");
    let mut breaks = Vec::new();
    let mut released: Vec<_> = fs::read_dir(directory.join("released"))
        .context("failed to read `spec/v1/released`")?
        .collect::<std::io::Result<_>>()?;
    released.sort_by_key(fs::DirEntry::file_name);
    for entry in released {
        let name = entry.file_name().to_string_lossy().into_owned();
        let read = |path: std::path::PathBuf| -> Result<Value> {
            let text = fs::read_to_string(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
            serde_json::from_str(&text).with_context(|| format!("`{}` is no JSON", path.display()))
        };
        let (before, now) = (read(entry.path())?, read(directory.join(&name))?);
        breaks.extend(breaking(&before, &now).into_iter().map(|problem| format!("{name}: {problem}")));
    }
    if !breaks.is_empty() {
        bail!("version 1 of the model may only grow, and this breaks it:\n  {}", breaks.join("\n  "));
    }
    println!("    fits     spec/v1/released");
    Ok(())
}

/// What a program that knows `before` would trip over in `now`.
fn breaking(before: &Value, now: &Value) -> Vec<String> {
    let mut compared = Compared { before, now, problems: Vec::new(), seen: BTreeSet::new() };
    compared.schema(before, now, "#", 0);
    compared.problems
}

struct Compared<'a> {
    before: &'a Value,
    now: &'a Value,
    problems: Vec<String>,
    /// Pairs of definitions that are being compared already.
    seen: BTreeSet<(String, String)>,
}

impl<'a> Compared<'a> {
    fn schema(&mut self, before: &'a Value, now: &'a Value, place: &str, depth: usize) {
        if let (Some(one), Some(other)) = (reference(before), reference(now))
            && !self.seen.insert((one.to_owned(), other.to_owned()))
        {
            return;
        }
        let (before, now) = (resolve(self.before, before), resolve(self.now, now));
        if depth > DEPTH_MAX {
            self.problem(place, "is nested too deep to compare");
            return;
        }
        if let (Some(before), Some(now)) = (before.get("type"), now.get("type")) {
            let (before, now) = (words(before), words(now));
            if !before.is_subset(&now) {
                self.problem(place, "was of another type");
            }
        }
        if before.get("const") != now.get("const") {
            self.problem(place, "had another constant value");
        }
        if let (Some(before), Some(now)) = (before.get("enum"), now.get("enum")) {
            let gone: Vec<_> = words(before).difference(&words(now)).cloned().collect();
            if !gone.is_empty() {
                self.problem(place, &format!("no longer has {}", gone.join(", ")));
            }
        }
        self.properties(before, now, place, depth);
        if let (Some(before), Some(now)) = (before.get("items"), now.get("items")) {
            self.schema(before, now, &format!("{place}[]"), depth + 1);
        }
        for word in ["oneOf", "anyOf"] {
            let (Some(before), Some(now)) = (list(before, word), list(now, word)) else { continue };
            for (index, option) in before.iter().enumerate() {
                let named = name(self.before, option);
                let same = now.iter().find(|other| name(self.now, other) == named);
                // A type that became wider under another name is an addition, too.
                let same = same.or_else(|| now.iter().find(|other| self.widens(option, other)));
                match same {
                    Some(other) => self.schema(option, other, &format!("{place}.{named}"), depth + 1),
                    None => self.problem(place, &format!("no longer has its form {index} ({named})")),
                }
            }
        }
    }

    fn properties(&mut self, before: &'a Value, now: &'a Value, place: &str, depth: usize) {
        let fields = |schema: &'a Value| schema.get("properties").and_then(Value::as_object);
        let known = fields(before);
        for (key, schema) in known.into_iter().flatten() {
            match fields(now).and_then(|fields| fields.get(key)) {
                Some(other) => self.schema(schema, other, &format!("{place}.{key}"), depth + 1),
                None => self.problem(place, &format!("no longer has `{key}`")),
            }
        }
        let required = |schema: &Value| schema.get("required").map(words).unwrap_or_default();
        let added: Vec<_> = required(now).difference(&required(before)).cloned().collect();
        if known.is_some() && !added.is_empty() {
            self.problem(place, &format!("requires {} now", added.join(", ")));
        }
        let dropped: Vec<_> = required(before).difference(&required(now)).cloned().collect();
        if !dropped.is_empty() {
            self.problem(place, &format!("no longer promises {}", dropped.join(", ")));
        }
    }

    /// Whether both are definitions, and whoever knows the one knows how to write the other.
    fn widens(&self, before: &'a Value, now: &'a Value) -> bool {
        let both = reference(before).is_some() && reference(now).is_some();
        let has = |word: &str| resolve(self.before, before).get(word).and(resolve(self.now, now).get(word)).is_some();
        if !both || !(has("oneOf") || has("properties")) {
            return false;
        }
        let seen = self.seen.clone();
        let mut compared = Compared { before: self.before, now: self.now, problems: Vec::new(), seen };
        compared.schema(before, now, "#", 0);
        compared.problems.is_empty()
    }

    fn problem(&mut self, place: &str, what: &str) {
        self.problems.push(format!("`{place}` {what}"));
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str)
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let target = reference(schema).and_then(|reference| root.pointer(reference.trim_start_matches('#')));
    target.unwrap_or(schema)
}

fn list<'a>(schema: &'a Value, word: &str) -> Option<&'a Vec<Value>> {
    schema.get(word).and_then(Value::as_array)
}

fn words(value: &Value) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    value.as_array().map_or_else(|| BTreeSet::from([text(value)]), |items| items.iter().map(text).collect())
}

/// What tells one alternative from the others: its constant members, its reference, or its type.
fn name(root: &Value, option: &Value) -> String {
    if let Some(reference) = reference(option) {
        return reference.to_owned();
    }
    let option = resolve(root, option);
    if let Some(constant) = option.get("const").or_else(|| option.get("enum")) {
        return constant.to_string();
    }
    let fields = option.get("properties").and_then(Value::as_object);
    let constants: Vec<String> = fields
        .into_iter()
        .flatten()
        .filter_map(|(key, schema)| Some(format!("{key}={}", schema.get("const")?)))
        .collect();
    if !constants.is_empty() {
        return constants.join(" ");
    }
    let required = option.get("required").map(words).unwrap_or_default();
    let kind = option.get("type").map(words).unwrap_or_default();
    kind.into_iter().chain(required).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::breaking;

    #[test]
    fn growth_fits() {
        let before = json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}},
            "$defs": {"Kind": {"oneOf": [{"type": "string", "const": "x"}]}}});
        let mut now = before.clone();
        now["properties"]["b"] = json!({"type": "integer"});
        now["$defs"]["Kind"]["oneOf"].as_array_mut().unwrap().push(json!({"type": "string", "const": "y"}));
        assert_eq!(breaking(&before, &before), Vec::<String>::new());
        assert_eq!(breaking(&before, &now), Vec::<String>::new());
    }

    #[test]
    fn whatever_an_earlier_program_relied_on_must_stay() {
        let before = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "string"}, "kind": {"oneOf": [{"const": "x"}, {"const": "y"}]}, "n": {"$ref": "#/$defs/N"}},
            "$defs": {"N": {"enum": ["one", "two"]}}});
        let check = |path: &str, value: serde_json::Value| {
            let mut now = before.clone();
            *now.pointer_mut(path).unwrap() = value;
            breaking(&before, &now)
        };
        assert_eq!(check("/properties/a/type", json!("integer")), ["`#.a` was of another type"]);
        assert_eq!(check("/required", json!(["a", "kind"])), ["`#` requires kind now"]);
        assert_eq!(check("/required", json!([])), ["`#` no longer promises a"]);
        assert_eq!(check("/$defs/N/enum", json!(["one"])), ["`#.n` no longer has two"]);
        assert_eq!(
            check("/properties/kind/oneOf", json!([{"const": "y"}])),
            ["`#.kind` no longer has its form 0 (\"x\")"]
        );
        let mut gone = before.clone();
        gone["properties"].as_object_mut().unwrap().remove("a");
        assert_eq!(breaking(&before, &gone), ["`#` no longer has `a`"]);
    }

    #[test]
    fn a_type_may_become_wider_under_another_name() {
        let schema = |name: &str, words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| json!({"type": "string", "const": word})).collect();
            json!({"type": "object", "properties": {"e": {"anyOf": [{"$ref": format!("#/$defs/{name}")}, {"type": "null"}]}},
                "$defs": {name: {"oneOf": words}}})
        };
        let before = schema("Effect", &["allow", "deny"]);
        assert_eq!(breaking(&before, &schema("Wider", &["allow", "redact", "deny"])), Vec::<String>::new());
        assert_eq!(breaking(&before, &schema("Other", &["allow", "redact"])).len(), 1);

        let object = |name: &str, keys: &[&str]| {
            let keys: serde_json::Map<_, _> =
                keys.iter().map(|key| ((*key).to_owned(), json!({"type": "string"}))).collect();
            json!({"type": "object", "properties": {"s": {"anyOf": [{"$ref": format!("#/$defs/{name}")}, {"type": "null"}]}},
                "$defs": {name: {"type": "object", "properties": keys}}})
        };
        let before = object("Names", &["allow", "deny"]);
        assert_eq!(breaking(&before, &object("Section", &["allow", "deny", "files"])), Vec::<String>::new());
        assert_eq!(breaking(&before, &object("Section", &["allow", "files"])).len(), 1);
    }
}

//! OPA's own conformance cases, answered by our engine as decisions use it. `--conformance DIR` names the folder
//! `v1/test/cases/testdata/v1` of OPA's source; `go mod download github.com/open-policy-agent/opa@latest` gets it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bartizan_policy::{Rego, RegoTrialError, Source};
use serde_json::Value;

/// Folders that regorus 0.14 lists as passing, by its interpreter.
const CLAIMED: &str = "aggregates all any arithmetic array assignments base64builtins base64urlbuiltins baseandvirtualdocs \
    bitsand bitsnegate bitsor bitsshiftleft bitsshiftright bitsxor casts comparisonexpr completedoc \
    compositebasedereference compositereferences comprehensions containskeyword dataderef defaultkeyword disjunction \
    elsekeyword embeddedvirtualdoc eqexpr evaltermexpr every example fix1863 functionerrors functions globmatch \
    globquotemeta helloworld hexbuiltins indexing indirectreferences inputvalues intersection jsonbuiltins jsonfilter \
    jsonfilteridempotent jsonpatch jsonremove jsonremoveidempotent jsonschema negation nestedreferences netcidrcontains \
    netcidrexpand netcidrisvalid numbersrange numbersrangestep objectfilter objectfilteridempotent \
    objectfilternonstringkey objectget objectkeys objectremove objectremoveidempotent objectremovenonstringkey \
    objectunion objectunionn partialdocconstants partialiter partialobjectdoc partialsetdoc planner-ir rand reachable \
    refheads regexfind regexfindallstringsubmatch regexisvalid regexmatch regexmatchtemplate regexreplace regexsplit \
    replacen semvercompare semverisvalid sets sprintf strings subset time toarray topdowndynamicdispatch toset trim \
    trimleft trimprefix trimright trimspace trimsuffix type typebuiltin typenamebuiltin undos union units urlbuiltins \
    uuid varreferences virtualdocs walkbuiltin withkeyword";

/// What became of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Equal,
    /// An error when the policy is read: the old policy stays, nothing is decided otherwise.
    Refused,
    /// An error while deciding: the action is denied.
    Failed,
    Differs,
}

/// Runs every case below a folder and prints a table; the number of those in claimed folders that differ.
pub(super) fn run(folder: &Path) -> Result<usize, String> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut counts: BTreeMap<(bool, Fate), usize> = BTreeMap::new();
    let mut reasons: BTreeMap<(bool, String), usize> = BTreeMap::new();
    for file in &files {
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let claimed = CLAIMED.split_whitespace().any(|name| name == folder);
        let text = fs::read_to_string(file).map_err(|error| format!("`{}`: {error}", file.display()))?;
        let cases: Value = match serde_saphyr::from_str(&text) {
            Ok(cases) => cases,
            Err(error) => {
                println!("left out, no YAML that is read here: {}: {error}", file.display());
                continue;
            }
        };
        for case in cases["cases"].as_array().into_iter().flatten() {
            let (fate, told) = judge(case);
            *counts.entry((claimed, fate)).or_default() += 1;
            match fate {
                Fate::Equal => {}
                Fate::Refused => {
                    println!("refused: {folder}: {}: {}", case["note"], reason(&told));
                    *reasons.entry((claimed, reason(&told))).or_default() += 1;
                }
                Fate::Failed | Fate::Differs => {
                    println!("{fate:?}: {folder}: {}\nquery {}\nmodules", case["note"], case["query"]);
                    for module in case["modules"].as_array().into_iter().flatten() {
                        println!("{}", module.as_str().unwrap_or_default());
                    }
                    println!(
                        "data {} input {} {}\nwanted {}\nours {told}\n",
                        case["data"],
                        case["input"],
                        case["input_term"],
                        wanted(case)
                    );
                }
            }
        }
    }
    println!("\n| cases | equal | refused when read | denied when asked | differ |\n|---|---|---|---|---|");
    let count = |claimed, fate| counts.get(&(claimed, fate)).copied().unwrap_or_default();
    for (claimed, name) in [(true, "of what the engine claims"), (false, "the rest")] {
        let [equal, refused, failed, differ] =
            [Fate::Equal, Fate::Refused, Fate::Failed, Fate::Differs].map(|fate| count(claimed, fate));
        println!("| {name}: {} | {equal} | {refused} | {failed} | {differ} |", equal + refused + failed + differ);
    }
    println!("\nrefused, of what the engine claims:");
    let mut reasons: Vec<_> = reasons.into_iter().filter(|((claimed, _), _)| *claimed).collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for ((_, reason), count) in reasons {
        println!("{count:>5} {reason}");
    }
    Ok(count(true, Fate::Differs))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}

fn wanted(case: &Value) -> &Value {
    let keys = ["want_error", "want_error_code", "want_result", "want_defined"];
    keys.into_iter().map(|key| &case[key]).find(|value| !value.is_null()).unwrap_or(&Value::Null)
}

/// Holds one case against what our engine says.
fn judge(case: &Value) -> (Fate, String) {
    let texts = case["modules"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let modules: Vec<Source> =
        texts.enumerate().map(|(index, text)| Source::new(format!("m{index}.rego"), text)).collect();
    let data = if case["data"].is_object() { case["data"].clone() } else { serde_json::json!({}) };
    let nothing = Value::Object(serde_json::Map::new());
    let input = match case["input_term"].as_str() {
        Some(term) => match Rego::trial(&[], term, &nothing, None) {
            Ok(input) => input,
            Err(error) => return (Fate::Refused, format!("the input can't be made: {error}")),
        },
        None => case.get("input").cloned(),
    };
    let results = case["want_result"].as_array();
    let names: Vec<&String> = results
        .and_then(|results| results.first())
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|one| one.keys())
        .collect();
    let pairs: Vec<String> = names.iter().map(|name| format!("\"{name}\": {name}")).collect();
    let query = case["query"].as_str().unwrap_or_default();
    let term = format!("[bindings | {query}; bindings := {{{}}}]", pairs.join(", "));
    let told = Rego::trial(&modules, &term, &data, input.as_ref());
    let fails = !case["want_error"].is_null() || !case["want_error_code"].is_null();
    let strict = case["strict_error"] == true;
    let (fate, equal) = match &told {
        Err(RegoTrialError::Refused(_)) if fails => (Fate::Equal, true),
        Err(RegoTrialError::Refused(_)) => (Fate::Refused, false),
        Err(_) if fails => (Fate::Equal, true),
        Err(_) => (Fate::Failed, false),
        Ok(told) => {
            let told = told.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
            // Without strict mode, which decisions don't have, an error of a function is undefined.
            let equal = if fails {
                strict && told.is_empty()
            } else if let Some(results) = results {
                same(&told, results, case["sort_bindings"] == true)
            } else {
                case["want_defined"].as_bool().is_none_or(|defined| defined != told.is_empty())
            };
            (Fate::Differs, equal)
        }
    };
    let told = match told {
        Ok(told) => told.map_or("undefined".to_owned(), |told| told.to_string()),
        Err(error) => error.to_string(),
    };
    (if equal { Fate::Equal } else { fate }, told)
}

/// The same bindings in any order, and lists in any order where the case says so.
fn same(ours: &[Value], theirs: &[Value], unordered: bool) -> bool {
    let plain = |values: &[Value]| {
        let mut texts: Vec<String> = values.iter().map(|value| normal(value, unordered).to_string()).collect();
        texts.sort();
        texts
    };
    plain(ours) == plain(theirs)
}

/// `1.0` is `1`, and unordered lists are sorted.
fn normal(value: &Value, unordered: bool) -> Value {
    match value {
        Value::Number(number) => serde_json::json!(number.as_f64()),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|item| normal(item, unordered)).collect();
            if unordered {
                items.sort_by_key(Value::to_string);
            }
            Value::Array(items)
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), normal(value, unordered)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// An error without its place and names, to count by.
fn reason(told: &str) -> String {
    let told = told.trim_start_matches("refused when read: ");
    let error = told.lines().find_map(|line| line.split_once("error:").map(|(_, problem)| problem.trim()));
    let plain = told.split_once(": ").filter(|(place, _)| place.starts_with('m')).map_or(told, |(_, problem)| problem);
    error.unwrap_or(plain.lines().next().unwrap_or_default()).chars().take(110).collect()
}

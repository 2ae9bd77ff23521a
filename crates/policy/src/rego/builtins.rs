//! Built-in functions of Rego whose result can be far larger than their arguments. The engine counts
//! instructions and looks at the clock between them, so one call must not be able to do unbounded work: these
//! are measured first and refused when their result could be larger than [`RESULT_BYTES_MAX`]. Functions that
//! ask the outside world, or that can't be measured, are not there at all.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::program::Program;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine, LimitError, Rc, Value};

/// Largest value one call may make: far above any message, far below what hurts.
const RESULT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most numbers `numbers.range` gives at once; the engine would need more instructions than it has to use more.
const RANGE_MAX: u64 = 10_000;
/// What one value costs in memory beside its text.
const VALUE_BYTES: u64 = 16;
/// Deepest nesting that is measured; deeper counts as too large.
const DEPTH_MAX: u32 = 128;

/// Functions that decide differently each time, ask the world outside, or do more than linear work in one call.
pub(super) const REFUSED: [(&str, &str); 12] = [
    ("http.send", "policies ask nothing of the network"),
    ("net.lookup_ip_addr", "policies ask nothing of the network"),
    ("opa.runtime", "policies depend on `input` alone"),
    ("rand.intn", "the same action must get the same answer"),
    ("uuid.rfc4122", "the same action must get the same answer"),
    ("time.now_ns", "the time of the decision is `input.now_ns`"),
    ("net.cidr_expand", "a wide range has billions of addresses; `net.cidr_contains` answers without listing them"),
    ("graph.reachable_paths", "the number of paths grows exponentially; `graph.reachable` doesn't"),
    ("json.marshal_with_options", "`json.marshal` is there"),
    ("json.patch", "its result can't be bounded; build the value you want"),
    ("walk", "its cost can't be bounded; name the fields you mean"),
    ("regex.template_match", "`regex.match` and `glob.match` are there"),
];

/// Puts the measured functions in the place of the engine's own.
pub(super) fn bound(program: &mut Program) {
    for (info, resolved) in program.builtin_info_table.iter().zip(program.resolved_builtins.iter_mut()) {
        match info.name.as_str() {
            "concat" => resolved.0 = concat,
            "sprintf" => resolved.0 = sprintf,
            "replace" => resolved.0 = replace,
            "indexof" => resolved.0 = index_of,
            "strings.count" => resolved.0 = occurrences,
            "strings.replace_n" => resolved.0 = replace_n,
            "regex.replace" => resolved.0 = regex_replace,
            "json.is_valid" => resolved.0 = json_is_valid,
            "json.marshal" => resolved.0 = json_marshal,
            "numbers.range" => resolved.0 = range,
            "numbers.range_step" => resolved.0 = range_step,
            "bits.lsh" => resolved.0 = shift_left,
            _ => {}
        }
    }
}

/// The engine's functions all have this shape; its types of places and parameters are private, so they stay
/// type parameters, and so does its error.
fn concat<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [separator, parts] = args else { return Ok(Value::Undefined) };
    let count = match parts {
        Value::Array(parts) => parts.len() as u64,
        Value::Set(parts) => parts.len() as u64,
        _ => 0,
    };
    fits(size(parts).saturating_add(count.saturating_mul(size(separator))))?;
    original("concat", args)
}

fn sprintf<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [format, values] = args else { return Ok(Value::Undefined) };
    let width = match format {
        Value::String(format) => widths(format),
        _ => 0,
    };
    // Written out, a value is at most six times as long as in memory: `\u0000`.
    fits(size(format).saturating_add(size(values).saturating_mul(6)).saturating_add(width))?;
    original("sprintf", args)
}

fn replace<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [text, _, new] = args else { return Ok(Value::Undefined) };
    fits(size(text).saturating_mul(size(new)))?;
    original("replace", args)
}

/// As OPA: at each place the first key that stands there, keys in their order, and what was put in is not looked at again.
/// The engine's own replaces one key after the other.
fn replace_n<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [keys @ Value::Object(patterns), whole @ Value::String(text)] = args else { return Ok(Value::Undefined) };
    fits(size(whole).saturating_mul(size(keys)))?;
    let mut pairs = Vec::new();
    for (old, new) in patterns.iter() {
        let (Value::String(old), Value::String(new)) = (old, new) else { return Ok(Value::Undefined) };
        pairs.push((old.as_ref(), new.as_ref()));
    }
    let (mut out, mut rest, mut after_empty) = (String::new(), text.as_ref(), false);
    loop {
        let here = pairs.iter().find(|(old, _)| rest.starts_with(old) && !(after_empty && old.is_empty()));
        if let Some((old, new)) = here {
            out.push_str(new);
            after_empty = old.is_empty();
            rest = rest.get(old.len()..).unwrap_or_default();
            if !after_empty {
                continue;
            }
        }
        // Nothing stands here, or only the empty text, beside which another key may still stand.
        if here.is_some() && pairs.iter().any(|(old, _)| !old.is_empty() && rest.starts_with(old)) {
            continue;
        }
        after_empty = false;
        let Some(character) = rest.chars().next() else { break };
        out.push(character);
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
    }
    Ok(Value::from(out))
}

/// As OPA: in characters, and undefined for the empty text, which the engine finds.
fn index_of<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [Value::String(text), Value::String(part)] = args else { return Ok(Value::Undefined) };
    if part.is_empty() {
        return Ok(Value::Undefined);
    }
    let before = text.split_once(part.as_ref()).map(|(before, _)| before.chars().count() as i64);
    Ok(Value::from(before.unwrap_or(-1)))
}

/// As OPA: without overlaps, and the empty text stands beside every character. The engine's own counts overlaps and
/// panics on the empty text.
fn occurrences<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [Value::String(text), Value::String(part)] = args else { return Ok(Value::Undefined) };
    Ok(Value::from(text.matches(part.as_ref()).count() as u64))
}

fn regex_replace<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [text, _, new] = args else { return Ok(Value::Undefined) };
    // Each `$1` of the replacement may stand for the whole text.
    fits(size(text).saturating_mul(size(new)).saturating_mul(2))?;
    original("regex_replace", args)
}

/// What is no text is no JSON; the engine takes it for undefined.
fn json_is_valid<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [value] = args else { return Ok(Value::Undefined) };
    if !matches!(value, Value::String(_)) {
        return Ok(Value::from(false));
    }
    original("json_is_valid", args)
}

fn json_marshal<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [value] = args else { return Ok(Value::Undefined) };
    fits(size(value).saturating_mul(6))?;
    original("json_marshal", args)
}

fn range<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [from, to] = args else { return Ok(Value::Undefined) };
    spans(from, to, 1)?;
    original("range", args)
}

fn range_step<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [from, to, step] = args else { return Ok(Value::Undefined) };
    spans(from, to, step.as_i64().map_or(1, i64::unsigned_abs).max(1))?;
    original("range_step", args)
}

fn shift_left<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [_, by] = args else { return Ok(Value::Undefined) };
    fits(by.as_i64().map_or(u64::MAX, |by| by.max(0).unsigned_abs()))?;
    original("shift_left", args)
}

fn spans(from: &Value, to: &Value, step: u64) -> Result<(), LimitError> {
    let count = match (from.as_i64(), to.as_i64()) {
        (Ok(from), Ok(to)) => from.abs_diff(to) / step,
        // Numbers beyond 64 bits; anything else is no number and the engine says so.
        _ if matches!((from, to), (Value::Number(_), Value::Number(_))) => u64::MAX,
        _ => 0,
    };
    if count >= RANGE_MAX {
        return Err(LimitError::MemoryLimitExceeded { usage: count, limit: RANGE_MAX });
    }
    Ok(())
}

fn fits(usage: u64) -> Result<(), LimitError> {
    if usage > RESULT_BYTES_MAX {
        return Err(LimitError::MemoryLimitExceeded { usage, limit: RESULT_BYTES_MAX });
    }
    Ok(())
}

/// How large a value is when written out, counted only until it is too large: parts that are shared in memory
/// count as often as they would be written.
fn size(value: &Value) -> u64 {
    fn count(value: &Value, depth: u32, left: &mut u64) {
        let own = match value {
            Value::String(text) => text.len() as u64,
            Value::Number(number) if number.is_integer() && number.as_i128().is_none() => {
                number.format_decimal().len() as u64
            }
            _ => 0,
        };
        *left = left.saturating_sub(own.saturating_add(VALUE_BYTES));
        if depth == 0 {
            *left = 0;
        }
        let mut inner = |value: &Value| {
            if *left > 0 {
                count(value, depth - 1, left);
            }
            *left > 0
        };
        match value {
            Value::Array(values) => {
                let _ = values.iter().all(&mut inner);
            }
            Value::Set(values) => {
                let _ = values.iter().all(&mut inner);
            }
            Value::Object(values) => {
                let _ = values.iter().all(|(key, value)| inner(key) && inner(value));
            }
            _ => {}
        }
    }
    let mut left = RESULT_BYTES_MAX + 1;
    count(value, DEPTH_MAX, &mut left);
    RESULT_BYTES_MAX + 1 - left
}

/// The sum of the widths a format asks for: `%1000d` is a thousand bytes long whatever its value.
fn widths(format: &str) -> u64 {
    let mut sum = 0_u64;
    let mut number = 0_u64;
    for byte in format.bytes() {
        if byte.is_ascii_digit() {
            number = number.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
        } else {
            sum = sum.saturating_add(number);
            number = 0;
        }
    }
    sum.saturating_add(number)
}

/// The engine's own function, called through a program of one line: it can't be called by name from outside.
const ORIGINALS: &str = "package original
call_concat := concat(input[0], input[1])
call_sprintf := sprintf(input[0], input[1])
call_replace := replace(input[0], input[1], input[2])
call_regex_replace := regex.replace(input[0], input[1], input[2])
call_json_is_valid := json.is_valid(input[0])
call_json_marshal := json.marshal(input[0])
call_range := numbers.range(input[0], input[1])
call_range_step := numbers.range_step(input[0], input[1], input[2])
call_shift_left := bits.lsh(input[0], input[1])
";

const ORIGINAL_NAMES: [&str; 9] = [
    "concat",
    "sprintf",
    "replace",
    "regex_replace",
    "json_is_valid",
    "json_marshal",
    "range",
    "range_step",
    "shift_left",
];

fn original<E>(name: &str, args: &[Value]) -> Result<Value, E> {
    static PROGRAMS: OnceLock<BTreeMap<&'static str, Arc<Program>>> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(|| {
        ORIGINAL_NAMES
            .iter()
            .filter_map(|name| Some((*name, program(&format!("data.original.call_{name}"))?)))
            .collect()
    });
    let Some(program) = programs.get(name) else { return Ok(Value::Undefined) };
    let mut machine = RegoVM::new();
    machine.load_program(program.clone());
    machine.set_input(Value::from(args.to_vec()));
    // What the engine refuses is undefined, as in OPA.
    Ok(machine.execute().unwrap_or(Value::Undefined))
}

fn program(rule: &str) -> Option<Arc<Program>> {
    let mut engine = Engine::new();
    engine.add_policy("original".to_owned(), ORIGINALS.to_owned()).ok()?;
    let compiled = engine.compile_with_entrypoint(&Rc::from(rule)).ok()?;
    Compiler::compile_from_policy(&compiled, &[rule]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_original_is_there() {
        for name in ORIGINAL_NAMES {
            assert!(program(&format!("data.original.call_{name}")).is_some(), "{name}");
        }
    }

    #[test]
    fn size_counts_what_would_be_written() {
        assert_eq!(size(&Value::from("abcd")), 4 + VALUE_BYTES);
        let mut shared = Value::from("x");
        for _ in 0..60 {
            shared = Value::from(vec![shared.clone(), shared]);
        }
        assert_eq!(size(&shared), RESULT_BYTES_MAX + 1, "2^60 when written out, and counted in no time");
    }

    #[test]
    fn widths_are_summed() {
        assert_eq!(widths("a %10d %-3s"), 13);
        assert_eq!(widths("%99999999999999999999999d"), u64::MAX);
    }
}

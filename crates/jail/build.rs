//! Compiles the reviewable system call lists in `seccomp/filters.json` to BPF.
//!
//! seccompiler has no action for user notification, so the filters that ask the warden are compiled
//! with a marked trace action whose return value is then replaced.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use seccompiler::{BpfProgram, TargetArch};
use serde::Deserialize;
use serde_json::{Value, json};

const SOURCE: &str = "seccomp/filters.json";
/// Marks the places to become a user notification; no filter traces.
const MARK: u32 = 0x4241;
const RET_K: u16 = 0x06;
const JUMP: u16 = 0x05;
const JUMP_IF_GREATER_OR_EQUAL: u16 = 0x35;
const RET_TRACE: u32 = 0x7ff0_0000;
const RET_USER_NOTIF: u32 = 0x7fc0_0000;
const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_ALLOW: u32 = 0x7fff_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// The newest call the lists were reviewed against (`file_setattr`): later ones look absent, which
/// programs handle better than EPERM. The numbers of new calls are the same on every architecture.
const NEWEST_CALL: u32 = 469;
/// Calls of the x32 ABI carry this bit.
const X32_BIT: u32 = 0x4000_0000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    allow: Vec<Group>,
    absent: Vec<Group>,
    absent_when_names_are_held: Vec<Group>,
    exec: Vec<Group>,
    names: Vec<Group>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(rename = "why")]
    _why: String,
    calls: Vec<String>,
    #[serde(default)]
    x86_64: Vec<String>,
    #[serde(default)]
    only: Option<String>,
    #[serde(default)]
    when: Vec<Vec<Condition>>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Condition {
    arg: u8,
    value: Option<u64>,
    mask: Option<u64>,
    not: Option<u64>,
    #[serde(default)]
    wide: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-changed=build.rs");
    let architecture = env::var("CARGO_CFG_TARGET_ARCH")?;
    let target: TargetArch = architecture.as_str().try_into()?;
    let lists: Lists = serde_json::from_slice(&fs::read(SOURCE)?)?;

    let both = [lists.absent.clone(), lists.absent_when_names_are_held.clone()].concat();
    let exec_and_names = [lists.exec.clone(), lists.names.clone()].concat();
    let (conditional, unconditional) = split(&lists.allow, &architecture);
    let errno = |number: u32| json!({ "errno": number });
    let filters = json!({
        "allow": filter(&conditional, errno(EPERM), json!("allow"), &architecture)?,
        "absent": filter(&lists.absent, json!("allow"), errno(ENOSYS), &architecture)?,
        "absent_guarded": filter(&both, json!("allow"), errno(ENOSYS), &architecture)?,
        "exec": filter(&lists.exec, json!("allow"), json!({ "trace": MARK }), &architecture)?,
        "names": filter(&lists.names, json!("allow"), json!({ "trace": MARK }), &architecture)?,
        "exec_and_names": filter(&exec_and_names, json!("allow"), json!({ "trace": MARK }), &architecture)?,
    });
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let text = serde_json::to_vec(&filters)?;
    let mut programs = seccompiler::compile_from_json(text.as_slice(), target)?;
    let conditional = programs.remove("allow").ok_or("no allow-list")?;
    let numbers = numbers(&unconditional, target)?;
    let mut allow = Vec::new();
    search(&mut allow, &ranges(&numbers))?;
    fs::write(out.join("allow.bpf"), [allow, bytes(&conditional)].concat())?;
    for (name, program) in programs {
        fs::write(out.join(format!("{name}.bpf")), bytes(&program))?;
    }
    fs::write(out.join("prelude.bpf"), prelude(&architecture))?;
    Ok(())
}

/// The kernel runs a new filter once for every call there is, so a long row of comparisons makes each
/// start of a box slower. Calls that are allowed whatever their arguments are found by binary search
/// instead; only the others go through seccompiler's row.
fn split(groups: &[Group], architecture: &str) -> (Vec<Group>, Vec<String>) {
    let (conditional, plain): (Vec<Group>, Vec<Group>) =
        groups.iter().cloned().partition(|group| !group.when.is_empty());
    let names = plain.into_iter().flat_map(|group| {
        let extra = if architecture == "x86_64" { group.x86_64 } else { Vec::new() };
        group.calls.into_iter().chain(extra)
    });
    (conditional, names.collect())
}

/// The calls' numbers, from seccompiler's table: each is read out of a filter for that call alone.
fn numbers(names: &[String], target: TargetArch) -> Result<Vec<u32>, Box<dyn Error>> {
    const JUMP_IF_EQUAL: u16 = 0x15;
    let filters: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| {
            let rules = json!([{ "syscall": name }]);
            (name.clone(), json!({ "mismatch_action": { "errno": EPERM }, "match_action": "allow", "filter": rules }))
        })
        .collect();
    if filters.len() != names.len() {
        return Err(format!("a call is listed twice in {SOURCE}").into());
    }
    let text = serde_json::to_vec(&filters)?;
    let mut numbers = Vec::new();
    for (name, program) in seccompiler::compile_from_json(text.as_slice(), target)? {
        // The first comparison is of the architecture.
        let number = program.iter().filter(|one| one.code == JUMP_IF_EQUAL).nth(1);
        numbers.push(number.ok_or_else(|| format!("no number for `{name}`"))?.k);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// First numbers of alternating stretches: not allowed from 0, allowed from the first, and so on.
fn ranges(numbers: &[u32]) -> Vec<u32> {
    let mut edges: Vec<u32> = Vec::new();
    for number in numbers {
        if edges.last() == Some(number) {
            edges.pop();
        } else {
            edges.push(*number);
        }
        edges.push(number + 1);
    }
    edges
}

/// A binary search for the call's number. Foreign architectures and what is not found go on to what
/// follows, which checks the architecture again.
fn search(out: &mut Vec<u8>, edges: &[u32]) -> Result<(), Box<dyn Error>> {
    const LOAD: u16 = 0x20;
    const ARCHITECTURE: u32 = 4;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const NUMBER: u32 = 0;
    let tree = node(edges, false)?;
    push(out, LOAD, 0, 0, ARCHITECTURE);
    push(out, JUMP_IF_EQUAL, 1, 0, audit_architecture()?);
    push(out, JUMP, 0, 0, u32::try_from(tree.len())? + 1);
    push(out, LOAD, 0, 0, NUMBER);
    let length = tree.len();
    for (index, instruction) in tree.into_iter().enumerate() {
        match instruction {
            Step::Branch { edge, below } => push(out, JUMP_IF_GREATER_OR_EQUAL, below, 0, edge),
            Step::Allow => push(out, RET_K, 0, 0, RET_ALLOW),
            Step::GoOn => push(out, JUMP, 0, 0, u32::try_from(length - index - 1)?),
        }
    }
    Ok(())
}

enum Step {
    /// At `edge` or above, skip the `below` steps that serve lower numbers.
    Branch {
        edge: u32,
        below: u8,
    },
    Allow,
    GoOn,
}

/// `allowed` tells of the numbers below the first edge; it changes at each.
fn node(edges: &[u32], allowed: bool) -> Result<Vec<Step>, Box<dyn Error>> {
    let middle = edges.len() / 2;
    let Some(edge) = edges.get(middle) else {
        return Ok(vec![if allowed { Step::Allow } else { Step::GoOn }]);
    };
    let below = node(edges.get(..middle).unwrap_or_default(), allowed)?;
    let above = node(edges.get(middle + 1..).unwrap_or_default(), allowed ^ middle.is_multiple_of(2))?;
    let mut steps = vec![Step::Branch { edge: *edge, below: u8::try_from(below.len())? }];
    steps.extend(below);
    steps.extend(above);
    Ok(steps)
}

/// `AUDIT_ARCH_*` of the architecture built for.
fn audit_architecture() -> Result<u32, Box<dyn Error>> {
    match env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => Ok(0xc000_003e),
        "aarch64" => Ok(0xc000_00b7),
        other => Err(format!("no system call list for `{other}`").into()),
    }
}

/// One filter in seccompiler's own JSON form.
fn filter(groups: &[Group], otherwise: Value, matched: Value, architecture: &str) -> Result<Value, Box<dyn Error>> {
    let mut rules: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for group in groups {
        if group.only.as_deref().is_some_and(|only| only != architecture) {
            continue;
        }
        let extra = if architecture == "x86_64" { group.x86_64.as_slice() } else { &[] };
        for call in group.calls.iter().chain(extra) {
            let known = rules.entry(call).or_default();
            if !known.is_empty() {
                return Err(format!("`{call}` is listed twice in {SOURCE}").into());
            }
            if group.when.is_empty() {
                known.push(json!({ "syscall": call }));
            }
            for alternative in &group.when {
                let arguments = alternative.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
                known.push(json!({ "syscall": call, "args": arguments }));
            }
        }
    }
    let rules: Vec<Value> = rules.into_values().flatten().collect();
    Ok(json!({ "mismatch_action": otherwise, "match_action": matched, "filter": rules }))
}

fn condition(condition: &Condition) -> Result<Value, Box<dyn Error>> {
    let length = if condition.wide { "qword" } else { "dword" };
    let (operation, value) = match (condition.value, condition.mask, condition.not) {
        (Some(value), Some(mask), None) => (json!({ "masked_eq": mask }), value),
        (Some(value), None, None) => (json!("eq"), value),
        (None, None, Some(value)) => (json!("ne"), value),
        _ => return Err(format!("argument {} needs `value`, `value` and `mask`, or `not`", condition.arg).into()),
    };
    Ok(json!({ "index": condition.arg, "type": length, "op": operation, "val": value }))
}

fn bytes(program: &BpfProgram) -> Vec<u8> {
    let mut out = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        let asks = instruction.code == RET_K && instruction.k == RET_TRACE | MARK;
        let k = if asks { RET_USER_NOTIF } else { instruction.k };
        push(&mut out, instruction.code, instruction.jt, instruction.jf, k);
    }
    out
}

/// Foreign ABIs hidden in the call's number are killed, and calls newer than the lists are absent.
fn prelude(architecture: &str) -> Vec<u8> {
    const LOAD_NUMBER: u16 = 0x20;
    let mut out = Vec::new();
    push(&mut out, LOAD_NUMBER, 0, 0, 0);
    if architecture == "x86_64" {
        push(&mut out, JUMP_IF_GREATER_OR_EQUAL, 0, 1, X32_BIT);
        push(&mut out, RET_K, 0, 0, RET_KILL_PROCESS);
    }
    push(&mut out, JUMP_IF_GREATER_OR_EQUAL, 0, 1, NEWEST_CALL + 1);
    push(&mut out, RET_K, 0, 0, RET_ERRNO | ENOSYS);
    push(&mut out, RET_K, 0, 0, RET_ALLOW);
    out
}

fn push(out: &mut Vec<u8>, code: u16, jt: u8, jf: u8, k: u32) {
    out.extend(code.to_le_bytes());
    out.extend([jt, jf]);
    out.extend(k.to_le_bytes());
}

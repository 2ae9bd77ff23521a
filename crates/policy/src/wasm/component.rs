//! A component: compiled, held against the interface, called with bounds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bartizan_model::{Effect, Risk};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker};
use wasmtime::{Engine, Store, Trap};

use crate::load::Source;
use crate::place::{Place, quoted};

use super::engine::{Runtime, runtime, ticks};
use super::memory::{Memory, OutOfMemory};
use super::{Bounds, Objection};

/// Largest component. One written in Rust that reads its input with `serde_json` has about 100 KiB.
const MODULE_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes an answer may have: what is shown of it is far less.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Most handles a component may hold; the interface has none.
const HANDLES_MAX: usize = 64;
/// Longest name of a rule.
const RULE_BYTES_MAX: usize = 64;
/// Longest message told, in characters.
const MESSAGE_CHARS_MAX: usize = 400;

/// What a component must export, and its function.
const INTERFACE: &str = "bartizan:guard/checker@1.0.0";
const FUNCTION: &str = "check";

type Input<'a> = (&'a str,);
type Output = (Result<Vec<Finding>, String>,);

/// A component, ready to answer from many threads at once.
pub(crate) struct Wasm {
    name: String,
    place: Place,
    bounds: Bounds,
    runtime: &'static Runtime,
    instance: InstancePre<Memory>,
    check: ComponentExportIndex,
}

impl std::fmt::Debug for Wasm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Wasm").field("name", &self.name).field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Finding {
    effect: FindingEffect,
    rule: String,
    message: String,
    risk: Option<FindingRisk>,
}

#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "made by the derived `Lift` alone")]
enum FindingEffect {
    #[component(name = "ask")]
    Ask,
    #[component(name = "deny")]
    Deny,
}

#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "made by the derived `Lift` alone")]
enum FindingRisk {
    #[component(name = "low")]
    Low,
    #[component(name = "medium")]
    Medium,
    #[component(name = "high")]
    High,
    #[component(name = "critical")]
    Critical,
}

impl Wasm {
    /// Compiles a component.
    ///
    /// # Errors
    /// It is none, is too large, imports something, or exports something else; the sentence says what to do.
    pub(crate) fn compile(source: &Source, bounds: Bounds, place: Place) -> Result<Self, String> {
        let file = quoted(&source.name);
        if source.bytes.len() > MODULE_BYTES_MAX {
            return Err(format!("{file} is larger than {MODULE_BYTES_MAX} bytes; build it for release and strip it"));
        }
        match source.bytes.get(..8) {
            Some(b"\0asm\x0d\0\x01\0") => {}
            Some(b"\0asm\x01\0\0\0") => {
                return Err(format!(
                    "{file} is a WebAssembly module, not a component; make one of it with `wasm-tools component new`"
                ));
            }
            _ => return Err(format!("{file} is no WebAssembly component; name the file your build made")),
        }
        let runtime = runtime()?;
        let engine = &runtime.engine;
        // The compiler is large and not ours: a panic in it is an error of the file.
        let component = catch_unwind(AssertUnwindSafe(|| Component::from_binary(engine, &source.bytes)))
            .map_err(|_| format!("{file} can't be compiled; report it as a bug"))?
            .map_err(|error| format!("{file} can't be compiled: {}; build it anew", shorten(&format!("{error:#}"))))?;
        let check = interface(engine, &component).map_err(|problem| format!("{file} {problem}"))?;
        let instance = Linker::new(engine)
            .instantiate_pre(&component)
            .map_err(|error| format!("{file} can't be linked: {}; build it anew", shorten(&format!("{error:#}"))))?;
        Ok(Self { name: source.name.clone(), place, bounds, runtime, instance, check })
    }

    /// Its file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where the policy names it.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// What it has against the action in this document. Always answers: what goes wrong is an objection.
    pub(crate) fn answer(&self, input: &str) -> Vec<Objection> {
        let call = || self.runtime.timed(|| self.call(input));
        let answer = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err("the engine stopped".to_owned()));
        let objections = answer.and_then(|findings| findings.into_iter().map(objection).collect());
        objections.unwrap_or_else(|problem: String| vec![self.failed(&problem)])
    }

    pub(crate) fn failed(&self, problem: &str) -> Objection {
        Objection {
            effect: Effect::Deny,
            rule: "wasm.failed".to_owned(),
            message: shorten(&format!("the guard {} gave no answer: {problem}", quoted(&self.name))),
            risk: Risk::High,
        }
    }

    fn call(&self, input: &str) -> Result<Vec<Finding>, String> {
        let told = |error: wasmtime::Error| self.describe(&error);
        let mut store = Store::new(&self.runtime.engine, Memory::new(self.bounds.memory));
        store.limiter(|memory| memory);
        store.set_fuel(self.bounds.fuel).map_err(told)?;
        store.set_epoch_deadline(ticks(self.bounds.time));
        store.set_hostcall_fuel(ANSWER_BYTES_MAX);
        store.set_max_component_handles(HANDLES_MAX);
        let instance = self.instance.instantiate(&mut store).map_err(told)?;
        let check = instance.get_typed_func::<Input<'_>, Output>(&mut store, &self.check).map_err(told)?;
        let (answer,) = check.call(&mut store, (input,)).map_err(told)?;
        answer.map_err(|problem| format!("it says: {problem}"))
    }

    /// Why a call was stopped.
    fn describe(&self, error: &wasmtime::Error) -> String {
        if error.downcast_ref::<OutOfMemory>().is_some() {
            return format!("it wanted more than its {} of memory", self.bounds.memory_shown());
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => format!("it used up its fuel of {}", self.bounds.fuel),
            Some(Trap::Interrupt) => format!("it took longer than {}", self.bounds.time_shown()),
            Some(Trap::StackOverflow) => "its calls went too deep".to_owned(),
            Some(trap) => format!("it stopped ({})", trap.to_string().trim_start_matches("wasm trap: ")),
            None => format!("its answer can't be read ({error:#})"),
        }
    }
}

/// Finds the function and holds its type and all imports against the interface.
fn interface(engine: &Engine, component: &Component) -> Result<ComponentExportIndex, String> {
    let types = component.component_type();
    let mut imports = types.imports(engine).map(|(name, _)| quoted(name)).take(8).peekable();
    if imports.peek().is_some() {
        let names: Vec<String> = imports.collect();
        let hint =
            if names.iter().any(|name| name.contains("wasi:")) { "; build for `wasm32-unknown-unknown`" } else { "" };
        return Err(format!(
            "imports {}, and a guard gets nothing but its input: leave that out{hint}",
            names.join(", ")
        ));
    }
    let missing = || {
        let others: Vec<String> = types.exports(engine).map(|(name, _)| quoted(name)).take(8).collect();
        let others = if others.is_empty() { "nothing".to_owned() } else { others.join(", ") };
        format!("exports {others}, a guard exports `{INTERFACE}` with `{FUNCTION}`; see spec/wit/guard.wit")
    };
    let exported = component.get_export_index(None, INTERFACE);
    let check = exported.as_ref().and_then(|index| component.get_export(Some(index), FUNCTION)).ok_or_else(missing)?;
    let (ComponentItem::ComponentFunc(function), index) = (check.0, check.1) else { return Err(missing()) };
    function.typecheck::<Input<'_>, Output>(&types.instance_type()).map_err(|error| {
        format!("exports a `{FUNCTION}` of another type ({}); see spec/wit/guard.wit", shorten(&format!("{error:#}")))
    })?;
    Ok(index)
}

/// Holds a finding against what the interface promises.
fn objection(finding: Finding) -> Result<Objection, String> {
    let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let rule = finding.rule;
    if rule.is_empty() || rule.len() > RULE_BYTES_MAX || !rule.bytes().all(named) || rule == "failed" {
        return Err(format!("it names a rule {}, which is no name for one", quoted(&rule)));
    }
    if finding.message.trim().is_empty() {
        return Err(format!("its finding {} has no message", quoted(&rule)));
    }
    let (effect, usual) = match finding.effect {
        FindingEffect::Ask => (Effect::Ask, Risk::Medium),
        FindingEffect::Deny => (Effect::Deny, Risk::High),
    };
    let risk = finding.risk.map_or(usual, |risk| match risk {
        FindingRisk::Low => Risk::Low,
        FindingRisk::Medium => Risk::Medium,
        FindingRisk::High => Risk::High,
        FindingRisk::Critical => Risk::Critical,
    });
    Ok(Objection { effect, rule: format!("wasm.{rule}"), message: shorten(&finding.message), risk })
}

fn shorten(text: &str) -> String {
    let mut shown: String =
        text.chars().take(MESSAGE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MESSAGE_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

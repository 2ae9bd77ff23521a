//! Rego beside the YAML: modules in package `bartizan` whose sets `deny` and `ask` hold reasons. They can make a
//! decision stricter, never wider. Compiled once into a program for regorus' virtual machine, which runs in
//! this process with bounds on instructions, time and the size of what a function may make. What can't be
//! answered (an error, a value of the wrong type, a bound) is a refusal with its reason.

mod agree;
mod builtins;
mod circle;
mod heads;
mod input;
mod references;
mod trial;

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bartizan_model::Effect;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::program::Program;
use regorus::rvm::vm::RegoVM;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{CompiledPolicy, Engine, Rc, Value};
use serde::Deserialize as _;

use crate::load::Source;
use crate::place::{Errors, Place, PolicyErrors, quoted};

pub use input::rego_input_schema;
pub(crate) use input::{REGO_INPUT_VERSION, RegoInput, RegoPlaces, RegoSession, RegoSighting};
pub use trial::RegoTrialError;

/// Largest module. A hundred rules have about 10 KiB.
pub(crate) const MODULE_BYTES_MAX: usize = 256 * 1024;
/// Most modules of one policy.
pub(crate) const MODULES_MAX: usize = 32;
/// Most rules and functions by name, helpers included: each may call the next, and every call takes stack.
const NAMES_MAX: usize = 400;
/// Most work brackets in each other may make for the parser, see [`references::nesting_cost`]; a hundred ordinary rules
/// make about a thousand.
const NESTING_COST_MAX: u64 = 20_000;
/// Instructions one decision may take. A hundred rules take about a thousand; at some 30 ns each this is well
/// under the time a person notices.
const INSTRUCTIONS_MAX: usize = 200_000;
/// Backstop for single instructions that work long. Wall time, so it must leave room for a busy machine.
const TIME_MAX: Duration = Duration::from_millis(500);
/// How many instructions go by between two looks at the clock.
const TIME_CHECK: NonZeroU32 = NonZeroU32::new(256).unwrap();
/// Machines kept for the next decision; more than that many threads deciding at once make their own.
const MACHINES_MAX: usize = 16;
/// Most reasons told; the decision needs only one.
const REASONS_MAX: usize = 16;
/// Longest reason told, in characters.
const REASON_CHARS_MAX: usize = 400;

/// The rules that are asked for, and what keeps them sets when a module leaves one out.
const ENTRY: &str = "data.bartizan_entry.answer";
const ENTRY_MODULE: &str = "package bartizan_entry\nanswer := [data.bartizan.deny, data.bartizan.ask]\n";
const STUBS: &str = "package bartizan
deny contains reason if { some reason in [] }
ask contains reason if { some reason in [] }
";

/// Modules compiled, ready to answer from many threads at once.
pub struct Rego {
    program: Arc<Program>,
    machines: Mutex<Vec<RegoVM>>,
    sources: Vec<String>,
}

impl std::fmt::Debug for Rego {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Rego").field("sources", &self.sources).finish_non_exhaustive()
    }
}

/// What the modules say about one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `ask` or `deny`; absent when they have nothing against it.
    pub(crate) effect: Option<Effect>,
    /// `rego.deny`, `rego.ask` or `rego.failed`.
    pub(crate) rule: &'static str,
    /// Why, each a sentence for a person; bounded.
    pub(crate) reasons: Vec<String>,
}

impl Answer {
    fn failed(reason: impl Into<String>) -> Self {
        let reason = format!("the Rego modules gave no answer: {}", shorten(&reason.into()));
        Self { effect: Some(Effect::Deny), rule: "rego.failed", reasons: vec![reason] }
    }
}

impl Rego {
    /// Compiles modules.
    ///
    /// # Errors
    /// Everything wrong with any of them, with its place.
    pub fn compile(modules: &[Source]) -> Result<Self, PolicyErrors> {
        let mut errors = Errors::default();
        if modules.len() > MODULES_MAX {
            let problem = format!("at most {MODULES_MAX} Rego modules are read; join some of them");
            errors.add(&start(modules.first()), problem);
            return errors.finish(()).and_then(|()| Self::nothing());
        }
        let mut engine = Engine::new();
        for module in modules {
            match text(module) {
                Ok(text) if references::nesting_cost(text) > NESTING_COST_MAX => {
                    let problem =
                        "brackets stand too deep in each other; take the inner ones out into rules of their own";
                    errors.add(&start(Some(module)), problem);
                }
                Ok(text) => {
                    let mut unknowns = references::check(text, input::shape());
                    unknowns.extend(heads::check(text));
                    for unknown in unknowns {
                        let place = Place { line: unknown.line, column: unknown.column, ..start(Some(module)) };
                        errors.add(&place, unknown.message);
                    }
                    if let Err(error) = add(&mut engine, &module.name, text) {
                        errors.add(&error.0, error.1);
                    }
                }
                Err(problem) => errors.add(&start(Some(module)), problem),
            }
        }
        errors.finish(())?;
        let program = guarded(|| program(&mut engine)).map_err(|problem| {
            let (place, problem) = located(&problem, start(modules.first()));
            PolicyErrors::one(place, problem)
        })?;
        let mut sources: Vec<String> = modules.iter().map(|module| module.name.clone()).collect();
        sources.dedup();
        Ok(Self { program: Arc::new(program), machines: Mutex::default(), sources })
    }

    fn nothing() -> Result<Self, PolicyErrors> {
        Ok(Self { program: Arc::new(Program::new()), machines: Mutex::default(), sources: Vec::new() })
    }

    /// Names of the modules.
    pub(crate) fn sources(&self) -> &[String] {
        &self.sources
    }

    /// What the modules say. Always answers: what goes wrong is a refusal.
    pub(crate) fn answer(&self, input: &RegoInput<'_>) -> Answer {
        let Some(input) = input.to_value() else { return Answer::failed("the input can't be written as JSON") };
        match self.evaluate(input) {
            Ok(value) => read(&value),
            Err(problem) => Answer::failed(problem),
        }
    }

    /// Every reason of `deny` and of `ask` for an input of any shape: for holding this engine against another.
    ///
    /// # Errors
    /// There is no answer; the sentence says why.
    pub fn sets(&self, input: &serde_json::Value) -> Result<(Vec<String>, Vec<String>), String> {
        let value = self.evaluate(Value::deserialize(input).map_err(|error| error.to_string())?)?;
        let Value::Array(sets) = &value else { return Err("`deny` and `ask` are not defined".to_owned()) };
        let reasons = |index: usize| match sets.get(index) {
            Some(Value::Set(reasons)) => {
                let told = reasons.iter().map(|reason| sentence(reason).map(str::to_owned));
                told.collect::<Option<Vec<_>>>().ok_or("a reason is no text")
            }
            _ => Err("no set of reasons"),
        };
        Ok((reasons(0)?, reasons(1)?))
    }

    fn evaluate(&self, input: Value) -> Result<Value, String> {
        let kept = self.machines.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let run = || {
            let mut machine = kept.unwrap_or_else(|| self.machine());
            machine.set_input(input);
            let result = machine.execute_entry_point_by_index(0);
            result.map(|value| (machine, value)).map_err(|error| agree::told(&self.program, &error))
        };
        // The engine is large and not ours: a panic in it is a refusal, and its machine is not used again.
        let (machine, value) = catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| Err("the engine stopped; report this module as a bug".to_owned()))?;
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        if machines.len() < MACHINES_MAX {
            machines.push(machine);
        }
        Ok(value)
    }

    fn machine(&self) -> RegoVM {
        let mut machine = RegoVM::new();
        machine.load_program(self.program.clone());
        machine.set_max_instructions(INSTRUCTIONS_MAX);
        machine.set_execution_timer_config(Some(ExecutionTimerConfig { limit: TIME_MAX, check_interval: TIME_CHECK }));
        machine
    }
}

/// What the entry rule gave: a list of two sets.
fn read(value: &Value) -> Answer {
    let Value::Array(sets) = value else {
        return Answer::failed("`deny` and `ask` are not defined for this action; make both sets of reasons");
    };
    for (index, (effect, rule)) in [(Effect::Deny, "rego.deny"), (Effect::Ask, "rego.ask")].into_iter().enumerate() {
        let Some(Value::Set(reasons)) = sets.get(index) else {
            return Answer::failed(format!("`{}` is no set of reasons", effect.as_str()));
        };
        if reasons.is_empty() {
            continue;
        }
        let mut told = Vec::new();
        for reason in reasons.iter().take(REASONS_MAX) {
            match sentence(reason) {
                Some(text) => told.push(shorten(text)),
                None => {
                    return Answer::failed(format!(
                        "a member of `{}` is neither a text nor an object with a `reason`",
                        effect.as_str()
                    ));
                }
            }
        }
        return Answer { effect: Some(effect), rule, reasons: told };
    }
    Answer { effect: None, rule: "rego.deny", reasons: Vec::new() }
}

fn sentence(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Object(fields) => match fields.get(&Value::from("reason"))? {
            Value::String(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(REASON_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(REASON_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

fn text(module: &Source) -> Result<&str, String> {
    if module.bytes.len() > MODULE_BYTES_MAX {
        return Err(format!("the module has {} bytes, the most is {MODULE_BYTES_MAX}; split it", module.bytes.len()));
    }
    std::str::from_utf8(&module.bytes).map_err(|_| "the module is no UTF-8 text; save it as UTF-8".to_owned())
}

fn start(module: Option<&Source>) -> Place {
    Place { source: Arc::from(module.map_or("rego", |module| module.name.as_str())), line: 1, column: 1 }
}

fn add(engine: &mut Engine, name: &str, text: &str) -> Result<(), (Place, String)> {
    let start = Place { source: Arc::from(name), line: 1, column: 1 };
    let package = guarded(|| engine.add_policy(name.to_owned(), text.to_owned()).map_err(|error| error.to_string()))
        .map_err(|problem| located(&problem, start.clone()))?;
    if package == "data.bartizan_entry" {
        return Err((start, "the package `bartizan_entry` is taken; write `package bartizan`".to_owned()));
    }
    Ok(())
}

/// Runs a part of the engine that reads what a person wrote; a panic in it is an error of the module.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the module can't be compiled; simplify it".to_owned()))
}

fn program(engine: &mut Engine) -> Result<Program, String> {
    let mut add = |name: &str, text: &str| {
        engine.add_policy(name.to_owned(), text.to_owned()).map(drop).map_err(|error| error.to_string())
    };
    add("bartizan:stubs", STUBS)?;
    add("bartizan:entry", ENTRY_MODULE)?;
    let compiled = engine.compile_with_entrypoint(&Rc::from(ENTRY)).map_err(|error| plain(&error.to_string()))?;
    let ours = |name: &str| compiled.get_rules().get(name).map_or(0, Vec::len);
    if ours("data.bartizan.deny") + ours("data.bartizan.ask") <= 2 {
        return Err(
            "no module says anything: write `package bartizan` with rules like `deny contains \"reason\" if { … }` or `ask contains …`"
                .to_owned(),
        );
    }
    if compiled.get_rules().contains_key("data.bartizan.allow") {
        return Err(
            "`allow` in package `bartizan` decides nothing, Rego can only deny or ask; write `deny contains \"reason\" if { … }`, or rename it"
                .to_owned(),
        );
    }
    machine_program(&compiled)
}

/// A program for the machine out of compiled modules, refused where it could not be bounded.
fn machine_program(compiled: &CompiledPolicy) -> Result<Program, String> {
    if compiled.get_rules().len() > NAMES_MAX {
        return Err(format!("the modules define more than {NAMES_MAX} rules and functions; join some of them"));
    }
    let program = Compiler::compile_from_policy(compiled, &[ENTRY]).map_err(|error| plain(&error.to_string()))?;
    if let Some(rule) = circle::find(&program) {
        return Err(format!("recursion: {} calls itself, straight or through others; take it apart", quoted(&rule)));
    }
    if circle::is_dynamic(&program) {
        return Err(
            "a rule is looked up under `data` by a name that is made while deciding; call it by its name".to_owned()
        );
    }
    for info in &program.builtin_info_table {
        if let Some((name, why)) = builtins::REFUSED.iter().find(|(name, _)| *name == info.name) {
            return Err(format!("{} is not available here: {why}", quoted(name)));
        }
    }
    // A rule that is taken apart takes stack twice.
    if compiled.get_rules().len() + agree::count(&program) > NAMES_MAX {
        return Err(format!(
            "the modules define more than {NAMES_MAX} rules and functions, those with several definitions counted twice; join some of them"
        ));
    }
    let mut program = Arc::unwrap_or_clone(program);
    agree::hold(&mut program)?;
    builtins::bound(&mut program);
    Ok(program)
}

/// The stubs are sets, so a `deny` or `ask` of another kind contradicts them; the engine says so in its own words.
fn plain(error: &str) -> String {
    let named =
        ["deny", "ask"].into_iter().find(|name| error.contains(&format!("'data.bartizan.{name}' has multiple types")));
    match named {
        Some(name) => format!("`{name}` must be a set of reasons; write `{name} contains \"reason\" if {{ … }}`"),
        None => error.to_owned(),
    }
}

/// The engine's messages name the place in a line of their own, `--> file:line:column`, and the problem after
/// `error:`.
fn located(message: &str, fallback: Place) -> (Place, String) {
    let arrow = message.lines().find_map(|line| line.trim().strip_prefix("--> "));
    let place = arrow.and_then(|place| {
        let mut parts = place.trim().rsplitn(3, ':');
        let column = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        let source = parts.next().filter(|source| !source.starts_with("bartizan:"))?;
        Some(Place { source: Arc::from(source), line, column })
    });
    let problem = message.lines().find_map(|line| line.split_once("error:").map(|(_, problem)| problem.trim()));
    let problem = problem.unwrap_or_else(|| message.trim());
    (place.unwrap_or(fallback), shorten(problem))
}

//! One question to modules of any package, over any input and data: for holding the engine against OPA's own cases. It
//! is compiled, bounded and run exactly as the modules of a policy are; only what `package bartizan` must have is not
//! asked for.

use regorus::{Engine, Value};
use serde::Deserialize as _;

use super::{ENTRY, Rego, add, guarded, heads, machine_program};
use crate::load::Source;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegoTrialError {
    /// It doesn't compile, or is refused when it is read.
    #[error("refused when read: {0}")]
    Refused(String),
    /// It fails while it runs.
    #[error("failed: {0}")]
    Failed(String),
}

impl Rego {
    /// What a term is (`[x | data.a.b = x]`), given modules, data and input; `None` where it is undefined.
    ///
    /// # Errors
    /// The modules or the term are refused, or it fails while it runs.
    pub fn trial(
        modules: &[Source],
        term: &str,
        data: &serde_json::Value,
        input: Option<&serde_json::Value>,
    ) -> Result<Option<serde_json::Value>, RegoTrialError> {
        use RegoTrialError::{Failed, Refused};
        let value = |json: &serde_json::Value| Value::deserialize(json).map_err(|error| Failed(error.to_string()));
        let mut engine = Engine::new();
        let data = value(data)?;
        engine.add_data(data.clone()).map_err(|error| Failed(error.to_string()))?;
        for module in modules {
            let text = super::text(module).map_err(Refused)?;
            if let Some(problem) = heads::check(text).into_iter().next() {
                return Err(Refused(problem.message));
            }
            add(&mut engine, &module.name, text).map_err(|(place, problem)| Refused(format!("{place}: {problem}")))?;
        }
        let entry = format!("package bartizan_entry\nanswer := {term}\n");
        let program = guarded(|| {
            engine.add_policy("entry".to_owned(), entry.clone()).map_err(|error| error.to_string())?;
            let entry = regorus::Rc::from(ENTRY);
            let compiled = engine.compile_with_entrypoint(&entry).map_err(|error| error.to_string())?;
            machine_program(&compiled)
        })
        .map_err(Refused)?;
        let rego = Self { program: program.into(), machines: std::sync::Mutex::default(), sources: Vec::new() };
        let mut machine = rego.machine();
        machine.set_data(data).map_err(|error| Failed(error.to_string()))?;
        rego.machines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(machine);
        let answer = rego.evaluate(input.map_or(Ok(Value::Undefined), value)?).map_err(Failed)?;
        if answer == Value::Undefined {
            return Ok(None);
        }
        let json = answer.to_json_str().map_err(|error| Failed(error.to_string()))?;
        serde_json::from_str(&json).map(Some).map_err(|error| Failed(error.to_string()))
    }
}

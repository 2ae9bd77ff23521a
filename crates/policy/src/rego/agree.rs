//! Makes rules and functions with several definitions answer as in OPA: where two definitions give different values,
//! there is no answer, and with that the action is denied. The engine takes such a rule for undefined, so a `deny` that
//! depends on it would not hold. Each definition becomes a rule of its own; the rule itself calls them all and
//! compares.

use std::sync::Arc;

use regorus::rvm::Instruction;
use regorus::rvm::instructions::{BuiltinCallParams, FunctionCallParams};
use regorus::rvm::program::{BuiltinInfo, Program, RuleInfo, RuleType};
use regorus::rvm::vm::VmError;
use regorus::{LimitError, Value};

/// Stands in an error of the engine for "two values"; no limit is this high.
const TWO_VALUES: u64 = u64::MAX;
/// Registers of one rule.
const REGISTERS_MAX: usize = 250;

/// How many rules of a program have definitions that can contradict each other.
pub(super) fn count(program: &Program) -> usize {
    program.rule_infos.iter().filter(|rule| can_contradict(rule)).count()
}

/// Definitions that all give the same constant can't.
fn can_contradict(rule: &RuleInfo) -> bool {
    let single = rule.rule_type == RuleType::Complete || rule.function_info.is_some();
    single && rule.definitions.len() > 1 && !rule.early_exit_on_first_success
}

/// Rewrites every such rule.
///
/// # Errors
/// A rule has more definitions than can be compared.
pub(super) fn hold(program: &mut Program) -> Result<(), String> {
    let rules: Vec<usize> = (0..program.rule_infos.len())
        .filter(|rule| program.rule_infos.get(*rule).is_some_and(can_contradict))
        .collect();
    if rules.is_empty() {
        return Ok(());
    }
    // Any function of the engine's, to have a place in the tables.
    let compare = program.add_builtin_info(BuiltinInfo { name: "count".to_owned(), num_args: 2 });
    program.initialize_resolved_builtins().map_err(|error| error.to_string())?;
    if let Some(resolved) = program.resolved_builtins.get_mut(usize::from(compare)) {
        resolved.0 = agree;
    }
    for rule in rules {
        take_apart(program, rule, compare)?;
    }
    program.validate_limits()
}

fn take_apart(program: &mut Program, index: usize, compare: u16) -> Result<(), String> {
    let Some(rule) = program.rule_infos.get(index).cloned() else { return Ok(()) };
    let too_many = || format!("`{}` has more definitions than can be compared; join some of them", rule.name);
    let narrow = |number: usize| u8::try_from(number).map_err(|_| too_many());
    let parameters = rule.function_info.as_ref().map_or(0, |info| info.num_params as usize);
    // Register 0 is the result, the arguments follow; then ours: the list, the rule's number, one value.
    let (list, name, value) = (parameters + 1, parameters + 2, parameters + 3);
    if value > REGISTERS_MAX {
        return Err(too_many());
    }
    let (list, name, value) = (narrow(list)?, narrow(name)?, narrow(value)?);
    let start = program.instructions.len();
    let own = u16::try_from(index).map_err(|_| too_many())?;
    let mut code = vec![Instruction::RuleInit { result_reg: 0, rule_index: own }, Instruction::ArrayNew { dest: list }];
    for (number, bodies) in rule.definitions.iter().enumerate() {
        let part = u16::try_from(program.rule_infos.len()).map_err(|_| too_many())?;
        program.rule_infos.push(RuleInfo {
            definitions: Arc::new(vec![bodies.clone()]),
            default_literal_index: None,
            destructuring_blocks: vec![rule.destructuring_blocks.get(number).copied().flatten()],
            else_bodies: rule.else_bodies.get(number).cloned().into_iter().collect(),
            ..rule.clone()
        });
        code.push(match rule.function_info {
            None => Instruction::CallRule { dest: value, rule_index: part },
            Some(_) => {
                let mut args = [0; 8];
                for (place, argument) in args.iter_mut().zip(1..=narrow(parameters)?) {
                    *place = argument;
                }
                let num_args = narrow(parameters.min(args.len()))?;
                let call = FunctionCallParams { dest: value, func_rule_index: part, num_args, args };
                Instruction::FunctionCall { params_index: program.add_function_call_params(call) }
            }
        });
        code.push(Instruction::ArrayPushDefined { arr: list, value });
    }
    let literal = u16::try_from(program.add_literal(Value::from(u64::from(own)))).map_err(|_| too_many())?;
    let mut args = [0; 8];
    for (place, register) in args.iter_mut().zip([list, name]) {
        *place = register;
    }
    let call = BuiltinCallParams { dest: 0, builtin_index: compare, num_args: 2, args };
    let params_index = program.add_builtin_call_params(call);
    code.extend([
        Instruction::Load { dest: name, literal_idx: literal },
        Instruction::BuiltinCall { params_index },
        Instruction::RuleReturn {},
    ]);
    for instruction in code {
        program.add_instruction(instruction, None);
    }
    let registers = value.saturating_add(1);
    program.max_rule_window_size = program.max_rule_window_size.max(registers);
    let start = u32::try_from(start).map_err(|_| too_many())?;
    if let Some(whole) = program.rule_infos.get_mut(index) {
        whole.definitions = Arc::new(vec![vec![start]]);
        whole.destructuring_blocks = vec![None];
        whole.else_bodies = vec![vec![false]];
        whole.result_reg = 0;
        whole.num_registers = registers;
    }
    Ok(())
}

/// The one value, undefined where there is none, and the end of the decision where there are two. Bounds are the only
/// errors the engine never takes for "undefined".
fn agree<S, P, E: From<LimitError>>(_: &S, _: &[P], args: &[Value], _: bool) -> Result<Value, E> {
    let [Value::Array(values), rule] = args else { return Ok(Value::Undefined) };
    let Some(first) = values.first() else { return Ok(Value::Undefined) };
    if values.iter().any(|value| value != first) {
        let usage = rule.as_u64().unwrap_or_default();
        return Err(LimitError::MemoryLimitExceeded { usage, limit: TWO_VALUES }.into());
    }
    Ok(first.clone())
}

/// What a person should know of an error of the engine.
pub(super) fn told(program: &Program, error: &VmError) -> String {
    match error {
        VmError::MemoryLimitExceeded { usage, limit: TWO_VALUES, .. } => {
            let rule = usize::try_from(*usage).ok().and_then(|rule| program.rule_infos.get(rule));
            let name = rule.map_or("a rule", |rule| rule.name.trim_start_matches("data.bartizan."));
            format!(
                "`{name}` has two different values at once; make its conditions exclude each other or join them with `else`"
            )
        }
        error => error.to_string(),
    }
}

//! Finds rules that call themselves, straight or through others. The engine sees many of them while it compiles, not
//! all; those it misses would use up the stack, and with it the process.

use regorus::rvm::Instruction;
use regorus::rvm::program::Program;

/// A rule that stands in a circle of calls.
pub(super) fn find(program: &Program) -> Option<String> {
    let calls = calls(program);
    // Rules nothing calls are taken out, again and again: what is left when there are none has a circle in it.
    let mut callers = vec![0_usize; calls.len()];
    for &target in calls.iter().flatten() {
        callers.get_mut(target).map(|count| *count += 1)?;
    }
    let mut free: Vec<usize> = (0..calls.len()).filter(|rule| callers.get(*rule) == Some(&0)).collect();
    let mut left = calls.len();
    while let Some(rule) = free.pop() {
        left -= 1;
        for &target in calls.get(rule).into_iter().flatten() {
            let count = callers.get_mut(target)?;
            *count -= 1;
            if *count == 0 {
                free.push(target);
            }
        }
    }
    if left == 0 {
        return None;
    }
    let rule = callers.iter().position(|count| *count > 0)?;
    program.rule_infos.get(rule).map(|info| info.name.clone())
}

/// Whether a rule is looked up by a name made while deciding; which one it calls can't be known before.
pub(super) fn is_dynamic(program: &Program) -> bool {
    program.instructions.iter().any(|instruction| matches!(instruction, Instruction::VirtualDataDocumentLookup { .. }))
}

/// For each rule the rules it calls. A rule's code runs from each place where a definition of it begins to the next
/// place where one of any rule does.
fn calls(program: &Program) -> Vec<Vec<usize>> {
    let mut starts: Vec<(usize, Option<usize>)> = program.entry_points.values().map(|start| (*start, None)).collect();
    for (rule, info) in program.rule_infos.iter().enumerate() {
        let bodies = info.definitions.iter().flatten().copied();
        let blocks = info.destructuring_blocks.iter().flatten().copied();
        starts.extend(bodies.chain(blocks).map(|start| (start as usize, Some(rule))));
    }
    starts.sort_unstable();
    let mut calls = vec![Vec::new(); program.rule_infos.len()];
    for (index, instruction) in program.instructions.iter().enumerate() {
        let target = match instruction {
            Instruction::CallRule { rule_index, .. } => usize::from(*rule_index),
            Instruction::FunctionCall { params_index } => {
                let parameters = program.instruction_data.function_call_params.get(usize::from(*params_index));
                let Some(parameters) = parameters else { continue };
                usize::from(parameters.func_rule_index)
            }
            _ => continue,
        };
        let before = starts.partition_point(|(start, _)| *start <= index);
        let owner = before.checked_sub(1).and_then(|last| starts.get(last)?.1);
        if let Some(calls) = owner.and_then(|owner| calls.get_mut(owner)) {
            calls.push(target);
        }
    }
    calls
}

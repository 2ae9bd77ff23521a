//! How a policy and what it extends become one: lists grow, single values are replaced.

use crate::language::PolicyFile;
use crate::place::At;

/// Joins a section with that of a policy which extends it. Lists: the parent's entries, then the child's, one entry
/// read twice from the same place counted once. Single values: the child's where it has one. Associative, so that a
/// chain of `extends` has one meaning.
pub(crate) trait Merge: Sized {
    /// `child` on top of this.
    fn merge(self, child: Self) -> Self;
}

impl<T: Merge> Merge for Option<T> {
    fn merge(self, child: Self) -> Self {
        join(self, child, T::merge)
    }
}

/// `child` on top of `parent`. Tests stay with the file they stand in.
pub(crate) fn merge(parent: PolicyFile, child: PolicyFile) -> PolicyFile {
    PolicyFile {
        bartizan: child.bartizan,
        name: child.name.or(parent.name),
        description: child.description.or(parent.description),
        extends: child.extends,
        files: parent.files.merge(child.files),
        exec: parent.exec.merge(child.exec),
        net: parent.net.merge(child.net),
        tools: parent.tools.merge(child.tools),
        secrets: parent.secrets.merge(child.secrets),
        models: parent.models.merge(child.models),
        llm: parent.llm.merge(child.llm),
        messages: parent.messages.merge(child.messages),
        browser: parent.browser.merge(child.browser),
        computer: parent.computer.merge(child.computer),
        prompts: parent.prompts.merge(child.prompts),
        content: parent.content.merge(child.content),
        patches: parent.patches.merge(child.patches),
        compat: parent.compat.merge(child.compat),
        budgets: parent.budgets.merge(child.budgets),
        labels: parent.labels.merge(child.labels),
        flow: list(parent.flow, child.flow),
        rego: list(parent.rego, child.rego),
        guards: list(parent.guards, child.guards),
        env: parent.env.merge(child.env),
        r#box: parent.r#box.merge(child.r#box),
        limits: parent.limits.merge(child.limits),
        approvals: parent.approvals.merge(child.approvals),
        tests: child.tests,
    }
}

/// Joins what both have.
pub(crate) fn join<T>(parent: Option<T>, child: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    match (parent, child) {
        (Some(parent), Some(child)) => Some(join(parent, child)),
        (parent, child) => child.or(parent),
    }
}

/// The parent's entries, then the child's.
pub(crate) fn list<T: PartialEq>(parent: Option<Vec<At<T>>>, child: Option<Vec<At<T>>>) -> Option<Vec<At<T>>> {
    join(parent, child, |mut parent, child| {
        for entry in child {
            if !parent.iter().any(|known| known.place == entry.place && known.value == entry.value) {
                parent.push(entry);
            }
        }
        parent
    })
}

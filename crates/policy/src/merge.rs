//! How a policy and what it extends become one: lists grow, single values are replaced.

use crate::language::*;
use crate::place::At;

/// `child` on top of `parent`. Lists: the parent's entries, then the child's, one entry read twice from the
/// same place counted once. Single values and variables of `env.set`: the child's where it has one. Tests
/// stay with the file they stand in. Associative, so that a chain of `extends` has one meaning.
pub(crate) fn merge(parent: PolicyFile, child: PolicyFile) -> PolicyFile {
    PolicyFile {
        bartizan: child.bartizan,
        name: child.name.or(parent.name),
        description: child.description.or(parent.description),
        extends: child.extends,
        files: section(parent.files, child.files, |parent, child| Files {
            default: child.default.or(parent.default),
            read: list(parent.read, child.read),
            write: list(parent.write, child.write),
            ask: list(parent.ask, child.ask),
            programs: list(parent.programs, child.programs),
            protect: list(parent.protect, child.protect),
            deny: list(parent.deny, child.deny),
        }),
        exec: section(parent.exec, child.exec, |parent, child| Exec {
            default: child.default.or(parent.default),
            allow: list(parent.allow, child.allow),
            ask: list(parent.ask, child.ask),
            deny: list(parent.deny, child.deny),
        }),
        net: section(parent.net, child.net, |parent, child| Net {
            default: child.default.or(parent.default),
            resolver: child.resolver.or(parent.resolver),
            allow: list(parent.allow, child.allow),
            ask: list(parent.ask, child.ask),
            deny: list(parent.deny, child.deny),
        }),
        tools: section(parent.tools, child.tools, |parent, child| Tools {
            default: child.default.or(parent.default),
            allow: list(parent.allow, child.allow),
            ask: list(parent.ask, child.ask),
            deny: list(parent.deny, child.deny),
        }),
        secrets: section(parent.secrets, child.secrets, |parent, child| Secrets {
            default: child.default.or(parent.default),
            allow: list(parent.allow, child.allow),
            ask: list(parent.ask, child.ask),
            deny: list(parent.deny, child.deny),
        }),
        env: section(parent.env, child.env, |parent, child| Env {
            pass: list(parent.pass, child.pass),
            set: section(parent.set, child.set, |mut parent, child| {
                parent.extend(child);
                parent
            }),
        }),
        r#box: section(parent.r#box, child.r#box, |parent, child| BoxSection {
            cgroup: child.cgroup.or(parent.cgroup),
            root: child.root.or(parent.root),
        }),
        limits: section(parent.limits, child.limits, |parent, child| Limits {
            memory: child.memory.or(parent.memory),
            pids: child.pids.or(parent.pids),
            cpu: child.cpu.or(parent.cpu),
            time: child.time.or(parent.time),
            disk: child.disk.or(parent.disk),
            open_files: child.open_files.or(parent.open_files),
            file_size: child.file_size.or(parent.file_size),
            output: child.output.or(parent.output),
            egress_bytes: child.egress_bytes.or(parent.egress_bytes),
            connections: child.connections.or(parent.connections),
        }),
        approvals: section(parent.approvals, child.approvals, |parent, child| Approvals {
            timeout: child.timeout.or(parent.timeout),
        }),
        tests: child.tests,
    }
}

fn section<T>(parent: Option<T>, child: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    match (parent, child) {
        (Some(parent), Some(child)) => Some(join(parent, child)),
        (parent, child) => child.or(parent),
    }
}

fn list<T: PartialEq>(parent: Option<Vec<At<T>>>, child: Option<Vec<At<T>>>) -> Option<Vec<At<T>>> {
    section(parent, child, |mut parent, child| {
        for entry in child {
            if !parent.iter().any(|known| known.place == entry.place && known.value == entry.value) {
                parent.push(entry);
            }
        }
        parent
    })
}

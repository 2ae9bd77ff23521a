//! Compat mode: sections that allow everything, and one section `compat` that holds back exactly what the other
//! program did.

use crate::report::{Fate, Report};
use crate::write::{Writer, accepted, quoted};

use super::policy::{EgressDefault, ToolDefault};
use super::resolve::Resolved;

pub(crate) fn write(resolved: &Resolved, report: &mut Report) -> String {
    let mut out = Writer::default();
    let policy = &resolved.policy;
    out.comment(
        "Imported from a Clawdstrike policy in compat mode: it decides as that program did, its holes included,",
    );
    out.comment("so that both can be compared. To work under, import again with `--mode hardened`.");
    out.heading(&policy.name, &policy.description);
    out.comment("Nothing is held back here; `compat` does that.");
    for section in ["files", "exec", "tools", "secrets", "models", "messages"] {
        out.section(section, |out| out.word("default", "allow"));
    }
    out.section("net", |out| {
        out.word("default", "allow");
        out.mappings(
            "allow",
            &[
                vec![("host", quoted("*")), ("ports", quoted("*")), ("private", "true".into())],
                vec![("host", quoted("0.0.0.0/0")), ("ports", quoted("*"))],
                vec![("host", quoted("::/0")), ("ports", quoted("*"))],
            ],
        );
    });
    for section in ["browser", "computer"] {
        out.section(section, |out| {
            out.word("default", "allow");
            out.section("risks", |out| {
                for risk in ["low", "medium", "high", "critical"] {
                    out.word(risk, "allow");
                }
            });
        });
    }
    out.section("prompts", |out| out.word("default", "allow"));
    out.section("patches", |out| out.word("unclear", "allow"));
    out.blank();
    out.section("compat", |out| guards(resolved, out, report));
    report.add(
        "guards",
        Fate::Converted,
        "every guard decides as it did; what injected instructions and jailbreaks are is said by Bartizan's own scanner",
    );
    for (part, present) in [
        ("guards.shell_command", policy.guards.shell_command.is_some()),
        ("guards.computer_use", policy.guards.computer_use.is_some()),
        ("guards.remote_desktop_side_channel", policy.guards.remote_desktop_side_channel.is_some()),
        ("guards.input_injection_capability", policy.guards.input_injection_capability.is_some()),
    ] {
        if present {
            report.add(
                part,
                Fate::NoEquivalent,
                "compat mode knows the guards up to version 1.2; import with `--mode hardened`",
            );
        }
    }
    out.finish()
}

/// Globs and expressions that aren't ones were ignored over there; they are left out and told.
fn globs(list: &[String], part: &str, report: &mut Report) -> Vec<String> {
    accepted(list.to_vec(), part, "compat: { forbidden_path: { patterns: [", "] } }", Fate::NoEquivalent, report)
}

fn hosts(list: &[String], report: &mut Report) -> Vec<String> {
    accepted(list.to_vec(), "egress_allowlist", "compat: { egress: { allow: [", "] } }", Fate::NoEquivalent, report)
}

fn expression(text: &str, part: &str, report: &mut Report) -> bool {
    let list = vec![text.to_owned()];
    !accepted(list, part, "patches: { forbid: [", "] }", Fate::NoEquivalent, report).is_empty()
}

fn guards(resolved: &Resolved, out: &mut Writer, report: &mut Report) {
    if let Some(guard) = resolved.forbidden() {
        out.section("forbidden_path", |out| {
            out.list_even_empty("patterns", &globs(&guard.patterns, "forbidden_path.patterns", report));
            out.list("exceptions", &globs(&guard.exceptions, "forbidden_path.exceptions", report));
        });
    }
    if let Some([read, write, patch]) = resolved.path_lists() {
        out.section("path_allowlist", |out| {
            out.list_even_empty("read", &globs(read, "path_allowlist", report));
            out.list_even_empty("write", &globs(write, "path_allowlist", report));
            out.list_even_empty("patch", &globs(patch, "path_allowlist", report));
        });
    }
    if let Some(guard) = resolved.egress() {
        out.section("egress", |out| {
            let default = match guard.default_action.unwrap_or_default() {
                EgressDefault::Allow => "allow",
                EgressDefault::Block => "block",
                EgressDefault::Log => "log",
            };
            out.word("default", default);
            out.list("allow", &hosts(&guard.allow.unwrap_or_default(), report));
            out.list("block", &hosts(&guard.block.unwrap_or_default(), report));
        });
    }
    if let Some(guard) = resolved.secrets() {
        out.section("secret_leak", |out| {
            out.word("threshold", guard.threshold.as_str());
            let patterns: Vec<Vec<(&str, String)>> = guard
                .patterns
                .iter()
                .filter(|pattern| expression(&pattern.pattern, "secret_leak.patterns", report))
                .map(|pattern| {
                    let mut entry = vec![
                        ("name", quoted(&pattern.name)),
                        ("pattern", quoted(&pattern.pattern)),
                        ("severity", pattern.severity.as_str().to_owned()),
                    ];
                    if pattern.luhn_check {
                        entry.push(("luhn", "true".into()));
                    }
                    entry
                })
                .collect();
            out.mappings("patterns", &patterns);
            out.list("skip_paths", &globs(&guard.skip_paths, "secret_leak.skip_paths", report));
        });
    }
    if let Some(guard) = resolved.patches() {
        out.section("patch_integrity", |out| {
            out.word("additions_max", guard.additions_max);
            out.word("deletions_max", guard.deletions_max);
            if let Some(ratio) = guard.ratio_max {
                out.word("ratio_max", ratio);
            }
            let forbidden: Vec<&String> = guard
                .forbidden
                .iter()
                .filter(|text| expression(text, "patch_integrity.forbidden_patterns", report))
                .collect();
            out.list("forbidden", &forbidden);
        });
    }
    if let Some(guard) = resolved.tools() {
        out.section("mcp_tool", |out| {
            out.word(
                "default",
                if guard.default_action.unwrap_or_default() == ToolDefault::Allow { "allow" } else { "block" },
            );
            out.word("args_bytes_max", guard.max_args_size.unwrap_or(1024 * 1024));
            out.list("allow", &guard.allow.unwrap_or_default());
            out.list("block", &guard.block.unwrap_or_default());
            out.list("confirm", &guard.require_confirmation.unwrap_or_default());
        });
    }
    texts(resolved, out);
}

/// The guards over texts; hardened mode keeps them beside `prompts`, so that it lets nothing through that was held.
pub(super) fn texts(resolved: &Resolved, out: &mut Writer) {
    if let Some((warn, block, bytes)) = resolved.injection() {
        out.section("prompt_injection", |out| {
            out.word("warn", warn.as_str());
            out.word("block", block.as_str());
            out.word("bytes_max", bytes);
        });
    }
    if let Some((warn, block)) = resolved.jailbreak() {
        out.section("jailbreak", |out| {
            out.word("warn", warn);
            out.word("block", block);
        });
    }
}

//! Hardened mode: the same intent in Bartizan's own sections. Where the other program let something through that
//! its author can't have meant, this holds it back, and the report says so.

use crate::report::{Fate, Report, quoted as shown};
use crate::write::{Writer, accepted, quoted, refusal};

use super::policy::*;
use super::resolve::Resolved;

pub(crate) fn write(resolved: &Resolved, report: &mut Report) -> String {
    let mut out = Writer::default();
    let policy = &resolved.policy;
    out.comment("Imported from a Clawdstrike policy in hardened mode: the same intent under Bartizan's rules.");
    out.heading(&policy.name, &policy.description);
    files(resolved, &mut out, report);
    exec(resolved, &mut out, report);
    net(resolved, &mut out, report);
    tools(resolved, &mut out, report);
    out.section("secrets", |out| out.word("default", "ask"));
    report.add("secret_access", Fate::Stricter, "using a secret had no guard; now a person decides");
    patches(resolved, &mut out, report);
    content(resolved, &mut out, report);
    prompts(resolved, &mut out, report);
    computer(policy, &mut out, report);
    if let Some(seconds) = policy.settings.session_timeout_secs.filter(|seconds| *seconds > 0) {
        out.section("limits", |out| out.word("time", format!("{seconds}s")));
        report.add("settings.session_timeout_secs", Fate::Converted, "a run ends after this time: `limits.time`");
    }
    out.finish()
}

/// A path pattern in our language: what doesn't start anywhere starts in the workspace, `*` in the middle of `**`
/// has no meaning of its own.
fn path(pattern: &str) -> Option<String> {
    let pattern = pattern.replace('\\', "/");
    let based =
        if pattern.starts_with('/') || pattern.starts_with("**/") || pattern == "**" || pattern.starts_with("~/") {
            pattern
        } else if !pattern.contains('/') {
            format!("**/{pattern}")
        } else {
            format!("./{}", pattern.trim_start_matches("./"))
        };
    let fine = based.split('/').all(|part| part != ".." && (part == "**" || !part.contains("**")))
        && !based.contains(['[', ']', '{', '}', '!'])
        && !based.chars().any(char::is_control);
    fine.then_some(based)
}

fn convert(list: &[String], part: &str, report: &mut Report) -> Vec<String> {
    let mut converted = Vec::new();
    for pattern in list {
        match path(pattern) {
            Some(path) => converted.push(path),
            None => report.add(
                format!("{part} `{}`", shown(pattern)),
                Fate::NoEquivalent,
                "this form of pattern isn't known; write it with `*`, `**` and `?`",
            ),
        }
    }
    accepted(converted, part, "files: { deny: [", "] }", Fate::NoEquivalent, report)
}

fn files(resolved: &Resolved, out: &mut Writer, report: &mut Report) {
    let forbidden = resolved.forbidden();
    let lists = resolved.path_lists();
    out.section("files", |out| {
        match lists {
            Some([read, write, patch]) => {
                out.word("default", "deny");
                let mut written = convert(write, "path_allowlist.file_write_allow", report);
                for pattern in convert(patch, "path_allowlist.patch_allow", report) {
                    if !written.contains(&pattern) {
                        report.add("path_allowlist.patch_allow", Fate::Remark, format!("`{}` may be written too: a patch is a write", shown(&pattern)));
                        written.push(pattern);
                    }
                }
                out.list("read", &convert(read, "path_allowlist.file_access_allow", report));
                out.list("write", &written);
                report.add("guards.path_allowlist", Fate::Converted, "`files.read` and `files.write`; the rest is denied");
            }
            None => {
                out.word("default", "allow");
                out.list("write", &["./**"]);
            }
        }
        let Some(guard) = &forbidden else { return };
        let mut denied = convert(&guard.patterns, "forbidden_path.patterns", report);
        denied.extend(convert(&guard.exceptions, "forbidden_path.exceptions", report).into_iter().map(|path| format!("!{path}")));
        out.list("deny", &denied);
        report.add("guards.forbidden_path", Fate::Converted, "`files.deny`, exceptions with `!`");
        report.add(
            "guards.forbidden_path",
            Fate::Stricter,
            "case doesn't count, the directory of a tree is denied with it, and links and `/proc/self/root` are followed to the real file: `/ETC/shadow` got through",
        );
    });
}

fn exec(resolved: &Resolved, out: &mut Writer, report: &mut Report) {
    let guard = resolved.policy.guards.shell_command.as_ref().filter(|guard| guard.enabled);
    out.section("exec", |out| out.word("default", "ask"));
    match guard {
        Some(guard) => {
            report.add("guards.shell_command", Fate::Stricter, "commands are decided by program and arguments, not by patterns over text: a person decides over each until `exec.allow` lists it");
            for pattern in guard.forbidden_patterns.iter().flatten() {
                report.add(
                    format!("guards.shell_command.forbidden_patterns `{}`", shown(pattern)),
                    Fate::Stricter,
                    "every command is asked for, this one too",
                );
            }
            if guard.enforce_forbidden_paths {
                report.add(
                    "guards.shell_command.enforce_forbidden_paths",
                    Fate::Stricter,
                    "the box doesn't show those files to any program, whatever its command line says",
                );
            }
        }
        None => report.add(
            "command_exec",
            Fate::Stricter,
            "commands had no guard, in strict rulesets too; now a person decides over each until `exec.allow` lists it",
        ),
    }
}

fn net(resolved: &Resolved, out: &mut Writer, report: &mut Report) {
    let Some(guard) = resolved.egress() else {
        out.section("net", |out| {
            out.word("default", "allow");
            out.list("allow", &["*"]);
        });
        report.add(
            "guards.egress_allowlist",
            Fate::Stricter,
            "it was off; private, loopback and metadata addresses stay denied all the same",
        );
        return;
    };
    let emptied = resolved.emptied.contains(&"egress_allowlist.allow");
    let mut allow = Vec::new();
    for pattern in guard.allow.iter().flatten().filter(|_| !emptied) {
        match host(pattern, false) {
            Ok(host) => allow.push(host),
            Err(problem) => report.add(
                format!("egress_allowlist.allow `{}`", shown(pattern)),
                Fate::Stricter,
                format!("{problem}; left out, so it is no longer reached"),
            ),
        }
    }
    if emptied {
        report.add(
            "egress_allowlist.allow",
            Fate::Stricter,
            "an empty list in a policy that extends another now means that nothing is allowed; it was ignored",
        );
    }
    let mut deny = Vec::new();
    let mut blocks = guard.block.clone().unwrap_or_default();
    if !resolved.extends {
        ignored(&guard.additional_allow, "egress_allowlist.additional_allow", report);
        for pattern in &guard.additional_block {
            report.add(
                format!("egress_allowlist.additional_block `{}`", shown(pattern)),
                Fate::Stricter,
                "it was ignored without `extends`; now it is denied",
            );
            blocks.push(pattern.clone());
        }
    }
    for pattern in &blocks {
        match host(pattern, true) {
            Ok(host) => deny.push(host),
            Err(problem) => {
                report.add(format!("egress_allowlist.block `{}`", shown(pattern)), Fate::NoEquivalent, problem)
            }
        }
    }
    let allow = accepted(allow, "egress_allowlist.allow", "net: { allow: [", "] }", Fate::Stricter, report);
    let deny = accepted(deny, "egress_allowlist.block", "net: { deny: [", "] }", Fate::NoEquivalent, report);
    out.section("net", |out| {
        match guard.default_action.unwrap_or_default() {
            EgressDefault::Allow => {
                out.word("default", "allow");
                report.add(
                    "egress_allowlist.default_action",
                    Fate::Stricter,
                    "everything is reached but private, loopback and metadata addresses, which have to be named",
                );
            }
            EgressDefault::Block => out.word("default", "deny"),
            EgressDefault::Log => {
                out.word("default", "ask");
                report.add(
                    "egress_allowlist.default_action",
                    Fate::Stricter,
                    "`log` let everything through with a warning; now a person decides",
                );
            }
        }
        out.list("allow", &allow);
        out.list("deny", &deny);
    });
    report.add("guards.egress_allowlist", Fate::Converted, "`net.allow` and `net.deny`");
    if !allow.is_empty() {
        report.add(
            "guards.egress_allowlist",
            Fate::Stricter,
            "ports were ignored; an allowed host is reached on 80 and 443 only",
        );
    }
}

/// A host pattern in our language: a name, `*.name`, `*`, an address.
fn host(pattern: &str, denies: bool) -> Result<String, String> {
    let pattern = pattern.trim().to_lowercase();
    let rest = pattern.strip_prefix("*.").unwrap_or(&pattern);
    if pattern == "*" || !rest.contains(['*', '?', '[', '{']) && !rest.is_empty() {
        return Ok(pattern);
    }
    // A wildcard within a name: denying the whole domain denies that too.
    let parent = rest
        .split_once('.')
        .map(|(_, parent)| parent)
        .filter(|parent| !parent.contains(['*', '?', '[', '{']) && parent.contains('.'));
    match parent {
        Some(parent) if denies => Ok(format!("*.{parent}")),
        _ => Err("a wildcard stands for the first label only".to_owned()),
    }
}

fn ignored(list: &[String], part: &str, report: &mut Report) {
    for entry in list {
        report.add(
            format!("{part} `{}`", shown(entry)),
            Fate::Remark,
            "it was ignored without `extends`, and an import allows nothing that wasn't; add it by hand if it is meant",
        );
    }
}

fn tools(resolved: &Resolved, out: &mut Writer, report: &mut Report) {
    let Some(guard) = resolved.tools() else {
        out.section("tools", |out| out.word("default", "allow"));
        return;
    };
    let emptied = resolved.emptied.contains(&"mcp_tool.allow");
    let allow: Vec<String> = guard.allow.clone().unwrap_or_default();
    let confirm = guard.require_confirmation.clone().unwrap_or_default();
    let mut block = guard.block.clone().unwrap_or_default();
    if !resolved.extends {
        ignored(&guard.additional_allow, "mcp_tool.additional_allow", report);
        for name in &guard.additional_block {
            report.add(
                format!("mcp_tool.additional_block `{}`", shown(name)),
                Fate::Stricter,
                "it was ignored without `extends`; now it is denied",
            );
            block.push(name.clone());
        }
    }
    let default =
        if !allow.is_empty() || emptied || guard.default_action == Some(ToolDefault::Block) { "deny" } else { "allow" };
    if emptied {
        report.add(
            "mcp_tool.allow",
            Fate::Stricter,
            "an empty list in a policy that extends another now means that nothing is allowed; it was ignored",
        );
    }
    let rules = |names: &[String], report: &mut Report| -> Vec<Vec<(&'static str, String)>> {
        names
            .iter()
            .filter(|name| {
                let plain = !name.contains(['*', '?']) && !name.is_empty() && !name.chars().any(char::is_control);
                if !plain {
                    report.add(
                        format!("mcp_tool `{}`", shown(name)),
                        Fate::NoEquivalent,
                        "names were compared letter by letter, so this matched no tool; left out",
                    );
                }
                plain
            })
            .map(|name| vec![("server", quoted("*")), ("name", quoted(name))])
            .collect()
    };
    out.section("tools", |out| {
        out.word("default", default);
        out.word("args_bytes_max", guard.max_args_size.unwrap_or(1024 * 1024));
        let granted: Vec<String> = if emptied { Vec::new() } else { allow.clone() };
        out.mappings("allow", &rules(&granted, report));
        out.mappings("ask", &rules(&confirm, report));
        out.mappings("deny", &rules(&block, report));
    });
    report.add("guards.mcp_tool", Fate::Converted, "`tools`");
    report.add("guards.mcp_tool", Fate::Stricter, "it holds for every tool; tools not called through MCP had no guard");
    if !confirm.is_empty() {
        report.add(
            "mcp_tool.require_confirmation",
            Fate::Stricter,
            "these calls went through with a warning; now a person decides",
        );
    }
}

fn patches(resolved: &Resolved, out: &mut Writer, report: &mut Report) {
    let Some(guard) = resolved.patches() else {
        report.add("guards.patch_integrity", Fate::Remark, "it is off, and section `patches` is left out");
        return;
    };
    out.section("patches", |out| {
        out.word("additions_max", guard.additions_max);
        out.word("deletions_max", guard.deletions_max);
        if let Some(ratio) = guard.ratio_max {
            out.word("ratio_max", ratio.max(1.0).ceil());
        }
        out.word("over", "deny");
        out.word("unclear", "deny");
        let forbidden = accepted(
            guard.forbidden.clone(),
            "patch_integrity.forbidden_patterns",
            "patches: { forbid: [",
            "] }",
            Fate::NoEquivalent,
            report,
        );
        out.list("forbid", &forbidden);
    });
    report.add("guards.patch_integrity", Fate::Converted, "`patches`");
    report.add(
        "guards.patch_integrity",
        Fate::Stricter,
        "a patch that can't be read line by line is denied (it counted as empty), and every file in it is decided by `files`, not only the one named beside it",
    );
}

fn content(resolved: &Resolved, out: &mut Writer, report: &mut Report) {
    let Some(guard) = resolved.secrets() else {
        report.add("guards.secret_leak", Fate::Remark, "it is off, and section `content` is left out");
        return;
    };
    let patterns: Vec<Vec<(&str, String)>> = guard
        .patterns
        .iter()
        .filter(|pattern| match refusal(&format!("patches: {{ forbid: [{}] }}", quoted(&pattern.pattern))) {
            None => true,
            Some(problem) => {
                report.add(
                    format!("secret_leak.patterns `{}`", shown(&pattern.name)),
                    Fate::NoEquivalent,
                    format!("left out: {problem}"),
                );
                false
            }
        })
        .map(|pattern| {
            let effect = if pattern.severity >= guard.threshold { "deny" } else { "ask" };
            vec![("name", quoted(&pattern.name)), ("pattern", quoted(&pattern.pattern)), ("effect", effect.to_owned())]
        })
        .collect();
    out.section("content", |out| {
        out.word("secret", "deny");
        out.mappings("patterns", &patterns);
    });
    report.add("guards.secret_leak", Fate::Converted, "`content`, with its patterns beside Bartizan's own detectors");
    report.add("guards.secret_leak", Fate::Stricter, "what leaves in requests, messages, tool calls and prompts is looked at too, encodings are undone first, and one byte that is no UTF-8 no longer hides the rest");
    if guard.patterns.iter().any(|pattern| pattern.severity < guard.threshold) {
        report.add(
            "secret_leak.severity_threshold",
            Fate::Stricter,
            "patterns below the threshold let through with a warning; now a person decides",
        );
    }
    if guard.patterns.iter().any(|pattern| pattern.luhn_check) {
        report.add(
            "secret_leak.patterns",
            Fate::Stricter,
            "a match counts without the card's checksum; Bartizan's own detector checks it",
        );
    }
    for skipped in &guard.skip_paths {
        report.add(
            format!("secret_leak.skip_paths `{}`", shown(skipped)),
            Fate::Stricter,
            "a path doesn't make a secret harmless; write `content.allow` for what is meant",
        );
    }
}

fn prompts(resolved: &Resolved, out: &mut Writer, report: &mut Report) {
    let (injection, jailbreak) = (resolved.injection(), resolved.jailbreak());
    if injection.is_none() && jailbreak.is_none() {
        out.section("prompts", |out| out.word("default", "allow"));
        report.add("guards.prompt_injection", Fate::Remark, "it is off, and text is taken in as it is");
        return;
    }
    let score = |level: Level| match level {
        Level::Safe | Level::Suspicious => 40,
        Level::High => 60,
        Level::Critical => 85,
    };
    out.section("prompts", |out| {
        out.word("default", "allow");
        if let Some((warn, block)) = jailbreak {
            origin(out, "user", warn, block);
        }
        if let Some((warn, block, _)) = injection {
            for from in ["retrieved", "tool"] {
                origin(out, from, score(warn), score(block));
            }
        }
    });
    // Phrases that program looked for and that Bartizan's scanner, which judges whole sentences, may find harmless.
    out.section("compat", |out| super::compat::texts(resolved, out));
    if injection.is_some() {
        report.add("guards.prompt_injection", Fate::Converted, "`prompts.retrieved`");
        report.add("guards.prompt_injection", Fate::Stricter, "results of tools are looked at too, warnings are asked about, and the whole text is read, not its first bytes");
    }
    if jailbreak.is_some() {
        report.add("guards.jailbreak", Fate::Converted, "`prompts.user`, with its thresholds");
    }
    if let Some(guard) = &resolved.policy.guards.jailbreak {
        let detector = &guard.detector;
        let tuned = detector.layers.is_some() || detector.linear_model.is_some() || detector.max_input_bytes.is_some();
        let session = detector.session_aggregation.is_some()
            || detector.session_max_entries.is_some()
            || detector.session_ttl_seconds.is_some()
            || detector.session_half_life_seconds.is_some();
        if tuned || session {
            report.add(
                "guards.jailbreak.detector",
                Fate::NoEquivalent,
                "settings of that detector; Bartizan's has other insides",
            );
        }
    }
}

fn origin(out: &mut Writer, name: &str, warn: u8, block: u8) {
    let (warn, block) = (warn.min(100), block.min(100));
    out.section(name, |out| {
        if warn < block {
            out.word("ask", warn);
        }
        out.word("deny", block);
    });
}

fn computer(policy: &Policy, out: &mut Writer, report: &mut Report) {
    let guards = &policy.guards;
    let uses = guards.computer_use.as_ref().filter(|guard| guard.enabled);
    let channel = guards.remote_desktop_side_channel.as_ref().filter(|guard| guard.enabled);
    let input = guards.input_injection_capability.as_ref().filter(|guard| guard.enabled);
    let mut deny: Vec<&str> = Vec::new();
    if let Some(channel) = channel {
        for (enabled, operations) in [
            (channel.clipboard_enabled, &["clipboard.*", "remote.clipboard"][..]),
            (channel.file_transfer_enabled, &["file.*", "remote.file_transfer"]),
            (channel.session_share_enabled, &["session.share", "remote.session_share"]),
            (channel.audio_enabled, &["audio", "remote.audio"]),
            (channel.drive_mapping_enabled, &["drive*", "remote.drive_mapping"]),
            (channel.printing_enabled, &["print*", "remote.printing"]),
        ] {
            if !enabled {
                deny.extend(operations);
            }
        }
        report.add("guards.remote_desktop_side_channel", Fate::Converted, "`computer.deny`");
        if channel.max_transfer_size_bytes.is_some() {
            report.add(
                "guards.remote_desktop_side_channel.max_transfer_size_bytes",
                Fate::NoEquivalent,
                "say it with `budgets`",
            );
        }
    }
    if let Some(input) = input {
        if input.require_postcondition_probe {
            report.add(
                "guards.input_injection_capability.require_postcondition_probe",
                Fate::NoEquivalent,
                "no action carries such a proof",
            );
        }
        for kind in &input.allowed_input_types {
            report.add(
                format!("guards.input_injection_capability.allowed_input_types `{}`", shown(kind)),
                Fate::Stricter,
                "input is asked for by its risk",
            );
        }
    }
    let allowed: Vec<&str> =
        uses.map(|guard| guard.allowed_actions.iter().map(String::as_str).collect()).unwrap_or_default();
    out.section("computer", |out| {
        out.word("default", if uses.is_some() { "deny" } else { "ask" });
        out.list("allow", &allowed);
        out.list("deny", &deny);
    });
    match uses {
        Some(guard) => {
            report.add("guards.computer_use", Fate::Converted, "`computer.allow`; what isn't listed is denied");
            if guard.mode.as_deref().is_some_and(|mode| mode != "fail_closed") {
                report.add(
                    "guards.computer_use.mode",
                    Fate::Stricter,
                    "what isn't listed was let through with a warning",
                );
            }
        }
        None if channel.is_none() => {}
        None => report.add("guards.computer_use", Fate::Stricter, "it isn't set, and acts on a screen are asked for"),
    }
}

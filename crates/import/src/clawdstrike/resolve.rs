//! From a file to what holds: `extends` followed, lists merged, absent guards with the defaults they have.

use crate::read;
use crate::report::{Fate, Report};

use super::policy::*;
use super::{ImportError, Loader};

/// The rulesets a policy may extend by name, as published.
const RULESETS: &[(&str, &str)] = &[
    ("default", include_str!("../../rulesets/default.yaml")),
    ("strict", include_str!("../../rulesets/strict.yaml")),
    ("ai-agent", include_str!("../../rulesets/ai-agent.yaml")),
    ("cicd", include_str!("../../rulesets/cicd.yaml")),
    ("permissive", include_str!("../../rulesets/permissive.yaml")),
];
/// Deepest chain of `extends`.
const CHAIN_MAX: usize = 16;

/// A policy with everything it extends.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) policy: Policy,
    /// It extends another, so its additions and removals were applied to that.
    pub(crate) extends: bool,
    /// What hardened mode does and compat doesn't: lists that were written empty to take everything away.
    pub(crate) emptied: Vec<&'static str>,
}

/// Reads a policy and what it extends.
pub(crate) fn resolve(
    name: &str,
    bytes: &[u8],
    loader: &dyn Loader,
    report: &mut Report,
) -> Result<Resolved, ImportError> {
    let mut chain = vec![name.to_owned()];
    let mut policy = parse(name, bytes)?;
    let mut below = Vec::new();
    let mut from = name.to_owned();
    while let Some(reference) = policy.extends.clone() {
        let (source, bytes) = find(&reference, &from, loader)?;
        if chain.contains(&source) {
            return Err(ImportError::Circle { name: source });
        }
        if chain.len() >= CHAIN_MAX {
            return Err(ImportError::TooDeep { most: CHAIN_MAX });
        }
        report.add("extends", Fate::Remark, format!("joined with `{source}`"));
        let parent = parse(&source, &bytes)?;
        below.push(std::mem::replace(&mut policy, parent));
        chain.push(source.clone());
        from = source;
    }
    let extends = !below.is_empty();
    let mut emptied = Vec::new();
    while let Some(child) = below.pop() {
        policy = join(policy, child, &mut emptied);
    }
    Ok(Resolved { policy, extends, emptied })
}

fn parse(name: &str, bytes: &[u8]) -> Result<Policy, ImportError> {
    let policy: Policy = read::yaml(bytes).map_err(|source| ImportError::Read { name: name.to_owned(), source })?;
    let version = policy.version.as_deref().unwrap_or("1.1.0");
    if !VERSIONS.contains(&version) {
        return Err(ImportError::Version { name: name.to_owned(), version: crate::report::quoted(version) });
    }
    Ok(policy)
}

fn find(reference: &str, from: &str, loader: &dyn Loader) -> Result<(String, Vec<u8>), ImportError> {
    let name = reference.strip_prefix("clawdstrike:").unwrap_or(reference);
    if let Some((name, text)) = RULESETS.iter().find(|(known, _)| *known == name) {
        return Ok(((*name).to_owned(), text.as_bytes().to_vec()));
    }
    if reference.contains("://") {
        return Err(ImportError::Extends {
            reference: crate::report::quoted(reference),
            problem: "it is an address; fetch the file and name its path".to_owned(),
        });
    }
    loader
        .load(reference, from)
        .map_err(|problem| ImportError::Extends { reference: crate::report::quoted(reference), problem })
}

fn join(base: Policy, child: Policy, emptied: &mut Vec<&'static str>) -> Policy {
    match child.merge_strategy {
        Strategy::Replace => child,
        Strategy::Merge => Policy {
            guards: if child.guards == Guards::default() { base.guards } else { child.guards },
            custom_guards: if child.custom_guards.is_empty() { base.custom_guards } else { child.custom_guards },
            settings: if child.settings == Settings::default() { base.settings } else { child.settings },
            posture: child.posture.or(base.posture),
            name: or(child.name, base.name),
            description: or(child.description, base.description),
            ..child
        },
        Strategy::DeepMerge => Policy {
            guards: guards(base.guards, child.guards, emptied),
            custom_guards: by_id(base.custom_guards, child.custom_guards),
            settings: Settings {
                fail_fast: child.settings.fail_fast.or(base.settings.fail_fast),
                verbose_logging: child.settings.verbose_logging.or(base.settings.verbose_logging),
                session_timeout_secs: child.settings.session_timeout_secs.or(base.settings.session_timeout_secs),
            },
            posture: match (base.posture, child.posture) {
                (Some(mut base), Some(child)) => {
                    base.states.extend(child.states);
                    Some(Posture {
                        initial: or(child.initial, base.initial),
                        states: base.states,
                        transitions: if child.transitions.is_empty() { base.transitions } else { child.transitions },
                    })
                }
                (base, child) => child.or(base),
            },
            name: or(child.name, base.name),
            description: or(child.description, base.description),
            ..child
        },
    }
}

fn or(child: String, base: String) -> String {
    if child.is_empty() { base } else { child }
}

fn by_id(mut base: Vec<Custom>, child: Vec<Custom>) -> Vec<Custom> {
    for custom in child {
        match base.iter_mut().find(|known| known.id == custom.id) {
            Some(known) => *known = custom,
            None => base.push(custom),
        }
    }
    base
}

fn guards(base: Guards, child: Guards, emptied: &mut Vec<&'static str>) -> Guards {
    Guards {
        forbidden_path: both(base.forbidden_path, child.forbidden_path, default_forbidden_path, |base, child| {
            let own = !child.patterns.is_empty();
            let mut patterns = effective(
                if own { child.patterns } else { base.patterns },
                &base.additional_patterns,
                &base.remove_patterns,
            );
            patterns = effective(patterns, &child.additional_patterns, &child.remove_patterns);
            ForbiddenPath {
                enabled: child.enabled,
                patterns,
                exceptions: effective(base.exceptions, &child.exceptions, &[]),
                additional_patterns: Vec::new(),
                remove_patterns: Vec::new(),
            }
        }),
        path_allowlist: match (base.path_allowlist, child.path_allowlist) {
            (Some(base), Some(child)) => Some(PathAllowlist {
                enabled: child.enabled,
                file_access_allow: or_list(child.file_access_allow, base.file_access_allow),
                file_write_allow: or_list(child.file_write_allow, base.file_write_allow),
                patch_allow: or_list(child.patch_allow, base.patch_allow),
            }),
            (base, child) => child.or(base),
        },
        egress_allowlist: both(base.egress_allowlist, child.egress_allowlist, default_egress, |base, child| {
            if child.allow.as_ref().is_some_and(Vec::is_empty) {
                emptied.push("egress_allowlist.allow");
            }
            Egress {
                enabled: child.enabled,
                allow: joined(base.allow, child.allow, &child.additional_allow, &child.remove_allow),
                block: joined(base.block, child.block, &child.additional_block, &child.remove_block),
                default_action: child.default_action.or(base.default_action),
                ..Egress::default()
            }
        }),
        mcp_tool: both(base.mcp_tool, child.mcp_tool, default_tools, |base, child| {
            if child.allow.as_ref().is_some_and(Vec::is_empty) {
                emptied.push("mcp_tool.allow");
            }
            McpTool {
                enabled: child.enabled,
                allow: joined(base.allow, child.allow, &child.additional_allow, &child.remove_allow),
                block: joined(base.block, child.block, &child.additional_block, &child.remove_block),
                require_confirmation: replaced(
                    child.require_confirmation,
                    base.require_confirmation.unwrap_or_default(),
                ),
                default_action: child.default_action.or(base.default_action),
                max_args_size: child.max_args_size.or(base.max_args_size),
                ..McpTool::default()
            }
        }),
        secret_leak: child.secret_leak.or(base.secret_leak),
        patch_integrity: child.patch_integrity.or(base.patch_integrity),
        prompt_injection: child.prompt_injection.or(base.prompt_injection),
        jailbreak: child.jailbreak.or(base.jailbreak),
        custom: if child.custom.is_empty() { base.custom } else { child.custom },
        shell_command: child.shell_command.or(base.shell_command),
        computer_use: child.computer_use.or(base.computer_use),
        remote_desktop_side_channel: child.remote_desktop_side_channel.or(base.remote_desktop_side_channel),
        input_injection_capability: child.input_injection_capability.or(base.input_injection_capability),
        spider_sense: child.spider_sense.or(base.spider_sense),
    }
}

/// A child speaks to the base's guard, or to its defaults where the base has none.
fn both<T>(base: Option<T>, child: Option<T>, default: fn() -> T, join: impl FnOnce(T, T) -> T) -> Option<T> {
    match (base, child) {
        (Some(base), Some(child)) => Some(join(base, child)),
        (None, Some(child)) => Some(join(default(), child)),
        (base, None) => base,
    }
}

fn effective(mut list: Vec<String>, added: &[String], removed: &[String]) -> Vec<String> {
    for entry in added {
        if !list.contains(entry) {
            list.push(entry.clone());
        }
    }
    list.retain(|entry| !removed.contains(entry));
    list
}

fn or_list(child: Vec<String>, base: Vec<String>) -> Vec<String> {
    if child.is_empty() { base } else { child }
}

/// A list of two levels: the child's own where it has one, else the base's with what the child adds and takes away.
fn joined(
    base: Option<Vec<String>>,
    own: Option<Vec<String>>,
    added: &[String],
    removed: &[String],
) -> Option<Vec<String>> {
    replaced(own, effective(base.unwrap_or_default(), added, removed))
}

fn replaced(child: Option<Vec<String>>, merged: Vec<String>) -> Option<Vec<String>> {
    Some(child.filter(|list| !list.is_empty()).unwrap_or(merged))
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// What holds where a guard isn't mentioned.
pub(crate) fn default_forbidden_path() -> ForbiddenPath {
    ForbiddenPath {
        enabled: true,
        patterns: texts(&[
            "**/.ssh/**",
            "**/id_rsa*",
            "**/id_ed25519*",
            "**/id_ecdsa*",
            "**/.aws/**",
            "**/.env",
            "**/.env.*",
            "**/.git-credentials",
            "**/.gitconfig",
            "**/.gnupg/**",
            "**/.kube/**",
            "**/.docker/**",
            "**/.npmrc",
            "**/.password-store/**",
            "**/pass/**",
            "**/.1password/**",
            "/etc/shadow",
            "/etc/passwd",
            "/etc/sudoers",
        ]),
        exceptions: Vec::new(),
        additional_patterns: Vec::new(),
        remove_patterns: Vec::new(),
    }
}

pub(crate) fn default_egress() -> Egress {
    Egress {
        enabled: true,
        allow: Some(texts(&[
            "*.openai.com",
            "*.anthropic.com",
            "api.github.com",
            "*.npmjs.org",
            "registry.npmjs.org",
            "pypi.org",
            "files.pythonhosted.org",
            "crates.io",
            "static.crates.io",
        ])),
        block: Some(Vec::new()),
        default_action: Some(EgressDefault::Block),
        ..Egress::default()
    }
}

pub(crate) fn default_tools() -> McpTool {
    McpTool {
        enabled: true,
        allow: Some(Vec::new()),
        block: Some(texts(&["shell_exec", "run_command", "raw_file_write", "raw_file_delete"])),
        require_confirmation: Some(texts(&["file_write", "file_delete", "git_push"])),
        default_action: Some(ToolDefault::Allow),
        max_args_size: Some(1024 * 1024),
        ..McpTool::default()
    }
}

/// The patterns `secret_leak` has where none are written.
pub(crate) fn default_secret_patterns() -> Vec<SecretPattern> {
    [
        ("aws_access_key", r"AKIA[0-9A-Z]{16}", Severity::Critical),
        (
            "aws_secret_key",
            r#"(?i)aws[_\-]?secret[_\-]?access[_\-]?key['"]?\s*[:=]\s*['"]?[A-Za-z0-9/+=]{40}"#,
            Severity::Critical,
        ),
        ("github_token", r"gh[ps]_[A-Za-z0-9]{36}", Severity::Critical),
        ("github_pat", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", Severity::Critical),
        ("openai_key", r"sk-[A-Za-z0-9]{48}", Severity::Critical),
        ("openai_project_key", r"sk-proj-[A-Za-z0-9]{48,}", Severity::Critical),
        ("anthropic_key", r"sk-ant-[A-Za-z0-9\-]{95}", Severity::Critical),
        ("private_key", r"-----BEGIN\s+(RSA\s+)?PRIVATE\s+KEY-----", Severity::Critical),
        ("npm_token", r"npm_[A-Za-z0-9]{36}", Severity::Critical),
        ("slack_token", r"xox[baprs]-[0-9]{10,13}-[0-9]{10,13}[a-zA-Z0-9-]*", Severity::Critical),
        ("generic_api_key", r#"(?i)(api[_\-]?key|apikey)['"]?\s*[:=]\s*['"]?[A-Za-z0-9]{32,}"#, Severity::Warning),
        (
            "generic_secret",
            r#"(?i)(secret|password|passwd|pwd)['"]?\s*[:=]\s*['"]?[A-Za-z0-9!@#$%^&*]{8,}"#,
            Severity::Warning,
        ),
    ]
    .into_iter()
    .map(|(name, pattern, severity)| SecretPattern {
        name: name.to_owned(),
        pattern: pattern.to_owned(),
        severity,
        description: None,
        luhn_check: false,
        masking: None,
    })
    .collect()
}

/// The paths `secret_leak` skips where the guard isn't mentioned.
pub(crate) fn default_skip_paths() -> Vec<String> {
    texts(&["**/test/**", "**/tests/**", "**/*_test.*", "**/*.test.*"])
}

/// The patterns `patch_integrity` has where none are written.
pub(crate) fn default_patch_patterns() -> Vec<String> {
    texts(&[
        r"(?i)disable[ _\-]?(security|auth|ssl|tls)",
        r"(?i)skip[ _\-]?(verify|validation|check)",
        r"(?i)rm\s+-rf\s+/",
        r"(?i)chmod\s+777",
        r"(?i)eval\s*\(",
        r"(?i)exec\s*\(",
        r"(?i)reverse[_\-]?shell",
        r"(?i)bind[_\-]?shell",
        r"base64[_\-]?decode.*exec",
    ])
}

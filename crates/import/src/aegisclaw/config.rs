//! `config.yaml` and `auth.yaml`.

use serde::Deserialize;
use serde_json::Value;

use crate::Imported;
use crate::read::{self, ReadError};
use crate::report::{Fate, Report, quoted as shown};
use crate::write::{Writer, accepted, quoted};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    agent: Option<Value>,
    #[serde(default)]
    security: Security,
    #[serde(default)]
    network: Network,
    registry: Option<Registry>,
    telemetry: Option<Value>,
    guardrails: Option<Guardrails>,
    notifications: Option<Vec<Value>>,
    secrets: Option<Secrets>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Security {
    sandbox_backend: Option<String>,
    sandbox_runtime: Option<String>,
    require_approval: Option<bool>,
    audit_enabled: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    default_deny: Option<bool>,
    #[serde(default)]
    allowlist: Vec<String>,
    #[serde(default)]
    allow_private_egress: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    url: Option<String>,
    #[serde(default)]
    trust_keys: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Guardrails {
    mode: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    backend: Option<String>,
    vault: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    #[serde(default)]
    name: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    role: String,
}

pub(super) fn import(bytes: &[u8]) -> Result<Imported, ReadError> {
    let config: Config = read::yaml(bytes)?;
    let mut report = Report::default();
    let mut out = Writer::default();
    out.comment("Imported from an AegisClaw `config.yaml`.");
    out.word("bartizan", 1);
    out.list("extends", &["standard"]);
    out.blank();
    if config.security.require_approval.unwrap_or(true) {
        out.section("exec", |out| out.word("default", "ask"));
        report.add("security.require_approval", Fate::Converted, "`exec.default: ask`");
    } else {
        report.add(
            "security.require_approval",
            Fate::Stricter,
            "what `standard` asks for is asked for; allow it rule by rule",
        );
    }
    net(&config.network, &mut out, &mut report);
    if config.guardrails.is_some() {
        prompts(&config, &mut out, &mut report);
    }
    rest(&config, &mut report);
    Ok(Imported { policy: out.finish(), report })
}

fn net(network: &Network, out: &mut Writer, report: &mut Report) {
    let mut hosts = Vec::new();
    for host in &network.allowlist {
        let rest = host.strip_prefix("*.").unwrap_or(host);
        if host.is_empty() || host == "*" || rest.contains(['*', '/', '@', ' ']) {
            report.add(
                format!("network.allowlist `{}`", shown(host)),
                Fate::Stricter,
                "it is no single host or `*.name`; left out",
            );
        } else {
            hosts.push(host.clone());
        }
    }
    let hosts = accepted(hosts, "network.allowlist", "net: { allow: [", "] }", Fate::Stricter, report);
    let rules: Vec<Vec<(&str, String)>> = hosts
        .iter()
        .map(|host| {
            let mut rule = vec![("host", quoted(host))];
            if network.allow_private_egress {
                rule.push(("private", "true".to_owned()));
            }
            rule
        })
        .collect();
    out.section("net", |out| {
        out.word("default", if network.default_deny.unwrap_or(true) { "deny" } else { "ask" });
        out.mappings("allow", &rules);
    });
    if !rules.is_empty() {
        report.add("network.allowlist", Fate::Converted, "`net.allow`, ports 80 and 443");
    }
    if network.default_deny == Some(false) {
        report.add("network.default_deny", Fate::Stricter, "what isn't listed is asked for");
    }
    if network.allow_private_egress {
        report.add(
            "network.allow_private_egress",
            Fate::Stricter,
            "only listed names may have private addresses, not every destination",
        );
    }
}

fn prompts(config: &Config, out: &mut Writer, report: &mut Report) {
    let mode = config.guardrails.as_ref().and_then(|guardrails| guardrails.mode.as_deref()).unwrap_or_default();
    match mode {
        "off" | "disabled" | "" => report.add(
            "guardrails.mode",
            Fate::Stricter,
            "text is looked at as `standard` says; change `prompts` to loosen it",
        ),
        "block" | "enforce" | "strict" => {
            out.section("prompts", |out| {
                for origin in ["user", "retrieved", "tool"] {
                    out.section(origin, |out| out.word("deny", 60));
                }
            });
            report.add("guardrails.mode", Fate::Converted, "`prompts`");
        }
        _ => report.add(
            "guardrails.mode",
            Fate::Converted,
            "`prompts` of `standard`: what looks like orders is asked for",
        ),
    }
}

fn rest(config: &Config, report: &mut Report) {
    if config.security.audit_enabled == Some(false) {
        report.add("security.audit_enabled", Fate::Stricter, "the ledger can't be switched off");
    }
    for (part, value) in [
        ("security.sandbox_backend", &config.security.sandbox_backend),
        ("security.sandbox_runtime", &config.security.sandbox_runtime),
    ] {
        if let Some(value) = value {
            report.add(
                part,
                Fate::NoEquivalent,
                format!("a policy doesn't choose `{}`; every run is in a box", shown(value)),
            );
        }
    }
    if let Some(registry) = &config.registry {
        if let Some(url) = &registry.url {
            report.add(
                "registry.url",
                Fate::NoEquivalent,
                format!("skills are installed from files; `{}` isn't asked", shown(url)),
            );
        }
        for key in &registry.trust_keys {
            report.add(
                "registry.trust_keys",
                Fate::Remark,
                format!("check manifests with `--trust-key {}`", shown(key)),
            );
        }
    }
    if let Some(secrets) = &config.secrets {
        let backend = secrets.backend.as_deref().unwrap_or("the local store");
        let vault = if secrets.vault.is_some() { ", its address and login included" } else { "" };
        report.add(
            "secrets",
            Fate::NoEquivalent,
            format!("secrets of `{}` stay where they are{vault}", shown(backend)),
        );
    }
    for (part, present, reason) in [
        ("agent", config.agent.is_some(), "settings of that program's own agent"),
        ("telemetry", config.telemetry.is_some(), "no data about use is sent anywhere"),
        (
            "notifications",
            config.notifications.as_ref().is_some_and(|list| !list.is_empty()),
            "where people are told is no part of a policy",
        ),
    ] {
        if present {
            report.add(part, Fate::NoEquivalent, reason);
        }
    }
}

pub(super) fn import_auth(bytes: &[u8]) -> Result<Imported, ReadError> {
    let auth: Auth = read::yaml(bytes)?;
    let mut report = Report::default();
    if !auth.enabled {
        report.add(
            "enabled",
            Fate::Stricter,
            "without keys everybody was let in; who may use this account's Bartizan is whoever owns its files",
        );
    }
    for (index, key) in auth.keys.iter().enumerate() {
        let part = format!("keys[{index}] `{}`", shown(&key.name));
        report.add(
            part.as_str(),
            Fate::NoEquivalent,
            format!(
                "role `{}`: a policy names no people; each has an account and a policy of their own",
                shown(&key.role)
            ),
        );
        if !key.token.is_empty() {
            report.add(
                part.as_str(),
                Fate::Remark,
                "its token lies in the file in plain text and was not copied; revoke it",
            );
        }
    }
    Ok(Imported { policy: String::new(), report })
}

//! The compat guards that look into texts: secrets, patches, orders.

use bartizan_model::{Sighting, SightingClass};

use super::{refuse, warn};
use crate::guards::Findings;
use crate::language::{
    CompatInjection, CompatJailbreak, CompatLevel, CompatPatches, CompatSecret, CompatSecrets, CompatSeverity,
};
use crate::risk::Words;

/// Most matches that are named.
const NAMED_MAX: usize = 32;

/// Secrets by form. One byte that is no UTF-8 and nothing is looked at, as over there.
pub(super) fn secrets(guard: &CompatSecrets, bytes: &[u8], findings: &mut Findings) {
    if std::str::from_utf8(bytes).is_err() {
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    let mut worst = None;
    for secret in &guard.patterns {
        for found in secret.pattern.value.find_all(bytes).take(NAMED_MAX) {
            if counts(secret, found) {
                names.push(&secret.name);
                worst = worst.max(Some(secret.severity));
            }
        }
    }
    names.truncate(NAMED_MAX);
    match worst {
        Some(severity) if severity >= guard.threshold => {
            let message = format!("Potential secrets detected: {}", names.join(", "));
            refuse(findings, "compat.secret_leak", severity, message);
        }
        Some(_) => {
            let message = format!("Potential secrets detected (warning): {}", names.join(", "));
            warn(findings, "compat.secret_leak", message);
        }
        None => {}
    }
}

fn counts(secret: &CompatSecret, found: &[u8]) -> bool {
    if !secret.luhn {
        return true;
    }
    let digits: Vec<u32> = found.iter().filter_map(|byte| char::from(*byte).to_digit(10)).collect();
    let same = digits.iter().all(|digit| digits.first() == Some(digit));
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, *digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    (13..=19).contains(&digits.len()) && !same && sum.is_multiple_of(10)
}

/// Lines that begin with `+` and `-`, whatever else they are.
pub(super) fn patch(guard: &CompatPatches, bytes: &[u8], findings: &mut Findings) {
    let (mut added, mut removed) = (0_u64, 0_u64);
    let mut forbidden: Vec<&str> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if line.starts_with(b"+") && !line.starts_with(b"+++") {
            added += 1;
            let hits = guard.forbidden.iter().filter(|pattern| pattern.value.is_match(line));
            forbidden
                .extend(hits.map(|pattern| pattern.value.as_str()).take(NAMED_MAX.saturating_sub(forbidden.len())));
        } else if line.starts_with(b"-") && !line.starts_with(b"---") {
            removed += 1;
        }
    }
    let mut issues = Vec::new();
    if !forbidden.is_empty() {
        issues.push(format!("Contains forbidden patterns: {}", forbidden.join(", ")));
    }
    if added > guard.additions_max {
        issues.push(format!("Too many additions: {added} (max: {})", guard.additions_max));
    }
    if removed > guard.deletions_max {
        issues.push(format!("Too many deletions: {removed} (max: {})", guard.deletions_max));
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of lines are far below 2^52")]
    let ratio = match (added, removed) {
        (0, 0) => 1.0,
        (_, 0) => f64::INFINITY,
        (added, removed) => added as f64 / removed as f64,
    };
    if let Some(most) = guard.ratio_max.filter(|most| ratio > *most) {
        issues.push(format!("Imbalanced patch: ratio {ratio:.2} (max: {most:.2})"));
    }
    if !issues.is_empty() {
        let severity = if forbidden.is_empty() { CompatSeverity::Error } else { CompatSeverity::Critical };
        refuse(findings, "compat.patch_integrity", severity, issues.join("; "));
    }
}

const OVERRIDING: &[&str] =
    &["ignore", "disregard", "bypass", "override", "disable", "skip", "forget", "circumvent", "evade"];
const RULES: &[&str] = &[
    "policy",
    "policies",
    "safety",
    "security",
    "guardrail",
    "guardrails",
    "guard",
    "filter",
    "filters",
    "protections",
    "rules",
    "instructions",
    "instruction",
    "directions",
    "restrictions",
];
const SENDING: &[&str] =
    &["send", "post", "upload", "exfiltrate", "exfiltrating", "exfiltration", "leak", "reveal", "print", "dump"];
const CREDENTIALS: &[&str] =
    &["secret", "secrets", "token", "tokens", "password", "passwords", "credentials", "key", "keys"];
const SHOWING: &[&str] = &["reveal", "show", "tell", "repeat", "print", "output", "display", "copy", "what"];
const HIDDEN: &[&str] =
    &["system prompt", "system message", "developer message", "hidden instructions", "hidden prompt", "jailbreak"];
const PERSONAS: &[&str] = &[
    "dan",
    "you are now",
    "do anything now",
    "developer mode",
    "act as if",
    "pretend you",
    "no restrictions",
    "unrestricted",
];
/// How many words may stand between the two halves of a sign.
const NEAR_WORDS: usize = 10;

/// What the text itself says, by signs of the sort the other program looked for: the scanner's own judgement, which
/// sees more, only ever adds to it.
fn signs(words: &Words) -> CompatLevel {
    if words.near(SENDING, CREDENTIALS, NEAR_WORDS) {
        return CompatLevel::Critical;
    }
    let hidden = words.any(HIDDEN);
    if words.near(OVERRIDING, RULES, NEAR_WORDS) || hidden && words.any(SHOWING) {
        CompatLevel::High
    } else if hidden {
        CompatLevel::Suspicious
    } else {
        CompatLevel::Safe
    }
}

fn scanned(sightings: &[Sighting], most: usize) -> u8 {
    let injections = sightings.iter().filter(|sighting| sighting.class == SightingClass::Injection);
    injections.filter(|sighting| sighting.span.start < most).map(|sighting| sighting.score).max().unwrap_or(0)
}

/// Orders in retrieved text, in the levels of the other program.
pub(super) fn injection(guard: &CompatInjection, text: &[u8], sightings: &[Sighting], findings: &mut Findings) {
    let most = usize::try_from(guard.bytes_max).unwrap_or(usize::MAX);
    let seen = text.get(..text.len().min(most)).unwrap_or_default();
    let scanned = match scanned(sightings, most) {
        0..50 => CompatLevel::Safe,
        50..60 => CompatLevel::Suspicious,
        _ => CompatLevel::High,
    };
    let level = scanned.max(signs(&Words::new(&String::from_utf8_lossy(seen))));
    let message = || format!("Untrusted text contains prompt-injection signals ({level:?})");
    if level >= guard.block {
        let severity = match level {
            CompatLevel::Critical => CompatSeverity::Critical,
            CompatLevel::High | CompatLevel::Suspicious => CompatSeverity::Error,
            CompatLevel::Safe => CompatSeverity::Info,
        };
        refuse(findings, "compat.prompt_injection", severity, message());
    } else if level >= guard.warn {
        warn(findings, "compat.prompt_injection", message());
    }
}

/// A person's own words, as a score from 0 to 100.
pub(super) fn jailbreak(guard: &CompatJailbreak, text: &[u8], sightings: &[Sighting], findings: &mut Findings) {
    let words = Words::new(&String::from_utf8_lossy(text));
    let persona = if words.any(PERSONAS) { 40 } else { 0 };
    let orders = match signs(&words) {
        CompatLevel::Safe => 0,
        CompatLevel::Suspicious => 20,
        CompatLevel::High | CompatLevel::Critical => 40,
    };
    let score = scanned(sightings, usize::MAX).max(persona + orders);
    if score >= guard.block {
        let message = "Jailbreak attempt detected".to_owned();
        refuse(findings, "compat.jailbreak_detection", CompatSeverity::Error, message);
    } else if score >= guard.warn {
        warn(findings, "compat.jailbreak_detection", "Potential jailbreak attempt detected".to_owned());
    }
}

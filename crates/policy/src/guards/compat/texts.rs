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

/// What orders that also speak of these are: an attempt at what must not leave.
const CREDENTIALS: &[&str] = &[
    "secret",
    "secrets",
    "token",
    "tokens",
    "password",
    "passwords",
    "credential*",
    "api key",
    "api keys",
    "private key",
];

/// How sure the scanner is, in the levels of the other program.
pub(super) fn injection(guard: &CompatInjection, text: &[u8], sightings: &[Sighting], findings: &mut Findings) {
    let most = usize::try_from(guard.bytes_max).unwrap_or(usize::MAX);
    let score = sightings
        .iter()
        .filter(|sighting| sighting.class == SightingClass::Injection && sighting.span.start < most)
        .map(|sighting| sighting.score)
        .max()
        .unwrap_or(0);
    let credentials = || {
        let seen = text.get(..text.len().min(most)).unwrap_or_default();
        Words::new(&String::from_utf8_lossy(seen)).any(CREDENTIALS)
    };
    let level = match score {
        0..50 => CompatLevel::Safe,
        _ if credentials() => CompatLevel::Critical,
        50..60 => CompatLevel::Suspicious,
        60..90 => CompatLevel::High,
        _ => CompatLevel::Critical,
    };
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

/// A person's own words by the scanner's score.
pub(super) fn jailbreak(guard: &CompatJailbreak, sightings: &[Sighting], findings: &mut Findings) {
    let injections = sightings.iter().filter(|sighting| sighting.class == SightingClass::Injection);
    let score = injections.map(|sighting| sighting.score).max().unwrap_or(0);
    if score >= guard.block {
        let message = "Jailbreak attempt detected".to_owned();
        refuse(findings, "compat.jailbreak_detection", CompatSeverity::Error, message);
    } else if score >= guard.warn {
        warn(findings, "compat.jailbreak_detection", "Potential jailbreak attempt detected".to_owned());
    }
}

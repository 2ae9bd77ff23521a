//! Rego modules: theirs decide over scopes, Bartizan's over actions. A module is rewritten name by name, its rules as
//! they are, and rules are added that turn an action into the scope it would have needed. The result can only deny or
//! ask, as all Rego here; an answer that isn't one of the known words denies.

use crate::read::{self, ReadError};
use crate::report::{Fate, Report, quoted};

/// Why a module can't be taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegoError {
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Another package.
    #[error("its package is not `aegisclaw.policy`; only modules of that package are known")]
    Package,
    /// It gives no answer.
    #[error("it has neither `decision` nor `allow` and `deny`; there is nothing to ask it")]
    NoAnswer,
    /// Older Rego.
    #[error(
        "line {line} is Rego before version 1 (a rule without `if`); rewrite it with `opa fmt --v0-v1 -w` and import that"
    )]
    OldRego {
        /// The line, from 1.
        line: usize,
    },
    /// It looks at something actions don't have.
    #[error("it reads `{name}`, which no action has; take the rule out or write it anew")]
    Input {
        /// What it reads.
        name: String,
    },
    /// A text or name that never ends.
    #[error("a text is open at its end; it is no Rego")]
    Open,
}

const ADAPTER: &str = include_str!("adapter.rego");

const DECISION: &str = "
deny contains \"the imported module denies it\" if {
\timported_scope
\timported_decision == \"deny\"
}

deny contains \"the imported module gives no answer it knows\" if {
\timported_scope
\tnot imported_known
}

imported_known if imported_decision in {\"allow\", \"deny\", \"require_approval\"}

ask contains \"the imported module wants a person's approval\" if {
\timported_scope
\timported_decision == \"require_approval\"
}
";

const BOOLEANS: &str = "
deny contains \"the imported module denies it\" if {
\timported_scope
\timported_deny
}

deny contains \"the imported module doesn't allow it\" if {
\timported_scope
\tnot imported_allow
}
";

/// Rewrites a module.
///
/// # Errors
/// The module isn't one of AegisClaw's, is of an age that isn't read, or looks at what actions don't have.
pub fn adapt(bytes: &[u8], report: &mut Report) -> Result<String, RegoError> {
    let text = read::text(bytes)?;
    let mut answers = Answers::default();
    let rewritten = rewrite(text, &mut answers)?;
    if !answers.package {
        return Err(RegoError::Package);
    }
    let tail = match (answers.decision, answers.allow || answers.deny) {
        (true, _) => DECISION.to_owned(),
        (false, true) => {
            // A rule that never holds stands for the one the module leaves out.
            let missing = [(answers.allow, "imported_allow"), (answers.deny, "imported_deny")];
            let missing = missing.iter().filter(|(there, _)| !there).map(|(_, name)| format!("\n{name} := false\n"));
            format!("{}{BOOLEANS}", missing.collect::<String>())
        }
        (false, false) => return Err(RegoError::NoAnswer),
    };
    if text.contains("startswith(") {
        let reason = "paths come without `..`, so `/tmp/../etc` is no longer below `/tmp`";
        report.add("module", Fate::Stricter, reason);
    }
    let reason = "it is asked about the scope each action would have needed; it can deny and ask, and allows nothing the policy denies";
    report.add("module", Fate::Converted, reason);
    if answers.signed {
        let reason = "it is always false: whether a manifest's signature holds is told when it is imported";
        report.add("input.skill_signed", Fate::Stricter, reason);
    }
    if answers.approval {
        let reason = "it is always false: a person is asked for each action the module wants approval for";
        report.add("input.approval", Fate::Stricter, reason);
    }
    Ok(format!("# Imported from a module of AegisClaw.\n{rewritten}\n{}{tail}", ADAPTER.trim_start_matches('\n')))
}

/// What a module has.
#[derive(Default)]
struct Answers {
    package: bool,
    decision: bool,
    allow: bool,
    deny: bool,
    signed: bool,
    approval: bool,
}

/// Names replaced, texts and comments as they are.
fn rewrite(text: &str, answers: &mut Answers) -> Result<String, RegoError> {
    let mut out = String::with_capacity(text.len() + 256);
    let mut rest = text;
    let mut starts_line = true;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => string_end(rest)?,
            '`' => rest.get(1..).and_then(|tail| tail.find('`')).ok_or(RegoError::Open)? + 2,
            c if c.is_ascii_alphabetic() || c == '_' => name_end(rest),
            c => c.len_utf8(),
        };
        let (token, tail) = rest.split_at_checked(taken).ok_or(RegoError::Open)?;
        if starts_line && (c.is_ascii_alphabetic() || c == '_') {
            let head = head_of(rest);
            if head.trim_end().ends_with('{')
                && !head.contains(" if ")
                && !head.contains("= {")
                && !head.contains(" if{")
            {
                let line = text.len().checked_sub(rest.len()).and_then(|at| text.get(..at));
                let line = line.map_or(0, |before| before.matches('\n').count()) + 1;
                return Err(RegoError::OldRego { line });
            }
        }
        if c.is_ascii_alphabetic() || c == '_' {
            out.push_str(&replacement(token, answers)?);
        } else {
            out.push_str(token);
        }
        starts_line = token.ends_with('\n');
        rest = tail;
    }
    Ok(out)
}

/// The line a rule begins with, its comment left out.
fn head_of(rest: &str) -> &str {
    let line = rest.lines().next().unwrap_or_default();
    line.split(" #").next().unwrap_or(line)
}

fn string_end(text: &str) -> Result<usize, RegoError> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return Ok(at + 1),
            '\n' => return Err(RegoError::Open),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    Err(RegoError::Open)
}

/// A name with its dotted parts.
fn name_end(text: &str) -> usize {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut end = text.find(|c| !plain(c)).unwrap_or(text.len());
    while let Some(tail) = text.get(end..).and_then(|tail| tail.strip_prefix('.')) {
        let part = tail.find(|c| !plain(c)).unwrap_or(tail.len());
        if part == 0 {
            break;
        }
        end += 1 + part;
    }
    end
}

fn replacement(name: &str, answers: &mut Answers) -> Result<String, RegoError> {
    let known = |head: &str| name.strip_prefix(head).filter(|rest| rest.is_empty() || rest.starts_with('.'));
    Ok(match name {
        "aegisclaw.policy" => {
            answers.package = true;
            "bartizan".to_owned()
        }
        "decision" | "allow" | "deny" => {
            match name {
                "decision" => answers.decision = true,
                "allow" => answers.allow = true,
                _ => answers.deny = true,
            }
            format!("imported_{name}")
        }
        "input.scope_risk" => "imported_scope.risk".to_owned(),
        "input.skill_signed" => {
            answers.signed = true;
            "imported_signed".to_owned()
        }
        "input.approval" => {
            answers.approval = true;
            "imported_approval".to_owned()
        }
        name => match (known("input.scope"), known("data.aegisclaw.policy"), known("input")) {
            (Some(rest), ..) if matches!(rest, "" | ".name" | ".resource" | ".risk") => format!("imported_scope{rest}"),
            (_, Some(rest), _) => format!("data.bartizan{rest}"),
            (None, None, None) => name.to_owned(),
            _ => return Err(RegoError::Input { name: quoted(name) }),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(text: &str) -> Result<String, RegoError> {
        adapt(text.as_bytes(), &mut Report::default())
    }

    #[test]
    fn names_change_and_texts_stay() {
        let module = "package aegisclaw.policy\n\nimport rego.v1\n\n# input.scope.name stays here\ndefault decision = \"deny\"\n\n\
            decision = \"allow\" if {\n\tinput.scope.name == \"input.scope.name\"\n\tnot input.skill_signed\n}\n";
        let text = adapted(module).unwrap();
        for part in [
            "package bartizan\n",
            "# input.scope.name stays here\n",
            "default imported_decision = \"deny\"\n",
            "imported_decision = \"allow\" if {\n\timported_scope.name == \"input.scope.name\"\n\tnot imported_signed\n}\n",
            "deny contains",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        assert_eq!(adapted("package other\nallow if true\n"), Err(RegoError::Package));
        assert_eq!(adapted("package aegisclaw.policy\nx := 1\n"), Err(RegoError::NoAnswer));
        let old = "package aegisclaw.policy\ndefault allow = false\nallow {\n\tinput.scope_risk == \"low\"\n}\n";
        assert_eq!(adapted(old), Err(RegoError::OldRego { line: 3 }));
        let odd = "package aegisclaw.policy\nallow if input.user == \"me\"\n";
        assert_eq!(adapted(odd), Err(RegoError::Input { name: "input.user".into() }));
        assert_eq!(adapted("package aegisclaw.policy\nallow if \"x\n"), Err(RegoError::Open));
        assert_eq!(adapted("package aegisclaw.policy\nallow if `x\n"), Err(RegoError::Open));
        assert!(adapted("package aegisclaw.policy\nimport rego.v1\nallow if input.scope.risk == \"low\"\n").is_ok());
    }
}

//! Scopes: capability strings such as `files.read:/workspace` or `net.outbound:api.github.com`. What isn't known is
//! refused, never guessed.

use std::str::FromStr;

use crate::Risk;

/// Longest scope.
const SCOPE_BYTES_MAX: usize = 512;

/// Every scope, with its risk.
const SCOPES: &[(&str, Risk)] = &[
    ("shell.exec", Risk::Critical),
    ("files.write", Risk::High),
    ("email.send", Risk::High),
    ("secrets.access", Risk::High),
    ("http.request", Risk::Medium),
    ("email.read", Risk::Medium),
    ("calendar.read", Risk::Medium),
    ("net.outbound", Risk::Medium),
    ("net.internal", Risk::Medium),
    ("tools.call", Risk::Medium),
    ("llm.request", Risk::Low),
    ("files.read", Risk::Low),
];

/// Why a scope is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// Not one of the known ones.
    #[error("scope `{scope}` is not known; known are {known}")]
    Unknown {
        /// As written.
        scope: String,
        /// The known ones.
        known: String,
    },
    /// The part after the colon makes no sense.
    #[error("scope `{scope}`: {problem}")]
    Resource {
        /// As written.
        scope: String,
        /// What is wrong, and what to write.
        problem: &'static str,
    },
}

/// A scope as it is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Its name, e.g. `files.read`.
    pub name: &'static str,
    /// What it is over; everything when absent.
    pub resource: Option<String>,
    /// How much harm it could do.
    pub risk: Risk,
}

impl Scope {
    /// Reads `name` or `name:resource`.
    ///
    /// # Errors
    /// It isn't known, or its resource makes no sense.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let (name, resource) = match text.split_once(':') {
            Some((name, resource)) => (name, Some(resource)),
            None => (text, None),
        };
        let known = SCOPES.iter().find(|(known, _)| *known == name).filter(|_| text.len() <= SCOPE_BYTES_MAX);
        let Some((name, risk)) = known else {
            let known = SCOPES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            return Err(ScopeError::Unknown { scope: quoted(text), known });
        };
        let problem = |problem| Err(ScopeError::Resource { scope: quoted(text), problem });
        if let Some(resource) = resource {
            if resource.is_empty() || resource.chars().any(|c| c.is_control() || c.is_whitespace()) {
                return problem("the part after the colon is empty or holds blanks");
            }
            let path = matches!(*name, "files.read" | "files.write");
            let mut steps = resource.split('/');
            let begins_well = matches!(steps.next(), Some("" | "." | "~")) && resource != "~";
            if path && (!begins_well || steps.any(|step| matches!(step, ".." | "."))) {
                return problem("a path begins with `/`, `~/` or `./` and has no other `.` or `..` steps");
            }
            if path && resource.contains(['*', '?', '{', '}', '[', ']', '\\', '!']) {
                return problem("a path is written out, without wildcards");
            }
            if matches!(*name, "http.request" | "net.outbound" | "net.internal")
                && resource.contains(['/', '@', '?', '#'])
            {
                return problem("a host is written alone: `name`, `*.name` or `name:port`");
            }
        }
        if *name == "net.internal" && resource.is_none() {
            return problem("a service is named: `net.internal:redis`");
        }
        if *name == "tools.call" && resource.is_some_and(|tool| !tool.contains('/')) {
            return problem("a tool is written `server/name`, with `*` for any");
        }
        Ok(Self { name, resource: resource.map(str::to_owned), risk: *risk })
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::parse(text)
    }
}

/// A stranger's text, shown safely.
fn quoted(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}

impl std::fmt::Display for Scope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.resource {
            Some(resource) => write!(formatter, "{}:{resource}", self.name),
            None => formatter.write_str(self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_scopes_only() {
        let scope = Scope::parse("files.read:/workspace").unwrap();
        assert_eq!((scope.name, scope.resource.as_deref(), scope.risk), ("files.read", Some("/workspace"), Risk::Low));
        assert_eq!(Scope::parse("shell.exec").unwrap().risk, Risk::Critical);
        for good in [
            "net.outbound:*.example.com:8443",
            "files.write:./out",
            "files.read:.",
            "files.read:~/src",
            "tools.call:github/*",
        ] {
            assert!(Scope::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "files.read:~root/x",
            "files.read:./../x",
            "net.internal",
            "tools.call:github",
            "",
            "files",
            "files.read:",
            "files.reed:/x",
            "Files.read:/x",
            "files.read:x",
            "files.read:/a/../b",
            "files.write:/a/*",
            "http.request:https://x/y",
            "net.outbound:a b",
            "files.read:/a\u{0}",
            ":x",
            "admin",
        ] {
            assert!(Scope::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Scope::parse(&format!("files.read:/{}", "a".repeat(600))).is_err());
    }
}

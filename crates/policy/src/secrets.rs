//! What secrets are bound to. A placeholder in a request gives way to its secret's value only under a binding: of the
//! user's policy (`secret:` of a net rule) or of the secret's owner (a [`Grant`]). Everything else is denied, and the
//! finding says which binding is missing.

use std::collections::BTreeSet;

use bartizan_model::{Deed, Effect, Risk, RuleRef, SecretUse};
use serde::{Deserialize, Serialize};

use crate::decode::net::net_rule_text;
use crate::guards::{Findings, Found};
use crate::host::{Host, HostPattern};
use crate::http::{RequestPattern, Requests};
use crate::language::{HttpRule, NetRule, PolicyFile, Ports};
use crate::place::{Place, quoted};
use crate::policy::Compiled;
use crate::request::{Fit, Request};

/// Ports of a binding that names none.
const DEFAULT_PORTS: [Ports; 2] = [Ports { first: 80, last: 80 }, Ports { first: 443, last: 443 }];
/// Longest text around a secret.
const TEXT_BYTES_MAX: usize = 1024;
/// Longest position.
const POSITION_BYTES_MAX: usize = 256;
/// Longest name of a secret.
pub const SECRET_NAME_BYTES_MAX: usize = 64;
/// Most grants of one secret: each names a service that takes it.
pub const GRANTS_MAX: usize = 64;

/// What the owner of a secret bound it to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// `host` or `host:port`, as in `net.allow`.
    pub host: String,
    /// Methods in upper case; empty means every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub method: Vec<String>,
    /// Path pattern; `None` means every path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Where in the request: `header.authorization`, `query.key`, `basic.password`, `json.auth.token`.
    pub at: String,
    /// The whole text there, with `${NAME}`; `None` means any text around the placeholder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// It may also go over connections that anybody on the way can read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_http: bool,
}

impl Grant {
    /// Puts it in its one form and says what is wrong with it.
    ///
    /// # Errors
    /// A sentence with what would be right.
    pub fn checked(mut self, secret: &str) -> Result<Self, String> {
        let rule = net_rule_text(&self.host)?;
        if let Some(problem) = rule.host.too_wide() {
            return Err(problem);
        }
        if matches!(rule.host, HostPattern::AnyName) {
            return Err("a secret is bound to hosts by name; `*` would hand it to anybody".into());
        }
        for method in &mut self.method {
            *method = method.to_ascii_uppercase();
            if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
                return Err(format!("{} is no HTTP method", quoted(method)));
            }
        }
        if let Some(path) = &self.path {
            RequestPattern::parse(path)?;
        }
        self.at = position(&self.at)?;
        match self.text.as_deref().map(|text| (text, secret_in(text))) {
            Some((text, name)) if name != Some(secret) => {
                Err(format!("{} does not hold the secret; write `${{{secret}}}` where its value stands", quoted(text)))
            }
            _ => Ok(self),
        }
    }

    /// In words.
    #[must_use]
    pub fn describe(&self) -> String {
        let method = if self.method.is_empty() { "any method".to_owned() } else { self.method.join(",") };
        let path = self.path.as_deref().unwrap_or("/**");
        let text = self.text.as_ref().map(|text| format!(" as `{text}`")).unwrap_or_default();
        let plain = if self.plain_http { ", over plain HTTP too" } else { "" };
        format!("{method} {}{path} at {}{text}{plain}", self.host, self.at)
    }
}

/// Whether this can be the name of a secret; else why not.
///
/// # Errors
/// A sentence with what would be right.
pub fn check_secret_name(name: &str) -> Result<(), String> {
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let good = starts
        && name.len() <= SECRET_NAME_BYTES_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if good {
        return Ok(());
    }
    Err(format!(
        "{} is no name of a secret; write 1 to {SECRET_NAME_BYTES_MAX} letters, digits, `_`, `-` and `.`, such as `GITHUB_TOKEN`",
        quoted(name)
    ))
}

/// A position in its one form.
pub(crate) fn position(text: &str) -> Result<String, String> {
    let problem = || {
        format!(
            "{} is no place in a request; write `header.<name>`, `query.<name>`, `basic.user`, `basic.password` or `json.<field>`",
            quoted(text)
        )
    };
    let (kind, name) = text.split_once('.').ok_or_else(problem)?;
    if name.is_empty() || text.len() > POSITION_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(problem());
    }
    match kind {
        "header" if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) => {
            let name = name.to_ascii_lowercase();
            // What frames a message or says whom it is for is never written by anything but its sender.
            if matches!(name.as_str(), "host" | "content-length" | "transfer-encoding" | "connection" | "upgrade") {
                return Err(format!("{}: no secret stands in this header", quoted(text)));
            }
            Ok(format!("header.{name}"))
        }
        "query" | "json" => Ok(text.to_owned()),
        "basic" if matches!(name, "user" | "password") => Ok(text.to_owned()),
        _ => Err(problem()),
    }
}

/// The one secret a text in a request names by `${NAME}`.
pub(crate) fn secret_in(text: &str) -> Option<&str> {
    one_secret(text).filter(|_| text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control))
}

/// The one secret a text of any form names by `${NAME}`.
pub(crate) fn one_secret(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("${")?;
    let (name, after) = rest.split_once('}')?;
    (!after.contains("${") && check_secret_name(name).is_ok()).then_some(name)
}

/// What a secret is bound to.
#[derive(Debug)]
struct Binding {
    secret: String,
    at: String,
    text: Option<String>,
    host: HostPattern,
    ports: Vec<Ports>,
    requests: Option<Requests>,
    plain_http: bool,
    /// Of the policy; `None` for a grant.
    place: Option<Place>,
}

/// Every binding in force.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    list: Vec<Binding>,
}

impl Bindings {
    /// Those of the user's policy, and those of owners, by the secret's name.
    pub(crate) fn compile(user: &PolicyFile, grants: &[(String, Grant)]) -> Self {
        let mut bindings = Self::default();
        let lists = user.net.iter().flat_map(|net| [&net.allow, &net.ask]).flatten().flatten();
        for rule in lists {
            bindings.rule(&rule.value, &rule.place);
        }
        for (secret, grant) in grants {
            // What isn't sound binds nothing; it was checked when it was made.
            let Ok(grant) = grant.clone().checked(secret) else { continue };
            let Ok(rule) = net_rule_text(&grant.host) else { continue };
            let http = HttpRule { method: grant.method, path: grant.path, ..HttpRule::default() };
            bindings.list.push(Binding {
                secret: secret.clone(),
                at: grant.at,
                text: grant.text,
                host: rule.host,
                ports: ports(&rule.ports),
                requests: Some(Requests::compile(&[http], false)),
                plain_http: grant.plain_http,
                place: None,
            });
        }
        bindings
    }

    fn rule(&mut self, rule: &NetRule, place: &Place) {
        let Some(secrets) = &rule.secret else { return };
        for (at, text) in &secrets.places {
            self.list.push(Binding {
                secret: text.name.clone(),
                at: at.clone(),
                text: Some(text.text.clone()),
                host: rule.host.clone(),
                ports: ports(&rule.ports),
                requests: rule.http.as_ref().map(|http| Requests::compile(http, false)),
                plain_http: secrets.plain_http,
                place: Some(place.clone()),
            });
        }
    }

    /// The secrets it names.
    pub(crate) fn secrets(&self) -> BTreeSet<&str> {
        self.list.iter().map(|binding| binding.secret.as_str()).collect()
    }

    /// Whether requests to this destination must be seen one by one: a secret is bound to it.
    pub(crate) fn concern(&self, deed: &Deed) -> bool {
        // Most policies bind nothing, and then no host is put in its one form for it.
        if self.list.is_empty() {
            return false;
        }
        let (Deed::NetConnect { host, port } | Deed::HttpRequest { host, port, .. }) = deed else { return false };
        let Some(host) = Host::canonical(host) else { return false };
        self.list.iter().any(|binding| binding.reaches(&host, *port))
    }

    /// Looks at every placeholder in a request: what no binding covers is denied, what a policy holds back is held back.
    pub(crate) fn check<'a>(
        &self,
        deed: &Deed,
        layers: impl Iterator<Item = &'a Compiled> + Clone,
        findings: &mut Findings,
    ) {
        let Deed::HttpRequest { placeholders, .. } = deed else { return };
        for wanted in placeholders {
            let by_policy = match self.covering(deed, wanted) {
                Ok(binding) => binding.place.is_some(),
                Err(missing) => {
                    let place = self.place_of(&wanted.name);
                    let found = Found::new("secrets", Effect::Deny, Risk::Critical, "secrets.binding", place, missing);
                    findings.push(found.text(wanted.name.clone()));
                    continue;
                }
            };
            for (number, layer) in layers.clone().enumerate() {
                self.by_name(&wanted.name, layer, number == 0, by_policy, findings);
            }
        }
    }

    /// What the section `secrets` says of the name. The user's default speaks only where it was written, and not of
    /// secrets that the policy itself binds: the binding is the rule then.
    fn by_name(&self, name: &str, layer: &Compiled, user: bool, by_policy: bool, findings: &mut Findings) {
        let Some(section) = &layer.secrets else { return };
        let (effect, rule) = match section.rules.decide("", name, &serde_json::Value::Null) {
            Some((effect, number)) => match section.rules.rules.get(number as usize) {
                Some(rule) => (effect, rule.reference()),
                None => return,
            },
            None if user && (by_policy || section.default_place.is_none()) => return,
            None => {
                let source = section.default_place.as_ref().map(Place::short);
                (section.rules.default, RuleRef { rule: "secrets.default".into(), text: None, source })
            }
        };
        if effect > Effect::Allow {
            let message = format!("it would use the secret `{name}`");
            findings.push(Found { guard: "secrets", message, effect, rule, risk: Risk::High });
        }
    }

    fn place_of(&self, secret: &str) -> Option<&Place> {
        self.list.iter().filter(|binding| binding.secret == secret).find_map(|binding| binding.place.as_ref())
    }

    /// The binding that covers a use, or what is missing, in a sentence that ends with the next step.
    fn covering(&self, deed: &Deed, wanted: &SecretUse) -> Result<&Binding, String> {
        let Deed::HttpRequest { method, scheme, host, port, path, .. } = deed else {
            return Err("only requests carry secrets".into());
        };
        let request = Request::of(deed);
        let SecretUse { name, at, text } = wanted;
        let next = format!(
            "`bartizan secret grant {name} --host {host} --method {method} --path '{path}' --at {at}` would bind it there"
        );
        let mut bindings: Vec<&Binding> = self.list.iter().filter(|binding| binding.secret == *name).collect();
        if bindings.is_empty() {
            return Err(format!("the secret `{name}` is bound to nothing; {next}"));
        }
        let canonical = Host::canonical(host);
        type Fits<'f> = (&'f dyn Fn(&Binding) -> bool, String);
        let steps: [Fits<'_>; 5] = [
            (
                &|binding| canonical.as_ref().is_some_and(|host| binding.reaches(host, *port)),
                format!("is not bound to `{host}` port {port}; {next}"),
            ),
            (
                &|binding| {
                    let fits =
                        |requests: &Requests| request.as_ref().is_some_and(|request| requests.fit(request) == Fit::Yes);
                    binding.requests.as_ref().is_none_or(fits)
                },
                format!("is not bound to {method} {path} on `{host}`; {next}"),
            ),
            (&|binding| binding.at == *at, format!("is not bound to `{at}` of requests to `{host}`; {next}")),
            (
                &|binding| binding.text.as_ref().is_none_or(|bound| bound.eq_ignore_ascii_case(text)),
                format!("is bound to `{at}` with other text around it; send {}", self.texts(name, at)),
            ),
            (
                &|binding| binding.plain_http || scheme == "https",
                format!(
                    "is not bound to plain HTTP, which anybody on the way can read; use https, or `{}`",
                    "--plain-http"
                ),
            ),
        ];
        for (fits, missing) in steps {
            bindings.retain(|binding| fits(binding));
            if bindings.is_empty() {
                return Err(format!("the secret `{name}` {missing}"));
            }
        }
        // The policy's own binding speaks first: a grant adds to it.
        bindings.sort_by_key(|binding| binding.place.is_none());
        bindings.first().copied().ok_or(next)
    }

    fn texts(&self, name: &str, at: &str) -> String {
        let texts = self.list.iter().filter(|binding| binding.secret == name && binding.at == at);
        let texts: Vec<String> = texts.filter_map(|binding| Some(format!("`{}`", binding.text.as_ref()?))).collect();
        texts.join(" or ")
    }
}

impl Binding {
    fn reaches(&self, host: &Host<'_>, port: u16) -> bool {
        self.host.matches(host) && self.ports.iter().any(|ports| ports.contains(port))
    }
}

/// The ports of a rule that grants something.
pub(crate) fn ports(named: &[Ports]) -> Vec<Ports> {
    if named.is_empty() { DEFAULT_PORTS.to_vec() } else { named.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_have_one_form() {
        assert_eq!(position("header.Authorization").unwrap(), "header.authorization");
        for good in ["header.x-api-key", "query.key", "basic.user", "basic.password", "json.auth.token"] {
            assert_eq!(position(good).unwrap(), good);
        }
        for bad in ["", "header", "header.", "header.a b", "header.host", "basic", "basic.x", "path.x", "cookie.a"] {
            assert!(position(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn texts_name_one_secret() {
        assert_eq!(secret_in("Bearer ${A_1}"), Some("A_1"));
        for bad in ["", "Bearer", "${}", "${a b}", "${A}${B}", "${A", "a\n${A}"] {
            assert_eq!(secret_in(bad), None, "{bad}");
        }
    }

    #[test]
    fn grants_are_checked() {
        let grant = |host: &str, at: &str, text: Option<&str>| {
            let text = text.map(str::to_owned);
            let grant = Grant {
                host: host.into(),
                method: vec!["get".into()],
                path: Some("/a/**".into()),
                at: at.into(),
                text,
                plain_http: false,
            };
            grant.checked("KEY")
        };
        assert_eq!(grant("api.test", "header.X-Key", Some("${KEY}")).unwrap().at, "header.x-key");
        for (host, at, text) in [
            ("*", "header.a", None),
            ("*.com", "header.a", None),
            ("a b", "header.a", None),
            ("api.test", "path", None),
            ("api.test", "header.a", Some("${OTHER}")),
            ("api.test", "header.a", Some("none")),
        ] {
            assert!(grant(host, at, text).is_err(), "{host} {at} {text:?}");
        }
    }
}

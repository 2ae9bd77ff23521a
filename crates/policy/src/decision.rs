//! A decision while it is still cheap: borrowed, without text. [`Decision::to_verdict`] puts it into words.

use bartizan_model::{BundleRef, Deed, Digest, Effect, Finding, Obligation, Risk, RuleRef, Verdict};

use crate::address::Special;
use crate::exception::Lifted;
use crate::guards::{Findings, Found};
use crate::http::ByteLimits;
use crate::net::Duties;
use crate::place::Place;
use crate::request::Unread;
use crate::risk::{self, Assessed};
use crate::rule::RuleInfo;

/// What one policy says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ruling<'a> {
    pub(crate) effect: Effect,
    pub(crate) cause: Cause<'a>,
    pub(crate) duties: Duties,
}

/// Why it says so.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause<'a> {
    Rule(&'a RuleInfo),
    /// The rule lets read, and writing was asked for.
    ReadOnly(&'a RuleInfo),
    /// The request is outside the rule's `http` list.
    Outside(&'a RuleInfo, Option<Unread>),
    /// Whether the rule holds the request back can't be told.
    Unread(&'a RuleInfo, Unread),
    Default {
        section: &'static str,
        place: Option<&'a Place>,
    },
    Special(Special),
    RecordType,
    /// The command line can't be followed, and why.
    Unclear(&'static str),
    /// A shell that does only what shells do themselves.
    Shell,
    /// The deed itself makes no sense; the guard's name says which part.
    Malformed(&'static str),
}

impl<'a> Ruling<'a> {
    pub(crate) fn new(effect: Effect, cause: Cause<'a>) -> Self {
        Self { effect, cause, duties: Duties::default() }
    }

    pub(crate) fn malformed(guard: &'static str) -> Self {
        Self::new(Effect::Deny, Cause::Malformed(guard))
    }
}

/// A decision over one deed, borrowed from the policy that made it.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    pub(crate) ruling: Ruling<'a>,
    findings: Findings,
    assessed: Assessed,
    risk: Risk,
    policy: Digest,
    bundle: Option<&'a BundleRef>,
    lifted: Option<&'a Lifted>,
    /// Secrets whose values the deed needs, by name and place; findings hold back those it may not have.
    injects: Vec<(String, String)>,
    /// What else must hold.
    further: Vec<Obligation>,
}

impl<'a> Decision<'a> {
    pub(crate) fn new(
        deed: &Deed,
        ruling: Ruling<'a>,
        findings: Findings,
        policy: Digest,
        bundle: Option<&'a BundleRef>,
    ) -> Self {
        let found = findings.strictest().filter(|found| found.effect > Effect::Allow).map(|found| found.risk);
        let assessed = risk::assess(deed);
        let by_rules = at_rules(assessed.risk, &ruling);
        Self {
            risk: found.map_or(by_rules, |found| found.max(by_rules)),
            assessed,
            ruling,
            findings,
            policy,
            bundle,
            lifted: None,
            injects: injects(deed),
            further: Vec::new(),
        }
    }

    /// The same where this must hold, too.
    pub(crate) fn with(mut self, further: Vec<Obligation>) -> Self {
        self.further = further;
        self
    }

    /// The same, decided without the rules that exceptions lift; their names are told as they stand in the policy.
    pub(crate) fn without(mut self, lifted: &'a Lifted) -> Self {
        self.lifted = Some(lifted);
        self
    }

    /// The answer: the strictest of rules and guards.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.findings.strictest().map_or(self.ruling.effect, |found| found.effect.max(self.ruling.effect))
    }

    /// The finding that decided, where a guard was stricter than the rules.
    fn decider(&self) -> Option<&Found> {
        self.findings.strictest().filter(|found| found.effect > self.ruling.effect)
    }

    /// One more finding.
    pub(crate) fn add(&mut self, found: Found) {
        self.risk = self.risk.max(found.risk);
        self.findings.push(found);
    }

    /// How much harm the deed could do.
    #[must_use]
    pub fn risk(&self) -> Risk {
        self.risk
    }

    /// What must hold while it is carried out.
    #[must_use]
    pub fn duties(&self) -> Duties {
        if self.effect() == Effect::Deny { Duties::default() } else { self.ruling.duties }
    }

    /// The dotted place of what decided, e.g. `net.allow[2]`, `net.default`, `egress.link_local`.
    #[must_use]
    pub fn rule(&self) -> RuleRef {
        let mut rule = self.decider().map_or_else(|| self.ruling.cause.reference(), |found| found.rule.clone());
        if let Some(name) = self.lifted.and_then(|lifted| lifted.name(&rule.rule)) {
            rule.rule = name;
        }
        rule
    }

    /// The whole verdict, in words.
    #[must_use]
    pub fn to_verdict(&self) -> Verdict {
        let Duties { inspect_http, dial, allow_private, bytes, llm, tool_calls } = self.duties();
        let mut obligations = Vec::new();
        if inspect_http {
            obligations.push(Obligation::InspectHttp);
        }
        obligations.extend(dial.map(|address| Obligation::DialAddress { address }));
        if allow_private {
            obligations.push(Obligation::AllowPrivate);
        }
        if bytes != ByteLimits::default() {
            obligations.push(Obligation::LimitBytes { request: bytes.request, response: bytes.response });
        }
        obligations.extend(llm.map(|api| Obligation::ReadLlm { api }));
        if tool_calls {
            obligations.push(Obligation::DecideToolCalls);
        }
        if self.effect() != Effect::Deny {
            obligations.extend(self.further.iter().cloned());
            obligations.extend(self.findings.redactions().iter().map(|redaction| Obligation::Redact {
                rule: redaction.rule.clone(),
                class: redaction.class,
                kind: redaction.kind.to_string(),
                part: redaction.part,
            }));
            let inject = |(name, at): &(String, String)| Obligation::Inject { name: name.clone(), at: at.clone() };
            obligations.extend(self.injects.iter().map(inject));
        }
        let reason = match self.decider() {
            Some(found) => found.message.clone(),
            None => self.ruling.cause.reason(self.ruling.effect),
        };
        // What the deed is like is said where a person will read it, and where it matters.
        let said = self.assessed.risk >= Risk::High || self.effect() != Effect::Allow && self.assessed.risk > Risk::Low;
        let assessed = said.then(|| Finding {
            guard: "risk".to_owned(),
            message: self.assessed.reason.to_owned(),
            effect: None,
            rule: Some(self.assessed.row.to_owned()),
            risk: Some(self.assessed.risk),
        });
        let finding = |found: &Found| Finding {
            guard: found.guard.to_owned(),
            message: found.message.clone(),
            effect: (found.effect > Effect::Allow).then_some(found.effect),
            rule: Some(found.rule.rule.clone()),
            risk: Some(found.risk),
        };
        Verdict {
            effect: self.effect(),
            risk: self.risk,
            rule: self.rule(),
            reason,
            findings: self.findings.iter().map(finding).chain(assessed).collect(),
            obligations,
            policy: self.policy,
            bundle: self.bundle.cloned(),
        }
    }
}

impl Cause<'_> {
    pub(crate) fn reference(&self) -> RuleRef {
        let guard = |name: &str| RuleRef { rule: name.to_owned(), text: None, source: None };
        match self {
            Self::Rule(rule) | Self::ReadOnly(rule) | Self::Unread(rule, _) => rule.reference(),
            Self::Outside(rule, _) => {
                let mut reference = rule.reference();
                reference.rule.push_str(".http");
                reference
            }
            Self::Default { section, place } => {
                RuleRef { rule: format!("{section}.default"), text: None, source: place.map(Place::short) }
            }
            Self::Special(special) => guard(special.rule()),
            Self::RecordType => guard("dns.record_type"),
            Self::Unclear(_) => guard("exec.unclear"),
            Self::Shell => guard("exec.shell"),
            Self::Malformed(name) => guard(name),
        }
    }

    fn reason(&self, effect: Effect) -> String {
        let verb = match effect {
            Effect::Allow => "allows it",
            Effect::Ask => "wants a person to decide",
            Effect::Deny => "denies it",
        };
        match self {
            Self::Rule(rule) => format!("the rule `{}` {verb}", rule.text),
            Self::ReadOnly(rule) => format!("`{}` may be read, not written", rule.text),
            Self::Outside(rule, None) => format!("`{}` allows only the requests it lists", rule.text),
            Self::Outside(rule, Some(Unread(why))) => {
                format!("`{}` allows only requests with such a body, and this can't be read so: {why}", rule.text)
            }
            Self::Unread(rule, Unread(why)) => {
                format!("whether `{}` holds it back depends on its body, which can't be read so: {why}", rule.text)
            }
            Self::Default { section, .. } => format!("no rule in `{section}` matches, and its default {verb}"),
            Self::Special(special) => {
                format!("the destination is {}, and no rule names it", special.describe())
            }
            Self::RecordType => "only A, AAAA, HTTPS and SVCB records are answered".into(),
            Self::Unclear(why) => {
                format!("the command line can't be followed to every command it starts: {why}, which {verb}")
            }
            Self::Shell => "it starts no program: the shell does all of it itself".into(),
            Self::Malformed("files.path") => "the path is not absolute, too long or holds a NUL".into(),
            Self::Malformed("dns.name" | "net.host") => "the host is no valid name or address".into(),
            Self::Malformed(_) => "this kind of action is not known to the policy".into(),
        }
    }
}

fn injects(deed: &Deed) -> Vec<(String, String)> {
    match deed {
        Deed::HttpRequest { placeholders, .. } => {
            placeholders.iter().map(|wanted| (wanted.name.clone(), wanted.at.clone())).collect()
        }
        Deed::SecretUse { name, destination: Some(destination) } => vec![(name.clone(), destination.clone())],
        _ => Vec::new(),
    }
}

/// The risk by the table, a step more when policy holds the deed back.
fn at_rules(assessed: Risk, ruling: &Ruling<'_>) -> Risk {
    match ruling.cause {
        Cause::Special(Special::Metadata) => return Risk::Critical,
        Cause::Rule(rule) if rule.place.is_none() => return Risk::Critical,
        _ => {}
    }
    match (ruling.effect, assessed) {
        (Effect::Allow, risk) => risk,
        (_, Risk::Low) => Risk::Medium,
        (_, risk) => risk.max(Risk::High),
    }
}

//! The policy in force: the user's, and those that can only narrow it: a project's, a file's over a persona, overlays.

use std::collections::BTreeSet;

use bartizan_model::{
    ActionId, ActionKind, BundleRef, CanonicalError, Deed, Digest, Effect, Outcome, OutcomeStatus, RequestNeeds, Risk,
    Verdict,
};
use serde::Serialize;

use crate::context::Context;
use crate::decision::{Cause, Decision, Ruling};
use crate::exception::{self, EXCEPTIONS_MAX, Exception, Lifted};
use crate::guards::{self, Findings, Found, Guard, Layer, Look, Scene, cost};
use crate::language::PolicyFile;
use crate::load::Policy;
use crate::pins::PinnedHosts;
use crate::policy::{Compiled, Role};
use crate::secrets::{Bindings, Grant};
use crate::session::{Charge, Unit};

/// Policies compiled for one home and workspace. Immutable: swap the whole set to change it.
#[derive(Debug)]
pub struct PolicySet {
    pub(crate) user: Policy,
    pub(crate) context: Context,
    pub(crate) compiled: Compiled,
    pub(crate) narrowing: Vec<Narrowing>,
    digest: Digest,
    bundle: Option<BundleRef>,
    exceptions: Vec<Exception>,
    /// For each principal with exceptions: how it is decided while that many of them, those that last longest, hold.
    lifted: Vec<(String, Vec<(Exception, Lifted)>)>,
    /// What secrets are bound to.
    bindings: Bindings,
    /// Which keys servers must show.
    pins: PinnedHosts,
    grants: Vec<(String, Grant)>,
}

/// A policy that can only narrow the user's.
#[derive(Debug)]
pub(crate) struct Narrowing {
    pub(crate) policy: Policy,
    pub(crate) compiled: Compiled,
}

/// What the digest is over: everything that changes a decision, nothing that doesn't.
#[derive(Serialize)]
struct Canonical<'a> {
    user: PolicyFile,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    narrowing: Vec<PolicyFile>,
    /// Texts of Rego modules; the policies above only name them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rego: Vec<Digest>,
    /// WebAssembly components, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wasm: Vec<Digest>,
    language: &'a str,
}

impl PolicySet {
    /// Compiles the user's policy and those that narrow it.
    ///
    /// Each of these can only narrow: whatever they say, the strictest holds. Sections one doesn't mention are left
    /// to the others.
    ///
    /// # Errors
    /// The policy has no canonical form; doesn't happen for what [`Policy::load`] gives.
    pub fn new(
        user: Policy,
        narrowing: impl IntoIterator<Item = Policy>,
        context: Context,
    ) -> Result<Self, CanonicalError> {
        let bare = |policy: &Policy| PolicyFile { name: None, description: None, ..policy.file().clone() };
        let compiled = compile(&user, 0, &[], &context);
        let policies: Vec<Policy> = narrowing.into_iter().collect();
        let names = layer_names(&policies);
        let narrowing: Vec<Narrowing> = policies
            .into_iter()
            .enumerate()
            .map(|(index, policy)| Narrowing { compiled: compile(&policy, index + 1, &names, &context), policy })
            .collect();
        let modules = std::iter::once(&user).chain(narrowing.iter().map(|narrowing| &narrowing.policy));
        let digest = Digest::of(&Canonical {
            rego: modules.clone().filter_map(Policy::rego_digest).collect(),
            wasm: modules.flat_map(Policy::wasm_digests).collect(),
            user: bare(&user),
            narrowing: narrowing.iter().map(|narrowing| bare(&narrowing.policy)).collect(),
            language: "bartizan/1",
        })?;
        Ok(Self {
            bindings: Bindings::compile(user.file(), &[]),
            pins: PinnedHosts::compile(
                std::iter::once(&user).chain(narrowing.iter().map(|one| &one.policy)).map(Policy::file),
            ),
            grants: Vec::new(),
            compiled,
            narrowing,
            user,
            context,
            digest,
            bundle: None,
            exceptions: Vec::new(),
            lifted: Vec::new(),
        })
    }

    /// The same, said to come in this bundle.
    #[must_use]
    pub fn with_bundle(mut self, bundle: Option<BundleRef>) -> Self {
        self.bundle = bundle;
        self
    }

    /// The same with rules lifted for some principals. Exceptions beyond [`EXCEPTIONS_MAX`] lift nothing.
    #[must_use]
    pub fn with_exceptions(mut self, mut exceptions: Vec<Exception>) -> Self {
        exceptions.truncate(EXCEPTIONS_MAX);
        exceptions.sort_by(|a, b| (&a.principal, b.until).cmp(&(&b.principal, a.until)));
        self.lifted.clear();
        let names = layer_names(self.narrowing());
        for of_one in exceptions.chunk_by(|a, b| a.principal == b.principal) {
            let holding = |count: usize| of_one.get(..count).unwrap_or_default();
            let steps = of_one.iter().enumerate().map(|(index, exception)| {
                let policies = std::iter::once(&self.user).chain(self.narrowing());
                let lifted = Lifted::new(policies, holding(index + 1), &self.context, |policy, layer, context| {
                    compile(policy, layer, &names, context)
                });
                (exception.clone(), lifted)
            });
            let steps: Vec<_> = steps.collect();
            self.lifted.extend(of_one.first().map(|first| (first.principal.clone(), steps)));
        }
        self.exceptions = exceptions;
        self
    }

    /// The same with what the owner bound secrets to, by their names. It adds to what the user's policy binds.
    #[must_use]
    pub fn with_grants(mut self, grants: Vec<(String, Grant)>) -> Self {
        self.bindings = Bindings::compile(self.user.file(), &grants);
        self.grants = grants;
        self
    }

    /// What owners bound secrets to.
    #[must_use]
    pub fn grants(&self) -> &[(String, Grant)] {
        &self.grants
    }

    /// The secrets that something is bound to.
    #[must_use]
    pub fn bound_secrets(&self) -> BTreeSet<&str> {
        self.bindings.secrets()
    }

    /// The exceptions there are, whether or not they still hold.
    #[must_use]
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// Name and text of the rule an exception would lift.
    ///
    /// # Errors
    /// There is no such rule, or it can't be lifted.
    pub fn liftable(&self, rule: &str) -> Result<(String, String), String> {
        let policies = std::iter::once(&self.user).chain(self.narrowing());
        exception::find(policies, self.in_force().flat_map(|layer| layer.guards.iter().map(|guard| guard.name())), rule)
    }

    /// The bundle it came in.
    #[must_use]
    pub fn bundle(&self) -> Option<&BundleRef> {
        self.bundle.as_ref()
    }

    /// Decides over one deed of which nothing else is known. Pure, a few microseconds at most, no allocation where it
    /// is allowed and the deed is in canonical form.
    #[must_use]
    pub fn decide(&self, deed: &Deed) -> Decision<'_> {
        self.decide_with(deed, &Look::default())
    }

    /// Decides over one deed with what a scanner saw in it and what its session remembers. Changes nothing.
    #[must_use]
    pub fn decide_with(&self, deed: &Deed, look: &Look<'_>) -> Decision<'_> {
        let decision = self.decide_over(self.in_force(), deed, look, |_| true);
        if decision.effect() == Effect::Allow || self.lifted.is_empty() {
            return decision;
        }
        let Some((exceptions, lifted)) = self.holding(look) else { return decision };
        let kept = |found: &Found| !lifted.passes(&found.rule.rule, found.rule.text.as_deref());
        let mut without = self.decide_over(lifted.layers.iter(), deed, look, kept).without(lifted);
        if without.effect() >= decision.effect() {
            return decision;
        }
        let rule = decision.rule();
        for exception in exceptions {
            let reference = |rule: &str| format!("{rule} ({})", exception.id);
            without.add(Found::new(
                "exceptions",
                Effect::Allow,
                Risk::Low,
                reference(&rule.rule),
                None,
                exception.describe(),
            ));
        }
        without
    }

    /// The exceptions that hold for whoever asks, and how it is decided without what they lift.
    fn holding(&self, look: &Look<'_>) -> Option<(impl Iterator<Item = &Exception>, &Lifted)> {
        let principal = look.principal?;
        let (_, steps) = self.lifted.iter().find(|(name, _)| *name == principal.name)?;
        let count = steps.iter().take_while(|(exception, _)| exception.holds(Some(principal), look.now)).count();
        let holding = steps.get(..count)?;
        let (_, lifted) = holding.last()?;
        Some((holding.iter().map(|(exception, _)| exception), lifted))
    }

    fn decide_over<'a>(
        &'a self,
        layers: impl Iterator<Item = &'a Compiled> + Clone,
        deed: &Deed,
        look: &Look<'_>,
        kept: impl FnMut(&Found) -> bool,
    ) -> Decision<'a> {
        let mut ruling = rule(layers.clone(), deed, look);
        ruling.duties.tool_calls =
            matches!(deed, Deed::LlmRequest { .. }) && layers.clone().any(|policy| policy.tool_calls);
        ruling.duties.inspect_http |=
            ruling.effect != Effect::Deny && (self.bindings.concern(deed) || self.pins.concern(deed));
        let mut findings = Findings::default();
        self.bindings.check(deed, layers.clone(), &mut findings);
        self.pins.check(deed, look.now, &mut findings);
        let duties = ruling.duties;
        each_guard(layers.clone(), deed, |guard, policy| {
            guard.check(&Scene { deed, policy, duties, look }, &mut findings);
        });
        findings.retain(kept);
        if ruling.effect > Effect::Allow
            && let Some(command) = layers.into_iter().find_map(|policy| policy.culprit(deed, look.caught))
        {
            let message = format!("the command within it that is held back is `{}`", command_shown(&command));
            findings.push(Found::new("exec", Effect::Allow, Risk::Low, "exec".to_owned(), None, message));
        }
        Decision::new(deed, ruling, findings, self.digest, self.bundle.as_ref()).with(self.pins.obligations(deed))
    }

    /// What deciding over this request needs to know of it, beside what the deed says already.
    #[must_use]
    pub fn needs(&self, deed: &Deed) -> RequestNeeds {
        let mut needs = RequestNeeds::default();
        if deed.kind() != ActionKind::HttpRequest {
            return needs;
        }
        for layer in self.in_force() {
            layer.needs(deed, &mut needs);
        }
        needs
    }

    /// The same by the user's policy and so many of those that narrow it, exceptions apart.
    pub(crate) fn decide_layers(&self, deed: &Deed, look: &Look<'_>, narrowing: usize) -> Decision<'_> {
        self.decide_over(self.in_force().take(narrowing.saturating_add(1)), deed, look, |_| true)
    }

    /// The user's policy, then those that narrow it.
    fn in_force(&self) -> impl Iterator<Item = &Compiled> + Clone {
        std::iter::once(&self.compiled).chain(self.narrowing.iter().map(|narrowing| &narrowing.compiled))
    }

    /// What the rules of sections say.
    fn rule(&self, deed: &Deed, look: &Look<'_>) -> Ruling<'_> {
        rule(self.in_force(), deed, look)
    }

    fn each_guard(&self, deed: &Deed, tell: impl FnMut(&dyn Guard, &Compiled)) {
        each_guard(self.in_force(), deed, tell);
    }

    /// The deed is about to be carried out, as decided by this verdict: takes what it needs from budgets, all or
    /// nothing, and makes the session remember it. What was begun is to be settled.
    ///
    /// # Errors
    /// A budget had less room than when it was decided; the verdict that denies it. Nothing was taken.
    pub fn begin(
        &self,
        action: &ActionId,
        deed: &Deed,
        verdict: &Verdict,
        look: &Look<'_>,
    ) -> Result<(), Box<Verdict>> {
        let Some(session) = look.session else { return Ok(()) };
        session.start(look.now);
        let duties = self.rule(deed, look).duties;
        let mut charges = Vec::new();
        self.each_guard(deed, |guard, policy| guard.charge(&Scene { deed, policy, duties, look }, &mut charges));
        for charge in &mut charges {
            charge.forced = charge.over == Effect::Ask && verdict.effect == Effect::Ask;
        }
        if let Err(charge) = session.reserve(action, charges) {
            let mut decision = self.decide_with(deed, look);
            let message = format!("its budget of {} was used up by others meanwhile", charge.unit.as_str());
            let rule = charge.rule.to_string();
            let risk = Risk::Medium;
            decision.add(Found::new("budgets", Effect::Deny, risk, rule, None, message));
            return Err(Box::new(decision.to_verdict()));
        }
        self.each_guard(deed, |guard, policy| guard.learn(&Scene { deed, policy, duties, look }, session));
        Ok(())
    }

    /// What was begun has ended: what it had reserved and did not use is free again. `None` when it never came about.
    pub fn settle(&self, action: &ActionId, outcome: Option<&Outcome>, look: &Look<'_>) {
        let Some(session) = look.session else { return };
        session.settle(action, |charge| match outcome {
            None => Some(0),
            Some(outcome) => used(outcome, charge),
        });
    }

    /// The verdict over one deed, in words.
    #[must_use]
    pub fn verdict(&self, deed: &Deed) -> Verdict {
        self.decide(deed).to_verdict()
    }

    /// Digest of the effective policy's canonical form: what verdicts and standing approvals refer to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The user's policy.
    #[must_use]
    pub fn user(&self) -> &Policy {
        &self.user
    }

    /// The policies that narrow it, in the order they were given.
    pub fn narrowing(&self) -> impl Iterator<Item = &Policy> {
        self.narrowing.iter().map(|narrowing| &narrowing.policy)
    }

    /// What `~` and `./` stand for.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }
}

/// What the rules of sections say: the first layer's, narrowed by the others'.
fn rule<'a>(mut layers: impl Iterator<Item = &'a Compiled>, deed: &Deed, look: &Look<'_>) -> Ruling<'a> {
    let user = layers.next().and_then(|user| user.decide_where(deed, look.caught));
    let user = user.unwrap_or_else(|| Ruling::malformed("policy.unknown_kind"));
    layers.filter_map(|layer| layer.decide_where(deed, look.caught)).fold(user, narrow)
}

fn each_guard<'a>(
    layers: impl Iterator<Item = &'a Compiled>,
    deed: &Deed,
    mut tell: impl FnMut(&dyn Guard, &Compiled),
) {
    let kind = deed.kind();
    for compiled in layers {
        for guard in compiled.guards.iter().filter(|guard| guard.interest().holds(kind)) {
            tell(guard.as_ref(), compiled);
        }
    }
}

/// A name for each policy that narrows: where it was read from, and how often before.
fn layer_names<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for policy in policies {
        let source = policy.sources().first().map(String::as_str).unwrap_or_default();
        // Another version of a bundle is the same layer.
        let source = match source.split_once('@') {
            Some((bundle, rest)) if bundle.starts_with("bundle:") => {
                format!("{bundle}/{}", rest.split_once('/').map_or("", |(_, path)| path))
            }
            _ => source.to_owned(),
        };
        let before = names.iter().filter(|name| name.split_once(' ').is_some_and(|(_, other)| other == source)).count();
        names.push(format!("{before} {source}"));
    }
    names
}

/// A policy's sections and guards, its Rego modules among them. Layer 0 is the user's, the others are those of `names`.
fn compile(policy: &Policy, layer: usize, names: &[String], context: &Context) -> Compiled {
    let role = if layer == 0 { Role::User } else { Role::Project };
    let name = layer.checked_sub(1).and_then(|index| names.get(index)).map_or("user", String::as_str);
    let layer = Layer { index: layer, name };
    let mut compiled = Compiled::new(policy.file(), role, layer, context);
    compiled.guards.extend(policy.rego().map(|rego| guards::rego::guard(rego, context)));
    compiled.guards.extend(policy.wasm().map(|wasm| guards::wasm::guard(wasm, context)));
    compiled.reads_bodies =
        compiled.guards.iter().any(|guard| guard.interest().holds(ActionKind::HttpRequest) && guard.reads_bodies());
    compiled
}

/// How much of a unit an action used, by the figures of its outcome; `None` where they don't say.
fn used(outcome: &Outcome, charge: &Charge) -> Option<u64> {
    let figure = |name: &str| outcome.figures.get(name).and_then(|figure| u64::try_from(*figure).ok());
    let said = match charge.unit {
        Unit::Requests => None,
        Unit::Bytes => figure("sent_bytes"),
        Unit::Tokens => figure("input_tokens").map(|input| input.saturating_add(figure("output_tokens").unwrap_or(0))),
        Unit::Cost => figure("cost_millionths")
            .or_else(|| Some(cost(charge.price?, figure("input_tokens")?, figure("output_tokens").unwrap_or(0)))),
    };
    match (said, outcome.status) {
        (Some(used), _) => Some(used),
        // What failed used nothing, as far as anybody knows.
        (None, OutcomeStatus::Failed) => Some(0),
        (None, _) => None,
    }
}

/// The stricter of the two. What a rule grants beside its effect (an address to dial, private addresses)
/// counts only from the user's policy; what it demands counts from both.
fn narrow<'a>(user: Ruling<'a>, project: Ruling<'a>) -> Ruling<'a> {
    let mut ruling = if project.effect > user.effect { project } else { user };
    // A default of the project that agrees is no better reason than the user's own rule.
    if project.effect == user.effect
        && matches!(user.cause, Cause::Default { .. })
        && matches!(project.cause, Cause::Rule(_))
    {
        ruling.cause = project.cause;
    }
    ruling.duties = user.duties;
    ruling.duties.inspect_http |= project.duties.inspect_http;
    ruling.duties.bytes = ruling.duties.bytes.min(project.duties.bytes);
    ruling.duties.llm = user.duties.llm.or(project.duties.llm);
    if ruling.effect == Effect::Deny {
        ruling.duties = crate::net::Duties::default();
    }
    ruling
}

/// As much of a command as a person reads.
fn command_shown(command: &str) -> String {
    const CHARS_MAX: usize = 200;
    let mut shown: String = command.chars().take(CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if command.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

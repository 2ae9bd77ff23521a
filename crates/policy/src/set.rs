//! The policy in force: the user's, and those that can only narrow it: a project's, a file's over a persona, overlays.

use bartizan_model::{ActionId, CanonicalError, Deed, Digest, Effect, Outcome, OutcomeStatus, Risk, Verdict};
use serde::Serialize;

use crate::context::Context;
use crate::decision::{Cause, Decision, Ruling};
use crate::guards::{Findings, Found, Guard, Look, Scene};
use crate::language::PolicyFile;
use crate::load::Policy;
use crate::policy::{Compiled, Role};
use crate::session::Unit;

/// Policies compiled for one home and workspace. Immutable: swap the whole set to change it.
#[derive(Debug)]
pub struct PolicySet {
    pub(crate) user: Policy,
    pub(crate) context: Context,
    pub(crate) compiled: Compiled,
    pub(crate) narrowing: Vec<Narrowing>,
    digest: Digest,
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
        let compiled = Compiled::new(user.file(), Role::User, 0, &context);
        let narrowing: Vec<Narrowing> = narrowing
            .into_iter()
            .enumerate()
            .map(|(index, policy)| Narrowing {
                compiled: Compiled::new(policy.file(), Role::Project, index + 1, &context),
                policy,
            })
            .collect();
        let digest = Digest::of(&Canonical {
            user: bare(&user),
            narrowing: narrowing.iter().map(|narrowing| bare(&narrowing.policy)).collect(),
            language: "bartizan/1",
        })?;
        Ok(Self { compiled, narrowing, user, context, digest })
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
        self.decide_layers(deed, look, usize::MAX)
    }

    /// The same by the user's policy and so many of those that narrow it.
    pub(crate) fn decide_layers(&self, deed: &Deed, look: &Look<'_>, layers: usize) -> Decision<'_> {
        let ruling = self.rule(deed, look, layers);
        let mut findings = Findings::default();
        let duties = ruling.duties;
        self.each_guard(deed, layers, |guard, policy| {
            guard.check(&Scene { deed, policy, duties, look }, &mut findings);
        });
        Decision::new(deed, ruling, findings, self.digest)
    }

    /// What the rules of sections say.
    fn rule(&self, deed: &Deed, look: &Look<'_>, layers: usize) -> Ruling<'_> {
        let user =
            self.compiled.decide_where(deed, look.caught).unwrap_or_else(|| Ruling::malformed("policy.unknown_kind"));
        let narrowing = self.narrowing.iter().take(layers);
        narrowing.filter_map(|narrowing| narrowing.compiled.decide_where(deed, look.caught)).fold(user, narrow)
    }

    fn each_guard(&self, deed: &Deed, layers: usize, mut tell: impl FnMut(&dyn Guard, &Compiled)) {
        let kind = deed.kind();
        let narrowing = self.narrowing.iter().take(layers).map(|narrowing| &narrowing.compiled);
        let policies = std::iter::once(&self.compiled).chain(narrowing);
        for compiled in policies {
            for guard in compiled.guards.iter().filter(|guard| guard.interest().holds(kind)) {
                tell(guard.as_ref(), compiled);
            }
        }
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
        let duties = self.rule(deed, look, usize::MAX).duties;
        let mut charges = Vec::new();
        self.each_guard(deed, usize::MAX, |guard, policy| {
            guard.charge(&Scene { deed, policy, duties, look }, &mut charges)
        });
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
        self.each_guard(deed, usize::MAX, |guard, policy| guard.learn(&Scene { deed, policy, duties, look }, session));
        Ok(())
    }

    /// What was begun has ended: what it had reserved and did not use is free again. `None` when it never came about.
    pub fn settle(&self, action: &ActionId, outcome: Option<&Outcome>, look: &Look<'_>) {
        let Some(session) = look.session else { return };
        session.settle(action, |unit| match outcome {
            None => Some(0),
            Some(outcome) => used(outcome, unit),
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

/// How much of a unit an action used, by the figures of its outcome; `None` where they don't say.
fn used(outcome: &Outcome, unit: Unit) -> Option<u64> {
    let figure = |name: &str| outcome.figures.get(name).and_then(|figure| u64::try_from(*figure).ok());
    let said = match unit {
        Unit::Requests => None,
        Unit::Bytes => figure("sent_bytes"),
        Unit::Tokens => figure("input_tokens").map(|input| input.saturating_add(figure("output_tokens").unwrap_or(0))),
        Unit::Cost => figure("cost_millionths"),
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
    if ruling.effect == Effect::Deny {
        ruling.duties = crate::net::Duties::default();
    }
    ruling
}

//! The policy in force: the user's, and a project's that can only narrow it.

use bartizan_model::{CanonicalError, Deed, Digest, Effect, Verdict};
use serde::Serialize;

use crate::context::Context;
use crate::decision::{Cause, Decision, Ruling};
use crate::language::PolicyFile;
use crate::load::Policy;
use crate::policy::{Compiled, Role};

/// Policies compiled for one home and workspace. Immutable: swap the whole set to change it.
#[derive(Debug)]
pub struct PolicySet {
    pub(crate) user: Policy,
    pub(crate) project: Option<Policy>,
    pub(crate) context: Context,
    pub(crate) compiled: Compiled,
    pub(crate) narrowing: Option<Compiled>,
    digest: Digest,
}

/// What the digest is over: everything that changes a decision, nothing that doesn't.
#[derive(Serialize)]
struct Canonical<'a> {
    user: PolicyFile,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<PolicyFile>,
    language: &'a str,
}

impl PolicySet {
    /// Compiles the user's policy and a project's.
    ///
    /// The project's can only narrow: whatever both say, the stricter holds. Sections it doesn't mention are
    /// left to the user's.
    ///
    /// # Errors
    /// The policy has no canonical form; doesn't happen for what [`Policy::load`] gives.
    pub fn new(user: Policy, project: Option<Policy>, context: Context) -> Result<Self, CanonicalError> {
        let bare = |policy: &Policy| PolicyFile { name: None, description: None, ..policy.file().clone() };
        let digest =
            Digest::of(&Canonical { user: bare(&user), project: project.as_ref().map(bare), language: "bartizan/1" })?;
        Ok(Self {
            compiled: Compiled::new(user.file(), Role::User, &context),
            narrowing: project.as_ref().map(|project| Compiled::new(project.file(), Role::Project, &context)),
            user,
            project,
            context,
            digest,
        })
    }

    /// Decides over one deed. Pure, a few microseconds at most, no allocation where it is allowed and the deed
    /// is in canonical form.
    #[must_use]
    pub fn decide(&self, deed: &Deed) -> Decision<'_> {
        let user = self.compiled.decide(deed).unwrap_or_else(|| Ruling::malformed("policy.unknown_kind"));
        let ruling = match self.narrowing.as_ref().and_then(|project| project.decide(deed)) {
            None => user,
            Some(project) => narrow(user, project),
        };
        Decision::new(deed, ruling, self.digest)
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

    /// The project's policy.
    #[must_use]
    pub fn project(&self) -> Option<&Policy> {
        self.project.as_ref()
    }

    /// What `~` and `./` stand for.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
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

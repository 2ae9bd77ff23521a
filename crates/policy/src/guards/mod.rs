//! Guards: what sections can't say by rules over one deed's target. Each is compiled from its section once, looks at a
//! deed, what a scanner saw in it and the session, and gives findings; the strictest of these and of the section's
//! rules decides. A guard never allows anything.
//!
//! A new guard is a file here that implements [`Guard`], and one line in [`compile`].

mod acts;
mod browser;
mod budgets;
mod compat;
mod computer;
mod content;
mod flow;
mod forms;
mod input;
mod labels;
mod llm;
mod patches;
mod personal;
mod prompts;
pub(crate) mod rego;
mod tools;
pub(crate) mod wasm;

use std::borrow::Cow;

use bartizan_model::{ActionId, ActionKind, Deed, Effect, Part, Principal, Risk, RuleRef, Sighting, SightingClass};
use jiff::Timestamp;

pub(crate) use budgets::cost;
pub(crate) use compat::glob_problem as compat_glob_problem;
pub(crate) use llm::REPEATS_MAX;
pub use personal::kinds_below_restricted;

use crate::context::Context;
use crate::language::PolicyFile;
use crate::net::Duties;
use crate::place::Place;
use crate::policy::Compiled;
use crate::session::{Charge, Session};

/// One concern's check.
pub(crate) trait Guard: std::fmt::Debug + Send + Sync {
    /// Its name in findings: that of its section.
    fn name(&self) -> &'static str;

    /// The deeds it wants to see; it is asked about no others.
    fn interest(&self) -> Interest;

    /// Whether what stands in a request's body may change what it finds.
    fn reads_bodies(&self) -> bool {
        false
    }

    /// Looks at a deed. Called often and for the same deed again: it changes nothing.
    fn check(&self, scene: &Scene<'_>, findings: &mut Findings);

    /// What the deed takes from budgets once it is begun.
    fn charge(&self, scene: &Scene<'_>, charges: &mut Vec<Charge>) {
        let _ = (scene, charges);
    }

    /// The deed is being carried out: what the session must remember of it.
    fn learn(&self, scene: &Scene<'_>, session: &Session) {
        let _ = (scene, session);
    }

    /// Tells its rules, as findings name them.
    fn each_rule(&self, tell: &mut dyn FnMut(RuleRef, Effect, &Place)) {
        let _ = tell;
    }

    /// What it does, in sentences for `bartizan policy explain`.
    fn explain(&self) -> Vec<String>;
}

/// Which of the policies in force it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer<'a> {
    /// 0 is the user's.
    pub(crate) index: usize,
    /// Tells it apart, also from those of a policy that takes over while sessions go on: what was counted and followed
    /// for a layer goes on being counted, whatever joins or leaves beside it.
    pub(crate) name: &'a str,
}

/// Every guard this policy needs; those whose section is absent are left out.
pub(crate) fn compile(file: &PolicyFile, context: &Context, layer: Layer<'_>) -> Vec<Box<dyn Guard>> {
    let guards: [Option<Box<dyn Guard>>; 13] = [
        patches::compile(file, context, layer),
        tools::compile(file, context),
        compat::compile(file, context),
        prompts::compile(file),
        content::compile(file),
        forms::compile(file),
        personal::compile(file),
        browser::compile(file),
        computer::compile(file),
        budgets::compile(file, layer),
        llm::compile(file),
        labels::compile(file, context, layer),
        flow::compile(file, context, layer),
    ];
    guards.into_iter().flatten().collect()
}

/// What a guard looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) deed: &'a Deed,
    /// The policy the guard belongs to, to judge what is inside a deed: paths in a patch, hosts in arguments.
    pub(crate) policy: &'a Compiled,
    /// What must hold by the rules of sections.
    pub(crate) duties: Duties,
    pub(crate) look: &'a Look<'a>,
}

/// What is known beside the deed. Absent parts are unknown, and a guard that needs them says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look<'a> {
    /// What a scanner saw in its content.
    pub sightings: &'a [Sighting],
    /// The run's or session's memory.
    pub session: Option<&'a Session>,
    /// Who asks.
    pub principal: Option<&'a Principal>,
    /// The action, where it has one: what was begun under it isn't held against it when it is decided anew.
    pub action: Option<&'a ActionId>,
    /// The present moment.
    pub now: Option<Timestamp>,
    /// The deed is done in a box: every program it goes on to start and every file it opens is caught there, so
    /// that its text need not tell.
    pub caught: bool,
}

impl Look<'_> {
    /// Whether this very action was begun already.
    pub(crate) fn begun(&self) -> bool {
        matches!((self.session, self.action), (Some(session), Some(action)) if session.has_begun(action))
    }
}

/// A set of kinds of deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interest(u32);

impl Interest {
    /// Everything.
    pub(crate) const ALL: Self = Self(u32::MAX);

    /// Exactly these.
    pub(crate) fn of(kinds: &[ActionKind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | bit(*kind)))
    }

    pub(crate) fn holds(self, kind: ActionKind) -> bool {
        self.0 & bit(kind) != 0
    }
}

fn bit(kind: ActionKind) -> u32 {
    1_u32.checked_shl(kind as u32).unwrap_or(0)
}

/// What a guard found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) guard: &'static str,
    /// What it saw, in a sentence for a person; never the bytes themselves.
    pub(crate) message: String,
    /// What this alone would decide; `Allow` for an observation.
    pub(crate) effect: Effect,
    /// What it follows, e.g. `flow[0]`.
    pub(crate) rule: RuleRef,
    pub(crate) risk: Risk,
}

impl Found {
    /// A finding under the rule at this place.
    pub(crate) fn new(
        guard: &'static str,
        effect: Effect,
        risk: Risk,
        rule: impl Into<String>,
        place: Option<&Place>,
        message: impl Into<String>,
    ) -> Self {
        let rule = RuleRef { rule: rule.into(), text: None, source: place.map(Place::short) };
        Self { guard, message: message.into(), effect, rule, risk }
    }
}

impl Found {
    /// The same with the rule's own text.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.rule.text = Some(text.into());
        self
    }
}

/// Most findings over one deed: more than anybody reads. Stricter ones push out weaker ones.
const FINDINGS_MAX: usize = 32;

/// Gathers findings. Empty, it has allocated nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    found: Vec<Found>,
    redactions: Vec<Redaction>,
}

/// Something that is to be taken out of the content before it is carried anywhere.
#[derive(Debug, Clone)]
pub(crate) struct Redaction {
    pub(crate) rule: String,
    pub(crate) class: SightingClass,
    pub(crate) kind: Cow<'static, str>,
    pub(crate) part: Part,
}

impl Findings {
    /// Takes a finding; one just like another is taken once.
    pub(crate) fn push(&mut self, found: Found) {
        let same = |known: &Found| known.rule == found.rule && known.message == found.message;
        if self.found.iter().any(same) {
            return;
        }
        if self.found.len() < FINDINGS_MAX {
            self.found.push(found);
        } else if let Some(weakest) = self.found.iter_mut().min_by_key(|known| (known.effect, known.risk))
            && (weakest.effect, weakest.risk) < (found.effect, found.risk)
        {
            *weakest = found;
        }
    }

    /// Wants this taken out, and all of its kind in the same part.
    pub(crate) fn redact(&mut self, rule: &str, sighting: &Sighting) {
        let Sighting { class, kind, part, .. } = sighting;
        let same = |known: &Redaction| (&known.class, &known.kind, &known.part) == (class, kind, part);
        if !self.redactions.iter().any(same) {
            let (rule, kind) = (rule.to_owned(), kind.clone());
            self.redactions.push(Redaction { rule, class: *class, kind, part: *part });
        }
    }

    /// What is to be taken out; at most as many as the scanner knows kinds, for each part.
    pub(crate) fn redactions(&self) -> &[Redaction] {
        &self.redactions
    }

    /// Keeps what holds.
    pub(crate) fn retain(&mut self, holds: impl FnMut(&Found) -> bool) {
        self.found.retain(holds);
    }

    /// The one that decides: the strictest, among equals the most harmful, then the first.
    pub(crate) fn strictest(&self) -> Option<&Found> {
        let strictest = self.found.iter().map(|found| (found.effect, found.risk)).max()?;
        self.found.iter().find(|found| (found.effect, found.risk) == strictest)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Found> {
        self.found.iter()
    }
}

//! Guard `content.classes`: how confidential the personal data in outgoing bytes makes them as a whole. A name beside a
//! birthday or an address is more than either.

use bartizan_model::{Effect, Risk, Sighting, SightingClass};

use crate::guards::{Findings, Found, Guard, Interest, Scene, forms};
use crate::language::{ContentClasses, PolicyFile};

/// How sure a scanner must be.
const SCORE: u8 = 50;

pub(super) fn compile(file: &PolicyFile) -> Option<Box<dyn Guard>> {
    let classes = file.content.as_ref()?.classes.clone()?;
    Some(Box::new(ClassGuard { classes }))
}

#[derive(Debug)]
struct ClassGuard {
    classes: ContentClasses,
}

/// How confidential something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Public,
    Internal,
    Confidential,
    Restricted,
}

/// Kinds that many business letters have, and kinds that name or reach a person. Any other is restricted.
const INTERNAL: &[&str] = &["postcode", "url", "date", "title", "place", "organization"];
const CONFIDENTIAL: &[&str] = &[
    "email",
    "phone",
    "ip-address",
    "mac-address",
    "coordinates",
    "date-of-birth",
    "street-address",
    "age",
    "group",
    "person",
];
/// With a person's name these find most people: name, birthday and postcode are enough.
const PLACING: &[&str] = &["date-of-birth", "street-address", "coordinates"];

/// The kinds of personal data that are less than restricted. The words are the scanner's.
pub fn kinds_below_restricted() -> impl Iterator<Item = &'static str> {
    INTERNAL.iter().chain(CONFIDENTIAL).copied()
}

fn classify(sightings: &[Sighting]) -> Class {
    let personal = || {
        let counts = |sighting: &&Sighting| sighting.class == SightingClass::Personal && sighting.score >= SCORE;
        sightings.iter().filter(counts).map(|sighting| sighting.kind.as_ref())
    };
    let class = |kind| match kind {
        kind if INTERNAL.contains(&kind) => Class::Internal,
        kind if CONFIDENTIAL.contains(&kind) => Class::Confidential,
        _ => Class::Restricted,
    };
    let found = personal().any(|kind| kind == "person") && personal().any(|kind| PLACING.contains(&kind));
    if found { Class::Restricted } else { personal().map(class).max().unwrap_or(Class::Public) }
}

impl Guard for ClassGuard {
    fn name(&self) -> &'static str {
        "content"
    }

    fn interest(&self) -> Interest {
        forms::outgoing()
    }

    fn reads_bodies(&self) -> bool {
        let classes = [&self.classes.internal, &self.classes.confidential, &self.classes.restricted];
        classes.into_iter().flatten().any(|effect| effect.value > Effect::Allow)
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let (name, effect, risk) = match classify(scene.look.sightings) {
            Class::Public => return,
            Class::Internal => ("internal", &self.classes.internal, Risk::Medium),
            Class::Confidential => ("confidential", &self.classes.confidential, Risk::High),
            Class::Restricted => ("restricted", &self.classes.restricted, Risk::Critical),
        };
        if let Some(effect) = effect.as_ref().filter(|effect| effect.value > Effect::Allow) {
            let message = format!("the content is {name} by the personal data in it");
            let rule = format!("content.classes.{name}");
            findings.push(Found::new("content", effect.value, risk, rule, Some(&effect.place), message));
        }
    }

    fn explain(&self) -> Vec<String> {
        let classes = [
            ("internal", &self.classes.internal),
            ("confidential", &self.classes.confidential),
            ("restricted", &self.classes.restricted),
        ];
        let line = |(name, effect): (&str, &Option<crate::place::At<Effect>>)| {
            Some(format!("{name} content: {}", effect.as_ref()?.value.as_str()))
        };
        classes.into_iter().filter_map(line).collect()
    }
}

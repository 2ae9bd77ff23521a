//! What the fixtures share.

use std::path::Path;

use bartizan_policy::{BuiltinsOnly, Context, Loader, Policy, PolicySet, Source, parse_case};

/// Home `/home/me`, workspace `/home/me/work`, Bartizan's own files in `/home/me/.bartizan`.
pub(crate) fn context() -> Context {
    Context::new(Path::new("/home/me"), Path::new("/home/me/work"))
        .and_then(|context| context.with_control(Path::new("/home/me/.bartizan")))
        .unwrap()
}

pub(crate) fn load(yaml: &str) -> Policy {
    Policy::load(&Source::new("my.yaml", format!("bartizan: 1\n{yaml}")), &BuiltinsOnly)
        .unwrap_or_else(|errors| panic!("{errors}"))
}

pub(crate) fn set(yaml: &str) -> PolicySet {
    PolicySet::new(load(yaml), None, context()).unwrap()
}

pub(crate) fn narrowed(user: &str, project: &str) -> PolicySet {
    let project =
        Policy::load(&Source::new("bartizan.yaml", format!("bartizan: 1\n{project}")), &BuiltinsOnly).unwrap();
    PolicySet::new(load(user), Some(project), context()).unwrap()
}

/// `effect rule [source] [obligations]` for an action in words.
pub(crate) fn verdict(set: &PolicySet, action: &str) -> String {
    let deed = parse_case(action, set.context()).unwrap_or_else(|error| panic!("{error}"));
    let verdict = set.verdict(&deed);
    assert_eq!(verdict.effect, set.decide(&deed).effect());
    let mut line = format!("{} {}", verdict.effect.as_str(), verdict.rule.rule);
    if let Some(source) = verdict.rule.source {
        line.push_str(&format!(" {source}"));
    }
    for obligation in verdict.obligations {
        line.push_str(&format!(" {}", serde_json::to_string(&obligation).unwrap()));
    }
    line
}

/// Files held in memory, for `extends`.
pub(crate) struct InMemory(pub(crate) Vec<(&'static str, String)>);

impl Loader for InMemory {
    fn file(&self, reference: &str, _: &str) -> Result<Source, String> {
        let name = reference.trim_start_matches("./");
        let found = self.0.iter().find(|(known, _)| *known == name);
        found
            .map(|(name, text)| Source::new(*name, text.as_str()))
            .ok_or_else(|| format!("`{name}` is not there; create it"))
    }
}

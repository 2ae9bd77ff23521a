//! Guard `flow`: what may follow after what was read or done, and by whose word.

use std::time::Duration;

use bartizan_model::{Deed, Effect, Risk, RuleRef};
use serde_json::Value;

use crate::context::Context;
use crate::deeds::{CompiledPattern, DeedPattern, names, url_host};
use crate::guards::{Findings, Found, Guard, Interest, Layer, Scene};
use crate::language::{FlowRule, PolicyFile, Provenance};
use crate::pattern::Wildcard;
use crate::place::{At, Place};
use crate::session::{Label, Named, Progress, Session};

/// Most values of a tool's arguments that are looked for in what was said.
const ARGUMENTS_MAX: usize = 64;
/// Deepest nesting of arguments that is followed.
const DEPTH_MAX: usize = 16;

pub(super) fn compile(file: &PolicyFile, context: &Context, layer: Layer<'_>) -> Option<Box<dyn Guard>> {
    let rules = file.flow.as_ref()?;
    let rules = rules.iter().enumerate().map(|(index, rule)| Rule::compile(index, rule, context, layer)).collect();
    Some(Box::new(FlowGuard { rules }))
}

#[derive(Debug)]
struct FlowGuard {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    name: String,
    place: Place,
    read: Vec<Label>,
    after: Vec<CompiledPattern>,
    /// Names the sequence in a session.
    key: String,
    within: Option<Duration>,
    argument: Option<Provenance>,
    ask: Vec<CompiledPattern>,
    deny: Vec<CompiledPattern>,
    except: Vec<Wildcard>,
    /// The condition in words.
    words: String,
}

impl Rule {
    fn compile(index: usize, rule: &At<FlowRule>, context: &Context, layer: Layer<'_>) -> Self {
        let FlowRule { when, ask, deny, except } = &rule.value;
        let patterns = |texts: &[String]| {
            let parsed = texts.iter().filter_map(|text| DeedPattern::parse(text).ok());
            parsed.map(|pattern| pattern.compile(context)).collect::<Vec<_>>()
        };
        let mut words = Vec::new();
        if !when.read.is_empty() {
            words.push(format!("data labelled {} was read", when.read.join(" or ")));
        }
        if !when.after.is_empty() {
            let within = when.within.map(|span| format!(" within {span}")).unwrap_or_default();
            words.push(format!("{} was done{within}", when.after.join(", then ")));
        }
        words.extend(when.argument.map(|argument| {
            match argument {
                Provenance::Untrusted => "what it is done to was named only in untrusted content",
                Provenance::Unsaid => "what it is done to was not named by the principal or trusted configuration",
            }
            .to_owned()
        }));
        Self {
            name: format!("flow[{index}]"),
            place: rule.place.clone(),
            read: when.read.iter().filter_map(|label| Label::parse(label)).collect(),
            after: patterns(&when.after),
            key: format!("{} {}", layer.name, when.after.join(" > ")),
            within: when.within.map(|span| span.0),
            argument: when.argument,
            ask: patterns(ask),
            deny: patterns(deny),
            except: except.iter().map(|text| Wildcard::new(text)).collect(),
            words: words.join(" and "),
        }
    }

    /// What the rule says of this deed once its condition holds.
    fn effect(&self, scene: &Scene<'_>) -> Effect {
        let deed = scene.deed;
        let among = |patterns: &[CompiledPattern]| patterns.iter().any(|pattern| means(pattern, scene));
        let effect = if among(&self.deny) {
            Effect::Deny
        } else if among(&self.ask) {
            Effect::Ask
        } else {
            return Effect::Allow;
        };
        let excepted =
            || names(deed).any(|name| self.except.iter().any(|except| except.matches(name.as_bytes(), true)));
        if !self.except.is_empty() && excepted() { Effect::Allow } else { effect }
    }

    fn holds(&self, scene: &Scene<'_>, session: &Session) -> bool {
        if let Some(action) = scene.look.action.filter(|_| scene.look.begun()) {
            // Decided anew, under a policy that has changed: what it read and did itself isn't held against it, so only
            // what had been read before it counts.
            let before = self.read.iter().any(|label| session.had_label(action, label));
            return before && self.after.is_empty() && self.argument.is_none();
        }
        (self.read.is_empty() || self.read.iter().any(|label| session.has_label(label)))
            && (self.after.is_empty() || self.has_followed(scene, session))
            && self.argument.is_none_or(|wanted| comes_from(scene.deed, session, wanted))
    }

    fn has_followed(&self, scene: &Scene<'_>, session: &Session) -> bool {
        // A sequence that could not be followed may have come about.
        let Some(progress) = session.progress(&self.key) else { return session.overflowed() };
        if progress.step < self.after.len() {
            return false;
        }
        match (self.within, progress.at, scene.look.now) {
            (Some(within), Some(at), Some(now)) => now.duration_since(at).unsigned_abs() <= within,
            // Without a clock nothing is long ago.
            _ => true,
        }
    }
}

fn means(pattern: &CompiledPattern, scene: &Scene<'_>) -> bool {
    pattern.matches(scene.deed, scene.duties.inspect_http, scene.look.caught)
}

/// Whether one of the deed's arguments was named so.
fn comes_from(deed: &Deed, session: &Session, wanted: Provenance) -> bool {
    let mut found = false;
    let mut look = |value: &str| {
        let named = session.named(value);
        found |= match wanted {
            Provenance::Untrusted => named == Named::Untrusted,
            Provenance::Unsaid => named != Named::Trusted,
        };
    };
    match deed {
        Deed::ToolCall { arguments, .. } => {
            let whole = values(arguments, 0, &mut 0, &mut look);
            found |= !whole;
        }
        Deed::MessageSend { recipient, .. } => look(recipient),
        Deed::BrowserAct { url, .. } => look(url_host(url).unwrap_or(url)),
        Deed::ExecRun { args, .. } => {
            args.iter().skip(1).take(ARGUMENTS_MAX).for_each(|argument| look(argument));
            found |= args.len() > ARGUMENTS_MAX + 1;
        }
        Deed::ComputerAct { target, .. } => target.as_deref().into_iter().for_each(look),
        Deed::FileRead { path } | Deed::FileWrite { path, .. } | Deed::FilePatch { path, .. } => {
            // People name files by their last part as well.
            let name = path.rsplit('/').next().unwrap_or(path);
            let best = [path.as_str(), name].into_iter().find(|text| session.named(text) == Named::Trusted);
            look(best.unwrap_or(name));
        }
        deed => names(deed).take(1).for_each(|name| look(&name)),
    }
    found
}

/// Tells the strings and numbers in a tool's arguments. `false` when there are more, or deeper, than are looked at: what
/// stands there may be anything.
fn values(value: &Value, depth: usize, count: &mut usize, look: &mut impl FnMut(&str)) -> bool {
    if depth > DEPTH_MAX || *count >= ARGUMENTS_MAX {
        return false;
    }
    match value {
        Value::String(text) => {
            *count += 1;
            look(url_host(text).unwrap_or(text));
            true
        }
        Value::Number(number) => {
            *count += 1;
            look(&number.to_string());
            true
        }
        Value::Array(items) => items.iter().all(|item| values(item, depth + 1, count, look)),
        Value::Object(fields) => fields.values().all(|field| values(field, depth + 1, count, look)),
        Value::Null | Value::Bool(_) => true,
    }
}

impl Guard for FlowGuard {
    fn name(&self) -> &'static str {
        "flow"
    }

    fn interest(&self) -> Interest {
        Interest::ALL
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let Some(session) = scene.look.session else { return };
        for rule in &self.rules {
            let effect = rule.effect(scene);
            if effect > Effect::Allow && rule.holds(scene, session) {
                let message = rule.words.clone();
                findings.push(Found::new("flow", effect, Risk::High, rule.name.clone(), Some(&rule.place), message));
            }
        }
    }

    fn learn(&self, scene: &Scene<'_>, session: &Session) {
        for rule in self.rules.iter().filter(|rule| !rule.after.is_empty()) {
            let done = session.progress(&rule.key).map_or(0, |progress| progress.step);
            let last = rule.after.len() - 1;
            // Once it has come about, its last step starts the time anew.
            let step = done.min(last);
            if rule.after.get(step).is_some_and(|pattern| means(pattern, scene)) {
                session.set_progress(&rule.key, Progress { step: step + 1, at: scene.look.now });
            }
        }
    }

    fn each_rule(&self, tell: &mut dyn FnMut(RuleRef, Effect, &Place)) {
        for rule in &self.rules {
            let effect = if rule.deny.is_empty() { Effect::Ask } else { Effect::Deny };
            let source = Some(rule.place.short());
            tell(RuleRef { rule: rule.name.clone(), text: None, source }, effect, &rule.place);
        }
    }

    fn explain(&self) -> Vec<String> {
        let line = |rule: &Rule| {
            let mut verbs = Vec::new();
            if !rule.ask.is_empty() {
                verbs.push(format!("asks a person for {} kinds of action", rule.ask.len()));
            }
            if !rule.deny.is_empty() {
                verbs.push(format!("refuses {} kinds of action", rule.deny.len()));
            }
            format!("{}: when {}, {}", rule.name, rule.words, verbs.join(" and "))
        };
        self.rules.iter().map(line).collect()
    }
}

//! Sections over names: `tools`, `secrets`, `models`, `messages`, `browser` and `computer`.

use bartizan_model::Effect;
use serde_json::Value;

use crate::args::Args;
use crate::context::Context;
use crate::exposed::exposures;
use crate::language::{Browser, Computer, NameRules, Secrets, Tools};
use crate::pattern::{Wildcard, rank};
use crate::place::At;
use crate::rule::{Best, RuleInfo, id};

/// A compiled section over pairs of names; some leave the first empty.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) rules: Vec<RuleInfo>,
    patterns: Vec<(Wildcard, Wildcard)>,
    /// What rules over tools demand of arguments, by the rule's number, in their order.
    args: Vec<(u32, Args)>,
    pub(crate) default: Effect,
}

impl Names {
    fn new(default: Effect) -> Self {
        Self { rules: Vec::new(), patterns: Vec::new(), args: Vec::new(), default }
    }

    pub(crate) fn tools(tools: &Tools, default: Effect, context: &Context) -> Self {
        let mut compiled = Self::new(default);
        for (effect, list) in [(Effect::Allow, &tools.allow), (Effect::Ask, &tools.ask), (Effect::Deny, &tools.deny)] {
            for (index, rule) in list.iter().flatten().enumerate() {
                let text =
                    At { value: format!("{}/{}", rule.value.server, rule.value.name), place: rule.place.clone() };
                compiled.push("tools", effect, index, &text, &rule.value.server, &rule.value.name);
                if let Some(args) = Args::compile(&rule.value, effect, context) {
                    compiled.args.push((id(compiled.rules.len() - 1), args));
                }
            }
        }
        compiled
    }

    /// A list of names. With a slash in a pattern the part before it is about the first name, else the first is anything.
    pub(crate) fn plain(section: &str, names: &NameRules, default: Effect) -> Self {
        let mut compiled = Self::new(default);
        for (effect, list) in [(Effect::Allow, &names.allow), (Effect::Ask, &names.ask), (Effect::Deny, &names.deny)] {
            for (index, name) in list.iter().flatten().enumerate() {
                let (first, second) = match name.value.split_once('/') {
                    Some((first, second)) if section != "secrets" => (first, second),
                    _ => ("*", name.value.as_str()),
                };
                compiled.push(section, effect, index, name, first, second);
            }
        }
        compiled
    }

    /// What the box itself holds needs no other leave, and only there.
    pub(crate) fn expose(&mut self, secrets: &Secrets, context: &Context) {
        for exposed in exposures(secrets, context) {
            let destination = exposed.destination();
            let rule = RuleInfo::new(exposed.rule, &exposed.text, &exposed.source, Effect::Allow, u32::MAX);
            self.rules.push(rule);
            self.patterns.push((Wildcard::new(&destination), Wildcard::new(&exposed.name)));
        }
    }

    pub(crate) fn browser(browser: &Browser, default: Effect) -> Self {
        let mut compiled = Self::new(default);
        let lists = [(Effect::Allow, &browser.allow), (Effect::Ask, &browser.ask), (Effect::Deny, &browser.deny)];
        for (effect, list) in lists {
            for (index, rule) in list.iter().flatten().enumerate() {
                let text = format!("{} {}", rule.value.operation, rule.value.host);
                let text = At { value: text, place: rule.place.clone() };
                compiled.push("browser", effect, index, &text, &rule.value.operation, &rule.value.host);
            }
        }
        compiled
    }

    pub(crate) fn computer(computer: &Computer, default: Effect) -> Self {
        let mut compiled = Self::new(default);
        let lists = [(Effect::Allow, &computer.allow), (Effect::Ask, &computer.ask), (Effect::Deny, &computer.deny)];
        for (effect, list) in lists {
            for (index, name) in list.iter().flatten().enumerate() {
                compiled.push("computer", effect, index, name, "", &name.value);
            }
        }
        compiled
    }

    fn push(&mut self, section: &str, effect: Effect, index: usize, text: &At<String>, first: &str, second: &str) {
        let pair = (Wildcard::new(first), Wildcard::new(second));
        let open = usize::from(!pair.0.is_literal()) + usize::from(!pair.1.is_literal());
        let rank = rank(pair.0.literal_bytes() + pair.1.literal_bytes(), open);
        let rule = format!("{section}.{}[{index}]", effect.as_str());
        self.rules.push(RuleInfo::new(rule, &text.value, &text.place, effect, rank));
        self.patterns.push(pair);
    }

    /// Tells every rule that matches; for tools with the arguments of the call.
    pub(crate) fn visit(&self, first: &str, second: &str, arguments: &Value, mut found: impl FnMut(u32)) {
        for (index, (wanted_first, wanted_second)) in self.patterns.iter().enumerate() {
            if wanted_first.matches(first.as_bytes(), false)
                && wanted_second.matches(second.as_bytes(), false)
                && self.args_fit(id(index), arguments)
            {
                found(id(index));
            }
        }
    }

    fn args_fit(&self, number: u32, arguments: &Value) -> bool {
        let found = self.args.binary_search_by_key(&number, |(number, _)| *number).ok();
        found.and_then(|at| self.args.get(at)).is_none_or(|(_, args)| args.fit(arguments))
    }

    /// The winner, if a rule matches.
    pub(crate) fn decide(&self, first: &str, second: &str, arguments: &Value) -> Option<(Effect, u32)> {
        let mut best = Best::default();
        self.visit(first, second, arguments, |number| {
            if let Some(rule) = self.rules.get(number as usize) {
                best.offer(rule.effect, rule.rank, number);
            }
        });
        best.winner()
    }
}

//! Guard `budgets`: what may be used up. It only looks here; what an action takes is reserved when it is begun and
//! settled when it ends.

use std::sync::Arc;

use bartizan_model::{ActionKind, Deed, Effect, Risk};

use crate::guards::{Findings, Found, Guard, Interest, Layer, Scene};
use crate::host::{Host, HostPattern};
use crate::language::{Budget, Budgets, PolicyFile, Price};
use crate::pattern::Wildcard;
use crate::place::{At, Place};
use crate::session::{Charge, Scope, Session, Unit};
use crate::units::Span;

/// Bytes of a token where the number of tokens isn't known: what models' own counts come to on English and on code,
/// rounded against the one who asks.
const TOKEN_BYTES: u64 = 3;

pub(super) fn compile(file: &PolicyFile, layer: Layer<'_>) -> Option<Box<dyn Guard>> {
    let section = file.budgets.as_ref()?;
    Some(Box::new(BudgetGuard::new(section, layer)))
}

#[derive(Debug)]
struct BudgetGuard {
    lines: Vec<Line>,
    times: Vec<(&'static str, At<Span>)>,
    prices: Vec<(Wildcard, Price)>,
    over: Effect,
}

/// One budget of one unit.
#[derive(Debug)]
struct Line {
    rule: Arc<str>,
    place: Place,
    scope: Scope,
    key: Arc<str>,
    over_what: What,
    unit: Unit,
    limit: u64,
}

/// Whose use it counts.
#[derive(Debug, Clone)]
enum What {
    All,
    Host(HostPattern),
    Tool(Wildcard, Wildcard),
}

impl BudgetGuard {
    fn new(section: &Budgets, layer: Layer<'_>) -> Self {
        let mut guard = Self {
            lines: Vec::new(),
            times: Vec::new(),
            prices: section
                .prices
                .iter()
                .flatten()
                .map(|price| (Wildcard::new(&price.value.model), price.value.clone()))
                .collect(),
            over: section.over.as_ref().map_or(Effect::Deny, |over| over.value),
        };
        for (name, scope, budget) in [("run", Scope::Run, &section.run), ("session", Scope::Session, &section.session)]
        {
            let Some(budget) = budget else { continue };
            guard.push(layer, &format!("budgets.{name}"), name, scope, &What::All, budget);
            guard.times.extend(budget.time.clone().map(|time| (name, time)));
        }
        for (index, rule) in section.destinations.iter().flatten().enumerate() {
            let Ok(host) = HostPattern::parse(&rule.value.host) else { continue };
            let (name, key) = (format!("budgets.destinations[{index}]"), format!("host {}", rule.value.host));
            guard.push(layer, &name, &key, Scope::Session, &What::Host(host), &rule.value.budget);
        }
        for (index, rule) in section.tools.iter().flatten().enumerate() {
            let tool = What::Tool(Wildcard::new(&rule.value.server), Wildcard::new(&rule.value.name));
            let key = format!("tool {}/{}", rule.value.server, rule.value.name);
            guard.push(layer, &format!("budgets.tools[{index}]"), &key, Scope::Session, &tool, &rule.value.budget);
        }
        guard
    }

    fn push(&mut self, layer: Layer<'_>, rule: &str, key: &str, scope: Scope, what: &What, budget: &Budget) {
        let amounts = [
            (Unit::Requests, budget.requests.as_ref().map(|at| (at.value, &at.place))),
            (Unit::Bytes, budget.bytes.as_ref().map(|at| (at.value.0, &at.place))),
            (Unit::Tokens, budget.tokens.as_ref().map(|at| (at.value, &at.place))),
            (Unit::Cost, budget.cost.as_ref().map(|at| (at.value.0, &at.place))),
        ];
        for (unit, limit) in amounts {
            let Some((limit, place)) = limit else { continue };
            self.lines.push(Line {
                rule: Arc::from(format!("{rule}.{}", unit.as_str())),
                place: place.clone(),
                scope,
                key: Arc::from(format!("{} {key} {}", layer.name, unit.as_str())),
                over_what: what.clone(),
                unit,
                limit,
            });
        }
    }

    /// What this deed takes of a unit; `None` where the unit has nothing to do with it.
    fn amount(&self, scene: &Scene<'_>, unit: Unit) -> Option<u64> {
        let deed = scene.deed;
        match unit {
            // Where requests are decided one by one, they count and not the connection they come through.
            Unit::Requests if matches!(deed, Deed::NetConnect { .. }) && scene.duties.inspect_http => None,
            Unit::Requests => Some(1),
            Unit::Bytes => match deed {
                Deed::ToolCall { arguments, .. } => Some(arguments.to_string().len() as u64),
                // How much goes over a connection is known when it ends.
                Deed::NetConnect { .. } => Some(0),
                deed => Some(deed.content().map_or(0, bartizan_model::Content::length_bytes)),
            },
            Unit::Tokens => tokens(deed).map(|(input, output)| input.saturating_add(output)),
            Unit::Cost => {
                let (input, output) = tokens(deed)?;
                // A model without a price can't be said to stay within a budget.
                Some(self.price(deed).map_or(u64::MAX, |price| cost(price, input, output)))
            }
        }
    }

    /// What a million tokens of the model cost, sent and answered.
    fn price(&self, deed: &Deed) -> Option<(u64, u64)> {
        let Deed::LlmRequest { provider, model, .. } = deed else { return None };
        let whole = provider.as_ref().map(|provider| format!("{provider}/{model}"));
        let matches = |pattern: &Wildcard| {
            pattern.matches(model.as_bytes(), true)
                || whole.as_ref().is_some_and(|whole| pattern.matches(whole.as_bytes(), true))
        };
        let fitting = self.prices.iter().filter(|(pattern, _)| matches(pattern));
        let (_, price) = fitting.max_by_key(|(pattern, _)| pattern.literal_bytes())?;
        Some((price.input.0, price.output.0))
    }

    fn each(&self, scene: &Scene<'_>, mut tell: impl FnMut(&Line, Charge)) {
        for line in &self.lines {
            if !line.over_what.holds(scene.deed) {
                continue;
            }
            if let Some(amount) = self.amount(scene, line.unit) {
                let charge = Charge {
                    scope: line.scope,
                    key: line.key.clone(),
                    rule: line.rule.clone(),
                    unit: line.unit,
                    amount,
                    limit: line.limit,
                    over: self.over,
                    price: if line.unit == Unit::Cost { self.price(scene.deed) } else { None },
                    forced: false,
                };
                tell(line, charge);
            }
        }
    }

    fn over_time(&self, scene: &Scene<'_>, session: &Session) -> Option<(&'static str, &At<Span>)> {
        let (started, now) = (session.started()?, scene.look.now?);
        let passed = now.duration_since(started).unsigned_abs();
        self.times.iter().find(|(_, limit)| passed > limit.value.0).map(|(name, limit)| (*name, limit))
    }
}

impl What {
    fn holds(&self, deed: &Deed) -> bool {
        match (self, deed) {
            (Self::All, _) => true,
            (Self::Host(pattern), Deed::NetConnect { host, .. } | Deed::HttpRequest { host, .. }) => {
                // What is no host counts everywhere.
                Host::canonical(host).is_none_or(|host| pattern.matches(&host))
            }
            (Self::Host(pattern), Deed::LlmRequest { provider: Some(provider), .. }) => {
                Host::canonical(provider).is_some_and(|host| pattern.matches(&host))
            }
            (Self::Tool(wanted_server, wanted_name), Deed::ToolCall { server, name, .. }) => {
                wanted_server.matches(server.as_bytes(), true) && wanted_name.matches(name.as_bytes(), true)
            }
            _ => false,
        }
    }
}

/// What tokens cost at these prices of a million, in millionths; never less than they do.
pub(crate) fn cost((sent, answered): (u64, u64), input: u64, output: u64) -> u64 {
    let millionths = u128::from(input) * u128::from(sent) + u128::from(output) * u128::from(answered);
    u64::try_from(millionths.div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Tokens sent and the most answered.
fn tokens(deed: &Deed) -> Option<(u64, u64)> {
    let Deed::LlmRequest { content, input_tokens, output_tokens_max, .. } = deed else { return None };
    let estimate = content.length_bytes().div_ceil(TOKEN_BYTES);
    Some((input_tokens.unwrap_or(estimate), output_tokens_max.unwrap_or(0)))
}

impl Guard for BudgetGuard {
    fn name(&self) -> &'static str {
        "budgets"
    }

    fn interest(&self) -> Interest {
        use ActionKind::{BrowserAct, HttpRequest, LlmRequest, MessageSend, NetConnect, ToolCall};
        Interest::of(&[NetConnect, HttpRequest, LlmRequest, MessageSend, BrowserAct, ToolCall])
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let Some(session) = scene.look.session else { return };
        // Decided anew, under a policy that has changed: what it uses is counted already.
        let begun = scene.look.begun();
        self.each(scene, |line, charge| {
            let used = session.used(&charge);
            let over = if begun {
                used > line.limit
            } else {
                used.saturating_add(charge.amount) > line.limit || (charge.amount == 0 && used >= line.limit)
            };
            if over {
                let (unit, limit) = (line.unit.as_str(), line.limit);
                let message = if begun {
                    format!("more {unit} are used than the {limit} that may be")
                } else {
                    format!("it would use {} more {unit} than the {limit} that may be used", charge.amount)
                };
                findings.push(Found::new(
                    "budgets",
                    self.over,
                    Risk::Medium,
                    line.rule.to_string(),
                    Some(&line.place),
                    message,
                ));
            }
        });
        if let Some((name, limit)) = self.over_time(scene, session) {
            let message = format!("its {} are over", limit.value);
            let rule = format!("budgets.{name}.time");
            findings.push(Found::new("budgets", self.over, Risk::Medium, rule, Some(&limit.place), message));
        }
    }

    fn charge(&self, scene: &Scene<'_>, charges: &mut Vec<Charge>) {
        self.each(scene, |_, charge| charges.push(charge));
    }

    fn explain(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.lines.iter().map(|line| format!("{}: at most {}", line.rule, line.limit)).collect();
        lines.extend(self.times.iter().map(|(name, limit)| format!("budgets.{name}.time: at most {}", limit.value)));
        lines.push(format!("what would go over: {}", self.over.as_str()));
        lines
    }
}

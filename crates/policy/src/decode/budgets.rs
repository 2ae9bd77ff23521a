//! Reads section `budgets`.

use bartizan_model::Effect;

use crate::host::HostPattern;
use crate::language::{Budget, Budgets, DestinationBudget, Money, Price, ToolBudget};
use crate::place::At;
use crate::shapes::{Decoder, Keys};
use crate::units::{Bytes, Span};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[
    ("budgets", &["run", "session", "destinations", "tools", "prices", "over"]),
    ("a budget", &["requests", "bytes", "tokens", "cost", "time"]),
    ("a destination's budget", &["host", "requests", "bytes", "tokens", "cost"]),
    ("a tool's budget", &["server", "name", "requests", "bytes"]),
    ("a price", &["model", "input", "output"]),
];

impl Decoder {
    pub(crate) fn budgets(&mut self, node: &Node) -> Budgets {
        let mut budgets = Budgets::default();
        for (key, node) in self.mapping(node, "budgets") {
            match key.value.as_str() {
                "run" => budgets.run = Some(self.budget(node)),
                "session" => budgets.session = Some(self.budget(node)),
                "destinations" => budgets.destinations = self.list(node, Self::destination_budget),
                "tools" => budgets.tools = self.list(node, Self::tool_budget),
                "prices" => budgets.prices = self.list(node, Self::price),
                "over" => budgets.over = self.choice(node, &[("deny", Effect::Deny), ("ask", Effect::Ask)]),
                _ => {}
            }
        }
        let costs = |budget: &Option<Budget>| {
            budget.as_ref().and_then(|budget| budget.cost.as_ref().map(|cost| cost.place.clone()))
        };
        let destinations = budgets.destinations.iter().flatten().find_map(|rule| rule.value.budget.cost.as_ref());
        let cost = costs(&budgets.run).or(costs(&budgets.session)).or(destinations.map(|cost| cost.place.clone()));
        if let (Some(place), None) = (cost, &budgets.prices) {
            self.errors.add(
                &place,
                "a budget of `cost` needs `prices`, as in `prices: [{ model: \"*\", input: 3, output: 15 }]`",
            );
        }
        budgets
    }

    fn budget(&mut self, node: &Node) -> Budget {
        let mut budget = Budget::default();
        for (key, node) in self.mapping(node, "a budget") {
            self.amount(&mut budget, &key.value, node);
        }
        budget
    }

    fn amount(&mut self, budget: &mut Budget, key: &str, node: &Node) {
        match key {
            "requests" => budget.requests = self.count(node),
            "bytes" => budget.bytes = self.unit(node, Bytes::parse),
            "tokens" => budget.tokens = self.count(node),
            "cost" => budget.cost = self.unit(node, Money::parse),
            "time" => budget.time = self.unit(node, Span::parse),
            _ => {}
        }
    }

    fn destination_budget(&mut self, node: &Node) -> Option<At<DestinationBudget>> {
        let (mut host, mut budget) = (None, Budget::default());
        for (key, node) in self.mapping(node, "a destination's budget") {
            match key.value.as_str() {
                "host" => {
                    let text = self.text(node)?;
                    if let Err(problem) = HostPattern::parse(&text.value) {
                        self.errors.add(&text.place, problem);
                        return None;
                    }
                    host = Some(text.value);
                }
                key => self.amount(&mut budget, key, node),
            }
        }
        let Some(host) = host else {
            self.missing(node, "host", "a destination's budget");
            return None;
        };
        self.says_something(node, &budget);
        Some(At { value: DestinationBudget { host, budget }, place: node.place.clone() })
    }

    fn tool_budget(&mut self, node: &Node) -> Option<At<ToolBudget>> {
        let (mut server, mut name, mut budget) = (None, "*".to_owned(), Budget::default());
        for (key, node) in self.mapping(node, "a tool's budget") {
            match key.value.as_str() {
                "server" => server = Some(self.word(node)?.value),
                "name" => name = self.word(node)?.value,
                key => self.amount(&mut budget, key, node),
            }
        }
        let Some(server) = server else {
            self.missing(node, "server", "a tool's budget");
            return None;
        };
        self.says_something(node, &budget);
        Some(At { value: ToolBudget { server, name, budget }, place: node.place.clone() })
    }

    fn says_something(&mut self, node: &Node, budget: &Budget) {
        if *budget == Budget::default() {
            self.errors.add(&node.place, "this budget limits nothing; add `requests`, `bytes`, `tokens` or `cost`");
        }
    }

    fn price(&mut self, node: &Node) -> Option<At<Price>> {
        let (mut model, mut input, mut output) = (None, None, None);
        for (key, node) in self.mapping(node, "a price") {
            match key.value.as_str() {
                "model" => model = Some(self.word(node)?.value),
                "input" => input = self.unit(node, Money::parse),
                "output" => output = self.unit(node, Money::parse),
                _ => {}
            }
        }
        let (Some(model), Some(input), Some(output)) = (model, input, output) else {
            self.errors.add(&node.place, "a price needs the keys `model`, `input` and `output`");
            return None;
        };
        Some(At { value: Price { model, input: input.value, output: output.value }, place: node.place.clone() })
    }
}

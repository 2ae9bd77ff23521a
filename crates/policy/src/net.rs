//! Section `net`: connections, names and requests over one list of destinations.

use std::collections::HashMap;
use std::net::IpAddr;

use bartizan_model::{Effect, LlmApi, RequestNeeds};
use smallvec::SmallVec;

use crate::address::{Range, Special, special, special_range};
use crate::host::{Host, HostPattern};
use crate::http::{ByteLimits, Requests};
use crate::language::{Net, NetRule, Ports};
use crate::request::{Fit, Request, Unread};
use crate::rule::{Best, RuleInfo, id};

/// Ports of a rule that names none, except in `deny`.
pub(crate) const DEFAULT_PORTS: [Ports; 2] = [Ports { first: 80, last: 80 }, Ports { first: 443, last: 443 }];
/// Record types that are answered: those a connection needs.
const RECORD_TYPES: [&str; 4] = ["A", "AAAA", "HTTPS", "SVCB"];

/// What must hold while a connection is carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Duties {
    /// Requests are decided one by one.
    pub inspect_http: bool,
    /// Dial exactly this address.
    pub dial: Option<IpAddr>,
    /// The name may resolve to a private address.
    pub allow_private: bool,
    /// How long request and answer may be.
    pub bytes: ByteLimits,
    /// The host is asked for language models in this protocol.
    pub llm: Option<LlmApi>,
    /// Calls of tools in a model's answer are decided.
    pub tool_calls: bool,
}

/// How a destination was decided.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    /// By this rule.
    Rule(Effect, u32),
    /// The request is outside the `http` list of this rule, and why that can't be told for sure.
    Outside(u32, Option<Unread>),
    /// Whether this rule holds the request back can't be told.
    Unread(u32, Unread),
    /// No rule matches.
    Default,
    /// An address no rule vouches for.
    Special(Special),
    /// A record type that isn't answered.
    RecordType,
}

#[derive(Debug)]
struct Destination {
    host: HostPattern,
    ports: SmallVec<[Ports; 2]>,
    every_port: bool,
    http: Option<Requests>,
    address: Option<IpAddr>,
    private: bool,
    llm: Option<LlmApi>,
}

/// What is asked of a destination.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish<'a> {
    Connect,
    Request(&'a Request<'a>),
}

/// The compiled section.
#[derive(Debug)]
pub(crate) struct Destinations {
    pub(crate) rules: Vec<RuleInfo>,
    destinations: Vec<Destination>,
    names: HashMap<String, SmallVec<[u32; 4]>>,
    below: HashMap<String, SmallVec<[u32; 4]>>,
    any_name: Vec<u32>,
    ranges: Vec<(Range, u32)>,
    pub(crate) default: Effect,
    /// Whether addresses without a rule that vouches for them are refused.
    guards: bool,
    /// Whether some rule depends on more of a request than its method, path and query.
    looks_inside: bool,
}

impl Destinations {
    pub(crate) fn compile(net: &Net, default: Effect, guards: bool) -> Self {
        let mut compiled = Self {
            rules: Vec::new(),
            destinations: Vec::new(),
            names: HashMap::new(),
            below: HashMap::new(),
            any_name: Vec::new(),
            ranges: Vec::new(),
            default,
            guards,
            looks_inside: false,
        };
        for (effect, list) in [(Effect::Allow, &net.allow), (Effect::Ask, &net.ask), (Effect::Deny, &net.deny)] {
            for (index, rule) in list.iter().flatten().enumerate() {
                let name = format!("net.{}[{index}]", effect.as_str());
                compiled.rules.push(RuleInfo::new(name, &rule.value.text, &rule.place, effect, rule.value.rank()));
                compiled.push(&rule.value, effect);
            }
        }
        compiled
    }

    fn push(&mut self, rule: &NetRule, effect: Effect) {
        let number = id(self.destinations.len());
        match &rule.host {
            HostPattern::AnyName => self.any_name.push(number),
            HostPattern::Name(name) => self.names.entry(name.clone()).or_default().push(number),
            HostPattern::Below(name) => self.below.entry(name.clone()).or_default().push(number),
            HostPattern::Addresses(range) => self.ranges.push((*range, number)),
        }
        let ports: SmallVec<[Ports; 2]> = match (rule.ports.as_slice(), effect) {
            ([], Effect::Deny) => SmallVec::from_slice(&[Ports::ALL]),
            ([], _) => SmallVec::from_slice(&DEFAULT_PORTS),
            (ports, _) => SmallVec::from_slice(ports),
        };
        let http = rule.http.as_ref().map(|http| Requests::compile(http, effect != Effect::Allow));
        self.looks_inside |= http.as_ref().is_some_and(Requests::looks_inside);
        self.destinations.push(Destination {
            host: rule.host.clone(),
            every_port: ports.contains(&Ports::ALL),
            ports,
            http,
            address: rule.address,
            private: rule.private,
            llm: rule.llm,
        });
    }

    /// Tells every rule over this host, whatever its ports.
    fn candidates(&self, host: &Host<'_>, mut found: impl FnMut(u32, &RuleInfo, &Destination)) {
        let mut tell = |number: u32| {
            if let (Some(rule), Some(destination)) =
                (self.rules.get(number as usize), self.destinations.get(number as usize))
            {
                found(number, rule, destination);
            }
        };
        match host {
            Host::Name(name) => {
                self.names.get(name.as_ref()).into_iter().flatten().copied().for_each(&mut tell);
                if !self.below.is_empty() {
                    let mut rest = name.as_ref();
                    while let Some((_, parent)) = rest.split_once('.') {
                        self.below.get(parent).into_iter().flatten().copied().for_each(&mut tell);
                        rest = parent;
                    }
                }
                self.any_name.iter().copied().for_each(&mut tell);
            }
            Host::Address(address) => {
                let inside = self.ranges.iter().filter(|(range, _)| range.contains(*address));
                inside.map(|(_, number)| *number).for_each(&mut tell);
            }
        }
    }

    /// Tells every rule that has something to say about this connection or request.
    pub(crate) fn visit(&self, host: &Host<'_>, port: u16, wish: Wish<'_>, mut found: impl FnMut(u32)) {
        self.candidates(host, |number, _, destination| {
            let fits = match (&destination.http, wish) {
                (Some(http), Wish::Request(request)) => http.fit(request) != Fit::No,
                _ => true,
            };
            if fits && destination.ports.iter().any(|ports| ports.contains(port)) {
                found(number);
            }
        });
    }

    /// What deciding over this request needs to know of it.
    pub(crate) fn needs(&self, host: &Host<'_>, port: u16, request: &Request<'_>, needs: &mut RequestNeeds) {
        if !self.looks_inside {
            return;
        }
        self.candidates(host, |_, _, destination| {
            if let Some(http) = &destination.http
                && destination.ports.iter().any(|ports| ports.contains(port))
            {
                http.needs(request, needs);
            }
        });
    }

    /// Decides a connection or a request.
    pub(crate) fn decide(&self, host: &Host<'_>, port: u16, wish: Wish<'_>) -> (Found, Duties) {
        let mut best = Best::default();
        let mut outside: Option<(u32, u32, Option<Unread>)> = None;
        let mut unread: Option<(u32, u32, Unread)> = None;
        let mut dial: Option<(u32, IpAddr)> = None;
        let mut llm: Option<(u32, LlmApi)> = None;
        let mut duties = Duties::default();
        let (mut listed, mut plain) = (false, false);
        let mut vouched = false;
        let special = match host {
            Host::Address(address) => special(*address).filter(|_| self.guards),
            Host::Name(_) => None,
        };
        self.candidates(host, |number, rule, destination| {
            if !destination.ports.iter().any(|ports| ports.contains(port)) {
                return;
            }
            if rule.effect != Effect::Deny {
                duties.allow_private |= destination.private || destination.address.is_some();
                dial = dial.max(destination.address.map(|address| (rule.rank, address)));
                if let Some(api) = destination.llm.filter(|_| llm.is_none_or(|(rank, _)| rank < rule.rank)) {
                    llm = Some((rule.rank, api));
                }
                vouched |= vouches(&destination.host, special);
            }
            match (&destination.http, wish) {
                (None, _) => {
                    plain |= rule.effect == Effect::Allow;
                    best.offer(rule.effect, rule.rank, number);
                }
                (Some(_), Wish::Connect) => match rule.effect {
                    // Requests will be decided one by one, so the connection itself may come about.
                    Effect::Allow => {
                        listed = true;
                        best.offer(Effect::Allow, rule.rank, number);
                    }
                    Effect::Ask => {
                        duties.inspect_http = true;
                        best.offer(Effect::Allow, rule.rank, number);
                    }
                    Effect::Deny => duties.inspect_http = true,
                },
                (Some(http), Wish::Request(request)) => {
                    duties.inspect_http = true;
                    match http.judge(request) {
                        (Fit::Yes, bytes) => {
                            duties.bytes = duties.bytes.min(bytes);
                            best.offer(rule.effect, rule.rank, number);
                        }
                        (Fit::No, _) if rule.effect == Effect::Allow => {
                            outside = outside.max(Some((rule.rank, number, None)));
                        }
                        (Fit::Unread(why), _) if rule.effect == Effect::Allow => {
                            outside = outside.max(Some((rule.rank, number, Some(why))));
                        }
                        (Fit::No, _) => {}
                        (Fit::Unread(why), _) => unread = unread.max(Some((rule.rank, number, why))),
                    }
                }
            }
        });
        duties.llm = llm.map(|(_, api)| api);
        duties.inspect_http |= listed && !plain || duties.llm.is_some();
        duties.dial = dial.map(|(_, address)| address);
        if let Some(special) = special {
            if !vouched {
                return (Found::Special(special), Duties::default());
            }
            duties.allow_private = true;
            if let Host::Address(address) = host {
                duties.dial = Some(*address);
            }
        }
        let found = match (best.winner(), unread, outside) {
            (Some((Effect::Deny, number)), ..) => Found::Rule(Effect::Deny, number),
            (_, Some((_, number, why)), _) => Found::Unread(number, why),
            (Some((effect, number)), ..) => Found::Rule(effect, number),
            (None, None, Some((_, number, why))) => Found::Outside(number, why),
            (None, None, None) => Found::Default,
        };
        (found, duties)
    }

    /// Decides a question for a name: answered when some connection to it could come about.
    pub(crate) fn decide_name(&self, host: &Host<'_>, record_type: &str) -> Found {
        if !RECORD_TYPES.iter().any(|known| known.eq_ignore_ascii_case(record_type)) {
            return Found::RecordType;
        }
        let mut best = Best::default();
        self.candidates(host, |number, rule, destination| match rule.effect {
            Effect::Deny if destination.http.is_none() && destination.every_port => {
                best.offer(Effect::Deny, rule.rank, number);
            }
            Effect::Deny => {}
            Effect::Ask | Effect::Allow => best.offer(Effect::Allow, rule.rank, number),
        });
        best.winner().map_or(Found::Default, |(effect, number)| Found::Rule(effect, number))
    }

    /// Tells every rule over this name, whatever its ports.
    pub(crate) fn visit_name(&self, host: &Host<'_>, mut found: impl FnMut(u32)) {
        self.candidates(host, |number, _, _| found(number));
    }
}

/// Whether a rule over these hosts says that its author means this special address.
fn vouches(pattern: &HostPattern, special: Option<Special>) -> bool {
    let (HostPattern::Addresses(range), Some(special)) = (pattern, special) else { return false };
    range.is_single() || (special.range_may_vouch() && special_range(range).is_some())
}

impl NetRule {
    /// How specific the rule is: its host first, then whether it names ports and requests.
    fn rank(&self) -> u32 {
        self.host.rank().saturating_add(256 * (u32::from(!self.ports.is_empty()) + u32::from(self.http.is_some())))
    }
}

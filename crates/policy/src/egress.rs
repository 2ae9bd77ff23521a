//! The layer of a watch: which addresses and ports are let through without asking, compiled from section `net`.
//!
//! Nothing is decided here. Address space is cut up until every piece is treated alike by every rule and every special
//! range, and so are ports; then the policy itself is asked about one of each.

use std::net::{IpAddr, Ipv6Addr};

use bartizan_model::{Deed, Effect};

use crate::address::{Range, special_ranges};
use crate::host::HostPattern;
use crate::language::{NetRule, Ports};
use crate::load::Policy;
use crate::net::DEFAULT_PORTS;
use crate::set::PolicySet;

/// More pieces than a policy people write comes to; the kernel's table holds twice as many.
pub const RANGES_MAX: usize = 16_384;

/// Addresses that may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EgressRange {
    /// The first address.
    pub address: IpAddr,
    /// How many of its bits are fixed.
    pub prefix: u8,
    /// Spans of ports, first and last.
    pub ports: Vec<(u16, u16)>,
}

/// What a name may be reached at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameEgress {
    /// Spans of ports, first and last; none if nothing at all.
    pub ports: Vec<(u16, u16)>,
    /// The name may lead to private addresses.
    pub allow_private: bool,
    /// Exactly this address, wherever the name leads.
    pub address: Option<IpAddr>,
}

/// Why this policy can't be compiled into addresses and ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// A program decides.
    #[error(
        "the policy decides by programs of its own (`rego` or `wasm`), which can't be compiled into addresses and ports; leave them out for a watch, or use `bartizan run`"
    )]
    Programs,
    /// Too many pieces.
    #[error("the rules cut addresses into more than {RANGES_MAX} pieces; name fewer or larger ranges")]
    TooMany,
}

impl PolicySet {
    /// The addresses that may be reached without asking, and at which ports. Rules over names have no part in it, nor
    /// those that ask or decide single requests.
    ///
    /// # Errors
    /// The policy can't be compiled.
    pub fn egress(&self) -> Result<Vec<EgressRange>, EgressError> {
        if self.policies().any(|policy| policy.rego().is_some() || policy.wasm().next().is_some()) {
            return Err(EgressError::Programs);
        }
        let edges = self.port_edges();
        let named = self.net_rules().filter_map(|rule| match &rule.host {
            HostPattern::Addresses(range) => Some(*range),
            _ => None,
        });
        let named: Vec<Range> = named.collect();
        let known: Vec<Range> = named.iter().copied().chain(special_ranges()).chain(TRANSITION).collect();
        let mut pieces = Vec::new();
        for range in &named {
            // One that lies in another is reached by cutting that one up.
            if !named.iter().any(|other| other != range && other.covers(range)) {
                cut(*range, &known, &mut pieces)?;
            }
        }
        pieces.sort_unstable_by_key(|range| (range.address(), range.prefix()));
        pieces.dedup();
        let ranges =
            pieces.into_iter().filter(|piece| piece.is_single() || !TRANSITION.iter().any(|range| range.covers(piece)));
        let ranges = ranges.filter_map(|piece| {
            let ports = self.ports(&piece.address().to_string(), &edges, Some(piece.address()));
            let found = EgressRange { address: piece.address(), prefix: piece.prefix(), ports };
            (!found.ports.is_empty()).then_some(found)
        });
        Ok(ranges.collect())
    }

    /// What a name may be reached at without asking.
    #[must_use]
    pub fn egress_of_name(&self, name: &str) -> NameEgress {
        let edges = self.port_edges();
        let ports = self.ports(name, &edges, None);
        let first = ports.first().map(|(first, _)| *first);
        let duties = first.map(|port| self.decide(&Deed::NetConnect { host: name.to_owned(), port }).duties());
        NameEgress {
            ports,
            allow_private: duties.is_some_and(|duties| duties.allow_private),
            address: duties.and_then(|duties| duties.dial),
        }
    }

    /// The rules a watch can't carry out, as they are written: those over single requests, and those that ask.
    #[must_use]
    pub fn egress_left_out(&self) -> Vec<String> {
        let nets = self.policies().filter_map(|policy| policy.file().net.as_ref());
        let asks = nets.flat_map(|net| net.ask.iter().flatten()).map(|rule| &rule.value);
        let requests = self.net_rules().filter(|rule| rule.http.is_some());
        asks.chain(requests).map(|rule| rule.text.clone()).collect()
    }

    fn policies(&self) -> impl Iterator<Item = &Policy> {
        std::iter::once(self.user()).chain(self.narrowing())
    }

    fn net_rules(&self) -> impl Iterator<Item = &NetRule> {
        let nets = self.policies().filter_map(|policy| policy.file().net.as_ref());
        nets.flat_map(|net| [&net.allow, &net.ask, &net.deny].into_iter().flatten().flatten()).map(|rule| &rule.value)
    }

    /// The ports at which something may change, each the first of a span that is treated alike.
    fn port_edges(&self) -> Vec<u16> {
        let spans = self.net_rules().flat_map(|rule| rule.ports.iter().copied()).chain(DEFAULT_PORTS);
        let ends = |span: Ports| [Some(span.first), span.last.checked_add(1)].into_iter().flatten();
        let mut edges: Vec<u16> = spans.flat_map(ends).chain([1]).filter(|port| *port != 0).collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    fn ports(&self, host: &str, edges: &[u16], address: Option<IpAddr>) -> Vec<(u16, u16)> {
        let mut spans: Vec<(u16, u16)> = Vec::new();
        for (index, first) in edges.iter().copied().enumerate() {
            let decision = self.decide(&Deed::NetConnect { host: host.to_owned(), port: first });
            let duties = decision.duties();
            let elsewhere = address.is_some() && duties.dial.is_some_and(|dial| Some(dial) != address);
            if decision.effect() != Effect::Allow || duties.inspect_http || elsewhere {
                continue;
            }
            let last = edges.get(index + 1).map_or(u16::MAX, |next| next - 1);
            match spans.last_mut() {
                Some((_, end)) if *end + 1 == first => *end = last,
                _ => spans.push((first, last)),
            }
        }
        spans
    }
}

/// Addresses of transition mechanisms: what such an address leads to stands within it, so that no range of them is treated
/// alike.
const TRANSITION: [Range; 3] = [
    Range::of(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 96),
    Range::of(IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)), 96),
    Range::of(IpAddr::V6(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0)), 16),
];

/// Cuts a range until no known one lies strictly within a piece.
fn cut(range: Range, known: &[Range], pieces: &mut Vec<Range>) -> Result<(), EgressError> {
    if pieces.len() >= RANGES_MAX {
        return Err(EgressError::TooMany);
    }
    let within: Vec<Range> = known.iter().filter(|other| **other != range && range.covers(other)).copied().collect();
    match range.halves() {
        Some(halves) if !within.is_empty() => halves.into_iter().try_for_each(|half| cut(half, &within, pieces)),
        _ => {
            pieces.push(range);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{BuiltinsOnly, Context, Policy, Source};

    fn set(net: &str) -> PolicySet {
        let text = format!("bartizan: 1\nname: t\nnet: {net}\n");
        let policy = Policy::load(&Source::new("t", text.into_bytes()), &BuiltinsOnly).unwrap();
        PolicySet::new(policy, [], Context::new(Path::new("/home/u"), Path::new("/home/u/w")).unwrap()).unwrap()
    }

    fn ranges(net: &str) -> Vec<String> {
        let ranges = set(net).egress().unwrap().into_iter();
        ranges.map(|range| format!("{}/{} {:?}", range.address, range.prefix, range.ports)).collect()
    }

    #[test]
    fn a_range_is_let_through_at_its_ports() {
        assert_eq!(ranges("{ default: deny, allow: [8.8.8.0/24] }"), ["8.8.8.0/24 [(80, 80), (443, 443)]"]);
        assert_eq!(ranges("{ default: deny, allow: [\"8.8.8.8:53\"] }"), ["8.8.8.8/32 [(53, 53)]"]);
        assert_eq!(
            ranges("{ default: deny, allow: [{ host: \"2606:4700::/32\", ports: [\"1000-2000\", 443] }] }"),
            ["2606:4700::/32 [(443, 443), (1000, 2000)]"]
        );
        assert_eq!(ranges("{ default: deny }"), Vec::<String>::new());
    }

    #[test]
    fn what_is_denied_within_is_cut_out() {
        assert_eq!(
            ranges("{ default: deny, allow: [{ host: 8.8.8.0/30, ports: [443] }], deny: [8.8.8.1] }"),
            ["8.8.8.0/32 [(443, 443)]", "8.8.8.2/31 [(443, 443)]"]
        );
        assert_eq!(
            ranges("{ default: deny, allow: [{ host: 8.8.8.0/31, ports: [\"440-450\"] }], ask: [\"8.8.8.0:443\"] }"),
            ["8.8.8.0/32 [(440, 442), (444, 450)]", "8.8.8.1/32 [(440, 450)]"]
        );
    }

    #[test]
    fn special_addresses_need_somebody_to_vouch() {
        let wide = ranges("{ default: deny, allow: [{ host: 0.0.0.0/0, ports: [443] }] }");
        let set = set("{ default: deny, allow: [{ host: 0.0.0.0/0, ports: [443] }] }");
        let found = set.egress().unwrap();
        let reaches = |address: &str| {
            let address: IpAddr = address.parse().unwrap();
            found.iter().any(|range| Range::of(range.address, range.prefix).contains(address))
        };
        for (address, expected) in [
            ("8.8.8.8", true),
            ("10.1.1.1", false),
            ("169.254.169.254", false),
            ("127.0.0.1", false),
            ("11.0.0.1", true),
        ] {
            assert_eq!(reaches(address), expected, "{address} in {wide:?}");
        }
        assert_eq!(ranges("{ default: deny, allow: [\"127.0.0.1:8080\"] }"), ["127.0.0.1/32 [(8080, 8080)]"]);
        assert_eq!(ranges("{ default: deny, allow: [{ host: 10.0.0.0/8, ports: [22] }] }"), ["10.0.0.0/8 [(22, 22)]"]);
    }

    #[test]
    fn names_have_ports_of_their_own() {
        let set = set(
            "{ default: deny, allow: [a.test, { host: \"*.b.test\", ports: [8443], private: true }, { host: c.test, http: [{ method: GET }] }], ask: [d.test] }",
        );
        assert_eq!(set.egress_of_name("a.test").ports, [(80, 80), (443, 443)]);
        let below = set.egress_of_name("x.b.test");
        assert_eq!((below.ports, below.allow_private), (vec![(8443, 8443)], true));
        for name in ["b.test", "c.test", "d.test", "e.test"] {
            assert!(set.egress_of_name(name).ports.is_empty(), "{name}");
        }
        assert_eq!(set.egress_left_out().len(), 2);
    }
}

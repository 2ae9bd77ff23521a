//! Keys that servers must show (`pins` of a net rule): what a certificate authority vouches for is not enough there.

use bartizan_model::{Deed, Effect, Obligation, Risk};
use jiff::Timestamp;

use crate::guards::{Findings, Found};
use crate::host::{Host, HostPattern};
use crate::language::{NetRule, Pins, PolicyFile, Ports};
use crate::place::Place;
use crate::secrets::ports;

/// One rule's pins.
#[derive(Debug)]
struct Pinned {
    host: HostPattern,
    ports: Vec<Ports>,
    pins: Pins,
    place: Place,
}

/// Every pin in force.
#[derive(Debug, Default)]
pub(crate) struct PinnedHosts {
    list: Vec<Pinned>,
}

impl PinnedHosts {
    /// Those of all these policies: one that narrows may pin as well.
    pub(crate) fn compile<'a>(files: impl Iterator<Item = &'a PolicyFile>) -> Self {
        let rules = files.flat_map(|file| file.net.iter()).flat_map(|net| [&net.allow, &net.ask]).flatten().flatten();
        let list = rules.filter_map(|rule| {
            let NetRule { host, ports: named, pins, .. } = &rule.value;
            let pins = pins.clone()?;
            Some(Pinned { host: host.clone(), ports: ports(named), pins, place: rule.place.clone() })
        });
        Self { list: list.collect() }
    }

    fn over(&self, deed: &Deed) -> impl Iterator<Item = &Pinned> {
        let destination = match deed {
            Deed::NetConnect { host, port } | Deed::HttpRequest { host, port, .. } if !self.list.is_empty() => {
                Host::canonical(host).map(|host| (host, *port))
            }
            _ => None,
        };
        self.list.iter().filter(move |pinned| {
            destination.as_ref().is_some_and(|(host, port)| {
                pinned.host.matches(host) && pinned.ports.iter().any(|ports| ports.contains(*port))
            })
        })
    }

    /// Whether the server's keys must be seen.
    pub(crate) fn concern(&self, deed: &Deed) -> bool {
        self.over(deed).next().is_some()
    }

    /// What the server must show.
    pub(crate) fn obligations(&self, deed: &Deed) -> Vec<Obligation> {
        let obligation = |pinned: &Pinned| Obligation::PinKeys { sha256: pinned.pins.sha256.clone() };
        self.over(deed).map(obligation).collect()
    }

    /// Pins that have ended let nothing through: whoever forgot them is told, not the attacker who waited.
    pub(crate) fn check(&self, deed: &Deed, now: Option<Timestamp>, findings: &mut Findings) {
        for pinned in self.over(deed) {
            let (Some(until), Some(now)) = (pinned.pins.until, now) else { continue };
            if now >= until {
                let message = format!(
                    "its pins ended at {until}; write the server's present keys and a later `until` into the rule"
                );
                let found = Found::new("net", Effect::Deny, Risk::High, "net.pins", Some(&pinned.place), message);
                findings.push(found);
            }
        }
    }
}

//! What policy lets be reached, compiled for the guard and asked anew for each name.

use std::net::IpAddr;
use std::sync::Arc;

use bartizan_net::watch::{NameReach, Reach, Reaches};
use bartizan_policy::{EgressError, PolicySet};

/// A policy in the guard's form.
pub struct Compiled {
    set: Arc<PolicySet>,
    /// What may be reached by address.
    pub ranges: Vec<Reach>,
}

impl Compiled {
    pub fn compile(set: &Arc<PolicySet>) -> Result<Self, EgressError> {
        Ok(Self { set: set.clone(), ranges: set.egress()?.iter().map(super::reach).collect() })
    }

    /// Tells this policy from others.
    pub fn mark(&self) -> u64 {
        let digest = self.set.digest().to_string();
        let hex: String = digest.chars().rev().filter(char::is_ascii_hexdigit).take(16).collect();
        u64::from_str_radix(&hex, 16).unwrap_or(1).max(1)
    }
}

impl Reaches for Compiled {
    fn of_name(&self, name: &str) -> NameReach {
        let egress = self.set.egress_of_name(name);
        NameReach { ports: egress.ports, private: egress.allow_private, address: egress.address }
    }

    fn of_address(&self, address: IpAddr) -> Vec<(u16, u16)> {
        let holding = self.ranges.iter().filter(|range| holds(range, address));
        holding.flat_map(|range| range.ports.iter().copied()).collect()
    }
}

fn holds(range: &Reach, address: IpAddr) -> bool {
    let (first, address, width) = match (range.address, address) {
        (IpAddr::V4(first), IpAddr::V4(address)) => {
            (u128::from(first.to_bits()), u128::from(address.to_bits()), 32_u32)
        }
        (IpAddr::V6(first), IpAddr::V6(address)) => (first.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let free = width.saturating_sub(u32::from(range.prefix));
    (first ^ address).checked_shr(free).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_addresses() {
        let range = |address: &str, prefix| Reach { address: address.parse().unwrap(), prefix, ports: vec![] };
        for (address, prefix, asked, expected) in [
            ("10.0.0.0", 8, "10.255.0.1", true),
            ("10.0.0.0", 8, "11.0.0.0", false),
            ("0.0.0.0", 0, "1.2.3.4", true),
            ("::", 0, "fd00::1", true),
            ("::1", 128, "::1", true),
            ("::1", 128, "::2", false),
            ("0.0.0.0", 0, "::1", false),
        ] {
            assert_eq!(
                holds(&range(address, prefix), asked.parse().unwrap()),
                expected,
                "{asked} in {address}/{prefix}"
            );
        }
    }
}

//! Synthetic addresses: each name a program may look up gets an address of its own from 198.18.0.0/15, so that a
//! connection to that address carries the name. Nothing on the internet has these addresses (RFC 2544).

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Mutex;

/// How many names one run can look up: far beyond any build, and the table stays under a few megabytes.
pub const NAMES_MAX: u32 = 16_384;
/// The pool's first address; those before it are for the box itself.
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 0);

/// Which name has which address. An address, once given, is its name's until the run ends.
#[derive(Debug, Default)]
pub struct Names {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    addresses: HashMap<String, Ipv4Addr>,
    names: Vec<String>,
}

impl Names {
    /// The name's address, given now if it has none. `None` when the pool is used up.
    pub fn assign(&self, name: &str) -> Option<Ipv4Addr> {
        let mut tables = crate::lock(&self.tables);
        if let Some(address) = tables.addresses.get(name) {
            return Some(*address);
        }
        let offset = u32::try_from(tables.names.len()).ok().filter(|offset| *offset < NAMES_MAX)?;
        let address = Ipv4Addr::from(u32::from(FIRST) + offset);
        tables.names.push(name.to_owned());
        tables.addresses.insert(name.to_owned(), address);
        Some(address)
    }

    /// The name that has this address.
    pub fn name(&self, address: Ipv4Addr) -> Option<String> {
        let offset = u32::from(address).checked_sub(u32::from(FIRST))?;
        crate::lock(&self.tables).names.get(usize::try_from(offset).ok()?).cloned()
    }

    /// Whether this address belongs to the pool, given away or not.
    #[must_use]
    pub fn contains(address: Ipv4Addr) -> bool {
        matches!(address.octets(), [198, 18 | 19, ..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_and_the_pool_ends() {
        let names = Names::default();
        let first = names.assign("a.com").unwrap();
        assert!(Names::contains(first));
        assert_eq!(names.assign("a.com"), Some(first));
        assert_eq!(names.name(first).as_deref(), Some("a.com"));
        for number in 1..NAMES_MAX {
            let address = names.assign(&format!("n{number}")).unwrap();
            assert!(Names::contains(address));
        }
        assert_eq!(names.assign("one.more"), None);
        assert_eq!(names.assign("a.com"), Some(first));
        assert_eq!(names.name(Ipv4Addr::new(198, 18, 0, 1)), None);
        assert_eq!(names.name(Ipv4Addr::new(198, 19, 255, 255)), None);
    }
}

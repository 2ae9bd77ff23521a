//! Versions of bundles: up to three numbers, `1.4.0`, compared as numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A bundle's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleVersion([u32; 3]);

impl FromStr for BundleVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let problem = || "a version is up to three numbers, e.g. `1.4.0`".to_owned();
        let mut numbers = [0; 3];
        let mut parts = text.split('.');
        for number in &mut numbers {
            let Some(part) = parts.next() else { break };
            let canonical = part == "0" || !part.starts_with('0');
            if !canonical || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(problem());
            }
            *number = part.parse().map_err(|_| problem())?;
        }
        if parts.next().is_some() { Err(problem()) } else { Ok(Self(numbers)) }
    }
}

impl fmt::Display for BundleVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(formatter, "{major}.{minor}.{patch}")
    }
}

impl Serialize for BundleVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BundleVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let version = |text: &str| text.parse::<BundleVersion>().unwrap();
        assert!(version("1.10.0") > version("1.9.9"));
        assert_eq!(version("2"), version("2.0.0"));
        assert_eq!(version("2").to_string(), "2.0.0");
        for bad in ["", "1.", "01", "1.2.3.4", "1.2.x", "-1", "99999999999", "1 "] {
            assert!(bad.parse::<BundleVersion>().is_err(), "{bad}");
        }
    }
}

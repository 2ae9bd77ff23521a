//! Sizes, times and shares as people write them: `4GiB`, `2h30m`, `1.5`.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// A size in bytes, written `512MiB`, `1.5GB` or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(extend("type" = ["string", "integer"], "examples" = ["512MiB", "4GiB"]))]
pub struct Bytes(#[schemars(skip)] pub u64);

/// A time, written `90s`, `2h`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(extend("type" = "string", "examples" = ["2h", "90s"]))]
pub struct Span(#[schemars(skip)] pub Duration);

/// A share of processors, written `2` or `0.5`, kept in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(extend("type" = "number", "examples" = [2, 0.5]))]
pub struct Cpus(#[schemars(skip)] pub u32);

const SIZES: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl Bytes {
    /// Reads a size; the message says what one looks like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let problem = || "a size is a number with a unit, such as `512MiB` or `4GiB`".to_owned();
        let (number, unit) = split_number(text.trim());
        let unit = unit.trim().to_ascii_lowercase();
        let factor = match unit.as_str() {
            "" => 1,
            unit => SIZES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(problem)?,
        };
        scaled(number, factor).map(Self).ok_or_else(problem)
    }
}

impl Span {
    /// Reads a time; the message says what one looks like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let problem = || "a time is a number with a unit, such as `90s`, `2m` or `1h30m`".to_owned();
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(problem());
        }
        while !rest.is_empty() {
            let (number, after) = split_number(rest);
            let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, next) = after.split_at(unit_len);
            let factor = TIMES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(problem)?;
            total = scaled(number, factor).and_then(|part| total.checked_add(part)).ok_or_else(problem)?;
            rest = next.trim_start();
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl Cpus {
    /// Reads a share of processors.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let problem = || "processors are a number such as `2` or `0.5`, at least `0.01`".to_owned();
        let (number, unit) = split_number(text.trim());
        let thousandths = scaled(number, 1_000).and_then(|value| u32::try_from(value).ok()).ok_or_else(problem)?;
        if !unit.is_empty() || thousandths < 10 {
            return Err(problem());
        }
        Ok(Self(thousandths))
    }
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

/// `number × factor`, exactly, with at most six decimals.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 6 || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let mut value = u128::from(whole.parse::<u64>().ok()?) * u128::from(factor);
    if !fraction.is_empty() {
        let decimals = u32::try_from(fraction.len()).ok()?;
        value += u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor) / 10_u128.pow(decimals);
    }
    u64::try_from(value).ok()
}

/// An amount with at most six decimals, in millionths.
pub(crate) fn millionths(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text);
    if unit.is_empty() { scaled(number, 1_000_000) } else { None }
}

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 > 0 && self.0.is_multiple_of(factor) {
                return write!(formatter, "{}{unit}", self.0 / factor);
            }
        }
        write!(formatter, "{}B", self.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return formatter.write_str("0s");
        }
        for (unit, factor) in TIMES.iter().rev() {
            if rest >= *factor {
                write!(formatter, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1_000) {
            write!(formatter, "{}", self.0 / 1_000)
        } else {
            let text = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
            formatter.write_str(text.trim_end_matches('0'))
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for (text, bytes) in [("4GiB", 4 << 30), ("1.5 MiB", 3 << 19), ("10", 10), ("2kb", 2_000), ("0", 0)] {
            let size = Bytes::parse(text).unwrap();
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(Bytes::parse(&size.to_string()).unwrap(), size);
        }
        for (text, seconds) in [("2h", 7_200), ("1h30m", 5_400), ("90s", 90), ("1d", 86_400)] {
            let span = Span::parse(text).unwrap();
            assert_eq!(span.0.as_secs(), seconds, "{text}");
            assert_eq!(Span::parse(&span.to_string()).unwrap(), span);
        }
        assert_eq!(Cpus::parse("1.5").unwrap().to_string(), "1.5");
        assert_eq!(Cpus::parse("2").unwrap().0, 2_000);
    }

    #[test]
    fn refuses_what_is_no_unit() {
        for text in ["", "GiB", "-1", "4Gi", "1e3", "99999999999TiB", "1.", "1.2.3", "1 2"] {
            assert!(Bytes::parse(text).is_err(), "{text}");
        }
        for text in ["", "5", "2 hours", "h", "1h-3m", "999999999999999999d"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
        for text in ["", "0", "0.001", "50%", "two"] {
            assert!(Cpus::parse(text).is_err(), "{text}");
        }
    }
}

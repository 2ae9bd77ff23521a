//! Reads the key `pins` of a net rule.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::language::Pins;
use crate::place::quoted;
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mapping.
pub(super) const KEYS: Keys = &[("`pins`", &["sha256", "until"])];

impl Decoder {
    pub(crate) fn pins(&mut self, node: &Node) -> Option<Pins> {
        let mut pins = Pins { sha256: Vec::new(), until: None };
        for (key, node) in self.mapping(node, "`pins`") {
            match key.value.as_str() {
                "sha256" => {
                    for text in self.one_or_many(node, Self::text) {
                        // As curl and browsers write it.
                        let digest = text.value.trim_start_matches("sha256").trim_start_matches('/');
                        if is_digest(digest) {
                            pins.sha256.push(digest.to_owned());
                        } else {
                            let problem = format!(
                                "{} is no SHA-256 in base64; `openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64` makes one of a certificate",
                                quoted(&text.value)
                            );
                            self.errors.add(&text.place, problem);
                        }
                    }
                }
                "until" => {
                    let text = self.text(node)?;
                    match moment(&text.value) {
                        Some(until) => pins.until = Some(until),
                        None => {
                            let problem = format!("{} is no date; write one such as `2027-06-30`", quoted(&text.value));
                            self.errors.add(&text.place, problem);
                        }
                    }
                }
                _ => {}
            }
        }
        if pins.sha256.len() < 2 {
            self.errors
                .add(&node.place, "one key alone locks everybody out when the server changes it; pin its backup, too");
        }
        Some(pins)
    }
}

/// 32 bytes in base64 with its one `=`; the last letter before it carries no stray bits.
fn is_digest(text: &str) -> bool {
    const LAST: &[u8] = b"AEIMQUYcgkosw048";
    let letters = text.strip_suffix('=').unwrap_or_default().as_bytes();
    letters.len() == 43
        && letters.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte))
        && letters.last().is_some_and(|last| LAST.contains(last))
}

/// A moment, or the end of a day in UTC.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let day: Date = text.parse().ok()?;
    Some(day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_whole() {
        assert!(is_digest("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="));
        for bad in [
            "",
            "=",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
            "47DEQpj8HBSa",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF!=",
        ] {
            assert!(!is_digest(bad), "{bad}");
        }
        assert_eq!(moment("2027-06-30").unwrap().to_string(), "2027-07-01T00:00:00Z");
    }
}

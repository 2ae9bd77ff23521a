//! Query parameters whose names say that they carry a secret.

use super::judge::{LIKELY, WEAK, is_placeholder, looks_random};
use crate::detector::{Detector, Found, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "query-secret",
    &[Hint::AnyCase(&[
        "password=",
        "passwd=",
        "pwd=",
        "secret=",
        "token=",
        "key=",
        "sig=",
        "signature=",
        "auth=",
        "jwt=",
        "credential=",
    ])],
    Look::From(
        concat!(
            r"(?i)(?:password|passwd|pwd|secret|token|key|signature|credential|sig|auth|jwt)",
            r#"[\])]?=([^&\#\s"'<>\\`]+)"#,
        ),
        in_query,
    ),
)];

/// Longer names are no parameter's.
const NAME_BYTES_MAX: usize = 64;

/// What a sensitive name in a URL carries is nearly worth what the name says.
fn in_query(found: &Found<'_>) -> u8 {
    let before = found.text.get(found.at.start.saturating_sub(NAME_BYTES_MAX)..found.at.start).unwrap_or_default();
    let is_of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.[]-".contains(byte);
    let (outside, name) = before.split_at(before.len() - before.iter().rev().take_while(is_of_name).count());
    // `key` and its like are also ends of other words.
    let is_short = ["key", "sig=", "auth", "jwt"]
        .iter()
        .any(|short| found.whole.get(..short.len()).is_some_and(|start| start.eq_ignore_ascii_case(short.as_bytes())));
    let is_word = !is_short
        || name.last().is_none_or(|byte| b"_.-[".contains(byte))
        || name.to_ascii_lowercase().ends_with(b"api")
        || name.to_ascii_lowercase().ends_with(b"access");
    if is_word && outside.last().is_some_and(|byte| b"?&".contains(byte)) { worth(found) } else { 0 }
}

/// Short ones are names of things, such as a badge's; long random ones let somebody in.
fn worth(found: &Found<'_>) -> u8 {
    if found.secret.len() >= 16 && looks_random(found.secret) && !is_placeholder(found.secret) { LIKELY } else { WEAK }
}

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_parameters_and_leaves_their_neighbours() {
        let check = |text: &str| check("query-secret", text);
        check("https://x/?a=1&access_token=«abc»&b=2");
        check("https://x/?key=«abc»#top");
        check("https://s3/x?X-Amz-Signature=«0a1b»&X-Amz-Date=2020");
        check("https://x/?monkey=abc&tokens=5&keys=1");
        check("https://x/?q=token");
    }
}

//! OpenAI: project, service-account, admin and user keys; the plain `sk-` form is shared by many compatible services.

use crate::detector::{Detector, Found, Hint, Look, has_digit_and_letter, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "openai-key",
    &[Hint::Exact(&["sk-"])],
    Look::From(r"sk-(?:(?:proj|svcacct|admin|None|or-v1)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{32,})", starts_as_a_word),
)];

/// A letter before `sk-` is the end of a word such as `task-`.
fn starts_as_a_word(found: &Found<'_>) -> u8 {
    if found.byte_before().is_ascii_lowercase() { 0 } else { has_digit_and_letter(found) }
}

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_keys_and_leaves_words() {
        let check = |text: &str| check("openai-key", text);
        check(&format!("«sk-proj-{}»", "aB3_-".repeat(10)));
        check(&format!("key%3D«sk-{}»", "aB3d".repeat(12)));
        check("risk-proj-averylonghyphenatedname-with-words");
        check("sk-proj-averylonghyphenatedname-with-words");
        check("disk-0123456789abcdef0123456789abcdef");
    }
}

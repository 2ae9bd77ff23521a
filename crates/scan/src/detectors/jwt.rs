//! JSON Web Tokens, signed (three parts) and encrypted (five).

use super::{Rule, always};

pub(super) const RULES: &[Rule] = &[Rule {
    kind: "jwt",
    needs: b"",
    hints: &["eyJ"],
    // `eyJ` is `{"` in base64: every header starts so. The signature may be missing (`alg: none`).
    pattern: r"eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+){1,4}\.?",
    accepts: always,
}];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_tokens_and_leaves_plain_base64() {
        let check = |text: &str| check("jwt", text);
        check("x «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl» y");
        check("«eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.»");
        check("eyJhbGciOiJIUzI1NiJ9");
        check("eyJ.short");
    }
}

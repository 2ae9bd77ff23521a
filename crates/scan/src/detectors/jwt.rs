//! JSON Web Tokens, signed (three parts) and encrypted (five).

use crate::detector::{Detector, Hint, Look, always, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "jwt",
    &[Hint::Exact(&["eyJ"])],
    // `eyJ` is `{"` in base64: every header starts so. The signature may be missing (`alg: none`).
    Look::From(r"eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+){1,4}\.?", always),
)];

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

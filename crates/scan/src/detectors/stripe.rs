//! Stripe: secret and restricted keys, and webhook signing secrets. Publishable keys are public.

use super::{Rule, always};

pub(super) const RULES: &[Rule] = &[Rule {
    kind: "stripe-key",
    needs: b"",
    hints: &["k_live_", "k_test_", "whsec_"],
    pattern: r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{24,}",
    accepts: always,
}];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_secret_keys_and_leaves_publishable_ones() {
        let check = |text: &str| check("stripe-key", text);
        check(concat!("«sk_", "live_0123456789abcdef»"));
        check(concat!("«rk_", "test_0123456789abcdef»"));
        check(concat!("«whs", "ec_0123456789abcdefABCDEF0123»"));
        check(concat!("pk_", "live_0123456789abcdef"));
        check("task_test_case, sk_live_");
    }
}

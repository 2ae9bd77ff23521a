//! Stripe: secret and restricted keys, and webhook signing secrets. Publishable keys are public.

use super::judge::token;
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "stripe-key",
    &[Hint::Exact(&["sk_live_", "rk_live_", "sk_test_", "rk_test_", "sk_prod_", "rk_prod_", "whsec_"])],
    Look::From(r"[rs]k_(?:live|test|prod)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{24,}", token),
)];

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

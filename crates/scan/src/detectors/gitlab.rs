//! GitLab: personal, deploy, runner, job, trigger, feed, agent and OAuth tokens.

use super::judge::token;
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "gitlab-token",
    &[Hint::Exact(&[
        "glpat-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-", "gloas-",
        "glffct-",
    ])],
    Look::From(r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|oas|ffct)-[A-Za-z0-9_.-]{20,}", token),
)];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_prefixed_tokens() {
        let check = |text: &str| check("gitlab-token", text);
        check(&format!("«glpat-{}»", "a1-B".repeat(5)));
        check(&format!("x «glrt-{}» y", "a1_B".repeat(5)));
        check("glpat-short, and the word gldt-");
    }
}

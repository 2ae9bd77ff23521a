//! Runs the cases written beside a policy.

use bartizan_model::{Effect, Verdict};

use crate::cases::parse_case;
use crate::decision::{Decision, Ruling};
use crate::guards::Findings;
use crate::language::Case;
use crate::place::Place;
use crate::set::PolicySet;

/// How one case went.
#[derive(Debug, Clone, PartialEq)]
pub struct TestResult {
    /// The action in words.
    pub action: String,
    /// Where the case stands.
    pub place: Place,
    /// What the policy promised.
    pub expected: Effect,
    /// What was decided; absent when the action couldn't be read.
    pub verdict: Option<Verdict>,
    /// What is wrong; absent when the case holds.
    pub problem: Option<String>,
}

impl TestResult {
    /// Whether the case holds.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problem.is_none()
    }
}

impl PolicySet {
    /// Runs the cases of the policy files in force: the user's against the user's policy alone, the
    /// project's against both together. Cases of what they extend are those files' own.
    #[must_use]
    pub fn run_tests(&self) -> Vec<TestResult> {
        let own = self.user.file().tests.iter().map(|case| self.run_case(case, false));
        let narrowing = self.narrowing.iter().flat_map(|narrowing| &narrowing.policy.file().tests);
        own.chain(narrowing.map(|case| self.run_case(case, true))).collect()
    }

    fn run_case(&self, case: &Case, together: bool) -> TestResult {
        let mut result = TestResult {
            action: case.action.value.clone(),
            place: case.action.place.clone(),
            expected: case.effect,
            verdict: None,
            problem: None,
        };
        let deed = match parse_case(&case.action.value, &self.context) {
            Ok(deed) => deed,
            Err(error) => {
                result.problem = Some(error.to_string());
                return result;
            }
        };
        let verdict = if together {
            self.verdict(&deed)
        } else {
            let ruling = self.compiled.decide(&deed).unwrap_or_else(|| Ruling::malformed("policy.unknown_kind"));
            Decision::new(&deed, ruling, Findings::default(), self.digest()).to_verdict()
        };
        let by = match &verdict.rule.source {
            Some(source) => format!("`{}` ({source})", verdict.rule.rule),
            None => format!("`{}`", verdict.rule.rule),
        };
        if verdict.effect != case.effect {
            result.problem =
                Some(format!("expected {}, found {} by {by}", case.effect.as_str(), verdict.effect.as_str()));
        } else if let Some(rule) = &case.rule
            && *rule != verdict.rule.rule
            && Some(rule) != verdict.rule.text.as_ref()
        {
            result.problem = Some(format!("expected the rule `{rule}` to decide, found {by}"));
        }
        result.verdict = Some(verdict);
        result
    }
}

//! Runs the cases written beside a policy.

use bartizan_model::{Effect, RuleRef, Verdict};

use crate::cases::parse_case;
use crate::guards::Look;
use crate::language::Case;
use crate::place::Place;
use crate::session::Session;
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

/// How often cases came down to one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The rule.
    pub rule: RuleRef,
    /// What it says.
    pub effect: Effect,
    /// How many cases it decided.
    pub cases: usize,
}

impl PolicySet {
    /// For each rule written in the policy files in force themselves, not in what they extend, how many of these
    /// cases it decided.
    #[must_use]
    pub fn coverage(&self, results: &[TestResult]) -> Vec<Coverage> {
        let own: Vec<&str> = std::iter::once(&self.user)
            .chain(self.narrowing())
            .filter_map(|policy| policy.sources().first().map(String::as_str))
            .collect();
        let compiled =
            std::iter::once(&self.compiled).chain(self.narrowing.iter().map(|narrowing| &narrowing.compiled));
        let mut covered: Vec<Coverage> = Vec::new();
        for compiled in compiled {
            compiled.each_rule(&mut |rule, effect, place| {
                if own.contains(&&*place.source) {
                    let decided = |result: &&TestResult| {
                        result
                            .verdict
                            .as_ref()
                            .is_some_and(|verdict| verdict.rule.rule == rule.rule && verdict.rule.source == rule.source)
                    };
                    covered.push(Coverage { cases: results.iter().filter(decided).count(), rule, effect });
                }
            });
        }
        covered
    }

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
        let session = Session::new();
        case.read.iter().for_each(|label| session.add_label(label));
        let look = Look { sightings: &case.seen, session: Some(&session), ..Look::default() };
        let layers = if together { usize::MAX } else { 0 };
        let verdict = self.decide_layers(&deed, &look, layers).to_verdict();
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

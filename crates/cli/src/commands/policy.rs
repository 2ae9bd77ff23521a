//! `bartizan policy`: what is in force, why, whether it does what its tests say, and what to add to it.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use bartizan_ledger::{Index, Query};
use bartizan_model::{Deed, Effect, Record, Verdict};
use bartizan_policy::{Coverage, PolicySet, parse_case};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::commands::bundle::Bundle;
use crate::commands::effects::{Diff, Simulate};
use crate::commands::exception::Exception;
use crate::commands::import::Import;
use crate::control;
use crate::home::Home;
use crate::output::{self, Style, short};
use crate::policies::{Choice, Policies};

/// Show, explain, test and improve policies
#[derive(Subcommand)]
pub enum Policy {
    /// Print the policy in force, with everything it extends
    Show(Show),
    /// Look for mistakes a person would want to know of
    Lint(Chosen),
    /// Say what each layer enforces, or which rule decides an action and why
    Explain(Explain),
    /// Propose the smallest addition that would allow what a run was denied
    Suggest(Suggest),
    /// Run the allow, ask and deny cases written in the policy
    Test(Test),
    /// Compare two policies by what they decide, not by their text
    Diff(Diff),
    /// Decide again what was done, under another policy
    Simulate(Simulate),
    /// Convert another program's policies, manifests, settings and audit logs
    Import(Import),
    /// Build, sign, check, pass on and install signed bundles of policies
    #[command(subcommand)]
    Bundle(Bundle),
    /// Lift one rule for one principal for a while
    #[command(subcommand)]
    Exception(Exception),
}

/// Which policy.
#[derive(Args)]
pub struct Chosen {
    #[command(flatten)]
    choice: Choice,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Print a policy
#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    chosen: Chosen,
}

/// Explain a policy
#[derive(Args)]
pub struct Explain {
    #[command(flatten)]
    chosen: Chosen,
    /// One action, e.g. `connect api.github.com:443`, `file.write ./.envrc`, `exec git push`, `http GET https://…`, `dns example.com`, `tool github/search`
    #[arg(value_name = "ACTION")]
    action: Vec<String>,
}

/// Run the cases written in a policy
#[derive(Args)]
pub struct Test {
    #[command(flatten)]
    chosen: Chosen,
    /// Say for each rule of the policy's own file how many cases it decided
    #[arg(long)]
    coverage: bool,
}

/// Suggest additions
#[derive(Args)]
pub struct Suggest {
    /// The run whose denials to look at
    run: String,
    #[command(flatten)]
    chosen: Chosen,
}

impl Chosen {
    fn load(&self, home: &Home) -> anyhow::Result<Policies> {
        Policies::load(home, &self.choice, &std::env::current_dir()?)
    }
}

impl Policy {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        // Converting files needs nothing of Bartizan's own.
        if let Self::Import(import) = self {
            return import.run(style);
        }
        let home = Home::open(home)?;
        match self {
            Self::Show(show) => show.run(&home, style),
            Self::Lint(chosen) => lint(&home, style, &chosen),
            Self::Explain(explain) => explain.run(&home, style),
            Self::Suggest(suggest) => suggest.run(&home, style),
            Self::Test(test) => test.run(&home, style),
            Self::Diff(diff) => diff.run(&home, style),
            Self::Simulate(simulate) => simulate.run(&home, style),
            Self::Import(import) => import.run(style),
            Self::Bundle(bundle) => bundle.run(&home, style),
            Self::Exception(exception) => exception.run(&home, style),
        }
    }
}

impl Show {
    fn run(self, home: &Home, style: Style) -> anyhow::Result<ExitCode> {
        let policies = self.chosen.load(home)?;
        let set = &policies.set;
        if self.chosen.json {
            let narrowing: Vec<_> = set.narrowing().map(|policy| policy.file()).collect();
            output::print_json(
                &json!({ "digest": set.digest(), "sources": policies.files, "user": set.user().file(), "narrowing": narrowing }),
            )?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut stdout = io::stdout().lock();
        let mut print = |policy: &bartizan_policy::Policy, what: &str| -> anyhow::Result<()> {
            writeln!(stdout, "{}", style.dim(&format!("# {what}, from {}", policy.sources().join(" → "))))?;
            write!(stdout, "{}", serde_saphyr::to_string(policy.file())?)?;
            Ok(())
        };
        print(set.user(), "the user's policy")?;
        for policy in set.narrowing() {
            print(policy, "a policy that can only narrow it")?;
        }
        writeln!(stdout, "{}", style.dim(&format!("# digest {}", set.digest())))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn lint(home: &Home, style: Style, chosen: &Chosen) -> anyhow::Result<ExitCode> {
    let policies = chosen.load(home)?;
    let warnings = policies.set.lint();
    if chosen.json {
        let warnings: Vec<_> = warnings
            .iter()
            .map(|warning| json!({ "place": warning.place.to_string(), "message": warning.message }))
            .collect();
        output::print_json(&warnings)?;
    } else {
        let mut stdout = io::stdout().lock();
        for warning in &warnings {
            writeln!(stdout, "{} {}", style.warn(&format!("{}:", warning.place)), short(&warning.message, 1000))?;
        }
        if warnings.is_empty() {
            writeln!(io::stderr(), "nothing to complain about in {}", policies.describe())?;
        }
    }
    Ok(if warnings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Explain {
    fn run(self, home: &Home, style: Style) -> anyhow::Result<ExitCode> {
        let policies = self.chosen.load(home)?;
        if self.action.is_empty() {
            return layers(&policies, style, self.chosen.json);
        }
        let deed = parse_case(&self.action.join(" "), policies.set.context())?;
        let explanation = policies.set.explain_action(&deed);
        if self.chosen.json {
            let matched: Vec<_> = explanation
                .matched
                .iter()
                .map(|rule| json!({ "policy": rule.policy, "rule": rule.rule, "effect": rule.effect, "decided": rule.decided }))
                .collect();
            output::print_json(&json!({
                "deed": deed,
                "verdict": explanation.verdict,
                "matched": matched,
                "exceptions": in_force(&policies),
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut stdout = io::stdout().lock();
        let verdict = &explanation.verdict;
        writeln!(stdout, "{}  {} {}", style.effect(verdict.effect), deed.kind().as_str(), short(&deed.target(), 1000))?;
        writeln!(stdout, "  because {}", short(&verdict.reason, 1000))?;
        for matched in &explanation.matched {
            let mark = if matched.decided { style.bold("→") } else { " ".to_owned() };
            let text = matched.rule.text.as_deref().unwrap_or("");
            let source = matched.rule.source.as_deref().unwrap_or("");
            writeln!(
                stdout,
                "  {mark} {:<5} {:<24} {:<32} {}",
                matched.effect.as_str(),
                short(&matched.rule.rule, 24),
                short(text, 32),
                style.dim(&format!("{} {}", matched.policy, short(source, 200)))
            )?;
        }
        print_exceptions(&mut stdout, style, &policies)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The exceptions that hold now.
fn in_force(policies: &Policies) -> Vec<bartizan_policy::Exception> {
    let now = jiff::Timestamp::now();
    policies.set.exceptions().iter().filter(|exception| exception.until > now).cloned().collect()
}

fn print_exceptions(stdout: &mut impl Write, style: Style, policies: &Policies) -> io::Result<()> {
    let exceptions = in_force(policies);
    if !exceptions.is_empty() {
        writeln!(stdout, "\n{}", style.bold("exceptions"))?;
    }
    exceptions
        .iter()
        .try_for_each(|exception| writeln!(stdout, "  {}", style.warn(&short(&exception.describe(), 1000))))
}

fn layers(policies: &Policies, style: Style, as_json: bool) -> anyhow::Result<ExitCode> {
    let explanation = policies.set.explain();
    if as_json {
        let layers: Vec<_> =
            explanation.layers.iter().map(|layer| json!({ "layer": layer.layer, "enforces": layer.lines })).collect();
        output::print_json(
            &json!({ "policy": policies.label, "digest": policies.set.digest(), "workspace": policies.workspace, "bundle": policies.set.bundle(), "exceptions": in_force(policies), "layers": layers }),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}  in {}", policies.describe(), policies.workspace.display())?;
    for layer in &explanation.layers {
        writeln!(stdout, "\n{}", style.bold(layer.layer))?;
        for line in &layer.lines {
            writeln!(stdout, "  {}", short(line, 2000))?;
        }
    }
    print_exceptions(&mut stdout, style, policies)?;
    Ok(ExitCode::SUCCESS)
}

impl Suggest {
    fn run(self, home: &Home, style: Style) -> anyhow::Result<ExitCode> {
        let run = control::find_run(home, &self.run)?;
        let policies = self.chosen.load(home)?;
        let query = Query { run: Some(run.clone()), verdict: Some(Effect::Deny), limit: 0, ..Query::default() };
        let rows = Index::open(&home.index(), &home.ledger())?.query(&query)?;
        let denied: Vec<(Deed, Verdict)> = rows
            .into_iter()
            .filter_map(|row| match row.entry.record {
                Record::Refused { action, verdict: Some(verdict), .. } => Some((action.deed, verdict)),
                _ => None,
            })
            .collect();
        let suggestion = policies.set.suggest(&denied);
        if self.chosen.json {
            output::print_json(
                &json!({ "run": run, "yaml": suggestion.yaml, "notes": suggestion.notes, "not_suggested": suggestion.not_suggested }),
            )?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut stdout = io::stdout().lock();
        if suggestion.yaml.is_empty() {
            writeln!(io::stderr(), "nothing of {run} needs an addition to the policy")?;
        } else {
            writeln!(stdout, "{}", style.dim("# add to your policy what you agree with:"))?;
            write!(stdout, "{}", suggestion.yaml)?;
        }
        for note in &suggestion.notes {
            writeln!(stdout, "{}", style.dim(&format!("# {}", short(note, 400))))?;
        }
        for left in &suggestion.not_suggested {
            writeln!(stdout, "{}", style.warn(&format!("# not suggested: {}", short(left, 400))))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Test {
    fn run(self, home: &Home, style: Style) -> anyhow::Result<ExitCode> {
        let policies = self.chosen.load(home)?;
        let results = PolicySet::run_tests(&policies.set);
        let coverage = if self.coverage { policies.set.coverage(&results) } else { Vec::new() };
        let failed = results.iter().filter(|result| !result.passed()).count();
        if self.chosen.json {
            let results: Vec<_> = results
                .iter()
                .map(|result| {
                    json!({
                        "action": result.action,
                        "place": result.place.to_string(),
                        "expected": result.expected,
                        "verdict": result.verdict,
                        "passed": result.passed(),
                        "problem": result.problem,
                    })
                })
                .collect();
            let mut report = json!({ "passed": results.len() - failed, "failed": failed, "cases": results });
            if let (true, Some(fields)) = (self.coverage, report.as_object_mut()) {
                let rule = |rule: &Coverage| json!({ "rule": rule.rule, "effect": rule.effect, "cases": rule.cases });
                fields.insert("coverage".into(), coverage.iter().map(rule).collect());
            }
            output::print_json(&report)?;
        } else {
            let mut stdout = io::stdout().lock();
            for result in results.iter().filter(|result| !result.passed()) {
                let problem = result.problem.as_deref().unwrap_or("");
                writeln!(
                    stdout,
                    "{}  {}: {} `{}`",
                    style.bad("FAIL"),
                    result.place,
                    result.expected.as_str(),
                    short(&result.action, 200)
                )?;
                writeln!(stdout, "      {}", short(problem, 400))?;
            }
            for covered in &coverage {
                let text = covered.rule.text.as_deref().unwrap_or("");
                let line = format!("{:<28} {}", short(&covered.rule.rule, 28), short(text, 80));
                let count = format!("{:>4} cases", covered.cases);
                let count = if covered.cases == 0 { style.warn(&count) } else { count };
                writeln!(stdout, "{count}  {:<5} {line}", covered.effect.as_str())?;
            }
            let count = results.len() - failed;
            if self.coverage {
                let decided = coverage.iter().filter(|covered| covered.cases > 0).count();
                writeln!(stdout, "{decided} of {} rules decided a case", coverage.len())?;
            }
            writeln!(stdout, "{count} passed, {failed} failed").context("failed to write")?;
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

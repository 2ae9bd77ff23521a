//! `cargo xtask eval`: how well detectors do on data that nobody here wrote. Each measurement is an example of the crate
//! whose detectors it measures (`eval_<name>`), built as the product is built.

use anyhow::{Result, bail};

use crate::shell;

/// The measurements, and the package that each belongs to.
const EVALUATIONS: &[(&str, &str)] = &[
    ("injection", "bartizan-scan"),
    ("personal", "bartizan-scan"),
    ("rego", "bartizan-policy"),
    ("secrets", "bartizan-scan"),
];

/// Builds a measurement and hands it the arguments.
pub(crate) fn eval(arguments: &[&str]) -> Result<()> {
    let names = || EVALUATIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join("|");
    let Some((wanted, rest)) = arguments.split_first() else {
        bail!("no measurement given; say one of {}", names());
    };
    let Some((name, package)) = EVALUATIONS.iter().find(|(name, _)| name == wanted) else {
        bail!("`{wanted}` is no measurement; say one of {}", names());
    };
    let example = format!("eval_{name}");
    shell::run(
        shell::cargo()
            .args(["run", "--quiet", "--release", "--package", package, "--example", &example, "--"])
            .args(rest),
    )
}

//! `bartizan doctor`: whether this machine and this home can hold a box, and how to mend what can't.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::home::Home;
use crate::output::{self, Style};
use crate::policies::{Choice, Policies};
use crate::wiring::Trust;

/// Free space below which the ledger is in danger.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// No clock of a working machine stands before this release.
const CLOCK_NOT_BEFORE: &str = "2026-01-01T00:00:00Z";

/// Check what boxes need here, and say how to mend what is missing
#[derive(Args)]
pub struct Doctor {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// One thing looked at.
#[derive(Serialize)]
struct Check {
    name: String,
    ok: bool,
    /// Whether boxes can't be had without it.
    required: bool,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn new(name: &str, required: bool, result: Result<String, (String, String)>) -> Self {
        let name = name.to_owned();
        match result {
            Ok(detail) => Self { name, ok: true, required, detail, remedy: None },
            Err((detail, remedy)) => Self { name, ok: false, required, detail, remedy: Some(remedy) },
        }
    }
}

impl Doctor {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        let place = Home::locate(home).ok().map(|home| home.path().to_owned()).filter(|place| place.exists());
        // Before there is a home, the machine can be looked at all the same.
        let place = place.unwrap_or_else(std::env::temp_dir);
        let mut checks: Vec<Check> = bartizan_sandbox::probe(&place)
            .into_iter()
            .map(|probe| Check {
                name: probe.layer,
                ok: probe.ok,
                required: probe.required,
                detail: probe.detail,
                remedy: (!probe.ok).then(|| probe.remedy.to_owned()),
            })
            .collect();
        checks.extend(home_checks(home));
        let healthy = checks.iter().all(|check| check.ok || !check.required);
        if self.json {
            output::print_json(&serde_json::json!({ "healthy": healthy, "checks": checks }))?;
        } else {
            print(style, &checks, healthy)?;
        }
        Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print(style: Style, checks: &[Check], healthy: bool) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    for check in checks {
        let mark = match (check.ok, check.required) {
            (true, _) => style.good("ok  "),
            (false, true) => style.bad("FAIL"),
            (false, false) => style.warn("weak"),
        };
        writeln!(stdout, "{mark}  {:<20} {}", check.name, check.detail)?;
        if let Some(remedy) = &check.remedy {
            writeln!(stdout, "      {:<20} {}", "", style.dim(&format!("→ {remedy}")))?;
        }
    }
    let last =
        if healthy { "This machine can hold boxes." } else { "No box can be started here until what FAILs is mended." };
    writeln!(stdout, "\n{}", style.bold(last))?;
    Ok(())
}

/// The home and what is in it, each check only as far as those before it hold.
fn home_checks(named: Option<&Path>) -> Vec<Check> {
    let mut checks = vec![Check::new("clock", true, clock())];
    let home = match Home::locate(named) {
        Ok(home) => home,
        Err(error) => {
            checks.push(Check::new("home", true, Err((format!("{error:#}"), "set BARTIZAN_HOME".into()))));
            return checks;
        }
    };
    if !home.path().exists() {
        let detail = format!("there is none at `{}`", home.path().display());
        checks.push(Check::new("home", true, Err((detail, "run `bartizan init`".into()))));
        return checks;
    }
    let said = |error: anyhow::Error| {
        (format!("{error:#}"), "do what the message says, then run `bartizan doctor` again".to_owned())
    };
    checks.push(Check::new("disk", true, disk(home.path())));
    let opened = home.check().map(|()| format!("`{}` is yours alone", home.path().display())).map_err(said);
    let sound = opened.is_ok();
    checks.push(Check::new("home", true, opened));
    if !sound {
        return checks;
    }
    let policy = Policies::load(&home, &Choice::default(), &std::env::current_dir().unwrap_or_default());
    checks.push(Check::new("policy", true, policy.map(|policies| policies.describe()).map_err(said)));
    let trust = Trust::open(&home);
    let key = trust.as_ref().map(|trust| format!("key {}", trust.key_id())).map_err(|error| {
        (
            format!("{error:#}"),
            "put the key back from a backup, or move `keys` and `ledger` away together and run `bartizan init`"
                .to_owned(),
        )
    });
    checks.push(Check::new("keys", true, key));
    if let Ok(trust) = trust {
        checks.push(Check::new("ledger", true, trust.ledger_health().map_err(said)));
    }
    checks
}

fn clock() -> Result<String, (String, String)> {
    let now = jiff::Timestamp::now();
    let earliest = CLOCK_NOT_BEFORE.parse().unwrap_or(now);
    if now < earliest {
        return Err((
            format!("it says {now}, which has passed"),
            "set the clock, e.g. `timedatectl set-ntp true`".into(),
        ));
    }
    Ok(now.to_string())
}

fn disk(home: &Path) -> Result<String, (String, String)> {
    let failed = |detail: String| (detail, format!("free space on the disk that holds `{}`", home.display()));
    let statistics = rustix::fs::statvfs(home).map_err(|error| failed(error.to_string()))?;
    let free = statistics.f_bavail.saturating_mul(statistics.f_frsize);
    let shown = format!("{} MiB free", free / (1024 * 1024));
    if free < FREE_BYTES_MIN { Err(failed(shown)) } else { Ok(shown) }
}

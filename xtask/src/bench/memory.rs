//! What Bartizan takes: disk for the binary, memory while it waits.

use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{Options, Row, release_binary, run::Home};

const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// The box is idle when its memory has been the same for this many looks.
const STEADY_LOOKS: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn memory(_: &Options) -> Result<Vec<Row>> {
    let binary = release_binary()?;
    #[allow(clippy::cast_precision_loss, reason = "a size shown with two decimals")]
    let size = fs::metadata(&binary)?.len() as f64 / MEBIBYTE;
    let mut on_disk = Row::new("binary, stripped", size, "MiB");
    on_disk.goal = Some("< 25 MiB".into());

    let home = Home::new(&binary)?;
    let mut command = home.command(&["run", "--", "/bin/sleep", "60"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("failed to start a run")?;
    let resident = settle(child.id());
    // By its own id; the box ends with it.
    let _ = child.kill();
    let _ = child.wait();
    let mut idle = Row::new("`bartizan run -- sleep`, resident", resident?, "MiB");
    idle.goal = Some("< 20 MiB".into());
    Ok(vec![on_disk, idle])
}

/// Wait for a process's resident memory to stop changing; in MiB.
fn settle(pid: u32) -> Result<f64> {
    let started = Instant::now();
    let (mut last, mut steady) = (0.0, 0);
    while started.elapsed() < PATIENCE {
        let now = resident(pid)?;
        #[allow(clippy::float_cmp, reason = "the same count of pages, read twice")]
        let same = now == last;
        steady = if same { steady + 1 } else { 0 };
        last = now;
        if steady == STEADY_LOOKS {
            return Ok(now);
        }
        thread::sleep(LOOK_EVERY);
    }
    bail!("the memory of process {pid} didn't settle in {PATIENCE:?}")
}

fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the run ended early")?;
    let kibibytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .context("the run ended early")?;
    Ok(kibibytes / 1024.0)
}

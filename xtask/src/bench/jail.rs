//! The box alone, without policy, network or ledger: the sandbox's own example, which alternates with bubblewrap.

use anyhow::{Context, Result};

use super::{Options, Row};
use crate::shell;

const GOAL: f64 = 1.2;
const PEER: &str = "bwrap";

pub(super) fn jail(options: &Options) -> Result<Vec<Row>> {
    let printed = shell::capture(
        shell::cargo()
            .args(["run", "--release", "--quiet", "--package", "bartizan-sandbox", "--example", "start_cost", "--"])
            .arg(options.rounds.to_string()),
    )?;
    let lines: Vec<Line> = printed.lines().filter_map(line).collect();
    let peer = lines.iter().find(|line| line.name == PEER).context("bubblewrap was not measured")?.p50;
    Ok(lines
        .iter()
        .filter(|line| line.name != PEER)
        .map(|line| {
            let mut row = Row::new(format!("{}, p50", line.name), line.p50, "ms");
            row.peer = Some((format!("{PEER} --unshare-all"), peer));
            row.noise = Some((line.p90 - line.p10) / 2.0 / line.p50);
            row.goal = Some(format!("≤ {GOAL} × bwrap"));
            row
        })
        .collect())
}

/// `NAME p10 1.2ms p50 1.3ms p90 1.5ms of 100`.
struct Line {
    name: String,
    p10: f64,
    p50: f64,
    p90: f64,
}

fn line(text: &str) -> Option<Line> {
    let (name, rest) = text.split_once(" p10 ")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let [p10, "p50", p50, "p90", p90, ..] = words.as_slice() else { return None };
    Some(Line {
        name: name.trim().to_owned(),
        p10: milliseconds(p10)?,
        p50: milliseconds(p50)?,
        p90: milliseconds(p90)?,
    })
}

/// A duration as Rust prints it.
fn milliseconds(text: &str) -> Option<f64> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = text.split_at(unit);
    let scale = match unit {
        "ns" => 1e-6,
        "µs" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::{line, milliseconds};

    #[test]
    fn reads_durations() {
        assert_eq!(milliseconds("1.5ms"), Some(1.5));
        assert_eq!(milliseconds("500µs"), Some(0.5));
        assert_eq!(milliseconds("nothing"), None);
    }

    #[test]
    fn reads_what_the_example_prints() {
        let read = line("box without cgroup   p10 1ms  p50 2ms  p90 3ms  of 100").unwrap();
        assert_eq!((read.name.as_str(), read.p50), ("box without cgroup", 2.0));
        assert!(line("anything else").is_none());
    }
}

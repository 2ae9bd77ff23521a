//! What is taken for a secret in source code. Every finding is printed: which of them are false is for a person to say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bartizan_scan::{REPORT_SCORE, Scanner};

/// Larger files are data, not sources.
const FILE_BYTES_MAX: u64 = 64 << 20;
const MIB: f64 = (1 << 20) as f64;

/// Scans every file below, and prints each finding and how many there are per MiB.
pub fn false_findings(scanner: &Scanner, root: &Path) {
    let mut files = Vec::new();
    collect(root, &mut files).expect("a readable directory");
    files.sort();
    let (mut bytes, mut findings) = (0_usize, 0_usize);
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    for file in &files {
        let Ok(text) = fs::read(file) else { continue };
        bytes += text.len();
        for seen in scanner.scan(&text).into_iter().filter(|seen| seen.score >= REPORT_SCORE) {
            findings += 1;
            *by_kind.entry(seen.kind).or_default() += 1;
            let line = text[..seen.span.start].iter().filter(|byte| **byte == b'\n').count() + 1;
            let from = seen.span.start.saturating_sub(40);
            let to = (seen.span.end + 10).min(text.len()).min(from + 200);
            let shown = String::from_utf8_lossy(&text[from..to]).escape_debug().to_string();
            println!("{} {} {}:{line} {shown}", seen.kind, seen.score, file.display());
        }
    }
    println!(
        "{} files, {:.1} MiB, {findings} findings: one in {:.2} MiB",
        files.len(),
        bytes as f64 / MIB,
        bytes as f64 / MIB / findings.max(1) as f64
    );
    println!("{by_kind:?}");
}

/// Every file below, without following links.
pub fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() && entry.metadata()?.len() <= FILE_BYTES_MAX {
            files.push(entry.path());
        }
    }
    Ok(())
}

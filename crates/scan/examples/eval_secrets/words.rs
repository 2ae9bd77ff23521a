//! The recipe of the table in `crates/scan/src/detectors/words.rs`: pairs of neighbouring letters, counted in sources.

use std::fs;
use std::path::Path;

/// Of each file this much is read, so that one generated file doesn't weigh more than a hundred written ones.
const FILE_BYTES_MAX: usize = 200_000;
const ENDINGS: &[&str] = &["rs", "md", "py", "c", "h", "toml", "sh"];
/// Letters, and digits as one more.
const CLASSES: usize = 27;

/// Prints the rows of the table.
pub fn print_table(root: &Path) {
    let mut files = Vec::new();
    super::sources::collect(root, &mut files).expect("a readable directory");
    let mut counts = [[1_u64; CLASSES]; CLASSES];
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|ending| ENDINGS.iter().any(|wanted| ending == *wanted)))
    {
        let Ok(text) = fs::read(file) else { continue };
        let text = &text[..text.len().min(FILE_BYTES_MAX)];
        for word in text.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_') {
            let classes: Vec<usize> = word.iter().filter_map(|byte| class(*byte)).collect();
            // Shorter ones say little, longer ones are data.
            if (4..=40).contains(&classes.len()) {
                classes.windows(2).for_each(|pair| counts[pair[0]][pair[1]] += 1);
            }
        }
    }
    for row in counts {
        let sum: u64 = row.iter().sum();
        let weights: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(class, count)| {
                // In a random token of letters of both cases and digits.
                let by_chance = if class == 26 { 10.0 / 62.0 } else { 2.0 / 62.0 };
                let weight = 12.0 * (*count as f64 / sum as f64 / by_chance).log2();
                (weight.round().clamp(-99.0, 99.0) as i8).to_string()
            })
            .collect();
        println!("    [{}],", weights.join(", "));
    }
}

fn class(byte: u8) -> Option<usize> {
    match byte.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => Some(usize::from(letter - b'a')),
        b'0'..=b'9' => Some(26),
        _ => None,
    }
}

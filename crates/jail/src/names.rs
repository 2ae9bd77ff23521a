//! Which names are asked about.
//!
//! A pattern is a row of name patterns separated by `/`; `*` stands for any part of a name and
//! letter case is ignored, since some filesystems do so. It is held against the last names of a path
//! inside a writable tree. With `/**` at the end it also covers the named directory's content.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The patterns of one box, and the trees they are held against.
pub struct Names {
    patterns: Vec<Pattern>,
    /// Writable trees of the host.
    trees: Vec<PathBuf>,
    /// Paths shut for writing or reading inside them.
    shut: Vec<PathBuf>,
}

struct Pattern {
    names: Vec<Vec<u8>>,
    deep: bool,
}

impl Names {
    /// `shut` are the paths inside the trees that are shut for writing or reading.
    #[must_use]
    pub fn new(patterns: &[String], trees: Vec<PathBuf>, shut: Vec<PathBuf>) -> Self {
        let patterns = patterns
            .iter()
            .map(|pattern| {
                let (text, deep) = match pattern.strip_suffix("/**") {
                    Some(text) => (text, true),
                    None => (pattern.as_str(), false),
                };
                let names = text.split('/').filter(|name| !name.is_empty());
                Pattern { names: names.map(|name| name.as_bytes().to_ascii_lowercase()).collect(), deep }
            })
            .filter(|pattern| !pattern.names.is_empty())
            .collect();
        Self { patterns, trees, shut }
    }

    /// Making `path` is asked about. With `opens_a_way` what is made has, or leads to, content of its
    /// own (a renamed directory, a symbolic link), so that it may complete a longer pattern.
    #[must_use]
    pub fn guards(&self, path: &Path, opens_a_way: bool) -> bool {
        let Some(tree) =
            self.trees.iter().filter(|tree| path.starts_with(tree)).max_by_key(|tree| tree.as_os_str().len())
        else {
            return false;
        };
        let below = path.strip_prefix(tree).unwrap_or(path);
        let names: Vec<&[u8]> = below.iter().map(OsStrExt::as_bytes).collect();
        self.patterns.iter().any(|pattern| pattern.matches(&names) || (opens_a_way && pattern.is_begun_by(&names)))
    }

    /// Moving `path` away would move something below it that was shut, and free its name. What is
    /// shut itself the kernel doesn't let go, since a mount stands on it.
    #[must_use]
    pub fn holds_something_shut(&self, path: &Path) -> bool {
        self.shut.iter().any(|shut| shut != path && shut.starts_with(path))
    }
}

impl Pattern {
    fn matches(&self, names: &[&[u8]]) -> bool {
        let length = self.names.len();
        if self.deep {
            names.windows(length).any(|window| same(&self.names, window))
        } else {
            names
                .len()
                .checked_sub(length)
                .and_then(|from| names.get(from..))
                .is_some_and(|last| same(&self.names, last))
        }
    }

    /// The last of `names` are the first, but not all, of the pattern's.
    fn is_begun_by(&self, names: &[&[u8]]) -> bool {
        (1..self.names.len()).any(|length| {
            let last = names.len().checked_sub(length).and_then(|from| names.get(from..));
            let first = self.names.get(..length).unwrap_or_default();
            last.is_some_and(|last| same(first, last))
        })
    }
}

fn same(patterns: &[Vec<u8>], names: &[&[u8]]) -> bool {
    patterns.len() == names.len()
        && patterns.iter().zip(names).all(|(pattern, name)| fits(pattern, &name.to_ascii_lowercase()))
}

/// Whether `name` fits a pattern with any number of `*`. Takes time in the product of both lengths.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at_pattern, mut at_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at_name < name.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                star = Some((at_pattern, at_name));
                at_pattern += 1;
            }
            Some(byte) if name.get(at_name) == Some(byte) => {
                at_pattern += 1;
                at_name += 1;
            }
            _ => match star {
                Some((pattern_from, name_from)) => {
                    star = Some((pattern_from, name_from + 1));
                    at_pattern = pattern_from + 1;
                    at_name = name_from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at_pattern..).is_none_or(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, opens_a_way: bool, asked: bool) {
        let patterns = [".envrc", ".git", ".git/hooks/**", ".vscode/tasks.json", "*.plist", "a/b/c"];
        let names =
            Names::new(&patterns.map(str::to_owned), vec!["/w".into(), "/w/inner".into()], vec!["/w/x/y/shut".into()]);
        assert_eq!(names.guards(Path::new(path), opens_a_way), asked, "{path}");
    }

    #[test]
    fn asks_about_the_last_names_of_a_path() {
        check("/w/.envrc", false, true);
        check("/w/deep/down/.ENVRC", false, true);
        check("/w/.envrc/below", false, false);
        check("/w/.envrc2", false, false);
        check("/w/.git", false, true);
        check("/w/.git/objects/ab", false, false);
        check("/w/.vscode/tasks.json", false, true);
        check("/w/tasks.json", false, false);
        check("/w/x.plist", false, true);
        check("/w/x.plists", false, false);
        check("/elsewhere/.envrc", false, false);
    }

    #[test]
    fn asks_about_everything_below_a_deep_pattern() {
        check("/w/.git/hooks", false, true);
        check("/w/.git/hooks/pre-commit", false, true);
        check("/w/sub/.Git/Hooks/a/b", false, true);
        check("/w/git/hooks/a", false, false);
    }

    #[test]
    fn asks_when_a_directory_or_link_would_complete_a_pattern() {
        check("/w/.vscode", true, true);
        check("/w/.vscode", false, false);
        check("/w/a", true, true);
        check("/w/a/b", true, true);
        check("/w/b", true, false);
        check("/w/b/c", true, false);
    }

    #[test]
    fn holds_names_against_the_innermost_tree() {
        check("/w/inner/.envrc", false, true);
        check("/w/a/b/c", false, true);
    }

    #[test]
    fn knows_what_stands_above_a_shut_path() {
        let names = Names::new(&[], vec!["/w".into()], vec!["/w/x/y/shut".into()]);
        let held: Vec<_> = ["/w/x", "/w/x/y", "/w/x/y/shut", "/w/x/z"]
            .iter()
            .map(|path| names.holds_something_shut(Path::new(path)))
            .collect();
        assert_eq!(held, [true, true, false, false]);
    }

    #[test]
    fn stars_stand_for_any_part_of_a_name() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}

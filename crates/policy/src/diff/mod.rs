//! Patches as data: git diffs, plain unified diffs and `*** Begin Patch` blocks, read strictly. Tools that
//! apply patches guess a lot (indented diffs, ed scripts, names out of several headers); here what has more
//! than one reading is either refused or told in all its readings.

mod blocks;
pub(crate) mod kinds;
mod names;
mod unified;

use std::borrow::Cow;

use smallvec::SmallVec;

pub(crate) use names::Escape;

/// Largest patch that is read; larger ones are not understood. Ten times what a person can review.
pub(crate) const PATCH_BYTES_MAX: usize = 4 << 20;
/// Most files of one patch.
const FILES_MAX: usize = 4096;
/// Most hunks and header lines of one file; bounds the work on hostile headers.
const PIECES_MAX: usize = 65_536;

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Change {
    #[default]
    Modify,
    Create,
    Delete,
    Rename,
    Copy,
}

/// One added or removed line, without its sign and line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Line of the patch, from 1.
    pub(crate) number: u32,
    pub(crate) text: &'a [u8],
}

/// One file of a patch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileChange<'a> {
    /// Every name the patch gives it, as written: old, new, of the `diff` line, of rename lines.
    pub(crate) names: SmallVec<[Cow<'a, str>; 4]>,
    /// Whether the names carry git's one-letter directory (`a/`, `b/`) and so have one reading.
    pub(crate) git: bool,
    pub(crate) change: Change,
    pub(crate) binary: bool,
    pub(crate) old_mode: Option<u32>,
    pub(crate) new_mode: Option<u32>,
    pub(crate) added: Vec<Line<'a>>,
    pub(crate) removed: Vec<Line<'a>>,
}

impl<'a> FileChange<'a> {
    fn name(&mut self, name: Cow<'a, str>) {
        if name != "/dev/null" && !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// The paths it may mean, relative to where the patch is applied: as written, and without the first
    /// directory, which most tools strip.
    pub(crate) fn readings(&self) -> impl Iterator<Item = &str> {
        self.names.iter().flat_map(|name| {
            let stripped = names::stripped(name);
            let whole = (!(self.git && stripped.is_some_and(|_| names::has_git_prefix(name)))).then_some(name.as_ref());
            whole.into_iter().chain(stripped)
        })
    }

    /// The name to show.
    pub(crate) fn shown(&self) -> &str {
        let last = self.names.last().map_or("", |name| name.as_ref());
        if self.git && names::has_git_prefix(last) { names::stripped(last).unwrap_or(last) } else { last }
    }

    /// A name that leads out of the place the patch is applied to.
    pub(crate) fn escape(&self) -> Option<(&str, Escape)> {
        self.names.iter().find_map(|name| Some((name.as_ref(), names::escape(name)?)))
    }

    /// It makes or changes a symbolic link.
    pub(crate) fn is_symlink(&self) -> bool {
        [self.old_mode, self.new_mode].into_iter().flatten().any(|mode| mode & 0o170_000 == 0o120_000)
    }

    /// It names another repository's commit.
    pub(crate) fn is_submodule(&self) -> bool {
        [self.old_mode, self.new_mode].into_iter().flatten().any(|mode| mode & 0o170_000 == 0o160_000)
    }

    /// The mode it gets, where that is not an ordinary file's or changes what it was.
    pub(crate) fn mode_change(&self) -> Option<u32> {
        let new = self.new_mode?;
        let odd = new & 0o170_000 == 0o100_000 && new & 0o777 != 0o644 || new & 0o7000 != 0;
        (odd && self.old_mode != Some(new) || self.old_mode.is_some_and(|old| old != new)).then_some(new)
    }
}

/// A patch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Patch<'a> {
    pub(crate) files: Vec<FileChange<'a>>,
}

impl Patch<'_> {
    pub(crate) fn added(&self) -> usize {
        self.files.iter().map(|file| file.added.len()).sum()
    }

    pub(crate) fn removed(&self) -> usize {
        self.files.iter().map(|file| file.removed.len()).sum()
    }
}

/// Why a text is no patch that could be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Line, from 1; 0 for the whole.
    pub(crate) line: u32,
    pub(crate) problem: &'static str,
}

/// Reads a patch.
pub(crate) fn read(bytes: &[u8]) -> Result<Patch<'_>, Malformed> {
    if bytes.len() > PATCH_BYTES_MAX {
        return Err(Malformed { line: 0, problem: "it is larger than 4 MiB" });
    }
    let mut lines = Lines::new(bytes);
    let patch = if blocks::begins(&mut lines) { blocks::read(&mut lines)? } else { unified::read(&mut lines)? };
    if patch.files.is_empty() {
        return Err(Malformed { line: 0, problem: "it changes no file, or is in a form that isn't known" });
    }
    if patch.files.iter().any(|file| file.names.is_empty()) {
        return Err(Malformed { line: 0, problem: "it changes a file without a name" });
    }
    Ok(patch)
}

/// The lines of a text, with one to look ahead. Line ends are `\n` or `\r\n`.
struct Lines<'a> {
    rest: &'a [u8],
    number: u32,
}

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, number: 0 }
    }

    fn split(&self) -> Option<(&'a [u8], &'a [u8])> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (self.rest.get(..end)?, self.rest.get(end + 1..)?),
            None => (self.rest, &[][..]),
        };
        Some((line.strip_suffix(b"\r").unwrap_or(line), rest))
    }

    fn peek(&self) -> Option<&'a [u8]> {
        self.split().map(|(line, _)| line)
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let (line, rest) = self.split()?;
        self.rest = rest;
        self.number = self.number.saturating_add(1);
        Some(line)
    }

    fn error(&self, problem: &'static str) -> Malformed {
        Malformed { line: self.number, problem }
    }

    fn line(&self, text: &'a [u8]) -> Line<'a> {
        Line { number: self.number, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match read(text.as_bytes()) {
            Err(problem) => format!("line {}: {}", problem.line, problem.problem),
            Ok(patch) => {
                let mut lines = Vec::new();
                for file in &patch.files {
                    let mut paths: Vec<&str> = file.readings().collect();
                    paths.dedup();
                    lines.push(format!(
                        "{:?} {} +{} -{}",
                        file.change,
                        paths.join("|"),
                        file.added.len(),
                        file.removed.len()
                    ));
                }
                lines.join("; ")
            }
        }
    }

    const GIT: &str = "diff --git a/src/main.rs b/src/main.rs\nindex 1111111..2222222 100644\n--- a/src/main.rs\n\
        +++ b/src/main.rs\n@@ -1,2 +1,3 @@ fn x\n fn main() {\n+    println!();\n }\n";

    #[test]
    fn reads_what_git_writes() {
        assert_eq!(show(GIT), "Modify src/main.rs +1 -0");
        assert_eq!(show(&GIT.replace('\n', "\r\n")), "Modify src/main.rs +1 -0");
        assert_eq!(show("diff --git a/run b/run\nold mode 100644\nnew mode 100755\n"), "Modify run +0 -0");
        assert_eq!(
            show("diff --git a/a b b/c d\nsimilarity index 100%\nrename from a b\nrename to c d\n"),
            "Rename a b|c d +0 -0"
        );
        assert_eq!(show("diff --git a/x b/x\nnew file mode 100644\nindex 0000000..e69de29\n"), "Create x +0 -0");
        assert_eq!(
            show(
                "diff --git a/x b/x\ndeleted file mode 100644\nindex 1..0\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
            ),
            "Delete x +0 -1"
        );
        assert_eq!(
            show(
                "diff --git a/i.png b/i.png\nindex 1..2 100644\nGIT binary patch\nliteral 3\nKcmZQz\n\nliteral 0\nHc\n\n"
            ),
            "Modify i.png +0 -0"
        );
        assert_eq!(
            show(
                "diff --git \"a/\\303\\251\" \"b/\\303\\251\"\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ \"b/\\303\\251\"\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n"
            ),
            "Create é +1 -0"
        );
    }

    #[test]
    fn reads_mails_and_plain_diffs_in_every_reading() {
        let mail = format!("From 1234 Mon Sep 17\nSubject: [PATCH] x\n\n- a list\n---\n x | 1 +\n\n{GIT}-- \n2.39.0\n");
        assert_eq!(show(&mail), "Modify src/main.rs +1 -0");
        assert_eq!(
            show("--- old/x.c\t2026-01-01\n+++ new/x.c\t2026-01-02\n@@ -1 +1 @@\n-a\n+b\n"),
            "Modify old/x.c|x.c|new/x.c|x.c +1 -1"
        );
        assert_eq!(show("--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n"), "Modify x.c +1 -1");
        assert_eq!(show("--- x.c 2026\n+++ x.c\n@@ -1 +1 @@\n-a\n+b\n"), "Modify x.c|x.c 2026 +1 -1");
    }

    #[test]
    fn reads_blocks() {
        let text = "*** Begin Patch\n*** Add File: a.txt\n+one\n+two\n*** Update File: b.rs\n*** Move to: c.rs\n@@ fn x\n ctx\n-old\n+new\n\
                    *** Delete File: d\n*** End Patch\n";
        assert_eq!(show(text), "Create a.txt +2 -0; Rename b.rs|c.rs +1 -1; Delete d +0 -0");
        assert!(show("*** Begin Patch\n*** Add File: a\n+x\n").starts_with("line "));
        assert!(show("*** Begin Patch\n*** Add File: a\nx\n*** End Patch\n").starts_with("line 3"));
        assert!(show("*** Begin Patch\n*** End Patch\nrm -rf /\n").starts_with("line "));
    }

    #[test]
    fn refuses_what_it_cannot_read_for_sure() {
        for bad in [
            "",
            "hello\n",
            "diff --git a/x b/x\n",
            "--- a/x\n+++ b/x\n",
            "--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n-a\n",
            "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n+c\n",
            "--- a/x\n@@ -1 +1 @@\n-a\n+b\n",
            "@@ -1 +1 @@\n-a\n+b\n",
            "*** a/x\n--- b/x\n***************\n*** 1 ****\n! a\n--- 1 ----\n! b\n",
            "1d\n",
            "1,2c3\n< a\n> b\n",
            "  --- a/x\n  +++ b/x\n  @@ -1 +1 @@\n  -a\n  +b\n",
            "diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1,1 -1,1 +1,1 @@@\n",
            "--- a/x\n+++ b/x\n@@ -1,99999999999999999999 +1 @@\n",
            "diff --git a/x b/x\nindex 1..2\nGIT binary patch\nrun me\n",
            "--- a/\u{0}x\n+++ b/\u{0}x\n@@ -1 +1 @@\n-a\n+b\n",
            "diff --git \"a/x b/x\nnew file mode 100644\n",
        ] {
            assert!(show(bad).starts_with("line "), "{bad:?} is {}", show(bad));
        }
    }

    #[test]
    fn sees_names_that_lead_out() {
        let escape = |name: &str| names::escape(name).is_some();
        for bad in
            ["/etc/passwd", "../x", "a/../../x", "a//etc", "C:\\x", "c:/x", "a\\..\\b", "a/./b", "~/x", "a/\u{202e}b"]
        {
            assert!(escape(bad), "{bad}");
        }
        assert!(!escape("a/src/main.rs") && !escape("src/..x/y") && !escape("é.txt") && !escape("~x"));
    }

    #[test]
    fn sees_links_and_modes() {
        let file = |text: &str| -> (bool, bool, Option<u32>) {
            let patch = read(text.as_bytes()).unwrap();
            (patch.files[0].is_symlink(), patch.files[0].is_submodule(), patch.files[0].mode_change())
        };
        assert!(
            file(
                "diff --git a/l b/l\nnew file mode 120000\nindex 0..1\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n"
            )
            .0
        );
        assert!(file("diff --git a/l b/l\nindex 1..2 120000\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-x\n+/etc\n").0);
        assert!(file("diff --git a/m b/m\nnew file mode 160000\nindex 0..1\n--- /dev/null\n+++ b/m\n@@ -0,0 +1 @@\n+Subproject commit 1\n").1);
        assert_eq!(file("diff --git a/l b/l\nold mode 100644\nnew mode 100755\n").2, Some(0o100_755));
        assert_eq!(file(GIT).2, None);
    }
}

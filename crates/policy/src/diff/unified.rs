//! Unified diffs, git's and plain ones. Every line of a hunk is counted against the hunk's own numbers, so
//! that what is told here is what a tool would apply.

use std::borrow::Cow;

use super::{Change, FILES_MAX, FileChange, Lines, Malformed, PIECES_MAX, Patch, names};

pub(super) fn read<'a>(lines: &mut Lines<'a>) -> Result<Patch<'a>, Malformed> {
    let mut patch = Patch::default();
    // A line `Index: name` belongs to the file that follows.
    let mut index: Option<Cow<'a, str>> = None;
    let mut after_hunk = false;
    while let Some(line) = lines.peek() {
        let file = if let Some(header) = line.strip_prefix(b"diff --git ") {
            lines.next();
            Some(git(lines, header)?)
        } else if line.starts_with(b"--- ") && follows_new_name(lines) {
            let mut file = FileChange::default();
            sides(lines, &mut file)?;
            // Written by hand as git would: the pair says that the first directory is none.
            file.git = match file.names.as_slice() {
                [old, new] => old.starts_with("a/") && new.starts_with("b/"),
                [only] => names::has_git_prefix(only),
                _ => false,
            };
            hunks(lines, &mut file)?;
            Some(file)
        } else {
            lines.next();
            if let Some(name) = line.strip_prefix(b"Index: ") {
                index = Some(names::parse(name).ok_or_else(|| lines.error("a file's name that can't be read"))?);
            } else if let Some(problem) = trap(line) {
                return Err(lines.error(problem));
            } else if after_hunk && matches!(line.first(), Some(b'+' | b'-' | b' ')) && !is_signature(line) {
                return Err(lines.error("more lines than the hunk announces"));
            }
            None
        };
        after_hunk = file.is_some();
        if let Some(mut file) = file {
            file.names.extend(index.take());
            if patch.files.len() >= FILES_MAX {
                return Err(lines.error("more files than one patch may change"));
            }
            patch.files.push(file);
        }
    }
    Ok(patch)
}

fn follows_new_name(lines: &Lines<'_>) -> bool {
    let mut ahead = Lines { rest: lines.rest, number: lines.number };
    ahead.next();
    ahead.peek().is_some_and(|line| line.starts_with(b"+++ "))
}

/// `-- ` ends a mail, `---` parts its message from the diff.
fn is_signature(line: &[u8]) -> bool {
    matches!(line, b"-- " | b"--" | b"---")
}

/// Lines outside of hunks that some tool would take for a patch of another form.
fn trap(line: &[u8]) -> Option<&'static str> {
    let bare = line.trim_ascii_start();
    if bare.len() < line.len()
        && [&b"--- "[..], b"+++ ", b"diff --git ", b"@@ -"].iter().any(|head| bare.starts_with(head))
    {
        return Some("an indented diff, which some tools apply and others don't");
    }
    if line.starts_with(b"***") {
        return Some("a context diff; only unified diffs are read");
    }
    if line.starts_with(b"diff --cc ") || line.starts_with(b"diff --combined ") || line.starts_with(b"@@@") {
        return Some("a combined diff of a merge; only diffs between two versions are read");
    }
    if line.starts_with(b"@@ -") {
        return Some("a hunk that belongs to no file");
    }
    if line.starts_with(b"--- ") || line.starts_with(b"+++ ") {
        return Some("one of the two lines `---` and `+++` is missing");
    }
    if line.starts_with(b"Prereq:") {
        return Some("a condition on the old version, which only some tools know");
    }
    let numbers = line.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b',').count();
    let command = line.get(numbers).is_some_and(|byte| b"acdis".contains(byte));
    let ends = line.get(numbers + 1).is_none_or(u8::is_ascii_digit);
    (numbers > 0 && command && ends).then_some("a command of `ed` or a plain `diff`; only unified diffs are read")
}

/// One file after its line `diff --git`.
fn git<'a>(lines: &mut Lines<'a>, header: &'a [u8]) -> Result<FileChange<'a>, Malformed> {
    let mut file = FileChange { git: true, ..FileChange::default() };
    let names = names::of_git_header(header);
    if header.contains(&b'"') && names.is_none() {
        return Err(lines.error("a file's name that can't be read"));
    }
    for name in names.into_iter().flatten() {
        file.name(name);
    }
    let mut changed = false;
    let mut pieces = 0_usize;
    while let Some(line) = lines.peek() {
        let octal =
            |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| u32::from_str_radix(text.trim(), 8).ok());
        let rest = |head: &str| line.strip_prefix(head.as_bytes());
        pieces += 1;
        if pieces > PIECES_MAX {
            return Err(lines.error("more header lines than a file has"));
        }
        if let Some(mode) = rest("old mode ") {
            lines.next();
            file.old_mode = Some(octal(mode).ok_or_else(|| lines.error("a mode that can't be read"))?);
        } else if let Some(mode) = rest("new mode ") {
            lines.next();
            changed = true;
            file.new_mode = Some(octal(mode).ok_or_else(|| lines.error("a mode that can't be read"))?);
        } else if let Some(mode) = rest("new file mode ") {
            lines.next();
            changed = true;
            file.change = Change::Create;
            file.new_mode = Some(octal(mode).ok_or_else(|| lines.error("a mode that can't be read"))?);
        } else if let Some(mode) = rest("deleted file mode ") {
            lines.next();
            changed = true;
            file.change = Change::Delete;
            file.old_mode = Some(octal(mode).ok_or_else(|| lines.error("a mode that can't be read"))?);
        } else if let Some(name) = ["rename from ", "rename to ", "copy from ", "copy to "].into_iter().find_map(rest) {
            lines.next();
            changed = true;
            file.change = if line.starts_with(b"rename") { Change::Rename } else { Change::Copy };
            // These stand without git's `a/` and `b/`; putting one on keeps all names alike.
            let name = names::parse(name).ok_or_else(|| lines.error("a file's name that can't be read"))?;
            file.name(Cow::Owned(format!("b/{name}")));
        } else if let Some(index) = rest("index ") {
            lines.next();
            if let Some(mode) = index.split(|byte| *byte == b' ').nth(1) {
                let mode = Some(octal(mode).ok_or_else(|| lines.error("a mode that can't be read"))?);
                file.old_mode = file.old_mode.or(mode);
                file.new_mode = file.new_mode.or(mode);
            }
        } else if rest("similarity index ").or_else(|| rest("dissimilarity index ")).is_some() {
            lines.next();
        } else if line.starts_with(b"GIT binary patch") {
            lines.next();
            file.binary = true;
            binary(lines)?;
            changed = true;
            break;
        } else if line.starts_with(b"Binary files ") && line.ends_with(b" differ") {
            lines.next();
            file.binary = true;
            changed = true;
            break;
        } else if line.starts_with(b"--- ") {
            sides(lines, &mut file)?;
            hunks(lines, &mut file)?;
            changed = true;
            break;
        } else {
            break;
        }
    }
    if changed { Ok(file) } else { Err(lines.error("a file's header without any change")) }
}

/// The lines of `GIT binary patch`: one or two blocks, each ended by an empty line.
fn binary(lines: &mut Lines<'_>) -> Result<(), Malformed> {
    let mut blocks = 0;
    while lines.peek().is_some_and(|line| line.starts_with(b"literal ") || line.starts_with(b"delta ")) {
        lines.next();
        blocks += 1;
        while let Some(line) = lines.peek().filter(|line| !line.is_empty()) {
            lines.next();
            if line.iter().any(|byte| !byte.is_ascii_graphic()) {
                return Err(lines.error("binary data that can't be read"));
            }
        }
        lines.next();
    }
    if blocks == 0 { Err(lines.error("a binary patch without data")) } else { Ok(()) }
}

/// `--- name` and `+++ name`.
fn sides<'a>(lines: &mut Lines<'a>, file: &mut FileChange<'a>) -> Result<(), Malformed> {
    for (head, gone) in [(&b"--- "[..], Change::Create), (b"+++ ", Change::Delete)] {
        let line = lines.next().and_then(|line| line.strip_prefix(head));
        let line = line.ok_or_else(|| lines.error("one of the two lines `---` and `+++` is missing"))?;
        let name = names::parse(line).ok_or_else(|| lines.error("a file's name that can't be read"))?;
        if name == "/dev/null" && file.change == Change::Modify {
            file.change = gone;
        }
        // Without a tab before a date it is unclear where the name ends.
        if let (false, Some((first, _))) = (line.starts_with(b"\"") || line.contains(&b'\t'), name.split_once(' ')) {
            let first = first.to_owned();
            if !file.git {
                file.name(Cow::Owned(first));
            }
        }
        file.name(name);
    }
    Ok(())
}

/// One or more hunks.
fn hunks<'a>(lines: &mut Lines<'a>, file: &mut FileChange<'a>) -> Result<(), Malformed> {
    let mut count = 0_usize;
    while let Some(line) = lines.peek().filter(|line| line.starts_with(b"@@ -")) {
        lines.next();
        count += 1;
        let (mut old, mut new) = counts(line).ok_or_else(|| lines.error("a hunk's numbers can't be read"))?;
        while old > 0 || new > 0 {
            let Some(line) = lines.next() else { return Err(lines.error("the hunk ends too early")) };
            let (from_old, from_new) = match line.split_first() {
                Some((b'+', text)) => {
                    file.added.push(lines.line(text));
                    (0, 1)
                }
                Some((b'-', text)) => {
                    file.removed.push(lines.line(text));
                    (1, 0)
                }
                // Mail programs strip the blank of an empty line.
                None | Some((b' ', _)) => (1, 1),
                Some((b'\\', _)) => (0, 0),
                _ => return Err(lines.error("a line of a hunk starts with ` `, `+` or `-`")),
            };
            old = old.checked_sub(from_old).ok_or_else(|| lines.error("more lines than the hunk announces"))?;
            new = new.checked_sub(from_new).ok_or_else(|| lines.error("more lines than the hunk announces"))?;
        }
        if lines.peek().is_some_and(|line| line.starts_with(b"\\ ")) {
            lines.next();
        }
    }
    if count == 0 { Err(lines.error("a file without a hunk")) } else { Ok(()) }
}

/// The line counts of `@@ -l,c +l,c @@`.
fn counts(line: &[u8]) -> Option<(u64, u64)> {
    let text = line.strip_prefix(b"@@ -")?;
    let end = text.windows(3).position(|three| three == b" @@")?;
    let (old, new) = std::str::from_utf8(text.get(..end)?).ok()?.split_once(" +")?;
    let one = |range: &str| -> Option<u64> {
        let (start, count) = range.split_once(',').unwrap_or((range, "1"));
        start.parse::<u64>().ok()?;
        count.parse().ok()
    };
    Some((one(old)?, one(new)?))
}

//! The block form agents write: `*** Begin Patch`, then `*** Add File:`, `*** Update File:`, `*** Delete File:`.

use super::{Change, FILES_MAX, FileChange, Lines, Malformed, Patch, names};

const BEGIN: &[u8] = b"*** Begin Patch";
const END: &[u8] = b"*** End Patch";

/// Whether the text is in this form; blank lines before it are taken off.
pub(super) fn begins(lines: &mut Lines<'_>) -> bool {
    while lines.peek().is_some_and(<[u8]>::is_empty) {
        lines.next();
    }
    lines.peek().is_some_and(|line| line.trim_ascii_end() == BEGIN)
}

pub(super) fn read<'a>(lines: &mut Lines<'a>) -> Result<Patch<'a>, Malformed> {
    let mut patch = Patch::default();
    lines.next();
    loop {
        let Some(line) = lines.next() else { return Err(lines.error("`*** End Patch` is missing")) };
        if line.trim_ascii_end() == END {
            break;
        }
        let heads: [(&[u8], Change); 3] = [
            (b"*** Add File: ", Change::Create),
            (b"*** Update File: ", Change::Modify),
            (b"*** Delete File: ", Change::Delete),
        ];
        let Some((name, change)) =
            heads.into_iter().find_map(|(head, change)| Some((line.strip_prefix(head)?, change)))
        else {
            return Err(lines.error("a line that belongs to no file"));
        };
        if patch.files.len() >= FILES_MAX {
            return Err(lines.error("more files than one patch may change"));
        }
        let mut file = FileChange { change, ..FileChange::default() };
        file.name(names::parse(name).ok_or_else(|| lines.error("a file's name that can't be read"))?);
        body(lines, &mut file)?;
        patch.files.push(file);
    }
    while let Some(line) = lines.next() {
        if !line.trim_ascii().is_empty() {
            return Err(lines.error("text after the end of the patch"));
        }
    }
    Ok(patch)
}

fn body<'a>(lines: &mut Lines<'a>, file: &mut FileChange<'a>) -> Result<(), Malformed> {
    if let Some(target) = lines.peek().and_then(|line| line.strip_prefix(b"*** Move to: ")) {
        lines.next();
        if file.change != Change::Modify {
            return Err(lines.error("only a file that is updated can move"));
        }
        file.change = Change::Rename;
        file.name(names::parse(target).ok_or_else(|| lines.error("a file's name that can't be read"))?);
    }
    while let Some(line) = lines.peek() {
        if line.starts_with(b"*** ") && line.trim_ascii_end() != b"*** End of File" {
            break;
        }
        lines.next();
        match (file.change, line.split_first()) {
            (Change::Delete, _) => return Err(lines.error("a deleted file has no lines here")),
            (_, Some((b'+', text))) => file.added.push(lines.line(text)),
            (Change::Create, _) => return Err(lines.error("a line of a new file starts with `+`")),
            (_, Some((b'-', text))) => file.removed.push(lines.line(text)),
            (_, None | Some((b' ' | b'@' | b'*', _))) => {}
            _ => return Err(lines.error("a line that is neither context, added nor removed")),
        }
    }
    Ok(())
}

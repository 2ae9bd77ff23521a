//! Lines of a file, one after the other, from any offset, with bounded memory whatever the file holds.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::entry::LINE_BYTES_MAX;

/// Bytes asked for at once.
const READ_BYTES: usize = 256 * 1024;

/// What stands next in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A whole line without its newline.
    Whole(&'a [u8]),
    /// So many bytes that no newline ends; they are the file's last.
    Unended(u64),
    /// A line longer than any entry.
    TooLong,
    /// Nothing more.
    End,
}

/// Reads lines up to a limit, which is where the file ended when somebody looked.
pub(crate) struct Lines<'a> {
    file: &'a File,
    /// Where the first byte of `buffer` stands in the file.
    base: u64,
    limit: u64,
    buffer: Vec<u8>,
    /// Where the next line starts in `buffer`.
    next: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(file: &'a File, offset: u64, limit: u64) -> Self {
        Self { file, base: offset, limit, buffer: Vec::new(), next: 0 }
    }

    /// Where the next line starts.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.next as u64
    }

    pub(crate) fn next(&mut self) -> io::Result<Line<'_>> {
        let mut searched = self.next;
        let newline = loop {
            let fresh = self.buffer.get(searched..).unwrap_or_default();
            if let Some(found) = memchr::memchr(b'\n', fresh) {
                break searched + found;
            }
            if self.buffer.len() - self.next > LINE_BYTES_MAX {
                return Ok(Line::TooLong);
            }
            self.base += self.next as u64;
            self.buffer.drain(..self.next);
            self.next = 0;
            searched = self.buffer.len();
            if !self.fill()? {
                let rest = self.buffer.len() as u64;
                return Ok(if rest == 0 { Line::End } else { Line::Unended(rest) });
            }
        };
        let start = std::mem::replace(&mut self.next, newline + 1);
        let line = self.buffer.get(start..newline).unwrap_or_default();
        Ok(if line.len() > LINE_BYTES_MAX { Line::TooLong } else { Line::Whole(line) })
    }

    fn fill(&mut self) -> io::Result<bool> {
        let held = self.buffer.len();
        let at = self.base + held as u64;
        let wanted = self.limit.saturating_sub(at).min(READ_BYTES as u64) as usize;
        self.buffer.resize(held + wanted, 0);
        let read = match self.buffer.get_mut(held..) {
            Some(free) if !free.is_empty() => self.file.read_at(free, at)?,
            _ => 0,
        };
        self.buffer.truncate(held + read);
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(content: &[u8], offset: u64) -> Vec<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let mut lines = Lines::new(&file, offset, content.len() as u64);
        let mut seen = Vec::new();
        loop {
            let at = lines.offset();
            match lines.next().unwrap() {
                Line::End => return seen,
                Line::Whole(line) => seen.push(format!("{at}:{}", line.len())),
                other => {
                    seen.push(format!("{at}:{other:?}"));
                    return seen;
                }
            }
        }
    }

    #[test]
    fn gives_lines_and_says_how_the_file_ends() {
        assert_eq!(read(b"", 0), [""; 0]);
        assert_eq!(read(b"a\n\nbc\n", 0), ["0:1", "2:0", "3:2"]);
        assert_eq!(read(b"a\n\nbc\n", 3), ["3:2"]);
        assert_eq!(read(b"a\nbc", 0), ["0:1", "2:Unended(2)"]);
        let mut long = vec![b'x'; LINE_BYTES_MAX];
        long.push(b'\n');
        assert_eq!(read(&long, 0), [format!("0:{LINE_BYTES_MAX}")]);
        long.insert(0, b'x');
        assert_eq!(read(&long, 0), ["0:TooLong"]);
        assert_eq!(read(&vec![b'x'; 8 * LINE_BYTES_MAX], 0), ["0:TooLong"]);
    }
}

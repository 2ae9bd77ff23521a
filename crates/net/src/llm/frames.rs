//! A streamed answer in its pieces: server-sent events, or lines of JSON. A piece keeps its bytes as they came.

/// Largest piece: the last event of a response holds all of it once more.
pub const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How pieces are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Events end with an empty line.
    Events,
    /// Each line is JSON.
    Lines,
}

/// One piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// As it came, with its end.
    pub bytes: Vec<u8>,
    /// What it carries; `None` for a comment.
    pub data: Option<Vec<u8>>,
}

/// Why a stream can't be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A piece has no end.
    #[error("one of its events is too large")]
    TooLarge,
    /// Readers differ in what a line is.
    #[error("a carriage return stands alone in it, which readers take for different things")]
    LoneReturn,
}

/// Takes a stream apart as it comes.
#[derive(Debug)]
pub struct Frames {
    framing: Framing,
    held: Vec<u8>,
    /// So much of `held` has no end of a line in it that wasn't looked at.
    looked_at: usize,
    /// Where the line that isn't complete begins.
    line: usize,
}

impl Frames {
    /// None so far.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self { framing, held: Vec::new(), looked_at: 0, line: 0 }
    }

    /// Takes what came, and gives the pieces that are whole now.
    ///
    /// # Errors
    /// The stream can't be taken apart.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
        self.held.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(at) =
            self.held.get(self.looked_at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let end = self.looked_at + at + 1;
            let line = self.held.get(self.line..end).unwrap_or_default();
            let is_empty = matches!(line, b"\n" | b"\r\n");
            self.looked_at = end;
            self.line = end;
            if is_empty || self.framing == Framing::Lines {
                let rest = self.held.split_off(end);
                let bytes = std::mem::replace(&mut self.held, rest);
                (self.looked_at, self.line) = (0, 0);
                frames.push(self.frame(bytes)?);
            }
        }
        self.looked_at = self.held.len();
        if self.held.len() > FRAME_BYTES_MAX { Err(FrameError::TooLarge) } else { Ok(frames) }
    }

    /// What stands without an end at the end of the stream.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub fn finish(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.held.is_empty() {
            return Ok(None);
        }
        let bytes = std::mem::take(&mut self.held);
        self.frame(bytes).map(Some)
    }

    fn frame(&self, bytes: Vec<u8>) -> Result<Frame, FrameError> {
        if bytes.iter().enumerate().any(|(at, byte)| *byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
            return Err(FrameError::LoneReturn);
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let data = match self.framing {
            Framing::Lines => Some(text.trim_ascii()).filter(|line| !line.is_empty()).map(<[u8]>::to_vec),
            Framing::Events => event_data(text),
        };
        Ok(Frame { bytes, data })
    }
}

/// The `data` of an event, its lines joined.
fn event_data(event: &[u8]) -> Option<Vec<u8>> {
    let mut data: Option<Vec<u8>> = None;
    for line in event.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let value = match line.strip_prefix(b"data:") {
            Some(value) => value.strip_prefix(b" ").unwrap_or(value),
            None if line == b"data" => b"",
            None => continue,
        };
        match &mut data {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            None => data = Some(value.to_vec()),
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(framing: Framing, stream: &str, expected: &[Option<&str>]) {
        // However it is cut, the same pieces come out, and together they are the stream.
        for step in [1, 2, 3, 7, stream.len().max(1)] {
            let mut frames = Frames::new(framing);
            let mut found = Vec::new();
            for piece in stream.as_bytes().chunks(step) {
                found.extend(frames.push(piece).unwrap());
            }
            found.extend(frames.finish().unwrap());
            let data: Vec<_> = found.iter().map(|frame| frame.data.as_deref().map(String::from_utf8_lossy)).collect();
            let expected: Vec<_> = expected.iter().map(|data| data.map(std::borrow::Cow::from)).collect();
            assert_eq!(data, expected, "{stream:?} by {step}");
            assert_eq!(found.iter().flat_map(|frame| frame.bytes.clone()).collect::<Vec<_>>(), stream.as_bytes());
        }
    }

    #[test]
    fn events_and_lines_are_taken_apart() {
        check(Framing::Events, "data: {\"a\":1}\n\nevent: x\ndata: [DONE]\n\n", &[Some("{\"a\":1}"), Some("[DONE]")]);
        check(Framing::Events, "event: x\r\ndata:a\r\ndata: b\r\n\r\n: ping\r\n\r\n", &[Some("a\nb"), None]);
        check(Framing::Events, "data: cut", &[Some("cut")]);
        check(Framing::Events, "\u{feff}data: a\n\ndatax: b\n\n", &[Some("a"), None]);
        check(Framing::Lines, "{\"a\":1}\n\n{\"b\":2}", &[Some("{\"a\":1}"), None, Some("{\"b\":2}")]);
    }

    #[test]
    fn what_readers_take_apart_differently_is_refused() {
        assert_eq!(Frames::new(Framing::Events).push(b"data: a\rdata: b\n\n"), Err(FrameError::LoneReturn));
        let mut frames = Frames::new(Framing::Events);
        let large = vec![b'x'; FRAME_BYTES_MAX];
        assert_eq!(frames.push(&large), Ok(vec![]));
        assert_eq!(frames.push(b"yy"), Err(FrameError::TooLarge));
    }
}

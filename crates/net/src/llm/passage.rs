//! An answer on its way to the agent: read as it comes, put to the gate, and passed on, held back or cut.
//!
//! Text is looked at with what came before it, so that what is split over pieces is seen; a piece that ends in the middle
//! of a word which could be a value waits for the next one. Nothing else waits: the first piece is passed on at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bartizan_model::{Content, Deed, Effect, Origin, Outcome, OutcomeStatus, Process};
use tokio::sync::oneshot;

use super::answer::{AnswerReader, Said};
use super::frames::{FRAME_BYTES_MAX, Frames, Framing};
use super::request::Shape;
use crate::context::{Context, Halt};

/// Largest answer that is looked at as a whole, and most that waits for the end of a call: as much as one action carries.
const ANSWER_BYTES_MAX: usize = FRAME_BYTES_MAX;
/// How much text is looked at again with each piece: longer than any value or phrase that scanners know.
const WINDOW_BYTES: usize = 4 * 1024;
/// A word of so many letters may be the beginning of a value, and its piece waits for the next.
const WORD_BYTES_MIN: usize = 8;
/// A longer word was looked at long enough; what follows is still looked at.
const WORD_BYTES_MAX: usize = 512;
/// Bytes of pieces that wait for the end of a word.
const HELD_BYTES_MAX: usize = 256 * 1024;
/// Places of text in one answer that are told apart: choices, blocks. Those beyond share the last.
const PLACES_MAX: u64 = 64;

/// How an answer is read.
enum Form {
    /// Piece by piece.
    Pieces(Frames),
    /// When all of it is there.
    Whole(Vec<u8>),
    /// As text of no form: what servers say when something is wrong.
    Text,
    /// Not at all: numbers.
    Numbers,
}

/// Whose answer it is and what policy wants of it.
pub(crate) struct Expected {
    pub(crate) shape: Shape,
    pub(crate) stream: bool,
    /// The provider: the server of its tools.
    pub(crate) server: &'static str,
    pub(crate) model: String,
    pub(crate) decides_calls: bool,
    pub(crate) process: Option<Process>,
}

/// Why an answer is not passed on, or no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut(pub(crate) String);

/// One answer on its way.
pub(crate) struct Passage {
    context: Arc<Context>,
    expected: Arc<Expected>,
    form: Form,
    reader: AnswerReader,
    windows: BTreeMap<u64, String>,
    /// Where the last text belongs.
    spoken: Vec<u64>,
    held: Vec<u8>,
    text_bytes: u64,
    calls: u64,
}

impl Passage {
    /// For an answer of this status, which says that it has this type.
    pub(crate) fn new(
        context: &Arc<Context>,
        expected: &Arc<Expected>,
        status: u16,
        kind: Option<&[u8]>,
    ) -> Result<Self, Cut> {
        let form = form(expected, status, kind)?;
        Ok(Self {
            context: Arc::clone(context),
            expected: Arc::clone(expected),
            form,
            reader: AnswerReader::new(expected.shape),
            windows: BTreeMap::new(),
            spoken: Vec::new(),
            held: Vec::new(),
            text_bytes: 0,
            calls: 0,
        })
    }

    /// Whether nothing is passed on before all of it is there.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.form, Form::Whole(_))
    }

    /// Takes what came, and adds to `out` what may be passed on.
    pub(crate) async fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Cut> {
        match &mut self.form {
            Form::Pieces(frames) => {
                let frames = frames.push(bytes).map_err(unreadable)?;
                for frame in frames {
                    self.piece(frame.bytes, frame.data, out).await?;
                }
                Ok(())
            }
            Form::Whole(whole) => {
                if whole.len().saturating_add(bytes.len()) > ANSWER_BYTES_MAX {
                    return Err(Cut(format!("the model's answer has more than {ANSWER_BYTES_MAX} bytes")));
                }
                whole.extend_from_slice(bytes);
                Ok(())
            }
            Form::Text => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                self.held.extend_from_slice(bytes);
                self.said(Said { texts: vec![(0, text)], calls: Vec::new() }).await?;
                self.release(out);
                Ok(())
            }
            Form::Numbers => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// The answer has ended: the rest of it.
    pub(crate) async fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Cut> {
        match &mut self.form {
            Form::Pieces(frames) => {
                if let Some(frame) = frames.finish().map_err(unreadable)? {
                    self.piece(frame.bytes, frame.data, out).await?;
                }
            }
            Form::Whole(whole) => {
                let whole = std::mem::take(whole);
                let said = self.reader.read(&whole).map_err(unreadable)?;
                self.held = whole;
                self.said(said).await?;
            }
            Form::Text | Form::Numbers => {}
        }
        let said = self.reader.finish().map_err(unreadable)?;
        self.said(said).await?;
        out.append(&mut self.held);
        Ok(())
    }

    async fn piece(&mut self, bytes: Vec<u8>, data: Option<Vec<u8>>, out: &mut Vec<u8>) -> Result<(), Cut> {
        self.held.extend_from_slice(&bytes);
        if let Some(data) = data {
            let said = self.reader.read(&data).map_err(unreadable)?;
            self.said(said).await?;
        }
        if self.held.len() > ANSWER_BYTES_MAX {
            return Err(Cut(format!("a call of a tool in the model's answer has more than {ANSWER_BYTES_MAX} bytes")));
        }
        if !(self.expected.decides_calls && self.reader.has_open_calls()) {
            self.release(out);
        }
        Ok(())
    }

    /// Passes on what waits, unless a value may be in the middle of coming.
    fn release(&mut self, out: &mut Vec<u8>) {
        let spoken = self.spoken.iter().filter_map(|place| self.windows.get(place));
        let waits = spoken.map(|text| last_word(text)).any(|word| (WORD_BYTES_MIN..=WORD_BYTES_MAX).contains(&word));
        if self.held.len() > HELD_BYTES_MAX || !waits {
            out.append(&mut self.held);
        }
    }

    /// Puts what was said to the gate.
    async fn said(&mut self, said: Said) -> Result<(), Cut> {
        let mut touched = Vec::new();
        for (place, text) in said.texts {
            if text.is_empty() {
                continue;
            }
            self.text_bytes = self.text_bytes.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
            let place = place.min(PLACES_MAX);
            self.windows.entry(place).or_default().push_str(&text);
            touched.push(place);
        }
        touched.dedup();
        if !touched.is_empty() {
            self.spoken.clone_from(&touched);
        }
        for place in touched {
            let Some(window) = self.windows.get_mut(&place) else { continue };
            let deed = Deed::ContentReceive {
                origin: Origin::Model,
                source: format!("{}/{}", self.expected.server, self.expected.model),
                content: Content::from(window.as_str()),
            };
            if self.context.foresee(deed.clone(), self.expected.process.clone()) == Effect::Allow {
                let surplus = window.len().saturating_sub(WINDOW_BYTES);
                window.drain(..window.floor_char_boundary(surplus));
                continue;
            }
            // What a person lets pass is not asked about again.
            window.clear();
            self.decide(deed, "the model's answer was stopped").await?;
        }
        for call in said.calls {
            self.calls += 1;
            if self.expected.decides_calls {
                let why = format!("the model wants to call `{}`, which was stopped", call.name);
                let server = self.expected.server.to_owned();
                let deed = Deed::ToolCall { server, name: call.name, arguments: call.arguments };
                self.decide(deed, &why).await?;
            }
        }
        Ok(())
    }

    /// One decision, with its entry. It is brought to its end also when nobody waits for it any more.
    async fn decide(&self, deed: Deed, what: &str) -> Result<(), Cut> {
        let (waiting, nobody_waits) = oneshot::channel::<()>();
        let (context, process) = (Arc::clone(&self.context), self.expected.process.clone());
        let deciding = tokio::spawn(async move {
            let gone = async {
                // An error is what it waits for: the other end is gone.
                let _ = nobody_waits.await;
            };
            let armed = context.admit(deed, process, gone).await?;
            context.close(armed, Outcome::new(OutcomeStatus::Done)).await;
            Ok(())
        });
        let decided = deciding.await;
        drop(waiting);
        match decided {
            Ok(Ok(())) => Ok(()),
            Ok(Err(halt)) => Err(Cut(format!("{what}: {}", reason(&halt)))),
            Err(_) => Err(Cut(format!("{what}: it could not be decided"))),
        }
    }

    /// What it came to, for the question's entry.
    pub(crate) fn figures(&self) -> Figures {
        let usage = self.reader.usage();
        let estimate = self.text_bytes.div_ceil(super::request::TOKEN_BYTES as u64);
        Figures {
            input_tokens: usage.input,
            output_tokens: usage.output.unwrap_or(estimate),
            is_estimate: usage.output.is_none(),
            calls: self.calls,
        }
    }
}

/// What an answer came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: u64,
    pub(crate) is_estimate: bool,
    pub(crate) calls: u64,
}

/// Why the gate did not let it, in a sentence.
pub(crate) fn reason(halt: &Halt) -> String {
    match halt {
        Halt::Refused(refusal) => crate::reply::reason(refusal),
        Halt::Withdrawn => "the question to a person was withdrawn".to_owned(),
    }
}

fn unreadable(error: impl std::fmt::Display) -> Cut {
    Cut(format!("the model's answer was stopped: {error}"))
}

/// The answer must have the form that was asked for: programs read what they expect, whatever the type says.
fn form(expected: &Expected, status: u16, kind: Option<&[u8]>) -> Result<Form, Cut> {
    if !(200..300).contains(&status) {
        return Ok(Form::Text);
    }
    if expected.shape == Shape::Numbers {
        return Ok(Form::Numbers);
    }
    let kind = kind.unwrap_or_default().split(|byte| *byte == b';').next().unwrap_or_default();
    let kind = kind.trim_ascii().to_ascii_lowercase();
    match (kind.as_slice(), expected.stream, expected.shape.is_ollama()) {
        (b"text/event-stream", true, false) => Ok(Form::Pieces(Frames::new(Framing::Events))),
        (b"application/x-ndjson" | b"application/ndjson" | b"application/jsonl", true, true) => {
            Ok(Form::Pieces(Frames::new(Framing::Lines)))
        }
        (b"application/json", false, _) => Ok(Form::Whole(Vec::new())),
        (kind, ..) => Err(Cut(format!(
            "the model's answer was stopped: its type `{}` is not that of what was asked for",
            String::from_utf8_lossy(kind).chars().filter(|c| !c.is_control()).take(64).collect::<String>()
        ))),
    }
}

/// How many bytes the word has that the text ends with: letters that values are made of.
fn last_word(text: &str) -> usize {
    let of_value = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-+/=.:~%$@#&".contains(byte);
    text.bytes().rev().take_while(|byte| of_value(byte)).count()
}

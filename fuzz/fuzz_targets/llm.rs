//! Questions to models and their answers: however a stream is cut, the same is read, and the bytes stay as they came.
#![no_main]

use bartizan_model::LlmApi;
use bartizan_net::llm::answer::AnswerReader;
use bartizan_net::llm::frames::{Frames, Framing};
use bartizan_net::llm::request::{self, Shape};
use libfuzzer_sys::fuzz_target;

const PATHS: [&str; 6] =
    ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat", "/api/generate", "/v1/embeddings"];

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    let path = PATHS[usize::from(*which) % PATHS.len()];
    for api in LlmApi::ALL {
        let Some(shape) = Shape::of(api, "POST", path) else { continue };
        let _ = request::read(shape, rest);
        let framing = if shape.is_ollama() { Framing::Lines } else { Framing::Events };
        let (whole, pieces) = (read(shape, framing, rest, rest.len().max(1)), read(shape, framing, rest, 3));
        assert_eq!(whole, pieces, "what is read depends on how it was cut");
    }
});

/// What is told of a stream that comes in pieces of this size; `None` where it isn't read to its end.
fn read(shape: Shape, framing: Framing, stream: &[u8], step: usize) -> Option<Vec<String>> {
    let (mut frames, mut reader) = (Frames::new(framing), AnswerReader::new(shape));
    let (mut told, mut seen) = (Vec::new(), Vec::new());
    let mut all = Vec::new();
    for piece in stream.chunks(step) {
        all.extend(frames.push(piece).ok()?);
    }
    all.extend(frames.finish().ok()?);
    for frame in all {
        seen.extend_from_slice(&frame.bytes);
        if let Some(data) = frame.data {
            told.push(format!("{:?}", reader.read(&data).ok()?));
        }
    }
    told.push(format!("{:?}", reader.finish().ok()?));
    assert_eq!(seen, stream, "every byte is in exactly one piece");
    Some(told)
}

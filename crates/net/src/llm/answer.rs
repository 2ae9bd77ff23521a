//! What a model answers: texts, calls of tools and what it cost, told from an answer as a whole or event by event.
//!
//! Where an answer could be read in two ways by programs, each is read here: a server that says one thing in one field
//! and another in the next is believed in neither.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::{self, JsonError};
use super::request::Shape;

/// Calls of tools at once that are followed; models make a handful.
const CALLS_MAX: usize = 128;
/// Bytes of all arguments of calls that aren't complete.
const ARGUMENTS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Deeper is no answer; the reader of JSON stops there, too.
const DEPTH_MAX: usize = 128;

/// A call of a tool that the model wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The tool.
    pub name: String,
    /// Its arguments; a string where they are no JSON.
    pub arguments: Value,
}

/// What one event says, or a whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// Pieces of text, each with the place it belongs to.
    pub texts: Vec<(u64, String)>,
    /// Calls that are complete now.
    pub calls: Vec<Call>,
}

/// Tokens as the server has counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sent.
    pub input: Option<u64>,
    /// Answered.
    pub output: Option<u64>,
}

/// Why an answer is not passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It can't be read.
    #[error("the model's answer can't be read: {0}")]
    Json(#[from] JsonError),
    /// A call of a tool has arguments with two readings.
    #[error("the arguments of a tool in the model's answer can't be read: {0}")]
    Arguments(JsonError),
    /// More than is followed.
    #[error("the model's answer has more calls of tools, or longer ones, than are followed")]
    TooMany,
}

/// Follows one answer.
#[derive(Debug)]
pub struct AnswerReader {
    shape: Shape,
    usage: Usage,
    /// Calls whose end hasn't come, by where they stand.
    open: BTreeMap<(u64, u64), Piece>,
    /// Complete calls, so that one told twice is decided once.
    told: Vec<Call>,
    held_bytes: usize,
}

#[derive(Debug, Default)]
struct Piece {
    name: String,
    arguments: String,
    /// Arguments that came whole.
    whole: Option<Value>,
}

impl AnswerReader {
    /// Nothing was read yet.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        Self { shape, usage: Usage::default(), open: BTreeMap::new(), told: Vec::new(), held_bytes: 0 }
    }

    /// Whether a call has begun whose end hasn't come.
    #[must_use]
    pub fn has_open_calls(&self) -> bool {
        !self.open.is_empty()
    }

    /// What the server has counted so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Reads one event's data, one line, or a whole answer. Never panics, whatever the bytes are.
    ///
    /// # Errors
    /// It has no one reading.
    pub fn read(&mut self, data: &[u8]) -> Result<Said, AnswerError> {
        let mut said = Said::default();
        if data.trim_ascii() == b"[DONE]" {
            self.complete_all(&mut said)?;
            return Ok(said);
        }
        let value = json::parse(data)?;
        self.count(&value);
        texts(&value, 0, DEPTH_MAX, &mut said.texts);
        match self.shape {
            Shape::Chat | Shape::Completions => self.chat(&value, &mut said)?,
            Shape::Responses => self.responses(&value, &mut said)?,
            Shape::Messages => self.messages(&value, &mut said)?,
            Shape::OllamaChat | Shape::OllamaGenerate => {
                for call in list(value.pointer("/message/tool_calls")) {
                    let call = Piece::of(call.get("function").unwrap_or(call));
                    self.tell(call, &mut said)?;
                }
            }
            Shape::Numbers => {}
        }
        Ok(said)
    }

    /// The answer has ended; what was open is complete.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn finish(&mut self) -> Result<Said, AnswerError> {
        let mut said = Said::default();
        self.complete_all(&mut said)?;
        Ok(said)
    }

    fn chat(&mut self, value: &Value, said: &mut Said) -> Result<(), AnswerError> {
        for (at, choice) in list(value.get("choices")).enumerate() {
            let place = index(choice, at);
            for message in [choice.get("delta"), choice.get("message")].into_iter().flatten() {
                for (at, call) in list(message.get("tool_calls")).enumerate() {
                    let piece = call.get("function").or_else(|| call.get("custom")).unwrap_or(call);
                    self.add((place, index(call, at)), piece)?;
                }
                if let Some(call) = message.get("function_call").filter(|call| !call.is_null()) {
                    self.add((place, u64::MAX), call)?;
                }
            }
            let whole = choice.get("message").is_some_and(|message| !message.is_null());
            if whole || choice.get("finish_reason").is_some_and(|reason| !reason.is_null()) {
                self.complete(|(choice, _)| choice == place, said)?;
            }
        }
        Ok(())
    }

    fn responses(&mut self, value: &Value, said: &mut Said) -> Result<(), AnswerError> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        let place = (value.get("output_index").and_then(Value::as_u64).unwrap_or(0), 0);
        if let Some(item) = value.get("item").filter(|item| is_call(item)) {
            if kind.ends_with(".done") {
                // The item as a whole; what its pieces made is told too where it differs.
                self.complete(|at| at == place, said)?;
                self.tell(Piece::of(item), said)?;
            } else {
                self.add(place, item)?;
            }
        }
        if kind.contains("_call") || kind.contains("arguments") {
            if let Some(delta) = value.get("delta").and_then(Value::as_str) {
                self.extend(place, delta)?;
            }
            let whole = ["arguments", "input", "code"].into_iter().find_map(|name| value.get(name));
            if let Some(whole) = whole.filter(|_| kind.ends_with(".done")) {
                let name = self.open.get(&place).map(|piece| piece.name.clone()).unwrap_or_default();
                self.tell(Piece { name, arguments: String::new(), whole: Some(whole.clone()) }, said)?;
            }
        }
        let response = value.get("response").unwrap_or(value);
        for item in list(response.get("output")).filter(|item| is_call(item)) {
            self.tell(Piece::of(item), said)?;
        }
        if matches!(kind, "response.completed" | "response.incomplete" | "response.failed") {
            self.complete_all(said)?;
        }
        Ok(())
    }

    fn messages(&mut self, value: &Value, said: &mut Said) -> Result<(), AnswerError> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        let place = (index(value, 0), 0);
        if let Some(block) = value.get("content_block").filter(|block| is_tool_use(block)) {
            self.add(place, block)?;
        }
        if let Some(delta) = value.pointer("/delta/partial_json").and_then(Value::as_str) {
            self.extend(place, delta)?;
        }
        if kind == "content_block_stop" {
            self.complete(|at| at == place, said)?;
        }
        let message = value.get("message").unwrap_or(value);
        for block in list(message.get("content")).filter(|block| is_tool_use(block)) {
            self.tell(Piece::of(block), said)?;
        }
        if kind == "message_stop" {
            self.complete_all(said)?;
        }
        Ok(())
    }

    fn add(&mut self, place: (u64, u64), piece: &Value) -> Result<(), AnswerError> {
        let piece = Piece::of(piece);
        let grown = piece.name.len() + piece.arguments.len() + piece.whole.as_ref().map_or(0, |_| 1);
        if self.open.len() >= CALLS_MAX && !self.open.contains_key(&place) {
            return Err(AnswerError::TooMany);
        }
        self.grow(grown)?;
        let known = self.open.entry(place).or_default();
        known.name.push_str(&piece.name);
        known.arguments.push_str(&piece.arguments);
        known.whole = piece.whole.or(known.whole.take());
        Ok(())
    }

    fn extend(&mut self, place: (u64, u64), delta: &str) -> Result<(), AnswerError> {
        if self.open.len() >= CALLS_MAX && !self.open.contains_key(&place) {
            return Err(AnswerError::TooMany);
        }
        self.grow(delta.len())?;
        self.open.entry(place).or_default().arguments.push_str(delta);
        Ok(())
    }

    fn grow(&mut self, bytes: usize) -> Result<(), AnswerError> {
        self.held_bytes = self.held_bytes.saturating_add(bytes);
        if self.held_bytes > ARGUMENTS_BYTES_MAX { Err(AnswerError::TooMany) } else { Ok(()) }
    }

    fn complete_all(&mut self, said: &mut Said) -> Result<(), AnswerError> {
        self.complete(|_| true, said)
    }

    fn complete(&mut self, which: impl Fn((u64, u64)) -> bool, said: &mut Said) -> Result<(), AnswerError> {
        let places: Vec<_> = self.open.keys().copied().filter(|place| which(*place)).collect();
        for place in places {
            if let Some(piece) = self.open.remove(&place) {
                self.tell(piece, said)?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, piece: Piece, said: &mut Said) -> Result<(), AnswerError> {
        let call = piece.call()?;
        if self.told.contains(&call) {
            return Ok(());
        }
        if self.told.len() >= CALLS_MAX {
            return Err(AnswerError::TooMany);
        }
        self.told.push(call.clone());
        said.calls.push(call);
        Ok(())
    }

    /// The largest counts there are: servers count up as they go.
    fn count(&mut self, value: &Value) {
        let places = [Some(value), value.get("message"), value.get("response")];
        for usage in places.into_iter().flatten().filter_map(|place| place.get("usage")) {
            let of =
                |names: &[&str]| names.iter().filter_map(|name| usage.get(name)?.as_u64()).reduce(u64::saturating_add);
            let cached = of(&["cache_creation_input_tokens", "cache_read_input_tokens"]).unwrap_or(0);
            let input = of(&["prompt_tokens"]).or_else(|| of(&["input_tokens"]));
            self.usage.input = self.usage.input.max(input.map(|input| input.saturating_add(cached)));
            self.usage.output = self.usage.output.max(of(&["completion_tokens"]).or_else(|| of(&["output_tokens"])));
        }
        if self.shape.is_ollama() {
            let of = |name: &str| value.get(name).and_then(Value::as_u64);
            self.usage.input = self.usage.input.max(of("prompt_eval_count"));
            self.usage.output = self.usage.output.max(of("eval_count"));
        }
    }
}

impl Piece {
    /// A call, or a piece of one, as any of the protocols writes it.
    fn of(value: &Value) -> Self {
        let name = value.get("name").and_then(Value::as_str);
        let kind = value.get("type").and_then(Value::as_str).filter(|kind| kind.ends_with("_call"));
        let name = name.or(kind).unwrap_or_default().to_owned();
        let whole = ["arguments", "input", "action"].into_iter().find_map(|name| value.get(name));
        match whole {
            Some(Value::String(text)) => Self { name, arguments: text.clone(), whole: None },
            Some(Value::Null) | None => Self { name, arguments: String::new(), whole: None },
            // An empty object stands where pieces will follow.
            Some(Value::Object(members)) if members.is_empty() => Self { name, ..Self::default() },
            Some(whole) => Self { name, arguments: String::new(), whole: Some(whole.clone()) },
        }
    }

    fn call(self) -> Result<Call, AnswerError> {
        let text = match self.whole {
            Some(Value::String(text)) => text,
            Some(whole) => return Ok(Call { name: self.name, arguments: whole }),
            None => self.arguments,
        };
        let arguments = match json::parse(text.as_bytes()) {
            Ok(arguments) => arguments,
            Err(_) if text.trim().is_empty() => Value::Object(serde_json::Map::new()),
            // A tool with arguments of its own form: a patch, a program. What looks like JSON and isn't read is refused.
            Err(error) if text.trim_start().starts_with('{') => return Err(AnswerError::Arguments(error)),
            Err(_) => Value::String(text),
        };
        Ok(Call { name: self.name, arguments })
    }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn index(value: &Value, otherwise: usize) -> u64 {
    let otherwise = u64::try_from(otherwise).unwrap_or(u64::MAX);
    value.get("index").and_then(Value::as_u64).unwrap_or(otherwise)
}

fn is_call(item: &Value) -> bool {
    item.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("_call"))
}

fn is_tool_use(block: &Value) -> bool {
    block.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("tool_use"))
}

/// Every text a reader or the agent may take up, with the place of the nearest index around it. Names of fields are
/// looked for anywhere, so that a new event of a known kind is looked through, too.
fn texts(value: &Value, place: u64, depth: usize, out: &mut Vec<(u64, String)>) {
    const NAMES: [&str; 14] = [
        "text",
        "delta",
        "content",
        "refusal",
        "thinking",
        "reasoning",
        "reasoning_content",
        "reasoning_text",
        "response",
        "arguments",
        "partial_json",
        "input",
        "summary",
        "transcript",
    ];
    match value {
        Value::Array(items) if depth > 0 => items.iter().for_each(|item| texts(item, place, depth - 1, out)),
        Value::Object(members) if depth > 0 => {
            let own = ["index", "output_index"].into_iter().find_map(|name| members.get(name)?.as_u64());
            let place = own.unwrap_or(place);
            for (name, member) in members {
                match member {
                    Value::String(text) if NAMES.contains(&name.as_str()) => out.push((place, text.clone())),
                    member => texts(member, place, depth - 1, out),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads these events and says what came of it.
    fn check(shape: Shape, events: &[&str], expected: &str) {
        let mut reader = AnswerReader::new(shape);
        let mut out = Vec::new();
        let tell = |said: Said, out: &mut Vec<String>| {
            let texts: String = said.texts.into_iter().map(|(_, text)| text).collect();
            if !texts.is_empty() {
                out.push(texts);
            }
            out.extend(said.calls.into_iter().map(|call| format!("{}({})", call.name, call.arguments)));
        };
        for event in events {
            match reader.read(event.as_bytes()) {
                Ok(said) => tell(said, &mut out),
                Err(error) => out.push(error.to_string()),
            }
            out.push(if reader.has_open_calls() { "…".to_owned() } else { "|".to_owned() });
        }
        tell(reader.finish().unwrap(), &mut out);
        let usage = reader.usage();
        let found = format!("{} {:?} {:?}", out.join(" "), usage.input, usage.output);
        assert_eq!(found, expected, "{events:?}");
    }

    #[test]
    fn chat_completions() {
        check(
            Shape::Chat,
            &[
                r#"{"choices":[{"index":0,"message":{"content":"hi","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#,
            ],
            r#"hi{"a":1} f({"a":1}) | Some(3) Some(5)"#,
        );
        check(
            Shape::Chat,
            &[
                r#"{"choices":[{"index":0,"delta":{"content":"he"}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"llo"}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":""}}]}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"2}"}}]}}]}"#,
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
                "[DONE]",
            ],
            r#"he | llo | … {"a": … 2} … f({"a":2}) | | None None"#,
        );
        // Without an end it is told at the end.
        check(
            Shape::Chat,
            &[r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#],
            "{} … f({}) None None",
        );
    }

    #[test]
    fn responses() {
        check(
            Shape::Responses,
            &[
                r#"{"type":"response.output_text.delta","output_index":0,"delta":"hi"}"#,
                r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","name":"f","arguments":""}}"#,
                r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"a\":1}"}"#,
                r#"{"type":"response.function_call_arguments.done","output_index":1,"arguments":"{\"a\":1}"}"#,
                r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","name":"f","arguments":"{\"a\":1}"}}"#,
                r#"{"type":"response.completed","response":{"output":[{"type":"function_call","name":"f","arguments":"{\"a\":1}"}],"usage":{"input_tokens":1,"output_tokens":2}}}"#,
            ],
            r#"hi | … {"a":1} … {"a":1} f({"a":1}) … {"a":1} | {"a":1} | Some(1) Some(2)"#,
        );
        check(
            Shape::Responses,
            &[
                r#"{"output":[{"type":"message","content":[{"type":"output_text","text":"x"}]},{"type":"function_call","name":"g","arguments":"{}"}]}"#,
            ],
            "x{} g({}) | None None",
        );
    }

    #[test]
    fn messages() {
        check(
            Shape::Messages,
            &[
                r#"{"type":"message_start","message":{"content":[],"usage":{"input_tokens":9,"output_tokens":1}}}"#,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
                r#"{"type":"content_block_stop","index":1}"#,
                r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":7}}"#,
                r#"{"type":"message_stop"}"#,
            ],
            r#"| | hi | … {"a": … 1} … f({"a":1}) | | | Some(9) Some(7)"#,
        );
        check(
            Shape::Messages,
            &[r#"{"content":[{"type":"text","text":"x"},{"type":"tool_use","name":"g","input":{"b":2}}]}"#],
            r#"x g({"b":2}) | None None"#,
        );
    }

    #[test]
    fn ollama() {
        check(
            Shape::OllamaChat,
            &[
                r#"{"message":{"content":"he"},"done":false}"#,
                r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":true,"prompt_eval_count":4,"eval_count":6}"#,
            ],
            r#"he | f({"a":1}) | Some(4) Some(6)"#,
        );
        check(Shape::OllamaGenerate, &[r#"{"response":"x","done":true}"#], "x | None None");
    }

    #[test]
    fn what_has_two_readings_is_not_read() {
        let mut reader = AnswerReader::new(Shape::Chat);
        assert!(reader.read(br#"{"choices":[],"choices":[]}"#).is_err());
        let twice =
            br#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1,\"a\":2}"}}]}}]}"#;
        assert!(matches!(reader.read(twice), Err(AnswerError::Arguments(_))));
        let mut reader = AnswerReader::new(Shape::Messages);
        let start = r#"{"type":"content_block_start","index":N,"content_block":{"type":"tool_use","name":"f"}}"#;
        let mut read = |n: usize| reader.read(start.replace('N', &n.to_string()).as_bytes());
        assert!((0..CALLS_MAX).all(|n| read(n).is_ok()) && read(CALLS_MAX) == Err(AnswerError::TooMany));
    }
}

//! What is asked of a model: which request is a question, and what stands in it. Only what is decided on is read; the
//! body goes on byte for byte.

use bartizan_model::LlmApi;
use serde_json::Value;

use super::json::{self, JsonError};

/// Bytes of a token, as budgets count where nobody has counted.
pub const TOKEN_BYTES: usize = 3;
/// What a picture or a file counts for until the server has counted: what providers tell for a large picture.
const MEDIA_TOKENS: u64 = 1600;
/// Deeper is no question; the reader of JSON stops there, too.
const DEPTH_MAX: usize = 128;

/// The form of a question and of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// OpenAI: `…/chat/completions`.
    Chat,
    /// OpenAI: `…/responses`.
    Responses,
    /// OpenAI: `…/completions`.
    Completions,
    /// Anthropic: `…/messages`.
    Messages,
    /// Ollama: `/api/chat`.
    OllamaChat,
    /// Ollama: `/api/generate`.
    OllamaGenerate,
    /// Text goes to a model, and numbers come back: embeddings, moderation, counts of tokens.
    Numbers,
}

impl Shape {
    /// The form of a request by its method and canonical path; `None` for what asks no model.
    #[must_use]
    pub fn of(api: LlmApi, method: &str, path: &str) -> Option<Self> {
        if method != "POST" {
            return None;
        }
        let path = path.trim_end_matches('/').to_ascii_lowercase();
        let ends = |end: &str| path.ends_with(end);
        let openai = || match () {
            () if ends("/chat/completions") => Some(Self::Chat),
            () if ends("/responses") => Some(Self::Responses),
            () if ends("/completions") => Some(Self::Completions),
            () if ends("/embeddings") || ends("/moderations") || ends("/responses/input_tokens") => Some(Self::Numbers),
            () => None,
        };
        match api {
            LlmApi::Anthropic if ends("/messages") => Some(Self::Messages),
            LlmApi::Anthropic if ends("/messages/count_tokens") => Some(Self::Numbers),
            // Servers that speak Anthropic's protocol often speak OpenAI's beside it, as Anthropic's own does.
            LlmApi::Anthropic => openai(),
            LlmApi::Ollama if ends("/api/chat") => Some(Self::OllamaChat),
            LlmApi::Ollama if ends("/api/generate") => Some(Self::OllamaGenerate),
            LlmApi::Ollama if ends("/api/embed") || ends("/api/embeddings") => Some(Self::Numbers),
            LlmApi::Ollama if ends("/v1/messages") => Some(Self::Messages),
            _ => openai(),
        }
    }

    /// Whether it is one of Ollama's own, which stream as lines.
    #[must_use]
    pub fn is_ollama(self) -> bool {
        matches!(self, Self::OllamaChat | Self::OllamaGenerate)
    }
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// Its form.
    pub shape: Shape,
    /// The model.
    pub model: String,
    /// Whether the answer is to come as it is made.
    pub stream: bool,
    /// Tokens sent, estimated from the length of all texts.
    pub input_tokens: u64,
    /// The most tokens answered, where the question says so.
    pub output_tokens_max: Option<u64>,
    /// The tools the model may call.
    pub tools: Vec<String>,
}

/// Why a request is no question that could be decided on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The body.
    #[error("the question to the model can't be read: {0}")]
    Json(#[from] JsonError),
    /// A field that decides is missing or of another type.
    #[error("the question to the model can't be read: `{0}` is missing or of a wrong type")]
    Field(&'static str),
    /// Text that nobody can look through.
    #[error("the question holds `{0}` as numbers of tokens, which can't be looked through; send it as text")]
    Tokens(&'static str),
}

/// Reads a question. Never panics, whatever the bytes are.
///
/// # Errors
/// It has no one reading, or names no model.
pub fn read(shape: Shape, body: &[u8]) -> Result<Asked, RequestError> {
    let body = json::parse(body)?;
    let Value::Object(fields) = &body else { return Err(RequestError::Field("{…}")) };
    let model = match fields.get("model") {
        Some(Value::String(model)) if !model.is_empty() => model.clone(),
        _ => return Err(RequestError::Field("model")),
    };
    let stream = match fields.get("stream") {
        None | Some(Value::Null) => shape.is_ollama(),
        Some(Value::Bool(stream)) => *stream,
        Some(_) => return Err(RequestError::Field("stream")),
    };
    for name in ["prompt", "input"] {
        let of_tokens = |item: &Value| {
            item.is_number() || matches!(item, Value::Array(inner) if inner.iter().any(Value::is_number))
        };
        if fields.get(name).and_then(Value::as_array).is_some_and(|items| items.iter().any(of_tokens)) {
            return Err(RequestError::Tokens(name));
        }
    }
    let bound = |name: &str| fields.get(name).and_then(Value::as_u64);
    let most = match shape {
        Shape::Chat | Shape::Completions => bound("max_completion_tokens").max(bound("max_tokens")),
        Shape::Responses => bound("max_output_tokens"),
        Shape::Messages => bound("max_tokens"),
        Shape::OllamaChat | Shape::OllamaGenerate => {
            fields.get("options").and_then(|options| options.get("num_predict")).and_then(Value::as_u64)
        }
        Shape::Numbers => Some(0),
    };
    let choices = bound("n").max(bound("best_of")).unwrap_or(1).max(1);
    let (mut bytes, mut media) = (0_usize, 0_u64);
    measure(&body, DEPTH_MAX, &mut bytes, &mut media);
    let input = u64::try_from(bytes.div_ceil(TOKEN_BYTES)).unwrap_or(u64::MAX);
    Ok(Asked {
        shape,
        model,
        stream,
        input_tokens: input.saturating_add(media.saturating_mul(MEDIA_TOKENS)),
        output_tokens_max: most.map(|most| most.saturating_mul(choices)),
        tools: tools(fields.get("tools")),
    })
}

/// All texts of a question, and how many pictures and files there are beside them.
fn measure(value: &Value, depth: usize, bytes: &mut usize, media: &mut u64) {
    match value {
        Value::String(text) if text.starts_with("data:") => *media += 1,
        Value::String(text) => *bytes = bytes.saturating_add(text.len()),
        Value::Array(items) if depth > 0 => items.iter().for_each(|item| measure(item, depth - 1, bytes, media)),
        Value::Object(members) if depth > 0 => {
            for (name, member) in members {
                match member {
                    Value::String(_) if matches!(name.as_str(), "data" | "file_data") => *media += 1,
                    Value::Array(images) if name == "images" => *media += images.len() as u64,
                    member => {
                        *bytes = bytes.saturating_add(name.len());
                        measure(member, depth - 1, bytes, media);
                    }
                }
            }
        }
        _ => {}
    }
}

fn tools(tools: Option<&Value>) -> Vec<String> {
    let name = |tool: &Value| {
        let inner = tool.get("function").or_else(|| tool.get("custom"));
        let name = inner.and_then(|inner| inner.get("name")).or_else(|| tool.get("name")).or_else(|| tool.get("type"));
        name.and_then(Value::as_str).map(str::to_owned)
    };
    tools.and_then(Value::as_array).into_iter().flatten().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_told_by_its_path() {
        let shape = |api, path: &str| Shape::of(api, "POST", path);
        assert_eq!(shape(LlmApi::Openai, "/v1/chat/completions"), Some(Shape::Chat));
        assert_eq!(shape(LlmApi::Openai, "/V1/Chat/Completions/"), Some(Shape::Chat));
        assert_eq!(shape(LlmApi::Openai, "/v1/responses"), Some(Shape::Responses));
        assert_eq!(shape(LlmApi::Openai, "/v1/completions"), Some(Shape::Completions));
        assert_eq!(shape(LlmApi::Openai, "/v1/embeddings"), Some(Shape::Numbers));
        assert_eq!(shape(LlmApi::Openai, "/v1/files"), None);
        assert_eq!(Shape::of(LlmApi::Openai, "GET", "/v1/responses"), None);
        assert_eq!(shape(LlmApi::Anthropic, "/v1/messages"), Some(Shape::Messages));
        assert_eq!(shape(LlmApi::Anthropic, "/v1/messages/count_tokens"), Some(Shape::Numbers));
        assert_eq!(shape(LlmApi::Ollama, "/api/chat"), Some(Shape::OllamaChat));
        assert_eq!(shape(LlmApi::Ollama, "/api/generate"), Some(Shape::OllamaGenerate));
        assert_eq!(shape(LlmApi::Ollama, "/v1/chat/completions"), Some(Shape::Chat));
    }

    fn check(shape: Shape, body: &str, expected: &str) {
        let found = match read(shape, body.as_bytes()) {
            Ok(asked) => format!(
                "{} stream {} in {} out {:?} tools {}",
                asked.model,
                asked.stream,
                asked.input_tokens,
                asked.output_tokens_max,
                asked.tools.join(",")
            ),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn what_is_decided_on_is_read() {
        check(
            Shape::Chat,
            r#"{"model":"m","messages":[{"role":"user","content":"hello"}],"max_tokens":7,"n":2,"stream":true,"tools":[{"type":"function","function":{"name":"f"}}],"x":1}"#,
            "m stream true in 28 out Some(14) tools f",
        );
        check(
            Shape::Messages,
            r#"{"model":"c","max_tokens":9,"messages":[],"tools":[{"name":"t"},{"type":"bash_20250124","name":"bash"}]}"#,
            "c stream false in 20 out Some(9) tools t,bash",
        );
        check(
            Shape::OllamaChat,
            r#"{"model":"l","options":{"num_predict":5}}"#,
            "l stream true in 8 out Some(5) tools ",
        );
        check(
            Shape::OllamaChat,
            r#"{"model":"l","images":["AAAA"],"stream":false}"#,
            "l stream false in 1604 out None tools ",
        );
        check(
            Shape::Responses,
            r#"{"model":"m","input":"x","max_output_tokens":3}"#,
            "m stream false in 10 out Some(3) tools ",
        );
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for body in [
            r#"{"model":"a","model":"b"}"#,
            r#"{"messages":[]}"#,
            r#"{"model":5}"#,
            r#"{"model":"a","stream":"yes"}"#,
            r#"{"model":"a","prompt":[1,2]}"#,
            r#"{"model":"a","input":["x",[1]]}"#,
            "[]",
            "",
        ] {
            assert!(read(Shape::Chat, body.as_bytes()).is_err(), "{body}");
        }
    }
}

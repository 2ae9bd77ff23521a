//! How a program is told of a refusal: in the form in which its own server tells of errors, so that every SDK shows it.

use serde_json::{Value, json};

use super::request::Shape;

/// An error as the answer to a question.
pub(crate) fn answer(shape: Shape, message: &str) -> String {
    format!("{}\n", error(shape, message))
}

/// An error as the last piece of an answer that had begun.
pub(crate) fn last_piece(shape: Shape, message: &str) -> Vec<u8> {
    match shape {
        Shape::OllamaChat | Shape::OllamaGenerate => answer(shape, message).into_bytes(),
        Shape::Messages => format!("event: error\ndata: {}\n\n", error(shape, message)).into_bytes(),
        Shape::Responses => {
            let mut event = error(shape, message);
            if let Value::Object(members) = &mut event {
                members.insert("type".to_owned(), "error".into());
                members.insert("message".to_owned(), message.into());
                members.insert("code".to_owned(), CODE.into());
            }
            format!("event: error\ndata: {event}\n\n").into_bytes()
        }
        _ => format!("data: {}\n\n", error(shape, message)).into_bytes(),
    }
}

/// What errors of ours are called, for programs that look.
const CODE: &str = "bartizan_denied";

fn error(shape: Shape, message: &str) -> Value {
    match shape {
        Shape::OllamaChat | Shape::OllamaGenerate => json!({ "error": message }),
        Shape::Messages => json!({ "type": "error", "error": { "type": "permission_error", "message": message } }),
        _ => json!({ "error": { "message": message, "type": "permission_error", "param": null, "code": CODE } }),
    }
}

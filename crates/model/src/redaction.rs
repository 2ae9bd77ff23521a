//! Deeds with something taken out of them.

use serde_json::Value;

use crate::action::Deed;
use crate::content::Content;
use crate::sighting::Part;

/// Why something can't be taken out of a deed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedactError {
    /// The part says what is done, so without it something else would be done.
    #[error("it stands in the {}, and without it something else would be done; send it without", .0.as_str())]
    Fixed(Part),
    /// It is more than a text among the arguments.
    #[error("the arguments would have another form without it; send them without")]
    Arguments,
}

impl Deed {
    /// The same deed with this part as given.
    ///
    /// Bodies and other contents, queries and the texts among a tool's arguments can be replaced. Paths, URLs, labels
    /// and patches can't: they say what is done.
    ///
    /// # Errors
    /// The part can't be replaced, or not by this.
    pub fn with_part(mut self, part: Part, bytes: Vec<u8>) -> Result<Self, RedactError> {
        match (part, &mut self) {
            (Part::Query, Self::HttpRequest { query: Some(query), .. }) => {
                // Brackets are no letters of a query, and labels have some.
                let text = String::from_utf8(bytes).map_err(|_| RedactError::Fixed(part))?;
                *query = text.replace('[', "%5B").replace(']', "%5D");
            }
            (Part::Arguments, Self::ToolCall { arguments, .. }) => {
                let clean: Value = serde_json::from_slice(&bytes).map_err(|_| RedactError::Arguments)?;
                if !same_form(arguments, &clean) {
                    return Err(RedactError::Arguments);
                }
                *arguments = clean;
            }
            (Part::Content | Part::Body, deed) => {
                let content = deed.content_mut().ok_or(RedactError::Fixed(part))?;
                *content = match String::from_utf8(bytes) {
                    Ok(text) => Content::Text(text),
                    Err(error) => Content::Bytes(error.into_bytes()),
                };
            }
            _ => return Err(RedactError::Fixed(part)),
        }
        Ok(self)
    }
}

/// Whether only texts differ. Not deeper than JSON is read.
fn same_form(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::String(_), Value::String(_)) => true,
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(|(before, after)| same_form(before, after))
        }
        (Value::Object(before), Value::Object(after)) => {
            before.len() == after.len()
                && before.iter().all(|(key, before)| after.get(key).is_some_and(|after| same_form(before, after)))
        }
        (before, after) => before == after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(deed: &str, part: Part, bytes: &str) -> Result<String, RedactError> {
        let deed: Deed = serde_json::from_str(deed).unwrap();
        deed.with_part(part, bytes.into()).map(|deed| serde_json::to_string(&deed).unwrap())
    }

    #[test]
    fn contents_queries_and_texts_of_arguments_can_be_replaced() {
        let send = r#"{"kind":"message.send","channel":"c","recipient":"r","content":{"base64":"eA=="}}"#;
        assert!(with(send, Part::Content, "clean").unwrap().contains(r#""content":"clean""#));
        let post = r#"{"kind":"http.request","method":"POST","scheme":"http","host":"a","port":80,"path":"/p","query":"k=v","body":"x"}"#;
        assert!(with(post, Part::Body, "clean").unwrap().contains(r#""body":"clean""#));
        assert!(with(post, Part::Query, "k=[redacted:x]").unwrap().contains("k=%5Bredacted:x%5D"));
        let call = r#"{"kind":"tool.call","server":"s","name":"t","arguments":{"a":"x","n":[1,"y"]}}"#;
        assert!(with(call, Part::Arguments, r#"{"a":"clean","n":[1,"y"]}"#).unwrap().contains("clean"));
    }

    #[test]
    fn what_says_what_is_done_cannot() {
        let post = r#"{"kind":"http.request","method":"POST","scheme":"http","host":"a","port":80,"path":"/p"}"#;
        for part in [Part::Path, Part::Query, Part::Body, Part::Url, Part::Arguments] {
            assert_eq!(with(post, part, "/clean"), Err(RedactError::Fixed(part)));
        }
        let patch = r#"{"kind":"file.patch","path":"/x","patch":"+x"}"#;
        assert_eq!(with(patch, Part::Patch, "+clean"), Err(RedactError::Fixed(Part::Patch)));
        let call = r#"{"kind":"tool.call","server":"s","name":"t","arguments":{"a":"x","n":[1,"y"]}}"#;
        for other in
            [r#"{"a":"x"}"#, r#"{"b":"x","n":[1,"y"]}"#, r#"{"a":"x","n":[2,"y"]}"#, r#"{"a":[redacted],"n":[1,"y"]}"#]
        {
            assert_eq!(with(call, Part::Arguments, other), Err(RedactError::Arguments), "{other}");
        }
    }
}

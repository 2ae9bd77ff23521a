//! The key `pins` of a net rule: which keys a server must show.

use jiff::Timestamp;
use schemars::{Schema, json_schema};
use serde::Serialize;

/// Keys of which a server's certificate must have one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pins {
    /// SHA-256 of the certificate's SubjectPublicKeyInfo, in base64; two at least, so that one can be changed.
    pub sha256: Vec<String>,
    /// From when on they let nothing through any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Pins {
    pub(crate) fn schema() -> Schema {
        json_schema!({
            "type": "object",
            "description": "Keys of which the server's certificate must have one.",
            "additionalProperties": false,
            "required": ["sha256"],
            "properties": {
                "sha256": {
                    "type": "array",
                    "minItems": 2,
                    "items": { "type": "string", "examples": ["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="] }
                },
                "until": { "type": "string", "description": "A date, or a moment.", "examples": ["2027-06-30"] }
            }
        })
    }
}

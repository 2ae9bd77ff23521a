//! The in-toto statement a bundle travels as: <https://in-toto.io/Statement/v1>. Its subjects are the bundle's files,
//! its predicate holds them. Written in canonical JSON (RFC 8785).

use std::collections::BTreeMap;

use bartizan_model::{Digest, canonical};
use serde::{Deserialize, Serialize};

use super::{BYTES_MAX, BundleError, Manifest};

/// DSSE payload type of a bundle.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// in-toto predicate type of a bundle.
pub const PREDICATE_TYPE: &str = "https://bartizan.dev/attestation/policy-bundle/v1";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    name: String,
    digest: Sha256,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sha256 {
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Predicate {
    name: String,
    version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    files: BTreeMap<String, String>,
}

pub(super) fn write(
    manifest: &Manifest,
    files: &BTreeMap<String, String>,
    commit: Option<&str>,
) -> Result<Vec<u8>, BundleError> {
    let subject = |(path, text): (&String, &String)| Subject {
        name: path.clone(),
        digest: Sha256 { sha256: Digest::of_bytes(text.as_bytes()).hex() },
    };
    let statement = Statement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: files.iter().map(subject).collect(),
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            name: manifest.name.clone(),
            version: manifest.version.to_string(),
            commit: commit.map(str::to_owned),
            files: files.clone(),
        },
    };
    canonical::bytes(&statement).map_err(|error| BundleError::Statement(error.to_string()))
}

/// The files and the commit a statement holds. Name, version and digests need no check of their own: the bundle
/// is made anew from the files and must give the same bytes.
pub(super) fn read(bytes: &[u8]) -> Result<(BTreeMap<String, String>, Option<String>), BundleError> {
    /// Escaped in JSON a text is at most six times as long.
    const STATEMENT_BYTES_MAX: usize = 6 * BYTES_MAX;
    if bytes.len() > STATEMENT_BYTES_MAX {
        return Err(BundleError::TooLarge);
    }
    let statement: Statement =
        serde_json::from_slice(bytes).map_err(|error| BundleError::Statement(error.to_string()))?;
    if statement.kind != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
        return Err(BundleError::Statement("it is about something else".to_owned()));
    }
    Ok((statement.predicate.files, statement.predicate.commit))
}

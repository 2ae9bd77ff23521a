//! Reading what others wrote: bounded in size, depth and number of nodes, unknown keys refused.

use serde::de::DeserializeOwned;

/// Largest policy, manifest or settings file that is read.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Longest line of an event file or audit log.
pub const EVENT_LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Why a file can't be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Too large.
    #[error("it has {bytes} bytes; at most {FILE_BYTES_MAX} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// Not what it should be: syntax, unknown keys, wrong types.
    #[error("{0}")]
    Shape(String),
}

/// The text of a file.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, ReadError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(ReadError::TooLarge { bytes: bytes.len() });
    }
    std::str::from_utf8(bytes).map_err(|_| ReadError::NotText)
}

/// A YAML document as these types. Aliases are refused: in a policy a person should see what is meant.
pub(crate) fn yaml<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    let text = text(bytes)?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_depth: 32,
            max_nodes: 100_000,
            max_events: 250_000,
            max_documents: 1,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        // The message quotes the lines around; the first line says what and where.
        ReadError::Shape(error.to_string().lines().next().unwrap_or("it is no valid YAML").chars().take(400).collect())
    })
}

//! What a scanner saw in an action's content.

use std::borrow::Cow;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The classes of what can be seen in content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SightingClass {
    /// A key, token or password.
    Secret,
    /// Something about a person.
    Personal,
    /// Text that tries to instruct whoever reads it.
    Injection,
    /// Text a person reading it doesn't see.
    Hidden,
}

impl SightingClass {
    /// The word used everywhere: `secret`, `personal`, `injection`, `hidden`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Personal => "personal",
            Self::Injection => "injection",
            Self::Hidden => "hidden",
        }
    }
}

/// The part of a deed something was seen in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Its content.
    #[default]
    Content,
    /// A patch.
    Patch,
    /// A tool's arguments, as compact JSON.
    Arguments,
    /// The body of a request.
    Body,
    /// The path of a request.
    Path,
    /// The query of a request.
    Query,
    /// A URL.
    Url,
    /// The label of what is clicked or filled in.
    Label,
}

impl Part {
    /// The word used everywhere, such as `body`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Patch => "patch",
            Self::Arguments => "arguments",
            Self::Body => "body",
            Self::Path => "path",
            Self::Query => "query",
            Self::Url => "url",
            Self::Label => "label",
        }
    }
}

/// One thing seen in the content of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sighting {
    /// What sort of thing.
    pub class: SightingClass,
    /// Which of its kinds, e.g. `github-token`, `email`.
    pub kind: Cow<'static, str>,
    /// How sure the scanner is, from 0 to 100.
    pub score: u8,
    /// Which part of the deed holds it.
    #[serde(default)]
    pub part: Part,
    /// Byte offsets in that part as it came, before any decoding.
    pub span: Range<usize>,
}

impl Sighting {
    /// Something seen here.
    #[must_use]
    pub fn new(class: SightingClass, kind: impl Into<Cow<'static, str>>, score: u8, span: Range<usize>) -> Self {
        Self { class, kind: kind.into(), score, part: Part::Content, span }
    }

    /// The same, seen in this part of a deed.
    #[must_use]
    pub fn in_part(mut self, part: Part) -> Self {
        self.part = part;
        self
    }
}

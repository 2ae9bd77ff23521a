//! A request as rules look at it: what stands in its head, and its body in its one reading, taken only once.

pub(crate) mod graphql;
pub(crate) mod json;

use std::cell::OnceCell;

use bartizan_model::{Content, Deed, RequestHeader};

use crate::http::decoded;
use graphql::Operation;
use json::Json;

/// The header that says what a body is.
pub(crate) const CONTENT_TYPE: &str = "content-type";

/// Why a rule that depends on a request's body can't tell whether it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unread(pub(crate) &'static str);

/// Whether a rule fits a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    No,
    /// It does in all but the body, which has no plain reading.
    Unread(Unread),
}

/// A request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    headers: &'a [RequestHeader],
    body: Option<&'a Content>,
    json: OnceCell<Result<Json, Unread>>,
    operations: OnceCell<Result<Vec<Operation>, Unread>>,
}

impl<'a> Request<'a> {
    /// The request in a deed, if it is one.
    pub(crate) fn of(deed: &'a Deed) -> Option<Self> {
        let Deed::HttpRequest { method, path, query, headers, body, .. } = deed else { return None };
        Some(Self {
            method,
            path,
            query: query.as_deref(),
            headers,
            body: body.as_ref(),
            json: OnceCell::new(),
            operations: OnceCell::new(),
        })
    }

    /// The body's bytes, where they are known.
    fn body(&self) -> Result<&'a [u8], Unread> {
        self.body.and_then(Content::bytes).ok_or(Unread("it is not at hand"))
    }

    /// Whether it is known to have no body.
    fn is_empty(&self) -> bool {
        self.body().is_ok_and(<[u8]>::is_empty)
    }

    /// Its body as JSON, `None` where it has no body.
    pub(crate) fn json(&self) -> Result<Option<&Json>, Unread> {
        if self.is_empty() {
            return Ok(None);
        }
        let read = || {
            let bytes = self.body()?;
            match self.kind()? {
                kind if is_json(&kind) => json::read(bytes),
                _ => Err(Unread("its `Content-Type` is not that of JSON")),
            }
        };
        self.json.get_or_init(read).as_ref().map(Some).map_err(|unread| *unread)
    }

    /// The operations of GraphQL it asks for.
    pub(crate) fn operations(&self) -> Result<&[Operation], Unread> {
        self.operations.get_or_init(|| self.read_operations()).as_deref().map_err(|unread| *unread)
    }

    fn read_operations(&self) -> Result<Vec<Operation>, Unread> {
        let in_query = self.graphql_parameters()?;
        if self.method == "GET" {
            if self.body.is_some() && !self.is_empty() {
                return Err(Unread("a GET has no body of GraphQL"));
            }
            return graphql::read(&in_query.ok_or(Unread("it names no document of GraphQL"))?);
        }
        if in_query.is_some() {
            return Err(Unread("its query names a document of GraphQL beside the body"));
        }
        if !self.is_empty() && self.kind()? == "application/graphql" {
            return graphql::read(std::str::from_utf8(self.body()?).map_err(|_| Unread("it is no UTF-8"))?);
        }
        match self.json()? {
            Some(Json::List(requests)) => {
                if requests.is_empty() {
                    return Err(Unread("it is an empty batch"));
                }
                let mut all = Vec::new();
                for request in requests {
                    all.extend(graphql::operations(request)?);
                }
                Ok(all)
            }
            Some(request) => graphql::operations(request),
            None => Err(Unread("it names no document of GraphQL")),
        }
    }

    /// The document that the query names, if any.
    fn graphql_parameters(&self) -> Result<Option<String>, Unread> {
        const TWICE: Unread = Unread("its query names a document of GraphQL in more than one way");
        let mut document = None;
        for pair in self.query.unwrap_or_default().split(['&', ';']) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = decoded(name).zip(decoded(value)).ok_or(TWICE)?;
            let name = String::from_utf8_lossy(&name).trim().to_ascii_lowercase();
            let name = name.split(['[', '\0']).next().unwrap_or_default();
            match name {
                "query" => {
                    let value = String::from_utf8(value.to_vec()).map_err(|_| TWICE)?;
                    if document.replace(value).is_some() || self.query.is_some_and(|query| query.contains(';')) {
                        return Err(TWICE);
                    }
                }
                "extensions" if value.windows(9).any(|part| part.eq_ignore_ascii_case(b"persisted")) => {
                    return Err(graphql::PERSISTED);
                }
                name if graphql::STORED.iter().any(|stored| stored.eq_ignore_ascii_case(name)) => {
                    return Err(graphql::PERSISTED);
                }
                _ => {}
            }
        }
        Ok(document)
    }

    /// What its body is, by its own word: in lower case, without parameters.
    fn kind(&self) -> Result<String, Unread> {
        let mut kinds = self.alike(CONTENT_TYPE);
        let (Some(header), None) = (kinds.next(), kinds.next()) else {
            return Err(Unread("it has no single `Content-Type`"));
        };
        if header.name != CONTENT_TYPE || header.value.contains(',') {
            return Err(Unread("its `Content-Type` has more than one reading"));
        }
        let (kind, parameters) = header.value.split_once(';').unwrap_or((&header.value, ""));
        let parameters = parameters.to_ascii_lowercase();
        if parameters.contains("charset") && !parameters.contains("utf-8") {
            return Err(Unread("it is not in UTF-8"));
        }
        Ok(kind.trim().to_ascii_lowercase())
    }

    /// Headers that some server could take for this one.
    pub(crate) fn alike(&self, name: &str) -> impl Iterator<Item = &'a RequestHeader> {
        self.headers.iter().filter(move |header| header_alike(&header.name, name))
    }
}

/// Servers that hand headers on as variables take `_` and `-` for the same.
pub(crate) fn header_alike(one: &str, two: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == two.len() && one.bytes().map(plain).eq(two.bytes().map(plain))
}

fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}

//! What a document of GraphQL asks for: its operations and the fields of their roots, whatever they are called in the
//! answer and whichever fragments they come by. Which of several operations a server takes isn't asked: each counts.

use std::collections::{BTreeSet, HashMap, HashSet};

use apollo_parser::Parser;
use apollo_parser::cst::{Definition, OperationDefinition, Selection, SelectionSet};
use bartizan_model::Digest;
use serde::Serialize;

use super::Unread;
use super::json::Json;

/// Most tokens of a document; the largest that clients generate have some thousands.
const TOKENS_MAX: usize = 50_000;
/// How deep selections may nest; servers allow less.
const DEPTH_MAX: usize = 100;
/// Keys that name a document the server has stored.
pub(super) const STORED: [&str; 6] = ["id", "documentId", "document_id", "doc_id", "queryId", "query_id"];
pub(super) const PERSISTED: Unread =
    Unread("it names a stored document of GraphQL, which nobody here knows; send the document itself");

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Reads.
    Query,
    /// Changes something.
    Mutation,
    /// Is told what happens.
    Subscription,
}

impl OperationKind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }

    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Query, Self::Mutation, Self::Subscription];
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) kind: OperationKind,
    /// Empty where it has none.
    pub(crate) name: String,
    /// Fields of its root, without `__typename`.
    pub(crate) fields: BTreeSet<String>,
}

/// The operations of one request in JSON: an object with its document in `query`.
pub(super) fn operations(request: &Json) -> Result<Vec<Operation>, Unread> {
    let Json::Object(entries) = request else { return Err(Unread("it is no request of GraphQL")) };
    let mut document = None;
    let mut stated = None;
    for (key, value) in entries {
        if key == "query" {
            let Json::Text(text) = value else { return Err(Unread("its document of GraphQL is no text")) };
            document = Some(text);
        } else if key.eq_ignore_ascii_case("query") {
            return Err(Unread("it names its document of GraphQL in more than one way"));
        } else if STORED.iter().any(|stored| stored.eq_ignore_ascii_case(key)) {
            return Err(PERSISTED);
        } else if key.eq_ignore_ascii_case("extensions") {
            stated = Some(value);
        }
    }
    let document = document.ok_or(PERSISTED)?;
    if let Some(Json::Object(extensions)) = stated {
        for (_, persisted) in extensions.iter().filter(|(key, _)| key.eq_ignore_ascii_case("persistedQuery")) {
            let Json::Object(persisted) = persisted else { return Err(PERSISTED) };
            let hash = persisted.iter().find(|(key, _)| key == "sha256Hash").map(|(_, hash)| hash);
            // With the document beside its own hash, what is stored under it is the same.
            let own = Digest::of_bytes(document.as_bytes()).hex();
            if !matches!(hash, Some(Json::Text(hash)) if hash.eq_ignore_ascii_case(&own)) {
                return Err(PERSISTED);
            }
        }
    }
    read(document)
}

/// The operations of a document.
pub(super) fn read(document: &str) -> Result<Vec<Operation>, Unread> {
    let tree = Parser::new(document).recursion_limit(DEPTH_MAX).token_limit(TOKENS_MAX).parse();
    if tree.errors().next().is_some() {
        return Err(Unread("its document of GraphQL can't be read, or is too long or too deep"));
    }
    let (mut operations, mut fragments) = (Vec::new(), HashMap::new());
    for definition in tree.document().definitions() {
        match definition {
            Definition::OperationDefinition(operation) => operations.push(operation),
            Definition::FragmentDefinition(fragment) => {
                let name = fragment.fragment_name().and_then(|name| name.name()).map(|name| name.text().to_string());
                let known = name.zip(fragment.selection_set()).map(|(name, set)| fragments.insert(name, set));
                if !matches!(known, Some(None)) {
                    return Err(Unread("a fragment of GraphQL stands twice in it"));
                }
            }
            _ => return Err(Unread("its document of GraphQL defines types")),
        }
    }
    if operations.is_empty() {
        return Err(Unread("its document of GraphQL has no operation"));
    }
    operations.iter().map(|operation| asked(operation, &fragments)).collect()
}

fn asked(operation: &OperationDefinition, fragments: &HashMap<String, SelectionSet>) -> Result<Operation, Unread> {
    let kind = match operation.operation_type() {
        None => OperationKind::Query,
        Some(word) if word.query_token().is_some() => OperationKind::Query,
        Some(word) if word.mutation_token().is_some() => OperationKind::Mutation,
        Some(word) if word.subscription_token().is_some() => OperationKind::Subscription,
        Some(_) => return Err(Unread("its document of GraphQL has an operation of another kind")),
    };
    let mut fields = BTreeSet::new();
    let mut followed = HashSet::new();
    let mut sets: Vec<SelectionSet> = operation.selection_set().into_iter().collect();
    // Fragments are followed once each, so that circles end.
    while let Some(set) = sets.pop() {
        for selection in set.selections() {
            match selection {
                Selection::Field(field) => {
                    let name = field.name().map(|name| name.text().to_string()).unwrap_or_default();
                    if name != "__typename" {
                        fields.insert(name);
                    }
                }
                Selection::InlineFragment(inline) => sets.extend(inline.selection_set()),
                Selection::FragmentSpread(spread) => {
                    let name = spread.fragment_name().and_then(|name| name.name()).map(|name| name.text().to_string());
                    let name = name.unwrap_or_default();
                    let set = fragments.get(&name).ok_or(Unread("it names a fragment of GraphQL that isn't there"))?;
                    if followed.insert(name) {
                        sets.push(set.clone());
                    }
                }
            }
        }
    }
    let name = operation.name().map(|name| name.text().to_string()).unwrap_or_default();
    Ok(Operation { kind, name, fields })
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn shown(document: &str) -> String {
        match read(document) {
            Err(unread) => unread.0.to_owned(),
            Ok(operations) => {
                let one = |o: &Operation| {
                    format!(
                        "{} {}({})",
                        o.kind.as_str(),
                        o.name,
                        o.fields.iter().map(String::as_str).collect::<Vec<_>>().join(",")
                    )
                };
                operations.iter().map(one).collect::<Vec<_>>().join("; ")
            }
        }
    }

    #[test]
    fn aliases_and_fragments_do_not_hide_fields() {
        for (document, fields) in [
            ("{ viewer { login } }", "query (viewer)"),
            ("query A { viewer: deleteAll }", "query A(deleteAll)"),
            ("mutation { ...on Mutation { a: delete } __typename }", "mutation (delete)"),
            ("query A { ...F } fragment F on Query { ...G x } fragment G on Query { y ...F }", "query A(x,y)"),
            ("query A { a } mutation B { b }", "query A(a); mutation B(b)"),
            ("subscription S @live { s @skip(if: true) }", "subscription S(s)"),
            ("query($q: String = \"mutation { x }\") { a(text: \"\"\"}\n mutation {\"\"\") }", "query (a)"),
            ("# mutation { x }\nquery{a,b,,c}", "query (a,b,c)"),
        ] {
            assert_eq!(shown(document), fields, "{document}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_not_read() {
        let deep = format!("{}{}", "{a".repeat(500), "}".repeat(500));
        let long = format!("{{ {} }}", "a ".repeat(TOKENS_MAX));
        for bad in [
            "",
            "{",
            "query",
            "{ ...F }",
            "fragment F on Query { a }",
            "type Query { a: Int }",
            "{ a } garbage",
            &deep,
            &long,
            "{ ...F } fragment F on Q { a } fragment F on Q { b }",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stored_documents_are_not_read() {
        let of = |text: &str| operations(&json::read(text.as_bytes()).unwrap());
        let hash = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";
        assert!(of(r#"{"query": "{a}", "operationName": null, "variables": {"id": 1}, "extensions": {}}"#).is_ok());
        assert!(
            of(&format!(r#"{{"query": "{{__typename}}", "extensions": {{"persistedQuery": {{"version": 1, "sha256Hash": "{hash}"}}}}}}"#))
                .is_ok()
        );
        for stored in [
            r#"{"extensions": {"persistedQuery": {"sha256Hash": "00"}}}"#,
            r#"{"query": "{a}", "extensions": {"persistedQuery": {"sha256Hash": "00"}}}"#,
            r#"{"query": "{a}", "id": "7"}"#,
            r#"{"documentId": "7"}"#,
            r#"{"query": "{a}", "Query": "mutation {b}"}"#,
            r#"{"query": 1}"#,
            "[]",
        ] {
            assert!(of(stored).is_err(), "{stored}");
        }
    }
}

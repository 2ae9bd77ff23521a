//! YAML as policies use it: mappings, sequences and scalars with their places. Anchors, aliases, tags,
//! duplicate keys, several documents and anything too large or deep are refused, so that what a person
//! reads is what is enforced and no text can grow while it is read.

use std::collections::HashSet;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::place::{At, Place, PolicyErrors, quoted};

/// Largest policy text. The longest we ship is 20 KiB; a megabyte leaves room for generated ones.
pub const POLICY_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting. The language itself needs six.
const DEPTH_MAX: usize = 16;
/// Most nodes of one text; keeps memory within a few hundred times the text.
const NODES_MAX: usize = 100_000;

/// A node of the document.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    /// A scalar; `plain` when it was written without quotes and may mean a number, a truth or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(At<String>, Node)>),
}

impl Value {
    /// What it is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Scalar { .. } if self.is_null() => "nothing",
            Self::Scalar { .. } => "a single value",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }

    /// Whether it stands for nothing at all (`key:`).
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

enum Open {
    Sequence { place: Place, items: Vec<Node> },
    Mapping { place: Place, entries: Vec<(At<String>, Node)>, seen: HashSet<String>, key: Option<At<String>> },
}

/// Reads one document; `None` when the text holds nothing.
pub(crate) fn read(bytes: &[u8], source: &Arc<str>) -> Result<Option<Node>, PolicyErrors> {
    let start = Place { source: source.clone(), line: 1, column: 1 };
    if bytes.len() > POLICY_BYTES_MAX {
        let message = format!("a policy has at most {POLICY_BYTES_MAX} bytes, this one has {}", bytes.len());
        return Err(PolicyErrors::one(start, message));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count();
            let place = Place { line: number(line + 1), ..start };
            return Err(PolicyErrors::one(place, "a policy is UTF-8 text, this byte is none"));
        }
    };
    Builder { source: source.clone(), stack: Vec::new(), root: None, nodes: 0 }.run(text)
}

struct Builder {
    source: Arc<str>,
    stack: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

impl Builder {
    fn run(mut self, text: &str) -> Result<Option<Node>, PolicyErrors> {
        let mut documents = 0_usize;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                let hint = match error.info() {
                    // What a pattern such as `*.example.com` looks like without quotes.
                    info if info.contains("anchor") => "; text that starts with `*` or `&` stands in quotes",
                    _ => "",
                };
                PolicyErrors::one(self.place(error.marker()), format!("not valid YAML: {}{hint}", error.info()))
            })?;
            let place = self.place(&span.start);
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(PolicyErrors::one(
                            place,
                            "a policy is one YAML document; remove what follows `---`",
                        ));
                    }
                }
                Event::Alias(_) => {
                    return Err(PolicyErrors::one(
                        place,
                        "aliases are not supported; write the value out, and put text that starts with `*` in quotes",
                    ));
                }
                Event::Scalar(text, style, anchor, tag) => {
                    self.plain_only(&place, anchor, tag.is_some())?;
                    let plain = style == ScalarStyle::Plain;
                    self.scalar(place, text.into_owned(), plain)?;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.plain_only(&place, anchor, tag.is_some())?;
                    self.open(Open::Sequence { place, items: Vec::new() })?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.plain_only(&place, anchor, tag.is_some())?;
                    self.open(Open::Mapping { place, entries: Vec::new(), seen: HashSet::new(), key: None })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close()?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        Ok(self.root.filter(|node| !node.value.is_null()))
    }

    fn place(&self, marker: &Marker) -> Place {
        Place { source: self.source.clone(), line: number(marker.line()), column: number(marker.col() + 1) }
    }

    fn plain_only(&mut self, place: &Place, anchor: usize, tagged: bool) -> Result<(), PolicyErrors> {
        if anchor != 0 {
            return Err(PolicyErrors::one(place.clone(), "anchors are not supported; write the value out"));
        }
        if tagged {
            return Err(PolicyErrors::one(
                place.clone(),
                "tags (`!…`) are not supported; quote the text if it starts with `!`",
            ));
        }
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(PolicyErrors::one(place.clone(), format!("a policy has at most {NODES_MAX} values")));
        }
        Ok(())
    }

    fn open(&mut self, open: Open) -> Result<(), PolicyErrors> {
        let (Open::Sequence { place, .. } | Open::Mapping { place, .. }) = &open;
        if let Some(Open::Mapping { key: None, .. }) = self.stack.last() {
            return Err(PolicyErrors::one(place.clone(), "a key must be a single value"));
        }
        if self.stack.len() >= DEPTH_MAX {
            return Err(PolicyErrors::one(place.clone(), format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.stack.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), PolicyErrors> {
        match self.stack.pop() {
            Some(Open::Sequence { place, items }) => self.place_node(Node { place, value: Value::Sequence(items) }),
            Some(Open::Mapping { place, entries, .. }) => {
                self.place_node(Node { place, value: Value::Mapping(entries) });
            }
            None => {}
        }
        Ok(())
    }

    fn scalar(&mut self, place: Place, text: String, plain: bool) -> Result<(), PolicyErrors> {
        if let Some(Open::Mapping { seen, key: key @ None, .. }) = self.stack.last_mut() {
            if !seen.insert(text.clone()) {
                return Err(PolicyErrors::one(place, format!("key {} stands here twice; join the two", quoted(&text))));
            }
            *key = Some(At { value: text, place });
            return Ok(());
        }
        self.place_node(Node { place, value: Value::Scalar { text, plain } });
        Ok(())
    }

    fn place_node(&mut self, node: Node) {
        match self.stack.last_mut() {
            Some(Open::Sequence { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                }
            }
            None => self.root = Some(node),
        }
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

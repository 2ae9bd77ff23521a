//! Reads section `labels`.

use crate::host::HostPattern;
use crate::language::{LabelRule, Labels};
use crate::pattern::PathPattern;
use crate::place::{At, did_you_mean, quoted};
use crate::session::Label;
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys =
    &[("labels", &["trusted", "data"]), ("a label rule", &["label", "files", "hosts", "tools"])];

impl Decoder {
    pub(crate) fn labels(&mut self, node: &Node) -> Labels {
        let mut labels = Labels::default();
        for (key, node) in self.mapping(node, "labels") {
            match key.value.as_str() {
                "trusted" => labels.trusted = self.list(node, Self::trusted),
                "data" => labels.data = self.list(node, Self::label_rule),
                _ => {}
            }
        }
        labels
    }

    fn trusted(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        if is_tool(&text.value) { self.tool_pattern(node) } else { self.host_pattern(node) }
    }

    fn host_pattern(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        match HostPattern::parse(&text.value) {
            Ok(_) => Some(text),
            Err(problem) => {
                self.errors.add(&text.place, problem);
                None
            }
        }
    }

    fn tool_pattern(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.word(node)?;
        if !is_tool(&text.value) {
            self.errors.add(&text.place, format!("{} is no tool; write `server/name`", quoted(&text.value)));
            return None;
        }
        Some(text)
    }

    fn path_pattern(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        match PathPattern::parse(&text.value) {
            Ok(_) => Some(text),
            Err(problem) => {
                self.errors.add(&text.place, problem);
                None
            }
        }
    }

    /// A label by its name.
    pub(crate) fn label(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        if Label::parse(&text.value).is_some() {
            return Some(text);
        }
        let hint = did_you_mean(&text.value, Label::NAMES);
        let hint = if hint.is_empty() {
            "; labels are secret, personal, untrusted and internal:<name>".to_owned()
        } else {
            hint
        };
        self.errors.add(&text.place, format!("{} is no label{hint}", quoted(&text.value)));
        None
    }

    fn label_rule(&mut self, node: &Node) -> Option<At<LabelRule>> {
        let mut label = None;
        let (mut files, mut hosts, mut tools) = (Vec::new(), Vec::new(), Vec::new());
        for (key, node) in self.mapping(node, "a label rule") {
            let texts = |list: Vec<At<String>>| list.into_iter().map(|text| text.value).collect();
            match key.value.as_str() {
                "label" => label = Some(self.label(node)?.value),
                "files" => files = texts(self.one_or_many(node, Self::path_pattern)),
                "hosts" => hosts = texts(self.one_or_many(node, Self::host_pattern)),
                "tools" => tools = texts(self.one_or_many(node, Self::tool_pattern)),
                _ => {}
            }
        }
        let Some(label) = label else {
            self.missing(node, "label", "a label rule");
            return None;
        };
        if files.is_empty() && hosts.is_empty() && tools.is_empty() {
            self.errors.add(&node.place, "a label rule needs `files`, `hosts` or `tools`");
            return None;
        }
        Some(At { value: LabelRule { label, files, hosts, tools }, place: node.place.clone() })
    }
}

/// Hosts have no slash, unless they are ranges, which start with a digit or hold colons.
fn is_tool(text: &str) -> bool {
    text.contains('/') && !text.contains("://") && crate::address::Range::parse(text).is_err()
}

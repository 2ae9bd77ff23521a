//! Reads section `rego`: names of modules.

use crate::builtin;
use crate::place::{At, did_you_mean, quoted};
use crate::shapes::Decoder;
use crate::yaml::Node;

impl Decoder {
    pub(crate) fn rego_module(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        if text.value.ends_with(".rego") || builtin::rego_source(&text.value).is_some() {
            return Some(text);
        }
        let hint = did_you_mean(&text.value, builtin::REGO_NAMES);
        let names = builtin::REGO_NAMES.join(", ");
        let problem = format!(
            "{} is no Rego module: a file ends in `.rego`, and built in are {names}{hint}",
            quoted(&text.value)
        );
        self.errors.add(&text.place, problem);
        None
    }
}

//! Reads section `guards`: WebAssembly components and their bounds.

use crate::language::GuardModule;
use crate::place::{At, did_you_mean, quoted};
use crate::shapes::{Decoder, Keys};
use crate::units::{Bytes, Span};
use crate::wasm::Bounds;
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("a guard", &["wasm", "fuel", "memory", "time"])];

impl Decoder {
    pub(crate) fn guard_module(&mut self, node: &Node) -> Option<At<GuardModule>> {
        let (mut wasm, mut fuel, mut memory, mut time) = (None, None, None, None);
        for (key, node) in self.mapping(node, "a guard") {
            match key.value.as_str() {
                "wasm" => wasm = Some(self.component(node)?),
                "fuel" => fuel = Some(self.bounded(node, Self::positive, Bounds::FUEL_MAX)?),
                "memory" => {
                    memory = Some(self.bounded(node, |this, node| this.unit(node, Bytes::parse), Bounds::MEMORY_MAX)?)
                }
                "time" => {
                    time = Some(self.bounded(node, |this, node| this.unit(node, Span::parse), Bounds::TIME_MAX)?)
                }
                _ => {}
            }
        }
        let Some(wasm) = wasm else {
            self.missing(node, "wasm", "a guard");
            return None;
        };
        Some(At { value: GuardModule { wasm, fuel, memory, time }, place: node.place.clone() })
    }

    fn component(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if text.value.ends_with(".wasm") {
            return Some(text.value);
        }
        let hint = did_you_mean(&text.value, [format!("{}.wasm", text.value).as_str()]);
        let problem = format!("{} is no WebAssembly component: its file ends in `.wasm`{hint}", quoted(&text.value));
        self.errors.add(&text.place, problem);
        None
    }

    fn bounded<T: PartialOrd + std::fmt::Display>(
        &mut self,
        node: &Node,
        read: impl Fn(&mut Self, &Node) -> Option<At<T>>,
        most: T,
    ) -> Option<T> {
        let value = read(self, node)?;
        if value.value > most {
            self.errors.add(&value.place, format!("a guard has at most {most}; write less"));
            return None;
        }
        Some(value.value)
    }
}

//! Reads section `patches`.

use crate::language::{PatchKinds, Patches};
use crate::place::{At, quoted};
use crate::shapes::{Decoder, Keys};
use crate::text_pattern::TextPattern;
use crate::units::Bytes;
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[
    (
        "patches",
        &[
            "size",
            "files_max",
            "additions_max",
            "deletions_max",
            "ratio_max",
            "over",
            "unclear",
            "outside",
            "forbid",
            "ask",
            "kinds",
        ],
    ),
    (
        "patch kinds",
        &[
            "binary",
            "mode",
            "link",
            "submodule",
            "delete",
            "rename",
            "hook",
            "ci",
            "lock",
            "generated",
            "vendored",
            "tests",
        ],
    ),
];

impl Decoder {
    pub(crate) fn patches(&mut self, node: &Node) -> Patches {
        let mut patches = Patches::default();
        for (key, node) in self.mapping(node, "patches") {
            match key.value.as_str() {
                "size" => patches.size = self.unit(node, Bytes::parse),
                "files_max" => patches.files_max = self.count(node),
                "additions_max" => patches.additions_max = self.count(node),
                "deletions_max" => patches.deletions_max = self.count(node),
                "ratio_max" => patches.ratio_max = self.positive(node),
                "over" => patches.over = self.effect(node),
                "unclear" => patches.unclear = self.effect(node),
                "outside" => patches.outside = self.effect(node),
                "forbid" => patches.forbid = self.list(node, Self::text_pattern),
                "ask" => patches.ask = self.list(node, Self::text_pattern),
                "kinds" => patches.kinds = Some(self.patch_kinds(node)),
                _ => {}
            }
        }
        patches
    }

    fn patch_kinds(&mut self, node: &Node) -> PatchKinds {
        let mut kinds = PatchKinds::default();
        for (key, node) in self.mapping(node, "patch kinds") {
            let effect = self.effect(node);
            match key.value.as_str() {
                "binary" => kinds.binary = effect,
                "mode" => kinds.mode = effect,
                "link" => kinds.link = effect,
                "submodule" => kinds.submodule = effect,
                "delete" => kinds.delete = effect,
                "rename" => kinds.rename = effect,
                "hook" => kinds.hook = effect,
                "ci" => kinds.ci = effect,
                "lock" => kinds.lock = effect,
                "generated" => kinds.generated = effect,
                "vendored" => kinds.vendored = effect,
                "tests" => kinds.tests = effect,
                _ => {}
            }
        }
        kinds
    }

    /// A regular expression.
    pub(crate) fn text_pattern(&mut self, node: &Node) -> Option<At<TextPattern>> {
        let text = self.text(node)?;
        match TextPattern::parse(&text.value) {
            Ok(value) => Some(At { value, place: text.place }),
            Err(problem) => {
                let shown = quoted(&text.value);
                let problem = if problem.starts_with('`') { problem } else { format!("{shown}: {problem}") };
                self.errors.add(&text.place, problem);
                None
            }
        }
    }
}

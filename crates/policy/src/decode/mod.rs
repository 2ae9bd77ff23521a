//! From YAML nodes to the language's types. Goes on after an error, so that all are told at once; every
//! message names the place, the offending input and what would be right. One file a section.

mod approvals;
mod boxes;
mod browser;
mod budgets;
mod case;
mod compat;
mod computer;
mod content;
mod env;
mod exec;
mod files;
mod flow;
mod guards;
mod labels;
mod limits;
mod llm;
mod names;
pub(crate) mod net;
mod patches;
mod pins;
mod prompts;
mod rego;
mod secret;
mod secrets;
mod tools;

use std::sync::Arc;

use crate::language::{LANGUAGE_VERSION, PolicyFile};
use crate::place::{At, Errors, Place, PolicyErrors};
use crate::shapes::{Decoder, Keys};
use crate::yaml::{self, Node};

/// The keys of the outermost mapping.
const POLICY_KEYS: Keys = &[(
    "the policy",
    &[
        "bartizan",
        "name",
        "description",
        "extends",
        "files",
        "exec",
        "net",
        "tools",
        "secrets",
        "models",
        "llm",
        "messages",
        "browser",
        "computer",
        "prompts",
        "content",
        "patches",
        "compat",
        "budgets",
        "labels",
        "flow",
        "rego",
        "guards",
        "env",
        "box",
        "limits",
        "approvals",
        "tests",
    ],
)];

/// The keys of every mapping in the language; a test holds them against the generated schema.
pub(crate) const KEYS: &[Keys] = &[
    POLICY_KEYS,
    approvals::KEYS,
    boxes::KEYS,
    browser::KEYS,
    budgets::KEYS,
    crate::bundle::MANIFEST_KEYS,
    case::KEYS,
    compat::KEYS,
    computer::KEYS,
    content::KEYS,
    env::KEYS,
    exec::KEYS,
    files::KEYS,
    flow::KEYS,
    guards::KEYS,
    labels::KEYS,
    limits::KEYS,
    llm::KEYS,
    names::KEYS,
    secrets::KEYS,
    net::KEYS,
    patches::KEYS,
    pins::KEYS,
    prompts::KEYS,
    tools::KEYS,
];

/// Reads one policy file, `extends` not followed.
///
/// # Errors
/// Everything wrong with it.
pub(crate) fn decode(bytes: &[u8], source: &Arc<str>) -> Result<PolicyFile, PolicyErrors> {
    let start = Place { source: source.clone(), line: 1, column: 1 };
    let Some(root) = yaml::read(bytes, source)? else {
        return Err(PolicyErrors::one(
            start,
            "the policy is empty; the smallest is `bartizan: 1`, which denies everything",
        ));
    };
    let mut decoder = Decoder { errors: Errors::default() };
    let file = decoder.policy(&root);
    decoder.errors.finish(file)
}

impl Decoder {
    pub(crate) fn policy(&mut self, root: &Node) -> PolicyFile {
        let mut file = PolicyFile::default();
        let mut version = None;
        for (key, node) in self.mapping(root, "the policy") {
            match key.value.as_str() {
                "bartizan" => version = self.count(node),
                "name" => file.name = self.text(node),
                "description" => file.description = self.text(node),
                "extends" => file.extends = self.one_or_many(node, Self::text),
                "files" => file.files = Some(self.files(node)),
                "exec" => file.exec = Some(self.exec(node)),
                "net" => file.net = Some(self.net(node)),
                "tools" => file.tools = Some(self.tools(node)),
                "secrets" => file.secrets = Some(self.secrets(node)),
                "models" => file.models = Some(self.names(node, "models")),
                "llm" => file.llm = Some(self.llm(node)),
                "messages" => file.messages = Some(self.names(node, "messages")),
                "browser" => file.browser = Some(self.browser(node)),
                "computer" => file.computer = Some(self.computer(node)),
                "prompts" => file.prompts = Some(self.prompts(node)),
                "content" => file.content = Some(self.content(node)),
                "patches" => file.patches = Some(self.patches(node)),
                "compat" => file.compat = Some(self.compat(node)),
                "budgets" => file.budgets = Some(self.budgets(node)),
                "labels" => file.labels = Some(self.labels(node)),
                "flow" => file.flow = self.list(node, Self::flow_rule),
                "rego" => file.rego = self.list(node, Self::rego_module),
                "guards" => file.guards = self.list(node, Self::guard_module),
                "env" => file.env = Some(self.env(node)),
                "box" => file.r#box = Some(self.box_section(node)),
                "limits" => file.limits = Some(self.limits(node)),
                "approvals" => file.approvals = Some(self.approvals(node)),
                "tests" => file.tests = self.list(node, Self::case).unwrap_or_default(),
                _ => {}
            }
        }
        match version {
            Some(At { value: 1, .. }) => file.bartizan = LANGUAGE_VERSION,
            Some(At { value, place }) => {
                self.errors
                    .add(&place, format!("version {value} of the language is not known here; this Bartizan reads 1"));
            }
            None => self.errors.add(&root.place, "the key `bartizan` is missing; a policy starts with `bartizan: 1`"),
        }
        file
    }
}

//! What granted scopes amount to: a policy that denies everything they don't name. Laid over another it only narrows, so
//! a grant never gives more than the policy does.

use bartizan_model::Scope;

use crate::builtin;
use crate::load::{Source, parse};

/// Where its rules say they come from.
const NAME: &str = "granted scopes";

/// The policy in which these scopes are granted and nothing else is. Each becomes one line, so a verdict's rule leads
/// back to it.
///
/// # Errors
/// A scope speaks of something no action does; the sentence says what to write.
pub fn granted(scopes: &[Scope]) -> Result<Source, String> {
    let mut sections = Sections::default();
    for scope in scopes {
        sections.take(scope)?;
    }
    Ok(Source { name: NAME.to_owned(), bytes: sections.write().into_bytes() })
}

/// One section: granted as a whole, or by entries.
#[derive(Default)]
struct Section {
    everything: bool,
    entries: Vec<String>,
}

impl Section {
    fn add(&mut self, resource: Option<String>) {
        match resource {
            Some(entry) => self.entries.push(entry),
            None => self.everything = true,
        }
    }

    fn write(&self, name: &str) -> String {
        let default = if self.everything { "allow" } else { "deny" };
        let mut text = format!("{name}:\n  default: {default}\n");
        text.push_str(&list("allow", &self.entries));
        text
    }
}

#[derive(Default)]
struct Sections {
    read: Vec<String>,
    write: Vec<String>,
    exec: Section,
    net: Section,
    secrets: Section,
    models: Section,
    messages: Section,
    tools: Section,
}

impl Sections {
    fn take(&mut self, scope: &Scope) -> Result<(), String> {
        let resource = scope.resource.as_deref();
        match scope.name {
            "files.read" => self.read.push(tree(resource)),
            "files.write" => self.write.push(tree(resource)),
            "shell.exec" => self.exec.add(resource.map(quoted)),
            "net.outbound" => self.net.add(resource.map(quoted)),
            "http.request" => self.net.add(resource.map(|host| match host.rsplit_once(':') {
                Some(_) => quoted(host),
                None => format!("{{ host: {}, ports: [80, 443] }}", quoted(host)),
            })),
            "net.internal" => self.net.add(resource.map(|service| match service.rsplit_once(':') {
                Some((host, port)) => {
                    format!("{{ host: {}, ports: [{}], private: true }}", quoted(host), quoted(port))
                }
                None => format!("{{ host: {}, ports: \"*\", private: true }}", quoted(service)),
            })),
            "secrets.access" => self.secrets.add(resource.map(quoted)),
            "email.send" => {
                let recipient = format!("email/{}", resource.unwrap_or("*"));
                self.messages.add(Some(quoted(&recipient)));
            }
            "llm.request" => self.models.add(resource.map(|model| {
                let model = if model.contains('/') { model.to_owned() } else { format!("{model}/*") };
                quoted(&model)
            })),
            "tools.call" => self.tools.add(
                resource
                    .and_then(|tool| tool.split_once('/'))
                    .map(|(server, name)| format!("{{ server: {}, name: {} }}", quoted(server), quoted(name))),
            ),
            _ => {
                return Err(format!(
                    "no action needs the scope `{scope}` by itself; grant the tool that does it: `tools.call:server/name`"
                ));
            }
        }
        Ok(())
    }

    fn write(&self) -> String {
        let programs: Vec<String> = programs().iter().map(|tree| quoted(tree)).collect();
        let mut text = format!("bartizan: 1\nname: {}\nfiles:\n  default: deny\n", quoted(NAME));
        text.push_str(&list("programs", &programs));
        // Both lists are there even when they are empty: left out, one would follow the other.
        for (name, paths) in [("read", &self.read), ("write", &self.write)] {
            text.push_str(&if paths.is_empty() { format!("  {name}: []\n") } else { list(name, paths) });
        }
        for (name, section) in [
            ("exec", &self.exec),
            ("net", &self.net),
            ("secrets", &self.secrets),
            ("models", &self.models),
            ("messages", &self.messages),
            ("tools", &self.tools),
        ] {
            text.push_str(&section.write(name));
        }
        // There are no scopes for these.
        text.push_str("browser: { default: deny }\ncomputer: { default: deny }\n");
        text
    }
}

/// The trees of programs and libraries that even `strict` shows: a program that may be started needs them, and what the
/// policy in force keeps from them stays kept.
fn programs() -> Vec<String> {
    let strict = builtin::text("strict").and_then(|text| parse(text.as_bytes()).ok());
    let trees = strict.and_then(|strict| strict.files).and_then(|files| files.programs);
    trees.into_iter().flatten().map(|tree| tree.value).collect()
}

fn list(name: &str, entries: &[String]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    entries.iter().fold(format!("  {name}:\n"), |text, entry| text + "    - " + entry + "\n")
}

/// A path and all that is below it.
fn tree(path: Option<&str>) -> String {
    quoted(&match path.map(|path| path.trim_end_matches('/')) {
        None | Some("") => "/**".to_owned(),
        Some(path) => format!("{path}/**"),
    })
}

/// JSON's strings are YAML's, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

//! One policy compiled: every section as matchers, ready to decide.

use std::borrow::Cow;

use bartizan_model::{BodyNeed, Deed, Effect, RequestNeeds, RuleRef};
use serde_json::Value;

use crate::context::Context;
use crate::decision::{Cause, Ruling};
use crate::deeds::url_host;
use crate::exec::{Commands, Found as CommandFound, Line};
use crate::files::{FileFound, Paths};
use crate::guards::{self, Guard, Layer};
use crate::host::Host;
use crate::language::{NameRules, PolicyFile};
use crate::names::Names;
use crate::net::{Destinations, Duties, Found, Wish};
use crate::path;
use crate::place::{At, Place};
use crate::request::Request;
use crate::rule::RuleInfo;

/// Whose policy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The user's: what it doesn't allow is denied.
    User,
    /// A project's: what it doesn't speak of is left to the user's.
    Project,
}

/// A section with where its default was written.
#[derive(Debug)]
pub(crate) struct Section<T> {
    pub(crate) rules: T,
    pub(crate) default_place: Option<Place>,
}

/// The compiled sections. In a project's policy those it doesn't mention are absent.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) files: Option<Section<Paths>>,
    pub(crate) exec: Option<Section<Commands>>,
    pub(crate) net: Option<Section<Destinations>>,
    pub(crate) tools: Option<Section<Names>>,
    pub(crate) secrets: Option<Section<Names>>,
    pub(crate) models: Option<Section<Names>>,
    pub(crate) messages: Option<Section<Names>>,
    pub(crate) browser: Option<Section<Names>>,
    pub(crate) computer: Option<Section<Names>>,
    /// What becomes of text nothing was seen in; guards hold back the rest.
    pub(crate) prompts: Option<Section<Effect>>,
    /// Calls of tools in models' answers are decided.
    pub(crate) tool_calls: bool,
    pub(crate) guards: Vec<Box<dyn Guard>>,
    /// Whether one of them looks at what stands in requests' bodies.
    pub(crate) reads_bodies: bool,
}

impl Compiled {
    pub(crate) fn new(file: &PolicyFile, role: Role, layer: Layer<'_>, context: &Context) -> Self {
        // Every section of a user's policy has a default, also those it leaves out.
        fn present<T: Clone + Default>(section: Option<&T>, role: Role) -> Option<Cow<'_, T>> {
            match (section, role) {
                (Some(section), _) => Some(Cow::Borrowed(section)),
                (None, Role::User) => Some(Cow::Owned(T::default())),
                (None, Role::Project) => None,
            }
        }
        // A project's list of what may be done denies the rest without saying so: its first entry stands for that.
        fn place<T>(default: &Option<At<Effect>>, grants: &[&Option<Vec<At<T>>>], role: Role) -> Option<Place> {
            let listed = || grants.iter().find_map(|list| Some(list.as_ref()?.first()?.place.clone()));
            default.as_ref().map(|default| default.place.clone()).or_else(|| listed().filter(|_| role == Role::Project))
        }
        let default = |explicit: &Option<At<Effect>>, grants: bool| match (explicit, role) {
            (Some(default), _) => default.value,
            (None, Role::User) => Effect::Deny,
            // A project that lists what may be done means only that; one that lists what may not means just that.
            (None, Role::Project) => {
                if grants {
                    Effect::Deny
                } else {
                    Effect::Allow
                }
            }
        };
        let named = |name: &'static str, section: Option<&NameRules>| {
            present(section, role).map(|section| Section {
                rules: Names::plain(name, &section, default(&section.default, section.allow.is_some())),
                default_place: place(&section.default, &[&section.allow], role),
            })
        };
        Self {
            files: present(file.files.as_ref(), role).map(|section| Section {
                rules: Paths::compile(&section, role, context),
                default_place: place(&section.default, &[&section.write, &section.read], role),
            }),
            exec: present(file.exec.as_ref(), role).map(|section| Section {
                rules: Commands::compile(
                    &section,
                    default(&section.default, section.allow.is_some()),
                    file.files.as_ref(),
                    role,
                    context,
                ),
                default_place: place(&section.default, &[&section.allow], role),
            }),
            net: present(file.net.as_ref(), role).map(|section| Section {
                rules: Destinations::compile(
                    &section,
                    default(&section.default, section.allow.is_some()),
                    role == Role::User,
                ),
                default_place: place(&section.default, &[&section.allow], role),
            }),
            tools: present(file.tools.as_ref(), role).map(|section| Section {
                rules: Names::tools(&section, default(&section.default, section.allow.is_some()), context),
                default_place: place(&section.default, &[&section.allow], role),
            }),
            secrets: named("secrets", file.secrets.as_ref().map(|secrets| &secrets.names)).map(|mut section| {
                if let (Some(secrets), Role::User) = (&file.secrets, role) {
                    section.rules.expose(secrets, context);
                }
                section
            }),
            models: named("models", file.models.as_ref()),
            messages: named("messages", file.messages.as_ref()),
            browser: present(file.browser.as_ref(), role).map(|section| Section {
                rules: Names::browser(&section, default(&section.default, section.allow.is_some())),
                default_place: place(&section.default, &[&section.allow], role),
            }),
            computer: present(file.computer.as_ref(), role).map(|section| Section {
                rules: Names::computer(&section, default(&section.default, section.allow.is_some())),
                default_place: place(&section.default, &[&section.allow], role),
            }),
            prompts: present(file.prompts.as_ref(), role).map(|section| Section {
                rules: default(&section.default, false),
                default_place: section.default.as_ref().map(|default| default.place.clone()),
            }),
            tool_calls: file.llm.as_ref().and_then(|llm| llm.tool_calls.as_ref()).is_some_and(|decided| decided.value),
            guards: guards::compile(file, context, layer),
            reads_bodies: false,
        }
    }

    /// Tells every rule with its effect and place, those of guards too.
    pub(crate) fn each_rule(&self, tell: &mut dyn FnMut(RuleRef, Effect, &Place)) {
        let names = [&self.tools, &self.secrets, &self.models, &self.messages, &self.browser, &self.computer];
        let lists = [
            self.files.as_ref().map(|section| &section.rules.rules),
            self.exec.as_ref().map(|section| &section.rules.rules),
            self.net.as_ref().map(|section| &section.rules.rules),
        ];
        let names = names.into_iter().flatten().map(|section| &section.rules.rules);
        for rule in lists.into_iter().flatten().chain(names).flatten() {
            if let Some(place) = &rule.place {
                tell(rule.reference(), rule.effect, place);
            }
        }
        for guard in &self.guards {
            guard.each_rule(tell);
        }
    }

    /// Decides; `None` when this policy has nothing to say about such deeds.
    pub(crate) fn decide(&self, deed: &Deed) -> Option<Ruling<'_>> {
        self.decide_where(deed, false)
    }

    /// The same; `caught`: what a program starts, and the files it opens, are caught when it does so, and decided
    /// then.
    pub(crate) fn decide_where(&self, deed: &Deed, caught: bool) -> Option<Ruling<'_>> {
        match deed {
            Deed::FileRead { path } => {
                let section = self.files.as_ref()?;
                let Some(path) = path::canonical(path.as_bytes()) else { return Some(Ruling::malformed("files.path")) };
                Some(section.file(section.rules.decide_read(&path)))
            }
            Deed::FilePatch { path, .. } => {
                let section = self.files.as_ref()?;
                let Some(path) = path::canonical(path.as_bytes()) else { return Some(Ruling::malformed("files.path")) };
                Some(section.file(section.rules.decide_write(&path, false)))
            }
            Deed::FileWrite { path, operation, .. } => {
                let section = self.files.as_ref()?;
                let Some(path) = path::canonical(path.as_bytes()) else { return Some(Ruling::malformed("files.path")) };
                Some(section.file(section.rules.decide_write(&path, opens_a_way(operation.as_deref()))))
            }
            Deed::ExecRun { program, args, cwd } => {
                let line = Line { program, arguments: args, cwd: cwd.as_deref(), caught };
                Some(self.command(self.exec.as_ref()?, line))
            }
            Deed::NetConnect { host, port } => {
                let section = self.net.as_ref()?;
                let Some(host) = Host::canonical(host) else { return Some(Ruling::malformed("net.host")) };
                Some(section.net(section.rules.decide(&host, *port, Wish::Connect)))
            }
            Deed::HttpRequest { host, port, .. } => {
                let section = self.net.as_ref()?;
                let Some((host, request)) = Host::canonical(host).zip(Request::of(deed)) else {
                    return Some(Ruling::malformed("net.host"));
                };
                Some(section.net(section.rules.decide(&host, *port, Wish::Request(&request))))
            }
            Deed::DnsQuery { name, record_type } => {
                let section = self.net.as_ref()?;
                let Some(host @ Host::Name(_)) = Host::canonical(name) else {
                    return Some(Ruling::malformed("dns.name"));
                };
                let mut ruling = section.net((section.rules.decide_name(&host, record_type), Duties::default()));
                if ruling.effect == Effect::Ask {
                    // The person is asked when a connection is made; until then nothing leaves.
                    ruling.effect = Effect::Allow;
                }
                Some(ruling)
            }
            Deed::ToolCall { server, name, arguments } => {
                let section = self.tools.as_ref()?;
                let found = section.rules.decide(server, name, arguments);
                Some(section.ruling("tools", &section.rules.rules, found, section.rules.default))
            }
            Deed::SecretUse { name, destination } => {
                Some(self.secrets.as_ref()?.names("secrets", destination.as_deref().unwrap_or_default(), name))
            }
            Deed::LlmRequest { provider, model, .. } => {
                Some(self.models.as_ref()?.names("models", provider.as_deref().unwrap_or_default(), model))
            }
            Deed::MessageSend { channel, recipient, .. } => {
                Some(self.messages.as_ref()?.names("messages", channel, recipient))
            }
            Deed::BrowserAct { operation, url, .. } => {
                // Pages without a host (`about:blank`, `file:`, `data:`) are named by their whole URL.
                Some(self.browser.as_ref()?.names("browser", operation, url_host(url).unwrap_or(url)))
            }
            Deed::ComputerAct { operation, .. } => Some(self.computer.as_ref()?.names("computer", "", operation)),
            Deed::ContentReceive { .. } => {
                let section = self.prompts.as_ref()?;
                Some(section.default("prompts", section.rules))
            }
            _ => Some(Ruling::malformed("policy.unknown_kind")),
        }
    }

    /// What deciding over this request needs to know of it.
    pub(crate) fn needs(&self, deed: &Deed, needs: &mut RequestNeeds) {
        if self.reads_bodies {
            needs.body = needs.body.max(BodyNeed::Scanned);
        }
        let Deed::HttpRequest { host, port, .. } = deed else { return };
        if let (Some(section), Some(host), Some(request)) = (&self.net, Host::canonical(host), Request::of(deed)) {
            section.rules.needs(&host, *port, &request, needs);
        }
    }

    /// The command within a command line that the rules hold back, where that isn't the line itself.
    pub(crate) fn culprit(&self, deed: &Deed, caught: bool) -> Option<String> {
        let Deed::ExecRun { program, args, cwd } = deed else { return None };
        let line = Line { program, arguments: args, cwd: cwd.as_deref(), caught };
        self.exec.as_ref()?.rules.culprit(line)
    }

    /// A command line, with the files that shell text in it opens: the strictest of all.
    fn command<'a>(&'a self, section: &'a Section<Commands>, line: Line<'_>) -> Ruling<'a> {
        let mut strictest: Option<Ruling<'a>> = None;
        let found = section.rules.decide(line, |touched| {
            let Some(files) = self.files.as_ref().filter(|_| !line.caught) else { return };
            let ruling = files.file(if touched.write {
                files.rules.decide_write(&touched.path, false)
            } else {
                files.rules.decide_read(&touched.path)
            });
            if strictest.is_none_or(|strictest| ruling.effect > strictest.effect) {
                strictest = Some(ruling);
            }
        });
        let ruling = match found {
            CommandFound::Rule(effect, number) => {
                section.ruling("exec", &section.rules.rules, Some((effect, number)), section.rules.default)
            }
            CommandFound::Default(effect) => section.default("exec", effect),
            CommandFound::Unclear(effect, why) => Ruling::new(effect, Cause::Unclear(why)),
            CommandFound::Transparent => Ruling::new(Effect::Allow, Cause::Shell),
        };
        strictest.filter(|file| file.effect > ruling.effect).unwrap_or(ruling)
    }
}

/// Whether what the operation puts at a path may bring content with it, or lead to content elsewhere: a
/// directory moved to `.git` may hold hooks, a file made there may name another directory.
fn opens_a_way(operation: Option<&str>) -> bool {
    !matches!(operation, None | Some("write" | "mkdir" | "directory" | "remove"))
}

impl<T> Section<T> {
    fn ruling<'a>(
        &'a self,
        section: &'static str,
        rules: &'a [RuleInfo],
        found: Option<(Effect, u32)>,
        default: Effect,
    ) -> Ruling<'a> {
        match found.and_then(|(effect, number)| Some((effect, rules.get(number as usize)?))) {
            Some((effect, rule)) => Ruling::new(effect, Cause::Rule(rule)),
            None => self.default(section, default),
        }
    }

    fn default(&self, section: &'static str, effect: Effect) -> Ruling<'_> {
        Ruling::new(effect, Cause::Default { section, place: self.default_place.as_ref() })
    }
}

impl Section<Names> {
    fn names(&self, section: &'static str, first: &str, second: &str) -> Ruling<'_> {
        self.ruling(section, &self.rules.rules, self.rules.decide(first, second, &Value::Null), self.rules.default)
    }
}

impl Section<Paths> {
    fn file(&self, found: FileFound) -> Ruling<'_> {
        let rule = |number: u32| self.rules.rules.get(number as usize);
        match found {
            FileFound::Rule(effect, number) => match rule(number) {
                Some(rule) => Ruling::new(effect, Cause::Rule(rule)),
                None => self.default("files", Effect::Deny),
            },
            FileFound::ReadOnly(number) => match rule(number) {
                Some(rule) => Ruling::new(Effect::Deny, Cause::ReadOnly(rule)),
                None => self.default("files", Effect::Deny),
            },
            FileFound::Default(effect) => self.default("files", effect),
        }
    }
}

impl Section<Destinations> {
    fn net(&self, (found, duties): (Found, Duties)) -> Ruling<'_> {
        let rule = |number: u32| self.rules.rules.get(number as usize);
        let ruling = match found {
            Found::Rule(effect, number) => rule(number).map(|rule| Ruling::new(effect, Cause::Rule(rule))),
            Found::Outside(number, why) => {
                rule(number).map(|rule| Ruling::new(Effect::Deny, Cause::Outside(rule, why)))
            }
            Found::Unread(number, why) => rule(number).map(|rule| Ruling::new(Effect::Deny, Cause::Unread(rule, why))),
            Found::Special(special) => Some(Ruling::new(Effect::Deny, Cause::Special(special))),
            Found::RecordType => Some(Ruling::new(Effect::Deny, Cause::RecordType)),
            Found::Default => None,
        };
        let mut ruling = ruling.unwrap_or_else(|| self.default("net", self.rules.default));
        if ruling.effect != Effect::Deny {
            ruling.duties = duties;
        }
        ruling
    }
}

//! Guard `browser`: what becomes of acts of each risk, whatever rules allow.

use bartizan_model::{ActionKind, Deed, Effect, Risk};

use crate::deeds::url_host;
use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::language::{PolicyFile, Risks};

/// Where pages are, as rules over hosts without ports mean it.
const HTTPS_PORT: u16 = 443;

pub(super) fn compile(file: &PolicyFile) -> Option<Box<dyn Guard>> {
    let risks = file.browser.as_ref()?.risks.clone()?;
    Some(Box::new(BrowserGuard { risks }))
}

#[derive(Debug)]
struct BrowserGuard {
    risks: Risks,
}

impl Guard for BrowserGuard {
    fn name(&self) -> &'static str {
        "browser"
    }

    fn interest(&self) -> Interest {
        Interest::of(&[ActionKind::BrowserAct])
    }

    /// What isn't known to be harmless is of medium risk; a page on a host that `net` denies can't be had either way.
    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let Deed::BrowserAct { url, .. } = scene.deed else { return };
        if let Some(host) = url_host(url) {
            let connect = Deed::NetConnect { host: host.to_owned(), port: HTTPS_PORT };
            let denied = scene.policy.decide(&connect).is_some_and(|ruling| ruling.effect == Effect::Deny);
            if denied {
                let message = "`net` denies the page's host";
                findings.push(Found::new("browser", Effect::Deny, Risk::High, "browser.net", None, message));
            }
        }
        let effect = self.risks.of(Risk::Medium);
        if effect > Effect::Allow {
            let message = "this act is of medium risk";
            findings.push(Found::new("browser", effect, Risk::Medium, "browser.risks.medium", None, message));
        }
    }

    fn explain(&self) -> Vec<String> {
        let risks = [("low", Risk::Low), ("medium", Risk::Medium), ("high", Risk::High), ("critical", Risk::Critical)];
        let lines = risks.map(|(name, risk)| format!("acts of {name} risk: {} at least", self.risks.of(risk).as_str()));
        lines.into_iter().collect()
    }
}

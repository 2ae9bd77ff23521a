//! Guard `browser`: what becomes of acts of each risk, whatever rules allow; pages whose host `net` denies; secrets
//! typed into pages.

use bartizan_model::{ActionKind, Deed, Effect, Risk, SightingClass};

use crate::deeds::url_host;
use crate::guards::{Findings, Found, Guard, Interest, Scene, acts};
use crate::language::{PolicyFile, Risks};

/// Where pages are, as rules over hosts without ports mean it.
const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;
/// How sure the scanner must be that what is typed is a secret.
const SECRET_SCORE: u8 = 50;

pub(super) fn compile(file: &PolicyFile) -> Option<Box<dyn Guard>> {
    let risks = file.browser.as_ref()?.risks.clone().unwrap_or_default();
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

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let Deed::BrowserAct { url, content, .. } = scene.deed else { return };
        if let Some(host) = url_host(url) {
            let https = url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"));
            let connect = Deed::NetConnect { host: host.to_owned(), port: if https { HTTPS_PORT } else { HTTP_PORT } };
            let denied = scene.policy.decide(&connect).filter(|ruling| ruling.effect == Effect::Deny);
            if let Some(ruling) = denied {
                let message = "`net` denies the page's host";
                let mut found = Found::new("browser", Effect::Deny, Risk::High, "browser.net", None, message);
                found.rule.text = Some(ruling.cause.reference().rule);
                findings.push(found);
            }
        }
        // A password manager fills such fields, never an agent.
        let secret = scene.look.sightings.iter().find(|sighting| {
            sighting.class == SightingClass::Secret && sighting.score >= SECRET_SCORE && content.is_some()
        });
        if let Some(sighting) = secret {
            let effect = self.risks.of(Risk::Critical);
            if effect > Effect::Allow {
                let message = format!("a secret (`{}`) would be typed into the page", sighting.kind);
                findings.push(Found::new("browser", effect, Risk::Critical, "browser.risks.critical", None, message));
            }
        }
        acts::hold(scene, "browser", &self.risks, findings);
    }

    fn explain(&self) -> Vec<String> {
        acts::explain(&self.risks)
    }
}

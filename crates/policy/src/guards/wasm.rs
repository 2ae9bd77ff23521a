//! Guard `wasm`: asks a WebAssembly component of the policy's own.

use std::sync::Arc;

use crate::context::Context;
use crate::guards::input::Known;
use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::wasm::Wasm;

/// A component as a guard.
pub(crate) fn guard(wasm: &Arc<Wasm>, context: &Context) -> Box<dyn Guard> {
    Box::new(WasmGuard { wasm: wasm.clone(), known: Known::new(context) })
}

#[derive(Debug)]
struct WasmGuard {
    wasm: Arc<Wasm>,
    known: Known,
}

impl Guard for WasmGuard {
    fn name(&self) -> &'static str {
        "wasm"
    }

    fn interest(&self) -> Interest {
        Interest::ALL
    }

    fn reads_bodies(&self) -> bool {
        true
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let input = self.known.with_input(scene, |input| serde_json::to_string(input));
        let objections = match input {
            Ok(input) => self.wasm.answer(&input),
            Err(error) => vec![self.wasm.failed(&format!("the input can't be written as JSON ({error})"))],
        };
        for objection in objections {
            let mut found =
                Found::new("wasm", objection.effect, objection.risk, objection.rule, None, objection.message);
            found.rule.text = Some(found.message.clone());
            found.rule.source = Some(self.wasm.name().to_owned());
            findings.push(found);
        }
    }

    fn explain(&self) -> Vec<String> {
        vec![format!(
            "every action is shown to the component {} ({}); it may deny it or have it asked, never allow it",
            self.wasm.name(),
            self.wasm.bounds()
        )]
    }
}

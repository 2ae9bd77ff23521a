//! Stands in for components where the engine isn't built in: none can be made, so that none is ever passed over.

use super::{Bounds, Objection};
use crate::load::Source;
use crate::place::{Place, quoted};

/// A component, of which there are none.
#[derive(Debug)]
pub(crate) enum Wasm {}

impl Wasm {
    /// # Errors
    /// Always: what to do about it.
    pub(crate) fn compile(source: &Source, _: Bounds, _: Place) -> Result<Self, String> {
        Err(format!(
            "{} is a guard in WebAssembly, and this build has none; build with `cargo build --release --features wasm`, or leave the guard out",
            quoted(&source.name)
        ))
    }

    pub(crate) fn name(&self) -> &str {
        match *self {}
    }

    pub(crate) fn place(&self) -> &Place {
        match *self {}
    }

    pub(crate) fn bounds(&self) -> Bounds {
        match *self {}
    }

    pub(crate) fn answer(&self, _: &str) -> Vec<Objection> {
        match *self {}
    }

    pub(crate) fn failed(&self, _: &str) -> Objection {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use crate::{Loader, Policy, Source};

    struct Beside;

    impl Loader for Beside {
        fn file(&self, reference: &str, _: &str) -> Result<Source, String> {
            Err(format!("there is no `{reference}`"))
        }

        fn module(&self, reference: &str, _: &str) -> Result<Source, String> {
            Ok(Source::new(reference, "\0asm\x0d\0\x01\0"))
        }
    }

    #[test]
    fn a_policy_that_names_a_component_is_refused() {
        let load = |text: &str| Policy::load(&Source::new("p.yaml", text), &Beside);
        assert!(load("bartizan: 1\n").is_ok());
        let errors = load("bartizan: 1\nguards: [{ wasm: ./g.wasm }]\n").unwrap_err().to_string();
        assert!(errors.contains("p.yaml:2:") && errors.contains("--features wasm"), "{errors}");
    }
}

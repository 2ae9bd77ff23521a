//! Guard `patches`: what a patch may be, beside the paths it touches.

use bartizan_model::{ActionKind, Deed, Effect, Risk};

use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::language::{Patches, PolicyFile};

pub(super) fn compile(file: &PolicyFile) -> Option<Box<dyn Guard>> {
    Some(Box::new(PatchGuard { patches: file.patches.clone()? }))
}

#[derive(Debug)]
struct PatchGuard {
    patches: Patches,
}

impl Guard for PatchGuard {
    fn name(&self) -> &'static str {
        "patches"
    }

    fn interest(&self) -> Interest {
        Interest::of(&[ActionKind::FilePatch])
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let Deed::FilePatch { patch, .. } = scene.deed else { return };
        if let Some(size) = &self.patches.size
            && patch.length_bytes() > size.value.0
        {
            let message = format!("the patch has {} bytes, the most is {}", patch.length_bytes(), size.value);
            findings.push(Found::new(
                "patches",
                Effect::Deny,
                Risk::Medium,
                "patches.size",
                Some(&size.place),
                message,
            ));
        }
        if let Some(unclear) = &self.patches.unclear
            && patch.text().is_none()
        {
            let message = "the patch is no text";
            findings.push(Found::new(
                "patches",
                unclear.value,
                Risk::High,
                "patches.unclear",
                Some(&unclear.place),
                message,
            ));
        }
    }

    fn explain(&self) -> Vec<String> {
        let size = self.patches.size.as_ref().map(|size| format!("refuses patches of more than {}", size.value));
        let unclear = self.patches.unclear.as_ref();
        let unclear = unclear.map(|effect| format!("patches that can't be understood: {}", effect.value.as_str()));
        size.into_iter().chain(unclear).collect()
    }
}

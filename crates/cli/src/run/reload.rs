//! Notices changes of the policy's files while a box runs: a better policy takes over whole, a broken one
//! changes nothing and says so. What was admitted under the old policy and is now denied ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bartizan_gate::Gate;
use bartizan_model::RunId;
use bartizan_net::Network;

use crate::home::Home;
use crate::policies::{Choice, Policies, Stamps};
use crate::wiring::PolicyDecider;

/// How often the files are looked at: soon enough for a person, cheap enough to forget.
const PERIOD: Duration = Duration::from_millis(500);

/// Watches until dropped. The box's mounts stay as they were built; its network, programs and guarded names
/// follow the new policy.
pub async fn watch(
    home: Home,
    choice: Choice,
    mut policies: Policies,
    decider: Arc<PolicyDecider>,
    gate: Arc<Gate>,
    run: RunId,
    network: Arc<Network>,
) {
    let mut stamps = Stamps::of(&policies.files);
    loop {
        tokio::time::sleep(PERIOD).await;
        let now = Stamps::of(&policies.files);
        if now == stamps {
            continue;
        }
        stamps = now;
        let message = match Policies::load(&home, &choice, &policies.workspace) {
            Ok(loaded) => {
                let message = format!("the policy is now {}", loaded.describe());
                decider.swap(loaded.set.clone());
                policies = loaded;
                network.redecide();
                stamps = Stamps::of(&policies.files);
                message
            }
            Err(error) => {
                format!("the policy's files changed but can't be used, so the policy stays as it was: {error:#}")
            }
        };
        let _ = gate.note(Some(run.clone()), "policy.reload", &message, BTreeMap::new()).await;
    }
}

//! Takes a changed policy over while a box runs: open connections and questions that wait are decided anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use bartizan_gate::Gate;
use bartizan_model::RunId;
use bartizan_net::Network;

use crate::reload::{Change, PERIOD, Reloader};
use crate::run::streams::Announcer;
use crate::wiring::PolicyDecider;

/// Watches until dropped. The box's mounts stay as they were built; its network, programs and guarded names
/// follow the new policy.
pub async fn watch(
    mut reloader: Reloader,
    decider: Arc<PolicyDecider>,
    gate: Arc<Gate>,
    run: RunId,
    network: Arc<Network>,
    announcer: Announcer,
) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let message = match reloader.look() {
            None => continue,
            Some(Change::Better(loaded)) => {
                decider.swap(loaded.set.clone());
                network.redecide();
                gate.redecide();
                format!("the policy is now {}", loaded.describe())
            }
            Some(Change::Broken(problem)) => problem,
        };
        announcer.say(&message);
        let _ = gate.note(Some(run.clone()), "policy.reload", &message, BTreeMap::new()).await;
    }
}

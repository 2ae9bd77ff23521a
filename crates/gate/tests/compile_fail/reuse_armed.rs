//! One admission serves one effect: the proof can't be copied or closed twice.
use bartizan_gate::{Armed, Gate};
use bartizan_model::{Outcome, OutcomeStatus};

async fn twice(gate: &Gate, armed: Armed) {
    let _ = gate.close(armed, Outcome::new(OutcomeStatus::Done)).await;
    let _ = gate.close(armed, Outcome::new(OutcomeStatus::Done)).await;
}

fn main() {}

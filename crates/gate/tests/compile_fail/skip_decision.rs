//! An identified action is not yet permitted.
use bartizan_gate::{Gate, Identified};

async fn skip(gate: &Gate, identified: Identified) {
    let _ = gate.approve(identified).await;
}

fn main() {}

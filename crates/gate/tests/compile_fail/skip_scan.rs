//! An identified action can't be decided before its content was looked at.
use bartizan_gate::{Gate, Identified};

async fn skip(gate: &Gate, identified: Identified) {
    let _ = gate.decide(identified).await;
}

fn main() {}

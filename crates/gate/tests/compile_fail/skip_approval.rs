//! A permitted action can't be opened without passing approval.
use bartizan_gate::{Gate, Permitted};

async fn skip(gate: &Gate, permitted: Permitted) {
    let _ = gate.open(permitted).await;
}

fn main() {}

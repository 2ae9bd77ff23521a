//! An approved action can't be armed before its intent is in the ledger.
use bartizan_gate::{Approved, Gate};

async fn skip(gate: &Gate, approved: Approved) {
    let _ = gate.inject(approved).await;
}

fn main() {}

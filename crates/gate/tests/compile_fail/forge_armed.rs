//! An effect's proof can't be made by hand.
use bartizan_gate::{Armed, Opened};

fn forge(opened: Opened) -> Armed {
    Armed { opened }
}

fn main() {}

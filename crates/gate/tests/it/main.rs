//! The gate's promises: no stage can be skipped, intent comes before effect, every end is recorded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod classes;
mod desk;
mod redaction;
mod stages;
mod world;

#[test]
fn no_stage_can_be_skipped() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

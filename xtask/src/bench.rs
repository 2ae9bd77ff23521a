//! `cargo xtask bench`: stub
pub(crate) fn bench(_arguments: &[&str]) -> anyhow::Result<()> {
    Ok(())
}

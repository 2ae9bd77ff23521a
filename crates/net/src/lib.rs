//! placeholder
pub mod address;
pub mod hello;
pub mod host;
pub mod namespace;
mod netlink;
mod nftables;

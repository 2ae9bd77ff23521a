//! The stores, one file each. All pass testkit's one store suite.

pub mod age;
pub mod environment;
pub mod kv2;

//! The commands, one file each.

pub mod approval;
pub mod boxes;
pub mod bundle;
pub mod check;
pub mod codegen;
pub mod completions;
pub mod doctor;
pub mod effects;
pub mod enter;
pub mod exception;
pub mod import;
pub mod init;
pub mod llm;
pub mod log;
pub mod net;
pub mod policy;
pub mod receipt;
pub mod redact;
pub mod run;
pub mod scan;
pub mod secret;
pub mod watch;

//! What Bartizan says to the outside: the configuration file, the environment it reads, and the wire types
//! of its local interfaces. Shapes only: nothing here opens a file or a socket. Start with [`config`] for
//! settings, [`check`] for decisions over pipes, [`control`] for talking to a running box, [`spec`] for the schemas of all this.

pub mod check;
pub mod config;
pub mod control;
pub mod env;
pub mod event;
pub mod spec;

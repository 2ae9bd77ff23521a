//! Reaching those who serve or guard the person: sockets, agents, the environment.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
};

use crate::{
    Attack,
    attempt::{Outcome, attempt},
};

pub(crate) const ATTACKS: &[Attack] = &[
    ("unix", "PATH…", |a| {
        for path in a {
            attempt(&format!("unix {path}"), || UnixStream::connect(path).map(|_| "connected".into()));
        }
    }),
    ("abstract", "NAME…", |a| {
        for name in a {
            attempt(&format!("abstract {name}"), || abstract_socket(name));
        }
    }),
    ("environment", "NAME…", |a| {
        for name in a {
            attempt(&format!("environment {name}"), || environment(name));
        }
    }),
    ("environment_socket", "NAME", |a| attempt(&format!("environment_socket {}", a[0]), || environment_socket(a[0]))),
];

fn abstract_socket(name: &str) -> Outcome {
    let address = SocketAddr::from_abstract_name(name)?;
    UnixStream::connect_addr(&address).map(|_| "connected".into())
}

fn environment(name: &str) -> Outcome {
    std::env::var(name).map_err(|_| io::Error::from(io::ErrorKind::NotFound))
}

/// Connect to the socket a variable names: `SSH_AUTH_SOCK`, `DBUS_SESSION_BUS_ADDRESS`, `DOCKER_HOST`.
fn environment_socket(name: &str) -> Outcome {
    let value = environment(name)?;
    let value = value.split(',').next().unwrap_or_default();
    let path = value.trim_start_matches("unix:path=").trim_start_matches("unix://");
    match value.strip_prefix("unix:abstract=") {
        Some(name) => abstract_socket(name),
        None => UnixStream::connect(path).map(|_| "connected".into()),
    }
}

//! Why a layer could not be had.

use std::fmt::Display;

use bartizan_jail::Layer;
use rustix::io::Errno;

/// A layer that failed, what was tried, and the system's reason.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) layer: Layer,
    pub(crate) what: String,
    pub(crate) errno: i32,
}

/// Names the layer and the deed of a failed system call.
pub(crate) trait At<T> {
    fn at(self, layer: Layer, what: impl Display) -> Result<T, Fault>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, layer: Layer, what: impl Display) -> Result<T, Fault> {
        self.map_err(|errno| Fault { layer, what: what.to_string(), errno: errno.raw_os_error() })
    }
}

//! Everything here runs in real network namespaces, as whoever runs the tests; `ordinary_user` repeats it all
//! as an ordinary user when that is root.

mod namespace;
mod netns;
mod ordinary_user;

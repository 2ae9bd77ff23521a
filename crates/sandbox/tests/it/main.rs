//! Real boxes, made by whoever runs the tests; when that is root, each test runs a second time as an
//! ordinary user.

mod harness;
mod start;
mod warden;

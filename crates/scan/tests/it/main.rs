//! The redactor as its users see it: properties over arbitrary text.

mod properties;

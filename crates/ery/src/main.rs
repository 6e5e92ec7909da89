//! The `ery` binary.
fn main() {}

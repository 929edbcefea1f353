//! Answers reports over gRPC and JSON, and creates properties.
fn main() {}

//! The meridian command: run everything on one machine, create properties, ask for reports, import logs.
fn main() {}

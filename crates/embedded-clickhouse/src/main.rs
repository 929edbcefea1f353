//! The ClickHouse engine as a library, in a process of its own, behind the HTTP interface.
fn main() {}

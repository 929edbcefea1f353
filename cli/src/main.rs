//! The `meridian` command: see `meridian --help`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    meridian::run(meridian::Arguments::parse())
}

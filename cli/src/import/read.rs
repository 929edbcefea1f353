//! Reads a log line by line: a file or standard input, plain or gzip, with a progress bar on a terminal.
//!
//! Lines need not be UTF-8; what is not becomes U+FFFD, so that no byte stops an import.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};

/// First bytes of a gzip stream (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A line of the log.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// From 1.
    pub number: u64,
    /// Without its end (`\n` or `\r\n`).
    pub text: &'a str,
}

/// A progress bar over the bytes of a file; hidden when stderr is no terminal or the size is not known.
pub fn progress_of(file: &Path) -> ProgressBar {
    let Some(size) = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len())
    else {
        return ProgressBar::hidden();
    };
    let bar = ProgressBar::new(size);
    if let Ok(style) = ProgressStyle::with_template("reading {wide_bar} {bytes} of {total_bytes}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

/// Calls `take` with every line; an empty line at the very end is no line.
///
/// # Errors
/// When the file cannot be opened or read, or its gzip stream is broken.
pub fn for_each_line(
    file: &Path,
    progress: &ProgressBar,
    mut take: impl FnMut(Line<'_>),
) -> anyhow::Result<()> {
    let name = file.display().to_string();
    let bytes: Box<dyn Read> = if name == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(file).with_context(|| format!("cannot open the log {name}"))?)
    };
    let mut bytes = BufReader::new(progress.wrap_read(bytes));
    let gzip =
        bytes.fill_buf().with_context(|| format!("cannot read the log {name}"))?.starts_with(&GZIP_MAGIC);
    let mut lines: Box<dyn BufRead> =
        if gzip { Box::new(BufReader::new(MultiGzDecoder::new(bytes))) } else { Box::new(bytes) };
    let mut buffer = Vec::new();
    for number in 1.. {
        buffer.clear();
        let read = lines
            .read_until(b'\n', &mut buffer)
            .with_context(|| format!("cannot read line {number} of {name}"))?;
        if read == 0 {
            break;
        }
        let line = buffer.strip_suffix(b"\n").unwrap_or(&buffer);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        take(Line { number, text: &String::from_utf8_lossy(line) });
    }
    Ok(())
}

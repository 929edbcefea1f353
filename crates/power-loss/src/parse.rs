//! Lines of `strace -f -xx` to finished calls.
//!
//! `12 fsync(7 <unfinished ...>` and `12 <... fsync resumed>) = 0` are one call, which began at the first line and ended at
//! the second. Strings are in hexadecimal throughout, so a comma or a bracket in the arguments is strace's own.

use std::collections::HashMap;

use anyhow::{Context as _, bail, ensure};

/// A call that ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
    /// What it returned; a failed call has none.
    pub(crate) result: Option<u64>,
    /// Number of calls that had ended when it began.
    pub(crate) begun_after: usize,
}

/// All calls, in the order in which they ended; a `close` where it began.
pub(crate) fn calls(trace: &str) -> anyhow::Result<Vec<Call>> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, (String, usize)> = HashMap::new();
    for line in trace.lines() {
        let (thread, text) = line.split_once(' ').with_context(|| format!("no thread in {line:?}"))?;
        let text = text.trim_start();
        if text.starts_with("+++") || text.starts_with("---") {
            continue;
        }
        if let Some(begun) = text.strip_suffix("<unfinished ...>") {
            let begun = begun.trim_end();
            if begun.starts_with("close(") {
                // Its number is free from now on: another thread may have it again before this call has returned.
                calls.extend(call(&format!("{begun}) = 0"), calls.len())?);
            }
            unfinished.insert(thread, (begun.to_owned(), calls.len()));
            continue;
        }
        let (whole, begun_after) = match text.strip_prefix("<... ") {
            Some(resumed) => {
                let (_, rest) = resumed.split_once("resumed>").context("a call that was not resumed")?;
                let (begun, at) = unfinished.remove(thread).with_context(|| format!("resumed: {line:?}"))?;
                if begun.starts_with("close(") {
                    continue;
                }
                (begun + rest, at)
            }
            None => (text.to_owned(), calls.len()),
        };
        if let Some(call) = call(&whole, begun_after).with_context(|| format!("in {:.200}", whole))? {
            calls.push(call);
        }
    }
    Ok(calls)
}

/// `None`: the thread ended in it.
fn call(text: &str, begun_after: usize) -> anyhow::Result<Option<Call>> {
    let (name, rest) = text.split_once('(').context("no call")?;
    let (arguments, result) = rest.rsplit_once(" = ").context("no result")?;
    let arguments = arguments.trim_end().strip_suffix(')').context("no end of the arguments")?;
    let result = result.split(' ').next().unwrap_or_default();
    if result == "?" {
        return Ok(None);
    }
    let result = if result.starts_with('-') { None } else { Some(number(result)?) };
    Ok(Some(Call { name: name.to_owned(), arguments: split(arguments), result, begun_after }))
}

fn split(arguments: &str) -> Vec<String> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0_usize, 0);
    for (at, byte) in arguments.bytes().enumerate() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(arguments[begin..at].trim().to_owned());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(arguments[begin..].trim().to_owned());
    parts
}

/// A number as strace writes it.
pub(crate) fn number(text: &str) -> anyhow::Result<u64> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.with_context(|| format!("{text:?} is no number"))
}

/// The bytes of a string argument, which must be whole.
pub(crate) fn bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        bail!("{text:.80} is no whole string: strace was told to print all of it");
    };
    ensure!(inner.len().is_multiple_of(4), "{inner:.80} is not in hexadecimal");
    let byte = |code: &[u8]| {
        let digits = std::str::from_utf8(code).ok()?.strip_prefix("\\x")?;
        u8::from_str_radix(digits, 16).ok()
    };
    inner.as_bytes().chunks(4).map(|code| byte(code).context("a byte is not in hexadecimal")).collect()
}

/// The same as text.
pub(crate) fn text(argument: &str) -> anyhow::Result<String> {
    Ok(String::from_utf8(bytes(argument)?)?)
}

#[cfg(test)]
mod tests;

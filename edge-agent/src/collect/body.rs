//! Reads a request's body: at most so many bytes on the wire and after gzip, and within a time.
//!
//! It is JSON whatever `Content-Type` says: `sendBeacon` sends text/plain, curl calls everything a form.

use std::io::Read;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::HeaderMap;
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_ENCODING, HeaderName};
use protocol::{Code, Refusal};

/// Reads and decompresses the body.
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Bytes, Refusal>
where
    B: Body,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let is_gzip = is_gzip(headers)?;
    let collected = tokio::time::timeout(timeout, Limited::new(body, max_bytes).collect()).await;
    let Ok(collected) = collected else {
        let message = format!("the body did not come within {} ms", timeout.as_millis());
        return Err(Refusal::whole(Code::Timeout, message));
    };
    let bytes = collected.map_err(|error| {
        if error.is::<LengthLimitError>() {
            too_large("the body", max_bytes)
        } else {
            Refusal::whole(Code::InvalidJson, "the body ended early")
        }
    })?;
    let bytes = bytes.to_bytes();
    if is_gzip { gunzip(&bytes, max_bytes) } else { Ok(bytes) }
}

fn too_large(what: &str, max_bytes: usize) -> Refusal {
    Refusal::whole(
        Code::TooLarge,
        format!("{what} has more than {max_bytes} bytes; send fewer hits at a time"),
    )
}

fn gunzip(bytes: &[u8], max_bytes: usize) -> Result<Bytes, Refusal> {
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    let mut plain = Vec::with_capacity(bytes.len() * 4);
    MultiGzDecoder::new(bytes).take(limit + 1).read_to_end(&mut plain).map_err(|_| {
        Refusal::whole(Code::UnsupportedEncoding, "Content-Encoding is gzip, but the body is not gzip")
    })?;
    if plain.len() > max_bytes {
        return Err(too_large("the decompressed body", max_bytes));
    }
    Ok(Bytes::from(plain))
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    match text(headers, &CONTENT_ENCODING) {
        "" | "identity" => Ok(false),
        encoding if encoding.eq_ignore_ascii_case("gzip") => Ok(true),
        other => {
            let message = "Content-Encoding may be gzip, or left out";
            Err(Refusal::field(Code::UnsupportedEncoding, "Content-Encoding", other, message))
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("(not ASCII)").trim())
}

#[cfg(test)]
mod tests;

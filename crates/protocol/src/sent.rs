//! What every other product's protocol has in common: a request as its parser sees it, entries, outcomes, and a reply.
//!
//! A parser gives an entry for each thing that was sent, in order; the edge decides each (whose is it, is it too old) and gives
//! an outcome for each, in the same order; the protocol turns outcomes into the reply its clients expect.

#[cfg(test)]
pub(crate) mod shown;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::parsed::ParsedHit;
use crate::refusal::Refusal;

/// A request, its body read and decompressed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Path of the URL.
    pub path: &'a str,
    /// Query, without `?`.
    pub query: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Body; empty for GET.
    pub body: &'a [u8],
}

/// What a request holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sent<'a> {
    /// In the order of the request.
    pub entries: Vec<Entry<'a>>,
    /// The API secret, where the protocol has a place for it. One that is not the property's counts as none: it may belong to
    /// the product that was used before.
    pub secret: Option<Cow<'a, str>>,
}

/// One thing that a client sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    /// A hit.
    Hit {
        /// The protocol's own id of the site: `tid`, `domain`, `website`, `idsite`, `writeKey`, `aid`.
        site: Cow<'a, str>,
        /// The hit.
        hit: Box<ParsedHit<'a>>,
    },
    /// Understood, and not measured.
    Dropped {
        /// As of a hit.
        site: Cow<'a, str>,
        /// Why.
        reason: Dropped,
    },
    /// Not understood; for the replies that say so.
    Refused(Refusal),
}

/// Why something that a client sent is taken and not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// A kind of hit that there is no report for, such as Universal Analytics' `timing`, or Segment's `group`.
    Kind,
    /// It happened more than 72 h ago.
    TooOld,
    /// No property has this id.
    UnknownSite,
    /// It needs the API secret, and this is not it.
    SecretRequired,
    /// The property counts only who consented, and it does not say so.
    NoConsent,
}

impl Dropped {
    /// As a metric's label, and in the header `X-Meridian-Dropped`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::TooOld => "too_old",
            Self::UnknownSite => "unknown_site",
            Self::SecretRequired => "secret_required",
            Self::NoConsent => "no_consent",
        }
    }

    /// One sentence for people.
    pub fn message(self) -> &'static str {
        match self {
            Self::Kind => "there is no report for hits of this kind",
            Self::TooOld => "it happened more than 72 hours ago; further back needs the API secret",
            Self::UnknownSite => "no property has this id; `meridian alias add` gives it to one",
            Self::SecretRequired => "it says what needs the property's API secret, which did not come along",
            Self::NoConsent => {
                "it does not say that the visitor consented, which the property's rules require"
            }
        }
    }
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is durable.
    Taken {
        /// Who the hit is from.
        visitor_id: u64,
        /// Whether it counts as a bot's; told only where the reply says so ([`crate::Protocol::tells_bots`]).
        is_bot: bool,
    },
    /// It is not counted.
    Dropped(Dropped),
    /// It was not understood.
    Refused(Refusal),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// `Content-Type`; empty: none.
    pub content_type: &'static str,
    /// Body.
    pub body: Cow<'static, [u8]>,
    /// Others.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A transparent GIF of one pixel.
pub const PIXEL: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x21\xf9\x04\x01\x00\x00\x00\x00\
    \x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

/// The header with the number of entries that were dropped, and why the first of them was.
pub const DROPPED_HEADER: &str = "x-meridian-dropped";

impl Reply {
    /// Without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, content_type: "", body: Cow::Borrowed(&[]), headers: Vec::new() }
    }

    /// A text.
    pub(crate) fn text(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        let body = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self { status, content_type: "text/plain; charset=utf-8", body, headers: Vec::new() }
    }

    /// JSON.
    pub(crate) fn json(status: StatusCode, json: &serde_json::Value) -> Self {
        let body = Cow::Owned(json.to_string().into_bytes());
        Self { status, content_type: "application/json", body, headers: Vec::new() }
    }

    /// The pixel.
    pub(crate) fn pixel(status: StatusCode) -> Self {
        let headers = vec![(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        Self { status, content_type: "image/gif", body: Cow::Borrowed(PIXEL), headers }
    }

    /// The error shape of `docs/errors.md`, for what no protocol has words for: a full edge, a body that is too large, a quota.
    pub fn refused(refusal: &Refusal) -> Self {
        let body = Cow::Owned(refusal.to_json());
        let headers = refusal
            .retry_after_s
            .map(|seconds| (http::header::RETRY_AFTER, HeaderValue::from(seconds)))
            .into_iter()
            .collect();
        Self { status: refusal.code.status(), content_type: "application/json", body, headers }
    }
}

/// How many entries of a request were taken, dropped, refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) taken: usize,
    pub(crate) dropped: usize,
    pub(crate) refused: usize,
}

impl Tally {
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        outcomes.iter().fold(Self::default(), |mut tally, outcome| {
            match outcome {
                Outcome::Taken { .. } => tally.taken += 1,
                Outcome::Dropped(_) => tally.dropped += 1,
                Outcome::Refused(_) => tally.refused += 1,
            }
            tally
        })
    }
}

//! A hit as every parser gives it: checked, borrowed from the request where it can be, not yet anybody's.

use std::borrow::Cow;
use std::net::IpAddr;

use hit::{Item, PAGE_VIEW, Parameter};

use crate::fields::Place;
use crate::hints::Hints;

/// When a hit happened, by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HitTime {
    /// This long before it was received, milliseconds; 0: now.
    Age(u64),
    /// Then, unix milliseconds; needs the API secret.
    At(u64),
    /// Then, unix milliseconds, by a clock that nobody compared with ours: at most 72 h ago without the API secret, and now if it
    /// lies ahead.
    Claimed(u64),
}

/// What a hit says of its visitor's consent to be recognised. Most say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// It was given.
    Granted,
    /// It was refused, or taken back.
    Denied,
}

impl Consent {
    /// As our own protocol spells it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "granted" => Some(Self::Granted),
            "denied" => Some(Self::Denied),
            _ => None,
        }
    }

    /// Of a switch.
    pub(crate) fn of(is_granted: bool) -> Self {
        if is_granted { Self::Granted } else { Self::Denied }
    }
}

/// A hit whose fields are all possible, whatever protocol it came by.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedHit<'a> {
    /// Event name.
    pub event: Cow<'a, str>,
    /// Page URL; empty: none (never for a page view).
    pub url: Cow<'a, str>,
    /// Host of the URL.
    pub host: Cow<'a, str>,
    /// Referrer.
    pub referrer: Cow<'a, str>,
    /// Title.
    pub title: Cow<'a, str>,
    /// Language tag.
    pub language: Cow<'a, str>,
    /// Screen size.
    pub screen: Cow<'a, str>,
    /// The client's visitor id; empty: none.
    pub client_id: Cow<'a, str>,
    /// The client's session id; empty: none.
    pub session_id: Cow<'a, str>,
    /// Whether the client says that this is its first visit.
    pub first_visit: Option<bool>,
    /// What the client says of consent.
    pub consent: Option<Consent>,
    /// Milliseconds.
    pub engagement_ms: u64,
    /// When.
    pub time: HitTime,
    /// Idempotency id; empty: none.
    pub id: Cow<'a, str>,
    /// How often it was sent before.
    pub attempt: u32,
    /// Parameters.
    pub params: Vec<Parameter>,
    /// Goods that the event is about.
    pub items: Vec<Item>,
    /// The visitor's address; needs the API secret.
    pub ip: Option<IpAddr>,
    /// The visitor's user agent, in place of the request's; needs the API secret in our own protocol.
    pub user_agent: Option<Cow<'a, str>>,
    /// What the browser says of itself beside the user agent, where the protocol has a place for it.
    pub client_hints: Option<Hints<'a>>,
    /// Whether a server sent this for the visitor, so that address and user agent of the request are not the visitor's.
    pub sent_by_server: bool,
    /// The first field found that needs the API secret.
    pub needs_secret: Option<&'static str>,
    /// Where it stood.
    pub place: Place,
}

impl ParsedHit<'_> {
    /// A page view of now without anything else.
    pub fn empty(place: Place) -> Self {
        const NONE: Cow<'static, str> = Cow::Borrowed("");
        Self {
            event: Cow::Borrowed(PAGE_VIEW),
            url: NONE,
            host: NONE,
            referrer: NONE,
            title: NONE,
            language: NONE,
            screen: NONE,
            client_id: NONE,
            session_id: NONE,
            first_visit: None,
            consent: None,
            engagement_ms: 0,
            time: HitTime::Age(0),
            id: NONE,
            attempt: 0,
            params: Vec::new(),
            items: Vec::new(),
            ip: None,
            user_agent: None,
            client_hints: None,
            sent_by_server: false,
            needs_secret: None,
            place,
        }
    }
}

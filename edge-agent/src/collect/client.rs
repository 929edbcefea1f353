//! Who sent a request: its address behind trusted proxies, where they say it is, and what of the address is kept.
//!
//! Headers count only from a trusted peer, in this order: the one that the configuration names, `X-Forwarded-For`, `Forwarded` (RFC 7239). Of a list the rightmost address that is no trusted proxy counts: what
//! stands left of it was written by the client and proves nothing. `Forwarded` comes last because most proxies write `X-Forwarded-For` and hand on a `Forwarded` that the client wrote.

use std::net::IpAddr;

use hit::AddressPolicy;
use hyper::HeaderMap;
use hyper::header::{FORWARDED, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::Config;
use super::locate::Located;
use super::locate::told::{self, Told};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies in front of the edge.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    trusted: Vec<IpNet>,
    address_header: Option<HeaderName>,
    told: Told,
}

/// Who sent a request.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    /// Its address, an IPv4 one as such.
    pub(crate) address: IpAddr,
    /// Where it is by what a trusted proxy says; `None`: it says nothing.
    pub(crate) located: Option<Located<'a>>,
}

impl Proxies {
    /// Checks the configuration; the error names the setting.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let address_header =
            told::header_name("collect.client_address_header", &config.client_address_header)?;
        let told = Told::by(&config.location_headers)?;
        if config.trusted_proxies.is_empty() && (address_header.is_some() || told.is_any()) {
            return Err("collect.trusted_proxies is empty, so collect.client_address_header and collect.location_headers would never count; \
                        name the networks of the proxies that set them"
                .into());
        }
        Ok(Self { trusted: config.trusted_proxies.clone(), address_header, told })
    }

    /// Who sent a request that came from `peer`.
    pub(crate) fn client<'a>(&self, peer: IpAddr, headers: &'a HeaderMap) -> Client<'a> {
        let peer = peer.to_canonical();
        if !self.is_trusted(peer) {
            return Client { address: peer, located: None };
        }
        Client { address: self.address(peer, headers), located: self.told.read(headers) }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    fn address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if let Some(name) = &self.address_header
            && let Some(address) = only_address(headers, name)
        {
            return address;
        }
        let is_named = self.address_header.as_ref() == Some(&FORWARDED);
        let has = |name| headers.contains_key(name);
        if has(FORWARDED) && (is_named || !has(X_FORWARDED_FOR)) {
            let elements = lines(headers, FORWARDED).flat_map(|line| rsplit_unquoted(line, ','));
            self.last_untrusted(peer, elements.map(forwarded_for))
        } else {
            let hops = lines(headers, X_FORWARDED_FOR).flat_map(|line| line.rsplit(','));
            self.last_untrusted(peer, hops.map(hop_address))
        }
    }

    /// The first hop, seen from here, that is no trusted proxy. What cannot be read ends the chain that is believed.
    fn last_untrusted(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut client = peer;
        for hop in hops {
            let Some(address) = hop else { break };
            client = address;
            if !self.is_trusted(client) {
                break;
            }
        }
        client
    }
}

/// The values of a header, the last first; one that is no text is empty.
fn lines(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().rev().map(|line| line.to_str().unwrap_or_default())
}

/// The address in a header that has a single one. Sent twice, somebody but the proxy wrote one of them: none.
fn only_address(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let mut values = headers.get_all(name).iter();
    let value: Option<&HeaderValue> = values.next();
    if values.next().is_some() {
        return None;
    }
    hop_address(value?.to_str().ok()?)
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]:443`.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bracketed = || hop.strip_prefix('[')?.split_once(']')?.0.parse().ok();
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// The address in an element of `Forwarded`: `for=192.0.2.43`, `by=_x;For="[2001:db8::1]:4711"`. `unknown` and names such as `_hidden` are none.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let value = rsplit_unquoted(element, ';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    })?;
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    hop_address(quoted.unwrap_or(value))
}

/// Parts of a list, the last first; a separator in quotes is none. From behind, since an open quote that the client wrote would hide what the
/// proxies behind it appended.
fn rsplit_unquoted(list: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    list.rsplit(move |letter| {
        is_quoted ^= letter == '"';
        letter == separator && !is_quoted
    })
}

/// What is kept of an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing.
    #[default]
    Nothing,
    /// /24.
    V4([u8; 3]),
    /// /48.
    V6([u8; 6]),
    /// All of it.
    FullV4([u8; 4]),
    /// All of it.
    FullV6([u8; 16]),
}

impl std::ops::Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
            Self::FullV4(bytes) => bytes,
            Self::FullV6(bytes) => bytes,
        }
    }
}

/// What a property keeps of an address; truncated: the first 3 bytes of an IPv4 address (/24), the first 6 of an IPv6 address (/48).
pub(crate) fn kept(address: IpAddr, policy: AddressPolicy) -> Kept {
    match policy {
        AddressPolicy::None => Kept::Nothing,
        AddressPolicy::Truncated => truncated(address),
        AddressPolicy::Full => match address {
            IpAddr::V4(v4) => Kept::FullV4(v4.octets()),
            IpAddr::V6(v6) => Kept::FullV6(v6.octets()),
        },
    }
}

fn truncated(address: IpAddr) -> Kept {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Kept::V4([a, b, c])
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, ..] = v6.octets();
            Kept::V6([a, b, c, d, e, f])
        }
    }
}

#[cfg(test)]
mod tests;

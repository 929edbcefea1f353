//! Who sent a request: its address behind trusted proxies, and what of the address may be kept.
//!
//! `X-Forwarded-For` counts only from a trusted peer, and then its rightmost address that is no trusted proxy: what
//! stands left of it was written by the client and proves nothing.

use std::net::IpAddr;

use hyper::HeaderMap;
use ipnet::IpNet;

/// The address of the client.
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(&client) {
        return client;
    }
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let hops = lines.iter().rev().flat_map(|line| line.to_str().unwrap_or("").rsplit(','));
    for hop in hops {
        // What cannot be read ends the chain that is believed.
        let Some(address) = hop_address(hop.trim()) else { break };
        client = address;
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]:443`.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.split_once(']')?.0.parse().ok();
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// What may be kept of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truncated {
    /// /24.
    V4([u8; 3]),
    /// /48.
    V6([u8; 6]),
}

impl std::ops::Deref for Truncated {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }
}

/// The first 3 bytes of an IPv4 address (/24), the first 6 of an IPv6 address (/48).
pub(crate) fn truncate(address: IpAddr) -> Truncated {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Truncated::V4([a, b, c])
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, ..] = v6.octets();
            Truncated::V6([a, b, c, d, e, f])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, lines: &[&str]) -> String {
        let trusted: Vec<IpNet> = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_peers() {
        for (peer, lines, expected) in [
            ("203.0.113.9", vec!["198.51.100.1"], "203.0.113.9"),
            ("127.0.0.1", vec![], "127.0.0.1"),
            ("127.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", vec!["1.1.1.1, 198.51.100.1, 10.1.1.1"], "198.51.100.1"),
            ("127.0.0.1", vec!["1.1.1.1", "198.51.100.1", "10.1.1.1"], "198.51.100.1"),
            ("127.0.0.1", vec!["198.51.100.1, nonsense, 10.1.1.1"], "10.1.1.1"),
            ("127.0.0.1", vec!["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
            ("::ffff:127.0.0.1", vec!["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.7", vec!["198.51.100.1:5000"], "198.51.100.1"),
            ("10.0.0.7", vec!["::ffff:198.51.100.1"], "198.51.100.1"),
        ] {
            assert_eq!(found(peer, &lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn only_the_network_part_is_kept() {
        assert_eq!(*truncate("203.0.113.9".parse().unwrap()), [203, 0, 113]);
        assert_eq!(*truncate("2001:db8:1:2::9".parse().unwrap()), [0x20, 1, 0xd, 0xb8, 0, 1]);
    }
}

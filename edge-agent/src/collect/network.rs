//! What kind of network an address is in: the site's own people's, or a data centre's.
//!
//! In: an address; ranges of data centres from a file of networks; a property's own networks from its rules. Out: the word that the hit keeps.
//! Networks are kept as sorted ranges that do not overlap, so that a look-up is a binary search.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use hit::Rules;
use ipnet::IpNet;

use super::follow::FromFile;

/// Most networks in a file.
const NETWORKS: usize = 1 << 20;

/// Most properties whose own networks are kept; at the limit all are forgotten and read again as they are needed.
const PROPERTIES: usize = 10_000;

/// What is known of the network of an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Network {
    /// Nothing.
    #[default]
    Unknown,
    /// The site's own people sit there.
    Internal,
    /// A data centre: what comes from there was rarely sent by a person's browser.
    Hosting,
}

impl Network {
    /// As in `RawHit.network`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Internal => "internal",
            Self::Hosting => "hosting",
        }
    }
}

/// Networks of both kinds of addresses: first and last address, sorted, without overlap.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl Ranges {
    fn of(networks: impl Iterator<Item = IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(network) => v4.push((network.network().into(), network.broadcast().into())),
                IpNet::V6(network) => v6.push((network.network().into(), network.broadcast().into())),
            }
        }
        Self { v4: merge(v4), v6: merge(v6) }
    }

    /// Whether an address lies in one of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => is_within(&self.v4, address.into()),
            IpAddr::V6(address) => is_within(&self.v6, address.into()),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// One network a line, as `203.0.113.0/24`, `2001:db8::/32` or an address; `#` begins a comment.
    fn parse(text: &str) -> Result<Self, String> {
        let mut networks = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let network = network(line).ok_or_else(|| {
                format!("has {line:?} in line {number}, which is no network; write one as in 203.0.113.0/24")
            })?;
            if networks.len() == NETWORKS {
                return Err(format!("has more than {NETWORKS} networks; merge neighbours"));
            }
            networks.push(network);
        }
        Ok(Self::of(networks.into_iter()))
    }
}

impl FromFile for Ranges {
    const SETTING: &'static str = "hosting_ranges";

    fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
        Self::parse(&text)
    }
}

/// A network, or the one of a single address.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn merge<N: Copy + Ord>(mut ranges: Vec<(N, N)>) -> Box<[(N, N)]> {
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let overlaps = next.0 <= before.1;
        if overlaps {
            before.1 = before.1.max(next.1);
        }
        overlaps
    });
    ranges.into()
}

fn is_within<N: Copy + Ord>(ranges: &[(N, N)], address: N) -> bool {
    let begun = ranges.partition_point(|range| range.0 <= address);
    let last = begun.checked_sub(1).and_then(|index| ranges.get(index));
    last.is_some_and(|range| address <= range.1)
}

/// The networks that properties call their own, read once for each version of the rules.
#[derive(Debug, Default)]
pub(crate) struct InternalNetworks(RwLock<HashMap<String, (u32, Arc<Ranges>)>>);

impl InternalNetworks {
    /// Whether an address is in a network of the property's own. A text that is no network counts for nothing.
    pub(crate) fn contain(&self, property_id: &str, rules: &Rules, address: IpAddr) -> bool {
        let networks = &rules.traffic.internal_networks;
        !networks.is_empty() && self.ranges(property_id, rules.version, networks).contains(address)
    }

    fn ranges(&self, property_id: &str, version: u32, networks: &[String]) -> Arc<Ranges> {
        if let Some((held, ranges)) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(property_id)
            && *held == version
        {
            return Arc::clone(ranges);
        }
        let ranges = Arc::new(Ranges::of(networks.iter().filter_map(|text| network(text.trim()))));
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= PROPERTIES {
            held.clear();
        }
        held.insert(property_id.to_owned(), (version, Arc::clone(&ranges)));
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(ranges: &Ranges, address: &str) -> bool {
        ranges.contains(address.parse().unwrap())
    }

    #[test]
    fn a_file_of_networks_is_read_with_comments_and_in_any_order() {
        let text = "# data centres\n\n203.0.113.128/25 # b\n203.0.113.0/24\n198.51.100.7\n2001:db8:1::/48\n192.0.2.5/31\n";
        let ranges = Ranges::parse(text).unwrap();
        // The second /25 lies in the /24; 192.0.2.5/31 is 192.0.2.4 and 192.0.2.5.
        assert_eq!(ranges.len(), 4);
        for (address, expected) in [
            ("203.0.112.255", false),
            ("203.0.113.0", true),
            ("203.0.113.255", true),
            ("203.0.114.0", false),
            ("198.51.100.6", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("192.0.2.3", false),
            ("192.0.2.4", true),
            ("192.0.2.5", true),
            ("192.0.2.6", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("2001:db8:0:ffff::", false),
            ("2001:db8:1::", true),
            ("2001:db8:1:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:db8:2::", false),
        ] {
            assert_eq!(contains(&ranges, address), expected, "{address}");
        }
        assert_eq!(Ranges::parse("# none\n").unwrap().len(), 0);
        let all = Ranges::parse("0.0.0.0/0\n::/0").unwrap();
        assert!(contains(&all, "255.255.255.255") && contains(&all, "::1"));
    }

    #[test]
    fn a_line_that_is_no_network_is_refused_by_its_number() {
        for line in ["203.0.113.0/33", "203.0.113", "AS64500", "203.0.113.0 - 203.0.113.9"] {
            let error = Ranges::parse(&format!("# a\n{line}\n")).unwrap_err();
            assert!(error.starts_with(&format!("has {line:?} in line 2")), "{error}");
        }
    }

    #[test]
    fn a_propertys_own_networks_follow_its_rules() {
        let internal = InternalNetworks::default();
        let mut rules = Rules::first("UTC");
        let at = |rules: &Rules, address: &str| internal.contain("p_a", rules, address.parse().unwrap());
        assert!(!at(&rules, "203.0.113.9"));
        rules.version = 2;
        rules.traffic.internal_networks =
            vec!["nonsense".into(), " 203.0.113.0/24".into(), "2001:db8::5".into()];
        assert!(at(&rules, "203.0.113.9") && at(&rules, "2001:db8::5") && !at(&rules, "198.51.100.1"));
        // Kept under its version, and read again for the next.
        assert_eq!(internal.0.read().unwrap().len(), 1);
        rules.version = 3;
        rules.traffic.internal_networks = vec!["198.51.100.0/24".into()];
        assert!(!at(&rules, "203.0.113.9") && at(&rules, "198.51.100.1"));
        assert!(!internal.contain("p_b", &Rules::first("UTC"), "203.0.113.9".parse().unwrap()));
    }
}

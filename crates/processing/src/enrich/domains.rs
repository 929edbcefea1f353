//! A set of domains, each with every host below it.
//!
//! In: domains of a property's rules. Out: whether a host lies in one of them. What it costs does not depend on how many there are.

use std::collections::HashSet;

use foldhash::fast::RandomState;

/// The domains, without `www.`, as [`crate::enrich::address::Address::host`] gives hosts.
#[derive(Debug, Default)]
pub struct Domains(HashSet<String, RandomState>);

impl Domains {
    /// Of these domains, in lower case.
    pub fn new(domains: &[String]) -> Self {
        let name = |domain: &String| domain.strip_prefix("www.").unwrap_or(domain).to_owned();
        Self(domains.iter().map(name).collect())
    }

    /// Whether a host is one of the domains, or lies below one.
    pub fn have(&self, host: &str) -> bool {
        !self.0.is_empty() && sources::with_parents(host).any(|domain| self.0.contains(domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lie_in_their_domains() {
        let domains = Domains::new(&["bank.example".to_owned(), "www.pay.example".to_owned()]);
        for (host, expected) in [
            ("bank.example", true),
            ("login.eu.bank.example", true),
            ("pay.example", true),
            ("riverbank.example", false),
            ("example", false),
            ("", false),
        ] {
            assert_eq!(domains.have(host), expected, "{host}");
        }
        assert!(!Domains::default().have("bank.example"));
    }
}

//! Who is to be erased: from what a caller knows of visitors to the ids that rows carry.
//!
//! In: client ids, visitor ids, or what visitors without a client id were told by on a day. Out: 64-bit ids, each once. A visitor without a
//! client id cannot be found once the salt of the day is gone; what was imported later is keyed by property and date, and can.

use std::net::IpAddr;

use configuration::SaltMap;
use configuration::salts::has_expired;
use configuration::visitor::{self, PropertyKeys};
use erasure::VisitorId;
use erasure::document::MAX_VISITORS;
use hit::limits::CLIENT_ID_BYTES;
use jiff::civil::Date;
use property::Property;

use crate::refuse::{Code, Refusal};

/// Whom to erase.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// As clients sent them.
    pub client_ids: Vec<String>,
    /// 16 hexadecimal digits.
    pub visitor_ids: Vec<String>,
    /// Visitors without a client id.
    pub traits: Vec<Traits>,
}

/// What a visitor without a client id was told by.
#[derive(Debug, Clone)]
pub struct Traits {
    /// Host name of the pages.
    pub host: String,
    /// IP address.
    pub address: String,
    /// User agent.
    pub user_agent: String,
    /// Local date.
    pub date: String,
    /// Whether the hits came when the salt of the date was gone.
    pub imported: bool,
}

impl Wanted {
    /// The ids, sorted.
    pub(super) fn ids(&self, property: &Property, salts: &SaltMap, now_ms: u64) -> Result<Vec<u64>, Refusal> {
        let Self { client_ids, visitor_ids, traits } = self;
        let count = client_ids.len() + visitor_ids.len() + traits.len();
        if !(1..=MAX_VISITORS).contains(&count) {
            let problem = format!(
                "which is not the number of visitors that one request erases; give 1 to {MAX_VISITORS} of client_ids, visitor_ids and traits"
            );
            return Err(Refusal::invalid("client_ids", &count.to_string(), problem));
        }
        let keys = PropertyKeys {
            property_id: &property.property_id,
            visitor_key: property.visitor_key.bytes(),
            zone: property.zone(),
            session_timeout_ms: 0,
        };
        let mut ids = Vec::with_capacity(count);
        for (index, client_id) in client_ids.iter().enumerate() {
            if !(1..=CLIENT_ID_BYTES).contains(&client_id.len()) {
                let problem =
                    format!("which is not 1 to {CLIENT_ID_BYTES} bytes; write it as the client sends it");
                return Err(Refusal::invalid(format!("client_ids[{index}]"), client_id, problem));
            }
            ids.push(visitor::with_client_id(keys, client_id).visitor_id);
        }
        for (index, visitor_id) in visitor_ids.iter().enumerate() {
            let VisitorId(id) = visitor_id.parse().map_err(|_| {
                let problem = "which is not 16 digits of 0-9 and a-f, as rows show it";
                Refusal::invalid(format!("visitor_ids[{index}]"), visitor_id, problem)
            })?;
            ids.push(id);
        }
        for (index, traits) in traits.iter().enumerate() {
            ids.push(traits.id(keys, &format!("traits[{index}]"), salts, now_ms)?);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

impl Traits {
    fn id(&self, keys: PropertyKeys<'_>, at: &str, salts: &SaltMap, now_ms: u64) -> Result<u64, Refusal> {
        let address = self.address.parse::<IpAddr>().map_err(|_| {
            let problem = "which is not an IP address; write it as in 203.0.113.7 or 2001:db8::1";
            Refusal::invalid(format!("{at}.address"), &self.address, problem)
        })?;
        let address = address.to_canonical();
        let date: Date = self.date.parse().map_err(|_| {
            let problem = "which is not a date; write the property's local date as in 2026-01-31";
            Refusal::invalid(format!("{at}.date"), &self.date, problem)
        })?;
        let host = self.host.to_ascii_lowercase();
        let traits = visitor::Traits { host: &host, address, user_agent: &self.user_agent };
        if self.imported {
            return Ok(visitor::cookieless_on(keys, traits, date, &SaltMap::new()));
        }
        if salts.contains_key(&date) {
            return Ok(visitor::cookieless_on(keys, traits, date, salts));
        }
        let refused = |problem: &str| Refusal::invalid(format!("{at}.date"), &self.date, problem);
        if has_expired(date, now_ms) {
            return Err(refused(
                "whose salt was erased 72 hours after the date began: nothing connects address and user agent with a visitor any more, and \
                 the visitor cannot be found. For hits that were imported after that, say imported",
            ));
        }
        let problem = "for which this api has no salt yet; send it again in a minute, and give a date that is not to come";
        Err(Refusal { code: Code::Unavailable, ..refused(problem) })
    }
}

#[cfg(test)]
mod tests;

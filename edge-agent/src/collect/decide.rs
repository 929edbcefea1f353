//! What becomes of the entries of another product's client: whose each is, whether it may be counted, and its bytes.
//!
//! In: what a parser of `protocol` gave. Out: a submission with the hits that are taken, and an outcome for each entry. An entry that
//! cannot be counted never spoils the others: that is how these protocols answer.

use std::net::IpAddr;
use std::sync::Arc;

use configuration::SaltMap;
use hit::limits;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST};
use property::Property;
use protocol::{Code, Dropped, Entry, HitTime, Outcome, ParsedHit, Protocol, Refusal, Sent};

use super::accept::{Acceptor, Moment, Now, Prepared, SECRET_HEADER, Sender, bearer, not_counted};
use super::consent;

use crate::tail::Told;

/// Hits of a request that are to be committed, and what becomes of each entry once they are.
#[derive(Debug)]
pub(crate) struct Decided {
    /// For [`Acceptor::commit`]; it may hold no hit.
    pub(crate) prepared: Prepared,
    /// In the order of the entries.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Decided {
    /// Why the request is to be sent elsewhere or later: nothing of it is taken, and something would be there or then.
    pub(crate) fn turned_away(&self) -> Option<&Refusal> {
        self.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Refused(refusal) if self.prepared.hits() == 0 => {
                let is_whole =
                    matches!(refusal.code, Code::WrongRegion | Code::OverQuota | Code::RateLimited);
                is_whole.then_some(refusal)
            }
            _ => None,
        })
    }
}

/// What all entries of a request have in common.
struct Common<'a> {
    protocol: Protocol,
    headers: &'a HeaderMap,
    sender: Sender<'a>,
    secret: Option<&'a str>,
    now_ms: u64,
    salts: &'a SaltMap,
}

/// Whose the hits of a request are, as far as it has been asked.
struct Owners<'a> {
    acceptor: &'a Acceptor,
    protocol: Protocol,
    /// The property that the request's own host name means, whatever id is sent.
    by_host: Option<Arc<Property>>,
    /// The last answer: most requests have one site.
    last: Option<(String, String, Option<Arc<Property>>)>,
}

impl Acceptor {
    /// Decides each entry of a request.
    pub(crate) fn decide(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        protocol: Protocol,
        sent: Sent<'_>,
        Now { ms: now_ms, salts }: Now,
    ) -> Decided {
        let maps = self.origins.maps();
        let sender = self.sender(peer, headers, &maps);
        let secret = sent.secret.as_deref();
        let common = Common { protocol, headers, sender, secret, now_ms, salts: &salts.salts };
        let by_host = self.property_of_host(headers);
        let mut owners = Owners { acceptor: self, protocol, by_host, last: None };
        let mut prepared = Prepared::with_capacity(sent.entries.len());
        let mut outcomes = Vec::with_capacity(sent.entries.len());
        for entry in sent.entries {
            let (site, hit) = match entry {
                Entry::Hit { site, hit } => (site, hit),
                Entry::Dropped { site, reason } => {
                    if let Some(property) = owners.find_known(&site) {
                        let told = (reason.as_str(), reason.message());
                        self.tell_dropped(property, protocol.as_str(), told, (now_ms, &mut prepared));
                    }
                    outcomes.push(Outcome::Dropped(reason));
                    continue;
                }
                Entry::Refused(refusal) => {
                    if let Some(property) = owners.by_host.clone() {
                        let told = (refusal.code.as_str(), refusal.message.as_str());
                        self.tell_dropped(property, protocol.as_str(), told, (now_ms, &mut prepared));
                    }
                    outcomes.push(Outcome::Refused(refusal));
                    continue;
                }
            };
            let outcome = match owners.find(&site, &hit.host) {
                None => Outcome::Dropped(Dropped::UnknownSite),
                Some(property) => self.decide_hit(&hit, property, &common, &mut prepared),
            };
            outcomes.push(outcome);
        }
        Decided { prepared, outcomes }
    }

    fn decide_hit(
        &self,
        hit: &ParsedHit<'_>,
        property: Arc<Property>,
        common: &Common<'_>,
        prepared: &mut Prepared,
    ) -> Outcome {
        let Common { protocol, headers, sender, secret, now_ms, salts } = common;
        let pipeline = match self.pipeline(&property) {
            Ok(pipeline) => pipeline,
            Err(refusal) => {
                let told = (refusal.code.as_str(), refusal.message.as_str());
                self.tell_dropped(property, protocol.as_str(), told, (*now_ms, prepared));
                return Outcome::Refused(refusal);
            }
        };
        let has_secret = has_secret(&property, headers, *secret, *now_ms);
        let policy = property.current_rules().privacy.consent;
        let admitted = admit(hit, has_secret, *now_ms);
        match admitted.and_then(|moment| Ok((moment, consent::usable(hit, policy)?))) {
            Err(reason) => {
                let told = (reason.as_str(), reason.message());
                self.tell_dropped(property, protocol.as_str(), told, (*now_ms, prepared));
                Outcome::Dropped(reason)
            }
            Ok((moment, hit)) => {
                if let Err(refusal) = self.count(&property, 1, *now_ms, prepared) {
                    let told = (refusal.code.as_str(), refusal.message.as_str());
                    self.tell_dropped(property, protocol.as_str(), told, (*now_ms, prepared));
                    return Outcome::Refused(refusal);
                }
                let into = (Some(*protocol), prepared);
                self.encode(&hit, (&property, pipeline), sender, (moment, salts), into)
            }
        }
    }

    /// An entry of a property that is not taken: counted when the others are committed, and told if somebody looks.
    pub(super) fn tell_dropped(
        &self,
        property: Arc<Property>,
        protocol: &str,
        (reason, message): (&'static str, &str),
        (now_ms, prepared): (u64, &mut Prepared),
    ) {
        if self.tail.is_on() {
            let line = not_counted("dropped", protocol, reason, message);
            self.tail.tell(Told { property_id: property.property_id.clone(), line }, now_ms);
        }
        prepared.not_counted.push((property, reason));
    }

    /// Likewise a request that was not understood as a whole: whose it is, its host name alone may say.
    pub(crate) fn tell_misread(&self, headers: &HeaderMap, protocol: Protocol, refusal: &Refusal) {
        let Some(property) = self.property_of_host(headers) else { return };
        self.refuse(&property, refusal.code.as_str(), 1);
        if self.tail.is_on() {
            let line = not_counted("dropped", protocol.as_str(), refusal.code.as_str(), &refusal.message);
            self.tail.tell(Told { property_id: property.property_id.clone(), line }, self.clock.now_ms());
        }
    }

    /// The property that a request to its own collect host name is for.
    fn property_of_host(&self, headers: &HeaderMap) -> Option<Arc<Property>> {
        let suffix = self.host_suffix.as_deref()?;
        let host = headers.get(HOST)?.to_str().ok()?;
        let name = host.split_once(':').map_or(host, |(name, _port)| name);
        let id = name.strip_suffix(suffix)?.strip_suffix('.')?;
        self.properties.by_measurement_id(&id.to_ascii_uppercase())
    }
}

impl Owners<'_> {
    fn find(&mut self, site: &str, page_host: &str) -> Option<Arc<Property>> {
        if let Some(property) = &self.by_host {
            return Some(Arc::clone(property));
        }
        if let Some((last_site, last_host, property)) = &self.last
            && last_site == site
            && last_host == page_host
        {
            return property.clone();
        }
        let properties = &self.acceptor.properties;
        let (protocol, host) =
            (self.protocol.as_str(), if self.protocol.ids_are_ambiguous() { page_host } else { "" });
        let property = if property::is_measurement_id(site) {
            properties.by_measurement_id(site)
        } else {
            properties.by_alias(protocol, site, host)
        };
        self.last = Some((site.to_owned(), page_host.to_owned(), property.clone()));
        property
    }

    /// The property of an entry that is not counted, as far as its id alone tells.
    fn find_known(&self, site: &str) -> Option<Arc<Property>> {
        if let Some(property) = &self.by_host {
            return Some(Arc::clone(property));
        }
        let properties = &self.acceptor.properties;
        if property::is_measurement_id(site) {
            return properties.by_measurement_id(site);
        }
        properties.by_alias(self.protocol.as_str(), site, "")
    }
}

/// When it happened, unless it may not be counted.
fn admit(hit: &ParsedHit<'_>, has_secret: bool, now_ms: u64) -> Result<Moment, Dropped> {
    if hit.needs_secret.is_some() && !has_secret {
        return Err(Dropped::SecretRequired);
    }
    let is_too_old = match hit.time {
        HitTime::Age(age_ms) => age_ms > limits::AGE_MS,
        HitTime::At(_) => false,
        HitTime::Claimed(at_ms) => now_ms.saturating_sub(at_ms) > limits::AGE_MS && !has_secret,
    };
    if is_too_old { Err(Dropped::TooOld) } else { Ok(Moment::of(hit.time, now_ms)) }
}

/// Whether the property's API secret came along, in a header or where the protocol has a place for it. Another one is no error:
/// it belongs to the product that the client was written for.
fn has_secret(property: &Property, headers: &HeaderMap, in_protocol: Option<&str>, now_ms: u64) -> bool {
    let in_headers = headers.get(SECRET_HEADER).or_else(|| headers.get(AUTHORIZATION));
    let in_headers = in_headers.and_then(|value| value.to_str().ok());
    let in_headers = in_headers.map(|text| bearer(text).unwrap_or(text).trim());
    [in_protocol, in_headers].into_iter().flatten().any(|secret| property.accepts_api_secret(secret, now_ms))
}

#[cfg(test)]
mod tests;

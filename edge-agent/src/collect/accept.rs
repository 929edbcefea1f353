//! From parsed hits to a submission: whose they are, who sent them, when they happened; then the commit.
//!
//! Each hit is encoded once, here, as it will lie in the WAL. The full client address ends here: it makes the visitor
//! id, the place and the kind of network, and is cut, or kept as the property's rules say.

use std::net::IpAddr;
use std::sync::Arc;

use configuration::SaltMap;
use configuration::visitor::{self, PropertyKeys, Traits, VisitorIds};
use hit::{HitView, ItemView, ParamValue, ParamView, block, limits};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, USER_AGENT};
use jiff::Timestamp;
use processing::{TrafficClass, TrafficReason};
use property::Property;
use protocol::own::claim::Claim;
use protocol::{Code, CollectRequest, Hints, HitTime, Outcome, ParsedHit, Place, Protocol, Refusal, hints};
use serde_json::{Map, Value, json};
use service::SharedClock;

use super::client::{self, Client, Kept, Proxies};
use super::consent;
use super::locate::Located;
use super::network::Network;
use super::origin::{Maps, Origins};
use super::quota::{At, Counted, Quotas};
use super::salts::{InForce, Salts};
use crate::handoff::CommitRefused;
use crate::handoff::regions::{Body, PipelineIndex, Refused, Regions};
use crate::properties::Properties;
use crate::tail::{Tail, Told};

/// The header for the API secret, beside `Authorization: Bearer`.
pub(super) const SECRET_HEADER: &str = "x-meridian-secret";

/// What our own protocol is called beside the others.
pub(super) const OWN_PROTOCOL: &str = "meridian";

/// What accepting needs.
#[derive(Debug)]
pub(crate) struct Acceptor {
    /// Properties.
    pub(crate) properties: Properties,
    /// Salts.
    pub(crate) salts: Arc<Salts>,
    /// Places and networks.
    pub(crate) origins: Arc<Origins>,
    /// Proxies that are believed.
    pub(crate) proxies: Arc<Proxies>,
    /// Every property has a collect host name of its own under this domain: its measurement id, in lower case.
    pub(crate) host_suffix: Option<String>,
    /// The ways to the committers, by data region.
    pub(crate) regions: Regions,
    /// What properties may still send.
    pub(crate) quotas: Arc<Quotas>,
    /// Who looks.
    pub(crate) tail: Arc<Tail>,
    /// Time.
    pub(crate) clock: SharedClock,
}

/// When a request is taken.
#[derive(Debug)]
pub(crate) struct Now {
    /// Unix milliseconds.
    pub(crate) ms: u64,
    /// Those of every date somewhere on earth then, and others.
    pub(crate) salts: Arc<InForce>,
}

/// When a hit happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Unix milliseconds.
    pub(super) event_time_ms: u64,
    /// Whether it may lie any time ago.
    pub(super) is_backdated: bool,
}

impl Moment {
    /// By the edge's clock.
    pub(super) fn of(time: HitTime, now_ms: u64) -> Self {
        match time {
            HitTime::Age(age_ms) => {
                Self { event_time_ms: now_ms.saturating_sub(age_ms), is_backdated: false }
            }
            HitTime::At(at_ms) => Self { event_time_ms: at_ms, is_backdated: true },
            HitTime::Claimed(at_ms) => Self {
                event_time_ms: at_ms.min(now_ms),
                is_backdated: now_ms.saturating_sub(at_ms) > limits::AGE_MS,
            },
        }
    }
}

/// Encoded hits of one request.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Bytes to make room for when the first hit comes.
    room: usize,
    /// One for each pipeline that gets something.
    bodies: Vec<Body>,
    /// What of them counts for a quota.
    counted: Vec<Counted>,
    /// What to tell when they are durable.
    told: Vec<Told>,
    /// What of the request is not counted, and why: told then too, for until then the client may have to send all of it again.
    pub(super) not_counted: Vec<(Arc<Property>, &'static str)>,
}

impl Prepared {
    /// Room for so many hits of the usual size.
    pub(super) fn with_capacity(hits: usize) -> Self {
        Self {
            room: hits * 512,
            bodies: Vec::new(),
            counted: Vec::new(),
            told: Vec::new(),
            not_counted: Vec::new(),
        }
    }

    /// How many hits there are.
    pub(super) fn hits(&self) -> u32 {
        self.bodies.iter().map(|body| body.hits).sum()
    }

    /// Appends what `write` does, so many hits, to what goes to a pipeline.
    fn push(&mut self, pipeline: PipelineIndex, hits: u32, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(body) = self.bodies.iter_mut().find(|body| body.pipeline() == pipeline) {
            body.hits += hits;
            return write(&mut body.bytes);
        }
        let mut body = Body::with_capacity(pipeline, std::mem::take(&mut self.room));
        body.hits += hits;
        write(&mut body.bytes);
        self.bodies.push(body);
    }
}

/// What the request says about whoever sent it.
pub(super) struct Sender<'a> {
    address: IpAddr,
    located: Located<'a>,
    user_agent: std::borrow::Cow<'a, str>,
    client_hints: Option<Hints<'a>>,
    is_prefetch: bool,
    /// For hits that name another address.
    maps: &'a Maps,
}

/// What the address of a hit says.
#[derive(Default)]
struct Origin<'a> {
    located: Located<'a>,
    network: Network,
    kept_ip: Kept,
}

impl Acceptor {
    /// The hits of a request as they will lie in the WAL, to be handed to [`Acceptor::commit`]: whoever waits for a commit
    /// then holds nothing of the request any more.
    pub(crate) fn prepare(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        request: &CollectRequest<'_>,
    ) -> Result<Prepared, Refusal> {
        let property = self.property(&request.measurement_id)?;
        let pipeline = self.pipeline(&property)?;
        let Now { ms: now_ms, salts } = self.now()?;
        let has_secret = check_secret(&property, headers, now_ms)?;
        if !has_secret {
            request.hits.iter().try_for_each(refuse_without_secret)?;
            if request.import_until_ms.is_some() {
                return Err(secret_required("import_until".into(), "an import needs"));
            }
        }
        let maps = self.origins.maps();
        let sender = self.sender(peer, headers, &maps);
        let mut prepared = Prepared::with_capacity(request.hits.len());
        for hit in &request.hits {
            let moment = event_time(hit, now_ms)?;
            let hit = match consent::usable(hit, property.current_rules().privacy.consent) {
                Ok(hit) => hit,
                Err(reason) => {
                    let told = (reason.as_str(), reason.message());
                    self.tell_dropped(Arc::clone(&property), OWN_PROTOCOL, told, (now_ms, &mut prepared));
                    continue;
                }
            };
            let into = (None, &mut prepared);
            self.encode(&hit, (&property, pipeline), &sender, (moment, &salts.salts), into);
        }
        // In the block of the last hits: whoever waits for these also has what the mark closes.
        if let Some(until_ms) = request.import_until_ms {
            refuse_future(Place::Request, "import_until", until_ms, now_ms)?;
            let mark = hit::ImportMark { property_id: property.property_id.clone(), event_time_ms: until_ms };
            prepared.push(pipeline, 0, |bytes| block::push_import_mark(bytes, &mark));
        }
        // Behind all other checks: what is refused counts for no quota.
        self.count(&property, prepared.hits(), now_ms, &mut prepared)?;
        Ok(prepared)
    }

    /// Commits the hits of a request; gives how many.
    pub(crate) async fn commit(&self, prepared: Prepared) -> Result<u32, Refusal> {
        let hits = prepared.hits();
        if !prepared.bodies.is_empty() {
            self.regions.commit(prepared.bodies).await.map_err(|refused| {
                prepared.counted.iter().for_each(|counted| self.quotas.give_back(counted));
                refuse_commit(refused)
            })?;
        }
        for (property, reason) in &prepared.not_counted {
            self.refuse(property, reason, 1);
        }
        for told in prepared.told {
            self.tail.tell(told, self.clock.now_ms());
        }
        Ok(hits)
    }

    /// Counts hits for the limits of their property, if it has any and they allow as many.
    pub(super) fn count(
        &self,
        property: &Property,
        hits: u32,
        now_ms: u64,
        prepared: &mut Prepared,
    ) -> Result<(), Refusal> {
        let Some(id) = self.quotas.limited(property).filter(|_| hits > 0) else { return Ok(()) };
        let over = if property.quota.daily_hits > 0 { self.properties.over_quota(&id) } else { None };
        let at = At { now_ms, monotonic_ms: self.clock.monotonic_ms() };
        let counted = self.quotas.take((id, property), over, u64::from(hits), at)?;
        prepared.counted.push(counted);
        Ok(())
    }

    /// Counts a request that is refused, if its property can be found, and tells of it if somebody looks. What a repeat would cure is
    /// not counted: the client sends it again.
    pub(crate) fn tell_refused(&self, claim: Option<Claim>, refusal: &Refusal) {
        let Some(Claim { measurement_id, hits }) = claim else { return };
        // That it is unknown was found out a moment ago.
        if refusal.code == Code::UnknownMeasurementId {
            return;
        }
        let Some(property) = self.properties.by_measurement_id(&measurement_id) else { return };
        if refusal.code.retry_after_s().is_none() {
            self.refuse(&property, refusal.code.as_str(), hits);
        }
        if self.tail.is_on() {
            let mut line = not_counted("refused", OWN_PROTOCOL, refusal.code.as_str(), &refusal.message);
            line.insert("field".to_owned(), json!(refusal.field));
            line.insert("value".to_owned(), json!(refusal.value));
            self.tail.tell(Told { property_id: property.property_id.clone(), line }, self.clock.now_ms());
        }
    }

    /// Counts hits of a property that are not taken.
    pub(super) fn refuse(&self, property: &Property, reason: &'static str, hits: u64) {
        let refused = Refused {
            property_id: &property.property_id,
            data_region: &property.data_region,
            rules_version: property.current_rules().version,
            reason,
        };
        self.regions.refuse(refused, hits, &self.clock);
    }

    pub(super) fn sender<'a>(&self, peer: IpAddr, headers: &'a HeaderMap, maps: &'a Maps) -> Sender<'a> {
        let Client { address, located } = self.proxies.client(peer, headers);
        Sender {
            address,
            located: located.unwrap_or_else(|| maps.locate(address)),
            maps,
            user_agent: headers.get(USER_AGENT).map_or("".into(), |v| String::from_utf8_lossy(v.as_bytes())),
            client_hints: Hints::of_headers(headers),
            is_prefetch: hints::is_prefetch(headers),
        }
    }

    /// Whether this edge knows whose hits are whose; a request that comes before is sent again.
    pub(crate) fn check_configured(&self) -> Result<(), Refusal> {
        if self.properties.are_known() {
            return Ok(());
        }
        let message =
            "this edge has not been told its configuration yet; send it again after the time in Retry-After";
        Err(Refusal::whole(Code::Unconfigured, message))
    }

    /// The time, and the salts that hits are taken with; a request that comes while a date lacks its salt is sent again.
    pub(crate) fn now(&self) -> Result<Now, Refusal> {
        let (ms, salts) = (self.clock.now_ms(), self.salts.in_force());
        if salts.cover(ms) {
            return Ok(Now { ms, salts });
        }
        let message = "this edge has not been told the salt of a date that it is somewhere on earth, so it cannot tell visitors apart; \
                       send it again after the time in Retry-After";
        Err(Refusal::whole(Code::SaltMissing, message))
    }

    fn property(&self, measurement_id: &str) -> Result<Arc<Property>, Refusal> {
        self.properties.by_measurement_id(measurement_id).ok_or_else(|| {
            let message = "no property has this measurement id; `meridian property list` shows them";
            Refusal::field(Code::UnknownMeasurementId, "measurement_id", measurement_id, message)
        })
    }

    /// Where the hits of a property go. Without a pipeline of its region here, they are for another edge.
    pub(super) fn pipeline(&self, property: &Property) -> Result<PipelineIndex, Refusal> {
        self.regions.of(&property.data_region).ok_or_else(|| {
            let message = format!(
                "the hits of this property stay in the data region {:?}, and this edge serves {}; send them to an edge that \
                 serves theirs",
                property.data_region,
                self.regions.served()
            );
            Refusal::field(Code::WrongRegion, "measurement_id", &property.measurement_id, message)
        })
    }

    /// Appends a hit as it will lie in the WAL; gives what becomes of it with the commit. `protocol` is another product's.
    pub(super) fn encode(
        &self,
        hit: &ParsedHit<'_>,
        (property, pipeline): (&Property, PipelineIndex),
        sender: &Sender<'_>,
        (moment, salts): (Moment, &SaltMap),
        (protocol, prepared): (Option<Protocol>, &mut Prepared),
    ) -> Outcome {
        let event_time_ms = moment.event_time_ms;
        let user_agent = cut(match &hit.user_agent {
            Some(given) => given,
            None if hit.sent_by_server => "",
            None => &sender.user_agent,
        });
        // Other headers are the visitor's if the user agent is.
        let is_visitors = hit.user_agent.is_none() && !hit.sent_by_server;
        let hints_of_request = sender.client_hints.as_ref().filter(|_| is_visitors);
        let address = hit.ip.map_or(sender.address, |ip| ip.to_canonical());
        let traits = Traits { host: &hit.host, address, user_agent };
        let ids = visitor_ids(property, &hit.client_id, traits, event_time_ms, salts);
        let Origin { located, network, kept_ip } = self.origin(hit, address, property, sender);
        let view = HitView {
            property_id: &property.property_id,
            rules_version: property.current_rules().version,
            event_time_ms,
            visitor_id: ids.visitor_id,
            previous_visitor_id: ids.previous_visitor_id,
            hit_id: &hit.id,
            attempt: hit.attempt,
            country: located.country.as_str(),
            truncated_ip: &kept_ip,
            user_agent,
            client_id: &hit.client_id,
            session_id: &hit.session_id,
            first_visit: hit.first_visit,
            event: &hit.event,
            url: &hit.url,
            referrer: &hit.referrer,
            title: &hit.title,
            language: &hit.language,
            screen: &hit.screen,
            engagement_ms: hit.engagement_ms,
            params: hit.params.iter().map(ParamView::of).collect(),
            items: hit.items.iter().map(ItemView::of).collect(),
            backdated: moment.is_backdated,
            sent_by_server: hit.sent_by_server,
            region: &located.region,
            city: &located.city,
            network: network.as_str(),
            client_hints: Hints::merged(hit.client_hints.as_ref(), hints_of_request),
            prefetch: sender.is_prefetch && is_visitors,
        };
        prepared.push(pipeline, 1, |bytes| view.push_to(bytes));
        let is_looked_at = self.tail.is_on();
        // Whoever needs neither line nor class does not pay for the class.
        let is_asked = is_looked_at || protocol.is_some_and(Protocol::tells_bots);
        let rules = &property.current_rules().traffic;
        let traffic = if is_asked { self.tail.traffic_of(&view, rules) } else { None };
        if is_looked_at {
            let line = accepted(&view, protocol.map_or(OWN_PROTOCOL, Protocol::as_str), traffic);
            prepared.told.push(Told { property_id: property.property_id.clone(), line });
        }
        let is_bot = traffic.is_some_and(|reason| reason.class() == TrafficClass::Bot);
        Outcome::Taken { visitor_id: ids.visitor_id, is_bot }
    }

    fn origin<'s>(
        &self,
        hit: &ParsedHit<'_>,
        address: IpAddr,
        property: &Property,
        sender: &'s Sender<'_>,
    ) -> Origin<'s> {
        let located = match hit.ip {
            // Where a server is says nothing about the visitor.
            None if hit.sent_by_server => return Origin::default(),
            None => sender.located.borrowed(),
            Some(_) => sender.maps.locate(address),
        };
        let network = self.origins.network(property, address, sender.maps);
        let kept_ip = client::kept(address, property.current_rules().privacy.address);
        Origin { located, network, kept_ip }
    }
}

/// What is told of a hit that was taken. No address and no client id: whoever looks is not the visitor.
fn accepted(view: &HitView<'_>, protocol: &str, traffic: Option<TrafficReason>) -> Map<String, Value> {
    let time = i64::try_from(view.event_time_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let params = view.params.iter().map(|param| {
        let value = match param.value {
            Some(ParamValue::Text(text)) => json!(text),
            Some(ParamValue::Number(number)) => json!(number),
            Some(ParamValue::Flag(flag)) => json!(flag),
            None => Value::Null,
        };
        (param.key.to_owned(), value)
    });
    let fields = [
        ("outcome", json!("accepted")),
        ("protocol", json!(protocol)),
        ("event_time", json!(time.map(|time| time.to_string()))),
        ("traffic_class", json!(traffic.map(|reason| reason.class().as_str()))),
        ("traffic_reason", json!(traffic.map(TrafficReason::as_str))),
        ("event", json!(view.event)),
        ("url", json!(view.url)),
        ("referrer", json!(view.referrer)),
        ("title", json!(view.title)),
        ("visitor", json!(format!("{:016x}", view.visitor_id))),
        ("country", json!(view.country)),
        ("hit_id", json!(view.hit_id)),
        ("params", Value::Object(params.collect())),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What is told of a hit that is not counted.
pub(super) fn not_counted(outcome: &str, protocol: &str, reason: &str, message: &str) -> Map<String, Value> {
    let fields = [("outcome", outcome), ("protocol", protocol), ("reason", reason), ("message", message)];
    fields.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

fn refuse_commit(refused: CommitRefused) -> Refusal {
    let code = match refused {
        CommitRefused::Overloaded => Code::Overloaded,
        CommitRefused::Full => Code::Full,
        CommitRefused::Clock => Code::ClockUnsure,
        CommitRefused::Unavailable => Code::Unavailable,
    };
    Refusal::whole(code, format!("{refused}; send the same hits again after the time in Retry-After"))
}

fn visitor_ids(
    property: &Property,
    client_id: &str,
    traits: Traits<'_>,
    event_time_ms: u64,
    salts: &SaltMap,
) -> VisitorIds {
    let keys = PropertyKeys {
        property_id: &property.property_id,
        visitor_key: property.visitor_key.bytes(),
        zone: property.zone(),
        session_timeout_ms: u64::from(property.current_rules().session_timeout_s) * 1000,
    };
    if client_id.is_empty() {
        visitor::cookieless(keys, traits, event_time_ms, salts)
    } else {
        visitor::with_client_id(keys, client_id)
    }
}

fn event_time(hit: &ParsedHit<'_>, now_ms: u64) -> Result<Moment, Refusal> {
    if let HitTime::At(at_ms) = hit.time {
        refuse_future(hit.place, "timestamp", at_ms, now_ms)?;
    }
    Ok(Moment::of(hit.time, now_ms))
}

fn refuse_future(place: Place, name: &'static str, at_ms: u64, now_ms: u64) -> Result<(), Refusal> {
    if at_ms <= now_ms.saturating_add(limits::AHEAD_MS) {
        return Ok(());
    }
    let ahead_s = (at_ms - now_ms) / 1000;
    let message = format!("{name} lies {ahead_s} s ahead of this edge's clock; at most 60 s are taken");
    Err(place.invalid(name, at_ms, message))
}

/// Whether the property's API secret came along; a wrong one is refused even where none is needed.
fn check_secret(property: &Property, headers: &HeaderMap, now_ms: u64) -> Result<bool, Refusal> {
    let given = match headers.get(SECRET_HEADER) {
        Some(value) => value.to_str().ok(),
        None => match headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer) {
            Some(secret) => Some(secret),
            // Nothing, or meant for a proxy in front of the site: `Basic …` travels with every request of a page.
            None => return Ok(false),
        },
    };
    if given.is_some_and(|secret| property.accepts_api_secret(secret.trim(), now_ms)) {
        return Ok(true);
    }
    // The secret is not repeated: answers end up in logs.
    let message = "this is not the api_secret of the property; `property create` showed it once";
    Err(Refusal::whole(Code::InvalidSecret, message))
}

/// The credentials of `Bearer …` (RFC 6750; the scheme in any case of letters).
pub(super) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(credentials)
}

fn refuse_without_secret(hit: &ParsedHit<'_>) -> Result<(), Refusal> {
    match hit.needs_secret {
        Some(name) => Err(secret_required(hit.place.field(name), "timestamp, ip and user_agent need")),
        None => Ok(()),
    }
}

fn secret_required(field: String, who: &str) -> Refusal {
    let message = format!("{who} the property's api_secret, as X-Meridian-Secret or Authorization: Bearer");
    Refusal::field(Code::SecretRequired, field, "", message)
}

/// A user agent cut to what a hit keeps: it is not the client's choice, so a long one is no error.
fn cut(user_agent: &str) -> &str {
    &user_agent[..user_agent.floor_char_boundary(limits::USER_AGENT_BYTES)]
}

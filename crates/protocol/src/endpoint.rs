//! Paths of other products' protocols: which parser reads a request to one, and which reply it gets.

use http::Method;

use crate::refusal::Refusal;
use crate::sent::{Outcome, Reply, Request, Sent};
use crate::{ga4, matomo, measurement, plausible, segment, snowplow, umami, universal};

/// A protocol, as aliases and metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Google Analytics 4: `/g/collect` and the Measurement Protocol.
    Ga4,
    /// Universal Analytics.
    UniversalAnalytics,
    /// Plausible.
    Plausible,
    /// Umami.
    Umami,
    /// Matomo.
    Matomo,
    /// Segment and those who speak its API.
    Segment,
    /// Snowplow.
    Snowplow,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 7] = [
        Self::Ga4,
        Self::UniversalAnalytics,
        Self::Plausible,
        Self::Umami,
        Self::Matomo,
        Self::Segment,
        Self::Snowplow,
    ];

    /// Its name: `ga4`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ga4 => "ga4",
            Self::UniversalAnalytics => "universal_analytics",
            Self::Plausible => "plausible",
            Self::Umami => "umami",
            Self::Matomo => "matomo",
            Self::Segment => "segment",
            Self::Snowplow => "snowplow",
        }
    }

    /// The protocol of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == name)
    }

    /// An id of a site as it is looked up: Plausible's are domains, which are the same in any case and with `www.`.
    pub fn canonical_id(self, id: &str) -> String {
        match self {
            Self::Plausible => plausible::site(id).into_owned(),
            _ => id.to_owned(),
        }
    }

    /// Whether a bot is answered otherwise than a visitor.
    pub fn tells_bots(self) -> bool {
        self == Self::Umami
    }

    /// Whether two sites of the world may have the same id, so that the page's host name must tell them apart.
    pub fn ids_are_ambiguous(self) -> bool {
        matches!(self, Self::Matomo | Self::Snowplow)
    }
}

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/g/collect`
    Ga4,
    /// `/mp/collect`
    Measurement,
    /// `/debug/mp/collect`: counts nothing.
    MeasurementDebug,
    /// `/collect`, `/r/collect`, `/j/collect`
    Universal,
    /// `/batch`
    UniversalBatch,
    /// `/api/event`
    Plausible,
    /// `/api/send`
    Umami,
    /// `/api/batch`
    UmamiBatch,
    /// `/api/heartbeat`: whether somebody is there.
    UmamiHeartbeat,
    /// `/matomo.php`, `/piwik.php`
    Matomo,
    /// `/v1/batch`, `/v1/b`
    SegmentBatch,
    /// `/v1/projects/KEY/settings`: what Segment's library for pages asks first.
    SegmentSettings,
    /// `/v1/track` and its like.
    SegmentCall,
    /// `/com.snowplowanalytics.snowplow/tp2`
    Snowplow,
    /// `/i`
    SnowplowQuery,
}

impl Endpoint {
    /// The endpoint of a path.
    pub fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/g/collect" => Self::Ga4,
            "/mp/collect" => Self::Measurement,
            "/debug/mp/collect" => Self::MeasurementDebug,
            "/collect" | "/r/collect" | "/j/collect" => Self::Universal,
            "/batch" => Self::UniversalBatch,
            "/api/event" => Self::Plausible,
            "/api/send" => Self::Umami,
            "/api/batch" => Self::UmamiBatch,
            "/matomo.php" | "/piwik.php" => Self::Matomo,
            "/api/heartbeat" => Self::UmamiHeartbeat,
            "/v1/batch" | "/v1/b" => Self::SegmentBatch,
            "/com.snowplowanalytics.snowplow/tp2" => Self::Snowplow,
            "/i" => Self::SnowplowQuery,
            path if segment::kind_of_path(path).is_some() => Self::SegmentCall,
            path if segment::key_of_settings(path).is_some() => Self::SegmentSettings,
            _ => return None,
        })
    }

    /// Whose it is.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Ga4 | Self::Measurement | Self::MeasurementDebug => Protocol::Ga4,
            Self::Universal | Self::UniversalBatch => Protocol::UniversalAnalytics,
            Self::Plausible => Protocol::Plausible,
            Self::Umami | Self::UmamiBatch | Self::UmamiHeartbeat => Protocol::Umami,
            Self::Matomo => Protocol::Matomo,
            Self::SegmentBatch | Self::SegmentCall | Self::SegmentSettings => Protocol::Segment,
            Self::Snowplow | Self::SnowplowQuery => Protocol::Snowplow,
        }
    }

    /// The methods it takes, as in `Allow`.
    pub fn allowed(self) -> &'static str {
        match self {
            Self::Ga4 | Self::Universal | Self::Matomo => "GET, POST, OPTIONS",
            Self::SnowplowQuery | Self::SegmentSettings | Self::UmamiHeartbeat => "GET, OPTIONS",
            _ => "POST, OPTIONS",
        }
    }

    /// Whether it takes this method.
    pub fn takes(self, method: &Method) -> bool {
        self.allowed().split(", ").any(|allowed| allowed == method.as_str())
    }

    /// Longest body, bytes, on the wire and after gzip.
    pub fn body_bytes(self) -> usize {
        match self {
            Self::Ga4 => ga4::BODY_BYTES,
            Self::Measurement | Self::MeasurementDebug => measurement::BODY_BYTES,
            Self::Universal => universal::HIT_BYTES,
            Self::UniversalBatch => universal::BATCH_BYTES,
            Self::Plausible => plausible::BODY_BYTES,
            Self::Umami | Self::UmamiBatch | Self::UmamiHeartbeat => umami::BODY_BYTES,
            Self::Matomo => matomo::BODY_BYTES,
            Self::SegmentBatch | Self::SegmentCall | Self::SegmentSettings => segment::BODY_BYTES,
            Self::Snowplow | Self::SnowplowQuery => snowplow::BODY_BYTES,
        }
    }

    /// Whether what is sent to it is only looked at.
    pub fn counts_nothing(self) -> bool {
        matches!(self, Self::MeasurementDebug | Self::SegmentSettings | Self::UmamiHeartbeat)
    }

    /// Parses a request.
    ///
    /// # Errors
    /// When the request as a whole is not understood: [`Endpoint::refuse`] has the reply.
    pub fn parse<'a>(self, request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
        match self {
            Self::Ga4 => ga4::parse(request),
            Self::Measurement => measurement::parse(request),
            Self::MeasurementDebug => measurement::check(request),
            Self::Universal => universal::parse(request),
            Self::UniversalBatch => universal::parse_batch(request),
            Self::Plausible => plausible::parse(request),
            Self::Umami => umami::parse(request),
            Self::UmamiBatch => umami::parse_batch(request),
            Self::Matomo => matomo::parse(request),
            Self::SegmentBatch => segment::parse_batch(request),
            Self::SegmentCall => segment::parse_call(request),
            Self::Snowplow => snowplow::parse(request),
            Self::SnowplowQuery => snowplow::parse_query(request),
            Self::SegmentSettings | Self::UmamiHeartbeat => Ok(Sent::default()),
        }
    }

    /// The reply to a request whose entries had these outcomes.
    pub fn reply(self, request: &Request<'_>, outcomes: &[Outcome]) -> Reply {
        match self {
            Self::Ga4 => ga4::reply(),
            Self::Measurement => measurement::reply(),
            Self::MeasurementDebug => measurement::validation(None),
            Self::Universal | Self::UniversalBatch => universal::reply(),
            Self::Plausible => plausible::reply(outcomes),
            Self::Umami => umami::reply(outcomes),
            Self::UmamiBatch => umami::reply_batch(outcomes),
            Self::Matomo => matomo::reply(request, outcomes),
            Self::SegmentBatch | Self::SegmentCall => segment::reply(outcomes),
            Self::Snowplow => snowplow::reply(),
            Self::SnowplowQuery => snowplow::reply_query(),
            Self::SegmentSettings => segment::settings(request),
            Self::UmamiHeartbeat => umami::heartbeat(),
        }
    }

    /// The reply to a request that was not understood.
    pub fn refuse(self, refusal: &Refusal) -> Reply {
        match self {
            Self::Ga4 => ga4::reply(),
            Self::Measurement => measurement::reply(),
            Self::MeasurementDebug => measurement::validation(Some(refusal)),
            Self::Universal | Self::UniversalBatch => universal::reply(),
            Self::Plausible => plausible::refuse(refusal),
            Self::Umami | Self::UmamiBatch | Self::UmamiHeartbeat => umami::refuse(refusal),
            Self::Matomo => matomo::refuse(refusal),
            Self::SegmentBatch | Self::SegmentCall | Self::SegmentSettings => segment::refuse(refusal),
            Self::Snowplow | Self::SnowplowQuery => snowplow::refuse(refusal),
        }
    }
}

#[cfg(test)]
mod tests;

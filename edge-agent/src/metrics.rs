//! Metrics of the edge, one struct per stage. Labels are enums, never a property, URL, address or visitor.
//!
//! Those of the stages behind collect are in [`pipeline`], the accounts (`edge_hits_*`) in `ledger`.

pub(crate) mod pipeline;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// `result` of a request: `ok` or the code of its refusal.
pub(crate) type ResultLabel = [(&'static str, &'static str); 1];

/// `result` of a TLS handshake: `ok`, `timeout`, `closed` (the client went away), `refused` (no common ground, or no TLS).
type HandshakeLabel = [(&'static str, &'static str); 1];

/// `protocol` and `reason` of what was not counted.
pub(crate) type DropLabels = [(&'static str, &'static str); 2];

/// Metrics of collect.
#[derive(Debug, Clone)]
pub(crate) struct CollectMetrics {
    /// Requests by result.
    pub(crate) requests: Family<ResultLabel, Counter>,
    /// Those with the result `ok`: looked up once.
    pub(crate) ok: Counter,
    /// Hits answered with success since this process began.
    pub(crate) hits: Counter,
    /// What clients sent and was not counted though its request was taken, by protocol and reason.
    pub(crate) dropped: Family<DropLabels, Counter>,
    /// Refused hits that reports will not tell, because too many kinds of them wait for a block.
    pub(crate) refused_left_out: Counter,
    /// Hits, and refused hits, of properties whose data region this edge does not serve.
    pub(crate) wrong_region: Counter,
    /// Hits of properties with a limit that were taken without a place among those that are counted.
    pub(crate) quota_uncounted: Counter,
    /// Connections that are open.
    pub(crate) connections: Gauge,
}

impl CollectMetrics {
    /// Registers them.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let requests: Family<ResultLabel, Counter> = Family::default();
        let ok = requests.get_or_create(&[("result", "ok")]).clone();
        let metrics = Self {
            requests,
            ok,
            hits: Counter::default(),
            dropped: Family::default(),
            refused_left_out: Counter::default(),
            wrong_region: Counter::default(),
            quota_uncounted: Counter::default(),
            connections: Gauge::default(),
        };
        let requests = metrics.requests.clone();
        registry.register("edge_collect_requests", "Requests answered, by result", requests);
        registry.register("edge_collect_hits", "Hits answered with success", metrics.hits.clone());
        let dropped = metrics.dropped.clone();
        registry.register(
            "edge_collect_dropped",
            "Hits of requests that were taken, and that are not counted",
            dropped,
        );
        let left_out = metrics.refused_left_out.clone();
        registry.register("edge_collect_refused_left_out", "Refused hits that no report will tell", left_out);
        registry.register(
            "edge_collect_wrong_region",
            "Hits of properties whose data region this edge does not serve",
            metrics.wrong_region.clone(),
        );
        registry.register(
            "edge_collect_quota_uncounted",
            "Hits taken of properties with a limit that find no room among collect.quota_properties",
            metrics.quota_uncounted.clone(),
        );
        registry.register("edge_collect_connections", "Open connections", metrics.connections.clone());
        metrics
    }

    /// Something that a client sent is not counted, though its request is.
    pub(crate) fn dropped(&self, protocol: &'static str, reason: &'static str) {
        self.dropped.get_or_create(&[("protocol", protocol), ("reason", reason)]).inc();
    }

    /// A request was answered.
    pub(crate) fn answered(&self, result: &'static str) {
        self.requests.get_or_create(&[("result", result)]).inc();
    }
}

/// Dates somewhere on earth without a salt: while it is above 0, hits are refused.
pub(crate) fn salts_missing(registry: &mut Registry) -> Gauge {
    let missing = Gauge::default();
    registry.register("edge_salts_missing", "Dates somewhere on earth without a salt", missing.clone());
    missing
}

/// Metrics of the files that tell where a client is.
#[derive(Debug, Clone)]
pub(crate) struct OriginMetrics {
    built_seconds: Family<[(&'static str, String); 1], Gauge>,
    hosting_ranges: Gauge,
    failures: Family<[(&'static str, &'static str); 1], Counter>,
}

impl OriginMetrics {
    /// Registers them.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            built_seconds: Family::default(),
            hosting_ranges: Gauge::default(),
            failures: Family::default(),
        };
        registry.register(
            "edge_collect_geo_database_build_timestamp_seconds",
            "When a location database in force was built, unix seconds",
            metrics.built_seconds.clone(),
        );
        let ranges = metrics.hosting_ranges.clone();
        registry.register("edge_collect_hosting_ranges", "Ranges of data centres in force", ranges);
        registry.register(
            "edge_collect_reread_failures",
            "Changed files that could not be read, by setting; the last good content stays in force",
            metrics.failures.clone(),
        );
        metrics
    }

    /// These databases are in force: what they are called, and when they were built, unix seconds.
    pub(crate) fn databases<'a>(&self, databases: impl Iterator<Item = (&'a str, u64)>) {
        self.built_seconds.clear();
        for (database_type, built_at_s) in databases {
            let gauge =
                self.built_seconds.get_or_create(&[("database_type", database_type.to_owned())]).clone();
            let built_at_s = i64::try_from(built_at_s).unwrap_or(i64::MAX);
            // Of several of one type the oldest is told.
            let told = gauge.get();
            gauge.set(if told == 0 { built_at_s } else { told.min(built_at_s) });
        }
    }

    /// So many ranges of data centres are in force.
    pub(crate) fn hosting_ranges(&self, ranges: usize) {
        self.hosting_ranges.set(i64::try_from(ranges).unwrap_or(i64::MAX));
    }

    /// Counts readings of the files of a setting that failed.
    pub(crate) fn failures(&self, setting: &'static str) -> Counter {
        self.failures.get_or_create(&[("setting", setting)]).clone()
    }
}

/// Metrics of TLS on the collect port; not there without it.
#[derive(Debug, Clone)]
pub(crate) struct TlsMetrics {
    handshakes: Family<HandshakeLabel, Counter>,
    /// Handshakes that succeeded: looked up once.
    pub(crate) ok: Counter,
    /// Changed files that could not be used.
    pub(crate) reload_failures: Counter,
    /// When the certificate in use expires, unix seconds.
    pub(crate) expires_at_s: Gauge,
}

impl TlsMetrics {
    /// Registers them.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let handshakes: Family<HandshakeLabel, Counter> = Family::default();
        let ok = handshakes.get_or_create(&[("result", "ok")]).clone();
        let metrics =
            Self { handshakes, ok, reload_failures: Counter::default(), expires_at_s: Gauge::default() };
        let handshakes = metrics.handshakes.clone();
        registry.register("edge_collect_tls_handshakes", "TLS handshakes, by result", handshakes);
        let failures = metrics.reload_failures.clone();
        registry.register(
            "edge_collect_tls_reload_failures",
            "Changed certificates or keys that could not be used",
            failures,
        );
        let expires = metrics.expires_at_s.clone();
        registry.register(
            "edge_collect_tls_certificate_expires_timestamp_seconds",
            "When the certificate in use expires, unix time",
            expires,
        );
        metrics
    }

    /// A handshake failed.
    pub(crate) fn failed(&self, result: &'static str) {
        self.handshakes.get_or_create(&[("result", result)]).inc();
    }
}

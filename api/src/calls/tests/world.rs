//! An api as far as keys go: log, copies, gRPC server on a free port, and a clock that stands still. The warehouse is nowhere: a report
//! that is allowed is answered with UNAVAILABLE, one that is not before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use configuration::Salts;
use configuration::replica::Records as _;
use property::KeyHash;
use proto::config::erasure_service_client::ErasureServiceClient;
use proto::config::key_service_client::KeyServiceClient;
use proto::config::organisation_service_client::OrganisationServiceClient;
use proto::config::property_service_client::PropertyServiceClient;
use proto::config::stream_service_client::StreamServiceClient;
use proto::config::*;
use service::TestClock;
use service::metrics::SharedRegistry;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use warehouse::WarehouseConfig;

use crate::admit::Admission;
use crate::authorize::{Authorizer, Rule, allows};
use crate::calls::ConfigCalls;
use crate::config::Config;
use crate::erasures::Erasing;
use crate::grpc::{Configuring, Grpc};
use crate::history::tests::{NOW_MS, Running};
use crate::limit::CallLimits;
use crate::metrics::RequestMetrics;
use crate::query::Warehouse;
use crate::report::Reports;
use crate::retention::RetentionConfig;

pub(super) const ADMIN: &str = "ak_test";

pub(super) struct World {
    pub(super) running: Running,
    pub(super) clock: TestClock,
    pub(super) channel: Channel,
    shutdown: CancellationToken,
}

/// What a new organisation has, with keys of every kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Tenant {
    pub(super) organisation_id: String,
    pub(super) properties: Vec<CreatePropertyResponse>,
    /// By role.
    pub(super) members: BTreeMap<&'static str, AddMemberResponse>,
    /// Reports of the first property.
    pub(super) reports: CreateKeyResponse,
    /// Configuration of the first property.
    pub(super) config: CreateKeyResponse,
    /// Both scopes, everywhere in the organisation.
    pub(super) everywhere: CreateKeyResponse,
    /// An owner's, that has expired when the tenant is complete.
    pub(super) expired: CreateKeyResponse,
}

impl Tenant {
    pub(super) fn key(&self, role: &str) -> &str {
        &self.members[role].key
    }

    pub(super) fn member_id(&self, role: &str) -> String {
        self.members[role].member.clone().unwrap().member_id
    }
}

/// A request with a key.
pub(super) fn with<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

impl World {
    pub(super) async fn start() -> Self {
        Self::start_with(allows).await
    }

    pub(super) async fn start_with(rule: Rule) -> Self {
        let mut config = Config::default();
        (config.limits.calls_per_second, config.limits.reports_per_second) = (0, 0);
        Self::start_as(rule, config).await
    }

    /// With these limits and quotas.
    pub(super) async fn start_as(rule: Rule, config: Config) -> Self {
        let running = Running::start();
        let clock = TestClock::new(NOW_MS);
        let authorizer =
            Authorizer::new(running.history.clone(), KeyHash::of(ADMIN), clock.shared()).with_rule(rule);
        let authorizer = Arc::new(authorizer.with_limits(CallLimits::new(&config.limits, clock.shared())));
        let registry = SharedRegistry::default();
        let metrics = registry.register(RequestMetrics::new);
        let admission = Admission::new(config.limits.max_requests);
        // The discard port: nobody listens there.
        let warehouse = WarehouseConfig { url: "http://127.0.0.1:9".into(), ..WarehouseConfig::default() };
        let reports = Reports {
            admission: admission.clone(),
            authorizer: Arc::clone(&authorizer),
            warehouse: Warehouse::new(warehouse::client(&warehouse).unwrap(), 1 << 20),
            clock: clock.shared(),
            timeout: Duration::from_secs(10),
            metrics: metrics.clone(),
        };
        let calls = ConfigCalls {
            admission,
            authorizer,
            history: running.history.clone(),
            clock: clock.shared(),
            usual_quota: config.quotas.usual(),
            keys_dir: None,
            erasing: Erasing::new(
                Arc::new(object_store::memory::InMemory::new()),
                Duration::from_secs(10),
                Salts::default(),
                warehouse::client(&warehouse).unwrap(),
            ),
            retention: RetentionConfig { days: 400 },
            metrics,
        };
        let server = Grpc::new(&config, reports, Configuring::new(&config.limits, calls)).await.unwrap();
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap().with_nodelay(Some(true));
        let address = incoming.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(server.serve(incoming, shutdown.clone()));
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { running, clock, channel, shutdown }
    }

    /// The measurement id of a new data stream.
    pub(super) async fn stream(&self, key: &str, property_id: &str) -> String {
        let request = CreateStreamRequest { property_id: property_id.into(), name: "till".into() };
        let mut client = StreamServiceClient::new(self.channel.clone());
        client.create_stream(with(key, request)).await.unwrap().into_inner().measurement_id
    }

    /// The job of a new erasure.
    pub(super) async fn erasure(&self, property_id: &str) -> String {
        let request = EraseVisitorsRequest {
            property_id: property_id.into(),
            client_ids: vec!["client".into()],
            ..EraseVisitorsRequest::default()
        };
        let mut client = ErasureServiceClient::new(self.channel.clone());
        client.erase_visitors(with(ADMIN, request)).await.unwrap().into_inner().job
    }

    pub(super) fn organisations(&self) -> OrganisationServiceClient<Channel> {
        OrganisationServiceClient::new(self.channel.clone())
    }

    pub(super) fn properties(&self) -> PropertyServiceClient<Channel> {
        PropertyServiceClient::new(self.channel.clone())
    }

    pub(super) fn keys(&self) -> KeyServiceClient<Channel> {
        KeyServiceClient::new(self.channel.clone())
    }

    pub(super) async fn property(
        &self,
        key: &str,
        name: &str,
        organisation_id: &str,
    ) -> CreatePropertyResponse {
        let request = CreatePropertyRequest {
            name: name.into(),
            organisation_id: organisation_id.into(),
            ..CreatePropertyRequest::default()
        };
        self.properties().create_property(with(key, request)).await.unwrap().into_inner()
    }

    pub(super) async fn member(&self, key: &str, tenant: &str, name: &str, role: &str) -> AddMemberResponse {
        let request = AddMemberRequest {
            organisation_id: tenant.into(),
            name: name.into(),
            email: format!("{}@{name}.example", role),
            role: role.into(),
        };
        self.organisations().add_member(with(key, request)).await.unwrap().into_inner()
    }

    pub(super) async fn report_key(&self, key: &str, request: CreateKeyRequest) -> CreateKeyResponse {
        let request = CreateKeyRequest { name: "for reports".into(), ..request };
        self.keys().create_key(with(key, request)).await.unwrap().into_inner()
    }

    /// An organisation with two properties, a member of each role, and keys of every kind; all names begin with `name`.
    pub(super) async fn tenant(&self, name: &str) -> Tenant {
        let request = CreateOrganisationRequest { name: name.into() };
        let created = self.organisations().create_organisation(with(ADMIN, request)).await.unwrap();
        let organisation_id = created.into_inner().organisation_id;
        let mut tenant = Tenant { organisation_id: organisation_id.clone(), ..Tenant::default() };
        for role in ["owner", "editor", "viewer"] {
            let member = self.member(ADMIN, &organisation_id, &format!("{name}-{role}"), role).await;
            tenant.members.insert(role, member);
        }
        let owner = tenant.key("owner").to_owned();
        for nth in ["1", "2"] {
            tenant.properties.push(self.property(&owner, &format!("{name}-site-{nth}"), "").await);
        }
        let first = || vec![tenant.properties[0].property_id.clone()];
        let scopes = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let reports = CreateKeyRequest { property_ids: first(), ..CreateKeyRequest::default() };
        let config = CreateKeyRequest { scopes: scopes(&["config.read"]), ..reports.clone() };
        let everywhere = CreateKeyRequest {
            scopes: scopes(&["reports", "config.read"]),
            all_properties: true,
            ..CreateKeyRequest::default()
        };
        let expired = CreateKeyRequest {
            member_id: tenant.member_id("owner"),
            expires_at: jiff::Timestamp::from_millisecond(i64::try_from(self.now_ms() + 1).unwrap())
                .unwrap()
                .to_string(),
            ..CreateKeyRequest::default()
        };
        tenant.reports = self.report_key(&owner, reports).await;
        tenant.config = self.report_key(&owner, config).await;
        tenant.everywhere = self.report_key(&owner, everywhere).await;
        tenant.expired = self.report_key(&owner, expired).await;
        self.clock.advance_ms(1);
        tenant
    }

    pub(super) fn now_ms(&self) -> u64 {
        service::clock::Clock::now_ms(&self.clock)
    }

    /// Every record in force.
    pub(super) fn records(&self) -> BTreeMap<String, Vec<u8>> {
        let mut records = BTreeMap::new();
        let reader = self.running.history.read().unwrap();
        reader
            .for_each("", &mut |key, value| {
                records.insert(key.to_owned(), value.to_vec());
            })
            .unwrap();
        records
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

//! The api: answers reports over gRPC and JSON, and keeps the configuration: organisations, members, keys, properties.
//!
//! A request is admitted (or shed), its caller authorized, the report planned (fields, days, filter, tables), queried
//! (SQL with bound values only) and answered (joined, ordered, cut). [`run`] names the parts and puts them together.
//!
//! Invariants: a property comes from the scope of the caller's key, and every query is bound to it twice; no text from
//! outside stands in SQL; every refusal says what would be right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use configuration::Salts;
use object_store::ObjectStore;
use serde_json::{Map, Value};
use service::admin::{AdminServer, status_fn};
use service::status::{QueueStatus, ServiceReport, ServiceStatus};
use service::{Context, TaskGroup};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

pub mod config;
pub mod refuse;
pub mod metrics;
pub mod admit;
pub mod limit;
pub mod authorize;
pub mod plan;
pub mod query;
pub mod seams;
pub mod answer;
pub mod report;
pub mod history;
pub mod calls;
mod page;
pub mod properties;
pub mod retention;
pub mod aliases;
pub mod streams;
pub mod erasures;
pub mod rules;
pub mod organisations;
pub mod members;
pub mod keys;
pub mod changes;
pub mod grpc;
pub mod rest;
pub mod openapi;
pub mod json;
pub mod mesh;
pub mod salts;
pub mod quotas;
mod listen;

pub use config::Config;

use admit::Admission;
use authorize::Authorizer;
use calls::ConfigCalls;
use erasures::Erasing;
use history::History;
use limit::CallLimits;
use metrics::{ConfigMetrics, RequestMetrics};
use query::Warehouse;
use report::Reports;
use rest::{Rest, Services};
use salts::Keeper;

/// The name in ready lines and reports.
const SERVICE: &str = "api";

/// Runs until shutdown begins, then lets requests in work end.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let admission = Admission::new(config.limits.max_requests);
    let (history, author, store) = open_history(&config, &context).await?;
    let salts = Salts::default();
    let store_timeout = Duration::from_millis(config.config.store_timeout_ms);
    let warehouse = warehouse::client(&config.warehouse)?;
    let erasing = Erasing::new(store.clone(), store_timeout, salts.clone(), warehouse);
    let keeper = Keeper::new(&config.config, store, salts.clone(), &context);
    let erasures = erasures::Keeper::new(history.clone(), erasing.clone(), &context);
    let (reports, config_calls) = calls(&config, &context, &admission, (&history, erasing))?;
    let mesh = match &config.mesh {
        Some(mesh) => Some(mesh::Mesh::bind(mesh).await?),
        None => None,
    };
    let admin = admin(&config, &context, &admission, &history).await?;
    let http = TcpListener::bind(config.http_listen)
        .await
        .with_context(|| busy("http_listen", config.http_listen))?;
    let grpc = TcpIncoming::bind(config.grpc_listen)
        .with_context(|| busy("grpc_listen", config.grpc_listen))?
        .with_nodelay(Some(true));
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let mut fields = Map::from_iter([
        ("admin".to_owned(), Value::from(admin.url())),
        ("grpc".to_owned(), Value::from(format!("{scheme}://{}", grpc.local_addr()?))),
        ("api".to_owned(), Value::from(format!("http://{}", http.local_addr()?))),
    ]);

    let mut group = TaskGroup::new(context.shutdown.clone());
    let shutdown = context.shutdown.clone();
    group.spawn_blocking_thread("config", move || history::run(author, &shutdown));
    if let Some(mesh) = mesh {
        fields.insert("mesh".to_owned(), Value::from(mesh.url()));
        group.spawn("mesh", mesh.serve(history.clone(), salts.clone(), context.shutdown.clone()));
    }
    let client = warehouse::client(&config.warehouse)?;
    let watcher = quotas::Watcher::new(&config.quotas, client, history.clone(), &context);
    group.spawn("quotas", watcher.run(context.shutdown.clone()));
    group.spawn("salts", keeper.run(context.shutdown.clone()));
    group.spawn("erasures", erasures.run(context.shutdown.clone()));
    let configuring = grpc::Configuring::new(&config.limits, config_calls);
    let server = grpc::Grpc::new(&config, reports.clone(), configuring.clone()).await?;
    let shutdown = context.shutdown.clone();
    group.spawn("grpc", async move { server.serve(grpc, shutdown).await });
    let descriptors = rest::descriptors()?;
    let services = configuring.behind_rest(Services::default());
    let rest = Rest::new(&descriptors, &services, &json::ROUTES, Arc::clone(&reports.authorizer))?;
    let openapi = openapi::document(&descriptors)?.to_json()?.into();
    let routes = json::router(reports, rest, openapi, config.limits.max_request_bytes);
    let listener = listen::Bounded::new(http, config.limits.max_http_connections);
    let shutdown = context.shutdown.clone();
    group.spawn("http", async move {
        Ok(axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await?)
    });
    context.announce_ready(SERVICE, fields)?;
    Ok(group.run(Duration::from_millis(config.shutdown_grace_ms)).await?)
}

/// Brings the local copy up to the log.
async fn open_history(
    config: &Config,
    context: &Context,
) -> anyhow::Result<(History, history::Author, Arc<dyn ObjectStore>)> {
    let store = store::open(&config.config.store)?;
    store::check_create_if_absent(store.as_ref()).await?;
    let (config, clock, registry) = (config.config.clone(), context.clock.clone(), context.registry.clone());
    let runtime = tokio::runtime::Handle::current();
    let log = Arc::clone(&store);
    let opened =
        tokio::task::spawn_blocking(move || History::open(&config, log, clock, &registry, &runtime)).await?;
    let (history, author) = opened?;
    Ok((history, author, store))
}

fn calls(
    config: &Config,
    context: &Context,
    admission: &Admission,
    (history, erasing): (&History, Erasing),
) -> anyhow::Result<(Reports, ConfigCalls)> {
    let authorizer = Authorizer::new(
        history.clone(),
        authorize::admin_key(&config.admin_key_file)?,
        context.clock.clone(),
    );
    let limits = CallLimits::new(&config.limits, context.clock.clone());
    let authorizer = Arc::new(authorizer.with_limits(limits));
    if let Some(dir) = &config.keys_dir {
        durable::create_dir_all_with(dir, 0o700)
            .with_context(|| format!("cannot make keys_dir = {dir:?}"))?;
    }
    let metrics = context.registry.register(RequestMetrics::new);
    context.registry.register(|registry| ConfigMetrics::register(registry, history.clone()));
    let client = warehouse::client(&config.warehouse)?;
    let reports = Reports {
        admission: admission.clone(),
        authorizer: Arc::clone(&authorizer),
        warehouse: Warehouse::new(client, config.limits.max_query_memory_bytes),
        clock: context.clock.clone(),
        timeout: Duration::from_millis(config.limits.timeout_ms),
        metrics: metrics.clone(),
    };
    let config_calls = ConfigCalls {
        admission: admission.clone(),
        authorizer,
        history: history.clone(),
        clock: context.clock.clone(),
        usual_quota: config.quotas.usual(),
        keys_dir: config.keys_dir.clone(),
        retention: config.retention.clone(),
        erasing,
        metrics,
    };
    Ok((reports, config_calls))
}

async fn admin(
    config: &Config,
    context: &Context,
    admission: &Admission,
    history: &History,
) -> anyhow::Result<AdminServer> {
    // The name in its certificate, where it has one: apis on many machines listen on the same address.
    let id = match &config.mesh {
        Some(mesh) => mesh.tls.identity()?.id().to_owned(),
        None => config.http_listen.to_string(),
    };
    let (admission, history) = (admission.clone(), history.clone());
    let status = status_fn(move || {
        let (length, limit) = admission.load();
        let mut status = ServiceStatus::new(SERVICE, id.clone());
        status.config_version = Some(history.position().version);
        let requests = QueueStatus { length, limit, unit: "requests".to_owned() };
        status.queues = BTreeMap::from([("requests".to_owned(), requests)]);
        ServiceReport { services: vec![status], positions: Vec::new() }
    });
    Ok(AdminServer::start(context, config.admin_listen, status, axum::Router::new()).await?)
}

fn busy(field: &str, listen: std::net::SocketAddr) -> String {
    format!("cannot listen on {field} = \"{listen}\"; choose a free address, or port 0 for any")
}

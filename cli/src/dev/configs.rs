//! The configuration of every service of `meridian dev`, as values and as files.
//!
//! In: arguments, data directory, ports. Out: one configuration per service. The files are written on every start, so
//! that children read them and people see them; services of this process get the values.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use identity::TlsFiles;
use service::Context;
use service::logs::LogConfig;
use tokio::task::JoinHandle;

use super::Arguments;
use super::layout::{Layout, Ports};

/// The warehouse: always a child.
pub const WAREHOUSE: &str = "warehouse";
/// The edge.
pub const EDGE: &str = "edge";
const HUB: &str = "hub";
const LOADER: &str = "loader";
const API: &str = "api";
/// Those of which there may be several.
const EDGES: [&str; 3] = [EDGE, "edge-2", "edge-3"];
const HUBS: [&str; 3] = [HUB, "hub-2", "hub-3"];
const LOADERS: [&str; 3] = [LOADER, "loader-2", "loader-3"];
const APIS: [&str; 3] = [API, "api-2", "api-3"];

/// Configurations, and the addresses people use.
#[derive(Debug)]
pub struct Configs {
    warehouse: embedded_clickhouse::Config,
    hubs: Vec<hub::Config>,
    loaders: Vec<warehouse_loader::Config>,
    apis: Vec<api::Config>,
    edges: Vec<edge_agent::Config>,
    /// The admin port of `meridian dev` itself.
    pub admin: SocketAddr,
}

/// The kind of a service, which is its name in events and status: `loader` for all loaders.
pub fn kind(service: &'static str) -> &'static str {
    service.split_once('-').map_or(service, |(kind, _number)| kind)
}

/// The service's binary, beside this one.
///
/// # Errors
/// When the binary is not there.
pub fn binary(service: &'static str) -> anyhow::Result<PathBuf> {
    let name = match kind(service) {
        EDGE => "edge-agent",
        LOADER => "warehouse-loader",
        WAREHOUSE => "embedded-clickhouse",
        other => other,
    };
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    let path = this.with_file_name(name);
    if !path.exists() {
        bail!("{} is not there; build all services with `make build`", path.display());
    }
    Ok(path)
}

impl Configs {
    /// Chooses every port and path.
    ///
    /// # Errors
    /// When no port is free or the assets are not installed.
    pub fn build(
        arguments: &Arguments,
        layout: &Layout,
        ports: &mut Ports,
        log: &LogConfig,
    ) -> anyhow::Result<Self> {
        let warehouse = embedded_clickhouse::Config {
            listen: ports.loopback()?,
            admin_listen: ports.loopback()?,
            data_dir: layout.path("warehouse"),
            library: asset(arguments, "@chdb/lib-linux-x64-gnu/libchdb.so")?,
            log: log.clone(),
            ..Default::default()
        };
        let client =
            warehouse::WarehouseConfig { url: format!("http://{}", warehouse.listen), ..Default::default() };
        let store = store::StoreConfig::local(&layout.path("store"))?;
        let apis = apis(arguments, layout, ports, (&store, &client), log)?;
        let hubs = hubs(arguments, layout, ports, (&store, &apis), log)?;
        let loader =
            warehouse_loader::Config { log: log.clone(), store, warehouse: client, ..Default::default() };
        let loaders = loaders(arguments, layout, ports, &hubs, &loader)?;
        let edges = edges(arguments, layout, ports, &hubs, log)?;
        Ok(Self { warehouse, hubs, loaders, apis, edges, admin: arguments.admin })
    }

    /// All services in the order they are started.
    pub fn services(&self) -> Vec<&'static str> {
        [
            &[WAREHOUSE],
            &APIS[..self.apis.len()],
            &HUBS[..self.hubs.len()],
            &LOADERS[..self.loaders.len()],
            &EDGES[..self.edges.len()],
        ]
        .concat()
    }

    /// Writes the configuration files.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, layout: &Layout) -> anyhow::Result<()> {
        for service in self.services() {
            let text = match kind(service) {
                WAREHOUSE => toml::to_string_pretty(&self.warehouse)?,
                HUB => toml::to_string_pretty(of(&self.hubs, service)?)?,
                API => toml::to_string_pretty(of(&self.apis, service)?)?,
                EDGE => toml::to_string_pretty(of(&self.edges, service)?)?,
                _ => toml::to_string_pretty(of(&self.loaders, service)?)?,
            };
            let path = layout.config_file(service);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// Runs a service in this process.
    ///
    /// # Errors
    /// For a service that only runs as a child.
    pub fn spawn(
        &self,
        service: &'static str,
        context: Context,
    ) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
        fn spawn(
            run: impl Future<Output = anyhow::Result<()>> + Send + 'static,
        ) -> JoinHandle<anyhow::Result<()>> {
            tokio::spawn(Box::pin(run))
        }
        Ok(match kind(service) {
            HUB => spawn(hub::run(of(&self.hubs, service)?.clone(), context)),
            API => spawn(api::run(of(&self.apis, service)?.clone(), context)),
            EDGE => spawn(edge_agent::run(of(&self.edges, service)?.clone(), context)),
            LOADER => spawn(warehouse_loader::run(of(&self.loaders, service)?.clone(), context)),
            other => bail!("{other} runs as a child only"),
        })
    }

    /// Where hits are sent: to the first edge.
    pub fn collect_url(&self) -> String {
        self.edges.first().map(|edge| format!("http://{}", edge.collect.listen)).unwrap_or_default()
    }

    /// Where gRPC is served: by the first api.
    pub fn grpc_url(&self) -> String {
        self.apis.first().map(|api| format!("http://{}", api.grpc_listen)).unwrap_or_default()
    }

    /// Where HTTP/JSON is served, likewise.
    pub fn api_url(&self) -> String {
        self.apis.first().map(|api| format!("http://{}", api.http_listen)).unwrap_or_default()
    }
}

/// A file of the assets' folder.
fn asset(arguments: &Arguments, name: &str) -> anyhow::Result<PathBuf> {
    let path = arguments.assets.join(name);
    if path.exists() {
        return Ok(path);
    }
    bail!("{} is not there; install it with `make setup`, or give its folder with --assets", path.display())
}

/// The configuration of one of a kind.
fn of<'a, Config>(kind: &'a [Config], service: &str) -> anyhow::Result<&'a Config> {
    let number = service.split_once('-').map_or(Ok(1), |(_kind, number)| number.parse::<usize>())?;
    kind.get(number - 1).with_context(|| format!("there is no {service}"))
}

/// As many apis as asked for; the first listens where people expect it.
fn apis(
    arguments: &Arguments,
    layout: &Layout,
    ports: &mut Ports,
    (store, warehouse): (&store::StoreConfig, &warehouse::WarehouseConfig),
    log: &LogConfig,
) -> anyhow::Result<Vec<api::Config>> {
    let named = APIS.iter().zip(&layout.api_tls).take(arguments.apis.into()).enumerate();
    named
        .map(|(index, (name, tls))| {
            let api_listen = arguments.api.unwrap_or_else(|| next_port(arguments.http));
            let mut api = api::Config {
                grpc_listen: if index == 0 { ports.address(arguments.grpc)? } else { ports.loopback()? },
                http_listen: if index == 0 { ports.address(api_listen)? } else { ports.loopback()? },
                admin_listen: ports.loopback()?,
                admin_key_file: layout.admin_key_file(),
                keys_dir: Some(layout.keys_dir()),
                warehouse: warehouse.clone(),
                log: log.clone(),
                ..Default::default()
            };
            api.config.store = store.clone();
            api.config.data_dir = layout.path(name);
            api.mesh = Some(api::mesh::MeshConfig {
                listen: ports.loopback()?,
                tls: tls.clone(),
                ..Default::default()
            });
            Ok(api)
        })
        .collect()
}

/// As many hubs as asked for.
fn hubs(
    arguments: &Arguments,
    layout: &Layout,
    ports: &mut Ports,
    (store, apis): (&store::StoreConfig, &[api::Config]),
    log: &LogConfig,
) -> anyhow::Result<Vec<hub::Config>> {
    let meshes = apis.iter().filter_map(|api| api.mesh.as_ref());
    let sources: Vec<String> = meshes.map(|mesh| format!("https://{}", mesh.listen)).collect();
    let hub = |(name, tls): (&&str, &TlsFiles)| {
        let mut hub = hub::Config {
            admin_listen: ports.loopback()?,
            log: log.clone(),
            tls: tls.clone(),
            store: store.clone(),
            data_dir: layout.path(name),
            ..Default::default()
        };
        hub.receive.listen = ports.loopback()?;
        hub.feed.enabled = !arguments.without_feed;
        hub.mesh.listen = ports.loopback()?;
        hub.config.sources.clone_from(&sources);
        Ok(hub)
    };
    HUBS.iter().zip(&layout.hub_tls).take(arguments.hubs.into()).map(hub).collect()
}

/// As many loaders as asked for. Plans bear the name of their loader: no two may have the same.
fn loaders(
    arguments: &Arguments,
    layout: &Layout,
    ports: &mut Ports,
    hubs: &[hub::Config],
    like: &warehouse_loader::Config,
) -> anyhow::Result<Vec<warehouse_loader::Config>> {
    let named = layout.loader_tls.iter().zip(["loader-1", "loader-2", "loader-3"]);
    named
        .take(arguments.loaders.into())
        .map(|(tls, id)| {
            let mut loader = warehouse_loader::Config {
                id: id.to_owned(),
                admin_listen: ports.loopback()?,
                ..like.clone()
            };
            let feeds = hubs.iter().filter(|hub| hub.feed.enabled);
            loader.feed.hubs = feeds.map(|hub| format!("https://{}", hub.mesh.listen)).collect();
            loader.feed.tls = Some(tls.clone()).filter(|_| !loader.feed.hubs.is_empty());
            Ok(loader)
        })
        .collect()
}

/// As many edges as asked for, each with its own hub in the first place and the others behind it.
fn edges(
    arguments: &Arguments,
    layout: &Layout,
    ports: &mut Ports,
    hubs: &[hub::Config],
    log: &LogConfig,
) -> anyhow::Result<Vec<edge_agent::Config>> {
    let sources: Vec<String> = hubs.iter().map(|hub| format!("https://{}", hub.mesh.listen)).collect();
    let addresses: Vec<String> = hubs.iter().map(|hub| hub.receive.listen.to_string()).collect();
    let named = EDGES.iter().zip(&layout.edge_tls).take(arguments.edges.into()).enumerate();
    named
        .map(|(index, (name, tls))| {
            let mut edge = edge(arguments, ports, log)?;
            edge.data_dir = layout.path(name);
            edge.tls = tls.clone();
            edge.config.sources.clone_from(&sources);
            // A port of its own for the others: the first has the one that was asked for.
            edge.collect.listen =
                if index == 0 { ports.address(arguments.http)? } else { ports.loopback()? };
            edge.ship.hubs.clone_from(&addresses);
            let hubs = edge.ship.hubs.len();
            edge.ship.hubs.rotate_left(index % hubs);
            Ok(edge)
        })
        .collect()
}

/// What all edges have in common.
fn edge(arguments: &Arguments, ports: &mut Ports, log: &LogConfig) -> anyhow::Result<edge_agent::Config> {
    let countries = "@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb";
    let mut edge = edge_agent::Config {
        user_agent_rules: asset(arguments, "uap-core/regexes.yaml")?,
        crawler_list: asset(arguments, "crawler-user-agents/crawler-user-agents.json")?,
        geo_database: vec![asset(arguments, countries)?],
        admin_listen: ports.loopback()?,
        log: log.clone(),
        ..Default::default()
    };
    edge.collect.trusted_proxies = vec!["127.0.0.0/8".parse()?, "::1/128".parse()?];
    // Browsers and curl know that such names are this machine (RFC 6761).
    edge.collect.host_suffix = Some("localhost".to_owned());
    edge.collect.tracker_dir = Some(arguments.tracker.clone());
    edge.process.flush_interval_ms = arguments.flush_interval_ms;
    Ok(edge)
}

/// The address one port on; any port beside any port.
fn next_port(address: SocketAddr) -> SocketAddr {
    let port = if address.port() == 0 { 0 } else { address.port().checked_add(1).unwrap_or(0) };
    SocketAddr::new(address.ip(), port)
}

//! Where the services are, and the key to speak to them.
//!
//! Addresses come from `--collect`, `--grpc`, `--api`, `--admin` or their environment variables, with the ports of
//! `make run` as defaults. The key comes from `--key` or `MERIDIAN_KEY`, else from the data directory of `meridian dev`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use serde::Deserialize;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// Where `make run` keeps its data.
pub const DEFAULT_DATA: &str = ".meridian";

/// Name of the admin key's file in the data directory of `meridian dev`.
pub const ADMIN_KEY_FILE: &str = "admin.key";

/// Name of the folder with the plain keys of created properties in the data directory of `meridian dev`.
pub const KEYS_DIR: &str = "keys";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the services are. Every command takes all four, so that scripts pass one set of options.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Addresses")]
pub struct Addresses {
    /// Where hits are sent
    #[arg(long, env = "MERIDIAN_COLLECT", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub collect: String,
    /// The gRPC API
    #[arg(long, env = "MERIDIAN_GRPC", value_name = "URL", default_value = "http://127.0.0.1:9090")]
    pub grpc: String,
    /// The HTTP/JSON API
    #[arg(long, env = "MERIDIAN_API", value_name = "URL", default_value = "http://127.0.0.1:8081")]
    pub api: String,
    /// Admin ports, separated by commas; that of `meridian dev` answers for all its services
    #[arg(
        long,
        env = "MERIDIAN_ADMIN",
        value_delimiter = ',',
        value_name = "URL",
        default_value = "http://127.0.0.1:9091"
    )]
    pub admin: Vec<String>,
}

/// Options to reach the gRPC API.
#[derive(Debug, Clone, Args)]
pub struct ApiOptions {
    #[command(flatten)]
    pub(crate) addresses: Addresses,
    /// Admin key, a member's key or a report key; without it the admin key in the data directory is used
    #[arg(long, env = "MERIDIAN_KEY", value_name = "KEY", hide_env_values = true)]
    pub key: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataOptions,
}

/// Option for the data directory of `meridian dev`.
#[derive(Debug, Clone, Args)]
pub struct DataOptions {
    /// Data directory of `meridian dev`, where keys are found
    #[arg(long, env = "MERIDIAN_DATA", value_name = "DIR", default_value = DEFAULT_DATA)]
    pub data: PathBuf,
}

/// The plain keys of a property, kept by `meridian dev` only.
#[derive(Debug, Clone, Deserialize)]
pub struct PropertyKeys {
    /// "M-…"
    pub measurement_id: String,
    /// For server-side hits and imports.
    pub api_secret: String,
}

impl DataOptions {
    /// The keys of a property, if this data directory has them.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn property_keys(&self, property_id: &str) -> anyhow::Result<Option<PropertyKeys>> {
        let path = self.data.join(KEYS_DIR).join(format!("{property_id}.json"));
        match read_if_there(&path)? {
            None => Ok(None),
            Some(text) => {
                let keys = serde_json::from_str(&text)
                    .with_context(|| format!("{} does not hold the keys of a property", path.display()))?;
                Ok(Some(keys))
            }
        }
    }
}

/// A channel whose calls carry the key.
pub type KeyedChannel = tonic::service::interceptor::InterceptedService<Channel, KeyHeader>;

/// Adds `authorization: Bearer KEY` to every call.
#[derive(Debug, Clone)]
pub struct KeyHeader(MetadataValue<Ascii>);

impl Interceptor for KeyHeader {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl ApiOptions {
    /// Connects to the gRPC API with the key.
    ///
    /// # Errors
    /// When there is no key, the address is not one, or nobody answers there.
    pub async fn connect(&self) -> anyhow::Result<KeyedChannel> {
        let key = self.key()?;
        let header = format!("Bearer {key}")
            .parse()
            .map_err(|_| anyhow!("--key holds characters that a key never has; copy it again"))?;
        let endpoint = Endpoint::from_shared(self.addresses.grpc.clone())
            .with_context(|| {
                format!("--grpc {:?} is not a URL such as http://127.0.0.1:9090", self.addresses.grpc)
            })?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT);
        let channel = endpoint.connect().await.map_err(|_| {
            anyhow!(
                "nobody answers at {}; start `meridian dev`, or give the API's address with --grpc",
                self.addresses.grpc
            )
        })?;
        Ok(KeyedChannel::new(channel, KeyHeader(header)))
    }

    fn key(&self) -> anyhow::Result<String> {
        if let Some(key) = &self.key {
            return Ok(key.trim().to_owned());
        }
        let path = self.data.data.join(ADMIN_KEY_FILE);
        read_if_there(&path)?.map(|key| key.trim().to_owned()).ok_or_else(|| {
            anyhow!(
                "no key: give --key or MERIDIAN_KEY, or --data with the data directory of `meridian dev` ({} is not there)",
                path.display()
            )
        })
    }
}

/// Everything of a list that comes in pages: `page` asks for the one with a token, and gives it with the token of the next.
///
/// # Errors
/// When the API refuses.
pub(crate) async fn every_page<T>(
    page: impl AsyncFnMut(String) -> Result<(Vec<T>, String), Status>,
) -> anyhow::Result<Vec<T>> {
    pages(page).await.map_err(|status| call_error(&status))
}

/// The same for who has to know why the API refuses.
///
/// # Errors
/// When the API refuses.
pub(crate) async fn pages<T>(
    mut page: impl AsyncFnMut(String) -> Result<(Vec<T>, String), Status>,
) -> Result<Vec<T>, Status> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let (items, next) = page(page_token).await?;
        all.extend(items);
        if next.is_empty() {
            return Ok(all);
        }
        page_token = next;
    }
}

/// The API has no place for the call now, or the key has made too many: it was not carried out, and may be repeated.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct TooMany(String);

/// Pause before a call is repeated that was one too many.
const TOO_MANY_PAUSE: Duration = Duration::from_secs(1);
/// How often it is repeated.
const TOO_MANY_REPEATS: u32 = 60;

/// Makes a call, and makes it again while it is one too many: for who makes thousands of them.
///
/// # Errors
/// When the API refuses it for another reason, or for a minute.
pub(crate) async fn patiently<T>(mut call: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    for _ in 0..TOO_MANY_REPEATS {
        match call().await {
            Err(error) if error.is::<TooMany>() => tokio::time::sleep(TOO_MANY_PAUSE).await,
            answer => return answer,
        }
    }
    call().await
}

/// What a refused call means to a person: the server's sentence, without gRPC's wrapping.
pub fn call_error(status: &Status) -> anyhow::Error {
    match status.code() {
        tonic::Code::ResourceExhausted => TooMany(status.message().to_owned()).into(),
        tonic::Code::Unavailable => anyhow!("the API is not available: {}", status.message()),
        _ => anyhow!("{}", status.message()),
    }
}

fn read_if_there(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(anyhow!("cannot read {}: {error}", path.display())),
    }
}

//! A hub in this process with certificates and a store of its own, edges that talk to it, and a store that fails.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use batch::{BatchId, Lane, SealedBatch, segment};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use hit::Epoch;
use hub::Config;
use identity::{Identity, Role, TlsFiles, ensure_development};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use serde_json::{Map, Value};
use service::{Context, SystemClock};
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use transport::{Connection, Endpoint, LaneId, TransportConfig};

/// 2026-01-01T00:00:00Z; real clocks read later and within ten years.
const NOW_MS: u64 = 1_767_225_600_000;
pub(crate) const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const EPOCH: Epoch = Epoch([7; 16]);

pub(crate) fn files(directory: &TempDir, role: Role, id: &str) -> TlsFiles {
    ensure_development(directory.path(), &[Identity::new(role, id).unwrap()], NOW_MS).unwrap().remove(0)
}

pub(crate) fn lane(edge: &str, lane: Lane) -> LaneId {
    LaneId { edge: edge.parse().unwrap(), epoch: EPOCH, lane }
}

/// Ten hits each, with a payload that differs from batch to batch.
pub(crate) fn batch(edge: &str, lane: Lane, seq: u64) -> SealedBatch {
    let id = BatchId { edge: edge.parse().unwrap(), epoch: EPOCH, lane, seq };
    let payload: Vec<u8> = (seq..seq + 100).flat_map(u64::to_le_bytes).collect();
    SealedBatch::seal(id, 10 * seq..10 * seq + 10, 99, payload.into()).unwrap()
}

/// What happens to the PUTs of segments; everything else passes.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: InMemory,
    /// PUTs of rollup segments that may go on.
    pub(crate) gate: Semaphore,
    /// PUTs that fail before anything is written.
    pub(crate) failing: AtomicUsize,
    /// PUTs that are written and then fail all the same.
    pub(crate) lying: AtomicUsize,
    /// Ignores `PutMode::Create`.
    overwrites: bool,
    begun: mpsc::UnboundedSender<String>,
}

impl Faulty {
    /// The store and the keys of the PUTs that begin.
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<String>) {
        let (begun, begins) = mpsc::unbounded_channel();
        let store = Self {
            inner: InMemory::new(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            failing: AtomicUsize::new(0),
            lying: AtomicUsize::new(0),
            overwrites: false,
            begun,
        };
        (Arc::new(store), begins)
    }

    pub(crate) fn overwriting() -> Arc<Self> {
        let (begun, _) = mpsc::unbounded_channel();
        Arc::new(Self {
            inner: InMemory::new(),
            gate: Semaphore::new(1),
            failing: AtomicUsize::new(0),
            lying: AtomicUsize::new(0),
            overwrites: true,
            begun,
        })
    }

    /// Every PUT of a rollup segment waits from now on.
    pub(crate) fn close(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

fn take_one(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

fn fault() -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: "injected".into() }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if location.prefix_matches(&Path::from("segments")) {
            let _nobody_counts = self.begun.send(location.to_string());
            let rollup = location.prefix_matches(&Path::from("segments/rollup"));
            let _permit = if rollup { Some(self.gate.acquire().await.unwrap()) } else { None };
            if take_one(&self.failing) {
                return Err(fault());
            }
            let put = self.inner.put_opts(location, payload, options).await?;
            return if take_one(&self.lying) { Err(fault()) } else { Ok(put) };
        }
        let options = if self.overwrites { PutOptions::default() } else { options };
        self.inner.put_opts(location, payload, options).await
    }
    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }
    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(keys)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Batches of a lane, segment by segment in order of their keys.
pub(crate) async fn segments(store: &dyn ObjectStore, lane: Lane) -> Vec<Vec<SealedBatch>> {
    let prefix = Path::from(segment::prefix(lane));
    let mut keys: Vec<Path> =
        store.list(Some(&prefix)).map_ok(|meta| meta.location).try_collect().await.unwrap();
    keys.sort();
    let mut segments = Vec::new();
    for key in keys {
        assert!(segment::created_at_ms(key.as_ref()).is_some_and(|created_at_ms| created_at_ms > NOW_MS));
        let object = store.get(&key).await.unwrap().bytes().await.unwrap();
        segments.push(segment::decode(&object).unwrap());
    }
    segments
}

/// How often each seq of the edge is in the store.
pub(crate) async fn copies(store: &dyn ObjectStore, edge: &str, lane: Lane, seq: u64) -> usize {
    let expected = batch(edge, lane, seq);
    segments(store, lane).await.iter().flatten().filter(|found| **found == expected).count()
}

pub(crate) struct Running {
    pub(crate) context: Context,
    pub(crate) quic: SocketAddr,
    pub(crate) ready: Map<String, Value>,
    pub(crate) run: JoinHandle<anyhow::Result<()>>,
    pub(crate) directory: TempDir,
}

impl Running {
    pub(crate) async fn start(store: Arc<dyn ObjectStore>) -> Self {
        Self::start_with(store, |_| {}).await
    }

    pub(crate) async fn start_with(store: Arc<dyn ObjectStore>, change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(files(&directory, Role::Hub, "h1"));
        config.data_dir = directory.path().join("data");
        change(&mut config);
        let (announced, mut announcements) = mpsc::unbounded_channel();
        let context = Context::new(SystemClock::shared()).child(Arc::new(move |service, fields| {
            assert_eq!(service, "hub");
            announced.send(fields).map_err(std::io::Error::other)
        }));
        let run = tokio::spawn(hub::run_on(store, config, context.clone()));
        let ready = announcements.recv().await.unwrap();
        let quic = ready["quic"].as_str().unwrap().parse().unwrap();
        Self { context, quic, ready, run, directory }
    }

    pub(crate) async fn connect(&self, edge: &str) -> Connection {
        connect(&files(&self.directory, Role::Edge, edge), self.quic).await
    }

    pub(crate) fn metric(&self, line: &str) -> u64 {
        let text = self.context.registry.encode_text().unwrap();
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        value.unwrap_or("0").parse().unwrap()
    }

    pub(crate) async fn stop(self) -> TempDir {
        self.context.shutdown.cancel();
        self.run.await.unwrap().unwrap();
        self.directory
    }
}

/// Free ports, and a delay that does not make tests wait.
pub(crate) fn config(tls: TlsFiles) -> Config {
    let mut config = Config { admin_listen: ANY_PORT, tls, ..Config::default() };
    config.receive.listen = ANY_PORT;
    config.mesh.listen = ANY_PORT;
    config.segment.delay_ms = 20;
    config.segment.retry_first_ms = 1;
    config
}

pub(crate) async fn connect(files: &TlsFiles, address: SocketAddr) -> Connection {
    let endpoint = Endpoint::new(files, ANY_PORT, &TransportConfig::default()).unwrap();
    endpoint.connect(address).await.unwrap()
}

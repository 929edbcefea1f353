//! One salt per date whoever comes first, as long as it is wanted, over a store that fails and lies.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use configuration::salts::somewhere;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions,
    PutResult, Result,
};
use service::TestClock;
use tempfile::TempDir;

use super::*;

/// A store that fails when it is told to, and whose next puts may succeed and say that they did not.
#[derive(Debug, Default)]
struct Flaky {
    inner: InMemory,
    is_down: AtomicBool,
    lies: AtomicUsize,
}

impl Flaky {
    fn answer(&self) -> Result<()> {
        if self.is_down.load(Ordering::SeqCst) { Err(fault()) } else { Ok(()) }
    }
}

fn fault() -> object_store::Error {
    object_store::Error::Generic { store: "flaky", source: "injected".into() }
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flaky")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, location: &Key, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.answer()?;
        let put = self.inner.put_opts(location, payload, options).await?;
        let lies = self.lies.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |lies| lies.checked_sub(1));
        if lies.is_ok() { Err(fault()) } else { Ok(put) }
    }
    async fn put_multipart_opts(
        &self,
        location: &Key,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }
    async fn get_opts(&self, location: &Key, options: GetOptions) -> Result<GetResult> {
        self.answer()?;
        self.inner.get_opts(location, options).await
    }
    fn delete_stream(&self, keys: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
        self.inner.delete_stream(keys)
    }
    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.answer() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }
    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// From the 9th at UTC-12 to the 11th at UTC+14.
const NOW: &str = "2026-03-10T11:00:00Z";

fn ms(time: &str) -> u64 {
    u64::try_from(time.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
}

/// An api as far as salts go.
struct Api {
    keeper: Keeper,
    clock: TestClock,
    directory: TempDir,
}

impl Api {
    fn new(store: Arc<dyn ObjectStore>) -> Self {
        let clock = TestClock::new(ms(NOW));
        let directory = tempfile::tempdir().unwrap();
        let config = HistoryConfig {
            store: StoreConfig::local(directory.path()).unwrap(),
            ..HistoryConfig::default()
        };
        drop(store::open(&config.store).unwrap());
        let keeper = Keeper::new(&config, store, Salts::default(), &Context::new(clock.shared()));
        Self { keeper, clock, directory }
    }

    fn held(&self) -> SaltMap {
        (*self.keeper.salts.held()).clone()
    }

    fn dates(&self) -> Vec<String> {
        self.held().keys().map(ToString::to_string).collect()
    }
}

async fn objects(store: &dyn ObjectStore) -> Vec<String> {
    let mut names: Vec<_> =
        store.list(None).map(|object| object.unwrap().location.to_string()).collect().await;
    names.sort();
    names
}

#[tokio::test]
async fn every_date_somewhere_on_earth_and_two_more_have_a_salt() {
    let store = Arc::new(InMemory::new());
    let api = Api::new(store.clone());
    api.keeper.keep().await.unwrap();
    assert_eq!(api.dates(), ["2026-03-09", "2026-03-10", "2026-03-11", "2026-03-12", "2026-03-13"]);
    let different: BTreeSet<_> = api.held().into_values().collect();
    assert_eq!(different.len(), 5);
    let names: Vec<_> = api.dates().iter().map(|date| format!("salts/{date}")).collect();
    assert_eq!(objects(store.as_ref()).await, names);
    // A restart finds them, and changes none.
    let again = Api::new(store);
    again.keeper.keep().await.unwrap();
    assert_eq!(again.held(), api.held());
}

#[tokio::test(flavor = "multi_thread")]
async fn apis_that_come_at_once_agree() {
    for _ in 0..50 {
        let store = Arc::new(InMemory::new());
        let apis: Vec<_> = (0..3).map(|_| Arc::new(Api::new(store.clone()))).collect();
        let passes = apis.iter().map(|api| {
            let api = Arc::clone(api);
            tokio::spawn(async move { api.keeper.keep().await })
        });
        for pass in futures::future::join_all(passes).await {
            pass.unwrap().unwrap();
        }
        assert_eq!(apis[0].held().len(), 5);
        assert!(apis.iter().all(|api| api.held() == apis[0].held()));
    }
}

#[tokio::test]
async fn a_salt_goes_72_hours_after_its_date_began_anywhere_and_not_before() {
    let store = Arc::new(InMemory::new());
    let api = Api::new(store.clone());
    api.keeper.keep().await.unwrap();
    let first = api.held();
    // The 10th began at UTC+14, that is at 10:00 UTC on the 9th. It is over everywhere, but late hits may come.
    api.clock.set_now_ms(ms("2026-03-12T09:59:59.999Z"));
    api.keeper.keep().await.unwrap();
    assert_eq!(api.dates(), ["2026-03-10", "2026-03-11", "2026-03-12", "2026-03-13", "2026-03-14"]);
    let restarted = Api::new(store.clone());
    restarted.clock.set_now_ms(ms("2026-03-12T09:59:59.999Z"));
    restarted.keeper.keep().await.unwrap();
    assert_eq!(restarted.held(), api.held());
    api.clock.set_now_ms(ms("2026-03-12T10:00:00Z"));
    api.keeper.keep().await.unwrap();
    let names = ["2026-03-11", "2026-03-12", "2026-03-13", "2026-03-14", "2026-03-15"];
    assert_eq!(api.dates(), names);
    assert_eq!(objects(store.as_ref()).await, names.map(|date| format!("salts/{date}")));
    assert!(first.iter().skip(2).all(|(date, salt)| api.held().get(date) == Some(salt)));
}

#[tokio::test]
async fn what_is_held_outlives_a_store_that_fails_and_its_expiry_does_not_wait() {
    let store = Arc::new(Flaky::default());
    let api = Api::new(store.clone());
    api.keeper.keep().await.unwrap();
    let first = api.held();
    store.is_down.store(true, Ordering::SeqCst);
    api.keeper.keep().await.unwrap_err();
    assert_eq!(api.held(), first);
    api.clock.set_now_ms(ms("2026-03-12T10:00:00Z"));
    api.keeper.keep().await.unwrap_err();
    assert_eq!(api.dates(), ["2026-03-11", "2026-03-12", "2026-03-13"]);
    assert_eq!(api.keeper.metrics.missing.get(), 2);
    // Two days of that, and still every date on earth has its salt.
    let covers = |time: &str| somewhere(ms(time)).iter().all(|date| api.held().contains_key(date));
    assert!(covers("2026-03-13T09:59:59Z") && !covers("2026-03-13T10:00:00Z"));
    store.is_down.store(false, Ordering::SeqCst);
    api.keeper.keep().await.unwrap();
    assert_eq!((api.held().len(), api.keeper.metrics.missing.get()), (5, 0));
}

#[tokio::test]
async fn a_create_without_a_clean_answer_is_looked_up() {
    let store = Arc::new(Flaky::default());
    store.lies.store(3, Ordering::SeqCst);
    let api = Api::new(store.clone());
    api.keeper.keep().await.unwrap();
    assert_eq!(store.lies.load(Ordering::SeqCst), 0);
    let other = Api::new(store);
    other.keeper.keep().await.unwrap();
    assert_eq!((api.held().len(), api.held()), (5, other.held()));
}

#[tokio::test]
async fn a_lost_object_is_made_again_with_the_same_salt_and_a_damaged_one_keeps_no_other_back() {
    let store = Arc::new(InMemory::new());
    let api = Api::new(store.clone());
    api.keeper.keep().await.unwrap();
    let first = api.held();
    let key = Key::from("salts/2026-03-10");
    store.delete(&key).await.unwrap();
    api.keeper.keep().await.unwrap();
    assert_eq!(api.held(), first);
    let restarted = Api::new(store.clone());
    restarted.keeper.keep().await.unwrap();
    assert_eq!(restarted.held(), first);
    // The salt of another date is none of this one.
    let foreign = store.get(&Key::from("salts/2026-03-11")).await.unwrap().bytes().await.unwrap();
    store.put(&key, PutPayload::from(foreign)).await.unwrap();
    let error = api.keeper.keep().await.unwrap_err().to_string();
    assert!(
        error.starts_with("salts/2026-03-10 is no salt") && error.contains("remove the object"),
        "{error}"
    );
    assert_eq!(api.held(), first, "what was held goes on");
    let restarted = Api::new(store);
    restarted.keeper.keep().await.unwrap_err();
    assert_eq!(restarted.held().len(), 4);
}

#[tokio::test]
async fn what_a_killed_api_left_beside_the_objects_goes_with_them() {
    let clock_at = |api: &Api, time: &str| api.clock.set_now_ms(ms(time));
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("salts")).unwrap();
    let mut api = Api::new(Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap()));
    api.keeper.config = StoreConfig::local(directory.path()).unwrap();
    api.keeper.keep().await.unwrap();
    let left = directory.path().join("salts/2026-03-10#1");
    std::fs::copy(directory.path().join("salts/2026-03-10"), &left).unwrap();
    clock_at(&api, "2026-03-12T09:59:59.999Z");
    api.keeper.keep().await.unwrap();
    assert!(left.exists(), "an api may be about to name it");
    clock_at(&api, "2026-03-12T10:00:00Z");
    api.keeper.keep().await.unwrap();
    assert!(!left.exists() && !directory.path().join("salts/2026-03-10").exists());
    drop(api.directory);
}

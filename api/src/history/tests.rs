//! The history as several apis on one store have it: one order, no lost change, across restarts, stalls and damage.

use std::collections::BTreeSet;
use std::sync::Arc;

use configuration::replica::Records as _;
use configuration::stored;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use property::NewProperty;
use service::TestClock;
use tempfile::TempDir;

use super::*;
use crate::properties::{Keys, create};

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW_MS: u64 = 1_767_225_600_000;

/// An api as far as the history goes.
pub(crate) struct Running {
    pub(crate) history: History,
    pub(crate) store: Arc<dyn ObjectStore>,
    dir: TempDir,
    shutdown: CancellationToken,
    thread: Option<std::thread::JoinHandle<anyhow::Result<()>>>,
}

pub(crate) fn by(method: &'static str) -> Attribution {
    Attribution { actor: wire::Actor { kind: "admin_key".into(), id: String::new() }, method }
}

impl Running {
    /// The first on a store of its own.
    pub(crate) fn start() -> Self {
        Self::start_on(Arc::new(InMemory::new()), tempfile::tempdir().unwrap())
    }

    pub(crate) fn start_on(store: Arc<dyn ObjectStore>, dir: TempDir) -> Self {
        Self::try_start_on(store, dir).unwrap()
    }

    fn try_start_on(store: Arc<dyn ObjectStore>, dir: TempDir) -> Result<Self, StartError> {
        let config = HistoryConfig {
            data_dir: dir.path().join("data"),
            poll_ms: 10,
            snapshot_versions: 5,
            ..HistoryConfig::default()
        };
        let (clock, registry) = (TestClock::new(NOW_MS).shared(), SharedRegistry::default());
        let runtime = tokio::runtime::Handle::current();
        let opened = std::thread::scope(|scope| {
            let store = Arc::clone(&store);
            let open = scope.spawn(|| History::open(&config, store, clock, &registry, &runtime));
            open.join().unwrap()
        });
        let (history, author) = opened?;
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let thread = std::thread::spawn(move || run(author, &stop));
        Ok(Self { history, store, dir, shutdown, thread: Some(thread) })
    }

    pub(crate) async fn property(&self, name: &str) -> Keys {
        let new = NewProperty { name: name.into(), ..NewProperty::default() };
        self.history
            .change(by("CreateProperty"), move |draft| create(draft, &new, "", 0, NOW_MS))
            .await
            .unwrap()
    }

    /// Stops it; gives its data directory.
    fn stop(mut self) -> TempDir {
        self.end();
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }

    fn end(&mut self) {
        self.shutdown.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }

    async fn reach(&self, version: u64) {
        // What edges get comes second.
        let mut moved = self.history.for_edges.watch();
        moved.wait_for(|position| position.version >= version).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn names(history: &History) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let reader = history.read().unwrap();
    reader
        .for_each(stored::PROPERTY, &mut |key, value| {
            names.insert(stored::decode::<wire::StoredProperty>(key, value).unwrap().name);
        })
        .unwrap();
    names
}

/// Adds one to a counter, as a change that depends on the state before.
fn count(draft: &mut Draft<'_>) -> Result<u64, Refusal> {
    let before = draft.value("count")?.map_or(0, |value| u64::from_le_bytes(value.try_into().unwrap()));
    draft.put("count".into(), (before + 1).to_le_bytes().to_vec());
    Ok(before + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_apis_that_write_at_once_none_loses_a_change() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let apis: Vec<_> = (0..3)
        .map(|_| Arc::new(Running::start_on(Arc::clone(&store), tempfile::tempdir().unwrap())))
        .collect();
    let writers = (0..60_usize).map(|n| {
        let api = Arc::clone(&apis[n % 3]);
        tokio::spawn(async move { api.history.change(by("Count"), count).await.unwrap() })
    });
    let mut counted = BTreeSet::new();
    for writer in writers.collect::<Vec<_>>() {
        assert!(counted.insert(writer.await.unwrap()), "two were told the same count");
    }
    assert_eq!(counted, (1..=60).collect());
    let newest = apis.iter().map(|api| api.history.position().version).max().unwrap();
    for api in &apis {
        api.reach(newest).await;
        assert_eq!(api.history.position(), apis[0].history.position());
        assert_eq!(api.history.for_edges().position().version, newest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_survives_a_restart_and_the_loss_of_the_local_copy() {
    let running = Running::start();
    for name in 0..30 {
        running.property(&name.to_string()).await;
    }
    let (position, store) = (running.history.position(), Arc::clone(&running.store));
    let dir = running.stop();
    // The same directory, then an empty one, which begins with the snapshot.
    for dir in [dir, tempfile::tempdir().unwrap()] {
        let again = Running::start_on(Arc::clone(&store), dir);
        assert_eq!(again.history.position(), position);
        assert_eq!(again.history.for_edges().position().version, position.version);
        assert_eq!(names(&again.history).len(), 30);
        // Bytes for edges are those of an api that was there all the time.
        let reader = again.history.for_edges().read().unwrap();
        assert!(reader.get(stored::DEPLOYMENT).unwrap().is_some());
    }
    let snapshots = store.list(Some(&Key::from("config/snapshots")));
    let snapshots = futures::StreamExt::count(snapshots).await;
    assert!((1..=3).contains(&snapshots), "{snapshots} snapshots of 30 changes, one for every five");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_for_edges_made_anew_is_that_which_followed() {
    let running = Running::start();
    running.property("a").await;
    running.property("b").await;
    let (position, store) = (running.history.for_edges().position(), Arc::clone(&running.store));
    let dir = running.stop();
    std::fs::remove_file(dir.path().join("data/config-for-edges.redb")).unwrap();
    assert_eq!(Running::start_on(store, dir).history.for_edges().position(), position);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_as_it_was_makes_no_version() {
    let running = Running::start();
    let before = running.history.position();
    let refused = running.history.change(by("X"), |draft| {
        draft.put("x".into(), vec![1]);
        Err::<(), _>(Refusal::invalid("x", "1", "which is wrong"))
    });
    assert_eq!(refused.await.unwrap_err().message, "x is \"1\", which is wrong");
    let unchanged = running.history.change(by("X"), |draft| {
        draft.delete("nothing".into());
        Ok(())
    });
    unchanged.await.unwrap();
    assert_eq!(running.history.position(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_another_store_is_refused_at_start() {
    let running = Running::start();
    running.property("a").await;
    let dir = running.stop();
    let path = dir.path().join("data");
    let empty = Running::try_start_on(Arc::new(InMemory::new()), dir).err().unwrap();
    assert!(matches!(&empty, StartError::OtherStore(named) if *named == path), "{empty}");
    let (mine, other) = (Running::start(), Running::start());
    mine.property("a").await;
    other.property("b").await;
    let store = Arc::clone(&other.store);
    let error = Running::try_start_on(store, mine.stop()).err().unwrap().to_string();
    assert!(error.contains("name the right store, or remove that directory"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_entry_stops_changes_and_nothing_else() {
    let running = Running::start();
    running.property("a").await;
    let version = running.history.position().version;
    let key = Key::from(format!("config/log/{:020}", version + 1));
    running.store.put(&key, PutPayload::from_static(b"no entry")).await.unwrap();
    let refusal = running.history.change(by("Count"), count).await.unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable);
    assert_eq!((running.history.position().version, names(&running.history).len()), (version, 1));
    running.store.delete(&key).await.unwrap();
    assert_eq!(running.history.change(by("Count"), count).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_damaged_only_makes_a_start_longer() {
    let running = Running::start();
    for name in ["a", "b", "c"] {
        running.property(name).await;
    }
    let position = running.history.position();
    let key = Key::from(format!("config/snapshots/{:020}", position.version + 7));
    running.store.put(&key, PutPayload::from_static(b"\x05no snapshot")).await.unwrap();
    let again = Running::start_on(Arc::clone(&running.store), tempfile::tempdir().unwrap());
    assert_eq!(again.history.position(), position);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_holds_every_version_and_a_restored_store_goes_on_behind_it() {
    let running = Running::start();
    for name in ["a", "b", "c"] {
        running.property(name).await;
    }
    let position = running.history.position();
    let dir = tempfile::tempdir().unwrap();
    let (file, store) = (dir.path().join("backup"), Arc::clone(&running.store));
    let runtime = tokio::runtime::Handle::current();
    let from = file.clone();
    let copied = tokio::task::spawn_blocking(move || backup::backup(store, runtime, &from, &mut |_| {}));
    assert_eq!(copied.await.unwrap().unwrap(), backup::Copied { versions: 4, version: 4 });
    let first = running.store.get(&Key::from(format!("config/log/{:020}", 1))).await.unwrap();
    let running_entry = first.bytes().await.unwrap();
    // What is configured after it is lost.
    running.property("d").await;
    let lost = running.stop();

    let empty: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let restore = |store: &Arc<dyn ObjectStore>, file: PathBuf| {
        let (store, runtime) = (Arc::clone(store), tokio::runtime::Handle::current());
        tokio::task::spawn_blocking(move || backup::restore(store, runtime, &file, NOW_MS, &mut |_| {}))
    };
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = dir.path().join("damaged");
    std::fs::write(&damaged, &bytes).unwrap();
    let error = restore(&empty, damaged).await.unwrap().unwrap_err().to_string();
    assert!(error.contains("no whole backup"), "{error}");
    let cut = dir.path().join("cut");
    std::fs::write(&cut, &std::fs::read(&file).unwrap()[..middle]).unwrap();
    assert!(restore(&empty, cut).await.unwrap().is_err());
    assert!(empty.get(&Key::from(format!("config/log/{:020}", 1))).await.is_err(), "nothing was written");

    // One that was broken off: no api begins with what is there, and the next run goes on.
    let half: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    half.put(&Key::from("config/restoring"), PutPayload::new()).await.unwrap();
    let first = Key::from(format!("config/log/{:020}", 1));
    half.put(&first, running_entry.into()).await.unwrap();
    let refused = Running::try_start_on(Arc::clone(&half), tempfile::tempdir().unwrap()).err().unwrap();
    assert!(matches!(refused, StartError::Restoring), "{refused}");
    restore(&half, file.clone()).await.unwrap().unwrap();
    Running::start_on(half, tempfile::tempdir().unwrap());

    let restored = restore(&empty, file.clone()).await.unwrap().unwrap();
    assert_eq!(restored, backup::Copied { versions: 5, version: 5 });
    let again = restore(&empty, file).await.unwrap().unwrap_err().to_string();
    assert!(again.contains("restore into an empty store"), "{again}");
    // An api that lost its copy, and one that was ahead: both go on with what was restored.
    for dir in [tempfile::tempdir().unwrap(), lost] {
        let after = Running::start_on(Arc::clone(&empty), dir);
        assert_eq!(names(&after.history), BTreeSet::from(["a", "b", "c"].map(str::to_owned)));
        let found = after.history.position();
        assert_eq!(
            (found.history, found.generation, found.checksum),
            (position.history, 1, position.checksum)
        );
        assert_eq!(after.history.for_edges().position().order(), found.order());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_beyond_what_followers_take_are_refused_and_large_ones_get_versions_of_their_own() {
    let running = Running::start();
    let before = running.history.position().version;
    let large = |key: &'static str, bytes: usize| {
        running.history.change(by("Large"), move |draft| {
            draft.put(key.into(), vec![7; bytes]);
            Ok(())
        })
    };
    let (a, b, too_large) = futures::join!(large("a", 5 << 20), large("b", 5 << 20), large("c", 33 << 20));
    assert_eq!((a, b), (Ok(()), Ok(())));
    assert_eq!(too_large.unwrap_err().code, Code::TooLarge);
    assert_eq!(running.history.position().version, before + 2);
}

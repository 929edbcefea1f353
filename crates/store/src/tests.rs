//! The store of a directory keeps its promises; one that overwrites is refused.

use std::fmt;

use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions,
    PutResult, Result,
};

use super::*;

/// A store that takes `PutMode::Create` for an overwrite, as some S3 look-alikes do.
#[derive(Debug, Default)]
struct Overwriting(InMemory);

impl fmt::Display for Overwriting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("overwriting")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Overwriting {
    async fn put_opts(&self, location: &Key, payload: PutPayload, _options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(location, payload, PutOptions::default()).await
    }
    async fn put_multipart_opts(
        &self,
        location: &Key,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }
    async fn get_opts(&self, location: &Key, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }
    fn delete_stream(&self, keys: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
        self.0.delete_stream(keys)
    }
    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn a_store_that_creates_twice_is_refused() {
    let error = check_create_if_absent(&Overwriting::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::CreatesTwice), "{error}");
}

#[tokio::test]
async fn a_directory_passes_at_every_start() {
    let directory = tempfile::tempdir().unwrap();
    let config = StoreConfig::local(&directory.path().join("a b/c")).unwrap();
    for _start in 0..3 {
        let store = open(&config).unwrap();
        check_create_if_absent(store.as_ref()).await.unwrap();
    }
    assert!(directory.path().join("a b/c").join(PROBE_KEY).is_file());
}

#[test]
fn only_what_was_left_unfinished_and_is_to_go_is_erased() {
    let directory = tempfile::tempdir().unwrap();
    let config = StoreConfig::local(directory.path()).unwrap();
    drop(open(&config).unwrap());
    let folder = directory.path().join("salts");
    for name in ["old", "old#1", "old#12", "new#1", "new"] {
        std::fs::write(folder.join(name), b"bytes").unwrap();
    }
    erase_unfinished(&config, "salts", |object| object == "old").unwrap();
    let names =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["new", "new#1", "old"]);
}

#[test]
fn urls_are_checked_with_the_way_out() {
    for (url, expected) in [
        ("file:///var/lib/x", None),
        ("s3://bucket/x", Some("does not know the scheme \"s3\"")),
        ("/var/lib/x", Some("cannot be used")),
        ("file://host/x", Some("it has a host")),
    ] {
        let config = StoreConfig { url: url.into() };
        match (config.validate(), expected) {
            (Ok(()), None) => {}
            (Err(message), Some(expected)) => {
                assert!(message.contains(expected) && message.contains("use file:///"), "{message}");
            }
            (found, _) => panic!("{url}: {found:?}"),
        }
    }
}

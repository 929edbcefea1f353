//! The objects of erasures: requests, markers of open jobs, progress.
//!
//! In and out: documents. Every call ends within the time-out that it was made with. Recovery: whoever dies
//! between a request and its marker, or is not answered, creates the same request again; every call may be repeated.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::document::{DocumentError, FORMAT, JobId, Progress, Request};

/// Where all of it lies.
const ROOT: &str = "erasures";
/// Where the markers of open jobs lie.
const OPEN: &str = "erasures/open";

/// Why a job could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The store failed.
    #[error("the object store failed at {key}: {source}")]
    Store {
        /// The object or prefix.
        key: String,
        /// What it said.
        source: object_store::Error,
    },
    /// No answer in time.
    #[error("the object store gave no answer about {key} within {after_ms} ms")]
    Timeout {
        /// The object or prefix.
        key: String,
        /// The deadline.
        after_ms: u64,
    },
    /// An object that this build cannot read.
    #[error(
        "{key} is not a document of format {FORMAT}: {reason}; it was made by another build or is damaged"
    )]
    Document {
        /// The object.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// A request that cannot be carried out.
    #[error(transparent)]
    Request(#[from] DocumentError),
    /// Another request has the id.
    #[error("job {0} is there and asks for something else: make another id")]
    Taken(JobId),
}

impl JobError {
    /// Whether waiting may help; otherwise someone must act.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store { .. } | Self::Timeout { .. })
    }
}

/// The erasures of a store.
#[derive(Debug, Clone)]
pub struct Jobs {
    store: Arc<dyn ObjectStore>,
    timeout: Duration,
}

impl Jobs {
    /// `timeout`: for each call to the store.
    pub fn new(store: Arc<dyn ObjectStore>, timeout: Duration) -> Self {
        Self { store, timeout }
    }

    /// Creates a job and opens it. The same request may be created again: `false` if it was there.
    ///
    /// # Errors
    /// When the request cannot be carried out, its id is taken, or the store fails.
    pub async fn create(&self, request: &Request) -> Result<bool, JobError> {
        request.check()?;
        let key = request_key(&request.job);
        let bytes = encode(&key, request)?;
        let path = Path::from(key.as_str());
        let put = self.store.put_opts(&path, bytes, PutOptions::from(PutMode::Create));
        match self.within(&key, put).await {
            Ok(_) => {}
            Err(JobError::Store { source: object_store::Error::AlreadyExists { .. }, .. }) => {
                return match self.request(&request.job).await? {
                    Some(there) if there == *request => {
                        // Whoever made the request may have died before the marker; a job that is over has progress.
                        if self.progress(&request.job).await?.is_empty() {
                            self.reopen(&request.job).await?;
                        }
                        Ok(false)
                    }
                    _ => Err(JobError::Taken(request.job.clone())),
                };
            }
            Err(error) => return Err(error),
        }
        self.reopen(&request.job).await?;
        Ok(true)
    }

    /// Opens a job: loaders carry out what is left of it. One that is done is gone through again and closed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reopen(&self, job: &JobId) -> Result<(), JobError> {
        let key = open_key(job);
        let path = Path::from(key.as_str());
        let put = self.store.put(&path, PutPayload::new());
        self.within(&key, put).await.map(drop)
    }

    /// Closes a job that is over.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn close(&self, job: &JobId) -> Result<(), JobError> {
        let key = open_key(job);
        match self.within(&key, self.store.delete(&Path::from(key.as_str()))).await {
            Err(error) if is_absent(&error) => Ok(()),
            result => result,
        }
    }

    /// The jobs that are open, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(&self) -> Result<Vec<JobId>, JobError> {
        let path = Path::from(OPEN);
        let list = self.store.list(Some(&path)).map_ok(|object| object.location.to_string());
        let keys: Vec<String> = self.within(OPEN, list.try_collect()).await?;
        let mut jobs: Vec<JobId> = keys.iter().filter_map(|key| last_of(key)).collect();
        jobs.sort_unstable();
        Ok(jobs)
    }

    /// All jobs, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn all(&self) -> Result<Vec<JobId>, JobError> {
        let path = Path::from(ROOT);
        let listed = self.within(ROOT, self.store.list_with_delimiter(Some(&path))).await?;
        let mut jobs: Vec<JobId> =
            listed.common_prefixes.iter().filter_map(|prefix| last_of(prefix.as_ref())).collect();
        jobs.sort_unstable();
        Ok(jobs)
    }

    /// What a job asks for, if it is there.
    ///
    /// # Errors
    /// When the store fails, or this build cannot read it.
    pub async fn request(&self, job: &JobId) -> Result<Option<Request>, JobError> {
        let key = request_key(job);
        let Some(request) = self.get::<Request>(&key).await? else { return Ok(None) };
        request.check()?;
        if request.job != *job {
            return Err(JobError::Document { key, reason: format!("it says job {}", request.job) });
        }
        Ok(Some(request))
    }

    /// How far each shard has come with a job, in order of shards.
    ///
    /// # Errors
    /// When the store fails, or this build cannot read it.
    pub async fn progress(&self, job: &JobId) -> Result<Vec<Progress>, JobError> {
        let prefix = format!("{ROOT}/{job}/progress");
        let path = Path::from(prefix.as_str());
        let list = self.store.list(Some(&path)).map_ok(|object| object.location.to_string());
        let keys: Vec<String> = self.within(&prefix, list.try_collect()).await?;
        let mut all = Vec::with_capacity(keys.len());
        for key in keys {
            all.extend(self.get::<Progress>(&key).await?);
        }
        all.sort_by_key(|progress| progress.shard);
        Ok(all)
    }

    /// How far one shard has come with a job.
    ///
    /// # Errors
    /// When the store fails, or this build cannot read it.
    pub async fn progress_of(&self, job: &JobId, shard: u16) -> Result<Option<Progress>, JobError> {
        self.get(&progress_key(job, shard)).await
    }

    /// Overwrites how far a shard has come.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_progress(&self, progress: &Progress) -> Result<(), JobError> {
        let key = progress_key(&progress.job, progress.shard);
        let bytes = encode(&key, progress)?;
        self.within(&key, self.store.put(&Path::from(key.as_str()), bytes)).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, JobError> {
        let path = Path::from(key);
        let read = async { self.store.get(&path).await?.bytes().await };
        let bytes: Bytes = match self.within(key, read).await {
            Ok(bytes) => bytes,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let damaged =
            |error: serde_json::Error| JobError::Document { key: key.to_owned(), reason: error.to_string() };
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    async fn within<T>(
        &self,
        key: &str,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, JobError> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(result) => result.map_err(|source| JobError::Store { key: key.to_owned(), source }),
            Err(_) => {
                let after_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
                Err(JobError::Timeout { key: key.to_owned(), after_ms })
            }
        }
    }
}

fn request_key(job: &JobId) -> String {
    format!("{ROOT}/{job}/request.json")
}

fn open_key(job: &JobId) -> String {
    format!("{OPEN}/{job}")
}

fn progress_key(job: &JobId, shard: u16) -> String {
    format!("{ROOT}/{job}/progress/{shard}.json")
}

fn encode(key: &str, document: &impl Serialize) -> Result<PutPayload, JobError> {
    serde_json::to_vec(document)
        .map(PutPayload::from)
        .map_err(|error| JobError::Document { key: key.to_owned(), reason: error.to_string() })
}

fn is_absent(error: &JobError) -> bool {
    matches!(error, JobError::Store { source: object_store::Error::NotFound { .. }, .. })
}

/// The job that the last part of a key names.
fn last_of(key: &str) -> Option<JobId> {
    key.rsplit('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests;

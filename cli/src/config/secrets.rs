//! Where the keys and secrets go that `meridian config apply` makes: each is shown once.
//!
//! In: a secret as soon as it is made. Out: a line of JSON on standard output or in a file that only its owner reads. Invariant: a secret is
//! written before anybody is told that its change is done, so a run that breaks loses those of calls under way at most.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::entry::Kind;

/// Bits of a file's mode that let others than its owner at it.
const OTHERS: u32 = 0o077;

/// A key or an API secret.
#[derive(Debug, Clone)]
pub(super) struct Secret {
    /// Whose: of a property, a member, or itself a report key.
    pub(super) kind: Kind,
    /// What it is called in the file.
    pub(super) name: String,
    /// Ids and secrets by field, as the commands that make one thing answer them.
    pub(super) fields: Vec<(&'static str, String)>,
}

/// Where they go.
#[derive(Debug)]
pub(super) enum Secrets {
    Stdout,
    File(PathBuf, File),
}

impl Secrets {
    /// Opens the file, or none. One that is there goes on, if it is nobody else's to read.
    ///
    /// # Errors
    /// When it cannot be opened, or others may read it.
    pub(super) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        let file = File::options().create(true).append(true).mode(0o600).open(path);
        let file = file.with_context(|| format!("cannot open --secrets-to = {path:?}"))?;
        let mode = file.metadata().with_context(|| format!("cannot look at --secrets-to = {path:?}"))?.mode();
        if mode & OTHERS != 0 {
            bail!(
                "--secrets-to = {path:?} has mode {:o}, so others than its owner get at it; run `chmod 600` on it, or name a new file",
                mode & 0o777
            );
        }
        Ok(Self::File(path.to_owned(), file))
    }

    /// Writes one.
    ///
    /// # Errors
    /// When it cannot be written: it is lost then, and has to be replaced.
    pub(super) fn put(&mut self, secret: &Secret) -> anyhow::Result<()> {
        let mut object = json!({ "event": "secret", "kind": secret.kind, "name": secret.name });
        if let Value::Object(object) = &mut object {
            object.extend(secret.fields.iter().map(|(field, value)| ((*field).to_owned(), json!(value))));
        }
        let line = format!("{object}\n");
        match self {
            Self::Stdout => {
                std::io::stdout().lock().write_all(line.as_bytes()).context("standard output is closed")
            }
            Self::File(path, file) => file
                .write_all(line.as_bytes())
                .with_context(|| format!("cannot write --secrets-to = {path:?}")),
        }
        .with_context(|| format!("the secrets of {:?} are lost, so replace them", secret.name))
    }

    /// Makes sure that they outlive a loss of power.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Self::File(path, file) = self else { return Ok(()) };
        file.sync_all()
            .and_then(|()| durable::sync_name(&path))
            .with_context(|| format!("cannot write --secrets-to = {path:?}"))
    }
}

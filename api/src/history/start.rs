//! Opens the local copies and brings them up to the log; makes a log where there is none.

use std::sync::Arc;

use configuration::replica::{ApplyError, NoView, Records as _};
use configuration::stored::{DEPLOYMENT, for_edges};
use configuration::{Checksum, Position, Replica, ReplicaError, SCHEMA, snapshot};
use prost::Message as _;
use proto::config::snapshot_piece::Piece;
use proto::config::{Actor, Change, LogEntry, Record, Records, SnapshotBegin, StoredDeployment, Write};

use super::draft::checksum_after;
use super::log::{Created, Log, LogError};
use super::{HistoryConfig, StartError, project};

/// The copy of all records, in the data directory.
const COPY: &str = "config.redb";

/// Versions that a copy may lack and still be brought up by the log alone.
const FEW: u64 = 1_000;

/// The local copies.
pub(super) struct Copies {
    /// Of all records.
    pub(super) replica: Arc<Replica>,
    /// Of those that edges get.
    pub(super) for_edges: Arc<Replica>,
}

pub(super) fn open(config: &HistoryConfig, log: &Log, now_ms: u64) -> Result<Copies, StartError> {
    let open = |name, cache_bytes| Replica::open(&config.data_dir.join(name), cache_bytes, Arc::new(NoView));
    let mut copies = Copies {
        replica: open(COPY, config.cache_bytes)?,
        for_edges: open("config-for-edges.redb", config.cache_bytes / 4)?,
    };
    if log.is_restoring()? {
        return Err(StartError::Restoring);
    }
    let first = match log.entry(1)? {
        Some(first) => Some(first),
        None if copies.replica.position().is_nothing() => Some(begin(log, now_ms)?),
        None => None,
    };
    let history = first.and_then(|first| first.position).map(|position| position.history);
    let at = copies.replica.position();
    if history.is_none() || (!at.is_nothing() && history.as_deref() != Some(&at.history[..])) {
        return Err(StartError::OtherStore(config.data_dir.clone()));
    }
    if !at.is_nothing() && !is_in(log, at)? {
        if newest_generation(log)? <= at.generation {
            return Err(StartError::OtherStore(config.data_dir.clone()));
        }
        tracing::warn!(
            version = at.version,
            "the configuration was restored from a backup; it is taken anew"
        );
        drop(copies.replica);
        let path = config.data_dir.join(COPY);
        std::fs::remove_file(&path).map_err(|source| ReplicaError::Make { path, source })?;
        copies.replica = open(COPY, config.cache_bytes)?;
    }
    take_snapshot(&copies.replica, log)?;
    // In step from here on, whatever a crash left.
    while let Some(entry) = log.entry(copies.replica.position().version + 1)? {
        apply(&copies.replica, &project::whole(&entry))?;
    }
    bring_up_edges(&copies, log)?;
    Ok(copies)
}

/// Whether a version is one of the log.
fn is_in(log: &Log, at: Position) -> Result<bool, StartError> {
    let position = log.entry(at.version)?.and_then(|entry| entry.position);
    Ok(position.is_some_and(|position| Position::try_from(&position) == Ok(at)))
}

fn newest_generation(log: &Log) -> Result<u32, StartError> {
    let newest = log.newest()?.map(|version| log.entry(version)).transpose()?.flatten();
    Ok(newest.and_then(|entry| entry.position).map_or(0, |position| position.generation))
}

/// The first entry of a new log, ours or another api's that was faster.
fn begin(log: &Log, now_ms: u64) -> Result<LogEntry, StartError> {
    let (mut history, mut entry_id) = ([0; 16], [0; 16]);
    getrandom::fill(&mut history).map_err(StartError::Random)?;
    getrandom::fill(&mut entry_id).map_err(StartError::Random)?;
    let after = Some(StoredDeployment { created_at_ms: now_ms }.encode_to_vec());
    let writes = vec![Write { key: DEPLOYMENT.to_owned(), before: None, after }];
    let checksum = checksum_after(Checksum::default(), &writes);
    let actor = Some(Actor { kind: "api".to_owned(), id: String::new() });
    let entry = LogEntry {
        position: Some(Position { history, generation: 0, version: 1, checksum }.into()),
        schema: SCHEMA,
        entry_id: entry_id.to_vec(),
        changes: vec![Change { actor, at_ms: now_ms, method: "Begin".to_owned(), writes }],
    };
    match log.create(&entry)? {
        Created::Ours => Ok(entry),
        Created::Theirs => log.entry(1)?.ok_or_else(|| {
            LogError::Damaged { key: "config/log".into(), problem: "its first entry came and went".into() }
                .into()
        }),
    }
}

/// Jumps to the newest snapshot if the copy lacks much.
fn take_snapshot(replica: &Replica, log: &Log) -> Result<(), StartError> {
    let at = replica.position().version;
    let from = if at == 0 { 1 } else { at.saturating_add(FEW) };
    let Some((version, bytes)) = log.newest_snapshot(from)? else { return Ok(()) };
    match replace(replica, &bytes) {
        Ok(()) => Ok(()),
        Err(StartError::Refused(refused)) => {
            // The log has all of it.
            tracing::error!(version, %refused, "a snapshot of the configuration cannot be used; the log is read instead");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn replace(replica: &Replica, bytes: &[u8]) -> Result<(), StartError> {
    let mut replacing = None;
    for piece in snapshot::from_file(bytes) {
        let piece = piece.map_err(|problem| configuration::Refused::Corrupt { version: 0, problem })?;
        match (piece, &mut replacing) {
            (Piece::Begin(begin), None) => {
                replacing = replica.begin(&begin, Position::default()).map_err(apart)?;
            }
            (Piece::Part(part), Some(replacing)) => replacing.part(&part).map_err(apart)?,
            (Piece::End(_), _) => return replacing.map_or(Ok(()), |whole| whole.end().map_err(apart)),
            _ => break,
        }
    }
    Err(configuration::Refused::Corrupt { version: 0, problem: "it ends early".into() }.into())
}

/// Brings the edges' copy to the version of the other one.
fn bring_up_edges(copies: &Copies, log: &Log) -> Result<(), StartError> {
    let (whole, at) = (copies.replica.position(), copies.for_edges.position());
    let is_same_log = (at.history, at.generation) == (whole.history, whole.generation);
    let is_near = is_same_log && at.version <= whole.version && whole.version - at.version <= FEW;
    if is_near {
        for version in at.version + 1..=whole.version {
            let Some(entry) = log.entry(version)? else { return project_all(copies) };
            let delta = project::to_edges(&entry, &copies.for_edges).map_err(|error| unreadable(&error))?;
            apply(&copies.for_edges, &delta)?;
        }
        return Ok(());
    }
    project_all(copies)
}

/// Makes the edges' copy anew from the other one.
fn project_all(copies: &Copies) -> Result<(), StartError> {
    let reader = copies.replica.read()?;
    let (mut checksum, mut records, mut wrong) = (Checksum::default(), 0, None);
    reader.for_each("", &mut |key, value| match for_edges(key, value) {
        Ok(Some(value)) => {
            checksum = checksum.with(key, &value);
            records += 1;
        }
        Ok(None) => {}
        Err(error) => wrong = Some(error),
    })?;
    if let Some(error) = wrong {
        return Err(unreadable(&error));
    }
    let position = Position { checksum, ..copies.replica.position() };
    let begin = SnapshotBegin { position: Some(position.into()), records, schema: SCHEMA };
    let Some(mut replacing) = copies.for_edges.begin(&begin, Position::default()).map_err(apart)? else {
        return Ok(());
    };
    let mut batch = Records::default();
    let mut failed = Ok(());
    reader.for_each("", &mut |key, value| {
        if let Ok(Some(value)) = for_edges(key, value) {
            batch.records.push(Record { key: key.to_owned(), value: Some(value) });
            if batch.records.len() >= 1_000 && failed.is_ok() {
                failed = replacing.records(&std::mem::take(&mut batch).records);
            }
        }
    })?;
    failed?;
    replacing.records(&batch.records)?;
    replacing.end().map_err(apart)
}

pub(super) fn apply(replica: &Replica, delta: &proto::config::Delta) -> Result<(), StartError> {
    replica.apply(std::slice::from_ref(delta)).map(drop).map_err(apart)
}

fn apart(error: ApplyError) -> StartError {
    match error {
        ApplyError::Refused(refused) => refused.into(),
        ApplyError::Replica(error) => error.into(),
    }
}

fn unreadable(error: &configuration::stored::StoredError) -> StartError {
    configuration::Refused::Corrupt { version: 0, problem: error.to_string() }.into()
}

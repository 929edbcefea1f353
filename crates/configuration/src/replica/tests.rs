//! Versions that are put in force, and those that are not; what a new start finds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tempfile::TempDir;
use wire::snapshot_piece::Piece;

use super::*;
use crate::fixture;
use crate::snapshot;

const CACHE: usize = 1 << 20;

fn record(key: &str, value: Option<&str>) -> wire::Record {
    wire::Record { key: key.into(), value: value.map(|value| value.as_bytes().to_vec()) }
}

fn set(replica: &Replica, records: &[(&str, Option<&str>)]) -> wire::Delta {
    fixture::next(replica, records.iter().map(|(key, value)| record(key, *value)).collect()).unwrap()
}

/// A copy with version 1: one record.
fn opened(dir: &TempDir, name: &str) -> Arc<Replica> {
    let replica = Replica::open(&dir.path().join(name), CACHE, Arc::new(NoView)).unwrap();
    if replica.position().is_nothing() {
        let mut first = set(&replica, &[("deployment", Some("x"))]);
        first.position.as_mut().unwrap().history = vec![1; 16];
        replica.apply(&[first]).unwrap();
    }
    replica
}

fn refused(result: Result<impl Sized, ApplyError>) -> Refused {
    match result.err() {
        Some(ApplyError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

fn all(replica: &Replica) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let reader = replica.read().unwrap();
    reader
        .for_each("", &mut |key, value| {
            all.insert(key.to_owned(), String::from_utf8(value.to_vec()).unwrap());
        })
        .unwrap();
    all
}

/// Puts the pieces in force as if they had come over the wire.
fn replace(replica: &Replica, pieces: Vec<Piece>, known: Position) -> Result<(), ApplyError> {
    let mut replacing = None;
    for piece in pieces {
        match piece {
            Piece::Begin(begin) => replacing = replica.begin(&begin, known)?,
            Piece::Part(part) => replacing.as_mut().unwrap().part(&part)?,
            Piece::End(_) => return replacing.unwrap().end(),
        }
    }
    Ok(())
}

fn pieces(replica: &Replica) -> Vec<Piece> {
    let mut pieces = Vec::new();
    snapshot::pieces(&replica.read().unwrap(), &mut |piece| {
        pieces.push(piece);
        true
    })
    .unwrap();
    pieces
}

fn position_of(piece: &mut Piece) -> &mut wire::Position {
    let Piece::Begin(begin) = piece else { panic!("{piece:?}") };
    begin.position.as_mut().unwrap()
}

#[test]
fn versions_come_one_after_the_other_and_stay() {
    let dir = tempfile::tempdir().unwrap();
    let replica = opened(&dir, "a");
    let second = set(&replica, &[("a", Some("1")), ("b", Some("2"))]);
    assert_eq!(replica.apply(std::slice::from_ref(&second)).unwrap(), 1);
    let third = set(&replica, &[("a", None), ("b", Some("3"))]);
    // What is known already is passed over.
    assert_eq!(replica.apply(&[second, third]).unwrap(), 1);
    let expected = BTreeMap::from([("b".into(), "3".into()), ("deployment".into(), "x".into())]);
    assert_eq!((all(&replica), replica.len(), replica.position().version), (expected.clone(), 2, 3));
    let position = replica.position();
    drop(replica);
    let again = opened(&dir, "a");
    assert_eq!((all(&again), again.len(), again.position()), (expected, 2, position));
}

#[test]
fn what_is_wrong_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let replica = opened(&dir, "a");
    replica.apply(&[set(&replica, &[("a", Some("1"))])]).unwrap();
    let before = (all(&replica), replica.position());
    let good = set(&replica, &[("a", Some("2"))]);
    let with = |change: &dyn Fn(&mut wire::Delta)| {
        let mut delta = good.clone();
        change(&mut delta);
        delta
    };
    let position = |delta: &mut wire::Delta, change: &dyn Fn(&mut wire::Position)| {
        change(delta.position.as_mut().unwrap());
    };
    for (delta, reason) in [
        (with(&|delta| delta.records[0].value = Some(b"3".to_vec())), "corrupt"),
        (with(&|delta| delta.records.clear()), "corrupt"),
        (with(&|delta| position(delta, &|at| at.version += 1)), "corrupt"),
        (with(&|delta| position(delta, &|at| at.checksum[0] ^= 1)), "corrupt"),
        (with(&|delta| position(delta, &|at| at.history.truncate(1))), "corrupt"),
        (with(&|delta| delta.position = None), "corrupt"),
        (with(&|delta| position(delta, &|at| at.history[0] ^= 1)), "other_history"),
        (with(&|delta| delta.schema = SCHEMA + 1), "newer_schema"),
    ] {
        assert_eq!(refused(replica.apply(std::slice::from_ref(&delta))).reason(), reason, "{delta:?}");
        assert_eq!((all(&replica), replica.position()), before);
    }
    // Good ones before a bad one are not in force either: they came together.
    let bad = with(&|delta| position(delta, &|at| at.version += 5));
    assert_eq!(refused(replica.apply(&[good.clone(), bad])).reason(), "corrupt");
    assert_eq!((all(&replica), replica.position()), before);
    let nothing = set(&replica, &[("a", None), ("deployment", None)]);
    assert_eq!(refused(replica.apply(&[nothing])).reason(), "empty");
    assert_eq!(replica.apply(&[good]).unwrap(), 1);
}

#[test]
fn whole_versions_are_taken_in_or_refused_by_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (opened(&dir, "from"), opened(&dir, "to"));
    to.apply(&[set(&to, &[("old", Some("1"))])]).unwrap();
    for n in 0..10 {
        from.apply(&[set(&from, &[(&format!("k{n}"), Some("v"))])]).unwrap();
    }
    let before = (all(&to), to.position());
    let good = pieces(&from);
    let with = |change: &dyn Fn(&mut Vec<Piece>)| {
        let mut pieces = good.clone();
        change(&mut pieces);
        pieces
    };
    let begin = |pieces: &mut Vec<Piece>, change: &dyn Fn(&mut wire::SnapshotBegin)| {
        let Some(Piece::Begin(begin)) = pieces.first_mut() else { panic!() };
        change(begin);
    };
    for (pieces, reason) in [
        (with(&|pieces| begin(pieces, &|begin| begin.records = 0)), "empty"),
        (with(&|pieces| position_of(&mut pieces[0]).version = 1), "older"),
        (with(&|pieces| position_of(&mut pieces[0]).version = 0), "corrupt"),
        (with(&|pieces| position_of(&mut pieces[0]).history[3] ^= 1), "other_history"),
        (with(&|pieces| begin(pieces, &|begin| begin.schema += 1)), "newer_schema"),
        (with(&|pieces| position_of(&mut pieces[0]).checksum[5] ^= 1), "corrupt"),
        (with(&|pieces| begin(pieces, &|begin| begin.records += 1)), "corrupt"),
        (with(&|pieces| drop(pieces.remove(1))), "corrupt"),
        (
            with(&|pieces| {
                let Piece::Part(part) = &mut pieces[1] else { panic!() };
                part.records_zstd[9] ^= 1;
            }),
            "corrupt",
        ),
    ] {
        assert_eq!(refused(replace(&to, pieces, before.1)).reason(), reason);
        assert_eq!((all(&to), to.position()), before);
    }
    // One that broke off leaves nothing behind.
    replace(&to, good[..2].to_vec(), before.1).unwrap();
    assert_eq!((all(&to), to.position()), before);
    replace(&to, good.clone(), before.1).unwrap();
    assert_eq!((all(&to), to.position(), to.len()), (all(&from), from.position(), 11));
    // From a source that was asked before a faster one answered: neither refused nor taken.
    let Piece::Begin(begin) = &good[0] else { panic!() };
    assert!(to.begin(begin, before.1).unwrap().is_none());
    // And it goes on from there.
    assert_eq!(to.apply(&[set(&from, &[("k0", None)])]).unwrap(), 1);
}

#[test]
fn what_was_restored_comes_after_all_that_was_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (backup, edge) = (opened(&dir, "backup"), opened(&dir, "edge"));
    let second = set(&backup, &[("a", Some("1"))]);
    for replica in [&backup, &edge] {
        replica.apply(std::slice::from_ref(&second)).unwrap();
    }
    for n in 0..5 {
        edge.apply(&[set(&edge, &[("lost", Some(&n.to_string()))])]).unwrap();
    }
    let mut restored = set(&backup, &[("b", Some("2"))]);
    restored.position.as_mut().unwrap().generation = 1;
    backup.apply(&[restored.clone()]).unwrap();
    assert_eq!((backup.position().order(), edge.position().order()), ((1, 3), (0, 7)));
    assert_eq!(refused(edge.apply(&[restored])).reason(), "corrupt", "it does not follow");
    replace(&edge, pieces(&backup), edge.position()).unwrap();
    assert_eq!((all(&edge), edge.position()), (all(&backup), backup.position()));
}

#[test]
fn deltas_are_kept_for_those_who_were_away() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (opened(&dir, "from"), opened(&dir, "to"));
    for n in 0..20 {
        from.apply(&[set(&from, &[("k", Some(&n.to_string()))])]).unwrap();
    }
    let deltas = |replica: &Replica, after| replica.read().unwrap().deltas_after(after).unwrap();
    assert_eq!(deltas(&from, 1).unwrap().len(), 20);
    assert_eq!(deltas(&from, 21).unwrap(), []);
    to.apply(&deltas(&from, 1).unwrap()).unwrap();
    assert_eq!((all(&to), to.position()), (all(&from), from.position()));
    assert_eq!(deltas(&to, 15).unwrap(), deltas(&from, 15).unwrap(), "it serves others in turn");
    // After a whole version there are none from before it.
    let third = opened(&dir, "third");
    replace(&third, pieces(&from), Position::default()).unwrap();
    assert_eq!(deltas(&third, 15), None);
}

#[test]
fn a_damaged_file_is_set_aside_and_the_copy_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let damage: [&dyn Fn(); 3] = [
        &|| std::fs::write(&path, vec![7; 100_000]).unwrap(),
        &|| std::fs::write(&path, b"").unwrap(),
        &|| {
            // A record that nobody wrote through a version.
            let database = Database::create(&path).unwrap();
            let write = database.begin_write().unwrap();
            write.open_table(RECORDS).unwrap().insert("k", [1_u8].as_slice()).unwrap();
            write.commit().unwrap();
        },
    ];
    for damage in damage {
        drop(opened(&dir, "a"));
        damage();
        let replica = Replica::open(&path, CACHE, Arc::new(NoView)).unwrap();
        assert!(replica.position().is_nothing() && replica.is_empty());
        drop(replica);
        std::fs::remove_file(&path).unwrap();
    }
    assert!(dir.path().join("a.damaged").exists());
}

#[test]
fn one_process_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let _held = opened(&dir, "a");
    let error = Replica::open(&dir.path().join("a"), CACHE, Arc::new(NoView)).unwrap_err();
    assert!(matches!(error, ReplicaError::Database { doing: "cannot be opened", .. }), "{error}");
}

/// Counts versions that it was given, and refuses records with the key `bad`.
#[derive(Default)]
struct Picky(Arc<AtomicU64>);

impl View for Picky {
    fn prepare(&self, records: &dyn Records, _changed: Option<&[wire::Record]>) -> Result<Install, String> {
        if records.get("bad").unwrap().is_some() {
            return Err("bad is not good".into());
        }
        let installed = Arc::clone(&self.0);
        Ok(Box::new(move || {
            installed.fetch_add(1, Ordering::Relaxed);
        }))
    }
}

#[test]
fn a_view_takes_in_every_version_or_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(opened(&dir, "a"));
    let picky = Picky::default();
    let installed = Arc::clone(&picky.0);
    let replica = Replica::open(&dir.path().join("a"), CACHE, Arc::new(picky)).unwrap();
    replica.apply(&[set(&replica, &[("good", Some("1"))])]).unwrap();
    assert_eq!(installed.load(Ordering::Relaxed), 2, "what was there, and the version");
    let refused = refused(replica.apply(&[set(&replica, &[("bad", Some("1"))])]));
    assert_eq!(refused.to_string(), "version 3 is damaged: bad is not good");
    assert_eq!((installed.load(Ordering::Relaxed), replica.position().version), (2, 2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// However versions reach a copy, one by one, together or whole, it is the map that they make.
    #[test]
    fn copies_are_the_map_that_versions_make(
        versions in prop::collection::vec(prop::collection::vec((0_u8..8, prop::option::of(0_u8..4)), 0..4), 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 3),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (opened(&dir, "from"), opened(&dir, "to"));
        let mut map = all(&from);
        let mut deltas = Vec::new();
        for version in &versions {
            // The last word on a key counts, as it does in a log entry.
            let changes: BTreeMap<String, Option<String>> = version
                .iter()
                .map(|(key, value)| (format!("k{key}"), value.map(|value| value.to_string())))
                .collect();
            for (key, value) in &changes {
                match value {
                    Some(value) => map.insert(key.clone(), value.clone()),
                    None => map.remove(key),
                };
            }
            let records = changes.iter().map(|(key, value)| record(key, value.as_deref())).collect();
            let delta = fixture::next(&from, records).unwrap();
            from.apply(std::slice::from_ref(&delta)).unwrap();
            deltas.push(delta);
        }
        prop_assert_eq!(&all(&from), &map);
        let cut = cuts[0].index(deltas.len());
        to.apply(&deltas[..cut]).unwrap();
        if cuts[1].index(2) == 0 {
            replace(&to, pieces(&from), to.position()).unwrap_or_default();
        }
        to.apply(&deltas[cuts[2].index(cut + 1)..]).unwrap();
        prop_assert_eq!((all(&to), to.position(), to.len()), (map, from.position(), from.len()));
    }
}

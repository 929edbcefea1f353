//! One of the many disks that a loss of power may leave, drawn from a seed, and laid out as a directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::Path;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::disk::{Bytes, Disk, ForgetfulFile, Loose};
use crate::log::Inode;

/// What a disk writes at once.
const SECTOR: u64 = 512;
/// What is looked at for a hole when a file is laid out, bytes.
const HOLE: usize = 4_096;

/// How much of what is loose survives.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Nothing,
    /// All but one change.
    AllButOne,
    /// Each change with this chance, per cent.
    Some(u32),
}

/// What becomes of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    /// Bytes: in part. An entry is there or not.
    Torn,
    Lost,
}

impl Mood {
    fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..4) {
            0 => Self::Nothing,
            1 => Self::AllButOne,
            _ => Self::Some([15, 50, 85][random.random_range(0..3)]),
        }
    }

    /// For each of `count` changes.
    fn fates(self, count: usize, random: &mut StdRng) -> Vec<Fate> {
        let spared = if count == 0 { 0 } else { random.random_range(0..count) };
        let mut one_of = |fates: &[Fate]| fates[random.random_range(0..fates.len())];
        let mut fates = Vec::with_capacity(count);
        for index in 0..count {
            fates.push(match self {
                Self::Nothing => Fate::Lost,
                Self::AllButOne if index != spared => Fate::Whole,
                Self::AllButOne => one_of(&[Fate::Torn, Fate::Lost]),
                Self::Some(15) => {
                    one_of(&[Fate::Whole, Fate::Torn, Fate::Lost, Fate::Lost, Fate::Lost, Fate::Lost])
                }
                Self::Some(50) => one_of(&[Fate::Whole, Fate::Torn, Fate::Lost]),
                Self::Some(_) => {
                    one_of(&[Fate::Whole, Fate::Whole, Fate::Whole, Fate::Whole, Fate::Torn, Fate::Lost])
                }
            });
        }
        fates
    }
}

/// Decides for each loose change.
pub(crate) fn survive(mut disk: Disk, random: &mut StdRng) -> Disk {
    // Bytes and names have moods of their own: names without bytes, and bytes without names, are what a missing sync leaves.
    let (bytes, names) = (Mood::draw(random), Mood::draw(random));
    for contents in &mut disk.inodes {
        let loose = std::mem::take(&mut contents.loose);
        let (entries, changes): (Vec<Loose>, Vec<Loose>) =
            loose.into_iter().partition(|change| matches!(change, Loose::Entry { .. }));
        survive_entries(&mut contents.entries, &entries, names, random);
        survive_changes(&mut contents.bytes, changes, bytes, random);
    }
    disk
}

impl ForgetfulFile {
    /// What a loss of power leaves: what was synced, and of all since any part, in any order, torn at any sector.
    pub fn survivor(&self, seed: u64) -> Vec<u8> {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut bytes, mood) = (self.synced.clone(), Mood::draw(&mut random));
        survive_changes(&mut bytes, self.loose.clone(), mood, &mut random);
        bytes.0
    }
}

/// Each name has one of the states it had since the last sync, whatever the others have.
fn survive_entries(entries: &mut BTreeMap<String, Inode>, loose: &[Loose], mood: Mood, random: &mut StdRng) {
    let fates = mood.fates(loose.len(), random);
    for (change, fate) in loose.iter().zip(fates) {
        match change {
            Loose::Entry { name, inode: Some(inode) } if fate == Fate::Whole => {
                entries.insert(name.clone(), *inode);
            }
            Loose::Entry { name, inode: None } if fate == Fate::Whole => {
                entries.remove(name);
            }
            _ => {}
        }
    }
}

/// Changes survive whole, in part or not, and come to the disk in any order.
fn survive_changes(file: &mut Bytes, mut changes: Vec<Loose>, mood: Mood, random: &mut StdRng) {
    if random.random_range(0..2) == 0 {
        changes.shuffle(random);
    }
    let fates = mood.fates(changes.len(), random);
    for (change, fate) in changes.into_iter().zip(fates) {
        match (change, fate) {
            (Loose::Length(length), Fate::Whole) => file.set_length(length),
            (Loose::Bytes { at, bytes }, Fate::Whole) => file.write(at, &bytes),
            (Loose::Bytes { at, bytes }, Fate::Torn) => {
                for part in torn(at, bytes.len(), random) {
                    if let Some(bytes) = bytes.get(part.clone()) {
                        file.write(at + u64::try_from(part.start).unwrap_or(u64::MAX), bytes);
                    }
                }
            }
            _ => {}
        }
    }
}

/// What reaches the disk of a torn write, in whole sectors of the disk: a beginning, an end, all but a middle, or any.
fn torn(at: u64, length: usize, random: &mut StdRng) -> Vec<Range<usize>> {
    let before = usize::try_from(at % SECTOR).unwrap_or(0);
    let sector = usize::try_from(SECTOR).unwrap_or(usize::MAX);
    let sectors: Vec<Range<usize>> = (0..(before + length).div_ceil(sector))
        .map(|index| (index * sector).saturating_sub(before)..((index + 1) * sector - before).min(length))
        .collect();
    let (one, other) = (random.random_range(0..=sectors.len()), random.random_range(0..=sectors.len()));
    let hole = one.min(other)..one.max(other);
    let kind = random.random_range(0..4);
    let mut keeps = |index: usize| match kind {
        0 => index < one,
        1 => index >= one,
        2 => !hole.contains(&index),
        _ => random.random_range(0..2) == 0,
    };
    sectors.into_iter().enumerate().filter(|(index, _)| keeps(*index)).map(|(_, part)| part).collect()
}

/// Makes the tree of a disk on which nothing is loose any more.
pub(crate) fn lay_out(disk: &Disk, root: &Path) -> std::io::Result<()> {
    lay_out_directory(disk, 0, root)
}

fn lay_out_directory(disk: &Disk, directory: Inode, path: &Path) -> std::io::Result<()> {
    let Some(contents) = disk.inodes.get(directory) else { return Ok(()) };
    for (name, inode) in &contents.entries {
        let path = path.join(name);
        match disk.inodes.get(*inode) {
            Some(found) if found.is_directory => {
                std::fs::create_dir(&path)?;
                lay_out_directory(disk, *inode, &path)?;
            }
            Some(found) => lay_out_file(&found.bytes.0, &path)?,
            None => {}
        }
    }
    Ok(())
}

/// Databases are mostly holes.
fn lay_out_file(bytes: &[u8], path: &Path) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.set_len(u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
    for (index, chunk) in bytes.chunks(HOLE).enumerate() {
        if chunk.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start(u64::try_from(index * HOLE).unwrap_or(u64::MAX)))?;
            file.write_all(chunk)?;
        }
    }
    Ok(())
}

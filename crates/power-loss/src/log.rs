//! What happened to the files of one tree, in order.

use std::sync::Arc;

/// Number of a file or directory; 0 is the root.
pub(crate) type Inode = usize;

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
}

/// One change, sync, or word of the process.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A directory got an entry, or another one under the same name.
    Enter { directory: Inode, name: String, inode: Inode },
    /// A directory lost an entry.
    Leave { directory: Inode, name: String },
    /// Bytes were written.
    Write { file: Inode, at: u64, bytes: Arc<[u8]> },
    /// A file was cut or extended.
    Length { file: Inode, length: u64 },
    /// A sync that returned: it covers the events before `since`, where it began. `point` is which sync of the code.
    Sync { inode: Inode, since: usize, point: usize },
    /// The process acknowledged something.
    Acknowledged(String),
}

impl Event {
    /// The file or directory whose bytes or entries it changes.
    pub(crate) fn changes(&self) -> Option<Inode> {
        match self {
            Self::Enter { directory, .. } | Self::Leave { directory, .. } => Some(*directory),
            Self::Write { file, .. } | Self::Length { file, .. } => Some(*file),
            Self::Sync { .. } | Self::Acknowledged(_) => None,
        }
    }
}

/// A sync of the code: in which step, of which kind of file, the how many-eth since the step or the acknowledgement before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) step: String,
    pub(crate) file: String,
    pub(crate) number: usize,
}

impl Point {
    /// All syncs of this kind of file in the step.
    pub(crate) fn group(&self) -> String {
        format!("{}: {}", self.step, self.file)
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.group())?;
        if self.number > 1 { write!(f, " #{}", self.number) } else { Ok(()) }
    }
}

/// All events, and what their numbers stand for.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) events: Vec<Event>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) points: Vec<Point>,
    /// The process was killed before this event, and the work begun again; 0: never.
    pub(crate) started_at: usize,
}

impl Log {
    /// Nothing but the root.
    pub(crate) fn new() -> Self {
        Self { events: Vec::new(), kinds: vec![Kind::Directory], points: Vec::new(), started_at: 0 }
    }

    /// A new file or directory without a name.
    pub(crate) fn add(&mut self, kind: Kind) -> Inode {
        self.kinds.push(kind);
        self.kinds.len() - 1
    }

    /// The number of a sync.
    pub(crate) fn point(&mut self, point: Point) -> usize {
        self.points.iter().position(|known| *known == point).unwrap_or_else(|| {
            self.points.push(point);
            self.points.len() - 1
        })
    }

    /// What was acknowledged in the first `cut` events.
    pub(crate) fn acknowledged(&self, cut: usize) -> Vec<String> {
        let word = |event: &Event| match event {
            Event::Acknowledged(what) => Some(what.clone()),
            _ => None,
        };
        self.events.iter().take(cut).filter_map(word).collect()
    }

    /// How many syncs of a point there are.
    pub(crate) fn syncs_of(&self, point: &Point) -> u64 {
        let syncs =
            self.points.iter().position(|known| known == point).map_or(0, |known| self.syncs(known).len());
        u64::try_from(syncs).unwrap_or(u64::MAX)
    }

    /// Where the syncs of `point` lie.
    pub(crate) fn syncs(&self, wanted: usize) -> Vec<usize> {
        let is = |event: &Event| matches!(event, Event::Sync { point, .. } if *point == wanted);
        self.events.iter().enumerate().filter(|(_, event)| is(event)).map(|(at, _)| at).collect()
    }
}

//! Finished calls to events: which file each descriptor stands for, which names the tree has.
//!
//! Only the tree under the root is followed; calls on other files are passed over. A call on the tree that is not
//! modelled is an error, so that nothing which changes a file goes unseen.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::{Context as _, bail, ensure};

use crate::log::{Event, Inode, Kind, Log, Point};
use crate::parse::{self, Call, bytes, number};

/// The calls that must be in the trace.
pub(crate) const CALLS: &str = "open,openat,openat2,creat,close,dup,dup2,dup3,fcntl,read,lseek,write,writev,pwrite64,pwritev,\
     pwritev2,ftruncate,truncate,fallocate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,\
     mkdirat,rmdir,fsync,fdatasync,sync,syncfs,sync_file_range,copy_file_range,sendfile,splice";

/// Longest extension that stands for a kind of file, characters.
const EXTENSION_MAX: usize = 8;

/// What an open descriptor stands for; copies of it share the place in the file.
#[derive(Debug, Clone)]
struct Open {
    target: Target,
    at: Rc<Cell<u64>>,
    appends: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Inode(Inode),
    /// The file of [`crate::step`] and [`crate::acknowledged`].
    Words,
}

/// Follows one process.
pub(crate) struct Tracer<'a> {
    log: &'a mut Log,
    root: &'a str,
    words: &'a str,
    open: HashMap<u64, Open>,
    names: BTreeMap<(Inode, String), Inode>,
    step: String,
    /// Syncs of each kind of file in this step, since the last acknowledgement.
    in_step: HashMap<String, usize>,
    /// Number of events when so many calls had ended.
    events_after: Vec<usize>,
}

impl<'a> Tracer<'a> {
    /// A process that begins with the tree as `log` has left it. `words`: the path of its file of words.
    pub(crate) fn new(log: &'a mut Log, root: &'a str, words: &'a str) -> Self {
        let mut names = BTreeMap::new();
        for event in &log.events {
            match event {
                Event::Enter { directory, name, inode } => {
                    names.insert((*directory, name.clone()), *inode);
                }
                Event::Leave { directory, name } => {
                    names.remove(&(*directory, name.clone()));
                }
                _ => {}
            }
        }
        let step = String::from("start");
        let (open, in_step) = (HashMap::new(), HashMap::new());
        Self { log, root, words, open, names, step, in_step, events_after: vec![] }
    }

    /// Adds what the trace holds to the log.
    pub(crate) fn follow(&mut self, trace: &str) -> anyhow::Result<()> {
        for call in parse::calls(trace)? {
            self.events_after.push(self.log.events.len());
            if let Some(result) = call.result {
                self.call(&call, result)
                    .with_context(|| format!("{} {:.200?}", call.name, call.arguments))?;
            }
        }
        Ok(())
    }

    fn call(&mut self, call: &Call, result: u64) -> anyhow::Result<()> {
        let argument = |index: usize| {
            call.arguments.get(index).map(String::as_str).with_context(|| format!("no argument {index}"))
        };
        match call.name.as_str() {
            "openat" => self.open(argument(0)?, argument(1)?, argument(2)?, result),
            "close" => {
                self.open.remove(&number(argument(0)?)?);
                Ok(())
            }
            "fcntl" if argument(1)?.starts_with("F_DUPFD") => self.duplicate(argument(0)?, result),
            "fcntl" => Ok(()),
            "dup" | "dup2" | "dup3" => self.duplicate(argument(0)?, result),
            "read" => self.moved(argument(0)?, result),
            "lseek" => {
                self.of(argument(0)?)?.inspect(|open| open.at.set(result));
                Ok(())
            }
            "write" => self.write(argument(0)?, bytes(argument(1)?)?, None, result),
            "writev" => self.write(argument(0)?, vectors(argument(1)?)?, None, result),
            "pwrite64" => {
                let at = number(argument(3)?)?;
                self.write(argument(0)?, bytes(argument(1)?)?, Some(at), result)
            }
            "ftruncate" => self.truncate(argument(0)?, number(argument(1)?)?),
            "mkdir" => self.make_directory("AT_FDCWD", argument(0)?),
            "mkdirat" => self.make_directory(argument(0)?, argument(1)?),
            "unlink" | "rmdir" => self.remove("AT_FDCWD", argument(0)?),
            "unlinkat" => self.remove(argument(0)?, argument(1)?),
            "link" => self.link(("AT_FDCWD", argument(0)?), ("AT_FDCWD", argument(1)?), false),
            "linkat" => self.link((argument(0)?, argument(1)?), (argument(2)?, argument(3)?), false),
            "rename" => self.link(("AT_FDCWD", argument(0)?), ("AT_FDCWD", argument(1)?), true),
            "renameat" | "renameat2" => {
                self.link((argument(0)?, argument(1)?), (argument(2)?, argument(3)?), true)
            }
            "fsync" | "fdatasync" => self.sync(argument(0)?, call.begun_after),
            _ => self.refuse(call),
        }
    }

    /// Calls that are not modelled may not touch the tree.
    fn refuse(&self, call: &Call) -> anyhow::Result<()> {
        let root = hexadecimal(self.root);
        for argument in &call.arguments {
            let of_tree = argument.contains(&root) || self.of(argument).is_ok_and(|open| open.is_some());
            ensure!(!of_tree && !call.name.starts_with("sync"), "the model does not know {}", call.name);
        }
        Ok(())
    }

    fn of(&self, descriptor: &str) -> anyhow::Result<Option<&Open>> {
        Ok(self.open.get(&number(descriptor)?))
    }

    fn inode(&self, descriptor: &str) -> anyhow::Result<Option<Inode>> {
        Ok(self.of(descriptor)?.and_then(|open| match open.target {
            Target::Inode(inode) => Some(inode),
            Target::Words => None,
        }))
    }

    /// Directory and name of a path in the tree; `None`: elsewhere. The root itself has no name.
    fn place(&self, at: &str, path: &str) -> anyhow::Result<Option<(Inode, Option<String>)>> {
        let path = parse::text(path)?;
        let (mut inode, rest) = match (path.strip_prefix(self.root), at) {
            (Some(rest), _) if rest.is_empty() || rest.starts_with('/') => (0, rest),
            _ if path.starts_with('/') => return Ok(None),
            (_, "AT_FDCWD") => return Ok(None),
            (_, directory) => match self.inode(directory)? {
                Some(inode) => (inode, path.as_str()),
                None => return Ok(None),
            },
        };
        let mut names = rest.split('/').filter(|name| !name.is_empty() && *name != ".").peekable();
        while let Some(name) = names.next() {
            ensure!(name != "..", "a path with ..");
            if names.peek().is_none() {
                return Ok(Some((inode, Some(name.to_owned()))));
            }
            let next = self.names.get(&(inode, name.to_owned()));
            inode = *next.with_context(|| format!("{path} lies in nothing that is known"))?;
        }
        Ok(Some((inode, None)))
    }

    fn found(&self, place: &(Inode, Option<String>)) -> Option<Inode> {
        match place {
            (inode, None) => Some(*inode),
            (directory, Some(name)) => self.names.get(&(*directory, name.clone())).copied(),
        }
    }

    fn open(&mut self, at: &str, path: &str, flags: &str, descriptor: u64) -> anyhow::Result<()> {
        self.open.remove(&descriptor);
        let target = if parse::text(path)? == self.words {
            Target::Words
        } else {
            let Some(place) = self.place(at, path)? else { return Ok(()) };
            match (self.found(&place), place) {
                (Some(inode), _) => {
                    if flags.split('|').any(|flag| flag == "O_TRUNC") {
                        self.log.events.push(Event::Length { file: inode, length: 0 });
                    }
                    Target::Inode(inode)
                }
                (None, (directory, Some(name))) => {
                    ensure!(flags.contains("O_CREAT"), "{name} was opened and is not known");
                    let inode = self.log.add(Kind::File);
                    self.enter(directory, name, inode);
                    Target::Inode(inode)
                }
                (None, (_, None)) => bail!("the root is gone"),
            }
        };
        let appends = flags.split('|').any(|flag| flag == "O_APPEND");
        self.open.insert(descriptor, Open { target, at: Rc::default(), appends });
        Ok(())
    }

    fn duplicate(&mut self, descriptor: &str, copy: u64) -> anyhow::Result<()> {
        match self.of(descriptor)?.cloned() {
            Some(open) => self.open.insert(copy, open),
            None => self.open.remove(&copy),
        };
        Ok(())
    }

    fn moved(&mut self, descriptor: &str, by: u64) -> anyhow::Result<()> {
        self.of(descriptor)?.inspect(|open| open.at.set(open.at.get() + by));
        Ok(())
    }

    fn write(&mut self, file: &str, mut bytes: Vec<u8>, at: Option<u64>, count: u64) -> anyhow::Result<()> {
        let Some(open) = self.of(file)?.cloned() else { return Ok(()) };
        bytes.truncate(usize::try_from(count)?);
        let Target::Inode(inode) = open.target else { return self.word(&String::from_utf8(bytes)?) };
        ensure!(!open.appends, "the model does not know appending");
        let begin = at.unwrap_or_else(|| open.at.get());
        if at.is_none() {
            open.at.set(begin + count);
        }
        self.log.events.push(Event::Write { file: inode, at: begin, bytes: bytes.into() });
        Ok(())
    }

    fn word(&mut self, line: &str) -> anyhow::Result<()> {
        match line.trim_end().split_once(' ').context("a word without a kind")? {
            ("step", step) => {
                self.step = step.to_owned();
                self.in_step.clear();
            }
            ("acknowledged", what) => {
                self.log.events.push(Event::Acknowledged(what.to_owned()));
                self.in_step.clear();
            }
            other => bail!("an unknown word {other:?}"),
        }
        Ok(())
    }

    fn truncate(&mut self, descriptor: &str, length: u64) -> anyhow::Result<()> {
        if let Some(file) = self.inode(descriptor)? {
            self.log.events.push(Event::Length { file, length });
        }
        Ok(())
    }

    fn enter(&mut self, directory: Inode, name: String, inode: Inode) {
        self.names.insert((directory, name.clone()), inode);
        self.log.events.push(Event::Enter { directory, name, inode });
    }

    fn make_directory(&mut self, at: &str, path: &str) -> anyhow::Result<()> {
        if let Some((directory, Some(name))) = self.place(at, path)? {
            let inode = self.log.add(Kind::Directory);
            self.enter(directory, name, inode);
        }
        Ok(())
    }

    fn remove(&mut self, at: &str, path: &str) -> anyhow::Result<()> {
        if let Some((directory, Some(name))) = self.place(at, path)? {
            self.names.remove(&(directory, name.clone()));
            self.log.events.push(Event::Leave { directory, name });
        }
        Ok(())
    }

    fn link(&mut self, from: (&str, &str), to: (&str, &str), moves: bool) -> anyhow::Result<()> {
        let (Some(from), Some(to)) = (self.place(from.0, from.1)?, self.place(to.0, to.1)?) else {
            return Ok(());
        };
        let inode = self.found(&from).context("a link to nothing that is known")?;
        let (Some(name), (directory, Some(new))) = (from.1, to) else { bail!("the root is moved") };
        self.enter(directory, new, inode);
        if moves {
            self.names.remove(&(from.0, name.clone()));
            self.log.events.push(Event::Leave { directory: from.0, name });
        }
        Ok(())
    }

    fn sync(&mut self, descriptor: &str, begun_after: usize) -> anyhow::Result<()> {
        let Some(inode) = self.inode(descriptor)? else { return Ok(()) };
        let since = self.events_after.get(begun_after).copied().unwrap_or(self.log.events.len());
        let file = self.kind_of_file(inode);
        let number = self.in_step.entry(file.clone()).or_default();
        *number += 1;
        let point = Point { step: self.step.clone(), file, number: *number };
        let point = self.log.point(point);
        self.log.events.push(Event::Sync { inode, since, point });
        Ok(())
    }

    /// Its path, without what differs from file to file of a kind.
    fn kind_of_file(&self, inode: Inode) -> String {
        let mut parts = Vec::new();
        let mut at = inode;
        while at != 0 {
            let Some(((directory, name), _)) = self.names.iter().find(|(_, named)| **named == at) else {
                return "a file without a name".into();
            };
            let is_plain = !name.contains(|c: char| c.is_ascii_digit());
            let of_many = self.log.kinds.get(at) == Some(&Kind::File);
            parts.push(match name.rsplit_once('.') {
                _ if is_plain && !of_many => name.clone(),
                // What follows `#` is a number, and what is long was drawn at random.
                Some((_, extension)) if of_many && extension.len() <= EXTENSION_MAX => {
                    format!("*.{}", extension.trim_end_matches(|c: char| c.is_ascii_digit()))
                }
                _ => "*".into(),
            });
            at = *directory;
        }
        parts.reverse();
        let is_directory = self.log.kinds.get(inode) == Some(&Kind::Directory);
        parts.join("/") + if is_directory { "/" } else { "" }
    }
}

fn vectors(argument: &str) -> anyhow::Result<Vec<u8>> {
    let mut all = Vec::new();
    for part in argument.split("iov_base=").skip(1) {
        let end = part.rfind('"').context("no string in a vector")?;
        all.extend(bytes(&part[..=end])?);
    }
    Ok(all)
}

fn hexadecimal(text: &str) -> String {
    text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

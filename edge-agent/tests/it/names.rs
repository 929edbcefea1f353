//! A new name is durable before a hit is acknowledged that lies behind it: read off the system calls of the edge.
//!
//! A file's bytes are synced by its own fsync, its name only by that of its directory. A death of the process does not
//! show the difference, a loss of power does: the file is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hyper::StatusCode;

use crate::edge::Site;
use crate::promises::noise;

const CALLS: &str = "mkdir,mkdirat,rename,renameat,renameat2,link,linkat,fsync,write,writev,sendto,sendmsg";
const HITS: usize = 80;

/// What a trace says about names.
#[derive(Debug, Default)]
struct Names {
    /// Directories with a new entry that is not synced.
    unsynced: BTreeSet<PathBuf>,
    /// WAL files that got their names.
    wal_files: usize,
    answers: usize,
    /// Answers that came too early, and the directories that were not synced.
    too_early: Vec<(usize, Vec<PathBuf>)>,
}

impl Names {
    fn of(trace: &str) -> Self {
        let mut names = Self::default();
        let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
        for line in trace.lines() {
            let (thread, call) = line.split_once(' ').unwrap();
            let call = call.trim_start();
            if let Some(beginning) = call.strip_suffix(" <unfinished ...>") {
                names.begins(beginning);
                begun.insert(thread, beginning);
            } else if call.starts_with("<... ") {
                names.ends(begun.remove(thread).unwrap_or_default(), call);
            } else {
                names.begins(call);
                names.ends(call, call);
            }
        }
        names
    }

    fn begins(&mut self, call: &str) {
        if call.contains("HTTP/1.1 204") {
            self.answers += 1;
            if !self.unsynced.is_empty() {
                self.too_early.push((self.answers, self.unsynced.iter().cloned().collect()));
            }
        }
    }

    /// `end`: the line with the result.
    fn ends(&mut self, call: &str, end: &str) {
        let is = |names: &[&str]| names.iter().any(|name| call.starts_with(&format!("{name}(")));
        if !end.ends_with("= 0") {
            return;
        }
        if is(&["fsync"]) {
            // `fsync(9</path>`: a directory, or a file, which is none of those that are looked for.
            let path = call.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
            self.unsynced.remove(Path::new(path.unwrap().0));
        } else if is(&["mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat"]) {
            // The last text in quotes is the new name.
            let name = Path::new(call.rsplit('"').nth(1).unwrap());
            let directory = name.parent().unwrap();
            self.unsynced.insert(directory.to_owned());
            self.wal_files += usize::from(directory.ends_with("wal") && !call.starts_with("mkdir"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_new_name_is_synced_before_the_first_acknowledgement_behind_it() {
    let site = Site::new();
    let trace = site.path().join("trace");
    let mut config = site.config("127.0.0.1:9");
    // 50 kB a hit: some twenty hits, then the next file.
    config.wal.file_bytes = 1 << 20;
    config.drain_ms = 1;
    let edge = site.start_traced(&config, CALLS, &trace).await;
    let body = noise(&site);
    for _ in 0..HITS {
        assert_eq!(edge.post(body.clone()).await.status, StatusCode::NO_CONTENT);
    }
    edge.stop().await;
    let text = loop {
        let text = std::fs::read_to_string(&trace).unwrap();
        // The last line: strace has seen the end of the process.
        if text.lines().last().is_some_and(|line| line.contains("+++ exited")) && text.ends_with('\n') {
            break text;
        }
        tokio::task::yield_now().await;
    };
    let names = Names::of(&text);
    assert!(names.wal_files >= 3 && names.answers == HITS, "{names:?}");
    assert_eq!(names.too_early, []);

    // Without one of the syncs it would be seen.
    let wal = format!("{}>", config.data_dir.join("wal").display());
    let is_sync = |line: &&str| line.contains(" fsync(") && line.contains(&wal);
    let without: Vec<&str> = text.lines().filter(|line| !is_sync(line)).collect();
    assert!(!Names::of(&without.join("\n")).too_early.is_empty());
}

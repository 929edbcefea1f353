//! What one stage hands to the next: submissions and counts of refused hits from collect to the committer, answers back, committed
//! blocks to processing; and what is to be forgotten, to the committer.
//!
//! The answers of a commit go back to each accept thread as one message, and wake it once; on the thread they are handed
//! to the requests that wait. Both queues are bounded. A full intake refuses (503 `overloaded`); a full feed drops the hint, for processing
//! then reads the block from its WAL file. Invariant: an answer of `Ok` is sent only after the commit.

pub(crate) mod forgets;
pub(crate) mod refused;
pub(crate) mod regions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use bytes::Bytes;
use hit::BlockHeader;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

/// Why hits were not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommitRefused {
    /// The intake is full.
    #[error("more hits are waiting than this edge takes at a time")]
    Overloaded,
    /// The disk budget is used up.
    #[error("this edge's disk budget is used up")]
    Full,
    /// The wall clock went back.
    #[error("this edge's clock went back and is not to be trusted")]
    Clock,
    /// The commit failed, or the edge stops.
    #[error("this edge cannot store hits")]
    Unavailable,
}

/// Whether the committer takes hits; set by it, read before queueing.
#[derive(Debug, Default)]
pub(crate) struct Gate(AtomicU8);

impl Gate {
    /// Opens or shuts the gate.
    pub(crate) fn set(&self, state: Result<(), CommitRefused>) {
        let code = match state {
            Ok(()) => 0,
            Err(CommitRefused::Full) => 1,
            Err(CommitRefused::Clock) => 2,
            Err(CommitRefused::Overloaded | CommitRefused::Unavailable) => 3,
        };
        self.0.store(code, Ordering::Release);
    }

    /// `Ok` while hits are taken.
    pub(crate) fn check(&self) -> Result<(), CommitRefused> {
        match self.0.load(Ordering::Acquire) {
            0 => Ok(()),
            1 => Err(CommitRefused::Full),
            2 => Err(CommitRefused::Clock),
            _ => Err(CommitRefused::Unavailable),
        }
    }
}

/// The hits (or the import mark) of one request, encoded for a block body.
#[derive(Debug)]
pub(crate) struct Submission {
    /// Fields of a `BlockBody`.
    pub(crate) body: Vec<u8>,
    /// Hits in `body`.
    pub(crate) hits: u32,
    /// Number of the accept thread.
    thread: usize,
    answer: Answer,
}

/// Tells a request what became of it.
type Answer = oneshot::Sender<Result<(), CommitRefused>>;

/// Answers of one commit to the requests of one thread.
type Answered = (Vec<Answer>, Result<(), CommitRefused>);

/// An accept thread's end of the way back.
#[derive(Debug)]
pub(crate) struct Answers {
    receiver: mpsc::Receiver<Answered>,
}

impl Answers {
    /// Hands answers to the requests that wait, until the committer has ended. A client that went away hears nothing.
    pub(crate) async fn deliver(mut self) {
        while let Some((answers, result)) = self.receiver.recv().await {
            for answer in answers {
                let _client_gone = answer.send(result);
            }
        }
    }
}

/// What waits in the intake.
#[derive(Debug, Default)]
pub(crate) struct IntakeLevel {
    submissions: AtomicU64,
    bytes: AtomicU64,
}

impl IntakeLevel {
    /// Submissions waiting.
    pub(crate) fn submissions(&self) -> u64 {
        self.submissions.load(Ordering::Relaxed)
    }
}

/// Collect's end of the way to the committer.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    sender: SyncSender<Submission>,
    level: Arc<IntakeLevel>,
    gate: Arc<Gate>,
    limit_bytes: u64,
    thread: usize,
}

/// The committer's end.
#[derive(Debug)]
pub(crate) struct IntakeReceiver {
    receiver: Receiver<Submission>,
    level: Arc<IntakeLevel>,
    /// By number of the accept thread.
    threads: Vec<mpsc::Sender<Answered>>,
}

/// A bounded intake of `limit_submissions` and `limit_bytes`, whichever is reached first, over all accept threads.
/// One pair for each thread.
pub(crate) fn intake(
    threads: usize,
    limit_submissions: usize,
    limit_bytes: u64,
    gate: &Arc<Gate>,
) -> (Vec<(Intake, Answers)>, IntakeReceiver) {
    let (sender, receiver) = sync_channel(limit_submissions);
    let level = Arc::new(IntakeLevel::default());
    let mut ends = Vec::with_capacity(threads);
    let mut answers = Vec::with_capacity(threads);
    for thread in 0..threads {
        // One message for a commit at most. Should a thread not come to reading them, the committer waits for it.
        let (answered, receiver) = mpsc::channel(limit_submissions.max(1));
        let (sender, level, gate) = (sender.clone(), level.clone(), gate.clone());
        ends.push((Intake { sender, level, gate, limit_bytes, thread }, Answers { receiver }));
        answers.push(answered);
    }
    (ends, IntakeReceiver { receiver, level, threads: answers })
}

impl Intake {
    /// Queues a request's hits and waits for their commit.
    #[cfg(test)]
    pub(crate) async fn commit(&self, body: Vec<u8>, hits: u32) -> Result<(), CommitRefused> {
        let receiver = self.submit(body, hits)?;
        receiver.await.unwrap_or(Err(CommitRefused::Unavailable))
    }

    fn submit(
        &self,
        body: Vec<u8>,
        hits: u32,
    ) -> Result<oneshot::Receiver<Result<(), CommitRefused>>, CommitRefused> {
        self.gate.check()?;
        let bytes = length(&body);
        if self.level.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.limit_bytes {
            self.level.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(CommitRefused::Overloaded);
        }
        self.level.submissions.fetch_add(1, Ordering::Relaxed);
        let (answer, receiver) = oneshot::channel();
        self.sender.try_send(Submission { body, hits, thread: self.thread, answer }).map_err(|error| {
            self.level.leave(bytes);
            match error {
                TrySendError::Full(_) => CommitRefused::Overloaded,
                TrySendError::Disconnected(_) => CommitRefused::Unavailable,
            }
        })?;
        Ok(receiver)
    }
}

impl IntakeLevel {
    fn leave(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.submissions.fetch_sub(1, Ordering::Relaxed);
    }
}

impl IntakeReceiver {
    /// For `/status`.
    pub(crate) fn level(&self) -> Arc<IntakeLevel> {
        self.level.clone()
    }

    /// Tells the requests of these submissions what became of them: each thread is woken once. Not for a task of a runtime: it may wait.
    pub(crate) fn answer(&self, submissions: Vec<Submission>, result: Result<(), CommitRefused>) {
        let mut answers: Vec<Vec<Answer>> = self.threads.iter().map(|_| Vec::new()).collect();
        for submission in submissions {
            if let Some(of_thread) = answers.get_mut(submission.thread) {
                of_thread.push(submission.answer);
            }
        }
        for (thread, answers) in self.threads.iter().zip(answers) {
            if !answers.is_empty() {
                let _thread_ended = thread.blocking_send((answers, result));
            }
        }
    }

    /// The next submission, or why there is none.
    pub(crate) fn next(
        &self,
        timeout: std::time::Duration,
    ) -> Result<Submission, std::sync::mpsc::RecvTimeoutError> {
        let submission = self.receiver.recv_timeout(timeout)?;
        self.level.leave(length(&submission.body));
        Ok(submission)
    }
}

fn length(body: &[u8]) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}

/// A block that lies in the WAL.
#[derive(Debug, Clone)]
pub(crate) struct CommittedBlock {
    /// Its number, range and time.
    pub(crate) header: BlockHeader,
    /// Its bytes, as on disk.
    pub(crate) bytes: Bytes,
}

/// The committer's end of the way to processing.
#[derive(Debug)]
pub(crate) struct Feed {
    sender: SyncSender<CommittedBlock>,
    committed: Arc<AtomicU64>,
}

/// Processing's end.
#[derive(Debug)]
pub(crate) struct FeedReceiver {
    /// Blocks as they are committed; some may be missing.
    pub(crate) receiver: Receiver<CommittedBlock>,
    /// Number of the next block to be committed: what must have been processed in the end.
    pub(crate) committed: Arc<AtomicU64>,
}

/// A feed of at most `limit` blocks, when `next_block` is the first not committed yet.
pub(crate) fn feed(limit: usize, next_block: u64) -> (Feed, FeedReceiver) {
    let (sender, receiver) = sync_channel(limit);
    let committed = Arc::new(AtomicU64::new(next_block));
    (Feed { sender, committed: committed.clone() }, FeedReceiver { receiver, committed })
}

impl Feed {
    /// Announces a committed block. A full feed keeps only its number: processing reads the file.
    pub(crate) fn announce(&self, block: CommittedBlock) {
        self.committed.store(block.header.block + 1, Ordering::Release);
        let _read_from_file_then = self.sender.try_send(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intake_refuses_beyond_its_limits_and_behind_a_shut_gate() {
        let gate = Arc::new(Gate::default());
        let (mut ends, receiver) = intake(1, 2, 10, &gate);
        let (intake, _answers) = ends.remove(0);
        let first = intake.submit(vec![0; 6], 1);
        assert!(first.is_ok());
        assert_eq!(intake.submit(vec![0; 6], 1).unwrap_err(), CommitRefused::Overloaded);
        let second = intake.submit(vec![0; 1], 1);
        assert!(second.is_ok());
        assert_eq!(intake.submit(vec![0; 1], 1).unwrap_err(), CommitRefused::Overloaded);
        assert_eq!(receiver.level().submissions(), 2);
        let taken = receiver.next(std::time::Duration::ZERO).unwrap();
        receiver.answer(vec![taken], Ok(()));
        assert_eq!(receiver.level().submissions(), 1);
        gate.set(Err(CommitRefused::Full));
        assert_eq!(intake.submit(vec![], 1).unwrap_err(), CommitRefused::Full);
        drop(receiver);
        gate.set(Ok(()));
        assert_eq!(intake.submit(vec![], 1).unwrap_err(), CommitRefused::Unavailable);
    }
}

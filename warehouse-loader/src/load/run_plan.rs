//! Runs one plan: every INSERT, verification if an answer was not clean, watermarks, done.
//!
//! In: a plan that is due, whoever made it. Out: its `done`. It stops between two INSERTs when the loader shuts down, or
//! when another loader was faster.

use std::sync::Arc;

use warehouse::WatermarkRow;

use super::{LoadError, Loader, Next};
use crate::consume;
use crate::document::Plan;
use crate::insert::{Backoff, note_failure};
use crate::metrics::PlanResult;
use crate::plan::Event;
use crate::rows::{Chunk, PlanRows};

/// How the INSERTs of a plan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// All were answered; `clean`: each at the first attempt.
    All { clean: bool },
    /// Another loader wrote `done` meanwhile; `clean`: nothing that was sent here is open.
    Overtaken { clean: bool },
    /// Shutdown.
    Stopped,
}

impl Loader {
    /// The whole plan.
    pub(super) async fn run_plan(&mut self, plan: Plan, verify: bool) -> Result<Next, LoadError> {
        self.status.update(|snapshot| {
            snapshot.work.plan = plan.n;
            snapshot.work.plan_open = true;
        });
        let rows = self.rows_of(&plan).await?;
        let chunks = rows.chunks_as(&plan.inserts)?;
        let sent = self.send_all(&plan, &rows, &chunks).await?;
        let (must_verify, clean) = match sent {
            Sent::Stopped => return Ok(Next::Go),
            Sent::All { clean } => (verify || !clean, clean),
            Sent::Overtaken { clean } => (!clean, clean),
        };
        if must_verify && !self.verify(&plan, &rows, &chunks, clean).await? {
            return Ok(Next::Go);
        }
        if matches!(sent, Sent::All { .. }) {
            if !self.send_watermarks(&plan).await {
                return Ok(Next::Go);
            }
            self.log.put_done(plan.n, &self.id, self.clock.now_ms()).await?;
        }
        tracing::debug!(plan = plan.n, inserts = plan.inserts.len(), verified = must_verify, "plan done");
        self.on_event(Event::Done, PlanResult::run).await
    }

    /// The rows: still in memory if the plan was created here, else read from its segments.
    async fn rows_of(&mut self, plan: &Plan) -> Result<Arc<PlanRows>, LoadError> {
        if let Some(prepared) = self.prepared.as_ref().filter(|prepared| prepared.n == plan.n) {
            return Ok(Arc::clone(&prepared.rows));
        }
        let batches = self.consumer.batches_of(plan).await?;
        let of = plan.clone();
        let read = move || consume::rows_of(&of, &batches).map(PlanRows::new);
        let rows = Arc::new(tokio::task::spawn_blocking(read).await??);
        self.prepared = Some(super::Prepared { n: plan.n, rows: Arc::clone(&rows) });
        Ok(rows)
    }

    async fn send_all(&self, plan: &Plan, rows: &PlanRows, chunks: &[Chunk]) -> Result<Sent, LoadError> {
        let mut clean = true;
        for (chunk, step) in chunks.iter().zip(&plan.inserts) {
            let mut backoff = Backoff::new(&self.insert_config);
            loop {
                if self.shutdown.is_cancelled() {
                    return Ok(Sent::Stopped);
                }
                // First the time, then the question whether it is still wanted: a loader that sleeps here is refused.
                let not_after = self.sender.not_after();
                if self.log.is_done(plan.n).await? {
                    return Ok(Sent::Overtaken { clean });
                }
                match self.sender.send(rows, chunk, plan.rows_plan, &step.token, not_after).await {
                    Ok(()) => break,
                    Err(error) => {
                        clean = false;
                        note_failure(&self.metrics.insert, plan.n, &step.token, &error);
                        self.pause(backoff.next(error.is_retryable())).await;
                    }
                }
            }
        }
        Ok(Sent::All { clean })
    }

    /// Compares and repairs until the warehouse holds the plan. `clean`: nothing that was sent here is open, so another
    /// loader's `done` is enough. `false`: shutdown came first.
    async fn verify(
        &self,
        plan: &Plan,
        rows: &PlanRows,
        chunks: &[Chunk],
        clean: bool,
    ) -> Result<bool, LoadError> {
        let mut backoff = Backoff::new(&self.insert_config);
        let mut round = 0_u32;
        let mut settled = true;
        while !self.shutdown.is_cancelled() {
            let was_done = self.log.is_done(plan.n).await?;
            if was_done && clean && round == 0 {
                return Ok(true);
            }
            let result = match self.verifier.compare(plan).await {
                Ok(differences) if differences.is_empty() => {
                    tracing::info!(plan = plan.n, repairs = round, "plan verified");
                    return Ok(true);
                }
                // Another loader finished while we compared: what we saw may be its work half done.
                Ok(_) if self.log.is_done(plan.n).await? != was_done => continue,
                // Two loaders that repair the same plan in step would undo each other's work for ever: the pause has jitter.
                Ok(_) if !settled => {
                    settled = true;
                    self.pause(backoff.next(true)).await;
                    continue;
                }
                Ok(differences) => {
                    round = round.saturating_add(1);
                    settled = false;
                    let now_ms = self.clock.now_ms();
                    self.verifier.repair(plan, rows, chunks, &differences, round, now_ms).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                let error = LoadError::from(error);
                let retryable = error.is_retryable();
                if retryable {
                    tracing::warn!(plan = plan.n, %error, "verification is repeated");
                } else {
                    tracing::error!(plan = plan.n, %error, "verification failed; someone must act, it is repeated slowly");
                }
                self.pause(backoff.next(retryable)).await;
            }
        }
        Ok(false)
    }

    /// Moves `watermark`. `false`: shutdown came first.
    async fn send_watermarks(&self, plan: &Plan) -> bool {
        let rows: Vec<WatermarkRow> = plan
            .takes
            .iter()
            .map(|take| WatermarkRow {
                edge: take.edge.to_string(),
                epoch: take.epoch.to_string(),
                lane: take.lane.clone(),
                shard: plan.shard,
                plan: plan.n,
                seq: take.seq_to,
                position: take.to,
                complete_until: i64::try_from(take.complete_until_ms).unwrap_or(i64::MAX),
            })
            .collect();
        let mut backoff = Backoff::new(&self.insert_config);
        while !self.shutdown.is_cancelled() {
            match self.sender.send_watermarks(&rows).await {
                Ok(()) => return true,
                Err(error) => {
                    note_failure(&self.metrics.insert, plan.n, "watermark", &error);
                    self.pause(backoff.next(error.is_retryable())).await;
                }
            }
        }
        false
    }

    async fn pause(&self, pause: std::time::Duration) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

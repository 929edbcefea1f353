//! Carries out the part of a plan that removes something.
//!
//! In: a plan that is due, whoever made it. Out: rows are gone, sets are stripped, hours are rebuilt; what was counted is in the
//! progress. Every step may be done again after a kill anywhere: the part says what was found before the first of them.

use erasure::{Progress, State, What};
use service::fail;

use super::erasing::step_of;
use super::run_plan::End;
use super::{LoadError, Loader};
use crate::document::{Erase, Part, Plan};
use crate::erase::{Removal, part_of, rebuilds, removals};
use crate::insert::Backoff;
use crate::verify::FurtherHours;

impl Loader {
    /// The whole part, repeated until it is carried out.
    pub(super) async fn erase(&mut self, plan: &Plan, erase: &Erase) -> Result<End, LoadError> {
        let mut backoff = Backoff::new(&self.insert_config);
        while !self.shutdown.is_cancelled() {
            let error = match self.try_erase(plan, erase).await {
                Ok(end) => return Ok(end),
                Err(error) => error,
            };
            let retryable = error.is_retryable();
            if retryable {
                tracing::warn!(plan = plan.n, %error, "an erasure is repeated");
            } else {
                tracing::error!(plan = plan.n, %error, "an erasure failed; someone must act, it is repeated slowly");
            }
            self.pause(backoff.next(retryable)).await;
        }
        Ok(End::Stopped)
    }

    async fn try_erase(&mut self, plan: &Plan, erase: &Erase) -> Result<End, LoadError> {
        if self.log.is_over(plan).await? {
            return Ok(End::Overtaken);
        }
        // A statement of a plan before, sent by a loader that died, could bring back what goes now.
        self.verifier.check_idle().await?;
        let part = self.part(plan, erase).await?;
        self.erased.on_run(plan);
        // Rows of a deleted property go at any time. Of the rest, what is sent late is found by the plans after this one.
        if !matches!(erase.what, What::Property { .. }) {
            self.log.put_repair(plan.n, &self.id, self.clock.now_ms()).await?;
        }
        let mut progress = self.erasing.progress(&erase.job, plan.shard).await?;
        progress.state = State::Running;
        progress.waits_for.clear();
        if !progress.plans.contains(&plan.n) {
            progress.plans.push(plan.n);
        }
        tracing::info!(plan = plan.n, job = %erase.job, "erasing");
        for removal in removals(&part) {
            if self.remove(plan, &removal, &mut progress).await? == End::Overtaken {
                return Ok(End::Overtaken);
            }
        }
        self.rebuild(plan, &part, &mut progress).await
    }

    /// What the plan removes, made by whoever comes first.
    async fn part(&mut self, plan: &Plan, erase: &Erase) -> Result<Part, LoadError> {
        if let Some(part) = self.log.part(plan.n).await? {
            return Ok(part);
        }
        let survey = self.erasing.eraser.survey(plan, erase, self.clock.now_ms()).await?;
        let part = part_of(plan, erase, survey);
        fail::point("loader.erase.part.before");
        self.log.put_part(&part).await?;
        fail::point("loader.erase.part.after");
        // Another loader's, if it was faster.
        Ok(self.log.part(plan.n).await?.unwrap_or(part))
    }

    async fn remove(
        &self,
        plan: &Plan,
        removal: &Removal,
        progress: &mut Progress,
    ) -> Result<End, LoadError> {
        let before = self.erasing.eraser.count(removal).await?;
        step_of(&mut progress.steps, removal.table, &removal.what, before);
        let mut after = before;
        if before > 0 {
            self.put_progress(progress).await?;
            let Some(not_after) = self.verifier.open_until(plan).await? else { return Ok(End::Overtaken) };
            fail::point("loader.erase.rows.before");
            self.erasing.eraser.execute("ALTER", &removal.statement(not_after)).await?;
            fail::point("loader.erase.rows.after");
            after = self.erasing.eraser.count(removal).await?;
        }
        if after > 0 {
            // The statement came late, or a statement of a loader that slept came in between.
            return Err(LoadError::Left { table: removal.table, rows: after });
        }
        if let Some(step) = step_of(&mut progress.steps, removal.table, &removal.what, before) {
            (step.rows_after, step.done) = (Some(after), true);
        }
        self.put_progress(progress).await?;
        Ok(End::Complete)
    }

    async fn rebuild(&self, plan: &Plan, part: &Part, progress: &mut Progress) -> Result<End, LoadError> {
        for rebuild in rebuilds(part) {
            let before = self.erasing.eraser.count_hours(&rebuild).await?;
            step_of(&mut progress.steps, rebuild.table.name, &rebuild.what, before);
            self.put_progress(progress).await?;
            let Some(not_after) = self.verifier.open_until(plan).await? else { return Ok(End::Overtaken) };
            fail::point("loader.erase.hours.before");
            self.erasing.eraser.execute("ALTER", &rebuild.delete(not_after)).await?;
            fail::point("loader.erase.hours.deleted");
            let Some(not_after) = self.verifier.open_until(plan).await? else { return Ok(End::Overtaken) };
            self.erasing.eraser.execute("INSERT", &rebuild.insert(not_after)).await?;
            fail::point("loader.erase.hours.after");
            let after = self.erasing.eraser.count_hours(&rebuild).await?;
            if let Some(step) = step_of(&mut progress.steps, rebuild.table.name, &rebuild.what, before) {
                (step.rows_after, step.done) = (Some(after), true);
            }
            self.put_progress(progress).await?;
        }
        Ok(End::Complete)
    }

    async fn put_progress(&self, progress: &Progress) -> Result<(), LoadError> {
        let progress = Progress { updated_at_ms: self.clock.now_ms(), ..progress.clone() };
        Ok(self.erasing.jobs.put_progress(&progress).await?)
    }

    /// Hours that plans with an erasure may have left other than their minutes: those that they rebuild, and those of their own
    /// group from which rows go while a later plan may insert into it.
    pub(super) async fn further_hours(&self, plans: &[Plan]) -> Result<Vec<FurtherHours>, LoadError> {
        let mut further = Vec::new();
        for plan in plans {
            let Some(erase) = &plan.erase else { continue };
            let dates = self.erasing.eraser.dates_of(erase, plan.group()).await?;
            if !dates.is_empty() {
                let group_started_at_ms = plan.group_started_at_ms;
                further.push(FurtherHours { group: plan.group(), group_started_at_ms, dates });
            }
            for hour in self.log.part(plan.n).await?.into_iter().flat_map(|part| part.hours) {
                let group_started_at_ms = plan.created_at_ms;
                further.push(FurtherHours { group: hour.group, group_started_at_ms, dates: vec![hour.date] });
            }
        }
        Ok(further)
    }
}

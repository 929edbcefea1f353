//! What plans removed, as objects that outlive them: `erased/{shard}/{n:020}.json`.
//!
//! In and out: [`Part`]s. One is created before the first statement of its plan and never changed, so whoever repairs an
//! earlier plan, or starts from a later checkpoint, knows it. Those of deleted properties stay for ever.

use futures::stream::{StreamExt, TryStreamExt};

use super::{LogError, PlanLog, number};
use crate::document::{FORMAT, Part};

/// Parts that are read at once.
const READS: usize = 32;

impl PlanLog {
    /// Creates a part, unless there is one of its plan.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_part(&self, part: &Part) -> Result<(), LogError> {
        self.put_new(&self.part_key(part.n), part).await.map(drop)
    }

    /// What plan `n` removed, if it has begun.
    ///
    /// # Errors
    /// When the store fails, or the object is not a part that this build reads.
    pub async fn part(&self, n: u64) -> Result<Option<Part>, LogError> {
        let key = self.part_key(n);
        let Some(part) = self.get::<Part>(&key).await? else { return Ok(None) };
        if part.format != FORMAT || part.n != n || part.shard != self.shard {
            let reason = format!("it says format {}, shard {}, plan {}", part.format, part.shard, part.n);
            return Err(LogError::Document { key, reason });
        }
        Ok(Some(part))
    }

    /// All parts, in order of their plans.
    ///
    /// # Errors
    /// When the store fails, or an object is not a part that this build reads.
    pub async fn parts(&self) -> Result<Vec<Part>, LogError> {
        let keys = self.list(&format!("erased/{}", self.shard)).await?;
        let numbers = keys.iter().filter_map(|key| number(key, ".json")).map(|n| self.part(n));
        let found: Vec<Option<Part>> =
            futures::stream::iter(numbers.collect::<Vec<_>>()).buffer_unordered(READS).try_collect().await?;
        let mut parts: Vec<Part> = found.into_iter().flatten().collect();
        parts.sort_by_key(|part| part.n);
        Ok(parts)
    }

    /// Deletes the part of plan `n`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_part(&self, n: u64) -> Result<(), LogError> {
        self.delete(&self.part_key(n)).await
    }

    fn part_key(&self, n: u64) -> String {
        format!("erased/{}/{n:020}.json", self.shard)
    }
}

//! One report on its way: admit, authorize, plan, query, answer. gRPC and JSON both come through here.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use proto::report::RunReportRequest;
use service::SharedClock;
use tokio::time::Instant;

use crate::admit::Admission;
use crate::answer::{self, Report};
use crate::authorize::Authorizer;
use crate::metrics::{Method, RequestMetrics};
use crate::plan;
use crate::query::Warehouse;
use crate::refuse::Refusal;

/// Answers reports.
#[derive(Clone)]
pub struct Reports {
    /// The global limit.
    pub admission: Admission,
    /// Keys.
    pub authorizer: Arc<Authorizer>,
    /// Tables.
    pub warehouse: Warehouse,
    /// What `today` means.
    pub clock: SharedClock,
    /// Longest time for one report.
    pub timeout: Duration,
    /// Counts and times.
    pub metrics: RequestMetrics,
}

impl Reports {
    /// Whether there is a key that somebody has; asked before the body is looked at.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub fn check_key(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.authorizer.caller(headers).map(drop)
    }

    /// Answers one report to the caller whom `headers` prove, who waits at most `patience`.
    pub async fn run(
        &self,
        headers: &HeaderMap,
        request: &RunReportRequest,
        patience: Option<Duration>,
    ) -> Result<Report, Refusal> {
        let outcome = self.run_uncounted(headers, request, patience).await;
        self.metrics.request(Method::RunReport, &outcome);
        outcome
    }

    async fn run_uncounted(
        &self,
        headers: &HeaderMap,
        request: &RunReportRequest,
        patience: Option<Duration>,
    ) -> Result<Report, Refusal> {
        let _place = self.admission.enter()?;
        let begun_ms = self.clock.monotonic_ms();
        let timeout = patience.map_or(self.timeout, |patience| patience.min(self.timeout));
        let deadline = Instant::now() + timeout;
        let property = self.authorizer.reported(headers, &request.property_id)?;
        let plan = plan::plan(request, property, self.clock.now_ms())?;
        let findings = self.warehouse.run(&plan, deadline).await?;
        let mut report = answer::answer(plan, findings);
        report.elapsed_ms = self.clock.monotonic_ms().saturating_sub(begun_ms);
        self.metrics.report(report.elapsed_ms);
        Ok(report)
    }
}

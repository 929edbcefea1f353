//! `ErasureService`: messages to calls and back.

use erasure::{Hold, Progress, State, Step, What};
use proto::config::erasure_service_server::ErasureService;
use proto::config::{
    DeletePropertyRequest, EraseVisitorsRequest, Erasure, ErasureHold, ErasureStep, GetErasureRequest,
    ListErasuresRequest, ListErasuresResponse, PastRetention, RunRetentionRequest, RunRetentionResponse,
    VisitorTraits,
};
use tonic::{Request, Response, Status};

use super::open;
use crate::calls::ConfigCalls;
use crate::erasures::{Seen, Traits, Wanted};
use crate::page::Page;
use crate::properties::shown_time;

/// Most erasures of a page: each is read from the store.
const PAGE_MAX: u32 = 100;

#[tonic::async_trait]
impl ErasureService for ConfigCalls {
    async fn delete_property(
        &self,
        request: Request<DeletePropertyRequest>,
    ) -> Result<Response<Erasure>, Status> {
        let (headers, _patience, request) = open(request);
        Ok(Response::new(shown(ConfigCalls::delete_property(self, &headers, request.property_id).await?)))
    }

    async fn erase_visitors(
        &self,
        request: Request<EraseVisitorsRequest>,
    ) -> Result<Response<Erasure>, Status> {
        let (headers, _patience, request) = open(request);
        let EraseVisitorsRequest { property_id, client_ids, visitor_ids, traits } = request;
        let traits = traits.into_iter().map(|traits| {
            let VisitorTraits { host, address, user_agent, date, imported } = traits;
            Traits { host, address, user_agent, date, imported }
        });
        let wanted = Wanted { client_ids, visitor_ids, traits: traits.collect() };
        Ok(Response::new(shown(ConfigCalls::erase_visitors(self, &headers, property_id, wanted).await?)))
    }

    async fn list_erasures(
        &self,
        request: Request<ListErasuresRequest>,
    ) -> Result<Response<ListErasuresResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let ListErasuresRequest { property_id, page_size, page_token } = request;
        let page = Page::new(page_size, &page_token, (PAGE_MAX, PAGE_MAX))?;
        let (erasures, next_page_token) = self.erasures(&headers, property_id, page).await?;
        let erasures = erasures.into_iter().map(shown).collect();
        Ok(Response::new(ListErasuresResponse { erasures, next_page_token }))
    }

    async fn get_erasure(&self, request: Request<GetErasureRequest>) -> Result<Response<Erasure>, Status> {
        let (headers, _patience, request) = open(request);
        Ok(Response::new(shown(self.erasure(&headers, request.job).await?)))
    }

    async fn run_retention(
        &self,
        request: Request<RunRetentionRequest>,
    ) -> Result<Response<RunRetentionResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let (jobs, found) = ConfigCalls::run_retention(self, &headers, request.dry_run).await?;
        let properties = found.into_iter().map(|past| PastRetention {
            property_id: past.property_id,
            before: past.before.to_string(),
            first: past.first.to_string(),
        });
        Ok(Response::new(RunRetentionResponse { jobs, properties: properties.collect() }))
    }
}

fn shown(seen: Seen) -> Erasure {
    let Seen { request, progress } = seen;
    let state = state(&progress).to_owned();
    let (kind, property_id, count) = match request.what {
        What::Property { property_id } => ("property", property_id, 0),
        What::Visitors { property_id, visitor_ids } => ("visitors", property_id, visitor_ids.len()),
        What::Retention { before } => {
            ("retention", String::new(), before.iter().map(|before| before.property_ids.len()).sum())
        }
    };
    let mut shown = Erasure {
        job: request.job.to_string(),
        kind: kind.to_owned(),
        property_id,
        requested_at: shown_time(request.requested_at_ms),
        state,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        ..Erasure::default()
    };
    for Progress { steps, waits_for, holds, .. } in progress {
        shown.steps.extend(steps.into_iter().map(shown_step));
        shown.waits_for.extend(waits_for);
        shown.holds.extend(holds.into_iter().map(shown_hold));
    }
    shown
}

/// Of all shards together: it is done when all are, and what runs goes before what waits.
fn state(progress: &[Progress]) -> &'static str {
    let is = |state| progress.iter().any(|progress| progress.state == state);
    match () {
        () if progress.is_empty() => "requested",
        () if is(State::Running) => "running",
        () if is(State::Waiting) => "waiting",
        () => "done",
    }
}

fn shown_step(step: Step) -> ErasureStep {
    let Step { store, what, rows_before, rows_after, done } = step;
    ErasureStep { store, what, rows_before, rows_after, done }
}

fn shown_hold(hold: Hold) -> ErasureHold {
    let Hold { store, until, dates, what } = hold;
    let (from, to) = dates.map(|(from, to)| (from.to_string(), to.to_string())).unwrap_or_default();
    ErasureHold { store, until: until.map(|until| until.to_string()).unwrap_or_default(), from, to, what }
}

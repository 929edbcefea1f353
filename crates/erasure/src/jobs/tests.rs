//! A job from its request until it is closed.

use object_store::memory::InMemory;

use super::*;
use crate::document::{State, What};

fn jobs() -> Jobs {
    Jobs::new(Arc::new(InMemory::new()), Duration::from_secs(5))
}

fn request(at_ms: u64, property: &str) -> Request {
    let what = What::Property { property_id: property.into() };
    Request { format: FORMAT, job: JobId::new(at_ms, 7), requested_at_ms: at_ms, what }
}

fn progress(job: &JobId, shard: u16, state: State) -> Progress {
    Progress {
        format: FORMAT,
        job: job.clone(),
        shard,
        state,
        updated_at_ms: 1,
        plans: vec![],
        steps: vec![],
        waits_for: vec![],
        holds: vec![],
    }
}

#[tokio::test]
async fn a_job_is_open_from_its_request_until_it_is_closed() {
    let jobs = jobs();
    let (later, earlier) = (request(2_000, "p_b"), request(1_000, "p_a"));
    for request in [&later, &earlier] {
        assert!(jobs.create(request).await.unwrap());
    }
    assert_eq!(jobs.open().await.unwrap(), [earlier.job.clone(), later.job.clone()]);
    assert_eq!(jobs.request(&later.job).await.unwrap(), Some(later.clone()));
    assert_eq!(jobs.request(&JobId::new(3, 3)).await.unwrap(), None);
    jobs.close(&earlier.job).await.unwrap();
    assert!(!jobs.create(&earlier).await.unwrap(), "as if its maker had died before the marker");
    assert_eq!(jobs.open().await.unwrap().len(), 2);
    jobs.put_progress(&progress(&earlier.job, 0, State::Done)).await.unwrap();
    for _ in 0..2 {
        jobs.close(&earlier.job).await.unwrap();
    }
    assert!(!jobs.create(&earlier).await.unwrap(), "the same request again");
    assert_eq!(jobs.open().await.unwrap(), std::slice::from_ref(&later.job));
    assert_eq!(jobs.all().await.unwrap(), [earlier.job.clone(), later.job]);
    let other = Request { what: What::Property { property_id: "p_c".into() }, ..earlier.clone() };
    assert!(matches!(jobs.create(&other).await, Err(JobError::Taken(job)) if job == earlier.job));
    jobs.reopen(&earlier.job).await.unwrap();
    assert_eq!(jobs.open().await.unwrap().len(), 2);
}

#[tokio::test]
async fn progress_is_overwritten_by_shard() {
    let jobs = jobs();
    let job = JobId::new(1, 1);
    assert_eq!(jobs.progress_of(&job, 0).await.unwrap(), None);
    for state in [State::Waiting, State::Running] {
        for shard in [1, 0] {
            jobs.put_progress(&progress(&job, shard, state)).await.unwrap();
        }
    }
    let expected = [0, 1].map(|shard| progress(&job, shard, State::Running));
    assert_eq!(jobs.progress(&job).await.unwrap(), expected);
    assert_eq!(jobs.progress_of(&job, 1).await.unwrap().as_ref(), expected.last());
}

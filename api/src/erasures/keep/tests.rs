//! Records become requests whatever happened in between, and go when every edge had time to read them.

use configuration::Salts;
use configuration::stored::erasures::erasure_value;
use erasure::{Jobs, What};
use object_store::memory::InMemory;
use service::TestClock;
use std::sync::Arc;
use warehouse::WarehouseConfig;

use super::*;
use crate::history::tests::{NOW_MS, Running};

fn keeper(running: &Running, store: &Arc<InMemory>, clock: &TestClock) -> Keeper {
    // The discard port: nobody listens there, and without a retention nobody is asked.
    let warehouse = WarehouseConfig { url: "http://127.0.0.1:9".into(), ..WarehouseConfig::default() };
    let erasing = Erasing::new(
        store.clone(),
        Duration::from_secs(10),
        Salts::default(),
        warehouse::client(&warehouse).unwrap(),
    );
    Keeper {
        history: running.history.clone(),
        erasing,
        clock: clock.shared(),
        metrics: KeepMetrics::default(),
        asked: BTreeSet::new(),
        retained: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_request_gets_one_and_goes_after_30_days() {
    let (running, store, clock) = (Running::start(), Arc::new(InMemory::new()), TestClock::new(NOW_MS));
    let job = JobId::new(NOW_MS, 7);
    let erasure = Erasure {
        job: job.to_string(),
        property_id: "p_abcdefghijkl".into(),
        visitor_ids: vec![1, u64::MAX],
        requested_at_ms: NOW_MS,
        organisation_id: String::new(),
    };
    // As an api that died right after it wrote the record.
    let by = Attribution { actor: Actor::default(), method: "EraseVisitors" };
    let put = move |draft: &mut Draft<'_>| {
        draft.put(erasure_key(&erasure.job), erasure_value(&erasure));
        Ok(())
    };
    running.history.change(by, put).await.unwrap();
    let jobs = Jobs::new(store.clone(), Duration::from_secs(10));
    let mut first = keeper(&running, &store, &clock);
    first.look().await.unwrap();
    let What::Visitors { property_id, visitor_ids } = jobs.request(&job).await.unwrap().unwrap().what else {
        panic!("not of visitors");
    };
    let ids: Vec<_> = visitor_ids.into_iter().map(String::from).collect();
    assert_eq!(
        (property_id.as_str(), ids),
        ("p_abcdefghijkl", vec!["0000000000000001".into(), "f".repeat(16)])
    );
    assert_eq!(jobs.open().await.unwrap(), std::slice::from_ref(&job));
    let records_left = || records(&running.history.read().unwrap()).unwrap().len();
    clock.advance_ms(KEPT_MS);
    first.look().await.unwrap();
    assert_eq!(records_left(), 1);
    clock.advance_ms(1);
    keeper(&running, &store, &clock).look().await.unwrap();
    assert_eq!(records_left(), 0);
    assert!(jobs.request(&job).await.unwrap().is_some(), "what was asked for stays to be seen");
}

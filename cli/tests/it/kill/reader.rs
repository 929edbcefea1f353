//! Somebody who asks for reports all the time, so that the api has work in hand.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use meridian::http_client::HttpClient;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::system::System;
use crate::traffic::Site;

const PAUSE: Duration = Duration::from_millis(60);

/// The running reader; it ends when it is dropped.
pub(crate) struct Reader {
    asked: Arc<Mutex<Asked>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Asked {
    /// Since when a report is being waited for.
    waiting_since: Option<Instant>,
    answered: u64,
}

impl Asked {
    fn note(&mut self, is_success: bool) {
        self.waiting_since = None;
        self.answered += u64::from(is_success);
    }
}

impl Reader {
    /// Begins to ask for reports of all sites, one after the other.
    pub(crate) fn start(system: &System, sites: Vec<Site>) -> Self {
        let asked = Arc::new(Mutex::new(Asked::default()));
        let shared = Arc::clone(&asked);
        let url = format!("{}/v1/reports/run", system.address("api"));
        let task = system.runtime().spawn(async move {
            let client = HttpClient::new(Duration::from_secs(30));
            for site in sites.iter().cycle() {
                let body = json!({
                    "property_id": site.property.property_id, "from": "yesterday", "to": "today",
                    "metrics": ["events", "visitors"], "dimensions": ["date", "event_name"],
                });
                let key = format!("Bearer {}", site.property.report_key);
                let headers = [("content-type", "application/json"), ("authorization", key.as_str())];
                shared.lock().unwrap().waiting_since = Some(Instant::now());
                let answer = client.send(Method::POST, &url, &headers, Bytes::from(body.to_string())).await;
                shared.lock().unwrap().note(answer.is_ok_and(|answer| answer.status.is_success()));
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { asked, task }
    }

    /// What the api owes since before `moment`.
    pub(crate) fn unanswered_since(&self, moment: Instant) -> Option<String> {
        let since = self.asked.lock().unwrap().waiting_since.filter(|since| *since < moment)?;
        Some(format!("a report asked for {} ms before the stop", (moment - since).as_millis()))
    }

    /// Reports that were answered.
    pub(crate) fn answered(&self) -> u64 {
        self.asked.lock().unwrap().answered
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

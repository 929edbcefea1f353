//! Sessions of visits, by Google Analytics 4's definitions, over lists.

use std::collections::BTreeMap;

use super::visits::{Event, Sent, Visitor, Wire};

const TIMEOUT_MS: u64 = 30 * 60_000;
const GRACE_MS: u64 = 5 * 60_000;

/// A session that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionRow {
    pub(super) sessions: u64,
    pub(super) engaged: u64,
    pub(super) page_views: u64,
    pub(super) events: u64,
    pub(super) duration_ms: u64,
    pub(super) exit_page: String,
    pub(super) visitor_type: String,
}

/// What was booked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// By page: event, page views, events, sessions that began.
    pub(super) hits: BTreeMap<String, Vec<(String, u64, u64, u64)>>,
    /// By entry page.
    pub(super) sessions: BTreeMap<String, Vec<SessionRow>>,
}

struct Session {
    visitor: Visitor,
    /// Whether another session of this visitor was there before it.
    is_known: bool,
    named: Option<u64>,
    /// In the order they came.
    events: Vec<Event>,
    received_ms: u64,
    is_open: bool,
}

impl Session {
    fn times(&self) -> impl Iterator<Item = u64> + '_ {
        self.events.iter().map(|event| event.time_ms)
    }

    fn first(&self) -> u64 {
        self.times().min().unwrap()
    }

    fn last(&self) -> u64 {
        self.times().max().unwrap()
    }

    fn row(&self) -> SessionRow {
        let views = self.events.iter().filter(|event| event.is_page_view);
        let exit = self.events.iter().max_by_key(|event| (event.is_page_view, event.time_ms)).unwrap();
        let (page_views, duration_ms) = (views.count() as u64, self.last() - self.first());
        SessionRow {
            sessions: 1,
            engaged: u64::from(page_views >= 2 || duration_ms > 10_000),
            page_views,
            events: self.events.len() as u64,
            duration_ms,
            exit_page: path(exit),
            // No client here says whether its visitor was there before.
            visitor_type: if self.is_known { "known_to_edge" } else { "new_to_edge" }.to_owned(),
        }
    }
}

fn path(event: &Event) -> String {
    format!("/{}", event.page)
}

/// What must be booked of these blocks; `wrong`: a protocol whose time-out is 29 minutes by mistake.
pub(super) fn expected(blocks: &[(u64, Vec<Sent>)], wrong: Option<Wire>) -> Outcome {
    let mut sessions: Vec<Session> = Vec::new();
    let mut outcome = Outcome::default();
    for (now, requests) in blocks {
        for sent in requests {
            let timeout_ms = if wrong == Some(sent.wire) { TIMEOUT_MS - 60_000 } else { TIMEOUT_MS };
            for event in &sent.events {
                let opens = place(&mut sessions, event, *now, timeout_ms);
                let name = if event.is_page_view { "page_view" } else { "sign_up" }.to_owned();
                let row = (name, u64::from(event.is_page_view), 1, u64::from(opens));
                outcome.hits.entry(path(event)).or_default().push(row);
            }
        }
        for session in &mut sessions {
            session.is_open &= session.last().max(session.received_ms) + TIMEOUT_MS + GRACE_MS > *now;
        }
    }
    for session in &sessions {
        outcome.sessions.entry(path(&session.events[0])).or_default().push(session.row());
    }
    outcome
}

/// Whether the event opens a session.
fn place(sessions: &mut Vec<Session>, event: &Event, now: u64, timeout_ms: u64) -> bool {
    let is_own = |session: &&mut Session| session.visitor == event.visitor && session.named == event.session;
    let found =
        sessions.iter_mut().rev().filter(is_own).find(|session| session.is_open || event.session.is_some());
    let mut is_open = true;
    if let Some(session) = found {
        let is_older = event.time_ms + timeout_ms < session.first();
        if event.session.is_some() || !is_older && event.time_ms <= session.last() + timeout_ms {
            // What comes after a session is over is in its hits only.
            if session.is_open {
                session.events.push(event.clone());
                session.received_ms = now;
            }
            return false;
        }
        session.is_open = is_older;
        is_open = !is_older;
    }
    let is_known = sessions.iter().any(|session| session.visitor == event.visitor);
    sessions.push(Session {
        visitor: event.visitor,
        is_known,
        named: event.session,
        events: vec![event.clone()],
        received_ms: now,
        is_open,
    });
    true
}

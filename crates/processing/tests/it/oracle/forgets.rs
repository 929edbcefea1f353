//! Erasures as a list: whose job came before is passed over, everything else of them goes at once.

use std::collections::BTreeSet;

use hit::Forget;

use super::{Mistake, Oracle, State};

impl Oracle<'_> {
    pub(super) fn forget(&mut self, forget: &Forget) {
        let came_before = !self.jobs.insert(forget.job.clone());
        if came_before && !self.errs(Mistake::ErasuresAreAppliedTwice) {
            return;
        }
        let is_whole = forget.visitor_ids.is_empty();
        let mut visitors: BTreeSet<u64> = forget.visitor_ids.iter().copied().collect();
        for at in 0..self.sessions.len() {
            let session = &self.sessions[at];
            let is_of = |id: &u64| is_whole || forget.visitor_ids.contains(id);
            if session.property != forget.property_id || !session.visitors.iter().any(is_of) {
                continue;
            }
            match session.state {
                State::Open if self.errs(Mistake::ForgottenSessionsStayOpen) => continue,
                State::Over if self.errs(Mistake::SessionIdsOfForgottenVisitorsStay) => continue,
                State::Forgotten => continue,
                State::Open | State::Over => {}
            }
            if is_whole {
                visitors.extend(&session.visitors);
            }
            let counts = if is_whole {
                Mistake::SessionsOfErasedPropertiesAreBooked
            } else {
                Mistake::ForgottenSessionsAreNotBooked
            };
            if session.state == State::Open && self.errs(counts) == is_whole {
                self.book(at);
            }
            self.sessions[at].state = State::Forgotten;
        }
        if !self.errs(Mistake::ForgottenVisitorsAreKnown) {
            // The place stays, and counts, until its turn comes.
            for known in &mut self.known {
                if known.0 == forget.property_id && visitors.contains(&known.2) {
                    known.0.clear();
                }
            }
        }
        if is_whole && !self.errs(Mistake::PagesOfErasedPropertiesStayCounted) {
            self.hours.retain(|hour| hour.property != forget.property_id);
        }
    }
}

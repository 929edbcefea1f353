//! Who was there before, by the client or else by the list of everybody who was remembered.

use super::{Mistake, Oracle};

impl Oracle<'_> {
    /// The type of the visitor whose session begins with this hit.
    pub(super) fn visitor_type(&self, hit: usize, class: &'static str) -> &'static str {
        let raw = &self.hits[hit].raw;
        let before = raw.previous_visitor_id.filter(|_| !self.errs(Mistake::VisitorOfTheDayBeforeIsNew));
        match raw.first_visit {
            Some(true) => "new",
            Some(false) => "returning",
            None if self.bounds.visitors == 0 => "(not set)",
            None if self.knows(&raw.property_id, class, raw.visitor_id) => "known_to_edge",
            None if before.is_some_and(|before| self.knows(&raw.property_id, class, before)) => {
                "known_to_edge"
            }
            None => "new_to_edge",
        }
    }

    /// Remembers who opened a session, or goes on with one under a new id.
    pub(super) fn remember(&mut self, hit: usize, class: &'static str, opens: bool) {
        let raw = self.hits[hit].raw.clone();
        let is_passive = self.hits[hit].is_passive && !self.errs(Mistake::PassiveEventIsRemembered);
        let goes_on = raw.previous_visitor_id.is_some()
            && !is_passive
            && !self.errs(Mistake::NewIdOfAnOpenSessionIsNotRemembered);
        let is_told = raw.first_visit.is_some() && self.errs(Mistake::WhoseClientTellsIsNotRemembered);
        if is_told || !opens && !goes_on {
            return;
        }
        let visitor = (raw.property_id, class, raw.visitor_id);
        let is_known = self.knows(&visitor.0, class, visitor.2);
        if is_known && self.errs(Mistake::WhoComesAgainIsRememberedAnew) {
            self.known.retain(|known| *known != visitor);
        } else if is_known {
            return;
        }
        self.known.push(visitor);
    }

    fn knows(&self, property: &str, class: &str, visitor: u64) -> bool {
        let forever = self.errs(Mistake::VisitorsAreRememberedForEver);
        let kept = if forever { self.known.len() } else { self.bounds.visitors };
        let any_class = self.errs(Mistake::ClassesShareVisitors);
        self.known[self.known.len().saturating_sub(kept)..]
            .iter()
            .any(|(of, of_class, id)| of == property && (*of_class == class || any_class) && *id == visitor)
    }
}

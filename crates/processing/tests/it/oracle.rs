//! The naive sessionizer: the definitions of docs/design/0001 read one by one over lists, in quadratic time.
//!
//! It keeps every hit and every session for ever and computes everything anew from these lists.

mod forgets;
mod items;
mod mistakes;
mod metrics;
mod naming;
mod refused;
mod terms;
mod visitors;

use std::collections::{BTreeMap, BTreeSet};

use batch::{RollupRows, RowKey};
use hit::{Block, RawHit, Rules};

use self::items::{ItemSums, ItemTexts};
pub(crate) use self::mistakes::Mistake;
use self::refused::RefusedKey;
use crate::world::{REFERRERS, USER_AGENTS, World, offset_s, page_of};

const DAY_MS: u64 = 86_400_000;

/// (page views, events, sessions, engagement, visitors, new visitors, custom metrics)
pub(crate) type HitSums = (u64, u64, u64, u64, BTreeSet<u64>, BTreeSet<u64>, [u64; 5]);
/// (sessions, engaged, page views, events, duration)
pub(crate) type SessionSums = (u64, u64, u64, u64, u64);

/// What was booked, by table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Booked {
    /// By event and title.
    pub(crate) hits: BTreeMap<(RowKey, [String; 2]), HitSums>,
    pub(crate) sessions: BTreeMap<(RowKey, String), SessionSums>,
    pub(crate) items: BTreeMap<(RowKey, ItemTexts), ItemSums>,
    pub(crate) refused: BTreeMap<RefusedKey, u64>,
}

impl Booked {
    /// Adds sealed rows.
    pub(crate) fn add(&mut self, rows: &RollupRows) {
        for row in &rows.hits {
            let texts = [&row.event_name, &row.page_title].map(ToString::to_string);
            let sums = self.hits.entry((row.key.clone(), texts)).or_default();
            sums.0 += row.page_views;
            sums.1 += row.events;
            sums.2 += row.sessions;
            sums.3 += row.engagement_ms;
            sums.4.extend(&row.visitors);
            sums.5.extend(&row.new_visitors);
            sums.6.iter_mut().zip(row.custom_micros).for_each(|(sum, more)| *sum += more);
        }
        for row in &rows.sessions {
            let sums = self.sessions.entry((row.key.clone(), row.exit_page.to_string())).or_default();
            sums.0 += row.sessions;
            sums.1 += row.engaged_sessions;
            sums.2 += row.page_views;
            sums.3 += row.events;
            sums.4 += row.duration_ms;
        }
        rows.items.iter().for_each(|row| self.add_item(row));
        for row in &rows.refusals {
            let time = (row.local_date, row.minute, row.utc_offset_s);
            let key = (row.property.to_string(), time, row.reason.to_string());
            *self.refused.entry(key).or_default() += row.hits;
        }
    }
}

/// Limits as counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) ids: usize,
    pub(crate) sessions: usize,
    pub(crate) visitors: usize,
    pub(crate) pages_per_hour: usize,
}

/// A hit that counts.
struct Counted {
    raw: RawHit,
    received: u64,
    rules: Rules,
    timeout: u64,
    grace: u64,
    page: String,
    is_passive: bool,
    is_key_event: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Over,
    Forgotten,
}

struct Session {
    property: String,
    class: &'static str,
    visitors: Vec<u64>,
    session_id: String,
    /// Indices of its hits, in WAL order.
    hits: Vec<usize>,
    key: RowKey,
    state: State,
}

/// Pages of a property in a local hour, from when they are counted.
struct Hour {
    property: String,
    hour: i64,
    began: u64,
    pages: Vec<String>,
}

/// Reads blocks and books.
pub(crate) struct Oracle<'a> {
    world: &'a World,
    bounds: Bounds,
    /// Made on purpose, to show that the comparison bites.
    mistake: Option<Mistake>,
    /// (property, id, received), never forgotten here: the window is applied when reading.
    ids: Vec<(String, String, u64)>,
    hits: Vec<Counted>,
    sessions: Vec<Session>,
    hours: Vec<Hour>,
    /// Everybody who was ever remembered: property, class and id, never forgotten here.
    known: Vec<(String, &'static str, u64)>,
    /// Jobs of erasures that came.
    jobs: BTreeSet<String>,
    pub(crate) booked: Booked,
    pub(crate) repeated: u64,
    pub(crate) dropped: u64,
    pub(crate) refused_without_rules: u64,
}

impl<'a> Oracle<'a> {
    pub(crate) fn new(world: &'a World, bounds: Bounds, mistake: Option<Mistake>) -> Self {
        Self {
            world,
            bounds,
            mistake,
            ids: Vec::new(),
            hits: Vec::new(),
            sessions: Vec::new(),
            hours: Vec::new(),
            known: Vec::new(),
            jobs: BTreeSet::new(),
            booked: Booked::default(),
            repeated: 0,
            dropped: 0,
            refused_without_rules: 0,
        }
    }

    fn errs(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    pub(crate) fn read(&mut self, block: &Block) {
        let now = block.header.received_at_ms;
        self.hours.retain(|hour| now - hour.began < 26 * 3_600_000);
        self.forget_session_ids(now);
        for hit in &block.body.hits {
            self.hit(hit, now);
        }
        block.body.refusals.iter().for_each(|refusals| self.refusals(refusals, now));
        let marks =
            if self.errs(Mistake::ImportMarksAreIgnored) { &[][..] } else { &block.body.import_marks };
        for mark in marks {
            self.close_all(now, |of, at| {
                let over = of.last(at) + of.wait(at);
                (of.sessions[at].property == mark.property_id && over <= mark.event_time_ms).then_some(over)
            });
        }
        block.body.forgets.iter().for_each(|forget| self.forget(forget));
        self.close_all(now, |of, at| Some(of.due(at)).filter(|due| *due <= now));
    }

    /// Closes the open sessions that are due, the one due first ahead.
    fn close_all(&mut self, now: u64, due: impl Fn(&Self, usize) -> Option<u64>) {
        let open = (0..self.sessions.len()).filter(|at| self.sessions[*at].state == State::Open);
        let mut over: Vec<(u64, usize)> = open.filter_map(|at| Some((due(self, at)?, at))).collect();
        over.sort_unstable();
        for (_, at) in over {
            self.close(at, now);
        }
    }

    fn hit(&mut self, raw: &RawHit, now: u64) {
        if self.is_repeat(raw, now) {
            self.repeated += 1;
            return;
        }
        let Some(rules) = self.world.rules.get(&(raw.property_id.clone(), raw.rules_version)) else {
            self.dropped += 1;
            return;
        };
        if self.is_foreign(raw, rules) {
            self.dropped += 1;
            self.foreign(raw, rules, now);
            return;
        }
        let [class, browser, version, system, system_version, device] =
            USER_AGENTS.iter().find(|(text, _)| *text == raw.user_agent).unwrap().1;
        let class = if self.errs(Mistake::ABotIsHuman) { "human" } else { class };
        let unix_s = i64::try_from(raw.event_time_ms / 1000).unwrap();
        let receipt_s = i64::try_from(now / 1000).unwrap();
        let by_receipt = self.errs(Mistake::OffsetIsThatOfTheTimeOfReceipt);
        let offset = offset_s(&rules.time_zone, if by_receipt { receipt_s } else { unix_s });
        let local_s = unix_s + i64::from(offset);
        let name = naming::name(&page_of(&raw.url), &rules.urls, self.mistake);
        let page = self.text_or_other(raw, name, local_s / 3600, now);
        // A host that is called like a page is another text.
        let host = page_of(&raw.url).host;
        let is_other = !host.is_empty()
            && self.text_or_other(raw, format!("host {host}"), local_s / 3600, now) == "(other)";
        let title = self.title(raw, local_s / 3600, now);
        let lines = self.lines(raw, rules, local_s / 3600, now);
        self.count(raw, rules, page.clone(), now);
        let minute = u32::try_from(unix_s / 60).unwrap();
        let date = u16::try_from(local_s / 86_400).unwrap();
        let mut key = RowKey {
            device: device.into(),
            browser: browser.into(),
            browser_version: version.into(),
            operating_system: system.into(),
            operating_system_version: system_version.into(),
            hostname: if is_other { "(other)" } else { host }.into(),
            ..plain_key(raw, (date, minute, offset), class, &page)
        };
        let (session, opens) = self.session_of(self.hits.len() - 1, class, &key);
        self.remember(self.hits.len() - 1, class, opens);
        let own = self.key_of_hit(self.hits.len() - 1, &key);
        let of_hit = self.errs(Mistake::AcquisitionIsThatOfTheHit);
        let session = session.filter(|_| !of_hit).map(|at| &self.sessions[at].key);
        let of_session = session.unwrap_or(&own);
        key.source.clone_from(&of_session.source);
        key.medium.clone_from(&of_session.medium);
        key.campaign.clone_from(&of_session.campaign);
        key.visitor_type.clone_from(&of_session.visitor_type);
        let added = metrics::added(raw, rules, self.mistake);
        for (texts, sums) in lines {
            self.booked.add_line(&key, texts, sums);
        }
        let sums = self.booked.hits.entry((key, [raw.event.clone(), title])).or_default();
        sums.6.iter_mut().zip(added).for_each(|(sum, more)| *sum += more);
        sums.0 += u64::from(raw.event == "page_view");
        sums.1 += 1;
        sums.2 += u64::from(opens);
        sums.3 += raw.engagement_ms;
        sums.4.insert(raw.visitor_id);
        if raw.first_visit == Some(true) || (raw.client_id.is_empty() && opens) {
            sums.5.insert(raw.visitor_id);
        }
    }

    fn is_foreign(&self, raw: &RawHit, rules: &Rules) -> bool {
        let (named, host) = (&rules.urls.hostnames, page_of(&raw.url).host);
        let is_named = named.is_empty() || named.iter().any(|name| name == host) || host.is_empty();
        !is_named && !self.errs(Mistake::ForeignHostsAreCounted)
    }

    fn count(&mut self, raw: &RawHit, rules: &Rules, page: String, received: u64) {
        let is_29_minutes = self.errs(Mistake::TimeoutOf29InsteadOf30Minutes);
        let timeout = u64::from(rules.session_timeout_s) * 1000;
        let is_in = |list: &[String]| list.contains(&raw.event);
        let may_be_passive = raw.event != "page_view" || self.errs(Mistake::PageViewsMayBePassive);
        let is_key_page = naming::is_key_page(&page_of(&raw.url), &raw.event, rules, self.mistake);
        let is_purchase = raw.event == "purchase" && !self.errs(Mistake::PurchaseIsNoKeyEvent);
        self.hits.push(Counted {
            raw: raw.clone(),
            received,
            rules: rules.clone(),
            timeout: if is_29_minutes { timeout.saturating_sub(60_000) } else { timeout },
            grace: u64::from(rules.session_grace_s) * 1000,
            page,
            is_passive: is_in(&rules.session.passive_events) && may_be_passive,
            is_key_event: is_in(&rules.events.key_events) || is_purchase || is_key_page,
        });
    }

    /// Seen within 24 h of received time, and no more than the window's ids ago.
    fn is_repeat(&mut self, raw: &RawHit, now: u64) -> bool {
        if raw.hit_id.is_empty() {
            return false;
        }
        let forever = self.errs(Mistake::IdsAreRememberedForEver);
        let kept = &self.ids[self.ids.len().saturating_sub(self.bounds.ids)..];
        let seen = kept.iter().any(|(property, id, received)| {
            *property == raw.property_id && *id == raw.hit_id && (forever || now - received < DAY_MS)
        });
        if !seen {
            self.ids.push((raw.property_id.clone(), raw.hit_id.clone(), now));
        }
        seen
    }

    fn text_or_other(&mut self, raw: &RawHit, text: String, hour: i64, now: u64) -> String {
        let known = self.hours.iter().position(|h| h.property == raw.property_id && h.hour == hour);
        let at = known.unwrap_or_else(|| {
            let property = raw.property_id.clone();
            self.hours.push(Hour { property, hour, began: now, pages: Vec::new() });
            self.hours.len() - 1
        });
        let pages = &mut self.hours[at].pages;
        if pages.contains(&text) {
            return text;
        }
        if pages.len() >= self.bounds.pages_per_hour {
            return "(other)".to_owned();
        }
        pages.push(text.clone());
        text
    }

    /// The title of a hit; one that is called like a page or a host is another text.
    fn title(&mut self, raw: &RawHit, hour: i64, now: u64) -> String {
        let title = if self.errs(Mistake::TitlesKeepTheirSpaces) { &raw.title } else { raw.title.trim() };
        let is_counted = !title.is_empty() && !self.errs(Mistake::TitlesAreWithoutLimit);
        let is_other =
            is_counted && self.text_or_other(raw, format!("title {title}"), hour, now) == "(other)";
        if is_other { "(other)".to_owned() } else { title.to_owned() }
    }

    /// The session of a hit, if it is in one, and whether the hit opens it.
    fn session_of(&mut self, hit: usize, class: &'static str, key: &RowKey) -> (Option<usize>, bool) {
        let (t, now, timeout) =
            (self.hits[hit].raw.event_time_ms, self.hits[hit].received, self.hits[hit].timeout);
        let is_passive = self.hits[hit].is_passive;
        let opens_none = is_passive && !self.errs(Mistake::PassiveEventOpensASession);
        let Some(at) = self.find(hit, class) else {
            return if opens_none { (None, false) } else { (Some(self.open(hit, class, key)), true) };
        };
        let is_named = !self.sessions[at].session_id.is_empty();
        let is_cut = self.is_of_another_campaign(at, hit, key) || self.ended_the_day_before(at, hit);
        if is_named && !(is_cut && self.errs(Mistake::SessionIdIsCutToo)) {
            self.known_as(at, hit);
            if self.sessions[at].state == State::Open {
                self.sessions[at].hits.push(hit);
            }
            return (Some(at), false);
        }
        let (first, last) = (self.first(at), self.last(at));
        let is_older = t + timeout < first || self.begins_the_day_after(at, hit);
        let at_timeout = t == last + timeout && self.errs(Mistake::HitAtTheTimeoutIsLater);
        let uncapped = self.errs(Mistake::SessionMayLastLongerThanADay);
        let fits = t <= last + timeout && !at_timeout && (uncapped || t <= first + DAY_MS) && !is_cut;
        if is_older && !self.errs(Mistake::OlderHitJoins) {
            if opens_none {
                return (None, false);
            }
            // A session of its own, opened and closed at once: it takes no room and nobody finds it.
            let own = self.add(hit, class, key);
            self.book(own);
            self.sessions[own].state = State::Forgotten;
            (Some(own), true)
        } else if fits {
            self.known_as(at, hit);
            self.sessions[at].hits.push(hit);
            (Some(at), false)
        } else if opens_none && !self.errs(Mistake::PassiveEventEndsASession) {
            (None, false)
        } else {
            self.close(at, now);
            if opens_none { (None, false) } else { (Some(self.open(hit, class, key)), true) }
        }
    }

    fn find(&self, hit: usize, class: &str) -> Option<usize> {
        let raw = &self.hits[hit].raw;
        let forgets = self.errs(Mistake::SessionIdIsForgottenWhenItsSessionIsOver);
        let by = |visitor: u64| {
            self.sessions.iter().position(|session| {
                let findable = match session.state {
                    State::Open => true,
                    State::Over => !session.session_id.is_empty() && !forgets,
                    State::Forgotten => false,
                };
                findable
                    && session.property == raw.property_id
                    && session.class == class
                    && session.session_id == raw.session_id
                    && session.visitors.contains(&visitor)
            })
        };
        let before = raw.previous_visitor_id.filter(|_| !self.errs(Mistake::VisitorOfTheDayBeforeIsIgnored));
        by(raw.visitor_id).or_else(|| by(before?))
    }

    fn known_as(&mut self, at: usize, hit: usize) {
        let visitor = self.hits[hit].raw.visitor_id;
        if !self.sessions[at].visitors.contains(&visitor) && !self.errs(Mistake::NewVisitorIdIsForgotten) {
            self.sessions[at].visitors.push(visitor);
        }
    }

    fn open(&mut self, hit: usize, class: &'static str, key: &RowKey) -> usize {
        let by_age = self.errs(Mistake::TheSessionThatOpenedFirstMakesRoom);
        while self.sessions.iter().filter(|session| session.state == State::Open).count()
            >= self.bounds.sessions
        {
            let open = (0..self.sessions.len()).filter(|at| self.sessions[*at].state == State::Open);
            let first_due = open.min_by_key(|at| (if by_age { 0 } else { self.due(*at) }, *at)).unwrap();
            self.close(first_due, self.hits[hit].received);
        }
        self.add(hit, class, key)
    }

    fn add(&mut self, hit: usize, class: &'static str, key: &RowKey) -> usize {
        let visitor_type = self.visitor_type(hit, class).into();
        let key = RowKey { visitor_type, ..self.key_of_hit(hit, key) };
        let raw = &self.hits[hit].raw;
        self.sessions.push(Session {
            property: raw.property_id.clone(),
            class,
            visitors: vec![raw.visitor_id],
            session_id: raw.session_id.clone(),
            hits: vec![hit],
            key,
            state: State::Open,
        });
        self.sessions.len() - 1
    }

    /// Its hits but for passive events.
    fn active(&self, at: usize) -> impl DoubleEndedIterator<Item = &Counted> + '_ {
        let opened_by = self.sessions[at].hits[0];
        let hits = self.sessions[at].hits.iter();
        hits.filter(move |hit| **hit == opened_by || !self.hits[**hit].is_passive).map(|hit| &self.hits[*hit])
    }

    fn times(&self, at: usize) -> impl Iterator<Item = u64> + '_ {
        let all = self.errs(Mistake::PassiveEventMakesItLonger);
        let passive = self.sessions[at].hits.iter().map(|hit| &self.hits[*hit]).filter(move |_| all);
        self.active(at).chain(passive).map(|hit| hit.raw.event_time_ms)
    }

    fn first(&self, at: usize) -> u64 {
        self.times(at).min().unwrap()
    }

    fn last(&self, at: usize) -> u64 {
        self.times(at).max().unwrap()
    }

    fn latest(&self, at: usize) -> &Counted {
        if self.errs(Mistake::PassiveEventHoldsItOpen) {
            return &self.hits[*self.sessions[at].hits.last().unwrap()];
        }
        self.active(at).next_back().unwrap()
    }

    /// Time-out and grace of the rules that the latest hit named.
    fn wait(&self, at: usize) -> u64 {
        let of_first = self.errs(Mistake::RulesOfTheFirstHitDecideWhenItIsOver);
        let hit = if of_first { &self.hits[self.sessions[at].hits[0]] } else { self.latest(at) };
        hit.timeout + hit.grace
    }

    fn due(&self, at: usize) -> u64 {
        let by_event = self.errs(Mistake::ReceivedTimeDoesNotHoldItOpen);
        let received = if by_event { 0 } else { self.latest(at).received };
        self.last(at).max(received) + self.wait(at)
    }

    fn opened(&self, at: usize) -> u64 {
        self.hits[self.sessions[at].hits[0]].received
    }

    fn forget_session_ids(&mut self, now: u64) {
        for at in 0..self.sessions.len() {
            if self.sessions[at].session_id.is_empty() || now - self.opened(at) < DAY_MS {
                continue;
            }
            if self.sessions[at].state == State::Open {
                self.book(at);
            }
            self.sessions[at].state = State::Forgotten;
        }
    }

    fn close(&mut self, at: usize, now: u64) {
        self.book(at);
        let remembered = !self.sessions[at].session_id.is_empty() && now - self.opened(at) < DAY_MS;
        let over = |session: &Session| session.state == State::Over && !session.session_id.is_empty();
        while remembered
            && self.sessions.iter().filter(|session| over(session)).count() >= self.bounds.sessions
        {
            let all = (0..self.sessions.len()).filter(|other| over(&self.sessions[*other]));
            let oldest = all.min_by_key(|other| (self.opened(*other), *other)).unwrap();
            self.sessions[oldest].state = State::Forgotten;
        }
        self.sessions[at].state = if remembered { State::Over } else { State::Forgotten };
    }

    fn book(&mut self, at: usize) {
        let all: Vec<&Counted> = self.sessions[at].hits.iter().map(|hit| &self.hits[*hit]).collect();
        let hits: Vec<&Counted> =
            if self.errs(Mistake::PassiveEventEngages) { all.clone() } else { self.active(at).collect() };
        let views: Vec<&Counted> = hits.iter().copied().filter(|hit| hit.raw.event == "page_view").collect();
        let by_coming = self.errs(Mistake::ExitPageIsTheLastToCome);
        // The last of the greatest, as `max_by_key` gives it, is the later in WAL order.
        let exit = if views.is_empty() { &hits } else { &views };
        let exit = exit
            .iter()
            .max_by_key(|hit| if by_coming { 0 } else { hit.raw.event_time_ms })
            .unwrap()
            .page
            .clone();
        let duration = self.last(at) - self.first(at);
        let engaged = self.is_engaged(at, &hits, duration);
        let is_left_out = self.errs(Mistake::PassiveEventIsNotCountedInItsSession);
        let events = if is_left_out { hits.len() } else { all.len() };
        let page_views = views.len() as u64;
        let sums = self.booked.sessions.entry((self.sessions[at].key.clone(), exit)).or_default();
        sums.0 += 1;
        sums.1 += u64::from(engaged);
        sums.2 += page_views;
        sums.3 += events as u64;
        sums.4 += duration;
    }

    /// The key with the acquisition that this hit alone would give.
    fn key_of_hit(&self, hit: usize, key: &RowKey) -> RowKey {
        let Counted { raw, rules, .. } = &self.hits[hit];
        let page = page_of(&raw.url);
        let (_, domain, [source, medium]) =
            REFERRERS.iter().find(|(url, _, _)| *url == raw.referrer).unwrap();
        let is_ignored = rules.traffic.ignored_referrers.iter().any(|ignored| ignored == domain);
        let is_none = domain.is_empty() || is_ignored && !self.errs(Mistake::IgnoredReferrersAreSources);
        let referrer = (!is_none).then_some([*source, *medium, ""]);
        let found = page.campaign.or(referrer).or(page.shared);
        let [source, medium, campaign] = found.unwrap_or(["(direct)", "(none)", ""]);
        RowKey { source: source.into(), medium: medium.into(), campaign: campaign.into(), ..key.clone() }
    }
}

/// What a hit tells of its row, but for the client that sent it and where its session came from.
fn plain_key(raw: &RawHit, (date, minute, offset): (u16, u32, i32), class: &str, page: &str) -> RowKey {
    RowKey {
        property: raw.property_id.as_str().into(),
        local_date: date,
        minute,
        utc_offset_s: offset,
        traffic_class: class.into(),
        page_path: page.into(),
        country: raw.country.as_str().into(),
        traffic_reason: match raw.user_agent.as_str() {
            _ if class == "human" => "",
            "" => "no_user_agent",
            _ => "crawler_user_agent",
        }
        .into(),
        visitor_type: match raw.first_visit {
            Some(true) => "new",
            Some(false) => "returning",
            None => "(not set)",
        }
        .into(),
        first_source: "(not set)".into(),
        ..RowKey::default()
    }
}

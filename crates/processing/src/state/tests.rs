//! State bytes: round trip, the golden file, and everything that must be refused.

use std::sync::Arc;

use super::*;
use crate::fold::HourChange;
use crate::forget::AppliedJob;
use crate::handover::{
    Acquisition, Client, Dimensions, DropReason, Place, SessionTerms, TrafficClass, TrafficReason,
    VisitorType,
};
use crate::recognise::{Day, VisitorChange};
use crate::sessionize::Remembered;
use crate::sessionize::session::{Exit, Session};

/// Written by format 1's first build; it must be read for ever.
const GOLDEN: &[u8] = include_bytes!("checkpoint_v1.bin");
const EPOCH: Epoch = Epoch([9; 16]);

fn edge() -> EdgeId {
    "edge-1".parse().unwrap()
}

/// Every field differs from its default.
fn snapshot() -> Snapshot {
    let mut snapshot = golden();
    snapshot.visitors = VisitorChange {
        oldest: 3,
        added_from: 5,
        added: vec![u64::MAX, 0, 1],
        days: vec![Day { day: 20_000, visitors: 2 }, Day { day: 20_001, visitors: 1 }],
        emptied: vec![3, 4],
    };
    snapshot.pages.gone = vec![7, 9];
    snapshot.jobs = vec![AppliedJob { job: "e_1".into(), applied_at_ms: 12 }];
    snapshot.totals.dropped = DropReason::ALL.map(|reason| (reason, 10)).into();
    snapshot.totals.refused_without_rules = 11;
    let session = &mut snapshot.sessions.open[0];
    session.terms.engaged_after_ms = 0;
    session.terms.engaged_page_views = 3;
    session.has_key_event = true;
    session.dimensions.hostname = "shop.example".into();
    session.dimensions.place =
        Arc::new(Place { country: "DE".into(), region: "Bremen".into(), city: "Bremerhaven".into() });
    session.dimensions.client = Arc::new(Client {
        browser_version: "142".into(),
        operating_system_version: "15.1".into(),
        device_brand: "Brand".into(),
        ..Client::clone(&session.dimensions.client)
    });
    session.dimensions.traffic = TrafficReason::SpamReferrer;
    session.acquisition = Arc::new(Acquisition {
        visitor_type: VisitorType::KnownToEdge,
        first_source: "letter".into(),
        ..Acquisition::clone(&session.acquisition)
    });
    snapshot
}

/// What the golden file holds: it is of a build that knew less of a session, and no visitors.
fn golden() -> Snapshot {
    let acquisition = Arc::new(Acquisition {
        source: "src".into(),
        medium: "med".into(),
        campaign: "cam".into(),
        visitor_type: VisitorType::NotSet,
        first_source: "(not set)".into(),
    });
    let remembered = Remembered {
        number: 4,
        property: "p_b".into(),
        traffic_class: TrafficClass::Human,
        visitors: vec![3],
        session_id: 2,
        forgotten_at_ms: 86_400_000,
        acquisition: Arc::clone(&acquisition),
    };
    let hour = HourChange {
        number: 11,
        property: "p_a".into(),
        local_hour: -1,
        began_at_ms: 12,
        pages: vec![13, u64::MAX],
    };
    Snapshot {
        from_block: 0,
        cursor: Cursor { next_block: 20, next_position: 1_000, received_at_ms: 1_780_272_000_000 },
        totals: Totals {
            hits: 1_000,
            repeated: 10,
            by_class: [(TrafficClass::Human, 900), (TrafficClass::Bot, 60)].into(),
            dropped: [
                (DropReason::UnknownProperty, 10),
                (DropReason::UnknownTimeZone, 10),
                (DropReason::ImpossibleTime, 10),
            ]
            .into(),
            refused_without_rules: 0,
        },
        ids: IdChange { oldest: 30, added_from: 31, added: vec![(32, vec![33; 32])] },
        pages: PageChange { oldest: 10, next_number: 14, hours: vec![hour], gone: Vec::new() },
        visitors: VisitorChange::default(),
        sessions: SessionChange {
            next_number: 6,
            open: vec![golden_session(acquisition)],
            remembered: vec![remembered],
            gone: vec![1, 2],
        },
        jobs: Vec::new(),
    }
}

fn golden_session(acquisition: Arc<Acquisition>) -> Session {
    let client = Arc::new(Client {
        browser_version: "".into(),
        operating_system_version: "".into(),
        device_brand: "".into(),
        browser: "Browser".into(),
        operating_system: "System".into(),
        device: "bot".into(),
    });
    Session {
        number: 5,
        visitors: vec![u64::MAX, 1],
        session_id: Some(8),
        dimensions: Dimensions {
            property: "p_a".into(),
            local_date: 65_535,
            minute: 29_671_200,
            utc_offset_s: -16_200,
            page_path: "/in".into(),
            hostname: "".into(),
            place: Arc::new(Place { country: "DE".into(), region: "".into(), city: "".into() }),
            client,
            traffic: TrafficReason::CrawlerUserAgent,
        },
        acquisition,
        terms: SessionTerms {
            timeout_ms: 1_800_000,
            grace_ms: 300_000,
            engaged_after_ms: 10_000,
            engaged_page_views: 2,
        },
        first_ms: 1,
        last_ms: 2,
        opened_at_ms: 3,
        received_at_ms: 4,
        exit: Exit { is_page_view: true, event_time_ms: 2, page_path: "/out".into() },
        page_views: 6,
        events: 7,
        engagement_ms: 8,
        has_key_event: false,
    }
}

#[test]
fn state_reads_back_as_it_was_written() {
    for kind in [Kind::Checkpoint, Kind::Change] {
        let bytes = encode(kind, &edge(), EPOCH, &snapshot()).unwrap();
        assert_eq!(decode(kind, &edge(), EPOCH, &bytes).unwrap(), snapshot());
    }
}

#[test]
fn golden_file_is_read_and_its_body_is_still_written() {
    assert_eq!(decode(Kind::Checkpoint, &edge(), EPOCH, GOLDEN).unwrap(), golden());
    // The compressed bytes may differ by version of zstd, the body may not.
    let written = wire::encode(&edge(), EPOCH, &golden());
    assert_eq!(body(Kind::Checkpoint, GOLDEN).unwrap(), written);
}

#[test]
fn every_changed_bit_and_every_cut_is_noticed() {
    let bytes = encode(Kind::Change, &edge(), EPOCH, &snapshot()).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(decode(Kind::Change, &edge(), EPOCH, &changed).is_err(), "bit at {at}");
        assert!(decode(Kind::Change, &edge(), EPOCH, &bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn state_of_another_edge_epoch_kind_or_version_is_refused() {
    let refusal = |kind, edge: &str, epoch, bytes: &[u8]| {
        decode(kind, &edge.parse().unwrap(), epoch, bytes).unwrap_err().to_string()
    };
    let bytes = GOLDEN;
    let other_edge = refusal(Kind::Checkpoint, "edge-2", EPOCH, bytes);
    assert!(other_edge.starts_with("stored state belongs to edge edge-1 (epoch 0909"), "{other_edge}");
    let other_epoch = refusal(Kind::Checkpoint, "edge-1", Epoch([1; 16]), bytes);
    assert!(other_epoch.contains("this is edge-1 (epoch 0101"), "{other_epoch}");
    let other_kind = refusal(Kind::Change, "edge-1", EPOCH, bytes);
    assert_eq!(other_kind, "stored state is a checkpoint, a change was expected");
    let mut later = bytes.to_vec();
    later[2] = 2;
    let later = refusal(Kind::Checkpoint, "edge-1", EPOCH, &later);
    assert_eq!(later, "stored state begins with [4d, 50, 02], this build reads \"MP\" version 1");
}

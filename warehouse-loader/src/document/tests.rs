//! Documents keep their JSON for ever: other loaders read them.

use super::*;

#[test]
fn dates_are_days_and_text() {
    for (days, text, month) in
        [(0, "1970-01-01", "197001"), (16_572, "2015-05-17", "201505"), (u16::MAX, "2149-06-06", "214906")]
    {
        assert_eq!(LocalDate(days).to_string(), text);
        assert_eq!(text.parse(), Ok(LocalDate(days)));
        assert_eq!(LocalDate(days).month(), month);
    }
    for text in ["1969-12-31", "2149-06-07", "2015-02-30", "yesterday"] {
        assert!(text.parse::<LocalDate>().is_err(), "{text}");
    }
}

#[test]
fn a_plan_keeps_its_text_for_ever() {
    let plan = Plan {
        format: 1,
        shard: 0,
        n: 7,
        created_by: "loader-1".into(),
        created_at_ms: 1_700_000_000_000,
        rows_plan: 7,
        group_started_at_ms: 1_700_000_000_000,
        takes: vec![Take {
            edge: "edge-1".parse().unwrap(),
            epoch: Epoch([1; 16]),
            lane: LANE.into(),
            seq_from: 2,
            seq_to: 3,
            from: 10,
            to: 30,
            complete_until_ms: 1_699_999_999_000,
            crc32c: 5,
            segments: vec!["segments/rollup/a.seg".into()],
            erased_hits: 0,
        }],
        skips: vec![],
        inserts: vec![InsertStep {
            table: "hit_rollup".into(),
            local_date: LocalDate(16_572),
            chunk: 0,
            rows: 1,
            hits: 20,
            token: "t".into(),
        }],
        without: vec![],
        erase: None,
    };
    let golden = "{\"format\":1,\"shard\":0,\"n\":7,\"created_by\":\"loader-1\",\"created_at_ms\":1700000000000,\
        \"rows_plan\":7,\"group_started_at_ms\":1700000000000,\"takes\":[{\"edge\":\"edge-1\",\
        \"epoch\":\"01010101010101010101010101010101\",\"lane\":\"rollup\",\"seq_from\":2,\"seq_to\":3,\"from\":10,\
        \"to\":30,\"complete_until_ms\":1699999999000,\"crc32c\":5,\"segments\":[\"segments/rollup/a.seg\"]}],\
        \"skips\":[],\"inserts\":[{\"table\":\"hit_rollup\",\"local_date\":\"2015-05-17\",\"chunk\":0,\"rows\":1,\
        \"hits\":20,\"token\":\"t\"}]}";
    assert_eq!(serde_json::to_string(&plan).unwrap(), golden);
    assert_eq!(serde_json::from_str::<Plan>(golden).unwrap(), plan);
    assert!(serde_json::from_str::<Plan>(&golden.replace("\"n\"", "\"m\"")).is_err());
}

#[test]
fn a_plan_that_leaves_out_or_removes_and_its_part_keep_their_text_for_ever() {
    let what = What::Property { property_id: "p_a".into() };
    let erase = Erase { job: JobId::new(1, 2), requested_at_ms: 1, what };
    let plan = Plan {
        format: 1,
        shard: 0,
        n: 7,
        created_by: "a".into(),
        created_at_ms: 5,
        rows_plan: 9,
        group_started_at_ms: 4,
        takes: vec![],
        skips: vec![],
        inserts: vec![],
        without: vec!["p_b".into()],
        erase: Some(erase.clone()),
    };
    let erase_text = "{\"job\":\"e_000000000000000100000002\",\"requested_at_ms\":1,\
        \"what\":{\"property\":{\"property_id\":\"p_a\"}}}";
    let golden = format!(
        "{{\"format\":1,\"shard\":0,\"n\":7,\"created_by\":\"a\",\"created_at_ms\":5,\"rows_plan\":9,\
         \"group_started_at_ms\":4,\"takes\":[],\"skips\":[],\"inserts\":[],\"without\":[\"p_b\"],\"erase\":{erase_text}}}"
    );
    assert_eq!(serde_json::to_string(&plan).unwrap(), golden);
    assert_eq!(serde_json::from_str::<Plan>(&golden).unwrap(), plan);
    let part = Part {
        format: 1,
        shard: 0,
        n: 7,
        rows_plan: 9,
        created_at_ms: 5,
        erase,
        hours: vec![GroupDate { group: 2, date: LocalDate(16_572) }],
        held: vec![Held { table: "hit_hourly".into(), from: LocalDate(0), to: LocalDate(1) }],
    };
    let golden = format!(
        "{{\"format\":1,\"shard\":0,\"n\":7,\"rows_plan\":9,\"created_at_ms\":5,\"erase\":{erase_text},\
         \"hours\":[{{\"group\":2,\"date\":\"2015-05-17\"}}],\
         \"held\":[{{\"table\":\"hit_hourly\",\"from\":\"1970-01-01\",\"to\":\"1970-01-02\"}}]}}"
    );
    assert_eq!(serde_json::to_string(&part).unwrap(), golden);
    assert_eq!(serde_json::from_str::<Part>(&golden).unwrap(), part);
}

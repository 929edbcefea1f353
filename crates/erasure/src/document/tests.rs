//! Documents keep their JSON for ever: other services read them.

use super::*;

fn request(what: What) -> Request {
    let requested_at_ms = 1_760_000_000_000;
    Request { format: 1, job: JobId::new(requested_at_ms, 0xab), requested_at_ms, what }
}

#[test]
fn requests_keep_their_text_for_ever() {
    let head =
        "{\"format\":1,\"job\":\"e_00000199c82cc000000000ab\",\"requested_at_ms\":1760000000000,\"what\":";
    for (what, golden) in [
        (What::Property { property_id: "p_a".into() }, "{\"property\":{\"property_id\":\"p_a\"}}}"),
        (
            What::Visitors {
                property_id: "p_a".into(),
                visitor_ids: vec![VisitorId(0x1f), VisitorId(u64::MAX)],
            },
            "{\"visitors\":{\"property_id\":\"p_a\",\"visitor_ids\":[\"000000000000001f\",\"ffffffffffffffff\"]}}}",
        ),
        (
            What::Retention {
                before: vec![Before {
                    date: jiff::civil::date(2025, 1, 1),
                    property_ids: vec!["p_a".into()],
                }],
            },
            "{\"retention\":{\"before\":[{\"date\":\"2025-01-01\",\"property_ids\":[\"p_a\"]}]}}}",
        ),
    ] {
        let request = request(what);
        assert_eq!(request.check(), Ok(()));
        assert_eq!(serde_json::to_string(&request).unwrap(), format!("{head}{golden}"));
        assert_eq!(serde_json::from_str::<Request>(&format!("{head}{golden}")).unwrap(), request);
    }
}

#[test]
fn progress_keeps_its_text_for_ever() {
    let progress = Progress {
        format: 1,
        job: JobId::new(0, 1),
        shard: 0,
        state: State::Waiting,
        updated_at_ms: 5,
        plans: vec![7],
        steps: vec![Step {
            store: "hit_rollup".into(),
            what: "delete".into(),
            rows_before: 3,
            rows_after: None,
            done: false,
        }],
        waits_for: vec!["a".into()],
        holds: vec![Hold {
            store: "hit_hourly".into(),
            until: None,
            dates: Some((jiff::civil::date(2025, 1, 1), jiff::civil::date(2025, 1, 2))),
            what: "b".into(),
        }],
    };
    let golden = "{\"format\":1,\"job\":\"e_000000000000000000000001\",\"shard\":0,\"state\":\"waiting\",\"updated_at_ms\":5,\
        \"plans\":[7],\"steps\":[{\"store\":\"hit_rollup\",\"what\":\"delete\",\"rows_before\":3,\"rows_after\":null,\
        \"done\":false}],\"waits_for\":[\"a\"],\"holds\":[{\"store\":\"hit_hourly\",\"until\":null,\
        \"dates\":[\"2025-01-01\",\"2025-01-02\"],\"what\":\"b\"}]}";
    assert_eq!(serde_json::to_string(&progress).unwrap(), golden);
    assert_eq!(serde_json::from_str::<Progress>(golden).unwrap(), progress);
    assert!(serde_json::from_str::<Progress>(&golden.replace("\"plans\"", "\"plan\"")).is_err());
}

#[test]
fn what_cannot_be_is_refused() {
    for text in
        ["e_1", "f_00000199c82cc000000000ab", "e_00000199C82CC000000000AB", "e_00000199c82cc000000000a/"]
    {
        assert!(text.parse::<JobId>().is_err(), "{text}");
    }
    assert!(JobId::new(5, u32::MAX) < JobId::new(6, 0), "ids sort by time");
    for text in ["1f", "000000000000001F", "00000000000000001f", "+00000000000001f"] {
        assert!(text.parse::<VisitorId>().is_err(), "{text}");
    }
    let property = |id: &str| request(What::Property { property_id: id.into() }).check();
    assert_eq!(property("p' OR 1"), Err(DocumentError::Property("p' OR 1".into())));
    assert!(property("").is_err() && property(&"a".repeat(65)).is_err());
    let visitors = |count| What::Visitors { property_id: "p".into(), visitor_ids: vec![VisitorId(1); count] };
    assert_eq!(request(visitors(0)).check(), Err(DocumentError::Visitors(0)));
    assert_eq!(request(visitors(MAX_VISITORS + 1)).check(), Err(DocumentError::Visitors(MAX_VISITORS + 1)));
    assert_eq!(request(visitors(MAX_VISITORS)).check(), Ok(()));
    assert!(request(What::Retention { before: vec![] }).check().is_err());
    let later = Request { format: 2, ..request(visitors(1)) };
    assert_eq!(later.check(), Err(DocumentError::Format(2)));
}

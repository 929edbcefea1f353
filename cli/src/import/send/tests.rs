//! Ids are stable and tell lines apart; visitors stay on their connection.

use super::*;

fn request(line: u64, address: &str, occurrence: u32) -> PageRequest {
    PageRequest {
        line,
        time_ms: 1_431_857_103_000,
        address: address.parse().unwrap(),
        user_agent: "agent".into(),
        target: "/".into(),
        referrer: String::new(),
        occurrence,
    }
}

fn sender(connections: u16) -> Sender {
    let target = Target {
        collect_url: String::new(),
        measurement_id: "M-1".into(),
        api_secret: "sk_1".into(),
        hostname: "example.com".into(),
    };
    Sender::new(target, connections)
}

#[test]
fn an_id_depends_on_the_line_alone() {
    let id = hit_id(&request(1, "192.0.2.1", 0));
    assert_eq!(id, hit_id(&request(99, "192.0.2.1", 0)), "the place in the log does not matter");
    assert_ne!(id, hit_id(&request(1, "192.0.2.2", 0)));
    assert_ne!(id, hit_id(&request(1, "192.0.2.1", 1)), "equal lines are two hits");
    assert!(id.len() <= limits::HIT_ID_BYTES);
}

#[test]
fn a_visitor_stays_on_one_connection_in_order() {
    let requests: Vec<PageRequest> =
        (0..200).map(|line| request(line, &format!("192.0.2.{}", line % 20), 0)).collect();
    let lanes = sender(4).split_by_visitor(&requests);
    assert_eq!(lanes.iter().map(Vec::len).sum::<usize>(), 200);
    for (lane, other) in lanes.iter().zip(lanes.iter().skip(1)) {
        assert!(lane.iter().all(|mine| other.iter().all(|theirs| mine.address != theirs.address)));
    }
    for lane in &lanes {
        assert!(lane.windows(2).all(|pair| pair[0].line < pair[1].line));
    }
}

#[test]
fn a_full_second_is_waited_for_and_a_full_day_is_not() {
    let answer = |status: u16, after: Option<&'static str>| {
        let headers = after.map(|after| (http::header::RETRY_AFTER, http::HeaderValue::from_static(after)));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.into_iter().collect(),
            body: Bytes::new(),
        }
    };
    for (status, after, expected) in [
        (503, Some("30"), true),
        (500, None, true),
        (429, None, true),
        (429, Some("1"), true),
        (429, Some("300"), true),
        (429, Some("301"), false),
        (429, Some("86400"), false),
        (400, None, false),
        (204, None, false),
    ] {
        assert_eq!(is_for_now(&answer(status, after)), expected, "{status} {after:?}");
    }
}

#[test]
fn the_edges_error_names_the_hit() {
    assert_eq!(hit_index("hits[3].url"), Some(3));
    assert_eq!(hit_index("measurement_id"), None);
}

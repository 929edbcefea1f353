//! Which answers are clean, which may be repeated, which code they carry.

use clickhouse::error::Error;

use super::*;

#[test]
fn code_is_found_and_decides_whether_to_repeat() {
    let table = [
        ("Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)", Some(241), true),
        ("Code: 469. DB::Exception: Constraint `fresh` is violated", Some(469), true),
        ("Code: 60. DB::Exception: Table x does not exist. (UNKNOWN_TABLE)", Some(60), false),
        ("Code: 210", Some(210), true),
        ("503 Service Unavailable", None, true),
        ("404 Not Found", None, false),
        ("Code: nonsense", None, false),
    ];
    for (text, code, retryable) in table {
        let error = WarehouseError::from(Error::BadResponse(text.to_owned()));
        assert_eq!((error.code(), error.is_retryable()), (code, retryable), "{text}");
    }
}

#[test]
fn a_broken_connection_is_retryable_and_a_wrong_row_is_not() {
    assert!(WarehouseError::from(Error::Network("reset".into())).is_retryable());
    assert!(WarehouseError::from(Error::TimedOut).is_retryable());
    assert!(!WarehouseError::from(Error::SchemaMismatch("column".into())).is_retryable());
}

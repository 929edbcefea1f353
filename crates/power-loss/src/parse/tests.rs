//! Lines as strace 6.1 writes them.

use super::*;

#[test]
fn calls_are_in_the_order_of_their_ends_and_know_what_had_ended_before_they_began() {
    let trace = r#"7 openat(AT_FDCWD, "\x2f\x61", O_RDWR|O_CREAT|O_CLOEXEC, 0666) = 3
8 fsync(3 <unfinished ...>
7 pwrite64(3, "\x61\x62", 2, 4096) = 2
8 <... fsync resumed>)                   = 0
7 unlink("\x2f\x62")                = -1 ENOENT (No such file or directory)
7 read(0x3, 0x7ffe3f9d, 0x40)       = 0x40
7 write(3, "\x61", 1)               = ?
7 +++ exited with 0 +++
"#;
    let calls = calls(trace).unwrap();
    let seen: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.result, call.begun_after)).collect();
    assert_eq!(
        seen,
        [
            ("openat", Some(3), 0),
            ("pwrite64", Some(2), 1),
            ("fsync", Some(0), 1),
            ("unlink", None, 3),
            ("read", Some(64), 4)
        ]
    );
    assert_eq!(calls[1].arguments, ["3", r#""\x61\x62""#, "2", "4096"]);
    assert_eq!(bytes(&calls[1].arguments[1]).unwrap(), b"ab");
}

#[test]
fn what_strace_cut_short_is_an_error() {
    assert!(bytes(r#""\x61\x62"..."#).is_err());
    assert!(bytes(r#""ab""#).is_err());
}

#[test]
fn a_number_that_is_given_out_again_before_its_close_returned_is_the_new_file() {
    let trace = r#"7 close(12 <unfinished ...>
8 openat(AT_FDCWD, "\x2f\x61", O_RDONLY|O_CLOEXEC) = 12
7 <... close resumed>)                   = 0
8 fsync(12)                         = 0
"#;
    let names: Vec<_> = calls(trace).unwrap().into_iter().map(|call| call.name).collect();
    assert_eq!(names, ["close", "openat", "fsync"]);
}

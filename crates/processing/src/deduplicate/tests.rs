//! The window of ids: its edges in time and memory, and its way through changes.

use super::*;

const HOUR_MS: u64 = 3_600_000;

fn window(ids: u64) -> IdWindow {
    IdWindow::new(Epoch([1; 16]), ids * BYTES_PER_ID)
}

fn seen(window: &mut IdWindow, id: &str, received_at_ms: u64) -> bool {
    window.begin_block(received_at_ms);
    window.is_repeat("p_a", id, received_at_ms)
}

#[test]
fn repeat_is_found_for_24_hours() {
    let mut ids = window(100);
    assert!(!seen(&mut ids, "x", 1_000));
    assert!(seen(&mut ids, "x", 1_000), "in the same block");
    assert!(seen(&mut ids, "x", 1_000 + 24 * HOUR_MS - 1));
    assert!(!seen(&mut ids, "x", 1_000 + 24 * HOUR_MS), "a repeat did not lengthen it");
}

#[test]
fn ids_are_the_propertys_own_and_empty_ones_are_none() {
    let mut ids = window(100);
    assert!(!ids.is_repeat("p_a", "x", 0));
    assert!(!ids.is_repeat("p_b", "x", 0));
    assert!(!ids.is_repeat("p_a", "", 0));
    assert!(!ids.is_repeat("p_a", "", 0));
    assert!(!ids.is_repeat("p", "_ax", 0));
    assert_eq!(ids.entries(), 3);
}

#[test]
fn at_the_limit_the_oldest_is_forgotten_first() {
    let mut ids = window(2);
    for (at, id) in ["a", "b", "c"].into_iter().enumerate() {
        assert!(!seen(&mut ids, id, at as u64));
    }
    assert_eq!((ids.entries(), ids.oldest_received_at_ms()), (2, Some(1)));
    assert!(seen(&mut ids, "b", 3));
    assert!(!seen(&mut ids, "a", 3));
}

#[test]
fn window_restored_from_changes_is_the_same() {
    for limit in [1, 2, 3, 100] {
        let mut ids = window(limit);
        let mut restored = window(limit);
        for round in 0..6_u64 {
            for id in 0..round {
                seen(&mut ids, &format!("{round} {id}"), round * 7 * HOUR_MS + id / 2);
            }
            assert!(restored.apply(&ids.take_change()));
            assert_eq!(restored.whole(), ids.whole(), "limit {limit}, round {round}");
        }
        let mut whole = window(limit);
        assert!(whole.apply(&ids.whole()));
        assert_eq!(whole.whole(), ids.whole());
        assert_eq!(whole.take_change().added, Vec::new());
    }
}

#[test]
fn change_that_does_not_follow_is_refused() {
    let mut ids = window(10);
    seen(&mut ids, "a", 0);
    let first = ids.take_change();
    seen(&mut ids, "b", 0);
    let second = ids.take_change();
    let mut restored = window(10);
    assert!(restored.apply(&first));
    assert!(!restored.apply(&first));
    assert!(restored.apply(&second));
}

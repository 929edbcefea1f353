//! Readiness over a service's life, and what a child context shares with its parent.

use std::sync::mpsc;

use serde_json::json;

use super::*;
use crate::clock::TestClock;

#[test]
fn readiness_follows_start_trouble_and_shutdown() {
    let context = Context::new(TestClock::new(0).shared());
    assert_eq!(context.readiness.check(), Err("starting".into()));
    context.readiness.set_ready();
    assert_eq!(context.readiness.check(), Ok(()));
    context.readiness.set_not_ready("disk budget used up");
    assert_eq!(context.readiness.check(), Err("disk budget used up".into()));
    context.readiness.set_ready();
    context.shutdown.cancel();
    assert_eq!(context.readiness.check(), Err("shutting down".into()));
    context.readiness.set_ready();
    assert_eq!(context.readiness.check(), Err("shutting down".into()));
}

#[test]
fn child_announces_to_its_parent_and_stops_with_it_but_not_the_other_way() {
    let parent = Context::new(TestClock::new(0).shared());
    let (sender, receiver) = mpsc::channel();
    let child = parent.child(Arc::new(move |service, fields| {
        sender.send((service, fields)).map_err(std::io::Error::other)
    }));
    let fields = Map::from_iter([("admin".to_owned(), json!("http://127.0.0.1:1"))]);
    child.announce_ready("hub", fields.clone()).unwrap();
    assert_eq!(receiver.try_recv().unwrap(), ("hub", fields));
    assert!(child.readiness.check().is_ok() && parent.readiness.check().is_err());

    let sibling = parent.child(Arc::new(|_, _| Ok(())));
    sibling.shutdown.cancel();
    assert!(!parent.shutdown.is_cancelled() && !child.shutdown.is_cancelled());
    parent.shutdown.cancel();
    assert!(child.shutdown.is_cancelled());
}

//! Configuration on its way through real processes: two apis that write at once, two hubs, three edges.
//!
//! No test waits between a change and its use at an edge that is connected: the answer to a change comes when it is in force there.

mod mesh;
mod relay;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use http::Method;
use prost::Message as _;
use proto::config::LogEntry;
use serde_json::{Value, json};

use self::mesh::Mesh;
use crate::system::process::wait_for;

/// The longest that anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// The log's entries, in order; fails if one is missing.
fn log(mesh: &Mesh) -> Vec<LogEntry> {
    let mut names: Vec<_> = std::fs::read_dir(mesh.store().join("config/log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().len() == 20)
        .collect();
    names.sort();
    let entries: Vec<_> =
        names.iter().map(|path| LogEntry::decode(std::fs::read(path).unwrap().as_slice()).unwrap()).collect();
    let versions: Vec<u64> = entries.iter().map(|entry| entry.position.as_ref().unwrap().version).collect();
    assert_eq!(versions, (1..=u64::try_from(entries.len()).unwrap()).collect::<Vec<_>>());
    entries
}

#[test]
fn apis_that_write_at_once_have_one_history_and_every_edge_has_it() {
    let mesh = Mesh::start(2, 2, 3);
    mesh.runtime.block_on(async {
        let first = mesh.create(0, "first").await;
        // Creations and new versions of one property's rules, all at once, half of them through each api.
        let creations = join_all((0..24).map(|n| {
            let mesh = &mesh;
            async move { mesh.create(n % 2, &format!("shop {n}")).await }
        }));
        let path = format!("/v1/properties/{}/rules", first["property_id"].as_str().unwrap());
        let versions = join_all((0..24).map(|n| {
            let rules = json!({ "rules": format!("session_timeout_s = {}", 60 + n) });
            mesh.call(n % 2, Method::PUT, &path, rules)
        }));
        let (created, versions) = futures::join!(creations, versions);
        let versions: BTreeSet<u64> = versions
            .into_iter()
            .map(|(status, set)| {
                assert!(status.is_success(), "{set}");
                set["version"].as_u64().unwrap()
            })
            .collect();
        assert_eq!(versions, (2..=25).collect(), "each is a version of its own, and none is lost");
        for property in created.iter().chain([&first]) {
            for edge in 0..3 {
                assert_eq!(mesh.hit(edge, property).await, 204, "{property} at edge {edge}");
            }
        }
    });
    // 1 that begins, 25 creations and 24 versions: in as many changes, in one order, each made once.
    let entries = log(&mesh);
    let changes: Vec<_> = entries.iter().flat_map(|entry| &entry.changes).collect();
    let times = |method| changes.iter().filter(|change| change.method == method).count();
    assert_eq!((times("Begin"), times("CreateProperty"), times("SetRules")), (1, 25, 24));
    let newest = u64::try_from(entries.len()).unwrap();
    let everywhere = wait_for(LONG, || {
        let versions = mesh.versions();
        (versions.len() == 7 && versions.iter().all(|(_, version)| *version == newest)).then_some(())
    });
    assert!(everywhere.is_some(), "{newest}: {:?}", mesh.versions());
    // An api reads what the others wrote a moment later.
    mesh.runtime.block_on(async {
        let listed = |api| mesh.call(api, Method::GET, "/v1/properties", Value::Null);
        let (of_first, of_second) = futures::join!(listed(0), listed(1));
        assert_eq!(of_first, of_second);
        assert_eq!(of_first.1["properties"].as_array().unwrap().len(), 25);
    });
}

#[test]
fn edges_that_were_cut_off_go_on_and_are_brought_back() {
    let mut mesh = Mesh::start(2, 2, 3);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let old = runtime.block_on(mesh.create(0, "old"));
    mesh.relays[2].iter().for_each(relay::Relay::cut);
    // Both hubs hear of it: who is gone is not waited for.
    let new = runtime.block_on(mesh.create(1, "new"));
    let hits = |mesh: &Mesh, property: &Value| {
        runtime.block_on(async {
            [mesh.hit(0, property).await, mesh.hit(1, property).await, mesh.hit(2, property).await]
        })
    };
    assert_eq!((hits(&mesh, &old), hits(&mesh, &new)), ([204, 204, 204], [204, 204, 404]));
    // Started again with every hub out of reach it has what it had.
    mesh.edges[2].kill();
    mesh.edges[2].start_again();
    assert_eq!((hits(&mesh, &old), hits(&mesh, &new)), ([204, 204, 204], [204, 204, 404]));
    let of_edges = |mesh: &Mesh| -> Vec<u64> {
        mesh.versions()
            .into_iter()
            .filter(|(service, _)| service == "edge")
            .map(|(_, version)| version)
            .collect()
    };
    assert_eq!(of_edges(&mesh), [3, 3, 2], "the edge that is behind shows");
    // Hubs that come back while no api answers serve from their own copies.
    mesh.apis.iter_mut().for_each(mesh::Service::kill);
    for hub in &mut mesh.hubs {
        hub.kill();
        hub.start_again();
    }
    mesh.relays[2].iter().for_each(relay::Relay::mend);
    let back = wait_for(LONG, || (hits(&mesh, &new) == [204, 204, 204]).then_some(()));
    assert!(back.is_some());
    // And with the apis changes come through again, from either.
    mesh.apis.iter_mut().for_each(mesh::Service::start_again);
    for api in 0..2 {
        let reaches_all = wait_for(LONG, || {
            let property = runtime.block_on(mesh.create(api, "later"));
            (hits(&mesh, &property) == [204, 204, 204]).then_some(())
        });
        assert!(reaches_all.is_some(), "through api {api}");
    }
    assert_eq!(log(&mesh)[1].changes[0].method, "CreateProperty");
}

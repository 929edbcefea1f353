//! The loader does not start on a store that lets an object be created twice.

use std::process::Command;

use store::StoreConfig;
use warehouse_loader::Config;

/// A directory on a file system whose `link` succeeds when the name is taken, as `strace` makes it seem: that is how
/// objects are created if they are absent.
#[test]
fn a_store_that_ignores_create_if_absent_is_refused_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config {
        admin_listen: ([127, 0, 0, 1], 0).into(),
        store: StoreConfig::local(&directory.path().join("store")).unwrap(),
        ..Config::default()
    };
    let file = directory.path().join("loader.toml");
    std::fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
    let output = Command::new("strace")
        .args(["-f", "-qq", "--seccomp-bpf", "-o"])
        .arg(directory.path().join("strace"))
        .args(["-e", "trace=link,linkat", "-e", "inject=link,linkat:retval=0", "--"])
        .arg(env!("CARGO_BIN_EXE_warehouse-loader"))
        .arg("--config")
        .arg(&file)
        .output()
        .unwrap_or_else(|error| panic!("strace: {error}; run `scripts/setup.sh test`"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("probe/create-if-absent be created twice"), "{said}");
    assert!(said.contains("use a store that can create an object only if it is absent"), "{said}");
}

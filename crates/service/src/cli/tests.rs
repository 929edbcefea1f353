//! Arguments, and the way from a file to a validated configuration.

use std::ffi::OsString;

use serde::Deserialize;

use super::*;

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    admin_listen: SocketAddr,
    log: LogConfig,
}

impl Default for Sample {
    fn default() -> Self {
        Self { admin_listen: SocketAddr::from(([127, 0, 0, 1], 9101)), log: LogConfig::default() }
    }
}

impl ServiceConfig for Sample {
    fn validate(&self) -> Result<(), String> {
        if self.admin_listen.port() == 1 {
            return Err("admin_listen is port 1, which is reserved; choose another".into());
        }
        Ok(())
    }

    fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }
}

fn parse(arguments: &[&str]) -> Result<ServiceArgs, clap::Error> {
    let all = std::iter::once(&"hub").chain(arguments).map(OsString::from);
    parse_arguments("hub", all)
}

#[test]
fn arguments_of_interfaces_are_understood() {
    let arguments = parse(&["--config", "hub.toml", "--check-config", "--die-with-parent"]).unwrap();
    assert_eq!(arguments.config, Some(PathBuf::from("hub.toml")));
    assert!(arguments.check_config && arguments.die_with_parent && !arguments.print_default_config);
    assert!(parse(&["--print-default-config"]).unwrap().print_default_config);
    let error = parse(&[]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("--config <FILE>"), "{error}");
}

#[test]
fn configuration_is_checked_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.toml");
    let cases = [
        ("admin_listen = \"127.0.0.1:0\"\n", None),
        ("admin_listen = \"127.0.0.1:1\"\n", Some("admin_listen is port 1")),
        ("[log]\nlevel = \"hub=loud\"\n", Some("log.level is \"hub=loud\"")),
        ("[log]\nformat = \"xml\"\n", Some("unknown variant `xml`")),
        ("admin_listen = \"nowhere\"\n", Some("line 1, admin_listen")),
    ];
    for (text, expected) in cases {
        std::fs::write(&path, text).unwrap();
        let arguments = parse(&["--config", path.to_str().unwrap()]).unwrap();
        match (load_and_validate::<Sample>(&arguments), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                assert!(error.to_string().contains(expected), "{text:?}: {error}");
            }
            (result, expected) => panic!("{text:?}: {result:?}, expected {expected:?}"),
        }
    }
}

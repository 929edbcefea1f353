//! `meridian` commands, run against a system or alone.
//!
//! They find the system by the environment variables of the command line, as a person's shell would set them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use bytes::Bytes;
use futures::StreamExt;
use http::Method;
use serde_json::{Value, json};

use super::{MERIDIAN, System};

/// A property as `meridian property create` gives it.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Property {
    pub(crate) property_id: String,
    pub(crate) measurement_id: String,
    pub(crate) api_secret: String,
    pub(crate) report_key: String,
}

/// How long hits may take to be in reports.
const SETTLED_WITHIN_S: &str = "240";
/// Calls of the API under way at the same time.
const CALLS_AT_ONCE: usize = 8;

/// Removes what the caller's shell may have set.
pub(crate) fn clean_environment(command: &mut Command) {
    for name in ["COLLECT", "GRPC", "API", "ADMIN", "KEY", "DATA", "API_SECRET", "ASSETS", "TRACKER"] {
        command.env_remove(format!("MERIDIAN_{name}"));
    }
}

/// Runs `meridian` alone, in a directory without data.
pub(crate) fn meridian(arguments: &[&str]) -> Output {
    let empty = super::new_directory();
    let mut command = Command::new(MERIDIAN);
    clean_environment(&mut command);
    command.args(arguments).current_dir(empty.path()).stdin(Stdio::null()).output().unwrap()
}

/// The last line of standard output, as JSON.
pub(crate) fn last_line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line)
        .unwrap_or_else(|error| panic!("{error}: the last line of {text:?} is not JSON"))
}

/// What a failed command says, which is one sentence in one line.
pub(crate) fn sentence(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

impl System {
    /// Runs a command with the system's addresses and data directory in its environment.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// The same with bytes on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input may have closed it.
        let _closed = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// Runs a command that must succeed; gives its last line.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "meridian {} failed: {}", arguments.join(" "), sentence(&output));
        last_line(&output)
    }

    /// Creates a property.
    pub(crate) fn create_property(&self, arguments: &[&str]) -> Property {
        let created = self.json(&[&["property", "create"], arguments].concat());
        serde_json::from_value(created).unwrap()
    }

    /// Sets a property's rules to this text of a rules file; gives what the command answers.
    pub(crate) fn set_rules(&self, property: &Property, text: &str, options: &[&str]) -> Value {
        let directory = super::new_directory();
        let file = directory.path().join("rules.toml");
        std::fs::write(&file, text).unwrap();
        let (property, file) = (property.property_id.as_str(), file.to_str().unwrap());
        let arguments = ["property", "set", "--property", property, "--file", file, "--format", "json"];
        self.json(&[&arguments, options].concat())
    }

    /// Creates properties in these zones, several at once: each command is a process, which takes long for a thousand.
    pub(crate) fn create_properties<'a>(&self, zones: impl Iterator<Item = &'a str>) -> Vec<Property> {
        let created = zones.map(|zone| async move {
            let answer = self.call_api("/v1/properties", &json!({"name": "Shop", "time_zone": zone})).await;
            serde_json::from_value(answer.unwrap()).unwrap()
        });
        self.runtime().block_on(futures::stream::iter(created).buffered(CALLS_AT_ONCE).collect())
    }

    /// POST of JSON to the HTTP/JSON API with the admin key.
    pub(crate) async fn call_api(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let authorization = format!("Bearer {}", self.admin_key());
        let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
        let url = format!("{}{path}", self.address("api"));
        let answer = self.client().send(Method::POST, &url, &headers, Bytes::from(body.to_string())).await?;
        let text = String::from_utf8_lossy(&answer.body);
        anyhow::ensure!(answer.status.is_success(), "{path}: {} {text}", answer.status);
        Ok(serde_json::from_str(&text)?)
    }

    fn admin_key(&self) -> String {
        std::fs::read_to_string(self.data().join("admin.key")).unwrap().trim().to_owned()
    }

    /// Asks for a report; the options are written as on a command line.
    pub(crate) fn report(&self, property: &Property, options: &str) -> Value {
        let mut arguments = vec!["report", "--property", property.property_id.as_str(), "--format", "json"];
        arguments.extend(options.split_whitespace());
        self.json(&arguments)
    }

    /// The rows of a report.
    pub(crate) fn rows(&self, property: &Property, options: &str) -> Vec<Value> {
        self.report(property, options)["rows"].as_array().unwrap().clone()
    }

    /// Imports an access log, or `-` for what is given on standard input.
    pub(crate) fn import(&self, property: &Property, log: &str, input: &[u8]) -> Output {
        let property = property.property_id.as_str();
        self.run_with_input(&["import", "access-log", log, "--property", property, "--format", "json"], input)
    }

    /// Waits until reports show every acknowledged hit, and compares the accounts of all services; gives the status.
    pub(crate) fn settle(&self) -> Value {
        let status = self.json(&["status", "--wait", "--timeout", SETTLED_WITHIN_S, "--format", "json"]);
        self.check_accounts();
        status
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(MERIDIAN);
        clean_environment(&mut command);
        for name in ["collect", "grpc", "api", "admin"] {
            command.env(format!("MERIDIAN_{}", name.to_uppercase()), self.address(name));
        }
        command.env("MERIDIAN_DATA", self.data()).args(arguments);
        command
    }
}

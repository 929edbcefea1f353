//! Starts the binary on a directory of its own and gives clients for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, bail, ensure};
use clickhouse::{Client, Row};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// A row of the tables that need no more than a number.
#[derive(Debug, Row, Serialize, Deserialize)]
pub(crate) struct Number {
    pub(crate) a: u64,
}

/// Inserts `numbers` into `t`, the crate's way.
pub(crate) async fn insert_numbers(
    client: &Client,
    numbers: std::ops::Range<u64>,
) -> clickhouse::error::Result<()> {
    let mut insert = client.insert::<Number>("t").await?;
    for a in numbers {
        insert.write(&Number { a }).await?;
    }
    insert.end().await
}

/// A running process; killed when dropped.
pub(crate) struct Warehouse {
    child: Child,
    pub(crate) http: String,
    pub(crate) admin: String,
}

/// The engine library, or a sentence with the way out.
fn library() -> anyhow::Result<PathBuf> {
    let default = "../../third-party/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so";
    let path = std::env::var_os("MERIDIAN_CHDB")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(default), PathBuf::from);
    ensure!(
        path.is_file(),
        "the engine library {} is missing: run `make setup`, or set MERIDIAN_CHDB to the path of libchdb.so",
        path.display()
    );
    Ok(path)
}

/// The command with a configuration that has `extra` lines of TOML.
pub(crate) fn command(data: &Path, extra: &str) -> anyhow::Result<Command> {
    let config = data.join("config.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\ndata_dir = {:?}\nlibrary = {:?}\n{extra}\n",
        data.join("warehouse"),
        library()?
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_embedded-clickhouse"));
    command.arg("--config").arg(config).arg("--die-with-parent");
    Ok(command)
}

impl Warehouse {
    /// Starts on `data` and waits for the ready line.
    pub(crate) fn start(data: &Path, extra: &str) -> anyhow::Result<Self> {
        let mut child = command(data, extra)?.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: serde_json::Value = match serde_json::from_str(&line) {
            Ok(ready) => ready,
            Err(error) => {
                child.kill()?;
                bail!("no ready line but {line:?} ({error}), {:?}", child.wait()?);
            }
        };
        ensure!(ready["event"] == "ready" && ready["service"] == "warehouse", "{ready}");
        let url = |name: &str| Ok::<_, anyhow::Error>(ready[name].as_str().context("no URL")?.to_owned());
        Ok(Self { child, http: url("http")?, admin: url("admin")? })
    }

    /// On a directory that goes with the test.
    pub(crate) fn fresh() -> anyhow::Result<(TempDir, Self)> {
        let directory = tempfile::tempdir()?;
        let warehouse = Self::start(directory.path(), "")?;
        Ok((directory, warehouse))
    }

    /// The official client, as production code uses it (LZ4 on).
    pub(crate) fn client(&self) -> Client {
        Client::default().with_url(&self.http)
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal).context("cannot signal")
    }

    pub(crate) fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// `kill -9`, and waits for the end.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends `bytes` and gives everything that comes back until the other side closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> anyhow::Result<String> {
        raw(&self.http, bytes, false)
    }

    /// The same, but goes away after the last byte, as a client that dies in the middle.
    pub(crate) fn cut(&self, bytes: &[u8]) -> anyhow::Result<String> {
        raw(&self.http, bytes, true)
    }

    /// A request with a body, as any HTTP client sends it.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> anyhow::Result<String> {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.raw(&request)
    }

    pub(crate) fn get(&self, path: &str) -> anyhow::Result<String> {
        self.raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
    }

    /// The admin port's answer.
    pub(crate) fn admin(&self, path: &str) -> anyhow::Result<String> {
        raw(
            &self.admin,
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
            false,
        )
    }
}

impl Drop for Warehouse {
    fn drop(&mut self) {
        // It may have ended already; nothing to do then.
        let _ended = self.kill();
    }
}

fn raw(url: &str, bytes: &[u8], go_away: bool) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://"))?;
    stream.write_all(bytes)?;
    if go_away {
        stream.shutdown(std::net::Shutdown::Write)?;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

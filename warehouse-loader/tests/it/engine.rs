//! The real engine as a child process, and a loader in this one.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clickhouse::{Client, RowOwned, RowRead};
use object_store::ObjectStore;
use service::logs::LogConfig;
use service::{Context, SystemClock};
use store::StoreConfig;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use warehouse::WarehouseConfig;
use warehouse_loader::Config;

use crate::strace::Tracer;
use crate::support::{Edge, Sums};

/// How long anything in these tests may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Sums of custom metrics, by slot.
const CUSTOM_METRICS: &str = "sum(custom_metric_1_micros), sum(custom_metric_2_micros), sum(custom_metric_3_micros), \
                              sum(custom_metric_4_micros), sum(custom_metric_5_micros)";

/// `target/debug/embedded-clickhouse`, beside this test's own directory.
fn binary() -> PathBuf {
    let path = std::env::var_os("MERIDIAN_EMBEDDED_CLICKHOUSE").map_or_else(
        || std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("embedded-clickhouse"),
        PathBuf::from,
    );
    assert!(path.exists(), "{} is missing: run `cargo build -p embedded-clickhouse`", path.display());
    path
}

fn library() -> PathBuf {
    let path = std::env::var_os("MERIDIAN_CHDB").map_or_else(
        || {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            root.join("third-party/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so")
        },
        PathBuf::from,
    );
    assert!(path.exists(), "{} is missing: run `make setup`", path.display());
    path
}

/// The engine; killed when dropped.
pub(crate) struct Engine {
    directory: TempDir,
    child: Child,
    tracer: Option<Tracer>,
    pub(crate) config: WarehouseConfig,
}

/// Columns of items, and what of them adds up.
const ITEM: &str = "item_id, item_name, item_brand, item_category, item_variant";
const ITEM_SUMS: &str = "sum(lines), sum(items_viewed), sum(items_added_to_cart), sum(items_checked_out), sum(items_purchased), \
                         sum(item_revenue_micros)";

impl Engine {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (child, url) = spawn(directory.path(), "127.0.0.1:0", None);
        // No fsync: these tests kill processes, not machines.
        let config =
            WarehouseConfig { url, fsync: false, receive_timeout_ms: 20_000, ..WarehouseConfig::default() };
        Self { directory, child, tracer: None, config }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// From the next start on it runs under `tracer`.
    pub(crate) fn trace(&mut self, tracer: &Tracer) {
        self.tracer = Some(tracer.clone());
    }

    /// The same data and the same address.
    pub(crate) fn restart(&mut self) {
        let address = self.config.url.strip_prefix("http://").unwrap().to_owned();
        self.child = spawn(self.directory.path(), &address, self.tracer.as_ref()).0;
    }

    /// All tables remember so many tokens from now on.
    pub(crate) async fn set_window(&self, blocks: u32) {
        for table in [
            "hit_rollup",
            "session_rollup",
            "value_rollup",
            "item_rollup",
            "refusal_rollup",
            "hit_hourly",
            "total_hourly",
            "session_hourly",
            "value_hourly",
            "item_hourly",
            "refusal_hourly",
        ] {
            let setting = format!("non_replicated_deduplication_window = {blocks}");
            self.execute(&format!("ALTER TABLE {table} MODIFY SETTING {setting}")).await;
        }
    }

    pub(crate) fn client(&self) -> Client {
        warehouse::client(&self.config).unwrap()
    }

    pub(crate) async fn number(&self, sql: &str) -> u64 {
        self.one(&format!("SELECT toUInt64(ifNull({sql}, 0))")).await
    }

    /// The only row.
    async fn one<T: RowOwned + RowRead>(&self, sql: &str) -> T {
        self.client().query_raw(sql).fetch_one::<T>().await.unwrap()
    }

    /// Its clock, unix seconds.
    pub(crate) async fn now_s(&self) -> u64 {
        self.number("toUnixTimestamp(now())").await
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.client().query_raw(sql).execute().await.unwrap();
    }

    /// Each hourly table holds what its view would make of its minute table now.
    pub(crate) async fn assert_hours_are_those_of_minutes(&self) {
        let sums = "sum(page_views), sum(events), sum(sessions), sum(engagement_ms), sum(key_events)";
        let sets = |more: &str, minutes: bool| {
            let count = if minutes { "uniqCombined64Array(14)" } else { "uniqCombined64Merge(14)" };
            format!("{sums}{more}, {count}(visitors), {count}(new_visitors)")
        };
        let more = format!(", sum(revenue_micros), {CUSTOM_METRICS}");
        let sessions = "sum(sessions), sum(engaged_sessions), sum(page_views), sum(events), sum(duration_ms)";
        let place = "property, traffic_class, local_date, utc_offset_s, intDiv(plan, 4096)";
        let page = "page_path, source, medium, campaign, country, device, browser, operating_system, hostname, region, \
                    city, browser_version, operating_system_version, device_brand, traffic_reason, visitor_type, \
                    first_source";
        for (hourly, minute, key, of_minutes, of_hours) in [
            (
                "hit_hourly",
                "hit_rollup",
                format!("{place}, {page}, event_name, currency, custom"),
                sets(&more, true),
                sets(&more, false),
            ),
            ("total_hourly", "hit_rollup", place.to_owned(), sets("", true), sets("", false)),
            (
                "session_hourly",
                "session_rollup",
                format!("{place}, {page}, exit_page"),
                sessions.into(),
                sessions.into(),
            ),
            (
                "value_hourly",
                "value_rollup",
                format!("{place}, {page}, name, value"),
                "sum(count)".into(),
                "sum(count)".into(),
            ),
            (
                "item_hourly",
                "item_rollup",
                format!("{place}, {page}, {ITEM}, currency, custom"),
                ITEM_SUMS.into(),
                ITEM_SUMS.into(),
            ),
            (
                "refusal_hourly",
                "refusal_rollup",
                "property, local_date, utc_offset_s, intDiv(plan, 4096), reason".to_owned(),
                "sum(hits)".into(),
                "sum(hits)".into(),
            ),
        ] {
            let hour = "toStartOfHour(minute + toIntervalSecond(utc_offset_s))";
            let minutes =
                format!("SELECT {key}, {hour} AS hour, {of_minutes} FROM {minute} GROUP BY {key}, hour");
            let key = key.replace("intDiv(plan, 4096)", "plan_group");
            let hours =
                format!("SELECT {key}, local_hour, {of_hours} FROM {hourly} GROUP BY {key}, local_hour");
            let besides = |one: &str, other: &str| format!("(SELECT count() FROM ({one} EXCEPT {other}))");
            let sql = format!("{} + {}", besides(&minutes, &hours), besides(&hours, &minutes));
            assert_eq!(self.number(&sql).await, 0, "{hourly} and {minute} differ");
        }
    }

    /// Every table holds exactly these sums.
    pub(crate) async fn assert_holds(&self, expected: &Sums) {
        let wanted = (expected.page_views, expected.events, expected.opened, expected.engagement_ms);
        for table in ["hit_rollup", "hit_hourly", "total_hourly"] {
            let sums = "sum(page_views), sum(events), sum(sessions), sum(engagement_ms)";
            let found: (u64, u64, u64, u64) = self.one(&format!("SELECT {sums} FROM {table}")).await;
            assert_eq!(found, wanted, "{table}");
        }
        for table in ["session_rollup", "session_hourly"] {
            let sums = "sum(sessions), sum(duration_ms)";
            let found: (u64, u64) = self.one(&format!("SELECT {sums} FROM {table}")).await;
            assert_eq!(found, (expected.closed, expected.duration_ms), "{table}");
        }
        for table in ["hit_rollup", "hit_hourly"] {
            let revenue = self.number(&format!("(SELECT sum(revenue_micros) FROM {table})")).await;
            assert_eq!(revenue, expected.revenue_micros, "{table}");
            let custom: (u64, u64, u64, u64, u64) =
                self.one(&format!("SELECT {CUSTOM_METRICS} FROM {table}")).await;
            assert_eq!(<[u64; 5]>::from(custom), expected.custom_micros, "{table}");
        }
        for table in ["value_rollup", "value_hourly"] {
            let found: (u64, u64) =
                self.one(&format!("SELECT sum(count), sum(value * count) FROM {table}")).await;
            assert_eq!(found, expected.measured, "{table}");
        }
        for table in ["item_rollup", "item_hourly"] {
            let found: (u64, u64, u64, u64, u64, u64) =
                self.one(&format!("SELECT {ITEM_SUMS} FROM {table}")).await;
            assert_eq!(<[u64; 6]>::from(found), expected.items, "{table}");
        }
        for table in ["refusal_rollup", "refusal_hourly"] {
            let sql =
                format!("SELECT toString(reason) AS why, sum(hits) FROM {table} GROUP BY why ORDER BY why");
            let found: Vec<(String, u64)> = self.client().query_raw(&sql).fetch_all().await.unwrap();
            assert_eq!(found, expected.refused.clone().into_iter().collect::<Vec<_>>(), "{table}");
        }
        let visitors = u64::try_from(expected.visitors.len()).unwrap();
        assert_eq!(self.number("(SELECT uniqExactArray(visitors) FROM hit_rollup)").await, visitors);
        for table in ["hit_hourly", "total_hourly"] {
            let hours: Vec<(String, u32, u64)> = self
                .client()
                .query_raw(&format!(
                    "SELECT property, toUInt32(local_hour) AS hour, sum(events) AS n FROM {table} \
                     GROUP BY property, hour ORDER BY property, hour"
                ))
                .fetch_all()
                .await
                .unwrap();
            let wanted: Vec<(String, u32, u64)> =
                expected.hours.iter().map(|((property, hour), n)| (property.clone(), *hour, *n)).collect();
            assert_eq!(hours, wanted, "{table}");
            // The sketch of the hours is exact while small, and within 1 % then; the arrays of the minutes are exact.
            let estimate =
                self.number(&format!("(SELECT uniqCombined64Merge(14)(visitors) FROM {table})")).await;
            assert!(
                estimate.abs_diff(visitors) * 100 <= visitors,
                "{table}: {estimate} of {visitors} visitors"
            );
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn spawn(directory: &Path, listen: &str, tracer: Option<&Tracer>) -> (Child, String) {
    let config = directory.join("warehouse.toml");
    let text = format!(
        "listen = \"{listen}\"\nadmin_listen = \"127.0.0.1:0\"\ndata_dir = \"{}\"\nlibrary = \"{}\"\n[log]\nlevel = \"warn\"\n",
        directory.join("data").display(),
        library().display()
    );
    std::fs::write(&config, text).unwrap();
    let traced = tracer.map(|tracer| tracer.command(&binary(), directory));
    let (mut command, fifo) =
        traced.map_or_else(|| (Command::new(binary()), None), |(command, fifo)| (command, Some(fifo)));
    command.arg("--config").arg(&config).arg("--die-with-parent").stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; run `make setup`"));
    if let (Some(tracer), Some(fifo)) = (tracer, fifo) {
        tracer.follow(child.id(), fifo);
    }
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line =
        lines.next().expect("the engine ended before it was ready; its reason stands on stderr").unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    (child, ready["http"].as_str().unwrap().to_owned())
}

/// A loader in this process.
pub(crate) struct Running {
    context: Context,
    task: JoinHandle<anyhow::Result<()>>,
}

/// A store in a directory of its own.
pub(crate) struct Store {
    pub(crate) directory: TempDir,
    pub(crate) objects: Arc<dyn ObjectStore>,
}

impl Store {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let objects = store::open(&StoreConfig::local(directory.path()).unwrap()).unwrap();
        Self { directory, objects }
    }

    pub(crate) fn config(&self, id: &str, engine: &Engine) -> Config {
        let mut config = Config {
            id: id.into(),
            admin_listen: ([127, 0, 0, 1], 0).into(),
            store: StoreConfig::local(self.directory.path()).unwrap(),
            warehouse: engine.config.clone(),
            ..Config::default()
        };
        config.consume.list_interval_ms = 50;
        config.plan.interval_ms = 1;
        config.plan.empty_interval_ms = 1;
        config.insert.retry_min_ms = 20;
        config.insert.retry_max_ms = 100;
        config
    }

    /// Makes the last plan look as if its loader had died just before `done`.
    pub(crate) fn forget_last_done(&self) {
        let plans = self.directory.path().join("plans/0");
        let mut done: Vec<PathBuf> = std::fs::read_dir(plans)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with(".done.json"))
            .collect();
        done.sort();
        std::fs::remove_file(done.last().unwrap()).unwrap();
    }
}

impl Running {
    pub(crate) fn start(config: Config) -> Self {
        // The first of the process stays; it shows what the loader says if a test fails.
        let _installed = service::logs::init(&LogConfig { level: "warn".into(), ..LogConfig::default() });
        let context = Context::new(SystemClock::shared()).child(Arc::new(|_, _| Ok(())));
        let task = tokio::spawn(warehouse_loader::run(config, context.clone()));
        Self { context, task }
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        self.context.status().unwrap_or_default()
    }

    /// Polls until `reached` says so.
    pub(crate) async fn wait(&self, what: &str, reached: impl Fn(&serde_json::Value) -> bool) {
        let poll = async {
            while !reached(&self.status()) {
                assert!(!self.task.is_finished(), "the loader ended while waiting for {what}");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, poll).await;
        assert!(waited.is_ok(), "{what} not reached: {}", self.status());
    }

    /// Waits until all of these edges are loaded.
    pub(crate) async fn wait_loaded(&self, edges: &[&Edge]) {
        self.wait("all loaded", |status| are_loaded(status, edges)).await;
    }

    pub(crate) fn metrics(&self) -> String {
        self.context.registry.encode_text().unwrap()
    }

    pub(crate) async fn stop(self) {
        self.context.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Whether a loader's status says that it has loaded all of these edges.
pub(crate) fn are_loaded(status: &serde_json::Value, edges: &[&Edge]) -> bool {
    let positions = status["positions"].as_array().cloned().unwrap_or_default();
    let is_loaded = |edge: &&Edge| {
        let mine = |p: &&serde_json::Value| p["edge"] == edge.name.as_str();
        positions.iter().find(mine).is_some_and(|p| p["loaded"] == edge.position)
    };
    edges.iter().all(is_loaded) && status["loader"]["plan_open"] == false
}

//! `meridian dev`: every service on this machine, with the embedded warehouse.
//!
//! In: a data directory and addresses. Out: one JSON line when everything is ready, then one for every service that
//! died and was restarted. Services run in this process, or each as a child (`--processes`); the warehouse is always a
//! child. They start in the direction reports flow from and stop in the direction hits flow, so that a drain leaves
//! nothing behind: edge, hub, loader, api, warehouse.

pub mod layout;
pub mod configs;
pub mod child;
pub mod admin;
pub mod demo;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;
use serde_json::{Map, Value, json};
use service::{Context, SystemClock};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use child::{Child, Event, Program};
use configs::Configs;
use layout::{Layout, Ports};

/// How long a service may take to be ready: a warehouse that was killed may have much to read.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
/// Events of children that wait to be printed.
const EVENTS: usize = 64;

/// Arguments of `meridian dev`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory for all data; made if missing, carried on with if not
    #[arg(long, env = "MERIDIAN_DATA", value_name = "DIR", default_value = crate::services::DEFAULT_DATA)]
    data: PathBuf,
    /// Where hits are accepted; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Where the HTTP/JSON API listens; by default the port after that of --http
    #[arg(long, value_name = "ADDR")]
    api: Option<SocketAddr>,
    /// Where the gRPC API listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    grpc: SocketAddr,
    /// Where metrics, health, readiness and status of all services are served
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9091")]
    admin: SocketAddr,
    /// Run each service as a process of its own, restarted when it dies
    #[arg(long)]
    processes: bool,
    /// Edges to run side by side (with --processes), up to 3; all but the first listen on any free port
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = several())]
    edges: u8,
    /// Hubs to run side by side (with --processes), up to 3; each edge knows all of them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = several())]
    hubs: u8,
    /// Loaders to run side by side (with --processes), up to 3
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = several())]
    loaders: u8,
    /// Apis to run side by side (with --processes), up to 3; all but the first listen on any free port
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = several())]
    apis: u8,
    /// Do not let the hub announce segments: loaders find them by listing alone
    #[arg(long)]
    without_feed: bool,
    /// Milliseconds between two batches of an edge
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    flush_interval_ms: u64,
    /// Make a demo property, send it a trickle of generated visits, and print a first report
    #[arg(long)]
    demo: bool,
    /// Folder with the engine's library, user-agent rules and location database
    #[arg(long, env = "MERIDIAN_ASSETS", value_name = "DIR", hide_default_value = true,
          default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../third-party/node_modules"))]
    assets: PathBuf,
    /// Folder of the built tracker, the script that pages carry
    #[arg(long, env = "MERIDIAN_TRACKER", value_name = "DIR", hide_default_value = true,
          default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../tracker/dist"))]
    tracker: PathBuf,
    /// Level of the logs on stderr: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log_level: String,
}

fn several() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(1..=i64::from(layout::OF_A_KIND))
}

/// The services that run, in the order they were started.
#[derive(Default)]
struct Running {
    /// In this process.
    tasks: Vec<Task>,
    /// As children.
    children: Vec<Child>,
}

struct Task {
    service: &'static str,
    stop: CancellationToken,
    handle: JoinHandle<anyhow::Result<()>>,
}

/// What is known about a service that is ready.
#[derive(Debug, Clone)]
struct Ready {
    pid: i32,
    fields: Map<String, Value>,
}

/// Starts everything, runs until a signal, drains and stops.
///
/// # Errors
/// When a service does not start, or ends by itself.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let log = service::logs::LogConfig { level: arguments.log_level.clone(), ..Default::default() };
    service::logs::init(&log).map_err(|message| anyhow!(message))?;
    let most = arguments.edges.max(arguments.hubs).max(arguments.loaders).max(arguments.apis);
    ensure!(
        arguments.processes || most == 1,
        "several of a kind do not fit into one process; add --processes, or leave --edges, --hubs, --loaders and --apis at 1"
    );
    // The signal ends the watching below; services stop one after the other, each through a token of its own.
    let shutdown = CancellationToken::new();
    service::signals::cancel_on_signal(shutdown.clone())?;
    let context = Context::new(SystemClock::shared());
    let layout = Layout::prepare(&arguments.data, context.clock.now_ms())?;
    let configs = Configs::build(&arguments, &layout, &mut Ports::new(), &log)?;
    configs.write(&layout)?;

    let (events_in, mut events) = mpsc::channel(EVENTS);
    let mut running = Running::default();
    let outcome = async {
        let ready =
            start_all(&arguments, &layout, &configs, &context, &mut running, &events_in, &mut events).await?;
        announce(&arguments, &layout, &configs, &ready).await?;
        let demo = demo::start_if_asked(&arguments, &configs, &layout, &shutdown);
        watch(&mut running, &mut events, demo).await
    };
    let outcome = tokio::select! {
        outcome = outcome => outcome,
        () = shutdown.cancelled() => Ok(()),
    };
    let stopped = stop_all(running, &mut events).await;
    outcome.and(stopped)
}

/// Starts the services one after the other, each when the one before is ready.
async fn start_all(
    arguments: &Arguments,
    layout: &Layout,
    configs: &Configs,
    context: &Context,
    running: &mut Running,
    events_in: &mpsc::Sender<Event>,
    events: &mut mpsc::Receiver<Event>,
) -> anyhow::Result<BTreeMap<&'static str, Ready>> {
    let mut ready = BTreeMap::new();
    for service in configs.services() {
        let fields = if service == configs::WAREHOUSE || arguments.processes {
            let program = Program {
                service: configs::kind(service),
                binary: configs::binary(service)?,
                config_file: layout.config_file(service),
            };
            running.children.push(Child::keep_running(program, events_in.clone())?);
            tokio::time::timeout(READY_TIMEOUT, first_ready(configs::kind(service), events)).await
        } else {
            let (told, tells) = oneshot::channel();
            running.tasks.push(start_task(service, configs, context, told)?);
            tokio::time::timeout(READY_TIMEOUT, task_ready(running, tells)).await
        };
        let fields =
            fields.map_err(|_| anyhow!("{service} was not ready within {} s", READY_TIMEOUT.as_secs()))??;
        ready.insert(service, fields);
    }
    Ok(ready)
}

/// Waits for the ready line of a child that was just started.
async fn first_ready(wanted: &'static str, events: &mut mpsc::Receiver<Event>) -> anyhow::Result<Ready> {
    while let Some(event) = events.recv().await {
        match event {
            Event::Ready { service, pid, fields } if service == wanted => return Ok(Ready { pid, fields }),
            Event::Ended { service, how } => bail!("{service} {how}"),
            Event::Ready { .. } => {}
        }
    }
    bail!("{wanted} has no watcher")
}

/// Runs a service in this process.
fn start_task(
    service: &'static str,
    configs: &Configs,
    context: &Context,
    told: oneshot::Sender<Map<String, Value>>,
) -> anyhow::Result<Task> {
    let told = Mutex::new(Some(told));
    let on_ready = Arc::new(move |_service: &'static str, fields: Map<String, Value>| {
        if let Some(told) = told.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _nobody_waits = told.send(fields);
        }
        Ok(())
    });
    let own = context.child(on_ready);
    let stop = own.shutdown.clone();
    let handle = configs.spawn(service, own)?;
    Ok(Task { service, stop, handle })
}

/// Waits until the service that was started last is ready, or has ended.
async fn task_ready(
    running: &mut Running,
    tells: oneshot::Receiver<Map<String, Value>>,
) -> anyhow::Result<Ready> {
    if let Ok(fields) = tells.await {
        return Ok(Ready { pid: i32::try_from(std::process::id())?, fields });
    }
    let Some(task) = running.tasks.pop() else { bail!("no service was started") };
    match task.handle.await? {
        Ok(()) => bail!("{} ended before it was ready", task.service),
        Err(error) => Err(error.context(format!("{} did not start", task.service))),
    }
}

/// Opens the admin port and prints the ready line.
async fn announce(
    arguments: &Arguments,
    layout: &Layout,
    configs: &Configs,
    ready: &BTreeMap<&'static str, Ready>,
) -> anyhow::Result<()> {
    let behind = ready
        .iter()
        .map(|(service, ready)| admin::Behind {
            service: configs::kind(service),
            admin: ready.fields.get("admin").and_then(Value::as_str).unwrap_or_default().to_owned(),
            metrics: arguments.processes || *service == configs::EDGE || *service == configs::WAREHOUSE,
        })
        .collect();
    let admin = admin::serve(configs.admin, behind).await?;
    let pids: Map<String, Value> =
        ready.iter().map(|(service, ready)| ((*service).to_owned(), json!(ready.pid))).collect();
    let fields = Map::from_iter([
        ("collect".to_owned(), json!(configs.collect_url())),
        ("grpc".to_owned(), json!(configs.grpc_url())),
        ("api".to_owned(), json!(configs.api_url())),
        ("admin".to_owned(), json!(format!("http://{admin}"))),
        ("pids".to_owned(), Value::Object(pids)),
        ("admin_key_file".to_owned(), json!(layout.admin_key_file())),
    ]);
    service::announce::event_line("ready", &fields).context("cannot write to standard output")
}

/// Prints restarts, for ever; a service of this process that ends by itself ends everything.
async fn watch(
    running: &mut Running,
    events: &mut mpsc::Receiver<Event>,
    mut demo: JoinHandle<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut demo_runs = true;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Ready { service, pid, .. }) => {
                    let fields = Map::from_iter([("service".to_owned(), json!(service)), ("pid".to_owned(), json!(pid))]);
                    service::announce::event_line("restarted", &fields)?;
                }
                Some(Event::Ended { service, how }) => tracing::error!(service, how, "service died, starting it again"),
                None => bail!("the watchers of the services ended"),
            },
            (service, outcome) = first_to_end(&mut running.tasks) => {
                outcome.with_context(|| format!("{service} failed"))?;
                bail!("{service} ended by itself");
            }
            outcome = &mut demo, if demo_runs => {
                outcome??;
                demo_runs = false;
            }
        }
    }
}

/// Waits for any service of this process to end; for ever if there is none.
async fn first_to_end(tasks: &mut [Task]) -> (&'static str, anyhow::Result<()>) {
    if tasks.is_empty() {
        return std::future::pending().await;
    }
    let (outcome, at, _) = futures::future::select_all(tasks.iter_mut().map(|task| &mut task.handle)).await;
    (tasks[at].service, outcome.map_err(anyhow::Error::from).and_then(|outcome| outcome))
}

/// Stops the services in the direction hits flow, each when the one before has drained.
async fn stop_all(mut running: Running, events: &mut mpsc::Receiver<Event>) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for kind in ["edge", "hub", "loader", "api", "warehouse"] {
        let (tasks, others): (Vec<_>, Vec<_>) =
            running.tasks.into_iter().partition(|task| configs::kind(task.service) == kind);
        running.tasks = others;
        for task in tasks {
            task.stop.cancel();
            if let Err(error) = task.handle.await.map_err(anyhow::Error::from).and_then(|outcome| outcome) {
                failures.push(format!("{kind}: {error:#}"));
            }
        }
        let (children, others): (Vec<_>, Vec<_>) =
            running.children.into_iter().partition(|child| child.service() == kind);
        running.children = others;
        for child in children {
            // The watcher waits when nobody takes its events.
            let stopping = child.stop();
            tokio::pin!(stopping);
            loop {
                tokio::select! {
                    stopped = &mut stopping => { stopped?; break; }
                    _event = events.recv() => {}
                }
            }
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        bail!("not everything stopped in order: {}", failures.join("; "))
    }
}

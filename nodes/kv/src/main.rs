//! The program: configuration, start, signals, exit codes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use axum::serve::ListenerExt;
use clap::Parser;
use orrery_kv::config::{Config, Settings};
use orrery_kv::feed::Feed;
use orrery_kv::http::{App, router};
use orrery_kv::metrics::Metrics;
use orrery_kv::peer::Peers;
use orrery_kv::replica::Replica;
use orrery_kv::request::Event;
use orrery_kv::status::Status;
use orrery_kv::store::{Owner, Store};
use orrery_kv::telemetry::Telemetry;
use orrery_kv::{EXIT_BAD_CONFIGURATION, EXIT_FAIL_STOP};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

/// Bounds what the event loop can lag behind; senders wait.
const EVENT_QUEUE: usize = 4096;
const LOOP_THREAD: &str = "kv-loop";
/// How long open connections may finish after the event loop has stopped.
const DRAIN: Duration = Duration::from_millis(300);
/// How long the last telemetry may take after that.
const TELEMETRY: Duration = Duration::from_secs(1);

fn main() {
    let settings = Settings::try_parse().unwrap_or_else(|error| {
        let code = if error.use_stderr() { EXIT_BAD_CONFIGURATION } else { 0 };
        // Nothing better can be done if even that cannot be printed.
        let _unprintable = error.print();
        std::process::exit(code);
    });
    let code = match start(settings) {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("orrery-kv: {reason}");
            EXIT_BAD_CONFIGURATION
        }
    };
    std::process::exit(code);
}

fn start(settings: Settings) -> Result<i32, String> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| format!("KV_LOG: {error}"))?;
    let config = Config::load(settings).map_err(|error| error.to_string())?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .init();
    fail_stop_on_panic();
    let owner = Owner {
        pid: config.pid,
        configuration: config.configuration_id,
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_ms = now.map_err(|_| "the system clock is before 1970")?.as_millis() as u64;
    let store = Store::open(&config.data_dir, owner, now_ms).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let code = runtime.block_on(serve(config, store));
    runtime.shutdown_background(); // a name lookup under way may take longer than the node has
    code
}

async fn serve(config: Config, store: Store) -> Result<i32, String> {
    let bind = |setting: &'static str, address: std::net::SocketAddr| async move {
        let bound = TcpListener::bind(address).await;
        bound.map_err(|error| format!("{setting}: cannot listen on {address}: {error}"))
    };
    let http = bind("KV_HTTP_ADDR", config.http_addr).await?;
    let peer = bind("KV_PEER_ADDR", config.peer_addr).await?;
    let metrics = Arc::new(Metrics::new().map_err(|error| format!("metrics: {error}"))?);
    let telemetry = config.otlp_endpoint.as_ref().map(|endpoint| {
        let started = Telemetry::start(endpoint, &config, Handle::current(), metrics.clone());
        started
            .map(Arc::new)
            .map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))
    });
    let telemetry = telemetry.transpose()?;
    let mut signals = Signals::new().map_err(|error| format!("cannot handle signals: {error}"))?;

    let (events, inbox) = mpsc::channel(EVENT_QUEUE);
    let starting = Status::starting(config.pid, config.ordinal, config.configuration_id);
    let (status_sender, status) = watch::channel(starting);
    info!(
        pid = config.pid,
        configuration = config.configuration_id,
        applied = store.applied(),
        http = %config.http_addr,
        peer = %config.peer_addr,
        version = env!("CARGO_PKG_VERSION"),
        "node starts"
    );
    let feed = Feed::new(store.applied());
    Peers::new(&config, events.clone(), metrics.clone()).start(peer, &config);
    let app = Arc::new(App {
        events: events.clone(),
        status,
        metrics: metrics.clone(),
        telemetry: telemetry.clone(),
        feed: feed.clone(),
        request_timeout: config.request_timeout,
        started: Instant::now(),
        stopping: AtomicBool::new(false),
    });
    let mut event_loop = spawn_loop(config, store, inbox, feed.clone(), metrics, status_sender)?;
    let (stopped, stop) = watch::channel(false);
    let server = tokio::spawn(serve_http(http, app.clone(), stop));

    let code = tokio::select! {
        code = &mut event_loop => code,
        () = signals.stop() => {
            app.stopping.store(true, Ordering::Relaxed);
            // It does not listen only if it has ended already, and then says why below.
            let _ended = events.send(Event::Shutdown).await;
            event_loop.await
        }
    };
    let code = code.unwrap_or(EXIT_FAIL_STOP);
    feed.close();
    stopped.send_replace(true);
    // Idle keep-alive connections need not be waited for.
    let _drained = tokio::time::timeout(DRAIN, server).await;
    if let Some(telemetry) = telemetry {
        let last = tokio::task::spawn_blocking(move || telemetry.stop());
        let _sent = tokio::time::timeout(TELEMETRY, last).await;
    }
    info!(code, "node ends");
    Ok(code)
}

async fn serve_http(listener: TcpListener, app: Arc<App>, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
    });
    let stopped = async move {
        // An error means that the sender is gone, which says the same.
        let _gone = stop.wait_for(|stopped| *stopped).await;
    };
    axum::serve(listener, router(app)).with_graceful_shutdown(stopped).await
}

/// Runs the event loop on a thread of its own: it blocks on fsync.
fn spawn_loop(
    config: Config,
    store: Store,
    inbox: mpsc::Receiver<Event>,
    feed: Arc<Feed>,
    metrics: Arc<Metrics>,
    status: watch::Sender<Status>,
) -> Result<tokio::sync::oneshot::Receiver<i32>, String> {
    let (done, code) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let body = move || {
        let result = runtime.block_on(async {
            let replica = Replica::new(&config, store, feed, metrics, status)?;
            replica.run(inbox).await
        });
        let code = match result {
            Ok(()) => 0,
            Err(reason) => {
                error!(%reason, "fail-stop: the node cannot promise anything any more");
                eprintln!("orrery-kv: fail-stop: {reason}");
                EXIT_FAIL_STOP
            }
        };
        // Nobody waits only if the process is ending already.
        let _ending = done.send(code);
    };
    std::thread::Builder::new()
        .name(LOOP_THREAD.into())
        .spawn(body)
        .map_err(|error| format!("cannot start the event loop: {error}"))?;
    Ok(code)
}

/// The consensus crate panics on storage errors; going on after one would be unsound, so the process ends at once.
fn fail_stop_on_panic() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        default(info);
        if std::thread::current().name() == Some(LOOP_THREAD) {
            eprintln!("orrery-kv: fail-stop: {info}");
            std::process::exit(EXIT_FAIL_STOP);
        }
    }));
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

//! The HTTP side: parses requests, hands them to the event loop, and turns its answers into responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request as HttpRequest, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};

use crate::feed::{self, Feed};
use crate::metrics::Metrics;
use crate::request::{Answer, Call, Event, Refusal, RefusalCode, Reply, Request};
use crate::status::Status;
use crate::telemetry::{Telemetry, Trace, observe};

/// Longest key, in bytes after decoding.
pub const MAX_KEY: usize = 1024;
/// Longest value, in bytes.
pub const MAX_VALUE: usize = 1 << 20;
/// The event loop answers by the deadline; this much later it is taken for stuck.
const GRACE: Duration = Duration::from_secs(2);
const KEY_PREFIX: &str = "/kv/";

/// What the handlers share.
pub struct App {
    pub events: mpsc::Sender<Event>,
    pub status: watch::Receiver<Status>,
    pub metrics: Arc<Metrics>,
    pub telemetry: Option<Arc<Telemetry>>,
    pub feed: Arc<Feed>,
    pub request_timeout: Duration,
    pub started: Instant,
    pub stopping: AtomicBool,
}

/// An error as clients see it.
struct Failure {
    status: StatusCode,
    code: &'static str,
    reason: String,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal.code {
            RefusalCode::NoLeader => (StatusCode::SERVICE_UNAVAILABLE, "no_leader"),
            RefusalCode::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
            RefusalCode::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
        };
        Failure {
            status,
            code,
            reason: refusal.reason,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"error": self.reason, "code": self.code});
        (self.status, Json(body)).into_response()
    }
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let mut keys = Router::new()
        .route("/kv/", get(read).put(write).delete(remove))
        .route("/kv/{*key}", get(read).put(write).delete(remove));
    if let Some(telemetry) = &app.telemetry {
        keys = keys.layer(from_fn_with_state(telemetry.clone(), observe));
    }
    keys.route("/status", get(status))
        .route("/reconfigure", post(reconfigure))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/debug/log", get(decided_log))
        .route("/feed", get(feed::follow))
        .with_state(app)
}

#[derive(Deserialize)]
struct ReadOptions {
    #[serde(default)]
    local: bool,
}

async fn write(State(app): State<Arc<App>>, mut request: HttpRequest) -> Response {
    let begun = Instant::now();
    let trace = take_trace(&mut request);
    let key = key_of(request.uri().path());
    let result = match key {
        Err(failure) => Err(failure),
        Ok(key) => match value_of(request.into_body()).await {
            Err(failure) => Err(failure),
            Ok(value) => app.ask(Call::Put { key, value }, trace).await,
        },
    };
    app.respond("put", begun, result)
}

async fn remove(State(app): State<Arc<App>>, mut request: HttpRequest) -> Response {
    let begun = Instant::now();
    let result = match key_of(request.uri().path()) {
        Err(failure) => Err(failure),
        Ok(key) => app.ask(Call::Delete { key }, take_trace(&mut request)).await,
    };
    app.respond("delete", begun, result)
}

async fn read(State(app): State<Arc<App>>, Query(options): Query<ReadOptions>, mut request: HttpRequest) -> Response {
    let begun = Instant::now();
    let result = match key_of(request.uri().path()) {
        Err(failure) => Err(failure),
        Ok(key) if options.local => app.ask(Call::LocalRead { key }, None).await,
        Ok(key) => app.ask(Call::Read { key }, take_trace(&mut request)).await,
    };
    app.respond(if options.local { "get_local" } else { "get" }, begun, result)
}

/// The event loop lets go of a trace with the last request that has it.
fn take_trace(request: &mut HttpRequest) -> Option<Arc<Trace>> {
    request.extensions_mut().remove()
}

impl App {
    async fn ask(&self, call: Call, trace: Option<Arc<Trace>>) -> Result<Answer, Failure> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Refusal::new(RefusalCode::ShuttingDown, "the node is stopping").into());
        }
        let deadline = Instant::now() + self.request_timeout;
        let (reply, answer) = oneshot::channel();
        let reply = Reply::new(reply, trace);
        let event = Event::Request(Request { call, deadline, reply });
        if self.events.send(event).await.is_err() {
            return Err(Refusal::new(RefusalCode::ShuttingDown, "the node has stopped").into());
        }
        match tokio::time::timeout_at((deadline + GRACE).into(), answer).await {
            Ok(Ok(result)) => Ok(result?),
            Ok(Err(_)) => Err(unknown("the node stopped before the outcome was known")),
            Err(_) => Err(unknown("the node did not react in time")),
        }
    }

    fn respond(&self, operation: &'static str, begun: Instant, result: Result<Answer, Failure>) -> Response {
        let code = match &result {
            Ok(Answer::Value { found: None, .. }) => "absent",
            Ok(_) => "ok",
            Err(failure) => failure.code,
        };
        self.metrics.request(operation, code, begun.elapsed());
        match result {
            Err(failure) => failure.into_response(),
            Ok(Answer::Written { index, existed }) if operation == "delete" => {
                Json(json!({"index": index, "existed": existed})).into_response()
            }
            Ok(Answer::Written { index, .. }) => Json(json!({ "index": index })).into_response(),
            Ok(Answer::Log(log)) => Json(log).into_response(),
            Ok(Answer::Value { found: None, applied }) => {
                let body = json!({"error": "no such key", "code": "not_found"});
                let headers = [("x-kv-read-index", HeaderValue::from(applied))];
                (StatusCode::NOT_FOUND, headers, Json(body)).into_response()
            }
            Ok(Answer::Value {
                found: Some(found),
                applied,
            }) => {
                let headers = [
                    ("content-type", HeaderValue::from_static("application/octet-stream")),
                    ("x-kv-index", HeaderValue::from(found.index)),
                    ("x-kv-read-index", HeaderValue::from(applied)),
                ];
                (headers, found.value).into_response()
            }
        }
    }
}

fn unknown(reason: &str) -> Failure {
    Refusal::new(RefusalCode::Timeout, reason).into()
}

fn key_of(path: &str) -> Result<Bytes, Failure> {
    let encoded = path.strip_prefix(KEY_PREFIX).unwrap_or_default();
    let key: Vec<u8> = percent_encoding::percent_decode_str(encoded).collect();
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(Failure {
            status: StatusCode::BAD_REQUEST,
            code: "bad_key",
            reason: format!("a key has 1 to {MAX_KEY} bytes, this one {}", key.len()),
        });
    }
    Ok(key.into())
}

async fn value_of(body: Body) -> Result<Bytes, Failure> {
    to_bytes(body, MAX_VALUE).await.map_err(|error| {
        let inner = std::error::Error::source(&error);
        if inner.is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) {
            Failure {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                code: "too_large",
                reason: format!("a value has at most {MAX_VALUE} bytes"),
            }
        } else {
            Failure {
                status: StatusCode::BAD_REQUEST,
                code: "bad_body",
                reason: format!("the body cannot be read: {error}"),
            }
        }
    })
}

async fn status(State(app): State<Arc<App>>) -> Response {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        #[serde(flatten)]
        status: Status,
        uptime_seconds: u64,
    }
    let status = app.status.borrow().clone();
    let uptime_seconds = app.started.elapsed().as_secs();
    Json(Body { status, uptime_seconds }).into_response()
}

async fn reconfigure() -> Response {
    let reason = "changing the members of a running group is not built yet; deploy a new configuration";
    let body = json!({"error": reason, "code": "not_implemented"});
    (StatusCode::NOT_IMPLEMENTED, Json(body)).into_response()
}

/// The process works as long as its event loop takes turns; a loop that is stuck does not take this call.
async fn healthz(State(app): State<Arc<App>>) -> Response {
    let call = Call::DecidedLog {
        from: u64::MAX,
        limit: 0,
    };
    let (reply, answer) = oneshot::channel();
    let deadline = Instant::now() + app.request_timeout;
    let reply = Reply::new(reply, None);
    if app
        .events
        .send(Event::Request(Request { call, deadline, reply }))
        .await
        .is_err()
    {
        return (StatusCode::OK, "stopping\n").into_response();
    }
    match answer.await {
        Ok(_) => (StatusCode::OK, "ok\n").into_response(),
        Err(_) => (StatusCode::OK, "stopping\n").into_response(),
    }
}

async fn readyz(State(app): State<Arc<App>>) -> Response {
    let reason = match app.stopping.load(Ordering::Relaxed) {
        true => Some("stopping".to_owned()),
        false => app.status.borrow().not_ready.clone(),
    };
    match reason {
        None => (StatusCode::OK, "ready\n").into_response(),
        Some(reason) => {
            let body = json!({"error": reason, "code": "not_ready"});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    app.metrics.feed_readers.set(app.feed.readers() as i64);
    match app.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
struct LogOptions {
    /// Position counted from 0.
    #[serde(default)]
    from: u64,
    #[serde(default = "default_limit")]
    limit: u64,
}

fn default_limit() -> u64 {
    1000
}

async fn decided_log(State(app): State<Arc<App>>, Query(options): Query<LogOptions>) -> Response {
    let begun = Instant::now();
    let limit = options.limit.min(10_000);
    let call = Call::DecidedLog {
        from: options.from,
        limit,
    };
    let result = app.ask(call, None).await;
    app.respond("debug_log", begun, result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_to_bytes_and_bounded() {
        assert_eq!(key_of("/kv/a%2Fb/c%FF").ok().unwrap().as_ref(), b"a/b/c\xff");
        assert_eq!(key_of(&format!("/kv/{}", "x".repeat(1024))).ok().unwrap().len(), 1024);
        for bad in ["/kv/".to_owned(), format!("/kv/{}", "%20".repeat(1025))] {
            assert_eq!(key_of(&bad).err().unwrap().code, "bad_key");
        }
    }
}

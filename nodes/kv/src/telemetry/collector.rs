//! The way to the collector.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;
use tracing::warn;

use crate::metrics::Metrics;

const EXPORT_LIMIT: Duration = Duration::from_secs(2);

/// Sends on the process's runtime, since the SDK's own threads have none, and counts what came of it.
#[derive(Clone)]
pub struct Collector {
    client: HyperClient,
    runtime: Handle,
    metrics: Arc<Metrics>,
    /// The last export failed; each outage is logged once.
    away: Arc<AtomicBool>,
}

impl Collector {
    pub fn new(runtime: Handle, metrics: Arc<Metrics>) -> Self {
        Collector {
            client: HyperClient::with_default_connector(EXPORT_LIMIT, None),
            runtime,
            metrics,
            away: Arc::new(AtomicBool::new(false)),
        }
    }

    fn note(&self, signal: &str, failure: Option<String>) {
        let outcome = if failure.is_none() { "ok" } else { "failed" };
        self.metrics
            .telemetry_exports
            .with_label_values(&[signal, outcome])
            .inc();
        let was_away = self.away.swap(failure.is_some(), Ordering::Relaxed);
        if let Some(error) = failure.filter(|_| !was_away) {
            warn!(
                signal,
                error, "telemetry does not reach the collector; requests are served all the same"
            );
        }
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Collector")
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let signal = if request.uri().path().ends_with("/traces") {
            "traces"
        } else {
            "metrics"
        };
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move { client.send_bytes(request).await });
        let result = sending.await.unwrap_or_else(|error| Err(error.into()));
        let failure = match &result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answers {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        self.note(signal, failure);
        result
    }
}

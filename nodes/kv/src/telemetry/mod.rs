//! OpenTelemetry over OTLP/HTTP: a metric of all requests for keys, and traces of those whose caller samples them.
//!
//! There only when an endpoint is configured. Requests hand over what they did to bounded queues and never wait: a
//! collector that is away costs data, which `orrery_kv_telemetry_exports_total` counts, and nothing else.

mod collector;
mod trace;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::metrics::{Histogram, MeterProvider};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::warn;

use crate::config::Config;
use crate::metrics::{Metrics, REQUEST_BUCKETS};
use collector::Collector;
pub use trace::Trace;

const SERVICE: &str = "orrery-kv";
/// The key itself is never recorded.
const ROUTE: &str = "/kv/{key}";
const METRICS_EVERY: Duration = Duration::from_secs(2);
const SPANS_EVERY: Duration = Duration::from_millis(500);
const BATCH_SPANS: usize = 256;
const QUEUE_SPANS: usize = 4096;
/// How long a stopping node may spend on what is not sent yet.
const STOP_WITHIN: Duration = Duration::from_millis(500);

/// The exporters of this process.
pub struct Telemetry {
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
    durations: Histogram<f64>,
}

impl Telemetry {
    /// Starts exporting to `endpoint`, a base URL. Fails only when exporters cannot be built from it.
    pub fn start(endpoint: &str, config: &Config, runtime: Handle, metrics: Arc<Metrics>) -> Result<Self, String> {
        let collector = Collector::new(runtime, metrics);
        let url = |signal: &str| format!("{}/v1/{signal}", endpoint.trim_end_matches('/'));
        let spans = SpanExporter::builder().with_http().with_http_client(collector.clone());
        let spans = spans.with_endpoint(url("traces")).build();
        let points = MetricExporter::builder().with_http().with_http_client(collector);
        let points = points.with_endpoint(url("metrics")).build();
        let (spans, points) = (
            spans.map_err(|error| error.to_string())?,
            points.map_err(|error| error.to_string())?,
        );
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS)
            .with_max_export_batch_size(BATCH_SPANS)
            .with_scheduled_delay(SPANS_EVERY);
        let processor = BatchSpanProcessor::builder(spans).with_batch_config(batches.build());
        let resource = resource_of(config);
        // The caller decides what is traced, for a trace of one node alone says little.
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        let tracers = SdkTracerProvider::builder()
            .with_sampler(sampler)
            .with_resource(resource.clone())
            .with_span_processor(processor.build())
            .build();
        let reader = PeriodicReader::builder(points).with_interval(METRICS_EVERY).build();
        let meters = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader)
            .build();
        let durations = meters
            .meter(SERVICE)
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("Requests for keys, from their head to the answer")
            .with_boundaries(REQUEST_BUCKETS.to_vec())
            .build();
        Ok(Telemetry {
            tracer: tracers.tracer(SERVICE),
            tracers,
            meters,
            propagator: TraceContextPropagator::new(),
            durations,
        })
    }

    /// Sends what is left. Blocks its thread.
    pub fn stop(&self) {
        let spans = self.tracers.shutdown_with_timeout(STOP_WITHIN);
        let points = self.meters.shutdown_with_timeout(STOP_WITHIN);
        if let Err(error) = spans.and(points) {
            warn!(%error, "the last telemetry did not reach the collector");
        }
    }

    /// The server span, if the caller samples the trace it names.
    fn begin(&self, method: &'static str, headers: &HeaderMap) -> Option<Context> {
        let caller = self
            .propagator
            .extract_with_context(&Context::new(), &HeaderExtractor(headers));
        if !caller.span().span_context().is_sampled() {
            return None;
        }
        let span = self
            .tracer
            .span_builder(format!("{method} {ROUTE}"))
            .with_kind(SpanKind::Server)
            .with_attributes(request_attributes(method));
        Some(caller.with_span(self.tracer.build_with_context(span, &caller)))
    }

    fn end(&self, span: Option<&Context>, method: &'static str, status: StatusCode, elapsed: Duration) {
        let mut attributes = request_attributes(method).to_vec();
        attributes.push(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if status.is_server_error() {
            attributes.push(KeyValue::new("error.type", status.as_u16().to_string()));
        }
        self.durations.record(elapsed.as_secs_f64(), &attributes);
        if let Some(context) = span {
            context.span().set_attributes(attributes);
            if status.is_server_error() {
                context.span().set_status(Status::error(""));
            }
            context.span().end();
        }
    }
}

/// Middleware of the routes for keys.
pub async fn observe(State(telemetry): State<Arc<Telemetry>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = match *request.method() {
        Method::GET => "GET",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "_OTHER",
    };
    let span = telemetry.begin(method, request.headers());
    if let Some(context) = &span {
        let trace = Trace::new(telemetry.tracer.clone(), context.clone());
        request.extensions_mut().insert(Arc::new(trace));
    }
    let response = next.run(request).await;
    telemetry.end(span.as_ref(), method, response.status(), begun.elapsed());
    response
}

fn request_attributes(method: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new("http.request.method", method),
        KeyValue::new("http.route", ROUTE),
    ]
}

/// `OTEL_RESOURCE_ATTRIBUTES` counts too.
fn resource_of(config: &Config) -> Resource {
    Resource::builder()
        .with_service_name(SERVICE)
        .with_attributes([
            KeyValue::new("service.instance.id", config.pod_name.clone()),
            KeyValue::new("orrery.kv.pid", config.pid as i64),
        ])
        .build()
}

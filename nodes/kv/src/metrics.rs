//! What Prometheus is told. All names begin with `orrery_kv_`; times are in seconds.

use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

pub const REQUEST_BUCKETS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
];

/// Why a connection between nodes was refused; the values of the label `reason`.
pub const REFUSALS: [&str; 5] = [
    "wrong_key",
    "unknown_peer",
    "wrong_configuration",
    "protocol",
    "timeout",
];

/// All metrics of the process, in a registry of their own.
pub struct Metrics {
    registry: Registry,
    pub decided_index: IntGauge,
    pub applied_index: IntGauge,
    pub compacted_index: IntGauge,
    pub log_entries: IntGauge,
    pub log_bytes: IntGauge,
    pub keys: IntGauge,
    pub waiting_requests: IntGauge,
    pub open_proposals: IntGauge,
    pub ready: IntGauge,
    role: IntGaugeVec,
    pub leader_changes: IntCounter,
    requests: HistogramVec,
    pub fsync_seconds: Histogram,
    pub peer_connected: IntGaugeVec,
    pub peer_sessions: IntCounterVec,
    pub peer_overflows: IntCounter,
    pub refused_handshakes: IntCounterVec,
    pub snapshots: IntCounterVec,
    pub repeated_proposals: IntCounter,
    pub telemetry_exports: IntCounterVec,
    pub feed_readers: IntGauge,
}

impl Metrics {
    /// Registers everything. Fails only when two metrics have one name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("orrery_kv".into()), None)?;
        let gauge = |name: &str, help: &str| register(&registry, IntGauge::new(name, help)?);
        let gauges = |name: &str, help: &str, label: &str| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), &[label])?)
        };
        let counter = |name: &str, help: &str| register(&registry, IntCounter::new(name, help)?);
        let counters = |name: &str, help: &str, label: &str| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), &[label])?)
        };
        let build = gauges("build_info", "Always 1; the label is the version", "version")?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let requests = HistogramOpts::new("request_seconds", "Client requests by operation and outcome");
        let fsync = HistogramOpts::new("fsync_seconds", "Commits of the store, fsync included");
        let metrics = Metrics {
            decided_index: gauge("decided_index", "Entries known to be decided")?,
            applied_index: gauge("applied_index", "Entries in the state machine")?,
            compacted_index: gauge("compacted_index", "Entries trimmed from the log")?,
            log_entries: gauge("log_entries", "Entries in the log")?,
            log_bytes: gauge("log_bytes", "Bytes of the entries in the log")?,
            keys: gauge("keys", "Keys in the state machine")?,
            waiting_requests: gauge("waiting_requests", "Requests not proposed yet, for want of a leader")?,
            open_proposals: gauge("open_proposals", "Own proposals not decided yet")?,
            ready: gauge("ready", "1 while the node serves")?,
            role: gauges("role", "1 for the role the node has", "role")?,
            leader_changes: counter("leader_changes_total", "Changes of the leader this node follows")?,
            requests: register(
                &registry,
                HistogramVec::new(requests.buckets(REQUEST_BUCKETS.to_vec()), &["operation", "code"])?,
            )?,
            fsync_seconds: register(
                &registry,
                Histogram::with_opts(fsync.buckets(REQUEST_BUCKETS.to_vec()))?,
            )?,
            peer_connected: gauges("peer_connected", "1 while there is a session with the peer", "peer")?,
            peer_sessions: counters("peer_sessions_total", "Sessions begun with the peer", "peer")?,
            peer_overflows: counter(
                "peer_overflows_total",
                "Sessions ended because the peer read too slowly",
            )?,
            refused_handshakes: counters("refused_handshakes_total", "Connections of peers refused", "reason")?,
            snapshots: counters(
                "snapshots_total",
                "Snapshots made of the own log, sent, and received",
                "kind",
            )?,
            feed_readers: gauge("feed_readers", "Open readers of /feed")?,
            repeated_proposals: counter("repeated_proposals_total", "Proposals made again after a leader change")?,
            telemetry_exports: register(
                &registry,
                IntCounterVec::new(
                    Opts::new("telemetry_exports_total", "Batches sent to the OpenTelemetry collector"),
                    &["signal", "outcome"],
                )?,
            )?,
            registry,
        };
        metrics.set_role("candidate");
        for kind in ["made", "sent", "received"] {
            metrics.snapshots.with_label_values(&[kind]);
        }
        for reason in REFUSALS {
            metrics.refused_handshakes.with_label_values(&[reason]);
        }
        Ok(metrics)
    }

    /// Sets the gauge of `role` and clears the others.
    pub fn set_role(&self, role: &str) {
        for each in ["leader", "follower", "candidate"] {
            self.role.with_label_values(&[each]).set(i64::from(each == role));
        }
    }

    /// Counts one client request. `code` is `ok`, `absent` or the code of the error.
    pub fn request(&self, operation: &str, code: &str, elapsed: Duration) {
        self.requests
            .with_label_values(&[operation, code])
            .observe(elapsed.as_secs_f64());
    }

    /// The text exposition format.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_one_role_and_counts_requests() {
        let metrics = Metrics::new().unwrap();
        metrics.set_role("leader");
        metrics.request("put", "ok", Duration::from_millis(3));
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(text.contains("orrery_kv_role{role=\"leader\"} 1"), "{text}");
        assert!(text.contains("orrery_kv_role{role=\"candidate\"} 0"), "{text}");
        assert!(
            text.contains("orrery_kv_request_seconds_count{code=\"ok\",operation=\"put\"} 1"),
            "{text}"
        );
    }
}

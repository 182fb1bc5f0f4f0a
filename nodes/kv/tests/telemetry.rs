//! What real nodes send to a collector on loopback, and what they do when there is none.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use support::{Client, Cluster, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_orrery-kv");
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    /// Requests counted by `http.server.request.duration`, the largest export of any node.
    requests: u64,
}

/// A collector that keeps what it is sent; its thread ends with the test process.
struct Collector {
    url: String,
    received: Arc<Mutex<Received>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Received::default()));
        let sink = received.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let sink = sink.clone();
                std::thread::spawn(move || serve(connection.unwrap(), &sink));
            }
        });
        Collector { url, received }
    }

    fn spans_of(&self, trace: &str) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let spans = received.spans.iter();
        spans
            .filter(|span| hex::encode(&span.trace_id) == trace)
            .cloned()
            .collect()
    }
}

/// Answers the requests of one connection until it ends.
fn serve(stream: TcpStream, sink: &Mutex<Received>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push(line.to_ascii_lowercase());
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length:"));
        let mut body = vec![0; length.expect("a length").trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let mut received = sink.lock().unwrap();
        if head[0].starts_with("post /v1/traces ") {
            let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            let scopes = request
                .resource_spans
                .into_iter()
                .flat_map(|resource| resource.scope_spans);
            received.spans.extend(scopes.flat_map(|scope| scope.spans));
        } else {
            assert!(head[0].starts_with("post /v1/metrics "), "{head:?}");
            let request = ExportMetricsServiceRequest::decode(body.as_slice()).unwrap();
            let scopes = request
                .resource_metrics
                .into_iter()
                .flat_map(|resource| resource.scope_metrics);
            for metric in scopes.flat_map(|scope| scope.metrics) {
                if let ("http.server.request.duration", Some(Data::Histogram(data))) = (&*metric.name, metric.data) {
                    let count = data.data_points.iter().map(|point| point.count).sum();
                    received.requests = received.requests.max(count);
                }
            }
        }
        drop(received);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    }
}

const SAMPLED: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const UNSAMPLED: &str = "00000000000000000000000000000bad";
const CALLER: &str = "00f067aa0ba902b7";

fn traced(cluster: &Cluster, node: usize, method: &str, traceparent: &str) {
    let url = cluster.url(node, "/kv/a-secret-key");
    let answer = match method {
        "PUT" => ureq::put(url).header("traceparent", traceparent).send("value"),
        _ => ureq::get(url).header("traceparent", traceparent).call(),
    };
    assert_eq!(answer.unwrap().status(), 200);
}

#[test]
fn a_sampled_request_is_one_trace_and_others_are_none() {
    let collector = Collector::start();
    let cluster = Cluster::start(BINARY, 3, &[(ENDPOINT, &collector.url)]);
    let leader = cluster.leader();
    let follower = (leader + 1) % 3;
    traced(&cluster, leader, "PUT", &format!("00-{UNSAMPLED}-{CALLER}-00"));
    Client::new(&cluster).must_put(leader, "untraced", b"value");
    for (node, method) in [(leader, "PUT"), (follower, "PUT"), (follower, "GET")] {
        traced(&cluster, node, method, &format!("00-{SAMPLED}-{CALLER}-01"));
    }
    let named = |spans: &[Span], name: &str| {
        spans
            .iter()
            .filter(|span| span.name == name)
            .cloned()
            .collect::<Vec<_>>()
    };
    let spans = eventually("all spans of three requests arrive", || {
        let spans = collector.spans_of(SAMPLED);
        let whole = named(&spans, "PUT /kv/{key}").len() == 2 && named(&spans, "GET /kv/{key}").len() == 1;
        (whole && named(&spans, "consensus").len() == 3).then_some(spans)
    });
    for server in spans.iter().filter(|span| span.name.ends_with("/kv/{key}")) {
        assert_eq!((hex::encode(&server.parent_span_id).as_str(), server.kind), (CALLER, 2));
        let children: Vec<_> = spans
            .iter()
            .filter(|span| span.parent_span_id == server.span_id)
            .collect();
        let consensus: Vec<_> = children.iter().filter(|span| span.name == "consensus").collect();
        assert_eq!(consensus.len(), 1, "{children:?}");
        assert!(consensus[0].start_time_unix_nano >= server.start_time_unix_nano);
        assert!(consensus[0].end_time_unix_nano <= server.end_time_unix_nano);
        let led = consensus[0]
            .attributes
            .iter()
            .find(|pair| pair.key == "orrery.kv.leader");
        // Whichever leads: in the first second after the start leadership may still move.
        let led = format!("{led:?}");
        assert!((1..=3).any(|pid| led.contains(&format!("IntValue({pid})"))), "{led}");
        assert!(children.iter().any(|span| span.name == "store commit"), "{children:?}");
    }
    assert!(!format!("{spans:?}").contains("a-secret-key"));
    assert!(collector.spans_of(UNSAMPLED).is_empty());
    let traces = collector
        .received
        .lock()
        .unwrap()
        .spans
        .iter()
        .any(|span| hex::encode(&span.trace_id) != SAMPLED);
    assert!(!traces, "a node traced what nobody had sampled");
    eventually("the metric counts every request of the leader", || {
        (collector.received.lock().unwrap().requests >= 3).then_some(())
    });
}

#[test]
fn without_its_collector_a_node_serves_counts_and_stops() {
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let mut cluster = Cluster::start(BINARY, 3, &[(ENDPOINT, &format!("http://{closed}"))]);
    let leader = cluster.leader();
    for _ in 0..20 {
        traced(&cluster, leader, "PUT", &format!("00-{SAMPLED}-{CALLER}-01"));
    }
    for signal in ["traces", "metrics"] {
        let wanted = format!("orrery_kv_telemetry_exports_total{{outcome=\"failed\",signal=\"{signal}\"}}");
        eventually("failed exports are counted", || {
            let text = ureq::get(cluster.url(leader, "/metrics"))
                .call()
                .unwrap()
                .into_body()
                .read_to_string()
                .unwrap();
            text.contains(&wanted).then_some(())
        });
    }
    cluster.signal(leader, "TERM");
    assert_eq!(cluster.wait_exit(leader).code(), Some(0));
}

#[test]
fn an_endpoint_that_is_no_plain_http_url_is_refused() {
    let cluster = Cluster::new(BINARY, 3, &[(ENDPOINT, "https://collector:4318")]);
    let output = cluster.command(0).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains(ENDPOINT));
}

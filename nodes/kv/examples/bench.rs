//! Writes per second and latency of three nodes on this machine.
//!
//! `cargo build --release && cargo run --release --example bench -- [clients] [seconds] [value bytes] [put|get]`

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::{Client, Cluster, Written};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| arguments.get(i).map_or(default, |text| text.parse().expect("a number"));
    let (clients, seconds, bytes) = (number(0, 16), number(1, 5), number(2, 128));
    let reads = arguments.get(3).is_some_and(|operation| operation == "get");
    let example = std::env::current_exe().expect("the path of this program");
    let binary = example.ancestors().nth(2).expect("target/release").join("orrery-kv");
    let cluster = Cluster::start(binary.to_str().expect("UTF-8"), 3, &[("KV_ELECTION_TIMEOUT_MS", "500")]);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut latencies: Vec<Duration> = std::thread::scope(|scope| {
        let run = |worker: u64| {
            let client = Client::new(&cluster);
            let value = vec![b'x'; bytes as usize];
            let mut latencies = Vec::new();
            for i in 0.. {
                let begun = Instant::now();
                if begun >= end {
                    break;
                }
                let (node, key) = (worker as usize % 3, format!("{worker}-{}", i % 100));
                if reads {
                    client.get(node, &key, false).expect("a linearizable read");
                } else {
                    let written = client.put(node, &key, &value);
                    assert!(matches!(written, Written::At(_)), "{written:?}");
                }
                latencies.push(begun.elapsed());
            }
            latencies
        };
        let workers: Vec<_> = (0..clients).map(|worker| scope.spawn(move || run(worker))).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a worker"))
            .collect()
    });
    latencies.sort();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{} clients, {bytes} bytes, {}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        clients,
        if reads { "get" } else { "put" },
        latencies.len() as f64 / seconds as f64,
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

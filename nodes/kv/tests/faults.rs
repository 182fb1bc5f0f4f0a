//! Three real nodes under faults: kill -9, lost majority, pauses, lag, and a disk that refuses writes.

mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::history::{Action, Operation, violations};
use support::{Client, Cluster, Written, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_orrery-kv");
const CLIENTS: u64 = 8;
const KEYS: u64 = 6;

/// What the clients of a load saw.
struct Load {
    history: BTreeMap<String, Vec<Operation>>,
    acknowledged: u64,
    unknown: u64,
    refused: u64,
}

/// Eight clients write unique values and read, at all nodes, while `faults` runs; ends shortly after it.
fn load(cluster: &mut Cluster, faults: impl FnOnce(&mut Cluster, &AtomicU64)) -> Load {
    let (start, stop) = (Instant::now(), AtomicBool::new(false));
    let acknowledged = AtomicU64::new(0);
    let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::new(cluster)).collect();
    let seen: Vec<Vec<(String, Option<Operation>)>> = std::thread::scope(|scope| {
        let run = |(worker, client): (usize, Client)| {
            let (stop, acknowledged) = (&stop, &acknowledged);
            scope.spawn(move || {
                let mut seen = Vec::new();
                for i in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    seen.push(step(&client, worker as u64, i, start, acknowledged));
                }
                seen
            })
        };
        let workers: Vec<_> = clients.into_iter().enumerate().map(run).collect();
        let ends = StopOnDrop(&stop);
        faults(cluster, &acknowledged);
        drop(ends);
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let mut load = Load {
        history: BTreeMap::new(),
        acknowledged: acknowledged.into_inner(),
        unknown: 0,
        refused: 0,
    };
    for (key, operation) in seen.into_iter().flatten() {
        match operation {
            None => load.refused += 1,
            Some(operation) => {
                load.unknown += u64::from(operation.returned.is_none());
                load.history.entry(key).or_default().push(operation);
            }
        }
    }
    load
}

/// Ends the clients, also when a test fails in between.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One operation of one client; nothing if it surely had no effect and saw nothing.
fn step(client: &Client, worker: u64, i: u64, start: Instant, acknowledged: &AtomicU64) -> (String, Option<Operation>) {
    let key = format!("r{}", (worker + i * 5) % KEYS);
    let node = ((worker + i) % 3) as usize;
    let now = || start.elapsed().as_nanos() as u64;
    let called = now();
    let (action, returned) = if i.is_multiple_of(2) {
        let value = worker << 32 | i;
        match client.put(node, &key, value.to_string().as_bytes()) {
            Written::At(_) => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                (Action::Write(value), Some(now()))
            }
            Written::No(_) => return (key, pause()),
            Written::Unknown(_) => (Action::Write(value), None),
        }
    } else {
        match client.get(node, &key, false) {
            Ok(found) => (Action::Read(found.map(|(bytes, _)| parse(&bytes))), Some(now())),
            Err(_) => return (key, pause()),
        }
    };
    let operation = Operation {
        action,
        called,
        returned,
    };
    (key, Some(operation))
}

/// A client that is refused at once does not ask again at once.
fn pause() -> Option<Operation> {
    std::thread::sleep(Duration::from_millis(5));
    None
}

fn parse(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes).unwrap().parse().unwrap()
}

/// Adds a last read of every key at every node, so that a lost write cannot hide, and checks.
fn check(cluster: &Cluster, mut load: Load) {
    let client = Client::new(cluster);
    cluster.wait_equal(&[0, 1, 2]);
    for (key, operations) in &mut load.history {
        for node in 0..3 {
            let found = client.get(node, key, false).unwrap();
            operations.push(Operation {
                action: Action::Read(found.map(|(bytes, _)| parse(&bytes))),
                called: u64::MAX - 1,
                returned: Some(u64::MAX),
            });
        }
    }
    let operations: usize = load.history.values().map(Vec::len).sum();
    eprintln!(
        "{operations} operations, {} acknowledged writes, {} unknown, {} refused",
        load.acknowledged, load.unknown, load.refused
    );
    assert_eq!(violations(&load.history), Vec::<String>::new());
}

/// Waits until `more` further writes were acknowledged.
fn progress(acknowledged: &AtomicU64, more: u64) {
    let target = acknowledged.load(Ordering::Relaxed) + more;
    eventually("clients go on writing", || {
        (acknowledged.load(Ordering::Relaxed) >= target).then_some(())
    });
}

#[test]
fn killing_the_leader_under_load_loses_nothing_and_stays_linearizable() {
    let mut cluster = Cluster::start(BINARY, 3, &[("KV_SNAPSHOT_EVERY", "200")]);
    let load = load(&mut cluster, |cluster, acknowledged| {
        for _ in 0..3 {
            progress(acknowledged, 100);
            let leader = cluster.leader();
            let killed = Instant::now();
            cluster.kill(leader);
            let next = cluster.leader();
            progress(acknowledged, 1);
            eprintln!(
                "leader {leader} killed, {next} leads and acknowledges after {:?}",
                killed.elapsed()
            );
            assert_ne!(leader, next);
            progress(acknowledged, 60);
            cluster.spawn(leader);
            cluster.wait_ready([leader]);
        }
    });
    assert!(load.acknowledged > 400);
    check(&cluster, load);
}

#[test]
fn killing_all_nodes_loses_nothing() {
    let mut cluster = Cluster::start(BINARY, 3, &[("KV_SNAPSHOT_EVERY", "150")]);
    let load = load(&mut cluster, |cluster, acknowledged| {
        for _ in 0..3 {
            progress(acknowledged, 100);
            (0..3).for_each(|node| cluster.kill(node));
            (0..3).for_each(|node| cluster.spawn(node));
            cluster.wait_ready(0..3);
        }
        progress(acknowledged, 20);
    });
    check(&cluster, load);
}

#[test]
fn a_paused_leader_does_not_answer_from_the_past() {
    let mut cluster = Cluster::start(BINARY, 3, &[]);
    let load = load(&mut cluster, |cluster, acknowledged| {
        for _ in 0..2 {
            progress(acknowledged, 50);
            let leader = cluster.leader();
            cluster.signal(leader, "STOP");
            let client = Client::new(cluster);
            let other = (leader + 1) % 3;
            eventually("the others have a new leader", || {
                let found = client.status(other)["leader"].as_u64()?;
                (found != leader as u64 + 1).then_some(())
            });
            // Clients that ask the paused node wait; those of the others write.
            client.must_put(other, "during", b"1");
            cluster.signal(leader, "CONT");
            cluster.wait_ready(0..3);
        }
        progress(acknowledged, 20);
    });
    check(&cluster, load);
}

#[test]
fn a_follower_that_missed_the_log_gets_the_state() {
    let mut cluster = Cluster::start(BINARY, 3, &[("KV_SNAPSHOT_EVERY", "50")]);
    let client = Client::new(&cluster);
    let leader = cluster.leader();
    let (lagging, other) = ((leader + 1) % 3, (leader + 2) % 3);
    for i in 0..20 {
        client.must_put(leader, &format!("old{i}"), b"before");
    }
    cluster.kill(lagging);
    for i in 0..260 {
        client.must_put(other, &format!("k{}", i % 70), format!("{i}").as_bytes());
    }
    for i in 0..10 {
        assert_eq!(client.delete(leader, &format!("old{i}")).1["existed"], true);
    }
    let decided = client.json(leader, "/debug/log?limit=0")["compactedIndex"]
        .as_u64()
        .unwrap();
    assert!(
        decided > 200,
        "the log that the follower misses is gone: compacted {decided}"
    );
    cluster.spawn(lagging);
    cluster.wait_ready([lagging]);
    cluster.wait_equal(&[0, 1, 2]);
    assert!(client.metric(lagging, "orrery_kv_snapshots_total{kind=\"received\"}") >= 1.0);
    for i in 0..20 {
        let expected = (i >= 10).then(|| b"before".to_vec());
        let found = client.get(lagging, &format!("old{i}"), true).unwrap();
        assert_eq!(found.map(|(value, _)| value), expected, "old{i}");
    }
    for i in 0..70 {
        let key = format!("k{i}");
        assert_eq!(client.get(lagging, &key, true), client.get(leader, &key, true), "{key}");
    }
    // It goes on from there, and survives a crash with what it was given.
    client.must_put(lagging, "after", b"x");
    cluster.kill(lagging);
    cluster.spawn(lagging);
    cluster.wait_ready([lagging]);
    cluster.wait_equal(&[0, 1, 2]);
}

#[test]
fn without_a_majority_writes_end_and_local_reads_work() {
    let mut cluster = Cluster::start(BINARY, 3, &[("KV_REQUEST_TIMEOUT_MS", "1000")]);
    let client = Client::new(&cluster);
    client.must_put(0, "k", b"v");
    cluster.wait_equal(&[0, 1, 2]);
    cluster.kill(0);
    client.must_put(1, "k", b"two of three");
    cluster.wait_equal(&[1, 2]);
    cluster.kill(1);
    let begun = Instant::now();
    let refused = client.put(2, "k", b"alone");
    assert!(matches!(refused, Written::No(_) | Written::Unknown(_)), "{refused:?}");
    // The node's own time-out ends it, not the client's of 15 s.
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    eventually("the node knows that it is alone", || {
        match client.put(2, "k", b"alone") {
            Written::No(text) => {
                assert!(text.contains(r#""code":"no_leader""#), "{text}");
                Some(())
            }
            Written::Unknown(text) => (!text.contains(r#""code":"timeout""#)).then(|| panic!("{text}")),
            Written::At(index) => panic!("acknowledged at {index} by one of three"),
        }
    });
    assert!(
        client.get(2, "k", false).is_err(),
        "a linearizable read needs a majority"
    );
    assert_eq!(client.get(2, "k", true).unwrap().unwrap().0, b"two of three");
    assert_eq!(client.status_code(2, "/readyz"), Some(503));
    assert_eq!(client.status_code(2, "/healthz"), Some(200));
    let status = client.status(2);
    assert!(status["leader"].is_null() && status["role"] != "leader", "{status}");
    cluster.spawn(0);
    cluster.wait_ready([0, 2]);
    client.must_put(2, "k", b"again");
}

#[test]
fn conflicting_writes_during_a_pause_end_in_one_order() {
    let mut cluster = Cluster::start(BINARY, 3, &[]);
    cluster.kill(0);
    let leader = cluster.leader();
    let paused = if leader == 1 { 2 } else { 1 };
    cluster.signal(paused, "STOP");
    std::thread::scope(|scope| {
        let writers: Vec<_> = [1, 2]
            .into_iter()
            .map(|node| {
                let client = Client::new(&cluster);
                scope.spawn(move || client.put(node, "fought-over", format!("from {node}").as_bytes()))
            })
            .collect();
        // The one that is not paused must not be able to decide alone.
        let client = Client::new(&cluster);
        eventually("the write waits", || {
            let open = client.metric(leader, "orrery_kv_open_proposals");
            let waiting = client.metric(leader, "orrery_kv_waiting_requests");
            (open + waiting >= 1.0).then_some(())
        });
        cluster.signal(paused, "CONT");
        for writer in writers {
            let written = writer.join().unwrap();
            assert!(matches!(written, Written::At(_)), "{written:?}");
        }
    });
    cluster.spawn(0);
    cluster.wait_ready(0..3);
    cluster.wait_equal(&[0, 1, 2]);
    assert!(cluster.assert_same_log(&[1, 2]) >= 2);
}

#[test]
fn a_node_whose_disk_refuses_writes_stops_and_the_others_go_on() {
    let mut cluster = Cluster::start(BINARY, 3, &[]);
    let client = Client::new(&cluster);
    let victim = (cluster.leader() + 1) % 3;
    client.must_put(victim, "k", b"before");
    cluster.kill(victim);
    // A limit on the size of files makes writes fail with an error once the signal for it is ignored.
    let mut command = Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f 3000; exec {BINARY}");
    command.args(["-c", &script]);
    cluster.configure(&mut command, victim);
    cluster.spawn_as(victim, command);
    cluster.wait_ready([victim]);
    let other = (victim + 1) % 3;
    for i in 0..40 {
        client.must_put(other, &format!("big{i}"), &vec![1; 200_000]);
    }
    let status = cluster.wait_exit(victim);
    let log = std::fs::read_to_string(cluster.log_path(victim)).unwrap();
    assert_eq!(status.code(), Some(4), "{log}");
    assert!(log.contains("fail-stop"), "{log}");
    client.must_put(other, "k", b"after");
    cluster.spawn(victim);
    cluster.wait_ready([victim]);
    assert_eq!(client.get(victim, "k", false).unwrap().unwrap().0, b"after");
}

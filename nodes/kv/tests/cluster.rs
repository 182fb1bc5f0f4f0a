//! Three real nodes without faults: the HTTP contract, order, snapshots, configuration errors, stopping.

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use support::{Client, Cluster, Written, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_orrery-kv");

#[test]
fn every_node_serves_every_operation() {
    let cluster = Cluster::start(BINARY, 3, &[]);
    let client = Client::new(&cluster);
    let mut last = 0;
    for node in 0..3 {
        let index = client.must_put(node, "key", format!("from {node}").as_bytes());
        assert!(index > last, "{index} after {last}");
        last = index;
        for reader in 0..3 {
            let seen = client.get(reader, "key", false).unwrap();
            assert_eq!(seen, Some((format!("from {node}").into_bytes(), index)));
        }
    }
    let (status, body) = client.delete(1, "key");
    assert_eq!((status, body["existed"].as_bool()), (200, Some(true)));
    assert!(body["index"].as_u64().unwrap() > last);
    assert_eq!(client.get(2, "key", false), Ok(None));
    assert_eq!(client.delete(2, "key").1["existed"], false);
}

#[test]
fn keys_are_bytes_and_limits_hold() {
    let cluster = Cluster::start(BINARY, 3, &[]);
    let client = Client::new(&cluster);
    let mut binary = vec![0u8; 1 << 20];
    binary.iter_mut().enumerate().for_each(|(i, b)| *b = (i * 7) as u8);
    client.must_put(0, "a%2Fb%20%FF", &binary);
    assert_eq!(client.get(1, "a%2Fb%20%FF", false).unwrap().unwrap().0, binary);
    client.must_put(0, "empty", b"");
    assert_eq!(client.get(2, "empty", false).unwrap().unwrap().0, b"");
    client.must_put(0, &"k".repeat(1024), b"longest");
    for (key, value, part) in [
        ("k".repeat(1025), vec![], r#""code":"bad_key""#),
        (String::new(), vec![], r#""code":"bad_key""#),
        ("big".into(), vec![0; (1 << 20) + 1], r#""code":"too_large""#),
    ] {
        match client.put(1, &key, &value) {
            Written::Unknown(text) => assert!(text.contains(part), "{text}"),
            other => panic!("{part}: {other:?}"),
        }
    }
    assert_eq!(client.get(0, "big", false), Ok(None));
}

#[test]
fn status_metrics_and_probes_say_what_is_the_case() {
    let cluster = Cluster::start(BINARY, 3, &[]);
    let client = Client::new(&cluster);
    let leader = cluster.leader();
    let index = client.must_put(leader, "k", b"v");
    let status = client.status(leader);
    assert_eq!(status["role"], "leader");
    assert_eq!(status["pid"], leader as u64 + 1);
    assert_eq!(status["ordinal"], leader as u64);
    assert_eq!(status["configurationId"], 1);
    assert_eq!(status["keys"], 1);
    assert!(status["decidedIndex"].as_u64().unwrap() >= index);
    assert_eq!(status["ballot"]["pid"], leader as u64 + 1);
    let peers = status["peers"].as_array().unwrap();
    assert!(
        peers.len() == 2 && peers.iter().all(|peer| peer["connected"] == true),
        "{status}"
    );
    for field in ["leader", "compactedIndex", "version", "uptimeSeconds"] {
        assert!(!status[field].is_null(), "{field} in {status}");
    }
    assert_eq!(client.status((leader + 1) % 3)["role"], "follower");

    assert_eq!(client.metric(leader, "orrery_kv_role{role=\"leader\"}"), 1.0);
    assert_eq!(
        client.metric(leader, "orrery_kv_request_seconds_count{code=\"ok\",operation=\"put\"}"),
        1.0
    );
    assert!(client.metric(leader, "orrery_kv_fsync_seconds_count") >= 1.0);
    assert!(client.metric(leader, "orrery_kv_decided_index") >= 1.0);
    assert_eq!(client.status_code(leader, "/healthz"), Some(200));
    let (status, body) = client.post(leader, "/reconfigure");
    assert_eq!(status, 501);
    assert!(body["error"].is_string());
}

#[test]
fn concurrent_writes_end_in_the_same_order_everywhere() {
    let cluster = Cluster::start(BINARY, 3, &[]);
    std::thread::scope(|scope| {
        for worker in 0..6 {
            let cluster = &cluster;
            scope.spawn(move || {
                let client = Client::new(cluster);
                for i in 0..50 {
                    client.must_put(worker % 3, &format!("k{}", i % 5), format!("{worker}-{i}").as_bytes());
                }
            });
        }
    });
    let length = cluster.wait_equal(&[0, 1, 2]);
    assert!(length >= 300);
    cluster.assert_same_log(&[0, 1, 2]);
    let client = Client::new(&cluster);
    for key in ["k0", "k1", "k2", "k3", "k4"] {
        let values: Vec<_> = (0..3)
            .map(|node| client.get(node, key, true).unwrap().unwrap())
            .collect();
        assert!(values.iter().all(|value| *value == values[0]), "{key}");
    }
}

#[test]
fn the_log_is_squashed_into_snapshots() {
    let cluster = Cluster::start(BINARY, 3, &[("KV_SNAPSHOT_EVERY", "5")]);
    let client = Client::new(&cluster);
    for i in 0..23 {
        client.must_put(i % 3, &format!("k{}", i % 4), i.to_string().as_bytes());
    }
    let length = cluster.wait_equal(&[0, 1, 2]);
    // More than 23 if a leader change made a node propose again.
    assert!(length >= 23);
    for node in 0..3 {
        let log = client.json(node, "/debug/log");
        let compacted = log["compactedIndex"].as_u64().unwrap();
        assert!(
            compacted >= 15 && length - compacted < 5,
            "node {node}: compacted {compacted} of {length}"
        );
        assert_eq!(log["entries"].as_array().unwrap().len() as u64, length - compacted);
        assert!(client.metric(node, "orrery_kv_snapshots_total{kind=\"made\"}") >= 1.0);
        assert_eq!(client.get(node, "k2", true).unwrap().unwrap().0, b"22");
    }
}

#[test]
fn a_node_that_is_told_to_stop_hands_over_and_ends_well() {
    const ELECTION: Duration = Duration::from_secs(6);
    let slow = [("KV_ELECTION_TIMEOUT_MS", "6000")];
    let mut cluster = Cluster::start(BINARY, 3, &slow);
    let client = Client::new(&cluster);
    let leader = cluster.leader();
    client.must_put(leader, "k", b"v");
    let begun = Instant::now();
    cluster.signal(leader, "TERM");
    let status = cluster.wait_exit(leader);
    assert_eq!(status.code(), Some(0));
    let successor = cluster.leader();
    assert_ne!(successor, leader);
    client.must_put(successor, "k", b"w");
    // Without the hand-over a new leader needs at least one election time-out.
    assert!(begun.elapsed() < ELECTION, "{:?}", begun.elapsed());
    cluster.spawn(leader);
    cluster.wait_ready([leader]);
    assert_eq!(client.get(leader, "k", false).unwrap().unwrap().0, b"w");
}

#[test]
fn bad_configuration_is_one_error_and_exit_3() {
    let mut cluster = Cluster::start(BINARY, 2, &[]);
    let peers = cluster.path("peers.json");
    let good = std::fs::read_to_string(&peers).unwrap();
    let bad = cluster.path("bad.json");
    let foreign = cluster.peers(|_| [9; 32]).to_string();
    let one = r#"{"configurationId":1,"peers":[]}"#;
    let cases: [(&str, &str, Option<&str>, &str); 8] = [
        ("KV_POD_NAME", "kv", None, "ordinal"),
        ("KV_POD_NAME", "kv-7", None, "no member with ordinal 7"),
        ("KV_GROUP_KEY_FILE", "/nonexistent/key", None, "KV_GROUP_KEY_FILE"),
        ("KV_PEERS_FILE", "bad", Some("{"), "not a valid peer list"),
        ("KV_PEERS_FILE", "bad", Some(one), "at least 2"),
        ("KV_PEERS_FILE", "bad", Some(&foreign), "not of the same network"),
        ("KV_SNAPSHOT_EVERY", "0", None, "snapshot-every"),
        ("KV_DATA_DIR", "other", None, "belongs to pid 2"),
    ];
    cluster.signal(1, "TERM");
    cluster.wait_exit(1);
    for (name, value, text, part) in cases {
        if let Some(text) = text {
            std::fs::write(&bad, text).unwrap();
        }
        let value = match value {
            "bad" => bad.display().to_string(),
            "other" => cluster.path("data-1").display().to_string(),
            value => value.to_owned(),
        };
        // Ports that are free: a configuration that is good by mistake would otherwise fail for another reason.
        let output = cluster
            .command(0)
            .env("KV_HTTP_ADDR", "127.0.0.1:0")
            .env("KV_PEER_ADDR", "127.0.0.1:0")
            .env("KV_DATA_DIR", cluster.path("unused"))
            .env(name, &value)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{name}={value}: {stderr}");
        assert!(stderr.contains(part), "{name}={value}: {stderr}");
    }
    let in_use = cluster.command(0).env("KV_HTTP_ADDR", "127.0.0.1:0").output().unwrap();
    let stderr = String::from_utf8_lossy(&in_use.stderr);
    assert!(in_use.status.code() == Some(3) && stderr.contains("in use"), "{stderr}");
    assert_eq!(std::fs::read_to_string(&peers).unwrap(), good);
}

#[test]
fn help_lists_every_setting() {
    let output = Command::new(BINARY).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for name in [
        "POD_NAME",
        "PEERS_FILE",
        "GROUP_KEY_FILE",
        "DATA_DIR",
        "HTTP_ADDR",
        "PEER_ADDR",
        "SNAPSHOT_EVERY",
        "ELECTION_TIMEOUT_MS",
        "REQUEST_TIMEOUT_MS",
        "LOG",
    ] {
        assert!(help.contains(&format!("KV_{name}")), "{name}");
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_impostor_is_refused_and_counted() {
    let mut cluster = Cluster::start(BINARY, 3, &[]);
    let client = Client::new(&cluster);
    cluster.kill(2);
    // Another group's key, and a peer list that is consistent with it for ordinal 2 but knows the real others.
    let foreign = [9; 32];
    std::fs::write(cluster.path("foreign-key"), hex::encode(foreign)).unwrap();
    let peers = cluster.peers(|ordinal| if ordinal == 2 { foreign } else { support::GROUP_KEY });
    std::fs::write(cluster.path("foreign.json"), peers.to_string()).unwrap();
    let mut command = cluster.command(2);
    command
        .env("KV_GROUP_KEY_FILE", cluster.path("foreign-key"))
        .env("KV_PEERS_FILE", cluster.path("foreign.json"))
        .env("KV_DATA_DIR", cluster.path("foreign-data"));
    cluster.spawn_as(2, command);
    for node in [0, 1] {
        let name = "orrery_kv_refused_handshakes_total{reason=\"wrong_key\"}";
        eventually("the impostor is refused", || {
            (client.metric(node, name) >= 1.0).then_some(())
        });
        assert_eq!(client.metric(node, "orrery_kv_peer_connected{peer=\"3\"}"), 0.0);
    }
    assert_eq!(client.status_code(2, "/readyz"), Some(503));
    client.must_put(0, "k", b"v");
    assert_eq!(client.get(2, "k", true), Ok(None));
    cluster.kill(2);
    cluster.spawn(2);
    cluster.wait_ready([2]);
    assert_eq!(client.get(2, "k", false).unwrap().unwrap().0, b"v");
}

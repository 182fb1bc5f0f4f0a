//! The feed of real nodes: every change once and in order, across kills, whole states and a stop.

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};

use serde_json::Value;
use support::{Client, Cluster, PATIENCE, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_orrery-kv");

/// An open feed; a line that does not come within patience is a failed test.
struct Feed {
    lines: BufReader<Box<dyn Read>>,
}

impl Feed {
    fn open(cluster: &Cluster, node: usize, query: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_recv_body(Some(PATIENCE * 3))
            .build();
        let agent: ureq::Agent = config.into();
        let answer = agent.get(cluster.url(node, &format!("/feed?{query}"))).call().unwrap();
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        let reader: Box<dyn Read> = Box::new(answer.into_body().into_reader());
        Feed {
            lines: BufReader::new(reader),
        }
    }

    /// The next line; nothing at the end of the stream.
    fn line(&mut self) -> Option<Value> {
        let mut text = String::new();
        let bytes = self.lines.read_line(&mut text).unwrap();
        (bytes > 0).then(|| serde_json::from_str(&text).unwrap())
    }

    /// Follows until all of `wanted` are told; the lines that were changes, and up to where a state stood for them.
    fn until(&mut self, wanted: &[u64]) -> (Vec<Value>, u64) {
        let (mut changes, mut state) = (Vec::new(), 0);
        let mut left: BTreeSet<u64> = wanted.iter().copied().collect();
        while !left.is_empty() {
            let line = self.line().expect("the feed goes on");
            if let Some(upto) = line["state"].as_u64() {
                state = upto;
                left.retain(|index| *index > upto);
            } else if let Some(index) = line["index"].as_u64() {
                left.remove(&index);
                changes.push(line);
            }
        }
        (changes, state)
    }
}

fn indices(changes: &[Value]) -> Vec<u64> {
    changes.iter().map(|change| change["index"].as_u64().unwrap()).collect()
}

#[test]
fn every_member_tells_every_write_of_a_prefix_once_and_in_order() {
    let cluster = Cluster::start(BINARY, 3, &[]);
    let client = Client::new(&cluster);
    let mut feeds: Vec<Feed> = (0..3).map(|node| Feed::open(&cluster, node, "prefix=w1-")).collect();
    for feed in &mut feeds {
        assert!(feed.line().unwrap()["state"].is_u64());
    }
    let mut mine = Vec::new();
    for i in 0..30 {
        mine.push(client.must_put(i % 3, &format!("w1-{i}"), b"v"));
        client.must_put(i % 3, &format!("w2-{i}"), b"v");
    }
    mine.push(client.delete(1, "w1-0").1["index"].as_u64().unwrap());
    let told: Vec<Vec<Value>> = feeds.iter_mut().map(|feed| feed.until(&mine).0).collect();
    for changes in &told {
        assert_eq!(indices(changes), mine);
        assert_eq!(changes[4]["key"], "w1%2D4");
        assert_eq!(changes[4]["operation"], "put");
        assert_eq!(changes[30]["operation"], "delete");
        // Which member took the request is in the name of its proposal.
        assert!(
            changes[4]["proposal"].as_str().unwrap().starts_with("2."),
            "{}",
            changes[4]
        );
        let at: Vec<u64> = changes.iter().map(|change| change["at"].as_u64().unwrap()).collect();
        assert!(at.is_sorted() && at[0] > 1_600_000_000_000_000, "{at:?}");
    }
    let later = Feed::open(&cluster, 2, &format!("prefix=w1-&after={}", mine[20])).until(&mine[21..]);
    assert_eq!((indices(&later.0), later.1), (mine[21..].to_vec(), mine[20]));
}

#[test]
fn a_member_that_was_away_tells_what_it_missed() {
    let mut cluster = Cluster::start(BINARY, 3, &[("KV_SNAPSHOT_EVERY", "50")]);
    let client = Client::new(&cluster);
    let away = (cluster.leader() + 1) % 3;
    let other = (away + 1) % 3;
    let first = client.must_put(other, "before", b"v");
    let mut feed = Feed::open(&cluster, away, "after=0");
    feed.until(&[first]);
    cluster.kill(away);
    while let Some(line) = feed_line_or_end(&mut feed) {
        assert!(line["end"].is_null(), "a killed node says no farewell: {line}");
    }
    let missed: Vec<u64> = (0..120)
        .map(|i| client.must_put(other, &format!("k{i}"), b"v"))
        .collect();
    cluster.spawn(away);
    cluster.wait_ready([away]);
    let mut back = Feed::open(&cluster, away, &format!("after={first}"));
    let after = client.must_put(other, "after", b"v");
    let (changes, state) = back.until(&[&missed[..], &[after]].concat());
    let told = indices(&changes);
    assert!(
        missed.iter().all(|index| *index <= state || told.contains(index)),
        "{state} {told:?}"
    );
    assert!(
        state >= missed[49],
        "the log up to there was gone, so that a state stands for it: {state}"
    );
    assert_eq!(client.metric(away, "orrery_kv_feed_readers"), 1.0);
}

/// As `line`, for a connection that may be reset.
fn feed_line_or_end(feed: &mut Feed) -> Option<Value> {
    let mut text = String::new();
    match feed.lines.read_line(&mut text) {
        Ok(bytes) if bytes > 0 => serde_json::from_str(&text).ok(),
        _ => None,
    }
}

#[test]
fn a_quiet_feed_is_kept_alive_and_a_stopping_node_closes_it() {
    let mut cluster = Cluster::start(BINARY, 3, &[]);
    let mut feed = Feed::open(&cluster, 1, "prefix=nobody");
    assert!(feed.line().unwrap()["state"].is_u64());
    let line = feed.line().unwrap();
    assert!(line["applied"].is_u64() && line["index"].is_null(), "{line}");
    cluster.signal(1, "TERM");
    let end = eventually("the feed ends", || feed.line().filter(|line| !line["end"].is_null()));
    assert_eq!(end["end"], "shutting_down");
    assert!(feed.line().is_none());
    assert_eq!(cluster.wait_exit(1).code(), Some(0));
    assert!(Client::new(&cluster).status_code(0, "/feed?after=nonsense") == Some(400));
}

//! Real nodes on loopback ports, driven over HTTP.
#![allow(dead_code)] // Each test binary uses its own part.

pub mod history;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use orrery_kv::identity::Identity;
use serde_json::{Value, json};
use tempfile::TempDir;

pub const GROUP_KEY: [u8; 32] = [7; 32];
/// How long any single thing may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Ports below the range that the kernel gives to clients, so that a node can have its own back after a restart.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 10_000 + (std::process::id() % 20) as u16 * 1_000;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 1_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks until `probe` gives something; panics with `what` when patience ends.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A group of nodes with files of their own; all processes end with it.
pub struct Cluster {
    pub directory: TempDir,
    binary: PathBuf,
    settings: Vec<(String, String)>,
    http_ports: Vec<u16>,
    peer_ports: Vec<u16>,
    processes: Vec<Option<Child>>,
}

impl Cluster {
    /// Lays out `size` nodes without starting them.
    pub fn new(binary: &str, size: usize, settings: &[(&str, &str)]) -> Self {
        let cluster = Cluster {
            directory: tempfile::tempdir().unwrap(),
            binary: binary.into(),
            settings: settings.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            http_ports: (0..size).map(|_| free_port()).collect(),
            peer_ports: (0..size).map(|_| free_port()).collect(),
            processes: (0..size).map(|_| None).collect(),
        };
        fs::write(cluster.path("group-key"), hex::encode(GROUP_KEY)).unwrap();
        fs::write(cluster.path("peers.json"), cluster.peers(|_| GROUP_KEY).to_string()).unwrap();
        cluster
    }

    /// Starts `size` nodes and waits until all serve.
    pub fn start(binary: &str, size: usize, settings: &[(&str, &str)]) -> Self {
        let mut cluster = Self::new(binary, size, settings);
        for node in 0..size {
            cluster.spawn(node);
        }
        cluster.wait_ready(0..size);
        cluster
    }

    /// A peer list in which the public key of each ordinal comes from the group key that `key_of` gives.
    pub fn peers(&self, key_of: impl Fn(usize) -> [u8; 32]) -> Value {
        let row = |(ordinal, port): (usize, &u16)| {
            let public_key = hex::encode(Identity::derive(&key_of(ordinal), ordinal as u64).public());
            json!({"ordinal": ordinal, "host": "127.0.0.1", "port": port, "publicKey": public_key})
        };
        let peers: Vec<Value> = self.peer_ports.iter().enumerate().map(row).collect();
        json!({"configurationId": 1, "peers": peers})
    }

    pub fn size(&self) -> usize {
        self.processes.len()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn command(&self, node: usize) -> Command {
        let mut command = Command::new(&self.binary);
        self.configure(&mut command, node);
        command
    }

    /// Gives `command` the environment of `node`.
    pub fn configure(&self, command: &mut Command, node: usize) {
        command
            .env("KV_POD_NAME", format!("kv-{node}"))
            .env("KV_PEERS_FILE", self.path("peers.json"))
            .env("KV_GROUP_KEY_FILE", self.path("group-key"))
            .env("KV_DATA_DIR", self.path(&format!("data-{node}")))
            .env("KV_HTTP_ADDR", format!("127.0.0.1:{}", self.http_ports[node]))
            .env("KV_PEER_ADDR", format!("127.0.0.1:{}", self.peer_ports[node]))
            .env("KV_ELECTION_TIMEOUT_MS", "200")
            .env("KV_LOG", "info")
            .envs(self.settings.iter().cloned())
            .stdin(Stdio::null());
    }

    pub fn spawn(&mut self, node: usize) {
        let command = self.command(node);
        self.spawn_as(node, command);
    }

    /// Runs `command` in the place of `node`.
    pub fn spawn_as(&mut self, node: usize, mut command: Command) {
        assert!(self.processes[node].is_none(), "node {node} runs already");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path(node))
            .unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.processes[node] = Some(command.spawn().unwrap());
    }

    pub fn log_path(&self, node: usize) -> PathBuf {
        self.path(&format!("log-{node}"))
    }

    pub fn wait_ready(&self, nodes: impl IntoIterator<Item = usize>) {
        let client = Client::new(self);
        for node in nodes {
            eventually(&format!("node {node} is ready"), || {
                (client.status_code(node, "/readyz") == Some(200)).then_some(())
            });
        }
    }

    /// Ends a node as a power cut would.
    pub fn kill(&mut self, node: usize) {
        let mut child = self.processes[node].take().expect("node runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn signal(&self, node: usize, name: &str) {
        let pid = self.processes[node].as_ref().expect("node runs").id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for a node to end by itself.
    pub fn wait_exit(&mut self, node: usize) -> ExitStatus {
        let child = self.processes[node].as_mut().expect("node runs");
        let status = eventually("the node ends", || child.try_wait().unwrap());
        self.processes[node] = None;
        status
    }

    pub fn running(&self) -> Vec<usize> {
        (0..self.size())
            .filter(|node| self.processes[*node].is_some())
            .collect()
    }

    pub fn url(&self, node: usize, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http_ports[node])
    }

    /// The running node that leads, once all running nodes agree.
    pub fn leader(&self) -> usize {
        let client = Client::new(self);
        eventually("all running nodes have one leader", || {
            let leaders: Vec<_> = self
                .running()
                .iter()
                .map(|n| client.status(*n)["leader"].as_u64())
                .collect();
            let first = leaders[0]?;
            let agreed = leaders.iter().all(|l| *l == Some(first));
            Some(first as usize - 1).filter(|leader| agreed && self.running().contains(leader))
        })
    }

    /// Asserts that `nodes` hold the same entries wherever their logs overlap, and returns how many. (A node that was
    /// brought up to date with the whole state does not have the entries before it; digests compare those.)
    pub fn assert_same_log(&self, nodes: &[usize]) -> usize {
        let client = Client::new(self);
        let compacted = |node: &usize| {
            client.json(*node, "/debug/log?limit=0")["compactedIndex"]
                .as_u64()
                .unwrap()
        };
        let from = nodes.iter().map(compacted).max().unwrap();
        let path = format!("/debug/log?from={from}&limit=10000");
        let logs: Vec<Value> = nodes
            .iter()
            .map(|node| client.json(*node, &path)["entries"].clone())
            .collect();
        assert!(logs.iter().all(|log| *log == logs[0]), "{logs:?}");
        logs[0].as_array().unwrap().len()
    }

    /// Waits until `nodes` have applied the same log, and returns its length.
    pub fn wait_equal(&self, nodes: &[usize]) -> u64 {
        let client = Client::new(self);
        eventually("the nodes have the same state", || {
            let states: Vec<Value> = nodes.iter().map(|n| client.json(*n, "/debug/log?limit=0")).collect();
            let same = |field: &str| states.iter().all(|s| s[field] == states[0][field]);
            (same("digest") && same("appliedIndex")).then(|| states[0]["appliedIndex"].as_u64().unwrap())
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            // It may have ended already.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
        if std::thread::panicking() {
            for node in 0..self.size() {
                eprintln!("--- end of the log of node {node}\n{}", tail(&self.log_path(node)));
            }
        }
    }
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// An HTTP client with keep-alive connections of its own.
pub struct Client {
    agent: ureq::Agent,
    bases: Vec<String>,
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Acknowledged, at this index.
    At(u64),
    /// Surely not applied (503), or never received.
    No(String),
    /// Nobody knows.
    Unknown(String),
}

/// How a read ended: the value and its index, or why there is none.
pub type Got = Result<Option<(Vec<u8>, u64)>, String>;

impl Client {
    pub fn new(cluster: &Cluster) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(15)))
            .http_status_as_error(false)
            .build();
        Client {
            agent: config.into(),
            bases: (0..cluster.size()).map(|node| cluster.url(node, "")).collect(),
        }
    }

    pub fn put(&self, node: usize, key: &str, value: &[u8]) -> Written {
        let sent = self.agent.put(format!("{}/kv/{key}", self.bases[node])).send(value);
        let (status, body) = match sent {
            Err(ureq::Error::ConnectionFailed) => return Written::No("connection refused".into()),
            Err(ureq::Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                return Written::No(error.to_string());
            }
            Err(error) => return Written::Unknown(error.to_string()),
            Ok(mut response) => match response.body_mut().read_to_string() {
                Ok(body) => (response.status().as_u16(), body),
                Err(error) => return Written::Unknown(error.to_string()),
            },
        };
        match status {
            200 => Written::At(serde_json::from_str::<Value>(&body).unwrap()["index"].as_u64().unwrap()),
            503 => Written::No(body),
            _ => Written::Unknown(format!("{status} {body}")),
        }
    }

    /// A write that must succeed.
    pub fn must_put(&self, node: usize, key: &str, value: &[u8]) -> u64 {
        match self.put(node, key, value) {
            Written::At(index) => index,
            other => panic!("put {key} at node {node}: {other:?}"),
        }
    }

    pub fn get(&self, node: usize, key: &str, local: bool) -> Got {
        let suffix = if local { "?local=true" } else { "" };
        let call = self.agent.get(format!("{}/kv/{key}{suffix}", self.bases[node])).call();
        let mut response = call.map_err(|error| error.to_string())?;
        let body = response.body_mut().read_to_vec().map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            200 => {
                let index = response.headers()["x-kv-index"].to_str().unwrap().parse().unwrap();
                Ok(Some((body, index)))
            }
            404 => Ok(None),
            status => Err(format!("{status} {}", String::from_utf8_lossy(&body))),
        }
    }

    pub fn delete(&self, node: usize, key: &str) -> (u16, Value) {
        let mut response = self
            .agent
            .delete(format!("{}/kv/{key}", self.bases[node]))
            .call()
            .unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&body).unwrap())
    }

    pub fn post(&self, node: usize, path: &str) -> (u16, Value) {
        let mut response = self
            .agent
            .post(format!("{}{path}", self.bases[node]))
            .send_empty()
            .unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&body).unwrap())
    }

    pub fn status_code(&self, node: usize, path: &str) -> Option<u16> {
        let response = self.agent.get(format!("{}{path}", self.bases[node])).call();
        response.ok().map(|response| response.status().as_u16())
    }

    pub fn text(&self, node: usize, path: &str) -> String {
        let mut response = self.agent.get(format!("{}{path}", self.bases[node])).call().unwrap();
        response.body_mut().read_to_string().unwrap()
    }

    pub fn json(&self, node: usize, path: &str) -> Value {
        serde_json::from_str(&self.text(node, path)).unwrap()
    }

    pub fn status(&self, node: usize) -> Value {
        self.json(node, "/status")
    }

    /// The value of an unlabelled metric, or of one with exactly these labels.
    pub fn metric(&self, node: usize, name: &str) -> f64 {
        let text = self.text(node, "/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no metric {name}")).parse().unwrap()
    }
}

//! Configuration: environment and two files, checked as a whole before anything is touched.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::identity::Identity;

/// A replicated key-value node. All settings are environment variables; the flags are the same settings by hand.
///
/// Exit codes: 0 stopped as asked, 3 bad configuration (nothing changed), 4 fail-stop after a storage error.
#[derive(Parser, Clone, Debug)]
#[command(version, about, long_about)]
pub struct Settings {
    /// Name of the pod; its trailing number is the ordinal, and the pid is ordinal + 1
    #[arg(long, env = "KV_POD_NAME")]
    pub pod_name: String,
    /// JSON file with the configuration id and every member's ordinal, host, port and public key
    #[arg(long, env = "KV_PEERS_FILE", default_value = "/etc/orrery/peers.json")]
    pub peers_file: PathBuf,
    /// File with the group's secret key, 64 hex digits
    #[arg(long, env = "KV_GROUP_KEY_FILE", default_value = "/run/orrery/identity/group-key")]
    pub group_key_file: PathBuf,
    /// Directory of the data file; belongs to this node alone
    #[arg(long, env = "KV_DATA_DIR", default_value = "/data")]
    pub data_dir: PathBuf,
    /// Where clients are served (HTTP)
    #[arg(long, env = "KV_HTTP_ADDR", default_value = "0.0.0.0:8080")]
    pub http_addr: SocketAddr,
    /// Where peers are served (Noise over TCP)
    #[arg(long, env = "KV_PEER_ADDR", default_value = "0.0.0.0:7000")]
    pub peer_addr: SocketAddr,
    /// Snapshot the state and trim the log after this many decided entries
    #[arg(long, env = "KV_SNAPSHOT_EVERY", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_every: u64,
    /// Milliseconds without a leader's heartbeat after which an election starts
    #[arg(long, env = "KV_ELECTION_TIMEOUT_MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(20..=60_000))]
    pub election_timeout_ms: u64,
    /// Milliseconds after which a request is answered with an error
    #[arg(long, env = "KV_REQUEST_TIMEOUT_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(10..=600_000))]
    pub request_timeout_ms: u64,
    /// Base URL of an OpenTelemetry collector (OTLP over HTTP), e.g. http://otel-collector:4318; nothing is sent without
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Log filter: error, warn, info, debug, trace, or directives by module
    #[arg(long, env = "KV_LOG", default_value = "info")]
    pub log: String,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("KV_POD_NAME: {0:?} does not end in an ordinal; expected a name such as kv-0")]
    PodName(String),
    #[error("{setting}: cannot read {path}: {source}")]
    Unreadable {
        setting: &'static str,
        path: String,
        source: std::io::Error,
    },
    #[error("KV_GROUP_KEY_FILE: {path} must hold exactly 64 hex digits (32 bytes)")]
    GroupKey { path: String },
    #[error("KV_PEERS_FILE: {path} is not a valid peer list: {source}")]
    PeersJson { path: String, source: serde_json::Error },
    #[error("KV_PEERS_FILE: {path}: {problem}")]
    Peers { path: String, problem: String },
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0:?} is not a base URL such as http://otel-collector:4318 (without TLS)")]
    Endpoint(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PeersFile {
    configuration_id: u32,
    peers: Vec<PeerRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PeerRow {
    ordinal: u64,
    host: String,
    port: u16,
    public_key: String,
}

/// A member of the group, as the peer list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub host: String,
    pub port: u16,
    pub public_key: [u8; 32],
}

/// Everything a node needs, checked.
#[derive(Debug)]
pub struct Config {
    pub pod_name: String,
    pub ordinal: u64,
    pub pid: u64,
    pub configuration_id: u32,
    /// All members by pid, this node included.
    pub members: BTreeMap<u64, Member>,
    pub identity: Identity,
    pub data_dir: PathBuf,
    pub http_addr: SocketAddr,
    pub peer_addr: SocketAddr,
    pub snapshot_every: u64,
    pub election_timeout: Duration,
    pub request_timeout: Duration,
    /// Base URL of the collector, if there is one.
    pub otlp_endpoint: Option<String>,
}

impl Config {
    /// Reads the files that `settings` name and checks everything.
    pub fn load(settings: Settings) -> Result<Self, ConfigError> {
        let ordinal = ordinal_of(&settings.pod_name)?;
        let group_key = read_group_key(&settings.group_key_file)?;
        let (configuration_id, members) = read_peers(&settings.peers_file)?;
        let identity = Identity::derive(&group_key, ordinal);
        let pid = ordinal + 1;
        let problem = match members.get(&pid) {
            None => Some(format!("has no member with ordinal {ordinal}, which is this node")),
            Some(own) if own.public_key != *identity.public() => Some(format!(
                "lists public key {} for ordinal {ordinal}, but the group key derives {}; the two files are not of \
                 the same network",
                hex::encode(own.public_key),
                hex::encode(identity.public())
            )),
            Some(_) => None,
        };
        if let Some(problem) = problem {
            let path = settings.peers_file.display().to_string();
            return Err(ConfigError::Peers { path, problem });
        }
        let otlp_endpoint = settings.otlp_endpoint.filter(|url| !url.is_empty());
        if let Some(url) = otlp_endpoint.as_ref().filter(|url| !is_plain_http(url)) {
            return Err(ConfigError::Endpoint(url.clone()));
        }
        Ok(Config {
            pod_name: settings.pod_name,
            ordinal,
            pid,
            configuration_id,
            members,
            identity,
            data_dir: settings.data_dir,
            http_addr: settings.http_addr,
            peer_addr: settings.peer_addr,
            snapshot_every: settings.snapshot_every,
            election_timeout: Duration::from_millis(settings.election_timeout_ms),
            request_timeout: Duration::from_millis(settings.request_timeout_ms),
            otlp_endpoint,
        })
    }

    /// The other members' pids.
    pub fn peers(&self) -> impl Iterator<Item = u64> + '_ {
        self.members.keys().copied().filter(|pid| *pid != self.pid)
    }
}

fn is_plain_http(url: &str) -> bool {
    let parsed = url.parse::<axum::http::Uri>();
    parsed.is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some())
}

fn ordinal_of(pod_name: &str) -> Result<u64, ConfigError> {
    let digits = pod_name.len() - pod_name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    pod_name[pod_name.len() - digits..]
        .parse()
        .ok()
        .filter(|ordinal| *ordinal < MAX_ORDINAL)
        .ok_or_else(|| ConfigError::PodName(pod_name.to_owned()))
}

/// The consensus crate keeps tables as long as the largest pid.
const MAX_ORDINAL: u64 = 1000;

fn read(setting: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    std::fs::read(path)
        .map(Zeroizing::new)
        .map_err(|source| ConfigError::Unreadable {
            setting,
            path: path.display().to_string(),
            source,
        })
}

fn read_group_key(path: &Path) -> Result<Zeroizing<[u8; 32]>, ConfigError> {
    let text = read("KV_GROUP_KEY_FILE", path)?;
    let mut key = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(text.trim_ascii(), key.as_mut()).map_err(|_| ConfigError::GroupKey {
        path: path.display().to_string(),
    })?;
    Ok(key)
}

fn read_peers(path: &Path) -> Result<(u32, BTreeMap<u64, Member>), ConfigError> {
    let bytes = read("KV_PEERS_FILE", path)?;
    let file: PeersFile = serde_json::from_slice(&bytes).map_err(|source| ConfigError::PeersJson {
        path: path.display().to_string(),
        source,
    })?;
    check_peers(file).map_err(|problem| ConfigError::Peers {
        path: path.display().to_string(),
        problem,
    })
}

fn check_peers(file: PeersFile) -> Result<(u32, BTreeMap<u64, Member>), String> {
    if file.configuration_id == 0 {
        return Err("configurationId must be at least 1".into());
    }
    let mut members = BTreeMap::new();
    for row in file.peers {
        let ordinal = row.ordinal;
        let mut public_key = [0u8; 32];
        hex::decode_to_slice(&row.public_key, &mut public_key)
            .map_err(|_| format!("publicKey of ordinal {ordinal} must be 64 hex digits"))?;
        if ordinal >= MAX_ORDINAL {
            return Err(format!("ordinal {ordinal} is too large; at most {}", MAX_ORDINAL - 1));
        }
        if row.host.is_empty() || row.port == 0 {
            return Err(format!("ordinal {ordinal} needs a host and a port"));
        }
        let shared = members.values().any(|m: &Member| m.public_key == public_key);
        let member = Member {
            host: row.host,
            port: row.port,
            public_key,
        };
        if members.insert(ordinal + 1, member).is_some() {
            return Err(format!("ordinal {ordinal} is listed twice"));
        }
        if shared {
            return Err(format!("publicKey of ordinal {ordinal} is listed twice"));
        }
    }
    if members.len() < 2 {
        return Err(format!(
            "lists {} member(s); replication needs at least 2, and 3 to survive the loss of one",
            members.len()
        ));
    }
    Ok((file.configuration_id, members))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ordinal_is_the_trailing_number() {
        assert_eq!(ordinal_of("kv-0").unwrap(), 0);
        assert_eq!(ordinal_of("a2-kv-17").unwrap(), 17);
        for bad in ["", "kv", "kv-", "kv-99999999999999999999", "kv-1000"] {
            assert!(matches!(ordinal_of(bad), Err(ConfigError::PodName(_))), "{bad}");
        }
    }

    fn peers(text: &str) -> Result<(u32, BTreeMap<u64, Member>), String> {
        check_peers(serde_json::from_str(text).map_err(|error| error.to_string())?)
    }

    fn row(ordinal: u64, key: &str) -> String {
        format!(r#"{{"ordinal":{ordinal},"host":"h","port":1,"publicKey":"{key}"}}"#)
    }

    #[test]
    fn a_good_list_is_taken_and_each_defect_is_named() {
        let (a, b) = ("aa".repeat(32), "bb".repeat(32));
        let list = |id: u32, rows: &[String]| format!(r#"{{"configurationId":{id},"peers":[{}]}}"#, rows.join(","));
        let (id, members) = peers(&list(4, &[row(0, &a), row(1, &b)])).unwrap();
        assert_eq!((id, members.keys().copied().collect::<Vec<_>>()), (4, vec![1, 2]));
        for (text, part) in [
            (list(0, &[row(0, &a), row(1, &b)]), "configurationId"),
            (list(1, &[row(0, &a)]), "at least 2"),
            (list(1, &[row(0, &a), row(0, &b)]), "listed twice"),
            (list(1, &[row(0, &a), row(1, &a)]), "listed twice"),
            (list(1, &[row(0, &a), row(1, "zz")]), "hex"),
            (list(1, &[row(0, &a), row(5000, &b)]), "too large"),
        ] {
            let error = peers(&text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

//! What a node says about itself.

use serde::Serialize;

/// A node's role in the present ballot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Leads, and reaches a majority.
    Leader,
    /// Has promised to another node.
    Follower,
    /// Neither: seeks followers, has lost them, or recovers.
    Candidate,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Candidate => "candidate",
        }
    }
}

/// A ballot of the consensus crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BallotView {
    pub n: u32,
    pub priority: u32,
    pub pid: u64,
    pub configuration_id: u32,
}

/// A peer and whether there is a session with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PeerView {
    pub pid: u64,
    pub connected: bool,
}

/// The body of `GET /status`, but for what changes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub pid: u64,
    pub ordinal: u64,
    pub role: Role,
    pub leader: Option<u64>,
    pub ballot: Option<BallotView>,
    pub decided_index: u64,
    pub compacted_index: u64,
    pub configuration_id: u32,
    pub keys: u64,
    pub peers: Vec<PeerView>,
    pub version: &'static str,
    /// Why the node does not serve; nothing if it does.
    #[serde(skip)]
    pub not_ready: Option<String>,
}

impl Status {
    /// The status before the first turn of the event loop.
    pub fn starting(pid: u64, ordinal: u64, configuration_id: u32) -> Self {
        Status {
            pid,
            ordinal,
            role: Role::Candidate,
            leader: None,
            ballot: None,
            decided_index: 0,
            compacted_index: 0,
            configuration_id,
            keys: 0,
            peers: Vec::new(),
            version: env!("CARGO_PKG_VERSION"),
            not_ready: Some("starting".into()),
        }
    }
}

//! What the HTTP side asks of the event loop, and what it is told.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::peer::PeerEvent;
use crate::store::Found;
use crate::telemetry::Trace;

/// Everything the event loop reacts to, besides time.
pub enum Event {
    Request(Request),
    Peer(PeerEvent),
    /// Stop taking requests, hand over, end.
    Shutdown,
}

/// One client request.
pub struct Request {
    pub call: Call,
    pub deadline: Instant,
    pub reply: Reply,
}

/// Where the answer goes; whoever waits may be gone.
pub struct Reply {
    answer: oneshot::Sender<Result<Answer, Refusal>>,
    trace: Option<Arc<Trace>>,
}

impl Reply {
    pub fn new(answer: oneshot::Sender<Result<Answer, Refusal>>, trace: Option<Arc<Trace>>) -> Self {
        Reply { answer, trace }
    }

    /// Gives the answer back when nobody waits for it any more.
    pub fn send(self, result: Result<Answer, Refusal>) -> Result<(), Result<Answer, Refusal>> {
        self.answer.send(result)
    }

    /// There while the request is traced and not answered.
    pub fn trace(&self) -> Option<&Arc<Trace>> {
        self.trace.as_ref()
    }
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Put {
        key: Bytes,
        value: Bytes,
    },
    Delete {
        key: Bytes,
    },
    /// Linearizable.
    Read {
        key: Bytes,
    },
    /// This node's state as it is now.
    LocalRead {
        key: Bytes,
    },
    /// Decided entries from a position (counted from 0), at most so many.
    DecidedLog {
        from: u64,
        limit: u64,
    },
}

/// What became of it.
#[derive(Debug)]
pub enum Answer {
    /// Decided and durable, at this position counted from 1.
    Written {
        index: u64,
        existed: bool,
    },
    /// The value, if there is one, after this many entries.
    Value {
        found: Option<Found>,
        applied: u64,
    },
    Log(DecidedLog),
}

/// A piece of the decided log, for comparing nodes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedLog {
    pub compacted_index: u64,
    pub applied_index: u64,
    /// Chain over all applied entries, hex.
    pub digest: String,
    pub entries: Vec<LogRow>,
}

/// One entry of a [`DecidedLog`].
#[derive(Debug, Serialize)]
pub struct LogRow {
    pub index: u64,
    pub operation: &'static str,
    /// The key, percent-encoded.
    pub key: String,
    pub proposal: String,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    /// No leader was in reach; surely not applied.
    NoLeader,
    /// Proposed, and no decision was seen in time; may or may not be applied.
    Timeout,
    /// The node is stopping; surely not applied.
    ShuttingDown,
}

/// A refusal with its reason in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    pub reason: String,
}

impl Refusal {
    pub fn new(code: RefusalCode, reason: impl Into<String>) -> Self {
        Refusal {
            code,
            reason: reason.into(),
        }
    }
}

//! What is replicated: proposals, and the snapshot type the consensus crate exchanges.

use std::collections::BTreeMap;

use bytes::Bytes;
use omnipaxos::storage::{Entry, Snapshot};
use serde::{Deserialize, Serialize};

use crate::session::Session;

/// Names one proposal for ever: which node made it, in which of its lives, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProposalId {
    /// The node that answers the client.
    pub pid: u64,
    /// Grows with every start of that node.
    pub boot: u64,
    /// Grows with every proposal of that life.
    pub counter: u64,
}

/// The change (or the absence of one) that a proposal makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Set `key` to `value`.
    Put { key: Bytes, value: Bytes },
    /// Remove `key`.
    Delete { key: Bytes },
    /// Change nothing; its place in the log is where reads waiting for it are served.
    Barrier,
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvEntry {
    /// Applied at most once, however often it is proposed.
    pub id: ProposalId,
    /// Every counter below this one is finished at the proposer: its copies must not be applied any more.
    pub low: u64,
    pub operation: Operation,
    /// Position in the log, counted from 0. Filled in by the store on reading; not part of the encoding.
    #[serde(skip)]
    pub index: u64,
}

impl KvEntry {
    /// Bytes of key and value, for accounting.
    pub fn payload_len(&self) -> usize {
        match &self.operation {
            Operation::Put { key, value } => key.len() + value.len(),
            Operation::Delete { key } => key.len(),
            Operation::Barrier => 0,
        }
    }
}

impl Entry for KvEntry {
    type Snapshot = KvSnapshot;
}

/// One stored pair as it travels in a full state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub key: Bytes,
    pub value: Bytes,
    /// Log position of the write that made it, counted from 1.
    pub index: u64,
}

/// The whole state machine after `applied` entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullState {
    /// How many entries of the log this state contains.
    pub applied: u64,
    /// Chain over those entries; equal on two nodes exactly if they applied the same entries in the same order.
    pub digest: [u8; 32],
    /// What is needed to recognise a proposal that comes twice, by proposer.
    pub sessions: BTreeMap<u64, Session>,
    pub pairs: Vec<Pair>,
}

/// The consensus crate's snapshot.
///
/// The state machine lives in the same store as the log and is never behind the compacted index, so it *is* the
/// snapshot: locally nothing is copied. `Resident` stands for it. What travels to a peer is a `Full` state (made when
/// the message is sent, see [`crate::outgoing`]) or, as a delta, the entries themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvSnapshot {
    /// The tables of the store that was asked.
    Resident,
    /// Entries to be applied on top of the receiver's tables, each with its position counted from 0.
    Entries(Vec<(u64, KvEntry)>),
    /// Everything.
    Full(Box<FullState>),
}

impl Snapshot<KvEntry> for KvSnapshot {
    fn create(entries: &[KvEntry]) -> Self {
        KvSnapshot::Entries(entries.iter().map(|e| (e.index, e.clone())).collect())
    }

    fn merge(&mut self, delta: Self) {
        match (&mut *self, delta) {
            (_, KvSnapshot::Resident) => {}
            (KvSnapshot::Resident, other) => *self = other,
            (KvSnapshot::Entries(own), KvSnapshot::Entries(more)) => {
                // What comes is decided. The own part may reach further and differ there: the crate reads it up to
                // the new decided index, where this log can still hold entries of a round that lost.
                if let Some((first, _)) = more.first() {
                    own.retain(|(index, _)| index < first);
                }
                own.extend(more);
            }
            (KvSnapshot::Full(own), KvSnapshot::Full(other)) => {
                if other.applied > own.applied {
                    *own = other;
                }
            }
            (KvSnapshot::Entries(_), full @ KvSnapshot::Full(_)) => *self = full,
            (KvSnapshot::Full(_), KvSnapshot::Entries(_)) => {
                // The crate merges only into what the store returned (`Resident`) or made from it.
                unreachable!("entries are never merged into a state that came from a peer")
            }
        }
    }

    fn use_snapshots() -> bool {
        true
    }
}

//! What the event loop lets others see: status, gauges, and rows of the decided log.

use super::{Leadership, Replica};
use crate::entry::KvEntry;
use crate::request::LogRow;
use crate::status::{BallotView, PeerView, Role};
use crate::store::StoreError;

impl Replica {
    pub(super) fn publish(&mut self) -> Result<(), StoreError> {
        let Leadership { ballot, leader, .. } = self.leadership;
        let role = match leader {
            Some(pid) if pid == self.pid => Role::Leader,
            _ if ballot.pid != 0 && ballot.pid != self.pid => Role::Follower,
            _ => Role::Candidate,
        };
        let mut store = self.store.borrow_mut();
        let (decided, compacted, keys) = (
            self.omnipaxos.get_decided_idx() as u64,
            store.compacted(),
            store.keys()?,
        );
        let metrics = &self.metrics;
        metrics.set_role(role.as_str());
        metrics.decided_index.set(decided as i64);
        metrics.applied_index.set(store.applied() as i64);
        metrics.compacted_index.set(compacted as i64);
        metrics.log_entries.set(store.log_len() as i64);
        metrics.log_bytes.set(store.log_bytes() as i64);
        metrics.keys.set(keys as i64);
        metrics.waiting_requests.set(self.pending.waiting() as i64);
        metrics.open_proposals.set(self.pending.open() as i64);
        let not_ready = self.not_ready(leader, store.applied(), decided);
        metrics.ready.set(i64::from(not_ready.is_none()));
        let peers = self.members.iter().filter(|pid| **pid != self.pid);
        let peers = peers.map(|pid| PeerView {
            pid: *pid,
            connected: self.sessions.contains_key(pid),
        });
        self.status.send_modify(|status| {
            status.role = role;
            status.leader = leader;
            status.ballot = (ballot.pid != 0).then_some(BallotView {
                n: ballot.n,
                priority: ballot.priority,
                pid: ballot.pid,
                configuration_id: ballot.config_id,
            });
            status.decided_index = decided;
            status.compacted_index = compacted;
            status.keys = keys;
            status.peers = peers.collect();
            status.not_ready = not_ready;
        });
        Ok(())
    }

    fn not_ready(&self, leader: Option<u64>, applied: u64, decided: u64) -> Option<String> {
        if self.stop_at.is_some() {
            return Some("stopping".into());
        }
        if leader.is_none() {
            let connected = self.sessions.len();
            let peers = self.members.len() - 1;
            return Some(format!(
                "no leader is in reach ({connected} of {peers} peers connected)"
            ));
        }
        // Accepting from a leader means having its log, and knowing what it had decided then.
        (applied < decided).then(|| format!("applied {applied} of {decided} decided entries"))
    }
}

impl From<&KvEntry> for LogRow {
    fn from(entry: &KvEntry) -> Self {
        use crate::entry::Operation::{Barrier, Delete, Put};
        let (operation, key) = match &entry.operation {
            Put { key, .. } => ("put", key.as_ref()),
            Delete { key } => ("delete", key.as_ref()),
            Barrier => ("barrier", &[] as &[u8]),
        };
        LogRow {
            index: entry.index + 1,
            operation,
            key: percent_encoding::percent_encode(key, percent_encoding::NON_ALPHANUMERIC).to_string(),
            proposal: format!("{}.{}.{}", entry.id.pid, entry.id.boot, entry.id.counter),
        }
    }
}

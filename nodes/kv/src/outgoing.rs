//! Makes a message fit to leave the process.

use omnipaxos::messages::Message;
use omnipaxos::messages::sequence_paxos::{PaxosMessage, PaxosMsg};
use omnipaxos::storage::SnapshotType;
use omnipaxos::util::LogSync;

use crate::entry::{KvEntry, KvSnapshot};
use crate::store::{Store, StoreError};

/// Replaces a complete snapshot, which inside the process only stands for the store's tables, by their content.
///
/// The content may be ahead of the index the crate meant (more was decided since): it says itself how far it goes,
/// and the receiver skips what it contains already.
pub fn materialise(message: &mut Message<KvEntry>, store: &mut Store) -> Result<bool, StoreError> {
    match log_sync(message) {
        Some(LogSync {
            decided_snapshot: Some(SnapshotType::Complete(snapshot)),
            ..
        }) => {
            // Entries from the very first one are a complete snapshot as they are, and tell the receiver the outcome
            // of its own proposals, which a state does not.
            if matches!(snapshot, KvSnapshot::Entries(entries) if entries.first().is_some_and(|(index, _)| *index == 0))
            {
                return Ok(false);
            }
            *snapshot = KvSnapshot::Full(Box::new(store.export()?));
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn log_sync(message: &mut Message<KvEntry>) -> Option<&mut LogSync<KvEntry>> {
    match message {
        Message::SequencePaxos(PaxosMessage {
            msg: PaxosMsg::AcceptSync(sync),
            ..
        }) => Some(&mut sync.log_sync),
        Message::SequencePaxos(PaxosMessage {
            msg: PaxosMsg::Promise(promise),
            ..
        }) => promise.log_sync.as_mut(),
        _ => None,
    }
}

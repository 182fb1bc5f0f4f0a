//! The state machine: pairs, and what recognises a proposal that comes twice. It is never behind the compacted index.

use bytes::Bytes;
use redb::{ReadableTable, ReadableTableMetadata};
use sha2::{Digest, Sha256};

use super::{PAIRS, Store, StoreError, encode, engine};
use crate::entry::{FullState, KvEntry, KvSnapshot, Operation, Pair, ProposalId};
use crate::feed::Change;
use crate::session;

/// How many entries are in memory at once while the log is applied.
const APPLY_BATCH: u64 = 512;

/// What applying one entry did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub id: ProposalId,
    /// Position in the log, counted from 1.
    pub index: u64,
    /// Whether the key was there before (put and delete).
    pub existed: bool,
    /// What it changed; nothing for a barrier.
    pub change: Option<Change>,
}

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub value: Bytes,
    /// Position in the log of the write that made it, counted from 1.
    pub index: u64,
}

impl Store {
    /// Applies the log up to `decided`. Entries admitted for the first time leave an [`Outcome`].
    pub fn apply_up_to(&mut self, decided: u64) -> Result<(), StoreError> {
        while self.meta.applied < decided {
            let from = self.meta.applied;
            let to = decided.min(from + APPLY_BATCH);
            let entries = self.entries(from, to)?;
            if entries.is_empty() {
                return Err(StoreError::Invariant(format!(
                    "decided entries [{from}, {to}) are missing: the log holds [{}, {})",
                    self.meta.compacted, self.meta.log_end
                )));
            }
            for entry in &entries {
                self.apply(entry)?;
            }
        }
        Ok(())
    }

    /// What was applied since the last call, in order.
    pub fn take_outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    /// Whether the state was replaced by a peer's since the last call: then some proposals left no outcome.
    pub fn take_replaced(&mut self) -> bool {
        std::mem::take(&mut self.replaced)
    }

    /// Whether a proposal of this node's present life is contained in the state.
    pub fn contains(&self, id: &ProposalId) -> bool {
        self.sessions.get(&id.pid).is_some_and(|session| {
            session.boot == id.boot && (id.counter < session.low || session.applied.contains(&id.counter))
        })
    }

    /// The value of `key` in the state machine.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Found>, StoreError> {
        let transaction = self.transaction()?;
        let table = transaction.open_table(PAIRS).map_err(engine("opening pairs"))?;
        let found = table.get(key).map_err(engine("reading a pair"))?;
        Ok(found.map(|guard| {
            let (index, value) = guard.value();
            Found {
                value: Bytes::copy_from_slice(value),
                index,
            }
        }))
    }

    /// How many keys there are.
    pub fn keys(&mut self) -> Result<u64, StoreError> {
        let transaction = self.transaction()?;
        let table = transaction.open_table(PAIRS).map_err(engine("opening pairs"))?;
        table.len().map_err(engine("counting pairs"))
    }

    /// Everything, to be sent to a node that is too far behind.
    pub fn export(&mut self) -> Result<FullState, StoreError> {
        let mut pairs = Vec::new();
        {
            let transaction = self.transaction()?;
            let table = transaction.open_table(PAIRS).map_err(engine("opening pairs"))?;
            for row in table.iter().map_err(engine("reading pairs"))? {
                let (key, guard) = row.map_err(engine("reading pairs"))?;
                let (index, value) = guard.value();
                pairs.push(Pair {
                    key: Bytes::copy_from_slice(key.value()),
                    value: Bytes::copy_from_slice(value),
                    index,
                });
            }
        }
        Ok(FullState {
            applied: self.meta.applied,
            digest: self.meta.digest,
            sessions: self.sessions.clone(),
            pairs,
        })
    }

    /// Takes over a snapshot; one that is not ahead of the own state changes nothing.
    pub(crate) fn install(&mut self, snapshot: &KvSnapshot) -> Result<(), StoreError> {
        match snapshot {
            KvSnapshot::Resident => Ok(()),
            KvSnapshot::Entries(entries) => {
                for (index, entry) in entries {
                    if *index < self.meta.applied {
                        continue;
                    }
                    if *index != self.meta.applied {
                        return Err(StoreError::Invariant(format!(
                            "a snapshot goes on at {index}, the state ends at {}",
                            self.meta.applied
                        )));
                    }
                    self.apply(entry)?;
                }
                Ok(())
            }
            KvSnapshot::Full(state) if state.applied <= self.meta.applied => Ok(()),
            KvSnapshot::Full(state) => self.replace(state),
        }
    }

    /// The state machine must contain whatever the log does not hold any more.
    pub(crate) fn check_compacted(&self) -> Result<(), StoreError> {
        if self.meta.applied < self.meta.compacted {
            return Err(StoreError::Invariant(format!(
                "the log is compacted up to {}, the state machine is at {}",
                self.meta.compacted, self.meta.applied
            )));
        }
        Ok(())
    }

    fn replace(&mut self, state: &FullState) -> Result<(), StoreError> {
        {
            let transaction = self.transaction()?;
            transaction.delete_table(PAIRS).map_err(engine("dropping pairs"))?;
            let mut table = transaction.open_table(PAIRS).map_err(engine("opening pairs"))?;
            for pair in &state.pairs {
                table
                    .insert(&*pair.key, (pair.index, &*pair.value))
                    .map_err(engine("writing a pair"))?;
            }
        }
        self.meta.applied = state.applied;
        self.meta.digest = state.digest;
        self.sessions.clone_from(&state.sessions);
        self.replaced = true;
        self.changed(true);
        Ok(())
    }

    /// Applies the next entry. Not worth an fsync of its own: the log holds the entry.
    fn apply(&mut self, entry: &KvEntry) -> Result<(), StoreError> {
        let mut chain = Sha256::new();
        chain.update(self.meta.digest);
        chain.update(encode(entry)?);
        self.meta.digest = chain.finalize().into();
        self.meta.applied += 1;
        let index = self.meta.applied;
        self.changed(false);
        if !session::admit(&mut self.sessions, entry) {
            return Ok(());
        }
        let existed = self.perform(&entry.operation, index)?;
        self.outcomes.push(Outcome {
            id: entry.id,
            index,
            existed,
            change: change_of(entry, index),
        });
        Ok(())
    }

    fn perform(&mut self, operation: &Operation, index: u64) -> Result<bool, StoreError> {
        let transaction = self.transaction()?;
        match operation {
            Operation::Barrier => Ok(false),
            Operation::Put { key, value } => {
                let mut table = transaction.open_table(PAIRS).map_err(engine("opening pairs"))?;
                let previous = table
                    .insert(&**key, (index, &**value))
                    .map_err(engine("writing a pair"))?;
                Ok(previous.is_some())
            }
            Operation::Delete { key } => {
                let mut table = transaction.open_table(PAIRS).map_err(engine("opening pairs"))?;
                let previous = table.remove(&**key).map_err(engine("removing a pair"))?;
                Ok(previous.is_some())
            }
        }
    }
}

fn change_of(entry: &KvEntry, index: u64) -> Option<Change> {
    let (operation, key) = match &entry.operation {
        Operation::Put { key, .. } => ("put", key),
        Operation::Delete { key } => ("delete", key),
        Operation::Barrier => return None,
    };
    Some(Change {
        index,
        operation,
        key: key.clone(),
        proposal: entry.id,
    })
}

//! The consensus crate's `Storage` trait over [`Store`], shared with the event loop on the one thread that has both.

use std::cell::RefCell;
use std::rc::Rc;

use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::storage::{StopSign, Storage, StorageOp, StorageResult};

use crate::entry::{KvEntry, KvSnapshot};
use crate::store::{Store, StoreError};

/// A handle on the store. The crate answers an error with a panic, which ends the process (see `replica`): going on
/// after a failed write would be unsound.
#[derive(Clone)]
pub struct PaxosStorage(Rc<RefCell<Store>>);

impl PaxosStorage {
    pub fn new(store: Rc<RefCell<Store>>) -> Self {
        PaxosStorage(store)
    }

    fn perform(store: &mut Store, operation: StorageOp<KvEntry>) -> Result<(), StoreError> {
        match operation {
            StorageOp::AppendEntry(entry) => store.append(&[entry])?,
            StorageOp::AppendEntries(entries) => store.append(&entries)?,
            StorageOp::AppendOnPrefix(from, entries) => store.append_on_prefix(from as u64, &entries)?,
            StorageOp::SetPromise(ballot) => store.set_promise(ballot),
            StorageOp::SetDecidedIndex(index) => store.set_decided(index as u64),
            StorageOp::SetAcceptedRound(ballot) => store.set_accepted_round(ballot),
            StorageOp::SetCompactedIdx(index) => store.set_compacted(index as u64),
            StorageOp::Trim(index) => store.trim(index as u64)?,
            StorageOp::SetStopsign(stopsign) => store.set_stopsign(stopsign),
            StorageOp::SetSnapshot(Some(snapshot)) => store.install(&snapshot)?,
            StorageOp::SetSnapshot(None) => {}
        }
        Ok(())
    }

    fn one(&mut self, operation: StorageOp<KvEntry>) -> StorageResult<()> {
        Ok(Self::perform(&mut self.0.borrow_mut(), operation)?)
    }
}

impl Storage<KvEntry> for PaxosStorage {
    fn write_atomically(&mut self, operations: Vec<StorageOp<KvEntry>>) -> StorageResult<()> {
        let mut store = self.0.borrow_mut();
        for operation in operations {
            Self::perform(&mut store, operation)?;
        }
        Ok(store.check_compacted()?)
    }

    fn append_entry(&mut self, entry: KvEntry) -> StorageResult<()> {
        self.one(StorageOp::AppendEntry(entry))
    }

    fn append_entries(&mut self, entries: Vec<KvEntry>) -> StorageResult<()> {
        self.one(StorageOp::AppendEntries(entries))
    }

    fn append_on_prefix(&mut self, from: usize, entries: Vec<KvEntry>) -> StorageResult<()> {
        self.one(StorageOp::AppendOnPrefix(from, entries))
    }

    fn set_promise(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.one(StorageOp::SetPromise(ballot))
    }

    fn set_decided_idx(&mut self, index: usize) -> StorageResult<()> {
        self.one(StorageOp::SetDecidedIndex(index))
    }

    fn get_decided_idx(&self) -> StorageResult<usize> {
        Ok(self.0.borrow().decided() as usize)
    }

    fn set_accepted_round(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.one(StorageOp::SetAcceptedRound(ballot))
    }

    fn get_accepted_round(&self) -> StorageResult<Option<Ballot>> {
        Ok(self.0.borrow().accepted_round())
    }

    fn get_entries(&self, from: usize, to: usize) -> StorageResult<Vec<KvEntry>> {
        Ok(self.0.borrow_mut().entries(from as u64, to as u64)?)
    }

    fn get_log_len(&self) -> StorageResult<usize> {
        Ok(self.0.borrow().log_len() as usize)
    }

    fn get_suffix(&self, from: usize) -> StorageResult<Vec<KvEntry>> {
        Ok(self.0.borrow_mut().suffix(from as u64)?)
    }

    fn get_promise(&self) -> StorageResult<Option<Ballot>> {
        Ok(self.0.borrow().promise())
    }

    fn set_stopsign(&mut self, stopsign: Option<StopSign>) -> StorageResult<()> {
        self.one(StorageOp::SetStopsign(stopsign))
    }

    fn get_stopsign(&self) -> StorageResult<Option<StopSign>> {
        Ok(self.0.borrow().stopsign())
    }

    fn trim(&mut self, index: usize) -> StorageResult<()> {
        self.one(StorageOp::Trim(index))
    }

    fn set_compacted_idx(&mut self, index: usize) -> StorageResult<()> {
        self.one(StorageOp::SetCompactedIdx(index))
    }

    fn get_compacted_idx(&self) -> StorageResult<usize> {
        Ok(self.0.borrow().compacted() as usize)
    }

    fn set_snapshot(&mut self, snapshot: Option<KvSnapshot>) -> StorageResult<()> {
        self.one(StorageOp::SetSnapshot(snapshot))
    }

    fn get_snapshot(&self) -> StorageResult<Option<KvSnapshot>> {
        Ok(Some(KvSnapshot::Resident))
    }
}

//! The store against a model: any operations, reopened, crashed, and torn at any point.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::storage::{Snapshot, Storage, StorageOp};
use orrery_kv::entry::{FullState, KvEntry, KvSnapshot, Operation, Pair, ProposalId};
use orrery_kv::paxos_storage::PaxosStorage;
use orrery_kv::store::{Owner, Store, StoreError};
use proptest::prelude::*;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

const OWNER: Owner = Owner {
    pid: 1,
    configuration: 1,
};

/// What the store must contain.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    promise: Option<Ballot>,
    accepted: Option<Ballot>,
    decided: usize,
    compacted: usize,
    log: Vec<KvEntry>,
    applied: usize,
    pairs: BTreeMap<Bytes, (u64, Bytes)>,
}

impl Model {
    fn end(&self) -> usize {
        self.compacted + self.log.len()
    }

    fn apply_decided(&mut self) {
        for index in self.applied..self.decided {
            let entry = &self.log[index - self.compacted];
            match entry.operation.clone() {
                Operation::Put { key, value } => drop(self.pairs.insert(key, (index as u64 + 1, value))),
                Operation::Delete { key } => drop(self.pairs.remove(&key)),
                Operation::Barrier => {}
            }
        }
        self.applied = self.decided;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Operation>),
    /// Replace this share (of 255) of the undecided tail.
    Replace(u8, Vec<Operation>),
    Promise(u32),
    Accept(u32),
    /// Decide and apply this share of the undecided tail.
    Decide(u8),
    Compact,
    /// Take over a peer's state this far ahead of the log, with entries after it.
    Install(u8, Vec<Operation>),
    Flush,
    /// Stop well and start.
    Reopen,
    /// Stop at once and start.
    Crash,
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = prop::sample::select(vec!["a", "b", "c", "d", "e"]).prop_map(Bytes::from);
    let value = prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    prop_oneof![
        4 => (key.clone(), value).prop_map(|(key, value)| Operation::Put { key, value }),
        2 => key.prop_map(|key| Operation::Delete { key }),
        1 => Just(Operation::Barrier),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let operations = || prop::collection::vec(operation(), 0..6);
    prop_oneof![
        4 => operations().prop_map(Step::Append),
        2 => (any::<u8>(), operations()).prop_map(|(share, o)| Step::Replace(share, o)),
        1 => any::<u32>().prop_map(Step::Promise),
        1 => any::<u32>().prop_map(Step::Accept),
        4 => any::<u8>().prop_map(Step::Decide),
        1 => Just(Step::Compact),
        1 => (any::<u8>(), operations()).prop_map(|(ahead, o)| Step::Install(ahead, o)),
        3 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

/// A store in a directory beside its model.
struct Bench<'a> {
    directory: &'a Path,
    store: Option<Rc<RefCell<Store>>>,
    now: Model,
    durable: Model,
    promised: bool,
    counter: u64,
    boot: u64,
}

impl<'a> Bench<'a> {
    fn new(directory: &'a Path) -> Self {
        let mut bench = Bench {
            directory,
            store: None,
            now: Model::default(),
            durable: Model::default(),
            promised: false,
            counter: 0,
            boot: 0,
        };
        bench.open();
        bench
    }

    fn open(&mut self) {
        let store = Store::open(self.directory, OWNER, 0).unwrap();
        assert!(store.boot() > self.boot, "every life has a larger number");
        self.boot = store.boot();
        self.store = Some(Rc::new(RefCell::new(store)));
        self.promised = false;
    }

    fn shared(&self) -> Rc<RefCell<Store>> {
        self.store.clone().unwrap()
    }

    fn storage(&self) -> PaxosStorage {
        PaxosStorage::new(self.shared())
    }

    fn entries(&mut self, operations: Vec<Operation>) -> Vec<KvEntry> {
        let mut entry = |operation| {
            self.counter += 1;
            KvEntry {
                id: ProposalId {
                    pid: 1,
                    boot: 1,
                    counter: self.counter,
                },
                low: 0,
                operation,
                index: 0,
            }
        };
        operations.into_iter().map(&mut entry).collect()
    }

    fn flush(&mut self, everything: bool) {
        let written = self.shared().borrow_mut().flush(everything).unwrap().is_some();
        assert!(written || !self.promised, "what may be promised was not flushed");
        if written {
            self.durable = self.now.clone();
            self.promised = false;
        }
    }

    fn take(&mut self, step: Step) {
        let mut storage = self.storage();
        match step {
            Step::Append(operations) => {
                let entries = self.entries(operations);
                self.promised |= !entries.is_empty();
                self.now.log.extend(entries.clone());
                storage.append_entries(entries).unwrap();
            }
            Step::Replace(share, operations) => {
                let entries = self.entries(operations);
                let keep = (self.now.end() - self.now.decided) * usize::from(share) / 255;
                let from = self.now.decided + keep;
                self.now.log.truncate(from - self.now.compacted);
                self.now.log.extend(entries.clone());
                storage.append_on_prefix(from, entries).unwrap();
                self.promised = true;
            }
            Step::Promise(n) => {
                let ballot = Ballot::with(1, n, 0, 1);
                self.promised |= self.now.promise != Some(ballot);
                self.now.promise = Some(ballot);
                storage.set_promise(ballot).unwrap();
            }
            Step::Accept(n) => {
                self.now.accepted = Some(Ballot::with(1, n, 0, 1));
                storage.set_accepted_round(Ballot::with(1, n, 0, 1)).unwrap();
                self.promised = true;
            }
            Step::Decide(share) => {
                self.now.decided += (self.now.end() - self.now.decided) * usize::from(share) / 255;
                self.now.apply_decided();
                storage.set_decided_idx(self.now.decided).unwrap();
                self.shared().borrow_mut().apply_up_to(self.now.decided as u64).unwrap();
            }
            Step::Compact => {
                let to = self.now.applied;
                self.now.log.drain(..to - self.now.compacted);
                self.now.compacted = to;
                // As the crate does it: a snapshot of the entries merged into the present one.
                let mut snapshot = storage.get_snapshot().unwrap().unwrap();
                let entries = storage.get_entries(storage.get_compacted_idx().unwrap(), to).unwrap();
                snapshot.merge(KvSnapshot::create(&entries));
                let operations = vec![
                    StorageOp::Trim(to),
                    StorageOp::SetCompactedIdx(to),
                    StorageOp::SetSnapshot(Some(snapshot)),
                ];
                storage.write_atomically(operations).unwrap();
                self.promised = true;
            }
            Step::Install(ahead, operations) => self.install(&mut storage, ahead, operations),
            Step::Flush => self.flush(false),
            Step::Reopen => {
                self.flush(true);
                drop(storage);
                self.store = None;
                self.open();
            }
            Step::Crash => {
                drop(storage);
                self.store = None;
                self.now = self.durable.clone();
                self.open();
            }
        }
    }

    fn install(&mut self, storage: &mut PaxosStorage, ahead: u8, operations: Vec<Operation>) {
        let suffix = self.entries(operations);
        let to = self.now.end() + 1 + usize::from(ahead);
        let key = Bytes::from(format!("installed{ahead}"));
        let state = FullState {
            applied: to as u64,
            pairs: vec![Pair {
                key: key.clone(),
                value: key.clone(),
                index: to as u64,
            }],
            ..FullState::default()
        };
        self.now.pairs = BTreeMap::from([(key.clone(), (to as u64, key))]);
        (self.now.decided, self.now.applied, self.now.compacted) = (to, to, to);
        self.now.log = suffix.clone();
        let operations = vec![
            StorageOp::SetDecidedIndex(to),
            StorageOp::Trim(to),
            StorageOp::SetCompactedIdx(to),
            StorageOp::SetSnapshot(Some(KvSnapshot::Full(Box::new(state)))),
            StorageOp::AppendOnPrefix(to, suffix),
        ];
        storage.write_atomically(operations).unwrap();
        self.promised = true;
    }

    fn check(&self) {
        assert_eq!(contents(&self.shared()), self.now);
    }
}

/// Everything that can be read from a store, in the form of the model.
fn contents(store: &Rc<RefCell<Store>>) -> Model {
    let storage = PaxosStorage::new(store.clone());
    let compacted = storage.get_compacted_idx().unwrap();
    let mut log = storage.get_suffix(compacted).unwrap();
    assert_eq!(storage.get_log_len().unwrap(), log.len());
    for (position, entry) in log.iter_mut().enumerate() {
        assert_eq!(entry.index as usize, compacted + position);
        entry.index = 0;
    }
    let state = store.borrow_mut().export().unwrap();
    let keys = store.borrow_mut().keys().unwrap();
    assert_eq!(keys as usize, state.pairs.len());
    Model {
        promise: storage.get_promise().unwrap(),
        accepted: storage.get_accepted_round().unwrap(),
        decided: storage.get_decided_idx().unwrap(),
        compacted,
        log,
        applied: state.applied as usize,
        pairs: state.pairs.into_iter().map(|p| (p.key, (p.index, p.value))).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_operations_reopened_anywhere_are_as_the_model(steps in prop::collection::vec(step(), 1..40)) {
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(directory.path());
        for step in steps {
            bench.take(step);
            bench.check();
        }
        bench.take(Step::Crash);
        bench.check();
    }

    /// A power cut during a commit may leave any part of the written pages. Either the old or the new state is found.
    #[test]
    fn a_torn_commit_is_all_or_nothing(
        before in prop::collection::vec(step(), 1..12),
        during in prop::collection::vec(operation(), 1..12),
        pages in prop::collection::vec(any::<bool>(), 64),
    ) {
        let (directory, torn) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut bench = Bench::new(directory.path());
        before.into_iter().for_each(|step| bench.take(step));
        bench.flush(true);
        let file = directory.path().join("kv.redb");
        let old = std::fs::read(&file).unwrap();
        let old_model = bench.now.clone();
        bench.take(Step::Append(during));
        bench.take(Step::Decide(255));
        prop_assert_eq!(&std::fs::read(&file).unwrap()[..old.len()] == old.as_slice(), true, "written before the flush");
        bench.flush(true);
        let mut mixed = std::fs::read(&file).unwrap();
        // The engine shortens the file in a second step with an fsync between; that is not one torn commit.
        prop_assume!(mixed.len() >= old.len());
        for (number, page) in mixed.chunks_mut(4096).enumerate() {
            if pages[number % pages.len()] && number * 4096 + page.len() <= old.len() {
                page.copy_from_slice(&old[number * 4096..][..page.len()]);
            }
        }
        std::fs::write(torn.path().join("kv.redb"), mixed).unwrap();
        let store = Store::open(torn.path(), OWNER, 0).unwrap();
        let found = contents(&Rc::new(RefCell::new(store)));
        prop_assert!(found == old_model || found == bench.now, "{found:?}");
    }
}

#[test]
fn a_copy_taken_before_the_commit_is_the_state_before() {
    let (directory, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut bench = Bench::new(directory.path());
    let put = |value: &str| Operation::Put {
        key: "k".into(),
        value: Bytes::from(value.to_owned()),
    };
    bench.take(Step::Append(vec![put("one")]));
    bench.take(Step::Decide(255));
    bench.flush(true);
    bench.take(Step::Append(vec![put("two")]));
    bench.take(Step::Decide(255));
    std::fs::copy(directory.path().join("kv.redb"), copy.path().join("kv.redb")).unwrap();
    bench.flush(true);
    let mut store = Store::open(copy.path(), OWNER, 0).unwrap();
    assert_eq!(store.get(b"k").unwrap().unwrap().value, "one");
    assert_eq!(store.log_len(), 1);
    assert_eq!(bench.shared().borrow_mut().get(b"k").unwrap().unwrap().value, "two");
}

#[test]
fn data_of_another_node_or_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), OWNER, 0).unwrap();
    let again = Store::open(directory.path(), OWNER, 0).err().unwrap();
    assert!(matches!(again, StoreError::Locked { .. }), "{again}");
    drop(store);
    for (pid, configuration) in [(2, 1), (1, 2)] {
        let other = Store::open(directory.path(), Owner { pid, configuration }, 0)
            .err()
            .unwrap();
        assert!(matches!(other, StoreError::WrongOwner { .. }), "{other}");
    }
    assert!(Store::open(directory.path(), OWNER, 0).is_ok());
}

#[test]
fn a_delta_overrules_entries_of_a_round_that_lost() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(directory.path());
    let put = |value: &'static str| Operation::Put {
        key: "k".into(),
        value: value.into(),
    };
    bench.take(Step::Append(vec![put("decided"), put("lost"), put("lost too")]));
    bench.take(Step::Decide(85));
    let won = bench.entries(vec![put("won"), put("won last")]);
    let delta: Vec<KvEntry> = won
        .into_iter()
        .zip(1..)
        .map(|(entry, index)| KvEntry { index, ..entry })
        .collect();
    let mut storage = bench.storage();
    // The crate merges the own entries up to the new decided index with what the leader sent from the old one.
    let mut snapshot = storage.get_snapshot().unwrap().unwrap();
    snapshot.merge(KvSnapshot::create(&storage.get_entries(0, 3).unwrap()));
    snapshot.merge(KvSnapshot::create(&delta));
    let operations = vec![
        StorageOp::SetDecidedIndex(3),
        StorageOp::Trim(3),
        StorageOp::SetCompactedIdx(3),
        StorageOp::SetSnapshot(Some(snapshot)),
        StorageOp::AppendOnPrefix(3, vec![]),
    ];
    storage.write_atomically(operations).unwrap();
    let store = bench.shared();
    let found = store.borrow_mut().get(b"k").unwrap().unwrap();
    assert_eq!((found.value, found.index), (Bytes::from("won last"), 3));
    assert_eq!(store.borrow().applied(), 3);
}

#[test]
fn a_snapshot_with_a_gap_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(directory.path());
    let entry = bench.entries(vec![Operation::Barrier]).remove(0);
    let snapshot = KvSnapshot::Entries(vec![(1, entry)]);
    let error = bench.storage().set_snapshot(Some(snapshot)).unwrap_err();
    assert!(error.to_string().contains("goes on at 1"), "{error}");
}

/// Memory whose fsync fails on demand.
#[derive(Debug)]
struct Failing(InMemoryBackend, Arc<AtomicBool>);

impl StorageBackend for Failing {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        match self.1.load(Ordering::Relaxed) {
            true => Err(std::io::Error::other("disk is gone")),
            false => self.0.sync_data(),
        }
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write(offset, data)
    }
}

#[test]
fn a_failed_fsync_is_an_error_and_stays_one() {
    let broken = Arc::new(AtomicBool::new(false));
    let backend = Failing(InMemoryBackend::new(), broken.clone());
    let database = redb::Database::builder().create_with_backend(backend).unwrap();
    let store = Rc::new(RefCell::new(Store::from_database(database, OWNER, 0).unwrap()));
    let mut storage = PaxosStorage::new(store.clone());
    storage.set_promise(Ballot::with(1, 1, 0, 1)).unwrap();
    broken.store(true, Ordering::Relaxed);
    let error = store.borrow_mut().flush(false).unwrap_err();
    assert!(error.to_string().contains("fsync"), "{error}");
    broken.store(false, Ordering::Relaxed);
    assert!(storage.set_promise(Ballot::with(1, 2, 0, 1)).is_ok());
    assert!(
        store.borrow_mut().flush(false).is_err(),
        "the engine must not be used any more"
    );
}

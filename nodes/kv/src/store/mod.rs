//! The one durable store of a node: consensus log, consensus state and state machine in a single `redb` file.
//!
//! All changes of one turn of the event loop go into one open transaction. [`Store::flush`] commits it with an fsync
//! when it holds anything a message or an answer could promise; what can be derived again from the log (decided
//! index, applied pairs) rides along with the next such commit. Reads always see the open transaction.

mod log;
mod state;

use std::path::Path;
use std::time::{Duration, Instant};

use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::storage::StopSign;
use redb::{Database, DatabaseError, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::session::Sessions;
pub use state::{Found, Outcome};

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const PAIRS: TableDefinition<&[u8], (u64, &[u8])> = TableDefinition::new("pairs");

const META_KEY: &str = "meta";
const SESSIONS_KEY: &str = "sessions";
const FORMAT: u32 = 1;
const FILE_NAME: &str = "kv.redb";
const CACHE_BYTES: usize = 16 << 20;

/// Why the store cannot be opened or go on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("data directory: cannot {doing}: {source}")]
    Io { doing: String, source: std::io::Error },
    #[error("data file {path} is in use by another process; stop that one or choose another KV_DATA_DIR")]
    Locked { path: String },
    #[error(
        "data file belongs to pid {found_pid}, configuration {found_configuration}, but this node is pid {pid}, \
         configuration {configuration}; choose the right KV_DATA_DIR, or an empty one for a new node"
    )]
    WrongOwner {
        found_pid: u64,
        found_configuration: u32,
        pid: u64,
        configuration: u32,
    },
    #[error("data file has format {found}, this program reads {FORMAT}")]
    WrongFormat { found: u32 },
    #[error("store: {doing} failed: {source}")]
    Engine { doing: &'static str, source: redb::Error },
    #[error("store: {what} cannot be decoded: {source}")]
    Decode { what: String, source: postcard::Error },
    #[error("store: {0}")]
    Invariant(String),
}

/// Adds what was being done to an error of the engine.
pub(crate) fn engine<E: Into<redb::Error>>(doing: &'static str) -> impl Fn(E) -> StoreError {
    move |source| StoreError::Engine {
        doing,
        source: source.into(),
    }
}

/// Whose data a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub pid: u64,
    pub configuration: u32,
}

/// Everything small; kept in memory and written with the transaction that changes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Meta {
    format: u32,
    owner: Owner,
    boot: u64,
    promise: Option<Ballot>,
    accepted_round: Option<Ballot>,
    decided: u64,
    compacted: u64,
    /// One past the last entry of the log.
    log_end: u64,
    applied: u64,
    digest: [u8; 32],
    stopsign: Option<StopSign>,
}

impl Meta {
    fn new(owner: Owner) -> Self {
        Meta {
            format: FORMAT,
            owner,
            boot: 0,
            promise: None,
            accepted_round: None,
            decided: 0,
            compacted: 0,
            log_end: 0,
            applied: 0,
            digest: [0; 32],
            stopsign: None,
        }
    }
}

/// See the module's text.
pub struct Store {
    transaction: Option<WriteTransaction>,
    database: Database,
    meta: Meta,
    sessions: Sessions,
    /// The open transaction holds something that may be promised.
    must_sync: bool,
    /// The open transaction holds something at all.
    dirty: bool,
    log_bytes: u64,
    outcomes: Vec<Outcome>,
    replaced: bool,
}

impl Store {
    /// Opens or makes the store in `directory`, and starts a new life of the node: the boot number grows, durably.
    ///
    /// `now_ms` (milliseconds since the epoch) keeps boot numbers growing even for a node that lost its data.
    pub fn open(directory: &Path, owner: Owner, now_ms: u64) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory).map_err(|source| StoreError::Io {
            doing: format!("create {}", directory.display()),
            source,
        })?;
        let path = directory.join(FILE_NAME);
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&path)
            .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => StoreError::Locked {
                    path: path.display().to_string(),
                },
                other => engine("opening the data file")(other),
            })?;
        sync_directory(directory)?;
        Self::from_database(database, owner, now_ms)
    }

    /// As [`Store::open`], over a database that is open already.
    pub fn from_database(database: Database, owner: Owner, now_ms: u64) -> Result<Self, StoreError> {
        let mut store = Store {
            transaction: None,
            database,
            meta: Meta::new(owner),
            sessions: Sessions::new(),
            must_sync: false,
            dirty: false,
            log_bytes: 0,
            outcomes: Vec::new(),
            replaced: false,
        };
        store.load(owner)?;
        store.meta.boot = now_ms.max(store.meta.boot + 1);
        store.changed(true);
        store.flush(false)?;
        Ok(store)
    }

    fn load(&mut self, owner: Owner) -> Result<(), StoreError> {
        let transaction = self.transaction()?;
        let table = transaction.open_table(META).map_err(engine("opening meta"))?;
        let meta: Option<Meta> = read(&table, META_KEY)?;
        let sessions: Option<Sessions> = read(&table, SESSIONS_KEY)?;
        drop(table);
        if let Some(meta) = meta {
            if meta.format != FORMAT {
                return Err(StoreError::WrongFormat { found: meta.format });
            }
            if meta.owner != owner {
                return Err(StoreError::WrongOwner {
                    found_pid: meta.owner.pid,
                    found_configuration: meta.owner.configuration,
                    pid: owner.pid,
                    configuration: owner.configuration,
                });
            }
            self.meta = meta;
        }
        self.sessions = sessions.unwrap_or_default();
        self.log_bytes = self.measure_log()?;
        Ok(())
    }

    /// The open transaction; begun when there is none.
    fn transaction(&mut self) -> Result<&WriteTransaction, StoreError> {
        if self.transaction.is_none() {
            let begun = self.database.begin_write().map_err(engine("beginning a transaction"))?;
            self.transaction = Some(begun);
        }
        self.transaction
            .as_ref()
            .ok_or_else(|| StoreError::Invariant("no open transaction".into()))
    }

    fn changed(&mut self, must_sync: bool) {
        self.dirty = true;
        self.must_sync |= must_sync;
    }

    /// Commits the open transaction with an fsync if it holds something that may be promised, or, with `everything`,
    /// if it holds anything. Returns how long that took, or `None` if nothing had to be written.
    ///
    /// After an error nothing is known about the file: the caller must not go on.
    pub fn flush(&mut self, everything: bool) -> Result<Option<Duration>, StoreError> {
        if !(self.must_sync || everything && self.dirty) {
            return Ok(None);
        }
        let started = Instant::now();
        let meta = encode(&self.meta)?;
        let sessions = encode(&self.sessions)?;
        let transaction = self.transaction()?;
        {
            let mut table = transaction.open_table(META).map_err(engine("opening meta"))?;
            table
                .insert(META_KEY, meta.as_slice())
                .map_err(engine("writing meta"))?;
            table
                .insert(SESSIONS_KEY, sessions.as_slice())
                .map_err(engine("writing sessions"))?;
        }
        if let Some(transaction) = self.transaction.take() {
            transaction.commit().map_err(engine("commit with fsync"))?;
        }
        self.must_sync = false;
        self.dirty = false;
        Ok(Some(started.elapsed()))
    }

    /// Whether changes wait for a later [`Store::flush`].
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The number of this life of the node.
    pub fn boot(&self) -> u64 {
        self.meta.boot
    }

    /// How many entries the state machine has applied.
    pub fn applied(&self) -> u64 {
        self.meta.applied
    }

    /// Entries before this position are no longer in the log.
    pub fn compacted(&self) -> u64 {
        self.meta.compacted
    }

    /// Chain over the applied entries.
    pub fn digest(&self) -> [u8; 32] {
        self.meta.digest
    }

    /// Bytes of the entries in the log.
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// Number of entries in the log.
    pub fn log_len(&self) -> u64 {
        self.meta.log_end - self.meta.compacted
    }

    pub(crate) fn promise(&self) -> Option<Ballot> {
        self.meta.promise
    }

    pub(crate) fn set_promise(&mut self, ballot: Ballot) {
        if self.meta.promise != Some(ballot) {
            self.meta.promise = Some(ballot);
            self.changed(true);
        }
    }

    pub(crate) fn accepted_round(&self) -> Option<Ballot> {
        self.meta.accepted_round
    }

    pub(crate) fn set_accepted_round(&mut self, ballot: Ballot) {
        self.meta.accepted_round = Some(ballot);
        self.changed(true);
    }

    pub(crate) fn decided(&self) -> u64 {
        self.meta.decided
    }

    /// Not worth an fsync of its own: the entries are, and a restarted node learns the index again from its peers.
    pub(crate) fn set_decided(&mut self, index: u64) {
        self.meta.decided = index;
        self.changed(false);
    }

    pub(crate) fn stopsign(&self) -> Option<StopSign> {
        self.meta.stopsign.clone()
    }

    pub(crate) fn set_stopsign(&mut self, stopsign: Option<StopSign>) {
        self.meta.stopsign = stopsign;
        self.changed(true);
    }
}

fn read<T: for<'a> Deserialize<'a>>(
    table: &impl redb::ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<T>, StoreError> {
    let found = table.get(key).map_err(engine("reading meta"))?;
    found.map(|guard| decode(guard.value(), || key.to_owned())).transpose()
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(value).map_err(|source| StoreError::Decode {
        what: "a value to be written".into(),
        source,
    })
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: impl FnOnce() -> String) -> Result<T, StoreError> {
    postcard::from_bytes(bytes).map_err(|source| StoreError::Decode { what: what(), source })
}

/// Makes the directory entry of a new data file durable.
fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    std::fs::File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(|source| StoreError::Io {
            doing: format!("sync {}", directory.display()),
            source,
        })
}

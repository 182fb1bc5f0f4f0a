//! The event loop: the one place that has OmniPaxos, the store and the open requests.
//!
//! A turn takes what has arrived, lets OmniPaxos react, applies what is decided, and flushes the store with at most one
//! fsync. Only then do messages and answers leave: nothing is promised that a crash could take back.

mod report;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::messages::Message;
use omnipaxos::messages::sequence_paxos::{PaxosMessage, PaxosMsg};
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout_at;
use tracing::{debug, info, warn};

use crate::config::Config;
use crate::entry::KvEntry;
use crate::feed::{Change, Feed};
use crate::metrics::Metrics;
use crate::outgoing;
use crate::paxos_storage::PaxosStorage;
use crate::peer::{Frame, Outbox, PeerEvent};
use crate::pending::{Completion, Delivery, Pending};
use crate::request::{Answer, Call, DecidedLog, Event, LogRow, Request};
use crate::status::Status;
use crate::store::{Store, StoreError};
use crate::telemetry::Trace;

/// Events taken in one turn at most.
const TURN_EVENTS: usize = 512;
/// The log is also compacted when its entries exceed this.
const MAX_LOG_BYTES: u64 = 64 << 20;
/// Derived state is made durable at the latest after this.
const LAZY_FLUSH: Duration = Duration::from_secs(1);
/// How long a stopping node works on its open requests and on handing over.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// Why the event loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("consensus cannot be configured: {0}")]
    Consensus(String),
}

/// A session with a peer that is up.
struct Session {
    number: u64,
    outbox: Outbox,
}

/// Who leads, as far as this node can tell and use it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Leadership {
    ballot: Ballot,
    /// The leader this node accepts entries from (or is).
    leader: Option<u64>,
    /// Whether proposals can be made now.
    serves: bool,
}

/// See the module's text.
pub struct Replica {
    pid: u64,
    members: Vec<u64>,
    snapshot_every: u64,
    tick_every: Duration,
    omnipaxos: OmniPaxos<KvEntry, PaxosStorage>,
    store: Rc<RefCell<Store>>,
    sessions: BTreeMap<u64, Session>,
    pending: Pending,
    feed: Arc<Feed>,
    /// For the feed: applied in this turn, and whether the state was replaced.
    applied: (Vec<Change>, bool),
    metrics: Arc<Metrics>,
    status: watch::Sender<Status>,
    leadership: Leadership,
    /// Open proposals may have been lost on the way to a leader.
    propose_again: bool,
    deliveries: Vec<Delivery>,
    /// Of requests that wait or are open.
    traces: Vec<Weak<Trace>>,
    next_tick: Instant,
    last_flush: Instant,
    stop_at: Option<Instant>,
    handed_over: bool,
}

impl Replica {
    /// Builds the node from its store; whatever the store holds is recovered.
    pub fn new(
        config: &Config,
        store: Store,
        feed: Arc<Feed>,
        metrics: Arc<Metrics>,
        status: watch::Sender<Status>,
    ) -> Result<Self, ReplicaError> {
        let tick_every = (config.election_timeout / 10).clamp(Duration::from_millis(5), Duration::from_millis(50));
        let ticks = |time: Duration| (time.as_millis() / tick_every.as_millis()).max(1) as u64;
        let cluster = ClusterConfig {
            configuration_id: config.configuration_id,
            nodes: config.members.keys().copied().collect(),
            flexible_quorum: None,
        };
        let server = ServerConfig {
            pid: config.pid,
            election_tick_timeout: ticks(config.election_timeout),
            resend_message_tick_timeout: ticks(config.election_timeout),
            buffer_size: 1024,
            ..ServerConfig::default()
        };
        let pending = Pending::new(config.pid, store.boot());
        let store = Rc::new(RefCell::new(store));
        let omnipaxos = cluster
            .build_for_server(server, PaxosStorage::new(store.clone()))
            .map_err(|error| ReplicaError::Consensus(format!("{error:?}")))?;
        let now = Instant::now();
        Ok(Replica {
            pid: config.pid,
            members: config.members.keys().copied().collect(),
            snapshot_every: config.snapshot_every,
            tick_every,
            omnipaxos,
            store,
            sessions: BTreeMap::new(),
            pending,
            feed,
            applied: (Vec::new(), false),
            metrics,
            status,
            leadership: Leadership {
                ballot: Ballot::default(),
                leader: None,
                serves: false,
            },
            propose_again: false,
            deliveries: Vec::new(),
            traces: Vec::new(),
            next_tick: now + tick_every,
            last_flush: now,
            stop_at: None,
            handed_over: false,
        })
    }

    /// Runs until asked to stop. After an error the process must end: what is on disk is what counts.
    pub async fn run(mut self, mut events: mpsc::Receiver<Event>) -> Result<(), ReplicaError> {
        self.finish_turn()?;
        let mut batch = Vec::with_capacity(TURN_EVENTS);
        while !self.is_done() {
            // The time-out is the clock's next tick; without events it is the only thing to do.
            let _tick_due = timeout_at(self.next_tick.into(), events.recv_many(&mut batch, TURN_EVENTS)).await;
            for event in batch.drain(..) {
                self.take(event)?;
            }
            self.tick();
            self.finish_turn()?;
        }
        self.deliveries = self.pending.abandon();
        self.store.borrow_mut().flush(true)?;
        self.deliver();
        info!("event loop stopped");
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<(), ReplicaError> {
        match event {
            Event::Request(request) => self.take_request(request)?,
            Event::Peer(PeerEvent::Up { pid, session, outbox }) => self.session_up(pid, session, outbox),
            Event::Peer(PeerEvent::Down { pid, session }) => self.session_down(pid, session),
            Event::Peer(PeerEvent::Message { pid, session, frame }) => {
                // What comes late from a session that was replaced would reach the new one out of order.
                if self.sessions.get(&pid).is_some_and(|current| current.number == session) {
                    self.take_frame(pid, frame)?;
                }
            }
            Event::Shutdown => {
                info!("stopping");
                self.stop_at.get_or_insert(Instant::now() + STOP_WITHIN);
            }
        }
        Ok(())
    }

    fn take_request(&mut self, request: Request) -> Result<(), StoreError> {
        let answer = match &request.call {
            Call::LocalRead { key } => self.read(key)?,
            Call::DecidedLog { from, limit } => self.decided_log(*from, *limit)?,
            Call::Put { .. } | Call::Delete { .. } | Call::Read { .. } => {
                self.traces.extend(request.reply.trace().map(Arc::downgrade));
                self.pending.enqueue(request);
                return Ok(());
            }
        };
        self.deliveries.push((request.reply, Ok(answer)));
        Ok(())
    }

    fn read(&self, key: &[u8]) -> Result<Answer, StoreError> {
        let mut store = self.store.borrow_mut();
        Ok(Answer::Value {
            found: store.get(key)?,
            applied: store.applied(),
        })
    }

    fn decided_log(&self, from: u64, limit: u64) -> Result<Answer, StoreError> {
        let mut store = self.store.borrow_mut();
        let from = from.max(store.compacted());
        let to = store.applied().min(from.saturating_add(limit));
        let entries = store.entries(from, to)?;
        Ok(Answer::Log(DecidedLog {
            compacted_index: store.compacted(),
            applied_index: store.applied(),
            digest: hex::encode(store.digest()),
            entries: entries.iter().map(LogRow::from).collect(),
        }))
    }

    fn session_up(&mut self, pid: u64, number: u64, outbox: Outbox) {
        self.sessions.insert(pid, Session { number, outbox });
        self.connection(pid, 1);
        self.omnipaxos.reconnected(pid);
        self.propose_again = true;
    }

    fn session_down(&mut self, pid: u64, number: u64) {
        if self.sessions.get(&pid).is_some_and(|current| current.number == number) {
            self.end_session(pid);
        }
    }

    fn end_session(&mut self, pid: u64) {
        self.sessions.remove(&pid);
        self.connection(pid, 0);
        self.propose_again = true;
    }

    fn connection(&self, pid: u64, up: i64) {
        let label = pid.to_string();
        self.metrics.peer_connected.with_label_values(&[&label]).set(up);
    }

    fn take_frame(&mut self, pid: u64, frame: Frame) -> Result<(), StoreError> {
        match frame {
            Frame::TakeOver => {
                info!(peer = pid, "the leader stops and hands over to this node");
                self.omnipaxos.try_become_leader();
            }
            Frame::Paxos(message) => {
                if carries_log(&message) {
                    // Such a message replaces parts of the log; what is decided must be applied before.
                    self.apply()?;
                }
                self.omnipaxos.handle_incoming(*message);
            }
        }
        Ok(())
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if now < self.next_tick {
            return;
        }
        // After a stall one tick is enough: several at once would end election rounds that had no time.
        self.next_tick = now + self.tick_every;
        self.omnipaxos.tick();
        self.deliveries.extend(self.pending.expire(now));
    }

    fn finish_turn(&mut self) -> Result<(), ReplicaError> {
        self.observe_leadership();
        self.propose();
        self.apply()?;
        self.complete()?;
        self.compact()?;
        self.hand_over();
        self.flush()?;
        self.send()?;
        self.deliver();
        self.feed_readers();
        self.publish()?;
        Ok(())
    }

    fn observe_leadership(&mut self) {
        let ballot = self.omnipaxos.get_promise();
        let accepted = self.omnipaxos.get_current_leader().filter(|(_, accepted)| *accepted);
        let leader = accepted.map(|(pid, _)| pid).filter(|pid| {
            let majority = self.members.len() / 2 + 1;
            *pid == self.pid && self.sessions.len() + 1 >= majority || self.sessions.contains_key(pid)
        });
        let now = Leadership {
            ballot,
            leader,
            serves: leader.is_some(),
        };
        if now != self.leadership {
            info!(ballot = ballot.n, ballot_pid = ballot.pid, leader, "leadership");
            if now.ballot != self.leadership.ballot {
                self.propose_again = true;
                self.metrics.leader_changes.inc();
            }
            self.leadership = now;
        }
    }

    fn propose(&mut self) {
        if !self.leadership.serves {
            return;
        }
        if std::mem::take(&mut self.propose_again) {
            let entries = self.pending.propose_again();
            self.metrics.repeated_proposals.inc_by(entries.len() as u64);
            self.append(entries);
        }
        let entries = self.pending.propose();
        self.append(entries);
        if let Some(leader) = self.leadership.leader {
            self.trace(|trace| trace.proposed(leader)); // nothing waits any more
        }
    }

    fn append(&mut self, entries: Vec<KvEntry>) {
        for entry in entries {
            if let Err(error) = self.omnipaxos.append(entry) {
                // Only a reconfiguration seals the log, and this node never asks for one; the request times out.
                warn!(?error, "proposal refused");
            }
        }
    }

    fn apply(&mut self) -> Result<(), StoreError> {
        let decided = self.omnipaxos.get_decided_idx() as u64;
        self.store.borrow_mut().apply_up_to(decided)
    }

    fn complete(&mut self) -> Result<(), StoreError> {
        let (outcomes, replaced) = {
            let mut store = self.store.borrow_mut();
            (store.take_outcomes(), store.take_replaced())
        };
        self.applied.0.extend(outcomes.iter().filter_map(|o| o.change.clone()));
        self.applied.1 |= replaced;
        let mut completions: Vec<Completion> = outcomes.iter().filter_map(|o| self.pending.complete(o)).collect();
        if replaced {
            self.metrics.snapshots.with_label_values(&["received"]).inc();
            info!(applied = self.store.borrow().applied(), "state taken over from a peer");
            let store = self.store.borrow();
            completions.extend(self.pending.settle(|id| store.contains(id)));
        }
        for completion in completions {
            match completion {
                Completion::Write(delivery) => {
                    delivery.0.trace().inspect(|trace| trace.decided());
                    self.deliveries.push(delivery);
                }
                Completion::Reads(reads) => {
                    for reading in reads {
                        reading.reply.trace().inspect(|trace| trace.decided());
                        let answer = self.read(&reading.key)?;
                        self.deliveries.push((reading.reply, Ok(answer)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Trims the log; the state machine, in the same file, stands in for what is dropped.
    fn compact(&mut self) -> Result<(), ReplicaError> {
        let (applied, compacted, bytes) = {
            let store = self.store.borrow();
            (store.applied(), store.compacted(), store.log_bytes())
        };
        let upto = applied.min(self.omnipaxos.get_decided_idx() as u64);
        let entries = upto.saturating_sub(compacted);
        if entries == 0 || entries < self.snapshot_every && bytes < MAX_LOG_BYTES {
            return Ok(());
        }
        self.omnipaxos
            .snapshot(Some(upto as usize), true)
            .map_err(|error| ReplicaError::Consensus(format!("snapshot at {upto}: {error}")))?;
        self.metrics.snapshots.with_label_values(&["made"]).inc();
        debug!(upto, "log compacted");
        Ok(())
    }

    /// Lets another member lead before this one stops; it needs one round trip and no election time-out.
    fn hand_over(&mut self) {
        if self.stop_at.is_none() || self.handed_over || self.leadership.leader != Some(self.pid) {
            return;
        }
        self.handed_over = true;
        let Some(pid) = self.sessions.keys().next().copied() else {
            return;
        };
        info!(peer = pid, "handing leadership over");
        self.post(pid, &Frame::TakeOver);
    }

    fn is_done(&self) -> bool {
        let Some(stop_at) = self.stop_at else { return false };
        let idle = self.pending.open() == 0 && self.pending.waiting() == 0;
        let leads = self.leadership.leader == Some(self.pid);
        idle && !leads || Instant::now() >= stop_at
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let mut store = self.store.borrow_mut();
        let lazily = store.is_dirty() && self.last_flush.elapsed() >= LAZY_FLUSH;
        if let Some(elapsed) = store.flush(lazily)? {
            self.last_flush = Instant::now();
            self.metrics.fsync_seconds.observe(elapsed.as_secs_f64());
            self.trace(|trace| trace.committed(elapsed));
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), StoreError> {
        let mut messages = Vec::new();
        self.omnipaxos.take_outgoing_messages(&mut messages);
        for mut message in messages {
            let pid = message.get_receiver();
            if !self.sessions.contains_key(&pid) {
                continue; // Synchronised when it is back.
            }
            if outgoing::materialise(&mut message, &mut self.store.borrow_mut())? {
                info!(peer = pid, "sending the whole state");
                self.metrics.snapshots.with_label_values(&["sent"]).inc();
            }
            self.post(pid, &Frame::Paxos(Box::new(message)));
        }
        Ok(())
    }

    fn post(&mut self, pid: u64, frame: &Frame) {
        let Some(session) = self.sessions.get(&pid) else { return };
        if let Err(error) = session.outbox.send(frame) {
            warn!(peer = pid, %error, "ending the session; the peer is synchronised when it is back");
            self.metrics.peer_overflows.inc();
            self.end_session(pid);
        }
    }

    /// After the flush, and after the answers: a reader is not what a client waits for.
    fn feed_readers(&mut self) {
        let (changes, replaced) = std::mem::take(&mut self.applied);
        self.feed.publish(changes, self.store.borrow().applied(), replaced);
    }

    fn deliver(&mut self) {
        for (reply, result) in self.deliveries.drain(..) {
            // The client may be gone; its request was handled all the same.
            let _client_gone = reply.send(result);
        }
        self.traces.retain(|trace| trace.strong_count() > 0);
    }

    /// Tells the traces of all requests that are not answered yet.
    fn trace(&self, tell: impl Fn(&Trace)) {
        self.traces
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|trace| tell(&trace));
    }
}

/// Whether a message brings a piece of log or a snapshot that goes over the receiver's own.
fn carries_log(message: &Message<KvEntry>) -> bool {
    matches!(
        message,
        Message::SequencePaxos(PaxosMessage {
            msg: PaxosMsg::AcceptSync(_) | PaxosMsg::Promise(_),
            ..
        })
    )
}

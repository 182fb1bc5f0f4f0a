//! Requests between their arrival and their answer.
//!
//! A request first waits until a leader can be reached; until then it can be refused as surely not applied. Then it is
//! proposed under an id of its own and is open until its entry is applied here. All reads that are proposed together
//! share one barrier entry.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use crate::entry::{KvEntry, Operation, ProposalId};
use crate::request::{Answer, Call, Refusal, RefusalCode, Reply, Request};
use crate::store::Outcome;

/// An answer on its way out; sent after the store is flushed.
pub type Delivery = (Reply, Result<Answer, Refusal>);

/// A read that waits for its barrier.
pub struct Reading {
    pub key: Bytes,
    pub reply: Reply,
    deadline: Instant,
}

enum Waiter {
    Write { reply: Reply, deadline: Instant },
    Reads(Vec<Reading>),
}

struct Open {
    operation: Operation,
    waiter: Waiter,
}

/// What an applied entry completes.
pub enum Completion {
    Write(Delivery),
    /// To be answered from the state as it is now, or any later one.
    Reads(Vec<Reading>),
}

/// See the module's text.
pub struct Pending {
    pid: u64,
    boot: u64,
    next_counter: u64,
    waiting: VecDeque<Request>,
    open: BTreeMap<u64, Open>,
}

impl Pending {
    pub fn new(pid: u64, boot: u64) -> Self {
        Pending {
            pid,
            boot,
            next_counter: 1,
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
        }
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes a request that needs the log.
    pub fn enqueue(&mut self, request: Request) {
        self.waiting.push_back(request);
    }

    /// Entries for all that waits.
    pub fn propose(&mut self) -> Vec<KvEntry> {
        let mut reads = Vec::new();
        let mut counters = Vec::new();
        while let Some(request) = self.waiting.pop_front() {
            let (reply, deadline) = (request.reply, request.deadline);
            let operation = match request.call {
                Call::Put { key, value } => Operation::Put { key, value },
                Call::Delete { key } => Operation::Delete { key },
                Call::Read { key } | Call::LocalRead { key } => {
                    reads.push(Reading { key, reply, deadline });
                    continue;
                }
                Call::DecidedLog { .. } => continue,
            };
            counters.push(self.register(operation, Waiter::Write { reply, deadline }));
        }
        if !reads.is_empty() {
            counters.push(self.register(Operation::Barrier, Waiter::Reads(reads)));
        }
        counters.into_iter().filter_map(|counter| self.entry(counter)).collect()
    }

    /// The entries of all open proposals once more, under the same ids.
    pub fn propose_again(&self) -> Vec<KvEntry> {
        self.open.keys().filter_map(|counter| self.entry(*counter)).collect()
    }

    fn register(&mut self, operation: Operation, waiter: Waiter) -> u64 {
        let counter = self.next_counter;
        self.next_counter += 1;
        self.open.insert(counter, Open { operation, waiter });
        counter
    }

    fn entry(&self, counter: u64) -> Option<KvEntry> {
        let open = self.open.get(&counter)?;
        let low = self.open.keys().next().copied().unwrap_or(self.next_counter);
        Some(KvEntry {
            id: self.id(counter),
            low,
            operation: open.operation.clone(),
            index: 0,
        })
    }

    fn id(&self, counter: u64) -> ProposalId {
        ProposalId {
            pid: self.pid,
            boot: self.boot,
            counter,
        }
    }

    /// What an applied entry completes here, if it was proposed in this life of this node and is still waited for.
    pub fn complete(&mut self, outcome: &Outcome) -> Option<Completion> {
        if outcome.id.pid != self.pid || outcome.id.boot != self.boot {
            return None;
        }
        let open = self.open.remove(&outcome.id.counter)?;
        Some(match open.waiter {
            Waiter::Reads(reads) => Completion::Reads(reads),
            Waiter::Write { reply, .. } => {
                let (index, existed) = (outcome.index, outcome.existed);
                Completion::Write((reply, Ok(Answer::Written { index, existed })))
            }
        })
    }

    /// After the state was replaced by a peer's: finishes the proposals that it contains. Their position is unknown, so
    /// writes end as unknown; reads can be answered.
    pub fn settle(&mut self, contained: impl Fn(&ProposalId) -> bool) -> Vec<Completion> {
        let counters = self.open.keys().copied();
        let counters: Vec<u64> = counters.filter(|counter| contained(&self.id(*counter))).collect();
        let mut settled = Vec::new();
        for counter in counters {
            match self.open.remove(&counter).map(|open| open.waiter) {
                Some(Waiter::Reads(reads)) => settled.push(Completion::Reads(reads)),
                Some(Waiter::Write { reply, .. }) => {
                    let reason = "applied, but this node was behind and got the result in a snapshot, without position";
                    let refusal = Refusal::new(RefusalCode::Timeout, reason);
                    settled.push(Completion::Write((reply, Err(refusal))));
                }
                None => {}
            }
        }
        settled
    }

    /// Ends what is past its deadline.
    pub fn expire(&mut self, now: Instant) -> Vec<Delivery> {
        let mut ended = Vec::new();
        while self.waiting.front().is_some_and(|request| request.deadline <= now) {
            if let Some(request) = self.waiting.pop_front() {
                ended.push((request.reply, Err(no_leader())));
            }
        }
        let open = std::mem::take(&mut self.open);
        for (counter, Open { operation, waiter }) in open {
            match waiter {
                Waiter::Write { reply, deadline } if deadline <= now => ended.push((reply, Err(undecided()))),
                Waiter::Reads(reads) => {
                    let (late, rest): (Vec<_>, Vec<_>) = reads.into_iter().partition(|read| read.deadline <= now);
                    ended.extend(late.into_iter().map(|read| (read.reply, Err(undecided()))));
                    if !rest.is_empty() {
                        let waiter = Waiter::Reads(rest);
                        self.open.insert(counter, Open { operation, waiter });
                    }
                }
                waiter => {
                    self.open.insert(counter, Open { operation, waiter });
                }
            }
        }
        ended
    }

    /// Ends everything because the node stops.
    pub fn abandon(&mut self) -> Vec<Delivery> {
        let mut ended = Vec::new();
        for request in self.waiting.drain(..) {
            let refusal = Refusal::new(
                RefusalCode::ShuttingDown,
                "the node is stopping; the request was not proposed",
            );
            ended.push((request.reply, Err(refusal)));
        }
        for (_, open) in std::mem::take(&mut self.open) {
            let refusal = Refusal::new(
                RefusalCode::Timeout,
                "the node is stopping; the outcome is not known yet",
            );
            match open.waiter {
                Waiter::Write { reply, .. } => ended.push((reply, Err(refusal))),
                Waiter::Reads(reads) => {
                    ended.extend(reads.into_iter().map(|read| (read.reply, Err(refusal.clone()))));
                }
            }
        }
        ended
    }
}

fn no_leader() -> Refusal {
    Refusal::new(
        RefusalCode::NoLeader,
        "no leader with a majority was in reach within the request's time; nothing was proposed",
    )
}

fn undecided() -> Refusal {
    Refusal::new(
        RefusalCode::Timeout,
        "proposed, but no decision was seen in time; it may still be applied",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;

    type Receiver = oneshot::Receiver<Result<Answer, Refusal>>;

    fn request(call: Call, deadline: Instant) -> (Request, Receiver) {
        let (reply, receiver) = oneshot::channel();
        let reply = Reply::new(reply, None);
        (Request { call, deadline, reply }, receiver)
    }

    fn put() -> Call {
        Call::Put {
            key: "k".into(),
            value: "v".into(),
        }
    }

    #[test]
    fn reads_share_one_barrier_and_writes_do_not() {
        let later = Instant::now() + Duration::from_secs(60);
        let mut pending = Pending::new(1, 7);
        for _ in 0..3 {
            pending.enqueue(request(Call::Read { key: "k".into() }, later).0);
            pending.enqueue(request(put(), later).0);
        }
        let entries = pending.propose();
        let barriers = entries.iter().filter(|e| e.operation == Operation::Barrier).count();
        assert_eq!((entries.len(), barriers), (4, 1));
        assert!(entries.iter().all(|e| e.low == 1 && e.id.pid == 1 && e.id.boot == 7));
    }

    #[test]
    fn proposing_again_keeps_the_ids_and_low_follows_the_oldest() {
        let later = Instant::now() + Duration::from_secs(60);
        let mut pending = Pending::new(1, 7);
        pending.enqueue(request(put(), later).0);
        pending.enqueue(request(put(), later).0);
        let first = pending.propose();
        let outcome = Outcome {
            id: first[0].id,
            index: 1,
            existed: false,
            change: None,
        };
        assert!(pending.complete(&outcome).is_some());
        assert!(pending.complete(&outcome).is_none());
        let again = pending.propose_again();
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].id, again[0].low), (first[1].id, first[1].id.counter));
    }

    #[test]
    fn the_code_says_whether_it_was_proposed() {
        let now = Instant::now();
        let mut pending = Pending::new(1, 7);
        let (proposed, mut first) = request(put(), now);
        pending.enqueue(proposed);
        pending.propose();
        let (unproposed, mut second) = request(put(), now);
        pending.enqueue(unproposed);
        for (reply, result) in pending.expire(now) {
            reply.send(result).unwrap();
        }
        assert_eq!(first.try_recv().unwrap().unwrap_err().code, RefusalCode::Timeout);
        assert_eq!(second.try_recv().unwrap().unwrap_err().code, RefusalCode::NoLeader);
        assert_eq!((pending.open(), pending.waiting()), (0, 0));
    }

    #[test]
    fn entries_of_another_life_complete_nothing() {
        let mut pending = Pending::new(1, 7);
        pending.enqueue(request(put(), Instant::now()).0);
        let mut id = pending.propose()[0].id;
        id.boot = 6;
        let outcome = Outcome {
            id,
            index: 1,
            existed: false,
            change: None,
        };
        assert!(pending.complete(&outcome).is_none());
    }
}

//! Recognises proposals that arrive twice, so that proposing again after a leader change is safe.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::entry::KvEntry;

/// What is remembered about the proposals of one node. Its size is bounded by that node's open requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The proposer's latest life that was seen.
    pub boot: u64,
    /// Counters below are finished.
    pub low: u64,
    /// Counters at or above `low` that were applied.
    pub applied: BTreeSet<u64>,
}

/// All sessions, by proposer.
pub type Sessions = BTreeMap<u64, Session>;

/// Decides whether `entry` is to be applied now, and remembers it. The decision depends only on the entries before
/// it in the log, so every node takes the same one.
///
/// Refused are: a copy of an applied proposal; a proposal its maker has given up (its counter is below a `low` that
/// was decided earlier); a proposal of a life of its maker that has ended.
pub fn admit(sessions: &mut Sessions, entry: &KvEntry) -> bool {
    let session = sessions.entry(entry.id.pid).or_default();
    if entry.id.boot < session.boot {
        return false;
    }
    if entry.id.boot > session.boot {
        *session = Session {
            boot: entry.id.boot,
            ..Session::default()
        };
    }
    let fresh = entry.id.counter >= session.low && session.applied.insert(entry.id.counter);
    if entry.low > session.low {
        session.low = entry.low;
        session.applied = session.applied.split_off(&entry.low);
    }
    fresh
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Operation, ProposalId};

    fn entry(boot: u64, counter: u64, low: u64) -> KvEntry {
        KvEntry {
            id: ProposalId { pid: 1, boot, counter },
            low,
            operation: Operation::Barrier,
            index: 0,
        }
    }

    #[test]
    fn a_copy_is_refused_and_a_late_first_arrival_is_not() {
        let mut sessions = Sessions::new();
        assert!(admit(&mut sessions, &entry(1, 2, 1)));
        assert!(admit(&mut sessions, &entry(1, 1, 1)));
        assert!(!admit(&mut sessions, &entry(1, 2, 1)));
        assert!(!admit(&mut sessions, &entry(1, 1, 1)));
    }

    #[test]
    fn a_proposal_given_up_by_its_maker_is_refused() {
        let mut sessions = Sessions::new();
        assert!(admit(&mut sessions, &entry(1, 5, 5)));
        assert!(!admit(&mut sessions, &entry(1, 4, 1)));
        assert_eq!(sessions[&1].applied.len(), 1);
    }

    #[test]
    fn an_ended_life_is_refused_and_a_new_one_starts_afresh() {
        let mut sessions = Sessions::new();
        assert!(admit(&mut sessions, &entry(7, 9, 9)));
        assert!(admit(&mut sessions, &entry(8, 1, 1)));
        assert!(!admit(&mut sessions, &entry(7, 10, 9)));
        assert!(!admit(&mut sessions, &entry(8, 1, 1)));
    }

    #[test]
    fn the_memory_does_not_grow_with_finished_proposals() {
        let mut sessions = Sessions::new();
        for counter in 1..1000 {
            assert!(admit(&mut sessions, &entry(1, counter, counter.saturating_sub(3))));
        }
        assert!(sessions[&1].applied.len() <= 5);
    }
}

//! Decides whether what clients saw of a register could have happened one operation at a time (Wing and Gong's search
//! with Lowe's memory of configurations that failed).

use std::collections::{BTreeMap, HashSet};

/// What one operation on one key did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Write(u64),
    Read(Option<u64>),
}

/// One operation, with the times (any clock common to all clients) between which it took effect.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub action: Action,
    pub called: u64,
    /// Nothing for a write whose outcome nobody knows: it may take effect at any later time, or never.
    pub returned: Option<u64>,
}

/// Checks each key on its own; the keys that could not have happened are returned.
pub fn violations(history: &BTreeMap<String, Vec<Operation>>) -> Vec<String> {
    let bad = history.iter().filter(|(_, operations)| !linearizable(operations));
    bad.map(|(key, _)| key.clone()).collect()
}

/// Whether some order of `operations` respects their times and the register, which starts absent.
pub fn linearizable(operations: &[Operation]) -> bool {
    let mut operations = operations.to_vec();
    operations.sort_by_key(|o| o.called);
    let mut search = Search {
        done: vec![0; operations.len().div_ceil(64)],
        failed: HashSet::new(),
        left: operations.iter().filter(|o| o.returned.is_some()).count(),
        operations,
    };
    search.go(0, None)
}

struct Search {
    operations: Vec<Operation>,
    done: Vec<u64>,
    failed: HashSet<(Vec<u64>, Option<u64>)>,
    left: usize,
}

impl Search {
    fn is_done(&self, i: usize) -> bool {
        self.done[i / 64] & (1 << (i % 64)) != 0
    }

    fn go(&mut self, first: usize, value: Option<u64>) -> bool {
        if self.left == 0 {
            return true;
        }
        let first = (first..self.operations.len())
            .find(|i| !self.is_done(*i))
            .unwrap_or(first);
        for i in self.candidates(first) {
            let operation = self.operations[i];
            let next = match operation.action {
                Action::Write(written) => Some(written),
                Action::Read(seen) if seen == value => value,
                Action::Read(_) => continue,
            };
            let counted = usize::from(operation.returned.is_some());
            self.done[i / 64] |= 1 << (i % 64);
            self.left -= counted;
            if !self.failed.contains(&(self.done.clone(), next)) {
                if self.go(first, next) {
                    return true;
                }
                self.failed.insert((self.done.clone(), next));
            }
            self.done[i / 64] &= !(1 << (i % 64));
            self.left += counted;
        }
        false
    }

    /// What may come next: everything called before the first return of what is left.
    fn candidates(&self, first: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut horizon = u64::MAX;
        for i in first..self.operations.len() {
            if self.operations[i].called > horizon {
                break;
            }
            if !self.is_done(i) {
                found.push(i);
                horizon = horizon.min(self.operations[i].returned.unwrap_or(u64::MAX));
            }
        }
        found.retain(|i| self.operations[*i].called <= horizon);
        found
    }
}

/// The checker must be seen to find faults, or its silence says nothing.
#[cfg(test)]
mod tests {
    use super::Action::{Read, Write};
    use super::*;

    fn history(rows: &[(Action, u64, u64)]) -> Vec<Operation> {
        let operation = |&(action, called, returned): &(Action, u64, u64)| Operation {
            action,
            called,
            returned: (returned != 0).then_some(returned),
        };
        rows.iter().map(operation).collect()
    }

    #[test]
    fn possible_histories_pass() {
        assert!(linearizable(&history(&[
            (Write(1), 1, 4),
            (Read(None), 2, 3),
            (Read(Some(1)), 2, 3)
        ])));
        assert!(linearizable(&history(&[
            (Write(1), 1, 2),
            (Write(2), 3, 0),
            (Read(Some(1)), 4, 5)
        ])));
        assert!(linearizable(&history(&[
            (Write(1), 1, 2),
            (Write(2), 3, 0),
            (Read(Some(2)), 4, 5)
        ])));
    }

    #[test]
    fn a_lost_write_a_stale_read_and_a_read_that_goes_back_are_found() {
        assert!(!linearizable(&history(&[(Write(1), 1, 2), (Read(None), 3, 4)])));
        assert!(!linearizable(&history(&[
            (Write(1), 1, 2),
            (Write(2), 3, 4),
            (Read(Some(1)), 5, 6)
        ])));
        let back = [
            (Write(1), 1, 2),
            (Write(2), 3, 0),
            (Read(Some(2)), 4, 5),
            (Read(Some(1)), 6, 7),
        ];
        assert!(!linearizable(&history(&back)));
        assert!(!linearizable(&history(&[(Read(Some(9)), 1, 2)])));
    }
}

//! The consensus log: entries by position, trimmed at the front, replaced at the back.

use redb::ReadableTable;

use super::{LOG, Store, StoreError, decode, encode, engine};
use crate::entry::KvEntry;

impl Store {
    /// Appends at the end of the log.
    pub(crate) fn append(&mut self, entries: &[KvEntry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut position = self.meta.log_end;
        let mut bytes = 0;
        {
            let transaction = self.transaction()?;
            let mut table = transaction.open_table(LOG).map_err(engine("opening the log"))?;
            for entry in entries {
                let encoded = encode(entry)?;
                table
                    .insert(position, encoded.as_slice())
                    .map_err(engine("appending to the log"))?;
                bytes += encoded.len() as u64;
                position += 1;
            }
        }
        self.meta.log_end = position;
        self.log_bytes += bytes;
        self.changed(true);
        Ok(())
    }

    /// Replaces everything from position `from` on.
    pub(crate) fn append_on_prefix(&mut self, from: u64, entries: &[KvEntry]) -> Result<(), StoreError> {
        if from < self.meta.compacted {
            return Err(StoreError::Invariant(format!(
                "the log cannot be replaced from {from}: it is compacted up to {}",
                self.meta.compacted
            )));
        }
        if from < self.meta.log_end {
            self.remove(from, self.meta.log_end)?;
        }
        self.meta.log_end = from;
        self.changed(true);
        self.append(entries)
    }

    /// The entries in `[from, to)`, or none at all unless every one of them is there.
    pub(crate) fn entries(&mut self, from: u64, to: u64) -> Result<Vec<KvEntry>, StoreError> {
        if from < self.meta.compacted || to > self.meta.log_end || from >= to {
            return Ok(Vec::new());
        }
        let transaction = self.transaction()?;
        let table = transaction.open_table(LOG).map_err(engine("opening the log"))?;
        let mut found = Vec::with_capacity((to - from) as usize);
        for row in table.range(from..to).map_err(engine("reading the log"))? {
            let (position, bytes) = row.map_err(engine("reading the log"))?;
            let mut entry: KvEntry = decode(bytes.value(), || format!("log entry {}", position.value()))?;
            entry.index = position.value();
            found.push(entry);
        }
        if found.len() as u64 != to - from {
            return Err(StoreError::Invariant(format!(
                "the log has {} of the {} entries in [{from}, {to})",
                found.len(),
                to - from
            )));
        }
        Ok(found)
    }

    /// The entries from `from` to the end.
    pub(crate) fn suffix(&mut self, from: u64) -> Result<Vec<KvEntry>, StoreError> {
        self.entries(from, self.meta.log_end)
    }

    /// Drops the entries before `to`; a `to` behind the end leaves an empty log that goes on there.
    pub(crate) fn trim(&mut self, to: u64) -> Result<(), StoreError> {
        self.remove(0, to)?;
        self.meta.log_end = self.meta.log_end.max(to);
        self.changed(true);
        Ok(())
    }

    pub(crate) fn set_compacted(&mut self, index: u64) {
        self.meta.compacted = index;
        self.changed(true);
    }

    fn remove(&mut self, from: u64, to: u64) -> Result<(), StoreError> {
        let mut bytes = 0;
        {
            let transaction = self.transaction()?;
            let mut table = transaction.open_table(LOG).map_err(engine("opening the log"))?;
            table
                .retain_in(from..to, |_, value| {
                    bytes += value.len() as u64;
                    false
                })
                .map_err(engine("removing from the log"))?;
        }
        self.log_bytes = self.log_bytes.saturating_sub(bytes);
        Ok(())
    }

    pub(super) fn measure_log(&mut self) -> Result<u64, StoreError> {
        let transaction = self.transaction()?;
        let table = transaction.open_table(LOG).map_err(engine("opening the log"))?;
        let mut bytes = 0;
        for row in table.iter().map_err(engine("reading the log"))? {
            let (_, value) = row.map_err(engine("reading the log"))?;
            bytes += value.value().len() as u64;
        }
        Ok(bytes)
    }
}

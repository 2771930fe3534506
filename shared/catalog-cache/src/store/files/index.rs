//! Index of the file tier: its entries, and which of them are evicted. Knows no file system.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::format::Times;

/// Block size in which files are counted, as most file systems store them.
const BLOCK_BYTES: u64 = 4_096;

/// Entries by key and by age, within a number of bytes.
#[derive(Debug)]
pub(super) struct Index {
    bytes_max: u64,
    bytes: u64,
    entries: HashMap<Arc<str>, Entry>,
    by_age: BTreeMap<u64, Arc<str>>,
    next_number: u64,
}

/// Entry as it is known without reading its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) times: Times,
    /// Number that tells one write of a key from another; the higher, the later.
    number: u64,
    bytes: u64,
}

impl Index {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: 0, entries: HashMap::new(), by_age: BTreeMap::new(), next_number: 0 }
    }

    pub(super) fn get(&self, key: &str) -> Option<Entry> {
        self.entries.get(key).copied()
    }

    /// Adds the newest entry, in place of the one under the same key. Returns it, and the keys that were
    /// evicted for it: the longest written ones. None for an entry that has no room.
    pub(super) fn insert(
        &mut self,
        key: &Arc<str>,
        len: u64,
        times: Times,
    ) -> Option<(Entry, Vec<Arc<str>>)> {
        let bytes = len.div_ceil(BLOCK_BYTES) * BLOCK_BYTES;
        if bytes > self.bytes_max {
            return None;
        }
        self.remove(key);
        let mut evicted = Vec::new();
        while self.bytes + bytes > self.bytes_max
            && let Some(oldest) = self.by_age.values().next().cloned()
        {
            self.remove(&oldest);
            evicted.push(oldest);
        }
        let entry = Entry { times, number: self.next_number, bytes };
        self.next_number += 1;
        self.bytes += bytes;
        self.by_age.insert(entry.number, Arc::clone(key));
        self.entries.insert(Arc::clone(key), entry);
        Some((entry, evicted))
    }

    /// Removes the key; returns whether it was there.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let Some(entry) = self.entries.remove(key) else { return false };
        self.by_age.remove(&entry.number);
        self.bytes -= entry.bytes;
        true
    }

    /// Removes this write of the key; a later one stays.
    pub(super) fn remove_entry(&mut self, key: &str, entry: Entry) -> bool {
        self.get(key) == Some(entry) && self.remove(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { written: 0, expires: 1 };

    fn insert(index: &mut Index, key: &str, len: u64) -> Vec<Arc<str>> {
        index.insert(&Arc::from(key), len, TIMES).expect("it has room").1
    }

    #[test]
    fn the_longest_written_entries_go_first() {
        let mut index = Index::new(3 * BLOCK_BYTES);
        for key in ["a", "b", "c"] {
            assert!(insert(&mut index, key, 1).is_empty());
        }
        assert!(insert(&mut index, "a", BLOCK_BYTES).is_empty(), "written again in its own place");
        assert_eq!(insert(&mut index, "d", BLOCK_BYTES + 1), [Arc::from("b"), Arc::from("c")]);
        assert!(index.get("a").is_some() && index.get("b").is_none() && index.get("d").is_some());
        assert_eq!(index.bytes, 3 * BLOCK_BYTES);
    }

    #[test]
    fn what_never_fits_pushes_nothing_out() {
        let mut index = Index::new(BLOCK_BYTES);
        insert(&mut index, "a", 1);
        assert!(index.insert(&Arc::from("b"), BLOCK_BYTES + 1, TIMES).is_none());
        assert!(index.get("a").is_some());
    }

    #[test]
    fn what_ends_late_does_not_remove_what_came_since() {
        let mut index = Index::new(BLOCK_BYTES);
        insert(&mut index, "a", 1);
        let first = index.get("a").unwrap();
        insert(&mut index, "a", 1);
        assert!(!index.remove_entry("a", first));
        let second = index.get("a").unwrap();
        assert!(index.remove_entry("a", second));
        assert_eq!((index.bytes, index.by_age.len()), (0, 0));
    }
}

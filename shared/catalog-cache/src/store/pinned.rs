//! Pinned entries: nothing else evicts them from memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use toolweaver_contracts::Tenant;

/// Pinned keys of each tenant, and their values as far as they were seen.
#[derive(Debug, Default)]
pub(super) struct Pinned {
    keys: HashMap<Tenant, HashSet<Arc<str>>>,
    /// Value of each pinned key; none until it was seen.
    entries: HashMap<Arc<str>, Option<PinnedEntry>>,
}

#[derive(Debug)]
struct PinnedEntry {
    value: Bytes,
    expires: Instant,
}

impl Pinned {
    /// Pins these keys of a tenant and no others. Returns those that were not pinned before.
    pub(super) fn pin(&mut self, tenant: &Tenant, keys: HashSet<Arc<str>>) -> Vec<Arc<str>> {
        for gone in self.keys.remove(tenant).unwrap_or_default().difference(&keys) {
            self.entries.remove(gone);
        }
        let new: Vec<_> = keys.iter().filter(|key| !self.entries.contains_key(*key)).cloned().collect();
        self.entries.extend(new.iter().map(|key| (Arc::clone(key), None)));
        if !keys.is_empty() {
            self.keys.insert(tenant.clone(), keys);
        }
        new
    }

    /// Stores the value if its key is pinned.
    pub(super) fn insert(&mut self, key: &str, value: &Bytes, expires: Instant) {
        if let Some(entry) = self.entries.get_mut(key) {
            *entry = Some(PinnedEntry { value: value.clone(), expires });
        }
    }

    /// Returns the value of a pinned key.
    pub(super) fn get(&self, key: &str, now: Instant) -> Option<Bytes> {
        let entry = self.entries.get(key)?.as_ref()?;
        (now < entry.expires).then(|| entry.value.clone())
    }

    /// Removes the value of a key, which stays pinned.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.get_mut(key) {
            *entry = None;
        }
    }

    /// Returns whether any key is pinned.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn keys(keys: &[&str]) -> HashSet<Arc<str>> {
        keys.iter().copied().map(Arc::from).collect()
    }

    #[test]
    fn each_tenant_has_its_own_and_the_last_word_counts() {
        let (acme, globex): (Tenant, Tenant) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let (now, value) = (Instant::now(), Bytes::from_static(b"value"));
        let later = now + Duration::from_secs(1);
        let mut pinned = Pinned::default();
        pinned.pin(&acme, keys(&["a", "b"]));
        pinned.pin(&globex, keys(&["g"]));
        for key in ["a", "b", "g", "stranger"] {
            pinned.insert(key, &value, later);
        }
        assert_eq!(pinned.get("stranger", now), None);
        assert_eq!(pinned.get("a", later), None, "expired");

        assert_eq!(pinned.pin(&acme, keys(&["b", "c"])), [Arc::from("c")]);
        assert_eq!(pinned.get("a", now), None);
        assert_eq!(pinned.get("b", now), Some(value.clone()), "it stays as it was");
        assert_eq!(pinned.get("g", now), Some(value));

        pinned.pin(&acme, keys(&[]));
        pinned.pin(&globex, keys(&[]));
        assert!(pinned.is_empty());
    }
}

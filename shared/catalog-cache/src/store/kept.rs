//! Entries that nothing else pushes out of memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use toolweaver_contracts::Tenant;

/// Which keys each tenant keeps, and what is under them as far as it came by.
#[derive(Debug, Default)]
pub(super) struct Kept {
    keys: HashMap<Tenant, HashSet<Arc<str>>>,
    /// One for each key; none until there is a value.
    entries: HashMap<Arc<str>, Option<KeptEntry>>,
}

#[derive(Debug)]
struct KeptEntry {
    value: Bytes,
    expires: Instant,
}

impl Kept {
    /// Keeps these keys for a tenant and no others. Returns those that were not kept before.
    pub(super) fn keep(&mut self, tenant: &Tenant, keys: HashSet<Arc<str>>) -> Vec<Arc<str>> {
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

    /// Takes the value if its key is kept.
    pub(super) fn insert(&mut self, key: &str, value: &Bytes, expires: Instant) {
        if let Some(entry) = self.entries.get_mut(key) {
            *entry = Some(KeptEntry { value: value.clone(), expires });
        }
    }

    /// The value under a kept key.
    pub(super) fn get(&self, key: &str, now: Instant) -> Option<Bytes> {
        let entry = self.entries.get(key)?.as_ref()?;
        (now < entry.expires).then(|| entry.value.clone())
    }

    /// Forgets the value under a key, which stays a kept one.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.get_mut(key) {
            *entry = None;
        }
    }

    /// Whether there is any key to look for.
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
        let mut kept = Kept::default();
        kept.keep(&acme, keys(&["a", "b"]));
        kept.keep(&globex, keys(&["g"]));
        for key in ["a", "b", "g", "stranger"] {
            kept.insert(key, &value, later);
        }
        assert_eq!(kept.get("stranger", now), None);
        assert_eq!(kept.get("a", later), None, "expired");

        assert_eq!(kept.keep(&acme, keys(&["b", "c"])), [Arc::from("c")]);
        assert_eq!(kept.get("a", now), None);
        assert_eq!(kept.get("b", now), Some(value.clone()), "it stays as it was");
        assert_eq!(kept.get("g", now), Some(value));

        kept.keep(&acme, keys(&[]));
        kept.keep(&globex, keys(&[]));
        assert!(kept.is_empty());
    }
}

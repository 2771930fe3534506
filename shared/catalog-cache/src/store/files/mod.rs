//! File tier: entries as files in a folder. Slower than Redis, but there when Redis is not, and after a
//! restart.
//!
//! ```text
//! put, get, delete ─▶ index (which entries there are) ─▶ queue, 256 ─▶ one thread: the folder
//! ```
//! The index changes as the queue is joined, under one lock, so that what is queued later finds what was
//! queued earlier. A key that the index does not have costs no look at the disk. When the queue is full, new
//! entries are not kept and lookups find nothing: a slow disk holds up nobody.

mod folder;
mod format;
mod index;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;

use self::folder::Folder;
use self::format::Times;
use self::index::{Entry, Index};
use super::{EntryStore, StoreError};

/// Most queued reads and writes. Removals are queued beyond that: there are never more than entries.
const QUEUE_LEN_MAX: usize = 256;

/// Timeout of a read: a caller that waits longer gets its answer faster without the file.
const READ_WITHIN: Duration = Duration::from_millis(100);

/// Store of entries in a folder of this process's own. Cheap to clone; all clones are one store.
///
/// What was put is on its way to the disk; when the last clone is dropped it is there.
#[derive(Clone, Debug)]
pub struct Files {
    owner: Arc<Owner>,
}

/// Error of a read: it is not known whether the entry is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// Handle that ends the thread with its last clone.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    has_work: Condvar,
}

#[derive(Debug)]
struct State {
    index: Index,
    jobs: VecDeque<Job>,
    /// End of the jobs.
    is_closed: bool,
}

#[derive(Debug)]
enum Job {
    Write { key: Arc<str>, value: Bytes, entry: Entry },
    Read { key: Arc<str>, entry: Entry, reply: oneshot::Sender<Option<Bytes>> },
    Remove { key: Arc<str> },
}

impl Files {
    /// Opens a folder, making it where it is missing, and looks through what an earlier process left in it.
    /// Blocks meanwhile: for starting up only.
    ///
    /// The files take at most about `bytes_max`. A second process on the same folder is refused.
    pub fn open(dir: &Path, bytes_max: u64) -> Result<Self, StoreError> {
        let failed = |source| StoreError::OpenFiles { dir: dir.to_owned(), source };
        let folder = Folder::open(dir).map_err(failed)?;
        let mut state = State { index: Index::new(bytes_max), jobs: VecDeque::new(), is_closed: false };
        for found in folder.scan(now()).map_err(failed)? {
            if state.insert(&found.key, found.len, found.times).is_none() {
                state.jobs.push_back(Job::Remove { key: found.key });
            }
        }
        let shared = Arc::new(Shared { state: Mutex::new(state), has_work: Condvar::new() });
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("cache files".to_owned())
            .spawn(move || for_thread.work(&folder))
            .map_err(failed)?;
        Ok(Self { owner: Arc::new(Owner { shared, thread: Some(thread) }) })
    }

    /// Stores bytes under this key for `ttl`, in place of what was there. False when they are not kept,
    /// because the disk cannot follow or has no room for so many; then what was there stays.
    pub(crate) fn insert(&self, key: &str, value: Bytes, ttl: Duration) -> bool {
        let shared = &self.owner.shared;
        let mut state = shared.state();
        if state.jobs.len() >= QUEUE_LEN_MAX {
            return false;
        }
        let key: Arc<str> = Arc::from(key);
        let written = now();
        let times = Times { written, expires: written.saturating_add(milliseconds(ttl)) };
        let Some(entry) = state.insert(&key, format::file_len(&key, &value), times) else { return false };
        state.jobs.push_back(Job::Write { key, value, entry });
        shared.has_work.notify_one();
        true
    }

    /// Reads the bytes of this key, if they are there, not expired and not damaged. An entry that would hold
    /// longer than `ttl_max` from now was written by a clock that was wrong, or is read by one, and counts as
    /// expired.
    pub(crate) async fn lookup(&self, key: &str, ttl_max: Duration) -> Result<Option<Bytes>, Busy> {
        let Some(read) = self.request(key, ttl_max)? else { return Ok(None) };
        timeout(READ_WITHIN, read).await.ok().and_then(Result::ok).ok_or(Busy)
    }

    /// Queues the reading of a key that the index has.
    fn request(
        &self,
        key: &str,
        ttl_max: Duration,
    ) -> Result<Option<oneshot::Receiver<Option<Bytes>>>, Busy> {
        let shared = &self.owner.shared;
        let mut state = shared.state();
        let Some(entry) = state.index.get(key) else { return Ok(None) };
        let now = now();
        let holds = entry.times.expires > now;
        if !holds || entry.times.expires > now.saturating_add(milliseconds(ttl_max)) {
            state.remove(key);
            shared.has_work.notify_one();
            return Ok(None);
        }
        if state.jobs.len() >= QUEUE_LEN_MAX {
            return Err(Busy);
        }
        let (reply, read) = oneshot::channel();
        state.jobs.push_back(Job::Read { key: Arc::from(key), entry, reply });
        shared.has_work.notify_one();
        Ok(Some(read))
    }
}

impl EntryStore for Files {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let Ok(Some(read)) = self.request(key, Duration::MAX) else { return Ok(None) };
        Ok(read.await.unwrap_or(None))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        self.insert(key, value, ttl);
        Ok(())
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        let shared = &self.owner.shared;
        let mut state = shared.state();
        for key in keys {
            state.remove(key);
        }
        shared.has_work.notify_one();
        Ok(())
    }
}

impl State {
    /// Makes room for an entry and adds it to the index. None when there is no room for it at all.
    fn insert(&mut self, key: &Arc<str>, len: u64, times: Times) -> Option<Entry> {
        let (entry, evicted) = self.index.insert(key, len, times)?;
        self.jobs.extend(evicted.into_iter().map(|key| Job::Remove { key }));
        Some(entry)
    }

    fn remove(&mut self, key: &str) {
        if self.index.remove(key) {
            self.jobs.push_back(Job::Remove { key: Arc::from(key) });
        }
    }
}

impl Shared {
    /// Runs the thread: does the jobs in their order until the last handle is gone and none is left.
    fn work(&self, folder: &Folder) {
        while let Some(job) = self.next_job() {
            match job {
                Job::Write { key, value, entry } => {
                    if let Err(error) = folder.write(&key, &value, entry.times) {
                        warn!(%error, "an entry cannot be written to CACHE_DIR");
                        self.give_up(folder, &key, entry);
                    }
                }
                Job::Read { key, entry, reply } => {
                    let value = folder.read(&key, entry.times);
                    if value.is_none() {
                        self.give_up(folder, &key, entry);
                    }
                    // Whoever asked may have gone.
                    let _ = reply.send(value);
                }
                Job::Remove { key } => remove(folder, &key),
            }
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state = self.has_work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Removes an entry whose file is damaged. What was stored under the key since is written after this.
    fn give_up(&self, folder: &Folder, key: &str, entry: Entry) {
        self.state().index.remove_entry(key, entry);
        remove(folder, key);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
        self.shared.has_work.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has at most a queue of small files to write. Had it panicked, its entries would be misses.
            let _ = thread.join();
        }
    }
}

fn remove(folder: &Folder, key: &str) {
    if let Err(error) = folder.remove(key) {
        warn!(%error, "an entry cannot be removed from CACHE_DIR");
    }
}

fn now() -> u64 {
    milliseconds(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    #[tokio::test]
    async fn what_would_hold_longer_than_its_layer_lets_it_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path(), 1 << 20).unwrap();
        let value = Bytes::from_static(b"value");
        assert!(files.insert("key", value.clone(), LONG));
        assert_eq!(files.get("key").await.unwrap(), Some(value));
        assert_eq!(files.lookup("key", LONG / 2).await, Ok(None));
        assert_eq!(files.get("key").await.unwrap(), None, "it was removed");
    }

    #[tokio::test]
    async fn writes_that_the_disk_cannot_follow_are_dropped_and_the_old_value_stays() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path(), 1 << 30).unwrap();
        assert!(files.insert("key", Bytes::from_static(b"old"), LONG));
        let large = Bytes::from(vec![7; 1 << 16]);
        let dropped = (0..20 * QUEUE_LEN_MAX).any(|i| !files.insert(&i.to_string(), large.clone(), LONG));
        assert!(dropped, "a queue that never fills");
        files.insert("key", Bytes::from_static(b"new"), LONG);
        let busy = files.lookup("key", LONG).await;
        // The disk may have caught up by now; but a write that was dropped left what was there.
        assert!(matches!(&busy, Err(Busy)) || busy.unwrap().is_some());
    }
}

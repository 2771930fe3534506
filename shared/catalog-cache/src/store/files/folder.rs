//! Folder of the file tier. Everything here blocks.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::format::{self, SUFFIX, Times};

/// Subfolder of the configured folder that is ours alone: a file in it that is no entry is removed.
const ENTRIES: &str = "entries-v1";
/// Lock file beside it, locked while a process uses the folder.
const LOCK: &str = "entries-v1.lock";
/// Name under which a file is written until it is whole. Only one thread writes.
const UNFINISHED: &str = "unfinished";

/// Folder of entries, used by one process at a time.
#[derive(Debug)]
pub(super) struct Folder {
    entries: PathBuf,
    /// Lock that is held until this is dropped, or the process ends in whatever way.
    _lock: File,
}

/// Entry that an earlier process left.
pub(super) struct Found {
    pub(super) key: Arc<str>,
    pub(super) len: u64,
    pub(super) times: Times,
}

impl Folder {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let entries = dir.join(ENTRIES);
        fs::create_dir_all(&entries)?;
        let lock = File::create(dir.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { entries, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process uses it"))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Returns the entries that are not expired, the oldest first. Removes every other file.
    pub(super) fn scan(&self, now: u64) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for file in fs::read_dir(&self.entries)? {
            let file = file?;
            if !file.file_type()?.is_file() {
                continue;
            }
            let name = file.file_name();
            let entry = Self::read_found(&file.path())?;
            match entry.filter(|entry| entry.times.expires > now && *name == *format::file_name(&entry.key)) {
                Some(entry) => found.push(entry),
                None => fs::remove_file(file.path())?,
            }
        }
        found.sort_by_key(|entry| entry.times.written);
        Ok(found)
    }

    fn read_found(path: &Path) -> io::Result<Option<Found>> {
        if !path.as_os_str().to_string_lossy().ends_with(SUFFIX) {
            return Ok(None);
        }
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        let head = format::read_head(&mut file)?;
        Ok(head.map(|(key, times)| Found { key: Arc::from(key), len, times }))
    }

    /// Replaces the file atomically: a reader sees the old one, the new one, or none.
    ///
    /// Nothing is flushed to the disk: what a crash of the machine leaves behind of a file is found damaged
    /// by its sum, and a cache may lose entries.
    pub(super) fn write(&self, key: &str, value: &[u8], times: Times) -> io::Result<()> {
        let unfinished = self.entries.join(UNFINISHED);
        fs::write(&unfinished, format::encode(key, value, times))?;
        fs::rename(&unfinished, self.path(key))
    }

    /// Reads the value of this write of the key; none when the file is gone, damaged, or something else.
    pub(super) fn read(&self, key: &str, times: Times) -> Option<Bytes> {
        format::decode(&Bytes::from(fs::read(self.path(key)).ok()?), key, times)
    }

    /// Removes the file if there is one.
    pub(super) fn remove(&self, key: &str) -> io::Result<()> {
        match fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.entries.join(format::file_name(key))
    }
}

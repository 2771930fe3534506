//! Data folder of `up`: its lock, its models, and the address by which the other commands find a running one.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use toolweaver_contracts::{ErrorCode, Fault};

use crate::default_model;

/// Time that a killed process may take to disappear: it holds the folder until its memory is given back.
const LOCK_WITHIN: Duration = Duration::from_secs(3);
/// Interval at which the lock is tried.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Data folder of one machine's `up`.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    path: PathBuf,
}

/// Lock of the one `up` on a data folder; the system releases it when that process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: fs::File,
}

/// File with the address of the running NATS server; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct NatsUrlFile {
    path: PathBuf,
}

impl DataDir {
    /// Returns the folder given, else `$XDG_DATA_HOME/toolweaver`, else `~/.local/share/toolweaver`.
    pub(crate) fn new(given: Option<&Path>) -> Result<Self, Fault> {
        let path = given.map(Path::to_path_buf).or_else(default_path).ok_or_else(|| {
            Fault::new(ErrorCode::BadRequest, "there is no home folder to keep data in")
                .hint("give --data-dir")
        })?;
        // Child processes get it as an argument, and their folder may be another one.
        let path = std::path::absolute(&path).unwrap_or(path);
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder that `model pull` puts models into.
    pub(crate) fn models(&self) -> PathBuf {
        self.path.join("models")
    }

    /// Returns the default model's folder: in this data folder, else in the default one, where a pull without
    /// `--data-dir` put it.
    pub(crate) fn default_model(&self) -> Option<PathBuf> {
        let own = self.models();
        let default = default_path().map(|path| path.join("models"));
        let candidates = std::iter::once(own).chain(default).map(|models| models.join(default_model::NAME));
        candidates.into_iter().find(|dir| dir.join("config.json").is_file())
    }

    /// Makes the folder and locks it for this process.
    pub(crate) async fn lock(&self) -> Result<Lock, Fault> {
        let deadline = Instant::now() + LOCK_WITHIN;
        loop {
            match self.try_lock()? {
                Some(lock) => return Ok(lock),
                None if Instant::now() < deadline => tokio::time::sleep(LOOK_EVERY).await,
                None => {
                    let folder = self.path.display();
                    let message = format!("another `toolweaver up` is running on {folder}");
                    return Err(Fault::new(ErrorCode::Internal, message)
                        .hint("use that one, stop it first, or give this one its own --data-dir"));
                }
            }
        }
    }

    /// Returns the lock, unless another process has it.
    fn try_lock(&self) -> Result<Option<Lock>, Fault> {
        let fault = |error: io::Error| self.fault("cannot use the data folder", &error);
        fs::create_dir_all(&self.path).map_err(fault)?;
        let file =
            fs::File::options().create(true).append(true).open(self.path.join("lock")).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(fault(error)),
        }
    }

    /// Publishes the address of NATS to the other commands, until the returned value is dropped.
    pub(crate) fn publish_nats_url(&self, url: &str) -> Result<NatsUrlFile, Fault> {
        let path = self.nats_url_path();
        fs::write(&path, format!("{url}\n"))
            .map_err(|error| self.fault("cannot write into the data folder", &error))?;
        Ok(NatsUrlFile { path })
    }

    /// Returns the address of NATS that the `up` on this folder published.
    pub(crate) fn nats_url(&self) -> Option<String> {
        let text = fs::read_to_string(self.nats_url_path()).ok()?;
        Some(text.trim().to_owned()).filter(|url| !url.is_empty())
    }

    fn nats_url_path(&self) -> PathBuf {
        self.path.join("nats.url")
    }

    fn fault(&self, what: &str, error: &io::Error) -> Fault {
        Fault::new(ErrorCode::Internal, format!("{what} {}: {error}", self.path.display()))
            .hint("check its permissions and free space, or give another one with --data-dir")
    }
}

impl Drop for NatsUrlFile {
    fn drop(&mut self) {
        // A file left behind leads to "cannot connect", which says what to do.
        fs::remove_file(&self.path).ok();
    }
}

fn default_path() -> Option<PathBuf> {
    let of = |variable| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The XDG specification: a path that is not absolute is to be ignored.
    let data = of("XDG_DATA_HOME").filter(|path| path.is_absolute());
    let data = data.or_else(|| Some(of("HOME")?.join(".local/share")))?;
    Some(data.join("toolweaver"))
}

#[cfg(test)]
mod tests {
    use super::DataDir;

    #[test]
    fn a_folder_has_one_up_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(Some(folder.path())).unwrap();
        let lock = data.try_lock().unwrap();
        assert!(lock.is_some());
        assert!(data.try_lock().unwrap().is_none());
        drop(lock);
        assert!(data.try_lock().unwrap().is_some());
    }

    #[test]
    fn the_url_is_there_as_long_as_the_up_that_wrote_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(Some(folder.path())).unwrap();
        assert_eq!(data.nats_url(), None);
        let file = data.publish_nats_url("nats://127.0.0.1:4333").unwrap();
        assert_eq!(data.nats_url().as_deref(), Some("nats://127.0.0.1:4333"));
        drop(file);
        assert_eq!(data.nats_url(), None);
    }
}

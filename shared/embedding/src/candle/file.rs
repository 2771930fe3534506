//! Reading the files of a model folder.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::LoadError;

/// Returns a file's path, and its contents.
pub(super) fn read(dir: &Path, name: &str) -> Result<(PathBuf, Vec<u8>), LoadError> {
    let file = dir.join(name);
    match std::fs::read(&file) {
        Ok(content) => Ok((file, content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LoadError::Missing { file }),
        Err(source) => Err(LoadError::Read { file, source }),
    }
}

/// Parses a file of JSON.
pub(super) fn parse<T: DeserializeOwned>(file: &Path, json: &[u8]) -> Result<T, LoadError> {
    serde_json::from_slice(json).map_err(|source| LoadError::corrupt(file, source))
}

/// Parses a file of JSON that may be missing; returns its path too.
pub(super) fn parse_if_there<T: DeserializeOwned>(
    dir: &Path,
    name: &str,
) -> Result<Option<(PathBuf, T)>, LoadError> {
    match read(dir, name) {
        Ok((file, json)) => parse(&file, &json).map(|value| Some((file, value))),
        Err(LoadError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

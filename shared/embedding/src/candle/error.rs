//! The errors of loading a model.

use std::io;
use std::path::{Path, PathBuf};

/// A model that could not be loaded, and advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// No folder was named.
    #[error(
        "no model folder is named: fetch the default model with `toolweaver model pull`, or name a folder with \
         --model-dir or TOOLWEAVER_MODEL_DIR"
    )]
    NoFolder,
    /// A file is not there.
    #[error(
        "{} is missing: fetch the model with `toolweaver model pull`, or name a whole \
         sentence-transformers folder with --model-dir or TOOLWEAVER_MODEL_DIR", file.display()
    )]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// A file is there but cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what its name says.
    #[error(
        "{} is damaged or of another kind: fetch the model again with `toolweaver model pull`", file.display()
    )]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// The error of the reader.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The model is sound but of a shape that is not supported.
    #[error(
        "{} asks for {found}, which is not supported; {supported} would be: name another model with --model-dir or \
         TOOLWEAVER_MODEL_DIR", file.display()
    )]
    Unsupported {
        /// The file that says so.
        file: PathBuf,
        /// The value that it has.
        found: String,
        /// The values that are supported.
        supported: &'static str,
    },
    /// The device cannot be used.
    #[error("cannot compute on {device}: choose another one with --device or TOOLWEAVER_DEVICE")]
    Device {
        /// The device asked for.
        device: crate::DeviceKind,
        /// The device's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl LoadError {
    pub(super) fn corrupt(file: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Corrupt { file: file.to_owned(), source: source.into() }
    }

    pub(super) fn unsupported(file: &Path, found: String, supported: &'static str) -> Self {
        Self::Unsupported { file: file.to_owned(), found, supported }
    }
}

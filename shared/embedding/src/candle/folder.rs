//! Reading a sentence-transformers model folder: which files there must be, what they must say, and the
//! fingerprint they add up to.

use std::io;
use std::path::{Path, PathBuf};

use candle_transformers::models::bert;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokenizers::{Tokenizer, TruncationParams};

use crate::Fingerprint;
use crate::template::TEMPLATE_VERSION;

/// Why a model could not be loaded, and what to do about it.
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
        /// What the system said.
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
        /// What does not fit.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The model is sound but of a shape that is not supported.
    #[error("{} asks for {found}, but only {supported} is supported: name another model with --model-dir",
        file.display())]
    Unsupported {
        /// The file that says so.
        file: PathBuf,
        /// What it says.
        found: String,
        /// What it would have to say.
        supported: &'static str,
    },
    /// The device cannot be used.
    #[error("cannot compute on {device}: choose another one with --device or TOOLWEAVER_DEVICE")]
    Device {
        /// The device asked for.
        device: crate::DeviceKind,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A model folder's files in memory, its settings understood.
pub(super) struct Folder {
    pub(super) config: bert::Config,
    /// `model.safetensors`.
    pub(super) weights: Vec<u8>,
    pub(super) weights_file: PathBuf,
    config_json: Vec<u8>,
    tokenizer_json: Vec<u8>,
    tokenizer_file: PathBuf,
    tokens_max: usize,
    name: String,
}

/// `sentence_bert_config.json`.
#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: usize,
}

impl Folder {
    pub(super) fn read(dir: &Path) -> Result<Self, LoadError> {
        let (config_file, config_json) = read(dir, "config.json")?;
        let (tokenizer_file, tokenizer_json) = read(dir, "tokenizer.json")?;
        let (pooling_file, pooling_json) = read(dir, "1_Pooling/config.json")?;
        let (sentence_file, sentence_json) = read(dir, "sentence_bert_config.json")?;
        let (weights_file, weights) = read(dir, "model.safetensors")?;

        let config = parse_config(&config_file, &config_json)?;
        check_pooling(&pooling_file, &pooling_json)?;
        let sentence: SentenceConfig = parse(&sentence_file, &sentence_json)?;
        let tokens_max = sentence.max_seq_length.min(config.max_position_embeddings);
        let name = name_of(dir);
        Ok(Self {
            config,
            weights,
            weights_file,
            config_json,
            tokenizer_json,
            tokenizer_file,
            tokens_max,
            name,
        })
    }

    /// Slow: it hashes all weights.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(
            &self.name,
            &[
                ("weights", &Sha256::digest(&self.weights)),
                ("config", &self.config_json),
                ("tokenizer", &self.tokenizer_json),
                ("pooling", b"mean"),
                ("normalisation", b"l2"),
                ("tokens_max", self.tokens_max.to_string().as_bytes()),
                ("template", TEMPLATE_VERSION.to_string().as_bytes()),
            ],
        )
    }

    /// The tokenizer, set to cut texts at the length that the model reads and never to pad them.
    pub(super) fn tokenizer(&self) -> Result<Tokenizer, LoadError> {
        let corrupt = |source| LoadError::corrupt(&self.tokenizer_file, source);
        let mut tokenizer = Tokenizer::from_bytes(&self.tokenizer_json).map_err(corrupt)?;
        if tokenizer.get_vocab_size(true) > self.config.vocab_size {
            return Err(corrupt("it knows more words than the weights have vectors for".into()));
        }
        // Some files fix both at other values (all-MiniLM-L6-v2: 128), which are not the model's.
        let truncation = TruncationParams { max_length: self.tokens_max, ..TruncationParams::default() };
        tokenizer.with_padding(None).with_truncation(Some(truncation)).map_err(corrupt)?;
        Ok(tokenizer)
    }
}

impl LoadError {
    pub(super) fn corrupt(file: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Corrupt { file: file.to_owned(), source: source.into() }
    }
}

fn read(dir: &Path, name: &str) -> Result<(PathBuf, Vec<u8>), LoadError> {
    let file = dir.join(name);
    match std::fs::read(&file) {
        Ok(content) => Ok((file, content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LoadError::Missing { file }),
        Err(source) => Err(LoadError::Read { file, source }),
    }
}

fn parse<T: DeserializeOwned>(file: &Path, json: &[u8]) -> Result<T, LoadError> {
    serde_json::from_slice(json).map_err(|source| LoadError::corrupt(file, source))
}

fn parse_config(file: &Path, json: &[u8]) -> Result<bert::Config, LoadError> {
    #[derive(Deserialize)]
    struct Kind {
        model_type: String,
    }
    // First the type: another family's configuration would only be reported as a field that is missing.
    let kind: Kind = parse(file, json)?;
    if kind.model_type != "bert" {
        return Err(LoadError::Unsupported {
            file: file.to_owned(),
            found: format!("model_type {:?}", kind.model_type),
            supported: "\"bert\"",
        });
    }
    let config: bert::Config = parse(file, json)?;
    if config.hidden_act != bert::HiddenAct::Gelu {
        let found = format!("hidden_act {:?}", config.hidden_act);
        return Err(LoadError::Unsupported { file: file.to_owned(), found, supported: "\"gelu\"" });
    }
    if config.num_attention_heads == 0 || !config.hidden_size.is_multiple_of(config.num_attention_heads) {
        return Err(LoadError::corrupt(file, "hidden_size is not a multiple of num_attention_heads"));
    }
    Ok(config)
}

fn check_pooling(file: &Path, json: &[u8]) -> Result<(), LoadError> {
    let settings: serde_json::Map<String, serde_json::Value> = parse(file, json)?;
    let modes: Vec<&str> = settings
        .iter()
        .filter(|(_, value)| **value == true)
        .filter_map(|(name, _)| name.strip_prefix("pooling_mode_"))
        .collect();
    if modes == ["mean_tokens"] {
        return Ok(());
    }
    let found = format!("pooling {modes:?}");
    Err(LoadError::Unsupported { file: file.to_owned(), found, supported: "mean_tokens" })
}

fn name_of(dir: &Path) -> String {
    // Canonical, so that `.` and a link named `current` have a name too.
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    dir.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

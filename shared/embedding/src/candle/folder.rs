//! Reading a sentence-transformers model folder: which files there must be, and the fingerprint they add up
//! to.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokenizers::{Tokenizer, TruncationParams};

use super::LoadError;
use super::family::Shape;
use super::file::read;
use super::pooling::Pooling;
use super::sentence::Sentence;
use crate::template::TEMPLATE_VERSION;
use crate::{Fingerprint, Prefixes, Role};

/// A model folder's files in memory, its settings understood.
pub(super) struct Folder {
    pub(super) shape: Shape,
    pub(super) pooling: Pooling,
    pub(super) prefixes: Prefixes,
    /// Whether texts are written in small letters before they are cut into tokens.
    pub(super) lower_case: bool,
    /// `model.safetensors`.
    pub(super) weights: Vec<u8>,
    pub(super) weights_file: PathBuf,
    config_json: Vec<u8>,
    tokenizer_json: Vec<u8>,
    tokenizer_file: PathBuf,
    tokens_max: usize,
    name: String,
}

impl Folder {
    /// Reads `dir`; `prefixes` go before its own.
    pub(super) fn read(dir: &Path, prefixes: &Prefixes) -> Result<Self, LoadError> {
        let sentence = Sentence::read(dir)?;
        let (config_file, config_json) = read(&sentence.transformer, "config.json")?;
        let (tokenizer_file, tokenizer_json) = read(&sentence.transformer, "tokenizer.json")?;
        let (weights_file, weights) = read(&sentence.transformer, "model.safetensors")?;
        let shape = Shape::parse(&config_file, &config_json)?;
        Ok(Self {
            tokens_max: sentence.tokens_max.unwrap_or(usize::MAX).min(shape.positions),
            shape,
            pooling: sentence.pooling,
            prefixes: prefixes.or(sentence.prefixes),
            lower_case: sentence.lower_case,
            weights,
            weights_file,
            config_json,
            tokenizer_json,
            tokenizer_file,
            name: name_of(dir),
        })
    }

    /// Computes the fingerprint. Slow: it hashes all weights.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let (weights, tokens_max) = (Sha256::digest(&self.weights), self.tokens_max.to_string());
        let template = TEMPLATE_VERSION.to_string();
        let mut components: Vec<(&str, &[u8])> = vec![
            ("weights", &weights),
            ("config", &self.config_json),
            ("tokenizer", &self.tokenizer_json),
            ("pooling", self.pooling.name().as_bytes()),
            ("normalisation", b"l2"),
            ("tokens_max", tokens_max.as_bytes()),
            ("template", template.as_bytes()),
        ];
        // Only where they say something, so that models without them keep the fingerprints that they had
        // before.
        if self.lower_case {
            components.push(("letters", b"lower case"));
        }
        let passage = self.prefixes.of(Role::Passage);
        if !passage.is_empty() {
            components.push(("passage_prefix", passage.as_bytes()));
        }
        Fingerprint::new(&self.name, &components).with_query_prefix(self.prefixes.of(Role::Query))
    }

    /// Returns the tokenizer, set to cut texts at the length that the model reads and never to pad them.
    pub(super) fn tokenizer(&self) -> Result<Tokenizer, LoadError> {
        let corrupt = |source| LoadError::corrupt(&self.tokenizer_file, source);
        let mut tokenizer = Tokenizer::from_bytes(&self.tokenizer_json).map_err(corrupt)?;
        if tokenizer.get_vocab_size(true) > self.shape.vocabulary {
            return Err(corrupt("it knows more words than the weights have vectors for".into()));
        }
        // Some files fix both at other values (all-MiniLM-L6-v2: 128), which are not the model's.
        let truncation = TruncationParams { max_length: self.tokens_max, ..TruncationParams::default() };
        tokenizer.with_padding(None).with_truncation(Some(truncation)).map_err(corrupt)?;
        Ok(tokenizer)
    }
}

fn name_of(dir: &Path) -> String {
    // Canonical, so that `.` and a link named `current` have a name too.
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    dir.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

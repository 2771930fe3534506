//! The configuration of sentence-transformers, beside the transformer's own: the transformer's folder, the
//! pooling of its tokens into one vector, the longest sequence, and the prefixes.
//!
//! Every release has written these files differently; what is read here are the forms of releases 2 to 6. A
//! folder without them is one of a bare transformer, for which the mean of all tokens is the usual choice.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::LoadError;
use super::file::parse_if_there;
use super::pooling::Pooling;
use crate::Prefixes;

const MODULES: &str = "modules.json";
const POOLING: &str = "a Pooling by \"cls\", \"mean\" or \"max\" alone";

/// A folder's settings.
#[derive(Debug)]
pub(super) struct Sentence {
    /// The folder of the transformer's own files.
    pub(super) transformer: PathBuf,
    pub(super) pooling: Pooling,
    /// Tokens that are read of a text; `None` if only the transformer limits them.
    pub(super) tokens_max: Option<usize>,
    /// Whether texts are written in small letters before anything else happens to them.
    pub(super) lower_case: bool,
    pub(super) prefixes: Prefixes,
}

/// An element of `modules.json`.
#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    class: String,
}

#[derive(Default, Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    do_lower_case: Option<bool>,
}

#[derive(Deserialize)]
struct TokenizerConfig {
    /// Not always a whole number that fits: where there is no limit, it is one with thirty digits.
    model_max_length: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Prompts {
    prompts: Option<HashMap<String, Option<String>>>,
}

impl Sentence {
    pub(super) fn read(dir: &Path) -> Result<Self, LoadError> {
        let (transformer, pooling) = read_modules(dir)?;
        let config = parse_if_there(&transformer, "sentence_bert_config.json")?;
        let SentenceConfig { max_seq_length, do_lower_case } =
            config.map(|(_, config)| config).unwrap_or_default();
        let tokens_max = match max_seq_length {
            Some(tokens) => Some(tokens),
            None => parse_if_there::<TokenizerConfig>(&transformer, "tokenizer_config.json")?
                .and_then(|(_, config)| config.model_max_length?.as_u64())
                .and_then(|tokens| usize::try_from(tokens).ok()),
        };
        Ok(Self {
            transformer,
            pooling,
            tokens_max,
            lower_case: do_lower_case.unwrap_or(false),
            prefixes: read_prefixes(dir)?,
        })
    }
}

/// Returns the transformer's folder, and how its tokens are pooled. Vectors have length 1 with or without a
/// module for it.
fn read_modules(dir: &Path) -> Result<(PathBuf, Pooling), LoadError> {
    let Some((file, modules)) = parse_if_there::<Vec<Module>>(dir, MODULES)? else {
        let pooling = read_pooling(dir, "1_Pooling")?.unwrap_or(Pooling::Mean);
        return Ok((dir.to_owned(), pooling));
    };
    // Only the last part of a class's name has stayed the same over time.
    let classes: Vec<&str> =
        modules.iter().map(|module| module.class.rsplit('.').next().unwrap_or_default()).collect();
    let (["Transformer", "Pooling"] | ["Transformer", "Pooling", "Normalize"]) = classes[..] else {
        return Err(LoadError::unsupported(
            &file,
            format!("the modules {}", classes.join(", ")),
            "a Transformer, a Pooling and perhaps a Normalize",
        ));
    };
    let pooling = read_pooling(dir, &modules[1].path)?
        .ok_or_else(|| LoadError::Missing { file: dir.join(&modules[1].path).join("config.json") })?;
    Ok((dir.join(&modules[0].path), pooling))
}

/// Returns the pooling that the folder `path` asks for; `None` without such a folder.
fn read_pooling(dir: &Path, path: &str) -> Result<Option<Pooling>, LoadError> {
    let Some((file, settings)) = parse_if_there::<Map<String, Value>>(&dir.join(path), "config.json")? else {
        return Ok(None);
    };
    if settings.get("include_prompt") == Some(&Value::Bool(false)) {
        let found = "pooling without the prefix (include_prompt)".to_owned();
        return Err(LoadError::unsupported(&file, found, POOLING));
    }
    let modes = pooling_modes(&settings);
    let pooling = match modes[..] {
        ["cls" | "cls_token"] => Pooling::Cls,
        ["mean" | "mean_tokens"] => Pooling::Mean,
        ["max" | "max_tokens"] => Pooling::Max,
        _ => {
            return Err(LoadError::unsupported(&file, format!("pooling by {modes:?}"), POOLING));
        }
    };
    Ok(Some(pooling))
}

/// Returns the modes of pooling. Newer folders name one or several, older ones have a flag for each.
fn pooling_modes(settings: &Map<String, Value>) -> Vec<&str> {
    match settings.get("pooling_mode") {
        Some(Value::Array(modes)) => modes.iter().filter_map(Value::as_str).collect(),
        Some(mode) => mode.as_str().into_iter().collect(),
        None => settings
            .iter()
            .filter(|(_, value)| **value == true)
            .filter_map(|(name, _)| name.strip_prefix("pooling_mode_"))
            .collect(),
    }
}

/// Returns the first name of each role that has a prefix: a folder may name all roles and leave some of them
/// empty.
fn read_prefixes(dir: &Path) -> Result<Prefixes, LoadError> {
    let config = parse_if_there::<Prompts>(dir, "config_sentence_transformers.json")?;
    let prompts = config.and_then(|(_, config)| config.prompts).unwrap_or_default();
    let first = |names: &[&str]| {
        names.iter().find_map(|name| prompts.get(*name)?.clone().filter(|prefix| !prefix.is_empty()))
    };
    Ok(Prefixes { query: first(&["query"]), passage: first(&["document", "passage", "corpus"]) })
}

//! The tiny folders, copies of them that can be edited, and how vectors are compared.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use toolweaver_embedding::{Candle, DeviceChoice, LoadError, Model, Prefixes, Role, Tokens};

pub(crate) const BERT: &str = "bert-cls";
pub(crate) const DISTILBERT: &str = "distilbert-mean";
pub(crate) const MPNET: &str = "mpnet-mean";
pub(crate) const XLM_ROBERTA: &str = "xlm-roberta-max";
pub(crate) const ALL: [&str; 4] = [BERT, DISTILBERT, MPNET, XLM_ROBERTA];

/// `vectors.json` of a tiny folder.
#[derive(Deserialize)]
pub(crate) struct Reference {
    /// Left out where the folder has no prefix, and so the passages' vectors.
    query: Option<Vec<String>>,
    passage: Vec<String>,
}

impl Reference {
    pub(crate) fn vectors(&self, role: Role) -> Vec<Vec<f32>> {
        let base64 = match role {
            Role::Query => self.query.as_ref().unwrap_or(&self.passage),
            Role::Passage => &self.passage,
        };
        base64.iter().map(|vector| decode(vector)).collect()
    }
}

fn decode(base64: &str) -> Vec<f32> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64).expect("base64");
    bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn json<T: DeserializeOwned>(file: &Path) -> T {
    serde_json::from_slice(&fs::read(file).expect("the fixture is there")).expect("what families.py writes")
}

pub(crate) fn texts() -> Vec<String> {
    json(&fixtures().join("texts.json"))
}

pub(crate) fn folder(name: &str) -> PathBuf {
    fixtures().join("families").join(name)
}

pub(crate) fn reference(name: &str) -> Reference {
    json(&folder(name).join("vectors.json"))
}

/// A copy of a tiny folder, to be edited.
pub(crate) fn copy(name: &str) -> TempDir {
    fn copy_into(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).expect("the fixture is there") {
            let from = entry.expect("an entry").path();
            let to = to.join(from.file_name().expect("entries have names"));
            if from.is_dir() {
                fs::create_dir(&to).expect("a new folder");
                copy_into(&from, &to);
            } else {
                fs::copy(&from, &to).expect("a new file");
            }
        }
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    copy_into(&folder(name), dir.path());
    dir
}

pub(crate) fn write(dir: &TempDir, file: &str, content: &str) {
    fs::write(dir.path().join(file), content).expect("the folder can be written");
}

pub(crate) fn remove(dir: &TempDir, file: &str) {
    fs::remove_file(dir.path().join(file)).expect("the file is there");
}

pub(crate) fn edit(dir: &TempDir, file: &str, from: &str, to: &str) {
    let content = fs::read_to_string(dir.path().join(file)).expect("it is text");
    assert!(content.contains(from), "{file} has changed: {content}");
    write(dir, file, &content.replace(from, to));
}

pub(crate) fn try_load(dir: &Path) -> Result<Candle, LoadError> {
    Candle::load(dir, DeviceChoice::Auto, None, &Prefixes::default())
}

pub(crate) fn load(dir: &Path) -> Candle {
    try_load(dir).expect("the folder loads")
}

pub(crate) fn tokenize(model: &Candle, role: Role) -> Vec<Tokens> {
    texts().iter().map(|text| model.tokenize(role, text).expect("every text has tokens")).collect()
}

pub(crate) fn embed(model: &Candle, role: Role) -> Vec<Vec<f32>> {
    model.encode(&tokenize(model, role)).expect("every text has a vector")
}

/// The lowest cosine of two lists of unit vectors.
pub(crate) fn lowest_cosine(ours: &[Vec<f32>], theirs: &[Vec<f32>]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter()
        .zip(theirs)
        .map(|(x, y)| x.iter().zip(y).map(|(x, y)| x * y).sum())
        .fold(f32::INFINITY, f32::min)
}

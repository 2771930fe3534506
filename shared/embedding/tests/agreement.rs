//! The real weights against vectors that another implementation computed (see `reference/make.py`).

use std::path::Path;

use base64::Engine;
use serde::Deserialize;
use toolweaver_embedding::{Candle, DeviceChoice, Model, Prefixes, Role, Tokens};
use toolweaver_testkit::parts;

const COSINE_MIN: f32 = 0.9999;

#[derive(Deserialize)]
struct Reference {
    tokens: Vec<usize>,
    vectors: Vec<String>,
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name))
        .expect("the fixture is there")
}

fn texts() -> Vec<String> {
    serde_json::from_slice(&read("texts.json")).expect("a list of texts")
}

fn reference() -> Reference {
    serde_json::from_slice(&read("vectors.json")).expect("what make.py writes")
}

fn vector(base64: &str) -> Vec<f32> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64).expect("base64");
    bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn model() -> Candle {
    Candle::load(&parts::model_dir(), DeviceChoice::Auto, None, &Prefixes::default())
        .expect("the model loads")
}

fn tokenize(model: &Candle) -> Vec<Tokens> {
    texts().iter().map(|text| model.tokenize(Role::Passage, text).expect("every text has tokens")).collect()
}

fn check(texts: &[String], vectors: &[Vec<f32>]) {
    let reference = reference();
    assert_eq!(texts.len(), 50);
    let mut worst: f32 = 1.0;
    for ((text, ours), theirs) in texts.iter().zip(vectors).zip(&reference.vectors) {
        let theirs = vector(theirs);
        assert!((cosine(ours, ours) - 1.0).abs() < 1e-5, "not of length 1: {text}");
        let cosine = cosine(ours, &theirs);
        assert!(cosine >= COSINE_MIN, "{cosine}: {text}");
        worst = worst.min(cosine);
    }
    eprintln!("lowest cosine of {} texts: {worst}", texts.len());
}

#[test]
fn texts_are_cut_into_the_same_number_of_tokens() {
    let lengths: Vec<usize> = tokenize(&model()).iter().map(Tokens::len).collect();
    assert_eq!(lengths, reference().tokens);
    assert_eq!(lengths.iter().max(), Some(&256), "the longest texts are cut at the model's own limit");
}

#[test]
fn vectors_agree_one_text_at_a_time() {
    let model = model();
    let vectors: Vec<_> =
        tokenize(&model).into_iter().map(|tokens| model.encode(&[tokens]).unwrap().remove(0)).collect();
    check(&texts(), &vectors);
}

#[test]
fn vectors_agree_in_one_batch_of_all_lengths() {
    let model = model();
    check(&texts(), &model.encode(&tokenize(&model)).unwrap());
}

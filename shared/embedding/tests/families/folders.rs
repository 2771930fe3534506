//! Model folders that leave something out, and those that ask for what is not supported.

use std::fs;

use tempfile::TempDir;
use toolweaver_embedding::{LoadError, Model, Role, Tokens};

use crate::support::{
    BERT, DISTILBERT, MPNET, XLM_ROBERTA, copy, edit, folder, load, remove, tokenize, try_load, write,
};

fn longest(dir: &TempDir) -> usize {
    let texts = tokenize(&load(dir.path()), Role::Passage);
    texts.iter().map(Tokens::len).max().expect("there are texts")
}

fn error(dir: &TempDir) -> LoadError {
    try_load(dir.path()).err().expect("this folder must not load")
}

#[test]
fn texts_are_cut_where_the_folder_says_and_never_behind_the_last_position() {
    let dir = copy(DISTILBERT);
    assert_eq!(longest(&dir), 48, "as tokenizer_config.json says");
    write(&dir, "sentence_bert_config.json", r#"{"max_seq_length": 16, "do_lower_case": false}"#);
    assert_eq!(longest(&dir), 16);
    write(&dir, "sentence_bert_config.json", r#"{"max_seq_length": 1000}"#);
    assert_eq!(longest(&dir), 64);
    write(&dir, "sentence_bert_config.json", r#"{"max_seq_length": null}"#);
    write(&dir, "tokenizer_config.json", r#"{"model_max_length": 1000000000000000019884624838656}"#);
    assert_eq!(longest(&dir), 64);
    remove(&dir, "sentence_bert_config.json");
    remove(&dir, "tokenizer_config.json");
    assert_eq!(longest(&dir), 64);

    let dir = copy(XLM_ROBERTA);
    remove(&dir, "tokenizer_config.json");
    assert_eq!(longest(&dir), 64, "two of its 66 positions stand before the first token's");
}

#[test]
fn a_bare_transformer_is_pooled_by_the_mean_and_has_no_prefixes() {
    let dir = copy(DISTILBERT);
    for file in ["modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"] {
        remove(&dir, file);
    }
    fs::remove_dir_all(dir.path().join("1_Pooling")).unwrap();
    assert_eq!(load(dir.path()).fingerprint(), load(&folder(DISTILBERT)).fingerprint());

    let dir = copy(BERT);
    remove(&dir, "modules.json");
    assert_eq!(
        load(dir.path()).fingerprint(),
        load(&folder(BERT)).fingerprint(),
        "1_Pooling counts where it is"
    );
    remove(&dir, "1_Pooling/config.json");
    assert_ne!(load(dir.path()).fingerprint(), load(&folder(BERT)).fingerprint());
}

#[test]
fn a_pooling_that_modules_json_names_must_be_there() {
    let dir = copy(BERT);
    remove(&dir, "1_Pooling/config.json");
    let error = error(&dir);
    assert!(matches!(error, LoadError::Missing { .. }), "{error:?}");
    assert!(error.to_string().contains("1_Pooling/config.json"), "{error}");
}

#[test]
fn a_folder_may_ask_for_small_letters() {
    let dir = copy(XLM_ROBERTA);
    let tokens = |dir: &TempDir, text| load(dir.path()).tokenize(Role::Passage, text).unwrap();
    assert_ne!(tokens(&dir, "OPEN A Pull"), tokens(&dir, "open a pull"));
    let before = load(dir.path()).fingerprint().clone();
    write(&dir, "sentence_bert_config.json", r#"{"do_lower_case": true}"#);
    assert_eq!(tokens(&dir, "OPEN A Pull"), tokens(&dir, "open a pull"));
    assert_ne!(*load(dir.path()).fingerprint(), before);
}

#[test]
fn what_is_not_supported_is_refused_by_name_and_with_what_is() {
    let pooling = "1_Pooling/config.json";
    for (name, file, from, to, found, supported) in [
        (BERT, "config.json", "\"bert\"", "\"t5\"", "\"t5\"", "\"xlm-roberta\""),
        (DISTILBERT, "config.json", "\"activation\": \"gelu\"", "\"activation\": \"relu\"", "relu", "gelu"),
        (
            BERT,
            "config.json",
            "\"hidden_size\"",
            "\"position_embedding_type\": \"alibi\", \"hidden_size\"",
            "alibi",
            "absolute",
        ),
        (BERT, pooling, "\"cls\"", "\"lasttoken\"", "lasttoken", "mean"),
        (BERT, pooling, "\"cls\"", "[\"cls\", \"max\"]", "[\"cls\", \"max\"]", "alone"),
        (BERT, pooling, "\"include_prompt\": true", "\"include_prompt\": false", "include_prompt", "Pooling"),
        (MPNET, "modules.json", "normalize.Normalize", "dense.Dense", "Dense", "a Transformer, a Pooling"),
        (DISTILBERT, "modules.json", "pooling.Pooling", "dense.Dense", "Transformer, Dense", "a Pooling"),
    ] {
        let dir = copy(name);
        edit(&dir, file, from, to);
        let error = error(&dir);
        assert!(matches!(error, LoadError::Unsupported { .. }), "{to}: {error:?}");
        let text = error.to_string();
        for part in [file, found, supported, "--model-dir"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[test]
fn weights_of_another_family_or_size_are_damaged() {
    for (name, from, to) in [
        (BERT, "\"bert\"", "\"mpnet\""),
        (MPNET, "\"relative_attention_num_buckets\": 32", "\"relative_attention_num_buckets\": 16"),
        (MPNET, "\"max_position_embeddings\": 162", "\"max_position_embeddings\": 160"),
        (DISTILBERT, "\"hidden_dim\": 48", "\"hidden_dim\": 64"),
    ] {
        let dir = copy(name);
        edit(&dir, "config.json", from, to);
        let error = error(&dir);
        assert!(matches!(error, LoadError::Corrupt { .. }), "{to}: {error:?}");
        assert!(error.to_string().contains("model.safetensors"), "{error}");
    }
}

#[test]
fn numbers_that_cannot_be_are_damage_and_not_a_panic() {
    for (name, from, to) in [
        (XLM_ROBERTA, "\"max_position_embeddings\": 66", "\"max_position_embeddings\": 2"),
        (MPNET, "\"relative_attention_num_buckets\": 32", "\"relative_attention_num_buckets\": 2"),
        (BERT, "\"num_attention_heads\": 4", "\"num_attention_heads\": 0"),
        (BERT, "\"num_attention_heads\": 4", "\"num_attention_heads\": 5"),
    ] {
        let dir = copy(name);
        edit(&dir, "config.json", from, to);
        let error = error(&dir);
        assert!(matches!(error, LoadError::Corrupt { .. }), "{to}: {error:?}");
        assert!(error.to_string().contains("config.json"), "{error}");
    }
}

//! Model folders that are not whole, and what is said about them.

use std::error::Error;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use toolweaver_embedding::{
    Candle, DeviceChoice, LoadError, Model, ModelConfig, ModelKind, Prefixes, load_blocking,
};
use toolweaver_testkit::parts;

const FILES: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "1_Pooling/config.json",
    "modules.json",
    "sentence_bert_config.json",
];
/// Of these, the ones that no folder can do without; a folder with `modules.json` needs the pooling that it
/// names.
const FILES_NEEDED: usize = 4;

/// A folder that shares its files with the real one.
fn linked() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(dir.path().join("1_Pooling")).expect("a new folder");
    for file in FILES {
        let original = parts::model_dir().canonicalize().expect("it is there").join(file);
        std::os::unix::fs::symlink(original, dir.path().join(file)).expect("a link");
    }
    dir
}

/// Replaces the link by a file of its own.
fn write(dir: &TempDir, file: &str, content: &[u8]) {
    let file = dir.path().join(file);
    fs::remove_file(&file).expect("the link is there");
    fs::write(file, content).expect("the folder can be written");
}

fn edit(dir: &TempDir, file: &str, from: &str, to: &str) {
    let content = fs::read_to_string(dir.path().join(file)).expect("it is text");
    assert!(content.contains(from), "{file} has changed");
    write(dir, file, content.replace(from, to).as_bytes());
}

fn load_dir(dir: &Path) -> Result<Candle, LoadError> {
    Candle::load(dir, DeviceChoice::Cpu, None, &Prefixes::default())
}

fn error(dir: &TempDir) -> LoadError {
    load_dir(dir.path()).err().expect("this folder must not load")
}

#[test]
fn a_missing_file_is_named_with_what_to_do() {
    for file in &FILES[..FILES_NEEDED] {
        let dir = linked();
        fs::remove_file(dir.path().join(file)).unwrap();
        let error = error(&dir);
        assert!(matches!(error, LoadError::Missing { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(file) && text.contains("toolweaver model pull"), "{text}");
    }
}

#[test]
fn a_damaged_file_is_named_with_the_reason() {
    for file in FILES {
        let dir = linked();
        write(&dir, file, b"{\"half\": ");
        let error = error(&dir);
        assert!(matches!(error, LoadError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains(file), "{error}");
        assert!(error.source().is_some());
    }
}

#[test]
fn weights_that_end_early_or_have_another_shape_are_damaged() {
    let cut = linked();
    let weights = fs::read(cut.path().join("model.safetensors")).unwrap();
    write(&cut, "model.safetensors", &weights[..weights.len() / 2]);
    let wide = linked();
    edit(&wide, "config.json", "\"intermediate_size\": 1536", "\"intermediate_size\": 1024");
    for dir in [cut, wide] {
        let error = error(&dir);
        assert!(matches!(error, LoadError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("model.safetensors"), "{error}");
    }
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let dir = linked();
    edit(&dir, "config.json", "\"vocab_size\": 30522", "\"vocab_size\": 100");
    assert!(error(&dir).to_string().contains("tokenizer.json"));
}

#[test]
fn models_of_another_shape_are_refused_by_name() {
    for (file, from, to, found) in [
        ("config.json", "\"model_type\": \"bert\"", "\"model_type\": \"t5\"", "t5"),
        ("config.json", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"relu\"", "relu"),
        (
            "1_Pooling/config.json",
            "\"pooling_mode_max_tokens\": false",
            "\"pooling_mode_max_tokens\": true",
            "max_tokens",
        ),
        (
            "1_Pooling/config.json",
            "\"pooling_mode_mean_tokens\": true",
            "\"pooling_mode_mean_tokens\": false",
            "[]",
        ),
    ] {
        let dir = linked();
        edit(&dir, file, from, to);
        let error = error(&dir);
        assert!(matches!(error, LoadError::Unsupported { .. }), "{error:?}");
        assert!(error.to_string().contains(found) && error.to_string().contains(file), "{error}");
    }
}

#[test]
fn the_fingerprint_tells_models_apart_and_not_folders() {
    let original = load_dir(&parts::model_dir()).unwrap();
    let copy = linked();
    assert_eq!(load_dir(copy.path()).unwrap().fingerprint(), original.fingerprint());
    edit(&copy, "sentence_bert_config.json", "256", "128");
    assert_ne!(load_dir(copy.path()).unwrap().fingerprint(), original.fingerprint());
}

#[test]
fn without_a_folder_only_hashing_loads() {
    let mut config = ModelConfig {
        kind: ModelKind::Hashing,
        model_dir: None,
        device: DeviceChoice::Auto,
        embedding_threads: None,
        tokens_per_batch_max: std::num::NonZeroUsize::MIN,
        prefixes: Prefixes::default(),
    };
    assert_eq!(load_blocking(&config).unwrap().fingerprint().name(), "hashing");
    config.kind = ModelKind::Candle;
    let error = load_blocking(&config).err().unwrap();
    assert!(matches!(error, LoadError::NoFolder), "{error:?}");
    assert!(error.to_string().contains("TOOLWEAVER_MODEL_DIR"));
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_that_cannot_be_used_is_an_error_only_if_asked_for() {
    let error =
        Candle::load(&parts::model_dir(), DeviceChoice::Cuda, None, &Prefixes::default()).err().unwrap();
    assert!(matches!(error, LoadError::Device { .. }), "{error:?}");
    let model = Candle::load(&parts::model_dir(), DeviceChoice::Auto, None, &Prefixes::default()).unwrap();
    assert_eq!(model.device().to_string(), "cpu");
}

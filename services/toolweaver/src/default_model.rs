//! Default embedding model: its name, its revision on the hub, its files and their hashes.

use std::{fs::File, io, path::Path};

use sha2::{Digest as _, Sha256};

/// Name of the model, and of its folder.
pub(crate) const NAME: &str = "all-MiniLM-L6-v2";
/// Repository of the model on the Hugging Face hub.
pub(crate) const REPOSITORY: &str = "sentence-transformers/all-MiniLM-L6-v2";
/// Commit of the repository that is downloaded.
pub(crate) const REVISION: &str = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf";
/// SHA-256 of the weights.
pub(crate) const WEIGHTS_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
/// Files of the model, and the SHA-256 of those that decide a text's vector.
pub(crate) const FILES: [(&str, Option<&str>); 6] = [
    ("config.json", None),
    ("tokenizer.json", Some("be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037")),
    ("model.safetensors", Some(WEIGHTS_SHA256)),
    ("1_Pooling/config.json", None),
    ("sentence_bert_config.json", None),
    ("modules.json", None),
];

/// Returns whether a folder holds all files, with the published hashes.
pub(crate) fn is_complete(model_dir: &Path) -> bool {
    FILES.iter().all(|(file, sha256)| {
        let path = model_dir.join(file);
        match sha256 {
            Some(sha256) => sha256_of(&path).is_ok_and(|found| found == *sha256),
            None => path.is_file(),
        }
    })
}

/// Returns the SHA-256 of a file in lower-case hex.
pub(crate) fn sha256_of(file: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    io::copy(&mut File::open(file)?, &mut digest)?;
    Ok(hex(&digest.finalize()))
}

/// Returns bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

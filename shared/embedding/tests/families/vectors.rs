//! Vectors agree with those of another implementation, however the folder is written.

use std::collections::HashMap;
use std::fs;

use candle_core::{Device, Tensor, safetensors};
use toolweaver_embedding::{Model, Role};

use crate::support::{
    ALL, BERT, DISTILBERT, MPNET, XLM_ROBERTA, copy, edit, embed, folder, load, lowest_cosine, reference,
    tokenize, write,
};

const COSINE_MIN: f32 = 0.9999;

#[test]
fn vectors_of_every_family_agree_in_both_roles() {
    for name in ALL {
        let (model, reference) = (load(&folder(name)), reference(name));
        for role in [Role::Query, Role::Passage] {
            // All in one batch, and each alone.
            let together = embed(&model, role);
            let alone: Vec<_> = tokenize(&model, role)
                .into_iter()
                .map(|tokens| model.encode(&[tokens]).unwrap().remove(0))
                .collect();
            let theirs = reference.vectors(role);
            assert_eq!(theirs.len(), 50);
            for ours in [together, alone] {
                assert!(ours.iter().all(|vector| vector.len() == model.dimensions().get()));
                let lowest = lowest_cosine(&ours, &theirs);
                eprintln!("{name}, {role:?}: lowest cosine {lowest}");
                assert!(lowest >= COSINE_MIN, "{name}, {role:?}: {lowest}");
                // Had they another length, the cosines would say nothing.
                assert!(lowest_cosine(&ours, &ours) > 1.0 - 1e-5, "{name}, {role:?}");
            }
        }
    }
}

#[test]
fn one_family_s_vectors_are_not_another_s() {
    // The models differ in little but what makes their families: if this held for all of them, nothing was
    // tested.
    let theirs: Vec<_> = ALL.map(|name| reference(name).vectors(Role::Passage)).into();
    for (i, one) in theirs.iter().enumerate() {
        for other in &theirs[..i] {
            assert!(lowest_cosine(one, other) < 0.5);
        }
    }
}

#[test]
fn the_two_robertas_are_one_family() {
    let dir = copy(XLM_ROBERTA);
    edit(&dir, "config.json", "\"xlm-roberta\"", "\"roberta\"");
    let lowest = lowest_cosine(
        &embed(&load(dir.path()), Role::Passage),
        &reference(XLM_ROBERTA).vectors(Role::Passage),
    );
    assert!(lowest >= COSINE_MIN, "{lowest}");
}

#[test]
fn weights_may_have_the_family_s_name_in_front_and_old_names_in_them() {
    for (name, prefix) in
        [(BERT, "bert"), (DISTILBERT, "distilbert"), (MPNET, "mpnet"), (XLM_ROBERTA, "roberta")]
    {
        let dir = copy(name);
        let file = dir.path().join("model.safetensors");
        let renamed: HashMap<String, Tensor> = safetensors::load(&file, &Device::Cpu)
            .unwrap()
            .into_iter()
            .map(|(name, tensor)| {
                let name = name
                    .replace("LayerNorm.weight", "LayerNorm.gamma")
                    .replace("LayerNorm.bias", "LayerNorm.beta");
                (format!("{prefix}.{name}"), tensor)
            })
            .collect();
        safetensors::save(&renamed, &file).unwrap();
        let lowest =
            lowest_cosine(&embed(&load(dir.path()), Role::Query), &reference(name).vectors(Role::Query));
        assert!(lowest >= COSINE_MIN, "{name}: {lowest}");
    }
}

#[test]
fn older_folders_say_the_same_in_other_words() {
    for (name, flag) in [(BERT, "cls_token"), (DISTILBERT, "mean_tokens"), (XLM_ROBERTA, "max_tokens")] {
        let dir = copy(name);
        let flags: Vec<String> = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens"]
            .iter()
            .map(|mode| format!("\"pooling_mode_{mode}\": {}", *mode == flag))
            .collect();
        let pooling = format!("{{\"word_embedding_dimension\": 32, {}}}", flags.join(", "));
        write(&dir, "1_Pooling/config.json", &pooling);
        edit(
            &dir,
            "modules.json",
            "sentence_transformers.base.modules.transformer.",
            "sentence_transformers.models.",
        );
        // Before release 3 the transformer had a folder of its own.
        fs::create_dir(dir.path().join("0_Transformer")).unwrap();
        for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
            fs::rename(dir.path().join(file), dir.path().join("0_Transformer").join(file)).unwrap();
        }
        edit(&dir, "modules.json", "\"path\": \"\"", "\"path\": \"0_Transformer\"");
        let model = load(dir.path());
        let lowest = lowest_cosine(&embed(&model, Role::Passage), &reference(name).vectors(Role::Passage));
        assert!(lowest >= COSINE_MIN, "{name}: {lowest}");
        assert_eq!(model.fingerprint(), load(&folder(name)).fingerprint(), "{name}");
    }
}

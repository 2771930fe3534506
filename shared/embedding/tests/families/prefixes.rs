//! Prefixes: whose they are, what they change, and what they are part of.

use std::sync::Arc;

use clap::Parser;
use toolweaver_embedding::{Candle, DeviceChoice, Embedder, Limits, Model, ModelConfig, Prefixes, Role};

use crate::support::{
    DISTILBERT, XLM_ROBERTA, copy, edit, embed, folder, load, lowest_cosine, texts, tokenize, write,
};

fn prefixes(query: Option<&str>, passage: Option<&str>) -> Prefixes {
    Prefixes { query: query.map(str::to_owned), passage: passage.map(str::to_owned) }
}

fn load_with(name: &str, prefixes: &Prefixes) -> Candle {
    Candle::load(&folder(name), DeviceChoice::Cpu, None, prefixes).expect("the folder loads")
}

#[test]
fn a_prefix_is_as_if_the_caller_had_written_it() {
    let (plain, prefixed) =
        (load_with(DISTILBERT, &Prefixes::default()), load_with(DISTILBERT, &prefixes(Some("ask: "), None)));
    let written = plain.tokenize(Role::Query, "ask: the weather").unwrap();
    assert_eq!(prefixed.tokenize(Role::Query, "the weather").unwrap(), written);
    let passage = plain.tokenize(Role::Passage, "the weather").unwrap();
    assert_eq!(prefixed.tokenize(Role::Passage, "the weather").unwrap(), passage);
    assert_ne!(passage, written);
}

#[test]
fn without_prefixes_both_roles_have_the_same_vectors_and_with_them_others() {
    let plain = load(&folder(DISTILBERT));
    assert_eq!(embed(&plain, Role::Query), embed(&plain, Role::Passage));
    let with = load(&folder(XLM_ROBERTA));
    let (queries, passages) = (embed(&with, Role::Query), embed(&with, Role::Passage));
    assert!(lowest_cosine(&queries, &passages) < 0.99);
}

#[test]
fn what_is_configured_replaces_what_the_folder_says_even_by_nothing() {
    let tokens = |prefixes: &Prefixes, role| tokenize(&load_with(XLM_ROBERTA, prefixes), role);
    let folder_s = Prefixes::default();
    let none = prefixes(Some(""), Some(""));
    assert_eq!(tokens(&none, Role::Query), tokens(&none, Role::Passage));
    assert_ne!(tokens(&none, Role::Query), tokens(&folder_s, Role::Query));
    let only_query = prefixes(Some("ask: "), None);
    assert_eq!(tokens(&only_query, Role::Passage), tokens(&folder_s, Role::Passage));
    assert_ne!(tokens(&only_query, Role::Query), tokens(&folder_s, Role::Query));
}

#[test]
fn a_folder_may_name_passages_as_it_likes() {
    let named = load(&folder(XLM_ROBERTA));
    for (content, same) in [
        (r#"{"prompts": {"query": "query: ", "passage": "passage: "}}"#, true),
        (r#"{"prompts": {"query": "query: ", "document": "", "passage": "passage: "}}"#, true),
        (r#"{"prompts": {"query": "query: ", "document": null}}"#, false),
        (r#"{"prompts": {"web search": "passage: "}}"#, false),
        (r"{}", false),
    ] {
        let dir = copy(XLM_ROBERTA);
        write(&dir, "config_sentence_transformers.json", content);
        let model = load(dir.path());
        assert_eq!(tokenize(&model, Role::Passage) == tokenize(&named, Role::Passage), same, "{content}");
        assert_eq!(model.fingerprint() == named.fingerprint(), same, "{content}");
    }
}

#[test]
fn a_passage_s_prefix_is_another_identity_and_a_query_s_is_not() {
    let of = |query, passage| load_with(DISTILBERT, &prefixes(query, passage)).fingerprint().clone();
    let plain = of(None, None);
    assert_eq!(plain, of(Some(""), Some("")));
    assert_ne!(plain, of(None, Some("passage: ")));
    assert_ne!(of(None, Some("passage: ")), of(None, Some("passage:")));
    let query = of(Some("query: "), None);
    assert_eq!(plain, query);
    assert_ne!(plain.query_hex(), query.query_hex(), "vectors of queries are remembered apart");
}

#[test]
fn a_folder_s_own_passage_prefix_is_the_same_identity_as_one_configured() {
    let dir = copy(DISTILBERT);
    edit(&dir, "config_sentence_transformers.json", "\"document\": \"\"", "\"document\": \"passage: \"");
    let configured = load_with(DISTILBERT, &prefixes(None, Some("passage: ")));
    assert_eq!(load(dir.path()).fingerprint(), configured.fingerprint());
}

#[tokio::test]
async fn an_embedder_puts_each_request_s_own_prefix_before_it() {
    let model = Arc::new(load(&folder(XLM_ROBERTA)));
    let embedder = Embedder::spawn(Arc::clone(&model) as _, Limits::default());
    let texts = texts();
    let (queries, passages) =
        tokio::join!(embedder.embed(Role::Query, texts.clone()), embedder.embed(Role::Passage, texts));
    assert!(lowest_cosine(&queries.unwrap(), &embed(&model, Role::Query)) > 0.999_99);
    assert!(lowest_cosine(&passages.unwrap(), &embed(&model, Role::Passage)) > 0.999_99);
}

#[test]
fn prefixes_are_options_that_keep_their_spaces_and_may_be_empty() {
    #[derive(Parser)]
    struct Process {
        #[command(flatten)]
        model: ModelConfig,
    }
    let parse = |arguments: &[&str]| Process::try_parse_from(arguments).unwrap().model.prefixes;
    assert_eq!(
        parse(&["it", "--query-prefix", "query: ", "--passage-prefix="]),
        prefixes(Some("query: "), Some(""))
    );
    assert_eq!(parse(&["it"]), Prefixes::default());
}

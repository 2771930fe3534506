//! Properties of every name, vector and body, found by trying many.

use std::{collections::BTreeSet, sync::LazyLock};

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};
use toolweaver_contracts::{
    Domain, DomainsRequest, GetReply, GetRequest, IndexedEvent, Predicate, Rejection, SearchReply,
    SearchRequest, StatusReply, Tenant, ToolEvent, ToolId, ToolKey, ToolName, ToolType, Vector,
    VersionsAnnounced, decode, encode, identifiers, limits, subjects,
};

use crate::validator;

static TOOL_EVENT: LazyLock<jsonschema::Validator> = LazyLock::new(|| validator("tool-event"));
static GET_REQUEST: LazyLock<jsonschema::Validator> = LazyLock::new(|| validator("get-request"));

fn scope() -> impl Strategy<Value = String> {
    // Short ones too, so that two of them often meet.
    prop_oneof!["[a-b]{1,2}", "[a-z0-9_-]{1,64}"]
}

fn tool_name() -> impl Strategy<Value = ToolName> {
    let text = prop_oneof![
        4 => "\\PC{1,64}",
        2 => "[a-zA-Z0-9_./ %*>-]{1,40}",
        1 => "[ab.%/]{1,3}",
        1 => vec(any::<char>(), 1..64).prop_map(String::from_iter),
    ];
    text.prop_filter_map("a valid tool name", |text| text.parse().ok())
}

fn tool_key() -> impl Strategy<Value = ToolKey> {
    (scope(), scope(), tool_name()).prop_map(|(tenant, domain, tool_name)| ToolKey {
        tenant: tenant.parse().unwrap(),
        domain: domain.parse().unwrap(),
        tool_name,
    })
}

fn labels() -> impl Strategy<Value = BTreeSet<String>> {
    proptest::collection::btree_set("[ab\",\\[\\]]{1,2}", 0..4)
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let types = prop_oneof![Just(ToolType::McpWorker), Just(ToolType::Function), Just(ToolType::CodeExec)];
    let id = tool_key().prop_map(|key| key.tool_id());
    (
        "[ab]",
        proptest::option::of("[ab]"),
        proptest::collection::btree_set(types, 0..3),
        labels(),
        labels(),
        proptest::collection::btree_set(id, 0..2),
    )
        .prop_map(|(tenant, domain, tool_types, tags, roles, exclude)| Predicate {
            tenant: tenant.parse::<Tenant>().unwrap(),
            domain: domain.map(|domain| domain.parse::<Domain>().unwrap()),
            tool_types,
            tags,
            roles,
            exclude,
        })
}

/// Any JSON value, shallow enough for parameters.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("\\PC{0,8}", inner), 0..4).prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

proptest! {
    #[test]
    fn a_subject_is_read_back_as_it_was_written(key in tool_key()) {
        prop_assert_eq!(&subjects::parse_tools(&subjects::tools(&key)).unwrap(), &key);
        prop_assert_eq!(&subjects::parse_indexed(&subjects::indexed(&key)).unwrap(), &key);
        prop_assert_eq!(subjects::rejected(&subjects::tools(&key)).replacen("rejected", "tools", 1), subjects::tools(&key));
    }

    #[test]
    fn a_subject_has_five_legal_tokens(key in tool_key()) {
        let subject = subjects::tools(&key);
        let tokens: Vec<&str> = subject.split('.').collect();
        prop_assert_eq!(tokens.len(), 5);
        for token in tokens {
            prop_assert!(!token.is_empty());
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-%".contains(&b)), "{}", token);
        }
        // NATS closes the connection of a client whose control line is longer than 4 KiB.
        prop_assert!(subject.len() < 1024);
    }

    #[test]
    fn two_keys_share_nothing(one in tool_key(), other in tool_key()) {
        prop_assert_eq!(one == other, subjects::tools(&one) == subjects::tools(&other));
        prop_assert_eq!(one == other, one.point_id() == other.point_id());
        prop_assert_eq!(one.tool_id() == other.tool_id(), one.tool_id().to_string() == other.tool_id().to_string());
    }

    #[test]
    fn a_text_cut_at_other_places_is_another_key(
        text in "[ab_-]{3,9}", cuts in (1..9_usize, 1..9_usize), other_cuts in (1..9_usize, 1..9_usize),
    ) {
        let key = |(one, other): (usize, usize)| {
            let (first, second) = (one.min(other), one.max(other));
            (first < second && second < text.len()).then(|| ToolKey {
                tenant: text[..first].parse().unwrap(),
                domain: text[first..second].parse().unwrap(),
                tool_name: text[second..].parse().unwrap(),
            })
        };
        if let (Some(one), Some(other)) = (key(cuts), key(other_cuts)) {
            prop_assert_eq!(one == other, subjects::tools(&one) == subjects::tools(&other));
            prop_assert_eq!(one == other, one.point_id() == other.point_id());
        }
    }

    #[test]
    fn only_the_canonical_subject_is_accepted(token in "[ab%2EeFf/ ]{1,8}") {
        let subject = format!("tools.v1.a.b.{token}");
        if let Ok(key) = subjects::parse_tools(&subject) {
            prop_assert_eq!(subjects::tools(&key), subject);
        }
    }

    #[test]
    fn a_tool_id_is_read_back_as_it_was_written(key in tool_key()) {
        let id = key.tool_id();
        prop_assert_eq!(&id.to_string().parse::<ToolId>().unwrap(), &id);
        let request = GetRequest { tool_id: id, roles: Vec::new() };
        prop_assert_eq!(&decode::<GetRequest>(&encode(&request)).unwrap(), &request);
        prop_assert!(GET_REQUEST.is_valid(&serde_json::to_value(&request).unwrap()));
    }

    #[test]
    fn every_valid_tool_is_accepted_fits_the_schema_and_comes_back(
        key in tool_key(),
        description in "\\PC{0,200}",
        parameters in vec(("\\PC{0,8}", json_value()), 0..6),
        tags in vec("\\PC{1,20}", 0..5),
        version in proptest::option::of("\\PC{0,20}"),
    ) {
        let body = json!({ "event": "registered", "unknown": [1], "tool": {
            "tool_name": key.tool_name.as_str(), "description": description, "tags": tags, "version": version,
            "parameters": Map::from_iter(parameters),
        }});
        prop_assert!(TOOL_EVENT.is_valid(&body));
        let subject = subjects::tools(&key);
        let (told, event) = ToolEvent::decode(&subject, &serde_json::to_vec(&body).unwrap()).unwrap();
        prop_assert_eq!(&told, &key);
        prop_assert_eq!(ToolEvent::decode(&subject, &encode(&event)).unwrap(), (told, event));
    }

    #[test]
    fn what_names_refuse_the_schema_refuses(text in prop_oneof!["[ \u{1}\u{7f}\u{85}a\u{3000}\u{feff}]{0,3}", "é{120,140}"]) {
        let body = json!({ "event": "registered", "tool": { "tool_name": text } });
        let accepted = text.parse::<ToolName>().is_ok();
        // The schema counts characters where the limit counts bytes: it may allow more, never less.
        let too_long_only = text.len() > limits::TOOL_NAME_BYTES_MAX;
        prop_assert!(accepted == TOOL_EVENT.is_valid(&body) || too_long_only, "{:?}", text);
    }

    #[test]
    fn a_vector_is_read_back_bit_by_bit(floats in vec(any::<f32>().prop_filter("finite", |x| x.is_finite()), 0..400)) {
        let text = serde_json::to_string(&Vector(floats.clone())).unwrap();
        let read: Vector = serde_json::from_str(&text).unwrap();
        let bits = |floats: &[f32]| floats.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&read.0), bits(&floats));
    }

    #[test]
    fn a_text_that_is_no_vector_is_refused(text in "[A-Za-z0-9+/=]{0,24}") {
        if let Ok(vector) = Vector::try_from(text.clone()) {
            prop_assert!(vector.0.iter().all(|x| x.is_finite()));
            prop_assert_eq!(String::from(vector), text);
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(body in vec(any::<u8>(), 0..200), subject in "\\PC{0,60}") {
        decode_as_everything(&subject, &body);
        decode_as_everything("tools.v1.acme.github.ping", &body);
    }

    #[test]
    fn no_json_makes_a_decoder_panic(value in json_value(), field in "[a-z_]{1,12}") {
        let body = json!({
            "event": "registered", "tool": { "tool_name": "ping", field.clone(): value }, "query": "x",
            "tool_id": "a.b", "revision": 1, field: value,
        });
        decode_as_everything("tools.v1.acme.github.ping", body.to_string().as_bytes());
        decode_as_everything("tools.v1.acme.github.ping", value.to_string().as_bytes());
    }

    #[test]
    fn words_keep_every_letter_and_digit(text in prop_oneof!["\\PC{0,60}", "[a-cA-C0-2_. ÜüßǅアあЖж-]{0,30}"]) {
        let words = identifiers::split(&text);
        let kept: String = words.concat();
        let alphanumeric: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
        prop_assert_eq!(kept, alphanumeric);
        prop_assert!(words.iter().all(|word| !word.is_empty()));
        let spaced = identifiers::spaced(&text);
        prop_assert_eq!(identifiers::split(&spaced), words);
    }

    #[test]
    fn predicates_are_equal_where_their_text_is(one in predicate(), other in predicate(), field in 0..6) {
        // Alike but for one field, so that no field can be forgotten.
        let mut other = other;
        if field != 0 { other.tenant = one.tenant.clone(); }
        if field != 1 { other.domain.clone_from(&one.domain); }
        if field != 2 { other.tool_types.clone_from(&one.tool_types); }
        if field != 3 { other.tags.clone_from(&one.tags); }
        if field != 4 { other.roles.clone_from(&one.roles); }
        if field != 5 { other.exclude.clone_from(&one.exclude); }
        prop_assert_eq!(one == other, encode(&one) == encode(&other));
    }
}

/// Decodes as every message. The answers do not matter here, only that there is one.
fn decode_as_everything(subject: &str, body: &[u8]) {
    let _: Result<_, _> = ToolEvent::decode(subject, body);
    let _: Result<_, _> = decode::<IndexedEvent>(body);
    let _: Result<_, _> = decode::<Rejection>(body);
    let _: Result<_, _> = decode::<SearchRequest>(body).and_then(|request| request.validate());
    let _: Result<_, _> = decode::<SearchReply>(body);
    let _: Result<_, _> = decode::<GetRequest>(body);
    let _: Result<_, _> = decode::<GetReply>(body);
    let _: Result<_, _> = decode::<DomainsRequest>(body);
    let _: Result<_, _> = decode::<StatusReply>(body);
    let _: Result<_, _> = decode::<VersionsAnnounced>(body);
    let _: Result<_, _> = subjects::parse_tenant(subject);
}

#[test]
fn a_point_id_never_changes() {
    let key = subjects::parse_tools("tools.v1.acme.images.%E7%94%BB%E5%83%8F").unwrap();
    assert_eq!(key.to_string(), "acme/images/画像");
    assert_eq!(
        key.point_id().to_string(),
        "89d310f9-43c6-5605-8066-4bd7f157fede",
        "every stored point would be orphaned"
    );
}

/// Regular expressions and Rust differ in the characters that are blank or control ones, and a random test
/// seldom meets one.
#[test]
fn code_and_schema_agree_on_every_character() {
    for c in '\0'..='\u{ffff}' {
        let body = json!({ "event": "registered", "tool": { "tool_name": c.to_string() } });
        assert_eq!(c.to_string().parse::<ToolName>().is_ok(), TOOL_EVENT.is_valid(&body), "{c:?}");
    }
}

#[test]
fn a_vector_holds_finite_numbers_only() {
    for hopeless in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(Vector::try_from(String::from(Vector(vec![1.0, hopeless]))).is_err());
    }
}

#[test]
fn a_request_in_any_order_is_one_predicate() {
    let request = |tags: &[&str], roles: &[&str]| {
        let mut request = SearchRequest::new("x");
        request.tags = tags.iter().map(ToString::to_string).collect();
        request.roles = roles.iter().map(ToString::to_string).collect();
        encode(&request.predicate(Tenant::default()))
    };
    assert_eq!(request(&["b", "a", "a"], &["r", "q"]), request(&["a", "b"], &["q", "r", "q"]));
    assert_ne!(request(&["a"], &[]), request(&[], &["a"]));
}

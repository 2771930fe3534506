//! Golden examples: every future version must decode these with the same meaning.

use std::{collections::BTreeMap, fs};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use toolweaver_contracts::{
    DomainsReply, DomainsRequest, ErrorBody, GetReply, GetRequest, IndexedEvent, Rejection, SearchReply,
    SearchRequest, StatusReply, StatusRequest, ToolEvent, VersionsAnnounced, decode, encode, schema,
    subjects,
};

use crate::{schemas_folder, validator};

/// One file of `schemas/examples/<message>/`; `schemas/README.md` explains its fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    about: String,
    subject: Option<String>,
    pub(crate) body: Value,
    means: Option<Value>,
}

/// All examples, by message and name.
pub(crate) fn examples() -> BTreeMap<(String, String), Example> {
    let mut examples = BTreeMap::new();
    for folder in fs::read_dir(schemas_folder().join("examples")).unwrap() {
        let folder = folder.unwrap();
        for file in fs::read_dir(folder.path()).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let example = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            examples.insert((folder.file_name().into_string().unwrap(), name), example);
        }
    }
    examples
}

#[test]
fn every_example_decodes_means_the_same_and_fits_its_schema() {
    for ((message, name), example) in examples() {
        let place = format!("schemas/examples/{message}/{name}.json");
        let validator = validator(&message);
        for value in [Some(&example.body), example.means.as_ref()].into_iter().flatten() {
            let faults: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
            assert!(faults.is_empty(), "{place} does not fit schemas/{message}.json: {faults:?}");
        }
        let body = serde_json::to_vec(&example.body).unwrap();
        let again = round_trip(&place, &message, example.subject.as_deref(), &body);
        let again: Value = serde_json::from_slice(&again).unwrap();
        assert_eq!(again, example.means.unwrap_or(example.body), "{place} changed its meaning");
        assert!(example.about.ends_with('.'), "{place} says in a sentence what it shows");
    }
}

#[test]
fn every_message_has_a_minimal_example_and_another() {
    let examples = examples();
    for (message, _) in schema::documents() {
        assert!(
            examples.contains_key(&(message.to_owned(), "minimal".to_owned())),
            "schemas/examples/{message}/minimal.json is missing"
        );
        let count = examples.keys().filter(|(of, _)| of == message).count();
        assert!(count >= 2, "schemas/examples/{message} has only {count} example");
    }
}

#[test]
fn an_empty_body_is_a_request_that_says_nothing() {
    assert_eq!(decode::<StatusRequest>(b"").unwrap(), StatusRequest::default());
    assert_eq!(decode::<DomainsRequest>(b"").unwrap(), DomainsRequest::default());
}

/// Decodes a message as its receiver does, and encodes it again.
fn round_trip(place: &str, message: &str, subject: Option<&str>, body: &[u8]) -> Vec<u8> {
    match message {
        "tool-event" => {
            let subject = subject.expect("a tool event needs its subject");
            let (key, event) = ToolEvent::decode(subject, body).unwrap_or_else(|e| panic!("{place}: {e}"));
            assert_eq!(subjects::tools(&key), subject, "{place}");
            encode(&event)
        }
        "indexed-event" => {
            let key = subjects::parse_indexed(subject.expect("an indexed event needs its subject")).unwrap();
            let event: IndexedEvent = decode(body).unwrap_or_else(|e| panic!("{place}: {e}"));
            if let IndexedEvent::Indexed { tool, .. } = &event {
                assert_eq!((&key.domain, &key.tool_name), (&tool.domain, &tool.tool_name), "{place}");
            }
            encode(&event)
        }
        "rejection" => {
            let rejection: Rejection = decode(body).unwrap_or_else(|e| panic!("{place}: {e}"));
            assert_eq!(subject, Some(&*subjects::rejected(&rejection.subject)), "{place}");
            encode(&rejection)
        }
        "search-request" => {
            let request: SearchRequest = decode(body).unwrap_or_else(|e| panic!("{place}: {e}"));
            request.validate().unwrap_or_else(|fault| panic!("{place}: {fault}"));
            assert_tenant(place, subject, subjects::search);
            encode(&request)
        }
        "get-request" => {
            assert_tenant(place, subject, subjects::get);
            again::<GetRequest>(place, body)
        }
        "domains-request" => {
            assert_tenant(place, subject, subjects::domains);
            again::<DomainsRequest>(place, body)
        }
        "versions-announced" => {
            let announced: VersionsAnnounced = decode(body).unwrap_or_else(|e| panic!("{place}: {e}"));
            assert_eq!(subject, Some(&*subjects::versions(&announced.tenant)), "{place}");
            encode(&announced)
        }
        "status-request" => {
            assert_eq!(subject, Some(subjects::STATUS_SUBJECT), "{place}");
            again::<StatusRequest>(place, body)
        }
        "search-reply" => again::<SearchReply>(place, body),
        "get-reply" => again::<GetReply>(place, body),
        "domains-reply" => again::<DomainsReply>(place, body),
        "status-reply" => again::<StatusReply>(place, body),
        "error" => again::<ErrorBody>(place, body),
        other => panic!("{place}: there is no message {other}"),
    }
}

fn again<T: DeserializeOwned + Serialize>(place: &str, body: &[u8]) -> Vec<u8> {
    encode(&decode::<T>(body).unwrap_or_else(|fault| panic!("{place}: {fault}")))
}

fn assert_tenant(
    place: &str,
    subject: Option<&str>,
    write: impl Fn(&toolweaver_contracts::Tenant) -> String,
) {
    let subject = subject.unwrap_or_else(|| panic!("{place}: a request needs its subject"));
    assert_eq!(write(&subjects::parse_tenant(subject).unwrap()), subject, "{place}");
}

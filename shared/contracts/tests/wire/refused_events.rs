//! Bad events: each kind is refused with what was wrong, where, and what to do.

use serde_json::{Value, json};
use toolweaver_contracts::{ErrorCode, Original, Rejection, ToolEvent, decode, encode, limits};

const SUBJECT: &str = "tools.v1.acme.github.ping";

/// A mistake of a publisher, and the answer to it.
#[derive(Clone)]
struct Case {
    what: &'static str,
    subject: &'static str,
    body: Vec<u8>,
    pointer: Option<&'static str>,
    message: &'static str,
    hint: &'static str,
}

fn case(
    what: &'static str,
    body: impl Into<Vec<u8>>,
    pointer: &'static str,
    message: &'static str,
    hint: &'static str,
) -> Case {
    Case { what, subject: SUBJECT, body: body.into(), pointer: Some(pointer), message, hint }
}

/// A registration of `ping` with one field set.
fn with(field: &str, value: impl Into<Value>) -> Vec<u8> {
    let mut event = json!({ "event": "registered", "tool": { "tool_name": "ping" } });
    event["tool"][field] = value.into();
    serde_json::to_vec(&event).unwrap()
}

/// A fault of the subject, with a body that is right in itself.
fn on(what: &'static str, subject: &'static str, message: &'static str, hint: &'static str) -> Case {
    Case { what, subject, body: br#"{"event":"removed"}"#.to_vec(), pointer: None, message, hint }
}

/// `{"a":{"a":…}}`, `depth` objects deep.
fn nested(depth: usize) -> String {
    format!("{}{{}}{}", r#"{"a":"#.repeat(depth - 1), "}".repeat(depth - 1))
}

/// A registration whose parameters are `depth` deep.
fn deep(depth: usize) -> String {
    format!(r#"{{"event":"registered","tool":{{"tool_name":"ping","parameters":{}}}}}"#, nested(depth))
}

const SEE: &str = "the JSON Schema of every message is in schemas/";
const FORM: &str = r#"send {"event":"registered""#;

/// Bodies that are no event.
fn bodies() -> Vec<Case> {
    let large = with("description", "x".repeat(limits::EVENT_BYTES_MAX));
    vec![
        case(
            "too large",
            large,
            "",
            "at most 262144 are allowed",
            "shorten the description or the parameters",
        ),
        case(
            "invalid UTF-8",
            *b"{\"event\":\"\xff\"}",
            "",
            "not UTF-8 from byte 10 on",
            "send JSON encoded as UTF-8",
        ),
        case(
            "not JSON",
            "event=removed",
            "",
            "not JSON: expected value at line 1 column 1",
            "send one JSON object",
        ),
        case("empty body", "", "", "not JSON: EOF", "send one JSON object"),
        case("two values", r#"{"event":"removed"} {}"#, "", "trailing characters", "send one JSON object"),
        case("an array", "[]", "", "the event is not a JSON object", FORM),
        case("200 deep", deep(200), "", "nested more than 128 deep", "parameters may be nested 32 deep"),
        case(
            "200 arrays deep",
            "[".repeat(200),
            "",
            "nested more than 128 deep",
            "parameters may be nested 32 deep",
        ),
        case("no event", "{}", "/event", "missing field `event`", FORM),
        case("unknown event", r#"{"event":"updated"}"#, "/event", r#"unknown event "updated""#, FORM),
        case("event is a number", r#"{"event":1}"#, "/event", "unknown event 1", FORM),
        case("no tool", r#"{"event":"registered"}"#, "/tool", "needs a tool", FORM),
        case("tool is a text", r#"{"event":"registered","tool":"ping"}"#, "/tool", "needs a tool", FORM),
        case("tool is an array", r#"{"event":"registered","tool":["ping"]}"#, "/tool", "needs a tool", FORM),
    ]
}

/// Events whose tool has a bad name, type or domain.
fn names() -> Vec<Case> {
    vec![
        case("no name", r#"{"event":"registered","tool":{}}"#, "/tool", "missing field `tool_name`", SEE),
        case("empty name", with("tool_name", ""), "/tool/tool_name", "must not be empty", SEE),
        case("blank name", with("tool_name", " \u{3000}"), "/tool/tool_name", "must not be empty", SEE),
        case("name is a number", with("tool_name", 5), "/tool/tool_name", "expected a string", SEE),
        case(
            "name too long",
            with("tool_name", "é".repeat(129)),
            "/tool/tool_name",
            "258 bytes long, at most 256",
            SEE,
        ),
        case(
            "name with a control character",
            with("tool_name", "a\nb"),
            "/tool/tool_name",
            r"holds '\n'",
            SEE,
        ),
        case(
            "domain in upper case",
            with("domain", "GitHub"),
            "/tool/domain",
            "holds 'G', allowed are a-z",
            SEE,
        ),
        case(
            "domain too long",
            with("domain", "d".repeat(65)),
            "/tool/domain",
            "65 bytes long, at most 64",
            SEE,
        ),
        case("domain is null", with("domain", Value::Null), "/tool/domain", "expected a string", SEE),
        case(
            "unknown type",
            with("tool_type", "mcp"),
            "/tool/tool_type",
            "unknown variant `mcp`, expected one of `mcp_worker`",
            SEE,
        ),
    ]
}

/// Events whose tool breaks another rule.
fn fields() -> Vec<Case> {
    vec![
        case(
            "description is a number",
            with("description", 5),
            "/tool/description",
            "integer `5`, expected a string",
            SEE,
        ),
        case(
            "description too long",
            with("description", "é".repeat(8193)),
            "/tool/description",
            "16386 bytes long, at most 16384",
            "shorten it",
        ),
        case(
            "parameters are an array",
            with("parameters", json!([])),
            "/tool/parameters",
            "parameters are not an object",
            "send the JSON Schema of the arguments",
        ),
        case(
            "parameters are a text",
            with("parameters", "{}"),
            "/tool/parameters",
            "parameters are not an object",
            "send the JSON Schema of the arguments",
        ),
        case("parameters 33 deep", deep(33), "/tool/parameters", "33 deep, at most 32", "flatten the schema"),
        case("version is a number", with("version", 2), "/tool/version", "expected a string", SEE),
        case(
            "version too long",
            with("version", "1".repeat(257)),
            "/tool/version",
            "257 bytes long",
            "shorten it",
        ),
        case(
            "publisher too long",
            with("publisher", "p".repeat(257)),
            "/tool/publisher",
            "257 bytes long",
            "shorten it",
        ),
        case(
            "last_updated too long",
            with("last_updated", "2".repeat(257)),
            "/tool/last_updated",
            "257 bytes",
            "shorten it",
        ),
        case("tags are a text", with("tags", "git"), "/tool/tags", "expected a sequence", SEE),
        case("a tag is a number", with("tags", json!(["git", 1])), "/tool/tags/1", "expected a string", SEE),
        case(
            "a tag is empty",
            with("tags", json!(["git", ""])),
            "/tool/tags/1",
            "an entry of tags must not be empty",
            "leave it out",
        ),
        case(
            "a tag is too long",
            with("tags", json!(["t".repeat(257)])),
            "/tool/tags/0",
            "257 bytes long",
            "shorten it",
        ),
        case(
            "too many tags",
            with("tags", vec!["t"; 129]),
            "/tool/tags",
            "129 entries, at most 128",
            "keep those that tell most",
        ),
        case(
            "an example is too long",
            with("examples", json!(["e".repeat(2049)])),
            "/tool/examples/0",
            "2049 bytes",
            "shorten it",
        ),
        case(
            "a role is empty",
            with("allowed_roles", json!([""])),
            "/tool/allowed_roles/0",
            "must not be empty",
            "leave it out",
        ),
    ]
}

/// Subjects that name no tool, or another one.
fn subjects_of_tools() -> Vec<Case> {
    vec![
        case(
            "another domain",
            with("domain", "gitlab"),
            "/tool/domain",
            "the body says domain gitlab, the subject github",
            "publish this tool on tools.v1.acme.gitlab.ping",
        ),
        case(
            "another name",
            with("tool_name", "pong.2"),
            "/tool/tool_name",
            r#"says tool_name "pong.2", the subject "ping""#,
            "publish this tool on tools.v1.acme.github.pong%2E2",
        ),
        on(
            "tenant in upper case",
            "tools.v1.Acme.github.ping",
            "tenant holds 'A', allowed are a-z",
            "tenant and domain are [a-z0-9_-]{1,64}",
        ),
        on(
            "domain with a sign",
            "tools.v1.acme.git+hub.ping",
            "domain holds '+'",
            "tenant and domain are [a-z0-9_-]{1,64}",
        ),
        on(
            "too few tokens",
            "tools.v1.acme.ping",
            "it is not tools.v1. and three tokens",
            "publish on tools.v1.<tenant>.<domain>.<tool>",
        ),
        on(
            "a dot that is not encoded",
            "tools.v1.acme.github.a.b",
            "it is not tools.v1. and three tokens",
            "percent-encode every byte",
        ),
        on(
            "another subject",
            "events.acme.github.ping",
            "it is not tools.v1. and three tokens",
            "publish on tools.v1.",
        ),
        on(
            "lower-case hex",
            "tools.v1.acme.github.a%2eb",
            "not in its one canonical form",
            "publish on tools.v1.acme.github.a%2Eb;",
        ),
        on(
            "encoded without need",
            "tools.v1.acme.github.%70ing",
            "not in its one canonical form",
            "publish on tools.v1.acme.github.ping;",
        ),
        on(
            "not encoded",
            "tools.v1.acme.github.a/b",
            "not in its one canonical form",
            "publish on tools.v1.acme.github.a%2Fb;",
        ),
        on(
            "half an escape",
            "tools.v1.acme.github.100%",
            "not in its one canonical form",
            "publish on tools.v1.acme.github.100%25;",
        ),
        on(
            "an escape that is not UTF-8",
            "tools.v1.acme.github.%FF",
            "does not decode to UTF-8",
            "percent-encode every byte",
        ),
        on(
            "an encoded control character",
            "tools.v1.acme.github.a%0Ab",
            r"tool_name holds '\n'",
            "publish on tools.v1.",
        ),
        on("a blank name", "tools.v1.acme.github.%20", "tool_name must not be empty", "publish on tools.v1."),
    ]
}

#[test]
fn every_bad_event_is_refused_with_place_and_advice() {
    for case in [bodies(), names(), fields(), subjects_of_tools()].concat() {
        let fault = ToolEvent::decode(case.subject, &case.body).expect_err(case.what);
        assert_eq!(fault.code, ErrorCode::BadRequest, "{}", case.what);
        assert_eq!(fault.pointer.as_deref(), case.pointer, "{}: {fault}", case.what);
        assert!(fault.message.contains(case.message), "{}: {fault}", case.what);
        let hint =
            fault.hint.as_deref().unwrap_or_else(|| panic!("{}: {fault} says not what to do", case.what));
        assert!(hint.contains(case.hint), "{}: {hint}", case.what);
    }
}

#[test]
fn the_limits_themselves_are_allowed() {
    ToolEvent::decode(SUBJECT, deep(32).as_bytes()).unwrap();
    ToolEvent::decode(SUBJECT, &with("description", "é".repeat(8192))).unwrap();
    ToolEvent::decode(SUBJECT, &with("tags", vec!["t".repeat(256); 128])).unwrap();
    let name = "é".repeat(128);
    let body = with("tool_name", name.clone());
    let subject = format!("tools.v1.acme.github.{}", "%C3%A9".repeat(128));
    assert_eq!(ToolEvent::decode(&subject, &body).unwrap().0.tool_name.as_str(), name);
    let mut large = with("description", "");
    large.resize(limits::EVENT_BYTES_MAX, b' ');
    ToolEvent::decode(SUBJECT, &large).unwrap();
    large.push(b' ');
    ToolEvent::decode(SUBJECT, &large).unwrap_err();
}

/// One that NATS refused for its size could never be stored, and would block everybody behind it.
#[test]
fn a_rejection_fits_into_a_message_whatever_was_sent() {
    /// The `max_payload` of an unconfigured nats-server.
    const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
    let fill = limits::EVENT_BYTES_MAX - 100;
    // Quotation marks grow as JSON text, soft hyphens in a message that quotes them, both again in a
    // rejection.
    for text in ["\"", "\u{ad}", "\\", "x", "\u{e0001}", "\u{1}"] {
        let width = serde_json::to_string(text).unwrap().len() - 2;
        let text = text.repeat(fill / width);
        let event = serde_json::to_vec(&json!({ "event": text })).unwrap();
        for body in
            [event, with("tool_type", text.clone()), with("tool_name", text.clone()), with("tags", text)]
        {
            assert!(body.len() <= limits::EVENT_BYTES_MAX);
            assert_rejection_fits(&body, PAYLOAD_BYTES_MAX);
        }
    }
    for byte in [b'"', b'\n', 0, 0xff] {
        assert_rejection_fits(&vec![byte; limits::REJECTED_ORIGINAL_BYTES_MAX], PAYLOAD_BYTES_MAX);
        assert_rejection_fits(&vec![byte; 8 * PAYLOAD_BYTES_MAX], PAYLOAD_BYTES_MAX);
    }
}

fn assert_rejection_fits(body: &[u8], bytes_max: usize) {
    let reason = ToolEvent::decode(SUBJECT, body).unwrap_err();
    let rejection = Rejection {
        reason,
        subject: SUBJECT.to_owned(),
        revision: u64::MAX,
        attempts: u64::MAX,
        rejected_at: "2026-11-22T21:30:00Z".to_owned(),
        original: Original::new(body),
    };
    let encoded = encode(&rejection);
    assert!(encoded.len() < bytes_max, "{} bytes", encoded.len());
    assert_eq!(decode::<Rejection>(&encoded).unwrap(), rejection);
}

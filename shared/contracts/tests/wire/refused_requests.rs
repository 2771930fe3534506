//! Bad requests: each kind is refused with what was wrong, where, and what to do.

use serde_json::json;
use toolweaver_contracts::{
    DomainsRequest, ErrorCode, Fault, GetRequest, SearchRequest, StatusRequest, decode, subjects,
};

const SEE: &str = "the JSON Schema of every message is in schemas/";

#[test]
fn every_bad_search_is_refused_with_place_and_advice() {
    for (body, pointer, message, hint) in [
        (json!({}), "", "missing field `query`", SEE),
        (json!(["open a pull request"]), "", "not a JSON object", SEE),
        (json!({ "query": 5 }), "/query", "expected a string", SEE),
        (json!({ "query": " " }), "/query", "must not be empty", "say what the agent wants to do"),
        (json!({ "query": "x".repeat(8193) }), "/query", "8193 bytes long", "not the conversation"),
        (json!({ "query": "x", "top_k": 0 }), "/top_k", "must be 1 to 100", "leave it out for 10"),
        (json!({ "query": "x", "top_k": 101 }), "/top_k", "must be 1 to 100", "leave it out for 10"),
        (json!({ "query": "x", "top_k": -1 }), "/top_k", "invalid value: integer `-1`", SEE),
        (json!({ "query": "x", "domain": "Git Hub" }), "/domain", "holds 'G'", SEE),
        (
            json!({ "query": "x", "tool_types": ["function", "mcp"] }),
            "/tool_types/1",
            "unknown variant `mcp`",
            SEE,
        ),
        (json!({ "query": "x", "tags": ["a", ""] }), "/tags/1", "must not be empty", "leave it out"),
        (json!({ "query": "x", "roles": ["r".repeat(257)] }), "/roles/0", "257 bytes long", "shorten it"),
        (
            json!({ "query": "x", "tags": vec!["t"; 129] }),
            "/tags",
            "129 entries",
            "keep those that tell most",
        ),
        (json!({ "query": "x", "exclude": ["ping"] }), "/exclude/0", "not written domain.tool_name", SEE),
        (
            json!({ "query": "x", "exclude": vec!["a.b"; 1001] }),
            "/exclude",
            "1001 entries",
            "filter the rest",
        ),
        (json!({ "query": "x", "wait_ms": 30_001 }), "/wait_ms", "at most 30000", "ask again"),
        (json!({ "query": "x", "min_version": -1 }), "/min_version", "integer `-1`", SEE),
        (json!({ "query": "x", "detail": "full" }), "/detail", "unknown variant `full`", SEE),
        (json!({ "query": "x", "explain": "yes" }), "/explain", "expected a boolean", SEE),
    ] {
        let request = decode::<SearchRequest>(body.to_string().as_bytes());
        let fault = request.and_then(|request| request.validate()).expect_err(message);
        assert_fault(&fault, pointer, message, hint);
    }
}

#[test]
fn other_bad_requests_are_refused_with_place_and_advice() {
    let fault = decode::<GetRequest>(b"").unwrap_err();
    assert_fault(&fault, "", "missing field `tool_id`", SEE);
    let fault = decode::<GetRequest>(br#"{"tool_id":"ping"}"#).unwrap_err();
    assert_fault(&fault, "/tool_id", r#"tool id "ping" is not written domain.tool_name"#, SEE);
    let fault = decode::<DomainsRequest>(br#"{"roles":[1]}"#).unwrap_err();
    assert_fault(&fault, "/roles/0", "expected a string", SEE);
    let fault = decode::<StatusRequest>(b"null").unwrap_err();
    assert_fault(&fault, "", "not a JSON object", SEE);
    let fault = decode::<StatusRequest>(b"\xff").unwrap_err();
    assert_fault(&fault, "", "not UTF-8 from byte 0 on", "send JSON encoded as UTF-8");
    let fault = subjects::parse_tenant("search.v1.Acme").unwrap_err();
    assert_eq!((fault.code, &fault.pointer), (ErrorCode::BadRequest, &None));
    assert!(fault.message.contains("tenant holds 'A'"), "{fault}");
    assert!(fault.hint.unwrap().starts_with("ask on search.v1.<tenant>;"));
}

fn assert_fault(fault: &Fault, pointer: &str, message: &str, hint: &str) {
    assert_eq!(fault.code, ErrorCode::BadRequest, "{fault}");
    assert_eq!(fault.pointer.as_deref(), Some(pointer), "{fault}");
    assert!(fault.message.contains(message), "{fault} should say {message:?}");
    assert!(fault.hint.as_deref().is_some_and(|given| given.contains(hint)), "{fault} should hint {hint:?}");
}

//! Every shape against what its vendor publishes, and every budget against what it holds.

mod properties;

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};
use toolweaver_contracts::{SearchResult, Shape, Tool, ToolId, ToolType};

use super::*;

const SHAPES: [Shape; 4] =
    [Shape::AnthropicToolReference, Shape::AnthropicTool, Shape::OpenaiFunction, Shape::McpTool];

/// A vendor's published form.
fn published(shape: Shape) -> &'static Validator {
    fn read(text: &str) -> Validator {
        jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
    }
    static REFERENCE: LazyLock<Validator> =
        LazyLock::new(|| read(include_str!("fixtures/anthropic-tool-reference.json")));
    static ANTHROPIC: LazyLock<Validator> =
        LazyLock::new(|| read(include_str!("fixtures/anthropic-tool.json")));
    static OPENAI: LazyLock<Validator> =
        LazyLock::new(|| read(include_str!("fixtures/openai-function.json")));
    static MCP: LazyLock<Validator> = LazyLock::new(|| read(include_str!("fixtures/mcp-tool.json")));
    match shape {
        Shape::AnthropicToolReference => &REFERENCE,
        Shape::AnthropicTool => &ANTHROPIC,
        Shape::OpenaiFunction => &OPENAI,
        Shape::McpTool => &MCP,
    }
}

/// Holds a shaped tool to the published form, and to the rules that stand in prose and errors
/// (`fixtures/README.md`).
fn check(shape: Shape, shaped: &Value) {
    if let Err(error) = published(shape).validate(shaped) {
        panic!("{error} at {} in {shaped:#}", error.instance_path());
    }
    let text = shaped.to_string();
    assert_eq!(serde_json::from_str::<Value>(&text).expect("no deeper than readers go"), *shaped);
    let (name, schema) = match shape {
        Shape::AnthropicToolReference => (&shaped["tool_name"], None),
        Shape::AnthropicTool => (&shaped["name"], Some(&shaped["input_schema"])),
        Shape::OpenaiFunction => (&shaped["function"]["name"], Some(&shaped["function"]["parameters"])),
        Shape::McpTool => (&shaped["name"], Some(&shaped["inputSchema"])),
    };
    let (dot, chars_max) = if shape == Shape::McpTool { ('.', 128) } else { ('_', 64) };
    assert!(is_made_of(name.as_str().unwrap(), dot, chars_max), "{name}");
    let Some(schema) = schema else { return };
    let refused: &[&str] = match shape {
        Shape::AnthropicTool => &["oneOf", "anyOf", "allOf"],
        Shape::OpenaiFunction => &["oneOf", "anyOf", "allOf", "not", "enum", "const"],
        _ => &[],
    };
    assert!(refused.iter().all(|key| schema.get(key).is_none()), "{schema:#}");
    if shape == Shape::AnthropicTool {
        let properties = schema["properties"].as_object().unwrap();
        assert!(properties.keys().all(|name| is_made_of(name, '.', 64)), "{schema:#}");
    }
    if shape == Shape::OpenaiFunction {
        let properties = schema["properties"].as_object().unwrap();
        let is_bare = |property: &Value| property["type"] == "array" && property.get("items").is_none();
        assert!(!properties.values().any(is_bare), "{schema:#}");
    }
}

fn is_made_of(name: &str, also: char, chars_max: usize) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || ['_', '-', also].contains(&c);
    (1..=chars_max).contains(&name.len()) && name.chars().all(is_allowed)
}

fn tool(id: &str, description: &str, parameters: Value) -> Tool {
    let id: ToolId = id.parse().unwrap();
    let Value::Object(parameters) = parameters else { panic!("parameters are an object") };
    let body = json!({ "tool_name": id.tool_name, "domain": id.domain, "description": description });
    Tool { parameters, ..serde_json::from_value(body).unwrap() }
}

fn schema_of(shape: Shape, parameters: Value) -> Value {
    let shaped = shapes::shaped(shape, &tool("general.x", "", parameters));
    check(shape, &shaped);
    match shape {
        Shape::AnthropicTool => shaped["input_schema"].clone(),
        Shape::OpenaiFunction => shaped["function"]["parameters"].clone(),
        Shape::McpTool => shaped["inputSchema"].clone(),
        Shape::AnthropicToolReference => panic!("a reference has no schema"),
    }
}

fn result(tool: &Tool) -> SearchResult {
    SearchResult {
        tool_id: ToolId { domain: tool.domain.clone(), tool_name: tool.tool_name.clone() },
        tool_name: tool.tool_name.clone(),
        domain: tool.domain.clone(),
        tool_type: ToolType::Function,
        description: tool.description.clone(),
        score: 0.5,
        tool: None,
        explain: None,
    }
}

fn found(tools: Vec<Tool>) -> Vec<(SearchResult, Arc<Tool>)> {
    tools.into_iter().map(|tool| (result(&tool), Arc::new(tool))).collect()
}

#[test]
fn shapes_are_what_the_vendors_publish() {
    let pull = tool(
        "github.create_pull_request",
        "Opens a pull request.",
        json!({ "type": "object", "properties": { "title": { "type": "string" } }, "required": ["title"] }),
    );
    let schema = &json!({
        "type": "object",
        "properties": { "title": { "type": "string" } },
        "required": ["title"]
    });
    let words = "Opens a pull request.";
    for (shape, expected) in [
        (
            Shape::AnthropicToolReference,
            json!({ "type": "tool_reference", "tool_name": "github__create_pull_request" }),
        ),
        (
            Shape::AnthropicTool,
            json!({ "name": "github__create_pull_request", "description": words, "input_schema": schema }),
        ),
        (
            Shape::OpenaiFunction,
            json!({ "type": "function", "function": {
                "name": "github__create_pull_request", "description": words, "parameters": schema
            }}),
        ),
        (
            Shape::McpTool,
            json!({
                "name": "github.create_pull_request", "title": "create_pull_request", "description": words,
                "inputSchema": schema
            }),
        ),
    ] {
        let shaped = shapes::shaped(shape, &pull);
        check(shape, &shaped);
        assert_eq!(shaped, expected);
    }
}

#[test]
fn a_tool_that_says_nothing_gets_the_smallest_valid_form() {
    let empty = json!({ "type": "object", "properties": {} });
    for parameters in [json!({}), json!({ "type": "object" }), json!({ "type": ["object", "null"] })] {
        for shape in [Shape::AnthropicTool, Shape::OpenaiFunction, Shape::McpTool] {
            assert_eq!(schema_of(shape, parameters.clone()), empty);
        }
    }
    let shaped = shapes::shaped(Shape::McpTool, &tool("general.ping", " ", json!({})));
    assert_eq!(shaped, json!({ "name": "ping", "inputSchema": empty }));
}

#[test]
fn names_say_whose_tool_it_is_and_are_never_shared() {
    let long = format!("github.{}", "x".repeat(100));
    let shortened = format!("github__{}_9fd9914b7f", "x".repeat(45));
    for (id, function, mcp) in [
        ("general.ping", "ping", "ping"),
        ("github.ping", "github__ping", "github.ping"),
        ("github.repos/list", "github__repos--list", "github.repos--list"),
        ("aws.s3.list-buckets", "aws__s3__list-buckets", "aws.s3.list-buckets"),
        ("general.s3.list", "general__s3__list", "general.s3.list"),
        ("general.github__ping", "github__ping_4bf8d25f5e", "github__ping"),
        ("chat.发送消息", "chat_2714e63350", "chat_2714e63350"),
        (&long, &shortened, &long),
    ] {
        let tool = tool(id, "", json!({}));
        assert_eq!(names::of_tool(&tool, names::FUNCTION), function, "{id}");
        assert_eq!(names::of_tool(&tool, names::MCP), mcp, "{id}");
    }
}

#[test]
fn alternatives_at_the_top_become_arguments_of_one_object() {
    let parameters = json!({
        "description": "Whom to write to.",
        "properties": { "text": { "type": "string" }, "kind": { "type": "string" } },
        "required": ["text"],
        "oneOf": [
            { "properties": { "kind": { "const": "mail" }, "address": { "type": "string" } },
              "required": ["kind", "address"] },
            { "$ref": "#/$defs/phone" },
            { "type": "null" }
        ],
        "allOf": [{ "properties": { "text": { "maxLength": 9 } } }],
        "not": { "required": ["fax"] },
        "$defs": { "phone": { "properties": { "kind": { "const": "sms" }, "number": { "type": "string" } },
                              "required": ["kind", "number"] } }
    });
    let expected = json!({
        "type": "object",
        "properties": {
            "text": { "allOf": [{ "type": "string" }, { "maxLength": 9 }] },
            "kind": { "allOf": [
                { "type": "string" }, { "anyOf": [{ "const": "mail" }, { "const": "sms" }] }
            ] },
            "address": { "type": "string" },
            "number": { "type": "string" }
        },
        "required": ["kind", "text"],
        "description": "Whom to write to. Give `address`, or `number`.",
        "$defs": parameters["$defs"]
    });
    assert_eq!(schema_of(Shape::AnthropicTool, parameters.clone()), expected);
    assert_eq!(schema_of(Shape::OpenaiFunction, parameters.clone()), expected);
    // MCP has no such rule: nothing is taken away.
    assert_eq!(schema_of(Shape::McpTool, parameters.clone())["oneOf"], parameters["oneOf"]);
}

#[test]
fn parameters_that_are_no_object_become_one_argument() {
    let text = json!({ "type": "string", "maxLength": 9, "$defs": { "x": {} } });
    let expected = json!({
        "type": "object",
        "properties": { "input": { "type": "string", "maxLength": 9 } },
        "required": ["input"],
        "$defs": { "x": {} }
    });
    let either = json!({ "anyOf": [{ "type": "string" }, { "type": ["number", "null"] }] });
    for shape in [Shape::AnthropicTool, Shape::OpenaiFunction, Shape::McpTool] {
        assert_eq!(schema_of(shape, text.clone()), expected);
        assert_eq!(schema_of(shape, either.clone())["properties"]["input"], either);
    }
}

#[test]
fn arguments_that_anthropic_refuses_are_renamed_and_say_so() {
    let parameters = json!({
        "properties": { "page[size]": { "type": "integer" }, "$top": {}, "_top": {}, "ok": {} },
        "required": ["page[size]", "ok"]
    });
    let schema = schema_of(Shape::AnthropicTool, parameters.clone());
    let names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!((names[0].as_str(), names[2].as_str(), names[3].as_str()), ("page_size_", "_top", "ok"));
    assert!(names[1].starts_with("_top_"), "{names:?}");
    assert_eq!(schema["properties"]["page_size_"], json!({ "type": "integer", "title": "page[size]" }));
    assert_eq!(schema["required"], json!(["page_size_", "ok"]));
    assert_eq!(schema_of(Shape::OpenaiFunction, parameters.clone())["properties"], parameters["properties"]);
}

#[test]
fn lists_say_for_openai_that_anything_may_be_in_them() {
    let parameters = json!({ "properties": {
        "bare": { "type": "array" },
        "deep": { "type": "object", "properties": { "rows": { "items": { "type": ["array", "null"] } } } },
        "example": { "type": "object", "default": { "type": "array" } }
    }});
    let schema = schema_of(Shape::OpenaiFunction, parameters.clone());
    assert_eq!(schema["properties"]["bare"], json!({ "type": "array", "items": {} }));
    assert_eq!(schema["properties"]["deep"]["properties"]["rows"]["items"]["items"], json!({}));
    assert_eq!(schema["properties"]["example"], parameters["properties"]["example"]);
}

#[test]
fn entangled_schemas_come_to_an_end() {
    let ring = json!({ "$ref": "#/$defs/a", "$defs": {
        "a": { "allOf": vec![json!({ "$ref": "#/$defs/b" }); 50] },
        "b": { "allOf": vec![json!({ "$ref": "#/$defs/a" }); 50], "properties": { "x": { "type": "string" } } }
    }});
    assert_eq!(schema_of(Shape::AnthropicTool, ring)["properties"]["x"], json!({ "type": "string" }));
    let mut deep = json!({ "properties": { "x": { "const": 0 } } });
    for level in 1..30 {
        deep = json!({ "oneOf": [deep, { "properties": { "x": { "const": level } } }] });
    }
    schema_of(Shape::OpenaiFunction, deep);
    let wide: Vec<_> = (0..2_000).map(|i| json!({ "properties": { "x": { "const": i } } })).collect();
    schema_of(Shape::OpenaiFunction, json!({ "anyOf": wide, "allOf": wide }));
}

#[test]
fn the_best_that_fit_are_kept_and_the_rest_is_named() {
    let words = |id: &str, bytes: usize| tool(id, &"x".repeat(bytes), json!({}));
    let tools =
        vec![words("a.small", 10), words("a.huge", 3_000), words("a.middle", 300), words("a.late", 10)];
    let packed = pack(found(tools.clone()), None, Some(250));
    let ids: Vec<_> = packed.results.iter().map(|result| result.tool_id.to_string()).collect();
    assert_eq!(ids, ["a.small", "a.middle", "a.late"]);
    let budget = packed.budget.unwrap();
    assert_eq!((budget.tokens_max, budget.cut.len()), (250, 1));
    assert_eq!(budget.cut[0].tool_id.to_string(), "a.huge");
    assert!((1_000..1_100).contains(&budget.cut[0].tokens), "{:?}", budget.cut);

    let nothing = pack(found(tools.clone()), Some(Shape::AnthropicTool), Some(1));
    assert_eq!((nothing.results.len(), nothing.shaped.len()), (0, 0));
    assert_eq!(nothing.budget.map(|budget| (budget.tokens_used, budget.cut.len())), Some((0, 4)));

    let all = pack(found(tools), Some(Shape::McpTool), None);
    assert_eq!((all.results.len(), all.shaped.len(), all.budget), (4, 4, None));
}

#[test]
fn who_scores_and_explains_pays_nothing_for_it() {
    let tool = tool("a.b", "Does it.", json!({}));
    let plain = result(&tool);
    let explained = SearchResult {
        score: 0.123_456_7,
        explain: Some(serde_json::from_value(json!({ "exact_name": true })).unwrap()),
        ..plain.clone()
    };
    let used = |result: SearchResult| {
        pack(vec![(result, Arc::new(tool.clone()))], None, Some(1_000)).budget.unwrap().tokens_used
    };
    assert_eq!(used(plain.clone()), used(explained));
    let whole = SearchResult { tool: Some(tool.clone()), ..plain.clone() };
    assert!(used(whole) > used(plain));
}

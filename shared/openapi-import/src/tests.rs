//! Imports of small documents, each about one thing.

use serde_json::{Value, json};
use toolweaver_contracts::{
    Domain, Fault, Tenant, Tool, ToolEvent, ToolKey, encode,
    limits::{PARAMETERS_DEPTH_MAX, TOOL_NAME_BYTES_MAX},
    subjects,
};

use super::{Import, import, parse};

fn imported(document: &Value) -> Import {
    let import = import(document, &"shop".parse().unwrap()).unwrap();
    for tool in &import.tools {
        let key = ToolKey {
            tenant: Tenant::default(),
            domain: tool.domain.clone(),
            tool_name: tool.tool_name.clone(),
        };
        let event = encode(&ToolEvent::Registered { tool: Box::new(tool.clone()) });
        ToolEvent::decode(&subjects::tools(&key), &event).unwrap();
    }
    import
}

/// The one tool of a document with one operation and these components.
fn tool(operation: &Value, components: &Value) -> Tool {
    let document = json!({
        "openapi": "3.0.3", "info": { "title": "Shop", "version": "2.1" },
        "paths": { "/orders/{id}": { "post": operation } }, "components": components
    });
    imported(&document).tools.remove(0)
}

fn arguments(operation: &Value, components: &Value) -> Value {
    Value::Object(tool(operation, components).parameters)
}

fn body(schema: &Value) -> Value {
    json!({ "operationId": "x", "requestBody": { "required": true, "content": { "application/json": { "schema": schema } } } })
}

#[test]
fn an_operation_becomes_a_tool() {
    let operation = json!({
        "operationId": "orders/create", "summary": "Create an order",
        "description": "Creates **one** [order](https://example.com).\n\n> [!NOTE]\n> Needs a key.",
        "tags": ["orders", "orders", ""], "deprecated": true,
        "parameters": [
            { "name": "id", "in": "path", "required": true, "schema": { "type": "string" }, "description": "The `id`." },
            { "name": "dry_run", "in": "query", "schema": { "type": "boolean" } },
            { "name": "X-Trace", "in": "header", "schema": { "type": "string" } },
            { "name": "Accept", "in": "header", "schema": { "type": "string" } },
            { "name": "session", "in": "cookie", "schema": { "type": "string" } }
        ],
        "requestBody": { "required": true, "content": { "application/json": { "schema": {
            "type": "object", "required": ["item", "made_at"],
            "properties": {
                "item": { "type": "string", "example": "tea" },
                "id": { "type": "integer" },
                "made_at": { "type": "string", "readOnly": true }
            }
        } } } }
    });
    let tool = tool(&operation, &json!({}));
    assert_eq!(tool.tool_name.as_str(), "orders/create");
    assert_eq!(tool.description, "Create an order. Creates one order. Needs a key.");
    assert_eq!(tool.tags, ["deprecated", "orders"]);
    assert_eq!(tool.version.as_deref(), Some("2.1"));
    assert_eq!(tool.publisher.as_deref(), Some("Shop"));
    assert_eq!(
        Value::Object(tool.parameters),
        json!({
            "type": "object",
            "properties": {
                "id": { "type": "string", "description": "The id." },
                "dry_run": { "type": "boolean" },
                "X-Trace": { "type": "string" },
                "item": { "type": "string", "examples": ["tea"] },
                "id__body": { "type": "integer" }
            },
            "required": ["id", "item"]
        })
    );
}

#[test]
fn names_are_unique_and_made_up_where_missing() {
    let long = "x".repeat(TOOL_NAME_BYTES_MAX + 10);
    let document = json!({
        "openapi": "3.1.0", "info": {},
        "paths": {
            "/a": { "get": { "operationId": "same" }, "put": { "operationId": "same" }, "post": {} },
            "/b": { "get": { "operationId": long }, "delete": { "operationId": long }, "parameters": [] }
        }
    });
    let tools = imported(&document).tools;
    let names: Vec<&str> = tools.iter().map(|tool| tool.tool_name.as_str()).collect();
    assert_eq!(names[..3], ["same", "same_2", "post /a"]);
    assert_eq!(names[3], "x".repeat(TOOL_NAME_BYTES_MAX));
    assert!(names[4].ends_with("x_2") && names[4].len() == TOOL_NAME_BYTES_MAX);
    assert_eq!(tools[2].description, "POST /a");
}

#[test]
fn references_are_resolved_wherever_they_stand() {
    let document = json!({
        "openapi": "3.0.0",
        "paths": { "/p": {
            "parameters": [{ "$ref": "#/components/parameters/Owner" }],
            "post": {
                "operationId": "x",
                "parameters": [{ "name": "owner", "in": "path", "schema": { "type": "integer" } }],
                "requestBody": { "$ref": "#/components/requestBodies/B" }
            }
        } },
        "components": {
            "parameters": { "Owner": { "name": "owner", "in": "path", "schema": { "type": "string" } } },
            "requestBodies": { "B": { "content": { "application/vnd.x+json": { "schema": { "$ref": "#/components/schemas/a~1b%20c" } } } } },
            "schemas": {
                "a/b c": { "allOf": [{ "$ref": "#/components/schemas/Base" }, { "properties": { "n": { "$ref": "#/components/schemas/N" } } }] },
                "Base": { "type": "object", "properties": { "name": { "type": "string" } } },
                "N": { "type": "number", "nullable": true, "minimum": 0, "exclusiveMinimum": true, "x-internal": 1 }
            }
        }
    });
    assert_eq!(
        Value::Object(imported(&document).tools.remove(0).parameters)["properties"],
        json!({
            "owner": { "type": "integer" },
            "name": { "type": "string" },
            "n": { "type": ["number", "null"], "exclusiveMinimum": 0 }
        })
    );
}

#[test]
fn a_cycle_is_cut_where_it_closes() {
    let components = json!({ "schemas": {
        "Node": { "type": "object", "properties": { "next": { "$ref": "#/components/schemas/Node" }, "v": { "type": "string" } } },
        "Self": { "$ref": "#/components/schemas/Self" }
    } });
    let again = json!({ "description": "a Node again", "type": "object" });
    assert_eq!(
        arguments(
            &body(&json!({ "properties": { "n": { "$ref": "#/components/schemas/Node" } } })),
            &components
        )["properties"]["n"],
        json!({ "type": "object", "properties": { "next": again, "v": { "type": "string" } } })
    );
    let own = arguments(&body(&json!({ "$ref": "#/components/schemas/Self" })), &components);
    assert_eq!(own["properties"]["body"], json!({ "description": "a Self again" }));
}

#[test]
fn a_reference_that_leads_nowhere_is_told() {
    let document = json!({ "openapi": "3.0.0", "paths": { "/": { "post": body(&json!({
        "properties": { "a": { "$ref": "other.yaml#/A" }, "b": { "$ref": "#/components/schemas/None" } }
    })) } } });
    let import = imported(&document);
    assert_eq!(import.unresolved, 2);
    assert_eq!(
        Value::Object(import.tools[0].parameters.clone())["properties"]["a"],
        json!({ "description": "see other.yaml#/A" })
    );
}

#[test]
fn what_lies_too_deep_is_pruned_and_counted() {
    let deep = (0..60).fold(json!({ "type": "string" }), |inner, _| json!({ "properties": { "p": inner } }));
    let document = json!({ "openapi": "3.0.0", "paths": { "/": { "post": body(&deep) } } });
    let import = imported(&document);
    assert_eq!((import.pruned, import.tools_pruned), (1, 1));
    let mut kept = &Value::Object(import.tools[0].parameters.clone());
    let mut levels = 0;
    while let Some(inner) = kept.pointer("/properties/p") {
        kept = inner;
        levels += 1;
    }
    // Each level takes two: the schema, and its `properties`.
    assert_eq!(levels, (PARAMETERS_DEPTH_MAX - 1) / 2);
}

#[test]
fn what_grows_too_large_loses_its_deepest_parts_first() {
    // Each of ten schemas refers ten times to the next: 10^10 when written out.
    let schemas: serde_json::Map<String, Value> = (0..10)
        .map(|i| {
            let next = json!({ "$ref": format!("#/components/schemas/S{}", i + 1) });
            let properties: serde_json::Map<String, Value> =
                (0..10).map(|p| (format!("p{p}"), next.clone())).collect();
            (format!("S{i}"), json!({ "type": "object", "properties": properties }))
        })
        .chain([("S10".to_owned(), json!({ "type": "string" }))])
        .collect();
    let document = json!({
        "openapi": "3.0.0",
        "paths": { "/": { "post": body(&json!({ "$ref": "#/components/schemas/S0" })) } },
        "components": { "schemas": schemas }
    });
    let import = imported(&document);
    assert!(import.pruned >= 1000, "{}", import.pruned);
    let parameters = Value::Object(import.tools[0].parameters.clone());
    assert_eq!(parameters.pointer("/properties/p9/properties/p9/type"), Some(&json!("object")));
    assert!(parameters.to_string().len() > 10_000);
}

#[test]
fn a_body_that_is_no_object_is_one_argument() {
    let list = json!({ "type": "array", "items": { "type": "string" } });
    let arguments_of_list = arguments(&body(&list), &json!({}));
    assert_eq!(arguments_of_list["properties"], json!({ "body": list }));
    assert_eq!(arguments_of_list["required"], json!(["body"]));
    let form = json!({ "operationId": "x", "requestBody": { "content": {
        "text/plain": { "schema": { "type": "string" } },
        "application/x-www-form-urlencoded": { "schema": { "required": ["a"], "properties": { "a": { "type": "string" } } } }
    } } });
    assert_eq!(
        arguments(&form, &json!({})),
        json!({ "type": "object", "properties": { "a": { "type": "string" } } }),
        "forms come before text, and an optional body requires nothing"
    );
}

#[test]
fn property_names_that_look_like_keywords_stay() {
    let schema = json!({ "properties": { "q": { "type": "object", "required": ["nullable"], "properties": {
        "example": { "type": "string" }, "x-a": { "type": "string" }, "nullable": { "type": "boolean" },
        "$ref": { "type": "string" }
    } } } });
    assert_eq!(arguments(&body(&schema), &json!({}))["properties"]["q"], schema["properties"]["q"]);
}

#[test]
fn yaml_reads_like_json() {
    let yaml = b"
openapi: 3.1.0
info: {title: Pets, version: '1'}
paths:
  /pets:
    get:
      operationId: listPets
      summary: List all pets.
      description: |
        At most *100*.
      parameters:
        - {name: limit, in: query, schema: {type: [integer, 'null'], maximum: 100}}
      responses:
        200: {description: ok}
";
    let document = parse(yaml).unwrap();
    let tool = imported(&document).tools.remove(0);
    assert_eq!(tool.description, "List all pets. At most 100.");
    assert_eq!(
        Value::Object(tool.parameters)["properties"]["limit"],
        json!({ "type": ["integer", "null"], "maximum": 100 })
    );
}

#[test]
fn what_is_no_openapi_3_is_refused_with_advice() {
    for (text, pointer, word) in [
        ("{\"openapi\": \"3.0.0\", \"paths\": {}}", "/paths", "no operations"),
        ("{\"swagger\": \"2.0\"}", "/swagger", "Swagger"),
        ("openapi: 4.0.0", "/openapi", "4.0.0"),
        ("- a list", "/openapi", "missing"),
        ("{\"openapi\": ", "", "not JSON"),
        ("a: [", "", "not YAML"),
    ] {
        let error =
            parse(text.as_bytes()).and_then(|document| import(&document, &Domain::default())).unwrap_err();
        let fault = Fault::from(error);
        assert_eq!(fault.pointer.as_deref(), Some(pointer), "{text}");
        assert!(fault.message.contains(word) && fault.hint.is_some(), "{fault}");
    }
}

//! Properties of every shape and every budget, for any tool.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value};
use toolweaver_contracts::{Domain, Shape, Tool, ToolId, ToolName};

use super::{SHAPES, check, found, is_made_of, tool};
use crate::{budget, names, pack, shapes};

/// Any JSON, with a liking for what schemas are made of.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        select(vec!["object", "array", "string", "null", "a", "b", "#/$defs/a", "#/properties/b", "#"])
            .prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any_key(), inner), 0..6).prop_map(|fields| Map::from_iter(fields).into()),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    let words = vec![
        "type",
        "properties",
        "required",
        "oneOf",
        "anyOf",
        "allOf",
        "not",
        "enum",
        "const",
        "$ref",
        "$defs",
        "$schema",
        "items",
        "description",
        "a",
        "b",
    ];
    prop_oneof![4 => select(words).prop_map(str::to_owned), 1 => "\\PC{0,70}"]
}

fn any_tool() -> impl Strategy<Value = Tool> {
    let domain = prop_oneof![Just("general".to_owned()), "[a-b_-]{1,3}", "[a-z0-9_-]{1,64}"];
    let name = prop_oneof!["[a-b_./-]{1,5}", "[a-z.]{60,256}", "\\PC{1,60}"];
    let parameters = vec((any_key(), any_json()), 0..8);
    (domain, name, "\\PC{0,40}", parameters).prop_filter_map(
        "no name",
        |(domain, name, description, fields)| {
            let (domain, tool_name) = (domain.parse::<Domain>().ok()?, name.parse::<ToolName>().ok()?);
            let id = ToolId { domain, tool_name };
            Some(tool(&id.to_string(), &description, Map::from_iter(fields).into()))
        },
    )
}

proptest! {
    #[test]
    fn any_tool_has_every_shape(tool in any_tool()) {
        for shape in SHAPES {
            check(shape, &shapes::shaped(shape, &tool));
        }
        let reference = shapes::shaped(Shape::AnthropicToolReference, &tool);
        let definition = shapes::shaped(Shape::AnthropicTool, &tool);
        prop_assert_eq!(&reference["tool_name"], &definition["name"]);
    }

    #[test]
    fn two_tools_never_share_a_name(one in any_tool(), other in any_tool()) {
        prop_assume!((&one.domain, &one.tool_name) != (&other.domain, &other.tool_name));
        for rules in [names::FUNCTION, names::MCP] {
            prop_assert_ne!(names::of_tool(&one, rules), names::of_tool(&other, rules));
        }
    }

    #[test]
    fn two_arguments_never_share_a_name(names in prop::collection::btree_set("[a$_]{0,3}|\\PC{0,70}", 0..20)) {
        let old: Vec<&str> = names.iter().map(String::as_str).collect();
        let new = names::of_arguments(&old);
        prop_assert_eq!(new.iter().collect::<BTreeSet<_>>().len(), old.len());
        prop_assert!(new.iter().all(|name| is_made_of(name, '.', 64)));
    }

    #[test]
    fn a_budget_holds_and_nothing_gets_lost(
        tools in vec(any_tool(), 0..12),
        shape in prop::option::of(select(SHAPES.to_vec())),
        tokens_max in 1_u32..600,
    ) {
        let found = found(tools);
        let ids: Vec<_> = found.iter().map(|(result, _)| result.tool_id.clone()).collect();
        let packed = pack(found, shape, Some(tokens_max));
        let budget = packed.budget.unwrap();
        prop_assert!(budget.tokens_used <= tokens_max);
        let charged: u32 = match shape {
            Some(_) => packed.shaped.iter().map(budget::estimated_tokens).sum(),
            None => packed.results.iter().map(|one| budget::estimated_tokens(&budget::InPrompt::new(one))).sum(),
        };
        prop_assert_eq!(charged, budget.tokens_used);
        prop_assert_eq!(packed.shaped.len(), if shape.is_some() { packed.results.len() } else { 0 });
        // What was kept and what was cut, merged in the order they were found, is all that was found.
        let mut kept = packed.results.iter().map(|result| &result.tool_id).peekable();
        let mut cut = budget.cut.iter().map(|cut| &cut.tool_id).peekable();
        for id in &ids {
            let next = if kept.peek() == Some(&id) { kept.next() } else { cut.next() };
            prop_assert_eq!(next, Some(id));
        }
        prop_assert_eq!((kept.next(), cut.next()), (None, None));
    }
}

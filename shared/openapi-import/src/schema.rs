//! Self-contained JSON Schema from a schema of the document: references resolved, cycles cut, size bounded.
//!
//! The dialect of OpenAPI 3.0 (`nullable`, boolean `exclusiveMinimum`, `example`) is turned into JSON Schema
//! 2020-12, so that an agent's model sees one dialect only.

use serde_json::{Map, Value};

use super::document::Document;

/// Counts of everything that an expansion left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Schemas that lay deeper than allowed.
    pub(crate) pruned: usize,
    /// References that lead nowhere within the document.
    pub(crate) unresolved: usize,
}

/// Error of an expansion that exceeds its size limit; nothing of it is usable.
#[derive(Debug)]
pub(crate) struct TooLarge;

/// Expander of schemas under one limit of bytes and one of depth.
#[derive(Debug)]
pub(crate) struct Expander<'a> {
    document: Document<'a>,
    depth_max: usize,
    bytes_left: usize,
    open: Vec<&'a str>,
    pub(crate) losses: Losses,
}

impl<'a> Expander<'a> {
    pub(crate) fn new(document: Document<'a>, depth_max: usize, bytes_max: usize) -> Self {
        Self { document, depth_max, bytes_left: bytes_max, open: Vec::new(), losses: Losses::default() }
    }

    /// Returns the self-contained schema, to stand at nesting depth `depth`; `None` where that is too deep.
    pub(crate) fn schema(&mut self, schema: &'a Value, depth: usize) -> Result<Option<Value>, TooLarge> {
        let Some(fields) = schema.as_object() else { return self.literal(schema, depth) };
        if depth > self.depth_max {
            self.losses.pruned += 1;
            return Ok(None);
        }
        let mut out = match fields.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.referenced(reference, depth)?,
            None => Map::new(),
        };
        for (keyword, value) in fields {
            // Siblings of a reference are allowed since 3.1 and say more than the target.
            if let Some((keyword, value)) = self.keyword(fields, keyword, value, depth + 1)? {
                self.spend(keyword.len() + 4)?;
                out.insert(keyword, value);
            }
        }
        if fields.get("nullable") == Some(&Value::Bool(true)) {
            allow_null(&mut out);
        }
        Ok(Some(Value::Object(out)))
    }

    fn referenced(&mut self, reference: &'a str, depth: usize) -> Result<Map<String, Value>, TooLarge> {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        let Some(target) = self.document.target(reference) else {
            self.losses.unresolved += 1;
            return Ok(described(format!("see {reference}")));
        };
        if self.open.contains(&reference) {
            let mut cut = described(format!("a {name} again"));
            if let Some(kind @ Value::String(_)) = target.get("type") {
                cut.insert("type".to_owned(), kind.clone());
            }
            return Ok(cut);
        }
        self.open.push(reference);
        let expanded = self.schema(target, depth);
        self.open.pop();
        Ok(match expanded? {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        })
    }

    fn keyword(
        &mut self,
        fields: &'a Map<String, Value>,
        keyword: &str,
        value: &'a Value,
        depth: usize,
    ) -> Result<Option<(String, Value)>, TooLarge> {
        let is = |name| fields.get(name) == Some(&Value::Bool(true));
        let expanded = match keyword {
            "$ref" | "nullable" | "xml" | "externalDocs" | "discriminator" | "$schema" | "$id"
            | "$anchor" | "$defs" | "definitions" => None,
            _ if keyword.starts_with("x-") => None,
            "properties" | "patternProperties" | "dependentSchemas" => self.named(value, depth)?,
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => self.listed(value, depth)?,
            "items"
            | "additionalProperties"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "unevaluatedItems"
            | "unevaluatedProperties" => self.schema(value, depth)?,
            "required" => {
                self.literal(value, depth)?.map(|names| without_read_only(self.document, fields, names))
            }
            "example" if depth <= self.depth_max => {
                let example = self.literal(value, depth + 1)?;
                return Ok(example.map(|example| ("examples".to_owned(), Value::Array(vec![example]))));
            }
            // 3.0 says "exclusive: true" beside the bound, JSON Schema gives the bound itself.
            "minimum" if is("exclusiveMinimum") => {
                return Ok(Some(("exclusiveMinimum".to_owned(), value.clone())));
            }
            "maximum" if is("exclusiveMaximum") => {
                return Ok(Some(("exclusiveMaximum".to_owned(), value.clone())));
            }
            "exclusiveMinimum" | "exclusiveMaximum" if value.is_boolean() => None,
            "description" => value.as_str().map(|text| Value::String(super::text::plain(text))),
            _ => self.literal(value, depth)?,
        };
        if let Some(Value::String(text)) = &expanded {
            self.spend(text.len())?;
        }
        Ok(expanded.map(|value| (keyword.to_owned(), value)))
    }

    fn named(&mut self, schemas: &'a Value, depth: usize) -> Result<Option<Value>, TooLarge> {
        let Some(schemas) = schemas.as_object() else { return Ok(None) };
        if depth >= self.depth_max {
            self.losses.pruned += schemas.len();
            return Ok(None);
        }
        let mut out = Map::new();
        for (name, schema) in schemas {
            // What only the server sets is no argument.
            if is_read_only(self.document, schema) {
                continue;
            }
            self.spend(name.len() + 4)?;
            if let Some(schema) = self.schema(schema, depth + 1)? {
                out.insert(name.clone(), schema);
            }
        }
        Ok(Some(Value::Object(out)))
    }

    fn listed(&mut self, schemas: &'a Value, depth: usize) -> Result<Option<Value>, TooLarge> {
        let Some(schemas) = schemas.as_array() else { return Ok(None) };
        if depth >= self.depth_max {
            self.losses.pruned += schemas.len();
            return Ok(None);
        }
        let mut out = Vec::with_capacity(schemas.len());
        for schema in schemas {
            out.extend(self.schema(schema, depth + 1)?);
        }
        Ok(Some(Value::Array(out)))
    }

    /// Returns a value that is data, not schema.
    fn literal(&mut self, value: &Value, depth: usize) -> Result<Option<Value>, TooLarge> {
        if !fits(value, depth, self.depth_max) {
            self.losses.pruned += 1;
            return Ok(None);
        }
        if !value.is_string() {
            self.spend(value.to_string().len())?;
        }
        Ok(Some(value.clone()))
    }

    fn spend(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(TooLarge)?;
        Ok(())
    }
}

/// Returns true for a property that only the server sends.
pub(crate) fn is_read_only(document: Document<'_>, schema: &Value) -> bool {
    let flag = |schema: &Value| schema.get("readOnly") == Some(&Value::Bool(true));
    flag(schema)
        || schema.get("$ref").and_then(Value::as_str).and_then(|r| document.target(r)).is_some_and(flag)
}

fn without_read_only(document: Document<'_>, fields: &Map<String, Value>, names: Value) -> Value {
    let Value::Array(mut names) = names else { return names };
    let properties = fields.get("properties");
    names.retain(|name| {
        let schema = properties.zip(name.as_str()).and_then(|(properties, name)| properties.get(name));
        !schema.is_some_and(|schema| is_read_only(document, schema))
    });
    Value::Array(names)
}

fn described(text: String) -> Map<String, Value> {
    Map::from_iter([("description".to_owned(), Value::String(text))])
}

fn allow_null(fields: &mut Map<String, Value>) {
    if let Some(kind @ Value::String(_)) = fields.get("type").cloned() {
        fields.insert("type".to_owned(), Value::Array(vec![kind, "null".into()]));
        if let Some(Value::Array(values)) = fields.get_mut("enum")
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
    }
}

fn fits(value: &Value, depth: usize, depth_max: usize) -> bool {
    match value {
        Value::Array(items) => {
            depth <= depth_max && items.iter().all(|item| fits(item, depth + 1, depth_max))
        }
        Value::Object(fields) => {
            depth <= depth_max && fields.values().all(|field| fits(field, depth + 1, depth_max))
        }
        _ => true,
    }
}

//! Alternatives of a schema as one list of arguments.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value, json};

use super::{Schema, admits_objects, properties, required, subschemas};

/// Depth to which alternatives are read within alternatives. Deeper ones are not told to the model: each
/// level makes the schema deeper, and readers of JSON have limits.
const DEPTH_MAX: usize = 8;
/// Ways to call a tool that its description lists at most.
const CHOICES_MAX: usize = 8;

/// Arguments of a schema, all of its alternatives together.
pub(super) struct Arguments {
    pub(super) properties: Schema,
    pub(super) required: BTreeSet<String>,
    /// Arguments that go together, in words.
    pub(super) choices: Vec<String>,
}

impl Arguments {
    pub(super) fn of(schema: &Schema) -> Self {
        let Said { properties, required, choices } =
            Said::by(schema, &mut Walk { root: schema, followed: BTreeSet::new() }, 0);
        let properties = properties.into_iter().map(|(name, all)| (name, one("allOf", all)));
        Self { properties: properties.collect(), required, choices }
    }
}

/// Arguments of a subschema.
#[derive(Default)]
struct Said {
    /// Under each name a list of the schemas that all hold for it.
    properties: Map<String, Value>,
    required: BTreeSet<String>,
    choices: Vec<String>,
}

/// Targets of references, and which were followed already: each is once, so that no schema can be so
/// entangled that reading it does not end.
struct Walk<'a> {
    root: &'a Schema,
    followed: BTreeSet<String>,
}

impl Said {
    fn by(schema: &Schema, walk: &mut Walk<'_>, depth: usize) -> Self {
        let properties = properties(schema).into_iter().map(|(name, schema)| (name, json!([schema])));
        let required = required(schema).map(str::to_owned);
        let mut all =
            Self { properties: properties.collect(), required: required.collect(), choices: Vec::new() };
        if depth == DEPTH_MAX {
            return all;
        }
        if let Some(target) = walk.target(schema) {
            all.and(Self::by(target, walk, depth + 1));
        }
        for subschema in subschemas(schema, "allOf") {
            all.and(Self::by(subschema, walk, depth + 1));
        }
        for keyword in ["oneOf", "anyOf"] {
            let alternatives = subschemas(schema, keyword).filter(|part| admits_objects(part));
            all.and(Self::any(alternatives.map(|part| Self::by(part, walk, depth + 1)).collect()));
        }
        all
    }

    /// Returns the arguments where both subschemas hold.
    fn and(&mut self, other: Self) {
        for (name, schemas) in other.properties {
            add(&mut self.properties, name, schemas);
        }
        self.required.extend(other.required);
        self.choices.extend(other.choices);
    }

    /// Returns the arguments where one of them holds.
    fn any(alternatives: Vec<Self>) -> Self {
        let common = alternatives.iter().map(|one| one.required.clone()).reduce(|common, own| &common & &own);
        let required = common.unwrap_or_default();
        let choices = choice(&alternatives, &required).into_iter();
        let choices = choices.chain(alternatives.iter().flat_map(|one| one.choices.clone())).collect();
        let mut properties = Map::new();
        for (name, all) in alternatives.into_iter().flat_map(|one| one.properties) {
            add(&mut properties, name, json!([one("allOf", all)]));
        }
        let properties = properties.into_iter().map(|(name, any)| (name, json!([one("anyOf", any)])));
        Self { properties: properties.collect(), required, choices }
    }
}

impl<'a> Walk<'a> {
    /// Returns the target of a schema's reference, within itself and not followed before.
    fn target(&mut self, schema: &Schema) -> Option<&'a Schema> {
        let pointer = schema.get("$ref")?.as_str()?.strip_prefix("#/")?;
        if !self.followed.insert(pointer.to_owned()) {
            return None;
        }
        let (key, rest) = pointer.split_at(pointer.find('/').unwrap_or(pointer.len()));
        self.root.get(key)?.pointer(rest)?.as_object()
    }
}

/// Returns, in words, the arguments that each alternative asks for beside what all ask for. Nothing where one
/// of them asks for nothing, for then the others need not be given, and where there are too many to help a
/// reader.
fn choice(alternatives: &[Said], required: &BTreeSet<String>) -> Option<String> {
    let own = |one: &Said| {
        let own = one.required.difference(required).map(|name| format!("`{name}`"));
        own.collect::<Vec<_>>().join(" with ")
    };
    let sets: BTreeSet<_> = alternatives.iter().map(own).collect();
    let helps = (2..=CHOICES_MAX).contains(&sets.len()) && !sets.contains("");
    helps.then(|| format!("Give {}.", sets.into_iter().collect::<Vec<_>>().join(", or ")))
}

/// Adds schemas to the list under a name.
fn add(properties: &mut Map<String, Value>, name: String, schemas: Value) {
    match (properties.get_mut(&name), schemas) {
        (Some(Value::Array(known)), Value::Array(schemas)) => known.extend(schemas),
        (_, schemas) => {
            properties.insert(name, schemas);
        }
    }
}

/// Returns one schema that says what a list of schemas does, joined by a keyword.
fn one(keyword: &str, schemas: Value) -> Value {
    let Value::Array(mut schemas) = schemas else { return schemas };
    let mut seen = HashSet::new();
    schemas.retain(|schema| seen.insert(schema.to_string()));
    if schemas.len() == 1 { schemas.remove(0) } else { json!({ keyword: schemas }) }
}

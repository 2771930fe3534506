//! Whether a point meets a filter.

use ::qdrant_client::qdrant::{
    Condition, FieldCondition, Filter, Match, Range, Value, ValuesCount, condition::ConditionOneOf,
    r#match::MatchValue, value::Kind,
};
use tonic::Status;

use super::values::{Id, NamedVectors, Payload};

/// The data of a point that a filter can look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// Absent within a nested object, where the server supports no conditions on it.
    pub(super) id: Option<Id>,
    pub(super) payload: &'a Payload,
    pub(super) vectors: Option<&'a NamedVectors>,
}

/// Refuses a filter that the server cannot read, whether or not there is a point to look at.
pub(super) fn check(filter: Option<&Filter>) -> Result<(), Status> {
    // Every condition is looked at for every candidate, so one without anything shows all faults.
    Candidate { id: None, payload: &Payload::new(), vectors: None }.meets(filter).map(drop)
}

impl Candidate<'_> {
    /// Returns whether the candidate meets the filter; an absent one is met by all.
    pub(super) fn meets(self, filter: Option<&Filter>) -> Result<bool, Status> {
        let Some(filter) = filter else { return Ok(true) };
        // All conditions are looked at, so that one that the double does not know is never overlooked.
        let met = |conditions: &[Condition]| -> Result<usize, Status> {
            conditions.iter().try_fold(0, |sum, condition| Ok(sum + usize::from(self.meets_one(condition)?)))
        };
        let should = filter.should.is_empty() || met(&filter.should)? > 0;
        let must = met(&filter.must)? == filter.must.len();
        let must_not = met(&filter.must_not)? == 0;
        let min_should = match &filter.min_should {
            Some(min) if min.min_count == 0 => {
                return Err(Status::invalid_argument(
                    "Validation error in body: [min_should.min_count: min_count must be greater than 0]",
                ));
            }
            Some(min) => met(&min.conditions)? as u64 >= min.min_count,
            None => true,
        };
        Ok(should && must && must_not && min_should)
    }

    fn meets_one(self, condition: &Condition) -> Result<bool, Status> {
        match &condition.condition_one_of {
            Some(ConditionOneOf::Filter(filter)) => self.meets(Some(filter)),
            Some(ConditionOneOf::Field(field)) => meets_field(field, &select(self.payload, &field.key)),
            Some(ConditionOneOf::IsEmpty(field)) => Ok(is_empty(&select(self.payload, &field.key))),
            Some(ConditionOneOf::IsNull(field)) => Ok(has_null(&select(self.payload, &field.key))),
            Some(ConditionOneOf::HasId(ids)) => {
                let ids: Vec<Id> = ids.has_id.iter().cloned().map(Id::try_from).collect::<Result<_, _>>()?;
                Ok(self.id.is_some_and(|id| ids.contains(&id)))
            }
            Some(ConditionOneOf::HasVector(name)) => {
                Ok(self.vectors.is_some_and(|vectors| vectors.contains_key(&name.has_vector)))
            }
            Some(ConditionOneOf::Nested(nested)) => {
                let filter = nested.filter.as_ref();
                let path = format!("{}[]", nested.key.trim_end_matches("[]"));
                let objects = select(self.payload, &path);
                let mut payloads = objects.iter().filter_map(|value| match &value.kind {
                    Some(Kind::StructValue(object)) => Some(&object.fields),
                    _ => None,
                });
                payloads.try_fold(false, |any, payload| {
                    Ok(any | Candidate { id: None, payload, vectors: None }.meets(filter)?)
                })
            }
            Some(ConditionOneOf::Slice(_)) => Err(unknown("slices")),
            None => Err(Status::invalid_argument("Malformed Condition type")),
        }
    }
}

/// Returns the values at a path like `a`, `a.b` or `a[].b`; none where the path leads nowhere.
fn select<'a>(payload: &'a Payload, path: &str) -> Vec<&'a Value> {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let (name, each) = head.strip_suffix("[]").map_or((head, false), |name| (name, true));
    let Some(value) = payload.get(name) else { return Vec::new() };
    let values = match &value.kind {
        Some(Kind::ListValue(list)) if each => list.values.iter().collect(),
        _ => vec![value],
    };
    let Some(rest) = rest else { return values };
    let within = values.into_iter().filter_map(|value| match &value.kind {
        Some(Kind::StructValue(object)) => Some(select(&object.fields, rest)),
        _ => None,
    });
    within.flatten().collect()
}

fn is_empty(values: &[&Value]) -> bool {
    values.iter().all(|value| match &value.kind {
        None | Some(Kind::NullValue(_)) => true,
        Some(Kind::ListValue(list)) => list.values.is_empty(),
        _ => false,
    })
}

fn has_null(values: &[&Value]) -> bool {
    values.iter().any(|value| match &value.kind {
        Some(Kind::NullValue(_)) => true,
        Some(Kind::ListValue(list)) => has_null(&list.values.iter().collect::<Vec<_>>()),
        _ => false,
    })
}

/// Returns whether the condition is met: of the aspects that it names, one must be met by one value; a list
/// counts as its elements.
fn meets_field(condition: &FieldCondition, values: &[&Value]) -> Result<bool, Status> {
    if condition.geo_bounding_box.is_some()
        || condition.geo_radius.is_some()
        || condition.geo_polygon.is_some()
        || condition.datetime_range.is_some()
    {
        return Err(unknown("places and times"));
    }
    let elements: Vec<&Value> = values.iter().flat_map(|value| elements(value)).collect();
    let matched = match &condition.r#match {
        Some(wanted) => elements
            .iter()
            .try_fold(false, |any, value| Ok::<_, Status>(any | meets_match(wanted, value)?))?,
        None => false,
    };
    let in_range = condition.range.is_some_and(|range| elements.iter().any(|value| in_range(&range, value)));
    let counted = condition.values_count.is_some_and(|count| counts(&count, values));
    let empty = condition.is_empty.is_some_and(|wanted| is_empty(values) == wanted);
    let null = condition.is_null.is_some_and(|wanted| has_null(values) == wanted);
    Ok(matched || in_range || counted || empty || null)
}

fn elements(value: &Value) -> Vec<&Value> {
    match &value.kind {
        Some(Kind::ListValue(list)) => list.values.iter().collect(),
        _ => vec![value],
    }
}

fn meets_match(wanted: &Match, value: &Value) -> Result<bool, Status> {
    let text = match &value.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    };
    let integer = match &value.kind {
        Some(Kind::IntegerValue(integer)) => Some(integer),
        _ => None,
    };
    let is_null = matches!(value.kind, None | Some(Kind::NullValue(_)));
    Ok(match &wanted.match_value {
        Some(MatchValue::Keyword(keyword)) => text == Some(keyword),
        Some(MatchValue::Integer(wanted)) => integer == Some(wanted),
        Some(MatchValue::Boolean(wanted)) => value.kind == Some(Kind::BoolValue(*wanted)),
        Some(MatchValue::Keywords(any)) => text.is_some_and(|text| any.strings.contains(text)),
        Some(MatchValue::Integers(any)) => integer.is_some_and(|integer| any.integers.contains(integer)),
        Some(MatchValue::ExceptKeywords(except)) => {
            !is_null && text.is_none_or(|text| !except.strings.contains(text))
        }
        Some(MatchValue::ExceptIntegers(except)) => {
            !is_null && integer.is_none_or(|integer| !except.integers.contains(integer))
        }
        _ => return Err(unknown("matches within text")),
    })
}

fn in_range(range: &Range, value: &Value) -> bool {
    let number = match value.kind {
        #[expect(clippy::cast_precision_loss, reason = "the server compares as f64 too")]
        Some(Kind::IntegerValue(integer)) => integer as f64,
        Some(Kind::DoubleValue(double)) => double,
        _ => return false,
    };
    range.lt.is_none_or(|limit| number < limit)
        && range.gt.is_none_or(|limit| number > limit)
        && range.lte.is_none_or(|limit| number <= limit)
        && range.gte.is_none_or(|limit| number >= limit)
}

fn counts(count: &ValuesCount, values: &[&Value]) -> bool {
    let found = values.iter().map(|value| elements(value).len()).sum::<usize>() as u64;
    count.lt.is_none_or(|limit| found < limit)
        && count.gt.is_none_or(|limit| found > limit)
        && count.lte.is_none_or(|limit| found <= limit)
        && count.gte.is_none_or(|limit| found >= limit)
}

fn unknown(what: &str) -> Status {
    Status::unimplemented(format!("the double does not know conditions on {what}"))
}

//! Ids, vectors and payloads between the wire and the store.

use std::collections::{BTreeMap, HashMap};

use ::qdrant_client::qdrant::{
    DenseVector, NamedVectorsOutput, PointId, Value, Vector, VectorOutput, Vectors, VectorsOutput,
    WithPayloadSelector, WithVectorsSelector, point_id::PointIdOptions, vector, vector_output, vectors,
    vectors_output, with_payload_selector, with_vectors_selector,
};
use tonic::Status;
use uuid::Uuid;

pub(super) type Payload = HashMap<String, Value>;

/// Vectors by name; the vector without a name has the empty one.
pub(super) type NamedVectors = BTreeMap<String, Vec<f32>>;

/// A point id in the server's order: numbers first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Id {
    Number(u64),
    Uuid(Uuid),
}

impl TryFrom<PointId> for Id {
    type Error = Status;

    fn try_from(id: PointId) -> Result<Self, Status> {
        match id.point_id_options {
            Some(PointIdOptions::Num(number)) => Ok(Self::Number(number)),
            Some(PointIdOptions::Uuid(text)) => text
                .parse()
                .map(Self::Uuid)
                .map_err(|_| Status::invalid_argument(format!("Unable to parse UUID: {text}"))),
            None => Err(Status::invalid_argument("No ID options provided")),
        }
    }
}

impl From<Id> for PointId {
    fn from(id: Id) -> Self {
        match id {
            Id::Number(number) => number.into(),
            Id::Uuid(uuid) => uuid.to_string().into(),
        }
    }
}

/// Returns the vectors of a point as sent. A point without a vector is one with an empty map of named ones; a
/// point whose vectors are left out is refused, as on the real server.
pub(super) fn vectors_of(vectors: Option<Vectors>) -> Result<NamedVectors, Status> {
    let vectors = vectors.ok_or_else(|| Status::invalid_argument("Expected some vectors"))?;
    match vectors.vectors_options {
        None => Err(Status::invalid_argument("No Vector Provided")),
        Some(vectors::VectorsOptions::Vector(vector)) => {
            Ok(NamedVectors::from([(String::new(), dense(vector)?)]))
        }
        Some(vectors::VectorsOptions::Vectors(named)) => {
            named.vectors.into_iter().map(|(name, vector)| Ok((name, dense(vector)?))).collect()
        }
    }
}

fn dense(vector: Vector) -> Result<Vec<f32>, Status> {
    match vector.vector {
        Some(vector::Vector::Dense(DenseVector { data })) => Ok(data),
        _ => Err(Status::unimplemented("the double knows dense vectors only")),
    }
}

/// Returns the vectors that a reader asked for; none unless it did.
pub(super) fn vectors_for(
    selector: Option<&WithVectorsSelector>,
    vectors: &NamedVectors,
) -> Option<VectorsOutput> {
    let wanted = |name: &String| match selector.and_then(|selector| selector.selector_options.as_ref()) {
        Some(with_vectors_selector::SelectorOptions::Enable(all)) => *all,
        Some(with_vectors_selector::SelectorOptions::Include(some)) => some.names.contains(name),
        None => false,
    };
    let vectors: HashMap<String, VectorOutput> = vectors
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, data)| {
            let dense = vector_output::Vector::Dense(DenseVector { data: data.clone() });
            (name.clone(), VectorOutput { vector: Some(dense), ..VectorOutput::default() })
        })
        .collect();
    (!vectors.is_empty()).then_some(VectorsOutput {
        vectors_options: Some(vectors_output::VectorsOptions::Vectors(NamedVectorsOutput { vectors })),
    })
}

/// Returns the part of the payload that a reader asked for; `unasked` is what it gets when it did not say.
pub(super) fn payload_for(
    selector: Option<&WithPayloadSelector>,
    payload: &Payload,
    unasked: bool,
) -> Result<Payload, Status> {
    let all = match selector.and_then(|selector| selector.selector_options.as_ref()) {
        Some(with_payload_selector::SelectorOptions::Enable(all)) => *all,
        None => unasked,
        Some(_) => return Err(Status::unimplemented("the double gives the whole payload or none")),
    };
    Ok(if all { payload.clone() } else { Payload::new() })
}

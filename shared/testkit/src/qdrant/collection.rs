//! One collection: its vectors' shapes, its points, every write and every read of them but queries.

use std::collections::{BTreeMap, HashMap, HashSet};

use ::qdrant_client::qdrant::{
    self as api, CollectionConfig, CollectionInfo, CollectionParams, CollectionStatus, Distance,
    PayloadSchemaInfo, PointsOperationResponse, UpdateMode, UpdateResult, UpdateStatus, VectorParams,
    VectorsConfig, points_selector::PointsSelectorOneOf, vectors_config,
};
use tonic::Status;

use super::{
    filter::{self, Candidate},
    validation,
    values::{Id, NamedVectors, Payload, payload_for, vectors_for, vectors_of},
};

/// The limit of a request that states none.
const LIMIT_DEFAULT: usize = 10;

#[derive(Debug, Clone)]
pub(super) struct Collection {
    vectors_config: VectorsConfig,
    shard_number: u32,
    replication_factor: u32,
    /// Shapes by name; the vector without a name has the empty one.
    shapes: BTreeMap<String, VectorParams>,
    indexes: HashMap<String, PayloadSchemaInfo>,
    points: BTreeMap<Id, Point>,
    operations: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) payload: Payload,
    pub(super) vectors: NamedVectors,
    /// Number of the operation that wrote it.
    pub(super) version: u64,
}

impl Collection {
    pub(super) fn new(request: api::CreateCollection) -> Result<Self, Status> {
        let vectors_config = request.vectors_config.unwrap_or_default();
        let shapes = match vectors_config.config.clone() {
            Some(vectors_config::Config::Params(only)) => BTreeMap::from([(String::new(), only)]),
            Some(vectors_config::Config::ParamsMap(named)) => named.map.into_iter().collect(),
            None => BTreeMap::new(),
        };
        for shape in shapes.values() {
            validation::dimensions(shape.size)?;
            if shape.distance() != Distance::Cosine {
                return Err(Status::unimplemented("the double knows cosine only"));
            }
        }
        Ok(Self {
            vectors_config,
            shard_number: request.shard_number.unwrap_or(1),
            replication_factor: request.replication_factor.unwrap_or(1),
            shapes,
            indexes: HashMap::new(),
            points: BTreeMap::new(),
            operations: 0,
        })
    }

    pub(super) fn points_with_vectors(&self) -> usize {
        self.points.values().filter(|point| !point.vectors.is_empty()).count()
    }

    pub(super) fn info(&self) -> CollectionInfo {
        let params = CollectionParams {
            shard_number: self.shard_number,
            replication_factor: Some(self.replication_factor),
            vectors_config: Some(self.vectors_config.clone()),
            ..CollectionParams::default()
        };
        CollectionInfo {
            status: CollectionStatus::Green.into(),
            segments_count: 1,
            config: Some(CollectionConfig { params: Some(params), ..CollectionConfig::default() }),
            payload_schema: self.indexes.clone(),
            points_count: Some(self.points.len() as u64),
            ..CollectionInfo::default()
        }
    }

    pub(super) fn create_field_index(
        &mut self,
        request: api::CreateFieldIndexCollection,
    ) -> Result<PointsOperationResponse, Status> {
        let Some(field_type) = request.field_type else {
            return Err(Status::invalid_argument("field type is missing"));
        };
        let index = PayloadSchemaInfo {
            // The server's two enumerations differ by the unknown type in front.
            data_type: field_type + 1,
            params: request.field_index_params,
            points: Some(0),
        };
        self.indexes.insert(request.field_name, index);
        Ok(self.applied(request.wait))
    }

    /// Replaces existing points that meet the update filter, and inserts new ones in any case. A request with
    /// a fault in one of its points changes nothing.
    pub(super) fn upsert(&mut self, request: api::UpsertPoints) -> Result<PointsOperationResponse, Status> {
        if request.ordering.is_some() || request.shard_key_selector.is_some() {
            return Err(Status::unimplemented("the double has one replica and no shard keys"));
        }
        let mode = request.update_mode();
        let points = request.points.into_iter().map(sent).collect::<Result<Vec<_>, _>>()?;
        if points.is_empty() {
            return Err(Status::invalid_argument("Bad request: Empty update request"));
        }
        let filter = request.update_filter.as_ref();
        filter::check(filter)?;
        let mut writes = Vec::with_capacity(points.len());
        for (id, payload, mut vectors) in points {
            for (name, vector) in &mut vectors {
                self.check_stored_vector(name, vector)?;
                normalise(vector);
            }
            // The filter sees the points as they were before the request.
            let allowed = match self.points.get(&id) {
                Some(stored) => mode != UpdateMode::InsertOnly && candidate(id, stored).meets(filter)?,
                None => mode != UpdateMode::UpdateOnly,
            };
            if allowed {
                writes.push((id, Point { payload, vectors, version: self.operations + 1 }));
            }
        }
        self.points.extend(writes);
        Ok(self.applied(request.wait))
    }

    pub(super) fn delete(&mut self, request: api::DeletePoints) -> Result<PointsOperationResponse, Status> {
        match request.points.and_then(|selector| selector.points_selector_one_of) {
            Some(PointsSelectorOneOf::Points(list)) => {
                let ids: HashSet<_> = list.ids.into_iter().map(Id::try_from).collect::<Result<_, _>>()?;
                self.points.retain(|id, _| !ids.contains(id));
            }
            Some(PointsSelectorOneOf::Filter(filter)) => {
                let met = self.matching(Some(&filter))?;
                let ids: HashSet<Id> = met.into_iter().map(|(id, _)| id).collect();
                self.points.retain(|id, _| !ids.contains(id));
            }
            None => return Err(Status::invalid_argument("PointsSelector is missing")),
        }
        Ok(self.applied(request.wait))
    }

    pub(super) fn get(&self, request: api::GetPoints) -> Result<api::GetResponse, Status> {
        let mut result = Vec::new();
        for id in request.ids {
            let id = Id::try_from(id)?;
            if let Some(point) = self.points.get(&id) {
                let (payload, vectors) = (request.with_payload.as_ref(), request.with_vectors.as_ref());
                result.push(retrieved(id, point, payload, vectors)?);
            }
        }
        Ok(api::GetResponse { result, ..api::GetResponse::default() })
    }

    pub(super) fn scroll(&self, request: api::ScrollPoints) -> Result<api::ScrollResponse, Status> {
        if request.order_by.is_some() {
            return Err(Status::unimplemented("the double scrolls by id only"));
        }
        let limit = limit(request.limit.map(u64::from))?;
        let from = request.offset.map(Id::try_from).transpose()?;
        let mut met = self.matching(request.filter.as_ref())?;
        met.retain(|(id, _)| from.is_none_or(|from| from <= *id));
        let next_page_offset = met.get(limit).map(|(id, _)| (*id).into());
        let (payload, vectors) = (request.with_payload.as_ref(), request.with_vectors.as_ref());
        let page = met.into_iter().take(limit).map(|(id, point)| retrieved(id, point, payload, vectors));
        let result = page.collect::<Result<_, _>>()?;
        Ok(api::ScrollResponse { next_page_offset, result, ..api::ScrollResponse::default() })
    }

    pub(super) fn count(&self, request: &api::CountPoints) -> Result<api::CountResponse, Status> {
        let count = self.matching(request.filter.as_ref())?.len() as u64;
        Ok(api::CountResponse { result: Some(api::CountResult { count }), ..api::CountResponse::default() })
    }

    /// Points that meet the filter, by id.
    pub(super) fn matching(&self, filter: Option<&api::Filter>) -> Result<Vec<(Id, &Point)>, Status> {
        filter::check(filter)?;
        let mut met = Vec::new();
        for (id, point) in &self.points {
            if candidate(*id, point).meets(filter)? {
                met.push((*id, point));
            }
        }
        Ok(met)
    }

    /// Refuses a vector of a query that this collection has no vectors like.
    pub(super) fn check_query_vector(&self, name: &str, vector: &[f32]) -> Result<(), Status> {
        let expected = self.dimensions(name)?;
        if expected == vector.len() as u64 {
            return Ok(());
        }
        Err(wrong_dimensions(expected, vector.len(), ""))
    }

    /// Refuses a vector of a point that this collection cannot store.
    fn check_stored_vector(&self, name: &str, vector: &[f32]) -> Result<(), Status> {
        let expected = self.dimensions(name)?;
        if expected == vector.len() as u64 {
            return Ok(());
        }
        // Of a point the server says which vector it means.
        let place = if name.is_empty() { String::new() } else { format!(" for vector '{name}'") };
        Err(wrong_dimensions(expected, vector.len(), &place))
    }

    fn dimensions(&self, name: &str) -> Result<u64, Status> {
        self.shapes.get(name).map(|shape| shape.size).ok_or_else(|| {
            Status::invalid_argument(format!("Wrong input: Not existing vector name error: {name}"))
        })
    }

    fn applied(&mut self, wait: Option<bool>) -> PointsOperationResponse {
        self.operations += 1;
        let status = if wait == Some(true) { UpdateStatus::Completed } else { UpdateStatus::Acknowledged };
        PointsOperationResponse {
            result: Some(UpdateResult { operation_id: Some(self.operations), status: status.into() }),
            ..PointsOperationResponse::default()
        }
    }
}

fn wrong_dimensions(expected: u64, got: usize, place: &str) -> Status {
    Status::invalid_argument(format!(
        "Wrong input: Vector dimension error: expected dim: {expected}, got {got}{place}"
    ))
}

/// Returns a point as sent. The server looks at its vectors first, then at its id.
fn sent(point: api::PointStruct) -> Result<(Id, Payload, NamedVectors), Status> {
    let vectors = vectors_of(point.vectors)?;
    let id = point.id.ok_or_else(|| Status::invalid_argument("Empty ID is not allowed"))?;
    Ok((Id::try_from(id)?, point.payload, vectors))
}

fn candidate(id: Id, point: &Point) -> Candidate<'_> {
    Candidate { id: Some(id), payload: &point.payload, vectors: Some(&point.vectors) }
}

fn retrieved(
    id: Id,
    point: &Point,
    payload: Option<&api::WithPayloadSelector>,
    vectors: Option<&api::WithVectorsSelector>,
) -> Result<api::RetrievedPoint, Status> {
    Ok(api::RetrievedPoint {
        id: Some(id.into()),
        payload: payload_for(payload, &point.payload, true)?,
        vectors: vectors_for(vectors, &point.vectors),
        ..api::RetrievedPoint::default()
    })
}

/// Makes a unit vector, so that the inner product is the cosine; a zero vector stays what it is.
pub(super) fn normalise(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 0.0 {
        for x in vector {
            *x /= norm;
        }
    }
}

/// Returns the number of points that a reader gets.
pub(super) fn limit(asked: Option<u64>) -> Result<usize, Status> {
    validation::at_least_one("limit", asked)?;
    Ok(asked.map_or(LIMIT_DEFAULT, |asked| usize::try_from(asked).unwrap_or(usize::MAX)))
}

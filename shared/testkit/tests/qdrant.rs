//! The Qdrant double refuses what a real server 1.19.0 refuses, with its code and its words.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use ::qdrant_client::{
    Payload, Qdrant as Client, QdrantError,
    qdrant::{
        Condition, CreateCollectionBuilder, CreateShardKeyBuilder, CreateShardKeyRequestBuilder, Distance,
        Filter, NamedVectors, PointStruct, QueryPointsBuilder, ScrollPointsBuilder, ShardingMethod,
        UpdateMode, UpsertPointsBuilder, VectorParamsBuilder, Vectors, VectorsConfigBuilder,
    },
};
use tonic::Code;
use toolweaver_testkit::qdrant::QdrantDouble;

const COLLECTION: &str = "tools";
const VECTOR: &str = "text";
const ID: &str = "5b3f0f5e-6c1b-4a57-9d55-1f0f3c1d2a01";

/// Returns a double with a collection of vectors of two dimensions, and a client of it.
async fn double() -> (QdrantDouble, Client) {
    let double = QdrantDouble::start().await;
    let client = Client::from_url(&double.url()).skip_compatibility_check().build().unwrap();
    client.create_collection(definition(2)).await.unwrap();
    (double, client)
}

fn definition(dimensions: u64) -> CreateCollectionBuilder {
    let mut vectors = VectorsConfigBuilder::default();
    vectors.add_named_vector_params(VECTOR, VectorParamsBuilder::new(dimensions, Distance::Cosine));
    CreateCollectionBuilder::new(COLLECTION).vectors_config(vectors)
}

fn point(vectors: impl Into<Vectors>) -> PointStruct {
    PointStruct::new(ID, vectors, Payload::new())
}

fn named(name: &str, vector: &[f32]) -> NamedVectors {
    NamedVectors::default().add_vector(name, vector.to_vec())
}

fn upsert(points: Vec<PointStruct>) -> UpsertPointsBuilder {
    UpsertPointsBuilder::new(COLLECTION, points).wait(true)
}

/// Returns the code and the words of a refusal.
fn refusal<T: std::fmt::Debug>(answer: Result<T, QdrantError>) -> (Code, String) {
    match answer.unwrap_err() {
        QdrantError::ResponseError { status } => (status.code(), status.message().to_owned()),
        other => panic!("not a refusal: {other}"),
    }
}

fn invalid(words: &str) -> (Code, String) {
    (Code::InvalidArgument, words.to_owned())
}

async fn count(client: &Client) -> usize {
    client.scroll(ScrollPointsBuilder::new(COLLECTION)).await.unwrap().result.len()
}

#[tokio::test]
async fn a_point_whose_vectors_are_left_out_is_refused() {
    let (_double, client) = double().await;
    let without = PointStruct { vectors: None, ..point(NamedVectors::default()) };
    assert_eq!(refusal(client.upsert_points(upsert(vec![without])).await), invalid("Expected some vectors"));
    let empty = PointStruct { vectors: Some(Vectors::default()), ..point(NamedVectors::default()) };
    assert_eq!(refusal(client.upsert_points(upsert(vec![empty])).await), invalid("No Vector Provided"));
    assert_eq!(count(&client).await, 0);
}

#[tokio::test]
async fn an_empty_map_of_vectors_takes_the_vector_of_a_point_away() {
    let (_double, client) = double().await;
    client.upsert_points(upsert(vec![point(named(VECTOR, &[1.0, 0.0]))])).await.unwrap();
    let nearest = || QueryPointsBuilder::new(COLLECTION).query(vec![1.0, 0.0]).using(VECTOR);
    assert_eq!(client.query(nearest()).await.unwrap().result.len(), 1);

    client.upsert_points(upsert(vec![point(NamedVectors::default())])).await.unwrap();
    assert_eq!(client.query(nearest()).await.unwrap().result, []);
    assert_eq!(count(&client).await, 1, "the point is still there");
}

#[tokio::test]
async fn a_point_needs_an_id() {
    let (_double, client) = double().await;
    let without = PointStruct { id: None, ..point(NamedVectors::default()) };
    assert_eq!(
        refusal(client.upsert_points(upsert(vec![without])).await),
        invalid("Empty ID is not allowed")
    );
    let no_uuid = PointStruct { id: Some("tool".into()), ..point(NamedVectors::default()) };
    assert_eq!(
        refusal(client.upsert_points(upsert(vec![no_uuid])).await),
        invalid("Unable to parse UUID: tool")
    );
}

#[tokio::test]
async fn a_vector_must_be_one_of_the_collection_and_one_wrong_point_spoils_the_request() {
    let (_double, client) = double().await;
    let good = point(named(VECTOR, &[1.0, 0.0]));
    for (wrong, words) in [
        (
            named(VECTOR, &[1.0, 0.0, 0.0]),
            "Wrong input: Vector dimension error: expected dim: 2, got 3 for vector 'text'",
        ),
        (named("image", &[1.0, 0.0]), "Wrong input: Not existing vector name error: image"),
    ] {
        let points = vec![good.clone(), point(wrong)];
        assert_eq!(refusal(client.upsert_points(upsert(points)).await), invalid(words));
    }
    assert_eq!(count(&client).await, 0);

    let query = |vector: &[f32]| QueryPointsBuilder::new(COLLECTION).query(vector.to_vec());
    assert_eq!(
        refusal(client.query(query(&[1.0]).using(VECTOR)).await),
        invalid("Wrong input: Vector dimension error: expected dim: 2, got 1")
    );
    assert_eq!(
        refusal(client.query(query(&[1.0, 0.0]).using("image")).await),
        invalid("Wrong input: Not existing vector name error: image")
    );
}

#[tokio::test]
async fn requests_are_validated_before_anything_is_looked_at() {
    let (_double, client) = double().await;
    assert_eq!(
        refusal(client.upsert_points(upsert(Vec::new())).await),
        invalid("Bad request: Empty update request")
    );
    assert_eq!(
        refusal(client.scroll(ScrollPointsBuilder::new(COLLECTION).limit(0)).await),
        invalid("Validation error in body: [limit: value 0 invalid, must be 1 or larger]")
    );
    assert_eq!(
        refusal(client.scroll(ScrollPointsBuilder::new("")).await),
        invalid(
            "Validation error in body: [collection_name: value \"\" invalid, must be from 1 to 255 characters]"
        )
    );
    assert_eq!(
        refusal(client.create_collection(CreateCollectionBuilder::new("a:b")).await),
        invalid("Validation error in body: [collection_name: collection name cannot contain \":\" char]")
    );
    let nothing = Filter::must([Condition { condition_one_of: None }]);
    let scroll = ScrollPointsBuilder::new(COLLECTION).filter(nothing);
    assert_eq!(refusal(client.scroll(scroll).await).0, Code::InvalidArgument, "though there is no point");
}

#[tokio::test]
async fn a_collection_must_exist_and_is_made_once() {
    let (_double, client) = double().await;
    let elsewhere = UpsertPointsBuilder::new("elsewhere", vec![point(NamedVectors::default())]);
    let (code, words) = refusal(client.upsert_points(elsewhere).await);
    assert_eq!((code, &*words), (Code::NotFound, "Not found: Collection `elsewhere` doesn't exist!"));
    let (code, words) = refusal(client.create_collection(definition(2)).await);
    assert_eq!((code, &*words), (Code::AlreadyExists, "Wrong input: Collection `tools` already exists!"));
}

#[tokio::test]
async fn a_single_server_has_no_shard_keys() {
    let (_double, client) = double().await;
    let key = CreateShardKeyBuilder::default().shard_key("github".to_owned());
    let request = CreateShardKeyRequestBuilder::new(COLLECTION).request(key);
    assert_eq!(refusal(client.create_shard_key(request).await).0, Code::Unimplemented);
    client.delete_collection(COLLECTION).await.unwrap();
    let custom = definition(2).sharding_method(ShardingMethod::Custom.into());
    assert_eq!(refusal(client.create_collection(custom).await).0, Code::Unimplemented);
}

#[tokio::test]
async fn an_update_filter_guards_points_that_exist_and_lets_new_ones_in() {
    let (_double, client) = double().await;
    let marked =
        |mark: &str| PointStruct::new(ID, named(VECTOR, &[1.0, 0.0]), Payload::from([("mark", mark.into())]));
    let mark = async || {
        let found = client.scroll(ScrollPointsBuilder::new(COLLECTION).with_payload(true)).await.unwrap();
        found.result[0].payload["mark"].clone().into_json()
    };
    let only_b = Filter::must([Condition::matches("mark", "b".to_owned())]);
    let guarded = |point| upsert(vec![point]).update_filter(only_b.clone());
    client.upsert_points(guarded(marked("a"))).await.unwrap();
    assert_eq!(mark().await, "a", "a new point is inserted whatever the filter says");
    client.upsert_points(guarded(marked("c"))).await.unwrap();
    assert_eq!(mark().await, "a", "one that does not meet it stays as it is");
    client.upsert_points(upsert(vec![marked("b")])).await.unwrap();
    client.upsert_points(guarded(marked("d")).update_mode(UpdateMode::InsertOnly)).await.unwrap();
    assert_eq!(mark().await, "b", "insert_only changes no point that exists");
    client.upsert_points(guarded(marked("d"))).await.unwrap();
    assert_eq!(mark().await, "d");
}

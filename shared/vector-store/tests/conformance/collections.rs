//! Collections, indexes and the alias, against whatever server there is.

use std::sync::Arc;

use ::qdrant_client::{
    Qdrant as Client,
    qdrant::{GetPointsBuilder, PointId, value::Kind},
};
use serde_json::{Map, Value as Json, json};
use toolweaver_contracts::{TEXT_VECTOR, Tool, ToolType};
use toolweaver_testkit::qdrant::QdrantDouble;
use toolweaver_vector_store::{Ensured, Point, Qdrant, StoreError, VectorStore as _};

use crate::{
    scene::{DIMS, axis, everything, found, fresh_tenant, key, nearest, point, tombstone, tool},
    servers::Namespace,
};

#[tokio::test]
async fn collections_of_the_double() {
    all(&QdrantDouble::start().await.url()).await;
}

pub(crate) async fn all(url: &str) {
    ensure_makes_what_is_missing_once(url).await;
    workers_may_ensure_at_the_same_time(url).await;
    another_shape_is_refused(url).await;
    the_alias_moves_when_told(url).await;
    a_missing_collection_is_named(url).await;
    a_collection_made_anew_with_another_shape_blames_no_point(url).await;
    a_removed_point_keeps_its_revision_and_no_vector(url).await;
    a_point_carries_its_tool_as_registered(url).await;
}

async fn ensure_makes_what_is_missing_once(url: &str) {
    let space = Namespace::at(url);
    let store = space.model("aaaaaaaaaaaaaaaaaaaaaaaa", DIMS);
    let test = async {
        assert_eq!(store.ensure().await.unwrap(), Ensured::Created);
        let tenant = fresh_tenant();
        store.upsert(&[point(&key(&tenant, "d", "tool"), 1, axis(0))]).await.unwrap();
        assert_eq!(store.ensure().await.unwrap(), Ensured::Existed);
        assert_eq!(found(&store, &everything(&tenant)).await.len(), 1, "nothing was lost");
        assert_eq!(store.active_collection().await.unwrap().as_deref(), Some(store.collection()));
        assert_eq!(store.collection(), format!("{}_aaaaaaaaaaaa", space.config.qdrant_alias));
    };
    space.cleaning_up(std::slice::from_ref(&store), test).await;
}

async fn workers_may_ensure_at_the_same_time(url: &str) {
    let space = Namespace::at(url);
    let workers: [Qdrant; 4] = std::array::from_fn(|_| space.model("bbbbbbbbbbbb", DIMS));
    let test = async {
        let [a, b, c, d] = &workers;
        let ensured = tokio::join!(a.ensure(), b.ensure(), c.ensure(), d.ensure());
        for ensured in [ensured.0, ensured.1, ensured.2, ensured.3] {
            ensured.unwrap();
        }
        assert_eq!(a.active_collection().await.unwrap().as_deref(), Some(a.collection()));
    };
    space.cleaning_up(&workers[..1], test).await;
}

async fn another_shape_is_refused(url: &str) {
    let space = Namespace::at(url);
    let store = space.model("cccccccccccc", DIMS);
    let test = async {
        store.ensure().await.unwrap();
        let error = space.model("cccccccccccc", DIMS + 1).ensure().await.unwrap_err();
        assert!(matches!(error, StoreError::Shape { .. }) && !error.is_transient(), "{error}");
        let text = error.to_string();
        for part in ["5 dimensions", "6 dimensions", "cosine", "QDRANT_ALIAS"] {
            assert!(text.contains(part), "{part:?} is missing in {text:?}");
        }
    };
    space.cleaning_up(std::slice::from_ref(&store), test).await;
}

async fn the_alias_moves_when_told(url: &str) {
    let space = Namespace::at(url);
    let models = [space.model("dddddddddddd", DIMS), space.model("eeeeeeeeeeee", DIMS)];
    let test = async {
        let [old, new] = &models;
        old.ensure().await.unwrap();
        new.ensure().await.unwrap();
        let active = async || new.active_collection().await.unwrap();
        assert_eq!(active().await.as_deref(), Some(old.collection()), "an alias that exists stays");
        new.activate().await.unwrap();
        assert_eq!(active().await.as_deref(), Some(new.collection()));
        new.activate().await.unwrap();
        old.delete_collection().await.unwrap();
        assert_eq!(active().await.as_deref(), Some(new.collection()));
        new.delete_collection().await.unwrap();
        assert_eq!(active().await, None, "the alias goes with its collection");
    };
    space.cleaning_up(&models, test).await;
}

async fn a_missing_collection_is_named(url: &str) {
    let store = Namespace::at(url).model("ffffffffffff", DIMS);
    let tenant = fresh_tenant();
    let errors = [
        store.upsert(&[point(&key(&tenant, "d", "tool"), 1, axis(0))]).await.unwrap_err(),
        nearest(&store, &axis(0), &everything(&tenant), 1).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::MissingCollection { .. }), "{error}");
        assert!(!error.is_transient() && error.to_string().contains(store.collection()), "{error}");
    }
}

/// To the server such a point is as wrong as one with a fault of its own: the code is the same.
async fn a_collection_made_anew_with_another_shape_blames_no_point(url: &str) {
    let space = Namespace::at(url);
    let store = space.model("abababababab", DIMS);
    let other = space.model("abababababab", DIMS + 1);
    let test = async {
        store.ensure().await.unwrap();
        store.delete_collection().await.unwrap();
        other.ensure().await.unwrap();
        let tenant = fresh_tenant();
        let error = store.upsert(&[point(&key(&tenant, "d", "tool"), 1, axis(0))]).await.unwrap_err();
        assert!(matches!(error, StoreError::Shape { .. }), "{error:?}");
        assert!(!error.blames_the_point() && !error.is_transient(), "{error:?}");
    };
    space.cleaning_up(std::slice::from_ref(&store), test).await;
}

async fn a_removed_point_keeps_its_revision_and_no_vector(url: &str) {
    let space = Namespace::at(url);
    let store = space.model("cdcdcdcdcdcd", DIMS);
    let client = Client::from_url(url).skip_compatibility_check().build().unwrap();
    let test = async {
        store.ensure().await.unwrap();
        let tenant = fresh_tenant();
        let (gone, unknown) = (key(&tenant, "d", "gone"), key(&tenant, "d", "unknown"));
        store.upsert(&[point(&gone, 1, axis(0))]).await.unwrap();
        store.remove(&[tombstone(&gone, 2), tombstone(&unknown, 2)]).await.unwrap();

        let ids: Vec<PointId> = [&gone, &unknown].map(|key| key.point_id().to_string().into()).into();
        let request = GetPointsBuilder::new(store.collection(), ids).with_payload(true).with_vectors(true);
        let stored = client.get_points(request).await.unwrap().result;
        assert_eq!(stored.len(), 2, "a tombstone each: {stored:?}");
        for point in stored {
            let vector = point.vectors.as_ref().and_then(|vectors| vectors.get_vector_by_name(TEXT_VECTOR));
            assert!(vector.is_none(), "{point:?}");
            assert_eq!(point.payload["revision"].kind, Some(Kind::IntegerValue(2)), "{point:?}");
            assert!(!point.payload.contains_key("tenant"), "no filter can admit it: {point:?}");
        }
    };
    space.cleaning_up(std::slice::from_ref(&store), test).await;
}

/// We read it back nowhere; whoever looks into Qdrant does.
async fn a_point_carries_its_tool_as_registered(url: &str) {
    let space = Namespace::at(url);
    let store = space.model("efefefefefef", DIMS);
    let client = Client::from_url(url).skip_compatibility_check().build().unwrap();
    let test = async {
        store.ensure().await.unwrap();
        let key = key(&fresh_tenant(), "d", "画像 generate/v2.1");
        // As deep as a tool may nest its parameters, and numbers that a double does not hold.
        let deepest = (0..30).fold(json!({ "n": u64::MAX }), |inner, _| json!({ "properties": inner }));
        let Json::Object(parameters) = json!({ "type": "object", "properties": deepest }) else {
            unreachable!()
        };
        let tool = Tool {
            tool_type: ToolType::CodeExec,
            description: "line one\nline two ünïcode \u{1F600}".to_owned(),
            parameters,
            version: Some("2.1".to_owned()),
            last_updated: Some("2026-11-22T10:00:00Z".to_owned()),
            tags: vec!["a".to_owned(), "b".to_owned()],
            examples: vec!["make a picture".to_owned()],
            publisher: Some("someone".to_owned()),
            allowed_roles: vec!["artist".to_owned()],
            ..tool(&key)
        };
        let point = Point { key: key.clone(), revision: 1 << 40, tool: Arc::new(tool), vector: axis(0) };
        store.upsert(std::slice::from_ref(&point)).await.unwrap();

        let id: PointId = key.point_id().to_string().into();
        let request = GetPointsBuilder::new(store.collection(), vec![id]).with_payload(true);
        let payload = client.get_points(request).await.unwrap().result.remove(0).payload;
        let mut fields: Map<String, Json> =
            payload.into_iter().map(|(name, value)| (name, value.into_json())).collect();
        assert_eq!(fields["revision"], 1_u64 << 40);
        assert_eq!(fields["tenant"], key.tenant.as_str());
        // Text keeps what a gRPC message would refuse to nest, and every number exact.
        let text = fields["parameters"].as_str().unwrap();
        let parameters = serde_json::from_str(text).unwrap();
        fields.insert("parameters".to_owned(), parameters);
        assert_eq!(serde_json::from_value::<Tool>(Json::Object(fields)).unwrap(), *point.tool);
    };
    space.cleaning_up(std::slice::from_ref(&store), test).await;
}

//! With Qdrant, and without it for a while.

use std::num::NonZeroUsize;
use std::sync::Arc;

use serde_json::json;
use toolweaver_contracts::{SearchRequest, Strategy};
use toolweaver_embedding::{Hashing, Model as _};
use toolweaver_testkit::{qdrant::QdrantDouble, wait};
use toolweaver_vector_store::{Point, Qdrant, QdrantConfig, VectorStore as _};

use crate::support::{Rig, SOON, crowd, ids, key, tool};

#[tokio::test]
async fn without_vectors_the_answer_is_flagged_and_heals_by_itself() {
    let double = QdrantDouble::start().await;
    let model = Hashing::new();
    let dims = NonZeroUsize::new(model.dimensions()).expect("a model has dimensions");
    let qdrant =
        Qdrant::new(&QdrantConfig::at(double.url()), model.fingerprint().hex(), dims).expect("a client");
    qdrant.ensure().await.expect("a collection");
    let rig = Rig::start_with(Some(qdrant.clone())).await;

    let wanted = tool("get_forecast", "weather", "Tells the weather of tomorrow.", json!({}));
    let mut version = 0;
    for (revision, tool) in (1..).zip(crowd(25).iter().chain([&wanted])) {
        let vector = rig.vector(tool).await;
        let point = Point { key: key("default", tool), revision, tool: Arc::new(tool.clone()), vector };
        qdrant.upsert(&[point]).await.expect("Qdrant takes it");
        version = rig.index("default", tool, revision).await;
    }
    rig.applied(version).await;

    let request = SearchRequest::new("weather of tomorrow");
    let reply = rig.search("default", &request).await;
    assert_eq!((ids(&reply)[0].as_str(), reply.routed.strategy), ("weather.get_forecast", Strategy::Hybrid));
    assert!(reply.degraded.is_empty());

    double.set_down(true);
    let other = SearchRequest::new("the weather tomorrow");
    let reply = rig.search("default", &other).await;
    assert_eq!((ids(&reply)[0].as_str(), reply.routed.strategy), ("weather.get_forecast", Strategy::Lexical));
    assert_eq!(reply.degraded, ["vectors"]);

    double.set_down(false);
    wait::until("the answer is whole again", SOON, async || {
        rig.search("default", &other).await.degraded.is_empty()
    })
    .await;
}

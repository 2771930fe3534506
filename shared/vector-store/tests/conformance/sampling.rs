//! The calls that a search makes, and the samples that it remembers; only the double counts calls.

use std::time::Duration;

use toolweaver_contracts::Predicate;
use toolweaver_testkit::{qdrant::QdrantDouble, wait};
use toolweaver_vector_store::{Point, SAMPLE_MAX, VectorStore as _};

use crate::{
    memory,
    scene::{DIMS, alike, axis, everything, fresh_tenant, key, point},
    servers::Namespace,
};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_server_is_asked_again_only_for_what_is_missing() {
    let double = QdrantDouble::start().await;
    let store = Namespace::at(&double.url()).model("aaaaaaaaaaaa", DIMS);
    store.ensure().await.unwrap();
    let tenant = fresh_tenant();
    let points: Vec<Point> =
        (0..DIMS).map(|n| point(&key(&tenant, "d", &format!("axis-{n}")), 1, axis(n))).collect();
    store.upsert(&points).await.unwrap();

    let mut before = 0;
    let mut asked = async |vectors: &[Vec<f32>], limit, also: &[usize]| {
        let also: Vec<_> = also.iter().map(|&n| points[n].key.point_id()).collect();
        store.search(vectors, &everything(&tenant), limit, &also).await.unwrap();
        let calls = double.calls("points.query_batch");
        calls - std::mem::replace(&mut before, calls)
    };
    assert_eq!(asked(&[axis(0)], 2, &[]).await, 1, "one vector leaves no gaps");
    assert_eq!(asked(&[axis(0), axis(1)], DIMS, &[2]).await, 1, "everything is near enough");
    assert_eq!(asked(&[axis(0), axis(1)], 1, &[]).await, 2);
    assert_eq!(asked(&[axis(0)], 1, &[3]).await, 2);
    assert_eq!(asked(&[axis(0)], 0, &[3]).await, 1);
    assert_eq!(asked(&[axis(0)], 0, &[]).await, 0);
}

#[tokio::test]
async fn a_full_sample_is_drawn_once_for_many_searches() {
    let double = QdrantDouble::start().await;
    let store = Namespace::at(&double.url()).model("aaaaaaaaaaaa", DIMS);
    store.ensure().await.unwrap();
    let tenant = fresh_tenant();
    let points: Vec<Point> = (0..=SAMPLE_MAX)
        .map(|n| point(&key(&tenant, "d", &format!("tool-{n}")), 1, axis(n % DIMS)))
        .collect();
    store.upsert(&points).await.unwrap();
    let local = memory();
    local.upsert(&points).await.unwrap();

    for n in 0..4 {
        // What a request excludes changes from one to the next, and so does what it asks.
        let exclude = points[n..n + 3].iter().map(|point| point.key.tool_id()).collect();
        let predicate = Predicate { exclude, ..everything(&tenant) };
        let ours = store.clone().search(&[axis(n)], &predicate, 5, &[]).await.unwrap();
        let theirs = local.search(&[axis(n)], &predicate, 5, &[]).await.unwrap();
        assert_eq!(ours.sample().len(), theirs.sample().len());
        assert!(ours.sample().zip(theirs.sample()).all(|(a, b)| alike(a, b)), "both stores draw one sample");
    }
    assert_eq!(double.calls("points.scroll"), 1);
}

#[tokio::test]
async fn searches_at_the_same_time_share_one_scroll() {
    let double = QdrantDouble::start().await;
    let store = Namespace::at(&double.url()).model("aaaaaaaaaaaa", DIMS);
    store.ensure().await.unwrap();
    let (tenant, vectors) = (fresh_tenant(), [axis(0)]);
    let predicate = everything(&tenant);
    let search = || store.search(&vectors, &predicate, 5, &[]);
    let (a, b, c) = tokio::join!(search(), search(), search());
    a.and(b).and(c).unwrap();
    assert_eq!(double.calls("points.scroll"), 1);
}

#[tokio::test]
async fn a_small_sample_follows_its_catalog() {
    let double = QdrantDouble::start().await;
    let store = Namespace::at(&double.url()).model("aaaaaaaaaaaa", DIMS);
    store.ensure().await.unwrap();
    let tenant = fresh_tenant();
    let sampled =
        async || store.search(&[axis(0)], &everything(&tenant), 5, &[]).await.unwrap().sample().len();
    assert_eq!(sampled().await, 0);
    store.upsert(&[point(&key(&tenant, "d", "tool"), 1, axis(0))]).await.unwrap();
    wait::until("the new tool is in the sample", SOON, async || sampled().await == 1).await;
}

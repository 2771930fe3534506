//! The promises of a search with several vectors and with tools beside the nearest, one case each.

use toolweaver_contracts::{Predicate, Tenant, Tool};
use toolweaver_vector_store::{Point, SAMPLE_MAX, Scores, VectorStore};
use uuid::Uuid;

use crate::scene::{
    DIMS, alike, axis, cosine, everything, fresh_tenant, key, point, rows, set, tombstone, tool,
};

cases! {
    every_tool_found_has_a_cosine_to_every_vector
    tools_asked_for_join_the_nearest_once
    tools_asked_for_must_be_admitted
    a_limit_of_zero_leaves_what_was_asked_for
    without_vectors_nothing_is_found
    the_sample_is_of_what_is_admitted
    the_sample_of_many_tools_is_of_the_smallest_ids
}

/// Returns a vector between the axes that is alike to none of its neighbours.
fn between(n: usize) -> Vec<f32> {
    (0..DIMS).map(|axis| f32::from(u16::try_from(n * 7 + axis * 3).unwrap()).sin()).collect()
}

fn names(scores: &Scores, points: &[Point]) -> Vec<String> {
    let name = |id: Uuid| points.iter().find(|point| point.key.point_id() == id).map(|p| p.key.to_string());
    scores
        .iter()
        .map(|(id, _)| name(id).unwrap())
        .map(|key| key.rsplit('/').next().unwrap().to_owned())
        .collect()
}

fn assert_sample(scores: &Scores, vectors: &[Vec<f32>], expected: &[&Point]) {
    assert_eq!(scores.sample().len(), expected.len());
    let mut expected = expected.to_vec();
    expected.sort_by_key(|point| point.key.point_id());
    for (row, point) in scores.sample().zip(expected) {
        let cosines: Vec<f32> = vectors.iter().map(|vector| cosine(vector, &point.vector)).collect();
        assert!(alike(row, &cosines), "{row:?} instead of {cosines:?} of {}", point.key);
    }
}

async fn every_tool_found_has_a_cosine_to_every_vector(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let points: Vec<Point> =
        (0..DIMS).map(|n| point(&key(&tenant, "d", &format!("axis-{n}")), 1, axis(n))).collect();
    store.upsert(&points).await.unwrap();
    // Nearest to the first axis, the third, and the first again: two tools of five.
    let vectors =
        [[4.0, 0.0, 3.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0, 0.0]].map(Vec::from);
    let found = store.search(&vectors, &everything(&tenant), 1, &[]).await.unwrap();
    assert_eq!((found.len(), found.width()), (2, 3));
    assert_eq!(names(&found, &points), ["axis-0", "axis-2"], "nearest to the first vector first");
    for ((_, row), expected) in found.iter().zip([[0.8, 0.0, 1.0], [0.6, 1.0, 0.0]]) {
        assert!(alike(row, &expected), "{row:?} instead of {expected:?}");
    }
    let reversed: Vec<Vec<f32>> = vectors.iter().rev().cloned().collect();
    let found = store.search(&reversed, &everything(&tenant), 5, &[]).await.unwrap();
    assert_eq!(names(&found, &points)[0], "axis-0");
    assert_eq!(found.len(), 5);
}

async fn tools_asked_for_join_the_nearest_once(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let points: Vec<Point> =
        (0..DIMS).map(|n| point(&key(&tenant, "d", &format!("axis-{n}")), 1, axis(n))).collect();
    store.upsert(&points).await.unwrap();
    let vectors = [vec![0.8, 0.6, 0.0, 0.0, 0.0], vec![0.6, 0.8, 0.0, 0.0, 0.0]];
    // One that is found anyway, one twice, and one that is opposite to nothing and far from all.
    let also = [0, 4, 3, 4].map(|n: usize| points[n].key.point_id());
    let found = rows(&store.search(&vectors, &everything(&tenant), 1, &also).await.unwrap());
    let expected = [(0, [0.8, 0.6]), (1, [0.6, 0.8]), (3, [0.0, 0.0]), (4, [0.0, 0.0])];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (n, cosines) in expected {
        assert!(alike(&found[&points[n].key.point_id()], &cosines), "{found:?}");
    }
}

async fn tools_asked_for_must_be_admitted(store: &impl VectorStore) {
    let (ours, theirs) = (fresh_tenant(), fresh_tenant());
    let visible = point(&key(&ours, "here", "visible"), 1, axis(1));
    let elsewhere = point(&key(&ours, "there", "elsewhere"), 1, axis(1));
    let another = point(&key(&theirs, "here", "another"), 1, axis(1));
    let excluded = point(&key(&ours, "here", "excluded"), 1, axis(1));
    let removed = point(&key(&ours, "here", "removed"), 1, axis(1));
    let mut secret = point(&key(&ours, "here", "secret"), 1, axis(1));
    secret.tool = Tool { allowed_roles: vec!["admin".to_owned()], ..tool(&secret.key) }.into();
    let all = [visible, elsewhere, another, excluded, removed, secret];
    store.upsert(&all).await.unwrap();
    store.remove(&[tombstone(&all[4].key, 2)]).await.unwrap();

    let mut also: Vec<Uuid> = all.iter().map(|point| point.key.point_id()).collect();
    also.push(Uuid::from_u128(7));
    let exclude = [all[3].key.tool_id()].into();
    let predicate = Predicate { exclude, ..everything(&ours).in_domain("here".parse().unwrap()) };
    let vectors = [axis(0), axis(1)];
    for limit in [0, 100] {
        let found = rows(&store.search(&vectors, &predicate, limit, &also).await.unwrap());
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [all[0].key.point_id()], "limit {limit}");
    }
    let admin = predicate.with_roles(set(&["admin"]));
    assert_eq!(store.search(&vectors, &admin, 0, &also).await.unwrap().len(), 2);
}

async fn a_limit_of_zero_leaves_what_was_asked_for(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let points: Vec<Point> =
        (0..3).map(|n| point(&key(&tenant, "d", &format!("tool-{n}")), 1, between(n))).collect();
    store.upsert(&points).await.unwrap();
    let vectors = [between(10), between(11)];
    let wanted = points[1].key.point_id();
    let found = store.search(&vectors, &everything(&tenant), 0, &[wanted]).await.unwrap();
    let cosines: Vec<f32> = vectors.iter().map(|vector| cosine(vector, &points[1].vector)).collect();
    assert_eq!(found.len(), 1);
    assert!(alike(&rows(&found)[&wanted], &cosines));
    assert_sample(&found, &vectors, &points.iter().collect::<Vec<_>>());
    assert!(store.search(&vectors, &everything(&tenant), 0, &[]).await.unwrap().is_empty());
}

async fn without_vectors_nothing_is_found(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let tool = point(&key(&tenant, "d", "tool"), 1, axis(0));
    store.upsert(std::slice::from_ref(&tool)).await.unwrap();
    let found = store.search(&[], &everything(&tenant), 10, &[tool.key.point_id()]).await.unwrap();
    assert_eq!((found.len(), found.sample().len()), (0, 0));
}

async fn the_sample_is_of_what_is_admitted(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let points = catalog(&tenant, 30);
    store.upsert(&points).await.unwrap();
    store.remove(&[tombstone(&points[0].key, 2)]).await.unwrap();
    let vectors = [between(100), between(101), between(102)];
    let exclude = [&points[1], &points[2]].map(|point| point.key.tool_id()).into();
    let all = everything(&tenant);
    for predicate in [
        all.clone(),
        all.clone().in_domain("even".parse().unwrap()),
        Predicate { exclude, ..all.clone() },
        all.clone().with_roles(set(&["admin"])),
        everything(&fresh_tenant()),
    ] {
        let admitted: Vec<&Point> =
            points[1..].iter().filter(|point| predicate.admits(&point.key, &point.tool)).collect();
        let found = store.search(&vectors, &predicate, 1, &[]).await.unwrap();
        assert_sample(&found, &vectors, &admitted);
    }
}

async fn the_sample_of_many_tools_is_of_the_smallest_ids(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let mut points = catalog(&tenant, 2 * SAMPLE_MAX);
    store.upsert(&points).await.unwrap();
    points.sort_by_key(|point| point.key.point_id());
    let vectors = [between(100), between(101)];
    let even = everything(&tenant).in_domain("even".parse().unwrap());
    // One that would be in the sample, and one that would not: neither makes room for another.
    let exclude = [&points[3], &points[points.len() - 1]].map(|point| point.key.tool_id()).into();
    for predicate in [even, Predicate { exclude, ..everything(&tenant) }] {
        let aside = Predicate { exclude: [].into(), ..predicate.clone() };
        let smallest = points.iter().filter(|point| aside.admits(&point.key, &point.tool)).take(SAMPLE_MAX);
        let expected: Vec<&Point> =
            smallest.filter(|point| predicate.admits(&point.key, &point.tool)).collect();
        let found = store.search(&vectors, &predicate, 1, &[]).await.unwrap();
        assert_sample(&found, &vectors, &expected);
    }
}

/// Tools of two domains, every fifth of them for administrators only.
fn catalog(tenant: &Tenant, tools: usize) -> Vec<Point> {
    let points = (0..tools).map(|n| {
        let domain = if n % 2 == 0 { "even" } else { "odd" };
        let mut point = point(&key(tenant, domain, &format!("tool-{n}")), 1, between(n));
        if n % 5 == 0 {
            point.tool = Tool { allowed_roles: vec!["admin".to_owned()], ..tool(&point.key) }.into();
        }
        point
    });
    points.collect()
}

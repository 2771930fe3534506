//! The promises of the crate documentation, one case each. Every case has a tenant of its own.

use std::sync::Arc;

use toolweaver_contracts::{Predicate, Tenant, Tool, ToolKey, ToolType};
use toolweaver_vector_store::{Point, StoreError, VectorStore};

use crate::scene::{
    DIMS, axis, everything, found, fresh_tenant, ids, key, nearest, point, revision_of, set, tombstone, tool,
};

cases! {
    a_newer_revision_replaces
    an_older_or_equal_revision_changes_nothing
    a_removed_tool_is_gone
    a_removed_tool_is_found_by_no_search
    a_late_registration_does_not_bring_a_tool_back
    a_late_removal_removes_nothing
    a_removal_of_the_unknown_guards_too
    a_batch_may_mix_old_new_and_unknown
    the_newest_of_a_batch_wins_in_any_order
    writers_at_the_same_time_agree_on_the_newest
    a_large_write_is_complete
    scores_are_cosines_best_first
    filters_apply_before_ranking
    every_part_of_a_predicate_counts
    tenants_never_meet
    wrong_vectors_are_refused
    nothing_asked_nothing_given
    the_store_says_what_it_is
}

async fn a_newer_revision_replaces(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let key = key(&tenant, "d", "tool");
    store.upsert(&[point(&key, 5, axis(0))]).await.unwrap();
    store.upsert(&[point(&key, 6, axis(1))]).await.unwrap();
    assert_eq!(revision_of(store, &key).await, Some(6));
    let found = nearest(store, &axis(1), &everything(&tenant), 10).await.unwrap();
    assert!((found[0].score - 1.0).abs() < 1e-5, "the vector was replaced: {found:?}");
}

async fn an_older_or_equal_revision_changes_nothing(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let key = key(&tenant, "d", "tool");
    store.upsert(&[point(&key, 5, axis(0))]).await.unwrap();
    for revision in [1, 4, 5] {
        store.upsert(&[point(&key, revision, axis(1))]).await.unwrap();
        assert_eq!(revision_of(store, &key).await, Some(5), "revision {revision}");
        let found = nearest(store, &axis(0), &everything(&tenant), 10).await.unwrap();
        assert!((found[0].score - 1.0).abs() < 1e-5, "revision {revision}: {found:?}");
    }
}

async fn a_removed_tool_is_gone(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let (gone, stays) = (key(&tenant, "d", "gone"), key(&tenant, "d", "stays"));
    store.upsert(&[point(&gone, 1, axis(0)), point(&stays, 2, axis(1))]).await.unwrap();
    store.remove(&[tombstone(&gone, 3)]).await.unwrap();
    assert_eq!(revision_of(store, &gone).await, None);
    assert_eq!(revision_of(store, &stays).await, Some(2));

    store.upsert(&[point(&gone, 4, axis(2))]).await.unwrap();
    assert_eq!(revision_of(store, &gone).await, Some(4), "a newer registration brings it back");
    let found = nearest(store, &axis(2), &everything(&tenant), 1).await.unwrap();
    assert_eq!(ids(&found), [gone.point_id()]);
}

async fn a_removed_tool_is_found_by_no_search(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let (gone, unknown) = (key(&tenant, "d", "gone"), key(&tenant, "d", "unknown"));
    store.upsert(&[point(&gone, 1, axis(0))]).await.unwrap();
    // One removal each, and both in one request: the store may be handed them either way.
    store.remove(&[tombstone(&gone, 2)]).await.unwrap();
    store.remove(&[tombstone(&unknown, 2)]).await.unwrap();
    store.remove(&[tombstone(&gone, 3), tombstone(&unknown, 3)]).await.unwrap();

    let vectors: Vec<_> = (0..DIMS).map(axis).collect();
    let asked_for = [gone.point_id(), unknown.point_id()];
    let found = store.search(&vectors, &everything(&tenant), 100, &asked_for).await.unwrap();
    assert!(found.is_empty(), "neither near to any vector nor by its id: {found:?}");
    assert_eq!(found.sample().len(), 0, "nor in the sample");
}

async fn a_late_registration_does_not_bring_a_tool_back(store: &impl VectorStore) {
    let key = key(&fresh_tenant(), "d", "tool");
    store.upsert(&[point(&key, 5, axis(0))]).await.unwrap();
    store.remove(&[tombstone(&key, 7)]).await.unwrap();
    for revision in [5, 6, 7] {
        store.upsert(&[point(&key, revision, axis(0))]).await.unwrap();
        assert_eq!(revision_of(store, &key).await, None, "revision {revision}");
    }
    store.remove(&[tombstone(&key, 6)]).await.unwrap();
    store.upsert(&[point(&key, 7, axis(0))]).await.unwrap();
    assert_eq!(revision_of(store, &key).await, None, "an older removal does not weaken the guard");
}

async fn a_late_removal_removes_nothing(store: &impl VectorStore) {
    let key = key(&fresh_tenant(), "d", "tool");
    store.upsert(&[point(&key, 5, axis(0))]).await.unwrap();
    for revision in [4, 5] {
        store.remove(&[tombstone(&key, revision)]).await.unwrap();
        assert_eq!(revision_of(store, &key).await, Some(5), "revision {revision}");
    }
}

async fn a_removal_of_the_unknown_guards_too(store: &impl VectorStore) {
    let key = key(&fresh_tenant(), "d", "tool");
    store.remove(&[tombstone(&key, 5)]).await.unwrap();
    assert_eq!(revision_of(store, &key).await, None);
    store.upsert(&[point(&key, 4, axis(0))]).await.unwrap();
    assert_eq!(revision_of(store, &key).await, None);
    store.upsert(&[point(&key, 6, axis(0))]).await.unwrap();
    assert_eq!(revision_of(store, &key).await, Some(6));
}

async fn a_batch_may_mix_old_new_and_unknown(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let keys = ["older", "equal", "newer", "removed", "unknown"].map(|name| key(&tenant, "d", name));
    let stored: Vec<Point> = keys[..4].iter().map(|key| point(key, 100, axis(0))).collect();
    store.upsert(&stored).await.unwrap();
    store.remove(&[tombstone(&keys[3], 200)]).await.unwrap();
    let batch: Vec<Point> = keys
        .iter()
        .zip([99, 100, 101, 150, 1])
        .map(|(key, revision)| point(key, revision, axis(1)))
        .collect();
    store.upsert(&batch).await.unwrap();
    for (key, revision) in keys.iter().zip([Some(100), Some(100), Some(101), None, Some(1)]) {
        assert_eq!(revision_of(store, key).await, revision, "{key}");
    }
}

async fn the_newest_of_a_batch_wins_in_any_order(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let key = key(&tenant, "d", "tool");
    let batch: Vec<Point> = [3, 9, 1, 9, 5].map(|revision| point(&key, revision, axis(0))).into();
    store.upsert(&batch).await.unwrap();
    assert_eq!(revision_of(store, &key).await, Some(9));
    store.remove(&[tombstone(&key, 20), tombstone(&key, 10)]).await.unwrap();
    store.upsert(&[point(&key, 15, axis(0))]).await.unwrap();
    assert_eq!(revision_of(store, &key).await, None);
}

async fn writers_at_the_same_time_agree_on_the_newest(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let keys: Vec<_> = (0..10).map(|n| key(&tenant, "d", &format!("tool-{n}"))).collect();
    let batch = |revision| keys.iter().map(|key| point(key, revision, axis(0))).collect::<Vec<_>>();
    let (first, second, third) = (batch(3), batch(1), batch(2));
    let (a, b, c) = tokio::join!(store.upsert(&first), store.upsert(&second), store.upsert(&third));
    a.and(b).and(c).unwrap();
    for key in &keys {
        assert_eq!(revision_of(store, key).await, Some(3), "{key}");
    }
}

async fn a_large_write_is_complete(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let keys: Vec<_> = (0..1_000).map(|n| key(&tenant, "d", &format!("tool-{n}"))).collect();
    let points: Vec<Point> = keys.iter().map(|key| point(key, 1, axis(0))).collect();
    store.upsert(&points).await.unwrap();
    assert_eq!(found(store, &everything(&tenant)).await.len(), 1_000);
    let tombstones: Vec<_> = keys[..600].iter().map(|key| tombstone(key, 2)).collect();
    store.remove(&tombstones).await.unwrap();
    assert_eq!(found(store, &everything(&tenant)).await.len(), 400);
}

async fn scores_are_cosines_best_first(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let keys = ["same", "near", "across", "opposite"].map(|name| key(&tenant, "d", name));
    // Not unit vectors on purpose.
    let vectors = [
        [3.0, 0.0, 0.0, 0.0, 4.0],
        [9.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 2.0, 0.0, 0.0, 0.0],
        [-6.0, 0.0, 0.0, 0.0, -8.0],
    ];
    let points: Vec<Point> =
        keys.iter().zip(vectors).map(|(key, vector)| point(key, 1, vector.to_vec())).collect();
    store.upsert(&points).await.unwrap();
    let query = [0.3, 0.0, 0.0, 0.0, 0.4];
    let found = nearest(store, &query, &everything(&tenant), 10).await.unwrap();
    assert_eq!(ids(&found), keys.each_ref().map(ToolKey::point_id));
    for (hit, cosine) in found.iter().zip([1.0, 0.6, 0.0, -1.0]) {
        assert!((hit.score - cosine).abs() < 1e-5, "{hit:?} instead of {cosine}");
    }
    let two = nearest(store, &query, &everything(&tenant), 2).await.unwrap();
    assert_eq!(two, found[..2]);
}

async fn filters_apply_before_ranking(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let wanted = key(&tenant, "far", "tool");
    let mut points: Vec<Point> =
        (0..50).map(|n| point(&key(&tenant, "near", &format!("tool-{n}")), 1, axis(0))).collect();
    points.push(point(&wanted, 1, axis(1)));
    store.upsert(&points).await.unwrap();
    let far = everything(&tenant).in_domain("far".parse().unwrap());
    let found = nearest(store, &axis(0), &far, 1).await.unwrap();
    assert_eq!(ids(&found), [wanted.point_id()], "fifty nearer tools are of another domain");
}

async fn every_part_of_a_predicate_counts(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let points = tagged_points(&tenant);
    store.upsert(&points).await.unwrap();

    let all = everything(&tenant);
    let exclude = [&points[0], &points[3]].map(|point| point.key.tool_id()).into();
    let predicates = [
        all.clone(),
        all.clone().in_domain("chat".parse().unwrap()),
        all.clone().in_domain("nowhere".parse().unwrap()),
        Predicate { tool_types: [ToolType::McpWorker, ToolType::CodeExec].into(), ..all.clone() },
        Predicate { tags: set(&["read", "git"]), ..all.clone() },
        Predicate { tags: set(&["unheard-of"]), ..all.clone() },
        Predicate { tags: set(&["Git"]), ..all.clone() },
        all.clone().with_roles(set(&["finance"])),
        all.clone().with_roles(set(&["finance", "admin", "unheard-of"])),
        Predicate { exclude, ..all.clone() },
        Predicate {
            domain: Some("git".parse().unwrap()),
            tool_types: [ToolType::Function].into(),
            tags: set(&["read"]),
            roles: set(&["admin"]),
            exclude: [points[0].key.tool_id()].into(),
            ..all
        },
    ];
    for predicate in predicates {
        let admitted = points
            .iter()
            .filter(|point| predicate.admits(&point.key, &point.tool))
            .map(|point| point.key.point_id())
            .collect();
        assert_eq!(found(store, &predicate).await, admitted, "{predicate:?}");
    }
}

/// Tools of all domains, types, tags and roles that the predicates of the case above name.
fn tagged_points(tenant: &Tenant) -> Vec<Point> {
    let kinds: [(&str, ToolType, &[&str], &[&str]); 7] = [
        ("git", ToolType::Function, &["read"], &[]),
        ("git", ToolType::Function, &["read", "git"], &["admin"]),
        ("git", ToolType::McpWorker, &["write"], &["finance", "admin"]),
        ("chat", ToolType::Function, &[], &[]),
        ("chat", ToolType::CodeExec, &["read", "write"], &["finance"]),
        ("chat", ToolType::McpWorker, &["git"], &["nobody"]),
        ("mail", ToolType::CodeExec, &["Git"], &[]),
    ];
    let points = kinds.iter().enumerate().map(|(n, (domain, tool_type, tags, roles))| {
        let key = key(tenant, domain, &format!("tool-{n}"));
        let tool = Tool {
            tool_type: *tool_type,
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            allowed_roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..tool(&key)
        };
        Point { key, revision: 1, tool: Arc::new(tool), vector: axis(n % DIMS) }
    });
    points.collect()
}

async fn tenants_never_meet(store: &impl VectorStore) {
    let (ours, theirs) = (fresh_tenant(), fresh_tenant());
    let (our_key, their_key) = (key(&ours, "d", "tool"), key(&theirs, "d", "tool"));
    store.upsert(&[point(&our_key, 1, axis(0)), point(&their_key, 1, axis(0))]).await.unwrap();
    for (tenant, key) in [(&ours, &our_key), (&theirs, &their_key)] {
        assert_eq!(found(store, &everything(tenant)).await, [key.point_id()].into());
    }
    store.remove(&[tombstone(&their_key, 2)]).await.unwrap();
    assert_eq!(revision_of(store, &our_key).await, Some(1));
    assert!(found(store, &everything(&fresh_tenant())).await.is_empty(), "a tenant without tools");
}

async fn wrong_vectors_are_refused(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    let key = key(&tenant, "d", "tool");
    for vector in [vec![1.0; DIMS + 1], vec![1.0; DIMS - 1], vec![]] {
        let error = store.upsert(&[point(&key, 1, vector.clone())]).await.unwrap_err();
        assert!(matches!(error, StoreError::Dimensions { .. }) && !error.is_transient(), "{error}");
        let error = nearest(store, &vector, &everything(&tenant), 1).await.unwrap_err();
        assert!(matches!(error, StoreError::Dimensions { .. }), "{error}");
    }
    for component in [f32::NAN, f32::INFINITY] {
        let mut vector = axis(0);
        vector[1] = component;
        let error = store.upsert(&[point(&key, 1, vector)]).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFinite { .. }) && !error.is_transient(), "{error}");
    }
    assert_eq!(revision_of(store, &key).await, None);
}

async fn nothing_asked_nothing_given(store: &impl VectorStore) {
    let tenant = fresh_tenant();
    store.upsert(&[]).await.unwrap();
    store.remove(&[]).await.unwrap();
    store.upsert(&[point(&key(&tenant, "d", "tool"), 1, axis(0))]).await.unwrap();
    assert_eq!(nearest(store, &axis(0), &everything(&tenant), 0).await.unwrap(), []);
    let zero = nearest(store, &[0.0; DIMS], &everything(&tenant), 10).await.unwrap();
    assert_eq!(zero.len(), 1, "a zero vector is near to nothing, but no error");
}

async fn the_store_says_what_it_is(store: &impl VectorStore) {
    assert!(!store.health().await.unwrap().is_empty());
}

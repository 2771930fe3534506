//! The client on a server that fails, hangs or is away; only the double does that on command.

use std::time::{Duration, Instant};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tonic::Status;
use toolweaver_testkit::qdrant::QdrantDouble;
use toolweaver_vector_store::{Point, QdrantConfig, StoreError, VectorStore as _};

use crate::{
    scene::{DIMS, axis, everything, found, fresh_tenant, key, nearest, point, tombstone},
    servers::Namespace,
};

#[tokio::test]
async fn a_hanging_server_costs_one_timeout_and_one_call() {
    let double = QdrantDouble::start().await;
    let mut space = Namespace::at(&double.url());
    space.config.qdrant_timeout = Duration::from_millis(200);
    let store = space.model("aaaaaaaaaaaa", DIMS);
    store.ensure().await.unwrap();
    double.delay(Duration::from_secs(30));

    let began = Instant::now();
    let error = nearest(&store, &axis(0), &everything(&fresh_tenant()), 1).await.unwrap_err();
    assert!(matches!(error, StoreError::TimedOut { operation: "search" | "sample", .. }), "{error}");
    assert!(error.is_transient());
    assert!(began.elapsed() < Duration::from_secs(10), "waited {:?}", began.elapsed());
    for method in ["points.query_batch", "points.scroll"] {
        assert_eq!(double.calls(method), 1, "the client did not ask again by itself: {method}");
    }
}

#[tokio::test]
async fn a_sample_that_was_not_waited_for_is_there_for_the_next_search() {
    let double = QdrantDouble::start().await;
    let store = Namespace::at(&double.url()).model("aaaaaaaaaaaa", DIMS);
    store.ensure().await.unwrap();
    let everything = everything(&fresh_tenant());
    double.delay(Duration::from_millis(200));
    let asked = axis(0);
    let search = nearest(&store, &asked, &everything, 1);
    tokio::time::timeout(Duration::from_millis(50), search).await.unwrap_err();
    nearest(&store, &asked, &everything, 1).await.unwrap();
    assert_eq!(double.calls("points.scroll"), 1, "the second search waited for what the first had begun");
}

#[tokio::test]
async fn a_server_that_is_away_is_transient_and_heals() {
    let double = QdrantDouble::start().await;
    let store = Namespace::at(&double.url()).model("aaaaaaaaaaaa", DIMS);
    store.ensure().await.unwrap();
    let tenant = fresh_tenant();
    let points = [point(&key(&tenant, "d", "tool"), 1, axis(0))];

    double.set_down(true);
    for error in [
        store.upsert(&points).await.unwrap_err(),
        nearest(&store, &axis(0), &everything(&tenant), 1).await.unwrap_err(),
        store.health().await.unwrap_err(),
        store.ensure().await.unwrap_err(),
    ] {
        assert!(error.is_transient(), "{error:?}");
    }
    double.set_down(false);
    store.upsert(&points).await.unwrap();
    assert_eq!(found(&store, &everything(&tenant)).await.len(), 1);
}

#[tokio::test]
async fn nobody_at_the_address_is_transient() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let store = Namespace::at(&format!("http://127.0.0.1:{port}")).model("aaaaaaaaaaaa", DIMS);
    let error = store.health().await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_refusal_is_not_transient() {
    let double = QdrantDouble::start().await;
    let store = Namespace::at(&double.url()).model("aaaaaaaaaaaa", DIMS);
    store.ensure().await.unwrap();
    let removal = [tombstone(&key(&fresh_tenant(), "d", "tool"), 1)];
    for status in
        [Status::invalid_argument("no"), Status::unauthenticated("who"), Status::permission_denied("no")]
    {
        double.fail_next(1, &status);
        let error = store.remove(&removal).await.unwrap_err();
        assert!(!error.is_transient(), "{error:?}");
        assert!(error.to_string().starts_with("remove in collection "), "{error}");
    }
    for status in [Status::resource_exhausted("busy"), Status::deadline_exceeded("late")] {
        double.fail_next(1, &status);
        let error = store.remove(&removal).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
}

#[tokio::test]
async fn a_large_write_is_cut_into_batches() {
    let double = QdrantDouble::start().await;
    let store = Namespace::at(&double.url()).model("aaaaaaaaaaaa", DIMS);
    store.ensure().await.unwrap();
    let tenant = fresh_tenant();
    let points: Vec<Point> =
        (0..513).map(|n| point(&key(&tenant, "d", &format!("tool-{n}")), 1, axis(0))).collect();
    store.upsert(&points).await.unwrap();
    assert_eq!(double.calls("points.upsert"), 3);
}

#[test]
fn an_address_that_is_none_is_named() {
    let config = QdrantConfig::at("not an address");
    let error =
        toolweaver_vector_store::Qdrant::new(&config, "aaaa", std::num::NonZeroUsize::MIN).unwrap_err();
    assert!(matches!(error, StoreError::Address { .. }) && !error.is_transient());
}

#[tokio::test]
async fn connections_that_died_silently_are_replaced() {
    let double = QdrantDouble::start().await;
    let proxy = SilentProxy::start(&double.url()).await;
    let mut space = Namespace::at(&proxy.url);
    space.config.qdrant_timeout = Duration::from_secs(1);
    let store = space.model("aaaaaaaaaaaa", DIMS);
    store.ensure().await.unwrap();

    proxy.silence.send_modify(|generation| *generation += 1);
    let error = store.health().await.unwrap_err();
    assert!(matches!(error, StoreError::TimedOut { .. }), "{error}");
    store.health().await.unwrap();
}

/// Passes bytes on until told to be silent; then the connections of before stay open, and nothing comes
/// through.
struct SilentProxy {
    url: String,
    silence: watch::Sender<u32>,
}

impl SilentProxy {
    async fn start(server: &str) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (silence, silenced) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(&server).await.unwrap();
                let mut silenced = silenced.clone();
                silenced.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        Ok(()) = silenced.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { url, silence }
    }
}

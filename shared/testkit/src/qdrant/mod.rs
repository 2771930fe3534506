//! A Qdrant server in this process, for machines that have no real one.
//!
//! It speaks the real gRPC to the real client and copies the behaviour of Qdrant 1.19.0 for the calls that
//! ToolWeaver makes: named vectors and points without them, filters, `update_filter`, aliases, exact cosine
//! search. It refuses what that server refuses, with its code and its words (taken from its source): a double
//! that takes more than the server hides what will fail there. What it does not copy answers `Unimplemented`,
//! never something made up. A call can be made to fail, hang or be refused. Here does **not** live:
//! persistence, sharding, approximate search, or any promise about speed.

mod collection;
mod faults;
mod filter;
mod query;
mod server;
mod service;
mod validation;
mod values;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::qdrant_client::qdrant::{
    collections_server::CollectionsServer, points_server::PointsServer, qdrant_server::QdrantServer,
};
use tokio::{net::TcpListener, sync::oneshot};
use tokio_stream::wrappers::TcpListenerStream;
/// The refusal of a call, so that a test that orders one needs no dependency on gRPC.
pub use tonic::Status;
use tonic::transport::Server as Transport;

use self::service::Service;

/// A running double; it stops when dropped.
#[derive(Debug)]
pub struct QdrantDouble {
    address: SocketAddr,
    service: Arc<Service>,
    /// Dropping it ends the server.
    _stop: oneshot::Sender<()>,
}

impl QdrantDouble {
    /// Starts an empty server on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("a bound listener has an address");
        let service = Arc::new(Service::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = Transport::builder()
            // The real server has no limit either; a batch of large tools passes the default of 4 MiB.
            .add_service(PointsServer::from_arc(Arc::clone(&service)).max_decoding_message_size(usize::MAX))
            .add_service(CollectionsServer::from_arc(Arc::clone(&service)))
            .add_service(QdrantServer::from_arc(Arc::clone(&service)))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
                stopped.await.ok();
            });
        tokio::spawn(serve);
        Self { address, service, _stop: stop }
    }

    /// Returns its address, as `QDRANT_URL` wants it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets the next `calls` calls, whatever they are, fail with `status`.
    ///
    /// The client repeats a point call once by itself on Internal, Unavailable, Cancelled and Unknown: let
    /// two fail where one failure is to be seen.
    pub fn fail_next(&self, calls: usize, status: &Status) {
        self.service.faults.fail_next(None, calls, status);
    }

    /// Lets the next `calls` calls of one method fail with `status`.
    pub fn fail_next_of(&self, method: &'static str, calls: usize, status: &Status) {
        self.service.faults.fail_next(Some(method), calls, status);
    }

    /// Refuses every call of one method with this status, until told otherwise with none.
    pub fn refuse(&self, method: &'static str, status: Option<Status>) {
        self.service.faults.refuse(method, status);
    }

    /// Returns how many points of all collections have a vector, and so can be found.
    pub fn points_with_vectors(&self) -> usize {
        self.service.points_with_vectors()
    }

    /// Takes the server down, or up again. While down, every call fails with Unavailable, as behind a proxy
    /// whose server is gone. What is stored stays.
    pub fn set_down(&self, down: bool) {
        self.service.faults.set_down(down);
    }

    /// Delays every call from now on by this long before it is looked at; zero ends it.
    pub fn delay(&self, delay: Duration) {
        self.service.faults.set_delay(delay);
    }

    /// Returns the number of calls of a method, failed ones included: `points.upsert`, `collections.create`,
    /// …
    pub fn calls(&self, method: &str) -> u64 {
        self.service.faults.calls(method)
    }
}

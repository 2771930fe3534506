//! A TCP proxy in front of a real server, whose network can be made bad while connections stand.

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Most bytes read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks on their way in one direction; more wait in the sender's socket.
const CHUNKS_MAX: usize = 64;

/// A proxy on a free port of the loopback interface. It ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    serving: JoinHandle<()>,
}

/// The faults of the network.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    latency: Duration,
    is_stalled: bool,
    is_cut: bool,
    /// Connections made before the last cut end, even if it is healed before they look.
    cuts: u64,
    /// Bytes of clients, and those that the server gets in their place.
    diverted: Option<(&'static [u8], &'static [u8])>,
}

impl Proxy {
    /// Forwards to `target`, without faults at first. A target that is down is a connection that ends at
    /// once.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("the address of a bound socket");
        let (faults, seen) = watch::channel(Faults::default());
        Self { address, faults, serving: tokio::spawn(serve(listener, target, seen)) }
    }

    /// Returns the address that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Delays bytes from now on, in each direction.
    pub fn set_latency(&self, latency: Duration) {
        self.faults.send_modify(|faults| faults.latency = latency);
    }

    /// Turns into a black hole: connections stand, new ones are accepted, and no byte passes.
    pub fn stall(&self) {
        self.faults.send_modify(|faults| faults.is_stalled = true);
    }

    /// Closes every connection, and each new one as soon as it is made. The port stays ours, so that nobody
    /// takes it meanwhile.
    pub fn cut(&self) {
        self.faults.send_modify(|faults| {
            faults.is_cut = true;
            faults.cuts += 1;
        });
    }

    /// Replaces bytes that clients send by others of the same length: requests for one subject go to another,
    /// say.
    ///
    /// Bytes that arrive in two pieces are not found: for short messages on a quiet connection only.
    pub fn divert(&self, from: &'static [u8], to: &'static [u8]) {
        assert_eq!(from.len(), to.len(), "a protocol counts its bytes");
        self.faults.send_modify(|faults| faults.diverted = Some((from, to)));
    }

    /// Ends all faults: what was stalled flows on, without latency, and new connections stand.
    pub fn heal(&self) {
        self.faults.send_modify(|faults| *faults = Faults { cuts: faults.cuts, ..Faults::default() });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, faults: watch::Receiver<Faults>) {
    // Aborts its tasks when it is dropped, so that no connection outlives the proxy.
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let born = *faults.borrow();
        if !born.is_cut {
            let mut faults = faults.clone();
            connections.spawn(async move {
                tokio::select! {
                    // A broken connection is closed like any other: both ends see that it is gone.
                    _ = forward(client, target, faults.clone()) => {}
                    _ = faults.wait_for(|now| now.cuts != born.cuts) => {}
                }
            });
        }
    }
}

async fn forward(client: TcpStream, target: SocketAddr, faults: watch::Receiver<Faults>) -> io::Result<()> {
    until_flowing(&mut faults.clone()).await;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(target).await?.into_split();
    tokio::try_join!(
        pump(&mut from_client, &mut to_server, faults.clone(), divert),
        pump(&mut from_server, &mut to_client, faults, |_, _| {}),
    )?;
    Ok(())
}

/// Carries one direction until its end. Reading goes on while earlier bytes wait, so that latency delays each
/// byte once and costs no throughput.
async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    faults: watch::Receiver<Faults>,
    change: impl Fn(&mut [u8], Faults),
) -> io::Result<()> {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let mut gate = faults.clone();
    let read = async move {
        loop {
            until_flowing(&mut gate).await;
            let mut chunk = vec![0; CHUNK_BYTES];
            let bytes = from.read(&mut chunk).await?;
            chunk.truncate(bytes);
            change(&mut chunk, *gate.borrow());
            let due = Instant::now() + gate.borrow().latency;
            if bytes == 0 || sender.send((due, chunk)).await.is_err() {
                return io::Result::Ok(());
            }
        }
    };
    let mut gate = faults;
    let write = async move {
        while let Some((due, chunk)) = chunks.recv().await {
            sleep_until(due).await;
            // A stall holds back what was read before it, too.
            until_flowing(&mut gate).await;
            to.write_all(&chunk).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write)?;
    Ok(())
}

fn divert(chunk: &mut [u8], faults: Faults) {
    let Some((from, to)) = faults.diverted else { return };
    for at in 0..(chunk.len() + 1).saturating_sub(from.len()) {
        if chunk[at..].starts_with(from) {
            chunk[at..at + to.len()].copy_from_slice(to);
        }
    }
}

async fn until_flowing(faults: &mut watch::Receiver<Faults>) {
    if faults.wait_for(|now| !now.is_stalled).await.is_err() {
        // The proxy is gone, and this task with it.
        pending::<()>().await;
    }
}

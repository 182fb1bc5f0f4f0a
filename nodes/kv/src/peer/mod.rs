//! Sessions with the other members: one authenticated connection per pair, dialled by the higher pid for ever.

mod noise;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::request::Event;
use noise::{Credentials, HandshakeError};
use snow::StatelessTransportState;
pub use wire::{Frame, Outbox, SendError};
use wire::{Reader, WireError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
const FIRST_BACKOFF: Duration = Duration::from_millis(25);
const LAST_BACKOFF: Duration = Duration::from_millis(800);
const MAX_HANDSHAKES: usize = 64;

/// What happens on sessions. `session` tells two sessions with the same peer apart.
pub enum PeerEvent {
    Up { pid: u64, session: u64, outbox: Outbox },
    Message { pid: u64, session: u64, frame: Frame },
    Down { pid: u64, session: u64 },
}

/// Makes and keeps sessions, and reports them to the event loop.
pub struct Peers {
    pid: u64,
    credentials: Credentials,
    events: mpsc::Sender<Event>,
    metrics: Arc<Metrics>,
    next_session: AtomicU64,
    silence: Duration,
}

impl Peers {
    pub fn new(config: &Config, events: mpsc::Sender<Event>, metrics: Arc<Metrics>) -> Arc<Self> {
        for pid in config.peers() {
            metrics.peer_connected.with_label_values(&[&pid.to_string()]).set(0);
            metrics.peer_sessions.with_label_values(&[&pid.to_string()]);
        }
        Arc::new(Peers {
            pid: config.pid,
            credentials: Credentials::new(config),
            events,
            metrics,
            next_session: AtomicU64::new(1),
            // Heartbeats cross every election timeout in both directions.
            silence: (config.election_timeout * 6).max(Duration::from_secs(3)),
        })
    }

    /// Starts accepting and dialling; runs until the runtime ends.
    pub fn start(self: &Arc<Self>, listener: TcpListener, config: &Config) {
        tokio::spawn(self.clone().accept(listener));
        for pid in config.peers().filter(|pid| *pid < config.pid) {
            let member = &config.members[&pid];
            tokio::spawn(self.clone().dial(pid, member.host.clone(), member.port));
        }
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let slots = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else {
                return;
            };
            let (mut stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "cannot accept a peer connection");
                    sleep(FIRST_BACKOFF).await;
                    continue;
                }
            };
            let peers = self.clone();
            tokio::spawn(async move {
                let handshake = noise::respond(&mut stream, &peers.credentials);
                let result = timeout(HANDSHAKE_TIMEOUT, handshake).await;
                drop(slot);
                match result.unwrap_or(Err(HandshakeError::Timeout)) {
                    Ok((pid, transport)) => peers.run(stream, transport, pid, (1, 0)).await,
                    Err(error) => peers.refused(&error, &address.to_string()),
                }
            });
        }
    }

    async fn dial(self: Arc<Self>, pid: u64, host: String, port: u16) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let begun = Instant::now();
            match self.connect(pid, &host, port).await {
                Ok((stream, transport)) => {
                    self.run(stream, transport, pid, (0, 1)).await;
                    if begun.elapsed() > LAST_BACKOFF {
                        backoff = FIRST_BACKOFF;
                    }
                }
                Err(error) => self.refused(&error, &format!("{host}:{port}")),
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
    }

    /// Looks the name up anew each time: a pod that was replaced has another address.
    async fn connect(
        &self,
        pid: u64,
        host: &str,
        port: u16,
    ) -> Result<(TcpStream, StatelessTransportState), HandshakeError> {
        let attempt = timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port)));
        let mut stream = attempt.await.map_err(|_| {
            HandshakeError::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                "no connection in time",
            ))
        })??;
        let handshake = noise::initiate(&mut stream, &self.credentials, pid);
        let transport = timeout(HANDSHAKE_TIMEOUT, handshake)
            .await
            .unwrap_or(Err(HandshakeError::Timeout))?;
        Ok((stream, transport))
    }

    fn refused(&self, error: &HandshakeError, peer: &str) {
        match error.refusal() {
            Some(reason) => {
                self.metrics.refused_handshakes.with_label_values(&[reason]).inc();
                warn!(peer, reason, %error, "peer refused");
            }
            None => debug!(peer, %error, "no session with peer"),
        }
    }

    /// Serves a session until either side ends it. `nonces` are the first ones for sending: (own, peer's).
    async fn run(&self, stream: TcpStream, noise: StatelessTransportState, pid: u64, nonces: (u64, u64)) {
        let session = self.next_session.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = stream.set_nodelay(true) {
            debug!(peer = pid, %error, "cannot set TCP_NODELAY");
            return;
        }
        let (outbox, queue) = Outbox::new();
        if self.report(PeerEvent::Up { pid, session, outbox }).await.is_err() {
            return;
        }
        let label = pid.to_string();
        self.metrics.peer_sessions.with_label_values(&[&label]).inc();
        info!(peer = pid, session, "peer session begins");
        let (read, write) = stream.into_split();
        let result = tokio::select! {
            result = wire::write_all(write, &noise, queue, nonces.0) => result,
            result = self.read_all(Reader::new(read, nonces.1), &noise, pid, session) => result,
        };
        match result {
            Ok(()) => info!(peer = pid, session, "peer session ended by this node"),
            Err(error) => info!(peer = pid, session, %error, "peer session ends"),
        }
        // Only a stopping event loop does not listen; then nobody needs to know.
        let _stopping = self.report(PeerEvent::Down { pid, session }).await;
    }

    async fn read_all<R: tokio::io::AsyncRead + Unpin>(
        &self,
        mut reader: Reader<R>,
        noise: &StatelessTransportState,
        pid: u64,
        session: u64,
    ) -> Result<(), WireError> {
        loop {
            let frame = reader.next(noise, self.silence).await?;
            if let Frame::Paxos(message) = &frame {
                let (found, to) = (message.get_sender(), message.get_receiver());
                if found != pid || to != self.pid {
                    return Err(WireError::WrongAddress { pid, found, to });
                }
            }
            self.report(PeerEvent::Message { pid, session, frame }).await?;
        }
    }

    async fn report(&self, event: PeerEvent) -> Result<(), WireError> {
        self.events
            .send(Event::Peer(event))
            .await
            .map_err(|_| WireError::Stopping)
    }
}

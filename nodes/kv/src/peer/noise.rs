//! Mutual authentication of two nodes: Noise XX with the static keys of the peer list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use snow::{Builder, HandshakeState, StatelessTransportState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::{Config, Member};

const PATTERN: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";
const PROLOGUE: &[u8] = b"orrery-kv/peer/1";
const MAX_HANDSHAKE_BYTES: usize = 1024;

/// Why two nodes do not talk.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("connection failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("handshake failed: {0}")]
    Noise(#[from] snow::Error),
    #[error("handshake message is malformed")]
    Malformed,
    #[error("pid {pid} proved key {found}, the peer list says {listed}")]
    WrongKey { pid: u64, found: String, listed: String },
    #[error("pid {pid} is not a peer that may connect here")]
    UnknownPeer { pid: u64 },
    #[error("pid {pid} is in configuration {found}, this node in {own}")]
    WrongConfiguration { pid: u64, found: u32, own: u32 },
    #[error("no answer within the time for handshakes")]
    Timeout,
}

impl HandshakeError {
    /// The value of the metric's label; `None` if the network failed and nobody was refused.
    pub fn refusal(&self) -> Option<&'static str> {
        match self {
            HandshakeError::Io(_) => None,
            HandshakeError::Noise(_) | HandshakeError::Malformed => Some("protocol"),
            HandshakeError::WrongKey { .. } => Some("wrong_key"),
            HandshakeError::UnknownPeer { .. } => Some("unknown_peer"),
            HandshakeError::WrongConfiguration { .. } => Some("wrong_configuration"),
            HandshakeError::Timeout => Some("timeout"),
        }
    }
}

/// Who a node says it is; sent encrypted, proved by its static key.
#[derive(Serialize, Deserialize)]
struct Hello {
    pid: u64,
    configuration: u32,
}

/// What a node knows about itself and its peers for handshakes.
pub struct Credentials {
    pid: u64,
    configuration: u32,
    private: zeroize::Zeroizing<[u8; 32]>,
    members: BTreeMap<u64, Member>,
}

impl Credentials {
    pub fn new(config: &Config) -> Self {
        Credentials {
            pid: config.pid,
            configuration: config.configuration_id,
            private: zeroize::Zeroizing::new(*config.identity.private()),
            members: config.members.clone(),
        }
    }

    fn builder(&self) -> Result<Builder<'_>, snow::Error> {
        let pattern = PATTERN.parse()?;
        Builder::new(pattern)
            .prologue(PROLOGUE)?
            .local_private_key(self.private.as_slice())
    }

    fn hello(&self) -> Result<Vec<u8>, HandshakeError> {
        let hello = Hello {
            pid: self.pid,
            configuration: self.configuration,
        };
        postcard::to_stdvec(&hello).map_err(|_| HandshakeError::Malformed)
    }

    /// The pid behind `payload`, if the key it proved is the listed one.
    fn verify(&self, state: &HandshakeState, payload: &[u8]) -> Result<u64, HandshakeError> {
        let hello: Hello = postcard::from_bytes(payload).map_err(|_| HandshakeError::Malformed)?;
        let pid = hello.pid;
        let member = match self.members.get(&pid) {
            Some(member) if pid != self.pid => member,
            _ => return Err(HandshakeError::UnknownPeer { pid }),
        };
        let found = state.get_remote_static().ok_or(HandshakeError::Malformed)?;
        if found != member.public_key.as_slice() {
            return Err(HandshakeError::WrongKey {
                pid,
                found: hex::encode(found),
                listed: hex::encode(member.public_key),
            });
        }
        if hello.configuration != self.configuration {
            return Err(HandshakeError::WrongConfiguration {
                pid,
                found: hello.configuration,
                own: self.configuration,
            });
        }
        Ok(pid)
    }
}

/// The dialling side. Ends well only once the other side has confirmed that it accepts.
pub async fn initiate(
    stream: &mut TcpStream,
    credentials: &Credentials,
    dialled: u64,
) -> Result<StatelessTransportState, HandshakeError> {
    let mut state = credentials.builder()?.build_initiator()?;
    send(stream, &mut state, &[]).await?;
    let payload = receive(stream, &mut state).await?;
    let pid = credentials.verify(&state, &payload)?;
    if pid != dialled {
        return Err(HandshakeError::UnknownPeer { pid });
    }
    let hello = credentials.hello()?;
    send(stream, &mut state, &hello).await?;
    let transport = state.into_stateless_transport_mode()?;
    let welcome = read_frame(stream, MAX_HANDSHAKE_BYTES).await?;
    transport.read_message(0, &welcome, &mut [0u8; MAX_HANDSHAKE_BYTES])?;
    Ok(transport)
}

/// The accepting side. The higher pid of a pair dials the lower one; anything else is refused.
pub async fn respond(
    stream: &mut TcpStream,
    credentials: &Credentials,
) -> Result<(u64, StatelessTransportState), HandshakeError> {
    let mut state = credentials.builder()?.build_responder()?;
    receive(stream, &mut state).await?;
    let hello = credentials.hello()?;
    send(stream, &mut state, &hello).await?;
    let payload = receive(stream, &mut state).await?;
    let pid = credentials.verify(&state, &payload)?;
    if pid < credentials.pid {
        return Err(HandshakeError::UnknownPeer { pid });
    }
    let transport = state.into_stateless_transport_mode()?;
    let mut welcome = [0u8; MAX_HANDSHAKE_BYTES];
    let len = transport.write_message(0, &[], &mut welcome)?;
    write_frame(stream, &welcome[..len]).await?;
    Ok((pid, transport))
}

async fn send(stream: &mut TcpStream, state: &mut HandshakeState, payload: &[u8]) -> Result<(), HandshakeError> {
    let mut message = [0u8; MAX_HANDSHAKE_BYTES];
    let len = state.write_message(payload, &mut message)?;
    Ok(write_frame(stream, &message[..len]).await?)
}

async fn receive(stream: &mut TcpStream, state: &mut HandshakeState) -> Result<Vec<u8>, HandshakeError> {
    let message = read_frame(stream, MAX_HANDSHAKE_BYTES).await?;
    let mut payload = vec![0u8; MAX_HANDSHAKE_BYTES];
    let len = state.read_message(&message, &mut payload)?;
    payload.truncate(len);
    Ok(payload)
}

async fn write_frame(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut frame = Vec::with_capacity(2 + bytes.len());
    frame.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    frame.extend_from_slice(bytes);
    stream.write_all(&frame).await
}

async fn read_frame(stream: &mut TcpStream, limit: usize) -> Result<Vec<u8>, HandshakeError> {
    let len = usize::from(stream.read_u16().await?);
    if len > limit {
        return Err(HandshakeError::Malformed);
    }
    let mut frame = vec![0u8; len];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

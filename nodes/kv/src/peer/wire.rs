//! Messages on an authenticated connection: encoded, cut into encrypted frames of at most 64 KiB, put together again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BufMut;
use omnipaxos::messages::Message;
use serde::{Deserialize, Serialize};
use snow::StatelessTransportState;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::entry::KvEntry;

const MAX_FRAME: usize = 65_535;
const TAG: usize = 16;
const MAX_CHUNK: usize = MAX_FRAME - TAG;
/// A full state is one message, so this bounds the state a lagging node can be sent.
const MAX_MESSAGE: usize = 1 << 30;
/// More than this waiting for a peer ends the session; the peer is synchronised when it is back.
const MAX_QUEUED: usize = 256 << 20;

/// What nodes say to each other.
#[derive(Debug, Serialize, Deserialize)]
pub enum Frame {
    Paxos(Box<Message<KvEntry>>),
    /// The sender leads and is about to stop: become the leader.
    TakeOver,
}

/// The sending end of a session; dropping it ends the session.
pub struct Outbox {
    sender: mpsc::UnboundedSender<Vec<u8>>,
    queued: Arc<AtomicUsize>,
}

/// Why a message was not queued.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("message cannot be encoded: {0}")]
    Encode(#[from] postcard::Error),
    #[error("message of {0} bytes exceeds the limit of {MAX_MESSAGE}")]
    TooLarge(usize),
    #[error("the peer reads too slowly: more than {MAX_QUEUED} bytes wait for it")]
    Overflow,
    #[error("the session has ended")]
    Closed,
}

/// The receiving end of an [`Outbox`].
pub struct Queue {
    receiver: mpsc::UnboundedReceiver<Vec<u8>>,
    queued: Arc<AtomicUsize>,
}

impl Outbox {
    pub fn new() -> (Self, Queue) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let queue = Queue {
            receiver,
            queued: queued.clone(),
        };
        (Outbox { sender, queued }, queue)
    }

    /// Queues a message; after an error the session must be ended, for the peer would miss it unawares.
    pub fn send(&self, frame: &Frame) -> Result<(), SendError> {
        let bytes = postcard::to_stdvec(frame)?;
        if bytes.len() > MAX_MESSAGE {
            return Err(SendError::TooLarge(bytes.len()));
        }
        let before = self.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        if before > MAX_QUEUED {
            return Err(SendError::Overflow);
        }
        self.sender.send(bytes).map_err(|_| SendError::Closed)
    }
}

/// Writes what is queued until the outbox is dropped.
pub async fn write_all<W: AsyncWrite + Unpin>(
    mut stream: W,
    noise: &StatelessTransportState,
    mut queue: Queue,
    first_nonce: u64,
) -> Result<(), WireError> {
    let mut nonce = first_nonce;
    let mut batch = Vec::new();
    let mut buffer = Vec::new();
    while queue.receiver.recv_many(&mut batch, 64).await > 0 {
        for message in batch.drain(..) {
            queue.queued.fetch_sub(message.len(), Ordering::Relaxed);
            let mut plain = Vec::with_capacity(message.len() + 4);
            plain.put_u32(message.len() as u32);
            plain.extend_from_slice(&message);
            for chunk in plain.chunks(MAX_CHUNK) {
                let start = buffer.len();
                buffer.resize(start + 2 + chunk.len() + TAG, 0);
                let len = noise.write_message(nonce, chunk, &mut buffer[start + 2..])?;
                nonce += 1;
                buffer[start..start + 2].copy_from_slice(&(len as u16).to_be_bytes());
                if buffer.len() >= 1 << 20 {
                    stream.write_all(&buffer).await?;
                    buffer.clear();
                }
            }
        }
        stream.write_all(&buffer).await?;
        buffer.clear();
    }
    Ok(())
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("connection failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("frame does not authenticate: {0}")]
    Noise(#[from] snow::Error),
    #[error("message cannot be decoded: {0}")]
    Decode(#[from] postcard::Error),
    #[error("message of {0} bytes exceeds the limit")]
    TooLarge(usize),
    #[error("message does not end where it should")]
    Framing,
    #[error("message from pid {found} to {to} on the session of pid {pid}")]
    WrongAddress { pid: u64, found: u64, to: u64 },
    #[error("nothing heard for {0:?}")]
    Silent(std::time::Duration),
    #[error("the node is stopping")]
    Stopping,
}

/// Puts messages together from a connection.
pub struct Reader<R> {
    stream: R,
    nonce: u64,
    cipher: Vec<u8>,
    plain: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub fn new(stream: R, first_nonce: u64) -> Self {
        Reader {
            stream,
            nonce: first_nonce,
            cipher: vec![0; MAX_FRAME],
            plain: vec![0; MAX_FRAME],
        }
    }

    /// The next message. `limit` is the longest silence, also between the frames of one message.
    pub async fn next(
        &mut self,
        noise: &StatelessTransportState,
        limit: std::time::Duration,
    ) -> Result<Frame, WireError> {
        let first = self.chunk(noise, limit).await?;
        let header: [u8; 4] = self.plain[..first].first_chunk().copied().ok_or(WireError::Framing)?;
        let len = u32::from_be_bytes(header) as usize;
        if len > MAX_MESSAGE {
            return Err(WireError::TooLarge(len));
        }
        let mut message = self.plain[4..first].to_vec();
        while message.len() < len {
            let more = self.chunk(noise, limit).await?;
            message.extend_from_slice(&self.plain[..more]);
        }
        if message.len() != len {
            return Err(WireError::Framing);
        }
        Ok(postcard::from_bytes(&message)?)
    }

    async fn chunk(&mut self, noise: &StatelessTransportState, limit: std::time::Duration) -> Result<usize, WireError> {
        let read = async {
            let len = usize::from(self.stream.read_u16().await?);
            self.stream.read_exact(&mut self.cipher[..len]).await?;
            Ok::<usize, std::io::Error>(len)
        };
        let len = tokio::time::timeout(limit, read)
            .await
            .map_err(|_| WireError::Silent(limit))??;
        let plain = noise.read_message(self.nonce, &self.cipher[..len], &mut self.plain)?;
        self.nonce += 1;
        Ok(plain)
    }
}

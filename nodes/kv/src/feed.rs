//! The feed: the changes this node applies, as it applies them, for those who measure when a write shows at a member.
//!
//! The event loop puts changes into a ring of bounded size, in one short critical section a turn; readers follow the
//! ring at their own pace. One that falls behind the ring's oldest change is told so and closed: it never holds up the
//! replica. Since changes are applied in the order of the log, "applied up to n" stands for every change up to n, and
//! a reader that comes back after any time learns with its first line what it missed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::entry::ProposalId;
use crate::http::App;

/// Changes kept for readers that are behind or come back.
pub const RING: usize = 8192;
/// Changes of one chunk at most.
const CHUNK: usize = 512;
/// A reader hears something at least this often.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Readers at a time; each costs a connection and one chunk.
pub const MAX_READERS: usize = 256;

/// One change, as applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Position in the log, counted from 1; the version that `x-kv-index` shows.
    pub index: u64,
    pub operation: &'static str,
    pub key: Bytes,
    /// Names the member that took the request.
    pub proposal: ProposalId,
}

struct Ring {
    /// Changes by rising index, each with the time it was applied, µs since 1970.
    changes: VecDeque<(u64, Change)>,
    /// Every change after this index is in `changes`.
    floor: u64,
    applied: u64,
    /// Where the state was last taken over from a peer: nobody saw the changes up to there one by one.
    taken_over: u64,
    closed: bool,
}

/// See the module's text.
pub struct Feed {
    ring: Mutex<Ring>,
    changed: watch::Sender<()>,
    readers: AtomicUsize,
}

impl Feed {
    /// A feed of what comes after `applied` entries.
    pub fn new(applied: u64) -> Arc<Self> {
        Arc::new(Feed {
            ring: Mutex::new(Ring {
                changes: VecDeque::new(),
                floor: applied,
                applied,
                taken_over: 0,
                closed: false,
            }),
            changed: watch::Sender::new(()),
            readers: AtomicUsize::new(0),
        })
    }

    /// Adds what one turn applied, after which the node has applied `applied` entries. `replaced`: the state came from
    /// a peer, so that the changes are not all that became visible.
    pub fn publish(&self, changes: Vec<Change>, applied: u64, replaced: bool) {
        let at = now_us();
        let mut ring = self.ring();
        if applied == ring.applied && !replaced {
            return;
        }
        ring.applied = applied;
        if replaced {
            ring.changes.clear();
            (ring.floor, ring.taken_over) = (applied, applied);
        } else {
            ring.changes.extend(changes.into_iter().map(|change| (at, change)));
            while ring.changes.len() > RING {
                if let Some((_, oldest)) = ring.changes.pop_front() {
                    ring.floor = oldest.index;
                }
            }
        }
        drop(ring);
        self.changed.send_replace(());
    }

    /// Ends every reader.
    pub fn close(&self) {
        self.ring().closed = true;
        self.changed.send_replace(());
    }

    pub fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }

    /// Starts a reader; nothing when there are too many.
    fn read(self: &Arc<Self>, after: Option<u64>, prefix: Bytes) -> Option<Reader> {
        let before = self.readers.fetch_add(1, Ordering::Relaxed);
        let mut reader = Reader {
            feed: self.clone(),
            changed: self.changed.subscribe(),
            prefix,
            cursor: 0,
            opening: None,
            heard: Instant::now(),
            ended: false,
        };
        if before >= MAX_READERS {
            return None;
        }
        let ring = self.ring();
        let state = after.map_or(ring.applied, |after| after.max(ring.floor).min(ring.applied));
        let opening = json!({"state": state, "applied": ring.applied, "at": now_us()});
        drop(ring);
        reader.cursor = state;
        reader.opening = Some(opening);
        Some(reader)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Whoever panicked in it changed nothing half: each change of the ring is whole or recomputed.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reader's place.
struct Reader {
    feed: Arc<Feed>,
    changed: watch::Receiver<()>,
    prefix: Bytes,
    /// Every change up to here was sent, skipped for its key, or is contained in a state that was told.
    cursor: u64,
    opening: Option<Value>,
    heard: Instant,
    ended: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.feed.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reader {
    /// The next lines, as soon as there are some; nothing after the end.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        while !self.ended {
            // Marked as seen before looking: what is published after that wakes the wait below.
            self.changed.mark_unchanged();
            let mut lines = self.lines();
            if lines.is_empty() {
                let silence = self.heard + KEEP_ALIVE;
                if timeout_at(silence, self.changed.changed()).await.is_ok() {
                    continue;
                }
                lines.push(json!({"applied": self.feed.ring().applied, "at": now_us()}));
            }
            self.heard = Instant::now();
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            return Some((Ok(text.into()), self));
        }
        None
    }

    fn lines(&mut self) -> Vec<Value> {
        let feed = self.feed.clone();
        let ring = feed.ring();
        let mut lines: Vec<Value> = self.opening.take().into_iter().collect();
        if self.cursor < ring.taken_over {
            self.cursor = ring.taken_over;
            lines.push(json!({"state": ring.taken_over, "applied": ring.applied, "at": now_us()}));
        }
        if self.cursor < ring.floor {
            self.ended = true;
            let error = format!("more than {RING} changes behind; come back with after={}", self.cursor);
            lines.push(json!({"end": "too_slow", "error": error}));
            return lines;
        }
        let first = ring.changes.partition_point(|(_, change)| change.index <= self.cursor);
        let mut taken = 0;
        for (at, change) in ring.changes.range(first..) {
            if taken == CHUNK {
                return lines;
            }
            self.cursor = change.index;
            if change.key.starts_with(&self.prefix) {
                lines.push(row(*at, change));
                taken += 1;
            }
        }
        self.cursor = self.cursor.max(ring.applied);
        if ring.closed {
            self.ended = true;
            lines.push(json!({"end": "shutting_down", "error": "the node is stopping"}));
        }
        lines
    }
}

fn row(at: u64, change: &Change) -> Value {
    let ProposalId { pid, boot, counter } = change.proposal;
    json!({
        "index": change.index,
        "operation": change.operation,
        "key": percent_encoding::percent_encode(&change.key, percent_encoding::NON_ALPHANUMERIC).to_string(),
        "proposal": format!("{pid}.{boot}.{counter}"),
        "at": at,
    })
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |since| since.as_micros() as u64)
}

#[derive(Deserialize)]
pub struct FeedOptions {
    /// Changes after this index; without it, those from now on.
    after: Option<u64>,
    /// Only keys that begin so.
    #[serde(default)]
    prefix: String,
}

/// `GET /feed`.
pub async fn follow(State(app): State<Arc<App>>, Query(options): Query<FeedOptions>) -> Response {
    if app.stopping.load(Ordering::Relaxed) {
        return refusal("shutting_down", "the node is stopping".into());
    }
    match app.feed.read(options.after, options.prefix.into()) {
        None => refusal(
            "too_many_readers",
            format!("the feed has {MAX_READERS} readers already"),
        ),
        Some(reader) => {
            let headers = [
                (header::CONTENT_TYPE, "application/x-ndjson"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            let lines = futures_util::stream::unfold(reader, Reader::next);
            (headers, Body::from_stream(lines)).into_response()
        }
    }
}

fn refusal(code: &str, error: String) -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({"error": error, "code": code})),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(index: u64, key: &str) -> Change {
        Change {
            index,
            operation: "put",
            key: key.to_owned().into(),
            proposal: ProposalId {
                pid: 1,
                boot: 2,
                counter: index,
            },
        }
    }

    /// Indices of changes, and the other lines by their first name.
    fn told(reader: &mut Reader) -> Vec<String> {
        let name = |line: &Value| match line["index"].as_u64() {
            Some(index) => index.to_string(),
            None if line["end"].is_string() => format!("end {}", line["end"].as_str().unwrap()),
            None => format!("state {}", line["state"]),
        };
        reader.lines().iter().map(name).collect()
    }

    #[test]
    fn a_reader_is_told_the_state_and_then_every_change_of_its_keys_once() {
        let feed = Feed::new(10);
        feed.publish(vec![change(11, "a1"), change(13, "b1")], 13, false);
        let mut news = feed.read(None, Bytes::new()).unwrap();
        let mut all = feed.read(Some(11), Bytes::new()).unwrap();
        let mut some = feed.read(Some(0), "a".into()).unwrap();
        assert_eq!(told(&mut news), ["state 13"]);
        assert_eq!(told(&mut all), ["state 11", "13"]);
        assert_eq!(told(&mut some), ["state 10", "11"]);
        feed.publish(vec![change(14, "b2"), change(15, "a2")], 16, false);
        assert_eq!(told(&mut news), ["14", "15"]);
        assert_eq!(told(&mut some), ["15"]);
        assert_eq!(told(&mut some), Vec::<String>::new());
    }

    #[test]
    fn a_cursor_from_before_a_crash_may_be_ahead_of_the_node() {
        let feed = Feed::new(10);
        let mut reader = feed.read(Some(12), Bytes::new()).unwrap();
        assert_eq!(told(&mut reader), ["state 10"]);
        feed.publish(vec![change(11, "a"), change(12, "b")], 12, false);
        assert_eq!(told(&mut reader), ["11", "12"]);
    }

    #[test]
    fn a_state_from_a_peer_is_told_instead_of_its_changes() {
        let feed = Feed::new(0);
        let mut reader = feed.read(None, Bytes::new()).unwrap();
        assert_eq!(told(&mut reader), ["state 0"]);
        feed.publish(vec![change(3, "a")], 50, true);
        feed.publish(vec![change(51, "b")], 51, false);
        assert_eq!(told(&mut reader), ["state 50", "51"]);
    }

    #[test]
    fn a_reader_that_falls_behind_the_ring_is_closed_and_can_come_back() {
        let feed = Feed::new(0);
        let mut slow = feed.read(None, Bytes::new()).unwrap();
        let many = RING as u64 + 5;
        feed.publish((1..=many).map(|index| change(index, "k")).collect(), many, false);
        assert_eq!(told(&mut slow), ["state 0", "end too_slow"]);
        let mut back = feed.read(Some(slow.cursor), Bytes::new()).unwrap();
        let lines = told(&mut back);
        assert_eq!(
            (lines[0].as_str(), lines[1].as_str(), lines.len()),
            ("state 5", "6", CHUNK + 1)
        );
    }

    #[tokio::test]
    async fn a_reader_waits_for_changes_and_ends_with_the_node() {
        let feed = Feed::new(0);
        let reader = feed.read(None, Bytes::new()).unwrap();
        let (_, reader) = reader.next().await.unwrap();
        let later = tokio::spawn(reader.next());
        feed.publish(vec![change(1, "k")], 1, false);
        let (chunk, mut reader) = later.await.unwrap().unwrap();
        let mut text = String::from_utf8(chunk.unwrap().to_vec()).unwrap();
        while !text.contains(r#""index":1"#) {
            // It may have been silent for so long before that it was kept alive.
            let (more, rest) = reader.next().await.unwrap();
            (text, reader) = (String::from_utf8(more.unwrap().to_vec()).unwrap(), rest);
        }
        feed.close();
        let (chunk, reader) = reader.next().await.unwrap();
        assert!(
            String::from_utf8(chunk.unwrap().to_vec())
                .unwrap()
                .contains("shutting_down")
        );
        assert_eq!(feed.readers(), 1);
        assert!(reader.next().await.is_none());
        assert_eq!(feed.readers(), 0);
    }

    #[test]
    fn readers_are_counted_and_bounded() {
        let feed = Feed::new(0);
        let mut readers: Vec<_> = (0..MAX_READERS)
            .map(|_| feed.read(None, Bytes::new()).unwrap())
            .collect();
        assert!(feed.read(None, Bytes::new()).is_none());
        readers.pop();
        assert!(feed.read(None, Bytes::new()).is_some());
    }
}

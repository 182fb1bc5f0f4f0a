//! A replicated key-value node: OmniPaxos over a durable embedded store, served by HTTP.

pub mod config;
pub mod entry;
pub mod feed;
pub mod http;
pub mod identity;
pub mod metrics;
pub mod outgoing;
pub mod paxos_storage;
pub mod peer;
pub mod pending;
pub mod processes;
pub mod replica;
pub mod request;
pub mod session;
pub mod status;
pub mod store;
pub mod telemetry;

/// Exit code for bad configuration: nothing was changed.
pub const EXIT_BAD_CONFIGURATION: i32 = 3;
/// Exit code for a failure after which nothing may be promised any more (storage, or a broken invariant).
pub const EXIT_FAIL_STOP: i32 = 4;
